//! Inverse curvature from batches: what estimators of it are off by, beside what is predicted.

use std::path::Path;

use serde_json::Value;

use super::last_object_of;

/// How many estimators each table has, of which each says itself whether it holds.
const TABLES: [(&str, usize); 3] = [("breast_cancer", 12), ("digits_odd", 12), ("indefinite", 4)];

pub(super) fn newton_bias(root: &Path) -> Result<Value, String> {
    last_object_of(root, "run --release --quiet --package retrograde-solve --example newton_bias")
}

pub(super) fn newton_bias_holds(results: &Value) -> Result<(), String> {
    for (table, n_rows) in TABLES {
        let rows = results[table].as_array().ok_or_else(|| format!("found no table `{table}`"))?;
        if rows.len() != n_rows {
            return Err(format!("{table}: found {} estimators, expected {n_rows}", rows.len()));
        }
        if let Some(row) = rows.iter().find(|row| row["holds"] != true) {
            return Err(format!("{table}: {} does not hold: {}", row["estimator"], row["offence"]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimator_that_is_missing_or_off_is_found() {
        let rows = |n: usize| vec![json!({ "estimator": "chain", "holds": true }); n];
        let mut results = json!({ "breast_cancer": rows(12), "digits_odd": rows(12), "indefinite": rows(4) });
        assert_eq!(newton_bias_holds(&results), Ok(()));
        results["digits_odd"][3]["holds"] = json!(false);
        assert!(newton_bias_holds(&results).unwrap_err().starts_with("digits_odd: \"chain\" does not hold"));
        results["digits_odd"] = json!(rows(11));
        assert!(newton_bias_holds(&results).unwrap_err().contains("found 11 estimators, expected 12"));
    }
}
