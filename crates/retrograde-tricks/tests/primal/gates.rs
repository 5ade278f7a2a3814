//! Gates: along a state, the derivative is their product.

use retrograde_array::DType;
use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::constant;
use retrograde_engine::grad;
use retrograde_engine::jit;
use retrograde_tricks::primal::gru::move_towards;
use retrograde_tricks::primal::highway::Highway;
use retrograde_tricks::primal::lstm::cell;

use crate::{Check, draw, hold, values};

/// A cell that gets a state and a gate before the logistic.
type Cell = fn(Var, Var) -> Var;

const CELLS: [(&str, Cell); 3] = [
    ("lstm", |c, f| cell(c, [c * 0.0, f, c * 0.0, c * 0.0]).1),
    ("gru", |h, z| move_towards(h, z, h * 0.0)),
    ("highway", |x, t| (-t).logistic() * x * 0.0 + t.logistic() * x),
];

/// ∂(last state)/∂(first state) over all gates.
fn through(cell: Cell, gates: Vec<f64>) -> f64 {
    let gates = array(gates);
    let run = move |c: Var| {
        let step = |c: Var, gate: Var| (cell(c, gate.spread([1, 1])), Vec::<Var>::new());
        scan_over().run(c, constant(&gates), step).0.sum()
    };
    values(&grad(run).call(&array([[0.5]])).unwrap())[0]
}

fn is_their_product(cell: Cell) -> Check {
    let gates: Vec<f64> = (0..200).map(|k| 3.0 + f64::from(k).sin()).collect();
    let product: f64 = gates.iter().map(|f| 1.0 / (1.0 + (-f).exp())).product();
    let found = through(cell, gates);
    // Three roundings a step.
    hold((found - product).abs() < 600.0 * f64::EPSILON * product, || format!("{found} {product}"))
}

#[test]
fn the_state_of_a_cell_carries_the_derivative() {
    for (name, cell) in CELLS {
        assert_eq!(is_their_product(cell), Ok(()), "{name}");
        // σ(40) is 1 in f64: exactly 1 after 10⁴ steps.
        assert_eq!(through(cell, vec![40.0; 10_000]), 1.0, "{name}");
    }
    // A state that is read once more, and a gate that is not quite open.
    assert!(is_their_product(|c, f| cell(c, [c * 0.0, f, c * 0.0, 0.1 * c]).1).is_err());
    assert!(through(CELLS[0].1, vec![20.0; 10_000]) < 1.0);
    // A highway whose gates are closed is the identity, to the bit, forwards and backwards.
    let layer = Highway::he(Key::from_seed(1), 5, -1e3, DType::F64);
    let (x, y_bar) = (draw(2, [3, 5]), draw(3, [3, 5]));
    let f = |layer: Highway<Var>, x: Var| layer.apply(x);
    assert!(jit(f).call((&layer, &x)).unwrap().bits_eq(&x));
    let slope = grad(move |x: Var, layer: Highway<Var>, y_bar: Var| (f(layer, x) * y_bar).sum());
    assert!(slope.call((&x, &layer, &y_bar)).unwrap().bits_eq(&y_bar));
}
