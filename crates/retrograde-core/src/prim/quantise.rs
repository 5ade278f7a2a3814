//! A float array as codes of a few bits, rounded at random, for the tape. Only `tape` writes it, after every transform.
//!
//! x: float `[..]` of n entries (, step: i64 `[]`) → codes: u8 `[n · bits / 8, rounded up]`, grids: f32 `[n / 256, rounded up, 2]`,
//! the lowest point and the distance of points of each 256 entries in row-major order. The draw is keyed by seed, number
//! and step, and depends on nothing else: a replay draws the same. Mean: the entry. Variance: at most a quarter of the
//! squared distance. No derivative, no batching. Errors: an entry is not finite, or beyond f32.
//! Source: `retrograde_array::ops::quantise`.

use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::ops::{self, QUANTISE_BLOCK};
use retrograde_array::rng::Key;
use retrograde_array::{DType, Shape};

/// A float array as codes of a few bits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Quantise {
    /// Of a code, 1 to 8.
    pub bits: u8,
    /// The user's.
    pub seed: u64,
    /// Tells the draws of one program apart.
    pub draw: usize,
}

/// Reads `bits`.
pub(super) fn parse_bits(args: &mut Args) -> Result<u8, String> {
    match args.size("bits")? {
        bits @ 1..=8 => Ok(bits as u8),
        bits => Err(format!("parameter `bits`: found {bits}, expected 1 to 8")),
    }
}

impl Quantise {
    /// The types of the codes and the grids of so many entries.
    pub fn codes_and_grids(shape: &Shape, bits: u8) -> [Type; 2] {
        let n = shape.size();
        let codes = Type::array(DType::U8, [ops::quantised_bytes(n, bits)]);
        [codes, Type::array(DType::F32, [n.div_ceil(QUANTISE_BLOCK), 2])]
    }
}

impl Rules for Quantise {
    const NAME: &'static str = "quantise";
    fn fields(&self) -> Fields<Prim> {
        vec![
            ("bits", Field::Int(self.bits.into())),
            ("seed", Field::Int(self.seed.cast_signed())),
            ("draw", Field::Int(self.draw as i64)),
        ]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let (bits, seed) = (parse_bits(args)?, args.int("seed")?.cast_unsigned());
        Ok(Quantise { bits, seed, draw: args.size("draw")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let (x, steps) = inputs.split_first().ok_or_else(|| Mismatch::new("found no operands, expected 1 or 2"))?;
        if !(1..=8).contains(&self.bits) {
            return Err(Mismatch::new(format!("bits: found {}, expected 1 to 8", self.bits)));
        }
        if !x.is_float() || x.kind != Kind::Array {
            return Err(Mismatch::new(format!("operand 0: found {x}, expected an array of floats")));
        }
        match steps {
            [] => {}
            [step] if *step == Type::array(DType::I64, []) => {}
            _ => return Err(Mismatch::new("expected an array and at most the number of a step, i64[]")),
        }
        Ok(Quantise::codes_and_grids(&x.shape, self.bits).to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let mut key = Key::from_seed(self.seed).fold_in(self.draw as u64);
        if let Some(step) = inputs.get(1) {
            let step = step.array().item::<i64>().ok_or_else(|| EvalError::Broken("the number of a step".into()))?;
            key = key.fold_in(step.cast_unsigned());
        }
        let (codes, grids) = ops::quantise(inputs[0].array(), self.bits, key)?;
        Ok(vec![codes.into(), grids.into()])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("quantise: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("quantise: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let row = |bits, inputs: &[Type]| Row::new(Quantise { bits, seed: 1, draw: 2 }, inputs).order(0);
        let step = Type::array(DType::I64, []);
        vec![
            row(3, &[Type::array(DType::F64, [3, 7])]),
            row(8, &[Type::array(DType::F32, [300]), step]),
        ]
    }
}
