//! Reversible Heun: `y += h/2 f(z); z = 2y - z; y += h/2 f(z)`, z a companion that starts at y.
//!
//! Second order. Each line updates one variable by the other, so `Tape::Reverse` turns a step round exactly for any field, at
//! a fraction of a bit per value. Halves of neighbouring steps are one: `y += h/2 f(z)` opens a run, `z = 2y - z; y += h f(z)` is
//! a step, `y -= h/2 f(z)` closes it. The price is stability: on systems that contract, y and z drift apart and the run
//! explodes, whatever the step. The facts do not say `symmetric`, as a step of -h undoes one of h for y and z together only.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;

use super::method::{Facts, Field, Method, Step};
use super::run::FirstOrder;

const CITE: &str = "P. Kidger, J. Foster, X. Li, T. Lyons, Efficient and accurate gradients for neural SDEs, Advances in Neural Information Processing Systems 34 (2021)";

/// Reversible Heun.
#[derive(Clone, Copy, Debug)]
pub struct ReversibleHeun;

/// y += c h f(z), leaf by leaf.
fn kick(field: &Field<'_>, y: &[Var], z: &[Var], c: f64, h: f64) -> Vec<Var> {
    let rates = field.at(z);
    field.own(|| y.iter().zip(rates).map(|(y, rate)| *y + Step::Given(h).times(c, rate)).collect())
}

impl Method for ReversibleHeun {
    fn facts(&self) -> Facts {
        Facts {
            name: "reversible_heun",
            order: 2,
            evaluations: 1,
            symmetric: false,
            symplectic: false,
            l_stable: false,
            reversible: true,
            cite: CITE,
        }
    }
    fn open(&self, field: &Field<'_>, z: Vec<Var>, h: f64) -> Vec<Var> {
        [kick(field, &z, &z, 0.5, h), z].concat()
    }
    fn step(&self, field: &Field<'_>, both: Vec<Var>, h: f64) -> Vec<Var> {
        let (y, z) = both.split_at(both.len() / 2);
        let z: Vec<Var> = field.own(|| y.iter().zip(z).map(|(y, z)| 2.0 * *y - *z).collect());
        [kick(field, y, &z, 1.0, h), z].concat()
    }
    fn close(&self, field: &Field<'_>, both: Vec<Var>, h: f64) -> Vec<Var> {
        let (y, z) = both.split_at(both.len() / 2);
        kick(field, y, z, -0.5, h)
    }
}

/// Reversible Heun for y' = f(y): order 2, one evaluation of f in a step and two more in a run; any field reverses to the bit under
/// `Tape::Reverse`. For short runs of smooth fields, such as neural ones; unstable on systems that contract.
///
/// Errors and cost: [`Run`](super::Run). Source: Kidger, Foster, Li & Lyons 2021.
///
/// ```
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let pendulum = ode::reversible_heun(|(q, v): (Var, Var)| (v, -q.sin())).step(0.01);
/// let miss = grad(|s: (Var, Var)| pendulum.run(s, 100).tape(Tape::Reverse).distance_to(0.3));
/// miss.call(&(array(1.0), array(0.0)))?;
/// assert!(miss.last_tape().tape_bytes() < 200); // 100 steps of two states would be 1,600 at the least
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn reversible_heun<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<ReversibleHeun, F> {
    FirstOrder::new(ReversibleHeun, field)
}
