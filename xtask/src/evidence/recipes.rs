//! How good the networks of `recipes/` are on the digits, and how long a fold takes.

use std::path::Path;

use serde_json::{Value, json};

use super::{at_least, last_object_of};

/// Each recipe, and the mean accuracy over the folds that it shall reach.
const RECIPES: [(&str, f64); 8] = [
    ("cnn", 0.985),
    ("residual_mlp", 0.975),
    ("revnet", 0.98),
    ("transformer", 0.97),
    ("lstm", 0.97),
    ("feedback_alignment", 0.95),
    ("synthetic_gradients", 0.94),
    ("binary_weights", 0.94),
];
/// Those that a run in a minute takes: one by its derivative, one by another.
const FEW: [&str; 2] = ["cnn", "feedback_alignment"];
/// No fold takes longer.
const MAX_SECONDS: f64 = 180.0;

pub(super) fn all(root: &Path) -> Result<Value, String> {
    trained(root, &RECIPES.map(|(name, _)| name))
}

pub(super) fn few(root: &Path) -> Result<Value, String> {
    trained(root, &FEW)
}

fn trained(root: &Path, names: &[&str]) -> Result<Value, String> {
    let mut results = json!({});
    for name in names {
        let args = format!(
            "run --release --quiet --package retrograde-cli -- train --recipe recipes/{name}.toml --folds 5 --quiet --json"
        );
        results[*name] = last_object_of(root, &args)?;
        println!("{name}: {}", results[*name]["test_accuracy"]);
    }
    Ok(results)
}

pub(super) fn all_hold(results: &Value) -> Result<(), String> {
    RECIPES.iter().try_for_each(|(name, bound)| holds(&results[*name], name, *bound))
}

pub(super) fn few_hold(results: &Value) -> Result<(), String> {
    let few = RECIPES.iter().filter(|(name, _)| FEW.contains(name));
    few.into_iter().try_for_each(|(name, bound)| holds(&results[*name], name, *bound))
}

fn holds(result: &Value, name: &str, bound: f64) -> Result<(), String> {
    let in_recipe = |error: String| format!("{name}: {error}");
    if result["folds"] != 5 {
        return Err(in_recipe(format!("found {} folds, expected 5", result["folds"])));
    }
    at_least(result, "test_accuracy", bound).map_err(in_recipe)?;
    let seconds = result["fold_seconds"].as_array().cloned().unwrap_or_default();
    let slowest = seconds.iter().filter_map(Value::as_f64).fold(0.0, f64::max);
    if seconds.len() != 5 || slowest > MAX_SECONDS {
        return Err(in_recipe(format!(
            "found folds of {seconds:?} seconds, expected five of at most {MAX_SECONDS}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_refused() {
        let result = |accuracy: f64, seconds: f64| json!({ "folds": 5, "test_accuracy": accuracy, "fold_seconds": [1.0, 1.0, seconds, 1.0, 1.0] });
        let mut results = json!({});
        for (name, bound) in RECIPES {
            results[name] = result(bound, 180.0);
        }
        assert_eq!((all_hold(&results), few_hold(&results)), (Ok(()), Ok(())));
        for (name, bound) in RECIPES {
            for wrong in [result(bound - 1e-4, 1.0), result(bound, 181.0), json!({}), json!({ "folds": 2 })] {
                let mut results = results.clone();
                results[name] = wrong;
                assert!(all_hold(&results).unwrap_err().starts_with(&format!("{name}: ")));
                assert_eq!(few_hold(&results).is_err(), FEW.contains(&name));
            }
        }
    }

    /// Every file has its bound, and every bound its file.
    #[test]
    fn every_recipe_is_measured() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
        let files =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files = files.collect::<Vec<_>>();
        files.sort();
        let mut expected = RECIPES.map(|(name, _)| format!("{name}.toml"));
        expected.sort();
        assert_eq!(files, expected);
    }
}
