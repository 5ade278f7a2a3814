//! Plans whose kernels write over operands.

use std::sync::Arc;

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType};
use retrograde_core::exec::{Executor, Interpreter, RunConfig};
use retrograde_core::ir::print;
use retrograde_core::prim::{Program, Value};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{cond, scan};
use retrograde_core::trace::door::{jit, value_and_grad};
use retrograde_sample::Draws;

use super::{Action, Detail, Plan, Run, Scratch};

// Programs of kernels of several tiles.
#[path = "../../tests/kernels/draw.rs"]
mod draw;

/// How many results lie over operands, in the plan and in those of its bodies.
fn n_updated(plan: &Plan) -> usize {
    let of_step = |step: &super::Step| {
        let bodies = match &step.action {
            Action::Eval { bodies, .. } => &bodies[..],
            _ => &[],
        };
        step.updated.len() + bodies.iter().map(|body| n_updated(&body.plan)).sum::<usize>()
    };
    plan.steps.iter().map(of_step).sum()
}

/// An array that nobody else holds.
fn own(value: &Value) -> Value {
    let mut own = Array::zeros(DType::Bool, []);
    own.assign(value.array());
    Value::Array(own)
}

/// Calls with operands that are held and given up, whose results are held and let go; how many results lie over operands.
#[track_caller]
fn compare(program: &Program, inputs: &[Value]) -> usize {
    let Ok((expected, _)) = Interpreter::default().run(program, inputs.to_vec()) else { return 0 };
    let plan = Arc::new(Plan::new(program, Detail::Fused));
    for n_threads in [1, 3] {
        let mut held = vec![];
        for call in 0..6 {
            let mut run = Run::new(RunConfig::default(), n_threads, Scratch::default());
            let inputs = inputs.iter().map(if call % 3 == 1 { own } else { Value::clone }).collect();
            let found = plan.run(inputs, &mut run).expect("a program that the interpreter runs");
            assert!(found == expected, "call {call} on {n_threads} threads of\n{}", print(program));
            if call % 2 == 0 {
                held.push(found);
            }
        }
        assert!(held.iter().all(|found| *found == expected), "results changed of\n{}", print(program));
    }
    n_updated(&plan)
}

#[test]
fn programs_of_kernels_have_the_same_bits_over_operands() {
    let of_seed = |seed| {
        let (program, inputs) = draw::program(seed);
        compare(&program, &inputs)
    };
    let n_updated: usize = (0..400).map(of_seed).sum();
    assert!(n_updated > 10, "{n_updated} results over operands");
}

/// Values computed from some of one shape, entry by entry, along rows, as views, and in loops and branches; the last ones.
fn mixed(draws: &mut Draws, given: &[Var], n_steps: usize, depth: usize) -> Vec<Var> {
    let mut values = given.to_vec();
    for _ in 0..n_steps {
        // Mostly the latest, so that others die.
        let recent = values.len().saturating_sub(3 + draws.below(3));
        let (x, y) = (*draws.of(&values[recent..]), *draws.of(&values[recent..]));
        let new = match draws.below(9) {
            0 | 1 => x.cumsum(draws.below(2)) * 0.01,
            2 => x.reverse(&[draws.below(2)]) - y,
            3 => x.reshape([61, 37]).sin().reshape([37, 61]),
            4 => x - y * 0.125,
            5 => x * x.sum_axes(&[1]).broadcast([37, 61], &[0]).tanh() + y,
            6 if depth > 0 => {
                let seed = draws.below(1000) as u64;
                let step = |s: (Var, Var)| {
                    let made = mixed(&mut Draws::new(Key::from_seed(seed)), &[s.0, s.1], 5, depth - 1);
                    (made[0].sin(), made[1].cos())
                };
                let (x, y) = scan(draws.below(4)).repeat((x, y), step);
                values.push(x);
                y
            }
            7 if depth > 0 => cond(
                x.sum().gt(0.0),
                |(x, y): (Var, Var)| (x.cumsum(0) + y).sin(),
                |(_, y): (Var, Var)| y,
                (x, y),
            ),
            _ => (x * 0.5 + y).sin(),
        };
        values.push(new);
    }
    values.split_off(values.len() - 3)
}

#[test]
fn programs_with_loops_have_the_same_bits_over_operands() {
    let mut n = 0;
    for seed in 0..60 {
        let f = move |given: Vec<Var>| {
            let made = mixed(&mut Draws::new(Key::from_seed(seed)), &given, 12, 1);
            made.into_iter().chain([given[0]]).collect::<Vec<_>>()
        };
        let loss =
            move |given: Vec<Var>| f(given).into_iter().map(|v| v.sum()).reduce(|a, b| a + b).expect("some");
        let given: Vec<Array> = (0..2).map(|i| uniform(Key::from_seed(i), [37, 61])).collect();
        let inputs: Vec<Value> = given.iter().cloned().map(Value::Array).collect();
        let made = jit(f).program(&given).expect("a program");
        let descent = jit(move |given: Vec<Var>| {
            let (_, slopes) = value_and_grad(loss).at(given.clone());
            given.iter().zip(slopes).map(|(x, slope)| *x - 0.1 * slope).collect::<Vec<_>>()
        });
        n += compare(&made, &inputs);
        n += compare(&descent.program(&given).expect("a program"), &inputs);
    }
    assert!(n > 200, "{n} results over operands");
}
