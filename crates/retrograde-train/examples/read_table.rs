//! Reads a table several times and says how fast, as one JSON object:
//! `cargo run --release --package retrograde-train --example read_table -- FILE TARGET N_READINGS`
//!
//! Seconds are of the wall clock; `cpu_seconds` are those that the process was running, by itself and in the kernel, as Linux
//! counts them in hundredths. Where other programs share the machine the first are larger than the second.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use retrograde_train::{Reading, data::load};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let [file, target, n_readings] = &args[..] else {
        return Err(format!("usage: read_table FILE TARGET N_READINGS; found {args:?}").into());
    };
    let megabytes = std::fs::metadata(file)?.len() as f64 / 1e6;
    let reading = Reading { target: Some(target.clone()), ..Reading::default() };
    let (mut seconds, mut cpu_seconds, mut n_rows) = (vec![], vec![], 0);
    for _ in 0..n_readings.parse::<usize>()? {
        let (start, cpu_start) = (Instant::now(), cpu());
        let data = load(Path::new(file), &reading)?;
        seconds.push(start.elapsed().as_secs_f64());
        cpu_seconds.extend(cpu().zip(cpu_start).map(|(end, start)| end - start));
        n_rows = data.n_rows();
    }
    println!(
        "{}",
        json!({ "megabytes": megabytes, "rows": n_rows, "seconds": seconds, "cpu_seconds": cpu_seconds })
    );
    Ok(())
}

/// Seconds that this process was running; `None` where the system does not say.
fn cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): fields 14 and 15, in 1/100 s; the name in field 2 may hold anything up to its closing bracket.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().collect::<Vec<_>>();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / 100.0)
}
