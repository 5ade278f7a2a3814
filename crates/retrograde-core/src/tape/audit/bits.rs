//! The bit stack on symbols: what was pushed, entry by entry, and what may take it off.

use crate::ir::Type;
use crate::prim::Prim;
use crate::prim::contract::Contract;
use crate::prim::retain::{Retain, Update};
use crate::prim::spill::Spill;

use super::term::{Node, Term};
use super::{AuditError, Auditor};

impl Auditor {
    /// The decisions on top, and what is below.
    pub(super) fn pop_bits(&mut self, bits: Term, ty: &Type) -> Result<Vec<Term>, AuditError> {
        let node = self.terms.node(bits);
        match &*node {
            Node::Push { below, update: Prim::PushBits(_), x, .. } if self.terms.ty(*x) == ty => {
                Ok(vec![*below, *x])
            }
            _ => {
                let found = self.terms.describe(bits);
                self.wrong(format!("takes bits that no decision {ty} put there: found {found}"))
            }
        }
    }
    /// Operands: bits, a value, its remainder.
    pub(super) fn spill(&mut self, spill: &Spill, operands: &[Term], ty: &Type) -> Result<Term, AuditError> {
        let [below, v, r] = *operands else { return self.unproved("too few operands") };
        let node = Node::Push { below, update: spill.clone().into(), y: v, x: v, others: vec![r] };
        Ok(self.terms.make(node, ty))
    }
    /// Operands: bits, what `contract` made of a value and of its remainder.
    pub(super) fn expand(&mut self, spill: &Spill, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let [bits, of_v, of_r] = *operands else { return self.unproved("too few operands") };
        let node = self.terms.node(bits);
        let (below, v, r) = match &*node {
            Node::Push { below, update, x, others, .. } if *update == spill.clone().into() => {
                (*below, *x, others[0])
            }
            _ => {
                let found = self.terms.describe(bits);
                return self.wrong(format!("takes bits that no such contraction put there: found {found}"));
            }
        };
        let ty = self.terms.ty(v).clone();
        let contract = Prim::from(Contract { by: spill.by });
        for (i, found) in [of_v, of_r].into_iter().enumerate() {
            let expected = self.terms.app(&contract, &[v, r], i, &ty);
            if found != expected {
                let reason = self.terms.difference(found, expected);
                return self.wrong(format!("takes the bits of another contraction (result {i}): {reason}"));
            }
        }
        Ok(vec![below, v, r])
    }

    /// Operands: bits, the result of the update, the old value, the other operands of the update.
    pub(super) fn retain(
        &mut self,
        retain: &Retain,
        operands: &[Term],
        ty: &Type,
    ) -> Result<Term, AuditError> {
        let [below, y, x, ref others @ ..] = *operands else { return self.unproved("too few operands") };
        let is_update = match (&retain.update, others) {
            (Update::Add, &[d]) => self.is_update(y, x, d),
            (Update::Fma, &[a, b]) => {
                let node = self.terms.node(y);
                matches!(&*node, Node::App { op: Prim::Fma(_), inputs, .. } if *inputs == [a, b, x])
            }
            _ => false,
        };
        if !is_update {
            let (y, x) = (self.terms.describe(y), self.terms.describe(x));
            return self.unproved(format!("that {y} is {x} updated in place"));
        }
        let node = Node::Push { below, update: retain.clone().into(), y, x, others: others.to_vec() };
        Ok(self.terms.make(node, ty))
    }
    /// Whether y = x + d to the bit: a sum, or sums that one predicate chooses between as it chooses between their increments. x itself is
    /// the sum of x and -0.
    pub(super) fn is_update(&mut self, y: Term, x: Term, d: Term) -> bool {
        if y == x {
            return self.terms.is_all(d, -0.0);
        }
        match (self.terms.choice(y), self.terms.choice(d)) {
            (Some([p, yes, no]), Some([q, of_yes, of_no])) if p == q => {
                self.is_update(yes, x, of_yes) && self.is_update(no, x, of_no)
            }
            _ => self.is_sum(y, x, d),
        }
    }
    /// Whether y = x + d; a difference is a sum with what is subtracted negated, to the bit.
    pub(super) fn is_sum(&mut self, y: Term, x: Term, d: Term) -> bool {
        let node = self.terms.node(y);
        let Node::App { op, inputs, .. } = &*node else { return false };
        match (op, &inputs[..]) {
            (Prim::Add(_), &[p, q]) => (p, q) == (x, d) || (q, p) == (x, d),
            (Prim::Sub(_), &[p, q]) => {
                let minus_q = self.terms.negated(q);
                (p, minus_q) == (x, d) || (minus_q, p) == (x, d)
            }
            _ => false,
        }
    }
    /// Operands: bits, the result of the update, the other operands of the update.
    pub(super) fn restore(&mut self, update: Update, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let [bits, y, ref others @ ..] = *operands else { return self.unproved("too few operands") };
        let node = self.terms.node(bits);
        let Node::Push { below, update: of_push, y: y_of_push, x, others: others_of_push } = &*node else {
            let found = self.terms.describe(bits);
            return self.wrong(format!("takes bits that no update put there: found {found}"));
        };
        if *of_push != Prim::from(Retain { update }) || others.len() != others_of_push.len() {
            return self.wrong("takes the bits of another kind of update");
        }
        let found = std::iter::once(&y).chain(others);
        let expected = std::iter::once(y_of_push).chain(others_of_push);
        if let Some((i, (&f, &e))) = found.zip(expected).enumerate().find(|(_, (f, e))| f != e) {
            let reason = self.terms.difference(f, e);
            return self.wrong(format!("takes the bits of another update (operand {i}): {reason}"));
        }
        Ok(vec![*below, *x])
    }
}
