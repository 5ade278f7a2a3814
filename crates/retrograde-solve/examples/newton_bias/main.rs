//! The bias of estimators of `H⁻¹ g`, each against its prediction, as one JSON object:
//! `cargo run --release --package retrograde-solve --example newton_bias`
//!
//! `cargo xtask evidence newton-bias` reads this. Seeds and sizes are fixed: two tables, for one row in a hundred is off by chance.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

mod indefinite;
mod study;
#[cfg(test)]
mod tests;

use std::error::Error;

use serde_json::json;

use study::{Data, Row, Size};

/// The first was fixed before the first run; the second when one row of the first table had been off, before its own first run.
const SEEDS: [u64; 2] = [20_261_126, 20_261_127];

fn main() -> Result<(), Box<dyn Error>> {
    let all = |rows: Vec<Row>| rows.iter().map(Row::to_json).collect::<Vec<_>>();
    let of_seed = |seed: u64| -> Result<serde_json::Value, Box<dyn Error>> {
        let rows = |data: Data, replicates: usize| study::table(data, Size { replicates, n_steps: 60, seed });
        Ok(json!({
            "seed": seed,
            "breast_cancer": all(rows(Data::BreastCancer, 16_000)?),
            "digits_odd": all(rows(Data::DigitsOdd, 8_000)?),
            "indefinite": all(indefinite::table(indefinite::Size::full(seed))?),
        }))
    };
    let results = SEEDS.iter().map(|&seed| of_seed(seed)).collect::<Result<Vec<_>, _>>()?;
    println!("{}", json!({ "seeds": results }));
    Ok(())
}
