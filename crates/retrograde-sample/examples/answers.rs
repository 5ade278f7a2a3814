//! Random programs with inputs, and what retrograde computes of them, one JSON object a line:
//! `cargo run --release --package retrograde-sample --example answers -- FIRST COUNT`
//!
//! Seeds are FIRST, FIRST + 1, …. `tools/jax_compare.py` reads this. A program that cannot be computed is an error.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "writes to the terminal")]

use std::process::ExitCode;

use retrograde_array::Array;
use retrograde_core::ir::{Type, parse, print};
use retrograde_core::prim::Prim;
use retrograde_sample::{WITHOUT_EQUAL, draw, hex};
use serde_json::{Value, json};

fn arrays(all: &[Array]) -> Vec<Value> {
    all.iter().map(|x| json!({ "type": Type::of(x).to_string(), "hex": hex::encode(x) })).collect()
}

fn line(seed: u64) -> Result<Value, String> {
    let sample = draw(seed, WITHOUT_EQUAL);
    let text = print(&sample.program);
    if parse::<Prim>(&text).as_ref() != Ok(&sample.program) {
        return Err(format!("seed {seed}: the text reads back as another program\n{text}"));
    }
    let answers = sample.answers().map_err(|error| format!("seed {seed}: {error}\n{text}"))?;
    Ok(json!({
        "seed": seed,
        "program": text,
        "inputs": arrays(&sample.inputs),
        "weights": arrays(&sample.weights),
        "direction": arrays(&sample.direction),
        "values": arrays(&answers.values),
        "gradient": arrays(&answers.gradient),
        "product": arrays(&answers.product),
    }))
}

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|arg| arg.parse().ok()).collect();
    let Some([first, count]) = numbers.as_deref() else {
        eprintln!("usage: answers FIRST COUNT; found {:?}", std::env::args().skip(1).collect::<Vec<_>>());
        return ExitCode::FAILURE;
    };
    let mut failed = 0;
    for seed in *first..first.saturating_add(*count) {
        // A broken operation must not hide the others.
        match std::panic::catch_unwind(|| line(seed)) {
            Ok(Ok(line)) => println!("{line}"),
            Ok(Err(message)) => {
                eprintln!("{message}");
                failed += 1;
            }
            Err(_) => {
                eprintln!("seed {seed} panicked");
                failed += 1;
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
