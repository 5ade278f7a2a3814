//! A policy written onto loops, from where transforms carry it along.

use crate::ir::Op;
use crate::prim::{Prim, Program, Tape};

/// The program whose loops carry `policy` where they had none of their own, bodies included.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, tape::{Tape, annotate}};
/// let text = "program(a:f64[]) {
///   b:f64[] = scan[length=3, reverse=false, consts=0, carries=1, body=program(a:f64[]) {
///     b:f64[] = sin a
///     return b
///   }] a
///   return b
/// }";
/// let program = parse::<Prim>(text)?;
/// assert_eq!(print(&program), text);
/// assert!(print(&annotate(&program, Tape::Reverse)).contains("policy=reverse"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
