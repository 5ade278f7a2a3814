//! `q = round(x / grid)`, entry by entry: the nearest point of a lattice.   x: float → q: i64, same shape.
//!
//! The lattice is the multiples q · 2^grid of a power of two with `|q| ≤ limit`. Halves go to the even point, so -x gives -q; both
//! zeros are the point 0. No derivative: points are whole numbers, and what is differentiated is the value that stands for
//! them (see `trace::lattice`). Reverse keeps nothing. Errors: a value outside the lattice, NaN or infinity, with its entry.
//! Source: Levesque & Verlet (1993).

use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::lattice::Lattice;

/// The nearest point of a lattice.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LatticePoint {
    /// The lattice.
    pub lattice: Lattice,
}

/// The parameters of a lattice in the text form.
pub(super) fn fields(lattice: &Lattice) -> Fields<Prim> {
    vec![("grid", Field::Int(lattice.exponent().into())), ("limit", Field::Int(lattice.limit()))]
}

/// The lattice of these parameters.
pub(super) fn parse(args: &mut Args) -> Result<Lattice, String> {
    let (exponent, limit) = (args.int("grid")?, args.int("limit")?);
    let exponent = i32::try_from(exponent).map_err(|_| format!("parameter `grid`: found {exponent}, expected -126 to 63"))?;
    Lattice::from_parts(exponent, limit).map_err(|e| e.to_string())
}

/// Refuses anything but one array of floats.
fn one_float(inputs: &[Type]) -> Result<&Type, Mismatch> {
    arrays_only(inputs, 1)?;
    if !inputs[0].is_float() {
        let found = format!("found {}, expected floating-point numbers", inputs[0]);
        return Err(Mismatch::new(found).help("convert first: `.convert(DType::F64)`").guess(&inputs[0].with_dtype(DType::I64)));
    }
    Ok(&inputs[0])
}

impl Rules for LatticePoint {
    const NAME: &'static str = "lattice_point";
    fn fields(&self) -> Fields<Prim> {
        fields(&self.lattice)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(LatticePoint { lattice: parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        Ok(vec![one_float(inputs)?.with_dtype(DType::I64)])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(self.lattice.point(inputs[0].array())?)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |lattice: Option<Lattice>, dtype| {
            lattice.map(|lattice| Row::new(LatticePoint { lattice }, &[Type::array(dtype, [2, 3])]).order(0))
        };
        let lattice = |exponent, limit| Lattice::from_parts(exponent, limit).ok();
        let rows = [row(lattice(-57, i64::MAX), DType::F64), row(lattice(-1, 1000), DType::F32)];
        rows.into_iter().flatten().collect()
    }
}
