//! A policy written onto loops, from where transforms carry it along.

use crate::ir::{Location, Op};
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

/// The program whose calls at this place declare no inverse, bodies included.
///
/// ```
/// use retrograde_core::{ir::{Location, parse, print}, prim::Prim, tape::without_inverse};
/// let text = "program(a:f64[]) {
///   b:f64[] = neg a
///   return b
/// }";
/// let program = parse::<Prim>(text)?;
/// let here = Location(std::panic::Location::caller());
/// assert_eq!(print(&without_inverse(&program, Some(here))), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn without_inverse(program: &Program, place: Option<Location>) -> Program {
    let mut program = program.clone();
    for equation in &mut program.equations {
        equation.op = equation.op.map_bodies(&mut |body| without_inverse(body, place));
        if let Prim::Call(call) = &mut equation.op
            && equation.location == place
        {
            call.inverse = None;
        }
    }
    program
}
