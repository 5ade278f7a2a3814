//! The bias of estimators of `H⁻¹ g`, each against its prediction, as one JSON object:
//! `cargo run --release --package retrograde-solve --example newton_bias`
//!
//! `cargo xtask evidence newton-bias` reads this. Seeds and sizes are fixed.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

mod indefinite;
mod study;
#[cfg(test)]
mod tests;

use std::error::Error;

use serde_json::json;

use study::{Data, Row, Size};

fn main() -> Result<(), Box<dyn Error>> {
    let rows = |data: Data, replicates: usize| -> Result<serde_json::Value, Box<dyn Error>> {
        let rows = study::table(data, Size { replicates, n_steps: 60 })?;
        Ok(rows.iter().map(Row::to_json).collect())
    };
    let results = json!({
        "breast_cancer": rows(Data::BreastCancer, 16_000)?,
        "digits_odd": rows(Data::DigitsOdd, 8_000)?,
        "indefinite": indefinite::table(indefinite::Size::FULL)?.iter().map(Row::to_json).collect::<Vec<_>>(),
    });
    println!("{results}");
    Ok(())
}
