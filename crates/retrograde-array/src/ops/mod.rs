//! Plain functions on arrays, the arithmetic of every executor.
//!
//! Types are the caller's business: dtypes, shapes, axes and permutations are checked before a program runs, so a
//! mismatch here is a broken invariant and panics with "this is a bug in retrograde". What depends on data (an index, a zero
//! divisor) is an error. Integers wrap. `bf16` is computed in `f32` and rounded once. Where no cost is stated, it is one pass
//! over operands and result.
//!
//! ```
//! use retrograde_array::{array, ops, ops::Binary};
//! // The fractions of each row.
//! let x = array([[1.0, 3.0], [2.0, 6.0]]);
//! let totals = ops::broadcast(&ops::sum(&x, &[1]), x.shape(), &[0]);
//! assert_eq!(ops::binary(Binary::Div, &x, &totals)?, array([[0.25, 0.75], [0.25, 0.75]]));
//! # Ok::<(), retrograde_array::ArrayError>(())
//! ```

mod bf16;
mod broadcast;
mod compare;
mod concat;
mod conv;
mod convert;
mod cumulative;
mod dot;
mod elementwise;
mod fold;
pub mod fourier;
mod function;
mod gather;
pub mod linalg;
pub(crate) mod logic;
mod logsumexp;
mod pack;
pub(crate) mod piecewise;
mod place;
mod quantise;
mod reduce;
mod reverse;
mod slice;
mod sort;
pub(crate) mod strided;
pub(crate) mod strong;
mod transpose;
mod triangle;
mod window;

pub use broadcast::broadcast;
pub use compare::{Comparison, compare, select};
pub use concat::{concat, concat_into};
pub use conv::{Convolution, ConvolutionForm, conv, conv_input, conv_kernel};
pub use convert::convert;
pub use cumulative::{Cumulation, cumprod, cumsum, recurrence};
pub use dot::{DotDims, Product, dot_general};
pub use elementwise::{Binary, Unary, binary, fma, unary};
pub use fold::{Fold, Reduction, any, prod, reduce_max, reduce_min};
pub use function::{function, function2, polygamma};
pub use gather::{gather, gather_into, scatter_add, scatter_add_into};
pub use logic::{Logic, Shift, is_finite, logic, not, shift};
pub use logsumexp::{logsumexp, logsumexp_into};
pub use pack::{pack_bits, unpack_bits};
pub use piecewise::{Piecewise, clamp, min, piecewise, rem};
pub use place::{dynamic_slice, dynamic_slice_into, dynamic_update, dynamic_update_into, iota, pad};
pub use quantise::{NotOnGrid, QUANTISE_BLOCK, dequantise, quantise, quantised_bytes};
pub use reduce::{argmax, argmax_into, argmin, argmin_into, sum};
pub use reverse::reverse;
pub use slice::{pad_into, pad_slice, slice};
pub use sort::argsort;
pub use strong::{strong_div, strong_mul};
pub use transpose::{reshape, transpose};
pub use triangle::{Part, triangle};
pub use window::{Window, WindowArgmax, add_windows, window_argmax, windows};

use crate::{Array, DType, Element};

/// The typed values of an operand whose dtype the caller has checked.
#[track_caller]
fn values<T: Element>(a: &Array) -> &[T] {
    match a.as_slice() {
        Some(values) => values,
        None => bug(&format!("{} array where {} was promised", a.dtype(), T::DTYPE)),
    }
}

/// A broken promise of the caller.
#[track_caller]
#[cold]
fn bug(what: &str) -> ! {
    panic!("{what}; this is a bug in retrograde")
}

#[track_caller]
#[cold]
fn no_such(op: &str, dtype: DType) -> ! {
    bug(&format!("{op} of {dtype}"))
}

/// `$body` with `$t` the Rust type of a number dtype; `bool` is a broken promise, and so is `bf16`, which [`bf16`] computes
/// in `f32`.
macro_rules! each_num {
    ($dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            other @ ($crate::DType::BF16 | $crate::DType::Bool) => $crate::ops::no_such($op, other),
        }
    };
}

#[cfg(test)]
mod tests;

use crate::element::each_dtype;
use each_num;
