//! Writes the two parts of a program whose backward part runs stretches of the forward part again: see `budget`.

use super::chain::Chain;
use super::cut::{Parts, TapeEntry, entry};
use super::splits::Tree;
use crate::ir::{Equation, Type, ValueId, builder, check};
use crate::prim::{Prim, Program, bodies};

/// Writes the two parts of a program as a way back says. Returns also how many equations run again.
pub(super) fn emit(chain: &Chain<'_>, tree: &Tree) -> (Parts, usize) {
    let program = chain.program;
    let n_inputs = program.inputs.len() - chain.n_seeds;
    let mut w = Writer {
        chain,
        readers: chain.readers(),
        types: program.types.clone(),
        equations: vec![],
        now: vec![None; program.types.len()],
        tape: vec![],
        n_repeated: 0,
        last: vec![0; program.types.len()],
        next: 0,
    };
    let (inputs, seeds) = program.inputs.split_at(n_inputs);
    program.inputs.iter().for_each(|v| w.now[v.index()] = Some(*v));
    // Results that no seed enters are at hand from the start.
    let (outputs, rest) = program.outputs.split_at(chain.n_outputs);
    let mut pinned: Vec<ValueId> =
        rest.iter().copied().filter(|v| w.now[v.index()].is_none() && !chain.after[v.index()]).collect();
    pinned.sort_unstable();
    pinned.dedup();
    w.cross(&pinned);
    if chain.cuts.len() > 1 {
        w.interval(0, chain.cuts.len() - 1, false, tree);
    }
    w.backward(chain.back.len());
    let results: Vec<ValueId> = rest.iter().map(|v| w.read(*v)).collect();

    let Writer { types, equations, tape, n_repeated, .. } = w;
    let mut forward = Program { types: types.clone(), ..program.clone() };
    forward.equations.retain(|e| !e.outputs.iter().any(|v| chain.after[v.index()]));
    forward.inputs.truncate(n_inputs);
    let of_forward: Vec<ValueId> = outputs.iter().copied().chain(tape.iter().map(|(v, _)| *v)).collect();
    let forward = bodies::restrict(&forward, &vec![true; n_inputs], &of_forward);
    let parameters =
        inputs.iter().copied().chain(tape.iter().map(|(_, new)| *new)).chain(seeds.iter().copied());
    let backward = Program { inputs: parameters.collect(), equations, outputs: results, types };
    let backward = builder::renumber(backward);
    check::debug_check(&forward, "budget");
    check::debug_check(&backward, "budget");
    let tape: Vec<TapeEntry> =
        tape.iter().map(|&(v, _)| entry(program, v, chain.producer[v.index()], program.ty(v))).collect();
    (Parts { forward, backward, tape }, n_repeated)
}

/// A backward part that is being written.
struct Writer<'a> {
    chain: &'a Chain<'a>,
    readers: Vec<Vec<usize>>,
    types: Vec<Type>,
    equations: Vec<Equation<Prim>>,
    /// What stands for each value of the program now.
    now: Vec<Option<ValueId>>,
    /// Values that cross, and their parameters.
    tape: Vec<(ValueId, ValueId)>,
    n_repeated: usize,
    /// See [`Chain::run`].
    last: Vec<usize>,
    /// The next backward equation.
    next: usize,
}

impl Writer<'_> {
    fn fresh(&mut self, v: ValueId) -> ValueId {
        self.types.push(self.chain.program.ty(v).clone());
        ValueId(self.types.len() as u32 - 1)
    }
    fn cross(&mut self, values: &[ValueId]) {
        for &v in values {
            let parameter = self.fresh(v);
            self.now[v.index()] = Some(parameter);
            self.tape.push((v, parameter));
        }
    }
    /// What stands for a value; what is made of nothing is made now.
    fn read(&mut self, v: ValueId) -> ValueId {
        if let Some(now) = self.now[v.index()] {
            return now;
        }
        let e =
            self.chain.producer[v.index()].expect("only equations are left out; this is a bug in retrograde");
        assert!(
            self.chain.is_free[v.index()],
            "a value is read that nobody holds; this is a bug in retrograde"
        );
        let outputs = self.write(e);
        outputs[0]
    }
    /// Writes an equation with fresh results.
    fn write(&mut self, e: usize) -> Vec<ValueId> {
        let equation = &self.chain.program.equations[e];
        let inputs = equation.inputs.iter().map(|v| self.read(*v)).collect();
        let outputs: Vec<ValueId> = equation.outputs.iter().map(|v| self.fresh(*v)).collect();
        self.equations.push(Equation { inputs, outputs: outputs.clone(), ..equation.clone() });
        outputs
    }
    /// Makes what is wanted of (from, to] available: by the tape on the first way, otherwise by running equations again.
    fn provide(&mut self, from: usize, to: usize, wanted: &[ValueId], again: bool) {
        if !again {
            return self.cross(wanted);
        }
        let mut made = vec![];
        for p in self.chain.run(from, to, wanted, &mut self.last).1 {
            let e = self.chain.steps[p - 1];
            let outputs = self.write(e);
            for (v, new) in self.chain.program.equations[e].outputs.iter().zip(outputs) {
                if self.chain.position[v.index()] > 0 {
                    self.now[v.index()] = Some(new);
                    made.push(*v);
                }
            }
            self.n_repeated += 1;
        }
        made.iter().filter(|v| !wanted.contains(v)).for_each(|v| self.now[v.index()] = None);
    }
    fn forget(&mut self, values: &[ValueId]) {
        values.iter().for_each(|v| self.now[v.index()] = None);
    }
    fn interval(&mut self, i: usize, k: usize, again: bool, tree: &Tree) {
        let (from, to) = (self.chain.cuts[i], self.chain.cuts[k]);
        match tree {
            Tree::Leaf => {
                let wanted = self.chain.wanted_by_leaf(from, to);
                self.provide(from, to, &wanted, again);
                self.backward(self.chain.backward_equations(from, to).end);
                self.forget(&wanted);
            }
            Tree::Split(m, of) => {
                let middle = self.chain.cuts[*m];
                let wanted = self.chain.wanted_after(&self.readers, from, middle, to);
                self.provide(from, middle, &wanted, again);
                self.interval(*m, k, again, &of[0]);
                self.forget(&wanted);
                self.interval(i, *m, true, &of[1]);
            }
        }
    }
    /// Writes backward equations up to this one.
    fn backward(&mut self, end: usize) {
        while self.next < end {
            let e = self.chain.back[self.next];
            let outputs = self.write(e);
            for (v, new) in self.chain.program.equations[e].outputs.iter().zip(outputs) {
                self.now[v.index()] = Some(new);
            }
            self.next += 1;
        }
    }
}
