//! Uniform integers in [0, 2^bits) from a key.   key: i64[.., 2] → i64[.., shape..]: one draw of `shape` per key.
//!
//! An entry depends on its key and its index within the draw only, so any schedule draws the same numbers.
//! No derivative. Errors: none. Source: `retrograde_array::rng` (Threefry-2x64-20); the leading bits of its words.

use super::structure::{array_type, arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, DType, Shape};

/// Uniform integers in [0, 2^bits) from a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RandomBits {
    /// The shape of one draw.
    pub shape: Vec<usize>,
    /// How many bits, 1 to 63.
    pub bits: u8,
}

impl Rules for RandomBits {
    const NAME: &'static str = "random_bits";
    fn fields(&self) -> Fields<Prim> {
        vec![("shape", Field::Ints(self.shape.clone())), ("bits", Field::Int(self.bits.into()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let (shape, bits) = (args.ints("shape")?, args.size("bits")?);
        match u8::try_from(bits) {
            Ok(bits @ 1..=63) => Ok(RandomBits { shape, bits }),
            _ => Err(format!("parameter `bits`: found {bits}, expected 1 to 63")),
        }
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        if !(1..=63).contains(&self.bits) {
            return Err(Mismatch::new(format!("bits: found {}, expected 1 to 63", self.bits)));
        }
        match (inputs[0].dtype, inputs[0].shape.split_last()) {
            (DType::I64, Some((2, lanes))) => Ok(vec![array_type(DType::I64, [lanes, &self.shape].concat())?]),
            _ => Err(Mismatch::new(format!("key: found {}, expected i64[2]", inputs[0]))
                .help("make it with `Key::from_seed(seed).to_array()`")
                .guess(&Type::array(DType::I64, self.shape.clone()))),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let keys = inputs[0].array();
        let words = keys.as_slice::<i64>().ok_or_else(|| EvalError::Broken("keys of i64".into()))?;
        let n = Shape::from(&self.shape[..]).size();
        let shift = 64 - u32::from(self.bits);
        let draw = |key: &[i64]| rng::random_bits(Key([key[0] as u64, key[1] as u64]), n);
        let values = words.chunks_exact(2).flat_map(draw).map(|word| (word >> shift) as i64).collect();
        let lanes = &keys.shape()[..keys.rank() - 1];
        value::one(Array::new([lanes, &self.shape].concat(), values)?)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |bits, key: &[usize]| {
            Row::new(RandomBits { shape: vec![2, 3], bits }, &[Type::array(DType::I64, key)]).range(0.0, 1e6).order(0)
        };
        vec![row(53, &[2]), row(1, &[4, 2])]
    }
}
