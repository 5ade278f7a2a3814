//! The law of `Tape::Quantise` on a network with layer norm and an LSTM, as one JSON object:
//! `cargo run --release --package retrograde-sample --example lossy`
//!
//! `cargo xtask evidence quantise` reads this. Seeds and sizes are fixed.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "writes to the terminal")]

use std::process::ExitCode;

use retrograde_core::prim::Tape;
use retrograde_sample::lossy::{
    LEVELS, Network, Size, Verdict, judge, network, reusing_draws, rounding_to_nearest,
};
use serde_json::{Value, json};

/// 8 sequences of 16 elements of 32 numbers.
const SIZE: Size = Size { batch: 8, width: 32, steps: 16 };
/// Arrays of one block each, for what breaks the law.
const SMALL: Size = Size { batch: 4, width: 16, steps: 6 };
const FIRST_SEED: u64 = 2021;

fn fields(verdict: &Verdict) -> Value {
    json!({
        "draws": verdict.draws,
        "t_squared": if verdict.t_squared.is_finite() { json!(verdict.t_squared) } else { json!("infinite") },
        "critical": verdict.critical,
        "accepted": verdict.accepts(),
        "noncentrality_of_5_percent": verdict.noncentrality,
        "noncentrality_for_power_0.9": verdict.needed,
        "exact": verdict.exact,
        "mean": verdict.mean,
        "variances": verdict.variances,
        "variance_bounds": verdict.bounds,
        "within_bounds": verdict.is_within_bounds(),
    })
}

fn tape_bytes(network: &Network) -> Option<usize> {
    network.lowered.tape.iter().map(|entry| entry.bytes).sum()
}

fn run() -> Result<Value, Box<dyn std::error::Error>> {
    let exact = network(SIZE, Tape::Store, None)?;
    let mut results = json!({ "store": { "tape_bytes": tape_bytes(&exact) } });
    for bits in [2, 4, 8] {
        let policy = Tape::Quantise { bits, seed: 0 };
        let lossy = network(SIZE, policy, None)?;
        // Two bits take the most draws.
        let level = if bits == 2 { LEVELS[2] } else { LEVELS[0] };
        let mut found = fields(&judge(&exact, &lossy, level, FIRST_SEED)?);
        found["tape_bytes"] = json!(tape_bytes(&lossy));
        results[policy.to_string()] = found;
    }
    let exact = network(SMALL, Tape::Store, None)?;
    let nearest = network(SMALL, Tape::Quantise { bits: 4, seed: 0 }, None)?.tampered(rounding_to_nearest);
    results["broken: rounded to nearest"] = fields(&judge(&exact, &nearest, LEVELS[0], FIRST_SEED)?);
    let gates = network(SMALL, Tape::Store, Some(Tape::Quantise { bits: 1, seed: 0 }))?;
    results["gates alone, 1 bit"] = fields(&judge(&exact, &gates, LEVELS[1], FIRST_SEED)?);
    let reused = gates.tampered(reusing_draws);
    results["broken: one draw in two factors"] = fields(&judge(&exact, &reused, LEVELS[1], FIRST_SEED)?);
    Ok(results)
}

fn main() -> ExitCode {
    match run() {
        Ok(results) => {
            println!("{results}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
