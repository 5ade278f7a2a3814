//! Minimal residuals: A symmetric, indefinite or singular too.
//!
//! Lanczos' process brings A to tridiagonal form; its QR factors, by one rotation a step, give the x of the smallest residual
//! over the powers of A so far.
//!
//! Source: Paige & Saunders 1975, Solution of sparse indefinite systems of linear equations, SIAM J. Numer. Anal. 12, 617–629.

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::error::LinearError;
use super::flat::{add_scaled, dot, scaled};
use super::solver::{Method, Run, Solver, Stop, System};

/// `A x = b` by minimal residuals, for any symmetric A.   apply: v → A v, trees like b.
///
/// A singular system that has no solution ends with [`Stop::LeastSquares`].
///
/// # Errors
/// See [`Solver`]; indefinite operators are none.
/// # Cost
/// One product and one application of the preconditioner in a step; 7 vectors.
/// # Source
/// Paige & Saunders 1975.
///
/// ```
/// use retrograde_array::{Array, array, ops};
/// use retrograde_solve::linear::minres;
/// let entries = array([1.0, -2.0, 4.0]);
/// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
/// let found = minres(times, &array([1.0, 1.0, 1.0])).tolerance(1e-12).solve()?;
/// let x = found.x.to_vec::<f64>().unwrap();
/// assert!(x.iter().zip([1.0, -0.5, 0.25]).all(|(x, expected)| (x - expected).abs() < 1e-14));
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn minres<'a, T: Tree<Leaf = Array, With<Array> = T>>(
    apply: impl FnMut(&T) -> Result<T, Error> + 'a,
    b: &'a T,
) -> Solver<'a, T> {
    let location = Location(std::panic::Location::caller());
    Solver::new(Method::Minres, Box::new(apply), b, location)
}

const METHOD: &str = "minres";
/// A residual counts as orthogonal to the range of A if ‖A r‖ is below this part of ‖A‖ ‖r‖: the root of the rounding unit, since
/// Lanczos' vectors lose their orthogonality where r no longer falls (measured: the part reaches 3e-10 and rises again).
const NORMAL: f64 = 1.5e-8;

/// √(rᵀMr).
fn length(r: &[f64], mr: &[f64], step: usize) -> Result<f64, LinearError> {
    let square = dot(r, mr);
    if square < 0.0 {
        return Err(LinearError::Preconditioner { method: METHOD, found: square, step });
    }
    Ok(square.sqrt())
}

pub(super) fn run(mut system: System<'_>) -> Result<Run, LinearError> {
    let (mut x, r) = system.begin(METHOD)?;
    let (b, limits) = (system.b.to_vec(), system.limits);
    let mb = system.preconditioned(METHOD, &b, 0)?;
    let size = length(&b, &mb, 0)?;
    if size == 0.0 {
        return Err(LinearError::Preconditioner { method: METHOD, found: 0.0, step: 0 });
    }
    let mut y = if system.start.is_some() { system.preconditioned(METHOD, &r, 0)? } else { mb };
    // Names as in the source: Lanczos' numbers alfa and beta, the rotation (cs, sn), the residual phibar.
    let mut beta = length(&r, &y, 0)?;
    let mut phibar = beta;
    let (mut oldb, mut dbar, mut epsln, mut square) = (0.0, 0.0, 0.0, 0.0_f64);
    let (mut cs, mut sn) = (-1.0, 0.0);
    let (mut r1, mut r2) = (r.clone(), r);
    let n = x.len();
    let (mut w, mut w2) = (vec![0.0; n], vec![0.0; n]);
    let mut residuals = vec![phibar / size];
    let stop = loop {
        let step = residuals.len();
        if residuals[step - 1] <= limits.tolerance {
            break Stop::Converged;
        }
        if step > limits.max_iterations {
            break Stop::MaxIterations;
        }
        if beta == 0.0 {
            // The powers of A are exhausted, and the residual is as small as it gets.
            break Stop::LeastSquares;
        }
        let v = scaled(1.0 / beta, &y);
        y = system.product(METHOD, &v, step)?;
        if step > 1 {
            add_scaled(&mut y, -beta / oldb, &r1);
        }
        let alfa = dot(&v, &y);
        add_scaled(&mut y, -alfa / beta, &r2);
        r1 = std::mem::replace(&mut r2, y);
        y = system.preconditioned(METHOD, &r2, step)?;
        oldb = beta;
        beta = length(&r2, &y, step)?;
        square += alfa * alfa + oldb * oldb + beta * beta;
        let oldeps = epsln;
        let delta = cs * dbar + sn * alfa;
        let gbar: f64 = sn * dbar - cs * alfa;
        epsln = sn * beta;
        dbar = -cs * beta;
        // ‖A r‖ / ‖A‖ of the residual so far, relative to it: zero at a least-squares solution.
        if gbar.hypot(dbar) <= NORMAL * square.sqrt() && step > 1 {
            break Stop::LeastSquares;
        }
        let gamma = gbar.hypot(beta).max(f64::MIN_POSITIVE);
        cs = gbar / gamma;
        sn = beta / gamma;
        let phi = cs * phibar;
        phibar *= sn;
        let w1 = std::mem::replace(&mut w2, std::mem::take(&mut w));
        w = v;
        add_scaled(&mut w, -oldeps, &w1);
        add_scaled(&mut w, -delta, &w2);
        w.iter_mut().for_each(|w| *w /= gamma);
        add_scaled(&mut x, phi, &w);
        residuals.push(phibar / size);
    };
    Ok(Run { x, residuals, stop })
}
