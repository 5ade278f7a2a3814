//! The Gauss–Newton product `Jᵀ H_L J v`: curvature of the loss seen through a model taken as linear.
//!
//! ```text
//! o = model(p, batch)        J = ∂o/∂p        H_L = ∂²loss/∂o²
//! ```
//!
//! Positive semidefinite wherever the loss is convex in the outputs, which the Hessian of a network is not; equal to it where the
//! model is linear in its parameters. For the negative log-likelihood of a natural parameter it is Fisher's matrix.
//!
//! Source: N. N. Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, Neural Computation 14
//! (2002) 1723–1738, section 3; J. Martens, New insights and perspectives on the natural gradient method, JMLR 21 (2020).

use retrograde_core::trace::Var;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_engine::{grad, hvp, jvp};

use super::objective::{Fitted, leaves, same, with_leaves};
use super::product::Product;

/// The function that is compiled: (parameters, batch, v) → Jᵀ H_L J v.
#[derive(Clone, Debug)]
pub struct GaussNewton<M, L>(pub(crate) Fitted<M, L>);

/// `Jᵀ H_L J v` of `loss(model(p, batch), batch)`.   p, v: a tree of parameters → the same tree.
///
/// # Errors
/// See [`Product`]; outputs that are not floating-point.
/// # Cost
/// One tangent through the model, one Hessian product of the loss, one gradient: like a Hessian product.
/// # Source
/// Schraudolph 2002.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::curvature::{fitted, gauss_newton_vp};
/// let model = |p: Var, x: Var| (p.index(0, 0).spread(x.shape()) * x).exp() * p.index(0, 1).spread(x.shape());
/// let loss = |o: Var, _: Var| (o * o).sum();
/// let (p, x, v) = (array([0.1, 2.0]), array([1.0, -1.0]), array([1.0, 0.0]));
/// let product = gauss_newton_vp(model, loss).call((&p, &x), &v)?.to_vec::<f64>().unwrap();
/// // vᵀGv is no less than zero; the Hessian has the curvature of the model as well.
/// assert!(product[0] > 0.0);
/// assert!(hvp(fitted(model, loss)).call((&p, &x), &v)?.to_vec::<f64>().unwrap()[0] > product[0]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gauss_newton_vp<M, L, P: Traceable, B: Traceable>(
    model: M,
    loss: L,
) -> Product<GaussNewton<M, L>, P, B>
where
    M: Function<(P, B)>,
    M::Output: Traceable,
    L: Function<(M::Output, B), Output = Var>,
{
    Product::new(GaussNewton(Fitted { model, loss }))
}

impl<M, L, P: Traceable, B: Traceable> Function<(P, B, P)> for GaussNewton<M, L>
where
    M: Function<(P, B)>,
    M::Output: Traceable,
    L: Function<(M::Output, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch, v): (P, B, P)) -> P {
        gauss_newton_product(&self.0, p, &batch, &v)
    }
}

pub(super) fn gauss_newton_product<M, L, P: Traceable, B: Traceable>(
    Fitted { model, loss }: &Fitted<M, L>,
    p: P,
    batch: &B,
    v: &P,
) -> P
where
    M: Function<(P, B)>,
    M::Output: Traceable,
    L: Function<(M::Output, B), Output = Var>,
{
    through(model, p, batch, v, |outputs, tangents| {
        let tangents = with_leaves(&outputs, tangents);
        let curved = hvp(|o: M::Output| loss.apply((o, same(batch)))).at(outputs, &tangents);
        leaves(&curved)
    })
}

/// `Jᵀ middle(o, J v)`: a tangent through the model, and back.
pub(super) fn through<M, P: Traceable, B: Traceable>(
    model: &M,
    p: P,
    batch: &B,
    v: &P,
    middle: impl FnOnce(M::Output, &[Var]) -> Vec<Var>,
) -> P
where
    M: Function<(P, B)>,
    M::Output: Traceable,
{
    let (outputs, tangents) = jvp(|p: P| model.apply((p, same(batch)))).at(same(&p), v);
    let cotangents = middle(outputs, &tangents);
    // The gradient of ⟨o, w⟩ with w held fixed, which a capture is. The model's equations are the same twice and stay once.
    let along = |p: P| {
        let outputs = leaves(&model.apply((p, same(batch))));
        outputs.iter().zip(&cotangents).map(|(o, w)| (*o * *w).sum()).sum::<Var>()
    };
    grad(along).at(p)
}
