//! Floats as ordered integers.

use crate::{Element, bf16};

/// The floats whose additions can be reversed: `f64`, `f32` and `bf16`. Sealed through [`Element`].
///
/// ```
/// use retrograde_array::lost::Real;
/// assert_eq!((1.0_f64.plus(2.0), 1.0_f64.minus(2.0), 2.0_f64.fma(3.0, 1.0), 1.0_f64.negated()), (3.0, -1.0, 7.0, -1.0));
/// assert!(!f64::NAN.is_finite());
/// assert_eq!(1.0_f64.neighbours(), (1.0 - f64::EPSILON / 2.0, 1.0 + f64::EPSILON));
/// assert_eq!(((-0.0_f64).place(), 0.0_f64.place(), f64::from_place(1)), (-1, 0, 5e-324));
/// ```
pub trait Real: Element {
    /// `+0`.
    const ZERO: Self;
    /// The place of the largest finite float; places of finite floats are `-1 - LARGEST_PLACE ..= LARGEST_PLACE`.
    const LARGEST_PLACE: i64;

    /// `fl(self + other)`
    fn plus(self, other: Self) -> Self;
    /// `fl(self - other)`
    fn minus(self, other: Self) -> Self;
    /// `fl(self * b + c)`
    fn fma(self, b: Self, c: Self) -> Self;
    /// `-self`
    fn negated(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The floats just below and above in magnitude, of the same sign. Meaningless for zeros and beyond the finite floats.
    fn neighbours(self) -> (Self, Self);
    /// The place in the order of Note [float order]: `+0` is 0, `-0` is -1.
    fn place(self) -> i64;
    /// The float at a place.
    fn from_place(key: i64) -> Self;
}

macro_rules! real {
    ($t:ident, $signed:ty, $x:ident, $y:ident, $z:ident, $plus:expr, $minus:expr, $fma:expr) => {
        impl Real for $t {
            const ZERO: $t = $t::from_bits(0);
            const LARGEST_PLACE: i64 = $t::MAX.to_bits() as i64;

            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                let ($x, $y) = (self, other);
                $plus
            }

            #[inline(always)]
            fn minus(self, other: $t) -> $t {
                let ($x, $y) = (self, other);
                $minus
            }

            #[inline(always)]
            fn fma(self, b: $t, c: $t) -> $t {
                let ($x, $y, $z) = (self, b, c);
                $fma
            }

            #[inline(always)]
            fn negated(self) -> $t {
                -self
            }

            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }

            #[inline(always)]
            fn neighbours(self) -> ($t, $t) {
                let bits = self.to_bits();
                ($t::from_bits(bits.wrapping_sub(1)), $t::from_bits(bits.wrapping_add(1)))
            }

            #[inline(always)]
            fn place(self) -> i64 {
                let bits = self.to_bits() as $signed;
                i64::from(if bits < 0 { -1 - (bits & <$signed>::MAX) } else { bits })
            }

            #[inline(always)]
            fn from_place(key: i64) -> $t {
                let key = key as $signed;
                let bits = if key < 0 { (-1 - key) | <$signed>::MIN } else { key };
                $t::from_bits(bits as _)
            }
        }
    };
}

real!(f64, i64, x, y, z, x + y, x - y, x.mul_add(y, z));
real!(f32, i32, x, y, z, x + y, x - y, x.mul_add(y, z));
// In f32, rounded: both steps are monotone, and so is their composition.
real!(
    bf16,
    i16,
    x,
    y,
    z,
    bf16::from_f32(x.to_f32() + y.to_f32()),
    bf16::from_f32(x.to_f32() - y.to_f32()),
    bf16::from_f32(x.to_f32().mul_add(y.to_f32(), z.to_f32()))
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered() {
        let ascending = [
            -f64::INFINITY,
            f64::MIN,
            -1.0,
            -f64::MIN_POSITIVE,
            -5e-324,
            -0.0,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0].place() < pair[1].place());
        }
        for x in ascending {
            assert_eq!(f64::from_place(x.place()).to_bits(), x.to_bits());
            assert_eq!(f32::from_place((x as f32).place()).to_bits(), (x as f32).to_bits());
            let x = bf16::from_f64(x);
            assert_eq!(bf16::from_place(x.place()).to_bits(), x.to_bits());
        }
        assert_eq!(((-0.0_f64).place(), 0.0_f32.place(), (-0.0_f32).place()), (-1, 0, -1));
        assert_eq!((f64::MAX.place(), f64::MIN.place()), (f64::LARGEST_PLACE, -1 - f64::LARGEST_PLACE));
        assert_eq!((f32::MAX.place(), f32::MIN.place()), (f32::LARGEST_PLACE, -1 - f32::LARGEST_PLACE));
    }
}
