//! Every reader on damaged input, longer than in the tests: the targets of `retrograde-train`, which lists them.
//!
//! They run in the build of the tests: it checks arithmetic, and it is there already when the tests have run.

use std::path::Path;
use std::process::Command;

/// Targets at work at once. There are ten: with a minute each they take three minutes, on two cores too.
const AT_ONCE: &str = "4";

/// Runs each target for so many seconds of the wall clock.
///
/// # Errors
/// A target failed: the output names the input, which is the same on every machine.
pub fn run(root: &Path, seconds: &str) -> Result<(), String> {
    let seconds = seconds.parse::<u64>().ok().filter(|&seconds| seconds > 0);
    let seconds = seconds.ok_or("--seconds: expected a whole number above 0")?;
    let status = Command::new("cargo")
        .args(["test", "--package", "retrograde-train", "--lib", "fuzz::", "--", "--test-threads", AT_ONCE])
        .env("RETROGRADE_FUZZ_SECONDS", seconds.to_string())
        .current_dir(root)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("a fuzz target failed ({status})")),
        Err(error) => Err(format!("cannot run cargo: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_number() {
        for wrong in ["", "0", "-1", "1.5", "x"] {
            let error = run(Path::new("."), wrong).unwrap_err();
            assert_eq!(error, "--seconds: expected a whole number above 0");
        }
    }
}
