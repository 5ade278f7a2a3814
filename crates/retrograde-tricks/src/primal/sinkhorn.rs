//! Sinkhorn's iteration: the transport between two distributions that is cheapest but for an entropy. Law: exact.
//!
//! Row in the catalogue: [`RELAXATIONS`](super::soft_sort::RELAXATIONS).

use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::var::full;

use super::refuse::{positive, refuse};

/// `P = diag(u) exp(−C/T) diag(v)` with rows that sum to a and columns to b, after `n_steps` rounds.   cost C: `[n, m]`, a: `[n]`,
/// b: `[m]`, both above 0 and with equal sums → `[n, m]`.
///
/// By logarithms, so that temperatures far below the costs do not underflow. Columns are exact, rows converge, the slower the colder.
///
/// # Errors
/// At the front door: a temperature that is not above 0, shapes that do not fit.
/// # Cost
/// 2 n·m exponentials a round; the derivative of the rounds remembers what the policy of the front door says.
/// # Source
/// Cuturi 2013, algorithm 1; the row in the catalogue has it in full. By logarithms: G. Peyré, M. Cuturi, Computational optimal transport,
/// Foundations and Trends in Machine Learning 11 (2019), section 4.4.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::sinkhorn::sinkhorn;
/// let cost = array([[1.0, 0.0], [0.0, 1.0]]);
/// let half = array([0.5, 0.5]);
/// let plan = |t: f64| jit(move |c: Var, a: Var, b: Var| sinkhorn(c, a, b, t, 20)).call((&cost, &half, &half));
/// assert_eq!(plan(1e-3)?, array([[0.0, 0.5], [0.5, 0.0]]));
/// let error = plan(0.0).unwrap_err().to_string();
/// assert!(error.starts_with("error: sinkhorn: found a temperature of 0, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sinkhorn(cost: Var, a: Var, b: Var, temperature: f64, n_steps: usize) -> Var {
    if !positive("sinkhorn", "temperature", temperature, "the colder, the nearer to the cheapest transport") {
        return cost;
    }
    let shape = cost.shape();
    if a.rank() != 1 || b.rank() != 1 || shape[..] != [a.shape()[0], b.shape()[0]] {
        refuse(
            format!("sinkhorn: found costs {} for masses {} and {}", cost.ty(), a.ty(), b.ty()),
            "costs have one row for each mass of a and one column for each of b",
        );
        return cost;
    }
    let kernel = cost * (-1.0 / temperature);
    let (log_a, log_b) = (a.log(), b.log());
    let row = |f: Var| f.broadcast(shape.clone(), &[0]);
    let column = |g: Var| g.broadcast(shape.clone(), &[1]);
    let start = (full(cost.dtype(), a.shape(), 0.0), full(cost.dtype(), b.shape(), 0.0));
    let (f, g) = scan(n_steps).repeat(start, |(_, g)| {
        let f = log_a - (kernel + column(g)).logsumexp(&[1]);
        let g = log_b - (kernel + row(f)).logsumexp(&[0]);
        (f, g)
    });
    (kernel + row(f) + column(g)).exp()
}
