//! The Rosenbrock method RODAS3, orders 3 and 2, for stiff systems.
//!
//! With W = I/(γ h) - J and J = f'(y), stage i solves `W u_i = f(y + Σ_j a_ij u_j) + Σ_j c_ij u_j / h`, then `y += Σ_i m_i u_i`.
//! L-stable, stiffly accurate; three evaluations, one Jacobian and no iteration in a step. Within a step, the cubic with the
//! values and rates at both ends.

use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Var, linalg};

use super::method::{Facts, Field, Method, Step};
use super::packed::Packing;
use super::run::FirstOrder;
use super::tableau::{Dense, Embedded, Trial};

const CITE: &str = "A. Sandu, J. G. Verwer, J. G. Blom, E. J. Spee, G. R. Carmichael, F. A. Potra, Benchmarking stiff ODE solvers for atmospheric chemistry problems II: Rosenbrock solvers, Atmospheric Environment 31 (1997) 3459-3472";

const GAMMA: f64 = 0.5;
const A: [&[f64]; 4] = [&[], &[0.0], &[2.0, 0.0], &[2.0, 0.0, 1.0]];
const C: [&[f64]; 4] = [&[], &[4.0], &[1.0, -1.0], &[1.0, -1.0, -8.0 / 3.0]];
const M: [f64; 4] = [2.0, 0.0, 1.0, 1.0];

/// The Rosenbrock method RODAS3.
#[derive(Clone, Copy, Debug)]
pub struct Rodas3;

/// The next vector and the estimate of its error, u₄.
fn advance(field: &Field<'_>, packing: &Packing<'_>, y: Var, rate: Var, h: Step) -> (Var, Var) {
    let jacobian = packing.jacobian(y);
    let w = field.own(|| h.over(1.0 / GAMMA, packing.eye()) - jacobian);
    let mut u: Vec<Var> = vec![];
    let sum = |weights: &[f64], u: &[Var], start: Var| {
        let terms = weights.iter().zip(u).filter(|(w, _)| **w != 0.0);
        terms.fold(start, |sum, (&w, &u)| sum + w * u)
    };
    for (a, c) in A.iter().zip(C) {
        // A stage at y itself has its rate already.
        let moves = a.iter().any(|a| *a != 0.0);
        let rate = if moves { packing.rate(field.own(|| sum(a, &u, y))) } else { rate };
        let stage = field.own(|| {
            let side = c.iter().zip(&u).fold(rate, |side, (&c, &u)| side + h.over(c, u));
            linalg::solve(w, side)
        });
        u.push(stage);
    }
    (field.own(|| sum(&M, &u, y)), u[3])
}

impl Method for Rodas3 {
    fn facts(&self) -> Facts {
        Facts {
            name: "rodas3",
            order: 3,
            evaluations: 3,
            symmetric: false,
            symplectic: false,
            l_stable: true,
            reversible: false,
            cite: CITE,
        }
    }
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        let Some(packing) = Packing::new(field, &y) else { return y };
        let start = packing.pack(&y);
        let rate = packing.rate(start);
        packing.unpack(advance(field, &packing, start, rate, Step::Given(h)).0)
    }
}

impl Embedded for Rodas3 {
    fn error_order(&self) -> u32 {
        2
    }
    fn dense(&self) -> Dense {
        Dense { order: 3, polynomials: &[&[0.0, 3.0, -2.0], &[1.0, -2.0, 1.0], &[0.0, -1.0, 1.0]] }
    }
    fn trial(&self, field: &Field<'_>, y: &[Var], rate: &[Var], h: Var) -> Trial {
        let Some(packing) = Packing::new(field, y) else {
            let [next, error] = [y.to_vec(), y.to_vec()];
            return Trial { next, rate: rate.to_vec(), error, parts: vec![y.to_vec(); 3] };
        };
        let (start, first) = (packing.pack(y), packing.pack(rate));
        let h = Step::Chosen(h);
        let (end, error) = advance(field, &packing, start, first, h);
        let last = packing.rate(end);
        let parts = field.own(|| [end - start, h.times(1.0, first), h.times(1.0, last)]);
        Trial {
            next: packing.unpack(end),
            rate: packing.unpack(last),
            error: packing.unpack(error),
            parts: parts.into_iter().map(|part| packing.unpack(part)).collect(),
        }
    }
}

/// The Rosenbrock method RODAS3 for stiff y' = f(y): order 3, L-stable, three evaluations of f, one Jacobian and four linear systems
/// in a step. Steps of fixed size or adaptive ones; order 3 within a step.
///
/// All leaves of the state have one dtype. In a build without the cargo feature `linalg` it is an error when the program
/// runs.
///
/// # Errors
/// Those of [`Run`](super::Run) and [`AdaptiveRun`](super::AdaptiveRun), and leaves of several dtypes.
/// # Cost
/// In each step n forward derivatives of f and 8n³/3 flops, n values in the state.
/// # Source
/// Sandu et al. 1997.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// // A million times faster than the step: rk4 would give 10^99.
/// let decay = ode::rodas3(|y: Var| -1e6 * (y - 2.0)).step(1.0);
/// let end = jit(|y: Var| decay.run(y, 3).end()).call(&array(1.0))?;
/// assert!((end.item::<f64>().unwrap() - 2.0).abs() < 1e-12);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn rodas3<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Rodas3, F> {
    FirstOrder::new(Rodas3, field)
}
