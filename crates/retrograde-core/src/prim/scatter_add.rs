//! Adds entries to zeros at given positions along an axis: the transpose of `gather`.
//!
//! indices: i64[B.., J..], updates: [B.., M.., J.., I..] → y: [B.., M.., size, I..] with `size` at `axis`; the first
//! `batch_dims` axes (B) are shared. Entries of one position are added in row-major order of the updates.
//! Linear in the updates; its transpose is `gather`. Reverse keeps the indices. Errors: an index outside 0..size.

use super::gather::{Gather, check_indices};
use super::structure::{array_type, arrays_only};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Adds entries to zeros at given positions along an axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    /// The axis of the result that is indexed.
    pub axis: usize,
    /// How many leading axes the indices and the updates share.
    pub batch_dims: usize,
    /// The length of that axis.
    pub size: usize,
}

impl Rules for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    fn fields(&self) -> Fields<Prim> {
        let int = |x: usize| Field::Int(x as i64);
        vec![("axis", int(self.axis)), ("batch_dims", int(self.batch_dims)), ("size", int(self.size))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(ScatterAdd { axis: args.size("axis")?, batch_dims: args.size("batch_dims")?, size: args.size("size")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (indices, updates) = (&inputs[0], &inputs[1]);
        if updates.dtype == DType::Bool {
            return Err(Mismatch::new(format!("updates: found {updates}, expected numbers")));
        }
        check_indices(indices, updates, self.axis, self.batch_dims)?;
        let of_index = &indices.shape[self.batch_dims..];
        let (Some(before), Some(rest)) = (updates.shape.get(..self.axis), updates.shape.get(self.axis..)) else {
            let rank = updates.shape.rank();
            return Err(Mismatch::new(format!("axis: found {}, expected at most {rank}, the rank of {updates}", self.axis)));
        };
        let Some(inner) = rest.strip_prefix(of_index) else {
            return Err(Mismatch::new(format!(
                "updates: found {updates}, expected the lengths {of_index:?} of the indices {indices} from axis {} on", self.axis
            )));
        };
        Ok(vec![array_type(updates.dtype, [before, &[self.size], inner].concat())?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::scatter_add(inputs[0].array(), inputs[1].array(), self.axis, self.batch_dims, self.size)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[1].map(|updates_dot| r.emit(self.clone(), &[inputs[0], updates_dot]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [false, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let back = Gather { axis: self.axis, batch_dims: self.batch_dims };
        vec![None, cts[0].map(|y_bar| r.emit(back, &[y_bar, inputs[0].known()]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let axis = self.axis + 1;
        let y = match (self.batch_dims, batched) {
            (0, [false, true]) => r.emit(ScatterAdd { axis, ..self.clone() }, inputs),
            _ => {
                let inputs = r.all_batched(inputs, batched, n);
                r.emit(ScatterAdd { axis, batch_dims: self.batch_dims + 1, size: self.size }, &inputs)
            }
        };
        (vec![y], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |axis, batch_dims, indices: &[usize], updates: &[usize]| {
            let types = [Type::array(DType::I64, indices), Type::array(DType::F64, updates)];
            Row::new(ScatterAdd { axis, batch_dims, size: 4 }, &types).range(0.0, 4.0)
        };
        vec![
            row(0, 0, &[], &[2]),
            row(0, 0, &[6], &[6, 2]),
            row(1, 0, &[2, 5], &[3, 2, 5, 2]),
            row(1, 1, &[3], &[3]),
            row(2, 1, &[3, 5], &[3, 2, 5, 2]),
        ]
    }
}
