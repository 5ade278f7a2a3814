//! B15.

use retrograde_array::Array;
use retrograde_core::ir::Op;
use retrograde_core::prim::Program;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_engine::{grad, jit, value_and_grad};
use retrograde_tricks::adjoint::truncated::Truncated;

use crate::{draw, values};

type Cell = (Var, Var);

/// h ← tanh(h W + x V), with the loss Σh².
fn step((w, v): &Cell, h: Var, x: Var) -> (Var, Var) {
    let h = (h.dot(*w) + x.dot(*v)).tanh();
    (h, (h * h).sum())
}

fn whole(theta: Cell, h: Var, xs: Var) -> Var {
    scan_over().run(h, xs, |h, x| step(&theta, h, x)).1.sum()
}

fn setting(n_steps: usize) -> ((Array, Array), Array, Array) {
    ((draw(1, [3, 3]), draw(2, [2, 3])), draw(3, [3]), draw(4, [n_steps, 2]))
}

fn close(a: &(Array, Array), b: &(Array, Array), tolerance: f64) -> bool {
    let near = |a: &Array, b: &Array| {
        values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() < tolerance * (1.0 + b.abs()))
    };
    near(&a.0, &b.0) && near(&a.1, &b.1)
}

/// The partial sum by hand: windows as programs of their own, that begin at states computed before.
fn partial_sum(every: usize, back: usize, n_steps: usize) -> (Array, Array) {
    let (theta, h0, xs) = setting(n_steps);
    let state_at = |t: usize| match t {
        0 => h0.clone(),
        t => jit(move |theta: Cell, h: Var, xs: Var| {
            scan_over().run(h, xs.slice(0, 0..t), |h, x| step(&theta, h, x)).0
        })
        .call((&theta, &h0, &xs))
        .unwrap(),
    };
    let mut total: Option<(Array, Array)> = None;
    for end in (every..=n_steps).step_by(every) {
        let start = end.saturating_sub(back);
        let of_window = move |theta: Cell, h: Var, xs: Var| {
            let losses = scan_over().run(h, xs.slice(0, start..end), |h, x| step(&theta, h, x)).1;
            losses.slice(0, end - start - every..end - start).sum()
        };
        let slope = grad(of_window).call((&theta, &state_at(start), &xs)).unwrap();
        total = Some(match total {
            None => slope,
            Some(t) => jit(|a: Cell, b: Cell| (a.0 + b.0, a.1 + b.1)).call((&t, &slope)).unwrap(),
        });
    }
    total.unwrap()
}

#[test]
fn truncation_is_a_partial_sum_and_exact_when_nothing_is_cut() {
    let n_steps = 24;
    let (theta, h0, xs) = setting(n_steps);
    let (value, exact) = value_and_grad(whole).call((&theta, &h0, &xs)).unwrap();
    let truncated = |every: usize, back: usize| {
        let loss = move |theta: Cell, h: Var, xs: Var| Truncated { every, back }.run(theta, h, xs, step).0;
        value_and_grad(loss).call((&theta, &h0, &xs)).unwrap()
    };
    for (every, back) in [(1, 1), (1, 5), (4, 4), (4, 6), (3, 24), (8, 16), (24, 24), (6, 100)] {
        let (same, slope) = truncated(every, back);
        assert!((same.item::<f64>().unwrap() / value.item::<f64>().unwrap() - 1.0).abs() < 1e-14);
        assert!(close(&slope, &partial_sum(every, back, n_steps), 1e-13), "{every} {back}");
        assert_eq!(close(&slope, &exact, 1e-12), back >= n_steps, "{every} {back}");
    }
    // The last state is that of the loop.
    for (every, back) in [(4, 6), (24, 24), (6, 100)] {
        let last =
            jit(move |theta: Cell, h: Var, xs: Var| Truncated { every, back }.run(theta, h, xs, step).1);
        let plain = jit(|theta: Cell, h: Var, xs: Var| scan_over().run(h, xs, |h, x| step(&theta, h, x)).0);
        assert!(last.call((&theta, &h0, &xs)).unwrap().bits_eq(&plain.call((&theta, &h0, &xs)).unwrap()));
    }
}

/// The largest value of a program that has no more than what comes in has.
fn largest(program: &Program, least: usize) -> usize {
    let mut most = least;
    for equation in &program.equations {
        let of_outputs = equation.outputs.iter().map(|v| program.ty(*v).shape.size()).max().unwrap_or(0);
        most = most.max(of_outputs);
        equation.op.map_bodies(&mut |body| {
            most = most.max(largest(body, least));
            body.clone()
        });
    }
    most
}

#[test]
fn bytes_are_those_of_a_window() {
    let report = |n_steps: usize, every: usize, back: usize| {
        let (theta, h0, xs) = setting(n_steps);
        let loss = move |theta: Cell, h: Var, xs: Var| Truncated { every, back }.run(theta, h, xs, step).0;
        let door = grad(loss);
        door.call((&theta, &h0, &xs)).unwrap();
        let halves = door.lowered((&theta, &h0, &xs)).unwrap();
        (door.last_tape().tape_bytes(), largest(&halves.backward, largest(&halves.forward, 0)))
    };
    // 9 + 6 numbers of the gradient, whatever T and k₂ are.
    for n_steps in [24, 240] {
        assert_eq!(report(n_steps, 4, 8).0, 15 * 8, "{n_steps}");
    }
    // Of the steps no more than a window is there at a time: the largest values are the losses of all windows, and the window's states.
    assert!(report(240, 4, 8).1 <= 60 && report(240, 4, 80).1 >= 80 * 2);
    let door = grad(whole);
    let (theta, h0, xs) = setting(240);
    door.call((&theta, &h0, &xs)).unwrap();
    assert!(door.last_tape().tape_bytes() > 240 * 3 * 8);
}
