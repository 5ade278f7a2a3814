//! Stochastic Newton and other methods on logistic regression: passes over the data until the loss is 1e-4 and 1e-8 above its
//! minimum, and the time to 1e-8.
//! `cargo run --release --package retrograde-train --example newton_convergence -- passes`, or `times FOLDER`
//!
//! FOLDER receives one file `NAME.npz` for each set, with rows, labels and penalty, for other programs to solve. Prints a JSON object.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

mod sets;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use retrograde_array::io::save_npz;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_tricks::update::finite_sum::{
    Adam, FiniteSum, HessianFree, Lbfgs, Limits, Lissa, MatrixFreeNewton, Method, NewtonCg, Saga, Sgd,
    StochasticNewton, Svrg,
};
use serde_json::{Value, json};

use sets::{BUDGET, NEAR, SEEDS, Set, development, least, medians, spent, synthetic};

/// Solves that are timed; the first of them compiles.
const REPEATS: usize = 31;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let results = match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["passes"] => passes()?,
        ["times", folder] => times(Path::new(folder))?,
        _ => return Err("usage: newton_convergence passes, or newton_convergence times FOLDER".into()),
    };
    println!("{results}");
    Ok(())
}

/// Each method with its grid. Rates are in units of one over the largest curvature of an example.
fn grids(l: f64) -> Vec<Vec<Box<dyn Method>>> {
    fn grid<M: Method + 'static>(all: impl IntoIterator<Item = M>) -> Vec<Box<dyn Method>> {
        all.into_iter().map(|method| Box::new(method) as Box<dyn Method>).collect()
    }
    let pairs = |a: &[f64], b: &[f64]| -> Vec<(f64, f64)> {
        a.iter().flat_map(|&a| b.iter().map(move |&b| (a, b))).collect()
    };
    let sgd = pairs(&[1.0, 3.0, 10.0], &[0.0, 0.1, 1.0])
        .into_iter()
        .flat_map(|(rate, decay)| [1, 8].map(|batch| Sgd { rate: rate / l, decay, batch }));
    let adam = pairs(&[0.01, 0.03, 0.1, 0.3], &[0.0, 0.1, 1.0])
        .into_iter()
        .flat_map(|(rate, decay)| [8, 32].map(|batch| Adam { rate, decay, batch }));
    let svrg = pairs(&[0.1, 0.3, 0.5, 1.0, 2.0], &[1.0, 2.0, 4.0])
        .into_iter()
        .flat_map(|(rate, epoch)| [1, 8].map(|batch| Svrg { rate: rate / l, epoch, batch }));
    let saga = [0.1, 0.2, 1.0 / 3.0, 0.5, 1.0, 2.0].map(|rate| Saga { rate: rate / l });
    let lissa = pairs(&[0.3, 0.5, 1.0, 2.0], &[0.5, 1.0, 2.0, 4.0]);
    let lissa = lissa.into_iter().map(|(eta, depth)| Lissa { eta: eta / l, depth });
    let free = pairs(&[1.0, 0.1, 0.01, 1e-3], &[0.0, 1.0]).into_iter().map(|(damping, preconditioned)| {
        HessianFree { damping, preconditioned: preconditioned > 0.0, max_products: 250 }
    });
    vec![
        grid(sgd),
        grid(adam),
        grid(svrg),
        grid(saga),
        grid([5, 10, 20, 50].map(|memory| Lbfgs { memory })),
        grid([0.5, 0.1, 0.01].map(|forcing| NewtonCg { forcing })),
        grid(free),
        grid(lissa),
    ]
}

fn passes() -> Result<Value, Box<dyn Error>> {
    let mut all = development()?;
    all.push(synthetic()?);
    let mut results = json!({ "seeds": SEEDS, "near": NEAR, "budget": BUDGET });
    for set in &all {
        let problem = set.problem()?;
        let least = least(&problem)?;
        let (n, d) = set.size();
        let mut methods = json!({});
        let fixed: [Box<dyn Method>; 2] =
            [Box::new(StochasticNewton::default()), Box::new(MatrixFreeNewton::default())];
        for method in &fixed {
            methods[method.name()] = row(&problem, least, method.as_ref(), 1);
        }
        // The baselines are for the sets that the recipe is held to.
        if set.name != "synthetic" {
            for grid in grids(0.25 + set.l2) {
                let of = |method: &dyn Method| {
                    let run = spent(&problem, least, method, 0, BUDGET);
                    [run.passes[1], run.passes[0], run.last]
                };
                let best = grid.iter().map(|method| (of(method.as_ref()), method));
                let best = best.min_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
                let (_, method) = best.ok_or("an empty grid")?;
                methods[method.name()] = row(&problem, least, method.as_ref(), grid.len());
            }
        }
        results[set.name] = json!({ "n": n, "d": d, "l2": set.l2, "least": least, "methods": methods });
    }
    Ok(results)
}

fn row(problem: &FiniteSum<Var>, least: f64, method: &dyn Method, n_tried: usize) -> Value {
    let passes = medians(problem, least, method).map(|p| if p.is_finite() { json!(p) } else { Value::Null });
    json!({ "passes": passes, "best_of": n_tried, "setting": format!("{method:?}") })
}

/// The time to 1e-8 at the largest tolerance among powers of ten that reaches it with every seed.
fn times(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let mut all = development()?;
    all.push(synthetic()?);
    let mut results = json!({});
    for set in &all {
        write(set, folder)?;
        let problem = set.problem()?;
        let least = least(&problem)?;
        let method = StochasticNewton::default();
        let reaches = |tolerance: f64| -> Result<bool, Box<dyn Error>> {
            for seed in SEEDS {
                let found = problem.minimise(&method, Limits { tolerance, passes: BUDGET, seed })?;
                if problem.value_and_gradient(&found.parameters)?.0 - least > NEAR[1] {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut exponent = 2;
        while exponent < 16 && !reaches(10f64.powi(-exponent))? {
            exponent += 1;
        }
        let limits = Limits { tolerance: 10f64.powi(-exponent), passes: BUDGET, seed: SEEDS[0] };
        // A sum of its own, so that the first solve compiles everything that it needs.
        let fresh = set.problem()?;
        let mut seconds = vec![];
        let mut found = None;
        for _ in 0..REPEATS {
            let start = Instant::now();
            found = Some(fresh.minimise(&method, limits)?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        let found = found.ok_or("no solve")?;
        let left = problem.value_and_gradient(&found.parameters)?.0 - least;
        let first = seconds.remove(0);
        seconds.sort_by(f64::total_cmp);
        results[set.name] = json!({
            "first_ms": 1e3 * first,
            "median_ms": 1e3 * seconds[seconds.len() / 2],
            "least_ms": 1e3 * seconds[0],
            "tolerance": limits.tolerance,
            "left": left,
            "passes": found.passes,
            "steps": found.n_steps,
            "solves": seconds.len(),
        });
    }
    Ok(results)
}

/// A set for other programs.
fn write(set: &Set, folder: &Path) -> Result<(), Box<dyn Error>> {
    let parts: [(String, Array); 3] = [
        ("rows".into(), set.rows.clone()),
        ("labels".into(), set.labels.clone()),
        ("l2".into(), array(set.l2)),
    ];
    let name = set.name.replace(['/', ' '], "_");
    Ok(save_npz(folder.join(format!("{name}.npz")), &parts)?)
}
