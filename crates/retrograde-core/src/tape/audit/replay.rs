//! Replays: that the states a sweep reads are those of the recorded loop.

use std::collections::HashMap;

use crate::ir::Type;
use crate::prim::Program;
use crate::prim::replay::{Plan, Replay};

use super::schedule::Kept;
use super::term::{Length, Node, Term};
use super::terms::Open;
use super::{AuditError, Auditor, Loop, Running, step_type};

impl Auditor {
    pub(super) fn replay(&mut self, op: &Replay, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (consts, rest) = operands.split_at(op.n_consts);
        let n_tape = match op.plan {
            Plan::ReverseWithin { .. } => 3 * op.n_carry + 1,
            plan if plan.reverses() => 2 * op.n_carry + 1,
            _ => op.n_carry,
        };
        let (tape, rest) = rest.split_at(n_tape);
        let (length, rest) = match op.length {
            Some(n) => (Length::Known(n), rest),
            None => (Length::Counted(rest[0]), &rest[1..]),
        };
        let (xs, rest) = rest.split_at(op.n_xs);
        let (sweep_consts, rest) = rest.split_at(op.n_sweep_consts);
        let (sweep_inits, sweep_xs) = rest.split_at(op.n_sweep_carry);
        let states = match op.plan {
            Plan::Every(_) | Plan::Slots(_) => self.states_from_checkpoints(op, length, consts, tape, xs)?,
            Plan::Reverse | Plan::ReverseStep { .. } => {
                self.states_from_the_end(op, length, consts, tape, xs)?
            }
            Plan::ReverseWithin { slots, .. } => {
                // Both ways have to lead to the same states.
                let (tape, reserve) = tape.split_at(2 * op.n_carry + 1);
                let states = self.states_from_the_end(op, length, consts, tape, xs)?;
                let Some(plain) = &op.plain else { return self.unproved("no plain step for the reserve") };
                let in_slots = Replay { plan: Plan::Slots(slots), step: plain.clone(), ..op.clone() };
                if self.states_from_checkpoints(&in_slots, length, consts, reserve, xs)? != states {
                    return self.wrong("the states in reserve are not those that are reversed");
                }
                states
            }
        };
        // The rest is a scan over the states: `back` has them where its carries stand.
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let carries: Vec<Term> = (0..sweep_inits.len())
            .map(|i| {
                let ty = self.terms.ty(sweep_inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let mut rows = |all: &[Term]| all.iter().map(|&x| self.terms.row(step, x)).collect::<Vec<Term>>();
        let (before, xs, sweep_xs) = (rows(&states), rows(xs), rows(sweep_xs));
        let mut steps =
            self.run(&op.back, &[consts, &before, &xs, sweep_consts, &carries, &sweep_xs].concat())?;
        let ys = steps.split_off(carries.len());
        let inits = sweep_inits.to_vec();
        let open = Open { binder, length: Some(length), reverse: !op.reverse, inits, steps };
        let running = Running { open, carries, length, ys };
        Ok(self.results(&running, op.n_sweep_carry))
    }

    /// The states before each step, where the tape holds some of them and the step computes the others.
    pub(super) fn states_from_checkpoints(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        tape: &[Term],
        xs: &[Term],
    ) -> Result<Vec<Term>, AuditError> {
        let expected = Kept::of(op.plan, op.length.is_some());
        let mut states = vec![];
        let mut inits = vec![];
        for (i, &of_tape) in tape.iter().enumerate() {
            let node = self.terms.node(of_tape);
            let Node::Checkpoints { states: of, rule: found } = &*node else {
                let found = self.terms.describe(of_tape);
                return self.wrong(format!("tape value {i}: found {found}, expected checkpoints of a loop"));
            };
            if *found != expected {
                return self.wrong(format!("tape value {i}: found a checkpoint {found}, read as {expected}"));
            }
            let Some(init) = self.terms.start_of(*of) else {
                return self.unproved(format!("tape value {i}: the checkpoints are not states of a loop"));
            };
            if let (Some(n), Some(&rows)) = (op.length, self.terms.ty(of_tape).shape.first())
                && rows != expected.n_states(n)
            {
                return self
                    .wrong(format!("tape value {i}: found {rows} checkpoints for {n} steps, {expected}"));
            }
            states.push(*of);
            inits.push(init);
        }
        if let Err(reason) = expected.visits_every_step(op.length) {
            return self.wrong(reason);
        }
        let (body, reverse) = (&*op.step, op.reverse);
        let l = Loop {
            body,
            cond: None,
            length: Some(length),
            reverse,
            consts,
            inits: &inits,
            xs,
            has_bits: false,
        };
        let running = self.iterate(&l)?;
        for (i, &expected) in states.iter().enumerate() {
            let found = self.stack(&running, running.carries[i]);
            if found != expected {
                let reason = self.terms.difference(found, expected);
                return self.wrong(format!("carry {i} is not computed again as it was recorded: {reason}"));
            }
        }
        Ok(states)
    }

    /// The states before each step, where the step undoes the recorded one from the last state on.
    pub(super) fn states_from_the_end(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        tape: &[Term],
        xs: &[Term],
    ) -> Result<Vec<Term>, AuditError> {
        let (lasts, rest) = tape.split_at(op.n_carry);
        let (firsts, bits) = rest.split_at(op.n_carry);
        let node = self.terms.node(bits[0]);
        let Node::Bits(number) = *node else {
            let found = self.terms.describe(bits[0]);
            return self.unproved(format!("found {found}, expected the bits that a loop recorded"));
        };
        let recorded = &self.recorded[number];
        if recorded.plan != op.plan {
            let (found, expected) = (recorded.plan, op.plan);
            return self
                .wrong(format!("found bits recorded by the plan {found}, read by the plan {expected}"));
        }
        let (body, loop_consts, loop_xs) =
            (recorded.body.clone(), recorded.consts.clone(), recorded.xs.clone());
        let (inits, of_end, states) =
            (recorded.inits.clone(), recorded.lasts.clone(), recorded.states.clone());
        let (starts, claims) = (recorded.starts.clone(), recorded.claims.clone());
        if recorded.length != length || recorded.reverse != op.reverse || inits.len() != op.n_carry {
            return self
                .wrong("the recorded loop has another number of steps, direction or number of carries");
        }
        for (what, found, expected) in [("last", lasts, &of_end), ("first", firsts, &starts)] {
            if let Some(i) = (0..found.len()).find(|&i| found[i] != expected[i]) {
                let reason = self.terms.difference(found[i], expected[i]);
                return self
                    .wrong(format!("carry {i} of the {what} state is not the recorded one: {reason}"));
            }
        }
        if matches!(op.plan, Plan::ReverseStep { .. }) {
            self.guesses_are_the_recorded_ones(op, length, consts, &inits, xs, &states)?;
        }
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let mut before: Vec<Term> = (0..inits.len())
            .map(|i| {
                let ty = self.terms.ty(inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        if claims.iter().any(Option::is_some) {
            before = self.claimed_state(&body, &loop_consts, &loop_xs, &before, &inits, &claims)?;
        }
        if let Plan::ReverseStep { .. } = op.plan {
            let Some(exact) = &op.exact else { return Ok(states) };
            let rows: Vec<Term> = loop_xs.iter().map(|&x| self.terms.row(step, x)).collect();
            let mut after = self.run(&body, &[&loop_consts[..], &before, &rows].concat())?;
            after.truncate(op.n_carry);
            let rows: Vec<Term> = xs.iter().map(|&x| self.terms.row(step, x)).collect();
            let undone = self.run(exact, &[consts, &after, &rows].concat())?;
            let whole: Vec<usize> =
                (0..before.len()).filter(|&i| !self.terms.ty(before[i]).is_float()).collect();
            if let Some((&found, &i)) = undone.iter().zip(&whole).find(|(t, i)| **t != before[**i]) {
                let found = self.terms.describe(found);
                return self.wrong(format!("the exact inverse does not give carry {i} back: found {found}"));
            }
            return Ok(states);
        }
        let below = self.terms.symbol(binder, before.len() + 1, &Type::bits());
        let rows: Vec<Term> = loop_xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let after = self.run(&body, &[&loop_consts[..], &before, &rows, &[below]].concat())?;
        let (after, rest) = after.split_at(op.n_carry);
        let rows: Vec<Term> = xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let undone = self.run(&op.step, &[consts, after, &rows, &rest[..1]].concat())?;
        let (state, bits) = undone.split_at(op.n_carry);
        if let Some(i) = (0..state.len()).find(|&i| state[i] != before[i]) {
            let found = self.terms.describe(state[i]);
            return self.wrong(format!("the inverse step does not give carry {i} back: found {found}"));
        }
        if bits[0] != below {
            let found = self.terms.describe(bits[0]);
            return self.wrong(format!(
                "the inverse step does not leave the bits as the step found them: found {found}"
            ));
        }
        Ok(states)
    }

    /// The state before a step, with the functions that the claims speak of in place of their carries; see Note [claims].
    pub(super) fn claimed_state(
        &mut self,
        body: &Program,
        consts: &[Term],
        xs: &[Term],
        symbols: &[Term],
        inits: &[Term],
        claims: &[Option<Term>],
    ) -> Result<Vec<Term>, AuditError> {
        let after_step = |auditor: &mut Auditor, state: &dyn Fn(usize) -> Term| {
            let binder = auditor.terms.fresh();
            let step = auditor.terms.symbol(binder, 0, &step_type());
            let below = auditor.terms.symbol(binder, 1, &Type::bits());
            let rows: Vec<Term> = xs.iter().map(|&x| auditor.terms.row(step, x)).collect();
            let state: Vec<Term> = (0..symbols.len()).map(state).collect();
            auditor.run(body, &[consts, &state, &rows, &[below]].concat())
        };
        // Free symbols for the state, so that none of them is taken for what stands in the place of a carry after the step.
        let binder = self.terms.fresh();
        let free: Vec<Term> = (0..symbols.len())
            .map(|i| {
                let ty = self.terms.ty(symbols[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let after = after_step(self, &|i| free[i])?;
        let others = || (0..symbols.len()).filter(|&i| claims[i].is_none());
        let to_symbols: HashMap<Term, Term> = others().map(|i| (after[i], symbols[i])).collect();
        let to_start: HashMap<Term, Term> = others().map(|i| (symbols[i], inits[i])).collect();
        let mut state = symbols.to_vec();
        for (i, claim) in claims.iter().enumerate() {
            let Some(expected) = *claim else { continue };
            let function = self.terms.replaced(after[i], &to_symbols);
            if self.terms.mentions(function, binder) {
                let found = self.terms.describe(after[i]);
                return self
                    .unproved(format!("that carry {i} after a step, {found}, is a function of the others"));
            }
            let at_start = self.terms.replaced(function, &to_start);
            if at_start != expected {
                let reason = self.terms.difference(expected, at_start);
                return self.wrong(format!("carry {i} starts by another function of the others: {reason}"));
            }
            state[i] = function;
        }
        let after = after_step(self, &|i| state[i])?;
        let to_after: HashMap<Term, Term> = others().map(|i| (symbols[i], after[i])).collect();
        for i in (0..symbols.len()).filter(|&i| claims[i].is_some()) {
            let expected = self.terms.replaced(state[i], &to_after);
            if after[i] != expected {
                let reason = self.terms.difference(after[i], expected);
                return self
                    .wrong(format!("carry {i} after a step is another function of the others: {reason}"));
            }
        }
        Ok(state)
    }

    /// Residuals say what guesses miss that a step makes. They are made right again if the guesses are the same, which
    /// follow from that step, its constants, its xs, the states after it and the number of corrections alone.
    pub(super) fn guesses_are_the_recorded_ones(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        inits: &[Term],
        xs: &[Term],
        states: &[Term],
    ) -> Result<(), AuditError> {
        let (body, reverse) = (&*op.step, op.reverse);
        let l = Loop { body, cond: None, length: Some(length), reverse, consts, inits, xs, has_bits: false };
        let running = self.iterate(&l)?;
        for (i, &expected) in states.iter().enumerate() {
            let found = self.stack(&running, running.carries[i]);
            if found != expected {
                let reason = self.terms.difference(found, expected);
                return self
                    .wrong(format!("carry {i} is guessed by another step than was recorded: {reason}"));
            }
        }
        Ok(())
    }
}
