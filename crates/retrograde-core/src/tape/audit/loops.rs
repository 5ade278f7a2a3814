//! Loops: their steps are read once, on symbols; a recorded one is remembered for its replay.

use crate::ir::Type;
use crate::prim::record::Record;
use crate::prim::replay::Plan;
use crate::prim::scan::Scan;
use crate::prim::while_loop::While;

use super::schedule::Kept;
use super::term::{Length, Node, Term};
use super::terms::{Open, Wanted};
use super::{AuditError, Auditor, Loop, Recorded, Running, stacked, step_type};

impl Auditor {
    /// Reads the step of a loop once, on symbols.
    pub(super) fn iterate(&mut self, l: &Loop<'_>) -> Result<Running, AuditError> {
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let mut inits = l.inits.to_vec();
        if l.has_bits {
            inits.push(self.terms.make(Node::NoBits, &Type::bits()));
        }
        let carries: Vec<Term> = (0..inits.len())
            .map(|i| {
                let ty = self.terms.ty(inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let rows: Vec<Term> = l.xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let (state, bits) = carries.split_at(l.inits.len());
        let mut results = self.run(l.body, &[l.consts, state, &rows, bits].concat())?;
        let ys = results.split_off(carries.len());
        let mut open = Open { binder, length: None, reverse: l.reverse, inits, steps: results };
        let length = match (l.cond, l.length) {
            (Some((cond, consts)), _) => {
                let go_on = self.run(cond, &[consts, state].concat())?[0];
                Length::Counted(self.terms.close(&open, Wanted::Count(go_on), &step_type()))
            }
            (None, Some(length)) => length,
            (None, None) => return self.unproved("a loop without length or condition"),
        };
        open.length = Some(length);
        Ok(Running { open, carries, length, ys })
    }
    pub(super) fn last(&mut self, running: &Running, i: usize) -> Term {
        let ty = self.terms.ty(running.carries[i]).clone();
        self.terms.close(&running.open, Wanted::Last(i), &ty)
    }
    pub(super) fn stack(&mut self, running: &Running, y: Term) -> Term {
        let ty = stacked(self.terms.ty(y), running.length);
        self.terms.close(&running.open, Wanted::Y(y), &ty)
    }
    /// Final carries and ys, stacked.
    pub(super) fn results(&mut self, running: &Running, n_carry: usize) -> Vec<Term> {
        let lasts: Vec<Term> = (0..n_carry).map(|i| self.last(running, i)).collect();
        let ys = running.ys.iter().map(|&y| self.stack(running, y));
        lasts.into_iter().chain(ys).collect()
    }

    pub(super) fn scan(&mut self, scan: &Scan, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (consts, rest) = operands.split_at(scan.n_consts);
        let (inits, xs) = rest.split_at(scan.n_carry);
        let length = match scan.length {
            Some(n) => Length::Known(n),
            None => self.terms.length_of(xs[0]),
        };
        let (body, reverse) = (&*scan.body, scan.reverse);
        let l = Loop { body, cond: None, length: Some(length), reverse, consts, inits, xs, has_bits: false };
        let running = self.iterate(&l)?;
        Ok(self.results(&running, scan.n_carry))
    }
    pub(super) fn while_loop(&mut self, op: &While, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (of_cond, rest) = operands.split_at(op.n_cond_consts);
        let (consts, inits) = rest.split_at(op.n_body_consts);
        let cond = Some((&*op.cond, of_cond));
        let l = Loop {
            body: &op.body,
            cond,
            length: None,
            reverse: false,
            consts,
            inits,
            xs: &[],
            has_bits: false,
        };
        let running = self.iterate(&l)?;
        Ok(self.results(&running, inits.len()))
    }

    pub(super) fn record(&mut self, op: &Record, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (of_cond, rest) = operands.split_at(op.n_cond_consts);
        let (consts, rest) = rest.split_at(op.n_consts);
        let (starts, xs) = rest.split_at(op.n_carry);
        let (inits, claims): (Vec<Term>, Vec<Option<Term>>) =
            starts.iter().map(|&t| self.terms.claim(t)).unzip();
        let inits = &inits[..];
        let l = Loop {
            body: &op.body,
            cond: op.cond.as_ref().map(|cond| (&**cond, of_cond)),
            length: op.length.map(Length::Known),
            reverse: op.reverse,
            consts,
            inits,
            xs,
            has_bits: op.plan.passes_bits(),
        };
        let running = self.iterate(&l)?;
        let mut results = self.results(&running, op.n_carry);
        let states: Vec<Term> = (0..op.n_carry).map(|i| self.stack(&running, running.carries[i])).collect();
        if let Some(plain) = &op.plain {
            // What runs once the bits do not suffice.
            let running = self.iterate(&Loop { body: plain, has_bits: false, ..l })?;
            let own: Vec<Term> = (0..op.n_carry).map(|i| self.stack(&running, running.carries[i])).collect();
            let found = self.results(&running, op.n_carry);
            if let Some((&found, &expected)) =
                found.iter().chain(&own).zip(results.iter().chain(&states)).find(|(a, b)| a != b)
            {
                let reason = self.terms.difference(found, expected);
                return self.wrong(format!("the plain step is another one: {reason}"));
            }
        }
        match op.plan {
            Plan::Reverse | Plan::ReverseStep { .. } | Plan::ReverseWithin { .. } => {
                results.push(self.terms.make(Node::Bits(self.recorded.len()), &Type::bits()));
                self.recorded.push(Recorded {
                    plan: op.plan,
                    body: op.body.clone(),
                    consts: consts.to_vec(),
                    xs: xs.to_vec(),
                    starts: starts.to_vec(),
                    inits: inits.to_vec(),
                    claims,
                    lasts: results[..op.n_carry].to_vec(),
                    states: states.clone(),
                    length: running.length,
                    reverse: op.reverse,
                });
                if let (Plan::ReverseWithin { slots, .. }, Some(n)) = (op.plan, op.length) {
                    let rule = Kept::Binomial(slots);
                    for states in states {
                        let ty = self.terms.ty(states).unstacked().stacked(rule.n_states(n));
                        results.push(self.terms.make(Node::Checkpoints { states, rule }, &ty));
                    }
                }
            }
            Plan::Every(_) | Plan::Slots(_) => {
                let rule = Kept::of(op.plan, op.length.is_some());
                for states in states {
                    let ty = match op.length {
                        Some(n) => self.terms.ty(states).unstacked().stacked(rule.n_states(n)),
                        None => self.terms.ty(states).clone(),
                    };
                    results.push(self.terms.make(Node::Checkpoints { states, rule }, &ty));
                }
            }
        }
        if let Length::Counted(count) = running.length {
            results.push(count);
        }
        Ok(results)
    }
}
