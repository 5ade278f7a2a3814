//! What must pass before a change goes in, cheapest first.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The test command that the README gives.
pub const TEST: &str = "cargo test --workspace";

/// Everything.
pub const GATE: &[&str] =
    &["cargo fmt --all --check", "cargo clippy --workspace --all-targets -- -D warnings", TEST];

/// The rules of the source tree.
pub const TIDY: &[&str] = &["cargo test --quiet --package xtask --test tidy"];

/// Runs each command in `root`, printing it first, and stops at the first that fails.
///
/// # Errors
/// The command that failed.
pub fn run(root: &Path, commands: &[&str]) -> Result<(), String> {
    for command in commands {
        println!("$ {command}");
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let start = Instant::now();
        let status = Command::new(program).args(words).current_dir(root).status();
        let status = status.map_err(|error| format!("cannot run `{command}`: {error}"))?;
        if !status.success() {
            return Err(format!("`{command}` failed ({status})"));
        }
        println!("  passed in {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stops_and_is_named() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(run(here, &["true"]), Ok(()));
        let error = run(here, &["false", "no-such-program"]).unwrap_err();
        assert!(error.starts_with("`false` failed"), "{error}");
        let error = run(here, &["no-such-program --flag"]).unwrap_err();
        assert!(error.starts_with("cannot run `no-such-program --flag`"), "{error}");
    }
}
