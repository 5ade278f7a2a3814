//! The map functions over slices: for each, `slice::NAME` into an output of the same length, and `NAME` into a new vector.
//!
//! Functions of an angle compute every entry with the fast argument reduction, then repair the rare entries that need the
//! exact one: the loop stays branch-free.

use super::{Float, dispatch};

macro_rules! kernels {
    (
        plain { $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $at:expr => $value:expr, $doc:literal;)* }
        turning { $($turn:ident $turn_variant:ident $common:ident $turn_wide:ident $turn_narrow:ident
            $common_wide:ident $common_narrow:ident $turn_bound:literal, $turn_at:expr => $turn_value:expr, $turn_doc:literal;)* }
        binary { $($two:ident $two_variant:ident $two_wide:ident $two_narrow:ident $two_bound:literal,
            $x:expr, $y:expr => $two_value:expr, $two_doc:literal;)* }
    ) => {
        /// Each function of every entry. Lengths are equal.
        pub(crate) mod slice {
            use super::{Float, dispatch};

            $(dispatch! {
                pub(crate) fn $name [T: Float] [T] (a: &[T], out: &mut [T]) {
                    for (out, &a) in out.iter_mut().zip(a) {
                        *out = a.$name();
                    }
                }
            })*

            $(dispatch! {
                pub(crate) fn $turn [T: Float] [T] (a: &[T], out: &mut [T]) {
                    let mut any_rare = false;
                    for (out, &a) in out.iter_mut().zip(a) {
                        *out = a.$common();
                        any_rare |= a.turn_is_rare();
                    }
                    if any_rare {
                        for (out, &a) in out.iter_mut().zip(a) {
                            if a.turn_is_rare() {
                                *out = a.$turn();
                            }
                        }
                    }
                }
            })*

            $(dispatch! {
                pub(crate) fn $two [T: Float] [T] (a: &[T], b: &[T], out: &mut [T]) {
                    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                        *out = a.$two(b);
                    }
                }
            })*
        }

        kernels! { vectors $($name $doc;)* $($turn $turn_doc;)* }
        $(
            #[doc = $two_doc]
            pub(crate) fn $two<T: Float>(a: &[T], b: &[T]) -> Vec<T> {
                let mut out = vec![T::ZERO; a.len()];
                slice::$two(a, b, &mut out);
                out
            }
        )*
    };
    (vectors $($name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub(crate) fn $name<T: Float>(a: &[T]) -> Vec<T> {
            let mut out = vec![T::ZERO; a.len()];
            slice::$name(a, &mut out);
            out
        }
    )*};
}
crate::map::each_function!(kernels);
