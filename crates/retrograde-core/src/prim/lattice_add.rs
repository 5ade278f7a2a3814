//! `p = q + round(d / grid)`, entry by entry: a lattice point moved by a float.   q: i64, d: float, same shape → p: i64.
//!
//! The lattice as in `lattice_point`. No derivative: points are whole numbers; the declared derivative of the values that stand
//! for them is that of x + d (see `trace::lattice`). Inverse: q from p and d, by adding -d, exactly and with no bit kept, since
//! rounding is symmetric. Errors: a sum outside the range, an increment that is not finite, with its entry.
//! Source: Levesque & Verlet (1993); Rein & Tamayo (2017).

use super::structure::no_tangents;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, lattice_point, restore, value};
use crate::ir::{Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::lattice::Lattice;

/// A lattice point moved by a float.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LatticeAdd {
    /// The lattice.
    pub lattice: Lattice,
}

impl Rules for LatticeAdd {
    const NAME: &'static str = "lattice_add";
    fn fields(&self) -> Fields<Prim> {
        lattice_point::fields(&self.lattice)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(LatticeAdd { lattice: lattice_point::parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let [q, d] = inputs else {
            return Err(Mismatch::new(format!("found {} operands, expected 2", inputs.len())));
        };
        if q.kind != Kind::Array || q.dtype != DType::I64 || d.kind != Kind::Array || !d.is_float() || q.shape != d.shape {
            return Err(Mismatch::new(format!("found points {q} and increments {d}, expected i64 and floats of one shape"))
                .help("bring the increment to the shape of the state with `spread` or `broadcast`")
                .guess(&q.with_dtype(DType::I64)));
        }
        Ok(vec![q.clone()])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(self.lattice.add(inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, known: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        let (&[None, Some(d)], p) = (known, outputs[0]?) else { return None };
        if !restore::same_type(r, p, unknown) {
            return None;
        }
        let minus = r.neg(d);
        Some((r.emit(self.clone(), &[p, minus]), bits))
    }
    fn rows() -> Vec<Row> {
        let row = |dtype| {
            let lattice = Lattice::from_parts(-4, 1 << 40).ok()?;
            let ty = Type::array(dtype, [2, 3]);
            Some(Row::new(LatticeAdd { lattice }, &[ty.with_dtype(DType::I64), ty]).range(-500.0, 500.0).order(0))
        };
        [row(DType::F64), row(DType::F32)].into_iter().flatten().collect()
    }
}
