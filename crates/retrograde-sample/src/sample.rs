//! One random program with its inputs, and what is computed of it.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::exec::{Executor, Interpreter, RunError};
use retrograde_core::ir::Op;
use retrograde_core::prim::{Prim, Program, Value, bodies};

use crate::derivative::{floats, gradient, hessian_product};
use crate::drawing::Drawing;
use crate::{Draws, choice};

/// What only `tape::lower` writes: never drawn.
pub const LOWERED: &[&str] = &[
    "retain",
    "restore",
    "push_bits",
    "pop_bits",
    "spill",
    "expand",
    "agree",
    "record",
    "replay",
    "pack_bits",
    "unpack_bits",
    "quantise",
    "dequantise",
];

/// Derivatives above this size say more about rounding than about rules: the program is drawn again.
const LARGEST: f64 = 1e6;

/// A random program and where to compute it.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The program.
    pub program: Program,
    /// Its inputs.
    pub inputs: Vec<Array>,
    /// A weight for each floating-point result, of its type: they make one number of the results.
    pub weights: Vec<Array>,
    /// A direction for each floating-point input, of its type.
    pub direction: Vec<Array>,
}

/// What a program gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Answers {
    /// Its results.
    pub values: Vec<Array>,
    /// The gradient of their weighted sum, for each floating-point input.
    pub gradient: Vec<Array>,
    /// The second derivative of that sum times the direction, for each floating-point input.
    pub product: Vec<Array>,
}

/// Runs a program on arrays.
fn run(program: &Program, inputs: &[&[Array]]) -> Result<Vec<Array>, RunError> {
    let values = inputs.concat().into_iter().map(Value::Array).collect();
    let (outputs, _) = Interpreter::default().run(program, values)?;
    Ok(outputs.into_iter().filter_map(|value| value.into_array().ok()).collect())
}

impl Sample {
    /// Values, gradient and Hessian–vector product, by the reference interpreter.
    ///
    /// # Errors
    /// Those of the program.
    pub fn answers(&self) -> Result<Answers, RunError> {
        let Sample { program, inputs, weights, direction } = self;
        Ok(Answers {
            values: run(program, &[inputs])?,
            gradient: run(&gradient(program), &[inputs, weights])?,
            product: run(&hessian_product(program), &[inputs, weights, direction])?,
        })
    }
}

impl Answers {
    fn are_tame(&self) -> bool {
        let tame =
            |x: &Array| x.shape().is_empty() || x.size() == 0 || choice::within(x, (-LARGEST, LARGEST));
        self.values
            .iter()
            .chain(&self.gradient)
            .chain(&self.product)
            .all(|x| !x.dtype().is_float() || tame(x))
    }
}

/// Those beside [`LOWERED`] that no other system has: `tools/jax_compare.py` says why of each.
pub const WITHOUT_EQUAL: &[&str] =
    &["random_bits", "lattice_point", "lattice_value", "lattice_add", "contract"];

/// The program of a seed, of 3 to 12 equations in no body, without the primitives named in `without`.
///
/// Each seed features one primitive, so `n` seeds have each of `m` primitives at least `n / m` times, rounded down.
///
/// # Panics
/// When a primitive cannot be drawn: its rows ask for what [`choice`] cannot give.
pub fn draw(seed: u64, without: &[&str]) -> Sample {
    let rows = Prim::rows();
    let usable = |name: &str| !LOWERED.contains(&name) && !without.contains(&name);
    let rows: Vec<_> = rows.into_iter().filter(|(name, rows)| usable(name) && !rows.is_empty()).collect();
    let (featured, _) = rows[(seed % rows.len() as u64) as usize];
    for attempt in 0..200 {
        let mut draws = Draws::new(Key::from_seed(seed).fold_in(attempt));
        let mut drawing = Drawing::new(&mut draws, &rows);
        drawing.fill(featured);
        let Some((program, inputs)) = drawing.finish() else { continue };
        if !program.equations.iter().any(|e| e.op.name() == featured) {
            continue;
        }
        let of = |types: &[_], draws: &mut Draws| -> Vec<Array> {
            let types = bodies::marked(types, &floats(types));
            types.iter().map(|ty| draws.array(ty, (-1.0, 1.0))).collect()
        };
        let weights = of(&program.output_types(), &mut draws);
        let direction = of(&program.input_types(), &mut draws);
        let sample = Sample { program, inputs, weights, direction };
        if sample.answers().is_ok_and(|answers| answers.are_tame()) {
            return sample;
        }
    }
    panic!(
        "no program with `{featured}` for seed {seed}; its rows ask for operands that `choice` cannot give"
    )
}
