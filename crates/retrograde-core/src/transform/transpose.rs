//! The transpose of a linear program.

use super::Standard;
use crate::ir::{Equation, Location, Op, ValueId, check};
use crate::prim::{Builder, Operand, Prim, Program, Rule, bodies};

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
        let linear = linear_values(&program, n_known);
        for equation in &program.equations {
            let marks: Vec<bool> = equation.inputs.iter().map(|v| linear[v.index()]).collect();
            if marks.contains(&true) && !equation.op.linear_in(&marks) {
                return Err(not_linear(equation));
            }
        }
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

fn not_linear(equation: &Equation<Prim>) -> NotLinear {
    NotLinear { op: equation.op.name(), location: equation.location }
}

/// Whether `program` is linear in all inputs but the first `n_known`, bodies included. Loops may carry linear and other
/// values side by side, which [`LinearProgram`] does not allow: [`bodies::split_linear`] takes them apart.
///
/// # Errors
/// Names the first operation that is not.
pub fn is_linear(program: &Program, n_known: usize) -> Result<(), NotLinear> {
    let inputs: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_known).collect();
    linear_outputs(program, &inputs).map(|_| ())
}

/// Which results depend on the marked inputs, all linearly.
fn linear_outputs(program: &Program, inputs: &[bool]) -> Result<Vec<bool>, NotLinear> {
    let mut linear = vec![false; program.types.len()];
    program.inputs.iter().zip(inputs).for_each(|(v, mark)| linear[v.index()] |= mark);
    for equation in &program.equations {
        let marks: Vec<bool> = equation.inputs.iter().map(|v| linear[v.index()]).collect();
        if !marks.contains(&true) {
            continue;
        }
        let refusal = || not_linear(equation);
        let outputs = match &equation.op {
            Prim::Call(call) => linear_outputs(&call.body, &marks)?,
            Prim::Cond(_) if marks[0] => return Err(refusal()),
            Prim::Cond(cond) => {
                let (t, f) = (
                    linear_outputs(&cond.if_true, &marks[1..])?,
                    linear_outputs(&cond.if_false, &marks[1..])?,
                );
                t.iter().zip(f).map(|(t, f)| *t || f).collect()
            }
            Prim::Scan(scan) => linear_loop(&scan.body, &marks, scan.n_consts, scan.n_carry)?.1,
            Prim::While(l) => {
                let (marks, outputs) =
                    linear_loop(&l.body, &marks[l.n_cond_consts..], l.n_body_consts, l.n_carry())?;
                let of_cond = l.cond.inputs.len() - l.n_carry();
                let state = marks[l.n_body_consts..].iter().copied();
                let reached: Vec<bool> =
                    equation.inputs[..of_cond].iter().map(|v| linear[v.index()]).chain(state).collect();
                if bodies::depending(&l.cond, &reached)[l.cond.outputs[0].index()] {
                    return Err(refusal());
                }
                outputs
            }
            op if op.linear_in(&marks) => vec![true; equation.outputs.len()],
            _ => return Err(refusal()),
        };
        equation.outputs.iter().zip(outputs).for_each(|(v, mark)| linear[v.index()] = mark);
    }
    Ok(program.outputs.iter().map(|v| linear[v.index()]).collect())
}

/// The marks of a loop body's parameters, closed over the carries, and of its results.
fn linear_loop(
    body: &Program,
    marks: &[bool],
    n_consts: usize,
    n_carry: usize,
) -> Result<(Vec<bool>, Vec<bool>), NotLinear> {
    let mut marks = marks.to_vec();
    loop {
        let mut outputs = linear_outputs(body, &marks)?;
        let state = n_consts..n_consts + n_carry;
        let closed = state.clone().zip(&outputs).all(|(i, out)| marks[i] || !out);
        state.clone().zip(&outputs).for_each(|(i, out)| marks[i] |= out);
        if closed {
            state.zip(&mut outputs).for_each(|(i, out)| *out |= marks[i]);
            return Ok((marks, outputs));
        }
    }
}

/// (coefficients.., linear.. -> outputs..) becomes (coefficients.., cotangents of the outputs.. -> cotangents of the
/// linear inputs..). Contributions to one value are added in the reverse order of its uses.
///
/// ```
/// use retrograde_core::{ir::{parse, print}, prim::Prim, transform::{LinearProgram, is_linear, transpose}};
/// // a times the sum of b, linear in b.
/// let text = "program(a:f64[], b:f64[3]) {\n  c:f64[] = sum[axes=[0]] b\n  d:f64[] = mul a c\n  return d\n}";
/// let linear = LinearProgram::new(parse::<Prim>(text)?, 1)?;
/// assert_eq!(print(linear.program()), text);
/// assert_eq!(print(&transpose(&linear)), "program(a:f64[], b:f64[]) {
///   c:f64[] = mul a b
///   d:f64[3] = broadcast[shape=[3], axes=[]] c
///   return d
/// }");
/// assert_eq!(is_linear(linear.program(), 0).unwrap_err().op, "mul");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
