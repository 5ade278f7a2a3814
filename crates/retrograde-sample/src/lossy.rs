//! Whether the derivative of a lossy tape keeps its law: a network with layer norm and an LSTM, and the test of its mean.
//!
//! The gradient of many draws is projected to four numbers, each its inner product with a fixed random direction. Hotelling's
//! T² compares their mean with that of the exact gradient at a level of 1 %. The same covariance says what it would take to
//! find a bias of 5 % (the mean at 1.05 times the exact one) with a power of 0.9: a noncentrality, which must be exceeded,
//! so that a mean that is accepted says something. Four variances are compared with their bounds
//! ([`variance_bound`]).
//!
//! # Source
//! H. Hotelling 1931, The generalization of Student's ratio, Annals of Mathematical Statistics 2.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, Scalar, ops};
use retrograde_core::exec::{Executor, Interpreter, RunError};
use retrograde_core::ir::{Op, Type, ValueId};
use retrograde_core::prim::quantise::Quantise;
use retrograde_core::prim::{self, Builder, Prim, Program, Value};
use retrograde_core::tape::{Lowered, Tape, reseeded, variance_bound};
use retrograde_core::trace::control::{scan_over, taped};
use retrograde_core::trace::door::value_and_grad;
use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Error, Var};

/// How many numbers the gradient is projected to.
pub const PROJECTIONS: usize = 4;

/// A number of draws; the T² of four projections that is exceeded by chance once in a hundred; the noncentrality at which
/// T² exceeds that with a probability of 0.9. Computed by `tools/hotelling.py`.
pub const LEVELS: [(usize, f64, f64); 3] = [
    (400, 13.569_360_140_433, 21.087_890_073_610),
    (2000, 13.334_282_359_801, 20.806_050_556_445),
    (4000, 13.305_434_688_213, 20.771_434_921_408),
];

/// Sizes of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Examples.
    pub batch: usize,
    /// Numbers in an element of a sequence, in the layer norm and in the state of the LSTM.
    pub width: usize,
    /// Elements of a sequence.
    pub steps: usize,
}

/// A compiled gradient and where it is taken.
#[derive(Debug)]
pub struct Network {
    /// The parameters.
    pub inputs: Vec<Array>,
    /// What runs.
    pub lowered: Lowered,
}

/// Dense, layer norm, LSTM, a gate that multiplies twice, dense, squared error; f32 throughout. The gates may have a policy of
/// their own.
///
/// # Errors
/// None that is not a bug.
pub fn network(size: Size, policy: Tape, of_gates: Option<Tape>) -> Result<Network, Error> {
    let Size { batch, width, steps } = size;
    let keys = Key::from_seed(2016).split(10);
    let draw = |i: usize, shape: &[usize], scale: f64| {
        let ty = Type::array(DType::F64, shape);
        let values = normal(keys[i], shape.to_vec());
        let scale = Array::full(DType::F64, ty.shape, Scalar::F64(scale));
        let scaled = ops::binary(ops::Binary::Mul, &values, &scale)
            .expect("equal shapes; this is a bug in retrograde");
        ops::convert(&scaled, DType::F32)
    };
    let fan_in = 1.0 / (width as f64).sqrt();
    let (xs, target) = (draw(0, &[steps * batch, width], 1.0), draw(1, &[batch, width], 1.0));
    let inputs = vec![
        draw(2, &[width, width], fan_in),
        draw(3, &[width], 1.0),
        draw(4, &[width], 0.1),
        draw(5, &[width, 4 * width], fan_in),
        draw(6, &[width, 4 * width], fan_in),
        draw(7, &[4 * width], 0.1),
        draw(8, &[width, width], fan_in),
        draw(9, &[width, width], fan_in),
    ];
    let loss = move |p: Vec<Var>| {
        let [dense, gain, shift, of_x, of_h, bias, gate, head] = p[..] else { return p[0].sum() };
        let x = layer_norm(constant(&xs).dot(dense), gain, shift).reshape([steps, batch, width]);
        let zeros = constant(&Array::zeros(DType::F32, [batch, width]));
        let step = |(h, c): (Var, Var), x: Var| {
            let gates = x.dot(of_x) + h.dot(of_h) + bias.broadcast([batch, 4 * width], &[1]);
            let part = |i: usize| gates.slice(1, i * width..(i + 1) * width);
            let c = part(0).logistic() * part(1).tanh() + part(2).logistic() * c;
            let h = part(3).logistic() * c.tanh();
            ((h, c), h)
        };
        let ((h, _), _) = scan_over().run((zeros, zeros), x, step);
        let gated = |[h, gate]: [Var; 2]| {
            let gate = h.dot(gate).logistic();
            h * gate * gate
        };
        let h = match of_gates {
            Some(policy) => taped(policy, gated, [h, gate]),
            None => gated([h, gate]),
        };
        let miss = h.dot(head) - constant(&target);
        (miss * miss).mean()
    };
    let lowered = value_and_grad(loss).tape(policy).lowered(&inputs)?;
    Ok(Network { inputs, lowered })
}

fn layer_norm(x: Var, gain: Var, shift: Var) -> Var {
    let shape = x.shape();
    let width = shape[1] as f64;
    let of_rows = |v: Var| v.broadcast(shape.clone(), &[0]);
    let centred = x - of_rows(x.sum_axes(&[1]) / width);
    let variance = (centred * centred).sum_axes(&[1]) / width;
    let scale = (variance + 1e-5).rsqrt();
    centred * of_rows(scale) * gain.broadcast(shape.clone(), &[1]) + shift.broadcast(shape.clone(), &[1])
}

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// How many draws.
    pub draws: usize,
    /// Infinite where all draws agree on a wrong gradient.
    pub t_squared: f64,
    /// Above it the mean is refused.
    pub critical: f64,
    /// Of a bias of 5 %.
    pub noncentrality: f64,
    /// For a power of 0.9.
    pub needed: f64,
    /// The projections of the exact gradient.
    pub exact: Vec<f64>,
    /// The mean projections.
    pub mean: Vec<f64>,
    /// Their variances, of one draw.
    pub variances: Vec<f64>,
    /// The bounds on these, in the mean over some draws.
    pub bounds: Vec<f64>,
}

impl Verdict {
    /// Whether the mean passes.
    pub fn accepts(&self) -> bool {
        self.t_squared <= self.critical
    }
    /// Whether a bias of 5 % would have been found.
    pub fn is_powerful(&self) -> bool {
        self.noncentrality >= self.needed
    }
    /// Whether no variance exceeds its bound.
    pub fn is_within_bounds(&self) -> bool {
        self.variances.iter().zip(&self.bounds).all(|(found, bound)| found <= bound)
    }
}

/// Draws over which the bounds are averaged.
const BOUND_DRAWS: u64 = 10;

/// Judges a lossy gradient against the exact one, by the draws of the seeds `first_seed`, `first_seed` + 1, …. `level` is one
/// of [`LEVELS`].
///
/// ```
/// use retrograde_core::tape::Tape;
/// use retrograde_sample::lossy::{LEVELS, Size, judge, network};
/// let size = Size { batch: 2, width: 8, steps: 3 };
/// let exact = network(size, Tape::Store, None)?;
/// let lossy = network(size, Tape::Quantise { bits: 4, seed: 0 }, None)?;
/// let verdict = judge(&exact, &lossy, LEVELS[0], 0)?;
/// assert!(verdict.accepts() && verdict.is_powerful() && verdict.is_within_bounds(), "{verdict:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Running the programs fails: a broken program.
pub fn judge(
    exact: &Network,
    lossy: &Network,
    level: (usize, f64, f64),
    first_seed: u64,
) -> Result<Verdict, RunError> {
    let (draws, critical, needed) = level;
    let keys = Key::from_seed(1931).split(PROJECTIONS);
    let direction = |key: &Key| -> Vec<Array> {
        let keys = key.split(lossy.inputs.len());
        let leaf = |(x, key): (&Array, Key)| ops::convert(&normal(key, x.shape().clone()), DType::F32);
        lossy.inputs.iter().zip(keys).map(leaf).collect()
    };
    let directions: Vec<Vec<Array>> = keys.iter().map(direction).collect();
    let project = |gradient: &[Value]| -> Vec<f64> {
        let of = |d: &Vec<Array>| gradient.iter().zip(d).map(|(g, w)| inner(g.array(), w)).sum();
        directions.iter().map(of).collect()
    };
    let target = project(&exact.gradient(None)?.0);
    let mut samples: Vec<Vec<f64>> = Vec::with_capacity(draws);
    let bound = variance_bound(&lossy.lowered);
    let mut bounds = vec![0.0; PROJECTIONS];
    for i in 0..draws as u64 {
        let (gradient, tape) = lossy.gradient(Some(first_seed + i))?;
        samples.push(project(&gradient));
        if let Some(program) = bound.as_ref().filter(|_| i < BOUND_DRAWS) {
            for (bound, direction) in bounds.iter_mut().zip(&directions) {
                let inputs = lossy.inputs.iter().cloned().map(Value::Array);
                let given = inputs.chain(tape.iter().cloned()).chain([seed()]);
                let operands = given.chain(direction.iter().cloned().map(Value::Array)).collect();
                let out = Interpreter::default().run(program, operands)?.0;
                *bound += out[0].array().item::<f64>().unwrap_or(f64::NAN) / BOUND_DRAWS as f64;
            }
        }
    }
    let n = draws as f64;
    let mean: Vec<f64> = (0..PROJECTIONS).map(|k| samples.iter().map(|s| s[k]).sum::<f64>() / n).collect();
    let covariance: Vec<Vec<f64>> = (0..PROJECTIONS)
        .map(|i| {
            let of = |j: usize| {
                samples.iter().map(|s| (s[i] - mean[i]) * (s[j] - mean[j])).sum::<f64>() / (n - 1.0)
            };
            (0..PROJECTIONS).map(of).collect()
        })
        .collect();
    let off: Vec<f64> = mean.iter().zip(&target).map(|(m, t)| m - t).collect();
    let bias: Vec<f64> = target.iter().map(|t| 0.05 * t).collect();
    Ok(Verdict {
        draws,
        t_squared: n * squared_distance(&covariance, &off),
        critical,
        noncentrality: n * squared_distance(&covariance, &bias),
        needed,
        exact: target,
        variances: (0..PROJECTIONS).map(|i| covariance[i][i]).collect(),
        mean,
        bounds,
    })
}

fn seed() -> Value {
    Value::Array(Array::full(DType::F32, [], Scalar::F32(1.0)))
}

impl Network {
    /// The gradient, and the tape that it was made of, drawn from a seed.
    fn gradient(&self, draw: Option<u64>) -> Result<(Vec<Value>, Vec<Value>), RunError> {
        let Lowered { forward, backward, n_outputs, .. } = &self.lowered;
        let inputs: Vec<Value> = self.inputs.iter().cloned().map(Value::Array).collect();
        let forward = draw.map_or_else(|| forward.clone(), |seed| reseeded(forward, seed));
        let tape = Interpreter::default().run(&forward, inputs.clone())?.0.split_off(*n_outputs);
        let operands = [&inputs[..], &tape, &[seed()]].concat();
        Ok((Interpreter::default().run(backward, operands)?.0, tape))
    }
    /// The network with what draws in place of the forward part.
    #[must_use]
    pub fn tampered(&self, tamper: impl FnOnce(&Program) -> Program) -> Network {
        let forward = tamper(&self.lowered.forward);
        Network { inputs: self.inputs.clone(), lowered: Lowered { forward, ..self.lowered.clone() } }
    }
}

fn inner(a: &Array, b: &Array) -> f64 {
    let wide = |a: &Array| ops::convert(a, DType::F64).to_vec::<f64>().unwrap_or_default();
    wide(a).iter().zip(wide(b)).map(|(a, b)| a * b).sum()
}

/// xᵀ S⁻¹ x by a Cholesky factor; where S has none, 0 for x = 0, else infinite.
fn squared_distance(s: &[Vec<f64>], x: &[f64]) -> f64 {
    let n = x.len();
    let mut l = vec![vec![0.0; n]; n];
    let mut y = vec![0.0; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = s[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            if i == j && rest <= 0.0 {
                return if x.iter().all(|x| *x == 0.0) { 0.0 } else { f64::INFINITY };
            }
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
        y[i] = (x[i] - (0..i).map(|k| l[i][k] * y[k]).sum::<f64>()) / l[i][i];
    }
    y.iter().map(|y| y * y).sum()
}

/// Sabotage: draws of one value are one draw, also where a product has it twice.
pub fn reusing_draws(forward: &Program) -> Program {
    let mut forward = forward.clone();
    let mut first: Vec<(ValueId, usize)> = vec![];
    for equation in &mut forward.equations {
        if let Prim::Quantise(op) = &mut equation.op {
            let x = equation.inputs[0];
            match first.iter().find(|(of, _)| *of == x) {
                Some((_, draw)) => op.draw = *draw,
                None => first.push((x, op.draw)),
            }
        }
    }
    forward
}

/// Sabotage: every value is moved to the nearest point of its grid before it is drawn, so that nothing is left to chance. For
/// arrays of one block.
pub fn rounding_to_nearest(forward: &Program) -> Program {
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; forward.types.len()];
    for &v in &forward.inputs {
        map[v.index()] = Some(b.input(forward.ty(v).clone()));
    }
    for equation in &forward.equations {
        let mut inputs: Vec<ValueId> = equation
            .inputs
            .iter()
            .map(|v| map[v.index()].expect("defined before use; this is a bug in retrograde"))
            .collect();
        let op = match &equation.op {
            Prim::Quantise(op) => {
                inputs[0] = nearest(&mut b, inputs[0], op);
                equation.op.clone()
            }
            op => op.map_bodies(&mut |body| rounding_to_nearest(body)),
        };
        let outputs = b.emit(op, &inputs);
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    }
    let outputs = forward
        .outputs
        .iter()
        .map(|v| map[v.index()].expect("defined before use; this is a bug in retrograde"));
    let outputs = outputs.collect();
    b.finish(outputs)
}

fn nearest(b: &mut Builder, x: ValueId, op: &Quantise) -> ValueId {
    let ty = b.ty(x).clone();
    let axes: Vec<usize> = (0..ty.shape.rank()).collect();
    let full = |b: &mut Builder, value: f64| {
        let value = Scalar::from_f64(ty.dtype, value).expect("a small constant; this is a bug in retrograde");
        b.emit1(prim::full::Full { ty: ty.clone(), value }.into(), &[])
    };
    let everywhere = |b: &mut Builder, v: ValueId| {
        b.emit1(prim::broadcast::Broadcast { shape: ty.shape.to_vec(), axes: vec![] }.into(), &[v])
    };
    let low = b.emit1(prim::reduce_min::ReduceMin { axes: axes.clone() }.into(), &[x]);
    let high = b.emit1(prim::reduce_max::ReduceMax { axes }.into(), &[x]);
    let (low, high) = (everywhere(b, low), everywhere(b, high));
    let range = b.emit1(prim::sub::Sub.into(), &[high, low]);
    let (levels, tiny) = (full(b, f64::from((1_u32 << op.bits) - 1)), full(b, 1e-30));
    let step = b.emit1(prim::div::Div.into(), &[range, levels]);
    let step = b.emit1(prim::max::Max.into(), &[step, tiny]);
    let above = b.emit1(prim::sub::Sub.into(), &[x, low]);
    let ratio = b.emit1(prim::div::Div.into(), &[above, step]);
    let point = b.emit1(prim::round::Round.into(), &[ratio]);
    b.emit1(prim::fma::Fma.into(), &[point, step, low])
}
