//! Loops compiled several times, for the instruction sets of the machine at hand, with the same bits in each.
//!
//! A kernel written inside [`dispatch!`] is an ordinary safe function whose body is compiled for the portable
//! target, for AVX2 with FMA and for AVX-512; the widest version that the CPU has is chosen when it is called. Bodies may
//! use `mul_add` (without the instruction it is a correctly rounded software operation) but nothing whose bits
//! depend on the target, so the choice changes speed only.

mod dot;
mod elementwise;
mod fold;
mod level;
mod lost;
mod num;
mod scratch;
mod team;
pub(crate) mod tile;
mod transcendental;
mod unique;

pub(crate) use dot::{
    Entries, Geometry, Matrix, Places, Registers, Runs, Windows, product, product_of_windows, window_argmax,
};
pub(crate) use elementwise::{map, zip, zip3};
pub(crate) use fold::{fold_inner, fold_middle};
pub use level::Level;
pub(crate) use level::level;
pub(crate) use lost::{candidate, compare_add, compare_fma, detect_add, detect_fma, preimages};
pub(crate) use num::{Float, Num};
pub use scratch::{Alone, Scratch, Workers};
pub(crate) use scratch::{Buffer, chunked, share};
pub use team::Threads;
pub(crate) use transcendental::*;
pub(crate) use unique::{is_unique, unique};

#[cfg(test)]
pub(crate) use level::at_level;

/// Defines a function whose body is compiled per instruction set and chosen at run time.
///
/// Generic parameters are given twice: as declared and as used, `[T: Num] [T]`.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis fn $name:ident [$($decl:tt)*] [$($used:tt)*]
        ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "the geometry of a loop nest")]
        $vis fn $name<$($decl)*>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "the geometry of a loop nest")]
            fn body<$($decl)*>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "the geometry of a loop nest")]
                fn avx512<$($decl)*>($($arg: $ty),*) $(-> $ret)? {
                    body::<$($used)*>($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "the geometry of a loop nest")]
                fn avx2<$($decl)*>($($arg: $ty),*) $(-> $ret)? {
                    body::<$($used)*>($($arg),*)
                }

                match $crate::kernel::level() {
                    $crate::kernel::Level::Avx512 => {
                        // SAFETY: `level` returns Avx512 only after detecting every feature enabled on `avx512`.
                        return unsafe { avx512::<$($used)*>($($arg),*) };
                    }
                    $crate::kernel::Level::Avx2 => {
                        // SAFETY: `level` returns Avx2 only after detecting every feature enabled on `avx2`.
                        return unsafe { avx2::<$($used)*>($($arg),*) };
                    }
                    $crate::kernel::Level::Portable => {}
                }
            }
            body::<$($used)*>($($arg),*)
        }
    };
}
pub(crate) use dispatch;
