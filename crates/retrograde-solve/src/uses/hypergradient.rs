//! How a number of a fit depends on what the fit was made with, from the fit alone.
//!
//! ```text
//! ŵ(h) minimises L(w, h)        V(h) = V(ŵ(h), h)
//! dV/dh = ∂V/∂h − (∂²L/∂h∂w) H⁻¹ ∂V/∂w         H = ∂²L/∂w²
//! ```
//!
//! The implicit function theorem: one solve, and the gradient with respect to h of the slope of L along its result. Nothing is
//! remembered of how ŵ was found, so it must be a minimum: the norm of ∂L/∂w is returned with the answer. A run that did not
//! converge has another derivative, that of the run; training by momentum on a lattice, `retrograde_tricks::update`, differentiates
//! the whole run backwards, exactly and without remembering it, and where the run converges both agree. Law: exact at a minimum.
//!
//! Source: J. Larsen, L. K. Hansen, C. Svarer, M. Ohlsson, Design and regularization of neural networks: the optimal use of a
//! validation set, NNSP 1996; J. Lorraine, P. Vicol, D. Duvenaud, Optimizing millions of hyperparameters by implicit
//! differentiation, AISTATS 2020, theorem 1.

use retrograde_array::{Array, ops};
use retrograde_core::ir::Location;
use retrograde_core::trace::door::{Grad, HvpDoor, Jit, ValueAndGrad};
use retrograde_core::trace::function::{Function, Traceable, expect_like};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, hvp, jit, jvp, value_and_grad};

use super::error::{Cause, UseError};
use crate::curvature::{arrays, same};
use crate::linear::flat::{norm, numbers};

/// The mixed product: (w, h, v) → ∂/∂h ⟨∂L/∂w, v⟩.
#[derive(Clone, Debug)]
pub(super) struct Mixed<F> {
    inner: F,
}

impl<F, P: Traceable, H: Traceable> Function<(P, H, P)> for Mixed<F>
where
    F: Function<(P, H), Output = Var>,
{
    type Output = H;
    fn apply(&self, (w, h, v): (P, H, P)) -> H {
        let along = |h: H| {
            let (value, slopes) = jvp(|w: P| self.inner.apply((w, same(&h)))).at(same(&w), &v);
            slopes.first().copied().unwrap_or(value)
        };
        grad(along).at(h)
    }
}

/// See [`hypergradient`].
#[derive(Debug)]
pub struct Hypergradient<F, G, P: Traceable, H: Traceable> {
    outer: ValueAndGrad<G, (P, H)>,
    outer_by_h: Grad<G, (P, H), 1>,
    inner: Grad<F, (P, H)>,
    mixed: Jit<Mixed<F>, (P, H, P)>,
    curvature: HvpDoor<F, (P, H)>,
}

/// A number of a fit and its slope by what the fit was made with.
#[derive(Clone, PartialEq, Debug)]
pub struct Hyperslope<H, C> {
    /// V.
    pub value: f64,
    /// dV/dh.
    pub slope: H,
    /// ‖∂L/∂w‖, zero at a minimum. The slope is that of the minimum near w only where this is small.
    pub gradient_norm: f64,
    /// What the inverse says of its answer.
    pub certificate: C,
}

/// The gradient of `outer(w, h)` by h where w minimises `inner(w, h)`. Data that they need they capture as constants.
///
/// The inverse is a function of a gradient: it returns `H⁻¹ g`, H the second derivatives of `inner` by w, and a certificate.
/// [`Hypergradient::curvature`] has the products that it is made of.
///
/// # Errors
/// Of [`Hypergradient::call`]: mistakes in the functions; what the inverse says; a slope that is not finite.
/// # Cost
/// One solve, two gradients of `outer`, one of `inner` and one mixed product, which costs like a Hessian product.
/// # Source
/// Larsen et al. 1996; Lorraine, Vicol, Duvenaud 2020.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::{linear::{LinearError, cg}, uses::hypergradient};
/// // The minimum of (w − 4)² + eʰ w² is at 4/(1 + eʰ), and its distance from 1 is to be small.
/// let inner = |w: Var, h: Var| (w - 4.0) * (w - 4.0) + h.exp() * w * w;
/// let outer = |w: Var, _: Var| (w - 1.0) * (w - 1.0);
/// let (w, h) = (array(2.0), array(0.0));
/// let implicit = hypergradient(inner, outer);
/// let found = implicit.call((&w, &h), |g| {
///     let found = cg(|v| implicit.curvature((&w, &h), v), g).solve()?;
///     Ok::<_, LinearError>((found.x, found.stop))
/// })?;
/// // dw/dh = −4 eʰ/(1 + eʰ)² = −1, so dV/dh = 2 (w − 1) (−1).
/// assert_eq!((found.value, found.slope, found.gradient_norm), (1.0, array(-2.0), 0.0));
/// # Ok::<(), retrograde_solve::uses::UseError>(())
/// ```
#[track_caller]
pub fn hypergradient<F, G, P: Traceable, H: Traceable>(inner: F, outer: G) -> Hypergradient<F, G, P, H>
where
    F: Function<(P, H), Output = Var> + Clone,
    G: Function<(P, H), Output = Var> + Clone,
{
    Hypergradient {
        outer: value_and_grad(outer.clone()),
        outer_by_h: grad(outer).wrt::<1>(),
        inner: grad(inner.clone()),
        mixed: jit(Mixed { inner: inner.clone() }),
        curvature: hvp(inner),
    }
}

impl<F, G, P: Traceable, H: Traceable> Hypergradient<F, G, P, H>
where
    F: Function<(P, H), Output = Var>,
    G: Function<(P, H), Output = Var>,
{
    /// H v, the product that an inverse is made of.
    ///
    /// # Errors
    /// Mistakes in `inner`; a v of another tree than w.
    #[track_caller]
    pub fn curvature(&self, at: (&P::Arrays, &H::Arrays), v: &P::Arrays) -> Result<P::Arrays, Error> {
        self.curvature.call(at, v)
    }
    /// The value, and its gradient by h.
    ///
    /// # Errors
    /// See [`hypergradient`].
    #[track_caller]
    pub fn call<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        (w, h): (&P::Arrays, &H::Arrays),
        inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
    ) -> Result<Hyperslope<H::Arrays, C>, UseError> {
        let location = Location(std::panic::Location::caller());
        self.slope((w, h), inverse, location).map_err(|cause| cause.at(location))
    }
    fn slope<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        (w, h): (&P::Arrays, &H::Arrays),
        mut inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
        location: Location,
    ) -> Result<Hyperslope<H::Arrays, C>, Cause> {
        let (value, by_w) = self.outer.call((w, h))?;
        let (x, certificate) = inverse(&by_w).map_err(Cause::inverse)?;
        expect_like("result of the inverse", &x, "first argument", w, location)?;
        let direct = arrays(&self.outer_by_h.call((w, h))?);
        let through = self.mixed.call((w, h, &x))?;
        let mut direct = direct.iter();
        let slope = H::map_arrays(&through, &mut |through: &Array| {
            let direct = direct.next().expect("one leaf for each of h; this is a bug in retrograde");
            ops::binary(ops::Binary::Sub, direct, through)
                .expect("gradients by one h have one shape; this is a bug in retrograde")
        });
        let flat = |leaves: Vec<Array>| leaves.iter().flat_map(numbers).collect::<Vec<f64>>();
        let gradient_norm = norm(&flat(arrays(&self.inner.call((w, h))?)));
        let value = numbers(&value)[0];
        if !(value.is_finite() && gradient_norm.is_finite() && norm(&flat(arrays(&slope))).is_finite()) {
            return Err(Cause::NotFinite { what: "a hypergradient" });
        }
        Ok(Hyperslope { value, slope, gradient_norm, certificate })
    }
}
