//! The stochastic recursion: many independent chains in one compiled program.
//!
//! ```text
//! x ← x + η P (ĝ − Ĥₖ x)                       E x_K = (I − (I − η P H)ᴷ) H⁻¹ g
//! x ← x + η (Ĥₐ (ĝ − Ĥ_b x) − μ² x)           E x_K = (I − (I − η (H² + μ²))ᴷ) (H² + μ²)⁻¹ H g
//! ```
//!
//! from x = 0, with a batch of its own for each Ĥ. The mean is exact for any K: the batch of a step must be independent of x, and is.
//! ĝ may share the batch of its step's Ĥ, from one sweep. The mean of the last half of the steps (Polyak & Ruppert) has a
//! covariance that does not depend on η, and the mean of these Aᵏ as its bias.
//!
//! Source: N. Agarwal, B. Bullins, E. Hazan, Second-order stochastic optimization for machine learning in linear time, JMLR 18 (2017);
//! B. T. Polyak, A. B. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30 (1992).

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{constant, full, random_bits};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{jit, vmap};

use super::RightSide;
use super::problem::{Problem, Rows};
use super::spectrum::{first_rows, key_rows};
use crate::curvature::batch::Batch;
use crate::linear::flat::numbers;

/// How chains run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) eta: f64,
    pub(super) n_steps: usize,
    pub(super) n_chains: usize,
    pub(super) right_side: RightSide,
    /// The mean of the last half of the steps instead of the last.
    pub(super) averaged: bool,
    /// Two batches a step, for (H² + μ²)⁻¹ H g with this μ.
    pub(super) normal_form: Option<f64>,
}

impl Plan {
    /// How many batches a chain takes.
    pub(super) fn n_batches(&self) -> usize {
        let of_steps = if self.normal_form.is_some() { 2 } else { 1 } * self.n_steps;
        of_steps + usize::from(self.right_side == RightSide::Once)
    }
    /// The step from which on the mean is taken.
    pub(super) fn first_of_mean(&self) -> usize {
        if self.averaged { self.n_steps / 2 } else { self.n_steps - 1 }
    }
    /// What is left of the start in the mean of the answer, for θ of P(H + μ).
    pub(super) fn left(&self, value: f64) -> f64 {
        let rate = 1.0 - self.eta * value;
        let from = self.first_of_mean();
        let n = (self.n_steps - from) as f64;
        (from..self.n_steps).map(|k| rate.powi(k as i32 + 1)).sum::<f64>() / n
    }
}

/// What chains leave.
pub(super) struct Run {
    /// One answer for each chain.
    pub(super) draws: Vec<Vec<f64>>,
    /// The largest norm over chains, after each step.
    pub(super) norms: Vec<f64>,
}

/// Runs the chains; `first_given` is how many given batches are used already.
pub(super) fn run(
    problem: &Problem<'_>,
    plan: &Plan,
    g: &[f64],
    key: Key,
    first_given: usize,
) -> Result<Run, Error> {
    let keys = key_rows(key, plan.n_chains);
    let given = given_batches(problem, plan, first_given);
    let weights: Vec<f64> =
        (0..plan.n_steps)
            .map(|k| {
                if k >= plan.first_of_mean() {
                    1.0 / (plan.n_steps - plan.first_of_mean()) as f64
                } else {
                    0.0
                }
            })
            .collect();
    let weights = Array::vector(weights);
    let program = jit(|fixed: Vec<Var>, data: Vec<Var>, (g, keys, given): (Var, Var, Vec<Var>)| {
        let chain = |key: Var, given: Vec<Var>| chain(problem, plan, &fixed, &data, g, &weights, key, given);
        let (draws, norms) = vmap(chain).apply((keys, given));
        (draws, norms.reduce_max(&[0]))
    });
    let g = Array::vector(g.to_vec());
    let (draws, norms) = program.call((&problem.fixed(), &problem.data, &(g, keys, given)))?;
    let draws = numbers(&draws).chunks(problem.size()).map(<[f64]>::to_vec).collect();
    Ok(Run { draws, norms: numbers(&norms) })
}

/// The given batches, `[chains, batches of a chain, rows..]`; none where batches are drawn.
fn given_batches(problem: &Problem<'_>, plan: &Plan, first: usize) -> Vec<Array> {
    if !matches!(problem.rows, Rows::Given { .. }) {
        return vec![];
    }
    let (chains, each) = (plan.n_chains, plan.n_batches());
    let cut = |leaf: &Array| {
        let rest = first_rows(leaf, first + chains * each);
        let shape = rest.shape().to_vec();
        let mut starts = vec![0; shape.len()];
        starts[0] = first;
        let own = retrograde_array::ops::slice(&rest, &starts, &shape, &vec![1; shape.len()]);
        let shape = [&[chains, each][..], &shape[1..]].concat();
        own.reshaped(shape).expect("as many batches as chains take")
    };
    problem.data.iter().map(cut).collect()
}

/// One chain: its answer, and the norm of x after each step.
#[expect(clippy::too_many_arguments, reason = "the inputs of one program, by their role")]
fn chain(
    problem: &Problem<'_>,
    plan: &Plan,
    fixed: &[Var],
    data: &[Var],
    g: Var,
    weights: &Array,
    key: Var,
    mut given: Vec<Var>,
) -> (Var, Var) {
    let zero = full(retrograde_array::DType::F64, [problem.size()], 0.0);
    let is_given = !given.is_empty();
    // Keys that are used once each: 53 random bits in either word.
    let mut keys = random_bits(key, [plan.n_batches(), 2], 53);
    let mut g = g;
    if plan.right_side == RightSide::Once {
        let first: Vec<Var> = given.iter().map(|leaf| leaf.index(0, 0)).collect();
        let batch = if is_given { Batch::new(first) } else { problem.drawn(data, keys.index(0, 0)) };
        g = problem.slope(fixed, batch);
        let rest = |v: Var| v.slice(0, 1..v.shape()[0]);
        keys = rest(keys);
        given = given.into_iter().map(rest).collect();
    }
    let of_step = |v: Var| match plan.normal_form {
        None => v,
        Some(_) => v.reshape([&[plan.n_steps, 2][..], &v.shape()[1..]].concat()),
    };
    let xs = (constant(weights), of_step(keys), given.into_iter().map(of_step).collect::<Vec<Var>>());
    let step = |(x, mean): (Var, Var), (weight, key, given): (Var, Var, Vec<Var>)| {
        let batch = |which: Option<usize>| {
            let part = |v: Var| which.map_or(v, |i| v.index(0, i));
            if is_given {
                Batch::new(given.iter().map(|leaf| part(*leaf)).collect())
            } else {
                problem.drawn(data, part(key))
            }
        };
        let change = match plan.normal_form {
            Some(damping) => {
                let (one, other) = (batch(Some(0)), batch(Some(1)));
                let (slope, product) = match plan.right_side {
                    RightSide::Fresh => problem.swept(fixed, one, x),
                    _ => (g, problem.undamped(fixed, one, x)),
                };
                problem.undamped(fixed, other, slope - product) - damping * damping * x
            }
            None => {
                let (slope, product) = match plan.right_side {
                    RightSide::Fresh => problem.swept(fixed, batch(None), x),
                    _ => (g, problem.curved(fixed, batch(None), x)),
                };
                problem.preconditioned(fixed, slope - product)
            }
        };
        let x = x + plan.eta * change;
        ((x, mean + weight.spread(x.shape()) * x), (x * x).sum().sqrt())
    };
    let ((_, mean), norms) = scan_over().run((zero, zero), xs, step);
    (mean, norms)
}
