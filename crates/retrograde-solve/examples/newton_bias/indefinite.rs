//! A network on the digits, partly trained, whose curvature has both signs: what damping, Gauss and Newton's matrix and the normal
//! form make of it.

use std::error::Error;

use retrograde_array::Array;
use retrograde_array::ops;
use retrograde_array::rng::{Key, normal};
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_engine::{grad, hvp, jit, vmap};
use retrograde_solve::curvature::{Batches, Cause, Draws, RightSide, fitted, gauss_newton_vp, inverse_hvp};
use retrograde_solve::hotelling::hotelling;
use serde_json::json;

use super::study::{Row, apart, deviation, digits, length, mean, numbers, times};

const PIXELS: usize = 64;
const CLASSES: usize = 10;
/// Steps of gradient descent and their size.
const TRAINED: (usize, f64) = (40, 0.5);
/// Damping in units of the most negative curvature.
const DAMPING: f64 = 1.5;
/// Step size in units of one over the largest curvature.
const STEP: f64 = 0.25;
/// Random directions along which means are compared: fewer than chains.
const DIRECTIONS: usize = 10;

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Units of the hidden layer.
    pub(crate) hidden: usize,
    /// Rows of the digits.
    pub(crate) n_rows: usize,
    /// Rows of a batch.
    pub(crate) batch: usize,
    /// Steps of a chain.
    pub(crate) n_steps: usize,
    /// Chains.
    pub(crate) n_chains: usize,
    /// Of all draws.
    pub(crate) seed: u64,
}

impl Size {
    /// As in the theory's measurements.
    pub(crate) fn full(seed: u64) -> Size {
        Size { hidden: 8, n_rows: 1797, batch: 128, n_steps: 300, n_chains: 64, seed }
    }
}

type Network = (Var, Var, Var, Var);
type Batch = (Var, Var);
type Failure = Box<dyn Error>;
type Matrix = Vec<Vec<f64>>;

fn logits((a, b, c, e): Network, (x, _): Batch) -> Var {
    let hidden = x.dot(a);
    let out = (hidden + b.spread(hidden.shape())).tanh().dot(c);
    out + e.spread(out.shape())
}

fn cross_entropy(o: Var, (_, y): Batch) -> Var {
    (o.logsumexp(&[1]) - (y.one_hot(CLASSES, o.dtype()) * o).sum_axes(&[1])).mean()
}

type NetworkArrays = (Array, Array, Array, Array);

fn flat(p: &NetworkArrays) -> Vec<f64> {
    [&p.0, &p.1, &p.2, &p.3].into_iter().flat_map(numbers).collect()
}

/// Products with all unit vectors, in one program.
fn matrix(
    p: &NetworkArrays,
    data: &(Array, Array),
    product: impl Fn(Network, Batch, Network) -> Network,
) -> Result<Matrix, Failure> {
    let shapes = [&p.0, &p.1, &p.2, &p.3].map(|leaf| leaf.shape().to_vec());
    let d: usize = flat(p).len();
    let cut = |v: Var| {
        let mut start = 0;
        let [a, b, c, e] = shapes.clone().map(|shape| {
            let size: usize = shape.iter().product();
            start += size;
            v.slice(0, start - size..start).reshape(shape)
        });
        (a, b, c, e)
    };
    let join = |(a, b, c, e): Network| {
        retrograde_core::trace::var::concat(&[a, b, c, e].map(|leaf| leaf.reshape([leaf.shape().size()])), 0)
    };
    let run = jit(|p: Network, data: Batch, units: Var| {
        vmap(|v: Var| join(product(p, data, cut(v)))).apply((units,))
    });
    // A few rows at a time: each lane holds the activations of all examples.
    let mut rows = vec![];
    for first in (0..d).step_by(32) {
        let n = 32.min(d - first);
        let units: Vec<f64> = (0..n * d).map(|k| f64::from(u8::from(first + k / d == k % d))).collect();
        let found = run.call((p, data, &Array::new([n, d], units)?))?;
        rows.extend(numbers(&found).chunks(d).map(<[f64]>::to_vec));
    }
    Ok(rows)
}

/// Eigenvalues ascending, and eigenvectors as rows, of the symmetric part.
fn eigen(a: &Matrix) -> Result<(Vec<f64>, Matrix), Failure> {
    let n = a.len();
    let symmetric: Vec<f64> = (0..n * n).map(|k| 0.5 * (a[k / n][k % n] + a[k % n][k / n])).collect();
    let [values, vectors] = ops::linalg::eigh(&Array::new([n, n], symmetric)?)?;
    let vectors = numbers(&vectors);
    Ok((numbers(&values), (0..n).map(|k| (0..n).map(|i| vectors[i * n + k]).collect()).collect()))
}

/// f(A) b
fn function((values, vectors): &(Vec<f64>, Matrix), b: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; b.len()];
    for (value, vector) in values.iter().zip(vectors) {
        let part: f64 = vector.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() * f(*value);
        vector.iter().enumerate().for_each(|(i, v)| out[i] += part * v);
    }
    out
}

/// All ways.
pub(crate) fn table(size: Size) -> Result<Vec<Row>, Failure> {
    let mut lines = digits()?;
    lines.truncate(size.n_rows);
    let labels: Vec<i64> = lines.iter().map(|line| line[PIXELS] as i64).collect();
    let pixels: Vec<f64> = lines.iter().flat_map(|line| &line[..PIXELS]).map(|ink| ink / 16.0).collect();
    let data = (Array::new([size.n_rows, PIXELS], pixels)?, Array::vector(labels));
    let keys = Key::from_seed(size.seed).split(3);
    let scaled = |a: Array, by: f64| -> Result<Array, Failure> {
        Ok(Array::new(a.shape().clone(), numbers(&a).iter().map(|x| by * x).collect::<Vec<f64>>())?)
    };
    let mut p: NetworkArrays = (
        scaled(normal(keys[0], [PIXELS, size.hidden]), 1.0 / 8.0)?,
        Array::vector(vec![0.0; size.hidden]),
        scaled(normal(keys[1], [size.hidden, CLASSES]), 1.0 / 3.0)?,
        Array::vector(vec![0.0; CLASSES]),
    );
    let whole = fitted(logits, cross_entropy);
    let descend = jit(|p: Network, data: Batch| {
        let slope = grad(whole).at((p, data));
        (
            p.0 - TRAINED.1 * slope.0,
            p.1 - TRAINED.1 * slope.1,
            p.2 - TRAINED.1 * slope.2,
            p.3 - TRAINED.1 * slope.3,
        )
    });
    for _ in 0..TRAINED.0 {
        p = descend.call((&p, &data))?;
    }
    let g = grad(whole).call((&p, &data))?;
    let flat_g = flat(&g);
    let h = eigen(&matrix(&p, &data, |p, data, v| hvp(whole).at((p, data), &v))?)?;
    let door = gauss_newton_vp::<_, _, Network, Batch>(logits, cross_entropy);
    let of_gauss_newton = eigen(&matrix(&p, &data, |p, data, v| door.at(p, data, v))?)?;
    let d = flat_g.len();
    let (lowest, highest) = (h.0[0], h.0[d - 1]);
    let n_negative = h.0.iter().filter(|x| **x < -1e-8).count();
    let mut rows = vec![];

    let batches = Batches::of(&data, size.batch)?;
    let ask = || {
        let ask = inverse_hvp(whole, &p, &g).stochastic(&batches).right_side(RightSide::Given).last_iterate();
        ask.steps(size.n_steps).chains(size.n_chains).seed(size.seed).spectrum_steps(60)
    };
    let (eta, mu) = (STEP / highest, DAMPING * lowest.abs());
    let (offence, figures) = match ask().eta(eta).solve() {
        Err(error) => match &*error.cause {
            Cause::Indefinite { smallest, .. } => {
                let near = (smallest / lowest - 1.0).abs();
                let offence =
                    (near > 0.05).then(|| format!("measured {smallest}, expected {lowest} within 5 %"));
                (offence, json!({ "measured_smallest": smallest, "message": error.to_string() }))
            }
            other => (Some(format!("found {other:?}, expected curvature of both signs")), json!({})),
        },
        Ok(_) => (Some("curvature of both signs was not refused".into()), json!({})),
    };
    let mut figures = figures;
    figures["parameters"] = json!(d);
    figures["smallest"] = json!(lowest);
    figures["largest"] = json!(highest);
    figures["negative"] = json!(n_negative);
    rows.push(Row { name: "Hessian, undamped: refused".into(), figures, offence });

    let n = size.n_steps as i32;
    let series = |theta: f64, eta: f64| 1.0 - (1.0 - eta * theta).powi(n);
    let judged = |name: &str, found: &Draws, predicted: &[f64], limit: &[f64]| {
        let error = deviation(&found.draws) / (size.n_chains as f64).sqrt() / length(predicted);
        let miss = apart(&mean(&found.draws), predicted) / length(predicted);
        let directions: Matrix =
            (0..DIRECTIONS).map(|i| numbers(&normal(keys[2].fold_in(i as u64), [d]))).collect();
        let projected: Matrix = found.draws.iter().map(|draw| times(&directions, draw)).collect();
        let p = hotelling(&projected, &times(&directions, predicted)).map_or(f64::NAN, |found| found.p);
        let own = apart(&found.predicted, predicted) / length(predicted);
        // The squared ratio has mean one: a mean that is right misses by a standard error.
        let ratio = miss / error;
        let mut offence = (p.is_nan() || p <= 0.01).then(|| format!("p of the predicted mean is {p}"));
        if ratio > 1.5 {
            offence = Some(format!("the mean is {ratio} standard errors off the prediction"));
        }
        let figures = json!({
            "miss_of_prediction": miss,
            "standard_error": error,
            "standard_errors": ratio,
            "p_predicted": p,
            "certificate_apart_from_prediction": own,
            "prediction_apart_from_limit": apart(predicted, limit) / length(limit),
            "eta": found.certificate.eta,
        });
        Row { name: name.into(), figures, offence }
    };
    let limit = function(&h, &flat_g, |x| 1.0 / (x + mu));
    let predicted = function(&h, &flat_g, |x| series(x + mu, eta) / (x + mu));
    let found = ask().damping(mu).eta(eta).draws()?;
    rows.push(judged("Hessian, damped", &found, &predicted, &limit));

    let limit = function(&of_gauss_newton, &flat_g, |x| 1.0 / (x + mu));
    let predicted = function(&of_gauss_newton, &flat_g, |x| series(x + mu, eta) / (x + mu));
    let found = ask().gauss_newton().damping(mu).eta(eta).draws()?;
    rows.push(judged("Gauss-Newton, damped", &found, &predicted, &limit));

    let eta = eta / highest;
    let theta = |x: f64| x * x + mu * mu;
    let limit = function(&h, &flat_g, |x| x / theta(x));
    let predicted = function(&h, &flat_g, |x| series(theta(x), eta) * x / theta(x));
    let found = ask().normal_form().damping(mu).eta(eta).draws()?;
    rows.push(judged("normal form, two batches a step", &found, &predicted, &limit));
    Ok(rows)
}
