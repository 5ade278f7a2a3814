//! The part of an array at a place known only at run time.   x: [B.., D..], starts: i64[B.., rank of D] → y: [B.., lens..].
//!
//! The first `batch_dims` axes (B) are shared. Linear in x; its transpose is a `dynamic_update` of zeros. Reverse keeps the
//! starts. Errors: a part that does not lie inside. It is refused, as `gather` refuses an index outside, and not moved inside
//! silently: that would be another part than the one asked for. Clamp the starts where that is meant.

use super::dynamic_update::DynamicUpdate;
use super::structure::{array_type, arrays_only};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// The part of an array at a place known only at run time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DynamicSlice {
    /// The shape of the part.
    pub lens: Vec<usize>,
    /// How many leading axes x and the starts share.
    pub batch_dims: usize,
}

/// Refuses starts of another type, and parts that are larger than the array.
pub(super) fn check_part(x: &Type, lens: &[usize], starts: &Type, batch_dims: usize) -> Result<(), Mismatch> {
    let rank = x.shape.rank();
    if batch_dims > rank || lens.len() != rank - batch_dims {
        return Err(Mismatch::new(format!("part: found {} axes, expected {}, those of {x}", lens.len(), rank.saturating_sub(batch_dims)))
            .help("axes that stay whole are named with their full length"));
    }
    let expected = Type::array(DType::I64, [&x.shape[..batch_dims], &[lens.len()]].concat());
    if *starts != expected {
        return Err(Mismatch::new(format!("starts: found {starts}, expected {expected}, one for each axis of the part"))
            .help("`stack` scalars of i64, for example `stack(&[i, j])`"));
    }
    match (0..lens.len()).find(|&i| lens[i] > x.shape[batch_dims + i]) {
        Some(i) => Err(Mismatch::new(format!("part: found length {} along axis {i}, expected at most {} of {x}", lens[i], x.shape[batch_dims + i]))
            .help("a part is not larger than its array; `pad` makes an array larger")),
        None => Ok(()),
    }
}

impl Rules for DynamicSlice {
    const NAME: &'static str = "dynamic_slice";
    fn fields(&self) -> Fields<Prim> {
        vec![("lens", Field::Ints(self.lens.clone())), ("batch_dims", Field::Int(self.batch_dims as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(DynamicSlice { lens: args.ints("lens")?, batch_dims: args.size("batch_dims")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (x, starts) = (&inputs[0], &inputs[1]);
        check_part(x, &self.lens, starts, self.batch_dims)?;
        Ok(vec![array_type(x.dtype, [&x.shape[..self.batch_dims], &self.lens].concat())?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::dynamic_slice(inputs[0].array(), inputs[1].array(), &self.lens, self.batch_dims)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot, inputs[1]]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, false]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (Operand::Linear(ty), Some(y_bar)) = (&inputs[0], cts[0]) else { return vec![None, None] };
        let zeros = r.zeros(ty);
        let back = DynamicUpdate { batch_dims: self.batch_dims };
        vec![Some(r.emit(back, &[zeros, y_bar, inputs[1].known()])), None]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = r.all_batched(inputs, batched, n);
        let op = DynamicSlice { lens: self.lens.clone(), batch_dims: self.batch_dims + 1 };
        (vec![r.emit(op, &inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |x: &[usize], batch_dims: usize, lens: &[usize]| {
            let starts = [&x[..batch_dims], &[lens.len()]].concat();
            let types = [Type::array(DType::F64, x), Type::array(DType::I64, starts)];
            Row::new(DynamicSlice { lens: lens.to_vec(), batch_dims }, &types).range(0.0, 2.0)
        };
        vec![row(&[4], 0, &[3]), row(&[3, 4], 0, &[2, 3]), row(&[2, 3, 4], 1, &[1, 2]), row(&[], 0, &[])]
    }
}
