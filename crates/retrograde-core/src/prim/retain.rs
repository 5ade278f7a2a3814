//! Puts on the bit stack what one rounded addition destroyed. Written by `tape` only, after every transform.
//!
//! Add: bits, y, x, d with y = fl(x + d) → bits. Fma: bits, y, x, a, b with y = fma(a, b, x) → bits. All floats of one type.
//! `restore` takes it off again. No derivative, no batching. Errors: a value is not finite, or x does not lead to y.
//! Source: `retrograde_array::lost`.

use super::structure::entrywise_float;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::lost::{self, ArrayStep};
use retrograde_array::{Array, DType};

/// The rounded addition that led from x to y.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Update {
    /// `y = fl(x + d)`
    Add,
    /// `y = fma(a, b, x)`
    Fma,
}

impl Update {
    /// How many operands it has besides x.
    pub(super) fn n_operands(self) -> usize {
        match self {
            Update::Add => 1,
            Update::Fma => 2,
        }
    }
    pub(super) fn field(self) -> Fields<Prim> {
        let word = match self {
            Update::Add => "add",
            Update::Fma => "fma",
        };
        vec![("update", Field::Word(word.into()))]
    }
    pub(super) fn parse(args: &mut Args) -> Result<Update, String> {
        match args.word("update")?.as_str() {
            "add" => Ok(Update::Add),
            "fma" => Ok(Update::Fma),
            found => Err(format!("parameter `update`: found `{found}`, expected add or fma")),
        }
    }
    /// The step with these operands.
    pub fn step<'a>(self, operands: &[&'a Array]) -> ArrayStep<'a> {
        match self {
            Update::Add => ArrayStep::Add(operands[0]),
            Update::Fma => ArrayStep::Fma(operands[0], operands[1]),
        }
    }
}

/// A bit stack and `n` floats of one type; returns that type.
pub(super) fn bits_and_floats(inputs: &[Type], n: usize) -> Result<Type, Mismatch> {
    let Some((bits, floats)) = inputs.split_first() else {
        return Err(Mismatch::new(format!("found no operands, expected {}", n + 1)));
    };
    if bits.kind != Kind::Bits {
        return Err(Mismatch::new(format!("operand 0: found {bits}, expected bits")));
    }
    let out = match n {
        2 => entrywise_float::<2>(floats),
        3 => entrywise_float::<3>(floats),
        _ => entrywise_float::<4>(floats),
    };
    out.map(|types| types[0].clone()).map_err(|e| Mismatch { guess: vec![], ..e })
}

/// Puts on the bit stack what one rounded addition destroyed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Retain {
    /// The addition.
    pub update: Update,
}

impl Rules for Retain {
    const NAME: &'static str = "retain";
    fn fields(&self) -> Fields<Prim> {
        self.update.field()
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Retain { update: Update::parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bits_and_floats(inputs, 2 + self.update.n_operands())?;
        Ok(vec![Type::bits()])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        // The stack is taken by value: it may be large, and nobody else holds it.
        let mut inputs = inputs.into_iter();
        let mut bits = inputs.next().ok_or_else(|| EvalError::Broken("a bit stack, found nothing".into()))?.into_bits()?;
        let arrays: Vec<Value> = inputs.collect();
        let [y, x, operands @ ..] = &super::value::arrays(&arrays)[..] else {
            return Err(EvalError::Broken("the values after and before a step".into()));
        };
        lost::record_array(y, x, self.update.step(operands), &mut bits)?;
        Ok(vec![Value::Bits(bits)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("retain: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("retain: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [3]);
        let row = |update, n| Row::new(Retain { update }, &[vec![Type::bits()], vec![ty.clone(); n]].concat()).order(0);
        vec![row(Update::Add, 3), row(Update::Fma, 4)]
    }
}
