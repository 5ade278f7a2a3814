//! Estimators of `H⁻¹ g` of a penalised logistic regression, many times over: their means and deviations beside what is
//! predicted of them with dense matrices.

use std::error::Error;
use std::io::Read;

use retrograde_array::Array;
use retrograde_array::ops::{self, DotDims};
use retrograde_array::rng::{Key, random_bits, uniform};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::function::Function;
use retrograde_engine::{grad, hvp, jit, vmap};
use retrograde_solve::curvature::{Batches, Cause, RightSide, inverse_hvp};
use retrograde_solve::hotelling::hotelling;
use serde_json::{Value, json};

/// Of the squared parameters, half of it.
const PENALTY: f64 = 1e-2;
/// Steps of gradient descent before the curvature is taken: a point on the way.
const DESCENT: usize = 10;
/// Rows in a batch of a chain, and in one of which the whole curvature is inverted.
const BATCH: usize = 4;
const LARGE_BATCH: usize = 32;
/// Means are accepted above this probability, and refused below a tenth of it.
const LEVEL: f64 = 0.01;
/// How far the deviation of a roulette may be off its closed form.
const OF_DEVIATION: f64 = 0.03;

type Failure = Box<dyn Error>;

/// The data sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Data {
    /// 569 rows, 30 features and a constant.
    BreastCancer,
    /// 1797 rows, 64 pixels and a constant; odd or even.
    DigitsOdd,
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Independent answers of each estimator.
    pub(crate) replicates: usize,
    /// Steps of a chain.
    pub(crate) n_steps: usize,
    /// Of all draws.
    pub(crate) seed: u64,
}

/// One estimator.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// What was measured.
    pub(crate) figures: Value,
    /// What does not hold of it, if anything.
    pub(crate) offence: Option<String>,
}

impl Row {
    /// For the report.
    pub(crate) fn to_json(&self) -> Value {
        let mut figures = self.figures.clone();
        figures["estimator"] = json!(self.name);
        figures["holds"] = json!(self.offence.is_none());
        if let Some(offence) = &self.offence {
            figures["offence"] = json!(offence);
        }
        figures
    }
}

/// The numbers of a compressed table, line by line.
fn table_of(packed: &[u8]) -> Result<Vec<Vec<f64>>, Failure> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text)?;
    let parse = |line: &str| line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
    Ok(text.lines().map(parse).collect::<Result<Vec<_>, _>>()?)
}

/// 64 pixels from 0 to 16 and the digit, line by line.
pub(crate) fn digits() -> Result<Vec<Vec<f64>>, Failure> {
    table_of(include_bytes!("../../../retrograde-train/data/digits.csv.gz"))
}

/// Rows of unit length with a constant, and signs.
fn load(data: Data) -> Result<(Vec<Vec<f64>>, Vec<f64>), Failure> {
    let (lines, is_positive): (_, fn(f64) -> bool) = match data {
        Data::BreastCancer => {
            let packed = include_bytes!("../../../retrograde-train/data/breast_cancer.csv.gz");
            (table_of(packed)?, |class| class == 1.0)
        }
        Data::DigitsOdd => (digits()?, |digit| digit % 2.0 == 1.0),
    };
    let (mut rows, mut signs) = (vec![], vec![]);
    for mut row in lines {
        let label = row.pop().ok_or("an empty line")?;
        signs.push(if is_positive(label) { 1.0 } else { -1.0 });
        rows.push(row);
    }
    let n = rows.len() as f64;
    for j in 0..rows[0].len() {
        let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n;
        let deviation = (rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n).sqrt();
        rows.iter_mut().for_each(|row| row[j] = (row[j] - mean) / (deviation + 1e-8));
    }
    for row in &mut rows {
        row.push(1.0);
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    Ok((rows, signs))
}

fn loss(w: Var, (x, y): (Var, Var)) -> Var {
    (-(y * x.dot(w))).softplus().mean() + 0.5 * PENALTY * (w * w).sum()
}

type Matrix = Vec<Vec<f64>>;

pub(crate) fn numbers(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().expect("f64 throughout")
}

pub(crate) fn times(a: &Matrix, v: &[f64]) -> Vec<f64> {
    a.iter().map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum()).collect()
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let n = a.len();
    let [a, b] = [a, b].map(|m| Array::new([n, n], m.concat()).expect("square"));
    numbers(&ops::dot_general(&a, &b, &DotDims::matmul())).chunks(n).map(<[f64]>::to_vec).collect()
}

pub(crate) fn solve(a: &Matrix, b: &[f64]) -> Result<Vec<f64>, Failure> {
    let n = b.len();
    let (a, b) = (Array::new([n, n], a.concat())?, Array::new([n, 1], b.to_vec())?);
    Ok(numbers(&ops::linalg::solve(&a, &b, false)?))
}

pub(crate) fn length(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

pub(crate) fn apart(a: &[f64], b: &[f64]) -> f64 {
    length(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>())
}

pub(crate) fn mean(draws: &[Vec<f64>]) -> Vec<f64> {
    let n = draws.len() as f64;
    (0..draws[0].len()).map(|j| draws.iter().map(|row| row[j]).sum::<f64>() / n).collect()
}

/// √(Σ sample variances)
pub(crate) fn deviation(draws: &[Vec<f64>]) -> f64 {
    let middle = mean(draws);
    (draws.iter().map(|row| apart(row, &middle).powi(2)).sum::<f64>() / (draws.len() - 1) as f64).sqrt()
}

/// The problem with its dense matrices.
struct Dense {
    x: Matrix,
    data: (Array, Array),
    w: Array,
    g: Vec<f64>,
    h: Matrix,
    /// Second derivatives of the rows' losses by their margins, and first ones.
    bend: Vec<f64>,
    slope: Vec<f64>,
    limit: Vec<f64>,
    eta: f64,
}

impl Dense {
    fn new(data: Data) -> Result<Dense, Failure> {
        let (x, y) = load(data)?;
        let (n, d) = (x.len(), x[0].len());
        let arrays = (Array::new([n, d], x.concat())?, Array::vector(y.clone()));
        // The curvature of a row of unit length is at most ¼.
        let eta = 1.0 / (0.25 + PENALTY);
        let slope_of = grad(loss);
        let mut w = Array::vector(vec![0.0; d]);
        for _ in 0..DESCENT {
            let g = numbers(&slope_of.call((&w, &arrays))?);
            w = Array::vector(numbers(&w).iter().zip(g).map(|(w, g)| w - eta * g).collect::<Vec<f64>>());
        }
        let g = numbers(&slope_of.call((&w, &arrays))?);
        let at = numbers(&w);
        // By hand, as a check of the derivatives as well.
        let (mut bend, mut slope) = (vec![], vec![]);
        for (row, y) in x.iter().zip(&y) {
            let margin: f64 = row.iter().zip(&at).map(|(a, b)| a * b).sum();
            let s = 1.0 / (1.0 + (y * margin).exp());
            slope.push(-y * s);
            bend.push(s * (1.0 - s));
        }
        let mut h = vec![vec![0.0; d]; d];
        for (row, bend) in x.iter().zip(&bend) {
            for i in 0..d {
                for j in 0..d {
                    h[i][j] += bend * row[i] * row[j] / n as f64;
                }
            }
        }
        (0..d).for_each(|i| h[i][i] += PENALTY);
        let unit = Array::vector((0..d).map(|j| f64::from(u8::from(j == 0))).collect::<Vec<f64>>());
        let first = numbers(&hvp(loss).call((&w, &arrays), &unit)?);
        if apart(&first, &h[0]) > 1e-12 * length(&h[0]) {
            return Err("the Hessian is not what it is by hand".into());
        }
        let limit = solve(&h, &g)?;
        Ok(Dense { x, data: arrays, w, g, h, bend, slope, limit, eta })
    }
    /// I − η H
    fn contraction(&self) -> Matrix {
        let d = self.g.len();
        (0..d)
            .map(|i| (0..d).map(|j| f64::from(u8::from(i == j)) - self.eta * self.h[i][j]).collect())
            .collect()
    }
    /// E x after each step.
    fn means(&self, n_steps: usize) -> Matrix {
        let mut x = vec![0.0; self.g.len()];
        (0..n_steps)
            .map(|_| {
                let hx = times(&self.h, &x);
                (0..x.len()).for_each(|i| x[i] += self.eta * (self.g[i] - hx[i]));
                x.clone()
            })
            .collect()
    }
    /// E (I − η Ĥ) M (I − η Ĥ) of a batch.
    fn second_moment(&self, m: &Matrix, contraction: &Matrix) -> Matrix {
        let (n, d) = (self.x.len(), m.len());
        let square = Array::new([d, d], m.concat()).expect("square");
        let turned = numbers(&ops::dot_general(&self.data.0, &square, &DotDims::matmul()));
        // Σ bend² (xᵀMx) x xᵀ / n, as one product.
        let mut weighted = vec![];
        for ((row, turned), bend) in self.x.iter().zip(turned.chunks(d)).zip(&self.bend) {
            let q: f64 = turned.iter().zip(row).map(|(a, b)| a * b).sum();
            weighted.extend(row.iter().map(|x| bend * bend * q / n as f64 * x));
        }
        let weighted = Array::new([n, d], weighted).expect("one row for each example");
        let dims = DotDims { lhs_contract: vec![0], rhs_contract: vec![0], ..DotDims::default() };
        let of_rows: Matrix = numbers(&ops::dot_general(&weighted, &self.data.0, &dims))
            .chunks(d)
            .map(<[f64]>::to_vec)
            .collect();
        let mut without = self.h.clone();
        (0..d).for_each(|i| without[i][i] -= PENALTY);
        let of_mean = product(&product(&without, m), &without);
        let mut next = product(&product(contraction, m), contraction);
        let noise = self.eta * self.eta / BATCH as f64;
        for i in 0..d {
            (0..d).for_each(|j| next[i][j] += noise * (of_rows[i][j] - of_mean[i][j]));
        }
        next
    }
    /// The growth of the second moment, by the power method on matrices.
    fn rho2(&self) -> f64 {
        let (d, contraction) = (self.g.len(), self.contraction());
        let mut m: Matrix = (0..d).map(|i| (0..d).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        let (mut last, mut rate) = (0.0, 1.0);
        while f64::abs(rate - last) > 1e-9 {
            last = rate;
            let next = self.second_moment(&m, &contraction);
            rate = length(&next.concat()) / length(&m.concat());
            let size = length(&next.concat());
            m = next.iter().map(|row| row.iter().map(|x| x / size).collect()).collect();
        }
        rate
    }
    /// The standard deviation of a roulette in closed form: E|Y|² = Σ E⟨D, (2η H⁻¹ − η²) D⟩ / p.
    fn deviation_of_roulette(&self, q: f64, always: usize, g_is_exact: bool) -> Result<f64, Failure> {
        let (n, d, contraction) = (self.x.len(), self.g.len(), self.contraction());
        let mut form = vec![];
        for i in 0..d {
            let unit: Vec<f64> = (0..d).map(|j| f64::from(u8::from(i == j))).collect();
            let column = solve(&self.h, &unit)?;
            form.push(
                (0..d)
                    .map(|j| 2.0 * self.eta * column[j] - self.eta * self.eta * unit[j])
                    .collect::<Vec<f64>>(),
            );
        }
        let mut m: Matrix = self.g.iter().map(|a| self.g.iter().map(|b| a * b).collect()).collect();
        if !g_is_exact {
            let at = numbers(&self.w);
            let of_rows: Vec<f64> = (0..d).map(|i| self.g[i] - PENALTY * at[i]).collect();
            for (row, slope) in self.x.iter().zip(&self.slope) {
                let weight = slope * slope / n as f64 / BATCH as f64;
                for i in 0..d {
                    (0..d).for_each(|j| m[i][j] += weight * row[i] * row[j]);
                }
            }
            for i in 0..d {
                (0..d).for_each(|j| m[i][j] -= of_rows[i] * of_rows[j] / BATCH as f64);
            }
        }
        let (mut square, mut p, mut k) = (0.0, 1.0, 0);
        loop {
            let trace: f64 = (0..d).map(|i| (0..d).map(|j| form[i][j] * m[j][i]).sum::<f64>()).sum();
            square += trace / p;
            if trace / p < 1e-9 * square && k > always {
                break;
            }
            m = self.second_moment(&m, &contraction);
            if k + 1 > always {
                p *= q;
            }
            k += 1;
        }
        Ok((square - length(&self.limit).powi(2)).sqrt() / length(&self.limit))
    }
    fn figures(&self, draws: &[Vec<f64>], predicted: Option<&[f64]>) -> Value {
        let scale = length(&self.limit);
        let sd = deviation(draws) / scale;
        let p = |of: &[f64]| hotelling(draws, of).map_or(f64::NAN, |found| found.p);
        let mut figures = json!({
            "replicates": draws.len(),
            "relative_bias": apart(&mean(draws), &self.limit) / scale,
            "standard_error": sd / (draws.len() as f64).sqrt(),
            "relative_deviation": sd,
            "p_unbiased": p(&self.limit),
        });
        if let Some(predicted) = predicted {
            figures["predicted_bias"] = json!(apart(predicted, &self.limit) / scale);
            figures["p_predicted"] = json!(p(predicted));
            // The power of the test: the same with a mean that is 5 % of x off.
            let off: Vec<f64> = predicted.iter().zip(&self.limit).map(|(p, x)| p + 0.05 * x).collect();
            figures["p_of_a_bias_of_5_percent"] = json!(p(&off));
        }
        figures
    }
}

/// Whether the mean is the predicted one.
fn as_predicted(name: &str, figures: Value) -> Row {
    let p = figures["p_predicted"].as_f64().unwrap_or(f64::NAN);
    let offence = (p.is_nan() || p <= LEVEL)
        .then(|| format!("p of the predicted mean is {p}, expected more than {LEVEL}"));
    Row { name: name.into(), figures, offence }
}

/// Whether the mean is off, by the stated amount if one is stated for so many replicates.
fn biased(name: &str, mut figures: Value, stated: Option<f64>) -> Row {
    let figure = |key: &str| figures[key].as_f64().unwrap_or(f64::NAN);
    let (p, bias, error) = (figure("p_unbiased"), figure("relative_bias"), figure("standard_error"));
    let mut offence =
        (p.is_nan() || p >= 1e-6).then(|| format!("p of no bias is {p}, expected less than 1e-6"));
    if let Some(stated) = stated {
        if (bias - stated).abs() > 3.0 * error {
            offence = Some(format!(
                "the bias is {bias}, expected {stated} within three standard errors of {error}"
            ));
        }
        figures["stated_bias"] = json!(stated);
    }
    Row { name: name.into(), figures, offence }
}

/// All estimators on one data set.
pub(crate) fn table(data: Data, Size { replicates, n_steps, seed }: Size) -> Result<Vec<Row>, Failure> {
    let dense = Dense::new(data)?;
    let keys = Key::from_seed(seed).split(2);
    let mut rows = vec![];

    // What is biased: products of one batch with itself.
    let [same, independent] = inverses_of_batches(&dense, replicates, keys[0])?;
    let stated = |bc: f64, digits: f64| if data == Data::BreastCancer { bc } else { digits };
    rows.push(biased(
        "the inverse of a batch times its gradient, 32 rows",
        dense.figures(&same, None),
        Some(stated(0.324, 0.401)),
    ));
    rows.push(biased(
        "the inverse of a batch times the gradient of another, 32 rows",
        dense.figures(&independent, None),
        Some(stated(0.096, 0.149)),
    ));
    let means = dense.means(n_steps);
    let last = &means[n_steps - 1];
    let reused = one_batch_in_every_factor(&dense, replicates, n_steps, keys[1])?;
    // What was measured for 60 steps.
    let amount = (n_steps == 60).then_some(stated(1.471, 1.50));
    let mut row = biased("one batch in every factor", dense.figures(&reused, Some(last)), amount);
    if row.figures["p_predicted"].as_f64().is_none_or(|p| p > 0.1 * LEVEL) {
        row.offence = Some("one batch in every factor passes for independent ones".into());
    }
    rows.push(row);

    // What is not, step by step.
    let averaged = mean(&means[n_steps / 2..]);
    let batches = Batches::of(&dense.data, BATCH)?;
    let g = Array::vector(dense.g.clone());
    let ask =
        || inverse_hvp(loss, &dense.w, &g).stochastic(&batches).chains(replicates).eta(dense.eta).seed(seed);
    for (name, right_side, is_averaged) in [
        ("chain, exact g", RightSide::Given, false),
        ("chain, one gradient", RightSide::Once, false),
        ("chain, fresh gradients from the step's batch", RightSide::Fresh, false),
        ("chain, one gradient, mean of the last half", RightSide::Once, true),
        ("chain, fresh gradients, mean of the last half", RightSide::Fresh, true),
    ] {
        let ask = ask().steps(n_steps).right_side(right_side);
        let found = if is_averaged { ask.draws()? } else { ask.last_iterate().draws()? };
        let expected = if is_averaged { &averaged } else { last };
        let mut row = as_predicted(name, dense.figures(&found.draws, Some(expected)));
        // The certificate's own prediction, from products alone.
        let own = found.certificate.predicted_bias;
        let by_hand = apart(expected, &dense.limit) / length(&dense.limit);
        row.figures["certificate_bias"] = json!(own);
        if (own / by_hand - 1.0).abs() > 1e-3 {
            row.offence = Some(format!("the certificate predicts a bias of {own}, expected {by_hand}"));
        }
        rows.push(row);
    }

    // And without any bias at all.
    let rho2 = dense.rho2();
    let q = 0.5 * (1.0 + rho2);
    for (name, right_side, always) in [
        ("roulette, one gradient", RightSide::Once, 0),
        ("roulette, exact g", RightSide::Given, 0),
        ("roulette after 60 steps, one gradient", RightSide::Once, 60),
    ] {
        let found = ask().roulette(q).right_side(right_side).at_least(always).draws()?;
        let mut row = as_predicted(name, dense.figures(&found.draws, Some(&dense.limit)));
        let expected = dense.deviation_of_roulette(q, always, right_side == RightSide::Given)?;
        let sd = row.figures["relative_deviation"].as_f64().unwrap_or(f64::NAN);
        row.figures["closed_form_deviation"] = json!(expected);
        row.figures["q"] = json!(q);
        row.figures["rho2"] = json!(rho2);
        row.figures["rho2_estimated"] = json!(found.certificate.rho2);
        row.figures["mean_steps"] = json!(found.certificate.n_steps);
        // Known within 3 % from thousands of answers only.
        if (sd / expected - 1.0).abs() > OF_DEVIATION && replicates >= 8000 {
            row.offence = Some(format!("the deviation is {sd}, expected {expected} within {OF_DEVIATION}"));
        }
        rows.push(row);
    }
    let refused = ask().roulette(0.9 * rho2).solve();
    let offence = match refused {
        Err(error) if matches!(*error.cause, Cause::Roulette { .. }) => None,
        other => Some(format!("a roulette of infinite variance was not refused: {other:?}")),
    };
    rows.push(Row {
        name: "roulette, q = 0.9 ρ₂: refused".into(),
        figures: json!({ "q": 0.9 * rho2 }),
        offence,
    });
    Ok(rows)
}

/// Ĥ⁻¹ĝ with both from one batch, and with ĝ from another.
fn inverses_of_batches(dense: &Dense, replicates: usize, key: Key) -> Result<[Vec<Vec<f64>>; 2], Failure> {
    let (n, d) = (dense.x.len(), dense.g.len());
    let at = numbers(&dense.w);
    let u = numbers(&uniform(key, [replicates, 2, LARGE_BATCH]));
    let (mut same, mut independent) = (vec![], vec![]);
    for draws in u.chunks(2 * LARGE_BATCH) {
        let rows: Vec<usize> = draws.iter().map(|u| ((u * n as f64) as usize).min(n - 1)).collect();
        let (one, other) = rows.split_at(LARGE_BATCH);
        let gradient = |batch: &[usize]| -> Vec<f64> {
            let part = |j: usize| {
                batch.iter().map(|&i| dense.slope[i] * dense.x[i][j]).sum::<f64>() / LARGE_BATCH as f64
            };
            (0..d).map(|j| part(j) + PENALTY * at[j]).collect()
        };
        let mut h = vec![vec![0.0; d]; d];
        for &row in one {
            let x = &dense.x[row];
            for i in 0..d {
                let part = dense.bend[row] * x[i] / LARGE_BATCH as f64;
                (0..d).for_each(|j| h[i][j] += part * x[j]);
            }
        }
        (0..d).for_each(|i| h[i][i] += PENALTY);
        same.push(solve(&h, &gradient(one))?);
        independent.push(solve(&h, &gradient(other))?);
    }
    Ok([same, independent])
}

/// The biased program, which the handles of batches do not let anyone write: it takes the rows as plain arrays.
fn one_batch_in_every_factor(
    dense: &Dense,
    replicates: usize,
    n_steps: usize,
    key: Key,
) -> Result<Vec<Vec<f64>>, Failure> {
    let (n, eta) = (dense.x.len(), dense.eta);
    let words = random_bits(key, replicates * BATCH);
    let at: Vec<i64> = words.into_iter().map(|word| (word % n as u64) as i64).collect();
    let at = Array::new([replicates, BATCH], at)?;
    let chains = jit(|w: Var, (x, y): (Var, Var), at: Var| {
        let chain = |at: Var| {
            let batch = (x.gather(0, at), y.gather(0, at));
            let slope = grad(loss).at((w, batch));
            scan(n_steps).repeat(slope * 0.0, |x: Var| x + eta * (slope - hvp(loss).at((w, batch), &x)))
        };
        vmap(chain).apply((at,))
    });
    let found = chains.call((&dense.w, &dense.data, &at))?;
    Ok(numbers(&found).chunks(dense.g.len()).map(<[f64]>::to_vec).collect())
}
