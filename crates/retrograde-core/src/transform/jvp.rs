//! Forward mode: the program together with its tangents.

use super::Standard;
use crate::ir::{ValueId, check};
use crate::prim::{Builder, Jvp, Program, Rule};

/// (inputs.., tangents of the active inputs..) -> (outputs.., tangents of the active outputs..).
///
/// Outputs marked in `force` get a tangent even where it is an exact zero. Costs at most a small constant times the
/// program, in time and in memory.
///
/// ```
/// use retrograde_core::{ir::{parse, print, simplify}, prim::Prim, transform::jvp};
/// let sine = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  return b\n}")?;
/// let text = print(&simplify(&jvp(&sine, &[true], &[true]).program));
/// assert_eq!(text, "program(a:f64[], b:f64[]) {
///   c:f64[] = sin a
///   d:f64[] = cos a
///   e:f64[] = strong_mul b d
///   return c, e
/// }");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn jvp(program: &Program, active: &[bool], force: &[bool]) -> Jvp {
    let joint = Joint::new(program, active, force, false);
    let outputs = joint.outputs.iter().copied().chain(joint.tangents.iter().flatten().copied()).collect();
    let active = joint.tangents.iter().map(Option::is_some).collect();
    let program = joint.b.finish(outputs);
    check::debug_check(&program, "jvp");
    Jvp { program, active }
}

/// A program and its tangents in one builder.
pub(super) struct Joint {
    pub(super) b: Builder,
    /// Parameters that stand for tangents.
    pub(super) tangent_inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    pub(super) tangents: Vec<Option<ValueId>>,
}

impl Joint {
    pub(super) fn new(program: &Program, active: &[bool], force: &[bool], split: bool) -> Joint {
        let mut b = Builder::new();
        let mut value = vec![ValueId(0); program.types.len()];
        let mut tangent: Vec<Option<ValueId>> = vec![None; program.types.len()];
        for &v in &program.inputs {
            value[v.index()] = b.input(program.ty(v).clone());
        }
        let mut tangent_inputs = vec![];
        for (&v, _) in program.inputs.iter().zip(active).filter(|(_, a)| **a) {
            let dot = b.input(program.ty(v).clone());
            tangent_inputs.push(dot);
            tangent[v.index()] = Some(dot);
        }
        for equation in &program.equations {
            b.location = equation.location;
            let inputs: Vec<ValueId> = equation.inputs.iter().map(|v| value[v.index()]).collect();
            let dots: Vec<Option<ValueId>> = equation.inputs.iter().map(|v| tangent[v.index()]).collect();
            let (outputs, out_dots) = if dots.iter().any(Option::is_some) {
                equation.op.jvp(&mut Rule { b: &mut b, cx: &Standard }, &inputs, &dots, split)
            } else {
                (b.emit(equation.op.clone(), &inputs), vec![None; equation.outputs.len()])
            };
            for (i, v) in equation.outputs.iter().enumerate() {
                value[v.index()] = outputs[i];
                tangent[v.index()] = out_dots[i];
            }
        }
        b.location = None;
        let outputs = program.outputs.iter().map(|v| value[v.index()]).collect();
        let mut tangents: Vec<Option<ValueId>> = program.outputs.iter().map(|v| tangent[v.index()]).collect();
        let mut r = Rule { b: &mut b, cx: &Standard };
        for (i, v) in program.outputs.iter().enumerate() {
            if force[i] && tangents[i].is_none() {
                tangents[i] = Some(r.zeros(program.ty(*v)));
            }
        }
        Joint { b, tangent_inputs, outputs, tangents }
    }
}
