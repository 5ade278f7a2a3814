//! Generalised minimal residuals: any square A.
//!
//! Arnoldi's process keeps an orthonormal basis of the powers of A M times the residual; rotations solve the small least-squares
//! problem as it grows. The preconditioner M stands on the right, so that residuals are those of the system itself.
//!
//! Source: Saad & Schultz 1986, GMRES, SIAM J. Sci. Stat. Comput. 7, 856–869; Saad 2003, Iterative Methods for Sparse Linear
//! Systems, algorithm 9.5.

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::error::LinearError;
use super::flat::{add_scaled, difference, dot, norm, scaled};
use super::solver::{Method, Run, Solver, Stop, System};

/// `A x = b` by generalised minimal residuals, beginning anew every `restart` steps.   apply: v → A v, trees like b.
///
/// # Errors
/// See [`Solver`].
/// # Cost
/// One product and one application of the preconditioner in a step; `restart` + 4 vectors.
/// # Source
/// Saad & Schultz 1986.
///
/// ```
/// use retrograde_array::{Array, array, ops};
/// use retrograde_solve::linear::gmres;
/// let a = array([[0.0, 1.0], [-1.0, 1.0]]);
/// let times = |v: &Array| Ok(ops::dot_general(&a, v, &ops::DotDims::matmul()));
/// let found = gmres(times, &array([1.0, 2.0]), 10).tolerance(1e-12).solve()?;
/// let x = found.x.to_vec::<f64>().unwrap();
/// assert!((x[0] + 1.0).abs() < 1e-14 && (x[1] - 1.0).abs() < 1e-14);
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn gmres<'a, T: Tree<Leaf = Array, With<Array> = T>>(
    apply: impl FnMut(&T) -> Result<T, Error> + 'a,
    b: &'a T,
    restart: usize,
) -> Solver<'a, T> {
    let location = Location(std::panic::Location::caller());
    Solver::new(Method::Gmres { restart }, Box::new(apply), b, location)
}

const METHOD: &str = "gmres";

pub(super) fn run(mut system: System<'_>, restart: usize) -> Result<Run, LinearError> {
    let (mut x, mut r) = system.begin(METHOD)?;
    let (b, limits) = (system.b.to_vec(), system.limits);
    let size = norm(&b);
    let mut residuals = vec![norm(&r) / size];
    let stop = loop {
        let before = norm(&r) / size;
        if before <= limits.tolerance {
            break Stop::Converged;
        }
        if residuals.len() > limits.max_iterations {
            break Stop::MaxIterations;
        }
        let left = limits.max_iterations + 1 - residuals.len();
        let mut update = cycle(&mut system, &r, size, restart.min(left), &mut residuals)?;
        update = system.preconditioned(METHOD, &update, residuals.len())?;
        add_scaled(&mut x, 1.0, &update);
        let product = system.product(METHOD, &x, residuals.len())?;
        r = difference(&b, &product);
        // What was followed by rotations drifts; this is it.
        let last = residuals.len() - 1;
        residuals[last] = norm(&r) / size;
        if residuals[last] >= before * (1.0 - f64::EPSILON * 16.0) {
            break Stop::Stagnated;
        }
    };
    Ok(Run { x, residuals, stop })
}

/// Steps until the restart: the u with the smallest ‖r − A M u‖.
fn cycle(
    system: &mut System<'_>,
    r: &[f64],
    size: f64,
    n_steps: usize,
    residuals: &mut Vec<f64>,
) -> Result<Vec<f64>, LinearError> {
    let beta = norm(r);
    let mut basis = vec![scaled(1.0 / beta, r)];
    // The columns of the triangle, and the right-hand side under the rotations so far.
    let mut triangle: Vec<Vec<f64>> = vec![];
    let mut rotations: Vec<(f64, f64)> = vec![];
    let mut right = vec![beta];
    for j in 0..n_steps {
        let step = residuals.len();
        let direction = system.preconditioned(METHOD, &basis[j], step)?;
        let mut w = system.product(METHOD, &direction, step)?;
        let whole = norm(&w);
        let mut column = vec![0.0; j + 1];
        // Twice, since one pass leaves what rounding lost (Giraud, Langou, Rozložník 2005).
        for _ in 0..2 {
            for (entry, v) in column.iter_mut().zip(&basis) {
                let part = dot(v, &w);
                *entry += part;
                add_scaled(&mut w, -part, v);
            }
        }
        let mut below = norm(&w);
        if below <= f64::EPSILON * whole {
            below = 0.0;
        }
        for (i, (cs, sn)) in rotations.iter().enumerate() {
            let (a, b) = (column[i], column[i + 1]);
            column[i] = cs * a + sn * b;
            column[i + 1] = cs * b - sn * a;
        }
        let length = column[j].hypot(below);
        if length == 0.0 {
            // A M maps the basis to fewer dimensions: nothing along the last vector helps.
            break;
        }
        let (cs, sn) = (column[j] / length, below / length);
        column[j] = length;
        rotations.push((cs, sn));
        right.push(-sn * right[j]);
        right[j] *= cs;
        triangle.push(column);
        let residual = right[j + 1].abs() / size;
        residuals.push(residual);
        if residual <= system.limits.tolerance || below == 0.0 {
            break;
        }
        basis.push(scaled(1.0 / below, &w));
    }
    let mut weights = vec![0.0; triangle.len()];
    for i in (0..triangle.len()).rev() {
        let known: f64 = (i + 1..triangle.len()).map(|k| triangle[k][i] * weights[k]).sum();
        weights[i] = (right[i] - known) / triangle[i][i];
    }
    let mut update = vec![0.0; r.len()];
    weights.iter().zip(&basis).for_each(|(weight, v)| add_scaled(&mut update, *weight, v));
    Ok(update)
}
