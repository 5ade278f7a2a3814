//! The program and its linear part, apart: the extra results of the first are the first parameters of the second.

use super::jvp::Joint;
use crate::ir::{Equation, ValueId, check};
use crate::prim::{Builder, Linearized, Prim, Program};

/// Splits the derivative of `program` at the given inputs: `forward` (inputs -> outputs, residuals) and `linear`
/// (residuals, tangents of active inputs -> tangents of active outputs).
///
/// Constants are never residuals: they stand in both programs. Nothing here knows a tape policy.
///
/// # Cost
/// Of the two programs together: that of [`jvp`](super::jvp()), and the memory of the residuals.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, transform::linearize};
/// let sine = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  return b\n}")?;
/// let halves = linearize(&sine, &[true], &[true]);
/// assert_eq!(print(&halves.forward), "program(a:f64[]) {
///   b:f64[] = sin a
///   c:f64[] = cos a
///   return b, c
/// }");
/// assert_eq!(print(&halves.linear), "program(a:f64[], b:f64[]) {\n  c:f64[] = strong_mul b a\n  return c\n}");
/// assert_eq!(halves.n_residuals, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn linearize(program: &Program, active: &[bool], force: &[bool]) -> Linearized {
    let joint = Joint::new(program, active, force, true);
    let active = joint.tangents.iter().map(Option::is_some).collect();
    let out_dots: Vec<ValueId> = joint.tangents.into_iter().flatten().collect();
    let whole = joint.b.program();

    let mut is_linear = vec![false; whole.types.len()];
    joint.tangent_inputs.iter().for_each(|v| is_linear[v.index()] = true);
    for equation in &whole.equations {
        if equation.inputs.iter().any(|v| is_linear[v.index()]) {
            equation.outputs.iter().for_each(|v| is_linear[v.index()] = true);
        }
    }
    // Only what the linear outputs need decides what a residual is.
    let mut live = vec![false; whole.types.len()];
    out_dots.iter().for_each(|v| live[v.index()] = true);
    let mut linear_equations: Vec<&Equation<Prim>> = vec![];
    for equation in whole.equations.iter().rev() {
        let reached = equation.outputs.iter().any(|v| is_linear[v.index()]);
        if reached && equation.outputs.iter().any(|v| live[v.index()]) {
            equation.inputs.iter().for_each(|v| live[v.index()] = true);
            linear_equations.push(equation);
        }
    }
    linear_equations.reverse();

    let mut producer: Vec<Option<usize>> = vec![None; whole.types.len()];
    for (i, equation) in whole.equations.iter().enumerate() {
        equation.outputs.iter().for_each(|v| producer[v.index()] = Some(i));
    }
    let mut lb = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; whole.types.len()];
    let mut residuals = vec![];
    let mut constants: Vec<&Equation<Prim>> = vec![];
    let crossing = linear_equations.iter().flat_map(|e| &e.inputs).chain(&out_dots);
    let mut seen = vec![false; whole.types.len()];
    for &v in crossing.filter(|v| !is_linear[v.index()]) {
        if std::mem::replace(&mut seen[v.index()], true) {
            continue;
        }
        match producer[v.index()].map(|i| &whole.equations[i]) {
            Some(equation) if equation.inputs.is_empty() => constants.push(equation),
            _ => {
                map[v.index()] = Some(lb.input(whole.ty(v).clone()));
                residuals.push(v);
            }
        }
    }
    for &v in &joint.tangent_inputs {
        map[v.index()] = Some(lb.input(whole.ty(v).clone()));
    }
    for equation in constants.into_iter().chain(linear_equations) {
        lb.location = equation.location;
        let inputs: Vec<ValueId> = equation.inputs.iter().map(|v| found(&map, *v)).collect();
        let outputs = lb.emit(equation.op.clone(), &inputs);
        for (old, new) in equation.outputs.iter().zip(outputs) {
            map[old.index()] = Some(new);
        }
    }
    let linear = lb.finish(out_dots.iter().map(|v| found(&map, *v)).collect());
    let n_residuals = residuals.len();

    let mut forward = whole.clone();
    forward.equations.retain(|e| !e.outputs.iter().any(|v| is_linear[v.index()]));
    forward.inputs.truncate(program.inputs.len());
    forward.outputs = joint.outputs.iter().chain(&residuals).copied().collect();
    let all = vec![true; forward.inputs.len()];
    let outputs = forward.outputs.clone();
    let forward = crate::prim::bodies::restrict(&forward, &all, &outputs);
    check::debug_check(&forward, "linearize");
    check::debug_check(&linear, "linearize");
    Linearized { forward, linear, n_residuals, active }
}

fn found(map: &[Option<ValueId>], v: ValueId) -> ValueId {
    map[v.index()].expect(
        "a linear equation uses a value that is neither linear nor a residual; this is a bug in retrograde",
    )
}
