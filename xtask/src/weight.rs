//! What the library weighs for who depends on it: third-party crates, and the seconds of a clean build.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Third-party crates of the façade `retrograde`, with default features.
pub const MOST_CRATES: usize = 80;
/// The same without default features.
pub const MOST_CRATES_BARE: usize = 25;
/// Seconds of the first build of a project that depends on it, with default features.
pub const MOST_SECONDS: f64 = 90.0;

/// Counts and prints the third-party crates of the library, and times a clean build where `build` is set.
///
/// # Errors
/// A figure above its bound, or why it could not be taken.
pub fn run(root: &Path, build: bool) -> Result<(), String> {
    let default = third_party(root, &[])?;
    let bare = third_party(root, &["--no-default-features"])?;
    println!("{} third-party crates with default features (at most {MOST_CRATES})", default.len());
    println!("{} without default features (at most {MOST_CRATES_BARE})", bare.len());
    within("third-party crates with default features", default.len() as f64, MOST_CRATES as f64)?;
    within("third-party crates without default features", bare.len() as f64, MOST_CRATES_BARE as f64)?;
    if build {
        let seconds = clean_build(root, &[])?;
        println!(
            "{seconds:.0} s for the first build of a project that depends on it (at most {MOST_SECONDS:.0})"
        );
        let release = clean_build(root, &["--release"])?;
        println!("{release:.0} s with --release");
        within("seconds of a first build", seconds, MOST_SECONDS)?;
    }
    Ok(())
}

/// The crates the library is built from that are not its own, build scripts and macros included, tests not.
fn third_party(root: &Path, flags: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "tree",
        "--package",
        "retrograde",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let output = cargo.args(flags).current_dir(root).output();
    let output = output.map_err(|error| format!("cannot run `cargo tree`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    match third_party_in(&String::from_utf8_lossy(&output.stdout)) {
        crates if crates.is_empty() => Err("`cargo tree` named no third-party crate, which cannot be".into()),
        crates => Ok(crates),
    }
}

/// Name and version of each crate of a listing, once, without our own.
fn third_party_in(tree: &str) -> BTreeSet<String> {
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        let is_ours = name == "retrograde" || name.starts_with("retrograde-");
        (!is_ours).then(|| format!("{name} {version}"))
    });
    crates.collect()
}

/// Seconds of the first build of an empty project whose one dependency is the library, with everything already
/// downloaded. The project's profiles are cargo's own: what this workspace sets for its tests is not what a user gets.
fn clean_build(root: &Path, flags: &[&str]) -> Result<f64, String> {
    let project = root.join("target").join("weight");
    match std::fs::remove_dir_all(&project) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot empty {}: {error}", project.display()));
        }
        _ => {}
    }
    let library = root.join("crates").join("retrograde");
    let manifest = format!(
        "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nretrograde = {{ path = {:?} }}\n",
        library.display().to_string()
    );
    let write = |name: &str, text: &str| {
        let path = project.join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(project.join("src"))
        .map_err(|error| format!("{}: {error}", project.display()))?;
    write("Cargo.toml", &manifest)?;
    write("src/main.rs", "fn main() {}\n")?;
    let lock =
        std::fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    write("Cargo.lock", &lock)?;
    let start = Instant::now();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet"]).args(flags).env_remove("CARGO_TARGET_DIR");
    let status = cargo.current_dir(&project).status();
    let seconds = start.elapsed().as_secs_f64();
    match status {
        Ok(status) if status.success() => Ok(seconds),
        Ok(status) => Err(format!("`cargo build` in {} failed ({status})", project.display())),
        Err(error) => Err(format!("cannot run `cargo build`: {error}")),
    }
}

fn within(what: &str, found: f64, most: f64) -> Result<(), String> {
    if found <= most { Ok(()) } else { Err(format!("{what}: found {found:.0}, expected at most {most:.0}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_foreign_crate_and_version_counts_once() {
        let tree = "retrograde v0.1.0 (/here)\nsyn v2.0.1\nquote v1.0.0 (*)\nsyn v3.0.0\nquote v1.0.0\n\n\
                    retrograde-derive v0.1.0 (proc-macro) (/here)\nserde_derive v1.0.0 (proc-macro)\n";
        let found: Vec<String> = third_party_in(tree).into_iter().collect();
        assert_eq!(found, ["quote v1.0.0", "serde_derive v1.0.0", "syn v2.0.1", "syn v3.0.0"]);
    }

    #[test]
    fn a_figure_above_its_bound_is_an_error() {
        assert_eq!(within("crates", 80.0, 80.0), Ok(()));
        assert_eq!(within("crates", 81.0, 80.0), Err("crates: found 81, expected at most 80".into()));
    }

    #[test]
    fn the_library_stays_light() {
        run(&crate::source::root(), false).unwrap();
    }
}
