//! Loss scaling: the reverse pass starts from 2ᵏ and not from 1, so that small cotangents do not underflow in narrow floats.
//!
//! ```text
//! ḡ = 2⁻ᵏ ∂(2ᵏ L),   where every entry is finite; else the step is skipped and k falls; after n good steps k rises
//! ```
//!
//! Law: exact. A power of two changes exponents alone: as long as nothing overflows or underflows, the gradient has the same bits. Of
//! normal cotangents of deviation s, a float with least number m loses the part `erf(m/(2√2 2ᵏ s))` to zero.

use retrograde_array::{Array, array, map};
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select, stack};
use retrograde_derive::Tree;

use super::map::{each_float, floats};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`LossScale`].
pub const LOSS_SCALING: Trick = Trick {
    id: "B10",
    name: "loss scaling",
    formula: "ḡ = 2⁻ᵏ ∂(2ᵏ L); skip where not finite, and adapt k",
    law: Law::Exact,
    cite: &[Source {
        authors: "P. Micikevicius and S. Narang and J. Alben and G. Diamos and E. Elsen and others",
        title: "Mixed Precision Training",
        venue: "ICLR",
        year: 2018,
    }],
    file: file!(),
    example: "LossScale",
    property: Property {
        claim: "unscaled f32 gradients have the same bits; the part of bf16 cotangents that is flushed to zero is that of the formula",
        test: "a_power_of_two_changes_no_bit_and_flushes_less",
        found: "equal bits for k from −20 to 60; flushed parts within 3 standard errors for k of 0, 2, 4",
    },
};

/// The scale, and how long it has been good: the state of a training run, a tree of two numbers.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{grad, jit};
/// use retrograde_tricks::adjoint::loss_scaling::LossScale;
/// let step = jit(|x: Var, state: LossScale<Var>| {
///     let slope = grad(|x: Var, state: LossScale<Var>| state.scaled((x * x).sum())).at((x, state.clone()));
///     state.unscaled(slope)
/// });
/// let start = LossScale::new(10, 2);
/// let (slope, is_good, state) = step.call((&array([3.0_f32]), &start))?;
/// assert_eq!((slope, is_good, &state.scale), (array([6.0_f32]), array(true), &array(1024.0_f32)));
/// let (_, _, state) = step.call((&array([3.0_f32]), &state))?;
/// assert_eq!(state.scale, array(2048.0_f32)); // after two good steps
/// let (slope, is_good, state) = step.call((&array([2e38_f32]), &state))?;
/// assert_eq!((slope, is_good, state.scale), (array([0.0_f32]), array(false), array(1024.0_f32)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct LossScale<T> {
    /// 2ᵏ, f32.
    pub scale: T,
    /// Steps since it last changed, i64.
    pub good_steps: T,
    /// After how many good steps it doubles.
    pub interval: usize,
}

impl LossScale<Array> {
    /// 2^`log2`, doubled after every `interval` good steps (2000 is usual).
    pub fn new(log2: i32, interval: usize) -> LossScale<Array> {
        LossScale { scale: array(2f32.powi(log2)), good_steps: array(0_i64), interval }
    }
}

impl LossScale<Var> {
    /// The loss that is differentiated.
    #[track_caller]
    pub fn scaled(&self, loss: Var) -> Var {
        loss * self.scale.convert(loss.dtype())
    }
    /// The gradient of the loss itself, zeros where the step is to be skipped; whether it is good; and the next state.
    #[track_caller]
    pub fn unscaled<T: Traceable>(&self, gradient: T) -> (T, Var, LossScale<Var>) {
        let mut finite = vec![];
        for g in floats(&gradient) {
            let axes: Vec<usize> = (0..g.rank()).collect();
            finite.push(g.is_finite().all(&axes));
        }
        let is_good = match finite.is_empty() {
            true => full(self.scale.dtype(), [], 1.0).gt(0.0),
            false => stack(&finite).all(&[0]),
        };
        let unscaled = each_float(&gradient, |g| {
            let one = full(g.dtype(), [], 1.0);
            let zero = full(g.dtype(), g.shape(), 0.0);
            // A quotient of powers of two is exact.
            select(is_good, g * (one / self.scale.convert(g.dtype())), zero)
        });
        let counted = self.good_steps + 1;
        let grows = counted.ge(self.interval as i64) & is_good;
        let scale = select(is_good, select(grows, self.scale * 2.0, self.scale), self.scale * 0.5);
        let zero = counted - counted;
        let good_steps = select(is_good, select(grows, zero, counted), zero);
        (unscaled, is_good, LossScale { scale, good_steps, interval: self.interval })
    }
}

/// The part of normal numbers of deviation `deviation` that becomes zero in a float whose least positive number is `least`, when they are
/// multiplied by `scale` first: what rounds to zero is at most half of it.
///
/// ```
/// use retrograde_tricks::adjoint::loss_scaling::flushed_part;
/// // Half precision: the least number is 2^-24.
/// let least = 2f64.powi(-24);
/// assert!((flushed_part(least, least, 1.0) - 0.38292492254802624).abs() < 1e-15); // within half a deviation
/// assert!(flushed_part(least, least, 1024.0) < 4e-4);
/// ```
pub fn flushed_part(deviation: f64, least: f64, scale: f64) -> f64 {
    map::erf_f64(0.5 * least / (scale * deviation) / std::f64::consts::SQRT_2)
}
