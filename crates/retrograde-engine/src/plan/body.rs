//! The body of a running loop: a plan with its workspace, in which carried values change places rather than being copied.

use std::any::Any;
use std::sync::Arc;

use retrograde_array::Array;
use retrograde_core::prim::{self, EvalError, Evaluate, Feeds, Value};

use super::frame::Frame;
use super::{Holds, Plan, Slot};

/// Parameters of at most this many entries are copied into memory of the workspace, larger ones shared with the giver: a
/// copy leaves the giver free to write its memory again.
const COPIED: usize = 4096;

/// See the module.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) frame: Frame,
    /// Which parameters are fed.
    fed: Vec<bool>,
    moves: Vec<Move>,
    /// Copies on their way.
    spares: Vec<Value>,
}

/// How results become parameters: one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Move {
    /// Copies a slot to a spare place, since its value is needed where it is.
    Copy(Slot, usize),
    /// Exchanges two slots.
    Swap(Slot, Slot),
    /// Exchanges a slot with a spare place.
    Fill(Slot, usize),
}

impl Prepared {
    pub(super) fn new(plan: Arc<Plan>, feeds: &Feeds) -> Prepared {
        let mut fed = vec![false; plan.parameters.len()];
        feeds.iter().for_each(|&(_, parameter)| fed[parameter] = true);
        let pairs: Vec<(Slot, Slot)> = feeds
            .iter()
            .map(|&(result, parameter)| (plan.results[result], plan.parameters[parameter]))
            .collect();
        let moves = moves(&plan, &pairs);
        let n_spares = moves.iter().filter(|m| matches!(m, Move::Copy(..))).count();
        let frame = plan.frame();
        Prepared { plan, frame, fed, moves, spares: vec![Value::default(); n_spares] }
    }
}

/// The moves for pairs (from, to), all at once. Where a value is needed twice or is no result of a step, it is copied;
/// the others change places along chains that start where nothing is to be kept.
fn moves(plan: &Plan, pairs: &[(Slot, Slot)]) -> Vec<Move> {
    let is_target = |slot: Slot| pairs.iter().any(|&(_, to)| to == slot);
    let (mut copies, mut fills, mut chained) = (vec![], vec![], vec![]);
    for (i, &(from, to)) in pairs.iter().enumerate() {
        let stays = match plan.slots[from] {
            Holds::Constant => true,
            Holds::Parameter => !is_target(from),
            Holds::Buffer | Holds::Stored => false,
        };
        if from == to {
            continue;
        } else if stays || pairs[..i].iter().any(|&(earlier, _)| earlier == from) {
            copies.push(Move::Copy(from, copies.len()));
            fills.push(Move::Fill(to, fills.len()));
        } else {
            chained.push((from, to));
        }
    }
    let mut swaps = vec![];
    while !chained.is_empty() {
        // One that no other takes its value from, or any of a ring.
        let head =
            chained.iter().position(|&(_, to)| chained.iter().all(|&(from, _)| from != to)).unwrap_or(0);
        let (mut from, to) = chained.swap_remove(head);
        let start = to;
        let mut at = to;
        loop {
            swaps.push(Move::Swap(at, from));
            at = from;
            match chained.iter().position(|&(_, to)| to == at) {
                Some(next) => from = chained.swap_remove(next).0,
                None => break,
            }
            if from == start {
                break;
            }
        }
    }
    [copies, swaps, fills].concat()
}

impl prim::Body for Prepared {
    fn set(&mut self, parameter: usize, value: Value) {
        let slot = &mut self.frame.slots[self.plan.parameters[parameter]];
        match (&mut *slot, &value) {
            (Value::Array(own), Value::Array(new)) if self.fed[parameter] || new.size() <= COPIED => {
                own.assign(new)
            }
            (_, Value::Array(new)) if self.fed[parameter] || new.size() <= COPIED => {
                let mut own = new.clone();
                own.assign(new);
                *slot = Value::Array(own);
            }
            _ => *slot = value,
        }
    }
    fn set_row(&mut self, parameter: usize, stack: &Array, row: usize) {
        let slot = &mut self.frame.slots[self.plan.parameters[parameter]];
        let size = stack.shape()[1..].iter().product::<usize>();
        match slot {
            Value::Array(own) if size <= COPIED => own.assign_row(stack, row),
            _ => *slot = Value::Array(stack.row(row)),
        }
    }
    fn parameter(&self, parameter: usize) -> &Value {
        &self.frame.slots[self.plan.parameters[parameter]]
    }
    fn take(&mut self, parameter: usize) -> Value {
        std::mem::take(&mut self.frame.slots[self.plan.parameters[parameter]])
    }
    fn run(&mut self, cx: &mut dyn Evaluate) -> Result<(), EvalError> {
        cx.enter(self as &mut dyn Any)
    }
    fn result(&self, result: usize) -> &Value {
        &self.frame.slots[self.plan.results[result]]
    }
    fn advance(&mut self) {
        let slots = &mut self.frame.slots;
        for &m in &self.moves {
            match m {
                Move::Copy(from, spare) => match (&slots[from], &mut self.spares[spare]) {
                    (Value::Array(from), Value::Array(to)) => to.assign(from),
                    (Value::Array(from), to) => {
                        let mut own = from.clone();
                        own.assign(from);
                        *to = Value::Array(own);
                    }
                    (bits, to) => *to = bits.clone(),
                },
                Move::Swap(a, b) => slots.swap(a, b),
                Move::Fill(to, spare) => std::mem::swap(&mut slots[to], &mut self.spares[spare]),
            }
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for (&slot, &fed) in self.plan.parameters.iter().zip(&self.fed) {
            // What may be somebody else's, or was.
            if !fed
                && matches!(self.frame.slots.get(slot), Some(Value::Array(array)) if array.size() > COPIED)
            {
                self.frame.slots[slot] = Value::default();
            }
        }
        self.plan.keep(std::mem::take(&mut self.frame));
    }
}
