//! What each trick on the tape claims, as a number.

mod carried;
mod colouring;
mod mistakes;
mod random_projection;
mod released;
mod replay;

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, Shape};
use retrograde_core::trace::Var;

/// Normal draws.
fn draw(seed: u64, shape: impl Into<Shape>) -> Array {
    normal(Key::from_seed(seed), shape)
}

fn values(a: &Array) -> Vec<f64> {
    a.to_vec().unwrap()
}

/// The largest distance of entries, relative to the larger of 1 and the entry.
fn apart(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape(), b.shape());
    values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

/// Weights `[3, 3]` and `[2, 3]` of a small recurrent network.
type Cell = (Var, Var);

/// h ← tanh(h W + x V), with the loss Σh².
fn step((w, v): &Cell, h: Var, x: Var) -> (Var, Var) {
    let h = (h.dot(*w) + x.dot(*v)).tanh();
    (h, (h * h).sum())
}

/// Weights, start and inputs of a run of it.
fn setting(n_steps: usize) -> ((Array, Array), Array, Array) {
    ((draw(1, [3, 3]), draw(2, [2, 3])), draw(3, [3]), draw(4, [n_steps, 2]))
}
