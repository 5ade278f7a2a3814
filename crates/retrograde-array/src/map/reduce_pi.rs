//! `x` modulo `pi/2`.

use super::{nearest, single, two_sum};

/// `pi/2` as a sum of three floats.
const PIO2: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];

/// Up to this magnitude [`reduce_common`] is exact enough: the multiple of `pi/2` is an integer below 2^30.
pub(super) const COMMON: f64 = 1_073_741_824.0;

/// `x = n pi/2 + r + r_low` with `|r| <= pi/4` (a little more by rounding), `n` modulo 4, for `|x| <= COMMON`.
///
/// # Source
/// Cody and Waite (1980), each product and difference with its rounding error, so that no cancellation is lost.
#[inline(always)]
pub(super) fn reduce_common(x: f64) -> (f64, f64, i64) {
    let (n, n_int) = nearest(x * std::f64::consts::FRAC_2_PI);
    let p = n * PIO2[0];
    let p_low = n.mul_add(PIO2[0], -p);
    // x and p agree within a factor of two, or n = 0: the difference is exact (Sterbenz).
    let (r, e0) = two_sum(x - p, -p_low);
    let q = n * PIO2[1];
    let q_low = n.mul_add(PIO2[1], -q);
    let (r, e1) = two_sum(r, -q);
    let low = (e0 + e1) - (n.mul_add(PIO2[2], q_low));
    let high = r + low;
    (high, (r - high) + low, n_int & 3)
}

/// `pi/2` as a sum of three floats.
const PIO2_F32: [f32; 3] = [std::f32::consts::FRAC_PI_2, -4.371_139e-8, -1.715_124_5e-15];

/// Up to this magnitude [`reduce_common_f32`] is exact enough: the multiple of `pi/2` is an integer below 2^14.
pub(super) const COMMON_F32: f32 = 25_000.0;

/// As [`reduce_common`] in f32, for `|x| <= COMMON_F32`.
#[inline(always)]
pub(super) fn reduce_common_f32(x: f32) -> (f32, f32, i32) {
    let (n, n_int) = single::nearest(x, std::f32::consts::FRAC_2_PI);
    // Exact: both terms are multiples of 2^-24, and their difference is below one.
    let r0 = (-n).mul_add(PIO2_F32[0], x);
    let p = n * PIO2_F32[1];
    let p_low = n.mul_add(PIO2_F32[1], -p);
    let r = r0 - p;
    // The rounding error of r, whichever of r0 and p is larger (Knuth, TAOCP 2, 4.2.2).
    let p_part = r - r0;
    let r_low = (r0 - (r - p_part)) - (p + p_part);
    (r, r_low - n.mul_add(PIO2_F32[2], p_low), n_int)
}

/// The bits of `2/pi` after the binary point, in words, after one word of zeros.
const TWO_OVER_PI: [u64; 22] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
    0xa9e3_9161_5ee6_1b08,
];

/// As [`reduce_common`] for any finite `x` with `|x| > 1`.
///
/// Bits of `2/pi` whose product with `x` is a multiple of 4 are skipped; of the rest 192 are kept. The error is below 2^-137
/// quarter turns, while no f64 comes nearer than 2^-62 to a multiple of `pi/2`.
///
/// # Source
/// Payne and Hanek (1983), Radian reduction for trigonometric functions, SIGNUM 18.
#[cold]
pub(super) fn reduce_huge(x: f64) -> (f64, f64, i64) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1075;
    let mantissa = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;

    // |x| = mantissa * 2^exponent. Keep the 192 bits of 2/pi from place `exponent - 1` on; place 1 is bit 64 of the table.
    let first = (exponent - 1 + 63) as usize;
    let word = |i: usize| {
        let (index, shift) = (first / 64 + i, first % 64);
        let high = TWO_OVER_PI[index] << shift;
        if shift == 0 { high } else { high | (TWO_OVER_PI[index + 1] >> (64 - shift)) }
    };
    // mantissa * those bits, modulo 2^192: quarter turns modulo 4 with 190 bits of fraction.
    let m = u128::from(mantissa);
    let low = m * u128::from(word(2));
    let middle = m * u128::from(word(1)) + (low >> 64);
    let high = mantissa.wrapping_mul(word(0)).wrapping_add((middle >> 64) as u64);
    let (w0, w1, w2) = (high, middle as u64, low as u64);

    let mut quadrant = (w0 >> 62) as i64;
    // The fraction with its point at the top; from one half on, the distance to the next quadrant.
    let (mut f0, mut f1, mut f2) = ((w0 << 2) | (w1 >> 62), (w1 << 2) | (w2 >> 62), w2 << 2);
    let mut negative = f0 >> 63 == 1;
    if negative {
        quadrant += 1;
        (f2, f1, f0) = negate(f2, f1, f0);
    }
    // 128 significant bits, of which the leading 53 and the following 64 become floats.
    let mut place = 0;
    while f0 >> 63 == 0 && place < 128 {
        let zeros = f0.leading_zeros().min(63);
        f0 = (f0 << zeros) | ((f1 >> 1) >> (63 - zeros));
        f1 = (f1 << zeros) | ((f2 >> 1) >> (63 - zeros));
        f2 <<= zeros;
        place += i64::from(zeros);
    }
    let scale = super::pow2(-64 - place);
    let high = (f0 >> 11) as f64 * 2048.0 * scale;
    let low = (((f0 << 53) | (f1 >> 11)) as f64) * super::pow2(-53 - 64 - place);
    let mut r = high * PIO2[0];
    let mut r_low = high.mul_add(PIO2[0], -r) + high.mul_add(PIO2[1], low * PIO2[0]);

    if x < 0.0 {
        negative = !negative;
        quadrant = -quadrant;
    }
    if negative {
        (r, r_low) = (-r, -r_low);
    }
    let sum = r + r_low;
    (sum, (r - sum) + r_low, quadrant & 3)
}

/// Two's complement of three words, least significant first.
fn negate(w0: u64, w1: u64, w2: u64) -> (u64, u64, u64) {
    let (w0, carry0) = (!w0).overflowing_add(1);
    let (w1, carry1) = (!w1).overflowing_add(u64::from(carry0));
    (w0, w1, (!w2).wrapping_add(u64::from(carry1)))
}
