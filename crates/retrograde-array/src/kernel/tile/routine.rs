//! Which operations there are, on which types, and their routines.

use super::super::Level;
use super::body::{Routine, at};
use super::pair::{One, Pair, StrongProduct, StrongQuotient, pair_routine};
use super::{entry, moves, product, reduce};
use crate::DType;
use crate::map::{BinaryFunction, Function};
use crate::ops::{Binary, Comparison, Logic, Piecewise, Shift, Unary};

/// What an instruction does with each entry of its operands. What is computed, and its bits, is what the function of
/// [`ops`](crate::ops) of the same name computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// The operand itself.
    Copy,
    /// [`ops::unary`](crate::ops::unary)
    Unary(Unary),
    /// [`ops::binary`](crate::ops::binary); integers are not divided, for that can fail.
    Binary(Binary),
    /// [`ops::strong_mul`](crate::ops::strong_mul)
    StrongMul,
    /// [`ops::strong_div`](crate::ops::strong_div)
    StrongDiv,
    /// [`ops::fma`](crate::ops::fma)
    Fma,
    /// [`ops::function`](crate::ops::function)
    Function(Function),
    /// [`ops::function2`](crate::ops::function2)
    Function2(BinaryFunction),
    /// [`ops::piecewise`](crate::ops::piecewise)
    Piecewise(Piecewise),
    /// [`ops::min`](crate::ops::min)
    Min,
    /// [`ops::rem`](crate::ops::rem), of floats.
    Rem,
    /// [`ops::clamp`](crate::ops::clamp)
    Clamp,
    /// [`ops::compare`](crate::ops::compare)
    Compare(Comparison),
    /// [`ops::select`](crate::ops::select)
    Select,
    /// [`ops::logic`](crate::ops::logic)
    Logic(Logic),
    /// [`ops::not`](crate::ops::not)
    Not,
    /// [`ops::shift`](crate::ops::shift)
    Shift(Shift),
    /// [`ops::is_finite`](crate::ops::is_finite)
    IsFinite,
    /// [`ops::convert`](crate::ops::convert)
    Convert(DType),
    /// Two operations in one pass.
    Pair(Pair),
}

/// How the entries along one axis become one, in the canonical order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// [`ops::sum`](crate::ops::sum)
    Sum,
    /// [`ops::prod`](crate::ops::prod)
    Prod,
    /// [`ops::reduce_max`](crate::ops::reduce_max)
    Max,
    /// [`ops::reduce_min`](crate::ops::reduce_min)
    Min,
}

impl Op {
    /// The dtype of the result for operands of these dtypes; `None` where there is no such instruction.
    ///
    /// ```
    /// use retrograde_array::{DType, ops::Binary, tile::Op};
    /// assert_eq!(Op::Binary(Binary::Div).dtype(&[DType::F32, DType::F32]), Some(DType::F32));
    /// assert_eq!(Op::Binary(Binary::Div).dtype(&[DType::I64, DType::I64]), None);
    /// assert_eq!(Op::Fma.dtype(&[DType::F32, DType::F32]), None);
    /// ```
    pub fn dtype(self, operands: &[DType]) -> Option<DType> {
        Some(op_routine(self, operands, Level::Portable)?.1)
    }
}

/// `$body` with `$t` the Rust type of one of these dtypes; nothing for others.
macro_rules! typed {
    ($dtype:expr, $t:ident => $body:expr, $($variant:ident $type:ty),*) => {
        match $dtype {
            $(DType::$variant => {
                type $t = $type;
                $body
            })*
            _ => return None,
        }
    };
}

macro_rules! float {
    ($dtype:expr, $t:ident => $body:expr) => { typed!($dtype, $t => $body, F64 f64, F32 f32) };
}

macro_rules! integer {
    ($dtype:expr, $t:ident => $body:expr) => { typed!($dtype, $t => $body, I64 i64, I32 i32, U8 u8) };
}

macro_rules! number {
    ($dtype:expr, $t:ident => $body:expr) => { typed!($dtype, $t => $body, F64 f64, F32 f32, I64 i64, I32 i32, U8 u8) };
}

/// Truth values are bytes.
macro_rules! any {
    ($dtype:expr, $t:ident => $body:expr) => {
        typed!($dtype, $t => $body, F64 f64, F32 f32, I64 i64, I32 i32, U8 u8, Bool u8)
    };
}

/// The routine of an operation on operands of these dtypes, and the dtype of its result.
pub(super) fn op_routine(op: Op, operands: &[DType], level: Level) -> Option<(Routine, DType)> {
    let (&first, rest) = operands.split_first()?;
    let n_operands = match op {
        Op::Copy
        | Op::Unary(_)
        | Op::Function(_)
        | Op::Piecewise(_)
        | Op::Not
        | Op::IsFinite
        | Op::Convert(_) => 1,
        Op::Fma | Op::Clamp | Op::Select | Op::Pair(_) => 3,
        _ => 2,
    };
    if operands.len() != n_operands || operands.contains(&DType::BF16) {
        return None;
    }
    if op == Op::Select {
        let same = first == DType::Bool && rest[0] == rest[1];
        return same.then(|| Some((any!(rest[0], T => at::<entry::Chosen<T>>(level)), rest[0])))?;
    }
    if rest.iter().any(|&other| other != first) {
        return None;
    }
    let routine = match op {
        Op::Select => return None,
        Op::Copy => any!(first, T => at::<entry::Copied<T>>(level)),
        Op::Unary(Unary::Neg) => number!(first, T => at::<entry::Negated<T>>(level)),
        Op::Unary(Unary::Sqrt) => float!(first, T => at::<entry::Root<T>>(level)),
        Op::Binary(Binary::Mul) if first == DType::Bool => at::<entry::And<u8>>(level),
        Op::Binary(Binary::Max) if first == DType::Bool => at::<entry::Or<u8>>(level),
        Op::Binary(Binary::Add) => number!(first, T => at::<entry::Plus<T>>(level)),
        Op::Binary(Binary::Sub) => number!(first, T => at::<entry::Minus<T>>(level)),
        Op::Binary(Binary::Mul) => number!(first, T => at::<entry::Times<T>>(level)),
        Op::Binary(Binary::Max) => number!(first, T => at::<entry::Larger<T>>(level)),
        Op::Binary(Binary::Div) => float!(first, T => at::<entry::Divided<T>>(level)),
        Op::StrongMul => float!(first, T => at::<One<T, StrongProduct>>(level)),
        Op::StrongDiv => float!(first, T => at::<One<T, StrongQuotient>>(level)),
        Op::Fma => number!(first, T => at::<entry::Fused<T>>(level)),
        Op::Pair(pair) => float!(first, T => pair_routine::<T>(pair, level)),
        Op::Function(f) => float!(first, T => entry::function_routine::<T>(f, level)),
        Op::Function2(f) => float!(first, T => entry::function2_routine::<T>(f, level)),
        Op::Piecewise(Piecewise::Abs) => number!(first, T => at::<entry::Magnitude<T>>(level)),
        Op::Piecewise(Piecewise::Sign) => number!(first, T => at::<entry::Signed<T>>(level)),
        Op::Piecewise(Piecewise::Floor) => float!(first, T => at::<entry::Below<T>>(level)),
        Op::Piecewise(Piecewise::Ceil) => float!(first, T => at::<entry::Above<T>>(level)),
        Op::Piecewise(Piecewise::Round) => float!(first, T => at::<entry::Nearest<T>>(level)),
        Op::Min => number!(first, T => at::<entry::Smaller<T>>(level)),
        Op::Rem => float!(first, T => at::<entry::Remainder<T>>(level)),
        Op::Clamp => number!(first, T => at::<entry::Clamped<T>>(level)),
        Op::Compare(comparison) => {
            let routine = any!(first, T => match comparison {
                Comparison::Eq => at::<entry::Equal<T>>(level),
                Comparison::Ne => at::<entry::Unequal<T>>(level),
                Comparison::Lt => at::<entry::Less<T>>(level),
                Comparison::Le => at::<entry::LessOrEqual<T>>(level),
                Comparison::Gt => at::<entry::Greater<T>>(level),
                Comparison::Ge => at::<entry::GreaterOrEqual<T>>(level),
            });
            return Some((routine, DType::Bool));
        }
        Op::Logic(logic) => {
            let bits = if first == DType::Bool { DType::U8 } else { first };
            integer!(bits, T => match logic {
                Logic::And => at::<entry::And<T>>(level),
                Logic::Or => at::<entry::Or<T>>(level),
                Logic::Xor => at::<entry::Xor<T>>(level),
            })
        }
        Op::Not if first == DType::Bool => at::<entry::Opposite<entry::Truths>>(level),
        Op::Not => integer!(first, T => at::<entry::Turned<T>>(level)),
        Op::Shift(shift) => integer!(first, T => match shift {
            Shift::Left => at::<entry::Left<T>>(level),
            Shift::Right => at::<entry::Right<T>>(level),
            Shift::RightLogical => at::<entry::RightLogical<T>>(level),
        }),
        Op::IsFinite => return Some((float!(first, T => at::<entry::Finite<T>>(level)), DType::Bool)),
        Op::Convert(to) => return Some((conversion(first, to, level)?, to)),
    };
    Some((routine, first))
}

/// The routine of a conversion.
fn conversion(from: DType, to: DType, level: Level) -> Option<Routine> {
    // A truth value is a byte that is zero or one.
    let from = if from == DType::Bool { DType::U8 } else { from };
    if from == to {
        return Some(any!(to, T => at::<entry::Copied<T>>(level)));
    }
    macro_rules! pairs {
        ($($a:ident $x:ident: $($b:ident $y:ident)*;)*) => {
            match (from, to) {
                (from, DType::Bool) => Some(number!(from, T => at::<entry::Truth<T>>(level))),
                $($((DType::$a, DType::$b) => Some(at::<entry::Converted<$x, $y>>(level)),)*)*
                _ => None,
            }
        };
    }
    pairs! {
        F64 f64: F32 f32 I64 i64 I32 i32 U8 u8;
        F32 f32: F64 f64 I64 i64 I32 i32 U8 u8;
        I64 i64: F64 f64 F32 f32 I32 i32 U8 u8;
        I32 i32: F64 f64 F32 f32 I64 i64 U8 u8;
        U8 u8: F64 f64 F32 f32 I64 i64 I32 i32;
    }
}

/// The routine of a product of small matrices.
pub(super) fn product_routine(dtype: DType, level: Level) -> Option<Routine> {
    Some(number!(dtype, T => at::<product::Product<T>>(level)))
}

/// A part of a reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Of a whole value: see [`reduce::Reduced`].
    Value,
    /// Of each tile by itself: see [`reduce::ReducedTile`].
    Tile,
    /// Over several tiles, the terms of one: see [`reduce::Accumulated`].
    Accumulate,
    /// Over several tiles, the end: see [`reduce::Folded`].
    Fold,
}

/// The routine of a reduction.
pub(super) fn reduction_routine(
    reduction: Reduction,
    stage: Stage,
    dtype: DType,
    level: Level,
) -> Option<Routine> {
    macro_rules! by {
        ($t:ident, $how:ident) => {
            match stage {
                Stage::Value => at::<reduce::Reduced<$t, reduce::$how>>(level),
                Stage::Tile => at::<reduce::ReducedTile<$t, reduce::$how>>(level),
                Stage::Accumulate => at::<reduce::Accumulated<$t, reduce::$how>>(level),
                Stage::Fold => at::<reduce::Folded<$t, reduce::$how>>(level),
            }
        };
    }
    Some(number!(dtype, T => match reduction {
        Reduction::Sum => by!(T, Sum),
        Reduction::Prod => by!(T, Prod),
        Reduction::Max => by!(T, Largest),
        Reduction::Min => by!(T, Smallest),
    }))
}

/// `$body` with `$t` a type of as many bytes as the dtype has.
macro_rules! sized {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype.size_bytes() {
            8 => {
                type $t = u64;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            _ => {
                type $t = u8;
                $body
            }
        }
    };
}

/// How entries move as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// See [`moves::Padded`].
    Padded,
    /// See [`moves::Stored`].
    Stored,
    /// See [`moves::Repeated`].
    Repeated,
    /// See [`moves::Gathered`].
    Gathered,
    /// See [`moves::Neighbours`].
    Neighbours,
    /// See [`moves::Spread`].
    Spread,
    /// See [`moves::Placed`].
    Placed,
}

/// The routine of a move.
pub(super) fn move_routine(how: Move, dtype: DType, level: Level) -> Routine {
    sized!(dtype, T => match how {
        Move::Padded => at::<moves::Padded<T>>(level),
        Move::Stored => at::<moves::Stored<T>>(level),
        Move::Repeated => at::<moves::Repeated<T>>(level),
        Move::Gathered => at::<moves::Gathered<T>>(level),
        Move::Neighbours => at::<moves::Neighbours<T>>(level),
        Move::Spread => at::<moves::Spread<T>>(level),
        Move::Placed => at::<moves::Placed<T>>(level),
    })
}
