//! `y = log Σ exp x` over axes, which disappear.   x: [..] float → y: the other axes.
//!
//! As m + log Σ exp(x - m) with m the largest entry: nothing overflows. -∞ where all entries are -∞ or there are none; ∞ where one
//! is ∞. Derivative Σ ẋ w with the softmax w of x; all zeros where y is -∞, NaN at an entry of ∞. Reverse keeps w.
//! Errors: none. Source: Blanchard, Higham & Higham, Accurately computing the log-sum-exp and softmax functions (2021).

use super::compare::Compare;
use super::exp::Exp;
use super::is_finite::IsFinite;
use super::reduce_max::ReduceMax;
use super::stop_gradient::StopGradient;
use super::structure::{other_axes, reduced_number, shifted};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{self, Comparison};

/// log Σ exp over axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Logsumexp {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

impl Rules for Logsumexp {
    const NAME: &'static str = "logsumexp";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Logsumexp { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = reduced_number(inputs, &self.axes)?;
        if !out.dtype.is_float() {
            let guess = out.with_dtype(DType::F64);
            return Err(Mismatch::new(format!("found {}, expected floating-point numbers", inputs[0]))
                .help("convert first: `.convert(DType::F64)`")
                .guess(&guess));
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::logsumexp(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let ty = r.ty(inputs[0]);
        let Some(x_dot) = tangents[0].filter(|_| self.axes.iter().all(|&axis| ty.shape[axis] > 0)) else { return vec![None] };
        let kept = other_axes(ty.shape.rank(), &self.axes, &[]);
        // exp(x - m) / Σ exp(x - m): exp(x - y) would lose what the rounding of y lost, a factor of e^(ulp of y). The quotient does
        // not depend on m, so m counts as a constant; 0 in its place where it is infinite, as in the value.
        let largest = r.emit(ReduceMax { axes: self.axes.clone() }, inputs);
        let largest = r.emit(StopGradient, &[largest]);
        let finite = r.emit(IsFinite, &[largest]);
        let y = r.ty(largest);
        let [zeros, ones] = [0.0, 1.0].map(|value| r.full(&y, value));
        let shift = r.select(finite, largest, zeros);
        let shift = r.broadcast(shift, &ty.shape, &kept);
        let moved = r.sub(inputs[0], shift);
        let parts = r.emit(Exp, &[moved]);
        // The total is at least 1, but 0 where all entries are -∞: then all parts are 0, and so are the weights.
        let total = r.sum(parts, &self.axes);
        let nothing = r.emit(Compare { comparison: Comparison::Eq }, &[total, zeros]);
        let total = r.select(nothing, ones, total);
        let total = r.broadcast(total, &ty.shape, &kept);
        let weights = r.div(parts, total);
        let terms = r.strong_mul(x_dot, weights);
        vec![Some(r.sum(terms, &self.axes))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Logsumexp { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 2]);
        let row = |axes: &[usize]| Row::new(Logsumexp { axes: axes.to_vec() }, std::slice::from_ref(&ty));
        // -∞ everywhere: a difference of it is NaN.
        let empty = Row::new(Logsumexp { axes: vec![0] }, &[ty.with_shape([0, 2])]).order(0);
        vec![row(&[0, 1, 2]), row(&[1]), row(&[0, 2]), row(&[]), empty]
    }
}
