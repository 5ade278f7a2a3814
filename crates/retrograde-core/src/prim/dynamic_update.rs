//! An array with a part at a place known only at run time replaced.
//!
//! x: [B.., D..], update: [B.., lens..], starts: i64[B.., rank of D] → y: type of x. The first `batch_dims` axes (B) are shared.
//! Linear in x and the update together, or in one where the other is zeros (no rule writes another). The cotangent of the
//! update is a `dynamic_slice`, that of x has zeros there. Reverse keeps the starts. Errors: a part that does not lie inside,
//! for the reason that `dynamic_slice` gives.

use super::dynamic_slice::{DynamicSlice, check_part};
use super::structure::arrays_only;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// An array with a part replaced.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DynamicUpdate {
    /// How many leading axes all operands share.
    pub batch_dims: usize,
}

impl Rules for DynamicUpdate {
    const NAME: &'static str = "dynamic_update";
    fn fields(&self) -> Fields<Prim> {
        vec![("batch_dims", Field::Int(self.batch_dims as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(DynamicUpdate { batch_dims: args.size("batch_dims")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 3)?;
        let (x, update, starts) = (&inputs[0], &inputs[1], &inputs[2]);
        if update.dtype != x.dtype || update.shape.get(..self.batch_dims) != x.shape.get(..self.batch_dims) {
            return Err(Mismatch::new(format!("update: found {update}, expected the dtype and the first {} axes of {x}", self.batch_dims))
                .help(format!("convert one side: `.convert(DType::{:?})`", x.dtype))
                .guess(x));
        }
        check_part(x, &update.shape[self.batch_dims..], starts, self.batch_dims).map_err(|e| e.guess(x))?;
        Ok(vec![x.clone()])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::dynamic_update(inputs[0].array(), inputs[1].array(), inputs[2].array(), self.batch_dims)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if tangents[..2] == [None, None] {
            return vec![None];
        }
        let [x_dot, update_dot] = [0, 1].map(|i| {
            let ty = r.ty(inputs[i]);
            tangents[i].unwrap_or_else(|| r.zeros(&ty))
        });
        vec![Some(r.emit(self.clone(), &[x_dot, update_dot, inputs[2]]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[2]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(y_bar) = cts[0] else { return vec![None; 3] };
        let starts = inputs[2].known();
        let update = match &inputs[1] {
            Operand::Known(v) => r.ty(*v),
            Operand::Linear(ty) => ty.clone(),
        };
        let x_bar = inputs[0].is_linear().then(|| {
            let zeros = r.zeros(&update);
            r.emit(self.clone(), &[y_bar, zeros, starts])
        });
        let part = DynamicSlice { lens: update.shape[self.batch_dims..].to_vec(), batch_dims: self.batch_dims };
        let update_bar = inputs[1].is_linear().then(|| r.emit(part, &[y_bar, starts]));
        vec![x_bar, update_bar, None]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(DynamicUpdate { batch_dims: self.batch_dims + 1 }, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |x: &[usize], batch_dims: usize, lens: &[usize]| {
            let (batch, n) = (&x[..batch_dims], lens.len());
            let update = Type::array(DType::F64, [batch, lens].concat());
            let starts = Type::array(DType::I64, [batch, &[n]].concat());
            Row::new(DynamicUpdate { batch_dims }, &[Type::array(DType::F64, x), update, starts]).range(0.0, 2.0)
        };
        vec![row(&[4], 0, &[3]), row(&[3, 4], 0, &[2, 3]), row(&[2, 3, 4], 1, &[1, 2])]
    }
}
