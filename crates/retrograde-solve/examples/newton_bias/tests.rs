//! The evidence case `newton-bias` in small: the same estimators and assertions on fewer replicates, rows and units.

use super::study::{Data, Row, Size};
use super::{SEEDS, indefinite, study};

fn expect_all(rows: &[Row]) {
    for row in rows {
        assert_eq!(row.offence, None, "{}: {}", row.name, row.figures);
    }
}

#[test]
fn means_of_estimators_are_predicted_and_shared_batches_are_found() {
    let rows =
        study::table(Data::BreastCancer, Size { replicates: 2000, n_steps: 60, seed: SEEDS[0] }).unwrap();
    assert_eq!(rows.len(), 12);
    expect_all(&rows);
    // The power of the test where draws scatter little: a bias of 5 % does not pass.
    let exact = rows.iter().find(|row| row.name == "chain, exact g").unwrap();
    assert!(number(exact, "p_of_a_bias_of_5_percent") < 1e-6);
}

#[test]
fn indefinite_curvature_is_refused_and_damped_means_are_predicted() {
    let small =
        indefinite::Size { hidden: 3, n_rows: 300, batch: 32, n_steps: 60, n_chains: 32, seed: SEEDS[0] };
    let rows = indefinite::table(small).unwrap();
    assert_eq!(rows.len(), 4);
    expect_all(&rows);
}

/// The figures of one row.
fn number(row: &Row, key: &str) -> f64 {
    row.figures[key].as_f64().unwrap_or(f64::NAN)
}
