//! Residual minimisation: of the values that a backward part reads, which to keep, and what to rebuild from them.
//!
//! Each value either is kept, at its bytes, or is rebuilt by its equation, if that is cheap, from values for which the same
//! holds. The choice with the fewest bytes is a cheapest cut: a value is an edge of its bytes, an equation that may be
//! repeated joins operands to results without bound, and one that may not is fed by the source. What a backward part
//! has anyway is free. Among choices of equal bytes the one that repeats least.
//! Source: the formulation of `recompute` in F. Chen's min-cut partitioner of AOTAutograd (PyTorch 1.12, 2022), with the
//! bytes alone as costs.

use super::flow::{Graph, UNBOUNDED};
use super::quantise::pair;
use crate::ir::{Equation, Kind, Type, ValueId};
use crate::prim::{Prim, Program};
use retrograde_array::DType;

/// How much a backward part may repeat of the forward part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Repeat {
    /// What costs about as much as reading the value from memory: one machine operation for an entry, or a move.
    Cheap,
    /// Everything but loops.
    All,
}

impl Repeat {
    pub(super) fn allows(self, op: &Prim) -> bool {
        match self {
            Repeat::Cheap => is_cheap(op),
            Repeat::All => !is_loop(op),
        }
    }
}

fn is_loop(op: &Prim) -> bool {
    matches!(
        op,
        Prim::Scan(_)
            | Prim::While(_)
            | Prim::Record(_)
            | Prim::Replay(_)
            | Prim::Retain(_)
            | Prim::Restore(_)
            | Prim::PushBits(_)
            | Prim::PopBits(_)
            | Prim::Spill(_)
            | Prim::Expand(_)
            | Prim::Agree(_)
            | Prim::Quantise(_)
    )
}

fn is_cheap(op: &Prim) -> bool {
    use Prim::*;
    matches!(
        op,
        Add(_)
            | Sub(_)
            | Mul(_)
            | Div(_)
            | StrongMul(_)
            | StrongDiv(_)
            | Neg(_)
            | Fma(_)
            | Sqrt(_)
            | Max(_)
            | Min(_)
            | Abs(_)
            | Sign(_)
            | Floor(_)
            | Ceil(_)
            | Round(_)
            | Clamp(_)
            | Logic(_)
            | Not(_)
            | Shift(_)
            | IsFinite(_)
            | Select(_)
            | Compare(_)
            | Convert(_)
            | StopGradient(_)
            | Full(_)
            | Constant(_)
            | Iota(_)
            | Broadcast(_)
            | Reshape(_)
            | Transpose(_)
            | Slice(_)
            | Unslice(_)
            | Concat(_)
            | Pad(_)
            | Reverse(_)
            | DynamicSlice(_)
            | Triangle(_)
            | LatticeValue(_)
            | PackBits(_)
            | UnpackBits(_)
    )
}

/// Whether a value is kept as bits, eight entries to a byte.
pub(super) fn packs(ty: &Type) -> bool {
    ty.dtype == DType::Bool && ty.kind == Kind::Array && ty.shape.size() > 1
}

/// What a value weighs on the tape. Lists and bit stacks, whose length is not known yet, weigh much.
pub(super) fn kept_bytes(ty: &Type) -> u64 {
    match ty.kind {
        Kind::Array if packs(ty) => ty.shape.size().div_ceil(8) as u64,
        Kind::Array => ty.size_bytes().max(1) as u64,
        _ => 1 << 40,
    }
}

/// What a value weighs: what a pair makes, its codes and grids; see Note [pairs].
pub(super) fn bytes_of(program: &Program, producer: &[Option<usize>], v: ValueId) -> u64 {
    match pair(program, producer, v) {
        Some((_, codes_and_grids)) => codes_and_grids.iter().map(|v| kept_bytes(program.ty(*v))).sum(),
        None => kept_bytes(program.ty(v)),
    }
}

/// What stands on the tape for these values, the pairs in two parts.
pub(super) fn in_parts(program: &Program, kept: &[ValueId]) -> Vec<ValueId> {
    let producer = producers(program);
    let parts =
        |v: &ValueId| pair(program, &producer, *v).map_or_else(|| vec![*v], |(_, parts)| parts.to_vec());
    kept.iter().flat_map(parts).collect()
}

/// What to keep so that `needed` can be had again: ids of `program`, in the order of their definition. `cost` says what a
/// value costs to keep; 0 where it is at hand anyway. Each kept or free value is reached from `needed` by equations that
/// `repeat` allows.
///
/// ```
/// // The choice for a chain: the output of tanh, whose slope is 1 − y², and neither its operand nor a product of them.
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// let deep = |x: Var| (0..3).fold(x, |x, _| (2.0 * x + 1.0).tanh()).sum();
/// let door = grad(deep);
/// door.call(&array([0.1, 0.2]))?;
/// assert_eq!(door.last_tape().tape_bytes(), 3 * 16); // choose(..) kept two f64 of each tanh
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub(super) fn choose(
    program: &Program,
    needed: &[ValueId],
    repeat: Repeat,
    cost: &dyn Fn(ValueId) -> u64,
) -> Vec<ValueId> {
    // Nodes: each value's near side 2 v and far side 2 v + 1, then source and sink.
    let n = program.types.len();
    let (source, sink) = (2 * n, 2 * n + 1);
    let mut graph = Graph::new(2 * n + 2);
    let producer = producers(program);
    let mut seen = vec![false; n];
    let mut stack: Vec<ValueId> = vec![];
    for &v in needed {
        graph.edge(2 * v.index() + 1, sink, UNBOUNDED);
        stack.push(v);
    }
    while let Some(v) = stack.pop() {
        if std::mem::replace(&mut seen[v.index()], true) {
            continue;
        }
        let (near, far) = (2 * v.index(), 2 * v.index() + 1);
        let bytes = cost(v);
        if bytes == 0 {
            continue;
        }
        graph.edge(near, far, bytes);
        // A pair may be kept, or dissolved where its operand is there.
        if let Some((x, _)) = pair(program, &producer, v) {
            graph.edge(2 * x.index() + 1, near, UNBOUNDED);
            stack.push(x);
            continue;
        }
        match producer[v.index()].map(|e| &program.equations[e]) {
            Some(equation) if repeat.allows(&equation.op) => {
                for u in &equation.inputs {
                    graph.edge(2 * u.index() + 1, near, UNBOUNDED);
                    stack.push(*u);
                }
            }
            _ => graph.edge(source, near, UNBOUNDED),
        }
    }
    let (_, sinks_side) = graph.cut(source, sink);
    let crosses = |v: &ValueId| {
        let i = v.index();
        seen[i] && cost(*v) > 0 && !sinks_side[2 * i] && sinks_side[2 * i + 1]
    };
    (0..n as u32).map(ValueId).filter(crosses).collect()
}

/// The equation that makes each value; `None` for inputs.
pub(super) fn producers(program: &Program) -> Vec<Option<usize>> {
    let mut producer = vec![None; program.types.len()];
    for (e, equation) in program.equations.iter().enumerate() {
        equation.outputs.iter().for_each(|v| producer[v.index()] = Some(e));
    }
    producer
}

/// The equations that rebuild `wanted` from what is `at_hand` (marked), each once, operands first. Marks what they make.
pub(super) fn rebuild<'a>(
    program: &'a Program,
    producer: &[Option<usize>],
    at_hand: &mut [bool],
    wanted: impl IntoIterator<Item = ValueId>,
    emit: &mut dyn FnMut(&'a Equation<Prim>),
) {
    let mut stack: Vec<ValueId> = wanted.into_iter().collect();
    while let Some(&v) = stack.last() {
        if at_hand[v.index()] {
            stack.pop();
            continue;
        }
        let e = producer[v.index()]
            .expect("a value that is not kept has an equation; this is a bug in retrograde");
        let equation = &program.equations[e];
        let missing = stack.len();
        stack.extend(equation.inputs.iter().filter(|u| !at_hand[u.index()]));
        if stack.len() == missing {
            equation.outputs.iter().for_each(|o| at_hand[o.index()] = true);
            emit(equation);
            stack.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::{Builder, add::Add, sin::Sin};
    use retrograde_array::rng::{Key, random_bits};

    /// Sums, which are cheap, and sines, which are not, of earlier values.
    fn random_program(words: &mut impl Iterator<Item = usize>) -> Program {
        let mut b = Builder::new();
        let mut values = vec![b.input(Type::array(DType::F64, [2])), b.input(Type::array(DType::F64, [2]))];
        for _ in 0..8 {
            let mut pick = || values[words.next().unwrap() % values.len()];
            let (x, y) = (pick(), pick());
            let is_sum = !words.next().unwrap().is_multiple_of(4);
            values.push(if is_sum { b.emit1(Add.into(), &[x, y]) } else { b.emit1(Sin.into(), &[x]) });
        }
        b.finish(values)
    }

    /// Whether everything needed comes from what is at hand by equations that may be repeated.
    fn suffices(program: &Program, at_hand: &[bool], needed: &[ValueId], repeat: Repeat) -> bool {
        let mut has = at_hand.to_vec();
        for e in &program.equations {
            if repeat.allows(&e.op) && e.inputs.iter().all(|v| has[v.index()]) {
                e.outputs.iter().for_each(|v| has[v.index()] = true);
            }
        }
        needed.iter().all(|v| has[v.index()])
    }

    #[test]
    fn the_least_is_kept() {
        for case in 0..200 {
            let words = random_bits(Key::from_seed(11).fold_in(case), 64);
            let mut words = words.into_iter().map(|w| (w >> 7) as usize);
            let program = random_program(&mut words);
            let n = program.types.len();
            let costs: Vec<u64> = (0..n).map(|_| words.next().unwrap() as u64 % 6).collect();
            let needed: Vec<ValueId> = (0..2).map(|_| ValueId((words.next().unwrap() % n) as u32)).collect();
            for repeat in [Repeat::Cheap, Repeat::All] {
                let kept = choose(&program, &needed, repeat, &|v| costs[v.index()]);
                let free: Vec<bool> = costs.iter().map(|c| *c == 0).collect();
                let with =
                    |set: &dyn Fn(usize) -> bool| (0..n).map(|i| free[i] || set(i)).collect::<Vec<_>>();
                let of =
                    |set: &dyn Fn(usize) -> bool| (0..n).filter(|&i| set(i)).map(|i| costs[i]).sum::<u64>();
                let is_kept = |i: usize| kept.contains(&ValueId(i as u32));
                assert!(suffices(&program, &with(&is_kept), &needed, repeat), "case {case}");
                let least = (0..1usize << n)
                    .filter(|set| suffices(&program, &with(&|i| set >> i & 1 == 1), &needed, repeat))
                    .map(|set| of(&|i| set >> i & 1 == 1))
                    .min();
                assert_eq!(Some(of(&is_kept)), least, "case {case}: kept {kept:?} of {program:?}");
                // And the equations that are repeated give it.
                let mut at_hand = with(&is_kept);
                let mut repeated = vec![];
                let producer = producers(&program);
                rebuild(&program, &producer, &mut at_hand, needed.iter().copied(), &mut |e| repeated.push(e));
                assert!(
                    needed.iter().all(|v| at_hand[v.index()])
                        && repeated.iter().all(|e| repeat.allows(&e.op))
                );
            }
        }
    }
}
