//! The value before a rounded addition, exactly, with the help of the bit stack. Written by `tape` only, after every transform.
//!
//! Add: bits, y, d → bits, x with y = fl(x + d). Fma: bits, y, a, b → bits, x with y = fma(a, b, x). All floats of one type.
//! `retain` put the bits there. No derivative, no batching. Errors: a value is not finite, or the stack is not the one
//! that was recorded. Source: `retrograde_array::lost`.

use super::retain::{Update, bits_and_floats};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, lost};

/// The value before a rounded addition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Restore {
    /// The addition.
    pub update: Update,
}

/// Whether the unknown of an inverse has the type of the known result.
pub(super) fn same_type(r: &Rule<'_>, y: ValueId, unknown: &Type) -> bool {
    r.b.ty(y) == unknown
}

/// The x of `y = x + d`, and the bits that are left: the inverse rule of sums.
pub(super) fn other_term(r: &mut Rule<'_>, y: ValueId, d: ValueId, unknown: &Type, bits: ValueId) -> Option<(ValueId, ValueId)> {
    if !same_type(r, y, unknown) {
        return None;
    }
    if !unknown.is_float() {
        // Integers wrap, so nothing is lost.
        return Some((r.sub(y, d), bits));
    }
    let out = r.b.emit(Restore { update: Update::Add }.into(), &[bits, y, d]);
    Some((out[1], out[0]))
}

impl Rules for Restore {
    const NAME: &'static str = "restore";
    fn fields(&self) -> Fields<Prim> {
        self.update.field()
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Restore { update: Update::parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let x = bits_and_floats(inputs, 1 + self.update.n_operands())?;
        Ok(vec![Type::bits(), x])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        // The stack is taken by value: it may be large, and nobody else holds it.
        let mut inputs = inputs.into_iter();
        let mut bits = inputs.next().ok_or_else(|| EvalError::Broken("a bit stack, found nothing".into()))?.into_bits()?;
        let arrays: Vec<Value> = inputs.collect();
        let [y, operands @ ..] = &super::value::arrays(&arrays)[..] else {
            return Err(EvalError::Broken("the value after a step".into()));
        };
        let x = lost::restore_array(y, self.update.step(operands), &mut bits)?;
        Ok(vec![Value::Bits(bits), Value::Array(x)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("restore: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("restore: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [3]);
        let row = |update, n| Row::new(Restore { update }, &[vec![Type::bits()], vec![ty.clone(); n]].concat()).order(0);
        vec![row(Update::Add, 2), row(Update::Fma, 3)]
    }
}
