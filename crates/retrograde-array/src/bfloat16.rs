//! `bf16`: a float of 8 exponent and 8 significant bits, the upper half of an `f32`.

use std::fmt;
use std::ops::Neg;

/// The element type behind [`DType::BF16`](crate::DType::BF16): range of an `f32`, 8 significant bits.
///
/// Arithmetic happens in `f32`, rounded once (see [`crate::ops`]). Source: the layout of bfloat16, Wang and Kanwar 2019.
///
/// ```
/// use retrograde_array::bf16;
/// let x = bf16::from_f64(1.0 / 3.0);
/// assert_eq!(x.to_f32(), 0.333_984_38);
/// assert_eq!(bf16::from_f32(1.0 / 3.0), x);
/// assert_eq!(bf16::from_bits(x.to_bits()), x);
/// assert_eq!(bf16::from_le_bytes(x.to_le_bytes()), -(-x));
/// assert!(bf16::from_f64(1e39).to_f64().is_infinite() && bf16::INFINITY.is_infinite() && !bf16::NAN.is_finite() && bf16::NAN.is_nan());
/// ```
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
#[repr(transparent)]
#[allow(non_camel_case_types, reason = "it stands beside f32 and f64")]
pub struct bf16(half::bf16);

impl bf16 {
    /// 0
    pub const ZERO: bf16 = bf16(half::bf16::ZERO);
    /// -0
    pub const NEG_ZERO: bf16 = bf16(half::bf16::NEG_ZERO);
    /// 1
    pub const ONE: bf16 = bf16(half::bf16::ONE);
    /// The quiet NaN without payload.
    pub const NAN: bf16 = bf16(half::bf16::NAN);
    /// Above all numbers.
    pub const INFINITY: bf16 = bf16(half::bf16::INFINITY);
    /// Below all numbers.
    pub const NEG_INFINITY: bf16 = bf16(half::bf16::NEG_INFINITY);

    /// The largest number.
    pub const MAX: bf16 = bf16(half::bf16::MAX);

    /// The nearest, ties to even.
    #[inline]
    pub fn from_f32(x: f32) -> bf16 {
        bf16(half::bf16::from_f32(x))
    }
    /// The nearest, ties to even, rounded once.
    #[inline]
    pub fn from_f64(x: f64) -> bf16 {
        crate::rounding::bf16_from_f64(x)
    }
    /// The same number.
    #[inline]
    pub fn to_f32(self) -> f32 {
        self.0.to_f32()
    }
    /// The same number.
    #[inline]
    pub fn to_f64(self) -> f64 {
        self.0.to_f64()
    }
    /// Sign, exponent and fraction, as in the upper half of an `f32`.
    #[inline]
    pub const fn from_bits(bits: u16) -> bf16 {
        bf16(half::bf16::from_bits(bits))
    }
    /// Sign, exponent and fraction.
    #[inline]
    pub const fn to_bits(self) -> u16 {
        self.0.to_bits()
    }
    /// From the bytes of its bits, lowest first.
    #[inline]
    pub const fn from_le_bytes(bytes: [u8; 2]) -> bf16 {
        bf16(half::bf16::from_le_bytes(bytes))
    }
    /// The bytes of its bits, lowest first.
    #[inline]
    pub const fn to_le_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }
    /// Whether it is no number.
    #[inline]
    pub const fn is_nan(self) -> bool {
        self.0.is_nan()
    }
    /// Whether it is above or below all numbers.
    #[inline]
    pub const fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }
    /// Whether it is a number and not infinite.
    #[inline]
    pub const fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl Neg for bf16 {
    type Output = bf16;
    #[inline]
    fn neg(self) -> bf16 {
        bf16(-self.0)
    }
}

impl From<bf16> for f32 {
    fn from(x: bf16) -> f32 {
        x.to_f32()
    }
}

impl From<bf16> for f64 {
    fn from(x: bf16) -> f64 {
        x.to_f64()
    }
}

impl std::str::FromStr for bf16 {
    type Err = std::num::ParseFloatError;
    fn from_str(s: &str) -> Result<bf16, Self::Err> {
        s.parse().map(bf16::from_f64)
    }
}

impl fmt::Debug for bf16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for bf16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
