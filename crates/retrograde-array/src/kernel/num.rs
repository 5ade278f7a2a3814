//! Arithmetic shared by floats and integers; integers wrap.

use crate::Element;

/// A number type with the arithmetic of reductions and products.
pub(crate) trait Num: Element {
    /// `+0`.
    const ZERO: Self;
    /// Lanes of a canonical sum.
    const LANES: usize;

    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// `self * b + c`, rounded once for floats.
    fn fma(self, b: Self, c: Self) -> Self;
    /// The larger value. Floats: NaN if either is NaN, `+0` above `-0`.
    fn larger(self, other: Self) -> Self;
    fn negated(self) -> Self;
}

/// The floating-point number types.
pub(crate) trait Float: Num {
    fn divided(self, other: Self) -> Self;
    fn root(self) -> Self;
    fn exp(self) -> Self;
    fn log(self) -> Self;
    fn tanh(self) -> Self;
    /// `sin` with the fast argument reduction, right where [`Float::trig_is_rare`] is false.
    fn sin_common(self) -> Self;
    /// `cos` with the fast argument reduction, right where [`Float::trig_is_rare`] is false.
    fn cos_common(self) -> Self;
    /// True where `sin` and `cos` need the exact argument reduction.
    fn trig_is_rare(self) -> bool;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
}

macro_rules! float {
    ($t:ident, $lanes:literal) => {
        impl Num for $t {
            const ZERO: $t = 0.0;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self + other
            }

            #[inline(always)]
            fn minus(self, other: $t) -> $t {
                self - other
            }

            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self * other
            }

            #[inline(always)]
            fn fma(self, b: $t, c: $t) -> $t {
                self.mul_add(b, c)
            }

            #[inline(always)]
            fn larger(self, other: $t) -> $t {
                // Equal values have equal bits but for the two zeros; `&` of the bits then gives +0 before -0.
                let tie = $t::from_bits(self.to_bits() & other.to_bits());
                let ordered = if self == other { tie } else { other };
                if self > other || self.is_nan() { self } else { ordered }
            }

            #[inline(always)]
            fn negated(self) -> $t {
                -self
            }
        }
    };
}

float!(f64, 8);
float!(f32, 16);

macro_rules! integer {
    ($t:ident, $lanes:literal) => {
        impl Num for $t {
            const ZERO: $t = 0;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn minus(self, other: $t) -> $t {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }

            #[inline(always)]
            fn fma(self, b: $t, c: $t) -> $t {
                self.wrapping_mul(b).wrapping_add(c)
            }

            #[inline(always)]
            fn larger(self, other: $t) -> $t {
                self.max(other)
            }

            #[inline(always)]
            fn negated(self) -> $t {
                self.wrapping_neg()
            }
        }
    };
}

integer!(i64, 8);
integer!(i32, 16);
integer!(u8, 16);

macro_rules! transcendental {
    ($t:ident, $exp:ident, $log:ident, $tanh:ident, $sin:ident, $cos:ident,
     $sin_common:ident, $cos_common:ident, $rare:ident) => {
        impl Float for $t {
            #[inline(always)]
            fn divided(self, other: $t) -> $t {
                self / other
            }

            #[inline(always)]
            fn root(self) -> $t {
                self.sqrt()
            }

            #[inline(always)]
            fn exp(self) -> $t {
                crate::map::expanded::$exp(self)
            }

            #[inline(always)]
            fn log(self) -> $t {
                crate::map::expanded::$log(self)
            }

            #[inline(always)]
            fn tanh(self) -> $t {
                crate::map::expanded::$tanh(self)
            }

            #[inline(always)]
            fn sin_common(self) -> $t {
                crate::map::expanded::$sin_common(self)
            }

            #[inline(always)]
            fn cos_common(self) -> $t {
                crate::map::expanded::$cos_common(self)
            }

            #[inline(always)]
            fn trig_is_rare(self) -> bool {
                crate::map::expanded::$rare(self)
            }

            #[inline(always)]
            fn sin(self) -> $t {
                crate::map::expanded::$sin(self)
            }

            #[inline(always)]
            fn cos(self) -> $t {
                crate::map::expanded::$cos(self)
            }
        }
    };
}

transcendental!(
    f64,
    exp_f64,
    log_f64,
    tanh_f64,
    sin_f64,
    cos_f64,
    sin_common_f64,
    cos_common_f64,
    trig_is_rare_f64
);
transcendental!(
    f32,
    exp_f32,
    log_f32,
    tanh_f32,
    sin_f32,
    cos_f32,
    sin_common_f32,
    cos_common_f32,
    trig_is_rare_f32
);
