//! The arithmetic of `bf16`: in `f32`, the result rounded once to nearest, ties to even.
//!
//! So each operation has one meaning on every machine, and a sum or product of many terms loses nothing to `bf16` on the way.
//! The sum, difference, product, quotient and square root of two `bf16` are thereby correctly rounded where the result is a
//! normal number: `f32` has more than twice the significant bits and two (Figueroa 1995, When is double rounding innocuous?).

use crate::{Array, bf16, kernel};

use super::elementwise::result;
use super::values;

/// `f` of the operands in `f32`, rounded.
///
/// # Panics
/// When an operand is not `bf16`: internal misuse.
pub(super) fn in_f32<const N: usize>(operands: [&Array; N], f: impl FnOnce([&Array; N]) -> Array) -> Array {
    let wide = operands.map(|a| result(a.shape(), kernel::map(values::<bf16>(a), bf16::to_f32)));
    let wide = f(wide.each_ref());
    result(wide.shape(), kernel::map(values::<f32>(&wide), bf16::from_f32))
}
