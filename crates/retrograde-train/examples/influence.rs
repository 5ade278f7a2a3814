//! Influence on the digits against models fitted again, as one JSON object:
//! `cargo run --release --package retrograde-train --example influence`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

#[path = "../tests/influence/experiment.rs"]
mod experiment;

use std::error::Error;

use experiment::{Setting, flipped, leave_one_out, settings};
use serde_json::json;

/// As stated: all digits, 50 points, 5 %.
const FULL: Setting = Setting { n_classes: 10, n_points: 50, n_test: 360, percent_flipped: 5 };

fn main() -> Result<(), Box<dyn Error>> {
    let (left_out, flipped, settings) = (leave_one_out(FULL), flipped(FULL)?, settings(FULL)?);
    println!("{}", json!({ "leave_one_out": left_out, "flipped": flipped, "settings": settings }));
    Ok(())
}
