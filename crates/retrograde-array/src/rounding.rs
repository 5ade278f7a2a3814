//! Rounding to `bf16` once, from types with more bits than `f32`.
//!
//! Going through an `f32` rounded to nearest would round twice. Rounded *to odd* first (a value between two `f32` goes to the
//! one whose last bit is set, which is never halfway between two `bf16`), the second rounding gives the nearest `bf16`.
//!
//! # Source
//! Boldo and Melquiond (2008), Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd.

use crate::bf16;

/// The nearest `bf16`, ties to even.
#[inline]
pub(crate) fn bf16_from_f64(x: f64) -> bf16 {
    let near = x as f32;
    let bits = near.to_bits();
    let odd = if f64::from(near) == x || x.is_nan() || bits & 1 == 1 {
        bits
    } else if f64::from(near).abs() > x.abs() {
        bits - 1
    } else {
        bits + 1
    };
    bf16::from_f32(f32::from_bits(odd))
}

/// The nearest `bf16`, ties to even.
#[inline]
pub(crate) fn bf16_from_i64(x: i64) -> bf16 {
    /// Low bits that an `f64` may be unable to hold; below 2^53 it holds all.
    const LOW: i64 = (1 << 12) - 1;
    let odd = if x.unsigned_abs() < 1 << 53 { x } else { (x & !LOW) | i64::from(x & LOW != 0) << 11 };
    bf16_from_f64(odd as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every finite `bf16` of one sign, and infinity where the next one would be.
    fn grid() -> impl Iterator<Item = (bf16, bf16)> {
        (0..bf16::INFINITY.to_bits()).map(|bits| (bf16::from_bits(bits), bf16::from_bits(bits + 1)))
    }

    #[test]
    fn ties_and_their_neighbours_from_f64() {
        for (low, high) in grid() {
            // Overflow rounds as if the exponent had no end.
            let above = if high.is_infinite() { 2.0_f64.powi(128) } else { high.to_f64() };
            let tie = (low.to_f64() + above) / 2.0;
            let even = if low.to_bits() % 2 == 0 { low } else { high };
            for (x, nearest) in [
                (low.to_f64(), low),
                (f64::from_bits(tie.to_bits() - 1), low),
                (tie, even),
                (f64::from_bits(tie.to_bits() + 1), high),
            ] {
                assert_eq!(bf16_from_f64(x).to_bits(), nearest.to_bits(), "{x:e}");
                assert_eq!(bf16_from_f64(-x).to_bits(), (-nearest).to_bits(), "{x:e}");
            }
        }
        assert!(bf16_from_f64(f64::NAN).is_nan());
        assert_eq!(bf16_from_f64(f64::NEG_INFINITY), bf16::NEG_INFINITY);
        assert_eq!(bf16_from_f64(-5e-324).to_bits(), bf16::NEG_ZERO.to_bits());
    }

    #[test]
    fn ties_and_their_neighbours_from_i64() {
        for (low, high) in grid().filter(|(low, _)| (256.0..2.0_f64.powi(63)).contains(&low.to_f64())) {
            let tie = ((low.to_f64() as i128 + high.to_f64() as i128) / 2) as i64;
            let even = if low.to_bits() % 2 == 0 { low } else { high };
            for (x, nearest) in [(tie - 1, low), (tie, even), (tie + 1, high)] {
                assert_eq!(bf16_from_i64(x), nearest, "{x}");
                assert_eq!(bf16_from_i64(-x), -nearest, "{x}");
            }
        }
        assert_eq!(bf16_from_i64(i64::MIN).to_f64(), i64::MIN as f64);
        assert_eq!(bf16_from_i64(i64::MAX).to_f64(), -(i64::MIN as f64));
        for x in -256..=256 {
            assert_eq!(bf16_from_i64(x).to_f64(), x as f64);
        }
    }
}
