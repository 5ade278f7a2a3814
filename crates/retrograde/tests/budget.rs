//! Budgets in bytes as the allocator counts them. One test, alone in its process.

use std::collections::HashMap;

use retrograde::ir::Type;
use retrograde::ode::problems::{planetary_disc, pull};
use retrograde::prelude::*;
use retrograde::prim::{Body, EvalError, Evaluate, Prim, Program, Value, bodies};
use retrograde::rng::{normal, uniform};
use retrograde::tape::Lowered;
use retrograde::trace::door::ValueAndGrad;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn live_bytes() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

/// Runs programs as the interpreter does and looks at the allocator while each equation's operands and results are there.
///
/// What is not held is told apart by what the allocator says when it comes and goes: tables, and values that depend on
/// seeds.
#[derive(Default)]
struct Watch {
    /// Live bytes before the first run.
    start: isize,
    /// Of these, the bytes that are not held.
    aside: isize,
    /// The most that was held.
    most: isize,
    recomputed_steps: u64,
    /// Which parameters of each body depend on seeds, by address.
    seeded: HashMap<*const Program, Vec<bool>>,
}

impl Watch {
    /// Runs `f`; what it allocates and keeps is not held.
    fn set_aside<R>(&mut self, f: impl FnOnce(&mut Watch) -> R) -> R {
        let (before, aside) = (live_bytes(), self.aside);
        let result = f(self);
        self.aside = aside + live_bytes() - before;
        result
    }
    fn look(&mut self) {
        self.most = self.most.max(live_bytes() - self.start - self.aside);
    }
    /// Marks the parameters of the bodies of an equation.
    fn mark(&mut self, op: &Prim, seeded: &[bool]) {
        let of = |body: &Program, mut marks: Vec<bool>, n_consts: usize, n_carry: usize| {
            loop {
                let reached = bodies::depending(body, &marks);
                let before = marks.clone();
                (0..n_carry).for_each(|i| marks[n_consts + i] |= reached[body.outputs[i].index()]);
                if marks == before {
                    return marks;
                }
            }
        };
        match op {
            Prim::Scan(s) => {
                let marks = of(&s.body, seeded.to_vec(), s.n_consts, s.n_carry);
                self.seeded.insert(&raw const *s.body, marks);
            }
            Prim::Replay(r) => {
                let n_loop = r.n_consts + r.n_carry + r.n_xs;
                let n_sweep = r.back.inputs.len() - n_loop;
                let mut marks = vec![false; n_loop];
                marks.extend(&seeded[seeded.len() - n_sweep..]);
                let first = n_loop + r.n_sweep_consts;
                marks[first..first + r.n_sweep_carry].fill(true);
                self.seeded.insert(&raw const *r.back, marks);
            }
            _ => {}
        }
    }
}

impl Evaluate for Watch {
    fn run(&mut self, program: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let n = program.types.len();
        let (seeded, last, mut values) = self.set_aside(|w| {
            let marks = w.seeded.get(&(&raw const *program)).cloned().unwrap_or_default();
            let mut seeded = vec![false; n];
            program.inputs.iter().zip(marks).for_each(|(v, mark)| seeded[v.index()] = mark);
            let mut last = vec![None; n];
            for (e, equation) in program.equations.iter().enumerate() {
                if equation.inputs.iter().any(|v| seeded[v.index()]) {
                    equation.outputs.iter().for_each(|v| seeded[v.index()] = true);
                }
                equation.inputs.iter().chain(&equation.outputs).for_each(|v| last[v.index()] = Some(e));
            }
            program.outputs.iter().for_each(|v| last[v.index()] = None);
            let values: Vec<Option<Value>> = vec![None; n];
            (seeded, last, values)
        });
        let let_go = |w: &mut Watch, v: usize, value: Option<Value>| {
            if seeded[v] { w.set_aside(|_| drop(value)) } else { drop(value) }
        };
        program.inputs.iter().zip(inputs).for_each(|(v, value)| values[v.index()] = Some(value));
        for (e, equation) in program.equations.iter().enumerate() {
            let copies =
                || equation.inputs.iter().map(|v| values[v.index()].clone().unwrap()).collect::<Vec<_>>();
            let is_seeded = equation.outputs.iter().any(|v| seeded[v.index()]);
            let results = if equation.op.has_bodies() {
                let marks = self.set_aside(|w| {
                    let marks: Vec<bool> = equation.inputs.iter().map(|v| seeded[v.index()]).collect();
                    w.mark(&equation.op, &marks);
                    marks
                });
                // A sweep writes over its tape, which it therefore has for itself.
                let operands = self.set_aside(|_| copies());
                for v in equation.inputs.iter().filter(|v| last[v.index()] == Some(e)) {
                    let shape_only = values[v.index()].take();
                    self.set_aside(|_| drop(shape_only));
                }
                let results = equation.op.eval(self, operands)?;
                self.set_aside(|_| drop(marks));
                results
            } else if is_seeded {
                self.set_aside(|w| equation.op.eval(w, copies()))?
            } else {
                equation.op.eval(self, copies())?
            };
            equation.outputs.iter().zip(results).for_each(|(v, r)| values[v.index()] = Some(r));
            self.look();
            for v in equation.inputs.iter().chain(&equation.outputs).filter(|v| last[v.index()] == Some(e)) {
                let value = values[v.index()].take();
                let_go(self, v.index(), value);
            }
        }
        let mut results = Vec::with_capacity(program.outputs.len());
        for v in &program.outputs {
            let value = values[v.index()].as_ref().unwrap();
            let own = || match value {
                Value::Array(array) => Value::Array(array.compact()),
                bits => bits.clone(),
            };
            results.push(if seeded[v.index()] { self.set_aside(|_| own()) } else { own() });
        }
        for (v, value) in values.iter_mut().enumerate() {
            let_go(self, v, value.take());
        }
        self.set_aside(|_| drop((values, last)));
        self.set_aside(|_| drop(seeded));
        Ok(results)
    }
    fn attempt(&mut self, body: &mut dyn Body) -> bool {
        body.run(self).is_ok()
    }
    fn count_recomputed_step(&mut self) {
        self.recomputed_steps += 1;
    }
}

type Door<F> = ValueAndGrad<F, (Vec<Var>,)>;

/// The gradient as `lowered` has it, and the most bytes that were held on the way back; the tape is the first of them.
fn watched(lowered: &Lowered, inputs: &[Array], n_seeds: usize) -> (Vec<Array>, usize, u64) {
    let values = || inputs.iter().cloned().map(Value::Array).collect::<Vec<_>>();
    let mut watch = Watch { start: 0, ..Watch::default() };
    watch.start = live_bytes();
    let mut tape = watch.run(&lowered.forward, values()).unwrap();
    let outputs: Vec<Value> = tape.drain(..lowered.n_outputs).collect();
    drop(outputs);
    watch.aside = 0;
    let types = watch.set_aside(|_| lowered.backward.input_types());
    let mut operands: Vec<Value> = Vec::with_capacity(types.len());
    let of_vector = (types.len() * size_of::<Value>()) as isize;
    watch.set_aside(|_| operands.extend(values()));
    operands.extend(tape);
    let seeds = types[types.len() - n_seeds..].iter();
    let seed = |ty: &Type| Value::Array(retrograde::arrays::ops::convert(&array(1.0), ty.dtype));
    watch.set_aside(|_| operands.extend(seeds.map(seed)));
    watch.most = live_bytes() - watch.start - watch.aside - of_vector;
    let n = operands.len();
    watch.set_aside(|w| {
        let marks = (0..n).map(|i| i >= n - n_seeds).collect();
        w.seeded.insert(&raw const lowered.backward, marks);
    });
    let gradient = watch.run(&lowered.backward, operands).unwrap();
    let gradient = gradient.iter().map(|v| v.array().clone()).collect();
    (gradient, watch.most as usize, watch.recomputed_steps)
}

fn same(a: &[Array], b: &[Array]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits_eq(b))
}

/// Whether budgets of these parts of what `Store` keeps are kept, to the bit.
fn expect_parts(name: &str, loss: impl Fn(Vec<Var>) -> Var + Copy, inputs: &Vec<Array>, parts: &[usize]) {
    let stored: Door<_> = value_and_grad(loss);
    let (_, expected) = stored.call(inputs).unwrap();
    let of_store = stored.last_tape().tape_bytes();
    for part in parts {
        let bytes = of_store / part;
        let door: Door<_> = value_and_grad(loss).budget(bytes);
        let (_, gradient) = door.call(inputs).unwrap();
        assert!(same(&gradient, &expected), "{name} / {part}");
        let lowered = door.lowered(inputs).unwrap();
        let (gradient, held, recomputed_steps) = watched(&lowered, inputs, 1);
        let planned = lowered.planned.as_ref().unwrap();
        let report = door.last_tape();
        assert!(same(&gradient, &expected), "{name} / {part}: watched");
        assert!(
            held <= planned.planned_bytes,
            "{name} / {part}: {held} bytes held, {bytes} allowed, {planned:?}"
        );
        assert!(planned.planned_bytes <= bytes && report.tape_bytes() <= held);
        assert_eq!(report.recomputed_steps, recomputed_steps);
    }
}

/// One value more on the tape, held to the end.
fn with_one_more(lowered: &Lowered, n_seeds: usize) -> (Lowered, usize) {
    let mut broken = lowered.clone();
    let forward = &broken.forward;
    let made = forward.equations.iter().flat_map(|e| &e.outputs).filter(|v| !forward.outputs.contains(v));
    let largest = *made.max_by_key(|v| forward.ty(**v).size_bytes()).unwrap();
    let ty = forward.ty(largest).clone();
    broken.forward.outputs.push(largest);
    let at = broken.backward.inputs.len() - n_seeds;
    broken.backward.types.push(ty.clone());
    let new = retrograde::ir::ValueId(broken.backward.types.len() as u32 - 1);
    broken.backward.inputs.insert(at, new);
    (broken, ty.size_bytes())
}

#[test]
fn what_is_held_stays_within_the_budget() {
    let disc = planetary_disc(8);
    let orbit = |s: Vec<Var>| {
        let m = s[2];
        let (x, v) = ode::leapfrog(move |x: Var| pull(x, m)).step(0.01).run((s[0], s[1]), 1000).end();
        (x * x).sum() + 0.5 * (v * v).sum()
    };
    expect_parts("nbody", orbit, &vec![disc.positions, disc.velocities, disc.masses], &[2, 10, 50]);

    // x + tanh(x w) a hundred times, by the weights and the start.
    let net = |p: Vec<Var>| {
        let end = p[1..].iter().fold(p[0], |x, w| x + x.dot(*w).tanh());
        (end * end).sum()
    };
    let weight = |i: u64| {
        let mut w = normal(Key::from_seed(5).fold_in(i), [24, 24]);
        w.make_mut::<f64>().unwrap().iter_mut().for_each(|w| *w *= 0.05);
        w
    };
    let mut p = vec![normal(Key::from_seed(4), [32, 24])];
    p.extend((0..100).map(weight));
    expect_parts("residual net", net, &p, &[2, 10]);

    // Dense layers, ten of them hidden: with fewer, two layers' worth of values is more than half of what is kept.
    let classes = array((0..64).map(|i| i % 10).collect::<Vec<i64>>());
    let dense = |x: Var, layer: &[Var]| {
        let product = x.dot(layer[0]);
        product + layer[1].spread(product.shape())
    };
    let mlp = |p: Vec<Var>| {
        let (hidden, head) = p[1..].split_at(20);
        let end = hidden.chunks(2).fold(p[0], |x, layer| dense(x, layer).tanh());
        cross_entropy(dense(end, head), constant(&classes))
    };
    let mut p = vec![uniform(Key::from_seed(6), [64, 64])];
    for i in 0..11 {
        let n = if i < 10 { 64 } else { 10 };
        let mut w = normal(Key::from_seed(7).fold_in(i), [64, n]);
        w.make_mut::<f64>().unwrap().iter_mut().for_each(|w| *w *= 0.125);
        p.extend([w, Array::zeros(DType::F64, [n])]);
    }
    expect_parts("mlp", mlp, &p, &[2]);

    // A plan that keeps one value more than it says is found.
    let door: Door<_> = value_and_grad(net).budget(60 * (32 * 24 * 8));
    let mut p = vec![normal(Key::from_seed(4), [32, 24])];
    p.extend((0..100).map(weight));
    let lowered = door.lowered(&p).unwrap();
    let planned = lowered.planned.as_ref().unwrap().planned_bytes;
    assert!(watched(&lowered, &p, 1).1 <= planned);
    let (broken, more) = with_one_more(&lowered, 1);
    let held = watched(&broken, &p, 1).1;
    assert!(held > planned, "{held} bytes with {more} more than planned, {planned}");
}
