//! What inverse curvature is used for: influence of training examples on the digits.

use std::path::Path;

use serde_json::Value;

use super::{at_least, at_most, last_object_of};

/// The least correlation between predicted and actual changes, and the least share of wrong labels that is found.
const LEAST: f64 = 0.9;
/// A fit is exact when its gradient is no longer than this.
const EXACT: f64 = 1e-10;
const TESTS: [&str; 2] = ["held-back rows", "the row that fares worst"];
/// How far an answer to another question must be off, in units of what a certificate allows.
const SEEN: f64 = 10.0;

/// Nothing is timed, so what tests have built already is run.
pub(super) fn influence(root: &Path) -> Result<Value, String> {
    last_object_of(root, "run --quiet --package retrograde-train --example influence")
}

pub(super) fn influence_holds(results: &Value) -> Result<(), String> {
    let left_out = &results["leave_one_out"];
    at_most(left_out, "largest_gradient_norm", EXACT)?;
    at_least(left_out, "n_points", 50.0)?;
    for test in TESTS {
        at_least(&left_out[test], "correlation", LEAST)?;
        at_most(&left_out[test], "residual", EXACT)?;
    }
    at_least(&results["flipped"], "share_in_top_decile", LEAST)?;
    at_most(&results["flipped"], "gradient_norm", EXACT)?;
    let settings = results["settings"].as_object().ok_or("found no settings of inverses")?;
    if settings.len() < 8 {
        return Err(format!("found {} settings of inverses, expected at least 8", settings.len()));
    }
    for (name, found) in settings {
        let checked = match name.as_str() {
            "another question" => at_least(found, "off_over_allowed", SEEN),
            _ => at_most(found, "off_over_allowed", 1.0),
        };
        checked.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn influence_that_does_not_hold_is_refused() {
        let test = json!({ "correlation": 0.95, "residual": 1e-11 });
        let mut good = json!({
            "leave_one_out": { "largest_gradient_norm": 1e-11, "n_points": 50 },
            "flipped": { "share_in_top_decile": 0.95, "gradient_norm": 1e-11 },
            "settings": { "another question": { "off_over_allowed": 20.0 } },
        });
        TESTS.iter().for_each(|name| good["leave_one_out"][*name] = test.clone());
        (0..7).for_each(|i| good["settings"][format!("{i}")] = json!({ "off_over_allowed": 0.3 }));
        assert_eq!(influence_holds(&good), Ok(()));
        for (place, value) in [
            ("/leave_one_out/largest_gradient_norm", json!(1e-9)),
            ("/leave_one_out/held-back rows/correlation", json!(0.89)),
            ("/leave_one_out/the row that fares worst/residual", json!(1e-3)),
            ("/leave_one_out/n_points", json!(20)),
            ("/flipped/share_in_top_decile", json!(0.89)),
            ("/settings/another question/off_over_allowed", json!(0.9)),
            ("/settings/3/off_over_allowed", json!(1.1)),
            ("/settings", Value::Null),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = value;
            assert!(influence_holds(&bad).is_err(), "{place}");
        }
    }
}
