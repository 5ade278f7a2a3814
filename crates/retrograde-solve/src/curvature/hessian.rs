//! The Hessian's product as a [`Product`], which can be told to consume a batch.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_engine::hvp;

use super::objective::same;
use super::product::Product;

/// The function that is compiled: (parameters, batch, v) → H v.
#[derive(Clone, Debug)]
pub struct Hessian<F> {
    loss: F,
}

/// `H v` of a loss of parameters and a batch.   p, v: a tree of parameters → the same tree.
///
/// What `retrograde_engine::hvp` computes; as a [`Product`] it can consume a [`Batch`](super::Batch).
///
/// # Errors
/// See [`Product`].
/// # Cost
/// A small multiple of the gradient.
/// # Source
/// B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::hessian_vp;
/// let product = hessian_vp(|p: Var, x: Var| (p * p * p * x).sum());
/// assert_eq!(product.call((&array([1.0, 2.0]), &array([1.0, 10.0])), &array([1.0, 1.0]))?, array([6.0, 120.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn hessian_vp<F, P: Traceable, B: Traceable>(loss: F) -> Product<Hessian<F>, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    Product::new(Hessian { loss })
}

impl<F, P: Traceable, B: Traceable> Function<(P, B, P)> for Hessian<F>
where
    F: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch, v): (P, B, P)) -> P {
        hvp(|p: P| self.loss.apply((p, same(&batch)))).at(p, &v)
    }
}
