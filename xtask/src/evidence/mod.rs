//! Slow measurements whose results are committed: each case writes `evidence/CASE.json` with what it found, and on what.
//!
//! - [`curvature`]: inverse curvature from batches
//! - [`data`]: memory and speed of the data readers
//! - [`mechanisms`]: what long loops take for their gradients, beside JAX
//! - [`newton`]: what stochastic Newton spends, beside other methods and programs
//! - [`programs`]: what the programs of the project claim: accuracy, tapes, tracing
//! - [`recipes`]: how good the networks of `recipes/` are
//! - [`tapes`]: what long loops keep for their gradients
//! - [`uses`]: influence of training examples

mod curvature;
mod data;
mod mechanisms;
mod newton;
mod programs;
mod recipes;
mod tapes;
mod uses;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

/// One measurement.
pub struct Case {
    /// Names it and its file.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Path) -> Result<Value, String>,
    /// What must hold of the results: says what does not.
    pub holds: fn(&Value) -> Result<(), String>,
}

/// The cases that make a page of the documentation, too.
const BENCH: &str = "bench";
const MECHANISMS: &str = "mechanisms";
const PAGES: [&str; 2] = [BENCH, MECHANISMS];

/// Every measurement.
pub const CASES: &[Case] = &[
    Case {
        name: "digits-folds",
        about: "mean accuracy on the digits over five folds, seed 0: at least 97 %",
        run: programs::digits_folds,
        holds: |results| at_least(results, "test_accuracy", 0.97),
    },
    Case {
        name: "recipes",
        about: "mean accuracy of each network of recipes/ on the digits over five folds: from 94 % to 98.5 %, each fold under 3 minutes",
        run: recipes::all,
        holds: recipes::all_hold,
    },
    Case {
        name: "recipes-few",
        about: "the same of two of them, in a minute or two",
        run: recipes::few,
        holds: recipes::few_hold,
    },
    Case {
        name: "nbody",
        about: "leapfrog, 8 bodies, 10 000 steps: equal bits under every policy, `reverse` keeps at most 0.03 bit per value and step",
        run: programs::nbody,
        holds: programs::nbody_holds,
    },
    Case {
        name: "binomial",
        about: "a pendulum, 1 000 000 steps, 16 states kept: 7 918 425 steps forward, the least possible",
        run: tapes::binomial,
        holds: tapes::binomial_holds,
    },
    Case {
        name: "revnet",
        about: "reversible residual networks of 10, 100 and 1000 blocks: equal bits, at most 0.3 bit per activation and update",
        run: tapes::revnet,
        holds: tapes::revnet_holds,
    },
    Case {
        name: "quantise",
        about: "a network with layer norm and an LSTM, 2, 4 and 8 bits: T² accepts the mean gradient at power 0.9 against a 5 % bias, the variance is within its bound, and broken draws are refused",
        run: tapes::quantise,
        holds: tapes::quantise_holds,
    },
    Case {
        name: "lattice",
        about: "leapfrog on a lattice of 2^-57, 8 bodies, 100 000 steps: equal bits, no bit on the stack",
        run: tapes::lattice,
        holds: tapes::lattice_holds,
    },
    Case {
        name: "length",
        about: "leapfrog in floats, 8 bodies, from 10 000 to 1 000 000 steps: equal bits, a tape of at most 0.14 MB, and a peak that grows by that and at most 2 MB",
        run: tapes::length,
        holds: tapes::length_holds,
    },
    Case {
        name: "momentum",
        about: "training by momentum on a lattice, 100 000 steps: weights recovered to the bit, at most 0.155 bit per weight and step for γ = 0.9 and 0.016 for 0.99",
        run: tapes::momentum,
        holds: tapes::momentum_holds,
    },
    Case {
        name: MECHANISMS,
        about: "seconds of loops alone, of their forward part under each policy and of their gradients, beside JAX on the same loops: equal values",
        run: mechanisms::all,
        holds: mechanisms::hold,
    },
    Case {
        name: "influence",
        about: "logistic models on the digits: predicted and actual leave-one-out changes correlate by at least 0.9 over 50 points, 90 % of wrong labels are in the top decile of self-influence, and no setting of an inverse changes scores by more than its certificate says",
        run: uses::influence,
        holds: uses::influence_holds,
    },
    Case {
        name: "newton-bias",
        about: "12 estimators of inverse curvature, 16 000 and 8 000 times: means as predicted (T², p > 0.01), shared batches off by what is stated, the deviation of a roulette within 3 %; 4 ways with curvature of both signs",
        run: curvature::newton_bias,
        holds: curvature::newton_bias_holds,
    },
    Case {
        name: "trace",
        about: "tracing, simplifying and lowering 5000 equations: under 50 ms",
        run: programs::trace,
        holds: |results| at_most(results, "trace, simplify and lower 5000 equations", 0.050),
    },
    Case {
        name: "idx-memory",
        about: "training one epoch on 60 000 images of 28 × 28 pixels: under 1 GB of resident memory at the peak",
        run: data::idx_memory,
        holds: data::idx_memory_holds,
    },
    Case {
        name: "csv-speed",
        about: "reading a CSV file of a million rows: at least 100 MB/s on the wall clock, median of 5",
        run: data::csv_speed,
        holds: data::csv_speed_holds,
    },
    Case {
        name: "ulp",
        about: "largest errors of the array functions in units in the last place: within each stated bound",
        run: crate::ulp::evidence,
        holds: crate::ulp::holds,
    },
    Case {
        name: "jax",
        about: "2000 random programs over all primitives: values, gradients and Hessian products within what rounding explains of JAX's",
        run: crate::jax::evidence,
        holds: crate::jax::holds,
    },
    Case {
        name: "newton-convergence",
        about: "logistic regression: passes of stochastic Newton to 1e-4 and 1e-8 within 10 % of its recipe's on four sets, and no slower than the fastest of scikit-learn's solvers on three of five",
        run: newton::convergence,
        holds: newton::convergence_holds,
    },
    Case {
        name: BENCH,
        about: "ours and JAX, PyTorch on the same tasks, alternately: the ratios of docs/benchmarks.md, and equal values",
        run: crate::bench::evidence,
        holds: crate::bench::holds,
    },
];

/// Measures one case, checks what it claims and writes its file.
///
/// # Errors
/// There is no such case; it fails; what it claims does not hold; its file cannot be written.
pub fn run(root: &Path, name: &str) -> Result<(), String> {
    let case = find(name)?;
    // Before the run, so that a change made meanwhile is not credited.
    let commit = commit(root)?;
    let results = measure(root, case)?;
    let record = json!({
        "case": case.name,
        "about": case.about,
        "commit": commit,
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "machine": machine(),
        "rustc": output(root, "rustc", &["--version"])?,
        "results": results,
    });
    let path = write(root, case.name, &record)?;
    println!("{path}");
    if PAGES.contains(&case.name) { page(root, case.name) } else { Ok(()) }
}

/// Makes the page of a case again from its committed file.
///
/// # Errors
/// The case has no page or no file; the page cannot be written.
pub fn page(root: &Path, name: &str) -> Result<(), String> {
    match find(name)?.name {
        BENCH => crate::bench::table::write(root),
        MECHANISMS => mechanisms::write(root),
        name => Err(format!("found `{name}`, expected a case with a page: {}", PAGES.join(", "))),
    }
}

/// Measures functions of the case `ulp` again, checks what the whole case claims and writes its file.
///
/// # Errors
/// There is no file of the case or no such function; a bound does not hold; the file cannot be written.
pub fn functions_again(root: &Path, names: &[&str]) -> Result<(), String> {
    let commit = commit(root)?;
    let path = root.join("evidence/ulp.json");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut record: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    record["results"] = crate::ulp::again(root, &record["results"], names, &commit)?;
    crate::ulp::holds(&record["results"])?;
    write(root, "ulp", &record).map(|path| println!("{path}"))
}

/// Measures one case and checks what it claims, without writing.
///
/// # Errors
/// See [`run`].
pub fn check(root: &Path, name: &str) -> Result<(), String> {
    measure(root, find(name)?).map(drop)
}

fn find(name: &str) -> Result<&'static Case, String> {
    CASES.iter().find(|case| case.name == name).ok_or_else(|| unknown(name))
}

fn measure(root: &Path, case: &Case) -> Result<Value, String> {
    println!("{}: {}", case.name, case.about);
    let results = (case.run)(root)?;
    println!("{results:#}");
    (case.holds)(&results).map_err(|error| format!("{}: {error}", case.name))?;
    Ok(results)
}

fn number(results: &Value, key: &str) -> Result<f64, String> {
    results[key].as_f64().ok_or_else(|| format!("found no number `{key}` in {results}"))
}

fn at_least(results: &Value, key: &str, bound: f64) -> Result<(), String> {
    let found = number(results, key)?;
    if found >= bound { Ok(()) } else { Err(format!("{key}: found {found}, expected at least {bound}")) }
}

fn at_most(results: &Value, key: &str, bound: f64) -> Result<(), String> {
    let found = number(results, key)?;
    if found <= bound { Ok(()) } else { Err(format!("{key}: found {found}, expected at most {bound}")) }
}

/// What cases there are.
pub fn list() -> String {
    let line = |case: &Case| format!("\n  {:<14} {}", case.name, case.about);
    format!(
        "usage: cargo xtask evidence [--check | --page] CASE\ncases:{}",
        CASES.iter().map(line).collect::<String>()
    )
}

fn unknown(name: &str) -> String {
    let near = CASES.iter().filter(|case| strsim::jaro_winkler(name, case.name) >= 0.8);
    let near = near.map(|case| format!("\ndid you mean `{}`?", case.name)).collect::<String>();
    format!("there is no case `{name}`{near}\n{}", list())
}

/// The JSON object that a program prints last; `args` are those of cargo, with single spaces between them.
fn last_object_of(root: &Path, args: &str) -> Result<Value, String> {
    let text = output(root, "cargo", &args.split(' ').collect::<Vec<_>>())?;
    last_object(&text).ok_or_else(|| format!("`cargo {args}` printed no JSON object, found {text:?}"))
}

/// The last line that is a JSON object, or the whole text if that is one.
fn last_object(text: &str) -> Option<Value> {
    let candidates = std::iter::once(text).chain(text.lines().rev());
    candidates.filter_map(|text| serde_json::from_str::<Value>(text).ok()).find(Value::is_object)
}

fn output(root: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).current_dir(root).output();
    let output = output.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}` failed ({})\n{}", args.join(" "), output.status, errors.trim()))
}

/// The commit, marked when the tree differs from it.
fn commit(root: &Path) -> Result<String, String> {
    let head = output(root, "git", &["rev-parse", "HEAD"])?;
    // Earlier evidence is no part of what is measured.
    let changes = output(root, "git", &["status", "--porcelain", "--", ".", ":!evidence"])?;
    Ok(if changes.is_empty() { head } else { head + " with uncommitted changes" })
}

fn machine() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": cpu_model(&info), "cores": cores, "arch": std::env::consts::ARCH, "os": std::env::consts::OS })
}

fn cpu_model(info: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line.map_or("unknown", |(_, model)| model).trim().into()
}

fn write(root: &Path, name: &str, record: &Value) -> Result<String, String> {
    let path = format!("evidence/{name}.json");
    let text = format!("{record:#}\n");
    let written = fs::create_dir_all(root.join("evidence")).and_then(|()| fs::write(root.join(&path), text));
    written.map(|()| path.clone()).map_err(|error| format!("cannot write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_case_names_the_near_miss_and_all() {
        let error = run(Path::new("."), "digit-folds").unwrap_err();
        assert!(
            error.starts_with("there is no case `digit-folds`\ndid you mean `digits-folds`?\n"),
            "{error}"
        );
        assert!(CASES.iter().all(|case| error.contains(case.about)));
    }

    #[test]
    fn a_case_without_a_page_says_which_have_one() {
        let error = page(Path::new("."), "ulp").unwrap_err();
        assert_eq!(error, "found `ulp`, expected a case with a page: bench, mechanisms");
    }

    #[test]
    fn what_does_not_hold_is_refused() {
        let fold = |accuracy: f64| (CASES[0].holds)(&json!({ "test_accuracy": accuracy }));
        assert_eq!(fold(0.97), Ok(()));
        assert_eq!(fold(0.9699).unwrap_err(), "test_accuracy: found 0.9699, expected at least 0.97");
        assert!((CASES[0].holds)(&json!({})).is_err());
    }

    #[test]
    fn results_are_the_last_object() {
        assert_eq!(last_object("note\n{\"a\": 1}\n{\"a\": 2}\n3"), Some(json!({ "a": 2 })));
        assert_eq!(last_object("{\n\"a\": 1\n}"), Some(json!({ "a": 1 })));
        assert_eq!(last_object("no result"), None);
    }

    #[test]
    fn the_cpu_is_read_from_its_line() {
        assert_eq!(cpu_model("vendor_id\t: x\nmodel name\t: Example 3: 2 GHz\n"), "Example 3: 2 GHz");
        assert_eq!(cpu_model(""), "unknown");
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = output(Path::new("."), "cargo", &["--no-such-flag"]).unwrap_err();
        assert!(
            error.starts_with("`cargo --no-such-flag` failed") && error.contains("no-such-flag"),
            "{error}"
        );
    }
}
