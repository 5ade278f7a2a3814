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
/// is no comparison and no conversion to a number, so `if x > y` does not compile: use [`select()`], `cond`, `while_loop`.
/// Operators need equal shapes and dtypes; only rank 0 and literals adapt to the other operand.
///
/// Operands, axes and shapes that do not fit are errors at the front door, with the line of the call. Where no cost is stated,
/// it is one operation per entry, and a few for the derivative; what the derivative keeps, and its value at kinks and edges, is
/// in the file of the primitive of that name, in [`prim`](crate::prim).
///
/// ```
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_array::{DType, array};
/// let f = |x: Var| {
///     assert_eq!((x.ty().to_string(), x.shape().to_string()), ("f64[2]".into(), "[2]".into()));
///     assert_eq!((x.rank(), x.dtype()), (1, DType::F64));
///     (3.0 * x + x * x).sum()
/// };
/// assert_eq!(grad(f).call(&array([1.0, 2.0]))?, array([5.0, 7.0]));
/// let error = jit(|x: Var| x + x.slice(0, 0..1)).call(&array([1.0, 2.0])).unwrap_err();
/// assert!(error.to_string().starts_with("error: add: "), "{error}");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
///
/// Functions of one operand, and their slopes:
///
/// ```
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// let slope = |f: fn(Var) -> Var, x: f64| grad(f).call(&array(x)).unwrap();
/// assert_eq!((slope(Var::sqrt, 4.0), slope(Var::exp, 0.0), slope(Var::log, 4.0)), (array(0.25), array(1.0), array(0.25)));
/// assert_eq!((slope(Var::sin, 0.0), slope(Var::cos, std::f64::consts::FRAC_PI_2)), (array(1.0), array(-1.0)));
/// assert_eq!((slope(Var::tanh, 0.0), slope(|x| x * x.stop_gradient(), 3.0)), (array(1.0), array(3.0)));
/// ```
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
///
/// ```
/// use retrograde_core::trace::{Var, door::grad, var::constant};
/// use retrograde_array::array;
/// let weights = array([2.0, 5.0]);
/// assert_eq!(grad(|x: Var| (constant(&weights) * x).sum()).call(&array([1.0, 1.0]))?, weights);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
///
/// # Errors
/// At the front door, where the dtype cannot hold the value.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, var::full};
/// use retrograde_array::{DType, array};
/// let f = |x: Var| x + full(DType::F32, [2], 0.5);
/// assert_eq!(jit(f).call(&array([1.0_f32, 2.0]))?, array([1.5_f32, 2.5]));
/// let error = jit(|x: Var| x + full(DType::I32, [], 0.5)).call(&array(1)).unwrap_err();
/// assert!(error.to_string().starts_with("error: literal: i32 cannot hold 0.5"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
                let compare = compare::Compare { comparison: Comparison::$variant };
                frame::record1_as(stringify!($method), compare, &[a, b], location)
            }
        )* }
    };
}
comparisons! {
    /// `bool`: equal. NaN is not equal to itself.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let compare = |x: Var| [x.eq(1.0), x.ne(1.0), x.lt(1.0), x.le(1.0), x.gt(1.0), x.ge(1.0)];
    /// let [eq, ne, lt, le, gt, ge] = jit(compare).call(&array([0.0, 1.0, f64::NAN]))?;
    /// assert_eq!((eq, ne), (array([false, true, false]), array([true, false, true])));
    /// assert_eq!((lt, le), (array([true, false, false]), array([true, true, false])));
    /// assert_eq!((gt, ge), (array([false, false, false]), array([false, true, false])));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
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
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, var::IntoOperand};
/// use retrograde_array::array;
/// use retrograde_core::ir::Location;
/// #[track_caller]
/// fn squared_distance(x: Var, y: impl IntoOperand) -> Var {
///     let y = y.operand(&x.ty(), Location(std::panic::Location::caller()));
///     (x - y) * (x - y)
/// }
/// assert_eq!(jit(|x: Var| squared_distance(x, 1.0)).call(&array(3.0))?, array(4.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let slope = grad(|x: Var| x.max(0.0).sum()).call(&array([-1.0, 0.0, 2.0]))?;
    /// assert_eq!(slope, array([0.0, 0.5, 1.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn max(self, other: impl IntoOperand) -> Var {
        let location = caller();
        let (a, b) = matched(self, other.operand(&self.ty(), location), location);
        frame::record1(max::Max, &[a, b], location)
    }
    /// `self · b + c` with one rounding.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let f = |x: Var| x.fma(2.0, 1.0);
    /// assert_eq!((jit(f).call(&array(3.0))?, grad(f).call(&array(3.0))?), (array(7.0), array(2.0)));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
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
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let x = array([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(jit(|x: Var| (x.sum(), x.sum_axes(&[0]), x.mean())).call(&x)?, (array(10.0), array([4.0, 6.0]), array(2.5)));
    /// assert_eq!(grad(|x: Var| x.mean()).call(&x)?, array([[0.25, 0.25], [0.25, 0.25]]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
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
    ///
    /// # Errors
    /// At the front door, for an axis outside the shape or of length 0.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// assert_eq!(jit(|x: Var| x.argmax(1)).call(&array([[1.0, 3.0, 3.0]]))?, array([1_i64]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax(self, axis: usize) -> Var {
        frame::record1(argmax::Argmax { axis }, &[self], caller())
    }
    /// Matrix product of the last axis of `self` with the first of `other`.
    ///
    /// # Errors
    /// At the front door, where the two axes differ in length.
    /// # Cost
    /// Two operations for each entry of the result and of the axis; twice that for the derivative, which keeps both.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let a = array([[1.0, 2.0], [3.0, 4.0]]);
    /// let form = |x: Var, a: Var| x.dot(a).dot(x); // slope (A + Aᵀ) x
    /// assert_eq!(grad(form).call((&array([1.0, 1.0]), &a))?, array([7.0, 13.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn dot(self, other: Var) -> Var {
        let lhs_contract = vec![self.rank().saturating_sub(1)];
        let dims = DotDims { lhs_contract, rhs_contract: vec![0], lhs_batch: vec![], rhs_batch: vec![] };
        frame::record1_as("dot", dot_general::DotGeneral { dims }, &[self, other], caller())
    }
    /// The general product: batch axes, then free axes of `self`, then free axes of `other`.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::{DotDims, array};
    /// // The same rows multiplied, one by one: [n, k] by [n, k] to [n].
    /// let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] };
    /// let f = |x: Var, y: Var| x.dot_general(y, dims.clone());
    /// let (x, y) = (array([[1.0, 2.0], [3.0, 4.0]]), array([[1.0, 1.0], [0.0, 2.0]]));
    /// assert_eq!(jit(f).call((&x, &y))?, array([3.0, 8.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn dot_general(self, other: Var, dims: DotDims) -> Var {
        frame::record1(dot_general::DotGeneral { dims }, &[self, other], caller())
    }
    /// The same entries in another shape.
    ///
    /// # Errors
    /// At the front door, where the sizes differ.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let f = |x: Var| (x.reshape([3, 2]), x.transpose(&[1, 0]), x.t());
    /// let turned = array([[1, 4], [2, 5], [3, 6]]);
    /// let expected = (array([[1, 2], [3, 4], [5, 6]]), turned.clone(), turned);
    /// assert_eq!(jit(f).call(&array([[1, 2, 3], [4, 5, 6]]))?, expected);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
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
        frame::record1_as("t", transpose::Transpose { perm: vec![1, 0] }, &[self], caller())
    }
    /// Repeats along new axes: axis i of `self` becomes axis `axes[i]` of the result.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let x = array([1.0, 2.0]);
    /// assert_eq!(jit(|x: Var| x.broadcast([2, 3], &[0])).call(&x)?, array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]));
    /// assert_eq!(jit(|x: Var| x.spread([3, 2])).call(&x)?, array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]));
    /// assert_eq!(grad(|x: Var| x.spread([3, 2]).sum()).call(&x)?, array([3.0, 3.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
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
        frame::record1_as("spread", broadcast::Broadcast { shape: shape.to_vec(), axes }, &[self], caller())
    }
    /// Another element type.
    ///
    /// To an integer truncates towards zero and saturates, NaN gives 0, and there is no derivative.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::{DType, array};
    /// assert_eq!(jit(|x: Var| x.convert(DType::I32)).call(&array([2.7, -2.7, f64::NAN]))?, array([2, -2, 0]));
    /// // Cotangents are converted back.
    /// assert_eq!(grad(|x: Var| x.convert(DType::F64) * 3.0).call(&array(1.0_f32))?, array(3.0_f32));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn convert(self, dtype: DType) -> Var {
        if self.dtype() == dtype {
            return self;
        }
        frame::record1(convert::Convert { dtype }, &[self], caller())
    }
    /// Part of one axis.
    ///
    /// # Errors
    /// At the front door, where the range does not lie inside.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let slope = grad(|x: Var| x.slice(0, 1..3).sum()).call(&array([1.0, 2.0, 3.0, 4.0]))?;
    /// assert_eq!(slope, array([0.0, 1.0, 1.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var {
        self.part("slice", axis, range, caller())
    }
    /// [`Var::slice`] in the method `name`.
    fn part(self, name: &str, axis: usize, range: Range<usize>, location: Location) -> Var {
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
        frame::record1_as(name, slice::Slice { starts, limits, strides }, &[self], location)
    }
    /// Entry `i` along an axis, which disappears.
    ///
    /// # Errors
    /// At the front door, where `i` does not lie inside.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// assert_eq!(jit(|x: Var| x.index(1, 2)).call(&array([[1, 2, 3], [4, 5, 6]]))?, array([3, 6]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn index(self, axis: usize, i: usize) -> Var {
        let location = caller();
        let part = self.part("index", axis, i..i.saturating_add(1), location);
        let mut shape = part.shape().to_vec();
        if axis < shape.len() {
            shape.remove(axis);
        }
        frame::record1(reshape::Reshape { shape }, &[part], location)
    }
    /// Entries along `axis` at the positions `indices` (`i64`, any shape).
    ///
    /// # Errors
    /// When the program runs, for an index outside the axis; negative ones do not count from the end.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let f = |x: Var, at: Var| x.gather(0, at).sum();
    /// let (x, at) = (array([1.0, 2.0, 3.0]), array([2_i64, 2, 0]));
    /// assert_eq!(grad(f).call((&x, &at))?, array([1.0, 0.0, 2.0]));
    /// let error = jit(f).call((&x, &array([3_i64]))).unwrap_err();
    /// assert!(error.to_string().contains("index 3 is outside an axis of size 3"));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn gather(self, axis: usize, indices: Var) -> Var {
        frame::record1(gather::Gather { axis, batch_dims: 0 }, &[self, indices], caller())
    }
}

/// `a` where `mask`, else `b`, entry by entry. The derivative of the side not taken is a true zero, even where it is infinite or
/// NaN. One case is left: an infinite or NaN entry of an operand of `dot`, `conv`, `recurrence`, `cumprod` or `linalg` in that side
/// makes the derivative by the other operand NaN; choose the operand's entries too, as in `select(x.gt(0.0), x.log(), zero).dot(w)`.
///
/// ```
/// use retrograde_core::trace::{Var, door::grad, var::select};
/// use retrograde_array::array;
/// // √x has an infinite slope at 0, but is not taken there.
/// let slope = grad(|x: Var| select(x.gt(0.0), x.sqrt(), x * 0.0).sum()).call(&array([0.0, 4.0]))?;
/// assert_eq!(slope, array([0.0, 0.25]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, var::{concat, stack}};
/// use retrograde_array::array;
/// let f = |x: Var, y: Var| (concat(&[x, y], 0), stack(&[x, y]));
/// assert_eq!(jit(f).call((&array([1, 2]), &array([3, 4])))?, (array([1, 2, 3, 4]), array([[1, 2], [3, 4]])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
    frame::record1_as("stack", concat::Concat { axis: 0 }, &rows, location)
}

/// Uniform integers in [0, 2^bits) from a key (`i64[2]`).
///
/// The same key draws the same numbers on every run; it has no derivative.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, var::{random_bits, uniform}};
/// use retrograde_array::rng::Key;
/// let draw = jit(|key: Var| (random_bits(key, [100], 1), uniform(key, [100])));
/// let (bits, reals) = draw.call(&Key::from_seed(7).to_array())?;
/// assert!(bits.to_vec::<i64>().unwrap().iter().all(|bit| (0..2).contains(bit)));
/// assert!(reals.to_vec::<f64>().unwrap().iter().all(|real| (0.0..1.0).contains(real)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
