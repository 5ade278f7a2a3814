//! Arithmetic entry by entry.

use crate::kernel::{self, Float, Num};
use crate::{Array, ArrayError, DType, Element, Shape};

use super::bf16::in_f32;
use super::{broadcast, bug, each_num, no_such, values};

/// A function of one number. Integers have only `Neg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unary {
    /// `-x`
    Neg,
    /// The square root, correctly rounded.
    Sqrt,
}

/// A function of two numbers of one dtype. Integers wrap; `bool` has `Mul` (and) and `Max` (or).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`; integers truncate towards zero.
    Div,
    /// The larger; NaN if either is NaN, `+0` above `-0`.
    Max,
}

/// `op` of every entry.
///
/// # Panics
/// When the dtype has no such operation: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Unary};
/// assert_eq!(ops::unary(Unary::Sqrt, &array([4.0, -0.0, -1.0])), array([2.0, -0.0, f64::NAN]));
/// assert_eq!(ops::unary(Unary::Neg, &array([1, i32::MIN])), array([-1, i32::MIN]));
/// ```
pub fn unary(op: Unary, a: &Array) -> Array {
    match (a.dtype(), op) {
        (DType::F64, _) => float_unary::<f64>(op, a),
        (DType::F32, _) => float_unary::<f32>(op, a),
        (DType::BF16, _) => in_f32([a], |[a]| float_unary::<f32>(op, a)),
        (DType::I64, Unary::Neg) => result(a.shape(), kernel::map(values(a), i64::negated)),
        (DType::I32, Unary::Neg) => result(a.shape(), kernel::map(values(a), i32::negated)),
        (DType::U8, Unary::Neg) => result(a.shape(), kernel::map(values(a), u8::negated)),
        (dtype, _) => no_such(&format!("{op:?}"), dtype),
    }
}

fn float_unary<T: Float>(op: Unary, a: &Array) -> Array {
    let x = values::<T>(a);
    let y = match op {
        Unary::Neg => kernel::map(x, |x| x.negated()),
        Unary::Sqrt => kernel::map(x, |x| x.root()),
    };
    result(a.shape(), y)
}

/// `op` of every pair of entries. Shapes are equal, or one operand has rank 0 and pairs with every entry of the other.
///
/// # Errors
/// [`ArrayError::DivisionByZero`] for an integer division by zero.
///
/// # Panics
/// When dtypes or shapes differ or the dtype has no such operation: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Binary};
/// assert_eq!(ops::binary(Binary::Div, &array([1.0, 0.0]), &array(0.0))?, array([f64::INFINITY, f64::NAN]));
/// assert_eq!(ops::binary(Binary::Max, &array([-0.0, f64::NAN]), &array(0.0))?, array([0.0, f64::NAN]));
/// let error = ops::binary(Binary::Div, &array([6, 6]), &array([4, 0])).unwrap_err();
/// assert_eq!(error.to_string(), "integer division by zero at element 1");
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn binary(op: Binary, a: &Array, b: &Array) -> Result<Array, ArrayError> {
    Ok(match a.dtype() {
        DType::F64 => float_binary::<f64>(op, a, b),
        DType::F32 => float_binary::<f32>(op, a, b),
        DType::BF16 => in_f32([a, b], |[a, b]| float_binary::<f32>(op, a, b)),
        DType::I64 if op == Binary::Div => {
            check_divisor::<i64>(b)?;
            pairs(a, b, i64::wrapping_div)
        }
        DType::I32 if op == Binary::Div => {
            check_divisor::<i32>(b)?;
            pairs(a, b, i32::wrapping_div)
        }
        DType::U8 if op == Binary::Div => {
            check_divisor::<u8>(b)?;
            pairs(a, b, u8::wrapping_div)
        }
        DType::I64 => ring_binary::<i64>(op, a, b),
        DType::I32 => ring_binary::<i32>(op, a, b),
        DType::U8 => ring_binary::<u8>(op, a, b),
        DType::Bool => match op {
            Binary::Mul => pairs(a, b, |x: bool, y| x & y),
            Binary::Max => pairs(a, b, |x: bool, y| x | y),
            Binary::Add | Binary::Sub | Binary::Div => no_such(&format!("{op:?}"), DType::Bool),
        },
    })
}

fn float_binary<T: Float>(op: Binary, a: &Array, b: &Array) -> Array {
    match op {
        Binary::Div => pairs(a, b, |x: T, y| x.divided(y)),
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Max => ring_binary::<T>(op, a, b),
    }
}

fn ring_binary<T: Num>(op: Binary, a: &Array, b: &Array) -> Array {
    match op {
        Binary::Add => pairs(a, b, |x: T, y| x.plus(y)),
        Binary::Sub => pairs(a, b, |x: T, y| x.minus(y)),
        Binary::Mul => pairs(a, b, |x: T, y| x.times(y)),
        Binary::Max => pairs(a, b, |x: T, y| x.larger(y)),
        Binary::Div => no_such("Div", T::DTYPE),
    }
}

pub(super) fn check_divisor<T: Num>(b: &Array) -> Result<(), ArrayError> {
    match values::<T>(b).iter().position(|&y| y == T::ZERO) {
        Some(element) => Err(ArrayError::DivisionByZero { element }),
        None => Ok(()),
    }
}

/// `f` of every pair; a rank-0 operand pairs with every entry of the other.
#[inline]
pub(super) fn pairs<T: Element, U: Element>(a: &Array, b: &Array, f: impl Fn(T, T) -> U) -> Array {
    let (x, y) = (values::<T>(a), values::<T>(b));
    if a.shape() == b.shape() {
        result(a.shape(), kernel::zip(x, y, f))
    } else if b.rank() == 0 {
        let y = y[0];
        result(a.shape(), kernel::map(x, |x| f(x, y)))
    } else if a.rank() == 0 {
        let x = x[0];
        result(b.shape(), kernel::map(y, |y| f(x, y)))
    } else {
        bug(&format!("shapes {} and {} of one operation", a.shape(), b.shape()))
    }
}

/// `a * b + c` entry by entry, rounded once for `f64` and `f32`. A rank-0 operand serves every entry of the others.
///
/// # Panics
/// When dtypes or shapes differ: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// // The exact square of 1 + ε, less 1 + 2ε, rounded once.
/// let x = array(1.0 + f64::EPSILON);
/// assert_eq!(ops::fma(&x, &x, &array([-1.0 - 2.0 * f64::EPSILON])), array([f64::EPSILON * f64::EPSILON]));
/// ```
pub fn fma(a: &Array, b: &Array, c: &Array) -> Array {
    let shape = [a, b, c].into_iter().map(Array::shape).max_by_key(|shape| shape.rank()).unwrap_or(a.shape());
    let (a, b, c) = (&expand(a, shape), &expand(b, shape), &expand(c, shape));
    if a.dtype() == DType::BF16 {
        return in_f32([a, b, c], |[a, b, c]| fma(a, b, c));
    }
    each_num!(a.dtype(), "fma", T => {
        result(shape, kernel::zip3(values::<T>(a), values::<T>(b), values::<T>(c), |a, b, c| a.fma(b, c)))
    })
}

/// The array itself, or a rank-0 array repeated to `shape`.
pub(super) fn expand(a: &Array, shape: &Shape) -> Array {
    if a.shape() == shape {
        a.clone()
    } else if a.rank() == 0 {
        broadcast(a, shape, &[])
    } else {
        bug(&format!("shapes {} and {shape} of one operation", a.shape()))
    }
}

pub(super) fn result<T: Element>(shape: &Shape, values: Vec<T>) -> Array {
    Array::from_parts(shape.clone(), values)
}
