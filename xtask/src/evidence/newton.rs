//! What stochastic Newton spends: passes beside those of other methods, time beside that of scikit-learn.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{last_object, last_object_of, number};

/// Ours and theirs, in turns: the machine may be slower for a while.
const ROUNDS: usize = 3;
/// Fits of one solver in a round.
const REPEATS: &str = "7";
/// Passes of the recipe to 1e-4 and 1e-8 with constants fixed beforehand, medians of three seeds.
const RECIPE: [(&str, [f64; 2]); 4] = [
    ("digits 1/n", [5.4, 8.6]),
    ("digits 1e-4", [7.4, 13.9]),
    ("breast cancer 1/n", [6.0, 9.4]),
    ("breast cancer 1e-5", [11.4, 21.7]),
];
/// What may be spent beyond those.
const SLACK: f64 = 1.1;
/// On so many of the five sets no solver may be faster.
const SETS_WON: usize = 3;
const METHOD: &str = "stochastic-newton";

/// Everyone has one thread: pools that spin for a core that others use measure the others.
const THREADS: [&str; 3] = ["RETROGRADE_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"];
/// Where the sets go for other programs.
const SETS: &str = "target/newton-sets";

pub(super) fn convergence(root: &Path) -> Result<Value, String> {
    let example = "run --release --quiet --package retrograde-train --example newton_convergence --";
    let passes = last_object_of(root, &format!("{example} passes"))?;
    fs::create_dir_all(root.join(SETS)).map_err(|error| format!("cannot make {SETS}: {error}"))?;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let args: Vec<&str> = example.split(' ').chain(["times", SETS]).collect();
        ours.push(last_object_in(root, "cargo", &args, "")?);
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let help = "; set PYTHON to a Python that has scikit-learn (`pip install scikit-learn`)";
        theirs.push(last_object_in(root, &python, &["tools/logistic_sklearn.py", SETS, REPEATS], help)?);
    }
    let mut times = json!({});
    for name in RECIPE.iter().map(|(name, _)| *name).chain(["synthetic"]) {
        let file = name.replace(['/', ' '], "_");
        let solvers = theirs[0][&file].as_object().ok_or_else(|| format!("no times for `{name}`"))?;
        let mut of_solvers = json!({});
        for solver in solvers.keys() {
            let of_rounds = theirs.iter().map(|round| &round[&file][solver]).collect::<Vec<_>>();
            of_solvers[solver] = summary(&of_rounds)?;
        }
        let of_rounds = ours.iter().map(|round| &round[name]).collect::<Vec<_>>();
        let mut own = summary(&of_rounds)?;
        own["first_ms"] = json!(middle(&of_rounds, "first_ms")?);
        times[name] = json!({ METHOD: own, "scikit-learn": of_solvers });
    }
    Ok(json!({ "passes": passes, "times": times, "threads": 1, "versions": theirs[0]["versions"] }))
}

/// The last round's figures, with the median over rounds of the least time in each.
fn summary(rounds: &[&Value]) -> Result<Value, String> {
    let mut figures = rounds[rounds.len() - 1].clone();
    for key in ["least_ms", "median_ms"] {
        figures[key] = json!(middle(rounds, key)?);
    }
    Ok(figures)
}

fn middle(rounds: &[&Value], key: &str) -> Result<f64, String> {
    let mut found = rounds.iter().map(|round| number(round, key)).collect::<Result<Vec<_>, _>>()?;
    found.sort_by(f64::total_cmp);
    Ok(found[found.len() / 2])
}

/// The JSON object that a program prints last, with one thread for every library.
fn last_object_in(root: &Path, program: &str, args: &[&str], help: &str) -> Result<Value, String> {
    let failed = |what: String| format!("`{program} {}`: {what}{help}", args.join(" "));
    let mut command = Command::new(program);
    command.args(args).current_dir(root);
    for threads in THREADS {
        command.env(threads, "1");
    }
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    last_object(&text).ok_or_else(|| failed(format!("printed no JSON object, found {text:?}")))
}

pub(super) fn convergence_holds(results: &Value) -> Result<(), String> {
    for (name, recipe) in RECIPE {
        let found = &results["passes"][name]["methods"][METHOD]["passes"];
        for (i, bound) in recipe.iter().enumerate() {
            match found[i].as_f64() {
                Some(passes) if passes <= SLACK * bound => {}
                _ => {
                    return Err(format!(
                        "{name}: found {found} passes, expected at most {SLACK} times {recipe:?}"
                    ));
                }
            }
        }
    }
    let times = results["times"].as_object().ok_or("there are no times")?;
    let (mut won, mut lost) = (0, vec![]);
    for (name, of_set) in times {
        let own = &of_set[METHOD];
        let solvers = of_set["scikit-learn"].as_object().ok_or("there are no times of scikit-learn")?;
        let mut fastest = f64::INFINITY;
        for solver in solvers.values() {
            // One that did not get there is no rival.
            if number(solver, "left")? <= 1e-8 {
                fastest = fastest.min(number(solver, "least_ms")?);
            }
        }
        if number(own, "left")? > 1e-8 {
            return Err(format!("{name}: the timed run ended {} above the minimum", own["left"]));
        }
        let own = number(own, "least_ms")?;
        if own <= fastest { won += 1 } else { lost.push(format!("{name}: {own:.2} ms beside {fastest:.2}")) }
    }
    if won >= SETS_WON {
        Ok(())
    } else {
        Err(format!("no slower on {won} sets of {}: {}", times.len(), lost.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(passes: f64, own: f64) -> Value {
        let mut results = json!({ "passes": {}, "times": {} });
        for (name, recipe) in RECIPE {
            results["passes"][name]["methods"][METHOD]["passes"] = json!([recipe[0], passes * recipe[1]]);
            results["times"][name] = json!({
                METHOD: { "left": 1e-9, "least_ms": own },
                "scikit-learn": { "lbfgs": { "left": 1e-9, "least_ms": 2.0 }, "saga": { "left": 1e-7, "least_ms": 0.1 } },
            });
        }
        results
    }

    #[test]
    fn too_many_passes_or_too_much_time_are_refused() {
        assert_eq!(convergence_holds(&results(1.09, 1.9)), Ok(()));
        assert!(convergence_holds(&results(1.11, 1.9)).unwrap_err().contains("passes"));
        assert!(convergence_holds(&results(1.0, 2.1)).unwrap_err().contains("no slower on 0 sets of 4"));
    }
}
