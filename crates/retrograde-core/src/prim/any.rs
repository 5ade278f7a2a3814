//! Whether one entry over axes, which disappear, is true.   x: bool[..] → y: bool of the other axes.
//!
//! False where there are no entries. No derivative. Errors: none.

use super::structure::{no_tangents, reduced, shifted};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Whether one entry over axes is true.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Any {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

impl Rules for Any {
    const NAME: &'static str = "any";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Any { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = reduced(inputs, &self.axes)?;
        if out.dtype != DType::Bool {
            let guess = out.with_dtype(DType::Bool);
            return Err(Mismatch::new(format!("found {}, expected truth values", inputs[0]))
                .help("compare first, for example `x.ne(0.0)`")
                .guess(&guess));
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::any(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Any { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::Bool, [2, 3, 2]);
        let row = |axes: &[usize]| Row::new(Any { axes: axes.to_vec() }, std::slice::from_ref(&ty)).order(0);
        vec![row(&[0, 1, 2]), row(&[1]), row(&[])]
    }
}
