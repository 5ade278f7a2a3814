//! A part of each matrix, zeros elsewhere.   x: [.., m, n], any dtype → y: the same type.
//!
//! The part: on and below the diagonal (`lower`), below it, on and above it (`upper`), above it, or the diagonal itself. What
//! lies outside is a true zero, even where x is NaN. Linear and its own transpose; reverse keeps nothing. Errors: none.

use super::args::word_for;
use super::structure::arrays_only;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{self, Part};

/// A part of each matrix, zeros elsewhere.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Triangle {
    /// Which part.
    pub part: Part,
}

/// The parts and their words in the text form.
const WORDS: [(Part, &str); 5] = [
    (Part::Lower, "lower"),
    (Part::StrictLower, "strict_lower"),
    (Part::Upper, "upper"),
    (Part::StrictUpper, "strict_upper"),
    (Part::Diagonal, "diagonal"),
];

impl Rules for Triangle {
    const NAME: &'static str = "triangle";
    fn fields(&self) -> Fields<Prim> {
        vec![("part", word_for(self.part, &WORDS))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Triangle { part: args.choice("part", &WORDS)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        match inputs[0].shape.rank() {
            0 | 1 => Err(Mismatch::new(format!("found {}, expected a matrix, or several along leading axes", inputs[0]))
                .help("`.reshape([n, 1])` makes a vector of n entries one column")),
            _ => Ok(inputs.to_vec()),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::triangle(inputs[0].array(), self.part))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.emit(self.clone(), &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |(part, _)| Row::new(Triangle { part }, &[Type::array(DType::F64, [2, 3, 4])]);
        WORDS.into_iter().map(row).collect()
    }
}
