//! A policy written onto loops, from where transforms carry it along.

use crate::ir::Op;
use crate::prim::{Prim, Program, Tape};

/// The program whose loops carry `policy` where they had none of their own, bodies included.
pub fn annotate(program: &Program, policy: Tape) -> Program {
    let mut program = program.clone();
    for equation in &mut program.equations {
        equation.op = equation.op.map_bodies(&mut |body| annotate(body, policy));
        match &mut equation.op {
            Prim::Scan(scan) => _ = scan.policy.get_or_insert(policy),
            Prim::While(while_loop) => _ = while_loop.policy.get_or_insert(policy),
            _ => {}
        }
    }
    program
}
