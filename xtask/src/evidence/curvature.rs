//! Inverse curvature from batches: what estimators of it are off by, beside what is predicted.

use std::path::Path;

use serde_json::Value;

use super::last_object_of;

/// How many estimators each table has, of which each says itself whether it holds.
const TABLES: [(&str, usize); 3] = [("breast_cancer", 12), ("digits_odd", 12), ("indefinite", 4)];

pub(super) fn newton_bias(root: &Path) -> Result<Value, String> {
    last_object_of(root, "run --release --quiet --package retrograde-solve --example newton_bias")
}

/// Every row holds at both seeds, or the mean of one misses its level by chance at one of them: more than a tenth of that level,
/// and not at the other.
pub(super) fn newton_bias_holds(results: &Value) -> Result<(), String> {
    let tables = results["seeds"].as_array().filter(|tables| tables.len() == 2);
    let [first, second] = tables.map(Vec::as_slice).unwrap_or_default() else {
        return Err("found no tables for two seeds".into());
    };
    for (table, n_rows) in TABLES {
        let [first, second] = [first, second].map(|seed| seed[table].as_array().cloned().unwrap_or_default());
        if first.len() != n_rows || second.len() != n_rows {
            return Err(format!(
                "{table}: found {} and {} estimators, expected {n_rows}",
                first.len(),
                second.len()
            ));
        }
        for (one, another) in first.iter().zip(&second) {
            for (row, other) in [(one, another), (another, one)] {
                if row["holds"] != true && !(by_chance(row) && other["holds"] == true) {
                    return Err(format!("{table}: {} does not hold: {}", row["estimator"], row["offence"]));
                }
            }
        }
    }
    Ok(())
}

/// Whether what is off about a row is its mean, and not by so much that one seed is enough to refuse it.
fn by_chance(row: &Value) -> bool {
    let is_about_mean =
        row["offence"].as_str().is_some_and(|offence| offence.starts_with("p of the predicted mean"));
    is_about_mean && row["p_predicted"].as_f64().is_some_and(|p| p > 1e-3)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimator_that_is_missing_or_off_is_found() {
        let rows = |n: usize| vec![json!({ "estimator": "chain", "holds": true }); n];
        let table = json!({ "breast_cancer": rows(12), "digits_odd": rows(12), "indefinite": rows(4) });
        let good = json!({ "seeds": [table, table] });
        assert_eq!(newton_bias_holds(&good), Ok(()));
        let off = |p: f64| json!({ "estimator": "chain", "holds": false, "p_predicted": p, "offence": "p of the predicted mean is .." });
        for seed in 0..2 {
            let mut once = good.clone();
            once["seeds"][seed]["digits_odd"][3] = off(0.005);
            assert_eq!(newton_bias_holds(&once), Ok(()), "once in a hundred");
            let mut by_far = good.clone();
            by_far["seeds"][seed]["digits_odd"][3] = off(0.0005);
            assert!(
                newton_bias_holds(&by_far).unwrap_err().starts_with("digits_odd: \"chain\" does not hold")
            );
            by_far["seeds"][seed]["digits_odd"][3] = json!({ "holds": false, "offence": "not refused" });
            assert!(newton_bias_holds(&by_far).is_err(), "what is not by chance");
        }
        let mut twice = good.clone();
        (0..2).for_each(|seed| twice["seeds"][seed]["digits_odd"][3] = off(0.005));
        assert!(newton_bias_holds(&twice).is_err());
        let mut fewer = good.clone();
        fewer["seeds"][1]["digits_odd"] = json!(rows(11));
        assert!(newton_bias_holds(&fewer).unwrap_err().contains("found 12 and 11 estimators, expected 12"));
        assert!(newton_bias_holds(&json!({ "seeds": [good] })).is_err());
    }
}
