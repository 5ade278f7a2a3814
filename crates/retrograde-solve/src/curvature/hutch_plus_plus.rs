//! Hutch++: the trace in two parts, the exact one of a subspace that holds the large eigenvalues and an estimate of the rest.
//!
//! ```text
//! Q = orth(A S),      tr A = tr QᵀAQ + tr B,      B = (I − QQᵀ) A (I − QQᵀ)
//! ```
//!
//! tr B is estimated with random signs: mean zero error for every Q, variance 2 Σ_{i≠j} B_ij² for each probe. For positive
//! semidefinite A the error falls like 1/m with the number of products m, not 1/√m.
//!
//! Source: R. A. Meyer, C. Musco, C. Musco, D. P. Woodruff, Hutch++: optimal stochastic trace estimation, SOSA 2021, algorithm 1.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::hutchinson::{TraceEstimate, at_least};
use super::probe::{mean_and_error, signs};
use crate::linear::LinearError;
use crate::linear::flat::{Trees, add_scaled, dot, norm, scaled};

/// The trace of a symmetric operator on trees like `like`, from `n_products` products, a third of them for each part.
///
/// # Errors
/// What the operator says; a product of another tree; fewer than three products.
/// # Cost
/// `n_products` products, and a third as many vectors.
/// # Source
/// Meyer, Musco, Musco, Woodruff 2021.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::curvature::hutch_plus_plus;
/// // Of rank one: two vectors hold everything.
/// let (f, x) = (|x: Var| x.sum() * x.sum(), array([1.0, 2.0, 3.0, 4.0]));
/// let hv = hvp(f);
/// let found = hutch_plus_plus(|v| hv.call(&x, v), &x, 6, Key::from_seed(7))?;
/// assert!((found.trace - 8.0).abs() < 1e-12);
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn hutch_plus_plus<T: Tree<Leaf = Array, With<Array> = T>>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    like: &T,
    n_products: usize,
    key: Key,
) -> Result<TraceEstimate, LinearError> {
    at_least("hutch_plus_plus", "number of products", n_products, 3, "at least three, one for each part")?;
    let trees = Trees::new(like, Location(std::panic::Location::caller()));
    let n = trees.flattening.size();
    let mut product = |v: &[f64]| trees.through(&mut apply, "product", "argument", v);
    let [of_subspace, of_rest] = [key.fold_in(0), key.fold_in(1)];
    let third = (n_products / 3).min(n);
    let mut sketch = vec![];
    for i in 0..third {
        sketch.push(product(&signs(of_subspace.fold_in(i as u64), n))?);
    }
    let basis = orthonormal(sketch);
    let mut exact = 0.0;
    for q in &basis {
        exact += dot(q, &product(q)?);
    }
    let draws: Vec<f64> = (0..n_products - 2 * third)
        .map(|i| rest(&mut product, &basis, signs(of_rest.fold_in(i as u64), n)))
        .collect::<Result<_, Error>>()?;
    let (rest, standard_error) = mean_and_error(&draws);
    Ok(TraceEstimate { trace: exact + rest, standard_error, n_products: third + basis.len() + draws.len() })
}

/// A product with a vector of numbers.
type Operator<'a> = dyn FnMut(&[f64]) -> Result<Vec<f64>, Error> + 'a;

/// zᵀBz.
fn rest(product: &mut Operator<'_>, basis: &[Vec<f64>], mut z: Vec<f64>) -> Result<f64, Error> {
    project_out(&mut z, basis);
    Ok(dot(&z, &product(&z)?))
}

/// z ← (I − QQᵀ) z, twice, since once leaves what rounding lost.
fn project_out(z: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for q in basis {
            let part = dot(q, z);
            add_scaled(z, -part, q);
        }
    }
}

/// An orthonormal basis of what these vectors span.
pub(super) fn orthonormal(vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    /// What is left of a vector below this part of it is rounding.
    const DEPENDENT: f64 = 1e-12;
    let mut basis: Vec<Vec<f64>> = vec![];
    for mut v in vectors {
        let whole = norm(&v);
        project_out(&mut v, &basis);
        let left = norm(&v);
        if left > DEPENDENT * whole {
            basis.push(scaled(1.0 / left, &v));
        }
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::super::probe::normals;
    use super::*;

    /// Over all vectors of signs, so to the last digit.
    #[test]
    fn the_rest_has_the_mean_and_the_variance_of_its_formula() {
        const N: usize = 7;
        let z = normals(Key::from_seed(1), N * N);
        let a: Vec<Vec<f64>> =
            (0..N).map(|i| (0..N).map(|j| z[i * N + j] + z[j * N + i]).collect()).collect();
        let mut product = |v: &[f64]| Ok(a.iter().map(|row| dot(row, v)).collect::<Vec<f64>>());
        let sketch = (0..2).map(|i| normals(Key::from_seed(2 + i), N)).collect();
        let basis = orthonormal(sketch);
        let unit = |i: usize| (0..N).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
        let columns: Vec<Vec<f64>> = (0..N)
            .map(|i| {
                let mut v = unit(i);
                project_out(&mut v, &basis);
                let mut b = product(&v).unwrap();
                project_out(&mut b, &basis);
                b
            })
            .collect();
        let trace: f64 = (0..N).map(|i| columns[i][i]).sum();
        let beside = |i: usize| (0..N).filter(|&j| j != i).map(|j| columns[i][j].powi(2)).sum::<f64>();
        let variance = 2.0 * (0..N).map(beside).sum::<f64>();
        let draws: Vec<f64> = (0..1 << N)
            .map(|bits: u32| {
                let z = (0..N).map(|i| if bits >> i & 1 == 0 { 1.0 } else { -1.0 }).collect();
                rest(&mut product, &basis, z).unwrap()
            })
            .collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let spread = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - trace).abs() < 1e-12 && (spread / variance - 1.0).abs() < 1e-12);
    }
}
