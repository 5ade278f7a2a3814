//! `x = q · grid`, entry by entry, rounded once to nearest: the value of a lattice point.   q: i64 → x: f64 or f32, same shape.
//!
//! The grid is 2^grid. No derivative: points are whole numbers (see `trace::lattice`). Never -0. Reverse keeps nothing.
//! Errors: none.

use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, lattice_point, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::lattice::Lattice;

/// The value of a lattice point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LatticeValue {
    /// The lattice.
    pub lattice: Lattice,
    /// f64 or f32.
    pub dtype: DType,
}

impl Rules for LatticeValue {
    const NAME: &'static str = "lattice_value";
    fn fields(&self) -> Fields<Prim> {
        [lattice_point::fields(&self.lattice), vec![("dtype", Field::Word(self.dtype.name().into()))]].concat()
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let lattice = lattice_point::parse(args)?;
        match args.word("dtype")?.parse() {
            Ok(dtype @ (DType::F64 | DType::F32)) => Ok(LatticeValue { lattice, dtype }),
            _ => Err("parameter `dtype`: expected f64 or f32".into()),
        }
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let guess = inputs[0].with_dtype(self.dtype);
        if inputs[0].dtype != DType::I64 {
            return Err(Mismatch::new(format!("found {}, expected points, i64", inputs[0])).guess(&guess));
        }
        Ok(vec![guess])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(self.lattice.value(inputs[0].array(), self.dtype))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |dtype| {
            let lattice = Lattice::from_parts(-4, 1 << 40).ok()?;
            Some(Row::new(LatticeValue { lattice, dtype }, &[Type::array(DType::I64, [2, 3])]).range(-500.0, 500.0).order(0))
        };
        [row(DType::F64), row(DType::F32)].into_iter().flatten().collect()
    }
}
