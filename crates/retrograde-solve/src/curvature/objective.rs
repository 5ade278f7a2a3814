//! What curvature is taken of: a loss, or a model and a loss of its outputs.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::{Function, Traceable};

/// A loss whose outputs are known: `loss(model(parameters, batch), batch)`.
///
/// It is a function of parameters and batch like any other, so that every door takes it; the Gauss–Newton product and Fisher's
/// need to know where the outputs are.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_solve::curvature::fitted;
/// let line = |slope: Var, (x, _): (Var, Var)| slope.spread(x.shape()) * x;
/// let squares = |found: Var, (_, y): (Var, Var)| ((found - y) * (found - y)).mean();
/// let batch = (array([1.0, 2.0]), array([2.0, 4.0]));
/// assert_eq!(grad(fitted(line, squares)).call((&array(1.0), &batch))?, array(-5.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fitted<M, L> {
    pub(crate) model: M,
    pub(crate) loss: L,
}

/// See [`Fitted`].
pub fn fitted<M, L>(model: M, loss: L) -> Fitted<M, L> {
    Fitted { model, loss }
}

impl<M, L, P: Traceable, B: Traceable> Function<(P, B)> for Fitted<M, L>
where
    M: Function<(P, B)>,
    L: Function<(M::Output, B), Output = Var>,
{
    type Output = Var;
    fn apply(&self, (parameters, batch): (P, B)) -> Var {
        let outputs = self.model.apply((parameters, same(&batch)));
        self.loss.apply((outputs, batch))
    }
}

/// The same traced values.
pub(crate) fn same<T: Traceable>(tree: &T) -> T {
    tree.map_vars(&mut |leaf| *leaf)
}

/// A tree like `like` of these traced values.
pub(crate) fn with_leaves<T: Traceable>(like: &T, leaves: &[Var]) -> T {
    let mut next = leaves.iter();
    like.map_vars(&mut |old| next.next().copied().unwrap_or(*old))
}

/// The traced values of a tree, in order.
pub(crate) fn leaves<T: Traceable>(tree: &T) -> Vec<Var> {
    retrograde_core::trace::tree::leaves(tree).into_iter().map(|(_, leaf)| leaf).collect()
}
