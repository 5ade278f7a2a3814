//! The map functions over slices: for each, `slice::NAME` into an output of the same length, and `NAME` into a new vector.
//!
//! The loops are those of tile code.

use super::tile::{at, function};
use super::{Float, level};

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
            use super::*;
            kernels! { slices $($name $variant $doc;)* $($turn $turn_variant $turn_doc;)* }
            $(
                #[doc = $two_doc]
                pub(crate) fn $two<T: Float>(a: &[T], b: &[T], out: &mut [T]) {
                    assert!(a.len() == out.len() && b.len() == out.len(), "lengths differ; this is a bug in retrograde");
                    let none = std::ptr::null();
                    let routine = at::<function::$two_variant<T>>(level());
                    // SAFETY: the slices have as many entries as are said, and borrows keep the output apart from the operands.
                    unsafe { routine(out.as_mut_ptr().cast(), a.as_ptr().cast(), b.as_ptr().cast(), none, a.len()) }
                }
            )*
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
    (slices $($name:ident $variant:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub(crate) fn $name<T: Float>(a: &[T], out: &mut [T]) {
            assert!(a.len() == out.len(), "lengths differ; this is a bug in retrograde");
            let none = std::ptr::null();
            let routine = at::<function::$variant<T>>(level());
            // SAFETY: the slices have as many entries as is said, and borrows keep the output apart from the operand.
            unsafe { routine(out.as_mut_ptr().cast(), a.as_ptr().cast(), none, none, a.len()) }
        }
    )*};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_the_functions_of_their_entries() {
        let (x, y) = ([0.5, -3.0, 1e300, 0.0, 2.5], [1.0, 0.25, -7.0, -0.0, 3.0]);
        let one = |f: fn(&[f64]) -> Vec<f64>| -> Vec<f64> { x.iter().flat_map(|&x| f(&[x])).collect() };
        assert_eq!((exp(&x), sin(&x)), (one(exp), one(sin)));
        assert_eq!((exp(&x)[3], sin(&x)[3]), (1.0, 0.0));
        let two: Vec<f64> = x.iter().zip(&y).flat_map(|(&x, &y)| atan2(&[x], &[y])).collect();
        assert_eq!(atan2(&x, &y), two);
    }
}
