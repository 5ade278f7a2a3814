//! What the programs of the project claim: accuracy, tapes, tracing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{at_most, last_object_of, number, output};

pub(super) fn digits_folds(root: &Path) -> Result<Value, String> {
    let args = "run --release --quiet --package retrograde-cli -- train --folds 5 --seed 0 --json";
    last_object_of(root, args)
}

pub(super) fn nbody(root: &Path) -> Result<Value, String> {
    let mut results = json!({});
    for policy in ["store", "checkpoint-sqrt", "reverse"] {
        let args = format!(
            "run --release --quiet --package retrograde-cli -- bench nbody --bodies 8 --steps 10000 --tape {policy} --json"
        );
        results[policy] = last_object_of(root, &args)?;
    }
    Ok(results)
}

pub(super) fn nbody_holds(results: &Value) -> Result<(), String> {
    for policy in ["store", "checkpoint-sqrt", "reverse"] {
        if results[policy]["bit_identical"] != true {
            return Err(format!("{policy}: the gradient differs from the reference run"));
        }
    }
    if results["reverse"]["start_recovered"] != true {
        return Err("reverse: the start was not recovered".into());
    }
    at_most(&results["reverse"], "bits_per_value_step", 0.03)?;
    at_most(&results["checkpoint-sqrt"], "recomputed_steps", 10_000.0)
}

/// Medians of the benchmark, in seconds.
pub(super) fn trace(root: &Path) -> Result<Value, String> {
    output(root, "cargo", &["bench", "--package", "retrograde-core", "--bench", "trace"])?;
    let folder = root.join("target/criterion");
    let mut results = json!({});
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read target/criterion: {error}"))?;
    for entry in entries.filter_map(Result::ok) {
        let text = |file: &str| fs::read_to_string(entry.path().join("new").join(file)).ok();
        let parsed = |file: &str| serde_json::from_str::<Value>(&text(file)?).ok();
        let (Some(about), Some(estimates)) = (parsed("benchmark.json"), parsed("estimates.json")) else {
            continue;
        };
        if let (Some(name), Ok(ns)) =
            (about["title"].as_str(), number(&estimates["median"], "point_estimate"))
        {
            results[name] = json!(ns * 1e-9);
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orbit_that_does_not_hold_is_refused() {
        let orbit = json!({ "bit_identical": true, "start_recovered": true, "bits_per_value_step": 0.02, "recomputed_steps": 9900 });
        let all = json!({ "store": orbit, "checkpoint-sqrt": orbit, "reverse": orbit });
        assert_eq!(nbody_holds(&all), Ok(()));
        for (policy, key, value) in [
            ("store", "bit_identical", json!(false)),
            ("checkpoint-sqrt", "bit_identical", Value::Null),
            ("checkpoint-sqrt", "recomputed_steps", json!(10_001)),
            ("reverse", "start_recovered", json!(false)),
            ("reverse", "bits_per_value_step", json!(0.031)),
        ] {
            let mut broken = all.clone();
            broken[policy][key] = value;
            assert!(nbody_holds(&broken).is_err(), "{policy} {key}");
        }
    }
}
