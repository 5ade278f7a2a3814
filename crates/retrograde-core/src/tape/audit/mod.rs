//! An independent checker of lowered programs: it follows which value of the original every slot holds and proves every
//! backward read right. It shares no code with the planner nor with the evaluation of `record` and `replay`.
//!
//! Both programs become terms, one per value, and equal terms are one term (value numbering, as in Note [terms]). A
//! loop is one term per result, over the steps of the carries that this result depends on, so constants, hoisting,
//! pruning and the order of operands do not matter. The row of a stack that a loop made is what its step computes from
//! the state before that step (Note [rows]); that is the whole meaning of computing residuals again. What is left to
//! prove at each `replay` are its states: by checkpoints, that its step is the step of the recorded loop and that the
//! schedule reaches every step; by reversal, that its inverse undoes the recorded step on symbols, entry of the bit stack
//! by entry; by reversal of whole steps, that the step whose inverse is guessed is the recorded one, so that the recorded
//! residuals belong to its guesses, and that the inverse of the carries that are not guessed undoes them. What cannot be proved is an error.
//!
//! # Cost
//! For each result of a loop, linear in the step; for each loop in a loop once more for the outer one.
//!
//! # Source
//! The checker of the register allocator regalloc2 (C. Fallin, 2021) for the idea; Alpern, Wegman, Zadeck 1988 for value
//! numbering.

// Note [terms]
// The symbols of a loop's step (its number and its carries) are free while the step is being read (`Symbol`, a binder
// of its own) and bound in the finished term (`Bound`). Bound symbols are numbered in the order in which the result
// reaches them, and their level is one above that of all loops inside, so equal loops are equal terms wherever they
// stand. Where terms get into a finished loop it is opened with a fresh binder and closed again.
//
// Note [rows]
// Row r of a stack y of a loop, read by another loop, is y with the carries replaced by row r of the stacks of states
// (the carries before each step) and row r of each x. It holds for either direction of either loop: stacks are in the
// order of the xs, not of time. So a sweep over stored residuals and a sweep that computes them from states are the
// same term, and the stacks of states are the only ones that are ever read.
//
// Note [claims]
// A recorded loop may start with `agree x e`, which is x and claims that this carry is a function of the others: at the start,
// where e is that function of theirs, the equation checks it when it runs. The claim is proved by induction. The function is
// read off the step, by what the carry after it is made of: the other carries after it. It has to give e at the start, and
// the carry after a step that starts with its value. Then every state before a step has it in place of the carry.

//
// Note [draws]
// A `dequantise` stands for the value that was quantised, so that everything else about the program is proved as if nothing
// were rounded. What is left to prove is the law: that each draw is of one value, that a loop draws each row for
// itself, and that no product has a draw as a factor twice, which `unbiased` follows through the backward part.
//
// Note [declared]
// That an inverse which the user declared undoes its call is an axiom here: `exec::verify` tries it before it is used. So a call
// of that inverse, on just what the call gave and on the same other operands, gives what the call was made with.

mod bits;
mod draws;
mod loops;
mod replay;
mod schedule;
mod term;
mod terms;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use retrograde_array::DType;

use super::lower::Lowered;
use super::unbiased::unbiased;
use crate::ir::{Equation, Location, Op, Type, check};
use crate::prim::call::Call;
use crate::prim::replay::Plan;
use crate::prim::spill::Spill;
use crate::prim::{Prim, Program};

use term::{Length, Node, Term};
use terms::{Open, Terms};

/// Why a lowered program is not, or cannot be shown to be, the original one.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum AuditError {
    /// The programs do not fit together.
    #[error("{part}: {message}")]
    Malformed {
        /// `original`, `forward` or `backward`.
        part: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A result is another value than in the original.
    #[error("output {index}, made by {equation}, is another value than in the original: {reason}")]
    WrongOutput {
        /// Which output, counted as in the original.
        index: usize,
        /// The equation of the lowered program that makes it.
        equation: String,
        /// The innermost difference.
        reason: String,
    },
    /// An equation reads something else from the tape than what was recorded for it.
    #[error("{equation}: {reason}")]
    WrongRead {
        /// Which equation, with those around it.
        equation: String,
        /// What it reads and what it should read.
        reason: String,
    },
    /// The mean over the draws of a lossy tape is, or may be, another derivative.
    #[error("{equation}: biased: {reason}")]
    Biased {
        /// Which equation.
        equation: String,
        /// Which factor occurs twice, or what is not linear in it.
        reason: String,
    },
    /// Neither right nor wrong can be shown.
    #[error("{equation}: cannot prove: {reason}")]
    Unproved {
        /// Which equation, with those around it.
        equation: String,
        /// What is missing.
        reason: String,
    },
}

/// Proves that a lowered program computes the original one, (inputs.., seeds.. -> outputs.., rest..) with `n_seeds`
/// seeds: every result is the same value, bit for bit, by the same equations on the same operands.
///
/// ```
/// use retrograde_core::ir::parse;
/// use retrograde_core::tape::{Tape, audit, lower};
/// let program = parse(
///     "program(x:f64[], s:f64[]) {
///        a:f64[] = sin x
///        b:f64[] = cos x
///        c:f64[] = mul s b
///        return a, c
///      }",
/// )
/// .unwrap();
/// let lowered = lower(&program, 1, 1, Tape::Store).unwrap();
/// assert_eq!(audit(&program, &lowered, 1), Ok(()));
/// ```
///
/// # Errors
/// The first thing found that is wrong or cannot be proved, with its equation.
pub fn audit(original: &Program, lowered: &Lowered, n_seeds: usize) -> Result<(), AuditError> {
    let Lowered { forward, backward, n_outputs, .. } = lowered;
    for (part, program) in [("original", original), ("forward", forward), ("backward", backward)] {
        check(program).map_err(|e| AuditError::Malformed { part, message: e.to_string() })?;
    }
    let types = original.input_types();
    let n_inputs = types.len().checked_sub(n_seeds).ok_or_else(|| AuditError::Malformed {
        part: "original",
        message: format!("found {} inputs, expected at least {n_seeds} seeds", types.len()),
    })?;
    let (of_inputs, of_seeds) = types.split_at(n_inputs);
    let results = forward.output_types();
    let tape = results.get(*n_outputs..).unwrap_or_default();
    let expected = original.output_types();
    let (outputs, rest) = expected.split_at((*n_outputs).min(expected.len()));
    let outputs = [outputs, tape].concat();
    let into_backward = [of_inputs, tape, of_seeds].concat();
    same_types("forward", "inputs", &forward.input_types(), of_inputs)?;
    same_types("forward", "results", &results, &outputs)?;
    same_types("backward", "inputs", &backward.input_types(), &into_backward)?;
    same_types("backward", "results", &backward.output_types(), rest)?;

    let mut auditor = Auditor::default();
    let inputs: Vec<Term> =
        types.iter().enumerate().map(|(i, ty)| auditor.terms.make(Node::Input(i), ty)).collect();
    let (primals, seeds) = inputs.split_at(n_inputs);
    let expected = auditor.part("original", original, &inputs)?;
    let forward_results = auditor.part("forward", forward, primals)?;
    let (outputs, tape) = forward_results.split_at(*n_outputs);
    let rest = auditor.part("backward", backward, &[primals, tape, seeds].concat())?;
    for (index, (&found, &expected)) in outputs.iter().chain(&rest).zip(&expected).enumerate() {
        if found != expected {
            let equation = match index.checked_sub(*n_outputs) {
                None => maker(forward, "forward", index),
                Some(i) => maker(backward, "backward", i),
            };
            let reason = auditor.terms.difference(found, expected);
            return Err(AuditError::WrongOutput { index, equation, reason });
        }
    }
    unbiased(forward, backward, *n_outputs, n_inputs)
        .map_err(|(equation, reason)| AuditError::Biased { equation, reason })
}

fn same_types(part: &'static str, what: &str, found: &[Type], expected: &[Type]) -> Result<(), AuditError> {
    if found == expected {
        return Ok(());
    }
    let list = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
    let message = format!("{what}: found ({}), expected ({})", list(found), list(expected));
    Err(AuditError::Malformed { part, message })
}

/// The equation that makes an output.
fn maker(program: &Program, part: &'static str, output: usize) -> String {
    let v = program.outputs[output];
    match program.equations.iter().position(|e| e.outputs.contains(&v)) {
        Some(i) => format!("{part}, {}", Place::of(i, &program.equations[i])),
        None => format!("no equation of {part}"),
    }
}

/// An equation on the way to the one being read.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    op: &'static str,
    location: Option<Location>,
}

impl Place {
    fn of(index: usize, equation: &Equation<Prim>) -> Place {
        Place { index, op: equation.op.name(), location: equation.location }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "equation {} ({}", self.index, self.op)?;
        self.location.map_or(Ok(()), |l| write!(f, " at {l}"))?;
        f.write_str(")")
    }
}

/// What a `record` did, for the `replay` that has its bits.
struct Recorded {
    plan: Plan,
    body: Arc<Program>,
    consts: Vec<Term>,
    xs: Vec<Term>,
    /// As they stand, with what they claim.
    starts: Vec<Term>,
    inits: Vec<Term>,
    /// What the other parts of the start give, see Note [claims].
    claims: Vec<Option<Term>>,
    lasts: Vec<Term>,
    states: Vec<Term>,
    length: Length,
    reverse: bool,
}

/// A loop before its results are named.
struct Running {
    open: Open,
    /// The symbols of its carries.
    carries: Vec<Term>,
    length: Length,
    ys: Vec<Term>,
}

/// What is needed to read the step of a loop.
struct Loop<'a> {
    body: &'a Program,
    cond: Option<(&'a Program, &'a [Term])>,
    length: Option<Length>,
    reverse: bool,
    consts: &'a [Term],
    inits: &'a [Term],
    xs: &'a [Term],
    /// Whether bits are passed along behind the xs and behind the carries.
    has_bits: bool,
}

#[derive(Default)]
struct Auditor {
    terms: Terms,
    part: &'static str,
    path: Vec<Place>,
    recorded: Vec<Recorded>,
    /// What each draw is of, by seed and number; see Note [draws].
    draws: HashMap<(u64, usize), Vec<Term>>,
    declared: Vec<Declared>,
}

/// A call with an inverse that the user declared, see Note [declared].
struct Declared {
    inverse: Arc<Program>,
    /// The state, then what else the inverse reads.
    operands: Vec<Term>,
    /// The state after it.
    results: Vec<Term>,
}

impl Auditor {
    fn place(&self) -> String {
        let path: Vec<String> = self.path.iter().map(Place::to_string).collect();
        format!("{}, {}", self.part, path.join(" > "))
    }
    fn unproved<T>(&self, reason: impl Into<String>) -> Result<T, AuditError> {
        Err(AuditError::Unproved { equation: self.place(), reason: reason.into() })
    }
    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, AuditError> {
        Err(AuditError::WrongRead { equation: self.place(), reason: reason.into() })
    }
    fn part(
        &mut self,
        part: &'static str,
        program: &Program,
        inputs: &[Term],
    ) -> Result<Vec<Term>, AuditError> {
        self.part = part;
        self.run(program, inputs)
    }

    /// The terms of the results for the terms of the operands.
    fn run(&mut self, program: &Program, inputs: &[Term]) -> Result<Vec<Term>, AuditError> {
        if program.inputs.len() != inputs.len() {
            return self.unproved(format!(
                "found {} operands for {} parameters",
                inputs.len(),
                program.inputs.len()
            ));
        }
        let mut values: Vec<Option<Term>> = vec![None; program.types.len()];
        for (v, &t) in program.inputs.iter().zip(inputs) {
            values[v.index()] = Some(t);
        }
        let of = |values: &[Option<Term>], v: crate::ir::ValueId| {
            values[v.index()].expect("checked programs define before use; this is a bug in retrograde")
        };
        for (index, equation) in program.equations.iter().enumerate() {
            let operands: Vec<Term> = equation.inputs.iter().map(|&v| of(&values, v)).collect();
            let types: Vec<&Type> = equation.outputs.iter().map(|&v| program.ty(v)).collect();
            self.path.push(Place::of(index, equation));
            let results = self.equation(&equation.op, &operands, &types)?;
            self.path.pop();
            for (v, t) in equation.outputs.iter().zip(results) {
                values[v.index()] = Some(t);
            }
        }
        Ok(program.outputs.iter().map(|&v| of(&values, v)).collect())
    }

    fn equation(&mut self, op: &Prim, operands: &[Term], types: &[&Type]) -> Result<Vec<Term>, AuditError> {
        match op {
            Prim::Call(call) => self.call(call, operands),
            Prim::CustomJvp(custom) => self.run(&custom.primal, operands),
            Prim::CustomVjp(custom) => self.run(&custom.primal, operands),
            Prim::LinearCall(call) => match &call.apply {
                Some(apply) => self.run(apply, operands),
                None => self.unproved("a linear_call of which only the transpose is known has no value"),
            },
            Prim::Cond(cond) => {
                let Some((&pred, operands)) = operands.split_first() else {
                    return self.unproved("no predicate");
                };
                let yes = self.run(&cond.if_true, operands)?;
                let no = self.run(&cond.if_false, operands)?;
                let choose =
                    |((yes, no), ty): ((Term, Term), &&Type)| self.terms.make(Node::If { pred, yes, no }, ty);
                Ok(yes.into_iter().zip(no).zip(types).map(choose).collect())
            }
            Prim::Scan(scan) => self.scan(scan, operands),
            Prim::While(op) => self.while_loop(op, operands),
            Prim::Record(record) => self.record(record, operands),
            Prim::Replay(replay) => self.replay(replay, operands),
            Prim::Retain(retain) => self.retain(retain, operands, types[0]).map(|t| vec![t]),
            Prim::Restore(restore) => self.restore(restore.update, operands),
            Prim::Spill(spill) => self.spill(spill, operands, types[0]).map(|t| vec![t]),
            Prim::PushBits(push) => {
                let node = Node::Push {
                    below: operands[0],
                    update: push.clone().into(),
                    y: operands[1],
                    x: operands[1],
                    others: vec![],
                };
                Ok(vec![self.terms.make(node, types[0])])
            }
            Prim::PopBits(_) => self.pop_bits(operands[0], types[1]),
            Prim::Quantise(op) => self.quantise(op, operands, types),
            Prim::Dequantise(op) => self.dequantise(op.bits, operands, types[0]).map(|t| vec![t]),
            Prim::Expand(expand) => self.expand(&Spill { by: expand.by }, operands),
            op if op.has_bodies() => self.unproved("the bodies of this operation are not understood"),
            op => Ok((0..types.len()).map(|i| self.terms.app(op, operands, i, types[i])).collect()),
        }
    }

    /// See Note [declared].
    fn call(&mut self, call: &Call, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let Some(inverse) = &call.inverse else { return self.run(&call.body, operands) };
        let n = inverse.outputs.len();
        let undoes = |d: &&Declared| {
            d.inverse == call.body && d.results == operands[..n] && d.operands[n..] == operands[n..]
        };
        if let Some(undone) = self.declared.iter().find(undoes) {
            return Ok(undone.operands[..n].to_vec());
        }
        let results = self.run(&call.body, operands)?;
        let (operands, after) = (operands[..inverse.inputs.len()].to_vec(), results[..n].to_vec());
        self.declared.push(Declared { inverse: inverse.clone(), operands, results: after });
        Ok(results)
    }
}

/// The type that stands for the number of the step.
fn step_type() -> Type {
    Type::array(DType::I64, [])
}

fn stacked(ty: &Type, length: Length) -> Type {
    match length {
        Length::Known(n) => ty.stacked(n),
        Length::Counted(_) => ty.list(),
    }
}
