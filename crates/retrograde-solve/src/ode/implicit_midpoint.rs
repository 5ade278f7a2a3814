//! The implicit midpoint rule: `y' = y + h f((y + y') / 2)`.
//!
//! Second order, symmetric, symplectic, A-stable; keeps quadratic invariants.

use retrograde_core::trace::control::scan;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, linalg};

use super::method::{Facts, Field, Method};
use super::packed::Packing;
use super::run::FirstOrder;

const CITE: &str =
    "E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), II.1.1 and VI.4.1";

/// Newton's iterations in a step. From the rate at y the error is h² L², then its square, and so on: below rounding after four.
const ITERATIONS: usize = 5;
/// The last iteration moves the midpoint by less than this part of its size, so that the next one would by its square.
const CONVERGED: f64 = 1e-8;

/// The implicit midpoint rule.
#[derive(Clone, Copy, Debug)]
pub struct ImplicitMidpoint;

impl Method for ImplicitMidpoint {
    fn facts(&self) -> Facts {
        Facts {
            name: "implicit_midpoint",
            order: 2,
            evaluations: ITERATIONS as u32 + 1,
            symmetric: true,
            symplectic: true,
            l_stable: false,
            reversible: false,
            cite: CITE,
        }
    }
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        let Some(packing) = Packing::new(field, &y) else { return y };
        let start = packing.pack(&y);
        let rate = packing.rate(start);
        let first = field.own(|| start + (0.5 * h) * rate);
        // The midpoint m solves m = y + h/2 f(m).
        let newton = |(m, _): (Var, Var)| {
            let (rate, jacobian) = (packing.rate(m), packing.jacobian(m));
            field.own(|| {
                let residual = m - start - (0.5 * h) * rate;
                let change = linalg::solve(packing.eye() - (0.5 * h) * jacobian, residual);
                (m - change, change)
            })
        };
        let (m, change) = scan(ITERATIONS).repeat((first, first), newton);
        let end = field.own(|| {
            let size = |x: Var| (x * x).sum();
            let converged = size(change).le(CONVERGED * CONVERGED * (size(m) + size(start)));
            select(converged, 2.0 * m - start, full(m.dtype(), m.shape(), f64::NAN))
        });
        packing.unpack(end)
    }
}

/// The implicit midpoint rule for y' = f(y): order 2, symplectic, for stiff or oscillating systems whose energy should neither grow
/// nor decay.
///
/// All leaves of the state have one dtype. A step whose Newton iteration has not converged gives NaN: take a smaller one.
/// Derivatives of every order run through the iterations. In a build without the cargo feature `linalg` it is an error when
/// the program runs.
///
/// # Errors
/// Those of [`Run`](super::Run), and leaves of several dtypes.
/// # Cost
/// In each step five Jacobians of f, each with n forward derivatives and the solution of an n × n system, n values in the
/// state.
/// # Source
/// Hairer, Lubich & Wanner 2006, II.1.1.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::implicit_midpoint(|(q, v): (Var, Var)| (v, -q)).step(0.1);
/// let (q, v) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// let (q, v) = (q.item::<f64>().unwrap(), v.item::<f64>().unwrap());
/// assert!((q * q + v * v - 1.0).abs() < 1e-13);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn implicit_midpoint<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<ImplicitMidpoint, F> {
    FirstOrder::new(ImplicitMidpoint, field)
}
