//! Whether derivatives of the user's own are what they are declared to be, by the adjoint identity.
//!
//! ```text
//! ⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩
//! ```
//!
//! The left side is forward mode of the program without any rule: each custom derivative replaced by what it computes, each
//! stop-gradient by its operand. The right side is reverse mode of the program as it is. They agree where every rule is exact, and a rule
//! that is declared inexact has to make them differ: neither kind passes for the other.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};
use retrograde_core::exec::{Executor, Interpreter, RunError};
use retrograde_core::ir::{Op, Type, ValueId};
use retrograde_core::prim::{Prim, Program, Value, bodies};
use retrograde_core::trace::Error;
use retrograde_core::trace::function::{Arguments, Function, Traceable};
use retrograde_core::transform::{LinearProgram, NotLinear, jvp, linearize, transpose};
use retrograde_engine::jit;

/// Pairs of random directions that are tried.
const N_PROBES: usize = 8;

/// What was found, where the rules are as they are declared.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckedRules {
    /// The deviations that rules declare, in the order of the program; none where all are exact.
    pub declared: Vec<String>,
    /// The largest |⟨ȳ, Jẋ⟩ − ⟨Jᵀȳ, ẋ⟩| in units of ‖ȳ‖‖Jẋ‖ + ‖Jᵀȳ‖‖ẋ‖.
    pub gap: f64,
}

/// Why rules are not as they are declared.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum RuleError {
    /// The identity fails, and nothing says that it should.
    #[error(
        "the derivative is declared exact, but forward mode without rules and reverse mode with them differ by {gap:.1e} of their size, \
         expected at most {tolerance:.1e}; correct the rule, or declare how it deviates"
    )]
    Deviates {
        /// How far off.
        gap: f64,
        /// What rounding explains.
        tolerance: f64,
    },
    /// The identity holds, although a rule says that it does not.
    #[error(
        "a deviation is declared ({}), but forward mode without rules and reverse mode with them agree to {gap:.1e}; \
         the rule is not in use, or inputs and cotangents do not reach where it deviates",
        declared.join("; ")
    )]
    DoesNotDeviate {
        /// What is declared.
        declared: Vec<String>,
        /// How far off.
        gap: f64,
    },
    /// The half of a rule that runs when a derivative is taken computes something else.
    #[error(
        "result {result} has other bits when a derivative is taken; the forward half of a rule computes what the function does"
    )]
    AnotherValue {
        /// Which result, counted from 0.
        result: usize,
    },
    /// The function could not be traced.
    #[error(transparent)]
    Trace(#[from] Error),
    /// A program could not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A derivative that is not linear.
    #[error(transparent)]
    Linear(#[from] NotLinear),
}

/// Compares the derivative of `f` at `inputs` with that of what it computes, along random directions and cotangents drawn by `key`.
///
/// # Errors
/// [`RuleError`], where the declarations do not hold.
/// # Cost
/// Eight sweeps forward and eight back, on the reference interpreter.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, custom::{Law, custom_vjp}};
/// use retrograde_tricks::adjoint::check_rule::{RuleError, check_rule};
/// let (x, key) = (array([0.3, 2.0]), Key::from_seed(1));
/// // exp, which keeps its result.
/// let rule = |law: Law, factor: f64| {
///     move |x: Var| custom_vjp(&law, x, Var::exp, |x| (x.exp(), x.exp()), |y, y_bar: Var| factor * (y * y_bar))
/// };
/// assert!(check_rule(rule(Law::Exact, 1.0), &x, key)?.gap < 1e-15);
/// // A wrong factor, undeclared and declared; and a declaration without a deviation.
/// assert!(matches!(check_rule(rule(Law::Exact, 2.0), &x, key), Err(RuleError::Deviates { .. })));
/// let doubled = Law::Inexact("doubled".into());
/// assert_eq!(check_rule(rule(doubled.clone(), 2.0), &x, key)?.declared, ["doubled"]);
/// assert!(matches!(check_rule(rule(doubled, 1.0), &x, key), Err(RuleError::DoesNotDeviate { .. })));
/// # Ok::<(), RuleError>(())
/// ```
#[track_caller]
pub fn check_rule<F: Function<Args>, Args: Arguments>(
    f: F,
    inputs: Args::Refs<'_>,
    key: Key,
) -> Result<CheckedRules, RuleError>
where
    F::Output: Traceable,
{
    let program = jit(f).program(inputs)?;
    let arrays = Args::leaves(inputs).into_iter().flatten().map(|(_, array)| array);
    let (declared, gap) = adjoint_gap(&program, arrays.collect(), key)?;
    let tolerance = tolerance(&program);
    match (declared.is_empty(), gap <= tolerance) {
        (true, false) => Err(RuleError::Deviates { gap, tolerance }),
        (false, true) => Err(RuleError::DoesNotDeviate { declared, gap }),
        _ => Ok(CheckedRules { declared, gap }),
    }
}

/// Half of the digits of the least precise number on the way: rounding stays below, and what is off by less is not found.
fn tolerance(program: &Program) -> f64 {
    let narrow = |dtype: DType| program.types.iter().any(|ty| ty.is_float() && ty.dtype == dtype);
    match () {
        // Units in the last place of 1, for 8 and 24 bits, and 53.
        () if narrow(DType::BF16) => 2f64.powi(-7).sqrt(),
        () if narrow(DType::F32) => f64::from(f32::EPSILON).sqrt(),
        () => f64::EPSILON.sqrt(),
    }
}

/// What is declared, and the largest gap over all probes. NaN counts as infinite.
fn adjoint_gap(program: &Program, inputs: Vec<Array>, key: Key) -> Result<(Vec<String>, f64), RuleError> {
    let (mut declared, mut plain) = (vec![], program.clone());
    plain = undisturbed(&plain, &mut declared);
    let (active, force) = (marks(&program.input_types()), marks(&program.output_types()));
    let forward = jvp(&plain, &active, &force).program;
    let halves = linearize(program, &active, &force);
    let n_out = program.outputs.len();
    let backward = transpose(&LinearProgram::new(halves.linear, halves.n_residuals)?);

    let values: Vec<Value> = inputs.into_iter().map(Value::Array).collect();
    let run =
        |program: &Program, inputs: Vec<Value>| Interpreter::default().run(program, inputs).map(|r| r.0);
    let results = run(program, values.clone())?;
    let mut kept = run(&halves.forward, values.clone())?;
    let residuals = kept.split_off(n_out);
    if let Some(result) = (0..n_out).find(|&i| !results[i].array().bits_eq(kept[i].array())) {
        return Err(RuleError::AnotherValue { result });
    }
    let (x_types, y_types) = (floats(&program.input_types()), floats(&program.output_types()));
    let mut gap: f64 = 0.0;
    for key in key.split(N_PROBES) {
        let [for_x, for_y] = [0, 1].map(|i| key.split(2)[i]);
        let (x_dot, y_bar) = (draw(for_x, &x_types), draw(for_y, &y_types));
        let y_dot = run(&forward, [&values[..], &x_dot].concat())?.split_off(n_out);
        let x_bar = run(&backward, [&residuals[..], &y_bar].concat())?;
        let (left, right) = (inner(&y_bar, &y_dot), inner(&x_bar, &x_dot));
        let norm = |a: &[Value]| inner(a, a).sqrt();
        let size = norm(&y_bar) * norm(&y_dot) + norm(&x_bar) * norm(&x_dot);
        let off = if left == right { 0.0 } else { (left - right).abs() / size };
        gap = if off.is_nan() { f64::INFINITY } else { gap.max(off) };
    }
    Ok((declared, gap))
}

/// The program without rules, and what they declare: each custom derivative is what it computes, each stop-gradient its operand.
fn undisturbed(program: &Program, declared: &mut Vec<String>) -> Program {
    bodies::build(&program.input_types(), |b, inputs| {
        let mut value = vec![ValueId(0); program.types.len()];
        program.inputs.iter().zip(inputs).for_each(|(v, here)| value[v.index()] = *here);
        for equation in &program.equations {
            let operands: Vec<ValueId> = equation.inputs.iter().map(|v| value[v.index()]).collect();
            let mut law = |text: &str| {
                if text != "exact" {
                    declared.push(text.strip_prefix("inexact: ").unwrap_or(text).to_string());
                }
            };
            let results = match &equation.op {
                Prim::CustomVjp(custom) => {
                    law(&custom.law);
                    b.inline(&undisturbed(&custom.primal, declared), &operands)
                }
                Prim::CustomJvp(custom) => {
                    law(&custom.law);
                    b.inline(&undisturbed(&custom.primal, declared), &operands)
                }
                Prim::StopGradient(_) => {
                    law("stop_gradient: held fixed");
                    operands
                }
                op => b.emit(op.map_bodies(&mut |body| undisturbed(body, declared)), &operands),
            };
            equation.outputs.iter().zip(results).for_each(|(v, here)| value[v.index()] = here);
        }
        program.outputs.iter().map(|v| value[v.index()]).collect()
    })
}

fn marks(types: &[Type]) -> Vec<bool> {
    types.iter().map(Type::is_float).collect()
}

fn floats(types: &[Type]) -> Vec<Type> {
    types.iter().filter(|ty| ty.is_float()).cloned().collect()
}

/// Normal numbers of these types.
fn draw(key: Key, types: &[Type]) -> Vec<Value> {
    let one = |(key, ty): (Key, &Type)| Value::Array(ops::convert(&normal(key, ty.shape.clone()), ty.dtype));
    key.split(types.len()).into_iter().zip(types).map(one).collect()
}

fn inner(a: &[Value], b: &[Value]) -> f64 {
    let numbers = |v: &Value| ops::convert(v.array(), DType::F64).to_vec::<f64>().unwrap_or_default();
    let one = |(a, b): (&Value, &Value)| numbers(a).iter().zip(numbers(b)).map(|(a, b)| a * b).sum::<f64>();
    a.iter().zip(b).map(one).sum()
}
