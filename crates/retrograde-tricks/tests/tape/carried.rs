//! C11, C12, C13: derivatives that are carried forward.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::{Var, tree};
use retrograde_engine::{grad, jit, jvp, value_and_grad, vmap};
use retrograde_solve::hotelling::{hotelling, power};
use retrograde_tricks::adjoint::check_rule::{RuleError, check_rule};
use retrograde_tricks::tape::eprop::Leaky;
use retrograde_tricks::tape::real_time::{rank_one, real_time};

use crate::{Cell, apart, draw, setting, step, values};

fn whole(theta: Cell, h: Var, xs: Var) -> Var {
    scan_over().run(h, xs, |h, x| step(&theta, h, x)).1.sum()
}

#[test]
fn real_time_learning_is_backpropagation_through_time() {
    let carried = |theta: Cell, h: Var, xs: Var| real_time(theta, h, xs, step).0;
    let mut bytes = vec![];
    for n_steps in [1, 10, 100] {
        let (theta, h0, xs) = setting(n_steps);
        let (value, exact) = value_and_grad(whole).call((&theta, &h0, &xs)).unwrap();
        let door = value_and_grad(carried);
        let (same, found) = door.call((&theta, &h0, &xs)).unwrap();
        assert!(apart(&same, &value) < 1e-14);
        let off = apart(&found.0, &exact.0).max(apart(&found.1, &exact.1));
        assert!(off < 1e-13, "{n_steps} steps: {off}");
        bytes.push(door.last_tape().tape_bytes());
    }
    // 9 + 6 numbers, the gradient itself.
    assert_eq!(bytes, [15 * 8; 3]);
    let (theta, h0, xs) = setting(20);
    let last = jit(|theta: Cell, h: Var, xs: Var| real_time(theta, h, xs, step).1);
    let plain = jit(|theta: Cell, h: Var, xs: Var| scan_over().run(h, xs, |h, x| step(&theta, h, x)).0);
    assert!(apart(&last.call((&theta, &h0, &xs)).unwrap(), &plain.call((&theta, &h0, &xs)).unwrap()) < 1e-15);
    // Declared exact, and exact; forward mode too.
    let of_weights = |w: Var, v: Var, xs: Var| real_time((w, v), w.index(0, 0) * 0.0, xs, step).0;
    let found = check_rule(of_weights, (&theta.0, &theta.1, &xs), Key::from_seed(5));
    // Inputs are held fixed by a stop-gradient, which is a deviation of its own; without them there is none.
    assert!(found.unwrap().declared.iter().all(|law| law.contains("stop_gradient")));
    let fixed = move |w: Var| {
        real_time(
            (w, w.slice(0, 0..2)),
            w.index(0, 0) * 0.0,
            retrograde_core::trace::var::constant(&xs),
            step,
        )
        .0
    };
    let w_dot = draw(6, [3, 3]);
    let (_, forward) = jvp(&fixed).call(&theta.0, &w_dot).unwrap();
    let reverse = grad(&fixed).call(&theta.0).unwrap();
    let inner: f64 = values(&reverse).iter().zip(values(&w_dot)).map(|(a, b)| a * b).sum();
    assert!((forward.item::<f64>().unwrap() - inner).abs() < 1e-12 * inner.abs().max(1.0));
}

#[test]
fn the_mean_of_rank_one_estimates_is_the_gradient() {
    const N: usize = 1000;
    let (theta, h0, xs) = setting(4);
    let exact = grad(whole).call((&theta, &h0, &xs)).unwrap();
    let mean = [values(&exact.0), values(&exact.1)].concat();
    let keys = |split: bool| {
        let root = Key::from_seed(8);
        let all = root.split(N).into_iter().map(|key| if split { key } else { root }.to_array());
        Array::stack(&all.collect::<Vec<_>>()).unwrap()
    };
    let draws = |keys: &Array, factor: f64| -> Vec<Vec<f64>> {
        let f = move |theta: Cell, (h, xs): (Var, Var), keys: Var| {
            let loss =
                |theta: Cell, (h, xs): (Var, Var), key: Var| factor * rank_one(theta, h, xs, key, step).0;
            vmap(|key: Var| grad(loss).at((theta, (h, xs), key))).apply((keys,))
        };
        let (w, v) = jit(f).call((&theta, &(h0.clone(), xs.clone()), keys)).unwrap();
        values(&w).chunks(9).zip(values(&v).chunks(6)).map(|(w, v)| [w, v].concat()).collect()
    };
    let found = draws(&keys(true), 1.0);
    let test = hotelling(&found, &mean).unwrap();
    assert!(test.p > 0.01, "{test:?}");
    // What the test is worth: a gradient that is too large by a tenth, all of it, is refused.
    let average: Vec<f64> = (0..15).map(|k| found.iter().map(|row| row[k]).sum::<f64>() / N as f64).collect();
    let off: Vec<f64> = average.iter().zip(&mean).map(|(a, g)| a + 0.1 * g).collect();
    let strength = power(hotelling(&found, &off).unwrap().t2, test.rank, N, 0.01);
    assert!(strength > 0.9, "{strength}");
    // A missing factor, and one key for all draws.
    assert!(hotelling(&draws(&keys(true), 0.8), &mean).unwrap().p < 1e-3);
    assert!(hotelling(&draws(&keys(false), 1.0), &mean).unwrap().p < 1e-6);
    // A single draw is no gradient, and needs as few bytes as its result.
    let door = grad(|theta: Cell, (h, xs): (Var, Var), key: Var| rank_one(theta, h, xs, key, step).0);
    let one = door.call((&theta, &(h0, xs), &Key::from_seed(9).to_array())).unwrap();
    assert!(apart(&one.0, &exact.0) > 1e-2);
    assert_eq!(door.last_tape().tape_bytes(), 15 * 8);
}

type Data = (Var, Var);

fn readout_loss(q: &Var, z: Var, y: Var) -> Var {
    let off = z.dot(*q) - y;
    0.5 * (off * off).sum()
}

/// The same network, with the edge from unit to unit cut or not.
fn plain(layer: Leaky<Var>, q: Var, (xs, ys): Data, cut: bool) -> Var {
    let n = layer.recurrent.shape()[0];
    let zeros = retrograde_core::trace::var::full(xs.dtype(), [n], 0.0);
    let step = |(v, z): (Var, Var), (x, y): Data| {
        let heard = if cut { z.stop_gradient() } else { z };
        let (v, z) = layer.step(v, heard, x, Var::tanh);
        ((v, z), readout_loss(&q, z, y))
    };
    scan_over().run((zeros, zeros), (xs, ys), step).1.sum()
}

#[test]
fn eligibility_traces_are_the_gradient_without_the_cut_edges() {
    let layer = Leaky { input: draw(1, [2, 5]), recurrent: draw(2, [5, 5]), decay: 0.8 };
    let q = draw(3, [5, 2]);
    let traced =
        |(layer, q): (Leaky<Var>, Var), (xs, ys): Data| layer.eligibility(xs, Var::tanh, q, readout_loss, ys);
    let mut bytes = vec![];
    for n_steps in [10, 100] {
        let data = (draw(4, [n_steps, 2]), draw(5, [n_steps, 2]));
        let of = |cut: bool| {
            let loss = move |(layer, q): (Leaky<Var>, Var), data: Data| plain(layer, q, data, cut);
            value_and_grad(loss).call((&(layer.clone(), q.clone()), &data)).unwrap()
        };
        let door = value_and_grad(traced);
        let (value, found) = door.call((&(layer.clone(), q.clone()), &data)).unwrap();
        let (same, expected) = of(true);
        assert!(apart(&value, &same) < 1e-14);
        let leaves =
            |g: &(Leaky<Array>, Array)| tree::leaves(g).into_iter().map(|(_, g)| g).collect::<Vec<_>>();
        let off = leaves(&found).iter().zip(leaves(&expected)).map(|(a, b)| apart(a, &b)).fold(0.0, f64::max);
        assert!(off < 1e-13, "{n_steps} steps: {off}");
        // The whole gradient is another.
        assert!(apart(&found.0.recurrent, &of(false).1.0.recurrent) > 1e-2);
        bytes.push(door.last_tape().tape_bytes());
    }
    assert_eq!(bytes, [(2 * 5 + 5 * 5 + 5 * 2) * 8; 2]);
    // It deviates, as it says.
    let data = (draw(4, [6, 2]), draw(5, [6, 2]));
    let of_input = move |w: Var| {
        let constant = retrograde_core::trace::var::constant;
        let layer = Leaky { input: w, recurrent: constant(&draw(2, [5, 5])), decay: 0.8 };
        layer.eligibility(
            constant(&data.0),
            Var::tanh,
            constant(&draw(3, [5, 2])),
            readout_loss,
            constant(&data.1),
        )
    };
    let found = check_rule(&of_input, &layer.input, Key::from_seed(6)).unwrap();
    assert!(found.gap > 1e-4 && found.declared.iter().any(|law| law.starts_with("C13")), "{found:?}");
    let silent = check_rule(|x: Var| x.sin(), &array([1.0]), Key::from_seed(7));
    assert!(!matches!(silent, Err(RuleError::Deviates { .. })));
}
