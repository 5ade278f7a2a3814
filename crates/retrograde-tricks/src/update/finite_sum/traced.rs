//! The user's functions of one example, traced on flat parameters: sums over examples, their derivatives and products.

use retrograde_array::{DType, array};
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::{constant, stack};
use retrograde_core::trace::{Var, mistake};

/// A function of flat parameters, or of outputs, and the leaves of an example.
pub(super) type OfExample = Box<dyn Fn(Var, &[Var]) -> Var>;

/// The user's functions on flat parameters.
pub(super) struct Traced {
    /// m(w, x).
    pub(super) outputs: OfExample,
    /// ℓ(z, x), one number.
    pub(super) loss: OfExample,
    /// Whether there is a model beside the loss; else m is all of it and ℓ the identity.
    pub(super) split: bool,
    pub(super) location: Location,
}

impl Traced {
    fn loss_of(&self, z: Var, x: &[Var]) -> Var {
        let loss = (self.loss)(z, x);
        if loss.rank() != 0 || !loss.dtype().is_float() {
            let what =
                format!("finite sum: the loss of an example is {}, expected one number (rank 0)", loss.ty());
            let help = "the functions see one example at a time, without the leading axis of the data";
            mistake(Diagnostic::new(what, Some(self.location)).help(help));
            return constant(&array(0.0));
        }
        if loss.dtype() == DType::F64 { loss } else { loss.convert(DType::F64) }
    }
    /// Σ over examples, without the penalty.
    pub(super) fn sum(&self, w: Var, examples: Vec<Var>) -> Var {
        let each = |x: Vec<Var>| self.loss_of((self.outputs)(w, &x), &x);
        door::vmap(each).apply((examples,)).sum()
    }
    /// m of each example, as rows.
    fn rows_of_outputs(&self, w: Var, examples: Vec<Var>) -> Var {
        door::vmap(|x: Vec<Var>| flat((self.outputs)(w, &x))).apply((examples,))
    }
    /// Σ Jᵀ ∇²ℓ J v.
    pub(super) fn gauss_newton(&self, w: Var, examples: Vec<Var>, v: Var) -> Var {
        if !self.split {
            return door::hvp(|w: Var, x: Vec<Var>| self.sum(w, x)).at((w, examples), &v);
        }
        let bent = |x: Vec<Var>| {
            let (z, dots) = door::jvp(|w: Var| (self.outputs)(w, &x)).at(w, &v);
            flat(door::hvp(|z: Var| self.loss_of(z, &x)).at(z, &dots[0]))
        };
        let bent = door::vmap(bent).apply((examples.clone(),));
        door::grad(|w: Var| wide(self.rows_of_outputs(w, examples.clone()) * bent).sum()).at(w)
    }
    /// ∇²ℓ of each example: `[b, k, k]`.
    pub(super) fn loss_curvature(&self, w: Var, examples: Vec<Var>) -> Var {
        let of_example = |x: Vec<Var>| {
            let z = (self.outputs)(w, &x);
            let k = z.shape().size();
            let unit = eye(z.dtype(), k);
            let column = |e: Var| flat(door::hvp(|z: Var| self.loss_of(z, &x)).at(z, &e.reshape(z.shape())));
            wide(door::vmap(column).apply((unit,)))
        };
        door::vmap(of_example).apply((examples,))
    }
    /// uᵢᵀ J of each example, `[b, d]`.
    pub(super) fn pulled_back(&self, w: Var, examples: Vec<Var>, u: Var) -> Var {
        let of_example = |x: Vec<Var>, u: Var| {
            door::grad(|w: Var| {
                let z = flat((self.outputs)(w, &x));
                wide(z * if z.dtype() == DType::F64 { u } else { u.convert(z.dtype()) }).sum()
            })
            .at(w)
        };
        door::vmap(of_example).apply((examples, u))
    }
    /// The gradient of each example's loss, `[b, d]`.
    pub(super) fn gradients(&self, w: Var, examples: Vec<Var>) -> Var {
        let of_example = |x: Vec<Var>| door::grad(|w: Var| self.loss_of((self.outputs)(w, &x), &x)).at(w);
        door::vmap(of_example).apply((examples,))
    }
    /// The matrix Σ ∇²ℓᵢ, `[d, d]`.
    pub(super) fn hessian(&self, w: Var, examples: Vec<Var>) -> Var {
        let unit = eye(DType::F64, w.shape().size());
        let column = |e: Var| door::hvp(|w: Var, x: Vec<Var>| self.sum(w, x)).at((w, examples.clone()), &e);
        door::vmap(column).apply((unit,))
    }
    /// x₀ = v₀ = 0, vₖ₊₁ = β vₖ + η P (g − Ĥₖ xₖ), xₖ₊₁ = xₖ + vₖ₊₁; the mean of the iterates by their weights.
    /// `more`: batches `[K, b]`, weights `[K]`, g `[d]`, and then η, β, λ, P's gain outside, directions `[d, r]`, gains inside `[r]`.
    pub(super) fn recursion(&self, w: Var, data: Vec<Var>, more: Vec<Var>) -> Var {
        let [batches, weights, g, eta, beta, l2, base, directions, gains] = more[..] else {
            unreachable!("nine values; this is a bug in retrograde")
        };
        let b = batches.shape()[1] as f64;
        let zero = 0.0 * g;
        let step = |(x, v, mean): (Var, Var, Var), (batch, weight): (Var, Var)| {
            let rows = at_rows(&data, batch);
            let bent = door::hvp(|w: Var, x: Vec<Var>| self.sum(w, x)).at((w, rows), &x);
            let r = g - bent / b - l2 * x;
            let preconditioned = base * r + directions.dot(gains * r.dot(directions));
            let v = beta * v + eta * preconditioned;
            let x = x + v;
            ((x, v, mean + weight * x), Vec::<Var>::new())
        };
        scan_over().run((zero, zero, zero), (batches, weights), step).0.2
    }
}

/// Entries at some places along the first axis.
pub(super) fn at_rows(data: &[Var], places: Var) -> Vec<Var> {
    data.iter().map(|leaf| leaf.gather(0, places)).collect()
}

/// `[i, 0]`: where row i of a matrix begins.
pub(super) fn row_start(i: Var) -> Var {
    stack(&[i, constant(&array(0_i64))])
}

fn flat(z: Var) -> Var {
    if z.rank() == 1 { z } else { z.reshape([z.shape().size()]) }
}

fn wide(z: Var) -> Var {
    if z.dtype() == DType::F64 { z } else { z.convert(DType::F64) }
}

/// The tree of a flat traced vector.
pub(super) fn unflattened<P: Traceable>(like: &P::Arrays, w: Var) -> P {
    let mut start = 0;
    P::from_arrays(like, &mut |leaf| {
        let part = w.slice(0, start..start + leaf.size());
        start += leaf.size();
        let shaped = if leaf.rank() == 1 { part } else { part.reshape(leaf.shape().clone()) };
        if leaf.dtype() == DType::F64 { shaped } else { shaped.convert(leaf.dtype()) }
    })
}
