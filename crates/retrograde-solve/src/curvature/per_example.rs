//! The gradient of each example's loss, in one program.

use retrograde_array::Array;
use retrograde_core::trace::Error;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_engine::{grad, jit, vmap};

use super::fisher::alone;
use super::objective::same;

/// The function that is compiled: (parameters, batch) → gradients, stacked.
#[derive(Clone, Debug)]
pub struct PerExample<F> {
    loss: F,
}

/// See [`per_example_gradients`].
#[derive(Debug)]
pub struct PerExampleGradients<F, P, B> {
    run: Jit<PerExample<F>, (P, B)>,
}

/// The gradient of each example's loss.   p: a tree, batch: n rows → the tree with a leading axis of n.
///
/// The loss of an example is `loss(p, batch)` of a batch of this one row, and the mean of the gradients is that of a loss which
/// is a mean over rows.
///
/// # Errors
/// Mistakes in the loss; leaves of the batch without a common leading axis.
/// # Cost
/// That of n gradients of one example in one program, and n times the memory of the parameters. Norms alone need neither:
/// [`per_example_norms`](super::per_example_norms()).
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::per_example_gradients;
/// let loss = |p: Var, x: Var| { let y = x.dot(p); (y * y).mean() };
/// let (p, x) = (array([1.0, 1.0]), array([[1.0, 0.0], [1.0, 2.0]]));
/// assert_eq!(per_example_gradients(loss).call((&p, &x))?, array([[2.0, 0.0], [6.0, 12.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn per_example_gradients<F, P: Traceable, B: Traceable>(loss: F) -> PerExampleGradients<F, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    PerExampleGradients { run: jit(PerExample { loss }) }
}

impl<F, P: Traceable, B: Traceable> PerExampleGradients<F, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    /// The gradients, stacked.
    ///
    /// # Errors
    /// See [`per_example_gradients`].
    pub fn call(&self, inputs: (&P::Arrays, &B::Arrays)) -> Result<P::Arrays, Error> {
        self.run.call(inputs)
    }
}

impl<F, P: Traceable, B: Traceable> Function<(P, B)> for PerExample<F>
where
    F: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch): (P, B)) -> P {
        let of_row = |row: B| grad(|p: P| self.loss.apply((p, alone(&row)))).at(same(&p));
        vmap(of_row).apply((batch,))
    }
}

/// How many rows a batch has: the leading axis of its first leaf.
pub(crate) fn n_rows<T: retrograde_core::trace::Tree<Leaf = Array>>(batch: &T) -> usize {
    super::product::arrays(batch).first().and_then(|leaf| leaf.shape().first().copied()).unwrap_or(0)
}
