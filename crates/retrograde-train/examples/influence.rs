//! Influence on the digits against models fitted again, as one JSON object:
//! `cargo run --release --package retrograde-train --example influence`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

#[path = "../tests/influence/experiment.rs"]
mod experiment;

use std::error::Error;

use experiment::{FULL, flipped, leave_one_out, settings};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let (left_out, flipped, settings) = (leave_one_out(FULL), flipped(FULL)?, settings(FULL)?);
    println!("{}", json!({ "leave_one_out": left_out, "flipped": flipped, "settings": settings }));
    Ok(())
}
