//! The results of the bench as text.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Where the page lies, and what it is made from.
pub const PAGE: &str = "docs/benchmarks.md";
const EVIDENCE: &str = "evidence/bench.json";

/// Seconds, in the unit that suits them.
pub fn seconds(s: f64) -> String {
    let (scaled, unit) = match s {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three_digits(scaled))
}

/// A number to three digits.
pub fn three_digits(x: f64) -> String {
    let decimals = match x.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        x if x >= 0.9995 => 2,
        _ => 3,
    };
    format!("{x:.decimals$}")
}

fn of_program(row: &Value, program: &str) -> Option<String> {
    row["programs"][program]["median_s"].as_f64().map(seconds)
}

/// `0.93 (0.91 to 0.97)`: the median of the rounds, and the least and the most.
fn ratio(row: &Value) -> Option<String> {
    let all: Vec<f64> = row["ratios"].as_array()?.iter().filter_map(Value::as_f64).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    let middle = row["ratio"].as_f64()?;
    Some(format!("{} ({} to {})", three_digits(middle), three_digits(least), three_digits(most)))
}

/// One row, for the terminal.
pub fn line(row: &Value) -> String {
    let ours = of_program(row, "retrograde").unwrap_or_else(|| failed(row, "retrograde"));
    let mut text = format!("ours {ours}");
    for (name, _) in
        row["programs"].as_object().into_iter().flatten().filter(|(name, _)| *name != "retrograde")
    {
        let other = of_program(row, name).unwrap_or_else(|| failed(row, name));
        text += &format!(", {name} {other}");
    }
    if let Some(ratio) = ratio(row) {
        text += &format!("; ratio {ratio}");
    }
    for bar in row["bars"].as_array().into_iter().flatten() {
        text += &format!("; {}", self::bar(bar));
    }
    text
}

fn failed(row: &Value, program: &str) -> String {
    let error = row["programs"][program]["error"].as_str().unwrap_or("nothing measured");
    format!("failed: {error}")
}

/// `ratio 0.93, bar 1.00: met`.
fn bar(bar: &Value) -> String {
    let number = |name: &str| bar[name].as_f64().map_or("–".into(), three_digits);
    let verdict = match bar["met"].as_bool() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not measured",
    };
    format!("{} {}, bar {}: {verdict}", bar["of"].as_str().unwrap_or("?"), number("found"), number("limit"))
}

/// All rows as a table in Markdown.
pub fn text(results: &Value) -> String {
    let mut text =
        String::from("| task | threads | ours | fastest other | ratio | bars |\n|---|---|---|---|---|---|\n");
    for row in results["rows"].as_array().into_iter().flatten() {
        let ours = of_program(row, "retrograde").unwrap_or_else(|| "failed".into());
        let other =
            row["fastest"].as_str().and_then(|name| Some(format!("{name} {}", of_program(row, name)?)));
        let bars: Vec<String> = row["bars"].as_array().into_iter().flatten().map(bar).collect();
        let dash = || "–".to_owned();
        text += &format!(
            "| {} | {} | {ours} | {} | {} | {} |\n",
            row["name"].as_str().unwrap_or("?"),
            row["threads"],
            other.unwrap_or_else(dash),
            ratio(row).unwrap_or_else(dash),
            if bars.is_empty() { dash() } else { bars.join("; ") },
        );
    }
    text
}

/// The page, from the evidence.
pub fn page(record: &Value) -> String {
    let results = &record["results"];
    let versions: Vec<String> = results["versions"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
        .collect();
    let plain = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let bars: Vec<&Value> = results["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|row| row["bars"].as_array().into_iter().flatten())
        .collect();
    let met = bars.iter().filter(|bar| bar["met"] == true).count();
    let mut differences = String::new();
    for row in results["rows"].as_array().into_iter().flatten() {
        if let (Some(value), Some(gnorm2)) =
            (row["value_difference"].as_f64(), row["gnorm2_difference"].as_f64())
        {
            let name = row["name"].as_str().unwrap_or("?");
            differences += &format!("| {name} | {value:.1e} | {gnorm2:.1e} |\n");
        }
    }
    format!(
        "# Benchmarks

Made by `cargo xtask evidence bench` from `{EVIDENCE}`; do not edit it by hand. `cargo xtask bench` measures without writing.

Each program runs {} times after a warm-up, in turns with the others, each run a process of its own on the same processors. A ratio is
our seconds over those of the fastest other in the same round: the median of the rounds, with the least and the most of them. Below 1 we are
faster. A bar is what we set out to reach; {met} of {} are met.

{}
Values and squared gradient norms against JAX on the same instances, relative differences:

| task | value | gradient norm² |
|---|---|---|
{differences}
Machine: {}, {} processors. Versions: retrograde at {}, {}, {}. Date: {}.

The tasks: a training step is loss, gradient and plain descent in one compiled call, f32 (`retrograde bench mlp`, `cnn`, `lstm`,
`transformer`, `tiny`); `hvp` is the Hessian of the MLP's loss times a direction. GMM, LSTM, BA and HAND are instances of ADBench, f64. N-body is
leapfrog through a planetary disc, f64, its gradient with respect to start and masses.

What limits us, where a bar is missed or near:

- The chain without functions of `fused` is one loop of machine code and bound by memory. In tile code, without the feature `jit`, its five
  operations are three passes over the first cache and take about twice as long. In the chain with functions, each function is a pass
  of its own over a few hundred entries; what stands between them is loops.
- `work_mem` is what is resident above the start of the command. Of the MLP's, the parameters and their gradients, over
  which the next parameters are written, are 5.1 MiB and the batch with its activations about 1.5; the rest is the program itself, whose pages are counted when
  they are first touched.
- Products are shared among threads by parts of the result, and what stands between them entry by entry; convolutions, the
  recurrent step and attention are products for most of their time, which PyTorch's libraries do as well as ours.
",
        results["runs"],
        bars.len(),
        text(results),
        plain(&record["machine"]["cpu"]),
        record["machine"]["cores"],
        plain(&record["commit"]),
        plain(&record["rustc"]),
        versions.join(", "),
        plain(&record["date"]),
    )
}

/// Writes the page from the evidence.
///
/// # Errors
/// There is no evidence, or the page cannot be written.
pub fn write(root: &Path) -> Result<(), String> {
    let text = fs::read_to_string(root.join(EVIDENCE))
        .map_err(|error| format!("cannot read {EVIDENCE}: {error}"))?;
    let record = serde_json::from_str(&text).map_err(|error| format!("{EVIDENCE} is not JSON: {error}"))?;
    fs::write(root.join(PAGE), page(&record)).map_err(|error| format!("cannot write {PAGE}: {error}"))?;
    println!("{PAGE}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results() -> Value {
        json!({ "runs": 3, "versions": { "jax": "1.0" }, "rows": [
            { "name": "fast", "threads": 1, "fastest": "JAX", "ratio": 0.5, "ratios": [0.4, 0.5, 0.625],
              "programs": { "retrograde": { "median_s": 1.5e-3 }, "JAX": { "median_s": 3e-3 }, "PyTorch": { "error": "no torch" } },
              "bars": [{ "of": "ratio", "found": 0.5, "limit": 1.0, "met": true },
                       { "of": "tape_bytes, MiB", "found": 0.6, "limit": 0.51, "met": false }],
              "value_difference": 1e-15, "gnorm2_difference": 2e-14 },
            { "name": "alone", "threads": 2, "programs": { "retrograde": { "median_s": 12.0 } }, "bars": [] },
        ] })
    }

    #[test]
    fn rows_say_what_was_measured_and_missed() {
        let text = text(&results());
        let expected = "| fast | 1 | 1.50 ms | JAX 3.00 ms | 0.500 (0.400 to 0.625) | ratio 0.500, bar 1.00: met; tape_bytes, MiB 0.600, bar 0.510: **missed** |\n| alone | 2 | 12.0 s | – | – | – |\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(line(&results()["rows"][0]).contains("PyTorch failed: no torch"));
    }

    #[test]
    fn the_page_counts_bars_and_names_its_machine() {
        let record = json!({ "results": results(), "machine": { "cpu": "Example", "cores": 2 }, "commit": "abc",
            "rustc": "rustc 1", "date": "today" });
        let page = page(&record);
        assert!(page.contains("1 of 2 are met") && page.contains("Machine: Example, 2 processors"), "{page}");
        assert!(
            page.contains("| fast | 1.0e-15 | 2.0e-14 |")
                && page.contains("retrograde at abc, rustc 1, jax 1.0")
        );
    }

    /// The page in the tree is the one that its evidence makes.
    #[test]
    fn the_page_is_made_from_the_evidence() {
        let root = crate::source::root();
        let Ok(evidence) = fs::read_to_string(root.join(EVIDENCE)) else { return };
        let found = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(
            found == page(&serde_json::from_str(&evidence).unwrap()),
            "run `cargo xtask evidence --page bench`"
        );
    }

    #[test]
    fn units_suit() {
        let all = [2.5e-7, 9.96e-6, 1.234e-3, 0.9999, 12.34].map(seconds);
        assert_eq!(all, ["0.250 µs", "9.96 µs", "1.23 ms", "1000 ms", "12.3 s"]);
    }
}
