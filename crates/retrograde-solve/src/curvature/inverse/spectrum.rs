//! What is measured before a run: curvature along g and of single batches, and what follows for step size, steps and bias.

use retrograde_array::Array;
use retrograde_array::rng::{Key, normal};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{jit, vmap};

use super::problem::{Problem, Rows};
use crate::curvature::batch::Batch;
use crate::curvature::lanczos::{Basis, steps};
use crate::curvature::probe::normals;
use crate::linear::LinearError;
use crate::linear::flat::{add_scaled, norm, numbers};

/// How many batches are looked at, and with how many steps of the power method: the largest of so many is rarely exceeded by more
/// than the margin of the step size.
const BATCHES: usize = 16;
const POWER_STEPS: usize = 10;
/// The part of one over the largest measured curvature that a step is: the power method comes from below, and other batches are
/// drawn than were measured.
pub(super) const STEP: f64 = 0.8;
/// Steps of Lanczos' process from a random vector, which see what g does not.
const RANDOM_STEPS: usize = 20;
/// Curvature below this part of the largest is rounding.
pub(super) const ROUNDING: f64 = 1e-12;

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Along g.
    pub(super) basis: Basis,
    pub(super) values: Vec<f64>,
    vectors: Vec<Vec<f64>>,
    /// The smallest and the largest curvature seen from g and from a random vector.
    pub(super) smallest: f64,
    pub(super) largest: f64,
    pub(super) n_products: usize,
}

/// The spectrum of √P (H + μ) √P: from g with `n_steps`, and from a random vector.
pub(super) fn measure(
    problem: &Problem<'_>,
    g: &[f64],
    n_steps: usize,
    key: Key,
) -> Result<Measured, LinearError> {
    let (product, preconditioner) = (problem.product(), problem.preconditioner());
    let mut product = |v: &[f64]| Ok(product(v)?);
    let mut preconditioned = |v: &[f64]| Ok(preconditioner(v)?);
    let basis = steps(&mut product, &mut preconditioned, g, n_steps)?;
    let (values, vectors) = basis.eigen();
    let random = steps(&mut product, &mut preconditioned, &normals(key, g.len()), RANDOM_STEPS)?;
    let (others, _) = random.eigen();
    Ok(Measured {
        smallest: values[0].min(others[0]),
        largest: values[values.len() - 1].max(others[others.len() - 1]),
        n_products: basis.diagonal.len() + random.diagonal.len(),
        basis,
        values,
        vectors,
    })
}

impl Measured {
    /// f(P(H + μ)) P g in the basis: Σ images (f(T) e₁) ‖g‖_P.
    pub(super) fn predicted(&self, f: impl Fn(f64) -> f64) -> Vec<f64> {
        let k = self.values.len();
        let mut weights = vec![0.0; k];
        for (value, vector) in self.values.iter().zip(&self.vectors) {
            let part = f(*value) * vector[0] * self.basis.length;
            (0..k).for_each(|i| weights[i] += part * vector[i]);
        }
        let mut x = vec![0.0; self.basis.images[0].len()];
        self.basis.images.iter().zip(&weights).for_each(|(z, weight)| add_scaled(&mut x, *weight, z));
        x
    }
    /// ‖mean − limit‖ / ‖limit‖ for the mean f(θ)/θ of the limit 1/θ.
    pub(super) fn bias(&self, limit: impl Fn(f64) -> f64, left: impl Fn(f64) -> f64) -> f64 {
        let miss = norm(&self.predicted(|value| limit(value) * left(value)));
        miss / norm(&self.predicted(limit))
    }
}

/// The largest curvature of single batches, preconditioned and damped: by the power method on each of some.
pub(super) fn largest_of_batches(problem: &Problem<'_>, key: Key) -> Result<f64, Error> {
    let n = problem.size();
    let n_batches = match problem.rows {
        Rows::None => 1,
        Rows::Drawn { .. } => BATCHES,
        Rows::Given { n_batches, .. } => n_batches.min(BATCHES),
    };
    let [of_rows, of_start] = [key.fold_in(0), key.fold_in(1)];
    let keys = key_rows(of_rows, n_batches);
    let starts = normal(of_start, [n_batches, n]);
    let given: Vec<Array> = match problem.rows {
        Rows::Given { .. } => problem.data.iter().map(|leaf| first_rows(leaf, n_batches)).collect(),
        _ => vec![],
    };
    let is_given = !given.is_empty();
    let run = jit(|fixed: Vec<Var>, data: Vec<Var>, (keys, starts, given): (Var, Var, Vec<Var>)| {
        let of_batch = |key: Var, start: Var, given: Vec<Var>| {
            // The same batch again and again, as its own largest curvature is asked for.
            let batch = if is_given { given } else { problem.drawn(&data, key).used() };
            let product =
                |x: Var| problem.preconditioned(&fixed, problem.curved(&fixed, Batch::new(batch.clone()), x));
            let ones = retrograde_core::trace::var::full(retrograde_array::DType::F64, [POWER_STEPS], 1.0);
            let length = |x: Var| (x * x).sum().sqrt();
            let unit = |x: Var| {
                // A batch may have no curvature at all along x.
                let length = length(x).max(f64::MIN_POSITIVE);
                x / length.spread(x.shape())
            };
            let (last, _) = scan_over().run(unit(start), ones, |x: Var, one: Var| (unit(product(x)), one));
            length(product(last))
        };
        vmap(of_batch).apply((keys, starts, given)).reduce_max(&[0])
    });
    let found = run.call((&problem.fixed(), &problem.data, &(keys, starts, given)))?;
    Ok(numbers(&found)[0])
}

/// One key a row, for a lane each.   → i64 `[n, 2]`
pub(super) fn key_rows(key: Key, n: usize) -> Array {
    let words: Vec<i64> = key.split(n).into_iter().flat_map(|key| key.0.map(|word| word as i64)).collect();
    Array::new([n, 2], words).expect("two words for each key")
}

/// The first `n` of the leading axis.
pub(super) fn first_rows(leaf: &Array, n: usize) -> Array {
    let shape = leaf.shape().to_vec();
    let mut limits = shape.clone();
    limits[0] = n;
    retrograde_array::ops::slice(leaf, &vec![0; shape.len()], &limits, &vec![1; shape.len()])
}
