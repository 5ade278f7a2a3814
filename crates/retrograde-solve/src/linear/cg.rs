//! Conjugate gradients: A symmetric and positive definite.
//!
//! Step k minimises the error in the norm of A over the first k powers of A times the residual; its error falls at least like
//! ((√κ − 1)/(√κ + 1))ᵏ with the condition κ of the preconditioned operator.
//!
//! Source: Hestenes & Stiefel 1952, Methods of conjugate gradients for solving linear systems, J. Res. Natl. Bur. Stand. 49,
//! 409–436; with a preconditioner Golub & Van Loan 2013, Matrix Computations, algorithm 11.5.1.

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::error::LinearError;
use super::flat::{add_scaled, dot, norm};
use super::solver::{Method, Run, Solver, Stop, System};

/// `A x = b` by conjugate gradients.   apply: v → A v, trees like b.
///
/// # Errors
/// See [`Solver`].
/// # Cost
/// One product and one application of the preconditioner in a step; 4 vectors.
/// # Source
/// Hestenes & Stiefel 1952.
///
/// ```
/// use retrograde_array::{Array, array, ops};
/// use retrograde_solve::linear::cg;
/// let a = array([[4.0, 1.0], [1.0, 3.0]]);
/// let times = |v: &Array| Ok(ops::dot_general(&a, v, &ops::DotDims::matmul()));
/// let found = cg(times, &array([1.0, 2.0])).tolerance(1e-12).solve()?;
/// let x = found.x.to_vec::<f64>().unwrap();
/// assert!((x[0] - 1.0 / 11.0).abs() < 1e-14 && (x[1] - 7.0 / 11.0).abs() < 1e-14);
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn cg<'a, T: Tree<Leaf = Array, With<Array> = T>>(
    apply: impl FnMut(&T) -> Result<T, Error> + 'a,
    b: &'a T,
) -> Solver<'a, T> {
    let location = Location(std::panic::Location::caller());
    Solver::new(Method::Cg, Box::new(apply), b, location)
}

pub(super) fn run(mut system: System<'_>) -> Result<Run, LinearError> {
    const METHOD: &str = "cg";
    let (mut x, mut r) = system.begin(METHOD)?;
    let limits = system.limits;
    let size = norm(system.b);
    let mut residuals = vec![norm(&r) / size];
    let mut p: Vec<f64> = vec![];
    let mut last = 0.0;
    let stop = loop {
        let step = residuals.len();
        if residuals[step - 1] <= limits.tolerance {
            break Stop::Converged;
        }
        if step > limits.max_iterations {
            break Stop::MaxIterations;
        }
        let z = system.preconditioned(METHOD, &r, step)?;
        let rz = dot(&r, &z);
        if rz <= 0.0 || rz.is_nan() {
            return Err(LinearError::Preconditioner { method: METHOD, found: rz, step });
        }
        if p.is_empty() {
            p = z;
        } else {
            let keep = rz / last;
            p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + keep * *p);
        }
        last = rz;
        let product = system.product(METHOD, &p, step)?;
        let (bend, square) = (dot(&p, &product), dot(&p, &p));
        // What rounding makes of a product of length ‖A p‖ is no curvature.
        if bend <= f64::EPSILON * square.sqrt() * norm(&product) || bend.is_nan() {
            let curvature = bend / square;
            if limits.stop_at_negative_curvature {
                break Stop::NegativeCurvature { curvature };
            }
            return Err(LinearError::Indefinite { curvature, step });
        }
        let length = rz / bend;
        add_scaled(&mut x, length, &p);
        add_scaled(&mut r, -length, &product);
        residuals.push(norm(&r) / size);
    };
    Ok(Run { x, residuals, stop })
}
