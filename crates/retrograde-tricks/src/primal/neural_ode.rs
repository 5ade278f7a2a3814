//! Neural ordinary differential equations: a layer that follows the field of a network for a while.
//!
//! [`NeuralOde::apply`] has the derivative of the steps that were taken. Law: exact. [`NeuralOde::continuous`] integrates the adjoint
//! equation backwards instead, which is the derivative of other steps and differs by their error.

use retrograde_array::Array;
use retrograde_core::prim::Tape;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Var};
use retrograde_derive::Tree;
use retrograde_solve::ode::{FirstOrder, Tableau, backward_adjoint};

use super::dense::Mlp;
use crate::catalogue::{Law, Property, Source, Trick};

/// Layers as flows.
pub const NEURAL_ODE: Trick = Trick {
    id: "A19",
    name: "neural ODE",
    formula: "y' = f(y, w) for n steps of h; derivative of the steps, or of a' = -f_y' a integrated backwards",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "L. S. Pontryagin and V. G. Boltyanskii and R. V. Gamkrelidze and E. F. Mishchenko",
            title: "The mathematical theory of optimal processes",
            venue: "Interscience",
            year: 1962,
        },
        Source {
            authors: "R. T. Q. Chen and Y. Rubanova and J. Bettencourt and D. Duvenaud",
            title: "Neural ordinary differential equations",
            venue: "Advances in Neural Information Processing Systems 31",
            year: 2018,
        },
    ],
    file: file!(),
    example: "NeuralOde",
    property: Property {
        claim: "the discrete gradient is that of the tape to the bit under every policy; the continuous one differs from it by O(h^p)",
        test: "the_continuous_adjoint_differs_by_the_order_of_the_method",
        found: "measured orders 1.00 (Euler), 2.99 (Heun), 2.97 (Bogacki-Shampine), 3.98 (RK4); bound p - 0.25",
    },
};

/// The flow of a field along `n_steps` steps of a Runge–Kutta method.   x: `[n, width]` → `[n, width]`.
///
/// # Errors
/// At the front door: a field that does not keep the width, a step that is zero or not finite.
/// # Cost
/// As many evaluations of the field as steps have stages; the derivative remembers what the policy says.
/// # Source
/// [`NEURAL_ODE`]: Chen et al. 2018, eq. 2; methods are those of `retrograde_solve::ode`.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::prim::Checkpoint;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_solve::ode;
/// use retrograde_tricks::primal::{dense::{Activation, Mlp}, neural_ode::NeuralOde};
/// let field = Mlp::xavier(Key::from_seed(1), 3, &[8], 3, Activation::Tanh, DType::F64);
/// let layer = NeuralOde { field, method: ode::RK4, step_s: 0.1, n_steps: 10, tape: None };
/// let x = normal(Key::from_seed(2), [5, 3]);
/// let loss = |layer: NeuralOde<Var>, x: Var| layer.apply(x).sum();
/// let (store, few) = (grad(loss), grad(loss).tape(Checkpoint::Sqrt));
/// let (a, b) = (store.call((&layer, &x))?, few.call((&layer, &x))?);
/// assert!(a.field.head.weight.bits_eq(&b.field.head.weight));
/// assert!(few.last_tape().tape_bytes() < store.last_tape().tape_bytes());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct NeuralOde<T> {
    /// From a state to its rate of change: as wide in as out.
    pub field: Mlp<T>,
    /// The method of the steps.
    pub method: Tableau,
    /// The size of a step, in units of time.
    pub step_s: f64,
    /// How many steps.
    pub n_steps: usize,
    /// What the derivative remembers of the steps; `None`: what the front door says.
    pub tape: Option<Tape>,
}

impl NeuralOde<Var> {
    /// The state after all steps.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let solver = FirstOrder::new(self.method, |y: Var| self.field.apply(y)).step(self.step_s);
        let run = solver.run(x, self.n_steps);
        match self.tape {
            Some(policy) => run.tape(policy).end(),
            None => run.end(),
        }
    }
}

impl NeuralOde<Array> {
    /// The loss of the last state and its gradient by the adjoint equation: of x and of the field.
    ///
    /// Inexact: it differs from the gradient of [`NeuralOde::apply`] by the error of the steps.
    ///
    /// # Errors
    /// Where the way back misses x by more than `tolerance` of its size; mistakes in field and loss.
    ///
    /// ```
    /// use retrograde_array::{DType, rng::{Key, normal}};
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_solve::ode;
    /// use retrograde_tricks::primal::{dense::{Activation, Mlp}, neural_ode::NeuralOde};
    /// let field = Mlp::xavier(Key::from_seed(1), 3, &[8], 3, Activation::Tanh, DType::F64);
    /// let layer = NeuralOde { field, method: ode::RK4, step_s: 0.05, n_steps: 20, tape: None };
    /// let x = normal(Key::from_seed(2), [5, 3]);
    /// let (_, (x_bar, _)) = layer.continuous(&x, |y: Var| (y * y).sum(), 1e-3)?;
    /// let loss = |x: Var, layer: NeuralOde<Var>| {
    ///     let y = layer.apply(x);
    ///     (y * y).sum()
    /// };
    /// let exact = grad(loss).call((&x, &layer))?;
    /// let (a, b) = (x_bar.to_vec::<f64>().unwrap(), exact.to_vec::<f64>().unwrap());
    /// assert!(a != b && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn continuous(
        &self,
        x: &Array,
        loss: impl Fn(Var) -> Var,
        tolerance: f64,
    ) -> Result<(Array, (Array, Mlp<Array>)), Error> {
        // Parameters are part of the state and do not move.
        let field = |(y, field): (Var, Mlp<Var>)| {
            (field.apply(y), field.map_vars(&mut |leaf| full(leaf.dtype(), leaf.shape(), 0.0)))
        };
        let solver = FirstOrder::new(self.method, field).step(self.step_s);
        let door = backward_adjoint(solver, |(y, _): (Var, Mlp<Var>)| loss(y)).tolerance(tolerance);
        door.call(&(x.clone(), self.field.clone()), self.n_steps)
    }
}
