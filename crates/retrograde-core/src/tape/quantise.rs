//! Coefficients in few bits. A coefficient is a value of the forward part that an equation multiplies a cotangent by.
//!
//! What a backward part computes is a sum of products of cotangents and coefficients. With a coefficient replaced by a
//! random number of the same mean, drawn independently of all others, the mean of each product stays what it was, as long
//! as the product has that number as a factor at most once: the first-order derivative is unbiased. Nothing of that holds
//! for values that go through anything else, such as a state from which the backward part rebuilds a cosine. So this pass
//! runs before minimisation chooses what to keep: it puts `dequantise (quantise x)` in the place of each coefficient, and
//! minimisation takes the pair for a value that may be kept at the bytes of its codes or rebuilt from x. Where x costs less, is
//! kept anyway, or is at hand, the pair goes again (Note [pairs]). Minimising first would quantise what others are rebuilt
//! from, 1 - y² from y for instance, of which the mean is another.
//!
//! Each value has a set of draws that its products may hold. A multiplication takes a draw of the coefficient that the cotangent
//! does not hold yet, else a draw of its own of the same value (which costs its bytes once more). Where something that is not
//! linear takes a cotangent (a clipped adjoint), draws before it would bias it: they are given up. The sweep over a
//! loop takes rows of stacks; the loop draws each row for itself, keyed by the number of the step, and a step meets its own
//! rows once. What is the same in every step, the factor of all steps, stays exact; so do loops of unknown length and
//! those inside loops that replay, which have no number of the step at hand.
//!
//! Only what depends on the seeds is a backward part: with derivatives of derivatives, the sweep that comes last. Inner
//! derivatives are forward part to it and stay exact, so that this law holds of every derivative by reverse mode.
//! Source: J. Chen et al. 2021, ActNN, Theorem 1, for independent rounding of activations; the sets of draws are our own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::minimise::producers;
use crate::ir::{Equation, Kind, Location, Op, Type, ValueId, simplify};
use crate::prim::dequantise::Dequantise;
use crate::prim::iota::Iota;
use crate::prim::quantise::Quantise;
use crate::prim::scan::Scan;
use crate::prim::{Builder, Prim, Program, Tape, bodies};
use retrograde_array::DType;

// Note [pairs]
// A pair is an equation `quantise` and one `dequantise` that reads both its results. Outside this pass and the choice that
// minimisation makes, a pair is kept (its codes and grids cross to the backward part, which has the `dequantise`), or it
// is dissolved: what reads the `dequantise` reads the operand of the `quantise`.

/// The program with pairs around the coefficients that `default`, a region or a loop says to quantise, and remarks for the
/// report.
pub(super) fn insert_pairs(program: &Program, n_seeds: usize, default: Tape) -> (Program, Vec<String>) {
    let (program, policies) = opened(program, default);
    let mut given_up = GivenUp::default();
    let plan = loop {
        match Planner::new(&program, &policies, n_seeds, &given_up).plan() {
            Ok(plan) => break plan,
            Err(more) => given_up.add(more),
        }
    };
    let mut notes = given_up.notes;
    notes.extend(plan.notes.iter().cloned());
    (simplify(&write(&program, &plan)), notes)
}

/// Whether anything says so.
pub(super) fn is_asked_for(program: &Program, default: Tape) -> bool {
    let says = |policy: Option<Tape>| matches!(policy, Some(Tape::Quantise { .. }));
    says(Some(default))
        || program.equations.iter().any(|e| match &e.op {
            Prim::Scan(scan) => says(scan.policy),
            Prim::While(l) => says(l.policy),
            Prim::Call(call) => says(call.policy) || is_asked_for(&call.body, Tape::Store),
            _ => false,
        })
}

/// How many bits are asked for that there are not.
pub(super) fn impossible_bits(program: &Program, default: Tape) -> Option<u8> {
    let wrong = |policy: Option<Tape>| match policy {
        Some(Tape::Quantise { bits, .. }) if !(1..=8).contains(&bits) => Some(bits),
        _ => None,
    };
    wrong(Some(default)).or_else(|| {
        program.equations.iter().find_map(|e| match &e.op {
            Prim::Scan(scan) => wrong(scan.policy),
            Prim::While(l) => wrong(l.policy),
            Prim::Call(call) => wrong(call.policy).or_else(|| impossible_bits(&call.body, Tape::Store)),
            _ => None,
        })
    })
}

/// The value behind a pair, if `v` is one's result; and the codes and the grids.
pub(super) fn pair(
    program: &Program,
    producer: &[Option<usize>],
    v: ValueId,
) -> Option<(ValueId, [ValueId; 2])> {
    let of = |v: ValueId| producer[v.index()].map(|e| &program.equations[e]);
    let outer = of(v).filter(|e| matches!(e.op, Prim::Dequantise(_)))?;
    let inner = of(outer.inputs[0]).filter(|e| matches!(e.op, Prim::Quantise(_)))?;
    Some((inner.inputs[0], [outer.inputs[0], outer.inputs[1]]))
}

/// The `quantise` that a value comes from, which may stand in the body of a loop.
pub(super) fn quantiser(equation: &Equation<Prim>, v: ValueId) -> Option<&Quantise> {
    match &equation.op {
        Prim::Quantise(op) => Some(op),
        Prim::Scan(scan) => {
            let at = equation.outputs.iter().position(|o| *o == v).filter(|at| *at >= scan.n_carry)?;
            let inside = scan.body.outputs[at];
            let maker = scan.body.equations.iter().find(|e| e.outputs.contains(&inside))?;
            quantiser(maker, inside)
        }
        _ => None,
    }
}

/// The program without the pairs whose result `goes`.
pub(super) fn dissolve(program: &Program, goes: &dyn Fn(ValueId) -> bool) -> Program {
    let producer = producers(program);
    let mut program = program.clone();
    let mut behind: HashMap<ValueId, ValueId> = HashMap::new();
    for v in (0..program.types.len() as u32).map(ValueId) {
        if let Some((x, _)) = pair(&program, &producer, v).filter(|_| goes(v)) {
            behind.insert(v, x);
        }
    }
    let of = |v: &mut ValueId| *v = behind.get(v).copied().unwrap_or(*v);
    program.equations.iter_mut().flat_map(|e| &mut e.inputs).for_each(of);
    program.outputs.iter_mut().for_each(of);
    program
}

/// The program whose loops leave no stack of what a pair makes: those that minimisation did not reach.
pub(super) fn dissolve_stacks(program: &Program) -> Program {
    let mut program = program.clone();
    for equation in &mut program.equations {
        if let Prim::Scan(scan) = &equation.op {
            let producer = producers(&scan.body);
            if scan.body.outputs.iter().any(|v| pair(&scan.body, &producer, *v).is_some()) {
                equation.op = Scan { body: Arc::new(dissolve(&scan.body, &|_| true)), ..scan.clone() }.into();
            }
        }
    }
    program
}

/// The program with the draws of another seed.
///
/// ```
/// use retrograde_core::ir::{parse, print};
/// use retrograde_core::tape::reseeded;
/// let text = "program(x:f32[9]) {\n  c:u8[9], g:f32[1,2] = quantise[bits=8, seed=0, draw=0] x\n  return c, g\n}";
/// assert!(print(&reseeded(&parse(text)?, 7)).contains("seed=7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reseeded(program: &Program, seed: u64) -> Program {
    let mut program = program.clone();
    for equation in &mut program.equations {
        match &mut equation.op {
            Prim::Quantise(op) => op.seed = seed,
            op if op.has_bodies() => *op = op.map_bodies(&mut |body| reseeded(body, seed)),
            _ => {}
        }
    }
    program
}

/// The regions opened that a pair may stand in, and the policy that each equation stands under.
fn opened(program: &Program, default: Tape) -> (Program, Vec<Tape>) {
    fn copy(
        b: &mut Builder,
        program: &Program,
        operands: &[ValueId],
        policy: Tape,
        policies: &mut Vec<Tape>,
    ) -> Vec<ValueId> {
        let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
        program.inputs.iter().zip(operands).for_each(|(v, o)| map[v.index()] = Some(*o));
        let saved = b.location;
        for equation in &program.equations {
            b.location = equation.location.or(saved);
            let inputs: Vec<ValueId> = equation.inputs.iter().map(|&v| defined(&map, v)).collect();
            let outputs = match &equation.op {
                Prim::Call(call) if call.policy != Some(Tape::Recompute) => {
                    copy(b, &call.body, &inputs, call.policy.unwrap_or(policy), policies)
                }
                op => {
                    policies.push(policy);
                    b.emit(op.clone(), &inputs)
                }
            };
            equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
        }
        b.location = saved;
        program.outputs.iter().map(|&v| defined(&map, v)).collect()
    }
    let (mut b, mut policies) = (Builder::new(), vec![]);
    let inputs: Vec<ValueId> = program.input_types().into_iter().map(|ty| b.input(ty)).collect();
    let outputs = copy(&mut b, program, &inputs, default, &mut policies);
    (b.finish(outputs), policies)
}

fn defined(map: &[Option<ValueId>], v: ValueId) -> ValueId {
    map[v.index()].expect("a value is used before its definition; this is a bug in retrograde")
}

/// What one coefficient becomes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Draw {
    number: usize,
    bits: u8,
    seed: u64,
}

/// Sets of draws, by number.
#[derive(Clone, Default, PartialEq, Debug)]
struct Draws(Vec<u64>);

impl Draws {
    fn insert(&mut self, number: usize) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        self.0[number / 64] |= 1 << (number % 64);
    }
    fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
    fn join(&mut self, other: &Draws) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }
    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// Which value a draw is of: of the program, or the parameter of a sweep (its equation, its operand).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Of {
    Value(ValueId),
    Operand(usize, usize),
}

/// What must stay exact, as found so far.
#[derive(Default)]
struct GivenUp {
    exact: HashSet<Of>,
    notes: Vec<String>,
}

/// Draws that reach an equation that is not linear.
struct More {
    exact: Vec<Of>,
    op: &'static str,
    location: Option<Location>,
}

impl GivenUp {
    fn add(&mut self, more: More) {
        let place = more.location.map(|l| format!(" at {l}")).unwrap_or_default();
        let note = format!(
            "{}{place}: not linear in the cotangent it takes: coefficients on the way there stay exact",
            more.op
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self.exact.extend(more.exact);
    }
}

/// An operand of an equation.
type Use = (usize, usize);
/// The equation of a loop, and one of its results.
type Stack = (usize, usize);

/// How a use reads its coefficient: moved by these equations from the value that is drawn.
#[derive(Clone, Debug)]
struct Read {
    draw: Draw,
    of: ValueId,
    moves: Vec<Prim>,
}

/// What to write for one sweep over a loop.
#[derive(Clone, Debug, Default)]
struct Rows {
    /// For uses in the body: the index of the row, and what moves it.
    reads: HashMap<Use, (usize, Vec<Prim>)>,
    /// Each drawn row: the operand that it is of.
    rows: Vec<(Draw, usize)>,
}

#[derive(Default)]
struct Plan {
    reads: HashMap<Use, Read>,
    sweeps: HashMap<usize, Rows>,
    /// Rows that a loop draws: loop equation -> (draw, result).
    of_loops: HashMap<usize, Vec<(Draw, usize)>>,
    notes: Vec<String>,
}

struct Planner<'a> {
    program: &'a Program,
    policies: &'a [Tape],
    given_up: &'a GivenUp,
    producer: Vec<Option<usize>>,
    after: Vec<bool>,
    /// What each draw is of.
    drawn: Vec<Of>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(program: &'a Program, policies: &'a [Tape], n_seeds: usize, given_up: &'a GivenUp) -> Planner<'a> {
        let n_inputs = program.inputs.len() - n_seeds;
        let is_seed: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_inputs).collect();
        let mut after = bodies::depending(program, &is_seed);
        for equation in &program.equations {
            if equation.inputs.iter().chain(&equation.outputs).any(|v| after[v.index()]) {
                equation.outputs.iter().for_each(|v| after[v.index()] = true);
            }
        }
        let producer = producers(program);
        Planner { program, policies, given_up, producer, after, drawn: vec![], plan: Plan::default() }
    }

    fn plan(mut self) -> Result<Plan, More> {
        let program = self.program;
        let mut held: Vec<Draws> = vec![Draws::default(); program.types.len()];
        // The draws there are of each value.
        let mut draws_of: HashMap<ValueId, Vec<Draw>> = HashMap::new();
        for (e, equation) in program.equations.iter().enumerate() {
            let linear: Vec<bool> = equation.inputs.iter().map(|v| self.after[v.index()]).collect();
            if !linear.contains(&true) {
                continue;
            }
            let mut all = Draws::default();
            equation.inputs.iter().for_each(|v| all.join(&held[v.index()]));
            if linearly(&equation.op, &linear, equation.outputs.len()).is_none() {
                if !all.is_empty() {
                    return Err(self.more(&all, equation));
                }
            } else if let Prim::Scan(sweep) = &equation.op {
                for draw in self.sweep(e, sweep, &linear) {
                    all.insert(draw.number);
                }
            } else if let Tape::Quantise { bits, seed } = self.policies[e]
                && let Some(at) = factor(&equation.op, &linear)
            {
                let (of, moves) = unmoved(program, &self.producer, equation.inputs[at]);
                if self.is_worth_drawing(of, bits) && !self.given_up.exact.contains(&Of::Value(of)) {
                    let draws = draws_of.entry(of).or_default();
                    let found = draws.iter().copied().find(|d| d.bits == bits && !all.contains(d.number));
                    let draw = found.unwrap_or_else(|| {
                        self.drawn.push(Of::Value(of));
                        let draw = Draw { number: self.drawn.len() - 1, bits, seed };
                        draws.push(draw);
                        draw
                    });
                    all.insert(draw.number);
                    self.plan.reads.insert((e, at), Read { draw, of, moves });
                }
            }
            equation.outputs.iter().for_each(|v| held[v.index()].join(&all));
        }
        Ok(self.plan)
    }

    fn more(&self, all: &Draws, equation: &Equation<Prim>) -> More {
        let exact = (0..self.drawn.len()).filter(|&i| all.contains(i)).map(|i| self.drawn[i]).collect();
        More { exact, op: equation.op.name(), location: equation.location }
    }

    /// Floats that some equation made from something, in fewer bytes.
    fn is_worth_drawing(&self, v: ValueId, bits: u8) -> bool {
        let made = self.producer[v.index()].is_some_and(|e| !self.program.equations[e].inputs.is_empty());
        made && saves(self.program.ty(v), bits)
    }

    /// Plans the rows that a sweep over a loop reads, and returns their draws.
    fn sweep(&mut self, e: usize, sweep: &Scan, linear: &[bool]) -> Vec<Draw> {
        let program = self.program;
        let equation = &program.equations[e];
        let head = sweep.n_consts + sweep.n_carry;
        let Some(length) = sweep.length else {
            self.note(
                equation,
                e,
                "a loop of unknown length has no number of the step to draw by: stored exactly",
            );
            return vec![];
        };
        // The result of which loop a row is, if it is; and in how many bits to draw it.
        let operand =
            |i: usize| -> Option<(Option<Stack>, u8, u64)> {
                let v = equation.inputs[i];
                let at = self.producer[v.index()]?;
                let maker = &program.equations[at];
                let of_loop = match &maker.op {
                    Prim::Scan(l) => {
                        maker.outputs.iter().position(|o| *o == v).filter(|y| *y >= l.n_carry).map(|y| (l, y))
                    }
                    _ => None,
                };
                let policy = match of_loop {
                    Some((l, _)) => l.policy.unwrap_or(self.policies[at]),
                    None => sweep.policy.unwrap_or(self.policies[e]),
                };
                let Tape::Quantise { bits, seed } = policy else { return None };
                if self.given_up.exact.contains(&Of::Operand(e, i)) {
                    return None;
                }
                match of_loop {
                    Some((l, y)) => {
                        let inside = l.body.outputs[y];
                        let of =
                            producers(&l.body)[inside.index()].map(|m| l.body.equations[m].inputs.is_empty());
                        let is_constant = of.unwrap_or(false);
                        (l.length == Some(length) && !is_constant && saves(l.body.ty(inside), bits))
                            .then_some((Some((at, y)), bits, seed))
                    }
                    None => (self.is_worth_drawing(v, bits)).then_some((None, bits, seed)),
                }
            };
        let body = &sweep.body;
        let lin = in_body(sweep, linear);
        let producer = producers(body);
        let mut held: Vec<Draws> = vec![Draws::default(); body.types.len()];
        let mut rows = Rows::default();
        let mut planned: Vec<(Draw, Option<Stack>, usize)> = vec![];
        let mut n_drawn = self.drawn.len();
        for (at_eqn, inner) in body.equations.iter().enumerate() {
            let marks: Vec<bool> = inner.inputs.iter().map(|v| lin[v.index()]).collect();
            if !marks.contains(&true) {
                continue;
            }
            let mut all = Draws::default();
            inner.inputs.iter().for_each(|v| all.join(&held[v.index()]));
            if let Some(at) = factor(&inner.op, &marks) {
                let (of, moves) = unmoved(body, &producer, inner.inputs[at]);
                let x = body.inputs.iter().position(|p| *p == of).filter(|x| *x >= head);
                if let Some(x) = x
                    && let Some((of_loop, bits, seed)) = operand(x)
                {
                    let found = planned
                        .iter()
                        .position(|(draw, _, operand)| *operand == x && !all.contains(draw.number));
                    let row = found.unwrap_or_else(|| {
                        planned.push((Draw { number: n_drawn, bits, seed }, of_loop, x));
                        n_drawn += 1;
                        planned.len() - 1
                    });
                    all.insert(planned[row].0.number);
                    rows.reads.insert((at_eqn, at), (row, moves));
                }
            }
            inner.outputs.iter().for_each(|v| held[v.index()].join(&all));
        }
        for (draw, of_loop, x) in &planned {
            self.drawn.push(Of::Operand(e, *x));
            if let Some((maker, y)) = of_loop {
                self.plan.of_loops.entry(*maker).or_default().push((*draw, *y));
            }
            rows.rows.push((*draw, *x));
        }
        if !rows.rows.is_empty() {
            self.plan.sweeps.insert(e, rows);
        }
        planned.into_iter().map(|(draw, ..)| draw).collect()
    }

    fn note(&mut self, equation: &Equation<Prim>, e: usize, text: &str) {
        let policy = match &equation.op {
            Prim::Scan(scan) => scan.policy.unwrap_or(self.policies[e]),
            _ => self.policies[e],
        };
        if matches!(policy, Tape::Quantise { .. }) {
            let place = equation.location.map(|l| format!(" at {l}")).unwrap_or_default();
            self.plan.notes.push(format!("{}{place}: {text}", equation.op.name()));
        }
    }
}

/// Whether codes and grids take fewer bytes.
fn saves(ty: &Type, bits: u8) -> bool {
    let bytes = |ty: &Type| ty.size_bytes();
    ty.kind == Kind::Array
        && ty.is_float()
        && Quantise::codes_and_grids(&ty.shape, bits).iter().map(bytes).sum::<usize>() < ty.size_bytes()
}

/// Which values of a sweep's body depend on linear operands, closed over the carries.
fn in_body(sweep: &Scan, linear: &[bool]) -> Vec<bool> {
    let mut marks = linear.to_vec();
    loop {
        let lin = bodies::depending(&sweep.body, &marks);
        let mut grew = false;
        for (i, v) in sweep.body.outputs[..sweep.n_carry].iter().enumerate() {
            let mark = &mut marks[sweep.n_consts + i];
            grew |= lin[v.index()] && !*mark;
            *mark |= lin[v.index()];
        }
        if !grew {
            return lin;
        }
    }
}

/// Which results depend on the marked operands, if all that do so linearly, bodies included. What a loop carries may start
/// with a value that does not: its sum with others is no linear function, but has the mean that it should.
fn linearly(op: &Prim, marks: &[bool], n_results: usize) -> Option<Vec<bool>> {
    let through = |body: &Program, marks: &[bool]| -> Option<Vec<bool>> {
        let mut reached = vec![false; body.types.len()];
        body.inputs.iter().zip(marks).for_each(|(v, mark)| reached[v.index()] |= mark);
        for equation in &body.equations {
            let marks: Vec<bool> = equation.inputs.iter().map(|v| reached[v.index()]).collect();
            if marks.contains(&true) {
                let results = linearly(&equation.op, &marks, equation.outputs.len())?;
                equation.outputs.iter().zip(results).for_each(|(v, mark)| reached[v.index()] = mark);
            }
        }
        Some(body.outputs.iter().map(|v| reached[v.index()]).collect())
    };
    match op {
        Prim::Call(call) => through(&call.body, marks),
        Prim::Cond(cond) if !marks[0] => {
            let (yes, no) = (through(&cond.if_true, &marks[1..])?, through(&cond.if_false, &marks[1..])?);
            Some(yes.into_iter().zip(no).map(|(a, b)| a || b).collect())
        }
        Prim::Scan(scan) => {
            let lin = in_body(scan, marks);
            let closed: Vec<bool> = scan.body.inputs.iter().map(|v| lin[v.index()]).collect();
            let mut results = through(&scan.body, &closed)?;
            for (i, result) in results[..scan.n_carry].iter_mut().enumerate() {
                *result |= closed[scan.n_consts + i];
            }
            Some(results)
        }
        Prim::While(_) | Prim::Cond(_) => None,
        op => op.linear_in(marks).then(|| vec![true; n_results]),
    }
}

/// The operand that a product multiplies its linear operand by.
fn factor(op: &Prim, linear: &[bool]) -> Option<usize> {
    match (op, linear) {
        (Prim::Mul(_) | Prim::StrongMul(_) | Prim::DotGeneral(_) | Prim::Conv(_), [a, b]) if a != b => {
            Some(usize::from(*a))
        }
        _ => None,
    }
}

/// The value that is only moved or repeated to make `v`, and what moves it.
fn unmoved(program: &Program, producer: &[Option<usize>], mut v: ValueId) -> (ValueId, Vec<Prim>) {
    let mut moves = vec![];
    while let Some(equation) = producer[v.index()].map(|e| &program.equations[e])
        && matches!(equation.op, Prim::Broadcast(_) | Prim::Reshape(_) | Prim::Transpose(_))
    {
        moves.push(equation.op.clone());
        v = equation.inputs[0];
    }
    moves.reverse();
    (v, moves)
}

fn moved(b: &mut Builder, v: ValueId, moves: &[Prim]) -> ValueId {
    moves.iter().fold(v, |v, op| b.emit1(op.clone(), &[v]))
}

fn emit_pair(b: &mut Builder, x: ValueId, step: Option<ValueId>, draw: Draw) -> ValueId {
    let Draw { number, bits, seed } = draw;
    let ty = b.ty(x).clone();
    let operands: Vec<ValueId> = std::iter::once(x).chain(step).collect();
    let codes_and_grids = b.emit(Quantise { bits, seed, draw: number }.into(), &operands);
    b.emit1(Dequantise { bits, dtype: ty.dtype, shape: ty.shape.to_vec() }.into(), &codes_and_grids)
}

/// The program that follows the plan.
fn write(program: &Program, plan: &Plan) -> Program {
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &v in &program.inputs {
        map[v.index()] = Some(b.input(program.ty(v).clone()));
    }
    // Results of pairs, by draw: of the program, or stacks of them.
    let mut drawn: HashMap<usize, ValueId> = HashMap::new();
    for (e, equation) in program.equations.iter().enumerate() {
        b.location = equation.location;
        let mut inputs: Vec<ValueId> = equation.inputs.iter().map(|&v| defined(&map, v)).collect();
        for (at, input) in inputs.iter_mut().enumerate() {
            let Some(read) = plan.reads.get(&(e, at)) else { continue };
            let x = defined(&map, read.of);
            let coefficient =
                *drawn.entry(read.draw.number).or_insert_with(|| emit_pair(&mut b, x, None, read.draw));
            *input = moved(&mut b, coefficient, &read.moves);
        }
        let outputs = match (&equation.op, plan.of_loops.get(&e), plan.sweeps.get(&e)) {
            (Prim::Scan(l), Some(rows), None) => {
                let length =
                    l.length.expect("only loops of known length draw rows; this is a bug in retrograde");
                let steps = Iota { ty: Type::array(DType::I64, [length]), axis: 0 };
                inputs.push(b.emit1(steps.into(), &[]));
                let mut outputs = b.emit(drawing_loop(l, rows).into(), &inputs);
                let stacks = outputs.split_off(equation.outputs.len());
                rows.iter().zip(stacks).for_each(|((draw, _), stack)| _ = drawn.insert(draw.number, stack));
                outputs
            }
            (Prim::Scan(sweep), None, Some(rows)) => {
                for &(draw, operand) in &rows.rows {
                    let x = inputs[operand];
                    inputs
                        .push(*drawn.entry(draw.number).or_insert_with(|| emit_pair(&mut b, x, None, draw)));
                }
                b.emit(reading_sweep(sweep, rows).into(), &inputs)
            }
            (op, ..) => b.emit(op.clone(), &inputs),
        };
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    }
    let outputs = program.outputs.iter().map(|&v| defined(&map, v)).collect();
    b.finish(outputs)
}

/// The loop that also draws rows, keyed by the number of the step, its last x.
fn drawing_loop(l: &Scan, rows: &[(Draw, usize)]) -> Scan {
    let mut types = l.body.input_types();
    types.push(Type::array(DType::I64, []));
    let body = bodies::build(&types, |b, p| {
        let (step, operands) = p.split_last().expect("the number of the step");
        let mut outputs = b.inline(&l.body, operands);
        let drawn: Vec<ValueId> =
            rows.iter().map(|(draw, y)| emit_pair(b, outputs[*y], Some(*step), *draw)).collect();
        outputs.extend(drawn);
        outputs
    });
    Scan { body: Arc::new(body), ..l.clone() }
}

/// The sweep that reads the drawn rows, its last xs.
fn reading_sweep(sweep: &Scan, rows: &Rows) -> Scan {
    let body = &sweep.body;
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; body.types.len()];
    for &v in &body.inputs {
        map[v.index()] = Some(b.input(body.ty(v).clone()));
    }
    let drawn: Vec<ValueId> =
        rows.rows.iter().map(|(_, operand)| b.input(body.ty(body.inputs[*operand]).clone())).collect();
    for (e, equation) in body.equations.iter().enumerate() {
        b.location = equation.location;
        let mut inputs: Vec<ValueId> = equation.inputs.iter().map(|&v| defined(&map, v)).collect();
        for (at, input) in inputs.iter_mut().enumerate() {
            if let Some((row, moves)) = rows.reads.get(&(e, at)) {
                *input = moved(&mut b, drawn[*row], moves);
            }
        }
        let outputs = b.emit(equation.op.clone(), &inputs);
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    }
    let outputs = body.outputs.iter().map(|&v| defined(&map, v)).collect();
    Scan { body: Arc::new(b.finish(outputs)), ..sweep.clone() }
}
