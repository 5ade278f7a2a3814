//! What rules write with: a builder with the words of the mathematics, and the transforms for bodies.

use super::{Builder, Prim, Program};
use crate::ir::{Type, ValueId};
use retrograde_array::{DType, Scalar};

/// An operand of a linear equation that is being transposed.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A coefficient.
    Known(ValueId),
    /// A linear operand, of this type: its cotangent is asked for.
    Linear(Type),
}

impl Operand {
    /// The coefficient.
    ///
    /// # Panics
    /// When the operand is linear.
    pub fn known(&self) -> ValueId {
        match self {
            Operand::Known(v) => *v,
            Operand::Linear(_) => {
                panic!("expected a coefficient, found a linear operand; this is a bug in retrograde")
            }
        }
    }
    /// Whether its cotangent is asked for.
    pub fn is_linear(&self) -> bool {
        matches!(self, Operand::Linear(_))
    }
}

/// A program with its tangents: inputs, tangents of the active inputs -> outputs, tangents of the active outputs.
#[derive(Clone, Debug)]
pub struct Jvp {
    /// The program.
    pub program: Program,
    /// Which outputs have a tangent.
    pub active: Vec<bool>,
}

/// A program split in two.
#[derive(Clone, Debug)]
pub struct Linearized {
    /// inputs -> outputs, residuals.
    pub forward: Program,
    /// residuals, tangents of the active inputs -> tangents of the active outputs.
    pub linear: Program,
    /// How many residuals there are.
    pub n_residuals: usize,
    /// Which outputs have a tangent.
    pub active: Vec<bool>,
}

/// A program over a new leading axis.
#[derive(Clone, Debug)]
pub struct Vmapped {
    /// The program.
    pub program: Program,
    /// Which outputs have the axis.
    pub batched: Vec<bool>,
}

/// The transforms, for rules with bodies. Declared below them so that no rule imports one.
pub trait Transforms {
    /// Forward derivative of a body; outputs marked in `force` get a tangent even when it is zero.
    fn jvp(&self, body: &Program, active: &[bool], force: &[bool]) -> Jvp;
    /// Split derivative of a body.
    fn linearize(&self, body: &Program, active: &[bool], force: &[bool]) -> Linearized;
    /// Transpose of a body (coefficients.., linear.. -> outputs..), which becomes
    /// (coefficients.., cotangents of all outputs.. -> cotangents of all linear inputs..).
    fn transpose(&self, body: &Program, n_known: usize) -> Program;
    /// The body over a leading axis; outputs marked in `force` get the axis even when they do not vary.
    fn vmap(&self, body: &Program, batched: &[bool], force: &[bool], n: usize) -> Vmapped;
    /// Whether a body is linear in all inputs but the first `n_known`.
    fn is_linear(&self, body: &Program, n_known: usize) -> bool;
}

/// What a rule writes with.
pub struct Rule<'a> {
    /// The program being written.
    pub b: &'a mut Builder,
    /// The transforms, for bodies.
    pub cx: &'a dyn Transforms,
}

impl Rule<'_> {
    /// The type of a value.
    pub fn ty(&self, v: ValueId) -> Type {
        self.b.ty(v).clone()
    }
    /// Adds an equation with one result.
    pub fn emit(&mut self, op: impl Into<Prim>, inputs: &[ValueId]) -> ValueId {
        self.b.emit1(op.into(), inputs)
    }
    /// `a + b`
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::add::Add, &[a, b])
    }
    /// `a - b`
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::sub::Sub, &[a, b])
    }
    /// `a · b`
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::mul::Mul, &[a, b])
    }
    /// `a / b`
    pub fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::div::Div, &[a, b])
    }
    /// `a · b`, in which an exact zero wins: for coefficients that may be infinite. See Note [strong zero].
    pub fn strong_mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::strong_mul::StrongMul, &[a, b])
    }
    /// `a / b`, in which an exactly zero `a` wins: for divisors that may be zero. See Note [strong zero].
    pub fn strong_div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::strong_div::StrongDiv, &[a, b])
    }
    /// `-a`
    pub fn neg(&mut self, a: ValueId) -> ValueId {
        self.emit(super::neg::Neg, &[a])
    }
    /// An array of one value, converted to the dtype of `ty`.
    pub fn full(&mut self, ty: &Type, value: f64) -> ValueId {
        let value = Scalar::from_f64(ty.dtype, value).expect("a small constant fits every dtype");
        self.emit(super::full::Full { ty: ty.clone(), value }, &[])
    }
    /// An array like `like` of one number.
    pub fn number(&mut self, like: ValueId, value: f64) -> ValueId {
        let ty = self.ty(like);
        self.full(&ty, value)
    }
    /// `1 - x²`, rounded once. As (1 - x)(1 + x) its derivative -2x would be the sum of 1 - x and -(1 + x), which cancel
    /// where x is near zero; as the difference of one and a rounded square it would cancel where x is near one.
    pub fn complement(&mut self, x: ValueId) -> ValueId {
        let one = self.number(x, 1.0);
        let minus = self.neg(x);
        self.emit(super::fma::Fma, &[minus, x, one])
    }
    /// `√(1 - x²)`
    pub fn root_of_complement(&mut self, x: ValueId) -> ValueId {
        let complement = self.complement(x);
        self.emit(super::sqrt::Sqrt, &[complement])
    }
    /// `scale · exp(-x²)`
    pub fn gaussian(&mut self, x: ValueId, scale: f64) -> ValueId {
        let square = self.mul(x, x);
        let exponent = self.neg(square);
        let bell = self.emit(super::exp::Exp, &[exponent]);
        let scale = self.number(x, scale);
        self.mul(bell, scale)
    }
    /// `a / b`, but `limit` where b is 0.
    pub fn ratio_at_zero(&mut self, a: ValueId, b: ValueId, limit: f64) -> ValueId {
        let (zero, one, limit) = (self.number(b, 0.0), self.number(b, 1.0), self.number(b, limit));
        let is_zero = self
            .emit(super::compare::Compare { comparison: retrograde_array::ops::Comparison::Eq }, &[b, zero]);
        let safe = self.select(is_zero, one, b);
        let ratio = self.div(a, safe);
        self.select(is_zero, limit, ratio)
    }
    /// Zeros of an array type.
    pub fn zeros(&mut self, ty: &Type) -> ValueId {
        self.full(ty, 0.0)
    }
    /// `a` where `mask`, else `b`.
    pub fn select(&mut self, mask: ValueId, a: ValueId, b: ValueId) -> ValueId {
        self.emit(super::select::Select, &[mask, a, b])
    }
    /// Repeats `a` along new axes: axis i of `a` becomes axis `axes[i]`.
    pub fn broadcast(&mut self, a: ValueId, shape: &[usize], axes: &[usize]) -> ValueId {
        self.emit(super::broadcast::Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[a])
    }
    /// The same elements in another shape.
    pub fn reshape(&mut self, a: ValueId, shape: &[usize]) -> ValueId {
        self.emit(super::reshape::Reshape { shape: shape.to_vec() }, &[a])
    }
    /// Axes permuted: axis i of the result is axis `perm[i]` of `a`.
    pub fn transpose(&mut self, a: ValueId, perm: &[usize]) -> ValueId {
        self.emit(super::transpose::Transpose { perm: perm.to_vec() }, &[a])
    }
    /// Sum over axes.
    pub fn sum(&mut self, a: ValueId, axes: &[usize]) -> ValueId {
        self.emit(super::sum::Sum { axes: axes.to_vec() }, &[a])
    }
    /// Another dtype.
    pub fn convert(&mut self, a: ValueId, dtype: DType) -> ValueId {
        if self.b.ty(a).dtype == dtype { a } else { self.emit(super::convert::Convert { dtype }, &[a]) }
    }
    /// The sum of two tangents or cotangents, either of which may be zero.
    pub fn add_optional(&mut self, a: Option<ValueId>, b: Option<ValueId>) -> Option<ValueId> {
        match (a, b) {
            (Some(a), Some(b)) => Some(self.add(a, b)),
            (a, b) => a.or(b),
        }
    }
    /// `value` with a leading axis of length `n`: as it is where it has one, else repeated.
    pub fn batched(&mut self, value: ValueId, has_axis: bool, n: usize) -> ValueId {
        if has_axis {
            return value;
        }
        let ty = self.ty(value);
        let axes: Vec<usize> = (1..=ty.shape.rank()).collect();
        self.broadcast(value, &ty.stacked(n).shape, &axes)
    }
    /// Operands of an entry-by-entry primitive, all with the leading axis.
    pub fn all_batched(&mut self, inputs: &[ValueId], batched: &[bool], n: usize) -> Vec<ValueId> {
        inputs.iter().zip(batched).map(|(&v, &has)| self.batched(v, has, n)).collect()
    }
    /// Batches an entry-by-entry primitive.
    pub fn batch_entrywise(
        &mut self,
        op: impl Into<Prim>,
        inputs: &[ValueId],
        batched: &[bool],
        n: usize,
    ) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = self.all_batched(inputs, batched, n);
        (vec![self.emit(op, &inputs)], vec![true])
    }
}
