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

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use retrograde_array::{Array, DType, Scalar};

use super::lower::Lowered;
use super::unbiased::unbiased;
use crate::ir::{Equation, Kind, Location, Op, Type, check};
use crate::prim::call::Call;
use crate::prim::contract::Contract;
use crate::prim::neg::Neg;
use crate::prim::quantise::Quantise;
use crate::prim::record::Record;
use crate::prim::replay::{Plan, Replay};
use crate::prim::reshape::Reshape;
use crate::prim::retain::{Retain, Update};
use crate::prim::scan::Scan;
use crate::prim::spill::Spill;
use crate::prim::transpose::Transpose;
use crate::prim::while_loop::While;
use crate::prim::{Prim, Program};

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

    /// Reads the step of a loop once, on symbols.
    fn iterate(&mut self, l: &Loop<'_>) -> Result<Running, AuditError> {
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let mut inits = l.inits.to_vec();
        if l.has_bits {
            inits.push(self.terms.make(Node::NoBits, &Type::bits()));
        }
        let carries: Vec<Term> = (0..inits.len())
            .map(|i| {
                let ty = self.terms.ty(inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let rows: Vec<Term> = l.xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let (state, bits) = carries.split_at(l.inits.len());
        let mut results = self.run(l.body, &[l.consts, state, &rows, bits].concat())?;
        let ys = results.split_off(carries.len());
        let mut open = Open { binder, length: None, reverse: l.reverse, inits, steps: results };
        let length = match (l.cond, l.length) {
            (Some((cond, consts)), _) => {
                let go_on = self.run(cond, &[consts, state].concat())?[0];
                Length::Counted(self.terms.close(&open, Wanted::Count(go_on), &step_type()))
            }
            (None, Some(length)) => length,
            (None, None) => return self.unproved("a loop without length or condition"),
        };
        open.length = Some(length);
        Ok(Running { open, carries, length, ys })
    }
    fn last(&mut self, running: &Running, i: usize) -> Term {
        let ty = self.terms.ty(running.carries[i]).clone();
        self.terms.close(&running.open, Wanted::Last(i), &ty)
    }
    fn stack(&mut self, running: &Running, y: Term) -> Term {
        let ty = stacked(self.terms.ty(y), running.length);
        self.terms.close(&running.open, Wanted::Y(y), &ty)
    }
    /// Final carries and ys, stacked.
    fn results(&mut self, running: &Running, n_carry: usize) -> Vec<Term> {
        let lasts: Vec<Term> = (0..n_carry).map(|i| self.last(running, i)).collect();
        let ys = running.ys.iter().map(|&y| self.stack(running, y));
        lasts.into_iter().chain(ys).collect()
    }

    fn scan(&mut self, scan: &Scan, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (consts, rest) = operands.split_at(scan.n_consts);
        let (inits, xs) = rest.split_at(scan.n_carry);
        let length = match scan.length {
            Some(n) => Length::Known(n),
            None => self.terms.length_of(xs[0]),
        };
        let (body, reverse) = (&*scan.body, scan.reverse);
        let l = Loop { body, cond: None, length: Some(length), reverse, consts, inits, xs, has_bits: false };
        let running = self.iterate(&l)?;
        Ok(self.results(&running, scan.n_carry))
    }
    fn while_loop(&mut self, op: &While, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (of_cond, rest) = operands.split_at(op.n_cond_consts);
        let (consts, inits) = rest.split_at(op.n_body_consts);
        let cond = Some((&*op.cond, of_cond));
        let l = Loop {
            body: &op.body,
            cond,
            length: None,
            reverse: false,
            consts,
            inits,
            xs: &[],
            has_bits: false,
        };
        let running = self.iterate(&l)?;
        Ok(self.results(&running, inits.len()))
    }

    fn record(&mut self, op: &Record, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (of_cond, rest) = operands.split_at(op.n_cond_consts);
        let (consts, rest) = rest.split_at(op.n_consts);
        let (starts, xs) = rest.split_at(op.n_carry);
        let (inits, claims): (Vec<Term>, Vec<Option<Term>>) =
            starts.iter().map(|&t| self.terms.claim(t)).unzip();
        let inits = &inits[..];
        let l = Loop {
            body: &op.body,
            cond: op.cond.as_ref().map(|cond| (&**cond, of_cond)),
            length: op.length.map(Length::Known),
            reverse: op.reverse,
            consts,
            inits,
            xs,
            has_bits: op.plan.passes_bits(),
        };
        let running = self.iterate(&l)?;
        let mut results = self.results(&running, op.n_carry);
        let states: Vec<Term> = (0..op.n_carry).map(|i| self.stack(&running, running.carries[i])).collect();
        if let Some(plain) = &op.plain {
            // What runs once the bits do not suffice.
            let running = self.iterate(&Loop { body: plain, has_bits: false, ..l })?;
            let own: Vec<Term> = (0..op.n_carry).map(|i| self.stack(&running, running.carries[i])).collect();
            let found = self.results(&running, op.n_carry);
            if let Some((&found, &expected)) =
                found.iter().chain(&own).zip(results.iter().chain(&states)).find(|(a, b)| a != b)
            {
                let reason = self.terms.difference(found, expected);
                return self.wrong(format!("the plain step is another one: {reason}"));
            }
        }
        match op.plan {
            Plan::Reverse | Plan::ReverseStep { .. } | Plan::ReverseWithin { .. } => {
                results.push(self.terms.make(Node::Bits(self.recorded.len()), &Type::bits()));
                self.recorded.push(Recorded {
                    plan: op.plan,
                    body: op.body.clone(),
                    consts: consts.to_vec(),
                    xs: xs.to_vec(),
                    starts: starts.to_vec(),
                    inits: inits.to_vec(),
                    claims,
                    lasts: results[..op.n_carry].to_vec(),
                    states: states.clone(),
                    length: running.length,
                    reverse: op.reverse,
                });
                if let (Plan::ReverseWithin { slots, .. }, Some(n)) = (op.plan, op.length) {
                    let rule = Kept::Binomial(slots);
                    for states in states {
                        let ty = self.terms.ty(states).unstacked().stacked(rule.n_states(n));
                        results.push(self.terms.make(Node::Checkpoints { states, rule }, &ty));
                    }
                }
            }
            Plan::Every(_) | Plan::Slots(_) => {
                let rule = Kept::of(op.plan, op.length.is_some());
                for states in states {
                    let ty = match op.length {
                        Some(n) => self.terms.ty(states).unstacked().stacked(rule.n_states(n)),
                        None => self.terms.ty(states).clone(),
                    };
                    results.push(self.terms.make(Node::Checkpoints { states, rule }, &ty));
                }
            }
        }
        if let Length::Counted(count) = running.length {
            results.push(count);
        }
        Ok(results)
    }

    fn replay(&mut self, op: &Replay, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
        let (consts, rest) = operands.split_at(op.n_consts);
        let n_tape = match op.plan {
            Plan::ReverseWithin { .. } => 3 * op.n_carry + 1,
            plan if plan.reverses() => 2 * op.n_carry + 1,
            _ => op.n_carry,
        };
        let (tape, rest) = rest.split_at(n_tape);
        let (length, rest) = match op.length {
            Some(n) => (Length::Known(n), rest),
            None => (Length::Counted(rest[0]), &rest[1..]),
        };
        let (xs, rest) = rest.split_at(op.n_xs);
        let (sweep_consts, rest) = rest.split_at(op.n_sweep_consts);
        let (sweep_inits, sweep_xs) = rest.split_at(op.n_sweep_carry);
        let states = match op.plan {
            Plan::Every(_) | Plan::Slots(_) => self.states_from_checkpoints(op, length, consts, tape, xs)?,
            Plan::Reverse | Plan::ReverseStep { .. } => {
                self.states_from_the_end(op, length, consts, tape, xs)?
            }
            Plan::ReverseWithin { slots, .. } => {
                // Both ways have to lead to the same states.
                let (tape, reserve) = tape.split_at(2 * op.n_carry + 1);
                let states = self.states_from_the_end(op, length, consts, tape, xs)?;
                let Some(plain) = &op.plain else { return self.unproved("no plain step for the reserve") };
                let in_slots = Replay { plan: Plan::Slots(slots), step: plain.clone(), ..op.clone() };
                if self.states_from_checkpoints(&in_slots, length, consts, reserve, xs)? != states {
                    return self.wrong("the states in reserve are not those that are reversed");
                }
                states
            }
        };
        // The rest is a scan over the states: `back` has them where its carries stand.
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let carries: Vec<Term> = (0..sweep_inits.len())
            .map(|i| {
                let ty = self.terms.ty(sweep_inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let mut rows = |all: &[Term]| all.iter().map(|&x| self.terms.row(step, x)).collect::<Vec<Term>>();
        let (before, xs, sweep_xs) = (rows(&states), rows(xs), rows(sweep_xs));
        let mut steps =
            self.run(&op.back, &[consts, &before, &xs, sweep_consts, &carries, &sweep_xs].concat())?;
        let ys = steps.split_off(carries.len());
        let inits = sweep_inits.to_vec();
        let open = Open { binder, length: Some(length), reverse: !op.reverse, inits, steps };
        let running = Running { open, carries, length, ys };
        Ok(self.results(&running, op.n_sweep_carry))
    }

    /// The states before each step, where the tape holds some of them and the step computes the others.
    fn states_from_checkpoints(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        tape: &[Term],
        xs: &[Term],
    ) -> Result<Vec<Term>, AuditError> {
        let expected = Kept::of(op.plan, op.length.is_some());
        let mut states = vec![];
        let mut inits = vec![];
        for (i, &of_tape) in tape.iter().enumerate() {
            let node = self.terms.node(of_tape);
            let Node::Checkpoints { states: of, rule: found } = &*node else {
                let found = self.terms.describe(of_tape);
                return self.wrong(format!("tape value {i}: found {found}, expected checkpoints of a loop"));
            };
            if *found != expected {
                return self.wrong(format!("tape value {i}: found a checkpoint {found}, read as {expected}"));
            }
            let Some(init) = self.terms.start_of(*of) else {
                return self.unproved(format!("tape value {i}: the checkpoints are not states of a loop"));
            };
            if let (Some(n), Some(&rows)) = (op.length, self.terms.ty(of_tape).shape.first())
                && rows != expected.n_states(n)
            {
                return self
                    .wrong(format!("tape value {i}: found {rows} checkpoints for {n} steps, {expected}"));
            }
            states.push(*of);
            inits.push(init);
        }
        if let Err(reason) = expected.visits_every_step(op.length) {
            return self.wrong(reason);
        }
        let (body, reverse) = (&*op.step, op.reverse);
        let l = Loop {
            body,
            cond: None,
            length: Some(length),
            reverse,
            consts,
            inits: &inits,
            xs,
            has_bits: false,
        };
        let running = self.iterate(&l)?;
        for (i, &expected) in states.iter().enumerate() {
            let found = self.stack(&running, running.carries[i]);
            if found != expected {
                let reason = self.terms.difference(found, expected);
                return self.wrong(format!("carry {i} is not computed again as it was recorded: {reason}"));
            }
        }
        Ok(states)
    }

    /// The states before each step, where the step undoes the recorded one from the last state on.
    fn states_from_the_end(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        tape: &[Term],
        xs: &[Term],
    ) -> Result<Vec<Term>, AuditError> {
        let (lasts, rest) = tape.split_at(op.n_carry);
        let (firsts, bits) = rest.split_at(op.n_carry);
        let node = self.terms.node(bits[0]);
        let Node::Bits(number) = *node else {
            let found = self.terms.describe(bits[0]);
            return self.unproved(format!("found {found}, expected the bits that a loop recorded"));
        };
        let recorded = &self.recorded[number];
        if recorded.plan != op.plan {
            let (found, expected) = (recorded.plan, op.plan);
            return self
                .wrong(format!("found bits recorded by the plan {found}, read by the plan {expected}"));
        }
        let (body, loop_consts, loop_xs) =
            (recorded.body.clone(), recorded.consts.clone(), recorded.xs.clone());
        let (inits, of_end, states) =
            (recorded.inits.clone(), recorded.lasts.clone(), recorded.states.clone());
        let (starts, claims) = (recorded.starts.clone(), recorded.claims.clone());
        if recorded.length != length || recorded.reverse != op.reverse || inits.len() != op.n_carry {
            return self
                .wrong("the recorded loop has another number of steps, direction or number of carries");
        }
        for (what, found, expected) in [("last", lasts, &of_end), ("first", firsts, &starts)] {
            if let Some(i) = (0..found.len()).find(|&i| found[i] != expected[i]) {
                let reason = self.terms.difference(found[i], expected[i]);
                return self
                    .wrong(format!("carry {i} of the {what} state is not the recorded one: {reason}"));
            }
        }
        if matches!(op.plan, Plan::ReverseStep { .. }) {
            self.guesses_are_the_recorded_ones(op, length, consts, &inits, xs, &states)?;
        }
        let binder = self.terms.fresh();
        let step = self.terms.symbol(binder, 0, &step_type());
        let mut before: Vec<Term> = (0..inits.len())
            .map(|i| {
                let ty = self.terms.ty(inits[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        if claims.iter().any(Option::is_some) {
            before = self.claimed_state(&body, &loop_consts, &loop_xs, &before, &inits, &claims)?;
        }
        if let Plan::ReverseStep { .. } = op.plan {
            let Some(exact) = &op.exact else { return Ok(states) };
            let rows: Vec<Term> = loop_xs.iter().map(|&x| self.terms.row(step, x)).collect();
            let mut after = self.run(&body, &[&loop_consts[..], &before, &rows].concat())?;
            after.truncate(op.n_carry);
            let rows: Vec<Term> = xs.iter().map(|&x| self.terms.row(step, x)).collect();
            let undone = self.run(exact, &[consts, &after, &rows].concat())?;
            let whole: Vec<usize> =
                (0..before.len()).filter(|&i| !self.terms.ty(before[i]).is_float()).collect();
            if let Some((&found, &i)) = undone.iter().zip(&whole).find(|(t, i)| **t != before[**i]) {
                let found = self.terms.describe(found);
                return self.wrong(format!("the exact inverse does not give carry {i} back: found {found}"));
            }
            return Ok(states);
        }
        let below = self.terms.symbol(binder, before.len() + 1, &Type::bits());
        let rows: Vec<Term> = loop_xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let after = self.run(&body, &[&loop_consts[..], &before, &rows, &[below]].concat())?;
        let (after, rest) = after.split_at(op.n_carry);
        let rows: Vec<Term> = xs.iter().map(|&x| self.terms.row(step, x)).collect();
        let undone = self.run(&op.step, &[consts, after, &rows, &rest[..1]].concat())?;
        let (state, bits) = undone.split_at(op.n_carry);
        if let Some(i) = (0..state.len()).find(|&i| state[i] != before[i]) {
            let found = self.terms.describe(state[i]);
            return self.wrong(format!("the inverse step does not give carry {i} back: found {found}"));
        }
        if bits[0] != below {
            let found = self.terms.describe(bits[0]);
            return self.wrong(format!(
                "the inverse step does not leave the bits as the step found them: found {found}"
            ));
        }
        Ok(states)
    }

    /// The state before a step, with the functions that the claims speak of in place of their carries; see Note [claims].
    fn claimed_state(
        &mut self,
        body: &Program,
        consts: &[Term],
        xs: &[Term],
        symbols: &[Term],
        inits: &[Term],
        claims: &[Option<Term>],
    ) -> Result<Vec<Term>, AuditError> {
        let after_step = |auditor: &mut Auditor, state: &dyn Fn(usize) -> Term| {
            let binder = auditor.terms.fresh();
            let step = auditor.terms.symbol(binder, 0, &step_type());
            let below = auditor.terms.symbol(binder, 1, &Type::bits());
            let rows: Vec<Term> = xs.iter().map(|&x| auditor.terms.row(step, x)).collect();
            let state: Vec<Term> = (0..symbols.len()).map(state).collect();
            auditor.run(body, &[consts, &state, &rows, &[below]].concat())
        };
        // Free symbols for the state, so that none of them is taken for what stands in the place of a carry after the step.
        let binder = self.terms.fresh();
        let free: Vec<Term> = (0..symbols.len())
            .map(|i| {
                let ty = self.terms.ty(symbols[i]).clone();
                self.terms.symbol(binder, i + 1, &ty)
            })
            .collect();
        let after = after_step(self, &|i| free[i])?;
        let others = || (0..symbols.len()).filter(|&i| claims[i].is_none());
        let to_symbols: HashMap<Term, Term> = others().map(|i| (after[i], symbols[i])).collect();
        let to_start: HashMap<Term, Term> = others().map(|i| (symbols[i], inits[i])).collect();
        let mut state = symbols.to_vec();
        for (i, claim) in claims.iter().enumerate() {
            let Some(expected) = *claim else { continue };
            let function = self.terms.replaced(after[i], &to_symbols);
            if self.terms.mentions(function, binder) {
                let found = self.terms.describe(after[i]);
                return self
                    .unproved(format!("that carry {i} after a step, {found}, is a function of the others"));
            }
            let at_start = self.terms.replaced(function, &to_start);
            if at_start != expected {
                let reason = self.terms.difference(expected, at_start);
                return self.wrong(format!("carry {i} starts by another function of the others: {reason}"));
            }
            state[i] = function;
        }
        let after = after_step(self, &|i| state[i])?;
        let to_after: HashMap<Term, Term> = others().map(|i| (symbols[i], after[i])).collect();
        for i in (0..symbols.len()).filter(|&i| claims[i].is_some()) {
            let expected = self.terms.replaced(state[i], &to_after);
            if after[i] != expected {
                let reason = self.terms.difference(after[i], expected);
                return self
                    .wrong(format!("carry {i} after a step is another function of the others: {reason}"));
            }
        }
        Ok(state)
    }

    /// The decisions on top, and what is below.
    fn pop_bits(&mut self, bits: Term, ty: &Type) -> Result<Vec<Term>, AuditError> {
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
    fn spill(&mut self, spill: &Spill, operands: &[Term], ty: &Type) -> Result<Term, AuditError> {
        let [below, v, r] = *operands else { return self.unproved("too few operands") };
        let node = Node::Push { below, update: spill.clone().into(), y: v, x: v, others: vec![r] };
        Ok(self.terms.make(node, ty))
    }
    /// Operands: bits, what `contract` made of a value and of its remainder.
    fn expand(&mut self, spill: &Spill, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
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

    /// Operands: a value and, inside a loop, the number of the step. See Note [draws].
    fn quantise(
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
    fn dequantise(&mut self, bits: u8, operands: &[Term], ty: &Type) -> Result<Term, AuditError> {
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

    /// Residuals say what guesses miss that a step makes. They are made right again if the guesses are the same, which
    /// follow from that step, its constants, its xs, the states after it and the number of corrections alone.
    fn guesses_are_the_recorded_ones(
        &mut self,
        op: &Replay,
        length: Length,
        consts: &[Term],
        inits: &[Term],
        xs: &[Term],
        states: &[Term],
    ) -> Result<(), AuditError> {
        let (body, reverse) = (&*op.step, op.reverse);
        let l = Loop { body, cond: None, length: Some(length), reverse, consts, inits, xs, has_bits: false };
        let running = self.iterate(&l)?;
        for (i, &expected) in states.iter().enumerate() {
            let found = self.stack(&running, running.carries[i]);
            if found != expected {
                let reason = self.terms.difference(found, expected);
                return self
                    .wrong(format!("carry {i} is guessed by another step than was recorded: {reason}"));
            }
        }
        Ok(())
    }

    /// Operands: bits, the result of the update, the old value, the other operands of the update.
    fn retain(&mut self, retain: &Retain, operands: &[Term], ty: &Type) -> Result<Term, AuditError> {
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
    fn is_update(&mut self, y: Term, x: Term, d: Term) -> bool {
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
    fn is_sum(&mut self, y: Term, x: Term, d: Term) -> bool {
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
    fn restore(&mut self, update: Update, operands: &[Term]) -> Result<Vec<Term>, AuditError> {
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

/// Which states of a loop the tape holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kept {
    /// Before every so many steps.
    Every(usize),
    /// About √T of an unknown number T: thinned out on the way.
    Online,
    /// Those of the binomial schedule in so many slots.
    Binomial(usize),
    /// At most so many of an unknown number: thinned out on the way.
    OnlineIn(usize),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Every(k) => write!(f, "every {k} steps"),
            Kept::Online => f.write_str("every growing number of steps"),
            Kept::Binomial(slots) => write!(f, "by the binomial schedule for {slots} slots"),
            Kept::OnlineIn(slots) => write!(f, "every growing number of steps in {slots} slots"),
        }
    }
}

impl Kept {
    fn of(plan: Plan, is_known: bool) -> Kept {
        match (plan, is_known) {
            (Plan::Slots(slots), true) => Kept::Binomial(slots),
            (Plan::Slots(slots), false) => Kept::OnlineIn(slots),
            (Plan::Every(k), true) => Kept::Every(k),
            _ => Kept::Online,
        }
    }
    fn n_states(self, n_steps: usize) -> usize {
        match self {
            Kept::Binomial(slots) => binomial_states(n_steps, slots).len(),
            Kept::Every(k) => n_steps.div_ceil(k.max(1)),
            Kept::Online | Kept::OnlineIn(_) => 0,
        }
    }
    fn visits_every_step(self, length: Option<usize>) -> Result<(), String> {
        match (self, length) {
            (Kept::Every(k), Some(n)) => schedule(n, k),
            (Kept::Binomial(slots), Some(n)) => visits_in_slots(n, slots, &binomial_states(n, slots)),
            (Kept::OnlineIn(slots), _) => (0..200).try_for_each(|n_steps| {
                let mut saved: Vec<usize> = vec![];
                let mut stride = 1;
                for step in 0..n_steps {
                    if step % stride == 0 {
                        saved.push(step);
                    }
                    while saved.len() > slots {
                        saved = saved.into_iter().step_by(2).collect();
                        stride *= 2;
                    }
                }
                visits_in_slots(n_steps, slots, &saved)
            }),
            _ => online_schedule(),
        }
    }
}

/// C(c + r, c) by Pascal's rule, up to a bound.
fn pascal(c: usize, r: usize, bound: usize) -> usize {
    let mut row = vec![1usize; r + 1];
    for _ in 0..c {
        for j in 1..=r {
            row[j] = row[j].saturating_add(row[j - 1]).min(bound);
        }
        if row[r] == bound {
            break;
        }
    }
    row[r]
}

/// Where the next state is put, of `n_steps` steps in `slots` slots.
fn binomial_split(n_steps: usize, slots: usize) -> usize {
    let bound = n_steps + 1;
    let r = (1..).find(|&r| pascal(slots, r, bound) >= n_steps).unwrap_or(1);
    let far = if r >= 2 { pascal(slots, r - 2, bound) } else { 1 };
    far.max(n_steps.saturating_sub(pascal(slots - 1, r, bound))).max(1).min(n_steps - 1)
}

fn binomial_states(n_steps: usize, slots: usize) -> Vec<usize> {
    let mut at: Vec<usize> = if n_steps > 0 { vec![0] } else { vec![] };
    while let Some(&last) = at.last() {
        if at.len() >= slots || n_steps - last < 2 {
            break;
        }
        at.push(last + binomial_split(n_steps - last, slots + 1 - at.len()));
    }
    if at.last().is_some_and(|last| last + 1 < n_steps) {
        at.push(n_steps - 1);
    }
    at
}

/// Follows a sweep that never holds more than `slots` states and the one it is at: each step must be visited once, last to first. Long loops
/// are followed step by step, without running them.
fn visits_in_slots(n_steps: usize, slots: usize, saved: &[usize]) -> Result<(), String> {
    let mut kept = saved.to_vec();
    let (mut end, mut n_visits) = (n_steps, 0);
    while let Some(&start) = kept.last() {
        if kept.len() > slots + usize::from(end - start.min(end) == 1) {
            return Err(format!("{} states are held, expected at most {slots}", kept.len()));
        }
        if start >= end {
            return Err(format!("step {end} of {n_steps}: the state before step {start} comes too late"));
        }
        let free = (slots + 1).saturating_sub(kept.len()).max(1);
        match end - start {
            1 => {
                kept.pop();
                (end, n_visits) = (start, n_visits + 1);
            }
            _ if free == 1 => (end, n_visits) = (end - 1, n_visits + 1),
            n => kept.push(start + binomial_split(n, free)),
        }
    }
    if end == 0 && n_visits == n_steps {
        Ok(())
    } else {
        Err(format!("steps 0..{end} of {n_steps} are never visited"))
    }
}

/// Follows the schedule of `n_steps` steps with a state every `stride` steps: each step must be visited once, last to
/// first, with its own state. Long loops are shortened to their first two segments and the last.
fn schedule(n_steps: usize, stride: usize) -> Result<(), String> {
    if stride == 0 {
        return Err("checkpoints 0 steps apart".into());
    }
    let short = if n_steps > 2000 { n_steps.min(2 * stride + (n_steps - 1) % stride + 1) } else { n_steps };
    let saved: Vec<usize> = (0..short).filter(|step| step % stride == 0).collect();
    visits(short, stride, &saved)
}

/// The same where the number of steps is found out on the way: states are thinned out as the loop goes on.
fn online_schedule() -> Result<(), String> {
    for n_steps in 0..200_usize {
        let (mut saved, mut stride) = (vec![], 1);
        for step in 0..n_steps {
            if step % stride == 0 {
                saved.push(step);
            }
            if saved.len() > 2 * stride {
                saved = saved.into_iter().step_by(2).collect();
                stride *= 2;
            }
        }
        let expected = (0..).map(|i| 1_usize << i).find(|k| n_steps.div_ceil(*k) <= 2 * k);
        if expected != Some(stride) {
            return Err(format!(
                "after {n_steps} steps: found a distance of {stride}, expected {expected:?}"
            ));
        }
        visits(n_steps, stride, &saved)?;
    }
    Ok(())
}

fn visits(n_steps: usize, stride: usize, saved: &[usize]) -> Result<(), String> {
    let mut next = n_steps;
    for (segment, &start) in saved.iter().enumerate().rev() {
        let first = segment * stride;
        let end = n_steps.min(first + stride);
        // states[i] is the state before step first + i
        let states: Vec<usize> = (start..).take(end.saturating_sub(first)).collect();
        for (step, state) in (first..end).zip(states).rev() {
            next = next.wrapping_sub(1);
            if (step, state) != (next, next) {
                return Err(format!(
                    "step {next} of {n_steps}: visits step {step} with the state before step {state}"
                ));
            }
        }
    }
    if next == 0 { Ok(()) } else { Err(format!("steps 0..{next} of {n_steps} are never visited")) }
}

/// Names a term: equal terms have equal names, and operands have smaller names than what is made of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Term(u32);

/// The number of steps of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Length {
    Known(usize),
    Counted(Term),
}

/// Which value of a finished loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Want {
    /// The first of the listed carries after the last step.
    Last,
    /// This value of each step, stacked in the order of the xs.
    Y(Term),
    /// How many steps there are for as long as this holds.
    Count(Term),
}

/// A finished loop; see Note [terms].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct LoopNode {
    level: u32,
    length: Option<Length>,
    reverse: bool,
    /// Start and step of each carry that matters.
    carries: Vec<(Term, Term)>,
    want: Want,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Node {
    Input(usize),
    /// Of a loop whose step is being read: 0 is the number of the step, then the carries.
    Symbol {
        binder: u32,
        index: usize,
    },
    /// Of a finished loop, numbered alike.
    Bound {
        level: u32,
        index: usize,
        ty: Type,
    },
    /// The row of a stack or list for a step.
    Row {
        step: Term,
        of: Term,
    },
    App {
        op: Prim,
        inputs: Vec<Term>,
        result: usize,
    },
    If {
        pred: Term,
        yes: Term,
        no: Term,
    },
    Loop(LoopNode),
    /// The length of a list that no loop made.
    LengthOf(Term),
    /// Some rows of a stack of states.
    Checkpoints {
        states: Term,
        rule: Kept,
    },
    /// What a recording loop starts with.
    NoBits,
    /// One entry more on a bit stack.
    Push {
        below: Term,
        update: Prim,
        y: Term,
        x: Term,
        others: Vec<Term>,
    },
    /// What the recorded loop of this number ends with.
    Bits(usize),
}

impl Node {
    /// Operands outside the scope of the symbols that the node binds.
    fn outer(&self) -> Vec<Term> {
        match self {
            Node::Input(_) | Node::Symbol { .. } | Node::Bound { .. } | Node::NoBits | Node::Bits(_) => {
                vec![]
            }
            Node::Row { step, of } => vec![*step, *of],
            Node::App { inputs, .. } => inputs.clone(),
            Node::If { pred, yes, no } => vec![*pred, *yes, *no],
            Node::LengthOf(list) => vec![*list],
            Node::Checkpoints { states, .. } => vec![*states],
            Node::Push { below, y, x, others, .. } => [&[*below, *y, *x], &others[..]].concat(),
            Node::Loop(l) => {
                let mut all: Vec<Term> = l.carries.iter().map(|c| c.0).collect();
                if let Some(Length::Counted(t)) = l.length {
                    all.push(t);
                }
                all
            }
        }
    }
    /// Operands inside it.
    fn inner(&self) -> Vec<Term> {
        let Node::Loop(l) = self else { return vec![] };
        let mut all: Vec<Term> = l.carries.iter().map(|c| c.1).collect();
        if let Want::Y(t) | Want::Count(t) = l.want {
            all.push(t);
        }
        all
    }
    /// The node with other operands.
    fn map(&self, of: &mut dyn FnMut(Term) -> Term, inside: bool) -> Node {
        let mut node = self.clone();
        match &mut node {
            Node::Input(_) | Node::Symbol { .. } | Node::Bound { .. } | Node::NoBits | Node::Bits(_) => {}
            Node::Row { step: a, of: b } => (*a, *b) = (of(*a), of(*b)),
            Node::App { inputs, .. } => inputs.iter_mut().for_each(|t| *t = of(*t)),
            Node::If { pred, yes, no } => (*pred, *yes, *no) = (of(*pred), of(*yes), of(*no)),
            Node::LengthOf(t) | Node::Checkpoints { states: t, .. } => *t = of(*t),
            Node::Push { below, y, x, others, .. } => {
                (*below, *y, *x) = (of(*below), of(*y), of(*x));
                others.iter_mut().for_each(|t| *t = of(*t));
            }
            Node::Loop(l) => {
                l.carries.iter_mut().for_each(|c| c.0 = of(c.0));
                if let Some(Length::Counted(t)) = &mut l.length {
                    *t = of(*t);
                }
                if inside {
                    l.carries.iter_mut().for_each(|c| c.1 = of(c.1));
                    if let Want::Y(t) | Want::Count(t) = &mut l.want {
                        *t = of(*t);
                    }
                }
            }
        }
        node
    }
}

/// A loop whose step has been read.
struct Open {
    binder: u32,
    length: Option<Length>,
    reverse: bool,
    inits: Vec<Term>,
    steps: Vec<Term>,
}

/// Which value of an open loop.
#[derive(Clone, Copy)]
enum Wanted {
    Last(usize),
    Y(Term),
    Count(Term),
}

/// What is known of a term.
struct Facts {
    ty: Type,
    /// The highest level of a loop in it.
    level: u32,
    /// The highest level of a bound symbol that is free in it; 0: there is none.
    free_level: u32,
    /// The newest binder of a free symbol in it; 0: there is none.
    binder: u32,
}

/// All terms.
#[derive(Default)]
struct Terms {
    nodes: Vec<Rc<Node>>,
    facts: Vec<Facts>,
    names: HashMap<Rc<Node>, Term>,
    /// Applications as written, and what they are.
    applied: HashMap<Node, Term>,
    rows: HashMap<(Term, Term), Term>,
    n_binders: u32,
}

impl Terms {
    fn node(&self, t: Term) -> Rc<Node> {
        self.nodes[t.0 as usize].clone()
    }
    fn facts(&self, t: Term) -> &Facts {
        &self.facts[t.0 as usize]
    }
    fn ty(&self, t: Term) -> &Type {
        &self.facts(t).ty
    }
    fn fresh(&mut self) -> u32 {
        self.n_binders += 1;
        self.n_binders
    }
    fn symbol(&mut self, binder: u32, index: usize, ty: &Type) -> Term {
        self.make(Node::Symbol { binder, index }, ty)
    }

    /// The term of a node, as it stands.
    fn make(&mut self, node: Node, ty: &Type) -> Term {
        if let Some(&t) = self.names.get(&node) {
            return t;
        }
        let (outer, inner) = (node.outer(), node.inner());
        let highest = |terms: &[Term], of: &dyn Fn(&Facts) -> u32| {
            terms.iter().map(|&t| of(self.facts(t))).max().unwrap_or(0)
        };
        let mut level = highest(&outer, &|f| f.level).max(highest(&inner, &|f| f.level));
        let mut free_level = highest(&outer, &|f| f.free_level);
        let mut binder = highest(&outer, &|f| f.binder).max(highest(&inner, &|f| f.binder));
        match &node {
            Node::Loop(l) => {
                level = level.max(l.level);
                let inside = highest(&inner, &|f| f.free_level);
                free_level = free_level.max(if inside > l.level { inside } else { 0 });
            }
            Node::Bound { level, .. } => free_level = *level,
            Node::Symbol { binder: of, .. } => binder = *of,
            _ => {}
        }
        let t = Term(self.nodes.len() as u32);
        let node = Rc::new(node);
        self.nodes.push(node.clone());
        self.facts.push(Facts { ty: ty.clone(), level, free_level, binder });
        self.names.insert(node, t);
        t
    }

    /// The result of an operation without bodies: constants by value and computed where that is possible; operations
    /// that undo each other, to the bit, gone.
    fn app(&mut self, op: &Prim, inputs: &[Term], result: usize, ty: &Type) -> Term {
        let written = Node::App { op: op.clone(), inputs: inputs.to_vec(), result };
        if let Some(&t) = self.applied.get(&written) {
            return t;
        }
        let t = self.folded(op, inputs, result, ty).or_else(|| self.shortened(op, inputs, ty));
        let t = t.unwrap_or_else(|| self.make(written.clone(), ty));
        self.applied.insert(written, t);
        t
    }
    fn value(&self, t: Term) -> Option<Array> {
        match &*self.nodes[t.0 as usize] {
            Node::App { op, inputs, .. } if inputs.is_empty() => op.as_constant(),
            _ => None,
        }
    }
    fn folded(&mut self, op: &Prim, inputs: &[Term], result: usize, ty: &Type) -> Option<Term> {
        let array = if inputs.is_empty() {
            op.as_constant()?
        } else {
            let operands: Vec<Array> = inputs.iter().map(|&t| self.value(t)).collect::<Option<_>>()?;
            op.fold(&operands)?.into_iter().nth(result)?
        };
        let fits = Type::of(&array) == *ty;
        fits.then(|| self.make(Node::App { op: Prim::constant(array), inputs: vec![], result: 0 }, ty))
    }
    /// Whether it is a constant of this entry everywhere, and of its sign.
    fn is_all(&self, t: Term, entry: f64) -> bool {
        let Some(array) = self.value(t) else { return false };
        let Some(entry) = Scalar::from_f64(array.dtype(), entry) else { return false };
        array.bits_eq(&Array::full(array.dtype(), array.shape().clone(), entry))
    }
    /// Predicate and both sides of a choice.
    fn choice(&self, t: Term) -> Option<[Term; 3]> {
        match &*self.nodes[t.0 as usize] {
            Node::App { op: Prim::Select(_), inputs, .. } => Some([inputs[0], inputs[1], inputs[2]]),
            Node::If { pred, yes, no } => Some([*pred, *yes, *no]),
            _ => None,
        }
    }
    fn application(&self, t: Term) -> Option<(Prim, Vec<Term>)> {
        let Node::App { op, inputs, .. } = &*self.nodes[t.0 as usize] else { return None };
        Some((op.clone(), inputs.clone()))
    }
    fn shortened(&mut self, op: &Prim, inputs: &[Term], ty: &Type) -> Option<Term> {
        let whole = ty.kind == Kind::Array && !ty.dtype.is_float();
        match (op, inputs) {
            (Prim::Neg(_), &[x]) => match self.application(x)? {
                (Prim::Neg(_), x) => Some(x[0]),
                _ => None,
            },
            (Prim::UnpackBits(_), &[x]) => match self.application(x)? {
                (Prim::PackBits(_), x) => (self.ty(x[0]) == ty).then_some(x[0]),
                _ => None,
            },
            (Prim::Reshape(_), &[x]) if self.ty(x) == ty => Some(x),
            (Prim::Reshape(outer), &[x]) => match self.application(x)? {
                (Prim::Reshape(_), x) => {
                    Some(self.app(&Reshape { shape: outer.shape.clone() }.into(), &x, 0, ty))
                }
                _ => None,
            },
            (Prim::Transpose(outer), &[x]) => {
                if outer.perm.iter().enumerate().all(|(i, p)| i == *p) {
                    return Some(x);
                }
                match self.application(x)? {
                    // axis i of the result is axis outer[i] of x, which is axis inner[outer[i]] of its operand
                    (Prim::Transpose(inner), x) => {
                        let perm = outer.perm.iter().map(|&i| inner.perm[i]).collect();
                        Some(self.app(&Transpose { perm }.into(), &x, 0, ty))
                    }
                    _ => None,
                }
            }
            (Prim::Slice(slice), &[x]) if slice.strides.iter().all(|s| *s == 1) => {
                match self.application(x)? {
                    (Prim::Concat(concat), pieces) => {
                        let mut start = 0;
                        pieces.into_iter().find(|&piece| {
                            let found = start == slice.starts[concat.axis] && self.ty(piece) == ty;
                            start += self.ty(piece).shape[concat.axis];
                            found
                        })
                    }
                    _ => None,
                }
            }
            // Rounding to a lattice is symmetric, so its sums can be undone by the negative increment.
            (Prim::LatticeAdd(_), &[p, minus]) => match self.application(p)? {
                (added @ Prim::LatticeAdd(_), q) => {
                    (added == *op && self.negated(q[1]) == minus).then_some(q[0])
                }
                _ => None,
            },
            // Whole numbers wrap, so sums can be undone.
            (Prim::Sub(_), &[p, q]) if whole => match (self.application(p), self.application(q)) {
                (Some((Prim::Add(_), s)), _) if s[1] == q => Some(s[0]),
                (Some((Prim::Add(_), s)), _) if s[0] == q => Some(s[1]),
                (Some((Prim::Sub(_), s)), _) if s[0] == q => Some(self.negated(s[1])),
                (Some((Prim::Sub(_), s)), _) if s[1] == self.negated(q) => Some(s[0]),
                (Some((Prim::Fma(_), s)), Some((Prim::Mul(_), product))) if s[..2] == product[..] => {
                    Some(s[2])
                }
                (_, Some((Prim::Sub(_), s))) if s[0] == p => Some(s[1]),
                _ if self.is_all(q, 0.0) => Some(p),
                // A choice of sums and the same choice of increments.
                _ => match (self.choice(p), self.choice(q)) {
                    (Some([chosen, yes, no]), Some([by, of_yes, of_no])) if chosen == by => {
                        let yes = self.app(op, &[yes, of_yes], 0, ty);
                        let no = self.app(op, &[no, of_no], 0, ty);
                        (yes == no).then_some(yes)
                    }
                    _ => None,
                },
            },
            (Prim::Add(_), &[p, q]) if whole => match (self.application(p), self.application(q)) {
                (Some((Prim::Sub(_), s)), _) if s[1] == q => Some(s[0]),
                (_, Some((Prim::Sub(_), s))) if s[1] == p => Some(s[0]),
                _ => None,
            },
            _ => None,
        }
    }
    /// The start of a carry and what it claims to be, see Note [claims].
    fn claim(&self, t: Term) -> (Term, Option<Term>) {
        match self.application(t) {
            Some((Prim::Agree(_), operands)) => (operands[0], Some(operands[1])),
            _ => (t, None),
        }
    }
    /// The term with other ones in place of some, the outermost first.
    fn replaced(&mut self, root: Term, map: &HashMap<Term, Term>) -> Term {
        let mut done: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(&[root], true, |f| f.binder > 0) {
            let new = match map.get(&t) {
                Some(&new) => new,
                None => {
                    let (node, ty) = (self.node(t), self.ty(t).clone());
                    let mut of = |t: Term| *done.get(&t).unwrap_or(&t);
                    match &*node {
                        Node::App { op, inputs, result } => {
                            let inputs: Vec<Term> = inputs.iter().map(|&t| of(t)).collect();
                            self.app(op, &inputs, *result, &ty)
                        }
                        Node::Row { step, of: stack } => {
                            let (step, stack) = (of(*step), of(*stack));
                            self.row(step, stack)
                        }
                        other => {
                            let renewed = other.map(&mut of, true);
                            self.make(renewed, &ty)
                        }
                    }
                }
            };
            done.insert(t, new);
        }
        *done.get(&root).unwrap_or(&root)
    }
    /// Whether a symbol of this binder is free in the term.
    fn mentions(&self, root: Term, binder: u32) -> bool {
        self.affected(&[root], true, |f| f.binder > 0)
            .iter()
            .any(|&t| matches!(*self.nodes[t.0 as usize], Node::Symbol { binder: of, .. } if of == binder))
    }
    fn negated(&mut self, t: Term) -> Term {
        let ty = self.ty(t).clone();
        self.app(&Neg.into(), &[t], 0, &ty)
    }

    fn length_of(&mut self, list: Term) -> Length {
        match &*self.node(list) {
            Node::Loop(LoopNode { length: Some(length), want: Want::Y(_), .. }) => *length,
            _ => Length::Counted(self.make(Node::LengthOf(list), &step_type())),
        }
    }
    /// The start of the carry of which these are the states before each step.
    fn start_of(&self, states: Term) -> Option<Term> {
        let node = self.node(states);
        let Node::Loop(l) = &*node else { return None };
        let Want::Y(y) = l.want else { return None };
        self.bound_carry(y, l.level).map(|i| l.carries[i].0)
    }
    fn bound_carry(&self, t: Term, of_level: u32) -> Option<usize> {
        match *self.node(t) {
            Node::Bound { level, index, .. } if level == of_level => index.checked_sub(1),
            _ => None,
        }
    }

    /// See Note [rows].
    fn row(&mut self, step: Term, of: Term) -> Term {
        if let Some(&t) = self.rows.get(&(step, of)) {
            return t;
        }
        let node = self.node(of);
        let t = match &*node {
            Node::Loop(l) if matches!(l.want, Want::Y(y) if self.bound_carry(y, l.level).is_none()) => {
                let Want::Y(y) = l.want else { unreachable!("just matched") };
                let states = self.states(l);
                let mut map = HashMap::new();
                map.insert(
                    self.make(Node::Bound { level: l.level, index: 0, ty: step_type() }, &step_type()),
                    step,
                );
                for (i, states) in states.into_iter().enumerate() {
                    let ty = self.ty(l.carries[i].0).clone();
                    let row = self.row(step, states);
                    map.insert(
                        self.make(Node::Bound { level: l.level, index: i + 1, ty: ty.clone() }, &ty),
                        row,
                    );
                }
                self.substitute(&[y], &map, l.level)[0]
            }
            _ => {
                let ty = self.ty(of).unstacked();
                self.make(Node::Row { step, of }, &ty)
            }
        };
        self.rows.insert((step, of), t);
        t
    }
    /// The states before each step of a loop, one stack per carry.
    fn states(&mut self, l: &LoopNode) -> Vec<Term> {
        let (open, carries, _) = self.open(l, &HashMap::new(), l.level);
        let Some(length) = l.length else { return vec![] };
        let mut states = vec![];
        for carry in carries {
            let ty = stacked(self.ty(carry), length);
            states.push(self.close(&open, Wanted::Y(carry), &ty));
        }
        states
    }

    /// A finished loop with free symbols again, `map` applied inside; with the symbols of its carries and what is wanted.
    fn open(&mut self, l: &LoopNode, map: &HashMap<Term, Term>, lowest: u32) -> (Open, Vec<Term>, Wanted) {
        let binder = self.fresh();
        let mut map = map.clone();
        let step = self.symbol(binder, 0, &step_type());
        map.insert(self.make(Node::Bound { level: l.level, index: 0, ty: step_type() }, &step_type()), step);
        let mut symbols = vec![];
        for (i, (init, _)) in l.carries.iter().enumerate() {
            let ty = self.ty(*init).clone();
            let symbol = self.symbol(binder, i + 1, &ty);
            map.insert(self.make(Node::Bound { level: l.level, index: i + 1, ty: ty.clone() }, &ty), symbol);
            symbols.push(symbol);
        }
        let mut steps = self.substitute(&Node::Loop(l.clone()).inner(), &map, lowest.min(l.level));
        let wanted = match l.want {
            Want::Last => Wanted::Last(0),
            Want::Y(_) => Wanted::Y(steps[l.carries.len()]),
            Want::Count(_) => Wanted::Count(steps[l.carries.len()]),
        };
        steps.truncate(l.carries.len());
        let inits = l.carries.iter().map(|c| c.0).collect();
        (Open { binder, length: l.length, reverse: l.reverse, inits, steps }, symbols, wanted)
    }

    /// The term of one result of a loop; see Note [terms].
    fn close(&mut self, open: &Open, wanted: Wanted, ty: &Type) -> Term {
        // Carries in the order in which the result reaches them.
        let mut order: Vec<usize> = vec![];
        let mut found = vec![false; open.steps.len()];
        let mut seen = HashSet::new();
        match wanted {
            Wanted::Last(i) => {
                order.push(i);
                found[i] = true;
            }
            Wanted::Y(t) | Wanted::Count(t) => self.reach(open.binder, t, &mut seen, &mut found, &mut order),
        }
        let mut next = 0;
        while next < order.len() {
            self.reach(open.binder, open.steps[order[next]], &mut seen, &mut found, &mut order);
            next += 1;
        }
        let mut inside: Vec<Term> = order.iter().map(|&i| open.steps[i]).collect();
        if let Wanted::Y(t) | Wanted::Count(t) = wanted {
            inside.push(t);
        }
        let level = 1 + inside.iter().map(|&t| self.facts(t).level).max().unwrap_or(0);
        let mut position = vec![0; open.steps.len() + 1];
        order.iter().enumerate().for_each(|(new, &old)| position[old + 1] = new + 1);
        let inside = self.bind(&inside, open.binder, level, &position);
        let want = match wanted {
            Wanted::Last(_) => Want::Last,
            Wanted::Y(_) => Want::Y(inside[order.len()]),
            Wanted::Count(_) => Want::Count(inside[order.len()]),
        };
        let carries = order.iter().map(|&i| open.inits[i]).zip(inside).collect();
        // How long a loop runs does not matter to how often its condition holds.
        let length = if matches!(wanted, Wanted::Count(_)) { None } else { open.length };
        self.make(Node::Loop(LoopNode { level, length, reverse: open.reverse, carries, want }), ty)
    }
    fn reach(
        &self,
        binder: u32,
        root: Term,
        seen: &mut HashSet<Term>,
        found: &mut [bool],
        order: &mut Vec<usize>,
    ) {
        let mut pending = vec![root];
        while let Some(t) = pending.pop() {
            if self.facts(t).binder < binder || !seen.insert(t) {
                continue;
            }
            let node = &self.nodes[t.0 as usize];
            if let Node::Symbol { binder: of, index } = **node
                && of == binder
                && index > 0
                && !std::mem::replace(&mut found[index - 1], true)
            {
                order.push(index - 1);
            }
            pending.extend(node.inner().into_iter().rev());
            pending.extend(node.outer().into_iter().rev());
        }
    }
    /// Terms that `is_affected` among those the roots are made of, operands first.
    fn affected(&self, roots: &[Term], inside: bool, is_affected: impl Fn(&Facts) -> bool) -> Vec<Term> {
        let mut all: Vec<Term> = vec![];
        let mut seen = HashSet::new();
        let mut pending = roots.to_vec();
        while let Some(t) = pending.pop() {
            if is_affected(self.facts(t)) && seen.insert(t) {
                all.push(t);
                let node = &self.nodes[t.0 as usize];
                pending.extend(node.outer());
                if inside {
                    pending.extend(node.inner());
                }
            }
        }
        all.sort_unstable();
        all
    }
    /// Binds the free symbols of a binder.
    fn bind(&mut self, roots: &[Term], binder: u32, level: u32, position: &[usize]) -> Vec<Term> {
        let mut bound: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(roots, true, |f| f.binder >= binder) {
            let (node, ty) = (self.node(t), self.ty(t).clone());
            let new = match *node {
                Node::Symbol { binder: of, index } if of == binder => {
                    Node::Bound { level, index: position[index], ty: ty.clone() }
                }
                _ => node.map(&mut |t| *bound.get(&t).unwrap_or(&t), true),
            };
            let new = self.make(new, &ty);
            bound.insert(t, new);
        }
        roots.iter().map(|t| *bound.get(t).unwrap_or(t)).collect()
    }
    /// Replaces bound symbols, none of which is below level `lowest`, by terms without bound symbols.
    fn substitute(&mut self, roots: &[Term], map: &HashMap<Term, Term>, lowest: u32) -> Vec<Term> {
        let mut done: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(roots, false, |f| f.free_level >= lowest) {
            if let Some(&new) = map.get(&t) {
                done.insert(t, new);
                continue;
            }
            let mut of = |t: Term| *done.get(&t).unwrap_or(&t);
            let (node, ty) = (self.node(t), self.ty(t).clone());
            let new = match &*node {
                Node::Row { step, of: stack } => {
                    let (step, stack) = (of(*step), of(*stack));
                    self.row(step, stack)
                }
                Node::App { op, inputs, result } => {
                    let inputs: Vec<Term> = inputs.iter().map(|&t| of(t)).collect();
                    self.app(op, &inputs, *result, &ty)
                }
                Node::Loop(l) => {
                    let Node::Loop(renewed) = node.map(&mut of, false) else {
                        unreachable!("loops stay loops")
                    };
                    let inside = node.inner().iter().map(|&t| self.facts(t).free_level).max().unwrap_or(0);
                    if inside > l.level {
                        let (open, _, wanted) = self.open(&renewed, map, lowest);
                        self.close(&open, wanted, &ty)
                    } else {
                        self.make(Node::Loop(renewed), &ty)
                    }
                }
                other => {
                    let renewed = other.map(&mut of, false);
                    self.make(renewed, &ty)
                }
            };
            done.insert(t, new);
        }
        roots.iter().map(|t| *done.get(t).unwrap_or(t)).collect()
    }

    /// A few words for a term.
    fn describe(&self, t: Term) -> String {
        let ty = self.ty(t);
        match &*self.nodes[t.0 as usize] {
            Node::Input(i) => format!("input {i} ({ty})"),
            Node::Symbol { index: 0, .. } | Node::Bound { index: 0, .. } => "the number of the step".into(),
            Node::Symbol { index, .. } | Node::Bound { index, .. } => format!("carry {} ({ty})", index - 1),
            Node::Row { of, .. } => format!("this step's row of {}", self.describe(*of)),
            Node::App { op, inputs, .. } => match inputs[..] {
                [] => format!("{} ({ty})", op.name()),
                _ => format!(
                    "{} of {} ({ty})",
                    op.name(),
                    inputs.iter().map(|&t| self.word(t)).collect::<Vec<_>>().join(", ")
                ),
            },
            Node::If { .. } => format!("cond ({ty})"),
            Node::Loop(LoopNode { want: Want::Last, .. }) => format!("a last carry ({ty})"),
            Node::Loop(l @ LoopNode { want: Want::Y(y), .. }) => match self.bound_carry(*y, l.level) {
                Some(_) => format!("the states of a loop ({ty})"),
                None => format!("a stack of {}", self.describe(*y)),
            },
            Node::Loop(_) => "a number of steps".into(),
            Node::LengthOf(_) => "the length of a list".into(),
            Node::Checkpoints { states, rule } => format!("checkpoints {rule} of {}", self.describe(*states)),
            Node::NoBits => "no bits".into(),
            Node::Push { x, .. } => format!("bits with those of {} on top", self.describe(*x)),
            Node::Bits(_) => "the bits of a loop".into(),
        }
    }
    fn word(&self, t: Term) -> String {
        match &*self.nodes[t.0 as usize] {
            Node::App { op, .. } => op.name().into(),
            Node::Row { .. } => "a row".into(),
            _ => self.describe(t),
        }
    }
    /// The innermost difference, first operands first.
    fn difference(&self, found: Term, expected: Term) -> String {
        let (f, e) = (self.node(found), self.node(expected));
        let same_head = match (&*f, &*e) {
            (Node::Loop(f), Node::Loop(e)) if f.length != e.length && f.carries.len() == e.carries.len() => {
                return match (f.length, e.length) {
                    (Some(Length::Known(f)), Some(Length::Known(e))) => {
                        format!("found a loop of {f} steps, expected {e}")
                    }
                    _ => "found a loop of another number of steps".into(),
                };
            }
            (Node::Loop(f), Node::Loop(e)) => {
                let words = |w: &Want| std::mem::discriminant(w);
                if f.reverse != e.reverse {
                    return "found a loop in the other direction".into();
                }
                f.carries.len() == e.carries.len() && words(&f.want) == words(&e.want)
            }
            (Node::App { op: f, result: i, .. }, Node::App { op: e, result: j, .. }) => f == e && i == j,
            (f, e) => std::mem::discriminant(f) == std::mem::discriminant(e),
        };
        let of_found = [f.outer(), f.inner()].concat();
        let of_expected = [e.outer(), e.inner()].concat();
        if same_head
            && of_found.len() == of_expected.len()
            && let Some((&f, &e)) = of_found.iter().zip(&of_expected).find(|(f, e)| f != e)
        {
            return self.difference(f, e);
        }
        format!("found {}, expected {}", self.describe(found), self.describe(expected))
    }
}
