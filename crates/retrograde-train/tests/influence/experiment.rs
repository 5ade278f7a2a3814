//! Influence on the digits against models fitted again: a multinomial logistic model with an l2 penalty, fitted to a gradient of
//! 1e-10 by Newton's method, in f64.
//!
//! ```text
//! L(W) = (1/n) Σᵢ vᵢ (logsumexp(xᵢW) − (xᵢW)[yᵢ]) + (λ/2) ‖W‖²        W: [65, classes], xᵢ: 64 pixels in [0, 1] and a 1
//! ```
//!
//! Leaving row i out is vᵢ = 0. Seeds, penalty and sizes were fixed before the first run.

use retrograde_array::ops::{self, Binary};
use retrograde_array::rng::{Key, permutation};
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{Grad, HvpDoor, Jit};
use retrograde_engine::{grad, hvp, jit};
use retrograde_solve::curvature::{
    Batches, Certificate, CurvatureError, InverseHvp, inverse_hvp, per_example_norms,
};
use retrograde_solve::linear::{LinearError, cg};
use retrograde_solve::uses::{Factored, UseError, factored, influence};
use retrograde_train::digits;
use serde_json::{Value, json};

/// λ: that of the measurements of stochastic inverses on the digits.
const PENALTY: f64 = 1e-2;
const SEED: u64 = 20_261_126;
/// A fit is exact when its gradient is no longer than this.
const EXACT: f64 = 1e-10;
const N_FEATURES: usize = 65;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The digits below this one.
    pub(crate) n_classes: usize,
    /// Rows that are left out, one at a time.
    pub(crate) n_points: usize,
    /// Held-back rows.
    pub(crate) n_test: usize,
    /// Labels that are made wrong, for each hundred rows.
    pub(crate) percent_flipped: usize,
}

/// Features, one-hot labels, weights.
type Rows = (Array, Array, Array);
type Batch = (Var, Var, Var);
type Loss = fn(Var, Batch) -> Var;

fn logistic(w: Var, (x, y, weight): Batch) -> Var {
    let o = x.dot(w);
    (weight * (o.logsumexp(&[1]) - (o * y).sum_axes(&[1]))).mean()
}

fn penalised(w: Var, batch: Batch) -> Var {
    logistic(w, batch) + (0.5 * PENALTY) * (w * w).sum()
}

fn numbers(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap_or_default()
}

fn length(a: &Array) -> f64 {
    numbers(a).iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Rows of the data with these labels.
fn rows(of: &[(usize, u32)], n_classes: usize) -> Rows {
    let digits = digits();
    let mut x = vec![];
    let mut y = vec![0.0; of.len() * n_classes];
    for (i, &(row, label)) in of.iter().enumerate() {
        x.extend(digits.inputs.row(row).into_iter().map(f64::from));
        x.push(1.0);
        y[i * n_classes + label as usize] = 1.0;
    }
    let array = |shape: [usize; 2], values| Array::new(shape, values).expect("whole rows");
    let weights = Array::vector(vec![1.0; of.len()]);
    (array([of.len(), N_FEATURES], x), array([of.len(), n_classes], y), weights)
}

/// The programs of a fit, compiled once.
struct Model {
    slope: Grad<Loss, (Var, Batch)>,
    curvature: HvpDoor<Loss, (Var, Batch)>,
    test_loss: Jit<Loss, (Var, Batch)>,
}

impl Model {
    fn new() -> Model {
        let (penalised, logistic): (Loss, Loss) = (penalised, logistic);
        Model { slope: grad(penalised), curvature: hvp(penalised), test_loss: jit(logistic) }
    }

    /// The minimum, from a start; `near` is curvature close to that of the fit, which only saves products.
    fn fit(&self, start: &Array, rows: &Rows, near: Option<&Factored<Array>>) -> (Array, f64, usize) {
        let mut w = start.clone();
        for n_steps in 0..100 {
            let g = self.slope.call((&w, rows)).expect("a gradient");
            let norm = length(&g);
            if norm <= EXACT {
                return (w, norm, n_steps);
            }
            let system = cg(|v| self.curvature.call((&w, rows), v), &g).tolerance(1e-8);
            let found = match near {
                Some(near) => system.preconditioner(|r| {
                    near.solve(r).map_err(|error| match *error.cause {
                        retrograde_solve::uses::Cause::Door(error) => error,
                        other => panic!("{other}"),
                    })
                }),
                None => system,
            };
            let step = found.solve().expect("a positive definite system").x;
            w = ops::binary(Binary::Sub, &w, &step).expect("one shape");
        }
        panic!("no minimum after 100 steps");
    }

    fn loss(&self, w: &Array, rows: &Rows) -> f64 {
        self.test_loss.call((w, rows)).expect("a loss").item::<f64>().expect("a number")
    }

    fn factored(&self, w: &Array, rows: &Rows) -> Factored<Array> {
        factored(|v| self.curvature.call((w, rows), v), w, 0.0).expect("the penalty makes it positive")
    }
}

/// Row numbers and labels of the digits below `n_classes`, in a random order.
fn shuffled(n_classes: usize) -> Vec<(usize, u32)> {
    let digits = digits();
    let labels = digits.targets.labels().expect("digits have labels");
    let kept: Vec<(usize, u32)> = (0..labels.len())
        .map(|row| (row, labels[row]))
        .filter(|(_, label)| (*label as usize) < n_classes)
        .collect();
    permutation(Key::from_seed(SEED).fold_in(0), kept.len()).into_iter().map(|i| kept[i]).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// The slope of `actual` over `predicted` through the origin.
fn slope(predicted: &[f64], actual: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(predicted, actual) / dot(predicted, predicted)
}

/// Predicted and actual changes of two test losses when points are left out: the mean over the held-back rows, and that of the
/// row that fares worst.
pub(crate) fn leave_one_out(setting: Setting) -> Value {
    let all = shuffled(setting.n_classes);
    let (test, train) = all.split_at(setting.n_test);
    let (train, test) = (rows(train, setting.n_classes), rows(test, setting.n_classes));
    let model = Model::new();
    let zero = Array::zeros(DType::F64, [N_FEATURES, setting.n_classes]);
    let (w, gradient_norm, n_steps) = model.fit(&zero, &train, None);
    let near = model.factored(&w, &train);
    let one = |row: usize| {
        let part = |leaf: &Array| {
            let row = leaf.row(row);
            row.reshaped([&[1][..], &row.shape()[..]].concat()).expect("one row")
        };
        (part(&test.0), part(&test.1), part(&test.2))
    };
    let losses: Vec<f64> = (0..setting.n_test).map(|row| model.loss(&w, &one(row))).collect();
    let worst = (0..losses.len()).fold(0, |worst, row| if losses[row] > losses[worst] { row } else { worst });
    let tests = [("held-back rows", test.clone()), ("the row that fares worst", one(worst))];
    let n_train = train.2.size();
    let points = &permutation(Key::from_seed(SEED).fold_in(1), n_train)[..setting.n_points];
    let of = influence(logistic as Loss);
    let (mut results, mut predicted, mut before) = (json!({}), vec![], vec![]);
    for (name, test) in &tests {
        let certified = of
            .on_loss(&w, &train, test, |g| {
                let found = cg(|v| model.curvature.call((&w, &train), v), g).tolerance(1e-10).solve()?;
                let residual = found.residuals.last().copied().unwrap_or(f64::NAN);
                Ok::<_, LinearError>((found.x, (residual, found.residuals.len() - 1)))
            })
            .expect("scores");
        let dense = of.on_loss(&w, &train, test, |g| near.solve(g).map(|x| (x, ()))).expect("scores");
        let largest = dense.changes.iter().fold(0.0_f64, |most, change| most.max(change.abs()));
        let apart = certified
            .changes
            .iter()
            .zip(&dense.changes)
            .fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
        results[*name] = json!({
            "residual": certified.certificate.0, "products": certified.certificate.1,
            "apart_from_dense": apart / largest,
        });
        predicted.push(points.iter().map(|&point| certified.changes[point]).collect::<Vec<f64>>());
        before.push(model.loss(&w, test));
    }
    let mut actual = vec![vec![]; tests.len()];
    let (mut worst_norm, mut most_steps) = (gradient_norm, 0);
    for &point in points {
        let mut without = train.clone();
        if let Some(weights) = without.2.make_mut::<f64>() {
            weights[point] = 0.0;
        }
        let (again, norm, n_steps) = model.fit(&w, &without, Some(&near));
        (worst_norm, most_steps) = (worst_norm.max(norm), most_steps.max(n_steps));
        for (k, (_, test)) in tests.iter().enumerate() {
            actual[k].push(model.loss(&again, test) - before[k]);
        }
    }
    for (k, (name, _)) in tests.iter().enumerate() {
        results[*name]["correlation"] = json!(correlation(&predicted[k], &actual[k]));
        results[*name]["slope"] = json!(slope(&predicted[k], &actual[k]));
        results[*name]["predicted"] = json!(predicted[k]);
        results[*name]["actual"] = json!(actual[k]);
    }
    results["model"] =
        json!(format!("multinomial logistic, {} classes, penalty {PENALTY}", setting.n_classes));
    results["n_train"] = json!(n_train);
    results["n_test"] = json!(setting.n_test);
    results["n_points"] = json!(setting.n_points);
    results["newton_steps"] = json!([n_steps, most_steps]);
    results["largest_gradient_norm"] = json!(worst_norm);
    results
}

/// A Neumann series is cut off where its bias is predicted to be below this.
const BIAS: f64 = 1e-3;
/// Standard deviations of an answer that its scores may be off by. A score sees one direction of many; the bound takes all.
const DEVIATIONS: f64 = 4.0;

/// Scores of the row that fares worst by other inverses and settings of theirs, compared with the exact ones: how far the score of
/// each row is off, over what the certificate allows,
///
/// ```text
/// |score − exact| ≤ ‖gᵢ‖ ‖x‖ (bias + 4 sd) / n
/// ```
///
/// and the same for an answer to another question: damping that grows with the scale, as in the recursion that is widely copied.
pub(crate) fn settings(setting: Setting) -> Result<Value, UseError> {
    let all = shuffled(setting.n_classes);
    let (test, train) = all.split_at(setting.n_test);
    let (train, test) = (rows(train, setting.n_classes), rows(&test[..1], setting.n_classes));
    let model = Model::new();
    let zero = Array::zeros(DType::F64, [N_FEATURES, setting.n_classes]);
    let w = model.fit(&zero, &train, None).0;
    let near = model.factored(&w, &train);
    let n = train.2.size() as f64;
    let of = influence(logistic as Loss);
    let exact = of.on_loss(&w, &train, &test, |g| near.solve(g).map(|x| (x, ())))?.changes;
    let x = near.solve(&grad(logistic as Loss).call((&w, &test)).expect("a gradient"))?;
    let norms = per_example_norms(logistic as Loss).call((&w, &train)).expect("norms");
    let norms = numbers(&norms);
    let off = |changes: &[f64], certificate: &Certificate| {
        let allowed = certificate.predicted_bias + DEVIATIONS * certificate.standard_deviation;
        let of_row = |row: usize| (changes[row] - exact[row]).abs() * n / (norms[row] * length(&x) * allowed);
        (0..changes.len()).map(of_row).fold(0.0, f64::max)
    };
    type Ask<'a> = InverseHvp<'a, Loss, (Var, Batch)>;
    let with = |ask: &dyn for<'a> Fn(Ask<'a>, &'a Batches<Rows>) -> Ask<'a>, size: usize| {
        let batches = Batches::of(&train, size).expect("rows");
        let scores = of.on_loss(&w, &train, &test, |g| {
            ask(inverse_hvp(penalised as Loss, &w, g).data(&batches).seed(SEED), &batches).solve()
        });
        scores.map(|scores| (off(&scores.changes, &scores.certificate), scores.certificate))
    };
    let mut results = json!({});
    let mut note = |name: String, (off, certificate): (f64, Certificate)| {
        results[name] = json!({
            "off_over_allowed": off, "eta": certificate.eta, "predicted_bias": certificate.predicted_bias,
            "standard_deviation": certificate.standard_deviation, "method": certificate.method,
        });
    };
    let (_, first) = with(&|ask, _| ask.neumann(1), 1)?;
    let smallest = first.spectrum.as_ref().map_or(PENALTY, |spectrum| spectrum.smallest());
    for part in [1.0, 0.5, 0.2] {
        let eta = part * first.eta;
        let n_steps = (BIAS.ln() / (1.0 - eta * smallest).ln()).ceil() as usize;
        note(format!("Neumann, η × {part}"), with(&|ask, _| ask.eta(eta).neumann(n_steps), 1)?);
    }
    for size in [8, 32] {
        let (found, certificate) = with(&|ask, batches| ask.stochastic(batches), size)?;
        let eta = certificate.eta;
        note(format!("stochastic, batches of {size}"), (found, certificate));
        let half = with(&|ask, batches| ask.stochastic(batches).eta(0.5 * eta), size)?;
        note(format!("stochastic, batches of {size}, η × 0.5"), half);
    }
    let (_, exactly) = with(&|ask, _| ask.tolerance(BIAS), 1)?;
    let damped = of.on_loss(&w, &train, &test, |g| {
        let batches = Batches::of(&train, 1)?;
        let ask =
            inverse_hvp(penalised as Loss, &w, g).data(&batches).damping(10.0 * PENALTY).tolerance(BIAS);
        Ok::<_, CurvatureError>((ask.solve()?.0, ()))
    })?;
    results["another question"] = json!({ "off_over_allowed": off(&damped.changes, &exactly) });
    Ok(results)
}

/// Labels made wrong at random, and how many of them are in the tenth of the rows with the largest self-influence.
pub(crate) fn flipped(setting: Setting) -> Result<Value, UseError> {
    let mut all = shuffled(setting.n_classes);
    let n = all.len();
    let n_flipped = n * setting.percent_flipped / 100;
    let key = Key::from_seed(SEED).fold_in(2);
    let wrong = permutation(key, n)[..n_flipped].to_vec();
    for (k, &row) in wrong.iter().enumerate() {
        // Any of the others, all alike.
        let by = 1 + permutation(key.fold_in(k as u64), setting.n_classes - 1)[0];
        all[row].1 = (all[row].1 + by as u32) % setting.n_classes as u32;
    }
    let train = rows(&all, setting.n_classes);
    let model = Model::new();
    let zero = Array::zeros(DType::F64, [N_FEATURES, setting.n_classes]);
    let (w, gradient_norm, _) = model.fit(&zero, &train, None);
    let near = model.factored(&w, &train);
    let own = influence(logistic as Loss).on_themselves(&w, &train, |g| near.solve(g).map(|x| (x, ())))?;
    let share = |scores: &[f64]| {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        let top = &order[..n / 10];
        wrong.iter().filter(|row| top.contains(row)).count() as f64 / n_flipped as f64
    };
    Ok(json!({
        "n_train": n, "n_flipped": n_flipped, "gradient_norm": gradient_norm,
        "share_in_top_decile": share(&own),
        // What chance gives, with scores that know nothing of labels.
        "share_in_top_decile_of_row_numbers": share(&(0..n).map(|row| row as f64).collect::<Vec<_>>()),
    }))
}
