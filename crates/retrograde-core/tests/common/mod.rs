//! What the tests over the rows of all primitives share.

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, DType, ops};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Type, print};
use retrograde_core::prim::{Prim, Program, Row, Transforms, Value, bodies};
use retrograde_core::transform::{Standard, linearize};

/// Draws operands, one key each.
pub(crate) struct Draw {
    key: Key,
    count: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw { key: Key::from_seed(seed), count: 0 }
    }
    pub(crate) fn array(&mut self, ty: &Type, (low, high): (f64, f64)) -> Array {
        self.count += 1;
        let unit = rng::uniform(self.key.fold_in(self.count), ty.shape.clone()).to_vec::<f64>().unwrap();
        let entries = unit.iter().map(|u| low + (high - low) * u);
        let reals = |entries: Vec<f64>| Array::new(ty.shape.clone(), entries).unwrap();
        match ty.dtype {
            DType::Bool => {
                Array::new(ty.shape.clone(), unit.iter().map(|u| *u < 0.5).collect::<Vec<bool>>()).unwrap()
            }
            dtype if dtype.is_float() => ops::convert(&reals(entries.collect()), dtype),
            dtype => ops::convert(&reals(entries.map(f64::floor).collect()), dtype),
        }
    }
    pub(crate) fn arrays(&mut self, types: &[Type], range: (f64, f64)) -> Vec<Array> {
        types.iter().map(|ty| self.array(ty, range)).collect()
    }
    /// Operands of a row, with its diagonals.
    pub(crate) fn operands(&mut self, types: &[Type], row: &Row) -> Vec<Array> {
        let mut all = self.arrays(types, row.range);
        if row.diagonal != 0.0 {
            all.iter_mut().for_each(|x| add_to_diagonals(x, row.diagonal));
        }
        all
    }
}

/// Adds `step · (i + 1)` to entry (i, i) of each matrix of the last two axes.
pub(crate) fn add_to_diagonals(x: &mut Array, step: f64) {
    let [.., m, n] = x.shape()[..] else { return };
    let entries = x.make_mut::<f64>().expect("rows with diagonals are of f64");
    for (at, entry) in entries.iter_mut().enumerate() {
        let (i, j) = (at / n % m, at % n);
        *entry += if i == j { step * (i + 1) as f64 } else { 0.0 };
    }
}

pub(crate) fn run(program: &Program, inputs: &[Array]) -> Vec<Array> {
    let values = inputs.iter().cloned().map(Value::Array).collect();
    let (out, _) =
        Interpreter::default().run(program, values).unwrap_or_else(|e| panic!("{e}\n{}", print(program)));
    out.into_iter().map(|v| v.into_array().unwrap()).collect()
}

pub(crate) fn floats(types: &[Type]) -> Vec<bool> {
    types.iter().map(Type::is_float).collect()
}

pub(crate) fn expect_bits(what: &str, found: &[Array], expected: &[Array], context: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: number of results\n{context}");
    for (k, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(f.bits_eq(e), "{what}: result {k} is {f:?}, expected {e:?}\n{context}");
    }
}

/// Whether only lowering writes it: it has no derivatives and no batches.
pub(crate) fn is_lowered(op: &Prim) -> bool {
    matches!(
        op,
        Prim::Record(_)
            | Prim::Replay(_)
            | Prim::Retain(_)
            | Prim::Quantise(_)
            | Prim::Dequantise(_)
            | Prim::Restore(_)
            | Prim::PushBits(_)
            | Prim::PopBits(_)
            | Prim::Spill(_)
            | Prim::Expand(_)
            | Prim::Agree(_)
            | Prim::PackBits(_)
            | Prim::UnpackBits(_)
    )
}

/// The program of one equation.
pub(crate) fn equation(op: &Prim, types: &[Type]) -> Program {
    bodies::build(types, |b, p| b.emit(op.clone(), p))
}

/// (x, cotangents of the floating-point results) -> cotangents of the active x.
pub(crate) fn cotangent_program(program: &Program, active: &[bool]) -> Program {
    let out_types = program.output_types();
    let lin = linearize(program, active, &floats(&out_types));
    let transposed = Standard.transpose(&lin.linear, lin.n_residuals);
    let seeds = bodies::marked(&out_types, &lin.active);
    let n_in = program.inputs.len();
    bodies::build(&[program.input_types(), seeds].concat(), |b, p| {
        let forward = b.inline(&lin.forward, &p[..n_in]);
        b.inline(&transposed, &[&forward[out_types.len()..], &p[n_in..]].concat())
    })
}
