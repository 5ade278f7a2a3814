//! Entries along an axis at given positions.   x: [B.., M.., n, I..], indices: i64[B.., J..] → y: [B.., M.., J.., I..].
//!
//! n stands at `axis`; the first `batch_dims` axes (B) are shared. Linear in x; its transpose is `scatter_add`. Reverse
//! keeps the indices. Errors: an index outside 0..n (negative ones do not count from the end).

use super::scatter_add::ScatterAdd;
use super::structure::{array_type, arrays_only, check_axes, to_front};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Entries along an axis at given positions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather {
    /// The axis of x that is indexed.
    pub axis: usize,
    /// How many leading axes x and the indices share.
    pub batch_dims: usize,
}

/// Refuses indices of another dtype, and leading axes that are not shared.
pub(super) fn check_indices(indices: &Type, other: &Type, axis: usize, batch_dims: usize) -> Result<(), Mismatch> {
    if indices.dtype != DType::I64 {
        return Err(Mismatch::new(format!("indices: found {indices}, expected i64"))
            .help("convert them: `.convert(DType::I64)`"));
    }
    if batch_dims > axis || batch_dims > indices.shape.rank() {
        return Err(Mismatch::new(format!(
            "batch_dims: found {batch_dims}, expected at most axis {axis} and the rank of the indices {indices}"
        )));
    }
    if other.shape.get(..batch_dims) != indices.shape.get(..batch_dims) {
        return Err(Mismatch::new(format!("the first {batch_dims} axes are shared: found {indices} and {other}, expected equal lengths"))
            .help("indices have the batch axes of the array first"));
    }
    Ok(())
}

impl Rules for Gather {
    const NAME: &'static str = "gather";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64)), ("batch_dims", Field::Int(self.batch_dims as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Gather { axis: args.size("axis")?, batch_dims: args.size("batch_dims")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (x, indices) = (&inputs[0], &inputs[1]);
        check_axes("axis", &[self.axis], x)?;
        check_indices(indices, x, self.axis, self.batch_dims)?;
        let shape = [&x.shape[..self.axis], &indices.shape[self.batch_dims..], &x.shape[self.axis + 1..]].concat();
        Ok(vec![array_type(x.dtype, shape)?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::gather(inputs[0].array(), inputs[1].array(), self.axis, self.batch_dims)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot, inputs[1]]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, false]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (Operand::Linear(ty), Some(y_bar)) = (&inputs[0], cts[0]) else { return vec![None, None] };
        let back = ScatterAdd { axis: self.axis, batch_dims: self.batch_dims, size: ty.shape[self.axis] };
        vec![Some(r.emit(back, &[inputs[1].known(), y_bar])), None]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let axis = self.axis + 1;
        let y = match (self.batch_dims, batched) {
            (0, [true, false]) => r.emit(Gather { axis, batch_dims: 0 }, inputs),
            // [M.., n, J.., I..]: the lanes stand where the indexed axis stood.
            (0, [false, true]) => {
                let y = r.emit(self.clone(), inputs);
                to_front(r, y, self.axis)
            }
            _ => {
                let inputs = r.all_batched(inputs, batched, n);
                r.emit(Gather { axis, batch_dims: self.batch_dims + 1 }, &inputs)
            }
        };
        (vec![y], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |axis, batch_dims, x: &[usize], indices: &[usize]| {
            let types = [Type::array(DType::F64, x), Type::array(DType::I64, indices)];
            Row::new(Gather { axis, batch_dims }, &types).range(0.0, 4.0)
        };
        vec![
            row(0, 0, &[4], &[]),
            row(0, 0, &[4, 2], &[3]),
            row(1, 0, &[3, 4, 2], &[2, 5]),
            row(1, 1, &[3, 4], &[3]),
            row(2, 1, &[3, 2, 4, 2], &[3, 5]),
        ]
    }
}
