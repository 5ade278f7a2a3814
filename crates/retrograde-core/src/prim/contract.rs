//! `v' ≈ v · n / d`, entry by entry, one-to-one together with a remainder.   v, R: i64, same shape → v', R': same.
//!
//! With `t = R d + v mod d`: `v' = (v div d) n + t mod n`, `R' = t div n`; divisions round down, for negative v too, and
//! `|v' - v n/d| < n + 1`. `1 ≤ n < d ≤ 32768`. R starts at n and grows by d/n; a word of it that 64 bits would not hold
//! is dropped by the forward program, and kept on the bit stack where the step is to be reversed (`spill`). What a reversal
//! keeps is therefore log2(d/n) bits per multiplication, which is the information the contraction destroys.
//!
//! No derivative: v is a whole number; that of its value is n/d (see `trace::lattice`). Inverse: both from both (`expand`).
//! Errors: a number that is no remainder, with its entry.
//! Source: Maclaurin, Duvenaud, Adams (2015), algorithm 3; the bounds of R: `retrograde_array::lattice`, Note \[spilling\].

use super::expand::Expand;
use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, lattice};

/// Multiplication by n/d, one-to-one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    /// The factor.
    pub by: lattice::Contract,
}

/// The factor in the text form.
pub(super) fn fields(by: &lattice::Contract) -> Fields<Prim> {
    let (n, d) = by.parts();
    vec![("n", Field::Int(n.into())), ("d", Field::Int(d.into()))]
}

/// The factor of these parameters.
pub(super) fn parse(args: &mut Args) -> Result<lattice::Contract, String> {
    let mut part = |name| {
        let found = args.int(name)?;
        u32::try_from(found).map_err(|_| format!("parameter `{name}`: found {found}, expected 1 to 32768"))
    };
    lattice::Contract::new(part("n")?, part("d")?).map_err(|e| e.to_string())
}

/// Two arrays of whole numbers of one shape; returns their type.
pub(super) fn value_and_remainder(inputs: &[Type]) -> Result<Type, Mismatch> {
    arrays_only(inputs, 2)?;
    let guess = inputs[0].with_dtype(DType::I64);
    if inputs[0] != guess || inputs[1] != guess {
        let found = format!("found {} and {}, expected a value and its remainder, both i64 of one shape", inputs[0], inputs[1]);
        return Err(Mismatch { guess: vec![guess.clone(), guess], ..Mismatch::new(found) });
    }
    Ok(guess)
}

impl Rules for Contract {
    const NAME: &'static str = "contract";
    fn fields(&self) -> Fields<Prim> {
        fields(&self.by)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Contract { by: parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let ty = value_and_remainder(inputs)?;
        Ok(vec![ty.clone(), ty])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let arrays = value::arrays(&inputs);
        let (v, r) = self.by.apply(arrays[0], arrays[1])?;
        Ok(vec![Value::Array(v), Value::Array(r)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(2)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let inputs = r.all_batched(inputs, batched, n);
        (r.b.emit(self.clone().into(), &inputs), vec![true; 2])
    }
    fn invert_whole(
        &self,
        r: &mut Rule<'_>,
        inputs: &[Option<ValueId>],
        outputs: &[Option<ValueId>],
        bits: ValueId,
    ) -> Option<(Vec<ValueId>, ValueId)> {
        let ([None, None], [Some(v), Some(rest)]) = (inputs, outputs) else { return None };
        let out = r.b.emit(Expand { by: self.by }.into(), &[bits, *v, *rest]);
        Some((out[1..].to_vec(), out[0]))
    }
    fn rows() -> Vec<Row> {
        let row = |n, d| {
            let by = lattice::Contract::new(n, d).ok()?;
            let ty = Type::array(DType::I64, [2, 3]);
            // The range is that of both: the remainder is at least n.
            Some(Row::new(Contract { by }, &[ty.clone(), ty]).range(f64::from(n), 1e4).order(0))
        };
        [row(9, 10), row(99, 100)].into_iter().flatten().collect()
    }
}
