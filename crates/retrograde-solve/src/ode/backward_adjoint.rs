//! The gradient by integrating state and adjoint backwards from the end: nothing is kept, and nothing is promised.
//!
//! The adjoint a' = -f'(y)ᵀ a needs y at earlier times, which comes from running the field backwards. Where the flow contracts,
//! this amplifies every error exponentially, and the gradient is wrong without a sign of it. Therefore the reconstructed
//! start is compared with the true one, and the answer refused where they differ.

use retrograde_array::{Array, DType};
use retrograde_core::ir::Location;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Var, tree};
use retrograde_engine::{grad, jit, value_and_grad};

use super::method::Method;
use super::run::FirstOrder;
use super::state::{leaves, same, with_leaves};

/// The part of its size by which the reconstructed start may be off, until `.tolerance` says otherwise.
const TOLERANCE: f64 = 1e-6;

/// See [`backward_adjoint`].
#[derive(Clone, Copy, Debug)]
pub struct BackwardAdjoint<M, F, L> {
    forward: FirstOrder<M, F>,
    loss: L,
    tolerance: f64,
    location: Location,
}

/// The gradient of a loss of the state after steps of `solver`, by integrating the adjoint equation backwards with the same steps.
///
/// Inexact: the result is that of another discretisation, which differs from the derivative of the steps taken by their error, and by
/// what the way back loses. For exact gradients in little memory, `.run(..).tape(Tape::Reverse)` or `.tape(Checkpoint::Sqrt)`.
/// Parameters of the field, to be differentiated, are leaves of the state with the rate zero.
///
/// # Errors
/// From `call`: mistakes in field and loss, and a start that the way back misses by more than the tolerance.
/// # Cost
/// The steps, and as many backwards of about four times the field; keeps one state. Traced anew in each call.
/// # Source
/// R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural ordinary differential equations, Advances in Neural Information
/// Processing Systems 31 (2018), algorithm 1.
///
/// ```
/// use retrograde_core::trace::Var;
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let turn = ode::rk4(|(q, v): (Var, Var)| (v, -q)).step(0.01);
/// let door = ode::backward_adjoint(turn, |(q, _): (Var, Var)| q);
/// let (value, (by_q, by_v)) = door.call(&(array(1.0), array(0.0)), 100)?;
/// let close = |x: &retrograde_array::Array, y: f64| (x.item::<f64>().unwrap() - y).abs() < 1e-9;
/// assert!(close(&value, 1f64.cos()) && close(&by_q, 1f64.cos()) && close(&by_v, 1f64.sin()));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn backward_adjoint<M, F, L>(solver: FirstOrder<M, F>, loss: L) -> BackwardAdjoint<M, F, L> {
    let location = Location(std::panic::Location::caller());
    BackwardAdjoint { forward: solver, loss, tolerance: TOLERANCE, location }
}

impl<M: Method + Copy, F, L> BackwardAdjoint<M, F, L> {
    /// The largest difference between the true start and the reconstructed one that is accepted, over the largest magnitude of
    /// the start (1e-6 until said otherwise).
    ///
    /// ```
    /// use retrograde_core::trace::Var;
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// // Euler backwards is not the inverse of Euler forwards.
    /// let decay = ode::euler(|y: Var| -y).step(0.1);
    /// let door = ode::backward_adjoint(decay, |y: Var| y);
    /// assert!(door.call(&array(1.0), 10).is_err());
    /// assert!(door.tolerance(0.5).call(&array(1.0), 10).is_ok());
    /// ```
    pub fn tolerance(self, tolerance: f64) -> Self {
        BackwardAdjoint { tolerance, ..self }
    }
    /// The loss after `n_steps` steps, and its gradient with respect to the first state.
    ///
    /// # Errors
    /// See [`backward_adjoint`].
    pub fn call<S: Traceable>(&self, start: &S::Arrays, n_steps: usize) -> Result<(Array, S::Arrays), Error>
    where
        F: Fn(S) -> S,
        L: Fn(S) -> Var,
    {
        let there_and_back = |start: S| {
            let end = self.forward.run(same(&start), n_steps).end();
            let (value, adjoint) =
                value_and_grad(|end: S| (self.loss)(end)).at(end.map_vars(&mut |leaf| *leaf));
            // State and adjoint as one list of leaves.
            let rates = |both: Vec<Var>| {
                let (y, adjoint) = both.split_at(both.len() / 2);
                let along = |y: S| {
                    let terms = leaves(&(self.forward.field)(y)).into_iter().zip(adjoint);
                    terms.map(|(rate, a)| (rate * *a).sum()).reduce(|sum, term| sum + term)
                };
                let nothing = || full(DType::F64, [], 0.0);
                let pulled = grad(|y: S| along(y).unwrap_or_else(nothing)).at(with_leaves(&start, y));
                let rate = (self.forward.field)(with_leaves(&start, y));
                let opposite = leaves(&pulled).into_iter().map(|pulled| -pulled);
                leaves(&rate).into_iter().chain(opposite).collect::<Vec<Var>>()
            };
            let h = -self.forward.step_s.unwrap_or(super::run::STEP);
            let back = FirstOrder::new(self.forward.method, rates).step(h);
            let both = [leaves(&end), leaves(&adjoint)].concat();
            let mut both = back.run(both, n_steps).end();
            let adjoint = both.split_off(both.len() / 2);
            (value, both, adjoint)
        };
        let (value, reconstructed, adjoint) = jit(there_and_back).call(start)?;
        let first: Vec<Array> = tree::leaves(start).into_iter().map(|(_, leaf)| leaf).collect();
        let off = distance(&first, &reconstructed);
        if off.is_nan() || off > self.tolerance {
            return Err(Error::Input {
                message: format!(
                    "backward_adjoint: integrating backwards misses the start by {off:.1e} of its size, expected at most {:.1e}: the gradient would be wrong",
                    self.tolerance
                ),
                location: self.location,
                help: "take the gradient of `.run(start, n_steps).tape(Tape::Reverse)` or `.tape(Checkpoint::Sqrt)`, which is exact; smaller steps help only where the flow does not contract".into(),
            });
        }
        let mut next = adjoint.into_iter();
        let gradient = S::map_arrays(start, &mut |leaf| {
            next.next().unwrap_or_else(|| Array::zeros(leaf.dtype(), leaf.shape()))
        });
        Ok((value, gradient))
    }
}

/// The largest difference over the largest magnitude; NaN where there is one.
fn distance(truth: &[Array], found: &[Array]) -> f64 {
    let numbers = |arrays: &[Array]| -> Vec<f64> {
        let wide = arrays.iter().map(|a| retrograde_array::ops::convert(a, DType::F64));
        wide.flat_map(|a| a.to_vec::<f64>().unwrap_or_default()).collect()
    };
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0, |max: f64, x| if x.is_nan() || max.is_nan() { f64::NAN } else { max.max(x.abs()) })
    };
    let (truth, found) = (numbers(truth), numbers(found));
    let off = largest(&mut truth.iter().zip(&found).map(|(t, f)| t - f));
    let size = largest(&mut truth.iter().copied());
    if off == 0.0 { 0.0 } else { off / if size == 0.0 { 1.0 } else { size } }
}
