//! Learning rates that learn, and learning where to start.

use retrograde_array::{Array, array};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit, jvp};
use retrograde_tricks::update::adam::adam;
use retrograde_tricks::update::adaptive_rate::{MetaDescent, MetaState, hypergradient_descent};
use retrograde_tricks::update::map::chain;
use retrograde_tricks::update::meta_learning::{Order, adapt, reptile};
use retrograde_tricks::update::momentum::sgd;

use crate::{distance, numbers};

fn quadratic(w: Var, a: Var) -> Var {
    0.5 * w.dot(a.dot(w))
}

fn curved(w: Var, a: Var) -> Var {
    quadratic(w, a) + (w * w * w * w).sum()
}

fn matrix() -> Array {
    array([[3.0, 1.0], [1.0, 2.0]])
}

#[test]
fn meta_descent_follows_the_derivative_by_the_rates() {
    for loss in [quadratic, curved] {
        // The weights after some steps as a function of what is added to every ln p, differentiated through all steps.
        let unrolled = |q: Var| {
            let (mut w, a) =
                (0.0 * q + &array([0.5, -0.25]), retrograde_core::trace::var::constant(&matrix()));
            for _ in 0..7 {
                w = w - (q + &array([-2.0, -3.0])).exp() * grad(loss).at((w, a));
            }
            w
        };
        let (end, by_rates) = jvp(unrolled).call(&array([0.0, 0.0]), &array([1.0, 1.0])).unwrap();
        let trace_of = |lambda: f64| {
            let meta = MetaDescent { mu: 0.0, lambda };
            let step = jit(move |w: Var, a: Var, state: MetaState<Var>| meta.step(loss, w, a, state));
            let mut w = array([0.5, -0.25]);
            let mut state =
                MetaState { log_rates: vec![array([-2.0, -3.0])], trace: vec![array([0.0, 0.0])] };
            for _ in 0..7 {
                (w, state) = step.call((&w, &matrix(), &state)).unwrap();
            }
            (numbers(&w), numbers(&state.trace[0]))
        };
        let (w, v) = trace_of(1.0);
        assert!(distance(&w, &numbers(&end)) < 1e-15);
        assert!(distance(&v, &numbers(&by_rates)) < 1e-15);
        // With a shorter memory it is another.
        assert!(distance(&trace_of(0.9).1, &numbers(&by_rates)) > 1e-3);
    }
    // Where the last gradient points as this one, the rate grows by exp(μ p g²).
    let meta = MetaDescent { mu: 0.5, lambda: 1.0 };
    let step = jit(move |w: Var, a: Var, state: MetaState<Var>| meta.step(quadratic, w, a, state));
    let start = MetaState { log_rates: vec![array([-2.0])], trace: vec![array([-0.25])] };
    let (_, state) = step.call((&array([1.0]), &array([[2.0]]), &start)).unwrap();
    assert_eq!(state.log_rates[0], array([-2.0 + 0.5 * 2.0 * 0.25]));
}

#[test]
fn a_hypergradient_is_the_slope_by_the_rate() {
    let (w, a) = (array([0.5, -0.25]), matrix());
    let slope = grad(curved);
    let at = |w: &Array| slope.call((w, &a)).unwrap();
    let value = jit(curved);
    for inside in [chain(vec![]), retrograde_tricks::update::adam::Adam::default().direction()] {
        // The loss after one step as a function of the rate, by differences of order four.
        let after = |rate: f64| {
            let plain = chain((inside.clone(), sgd(rate)));
            let (moved, _) = plain.step(&at(&w), plain.init(&w).unwrap(), w.clone()).unwrap();
            (value.call((&moved, &a)).unwrap().item::<f64>().unwrap(), moved)
        };
        let h = 1e-3;
        let by_differences = (8.0 * (after(0.1 + h).0 - after(0.1 - h).0) - after(0.1 + 2.0 * h).0
            + after(0.1 - 2.0 * h).0)
            / (12.0 * h);
        let update = hypergradient_descent(0.1, 0.01, inside.clone());
        let (moved, state) = update.step(&at(&w), update.init(&w).unwrap(), w.clone()).unwrap();
        assert_eq!(moved, after(0.1).1);
        let (_, state) = update.step(&at(&moved), state, moved.clone()).unwrap();
        let change = state.number("rate").unwrap().item::<f64>().unwrap() - 0.1;
        let found = change / -0.01;
        assert!((found - by_differences).abs() < 1e-8, "{found} and {by_differences}");
        assert!((-found - by_differences).abs() > 1e-2); // the other sign
    }
}

#[test]
fn meta_learning_on_a_quadratic_is_its_closed_form() {
    let (alpha, w, c) = (0.1, [1.0, -2.0], [0.5, 0.25]);
    let a = [[3.0, 1.0], [1.0, 2.0]];
    let times =
        |m: [[f64; 2]; 2], x: [f64; 2]| [m[0][0] * x[0] + m[0][1] * x[1], m[1][0] * x[0] + m[1][1] * x[1]];
    let shrink = [[1.0 - alpha * a[0][0], -alpha * a[0][1]], [-alpha * a[1][0], 1.0 - alpha * a[1][1]]];
    let away = [w[0] - c[0], w[1] - c[1]];
    let loss = |w: Var, (a, c): (Var, Var)| quadratic(w - c, a);
    let data = (matrix(), array(c));
    let update = sgd(alpha);
    let maml = |order: Order, n: usize| {
        let update = update.clone();
        move |w: Var, data: (Var, Var)| loss(adapt(&update, loss, w, data, n, order), data)
    };
    let of = |order: Order, n: usize| numbers(&grad(maml(order, n)).call((&array(w), &data)).unwrap());
    let (mut full, mut first) = (times(a, times(shrink, away)), times(a, times(shrink, away)));
    full = times(shrink, full);
    assert!(distance(&of(Order::Full, 1), &full) < 1e-14);
    assert!(distance(&of(Order::First, 1), &first) < 1e-14);
    assert!(distance(&full, &first) > 0.1);
    // Two steps: one factor more for either side, and for one side.
    full = times(shrink, times(shrink, full));
    first = times(shrink, first);
    assert!(distance(&of(Order::Full, 2), &full) < 1e-14);
    assert!(distance(&of(Order::First, 2), &first) < 1e-14);
    // Reptile: what n steps do.
    let direction = jit(|w: Var, data: (Var, Var)| reptile(&update, loss, w, data, 3));
    let left = times(shrink, times(shrink, times(shrink, away)));
    let found = numbers(&direction.call((&array(w), &data)).unwrap());
    assert!(distance(&found, &[away[0] - left[0], away[1] - left[1]]) < 1e-14);

    // Through Adam, whose steps are no linear map: against differences, and with the same bits under every policy.
    let through = |w: Var, data: (Var, Var)| loss(adapt(&adam(0.1), loss, w, data, 4, Order::Full), data);
    let slope = grad(through).call((&array(w), &data)).unwrap();
    let value = |w: [f64; 2]| jit(through).call((&array(w), &data)).unwrap().item::<f64>().unwrap();
    let h = 1e-3;
    for i in 0..2 {
        let at = |step: f64| value(std::array::from_fn(|j| w[j] + if i == j { step } else { 0.0 }));
        let by_differences = (8.0 * (at(h) - at(-h)) - at(2.0 * h) + at(-2.0 * h)) / (12.0 * h);
        assert!((numbers(&slope)[i] - by_differences).abs() < 1e-8);
    }
    let again = grad(through).tape(Tape::Recompute).call((&array(w), &data)).unwrap();
    assert!(again.bits_eq(&slope));
}
