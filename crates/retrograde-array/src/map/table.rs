//! Every function once: its row makes the scalar functions, the kernels over slices and the entry of [`Function`].

/// The rows: name, variant, scalar functions for f64 and f32, bound of the f64 error in ulp, an argument and its value for the
/// examples, documentation. Functions of an angle also name those with the fast argument reduction.
macro_rules! each_function {
    ($use:ident) => {
        $use! {
            plain {
                abs Abs abs_f64 abs_f32 0.0, -2.5 => 2.5,
                    "The magnitude.";
                sign Sign sign_f64 sign_f32 0.0, -0.5 => -1.0,
                    "One with the sign of the argument; zeros and NaN are their own.";
                floor Floor floor_f64 floor_f32 0.0, -1.5 => -2.0,
                    "The largest integer not above.";
                ceil Ceil ceil_f64 ceil_f32 0.0, -1.5 => -1.0,
                    "The smallest integer not below.";
                round Round round_f64 round_f32 0.0, 2.5 => 2.0,
                    "The nearest integer, of two the even one.";
                rsqrt Rsqrt rsqrt_f64 rsqrt_f32 0.6, 4.0 => 0.5,
                    "`1 / sqrt x`. Infinite at zeros, with their sign; NaN below.";
                cbrt Cbrt cbrt_f64 cbrt_f32 0.6, -8.0 => -2.0,
                    "The cube root, of any sign.";
                exp Exp exp_f64 exp_f32 0.8, -INFINITY => 0.0,
                    "`e^x`.";
                exp2 Exp2 exp2_f64 exp2_f32 0.8, -1.0 => 0.5,
                    "`2^x`; exact for integers.";
                expm1 Expm1 expm1_f64 expm1_f32 0.8, 1e-30 => 1e-30,
                    "`e^x - 1`.";
                log Log log_f64 log_f32 0.6, 0.0 => -INFINITY,
                    "The natural logarithm. `-inf` at zero, NaN below.";
                log2 Log2 log2_f64 log2_f32 0.6, 8.0 => 3.0,
                    "The logarithm to base 2; exact for powers of two. `-inf` at zero, NaN below.";
                log1p Log1p log1p_f64 log1p_f32 0.6, 1e-30 => 1e-30,
                    "`ln(1 + x)`. `-inf` at -1, NaN below.";
                asin Asin asin_f64 asin_f32 0.7, 1.0 => FRAC_PI_2,
                    "The inverse sine in radian. NaN beyond one.";
                acos Acos acos_f64 acos_f32 0.7, -1.0 => PI,
                    "The inverse cosine in radian. NaN beyond one.";
                atan Atan atan_f64 atan_f32 0.7, INFINITY => FRAC_PI_2,
                    "The inverse tangent in radian.";
                sinh Sinh sinh_f64 sinh_f32 0.8, 1e-30 => 1e-30,
                    "The hyperbolic sine.";
                cosh Cosh cosh_f64 cosh_f32 0.8, 0.0 => 1.0,
                    "The hyperbolic cosine.";
                tanh Tanh tanh_f64 tanh_f32 0.6, 100.0 => 1.0,
                    "The hyperbolic tangent.";
                asinh Asinh asinh_f64 asinh_f32 0.6, 1e-30 => 1e-30,
                    "The inverse hyperbolic sine.";
                acosh Acosh acosh_f64 acosh_f32 0.6, 1.0 => 0.0,
                    "The inverse hyperbolic cosine. NaN below one.";
                atanh Atanh atanh_f64 atanh_f32 0.6, 1.0 => INFINITY,
                    "The inverse hyperbolic tangent. Infinite at one, NaN beyond.";
                logistic Logistic logistic_f64 logistic_f32 0.8, -1000.0 => 0.0,
                    "`1 / (1 + e^-x)`.";
                softplus Softplus softplus_f64 softplus_f32 0.8, 1000.0 => 1000.0,
                    "`ln(1 + e^x)`.";
                erf Erf erf_f64 erf_f32 0.7, 6.0 => 1.0,
                    "The error function.";
                erfc Erfc erfc_f64 erfc_f32 0.85, -6.0 => 2.0,
                    "`1 - erf x` without cancellation.";
                erf_inv ErfInv erf_inv_f64 erf_inv_f32 0.8, 1.0 => INFINITY,
                    "The inverse of the error function. Infinite at one, NaN beyond.";
                lgamma Lgamma lgamma_f64 lgamma_f32 0.8, 2.0 => 0.0,
                    "`ln |Gamma(x)|`. Infinite at zero and negative integers. For negative `x`, the error is at most 1 ulp and 2^-52 of `ln Gamma(1 - x)` together.";
                digamma Digamma digamma_f64 digamma_f32 0.8, 0.0 => -INFINITY,
                    "The derivative of `ln Gamma`. Infinite at zeros, NaN at negative integers. For negative `x`, the error is at most 1 ulp and 2^-52 of `digamma(1 - x)` together.";
                bessel_i0e BesselI0e bessel_i0e_f64 bessel_i0e_f32 0.8, 0.0 => 1.0,
                    "`e^-|x| I0(x)` of the modified Bessel function.";
                bessel_i1e BesselI1e bessel_i1e_f64 bessel_i1e_f32 0.85, 0.0 => 0.0,
                    "`e^-|x| I1(x)` of the modified Bessel function.";
                log_bessel_i0 LogBesselI0 log_bessel_i0_f64 log_bessel_i0_f32 0.8, 0.0 => 0.0,
                    "`ln I0(x)` of the modified Bessel function.";
            }
            turning {
                sin Sin sin_common sin_f64 sin_f32 sin_common_f64 sin_common_f32 0.75, FRAC_PI_2 => 1.0,
                    "The sine of any angle in radian. NaN for infinite angles.";
                cos Cos cos_common cos_f64 cos_f32 cos_common_f64 cos_common_f32 0.75, PI => -1.0,
                    "The cosine of any angle in radian. NaN for infinite angles.";
                tan Tan tan_common tan_f64 tan_f32 tan_common_f64 tan_common_f32 0.85, 1e-30 => 1e-30,
                    "The tangent of any angle in radian. NaN for infinite angles.";
            }
            binary {
                pow Pow pow_f64 pow_f32 0.8, NAN, 0.0 => 1.0,
                    "`x^y`, at the edges as IEEE 754: `x^0` and `1^y` are one even for NaN.";
                atan2 Atan2 atan2_f64 atan2_f32 0.7, 0.0, -1.0 => PI,
                    "The angle of the point `(y, x)`, second coordinate first, in radian.";
                rem Rem rem_f64 rem_f32 0.0, -7.0, 3.0 => -1.0,
                    "The remainder of `x / y` truncated, as Rust's `%`.";
            }
        }
    };
}
pub(crate) use each_function;

/// The functions themselves, to be inlined into kernels: outside of one, each fused multiply-add is a call of a software routine.
pub(crate) mod expanded {
    pub(crate) use super::super::arc::{acos_f64, asin_f64, atan_f64, atan2_f64};
    pub(crate) use super::super::bessel::{bessel_i0e_f64, bessel_i1e_f64, log_bessel_i0_f64};
    pub(crate) use super::super::erf::{erf_f64, erf_inv_f64, erfc_f64};
    pub(crate) use super::super::exact::{abs_f32, ceil_f32, floor_f32, rem_f32, round_f32, sign_f32};
    pub(crate) use super::super::exact::{abs_f64, ceil_f64, floor_f64, rem_f64, round_f64, sign_f64};
    pub(crate) use super::super::exp::{exp_f32, exp_f64, exp2_f64};
    pub(crate) use super::super::expm1::{cosh_f64, expm1_f64, sinh_f64};
    pub(crate) use super::super::gamma::{digamma_f64, lgamma_f64};
    pub(crate) use super::super::inverse_hyperbolic::{acosh_f64, asinh_f64, atanh_f64};
    pub(crate) use super::super::log::{log_f32, log_f64, log1p_f64, log2_f64};
    pub(crate) use super::super::logistic::{logistic_f32, logistic_f64, softplus_f64};
    pub(crate) use super::super::pow::{pow_f32, pow_f64};
    pub(crate) use super::super::roots::{cbrt_f64, rsqrt_f64};
    pub(crate) use super::super::tanh::{tanh_f32, tanh_f64};
    pub(crate) use super::super::trig::{cos_common_f32, cos_common_f64, cos_f32, cos_f64};
    pub(crate) use super::super::trig::{sin_common_f32, sin_common_f64, sin_f32, sin_f64};
    pub(crate) use super::super::trig::{tan_common_f32, tan_common_f64, tan_f32, tan_f64};
    pub(crate) use super::super::trig::{trig_is_rare_f32, trig_is_rare_f64};

    /// The f32 functions that are the f64 one, rounded once.
    macro_rules! rounded {
        ($($narrow:ident $wide:ident;)*) => {$(
            #[inline(always)]
            pub(crate) fn $narrow(x: f32) -> f32 {
                $wide(f64::from(x)) as f32
            }
        )*};
    }
    rounded! {
        rsqrt_f32 rsqrt_f64;
        cbrt_f32 cbrt_f64;
        exp2_f32 exp2_f64;
        expm1_f32 expm1_f64;
        log2_f32 log2_f64;
        log1p_f32 log1p_f64;
        asin_f32 asin_f64;
        acos_f32 acos_f64;
        atan_f32 atan_f64;
        sinh_f32 sinh_f64;
        cosh_f32 cosh_f64;
        asinh_f32 asinh_f64;
        acosh_f32 acosh_f64;
        atanh_f32 atanh_f64;
        softplus_f32 softplus_f64;
        erf_f32 erf_f64;
        erfc_f32 erfc_f64;
        erf_inv_f32 erf_inv_f64;
        lgamma_f32 lgamma_f64;
        digamma_f32 digamma_f64;
        bessel_i0e_f32 bessel_i0e_f64;
        bessel_i1e_f32 bessel_i1e_f64;
        log_bessel_i0_f32 log_bessel_i0_f64;
    }

    /// As [`atan2_f64`], rounded once.
    #[inline(always)]
    pub(crate) fn atan2_f32(y: f32, x: f32) -> f32 {
        atan2_f64(f64::from(y), f64::from(x)) as f32
    }
}

macro_rules! public {
    (
        plain { $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $at:expr => $value:expr, $doc:literal;)* }
        turning { $($turn:ident $turn_variant:ident $common:ident $turn_wide:ident $turn_narrow:ident
            $common_wide:ident $common_narrow:ident $turn_bound:literal, $turn_at:expr => $turn_value:expr, $turn_doc:literal;)* }
        binary { $($two:ident $two_variant:ident $two_wide:ident $two_narrow:ident $two_bound:literal,
            $x:expr, $y:expr => $two_value:expr, $two_doc:literal;)* }
    ) => {
        public! { one $($name $variant $wide $narrow $bound, $at => $value, $doc;)*
            $($turn $turn_variant $turn_wide $turn_narrow $turn_bound, $turn_at => $turn_value, $turn_doc;)* }
        public! { two $($two $two_variant $two_wide $two_narrow $two_bound, $x, $y => $two_value, $two_doc;)* }
    };
    (one $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $at:expr => $value:expr, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            ///
            #[doc = concat!("Largest error: ", $bound, " ulp.")]
            #[doc = concat!(
                "\n```\n# use std::f64::consts::*;\n# const INFINITY: f64 = f64::INFINITY;\n# const NAN: f64 = f64::NAN;\n",
                "use retrograde_array::map::", stringify!($wide), ";\n",
                "assert_eq!(", stringify!($wide($at)), ", ", stringify!($value), ");\n```",
            )]
            pub fn $wide(x: f64) -> f64 {
                let mut y = 0.0;
                crate::kernel::slice::$name(std::slice::from_ref(&x), std::slice::from_mut(&mut y));
                y
            }

            #[doc = $doc]
            ///
            /// Largest error: see [`Function::bound_ulp_f32`].
            #[doc = concat!(
                "\n```\n# use std::f32::consts::*;\n# const INFINITY: f32 = f32::INFINITY;\n# const NAN: f32 = f32::NAN;\n",
                "use retrograde_array::map::", stringify!($narrow), ";\n",
                "assert_eq!(", stringify!($narrow($at)), ", ", stringify!($value), ");\n```",
            )]
            pub fn $narrow(x: f32) -> f32 {
                let mut y = 0.0;
                crate::kernel::slice::$name(std::slice::from_ref(&x), std::slice::from_mut(&mut y));
                y
            }
        )*

        /// A function of one float.
        ///
        /// ```
        /// use retrograde_array::map::Function;
        /// assert_eq!(Function::Erf.f64(&[0.0, 6.0]), [0.0, 1.0]);
        /// assert_eq!(Function::Erf.f32(&[0.0, 6.0]), [0.0_f32, 1.0]);
        /// assert_eq!((Function::Erf.name(), Function::Erf.bound_ulp()), ("erf", 0.7));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Function {$(
            #[doc = $doc]
            $variant,
        )*}

        impl Function {
            /// Every one.
            pub const ALL: &[Function] = &[$(Function::$variant),*];

            /// As in the name of the scalar function: `erf` for `erf_f64` and `erf_f32`.
            pub fn name(self) -> &'static str {
                match self {$(Function::$variant => stringify!($name),)*}
            }

            /// What the error of the f64 function stays below, in units in the last place of the true value.
            pub fn bound_ulp(self) -> f64 {
                match self {$(Function::$variant => $bound,)*}
            }

            /// As [`bound_ulp`](Function::bound_ulp), of the f32 function.
            ///
            /// ```
            /// use retrograde_array::map::Function;
            /// assert_eq!((Function::Erf.bound_ulp_f32(), Function::Exp.bound_ulp_f32()), (0.501, 0.8));
            /// ```
            pub fn bound_ulp_f32(self) -> f64 {
                match self {
                    Function::Exp | Function::Logistic => 0.8,
                    Function::Sin | Function::Cos => 0.9,
                    Function::Tanh => 1.9,
                    exact if exact.bound_ulp() == 0.0 => 0.0,
                    // The f64 function, rounded once.
                    _ => 0.501,
                }
            }

            /// Of every entry.
            pub fn f64(self, x: &[f64]) -> Vec<f64> {
                match self {$(Function::$variant => crate::kernel::$name(x),)*}
            }

            /// Of every entry.
            pub fn f32(self, x: &[f32]) -> Vec<f32> {
                match self {$(Function::$variant => crate::kernel::$name(x),)*}
            }
        }
    };
    (two $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $x:expr, $y:expr => $value:expr, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            ///
            #[doc = concat!("Largest error: ", $bound, " ulp.")]
            #[doc = concat!(
                "\n```\n# use std::f64::consts::*;\n# const INFINITY: f64 = f64::INFINITY;\n# const NAN: f64 = f64::NAN;\n",
                "use retrograde_array::map::", stringify!($wide), ";\n",
                "assert_eq!(", stringify!($wide($x, $y)), ", ", stringify!($value), ");\n```",
            )]
            pub fn $wide(x: f64, y: f64) -> f64 {
                let mut z = 0.0;
                crate::kernel::slice::$name(
                    std::slice::from_ref(&x), std::slice::from_ref(&y), std::slice::from_mut(&mut z));
                z
            }

            #[doc = $doc]
            ///
            /// Largest error: 0.501 ulp.
            #[doc = concat!(
                "\n```\n# use std::f32::consts::*;\n# const INFINITY: f32 = f32::INFINITY;\n# const NAN: f32 = f32::NAN;\n",
                "use retrograde_array::map::", stringify!($narrow), ";\n",
                "assert_eq!(", stringify!($narrow($x, $y)), ", ", stringify!($value), ");\n```",
            )]
            pub fn $narrow(x: f32, y: f32) -> f32 {
                let mut z = 0.0;
                crate::kernel::slice::$name(
                    std::slice::from_ref(&x), std::slice::from_ref(&y), std::slice::from_mut(&mut z));
                z
            }
        )*

        /// A function of two floats.
        ///
        /// ```
        /// use retrograde_array::map::BinaryFunction;
        /// assert_eq!(BinaryFunction::Rem.f64(&[7.0, -7.0], &[3.0, 3.0]), [1.0, -1.0]);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum BinaryFunction {$(
            #[doc = $doc]
            $variant,
        )*}

        impl BinaryFunction {
            /// Every one.
            pub const ALL: &[BinaryFunction] = &[$(BinaryFunction::$variant),*];

            /// As in the name of the scalar function.
            pub fn name(self) -> &'static str {
                match self {$(BinaryFunction::$variant => stringify!($name),)*}
            }

            /// As [`Function::bound_ulp`].
            pub fn bound_ulp(self) -> f64 {
                match self {$(BinaryFunction::$variant => $bound,)*}
            }

            /// Of every pair.
            ///
            /// # Panics
            /// When lengths differ.
            pub fn f64(self, x: &[f64], y: &[f64]) -> Vec<f64> {
                assert_eq!(x.len(), y.len(), "entries of the first and second argument");
                match self {$(BinaryFunction::$variant => crate::kernel::$name(x, y),)*}
            }

            /// Of every pair.
            ///
            /// # Panics
            /// When lengths differ.
            pub fn f32(self, x: &[f32], y: &[f32]) -> Vec<f32> {
                assert_eq!(x.len(), y.len(), "entries of the first and second argument");
                match self {$(BinaryFunction::$variant => crate::kernel::$name(x, y),)*}
            }
        }
    };
}
each_function!(public);

pub use super::exact::{clamp_f32, clamp_f64, min_f32, min_f64};

/// `x^n`, within 0.8 ulp: [`pow_f64`] of the same numbers.
///
/// ```
/// use retrograde_array::map::{powi_f32, powi_f64};
/// assert_eq!((powi_f64(-2.0, 3), powi_f64(f64::NAN, 0), powi_f32(2.0, -1)), (-8.0, 1.0, 0.5));
/// ```
pub fn powi_f64(x: f64, n: i32) -> f64 {
    pow_f64(x, f64::from(n))
}

/// `x^n`, within 0.501 ulp: [`powi_f64`], rounded once.
pub fn powi_f32(x: f32, n: i32) -> f32 {
    powi_f64(f64::from(x), n) as f32
}
