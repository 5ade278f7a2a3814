//! Runs a derived inverse forwards on random and adversarial bits before it may be used.

use super::{Executor, Interpreter};
use crate::ir::{Kind, Location, Type};
use crate::prim::call::Call;
use crate::prim::{Prim, Value};
use crate::tape::Reversal;
use retrograde_array::bits::BitStack;
use retrograde_array::rng::{Key, random_bits, uniform};
use retrograde_array::{Array, DType, ops};

/// An inverse that does not undo its step.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("the inverse {} does not undo its step on {inputs} bits (draw {draw})", self.which())]
pub struct NotAnInverse {
    /// Where the user wrote the loop, or declared the inverse.
    pub location: Option<Location>,
    /// Whether it was declared by the user and not derived.
    pub is_declared: bool,
    /// What was drawn.
    pub inputs: &'static str,
    /// Which draw.
    pub draw: u64,
}

impl NotAnInverse {
    fn which(&self) -> String {
        let place = self.location.map(|l| format!(" at {l}")).unwrap_or_default();
        if self.is_declared { format!("declared{place}") } else { format!("derived for the loop{place}") }
    }
}

const DRAWS: u64 = 4;
/// Of an inverse that no derivation stands behind, so many values of either sort: of 16 hard ones, each is all but sure to come.
const DECLARED_VALUES: u64 = 128;

/// Runs each inverse that the step's calls declare, then the step and its inverse on `DRAWS` random and as many adversarial states, which start as a loop would; a state on
/// which the step itself fails (a result that is not finite, an index outside) says nothing and is passed over.
///
/// # Errors
/// When a state does not come back to the bit, or bits are left on the stack.
///
/// # Cost
/// Eight steps and their inverses, and of small declared ones as many as 256 values take.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::exec::verify;
/// use retrograde_core::tape::Tape;
/// use retrograde_core::trace::{Var, control::scan, door::grad};
/// let swing = |(x, v): (Var, Var)| {
///     let x = x + 0.1 * v;
///     (x, v - 0.1 * x.sin())
/// };
/// let end = |x: Var, v: Var| scan(10).repeat((x, v), swing).0;
/// let lowered = grad(end).tape(Tape::Reverse).lowered((&array(1.0), &array(2.0)))?;
/// let mut reversal = lowered.reversals[0].clone();
/// assert!(verify(&reversal).is_ok());
/// reversal.inverse = reversal.record.clone(); // which does not undo itself
/// assert!(verify(&reversal).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(reversal: &Reversal) -> Result<(), NotAnInverse> {
    for equation in &reversal.record.equations {
        if let Prim::Call(call) = &equation.op {
            verify_declared(call, equation.location)?;
        }
    }
    for draw in 0..2 * DRAWS {
        let adversarial = draw % 2 == 1;
        let types = reversal.record.input_types();
        let mut inputs: Vec<Value> = (0u64..)
            .zip(&types)
            .map(|(i, ty)| value(ty, Key::from_seed(draw).fold_in(i), adversarial))
            .collect();
        let executor = Interpreter::default();
        let carries = reversal.n_consts..reversal.n_consts + reversal.n_carry;
        for derived in &reversal.derived {
            let Ok((value, _)) = executor.run(&derived.from_others, inputs[..carries.end].to_vec()) else {
                continue;
            };
            inputs.splice(carries.start + derived.carry..=carries.start + derived.carry, value);
        }
        let Ok((mut after, _)) = executor.run(&reversal.record, inputs.clone()) else { continue };
        after.truncate(reversal.n_carry + 1);
        let bits = after.pop();
        let before: Vec<Value> = inputs.splice(carries, after).collect();
        inputs.pop();
        inputs.extend(bits);
        let undone = executor.run(&reversal.inverse, inputs).is_ok_and(|(mut found, _)| {
            let left = found.pop();
            let empty = matches!(left, Some(Value::Bits(bits)) if bits.is_empty());
            empty && found.iter().zip(&before).all(|(f, b)| f.array().bits_eq(b.array()))
        });
        if !undone {
            let inputs = if adversarial { "adversarial" } else { "random" };
            return Err(NotAnInverse { location: reversal.location, is_declared: false, inputs, draw });
        }
    }
    Ok(())
}

/// The same for the inverse that a call declares, if it does.
fn verify_declared(call: &Call, location: Option<Location>) -> Result<(), NotAnInverse> {
    let Some(inverse) = &call.inverse else { return Ok(()) };
    let (n, executor) = (inverse.outputs.len(), Interpreter::default());
    let types = call.body.input_types();
    let n_values: usize = types[..n].iter().map(|ty| ty.shape.size()).sum();
    for draw in 0..2 * DRAWS.max(DECLARED_VALUES / n_values.max(1) as u64) {
        let adversarial = draw % 2 == 1;
        let draw_value = |(i, ty)| value(ty, Key::from_seed(draw).fold_in(i), adversarial);
        let mut operands: Vec<Value> = (0u64..).zip(&types).map(draw_value).collect();
        let Ok((mut after, _)) = executor.run(&call.body, operands.clone()) else { continue };
        after.truncate(n);
        // A state that is not finite is outside of what a step is for.
        if !after.iter().all(|v| is_finite(v.array())) {
            continue;
        }
        let before: Vec<Value> = operands.splice(..n, after).collect();
        operands.truncate(inverse.inputs.len());
        let undone = executor
            .run(inverse, operands)
            .is_ok_and(|(found, _)| found.iter().zip(&before).all(|(f, b)| f.array().bits_eq(b.array())));
        if !undone {
            let inputs = if adversarial { "adversarial" } else { "random" };
            return Err(NotAnInverse { location, is_declared: true, inputs, draw });
        }
    }
    Ok(())
}

fn is_finite(a: &Array) -> bool {
    !a.dtype().is_float()
        || ops::is_finite(a).to_vec::<bool>().is_some_and(|all| all.into_iter().all(|yes| yes))
}

/// Values around the places where additions lose bits: zeros of both signs, subnormals, powers of two and their
/// neighbours, huge beside tiny.
const HARD: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.0 + f64::EPSILON,
    1.0 - f64::EPSILON / 2.0,
    0.5,
    -2.0,
    f64::MIN_POSITIVE,
    -5e-324,
    3e-310,
    1e16,
    -1e16,
    1e-17,
    4503599627370497.5,
    -0.1,
];

fn value(ty: &Type, key: Key, adversarial: bool) -> Value {
    if ty.kind == Kind::Bits {
        return Value::Bits(BitStack::default());
    }
    if !ty.is_float() {
        return Value::Array(whole(ty, key, adversarial));
    }
    let n = ty.shape.size();
    let mut entries = uniform(key, [n]).to_vec::<f64>().unwrap_or_default();
    for (x, word) in entries.iter_mut().zip(random_bits(key.fold_in(1), n)) {
        *x = if adversarial {
            HARD[(word % 16) as usize]
        } else {
            (*x * 4.0 - 2.0) * 2f64.powi((word % 9) as i32 - 4)
        };
    }
    let array =
        Array::new(ty.shape.clone(), entries).unwrap_or_else(|_| Array::zeros(DType::F64, ty.shape.clone()));
    Value::Array(ops::convert(&array, ty.dtype))
}

/// Zeros, which index everything that can be indexed; positive numbers of many sizes, which are points and remainders.
fn whole(ty: &Type, key: Key, adversarial: bool) -> Array {
    let zeros = Array::zeros(ty.dtype, ty.shape.clone());
    if !adversarial || ty.dtype != DType::I64 {
        return zeros;
    }
    let words = random_bits(key, ty.shape.size()).into_iter();
    let entries: Vec<i64> = words.map(|word| (word >> (27 + word % 20)) as i64).collect();
    Array::new(ty.shape.clone(), entries).unwrap_or(zeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::{add::Add, bodies::build, mul::Mul};
    use crate::transform::invert;
    use std::sync::Arc;

    fn reversal() -> Reversal {
        let v = Type::array(DType::F64, [3]);
        let body = build(&[v.clone(), v.clone()], |b, p| {
            let square = b.emit1(Mul.into(), &[p[1], p[1]]);
            let x = b.emit1(Add.into(), &[p[0], square]);
            let half = b.emit1(Mul.into(), &[x, x]);
            vec![x, b.emit1(Add.into(), &[p[1], half])]
        });
        let inverse = invert(&body, 0, 2).unwrap();
        Reversal {
            record: Arc::new(inverse.record),
            inverse: Arc::new(inverse.inverse),
            n_consts: 0,
            n_carry: 2,
            derived: inverse.derived,
            location: None,
            falls_back: false,
        }
    }

    #[test]
    fn a_derived_inverse_passes() {
        assert_eq!(verify(&reversal()), Ok(()));
    }

    #[test]
    fn a_wrong_inverse_fails() {
        let mut broken = reversal();
        let mut program = (*broken.inverse).clone();
        program.outputs.swap(0, 1);
        broken.inverse = Arc::new(program);
        assert!(verify(&broken).is_err());
    }
}
