//! Where a value on the tape comes from: the operation that made it, inside the body of a loop if need be, and the loop.

use super::minimise::producers;
use crate::ir::{Equation, Kind, Location, Op, Type, ValueId};
use crate::prim::replay::Plan;
use crate::prim::{Prim, Program};

/// The loop that left a value on the tape.
#[derive(Clone, PartialEq, Debug)]
pub struct LoopSize {
    /// Tells the loops of one program apart.
    pub id: usize,
    /// Where the user wrote it.
    pub location: Option<Location>,
    /// Its steps, where they are known before running.
    pub n_steps: Option<usize>,
    /// Numbers in its state.
    pub n_values: usize,
    /// Bytes of its state.
    pub state_bytes: usize,
    /// How its states come back; `None`: they are stored.
    pub plan: Option<Plan>,
}

impl LoopSize {
    pub(super) fn of(id: usize, equation: &Equation<Prim>) -> Option<LoopSize> {
        let (carries, n_steps, plan) = match &equation.op {
            Prim::Scan(s) => (carries(&s.body, s.n_consts, s.n_carry), s.length, None),
            Prim::While(w) => (carries(&w.body, w.n_body_consts, w.n_carry()), None, None),
            Prim::Record(r) => (carries(&r.body, r.n_consts, r.n_carry), r.length, Some(r.plan)),
            _ => return None,
        };
        let arrays = || carries.iter().filter(|ty| ty.kind == Kind::Array);
        Some(LoopSize {
            id,
            location: equation.location,
            n_steps,
            n_values: arrays().map(|ty| ty.shape.size()).sum(),
            state_bytes: arrays().map(Type::size_bytes).sum(),
            plan,
        })
    }

    /// Bytes of states that the sweep over the loop holds at once beside the tape, where its length is known.
    pub(super) fn replay_bytes(&self) -> Option<usize> {
        let states = match (self.plan, self.n_steps) {
            (None, _) => 0,
            (Some(Plan::Every(k)), Some(n)) => k.min(n).saturating_sub(1),
            // The slots are the rows of the stacks on the tape, and those that it has not; one state is at work.
            (Some(plan @ Plan::Slots(slots)), Some(n)) => 1 + slots.min(n).saturating_sub(plan.n_states(n)),
            (Some(Plan::Every(_) | Plan::Slots(_)), None) => return None,
            (Some(_), _) => 1,
        };
        Some(states.saturating_mul(self.state_bytes))
    }
}

fn carries(body: &Program, n_consts: usize, n_carry: usize) -> Vec<Type> {
    let mut types = body.input_types();
    types.drain(..n_consts);
    types.truncate(n_carry);
    types
}

/// The name and the place of the operation that made `v`. What a loop leaves is made by its body, and truth values packed into
/// bits by what made the truth values.
pub(super) fn operation(program: &Program, v: ValueId) -> Option<(&'static str, Option<Location>)> {
    let equation = producers(program)[v.index()].map(|e| &program.equations[e])?;
    let idx = equation.outputs.iter().position(|o| *o == v)?;
    let made = match &equation.op {
        Prim::Scan(s) => in_body(&s.body, s.n_consts, s.n_carry, idx),
        Prim::While(w) => in_body(&w.body, w.n_body_consts, w.n_carry(), idx),
        Prim::Record(r) => {
            // Behind the carries, a body that is recorded for reversal has the bits.
            let n_bits = usize::from(r.plan.passes_bits());
            let n_ys = r.body.outputs.len() - r.n_carry - n_bits;
            let at = match idx.checked_sub(r.n_carry) {
                None => Some(idx),
                Some(y) if y < n_ys => Some(idx + n_bits),
                Some(tape) => Some(tape - n_ys + n_bits * r.n_carry).filter(|at| *at < r.n_carry + n_bits),
            };
            at.and_then(|at| in_body(&r.body, r.n_consts, r.n_carry, at))
        }
        Prim::PackBits(_) | Prim::Quantise(_) => operation(program, equation.inputs[0]),
        _ => None,
    };
    let (op, place) = made.unwrap_or((equation.op.name(), None));
    // All updates of a loop put their bits on one stack.
    let place = place.filter(|_| program.ty(v).kind != Kind::Bits);
    Some((op, place.or(equation.location)))
}

/// What made result `at` of a loop's body. The state before a step is made by the step before that.
fn in_body(
    body: &Program,
    n_consts: usize,
    n_carry: usize,
    mut at: usize,
) -> Option<(&'static str, Option<Location>)> {
    // At most once around the carries, which may only change places.
    for _ in 0..=n_carry {
        let v = *body.outputs.get(at)?;
        match body.inputs.iter().position(|input| *input == v) {
            None => return operation(body, v),
            Some(input) => at = input.checked_sub(n_consts).filter(|carry| *carry < n_carry)?,
        }
    }
    None
}
