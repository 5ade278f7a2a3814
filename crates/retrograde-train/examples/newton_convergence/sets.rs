//! Logistic regression on data that comes along, and passes over it until a method is near enough to the minimum.

use std::error::Error;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use retrograde_array::ops::linalg::qr;
use retrograde_array::ops::{DotDims, dot_general};
use retrograde_array::rng::{Key, normal, uniform};
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_tricks::update::finite_sum::{FiniteSum, FiniteSumError, Limits, Method, StochasticNewton};

/// How near to the minimum, absolutely.
pub(crate) const NEAR: [f64; 2] = [1e-4, 1e-8];
/// A run may spend so many passes.
pub(crate) const BUDGET: f64 = 150.0;
/// The recipe on the sets that it was made on, with constants fixed, in passes to 1e-4 and to 1e-8.
pub(crate) const RECIPE: [(&str, [f64; 2]); 4] = [
    ("digits 1/n", [5.4, 8.6]),
    ("digits 1e-4", [7.4, 13.9]),
    ("breast cancer 1/n", [6.0, 9.4]),
    ("breast cancer 1e-5", [11.4, 21.7]),
];
/// Of which the median counts.
pub(crate) const SEEDS: [u64; 3] = [1, 2, 3];

/// Rows of length one, labels −1 and 1, and a penalty.
pub(crate) struct Set {
    /// What it is called.
    pub(crate) name: &'static str,
    /// `[n, d]`.
    pub(crate) rows: Array,
    /// `[n]`.
    pub(crate) labels: Array,
    /// λ.
    pub(crate) l2: f64,
}

impl Set {
    /// Features in units of their deviation and a one, each row divided by its length.
    fn standardised(name: &'static str, raw: &[Vec<f64>], labels: Vec<f64>, l2: Option<f64>) -> Set {
        let (n, k) = (raw.len(), raw[0].len());
        let mut rows = vec![vec![1.0; k + 1]; n];
        for j in 0..k {
            let mean = raw.iter().map(|row| row[j]).sum::<f64>() / n as f64;
            let deviation = (raw.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
            // A column that never varies stays zero.
            rows.iter_mut().zip(raw).for_each(|(row, raw)| row[j] = (raw[j] - mean) / (deviation + 1e-8));
        }
        let rows = rows.iter().flat_map(|row| unit(row)).collect();
        let rows = Array::new([n, k + 1], rows).expect("rows of one length");
        Set { name, rows, labels: Array::vector(labels), l2: l2.unwrap_or(1.0 / n as f64) }
    }
    /// n and d.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.rows.shape()[0], self.rows.shape()[1])
    }
    /// The sum of the losses `ln(1 + e^(−y x·w))`.
    pub(crate) fn problem(&self) -> Result<FiniteSum<Var>, FiniteSumError> {
        let start = Array::zeros(DType::F64, [self.size().1]);
        let model = |w: Var, (x, _): (Var, Var)| x.dot(w);
        let loss = |z: Var, (_, y): (Var, Var)| (-(y * z)).softplus();
        FiniteSum::new(start, (self.rows.clone(), self.labels.clone()), model, loss)?.l2(self.l2)
    }
}

fn unit(row: &[f64]) -> Vec<f64> {
    let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    row.iter().map(|x| x / length).collect()
}

/// The four sets the recipe was made on.
pub(crate) fn development() -> Result<Vec<Set>, Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let (digits, digit_of) = table(&data.join("digits.csv.gz"))?;
    let odd: Vec<f64> = digit_of.iter().map(|digit| if digit % 2.0 == 1.0 { 1.0 } else { -1.0 }).collect();
    let (cells, benign) = table(&data.join("breast_cancer.csv.gz"))?;
    let benign: Vec<f64> = benign.iter().map(|benign| 2.0 * benign - 1.0).collect();
    Ok(vec![
        Set::standardised(RECIPE[0].0, &digits, odd.clone(), None),
        Set::standardised(RECIPE[1].0, &digits, odd, Some(1e-4)),
        Set::standardised(RECIPE[2].0, &cells, benign.clone(), None),
        Set::standardised(RECIPE[3].0, &cells, benign, Some(1e-5)),
    ])
}

/// n = 20 000, d = 100: normal rows whose principal deviations fall like j^−½, in random axes, and labels drawn from a logistic model.
pub(crate) fn synthetic() -> Result<Set, Box<dyn Error>> {
    let (n, d) = (20_000, 100);
    let [of_rows, of_axes, of_weights, of_labels] = Key::from_seed(7).split(4)[..] else {
        unreachable!("four keys; this is a bug in retrograde")
    };
    let [axes, _] = qr(&normal(of_axes, [d, d]))?;
    let mut rows = normal(of_rows, [n, d]);
    let entries = rows.make_mut::<f64>().ok_or("normal draws are f64")?;
    entries.iter_mut().enumerate().for_each(|(i, x)| *x /= ((i % d + 1) as f64).sqrt());
    let rows = dot_general(&rows, &axes, &DotDims::matmul());
    let scores = dot_general(&rows, &normal(of_weights, [d]), &DotDims::matmul());
    let (scores, draws) = (numbers(&scores)?, numbers(&uniform(of_labels, [n]))?);
    let deviation = (scores.iter().map(|s| s * s).sum::<f64>() / n as f64).sqrt();
    let label =
        |(s, u): (&f64, &f64)| if *u < 1.0 / (1.0 + (-3.0 * s / deviation).exp()) { 1.0 } else { -1.0 };
    let labels = scores.iter().zip(&draws).map(label).collect();
    let rows = numbers(&rows)?.chunks(d).flat_map(unit).collect();
    Ok(Set { name: "synthetic", rows: Array::new([n, d], rows)?, labels: Array::vector(labels), l2: 1e-5 })
}

fn numbers(array: &Array) -> Result<Vec<f64>, Box<dyn Error>> {
    Ok(array.to_vec::<f64>().ok_or("expected f64")?)
}

/// Features, and what is to be told from them.
type Table = (Vec<Vec<f64>>, Vec<f64>);

/// The features and the last column of a gzipped table without a header.
fn table(path: &Path) -> Result<Table, Box<dyn Error>> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let (mut rows, mut labels) = (vec![], vec![]);
    for line in text.lines() {
        let mut row = line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        labels.push(row.pop().ok_or("an empty line")?);
        rows.push(row);
    }
    Ok((rows, labels))
}

/// min F, by Newton's method with the whole Hessian until nothing changes.
pub(crate) fn least(problem: &FiniteSum<Var>) -> Result<f64, FiniteSumError> {
    let n = problem.problem().n_examples();
    let newton = StochasticNewton {
        memory: 0,
        refresh_every: 1,
        subsample: Some(n),
        damping: Some(0.0),
        levenberg: 0.0,
    };
    let found = problem.minimise(&newton, Limits { tolerance: 1e-28, passes: 200.0, seed: 0 })?;
    Ok(problem.value_and_gradient(&found.parameters)?.0)
}

/// What a run spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Passes to each of [`NEAR`]; infinite where it was not reached.
    pub(crate) passes: [f64; 2],
    /// F − min F at its end.
    pub(crate) last: f64,
}

/// Runs a method and looks after each of its steps.
pub(crate) fn spent(
    problem: &FiniteSum<Var>,
    least: f64,
    method: &dyn Method,
    seed: u64,
    budget: f64,
) -> Spent {
    let mut spent = Spent { passes: [f64::INFINITY; 2], last: f64::INFINITY };
    let start = problem.tree(&vec![0.0; problem.problem().n_parameters()]);
    let limits = Limits { tolerance: 0.0, passes: budget, seed };
    let outcome = problem.observe(method, limits, &start, &mut |progress| {
        let here = problem.tree(progress.w);
        let left = problem.value_and_gradient(&here).map_or(f64::NAN, |(value, _)| value - least);
        spent.last = left;
        for (passes, near) in spent.passes.iter_mut().zip(NEAR) {
            if left <= near {
                *passes = passes.min(progress.passes);
            }
        }
        // Fifty times a loss of ln 2 is no way to a minimum.
        if left.is_finite() && left < 50.0 && spent.passes[1].is_infinite() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    if outcome.is_err() {
        spent.last = f64::INFINITY;
    }
    spent
}

/// Passes to each of [`NEAR`], medians over [`SEEDS`].
pub(crate) fn medians(problem: &FiniteSum<Var>, least: f64, method: &dyn Method) -> [f64; 2] {
    let runs = SEEDS.map(|seed| spent(problem, least, method, seed, BUDGET).passes);
    [0, 1].map(|i| {
        let mut passes = runs.map(|run| run[i]);
        passes.sort_by(f64::total_cmp);
        passes[passes.len() / 2]
    })
}
