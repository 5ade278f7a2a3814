//! The draws of a lossy tape; see Note [draws] in the parent module.

use crate::ir::Type;
use crate::prim::Prim;
use crate::prim::quantise::Quantise;

use super::term::{Node, Term};
use super::{AuditError, Auditor};

impl Auditor {
    /// Operands: a value and, inside a loop, the number of the step. See Note [draws].
    pub(super) fn quantise(
        &mut self,
        op: &Quantise,
        operands: &[Term],
        types: &[&Type],
    ) -> Result<Vec<Term>, AuditError> {
        let in_loop = operands.iter().any(|&t| self.terms.facts(t).binder > 0);
        let counts = operands.get(1).is_some_and(|&step| {
            let node = self.terms.node(step);
            let Node::Row { of, .. } = &*node else { return false };
            matches!(&*self.terms.node(*of), Node::App { op: Prim::Iota(_), .. })
        });
        if in_loop && !counts {
            return self.unproved("that the rows of a loop are drawn independently: no number of the step");
        }
        if self.draws.insert((op.seed, op.draw), operands.to_vec()).is_some_and(|of| of != operands) {
            return self.wrong(format!("draw {} is of two values, which are not independent then", op.draw));
        }
        Ok((0..types.len()).map(|i| self.terms.app(&op.clone().into(), operands, i, types[i])).collect())
    }
    /// Operands: codes and grids. The value behind them: what differs is the business of `unbiased`.
    pub(super) fn dequantise(&mut self, bits: u8, operands: &[Term], ty: &Type) -> Result<Term, AuditError> {
        let nodes = [self.terms.node(operands[0]), self.terms.node(operands[1])];
        let mut behind = vec![];
        for (i, node) in nodes.iter().enumerate() {
            match &**node {
                Node::App { op: Prim::Quantise(op), inputs, result } if op.bits == bits && *result == i => {
                    behind.push((op.draw, inputs.clone()));
                }
                _ => {
                    let found = self.terms.describe(operands[i]);
                    return self
                        .wrong(format!("operand {i}: found {found}, expected result {i} of a quantise"));
                }
            }
        }
        if behind[0] != behind[1] {
            return self.wrong("the codes of one draw on the grids of another");
        }
        let x = behind[0].1[0];
        if self.terms.ty(x) != ty {
            return self.wrong(format!("found {ty}, quantised as {}", self.terms.ty(x)));
        }
        Ok(x)
    }
}
