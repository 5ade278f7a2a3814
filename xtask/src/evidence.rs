//! Slow measurements whose results are committed: each case writes `evidence/CASE.json` with what it found, and on what.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

/// One measurement.
pub struct Case {
    /// Names it and its file.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Path) -> Result<Value, String>,
}

/// Every measurement.
pub const CASES: &[Case] = &[
    Case { name: "digits-folds", about: "accuracy on the digits, five folds, seed 0", run: digits_folds },
    Case {
        name: "ulp",
        about: "largest errors of the array functions in units in the last place",
        run: crate::ulp::evidence,
    },
];

/// Measures one case and writes its file.
///
/// # Errors
/// There is no such case; it fails; its file cannot be written.
pub fn run(root: &Path, name: &str) -> Result<(), String> {
    let case = CASES.iter().find(|case| case.name == name).ok_or_else(|| unknown(name))?;
    println!("{}: {}", case.name, case.about);
    // Before the run, so that a change made meanwhile is not credited.
    let commit = commit(root)?;
    let results = (case.run)(root)?;
    let record = json!({
        "case": case.name,
        "about": case.about,
        "commit": commit,
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "machine": machine(),
        "rustc": output(root, "rustc", &["--version"])?,
        "results": results,
    });
    let path = write(root, case.name, &record)?;
    println!("{path}");
    Ok(())
}

/// What cases there are.
pub fn list() -> String {
    let line = |case: &Case| format!("\n  {:<14} {}", case.name, case.about);
    format!("usage: cargo xtask evidence CASE\ncases:{}", CASES.iter().map(line).collect::<String>())
}

fn unknown(name: &str) -> String {
    let near = CASES.iter().filter(|case| strsim::jaro_winkler(name, case.name) >= 0.8);
    let near = near.map(|case| format!("\ndid you mean `{}`?", case.name)).collect::<String>();
    format!("there is no case `{name}`{near}\n{}", list())
}

fn digits_folds(root: &Path) -> Result<Value, String> {
    let args = "run --release --quiet --package retrograde-cli -- train --folds 5 --seed 0 --json";
    let text = output(root, "cargo", &args.split(' ').collect::<Vec<_>>())?;
    last_object(&text).ok_or_else(|| format!("`cargo {args}` printed no JSON object, found {text:?}"))
}

/// The last line that is a JSON object, or the whole text if that is one.
fn last_object(text: &str) -> Option<Value> {
    let candidates = std::iter::once(text).chain(text.lines().rev());
    candidates.filter_map(|text| serde_json::from_str::<Value>(text).ok()).find(Value::is_object)
}

fn output(root: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).current_dir(root).output();
    let output = output.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}` failed ({})\n{}", args.join(" "), output.status, errors.trim()))
}

/// The commit, marked when the tree differs from it.
fn commit(root: &Path) -> Result<String, String> {
    let head = output(root, "git", &["rev-parse", "HEAD"])?;
    // Earlier evidence is no part of what is measured.
    let changes = output(root, "git", &["status", "--porcelain", "--", ".", ":!evidence"])?;
    Ok(if changes.is_empty() { head } else { head + " with uncommitted changes" })
}

fn machine() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": cpu_model(&info), "cores": cores, "arch": std::env::consts::ARCH, "os": std::env::consts::OS })
}

fn cpu_model(info: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line.map_or("unknown", |(_, model)| model).trim().into()
}

fn write(root: &Path, name: &str, record: &Value) -> Result<String, String> {
    let path = format!("evidence/{name}.json");
    let text = format!("{record:#}\n");
    let written = fs::create_dir_all(root.join("evidence")).and_then(|()| fs::write(root.join(&path), text));
    written.map(|()| path.clone()).map_err(|error| format!("cannot write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_case_names_the_near_miss_and_all() {
        let error = run(Path::new("."), "digit-folds").unwrap_err();
        assert!(
            error.starts_with("there is no case `digit-folds`\ndid you mean `digits-folds`?\n"),
            "{error}"
        );
        assert!(CASES.iter().all(|case| error.contains(case.about)));
    }

    #[test]
    fn results_are_the_last_object() {
        assert_eq!(last_object("note\n{\"a\": 1}\n{\"a\": 2}\n3"), Some(json!({ "a": 2 })));
        assert_eq!(last_object("{\n\"a\": 1\n}"), Some(json!({ "a": 1 })));
        assert_eq!(last_object("no result"), None);
    }

    #[test]
    fn the_cpu_is_read_from_its_line() {
        assert_eq!(cpu_model("vendor_id\t: x\nmodel name\t: Example 3: 2 GHz\n"), "Example 3: 2 GHz");
        assert_eq!(cpu_model(""), "unknown");
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = output(Path::new("."), "cargo", &["--no-such-flag"]).unwrap_err();
        assert!(
            error.starts_with("`cargo --no-such-flag` failed") && error.contains("no-such-flag"),
            "{error}"
        );
    }
}
