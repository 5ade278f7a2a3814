//! A program as a chain of equations that the backward part needs something from: see `budget`.

use super::held::{UNKNOWN, after_seeds, inside, is_view, weights};
use super::minimise::{Repeat, producers};
use crate::ir::{Equation, ValueId};
use crate::prim::{Prim, Program};

/// Most cuts of a chain: planning takes their third power.
pub(super) const CUTS: usize = 64;
/// Steps of a loop of unknown length, where only a comparison needs a number.
pub(super) const SOME_STEPS: usize = 1000;

/// A program as a chain: see the module.
pub(super) struct Chain<'a> {
    pub(super) program: &'a Program,
    pub(super) n_outputs: usize,
    pub(super) n_seeds: usize,
    pub(super) producer: Vec<Option<usize>>,
    pub(super) after: Vec<bool>,
    /// Values that are at hand wherever they are read: inputs, results of the whole, and what is made of nothing.
    pub(super) is_free: Vec<bool>,
    /// Of free values none.
    pub(super) weight: Vec<u64>,
    /// Of each value the position of its equation, 0 if it is free or nothing needs it.
    pub(super) position: Vec<usize>,
    /// The equation at each position, from 1 on.
    pub(super) steps: Vec<usize>,
    /// What each of them takes inside, and its work.
    pub(super) step_inside: Vec<u64>,
    pub(super) step_work: Vec<u64>,
    /// The backward equations.
    pub(super) back: Vec<usize>,
    pub(super) back_inside: Vec<u64>,
    /// What they read from the chain.
    pub(super) reads: Vec<Vec<ValueId>>,
    /// The position that each belongs to.
    pub(super) level: Vec<usize>,
    pub(super) cuts: Vec<usize>,
}

/// What running some equations of the chain takes.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    /// Most bytes at once, beside what the interval starts with.
    pub(super) peak: u64,
    pub(super) work: u64,
}

impl<'a> Chain<'a> {
    pub(super) fn new(program: &'a Program, n_outputs: usize, n_seeds: usize) -> Chain<'a> {
        let n_inputs = program.inputs.len() - n_seeds;
        let is_seed: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_inputs).collect();
        let after = after_seeds(program, &is_seed);
        let mut is_free = vec![false; program.types.len()];
        program
            .inputs
            .iter()
            .chain(&program.outputs[n_outputs..])
            .for_each(|v| is_free[v.index()] = !after[v.index()]);
        // What the sources of an equation weigh while it runs.
        let all_weights = weights(program);
        let mut of_source = vec![0_u64; program.types.len()];
        for equation in program.equations.iter().filter(|e| !e.outputs.iter().any(|v| after[v.index()])) {
            if is_source(equation, &is_free) {
                let v = equation.outputs[0].index();
                is_free[v] = true;
                let of_operands: u64 = equation.inputs.iter().map(|u| of_source[u.index()]).sum();
                of_source[v] = all_weights[v] + of_operands;
            }
        }
        let sources =
            |e: &Equation<Prim>| e.inputs.iter().map(|v| of_source[v.index()]).fold(0, u64::saturating_add);

        let is_back = |e: &Equation<Prim>| e.outputs.iter().any(|v| after[v.index()]);
        let back: Vec<usize> =
            (0..program.equations.len()).filter(|&e| is_back(&program.equations[e])).collect();
        let is_read = |v: &ValueId| !after[v.index()] && !is_free[v.index()];
        let reads: Vec<Vec<ValueId>> = back
            .iter()
            .map(|&e| {
                let mut reads: Vec<ValueId> =
                    program.equations[e].inputs.iter().copied().filter(is_read).collect();
                reads.sort_unstable();
                reads.dedup();
                reads
            })
            .collect();
        let mut is_needed = vec![false; program.types.len()];
        reads.iter().flatten().for_each(|v| is_needed[v.index()] = true);
        let mut steps = vec![];
        for (e, equation) in program.equations.iter().enumerate().rev() {
            if !is_back(equation) && equation.outputs.iter().any(|v| is_needed[v.index()]) {
                equation.inputs.iter().filter(|v| is_read(v)).for_each(|v| is_needed[v.index()] = true);
                steps.push(e);
            }
        }
        steps.reverse();
        let (mut position, mut weight) = (vec![0; program.types.len()], vec![0; program.types.len()]);
        for (p, &e) in steps.iter().enumerate() {
            for v in program.equations[e].outputs.iter().filter(|v| is_read(v)) {
                (position[v.index()], weight[v.index()]) = (p + 1, all_weights[v.index()]);
            }
        }
        let last = |reads: &Vec<ValueId>| reads.iter().map(|v| position[v.index()]).max().unwrap_or(0);
        let mut level: Vec<usize> = reads.iter().map(last).collect();
        for j in (1..level.len()).rev() {
            level[j - 1] = level[j - 1].max(level[j]);
        }
        let no_seeds = vec![false; program.types.len()];
        let with_sources = |e: &usize, seeded: &[bool]| {
            let equation = &program.equations[*e];
            inside(equation, seeded).saturating_add(sources(equation))
        };
        let step_inside = steps.iter().map(|e| with_sources(e, &no_seeds)).collect();
        let back_inside = back.iter().map(|e| with_sources(e, &after)).collect();
        let step_work = steps.iter().map(|&e| work(program, &program.equations[e])).collect();
        let producer = producers(program);
        let mut chain = Chain {
            program,
            n_outputs,
            n_seeds,
            producer,
            after,
            is_free,
            weight,
            position,
            steps,
            step_inside,
            step_work,
            back,
            back_inside,
            reads,
            level,
            cuts: vec![],
        };
        chain.cuts = chain.narrow_places();
        chain
    }

    /// Where values are read, for each: positions of the chain, and of backward equations those that they belong to.
    pub(super) fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![vec![]; self.program.types.len()];
        for (p, &e) in self.steps.iter().enumerate() {
            for v in self.program.equations[e].inputs.iter().filter(|v| self.position[v.index()] > 0) {
                readers[v.index()].push(p + 1);
            }
        }
        for (reads, &level) in self.reads.iter().zip(&self.level) {
            reads.iter().for_each(|v| readers[v.index()].push(level));
        }
        readers.iter_mut().for_each(|readers| readers.sort_unstable());
        readers
    }

    /// The cuts: all positions, or the least wide of so many stretches.
    pub(super) fn narrow_places(&self) -> Vec<usize> {
        let n = self.steps.len();
        if n < CUTS {
            return (0..=n).collect();
        }
        let mut change = vec![0_i128; n + 2];
        for (v, readers) in self.readers().iter().enumerate() {
            if let (p @ 1.., Some(&last)) = (self.position[v], readers.last()) {
                change[p] += i128::from(self.weight[v]);
                change[last.max(p)] -= i128::from(self.weight[v]);
            }
        }
        let width: Vec<i128> = change
            .iter()
            .scan(0, |sum, c| {
                *sum += c;
                Some(*sum)
            })
            .collect();
        let n_between = CUTS - 2;
        let narrow = |s: usize| {
            (1 + s * (n - 1) / n_between..1 + (s + 1) * (n - 1) / n_between).min_by_key(|&p| width[p])
        };
        std::iter::once(0).chain((0..n_between).filter_map(narrow)).chain([n]).collect()
    }

    /// The positions in (from, to] that `wanted` is made by, and what running them takes. `last` is empty for every value, and
    /// is so again in the end.
    pub(super) fn run(
        &self,
        from: usize,
        to: usize,
        wanted: &[ValueId],
        last: &mut [usize],
    ) -> (Run, Vec<usize>) {
        let is_inside = |v: &ValueId| self.position[v.index()] > from;
        // The last reader of each value, 0 for none, beyond the end where it is wanted.
        wanted.iter().for_each(|v| last[v.index()] = usize::MAX);
        let mut positions = vec![];
        for p in (from + 1..=to).rev() {
            let equation = &self.program.equations[self.steps[p - 1]];
            if equation.outputs.iter().any(|v| last[v.index()] > 0) {
                positions.push(p);
                for v in equation.inputs.iter().filter(|v| is_inside(v)) {
                    let last = &mut last[v.index()];
                    *last = if *last == 0 { p } else { *last };
                }
            }
        }
        positions.reverse();
        let (mut run, mut now) = (Run::default(), 0_u64);
        for &p in &positions {
            let equation = &self.program.equations[self.steps[p - 1]];
            let made = equation.outputs.iter().map(|v| self.weight[v.index()]);
            now = made.fold(now, u64::saturating_add);
            run.peak = run.peak.max(now.saturating_add(self.step_inside[p - 1])).min(UNKNOWN);
            run.work = run.work.saturating_add(self.step_work[p - 1]);
            let unread = equation.outputs.iter().filter(|v| last[v.index()] == 0);
            now = unread.map(|v| self.weight[v.index()]).fold(now, u64::saturating_sub);
            for v in &equation.inputs {
                if last[v.index()] == p {
                    last[v.index()] = 0;
                    now = now.saturating_sub(self.weight[v.index()]);
                }
            }
        }
        wanted.iter().for_each(|v| last[v.index()] = 0);
        (run, positions)
    }

    /// What the backward equations of (from, to] read of it.
    pub(super) fn wanted_by_leaf(&self, from: usize, to: usize) -> Vec<ValueId> {
        let of = self.backward_equations(from, to).flat_map(|j| &self.reads[j]);
        let mut wanted: Vec<ValueId> = of.copied().filter(|v| self.position[v.index()] > from).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    pub(super) fn backward_equations(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let first = self.level.partition_point(|&level| level > to);
        first..self.level.partition_point(|&level| level > from)
    }

    /// Most bytes while the backward equations of (from, to] run, beside what the interval starts with. `last` as in
    /// [`Chain::run`].
    pub(super) fn peak_of_leaf(&self, from: usize, to: usize, wanted: &[ValueId], last: &mut [usize]) -> u64 {
        let range = self.backward_equations(from, to);
        range.clone().for_each(|j| self.reads[j].iter().for_each(|v| last[v.index()] = j + 1));
        let mut now: u64 = wanted.iter().map(|v| self.weight[v.index()]).fold(0, u64::saturating_add);
        let mut peak = now;
        for j in range {
            peak = peak.max(now.saturating_add(self.back_inside[j]));
            for v in &self.reads[j] {
                if last[v.index()] == j + 1 {
                    last[v.index()] = 0;
                    let is_inside = self.position[v.index()] > from;
                    now = now.saturating_sub(if is_inside { self.weight[v.index()] } else { 0 });
                }
            }
        }
        peak.min(UNKNOWN)
    }

    /// What is read in (middle, to] of what (from, middle] makes.
    pub(super) fn wanted_after(
        &self,
        readers: &[Vec<usize>],
        from: usize,
        middle: usize,
        to: usize,
    ) -> Vec<ValueId> {
        let is_wanted = |v: &ValueId| {
            let readers = &readers[v.index()];
            readers.get(readers.partition_point(|&r| r <= middle)).is_some_and(|&r| r <= to)
        };
        let made = (from..middle).flat_map(|p| &self.program.equations[self.steps[p]].outputs);
        made.copied().filter(|v| self.position[v.index()] > 0 && is_wanted(v)).collect()
    }
}

/// Whether an equation makes its result of nothing but what is free, at the cost of a move.
fn is_source(equation: &Equation<Prim>, is_free: &[bool]) -> bool {
    equation.inputs.iter().all(|v| is_free[v.index()])
        && (equation.inputs.is_empty() || is_view(&equation.op))
}

/// Machine operations of an equation, roughly: for comparisons among ways of computing the same.
pub(super) fn work(program: &Program, equation: &Equation<Prim>) -> u64 {
    let size = |v: &ValueId| program.ty(*v).shape.size() as u64;
    let of_body = |body: &Program| body.equations.iter().map(|e| work(body, e)).fold(1, u64::saturating_add);
    let times =
        |n: Option<usize>, body: &Program| of_body(body).saturating_mul(n.unwrap_or(SOME_STEPS) as u64);
    match &equation.op {
        Prim::Scan(s) => times(s.length, &s.body),
        Prim::While(w) => times(None, &w.body),
        Prim::Record(r) => times(r.length, &r.body),
        Prim::Call(c) => of_body(&c.body),
        Prim::DotGeneral(dot) => {
            let ty = program.ty(equation.inputs[0]);
            let inner: usize = dot.dims.lhs_contract.iter().map(|&axis| ty.shape[axis]).product();
            equation.outputs.iter().map(size).sum::<u64>().saturating_mul(2 * inner as u64)
        }
        op => {
            let entries = equation.outputs.iter().chain(&equation.inputs).map(size).max().unwrap_or(0);
            // A function is some twenty operations of its expansion in arithmetic.
            entries.saturating_mul(if Repeat::Cheap.allows(op) { 1 } else { 20 })
        }
    }
}
