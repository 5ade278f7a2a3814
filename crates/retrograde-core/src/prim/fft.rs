//! The discrete Fourier transform, ŷ_k = Σ_j z_j exp(∓2πi jk/n), `-` forwards and `+` backwards, never divided by n.
//!
//! z: [.., n, 2], real and imaginary parts on a trailing axis of 2 → the same type. One operand of real numbers is linear as
//! it stands and differentiates with nothing to agree on: cotangents are plain arrays, no conjugate is hidden anywhere. As a
//! real matrix the forward transform is the transpose of the backward one. Reverse keeps nothing. Errors: none.
//! Cost: about 5 n log₂ n flops per lane for every n, primes included. Source: Cooley & Tukey 1965, through `rustfft`.

use super::structure::arrays_only;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::fourier;

/// The discrete Fourier transform.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fft {
    /// Whether the exponent is positive.
    pub backward: bool,
}

impl Rules for Fft {
    const NAME: &'static str = "fft";
    fn fields(&self) -> Fields<Prim> {
        vec![("backward", Field::Bool(self.backward))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Fft { backward: args.bool("backward")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let z = &inputs[0];
        match z.shape[..] {
            _ if !z.dtype.is_float() => Err(Mismatch::new(format!("found {z}, expected floating-point numbers"))
                .help("convert first: `.convert(DType::F64)`")
                .guess(&z.with_dtype(DType::F64))),
            [.., _, 2] => Ok(inputs.to_vec()),
            _ => Err(Mismatch::new(format!("found {z}, expected [.., n, 2] with real and imaginary parts on the last axis"))
                .help("`complex(re, im)` joins two real arrays; `rfft` takes one")),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(fourier::fft(inputs[0].array(), self.backward)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|z_dot| r.emit(self.clone(), &[z_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.emit(Fft { backward: !self.backward }, &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |backward, shape: &[usize]| Row::new(Fft { backward }, &[Type::array(DType::F64, shape)]);
        vec![row(false, &[4, 2]), row(true, &[5, 2]), row(false, &[2, 6, 2]), row(false, &[0, 2])]
    }
}
