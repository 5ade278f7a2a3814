//! `y = log Σ exp x` over axes, which disappear.   x: [..] float → y: the other axes.
//!
//! As m + log Σ exp(x - m) with m the largest entry: nothing overflows. -∞ where all entries are -∞ or there are none; ∞ where one
//! is ∞. Derivative Σ ẋ exp(x - y), the softmax of x; all zeros where y is -∞, NaN at an entry of ∞. Reverse keeps x and y.
//! Errors: none. Source: Blanchard, Higham & Higham, Accurately computing the log-sum-exp and softmax functions (2021).

use super::compare::Compare;
use super::exp::Exp;
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
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(x_dot) = tangents[0] else { return vec![None] };
        let (x, y) = (r.ty(inputs[0]), r.ty(outputs[0]));
        // With 0 for -∞ the exponent is x itself, which is -∞ there, and not the NaN of -∞ - -∞.
        let low = r.full(&y, f64::NEG_INFINITY);
        let nothing = r.emit(Compare { comparison: Comparison::Eq }, &[outputs[0], low]);
        let zeros = r.zeros(&y);
        let shift = r.select(nothing, zeros, outputs[0]);
        let spread = r.broadcast(shift, &x.shape, &other_axes(x.shape.rank(), &self.axes, &[]));
        let exponent = r.sub(inputs[0], spread);
        let weights = r.emit(Exp, &[exponent]);
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
