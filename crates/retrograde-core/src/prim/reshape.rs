//! The same entries, in row-major order, in another shape.   x: [..] → y: the given shape, of the same size.
//!
//! Linear; its transpose and its inverse are the reshape back. Reverse keeps nothing. Errors: none.

use super::structure::{array_type, arrays_only, prepended};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// The same entries in another shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Vec<usize>,
}

impl Rules for Reshape {
    const NAME: &'static str = "reshape";
    fn fields(&self) -> Fields<Prim> {
        vec![("shape", Field::Ints(self.shape.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Reshape { shape: args.ints("shape")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        let out = array_type(x.dtype, &self.shape[..])?;
        let (found, expected) = (out.shape.size(), x.shape.size());
        if found != expected {
            return Err(Mismatch::new(format!("found shape {} of {found} entries, expected {expected}, those of {x}", out.shape))
                .help("the number of entries stays; `broadcast` and `spread` repeat, `slice` takes a part")
                .guess(&out));
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::reshape(inputs[0].array(), &Shape::from(&self.shape[..])))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.reshape(x_dot, &self.shape))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        match (&inputs[0], cts[0]) {
            (Operand::Linear(ty), Some(y_bar)) => vec![Some(r.reshape(y_bar, &ty.shape))],
            _ => vec![None],
        }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.reshape(inputs[0], &prepended(n, &self.shape))], vec![true])
    }
    fn after(&self, inner: &Prim) -> Option<Prim> {
        matches!(inner, Prim::Reshape(_)).then(|| self.clone().into())
    }
    fn is_identity(&self, operand: &Type) -> bool {
        self.shape[..] == operand.shape[..]
    }
    fn invert(
        &self, r: &mut Rule<'_>, _: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        Some((r.reshape(outputs[0]?, &unknown.shape), bits))
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Reshape { shape: vec![3, 2] }, &[Type::array(DType::F64, [2, 3])])]
    }
}
