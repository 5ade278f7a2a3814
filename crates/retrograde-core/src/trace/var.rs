//! The handle of a traced value.

use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Range, Sub};

use super::frame;
use crate::ir::{Diagnostic, Location, Type, ValueId};
use crate::prim::{
    add, argmax, broadcast, compare, concat, constant, convert, cos, div, dot_general, exp, fma, full,
    gather, log, max, mul, neg, random_bits, reshape, select, sin, slice, sqrt, stop_gradient, sub, sum,
    tanh, transpose,
};
use retrograde_array::ops::{Comparison, DotDims};
use retrograde_array::{Array, DType, Scalar, Shape};

/// A value while a function is being traced.
///
/// `Copy`, without lifetime, not `Send`; it knows its trace, and its use elsewhere is an error with a line number. There
/// is no comparison and no conversion to a number, so `if x > y` does not compile: use [`select`], `cond`, `while_loop`.
/// Operators need equal shapes and dtypes; only rank 0 and literals adapt to the other operand.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    pub(super) trace: u64,
    pub(super) depth: u32,
    pub(super) id: ValueId,
    pub(super) poisoned: bool,
    not_send: PhantomData<*const ()>,
}

impl Var {
    pub(super) fn new(trace: u64, depth: u32, id: ValueId, poisoned: bool) -> Var {
        Var { trace, depth, id, poisoned, not_send: PhantomData }
    }
    pub(super) fn same(&self, other: &Var) -> bool {
        self.trace == other.trace && self.id == other.id
    }
    /// Its type (`f64[]` where the handle is stale).
    pub fn ty(self) -> Type {
        frame::type_of(self).unwrap_or_else(|| Type::array(DType::F64, []))
    }
    /// Its shape.
    pub fn shape(self) -> Shape {
        self.ty().shape
    }
    /// Number of axes.
    pub fn rank(self) -> usize {
        self.ty().shape.rank()
    }
    /// Its element type.
    pub fn dtype(self) -> DType {
        self.ty().dtype
    }
}

/// This file, whose lines mean nothing to the user.
pub(super) const FILE: &str = file!();

/// The caller's line.
#[track_caller]
pub(super) fn caller() -> Location {
    frame::blamed().unwrap_or(Location(std::panic::Location::caller()))
}

/// An array as a constant of the traced program.
///
/// Arrays over 64 KiB make the program large; pass them as inputs instead.
#[track_caller]
pub fn constant(array: &Array) -> Var {
    captured(array, caller())
}

/// A captured array; large ones are worth a warning at their line.
fn captured(array: &Array, location: Location) -> Var {
    if array.size_bytes() > 64 << 10 {
        let what = format!(
            "a captured array of {} bytes ({}) becomes a constant of the program",
            array.size_bytes(),
            Type::of(array)
        );
        frame::warn(
            Diagnostic::new(what, Some(location))
                .help("pass it as an argument: arguments are not copied into programs"),
        );
    }
    frame::record1(constant::Constant { value: array.clone() }, &[], location)
}

/// An array of one value.
#[track_caller]
pub fn full(dtype: DType, shape: impl Into<Shape>, value: f64) -> Var {
    literal(value, &Type::array(dtype, shape), caller())
}

/// A literal of the type of another operand.
pub(super) fn literal(value: f64, ty: &Type, location: Location) -> Var {
    match Scalar::from_f64(ty.dtype, value) {
        Some(value) => frame::record1(full::Full { ty: ty.clone(), value }, &[], location),
        None => {
            frame::mistake(
                Diagnostic::new(format!("literal: {} cannot hold {value}", ty.dtype), Some(location))
                    .help("convert the other operand: `.convert(DType::F64)`"),
            );
            frame::poisoned(ty)
        }
    }
}

/// Repeats a rank-0 operand to the shape of the other.
pub(super) fn matched(a: Var, b: Var, location: Location) -> (Var, Var) {
    let (ta, tb) = (a.ty(), b.ty());
    if ta.shape == tb.shape {
        (a, b)
    } else if ta.shape.rank() == 0 {
        (spread_to(a, &tb.shape, location), b)
    } else if tb.shape.rank() == 0 {
        (a, spread_to(b, &ta.shape, location))
    } else {
        (a, b)
    }
}

pub(super) fn spread_to(a: Var, shape: &Shape, location: Location) -> Var {
    frame::record1(broadcast::Broadcast { shape: shape.to_vec(), axes: vec![] }, &[a], location)
}

macro_rules! operators {
    ($($trait:ident $method:ident $prim:expr;)*) => { $(
        impl $trait<Var> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: Var) -> Var {
                let location = caller();
                let (a, b) = matched(self, other, location);
                frame::record1($prim, &[a, b], location)
            }
        }
        impl $trait<&Array> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: &Array) -> Var {
                let location = caller();
                let other = captured(other, location);
                let (a, b) = matched(self, other, location);
                frame::record1($prim, &[a, b], location)
            }
        }
        literals!($trait $method $prim; f64 i64);
    )* };
}
macro_rules! literals {
    ($trait:ident $method:ident $prim:expr; $($lit:ty)*) => { $(
        impl $trait<$lit> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: $lit) -> Var {
                let location = caller();
                frame::record1($prim, &[self, literal(other as f64, &self.ty(), location)], location)
            }
        }
        impl $trait<Var> for $lit {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: Var) -> Var {
                let location = caller();
                frame::record1($prim, &[literal(self as f64, &other.ty(), location), other], location)
            }
        }
    )* };
}
operators! {
    Add add add::Add;
    Sub sub sub::Sub;
    Mul mul mul::Mul;
    Div div div::Div;
}

impl Neg for Var {
    type Output = Var;
    #[track_caller]
    fn neg(self) -> Var {
        frame::record1(neg::Neg, &[self], caller())
    }
}

impl std::iter::Sum for Var {
    #[track_caller]
    fn sum<I: Iterator<Item = Var>>(mut iter: I) -> Var {
        let location = caller();
        match iter.next() {
            Some(first) => iter.fold(first, |a, b| frame::blame(location, || a + b)),
            None => full(DType::F64, [], 0.0),
        }
    }
}

/// Methods that record one primitive of one operand.
macro_rules! unary {
    ($($(#[$doc:meta])* $method:ident $prim:expr;)*) => {
        impl Var { $(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(self) -> Var {
                frame::record1($prim, &[self], caller())
            }
        )* }
    };
}
pub(super) use unary;
unary! {
    /// √x, entry by entry.
    sqrt sqrt::Sqrt;
    /// eˣ, entry by entry.
    exp exp::Exp;
    /// Natural logarithm, entry by entry.
    log log::Log;
    /// Hyperbolic tangent, entry by entry.
    tanh tanh::Tanh;
    /// Sine of radians, entry by entry.
    sin sin::Sin;
    /// Cosine of radians, entry by entry.
    cos cos::Cos;
    /// The same value without derivative, in forward and reverse mode and at every order.
    stop_gradient stop_gradient::StopGradient;
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $method:ident $variant:ident;)*) => {
        impl Var { $(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(self, other: impl IntoOperand) -> Var {
                let location = caller();
                let (a, b) = matched(self, other.operand(&self.ty(), location), location);
                frame::record1(compare::Compare { comparison: Comparison::$variant }, &[a, b], location)
            }
        )* }
    };
}
comparisons! {
    /// `bool`: equal.
    eq Eq;
    /// `bool`: not equal.
    ne Ne;
    /// `bool`: less.
    lt Lt;
    /// `bool`: less or equal.
    le Le;
    /// `bool`: greater.
    gt Gt;
    /// `bool`: greater or equal.
    ge Ge;
}

/// A second operand: a traced value or a literal, which takes the type of the first.
pub trait IntoOperand {
    /// The value.
    fn operand(self, like: &Type, location: Location) -> Var;
}
impl IntoOperand for Var {
    fn operand(self, _: &Type, _: Location) -> Var {
        self
    }
}
impl IntoOperand for &Array {
    fn operand(self, _: &Type, location: Location) -> Var {
        captured(self, location)
    }
}
macro_rules! operand_literals {
    ($($ty:ty)*) => { $(impl IntoOperand for $ty {
        fn operand(self, like: &Type, location: Location) -> Var {
            literal(self as f64, like, location)
        }
    })* };
}
operand_literals!(f64 f32 i32 i64);

impl Var {
    /// The larger, entry by entry; the derivative is shared equally at ties.
    #[track_caller]
    pub fn max(self, other: impl IntoOperand) -> Var {
        let location = caller();
        let (a, b) = matched(self, other.operand(&self.ty(), location), location);
        frame::record1(max::Max, &[a, b], location)
    }
    /// `self · b + c` with one rounding.
    #[track_caller]
    pub fn fma(self, b: impl IntoOperand, c: impl IntoOperand) -> Var {
        let location = caller();
        let (b, c) = (b.operand(&self.ty(), location), c.operand(&self.ty(), location));
        let (a, b) = matched(self, b, location);
        let (a, c) = matched(a, c, location);
        let (b, c) = matched(b, c, location);
        frame::record1(fma::Fma, &[a, b, c], location)
    }
    /// The sum of all entries.
    #[track_caller]
    pub fn sum(self) -> Var {
        let axes = (0..self.rank()).collect();
        frame::record1(sum::Sum { axes }, &[self], caller())
    }
    /// Sums over some axes.
    #[track_caller]
    pub fn sum_axes(self, axes: &[usize]) -> Var {
        frame::record1(sum::Sum { axes: axes.to_vec() }, &[self], caller())
    }
    /// The mean of all entries.
    #[track_caller]
    pub fn mean(self) -> Var {
        let location = caller();
        let axes = (0..self.rank()).collect();
        let total = frame::record1(sum::Sum { axes }, &[self], location);
        let n = literal(self.ty().shape.size() as f64, &total.ty(), location);
        frame::record1(div::Div, &[total, n], location)
    }
    /// The position of the largest entry along an axis (`i64`; the first of equals).
    #[track_caller]
    pub fn argmax(self, axis: usize) -> Var {
        frame::record1(argmax::Argmax { axis }, &[self], caller())
    }
    /// Matrix product of the last axis of `self` with the first of `other`.
    #[track_caller]
    pub fn dot(self, other: Var) -> Var {
        let lhs_contract = vec![self.rank().saturating_sub(1)];
        let dims = DotDims { lhs_contract, rhs_contract: vec![0], lhs_batch: vec![], rhs_batch: vec![] };
        frame::record1(dot_general::DotGeneral { dims }, &[self, other], caller())
    }
    /// The general product: batch axes, then free axes of `self`, then free axes of `other`.
    #[track_caller]
    pub fn dot_general(self, other: Var, dims: DotDims) -> Var {
        frame::record1(dot_general::DotGeneral { dims }, &[self, other], caller())
    }
    /// The same entries in another shape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var {
        frame::record1(reshape::Reshape { shape: shape.into().to_vec() }, &[self], caller())
    }
    /// Axes permuted: axis i of the result is axis `perm[i]`.
    #[track_caller]
    pub fn transpose(self, perm: &[usize]) -> Var {
        frame::record1(transpose::Transpose { perm: perm.to_vec() }, &[self], caller())
    }
    /// The transposed matrix.
    #[track_caller]
    pub fn t(self) -> Var {
        frame::record1(transpose::Transpose { perm: vec![1, 0] }, &[self], caller())
    }
    /// Repeats along new axes: axis i of `self` becomes axis `axes[i]` of the result.
    #[track_caller]
    pub fn broadcast(self, shape: impl Into<Shape>, axes: &[usize]) -> Var {
        frame::record1(
            broadcast::Broadcast { shape: shape.into().to_vec(), axes: axes.to_vec() },
            &[self],
            caller(),
        )
    }
    /// Repeats along new leading axes, up to `shape`.
    #[track_caller]
    pub fn spread(self, shape: impl Into<Shape>) -> Var {
        let shape: Shape = shape.into();
        let axes = (shape.rank().saturating_sub(self.rank())..shape.rank()).collect();
        frame::record1(broadcast::Broadcast { shape: shape.to_vec(), axes }, &[self], caller())
    }
    /// Another element type.
    #[track_caller]
    pub fn convert(self, dtype: DType) -> Var {
        if self.dtype() == dtype {
            return self;
        }
        frame::record1(convert::Convert { dtype }, &[self], caller())
    }
    /// Part of one axis.
    #[track_caller]
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var {
        let shape = self.shape();
        let mut starts = vec![0; shape.rank()];
        let mut limits = shape.to_vec();
        if axis < shape.rank() {
            (starts[axis], limits[axis]) = (range.start, range.end);
        } else {
            // Let the shape rule say so, at the user's line.
            starts.push(range.start);
            limits.push(range.end);
        }
        let strides = vec![1; starts.len()];
        frame::record1(slice::Slice { starts, limits, strides }, &[self], caller())
    }
    /// Entry `i` along an axis, which disappears.
    #[track_caller]
    pub fn index(self, axis: usize, i: usize) -> Var {
        let part = self.slice(axis, i..i + 1);
        let mut shape = part.shape().to_vec();
        if axis < shape.len() {
            shape.remove(axis);
        }
        part.reshape(shape)
    }
    /// Entries along `axis` at the positions `indices` (`i64`, any shape).
    #[track_caller]
    pub fn gather(self, axis: usize, indices: Var) -> Var {
        frame::record1(gather::Gather { axis, batch_dims: 0 }, &[self, indices], caller())
    }
}

/// `a` where `mask`, else `b`, entry by entry. The derivative of the side not taken is a true zero.
#[track_caller]
pub fn select(mask: Var, a: impl IntoOperand, b: Var) -> Var {
    let location = caller();
    let a = a.operand(&b.ty(), location);
    let (a, b) = matched(a, b, location);
    let (mask, a) =
        if mask.rank() == 0 && a.rank() > 0 { (spread_to(mask, &a.shape(), location), a) } else { (mask, a) };
    let (a, b) = if a.rank() == 0 && mask.rank() > 0 {
        (spread_to(a, &mask.shape(), location), spread_to(b, &mask.shape(), location))
    } else {
        (a, b)
    };
    frame::record1(select::Select, &[mask, a, b], location)
}

/// Joins arrays along an existing axis.
#[track_caller]
pub fn concat(parts: &[Var], axis: usize) -> Var {
    frame::record1(concat::Concat { axis }, parts, caller())
}

/// Joins arrays along a new leading axis.
#[track_caller]
pub fn stack(parts: &[Var]) -> Var {
    let location = caller();
    let rows: Vec<Var> = parts
        .iter()
        .map(|p| {
            let mut shape = p.shape().to_vec();
            shape.insert(0, 1);
            frame::record1(reshape::Reshape { shape }, &[*p], location)
        })
        .collect();
    frame::record1(concat::Concat { axis: 0 }, &rows, location)
}

/// Uniform integers in [0, 2^bits) from a key (`i64[2]`).
#[track_caller]
pub fn random_bits(key: Var, shape: impl Into<Shape>, bits: u8) -> Var {
    frame::record1(random_bits::RandomBits { shape: shape.into().to_vec(), bits }, &[key], caller())
}

/// Uniform numbers in [0, 1) from a key (`i64[2]`), 53 random bits each.
#[track_caller]
pub fn uniform(key: Var, shape: impl Into<Shape>) -> Var {
    let location = caller();
    let bits =
        frame::record1(random_bits::RandomBits { shape: shape.into().to_vec(), bits: 53 }, &[key], location);
    let real = frame::record1(convert::Convert { dtype: DType::F64 }, &[bits], location);
    let scale = literal(1.0 / (1u64 << 53) as f64, &real.ty(), location);
    frame::record1(mul::Mul, &[real, scale], location)
}
