//! Scalar functions expanded into primitive arithmetic: the same bits on every machine.
//!
//! Each is built from `+ - * / sqrt`, explicit fused multiply-add and operations on bits only, never the system's mathematical
//! library, and holds over the whole domain: subnormals, both zeros, infinities and NaN.
//!
//! | function | f64 error (ulp) | f32 error (ulp) | method |
//! |---|---|---|---|
//! | `exp`, `exp2` | 0.75 | 0.7948, 0.5000 | n ln 2 removed, Taylor or fitted polynomial |
//! | `expm1` | 0.58 | 0.5000 | 2^n (e^r - 1) + (2^n - 1) in two parts |
//! | `log` | 0.53 | 0.5001 | exponent removed, series of 2 atanh s, s = (m-1)/(m+1) |
//! | `log2`, `log1p` | 0.50 | 0.5000 | the same in two parts |
//! | `sin`, `cos` | 0.67 | 0.8731 | n pi/2 removed (three parts, or Payne and Hanek 1983), Taylor or fitted polynomial |
//! | `tan` | 0.79 | 0.5000 | their quotient in two parts |
//! | `asin`, `acos` | 0.58 | 0.5000 | fitted polynomial, sqrt((1-x)/2) above 1/2 |
//! | `atan`, `atan2` | 0.65 | 0.5000 | quotient moved within tan(pi/8), fitted polynomial |
//! | `sinh`, `cosh` | 0.61 | 0.5000 | from expm1 and exp in two parts |
//! | `tanh` | 0.54 | 1.8209 | e/(e+2) with e = exp(2x)-1 |
//! | `asinh`, `acosh`, `atanh` | 0.50 | 0.5000 | ln(1+z) in two parts |
//! | `logistic`, `softplus` | 0.75 | 0.7948, 0.5000 | exp(-abs x) in two parts |
//! | `rsqrt`, `cbrt` | 0.50 | 0.5000 | a Newton step with exact residual |
//! | `pow` | 0.69 | 0.5 | exp(y ln x) with a logarithm of 66 bits |
//! | `erf`, `erf_inv` | 0.63 | 0.5000 | fitted pieces |
//! | `erfc` | 0.68 | 0.5000 | e^-x^2 times fitted pieces |
//! | `lgamma`, `digamma` | 0.55 | 0.5000 | zeros apart, fitted pieces; Stirling's series; reflection |
//! | `bessel_i0e`, `bessel_i1e`, `log_bessel_i0` | 0.77 | 0.5000 | fitted pieces in x, then in 1/x |
//! | `abs` `sign` `floor` `ceil` `round` `min` `clamp` `rem` | 0 | 0 | exact |
//!
//! In f32, `exp`, `tanh`, `logistic`, `sin` and `cos` are computed in f32 throughout, `log` in f64 by a shorter series; the others are
//! the f64 function, rounded once.
//!
//! Largest errors seen by `cargo xtask evidence ulp`, which writes `evidence/ulp.json`: f64 over 20 000 random and adversarial
//! arguments each, against mpmath; f32 over every float, against another library's f64 function where it has an expansion of its own
//! and else against our f64 function, with another library's on every 17th float. Each function states a bound with a little room
//! above. Between negative integers `lgamma` and `digamma` have zeros near which no bound in ulp holds; their errors are counted
//! there in the ulp of the result and 2^-52 of the reflected value together.
//!
//! [`Function`] and [`BinaryFunction`] list the functions; coefficients are those of Taylor series (any calculus text; Abramowitz and Stegun 1964,
//! 4.1.27, 4.2.1, 4.3.65, 4.3.66), or fitted by `tools/coefficients.py`, enough of them that truncation is far below rounding.

mod arc;
mod bessel;
mod coefficients;
mod double;
mod erf;
mod exact;
mod exp;
mod expm1;
mod gamma;
mod inverse_hyperbolic;
mod log;
mod logistic;
mod pieces;
mod polygamma;
mod pow;
mod reduce_pi;
mod roots;
mod single;
mod table;
mod tanh;
mod trig;

#[cfg(test)]
mod tests;

pub use polygamma::polygamma_f64;
pub use table::*;
pub(crate) use table::{each_function, expanded};

/// `log2 e`.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// `ln 2`, leading 53 bits.
const LN2_HI: f64 = std::f64::consts::LN_2;
/// `ln 2 - LN2_HI`.
const LN2_LO: f64 = 2.319_046_813_846_299_6e-17;

/// `pi`.
const PI: double::Double = double::Double { hi: std::f64::consts::PI, lo: 1.224_646_799_147_353_2e-16 };

/// `1.5 * 2^52`: adding it rounds to an integer, found in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The polynomial with these coefficients, constant term first, by Horner's rule.
#[inline(always)]
fn horner<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let mut total = coefficients[N - 1];
    for &c in coefficients[..N - 1].iter().rev() {
        total = total.mul_add(x, c);
    }
    total
}

/// `2^n` for `n` in `-1022..=1023`.
#[inline(always)]
const fn pow2(n: i64) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// `y 2^n` for `n` in `-2044..=2046`, in two factors: the result may be subnormal, or its exponent one above the largest.
#[inline(always)]
fn times_pow2(y: f64, n: i64) -> f64 {
    let half = n >> 1;
    y * pow2(half) * pow2(n - half)
}

/// `x` rounded to an integer (ties to even, `|x| < 2^51`): as a float, and as the low bits of a word.
#[inline(always)]
fn nearest(x: f64) -> (f64, i64) {
    let shifted = x + ROUND;
    (shifted - ROUND, (shifted.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64))
}

/// `a + b` with `|a| >= |b|`, and its rounding error (Dekker 1971).
#[inline(always)]
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// `a + b` and its rounding error (Knuth, TAOCP 2, 4.2.2).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}
