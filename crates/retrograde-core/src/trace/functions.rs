//! Functions of floats, entry by entry: methods of [`Var`]. Errors and derivatives are in the files of the primitives; the
//! largest error of each, in units in the last place, is in [`retrograde_array::map`].

use super::frame;
use super::var::{IntoOperand, Var, caller, matched, unary};
use crate::prim::{
    acos, acosh, asin, asinh, atan, atan2, atanh, bessel_i0e, bessel_i1e, cbrt, cosh, digamma, erf, erf_inv,
    erfc, exp2, expm1, lgamma, log_bessel_i0, log1p, log2, logistic, polygamma, pow, rsqrt, sinh, softplus,
    tan,
};

unary! {
    /// eˣ - 1 without cancellation, entry by entry.
    expm1 expm1::Expm1;
    /// 2ˣ, entry by entry.
    exp2 exp2::Exp2;
    /// ln(1 + x) without cancellation, entry by entry.
    log1p log1p::Log1p;
    /// The logarithm to base 2, entry by entry.
    log2 log2::Log2;
    /// 1/√x, entry by entry.
    rsqrt rsqrt::Rsqrt;
    /// The cube root, of any sign, entry by entry.
    cbrt cbrt::Cbrt;
    /// Tangent of radians, entry by entry.
    tan tan::Tan;
    /// Inverse sine, in radian, entry by entry.
    asin asin::Asin;
    /// Inverse cosine, in radian, entry by entry.
    acos acos::Acos;
    /// Inverse tangent, in radian, entry by entry.
    atan atan::Atan;
    /// Hyperbolic sine, entry by entry.
    sinh sinh::Sinh;
    /// Hyperbolic cosine, entry by entry.
    cosh cosh::Cosh;
    /// Inverse hyperbolic sine, entry by entry.
    asinh asinh::Asinh;
    /// Inverse hyperbolic cosine, entry by entry.
    acosh acosh::Acosh;
    /// Inverse hyperbolic tangent, entry by entry.
    atanh atanh::Atanh;
    /// The error function, entry by entry.
    erf erf::Erf;
    /// 1 - erf x without cancellation, entry by entry.
    erfc erfc::Erfc;
    /// The inverse of the error function, entry by entry.
    erf_inv erf_inv::ErfInv;
    /// ln |Γ(x)|, entry by entry.
    lgamma lgamma::Lgamma;
    /// The derivative of ln Γ, entry by entry.
    digamma digamma::Digamma;
    /// e^-|x| I₀(x) of the modified Bessel function, entry by entry.
    bessel_i0e bessel_i0e::BesselI0e;
    /// e^-|x| I₁(x) of the modified Bessel function, entry by entry.
    bessel_i1e bessel_i1e::BesselI1e;
    /// ln I₀(x) of the modified Bessel function, entry by entry.
    log_bessel_i0 log_bessel_i0::LogBesselI0;
    /// 1/(1 + e^-x), entry by entry.
    logistic logistic::Logistic;
    /// ln(1 + eˣ), entry by entry.
    softplus softplus::Softplus;
}

/// Functions of floats, entry by entry, and their slopes:
///
/// ```
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E, PI};
/// let slopes: [(fn(Var) -> Var, f64, f64); 28] = [
///     (Var::expm1, 0.0, 1.0), (Var::exp2, 0.0, LN_2), (Var::log1p, 0.0, 1.0), (Var::log2, 1.0, LOG2_E),
///     (Var::rsqrt, 4.0, -0.0625), (Var::cbrt, 8.0, 1.0 / 12.0),
///     (Var::tan, 0.0, 1.0), (Var::asin, 0.0, 1.0), (Var::acos, 0.0, -1.0), (Var::atan, 1.0, 0.5),
///     (Var::sinh, 0.0, 1.0), (Var::cosh, 0.0, 0.0), (Var::asinh, 0.0, 1.0), (Var::acosh, 2.0, 1.0 / 3.0_f64.sqrt()),
///     (Var::atanh, 0.0, 1.0), (Var::logistic, 0.0, 0.25), (Var::softplus, 0.0, 0.5),
///     (Var::erf, 0.0, FRAC_2_SQRT_PI), (Var::erfc, 0.0, -FRAC_2_SQRT_PI), (Var::erf_inv, 0.0, 1.0 / FRAC_2_SQRT_PI),
///     (Var::lgamma, 1.0, -0.5772156649015329), (Var::digamma, 1.0, PI * PI / 6.0),
///     (Var::bessel_i0e, 1.0, -0.25784919224393205), (Var::bessel_i1e, 0.0, 0.5), (Var::log_bessel_i0, 0.0, 0.0),
///     (|x| x.powi(3), 2.0, 12.0), (|y| y.atan2(1.0), 1.0, 0.5), (|x| x.polygamma(1), 1.0, -2.4041138063191885),
/// ];
/// for (f, x, slope) in slopes {
///     let found = grad(f).call(&array(x))?.item::<f64>().unwrap();
///     assert!((found - slope).abs() < 1e-14, "{found} instead of {slope}");
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
impl Var {
    /// `x^y`, entry by entry, for any float exponent; at the edges as IEEE 754.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// assert_eq!(grad(|x: Var| x.pow(3.0).sum()).call(&array([2.0, -1.0, 0.0]))?, array([12.0, 3.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn pow(self, exponent: impl IntoOperand) -> Var {
        let location = caller();
        let (x, y) = matched(self, exponent.operand(&self.ty(), location), location);
        frame::record1(pow::Pow, &[x, y], location)
    }
    /// `x^n` for a whole number, entry by entry: [`Var::pow`] of the same numbers.
    #[track_caller]
    pub fn powi(self, n: i32) -> Var {
        let location = caller();
        let (x, y) = matched(self, f64::from(n).operand(&self.ty(), location), location);
        frame::record1(pow::Pow, &[x, y], location)
    }
    /// The angle of the points (`x`, `self`) in radian, entry by entry.
    #[track_caller]
    pub fn atan2(self, x: impl IntoOperand) -> Var {
        let location = caller();
        let (y, x) = matched(self, x.operand(&self.ty(), location), location);
        frame::record1(atan2::Atan2, &[y, x], location)
    }
    /// The derivative of order `order` (1 to 100) of digamma, entry by entry.
    #[track_caller]
    pub fn polygamma(self, order: u32) -> Var {
        frame::record1(polygamma::Polygamma { order }, &[self], caller())
    }
}
