//! The transpose of a linear program.

use super::Standard;
use crate::ir::{Location, Op, ValueId, check};
use crate::prim::{Builder, Operand, Program, Rule, bodies};

/// A program that is linear in all inputs but the first `n_known`. Only the checker makes one.
#[derive(Clone, Debug)]
pub struct LinearProgram {
    program: Program,
    n_known: usize,
}

/// The equation in which a program is not linear.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("the program is not linear: {op} is applied to values that depend on the linear inputs")]
pub struct NotLinear {
    /// Name of the operation.
    pub op: &'static str,
    /// Where it was written.
    pub location: Option<Location>,
}

impl LinearProgram {
    /// Checks that `program` is linear in all inputs but the first `n_known`.
    ///
    /// # Errors
    /// Names the first operation that is not.
    pub fn new(program: Program, n_known: usize) -> Result<LinearProgram, NotLinear> {
        is_linear(&program, n_known)?;
        Ok(LinearProgram { program, n_known })
    }
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

fn linear_values(program: &Program, n_known: usize) -> Vec<bool> {
    let inputs: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_known).collect();
    bodies::depending(program, &inputs)
}

/// Whether `program` is linear in all inputs but the first `n_known`.
///
/// # Errors
/// Names the first operation that is not.
pub fn is_linear(program: &Program, n_known: usize) -> Result<(), NotLinear> {
    let linear = linear_values(program, n_known);
    for equation in &program.equations {
        let marks: Vec<bool> = equation.inputs.iter().map(|v| linear[v.index()]).collect();
        if marks.contains(&true) && !equation.op.linear_in(&marks) {
            return Err(NotLinear { op: equation.op.name(), location: equation.location });
        }
    }
    Ok(())
}

/// (coefficients.., linear.. -> outputs..) becomes (coefficients.., cotangents of the outputs.. -> cotangents of the
/// linear inputs..). Contributions to one value are added in the reverse order of its uses.
pub fn transpose(linear: &LinearProgram) -> Program {
    let LinearProgram { program, n_known } = linear;
    let is_linear = linear_values(program, *n_known);
    let mut b = Builder::new();
    let mut known: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &v in &program.inputs[..*n_known] {
        known[v.index()] = Some(b.input(program.ty(v).clone()));
    }
    let mut cts: Vec<Option<ValueId>> = vec![None; program.types.len()];
    let out_cts: Vec<ValueId> = program.outputs.iter().map(|&v| b.input(program.ty(v).clone())).collect();
    for equation in &program.equations {
        if equation.inputs.iter().any(|v| is_linear[v.index()]) {
            continue;
        }
        b.location = equation.location;
        let inputs: Vec<ValueId> =
            equation.inputs.iter().map(|v| known[v.index()].expect("defined before use")).collect();
        let outputs = b.emit(equation.op.clone(), &inputs);
        equation.outputs.iter().zip(outputs).for_each(|(old, new)| known[old.index()] = Some(new));
    }
    let mut r = Rule { b: &mut b, cx: &Standard };
    for (&v, &ct) in program.outputs.iter().zip(&out_cts) {
        if is_linear[v.index()] {
            cts[v.index()] = r.add_optional(cts[v.index()], Some(ct));
        }
    }
    for equation in program.equations.iter().rev() {
        if !equation.inputs.iter().any(|v| is_linear[v.index()]) {
            continue;
        }
        let of_outputs: Vec<Option<ValueId>> = equation.outputs.iter().map(|v| cts[v.index()]).collect();
        if of_outputs.iter().all(Option::is_none) {
            continue;
        }
        r.b.location = equation.location;
        let operands: Vec<Operand> = equation
            .inputs
            .iter()
            .map(|v| match known[v.index()] {
                Some(k) => Operand::Known(k),
                None => Operand::Linear(program.ty(*v).clone()),
            })
            .collect();
        let of_inputs = equation.op.transpose(&mut r, &operands, &of_outputs);
        for (v, ct) in equation.inputs.iter().zip(of_inputs) {
            if is_linear[v.index()] {
                cts[v.index()] = r.add_optional(cts[v.index()], ct);
            }
        }
    }
    r.b.location = None;
    let outputs = program.inputs[*n_known..]
        .iter()
        .map(|&v| cts[v.index()].unwrap_or_else(|| r.zeros(program.ty(v))))
        .collect();
    let transposed = b.finish(outputs);
    check::debug_check(&transposed, "transpose");
    transposed
}
