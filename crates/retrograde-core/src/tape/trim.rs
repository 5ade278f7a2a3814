//! Residual minimisation across a loop that stores: the stacks that a sweep reads are replaced by fewer bytes, from which
//! the sweep's body rebuilds what is missing, step by step.

use std::collections::HashMap;
use std::sync::Arc;

use super::minimise::{Repeat, bytes_of, choose, in_parts, packs, producers, rebuild};
use super::quantise;
use crate::ir::{Equation, Type, ValueId, builder};
use crate::prim::pack_bits::PackBits;
use crate::prim::scan::Scan;
use crate::prim::unpack_bits::UnpackBits;
use crate::prim::while_loop::While;
use crate::prim::{Builder, Prim, Program, Tape};

/// For loops of unknown length, how much more a stack weighs than a constant.
const SOME_STEPS: u64 = 1000;

/// The program with smaller stacks between its loops and the sweeps over them, where those loops store.
pub(super) fn trim(program: &Program, default: Tape) -> Program {
    let mut program = program.clone();
    for sweep in 0..program.equations.len() {
        let Some(sides) = Sides::of(&program.equations[sweep].op).filter(|s| s.cond.is_none()) else {
            continue;
        };
        let (first_x, length) = (sides.n_consts + sides.n_carry, sides.length);
        let producer = producers(&program);
        let xs = &program.equations[sweep].inputs[first_x..];
        let mut makers: Vec<usize> = xs.iter().filter_map(|v| producer[v.index()]).collect();
        makers.sort_unstable();
        makers.dedup();
        for maker in makers {
            let is_stored = Sides::of(&program.equations[maker].op)
                .is_some_and(|l| l.policy.unwrap_or(default).stores() && l.length == length);
            if is_stored && let Some(trimmed) = trimmed(&program, maker, sweep) {
                program = trimmed;
            }
        }
    }
    program
}

/// The operands and results of a loop.
#[derive(Clone, Copy)]
struct Sides<'a> {
    body: &'a Program,
    cond: Option<&'a Program>,
    length: Option<usize>,
    n_cond_consts: usize,
    n_consts: usize,
    n_carry: usize,
    policy: Option<Tape>,
}

impl<'a> Sides<'a> {
    fn of(op: &'a Prim) -> Option<Sides<'a>> {
        match op {
            Prim::Scan(s) => Some(Sides {
                body: &s.body,
                cond: None,
                length: s.length,
                n_cond_consts: 0,
                n_consts: s.n_consts,
                n_carry: s.n_carry,
                policy: s.policy,
            }),
            Prim::While(w) => Some(Sides {
                body: &w.body,
                cond: Some(&w.cond),
                length: None,
                n_cond_consts: w.n_cond_consts,
                n_consts: w.n_body_consts,
                n_carry: w.n_carry(),
                policy: w.policy,
            }),
            _ => None,
        }
    }
}

/// A loop and a sweep over its stacks.
struct Pair<'a> {
    program: &'a Program,
    loop_eqn: &'a Equation<Prim>,
    sweep_eqn: &'a Equation<Prim>,
    of_loop: Sides<'a>,
    of_sweep: Sides<'a>,
    /// For each x of the sweep: the y of the loop it is, where nobody else reads it.
    ys: Vec<Option<usize>>,
    /// The ys of the loop that somebody else reads.
    stays: Vec<bool>,
    /// The equation that makes each value of the loop's body.
    producer: Vec<Option<usize>>,
    /// Whether the sweep reads what a pair of `quantise` and `dequantise` makes.
    has_drawn: bool,
}

/// Where the sweep finds a value of the loop's body.
#[derive(Clone, Copy)]
enum Source {
    /// An operand of the loop, the same in every step.
    Const(ValueId),
    /// A stack that there is anyway.
    Stack(ValueId),
    /// A stack that the loop leaves in place of what was trimmed.
    New,
}

/// The program with less between a loop and a sweep, if less suffices.
fn trimmed(program: &Program, maker: usize, sweep: usize) -> Option<Program> {
    let pair = Pair::new(program, maker, sweep)?;
    let body = pair.of_loop.body;
    let needed = pair.needed();
    let kept = choose(body, &needed, Repeat::Cheap, &|v| pair.cost(v));
    let total = |values: &[ValueId]| values.iter().map(|v| pair.cost(*v)).fold(0, u64::saturating_add);
    if !pair.has_drawn && total(&kept) >= total(&needed) {
        return None;
    }
    // Of the pairs of `quantise` and `dequantise` those stay that are kept.
    let mut program = program.clone();
    let body = Arc::new(quantise::dissolve(body, &|v| needed.contains(&v) && !kept.contains(&v)));
    let kept = in_parts(&body, &kept);
    if let Prim::Scan(scan) = &mut program.equations[maker].op {
        scan.body = body;
    }
    let settled = program.clone();
    let pair = Pair::new(&settled, maker, sweep)?;
    let starts = pair.starts(&kept, &pair.needed());
    let stacks = pair.shorten_loop(&mut program, maker, &starts);
    program.equations[sweep] = pair.rebuilding_sweep(&starts, &stacks);
    Some(program)
}

impl<'a> Pair<'a> {
    fn new(program: &'a Program, maker: usize, sweep: usize) -> Option<Pair<'a>> {
        let (loop_eqn, sweep_eqn) = (&program.equations[maker], &program.equations[sweep]);
        let (of_loop, of_sweep) = (Sides::of(&loop_eqn.op)?, Sides::of(&sweep_eqn.op)?);
        let mut n_uses: HashMap<ValueId, usize> = HashMap::new();
        let reads = program.equations.iter().flat_map(|e| &e.inputs).chain(&program.outputs);
        reads.for_each(|v| *n_uses.entry(*v).or_default() += 1);
        let xs = &sweep_eqn.inputs[of_sweep.n_consts + of_sweep.n_carry..];
        let y_of = |x: usize| -> Option<usize> {
            let y = loop_eqn.outputs.iter().position(|o| *o == xs[x]).filter(|y| *y >= of_loop.n_carry)?;
            // The first list of a sweep of unknown length says how many steps there are.
            (n_uses[&xs[x]] == 1 && (of_sweep.length.is_some() || x > 0)).then_some(y)
        };
        let ys: Vec<Option<usize>> = (0..xs.len()).map(y_of).collect();
        let is_read = |y: usize| n_uses.contains_key(&loop_eqn.outputs[y]);
        let stays = |y: usize| y >= of_loop.n_carry && is_read(y) && !ys.contains(&Some(y));
        let stays = (0..loop_eqn.outputs.len()).map(stays).collect();
        let producer = producers(of_loop.body);
        let is_drawn =
            |y: &usize| quantise::pair(of_loop.body, &producer, of_loop.body.outputs[*y]).is_some();
        let has_drawn = ys.iter().flatten().any(is_drawn);
        let pair = Pair { program, loop_eqn, sweep_eqn, of_loop, of_sweep, ys, stays, producer, has_drawn };
        pair.ys.iter().any(Option::is_some).then_some(pair)
    }

    /// The values of the loop's body that the sweep reads.
    fn needed(&self) -> Vec<ValueId> {
        let mut needed: Vec<ValueId> =
            self.ys.iter().flatten().map(|&y| self.of_loop.body.outputs[y]).collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// Where the sweep finds a value, and whether it or its tape has that anyway.
    fn source(&self, v: ValueId) -> (Source, bool) {
        let Sides { body, n_cond_consts, n_consts, n_carry, .. } = self.of_loop;
        let is_at_hand = |u: &ValueId| self.program.inputs.contains(u) || self.sweep_eqn.inputs.contains(u);
        let parameter = body.inputs.iter().position(|p| *p == v);
        if let Some(i) = parameter {
            let u = self.loop_eqn.inputs[n_cond_consts + i];
            if i < n_consts {
                return (Source::Const(u), is_at_hand(&u));
            }
            if i >= n_consts + n_carry {
                return (Source::Stack(u), is_at_hand(&u));
            }
        }
        match (0..body.outputs.len()).find(|&y| body.outputs[y] == v && self.stays[y]) {
            // Whoever else reads it may have it in fewer bits, so it need not be on the tape.
            Some(y) => (Source::Stack(self.loop_eqn.outputs[y]), !self.has_drawn),
            None => (Source::New, false),
        }
    }

    /// Bytes that a value of the loop's body adds to the tape.
    fn cost(&self, v: ValueId) -> u64 {
        let n_steps = self.of_loop.length.map_or(SOME_STEPS, |n| n.max(1) as u64);
        let bytes = bytes_of(self.of_loop.body, &self.producer, v);
        match self.source(v) {
            (_, true) => 0,
            (Source::Const(_), _) => bytes,
            _ => bytes.saturating_mul(n_steps),
        }
    }

    /// What the sweep starts from in each step, and where it finds that: what is kept, and what is free and read.
    fn starts(&self, kept: &[ValueId], needed: &[ValueId]) -> Vec<(ValueId, Source)> {
        let body = self.of_loop.body;
        let mut is_start: Vec<bool> =
            (0..body.types.len() as u32).map(|i| self.cost(ValueId(i)) == 0).collect();
        kept.iter().for_each(|v| is_start[v.index()] = true);
        let mut reached = is_start.clone();
        let mut starts: Vec<ValueId> = needed.iter().copied().filter(|v| is_start[v.index()]).collect();
        rebuild(body, &producers(body), &mut reached, needed.iter().copied(), &mut |e| {
            starts.extend(e.inputs.iter().filter(|v| is_start[v.index()]));
        });
        starts.sort_unstable();
        starts.dedup();
        starts.into_iter().map(|v| (v, self.source(v).0)).collect()
    }

    /// The loop without the stacks that went, with the ones that came. Returns the stack of each start.
    fn shorten_loop(
        &self,
        program: &mut Program,
        maker: usize,
        starts: &[(ValueId, Source)],
    ) -> Vec<ValueId> {
        let Sides { body, length, .. } = self.of_loop;
        let keep: Vec<usize> = (0..body.outputs.len()).filter(|y| !self.ys.contains(&Some(*y))).collect();
        let mut new_body =
            Program { outputs: keep.iter().map(|&y| body.outputs[y]).collect(), ..body.clone() };
        let mut outputs: Vec<ValueId> = keep.iter().map(|&y| self.loop_eqn.outputs[y]).collect();
        let fresh = |types: &mut Vec<Type>, ty: Type| {
            types.push(ty);
            ValueId(types.len() as u32 - 1)
        };
        let mut stack_of = |v: ValueId| {
            let mut result = v;
            if packs(body.ty(v)) {
                result = fresh(&mut new_body.types, PackBits::packed(body.ty(v)));
                let op = PackBits.into();
                let location = None;
                new_body.equations.push(Equation { op, inputs: vec![v], outputs: vec![result], location });
            }
            new_body.outputs.push(result);
            let ty = new_body.ty(result);
            let stacked = length.map_or_else(|| ty.list(), |n| ty.stacked(n));
            let stack = fresh(&mut program.types, stacked);
            outputs.push(stack);
            stack
        };
        let stacks = starts
            .iter()
            .map(|&(v, source)| match source {
                Source::Const(u) | Source::Stack(u) => u,
                Source::New => stack_of(v),
            })
            .collect();
        let body = Arc::new(builder::renumber(new_body));
        program.equations[maker].op = match &self.loop_eqn.op {
            Prim::While(w) => While { body, ..w.clone() }.into(),
            Prim::Scan(s) => Scan { body, ..s.clone() }.into(),
            op => op.clone(),
        };
        program.equations[maker].outputs = outputs;
        stacks
    }

    /// The sweep, whose body rebuilds what it reads right before it reads it.
    fn rebuilding_sweep(&self, starts: &[(ValueId, Source)], stacks: &[ValueId]) -> Equation<Prim> {
        let (body, sweep) = (self.of_loop.body, self.of_sweep);
        let head = sweep.n_consts + sweep.n_carry;
        let types = sweep.body.input_types();
        let mut b = Builder::new();
        let mut of_body: Vec<Option<ValueId>> = vec![None; body.types.len()];
        let mut of_sweep: Vec<Option<ValueId>> = vec![None; sweep.body.types.len()];
        let mut operands: Vec<ValueId> = vec![];
        let mut packed: Vec<(ValueId, ValueId)> = vec![];
        // Parameters in their order: constants, those of starts, carries and xs, stacks of starts.
        for i in 0..=types.len() {
            if i == sweep.n_consts || i == types.len() {
                let are_consts = i == sweep.n_consts;
                for (&(v, source), &u) in starts.iter().zip(stacks) {
                    if matches!(source, Source::Const(_)) != are_consts {
                        continue;
                    }
                    let ty = body.ty(v);
                    if matches!(source, Source::New) && packs(ty) {
                        packed.push((v, b.input(PackBits::packed(ty))));
                    } else {
                        of_body[v.index()] = Some(b.input(ty.clone()));
                    }
                    operands.push(u);
                }
                if !are_consts || i == types.len() {
                    break;
                }
            }
            if i < head || self.ys[i - head].is_none() {
                of_sweep[sweep.body.inputs[i].index()] = Some(b.input(types[i].clone()));
                operands.push(self.sweep_eqn.inputs[i]);
            }
        }
        for (v, bits) in packed {
            let op = UnpackBits { shape: body.ty(v).shape.to_vec() };
            of_body[v.index()] = Some(b.emit1(op.into(), &[bits]));
        }

        let wanted: HashMap<ValueId, ValueId> = (0..self.ys.len())
            .filter_map(|x| Some((sweep.body.inputs[head + x], body.outputs[self.ys[x]?])))
            .collect();
        let producer = producers(body);
        let mut built: Vec<bool> = of_body.iter().map(Option::is_some).collect();
        let mut provide = |v: ValueId, b: &mut Builder, of_sweep: &mut Vec<Option<ValueId>>| {
            if let Some(&w) = wanted.get(&v) {
                rebuild(body, &producer, &mut built, [w], &mut |e| copy(b, e, &mut of_body));
                of_sweep[v.index()] = of_body[w.index()];
            }
        };
        for equation in &sweep.body.equations {
            equation.inputs.iter().for_each(|&v| provide(v, &mut b, &mut of_sweep));
            copy(&mut b, equation, &mut of_sweep);
        }
        sweep.body.outputs.iter().for_each(|&v| provide(v, &mut b, &mut of_sweep));
        let defined =
            |v: &ValueId| of_sweep[v.index()].expect("defined before use; this is a bug in retrograde");
        let outputs = sweep.body.outputs.iter().map(defined).collect();
        let n_more = starts.iter().filter(|(_, source)| matches!(source, Source::Const(_))).count();
        let op = match &self.sweep_eqn.op {
            Prim::Scan(scan) => {
                let n_consts = scan.n_consts + n_more;
                Scan { body: Arc::new(b.finish(outputs)), n_consts, ..scan.clone() }.into()
            }
            op => op.clone(),
        };
        Equation { op, inputs: operands, ..self.sweep_eqn.clone() }
    }
}

/// Emits an equation of another program.
fn copy(b: &mut Builder, equation: &Equation<Prim>, map: &mut [Option<ValueId>]) {
    let inputs: Vec<ValueId> = equation
        .inputs
        .iter()
        .map(|v| map[v.index()].expect("defined before use; this is a bug in retrograde"))
        .collect();
    b.location = equation.location;
    let outputs = b.emit(equation.op.clone(), &inputs);
    equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
}
