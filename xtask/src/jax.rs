//! Random programs and their first two derivatives against JAX, through `tools/jax_compare.py`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

/// The first seed and how many follow: fixed before the first run.
const FIRST: u64 = 10_000;
const COUNT: u64 = 2_000;
/// Each primitive stands in at least this many programs.
const LEAST: u64 = 20;
/// Where programs, and the short ones with JAX's answers, are left.
const PROGRAMS: &str = "target/jax/programs.jsonl";
const RECORDED: &str = "target/jax/recorded.jsonl";

/// Draws the programs, has them compared, and returns what the comparison counted.
///
/// # Errors
/// A command cannot be run or fails: Python without JAX, say.
pub fn evidence(root: &Path) -> Result<Value, String> {
    let unwritten = |error: std::io::Error| format!("cannot write {PROGRAMS}: {error}");
    fs::create_dir_all(root.join("target/jax")).map_err(unwritten)?;
    let file = fs::File::create(root.join(PROGRAMS)).map_err(unwritten)?;
    let args =
        format!("run --release --quiet --package retrograde-sample --example answers -- {FIRST} {COUNT}");
    let drawn = Command::new("cargo").args(args.split(' ')).current_dir(root).stdout(file).status();
    let drawn = drawn.map_err(|error| format!("cannot run `cargo {args}`: {error}"))?;
    if !drawn.success() {
        return Err(format!("`cargo {args}` failed ({drawn})"));
    }
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let command = format!("{python} tools/jax_compare.py {PROGRAMS} --record {RECORDED}");
    let compared = Command::new(&python)
        .args(["tools/jax_compare.py", PROGRAMS, "--record", RECORDED])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            format!(
                "cannot run `{command}`: {error}; set PYTHON to a Python that has JAX (`pip install jax`)"
            )
        })?;
    if !compared.status.success() {
        return Err(format!(
            "`{command}` failed ({}); set PYTHON to a Python that has JAX (`pip install jax`)",
            compared.status
        ));
    }
    let text = String::from_utf8_lossy(&compared.stdout);
    let results = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let mut results = results.ok_or_else(|| format!("`{command}` printed no JSON object, found {text:?}"))?;
    results["seeds"] = format!("{FIRST} to {}", FIRST + COUNT - 1).into();
    Ok(results)
}

/// Every program was compared, every primitive often enough, and nothing disagrees.
///
/// # Errors
/// What does not hold.
pub fn holds(results: &Value) -> Result<(), String> {
    if results["programs"].as_u64() != Some(COUNT) {
        return Err(format!("found {} programs, expected {COUNT}", results["programs"]));
    }
    let none = Map::new();
    let counts = results["programs_by_primitive"].as_object().unwrap_or(&none);
    let rare: Vec<String> = counts
        .iter()
        .filter(|(_, n)| n.as_u64().is_none_or(|n| n < LEAST))
        .map(|(name, n)| format!("{name} in {n}"))
        .collect();
    if counts.is_empty() || !rare.is_empty() {
        return Err(format!("expected each primitive in at least {LEAST} programs, found {rare:?}"));
    }
    match results["disagreements"].as_array() {
        Some(all) if all.is_empty() => Ok(()),
        found => Err(format!("found {} disagreements, expected none", found.map_or(0, Vec::len))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_hold_is_refused() {
        let sound =
            json!({ "programs": COUNT, "programs_by_primitive": { "add": LEAST }, "disagreements": [] });
        assert_eq!(holds(&sound), Ok(()));
        for (key, value) in [
            ("programs", json!(COUNT - 1)),
            ("programs_by_primitive", json!({ "add": LEAST - 1 })),
            ("programs_by_primitive", json!({})),
            ("disagreements", json!([{ "seed": 1 }])),
            ("disagreements", Value::Null),
        ] {
            let mut broken = sound.clone();
            broken[key] = value;
            assert!(holds(&broken).is_err(), "{key}");
        }
    }
}
