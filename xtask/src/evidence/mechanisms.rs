//! What the gradients of long loops take under each policy, beside JAX on the same loops in the same minutes.
//!
//! For each loop: `primal_s`, the loss alone; for each policy `forward_s`, the forward part of the gradient with what the policy does
//! on the way, and `gradient_s`, all of it. For each method of JAX `forward_s`, which is the loss alone, and `gradient_s`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{number, output};
use crate::bench::table::{seconds, three_digits};

struct Loop {
    /// Names the row.
    name: &'static str,
    /// Arguments of `retrograde bench`.
    ours: &'static str,
    policies: &'static [&'static str],
    /// Arguments of the script.
    theirs: &'static str,
    methods: &'static [&'static str],
    steps: u32,
    /// Whether both start from the same numbers.
    same_values: bool,
}

/// What works for any step; the leapfrog is undone in floats, too, but not to the bit.
const METHODS: &[&str] = &["store", "sqrt"];
const METHODS_OF_LEAPFROG: &[&str] = &["store", "sqrt", "reversed"];
const POLICIES: &[&str] = &["store", "recompute", "checkpoint-sqrt", "checkpoint-16", "reverse"];
/// A contraction of a network is not undone, and its states are large.
const POLICIES_OF_NETWORK: &[&str] = &["store", "recompute", "checkpoint-sqrt", "checkpoint-4"];

const LOOPS: [Loop; 5] = [
    Loop {
        name: "nbody 8",
        ours: "nbody --bodies 8",
        policies: POLICIES,
        theirs: "nbody",
        methods: METHODS_OF_LEAPFROG,
        steps: 100_000,
        same_values: true,
    },
    Loop {
        name: "nbody 64",
        ours: "nbody --bodies 64",
        policies: POLICIES,
        theirs: "nbody --bodies 64",
        methods: METHODS_OF_LEAPFROG,
        steps: 10_000,
        same_values: true,
    },
    Loop {
        name: "lorenz",
        ours: "lorenz",
        policies: POLICIES,
        theirs: "lorenz",
        methods: METHODS,
        steps: 10_000,
        same_values: true,
    },
    Loop {
        name: "vanderpol",
        ours: "vanderpol",
        policies: POLICIES,
        theirs: "vanderpol",
        methods: METHODS,
        steps: 10_000,
        same_values: true,
    },
    Loop {
        name: "neural-ode",
        ours: "neural-ode",
        policies: POLICIES_OF_NETWORK,
        theirs: "neural-ode",
        methods: METHODS,
        steps: 100,
        same_values: false,
    },
];
/// Everyone in turns: the machine may be slower for a while.
const ROUNDS: usize = 3;
/// Relative, of numbers computed in another order; Lorenz's convection makes a difference ten thousand times as large.
const MAX_DIFFERENCE: f64 = 1e-8;
const SECONDS: [&str; 3] = ["primal_s", "forward_s", "gradient_s"];
const FIGURES: [&str; 6] =
    ["tape_bytes", "peak_rss_mb", "value", "gnorm2", "recomputed_steps", "bit_identical"];

pub(super) fn all(root: &Path) -> Result<Value, String> {
    let build = "build --release --quiet --package retrograde-cli";
    output(root, "cargo", &build.split(' ').collect::<Vec<_>>())?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let mut rows = Map::new();
    for one in &LOOPS {
        let steps = one.steps.to_string();
        let own = one.policies.iter().map(|policy| {
            let args = format!("bench {} --steps {steps} --tape {policy} --repeats 1 --json", one.ours);
            (format!("retrograde, {policy}"), "target/release/retrograde", args)
        });
        let other = one.methods.iter().map(|method| {
            let (case, rest) = one.theirs.split_once(' ').unwrap_or((one.theirs, ""));
            let args = format!("tools/loops_jax.py {case} {method} {steps} {rest} --readings 1");
            (format!("JAX, {method}"), &python[..], args)
        });
        let programs: Vec<(String, &str, String)> = own.chain(other).collect();
        let mut rounds = vec![vec![]; programs.len()];
        for _ in 0..ROUNDS {
            for ((_, program, args), found) in programs.iter().zip(&mut rounds) {
                let args: Vec<&str> =
                    ["-c", "0", program].into_iter().chain(args.split_whitespace()).collect();
                let text = output(root, "taskset", &args)?;
                let figures = super::last_object(&text);
                found.push(
                    figures.ok_or_else(|| format!("{program} printed no JSON object, found {text:?}"))?,
                );
            }
        }
        let mut row = Map::new();
        for ((name, ..), found) in programs.into_iter().zip(rounds) {
            row.insert(name, summary(&found));
        }
        println!("{}, {steps} steps:\n{}", one.name, text(&row));
        rows.insert(one.name.into(), json!({ "steps": one.steps, "programs": row }));
    }
    Ok(json!({ "loops": rows, "threads": 1, "rounds": ROUNDS }))
}

/// The median of each time, with the least and the largest; the rest of the last round.
fn summary(rounds: &[Value]) -> Value {
    let last = &rounds[rounds.len() - 1];
    let mut figures = Map::new();
    for key in SECONDS {
        let mut found: Vec<f64> = rounds.iter().filter_map(|round| round[key].as_f64()).collect();
        found.sort_by(f64::total_cmp);
        if let [least, .., largest] = found[..] {
            figures.insert(key.into(), json!(found[found.len() / 2]));
            figures.insert(format!("{key}_range"), json!([least, largest]));
        }
    }
    for key in FIGURES.into_iter().filter(|key| !last[key].is_null()) {
        figures.insert(key.into(), last[key].clone());
    }
    Value::Object(figures)
}

/// A line for each program.
fn text(row: &Map<String, Value>) -> String {
    let cell = |figures: &Value, key: &str| figures[key].as_f64().map_or("-".into(), |s| format!("{s:.4}"));
    let line = |(name, figures): (&String, &Value)| {
        let [primal, forward, gradient] = SECONDS.map(|key| cell(figures, key));
        format!("  {name:<28} primal {primal:>9} s  forward {forward:>9} s  gradient {gradient:>9} s\n")
    };
    row.iter().map(line).collect()
}

const PAGE: &str = "docs/mechanisms.md";

/// Writes the page from the committed file of this case.
pub(super) fn write(root: &Path) -> Result<(), String> {
    let path = root.join("evidence/mechanisms.json");
    let failed = |error: String| format!("cannot make {PAGE} from {}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let record = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    fs::write(root.join(PAGE), page(&record)).map_err(|error| failed(error.to_string()))?;
    println!("{PAGE}");
    Ok(())
}

/// A table for each loop.
fn page(record: &Value) -> String {
    let plain = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut text = format!(
        "# What it takes to remember less\n\nMade by `cargo xtask evidence mechanisms` from `evidence/mechanisms.json`; do not edit. \
         Commit {}, {}, {}. One thread, medians of {} rounds in which all programs take turns.\n\n\
         For each policy: the loop alone, the forward part of its gradient with what the policy does on the way, and the whole gradient, \
         which has the same bits under every policy. JAX runs the same loops: `store` keeps everything, `sqrt` checkpoints twice, `reversed` \
         runs the leapfrog backwards in floats, which is not exact. The last column is the gradient's time over that of the fastest \
         method of JAX.\n",
        plain(&record["commit"]),
        plain(&record["machine"]["cpu"]),
        plain(&record["date"]),
        record["results"]["rounds"],
    );
    for one in &LOOPS {
        let programs = &record["results"]["loops"][one.name]["programs"];
        let gradient = |name: &str| programs[name]["gradient_s"].as_f64();
        let theirs = one.methods.iter().filter_map(|method| gradient(&format!("JAX, {method}")));
        let fastest = theirs.fold(f64::INFINITY, f64::min);
        text += &format!("\n## {}, {} steps\n\n", one.name, one.steps);
        text +=
            "| program | loop alone | forward part | gradient | tape | ratio |\n|---|---|---|---|---|---|\n";
        let own = one.policies.iter().map(|policy| format!("retrograde, {policy}"));
        for name in own.chain(one.methods.iter().map(|method| format!("JAX, {method}"))) {
            let figures = &programs[&name];
            let time = |key: &str| figures[key].as_f64().map_or("–".into(), seconds);
            // What they call forward is the loop alone.
            let (alone, forward) = match figures["primal_s"].is_null() {
                true => (time("forward_s"), "–".into()),
                false => (time("primal_s"), time("forward_s")),
            };
            let tape = figures["tape_bytes"].as_u64().map_or("–".into(), |bytes| format!("{bytes} B"));
            let ratio = gradient(&name).map_or("–".into(), |s| three_digits(s / fastest));
            text +=
                &format!("| {name} | {alone} | {forward} | {} | {tape} | {ratio} |\n", time("gradient_s"));
        }
    }
    text
}

/// Every policy and method has its seconds; ours have the bits of their reference; all that start from the same numbers agree.
pub(super) fn hold(results: &Value) -> Result<(), String> {
    for one in &LOOPS {
        let programs = &results["loops"][one.name]["programs"];
        let of = |name: &str| -> Result<Value, String> {
            let figures = programs[name].clone();
            for key in ["forward_s", "gradient_s"] {
                number(&figures, key).map_err(|error| format!("{}, {name}: {error}", one.name))?;
            }
            Ok(figures)
        };
        let first = of(&format!("retrograde, {}", one.policies[0]))?;
        for policy in one.policies {
            let name = format!("retrograde, {policy}");
            let found = of(&name)?;
            if found["bit_identical"] != true || found["gnorm2"] != first["gnorm2"] {
                return Err(format!("{}, {name}: found other bits", one.name));
            }
        }
        for method in one.methods {
            let name = format!("JAX, {method}");
            let found = of(&name)?;
            for key in ["value", "gnorm2"] {
                let (theirs, own) = (number(&found, key)?, number(&first, key)?);
                let apart = (theirs - own).abs() / own.abs();
                // What is undone in floats is not exact.
                if one.same_values && METHODS.contains(method) && (apart.is_nan() || apart > MAX_DIFFERENCE) {
                    return Err(format!("{}, {name}: {key} is {theirs}, ours {own}", one.name));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_times_and_other_values_are_refused() {
        let mut loops = json!({});
        for one in &LOOPS {
            let own = one.policies.iter().map(|policy| format!("retrograde, {policy}"));
            for name in own.chain(one.methods.iter().map(|method| format!("JAX, {method}"))) {
                let figures = json!({ "forward_s": 1.0, "gradient_s": 2.0, "value": 3.0, "gnorm2": 4.0, "bit_identical": true });
                loops[one.name]["programs"][name] = figures;
            }
        }
        let good = json!({ "loops": loops });
        assert_eq!(hold(&good), Ok(()));
        let with = |program: &str, key: &str, value: Value| {
            let mut wrong = good.clone();
            wrong["loops"]["nbody 64"]["programs"][program][key] = value;
            hold(&wrong)
        };
        assert!(
            with("retrograde, reverse", "forward_s", Value::Null)
                .unwrap_err()
                .contains("no number `forward_s`")
        );
        assert!(
            with("retrograde, reverse", "bit_identical", json!(false)).unwrap_err().contains("other bits")
        );
        assert!(with("JAX, sqrt", "value", json!(3.1)).unwrap_err().contains("value is 3.1, ours 3"));
        assert_eq!(with("JAX, reversed", "value", json!(3.1)), Ok(()));
    }

    #[test]
    fn the_page_is_made_from_the_evidence() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let record: Value =
            serde_json::from_str(&fs::read_to_string(root.join("evidence/mechanisms.json")).unwrap())
                .unwrap();
        assert_eq!(hold(&record["results"]), Ok(()));
        assert_eq!(page(&record), fs::read_to_string(root.join(PAGE)).unwrap());
    }

    #[test]
    fn times_are_medians_of_rounds() {
        let round = |s: f64| json!({ "gradient_s": s, "tape_bytes": 8 });
        let found = summary(&[round(3.0), round(1.0), round(2.0)]);
        assert_eq!(found, json!({ "gradient_s": 2.0, "gradient_s_range": [1.0, 3.0], "tape_bytes": 8 }));
    }
}
