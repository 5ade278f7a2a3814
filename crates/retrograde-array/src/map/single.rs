//! What functions share that compute in single precision throughout: half the registers and a third of the terms of f64, for an error
//! that is one rounding and a bit instead of one rounding.

use super::coefficients::EXP_SHORT;

/// `log2 e`.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `ln 2` in 9 bits: its products with integers below 2^15 are exact.
const LN2_HI: f32 = 355.0 / 512.0;
/// `ln 2 - LN2_HI`.
const LN2_LO: f32 = -2.121_944_4e-4;
/// `1.5 * 2^23`: adding it rounds to an integer, found in the low bits.
const ROUND: f32 = 12_582_912.0;

/// The polynomial with these coefficients, constant term first, by Horner's rule.
#[inline(always)]
pub(super) fn horner<const N: usize>(x: f32, coefficients: &[f32; N]) -> f32 {
    let mut total = coefficients[N - 1];
    for &c in coefficients[..N - 1].iter().rev() {
        total = total.mul_add(x, c);
    }
    total
}

/// `2^n` for `n` in `-126..=127`.
#[inline(always)]
pub(super) const fn pow2(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// `y 2^n` for `n` in `-252..=254`, in two factors: the result may be subnormal, or its exponent one above the largest.
#[inline(always)]
pub(super) fn times_pow2(y: f32, n: i32) -> f32 {
    let half = n >> 1;
    y * pow2(half) * pow2(n - half)
}

/// `x by` rounded to an integer (ties to even, below 2^22): as a float, and as the low bits of a word.
#[inline(always)]
pub(super) fn nearest(x: f32, by: f32) -> (f32, i32) {
    let shifted = x.mul_add(by, ROUND);
    (shifted - ROUND, (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// `x = n ln 2 + r + r_low` with `|r| <= ln 2 / 2` (a little more by rounding), for `|x| < 10^4`: `(r, r_low, n)`.
#[inline(always)]
pub(super) fn without_ln2(x: f32) -> (f32, f32, i32) {
    let (n, n_int) = nearest(x, LOG2_E);
    // Exact, as x and n LN2_HI have their bits above 2^-25 or n = 0.
    let r0 = (-n).mul_add(LN2_HI, x);
    let r = (-n).mul_add(LN2_LO, r0);
    (r, (-n).mul_add(LN2_LO, r0 - r), n_int)
}

/// `e^x = (y + y_low) 2^n` with `y` in `[0.7, 1.5]`, within 2^-26, for `|x| < 10^4`.
#[inline(always)]
pub(super) fn exp_parts(x: f32) -> (f32, f32, i32) {
    let (r, r_low, n) = without_ln2(x);
    let head = 1.0 + r;
    let tail = ((1.0 - head) + r) + (r * r).mul_add(horner(r, &EXP_SHORT), r_low);
    let y = head + tail;
    (y, (head - y) + tail, n)
}
