//! Influence on some of the digits: what `cargo xtask evidence influence` asserts of all of them.

mod experiment;

use experiment::{Setting, flipped, leave_one_out, settings};

const SMALL: Setting = Setting { n_classes: 4, n_points: 20, n_test: 120, percent_flipped: 5 };

#[test]
fn predicted_and_actual_changes_of_the_digits_go_together() {
    let results = leave_one_out(SMALL);
    let number = |name: &str, key: &str| results[name][key].as_f64().unwrap();
    assert!(results["largest_gradient_norm"].as_f64().unwrap() <= 1e-10, "{results}");
    for name in ["held-back rows", "the row that fares worst"] {
        assert!(number(name, "correlation") >= 0.9, "{results}");
        assert!((number(name, "slope") - 1.0).abs() < 0.2, "{results}");
        assert!(number(name, "residual") <= 1e-10 && number(name, "apart_from_dense") < 1e-8, "{results}");
    }
}

#[test]
fn wrong_labels_are_among_the_most_self_influential() {
    let results = flipped(SMALL).unwrap();
    let number = |key: &str| results[key].as_f64().unwrap();
    assert!(number("gradient_norm") <= 1e-10 && number("share_in_top_decile") >= 0.9, "{results}");
    // Scores that know nothing find a tenth.
    assert!(number("share_in_top_decile_of_row_numbers") < 0.3, "{results}");
}

/// Any step size, number of terms and batch size: the same scores, as far as each certificate says.
#[test]
fn no_setting_of_an_inverse_changes_scores_by_more_than_its_certificate_says() {
    let results = settings(Setting { n_classes: 2, ..SMALL }).unwrap();
    let off = |name: &str| results[name]["off_over_allowed"].as_f64().unwrap();
    let names: Vec<&String> = results.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 8);
    for name in names.into_iter().filter(|name| *name != "another question") {
        assert!(off(name) <= 1.0 && off(name) > 0.0, "{name}: {results:#}");
    }
    assert!(off("another question") > 10.0, "{results:#}");
}
