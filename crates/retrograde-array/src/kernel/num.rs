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
    /// The smaller value. Floats: NaN if either is NaN, `-0` below `+0`.
    fn smaller(self, other: Self) -> Self;
    fn negated(self) -> Self;
}

macro_rules! functions_trait {
    (
        plain { $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $at:expr => $value:expr, $doc:literal;)* }
        turning { $($turn:ident $turn_variant:ident $common:ident $turn_wide:ident $turn_narrow:ident
            $common_wide:ident $common_narrow:ident $turn_bound:literal, $turn_at:expr => $turn_value:expr, $turn_doc:literal;)* }
        binary { $($two:ident $two_variant:ident $two_wide:ident $two_narrow:ident $two_bound:literal,
            $x:expr, $y:expr => $two_value:expr, $two_doc:literal;)* }
    ) => {
        /// The functions of [`map`](crate::map), expanded into arithmetic.
        ///
        /// A narrower number type has them by conversion: to f32, there the function, and back, which rounds once more.
        pub(crate) trait Functions: Copy {
            $(fn $name(self) -> Self;)*
            $(
                fn $turn(self) -> Self;
                /// The function with the fast argument reduction, right where [`Functions::turn_is_rare`] is false.
                fn $common(self) -> Self;
            )*
            /// True where the functions of an angle need the exact argument reduction.
            fn turn_is_rare(self) -> bool;
            $(fn $two(self, other: Self) -> Self;)*
        }

        functions_trait! { for f64 trig_is_rare_f64
            $($name $wide;)* $($turn $turn_wide; $common $common_wide;)* / $($two $two_wide;)* }
        functions_trait! { for f32 trig_is_rare_f32
            $($name $narrow;)* $($turn $turn_narrow; $common $common_narrow;)* / $($two $two_narrow;)* }
    };
    (for $t:ident $rare:ident $($name:ident $f:ident;)* / $($two:ident $g:ident;)*) => {
        impl Functions for $t {
            $(
                #[inline(always)]
                fn $name(self) -> $t {
                    crate::map::expanded::$f(self)
                }
            )*
            $(
                #[inline(always)]
                fn $two(self, other: $t) -> $t {
                    crate::map::expanded::$g(self, other)
                }
            )*
            #[inline(always)]
            fn turn_is_rare(self) -> bool {
                crate::map::expanded::$rare(self)
            }
        }
    };
}
crate::map::each_function!(functions_trait);

/// The floating-point number types.
pub(crate) trait Float: Num + Functions {
    fn divided(self, other: Self) -> Self;
    fn root(self) -> Self;
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
            fn smaller(self, other: $t) -> $t {
                let tie = $t::from_bits(self.to_bits() | other.to_bits());
                let ordered = if self == other { tie } else { other };
                if self < other || self.is_nan() { self } else { ordered }
            }

            #[inline(always)]
            fn negated(self) -> $t {
                -self
            }
        }

        impl Float for $t {
            #[inline(always)]
            fn divided(self, other: $t) -> $t {
                self / other
            }

            #[inline(always)]
            fn root(self) -> $t {
                self.sqrt()
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
            fn smaller(self, other: $t) -> $t {
                self.min(other)
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
