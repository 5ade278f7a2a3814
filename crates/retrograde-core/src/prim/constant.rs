//! An array written into the program.   no operands → the array.
//!
//! No derivative: a constant. Errors: none.

use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{Array, array};

/// An array written into the program.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    /// The array.
    pub value: Array,
}

impl Rules for Constant {
    const NAME: &'static str = "constant";
    fn fields(&self) -> Fields<Prim> {
        vec![("value", Field::Array(self.value.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Constant { value: args.array("value")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 0)?;
        Ok(vec![Type::of(&self.value)])
    }
    fn eval(&self, _: &mut dyn Evaluate, _: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(self.value.clone())
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![false])
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Constant { value: array([[1.0, -0.0], [f64::NAN, 0.1]]) }, &[]).order(0)]
    }
}
