//! What each trick on the adjoint claims, as a number.

mod agreement;
mod clip;
mod edges;
mod feedback_alignment;
mod identity;
mod loss_scaling;
mod mistakes;
mod penalty;
mod per_example;
mod random;
mod straight_through;
mod synthetic_gradient;
mod target_propagation;
mod top_k;
mod truncated;

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, Shape};

/// Normal draws.
fn draw(seed: u64, shape: impl Into<Shape>) -> Array {
    normal(Key::from_seed(seed), shape)
}

fn values(a: &Array) -> Vec<f64> {
    a.to_vec().unwrap()
}

fn inner(a: &Array, b: &Array) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

fn bits(a: &[&Array], b: &[&Array]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits_eq(b))
}
