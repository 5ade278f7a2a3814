//! `cargo xtask bench`: ours and others, alternately, on the same tasks in the same session; what counts are the ratios.
//!
//! - [`rows`]: what is compared, and the bars
//! - [`process`]: one run of one program
//! - [`table`]: the results as text, for the terminal and for `docs/benchmarks.md`
//!
//! The scripts of the others live outside the tree. In the folder of scripts there are `dl/jax_peer.py` and `dl/torch_peer.py` (`--task
//! TASK --threads N --seconds S`), `adbench/{gmm,lstm,ba,hand}.py j FILE`; each prints JSON lines with
//! `step_s`, or `objective_s` and `gradient_s`, and `value` and `gnorm2` where values are to agree.

pub mod process;
pub mod rows;
pub mod table;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use process::{Reading, Runner};
use rows::{Bar, Peer, ROWS, Row};

/// How often each program runs, after once to warm up.
const RUNS: usize = 5;
const THREADS: [usize; 2] = [1, 2];

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Cases; none: all.
    pub cases: Vec<String>,
    /// A Python that has the others.
    pub python: String,
    /// The folder of scripts.
    pub peers_dir: Option<PathBuf>,
    /// The folder of ADBench instances.
    pub instances: Option<PathBuf>,
    /// How often each program runs.
    pub runs: usize,
    /// How many threads.
    pub threads: Vec<usize>,
}

const USAGE: &str = "usage: cargo xtask bench [CASES] [--peers PYTHON] [--peers-dir DIR] [--instances DIR] [--runs N] [--threads 1,2]
  --peers PYTHON    a Python that has jax and torch [default: the variable PYTHON, or python3]
  --peers-dir DIR   the folder with dl/jax_peer.py and the other scripts [default: the variable RETROGRADE_PEERS]
  --instances DIR   the folder with gmm/, lstm/, ba/ and hand/ of ADBench [default: the variable RETROGRADE_INSTANCES]";

impl Options {
    /// From the arguments, and from the variables that stand in for them.
    ///
    /// # Errors
    /// An argument that is none, or has no value.
    pub fn parse(args: &[String], variable: impl Fn(&str) -> Option<String>) -> Result<Options, String> {
        let mut options = Options {
            python: variable("PYTHON").unwrap_or_else(|| "python3".into()),
            peers_dir: variable("RETROGRADE_PEERS").map(PathBuf::from),
            instances: variable("RETROGRADE_INSTANCES").map(PathBuf::from),
            runs: RUNS,
            threads: THREADS.to_vec(),
            cases: vec![],
        };
        let mut left = args.iter();
        while let Some(arg) = left.next() {
            let mut value = || left.next().cloned().ok_or_else(|| format!("{arg} has no value\n{USAGE}"));
            match arg.as_str() {
                "--peers" => options.python = value()?,
                "--peers-dir" => options.peers_dir = Some(value()?.into()),
                "--instances" => options.instances = Some(value()?.into()),
                "--runs" => options.runs = number(&value()?)?,
                "--threads" => options.threads = value()?.split(',').map(number).collect::<Result<_, _>>()?,
                "--help" | "-h" => return Err(USAGE.into()),
                flag if flag.starts_with('-') => return Err(format!("found {flag}\n{USAGE}")),
                case if ROWS.iter().any(|row| row.case == case) => options.cases.push(case.into()),
                case => {
                    let mut known: Vec<&str> = ROWS.iter().map(|row| row.case).collect();
                    known.dedup();
                    return Err(format!(
                        "there is no case `{case}`, expected some of {}\n{USAGE}",
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(options)
    }

    fn chosen(&self) -> Vec<&'static Row> {
        let wanted = |row: &&Row| {
            (self.cases.is_empty() || self.cases.iter().any(|case| case == row.case))
                && self.threads.contains(&row.threads)
        };
        ROWS.iter().filter(wanted).collect()
    }
}

fn number(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| *n > 0);
    n.ok_or_else(|| format!("found {text:?}, expected a number from 1\n{USAGE}"))
}

/// Measures and prints the table.
///
/// # Errors
/// Arguments that are none; a folder that is missing; our own program cannot be built.
pub fn run(root: &Path, args: &[String]) -> Result<(), String> {
    let options = Options::parse(args, |name| std::env::var(name).ok())?;
    let results = measure(root, &options)?;
    println!("{}", table::text(&results));
    Ok(())
}

/// All rows, measured: what `evidence/bench.json` holds of it.
///
/// # Errors
/// See [`run`].
pub fn measure(root: &Path, options: &Options) -> Result<Value, String> {
    let rows = options.chosen();
    if rows.is_empty() {
        return Err(format!("no row of the table has {:?} threads\n{USAGE}", options.threads));
    }
    let runner = Runner::new(root, options, &rows)?;
    let mut results = vec![];
    // What one run of ours tells at once is measured at once.
    for group in rows.chunk_by(|a, b| (a.ours, a.threads) == (b.ours, b.threads)) {
        let printed = in_turns(&runner, group, options.runs);
        for row in group {
            println!("{} ({} thread{})", row.name, row.threads, if row.threads == 1 { "" } else { "s" });
            let result = compare(row, &printed);
            println!("  {}", table::line(&result));
            results.push(result);
        }
    }
    Ok(json!({ "runs": options.runs, "versions": runner.versions(), "rows": results }))
}

/// A program with its arguments: ours, or a script of others.
type Call = (Option<&'static str>, &'static str);

/// What each program printed in each round, or why it failed.
type Printed = Vec<(Call, Result<Vec<String>, String>)>;

fn call_of(peer: &Peer) -> Call {
    (Some(peer.script), peer.args)
}

/// Ours and all others of these rows in turns, each once more before the rounds that count.
fn in_turns(runner: &Runner, group: &[&'static Row], runs: usize) -> Printed {
    let mut printed: Printed = vec![((None, group[0].ours), Ok(vec![]))];
    for peer in group.iter().flat_map(|row| row.peers) {
        if printed.iter().all(|(call, _)| *call != call_of(peer)) {
            printed.push((call_of(peer), Ok(vec![])));
        }
    }
    for round in 0..=runs {
        for ((script, args), so_far) in &mut printed {
            let Ok(all) = so_far else { continue };
            match runner.run(*script, args, group[0].threads) {
                // The first is to warm up: files, clocks.
                Ok(_) if round == 0 => {}
                Ok(text) => all.push(text),
                Err(error) => *so_far = Err(error),
            }
        }
    }
    printed
}

/// The readings of a row from what was printed.
fn compare(row: &Row, printed: &Printed) -> Value {
    let readings = |wanted: Call, figure: &str| -> Result<Vec<Reading>, String> {
        let found = printed.iter().find(|(call, _)| *call == wanted).map(|(_, texts)| texts);
        let texts = found.ok_or("did not run")?.as_ref().map_err(Clone::clone)?;
        texts.iter().map(|text| process::fastest(text, figure)).collect()
    };
    let ours = readings((None, row.ours), row.figure);
    let others = row.peers.iter().map(|peer| readings(call_of(peer), peer.figure));
    let all: Vec<_> = std::iter::once(ours).chain(others).collect();
    let programs: Vec<&str> =
        std::iter::once("retrograde").chain(row.peers.iter().map(|peer| peer.name)).collect();
    summary(row, &programs, &all)
}

/// What the readings say of a row.
fn summary(row: &Row, programs: &[&str], readings: &[Result<Vec<Reading>, String>]) -> Value {
    let seconds = |all: &[Reading]| all.iter().map(|reading| reading.seconds).collect::<Vec<f64>>();
    let mut of_programs = json!({});
    for (program, result) in programs.iter().zip(readings) {
        of_programs[program] = match result {
            Ok(all) => {
                let seconds = seconds(all);
                let last = all.last().map(|reading| reading.fields.clone());
                json!({ "median_s": median(&seconds), "seconds": seconds, "last": last })
            }
            Err(error) => json!({ "error": error }),
        };
    }
    let ours = readings[0].as_ref().ok();
    // The fastest of the others is the one to compare with.
    let others = readings[1..]
        .iter()
        .zip(&programs[1..])
        .filter_map(|(result, name)| Some((name, result.as_ref().ok()?)));
    let fastest = others.min_by(|(_, a), (_, b)| median(&seconds(a)).total_cmp(&median(&seconds(b))));
    let mut result = json!({
        "name": row.name, "case": row.case, "threads": row.threads, "figure": row.figure, "programs": of_programs,
    });
    if let (Some(ours), Some((name, other))) = (ours, fastest) {
        let ratios: Vec<f64> = ours.iter().zip(other).map(|(a, b)| a.seconds / b.seconds).collect();
        result["fastest"] = (*name).into();
        result["ratio"] = median(&ratios).into();
        result["ratios"] = ratios.into();
        for field in ["value", "gnorm2"] {
            let of = |all: &[Reading]| all.last()?.fields[field].as_f64();
            // Tasks with random parameters of their own have no values in common.
            if let (true, Some(a), Some(b)) = (row.same_values, of(ours), of(other)) {
                result[format!("{field}_difference")] = ((a - b).abs() / b.abs()).into();
            }
        }
    }
    let bars = row.bars.iter().map(|bar| {
        let found = ours.and_then(|ours| bar.found(ours, result["ratio"].as_f64()));
        let limit = ours.and_then(|ours| bar.limit(ours));
        let met = found.zip(limit).map(|(found, limit)| found <= limit);
        json!({ "of": bar.of(), "found": found, "limit": limit, "met": met })
    });
    result["bars"] = bars.collect::<Vec<_>>().into();
    result
}

impl Bar {
    /// What is held against the limit.
    fn found(&self, ours: &[Reading], ratio: Option<f64>) -> Option<f64> {
        let field = |name: &str| {
            let all: Option<Vec<f64>> = ours.iter().map(|reading| reading.fields[name].as_f64()).collect();
            all.filter(|all| !all.is_empty()).map(|all| median(&all))
        };
        match *self {
            Bar::Ratio(_) => ratio,
            Bar::Field { name, scale, .. } => Some(field(name)? * scale),
            Bar::Fields { name, to, .. } => Some(field(name)? / field(to)?),
            Bar::Holds(name) => {
                Some(ours.iter().filter(|reading| reading.fields[name] != true).count() as f64)
            }
        }
    }
    fn limit(&self, ours: &[Reading]) -> Option<f64> {
        match *self {
            Bar::Ratio(limit) | Bar::Field { limit, .. } => Some(limit),
            Bar::Holds(_) => Some(0.0),
            Bar::Fields { times: None, limit, .. } => Some(limit),
            Bar::Fields { times: Some(times), limit, .. } => {
                Some(limit * ours.last()?.fields[times].as_f64()?)
            }
        }
    }
    fn of(&self) -> String {
        match *self {
            Bar::Ratio(_) => "ratio".into(),
            Bar::Field { name, unit, .. } => format!("{name}, {unit}"),
            Bar::Holds(name) => format!("rounds without {name}"),
            Bar::Fields { name, to, times: None, .. } => format!("{name} / {to}"),
            Bar::Fields { name, to, times: Some(times), .. } => {
                format!("{name} / {to}, the limit with {times}")
            }
        }
    }
}

/// The middle one, or the mean of the two in the middle; NaN of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n => 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
    }
}

/// For `cargo xtask evidence bench`: all rows, by the variables that stand in for arguments.
///
/// # Errors
/// See [`run`].
pub fn evidence(root: &Path) -> Result<Value, String> {
    measure(root, &Options::parse(&[], |name| std::env::var(name).ok())?)
}

/// Relative difference of values and squared gradient norms that are computed in f64 in another order.
const MAX_DIFFERENCE: f64 = 1e-9;

/// Every row has our figure and one to compare with, and the same values. A bar that is missed is said in the table, not refused here.
///
/// # Errors
/// What does not hold.
pub fn holds(results: &Value) -> Result<(), String> {
    let rows = results["rows"].as_array().filter(|rows| !rows.is_empty()).ok_or("found no rows")?;
    for row in rows {
        let name = format!("{}, {} threads", row["name"], row["threads"]);
        if let Some(error) = row["programs"]["retrograde"]["error"].as_str() {
            return Err(format!("{name}: {error}"));
        }
        let others = row["programs"].as_object().map_or(0, |programs| programs.len() - 1);
        if others > 0 && row["ratio"].as_f64().is_none() {
            return Err(format!("{name}: found no program to compare with: {}", row["programs"]));
        }
        for field in ["value_difference", "gnorm2_difference"] {
            if row[field].as_f64().is_some_and(|difference| difference > MAX_DIFFERENCE) {
                return Err(format!("{name}: {field} is {}, expected at most {MAX_DIFFERENCE}", row[field]));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: f64, fields: Value) -> Reading {
        Reading { seconds, fields }
    }

    fn row(case: &str) -> &'static Row {
        ROWS.iter().find(|row| row.case == case).unwrap()
    }

    #[test]
    fn arguments_are_read_and_wrong_ones_refused() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Options::parse(&args, |name| (name == "RETROGRADE_PEERS").then(|| "scripts".into()))
        };
        let options = parse(&["mlp", "gmm", "--runs", "7", "--threads", "2", "--peers", "py"]).unwrap();
        assert_eq!(
            (options.runs, options.threads.clone(), options.python.clone()),
            (7, vec![2], "py".into())
        );
        assert_eq!(options.peers_dir, Some("scripts".into()));
        assert!(options.chosen().iter().all(|row| row.case == "mlp" && row.threads == 2));
        for (wrong, found) in [
            (&["--runs", "0"][..], "found \"0\", expected a number from 1"),
            (&["--runs"], "--runs has no value"),
            (&["--fast"], "found --fast"),
            (&["mpl"], "there is no case `mpl`, expected some of fused, mlp"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.starts_with(found) && error.contains("usage: "), "{error}");
        }
    }

    #[test]
    fn ratios_are_of_rounds_and_to_the_fastest() {
        let row = row("gmm");
        let fields = |value: f64| json!({ "value": value, "gnorm2": 2.0 });
        let readings = vec![
            Ok(vec![reading(1.0, fields(1.0)), reading(2.0, fields(1.0)), reading(3.0, fields(1.0))]),
            Ok(vec![reading(2.0, fields(4.0)), reading(2.0, fields(4.0)), reading(2.0, fields(4.0))]),
            Err("no torch".into()),
        ];
        let result = summary(row, &["retrograde", "JAX", "PyTorch"], &readings);
        assert_eq!((&result["fastest"], &result["ratio"]), (&json!("JAX"), &json!(1.0)));
        assert_eq!(result["ratios"], json!([0.5, 1.0, 1.5]));
        assert_eq!(result["bars"][0]["met"], true);
        assert_eq!(result["value_difference"], 0.75);
        let results = |row: &Value| json!({ "rows": [row] });
        assert!(holds(&results(&result)).unwrap_err().contains("value_difference is 0.75"));
        let mut same = result.clone();
        same["value_difference"] = 1e-12.into();
        assert_eq!(holds(&results(&same)), Ok(()));
        same["ratio"] = Value::Null;
        assert!(holds(&results(&same)).is_err() && holds(&json!({ "rows": [] })).is_err());
    }

    /// Rows of one command share its runs; a program that failed says why in each.
    #[test]
    fn figures_come_from_what_was_printed() {
        let rows: Vec<&Row> = ROWS.iter().filter(|row| row.case == "fused" && row.threads == 1).collect();
        let ours = "{\"w1_s\": 1.0, \"w1b_s\": 2.0}".to_owned();
        let printed =
            |theirs| vec![((None, "fused"), Ok(vec![ours.clone()])), (call_of(&rows[0].peers[0]), theirs)];
        let good = printed(Ok(vec!["{\"w1_s\": 2.0, \"w1b_s\": 8.0}".into()]));
        assert_eq!(
            (&compare(rows[0], &good)["ratio"], &compare(rows[1], &good)["ratio"]),
            (&json!(0.5), &json!(0.25))
        );
        let missing = compare(rows[2], &good);
        assert!(
            missing["programs"]["retrograde"]["error"].as_str().unwrap().contains("no `call_s`"),
            "{missing}"
        );
        let failed = compare(rows[0], &printed(Err("no jax".into())));
        assert_eq!((&failed["programs"]["JAX"]["error"], &failed["ratio"]), (&json!("no jax"), &Value::Null));
    }

    /// A figure above its limit is a miss, in seconds and in what is kept; what was not measured is neither.
    #[test]
    fn bars_are_met_or_missed() {
        let fields = json!({ "step_s": 11e-6, "both_s": 3.0, "gradient_s": 1.0, "both_flop_ratio": 2.0, "bit_identical": true, "start": false });
        let ours = [reading(11e-6, fields)];
        let short = Bar::Field { name: "step_s", scale: 1e6, unit: "µs", limit: 10.0 };
        let missed =
            |bar: &Bar| bar.found(&ours, Some(0.9)).zip(bar.limit(&ours)).map(|(found, limit)| found > limit);
        assert_eq!(missed(&short), Some(true));
        assert_eq!(missed(&Bar::Ratio(1.0)), Some(false));
        assert_eq!(missed(&Bar::Ratio(0.8)), Some(true));
        let flops =
            |limit| Bar::Fields { name: "both_s", to: "gradient_s", times: Some("both_flop_ratio"), limit };
        assert_eq!((missed(&flops(1.15)), missed(&flops(1.6))), (Some(true), Some(false)));
        assert_eq!(
            (missed(&Bar::Holds("bit_identical")), missed(&Bar::Holds("start"))),
            (Some(false), Some(true))
        );
        assert_eq!(missed(&Bar::Field { name: "tape_bytes", scale: 1.0, unit: "B", limit: 1.0 }), None);
    }

    #[test]
    fn medians() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
        assert!(median(&[]).is_nan());
    }
}
