//! A language of five operations to test this floor with; one carries a body, one carries any parameters.

use std::sync::Arc;

use retrograde_array::{Array, DType};

use super::program::{Field, Fields, Mismatch, Op, Program, Type};
use super::{Builder, dce};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Toy {
    /// A constant array.
    Constant(Array),
    /// Sum of two arrays of one type.
    Add,
    /// Product of two arrays of one type.
    Mul,
    /// Runs a body on its operands.
    Call(Arc<Program<Toy>>),
    /// Returns its operands; carries any parameters.
    Note(Fields<Toy>),
}

/// Keys that a note may carry.
const KEYS: [&str; 14] = [
    "flag", "int", "ints", "word", "word2", "text", "type", "list", "array", "array2", "array3", "body",
    "programs", "none",
];

thread_local! {
    /// How often an equation of this thread was visited by a simplification: what cost is counted in.
    pub(super) static VISITS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Toy {
    /// A note of one integer only: two in a row add up, and zero does nothing.
    fn as_shift(&self) -> Option<i64> {
        match self {
            Toy::Note(fields) => match fields.as_slice() {
                [("int", Field::Int(n))] => Some(*n),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Op for Toy {
    fn name(&self) -> &'static str {
        match self {
            Toy::Constant(_) => "constant",
            Toy::Add => "add",
            Toy::Mul => "mul",
            Toy::Call(_) => "call",
            Toy::Note(_) => "note",
        }
    }

    fn fields(&self) -> Fields<Toy> {
        match self {
            Toy::Constant(array) => vec![("value", Field::Array(array.clone()))],
            Toy::Add | Toy::Mul => vec![],
            Toy::Call(body) => {
                vec![("label", Field::Word("store".into())), ("body", Field::Program(body.clone()))]
            }
            Toy::Note(fields) => fields.clone(),
        }
    }

    fn from_fields(name: &str, fields: Vec<(String, Field<Toy>)>) -> Result<Toy, String> {
        match (name, fields.as_slice()) {
            ("constant", [(_, Field::Array(array))]) => Ok(Toy::Constant(array.clone())),
            ("add", []) => Ok(Toy::Add),
            ("mul", []) => Ok(Toy::Mul),
            ("call", [(_, Field::Word(_)), (_, Field::Program(body))]) => Ok(Toy::Call(body.clone())),
            ("note", _) => fields
                .into_iter()
                .map(|(key, field)| match KEYS.iter().find(|k| **k == key) {
                    Some(k) => Ok((*k, field)),
                    None => Err(format!("note has no parameter `{key}`")),
                })
                .collect::<Result<_, _>>()
                .map(Toy::Note),
            _ => Err(format!("no operation `{name}` with these parameters")),
        }
    }

    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        match (self, inputs) {
            (Toy::Constant(array), []) => Ok(vec![Type::of(array)]),
            (Toy::Add | Toy::Mul, [a, b]) if a == b => Ok(vec![a.clone()]),
            (Toy::Add | Toy::Mul, [a, b]) => {
                Err(Mismatch::new(format!("types differ, left {a} and right {b}")).help("use equal types"))
            }
            (Toy::Call(body), _) if body.input_types() == inputs => Ok(body.output_types()),
            (Toy::Note(_), _) => Ok(inputs.to_vec()),
            _ => Err(Mismatch::new("wrong operands")),
        }
    }

    fn after(&self, inner: &Toy) -> Option<Toy> {
        Some(Toy::Note(vec![("int", Field::Int(self.as_shift()? + inner.as_shift()?))]))
    }

    fn is_identity(&self, _: &Type) -> bool {
        self.as_shift() == Some(0)
    }

    fn constant(array: Array) -> Toy {
        Toy::Constant(array)
    }

    fn as_constant(&self) -> Option<Array> {
        match self {
            Toy::Constant(array) if array.size() <= 100 => Some(array.clone()),
            _ => None,
        }
    }

    fn fold(&self, inputs: &[Array]) -> Option<Vec<Array>> {
        let f: fn(f64, f64) -> f64 = match self {
            Toy::Add => |a, b| a + b,
            Toy::Mul => |a, b| a * b,
            Toy::Note(fields) if fields.is_empty() => return Some(inputs.to_vec()),
            _ => return None,
        };
        let [a, b] = inputs else { return None };
        let values = a.as_slice()?.iter().zip(b.as_slice()?).map(|(&a, &b)| f(a, b)).collect();
        Some(vec![Array::new(a.shape(), values).ok()?])
    }

    fn prune(&self, used: &[bool]) -> Option<(Toy, Vec<usize>, Vec<usize>)> {
        let Toy::Call(body) = self else { return None };
        let kept_outputs: Vec<usize> = (0..used.len()).filter(|&i| used[i]).collect();
        let outputs = kept_outputs.iter().map(|&i| body.outputs[i]).collect();
        let mut body = dce(&Program { outputs, ..(**body).clone() });
        let mut read = vec![false; body.types.len()];
        for v in body.equations.iter().flat_map(|e| &e.inputs).chain(&body.outputs) {
            read[v.index()] = true;
        }
        let kept_inputs: Vec<usize> =
            (0..body.inputs.len()).filter(|&i| read[body.inputs[i].index()]).collect();
        body.inputs = kept_inputs.iter().map(|&i| body.inputs[i]).collect();
        Some((Toy::Call(Arc::new(super::builder::renumber(body))), kept_inputs, kept_outputs))
    }

    fn map_bodies(&self, f: &mut dyn FnMut(&Program<Toy>) -> Program<Toy>) -> Toy {
        VISITS.set(VISITS.get() + 1);
        match self {
            Toy::Call(body) => Toy::Call(Arc::new(f(body))),
            other => other.clone(),
        }
    }
}

/// A vector.
pub(super) fn f64s(values: &[f64]) -> Array {
    Array::vector(values.to_vec())
}

/// The type of vectors of three.
pub(super) fn vec3() -> Type {
    Type::array(DType::F64, [3])
}

/// A program with a body, a constant, and a value used twice.
pub(super) fn nested() -> Program<Toy> {
    let mut b = Builder::new();
    let (x, y) = (b.input(vec3()), b.input(vec3()));
    let product = b.emit1(Toy::Mul, &[x, y]);
    let body = b.finish(vec![product, product]);
    let mut b = Builder::new();
    let (x, y) = (b.input(vec3()), b.input(vec3()));
    let results = b.emit(Toy::Call(Arc::new(body)), &[x, y]);
    let c = b.emit1(Toy::Constant(f64s(&[1.0, -0.0, 2.5])), &[]);
    let sum = b.emit1(Toy::Add, &[results[1], c]);
    b.finish(vec![results[0], sum])
}

/// Parses a program that must be right.
pub(super) fn read(text: &str) -> Program<Toy> {
    super::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}
