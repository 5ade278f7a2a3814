//! Functions whose result is always a float: nothing is rounded.

use crate::kernel::Num;

use super::times_pow2;

macro_rules! exact {
    ($t:ident: $abs:ident $sign:ident $floor:ident $ceil:ident $round:ident $min:ident $clamp:ident) => {
        #[inline(always)]
        pub(crate) fn $abs(x: $t) -> $t {
            x.abs()
        }

        #[inline(always)]
        pub(crate) fn $sign(x: $t) -> $t {
            let y = if x > 0.0 { 1.0 } else { x };
            if x < 0.0 { -1.0 } else { y }
        }

        // These three are exact in any implementation: IEEE 754 roundToIntegral, one instruction where there is one.
        #[inline(always)]
        pub(crate) fn $floor(x: $t) -> $t {
            x.floor()
        }

        #[inline(always)]
        pub(crate) fn $ceil(x: $t) -> $t {
            x.ceil()
        }

        #[inline(always)]
        pub(crate) fn $round(x: $t) -> $t {
            x.round_ties_even()
        }

        /// The smaller number. NaN if either is NaN, `-0` below `+0`.
        #[doc = concat!(
            "\n```\nuse retrograde_array::map::", stringify!($min), ";\n",
            "assert!(", stringify!($min), "(0.0, -0.0).is_sign_negative());\n",
            "assert!(", stringify!($min), "(1.0, ", stringify!($t), "::NAN).is_nan());\n```",
        )]
        pub fn $min(x: $t, y: $t) -> $t {
            x.smaller(y)
        }

        /// The larger of `x` and `low`, then the smaller of that and `high`: `high` where the bounds cross. NaN if any is NaN.
        #[doc = concat!(
            "\n```\nuse retrograde_array::map::", stringify!($clamp), ";\n",
            "assert_eq!((", stringify!($clamp(2.0, 0.0, 1.0)), ", ", stringify!($clamp(0.5, 1.0, 0.0)), "), (1.0, 0.0));\n```",
        )]
        pub fn $clamp(x: $t, low: $t, high: $t) -> $t {
            x.larger(low).smaller(high)
        }
    };
}
exact!(f64: abs_f64 sign_f64 floor_f64 ceil_f64 round_f64 min_f64 clamp_f64);
exact!(f32: abs_f32 sign_f32 floor_f32 ceil_f32 round_f32 min_f32 clamp_f32);

/// The remainder of `x / y` truncated, exact, with the sign of `x`, as Rust's `%`. NaN for infinite `x` and zero `y`.
///
/// # Cost
/// One integer division for each 11 binary places that `x` is larger than `y`, up to 187.
///
/// # Source
/// Long division of the mantissas.
#[inline(always)]
pub(crate) fn rem_f64(x: f64, y: f64) -> f64 {
    let (a, b) = (x.abs(), y.abs());
    if a.is_nan() || b.is_nan() || a == f64::INFINITY || b == 0.0 {
        return f64::NAN;
    }
    if a < b {
        return x;
    }
    let (mut rest, exponent) = mantissa(a);
    let (divisor, low) = mantissa(b);
    rest %= divisor;
    let mut places = exponent - low;
    while places > 0 {
        // rest < 2^53: eleven more places fit in a word.
        let step = places.min(11);
        rest = (rest << step) % divisor;
        places -= step;
    }
    times_pow2(rest as f64, low).copysign(x)
}

/// `x = m 2^e` with `m < 2^53`, for finite `x >= 0`.
#[inline(always)]
fn mantissa(x: f64) -> (u64, i64) {
    let (field, fraction) = ((x.to_bits() >> 52) as i64, x.to_bits() & 0x000f_ffff_ffff_ffff);
    if field == 0 { (fraction, -1074) } else { (fraction | 0x0010_0000_0000_0000, field - 1075) }
}

/// As [`rem_f64`], which of two f32 is an f32.
#[inline(always)]
pub(crate) fn rem_f32(x: f32, y: f32) -> f32 {
    rem_f64(f64::from(x), f64::from(y)) as f32
}
