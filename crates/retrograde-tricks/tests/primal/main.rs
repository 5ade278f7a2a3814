//! Group A, on the primal: what each trick promises, as a number.

mod activations;
mod adjoint_identity;
mod attention;
mod data;
mod gates;
mod implicit;
mod initial;
mod layers;
mod losses;
mod norms;
mod pooling;
mod relaxations;
mod residual;
mod reversible;
#[rustfmt::skip]
#[expect(clippy::approx_constant, reason = "a table of numbers, some of which have names")]
mod true_values;

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, Shape};
use retrograde_core::trace::Var;
use retrograde_engine::jit;

/// Normal entries.
fn draw(seed: u64, shape: impl Into<Shape>) -> Array {
    normal(Key::from_seed(seed), shape)
}

fn values(a: &Array) -> Vec<f64> {
    a.to_vec().unwrap()
}

fn inner(a: &Array, b: &Array) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

/// Weights that tell entries apart.
fn weighed(y: Var) -> Var {
    (y * &draw(99, y.shape())).sum()
}

/// The largest difference of two arrays.
fn apart(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.shape(), b.shape());
    values(a).iter().zip(values(b)).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()))
}

/// The distance of x from the next number: the unit in its last place.
fn ulp(x: f64) -> f64 {
    f64::from_bits(x.abs().to_bits() + 1) - x.abs()
}

/// What the checks of this group return: broken variants must give an error.
type Check = Result<(), String>;

fn hold(holds: bool, what: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(what()) }
}

/// The slope of `f` at `x` along `direction` by central differences: off by about δ² and 1e-16/δ, with δ = 1e-5.
fn difference(f: impl Fn(&Array) -> f64, x: &Array, direction: &Array) -> f64 {
    let moved = |delta: f64| {
        let mut moved = x.compact();
        let entries = moved.make_mut::<f64>().unwrap();
        entries.iter_mut().zip(values(direction)).for_each(|(x, d)| *x += delta * d);
        f(&moved)
    };
    (moved(1e-5) - moved(-1e-5)) / 2e-5
}

/// The start of the message that `f` ends with at the front door, and that it names this group's tests as the place.
fn refused(f: impl Fn(Var) -> Var + 'static, x: &Array, message: &str) {
    let error = jit(f).call(x).unwrap_err().to_string();
    assert!(error.starts_with(&format!("error: {message}")), "{error}");
    assert!(error.contains("tests/primal/"), "{error}");
}
