//! What an update is: the same inside and outside of traces, in chains, and for a checkpoint.

use retrograde_array::{Array, array};
use retrograde_core::trace::{Var, tree};
use retrograde_engine::{grad, jit};
use retrograde_tricks::update::adam::{adam, adamw};
use retrograde_tricks::update::averaging::ema;
use retrograde_tricks::update::clip::clip_by_global_norm;
use retrograde_tricks::update::map::{State, Update, chain};
use retrograde_tricks::update::momentum::{momentum, sgd};
use retrograde_tricks::update::schedule::{Schedule, held};
use retrograde_tricks::update::weight_decay::weight_decay;

use crate::{distance, numbers, problem};

fn all() -> Vec<Update> {
    vec![
        sgd(0.1),
        momentum(Schedule::linear(0.0, 0.1, 3), 0.9),
        chain((clip_by_global_norm(0.05), weight_decay(0.1), adam(held(0.05)), ema(0.9))),
        adamw(0.05, 0.1),
    ]
}

/// Five steps by arrays, by one program of five steps, and with a state that was taken apart and put together: the same bits.
#[test]
fn a_trace_and_arrays_give_the_same_bits() {
    for update in all() {
        let (start, slope) = problem();
        let gradient = slope(&start);
        let (mut p, mut state) = (start.clone(), update.init(&start).unwrap());
        for _ in 0..5 {
            let (step, next) = update.update(&gradient, &state, &p).unwrap();
            let (moved, again) = update.step(&gradient, state, p.clone()).unwrap();
            assert_eq!((&again, sum(&p, &step)), (&next, moved.clone()), "{}", update.name());
            let mut leaves = tree::leaves(&next).into_iter();
            state = tree::Tree::map(&next, &mut |_: &Array| leaves.next().unwrap().1);
            p = moved;
        }
        let inside = jit(|p: (Var, Var), g: (Var, Var)| {
            let (mut state, mut p) = (update.init_at(&p), p);
            for _ in 0..5 {
                (p, state) = update.step_at(&g, state, &p);
            }
            (p, state)
        });
        assert_eq!(inside.call((&start, &gradient)).unwrap(), (p, state), "{}", update.name());
    }
}

fn sum(p: &(Array, Array), step: &(Array, Array)) -> (Array, Array) {
    let add = |a: &Array, b: &Array| {
        let values = numbers(a).iter().zip(numbers(b)).map(|(a, b)| a + b).collect();
        crate::shaped(a.shape(), values)
    };
    (add(&p.0, &step.0), add(&p.1, &step.1))
}

/// The derivative of a loss after three steps of each update by the start is that of differences.
#[test]
fn updates_can_be_differentiated() {
    for update in all() {
        let after = |w: Var| {
            let (mut state, mut p) = (update.init_at(&w), w);
            for _ in 0..3 {
                let g = p * &array([1.0, 2.0, -3.0]) + p * p * p;
                (p, state) = update.step_at(&g, state, &p);
            }
            (p * p * &array([1.0, -1.0, 0.5])).sum()
        };
        let at = [0.5, -0.25, 1.5];
        let value = |w: [f64; 3]| jit(after).call(&array(w)).unwrap().item::<f64>().unwrap();
        let slope = numbers(&grad(after).call(&array(at)).unwrap());
        let by_differences: Vec<f64> = (0..3)
            .map(|i| {
                let moved = |h: f64| std::array::from_fn(|j| at[j] + if i == j { h } else { 0.0 });
                (8.0 * (value(moved(1e-3)) - value(moved(-1e-3))) - value(moved(2e-3)) + value(moved(-2e-3)))
                    / 12e-3
            })
            .collect();
        let off = distance(&slope, &by_differences);
        assert!(off < 1e-8, "{}: {off:e}, {slope:?} and {by_differences:?}", update.name());
    }
}

/// The names of what is remembered, as a checkpoint holds them.
#[test]
fn states_have_names() {
    let p = (array([1.0, 2.0]), vec![array(3.0)]);
    let state = chain((clip_by_global_norm(1.0), adam(Schedule::linear(0.0, 0.1, 3)))).init(&p).unwrap();
    let paths: Vec<String> = tree::leaves(&state).into_iter().map(|(path, _)| path).collect();
    let expected = ["1.0.mean.0", "1.0.mean.1.0", "1.0.square.0", "1.0.square.1.0", "1.0.count", "1.1.count"];
    assert_eq!(paths, expected);
    let names = |state: &State<Array>| state.parts.iter().map(|part| part.update.clone()).collect::<Vec<_>>();
    assert_eq!(state.update, "chain(clip by global norm, adam)");
    assert_eq!(names(&state), ["clip by global norm", "adam"]);
}
