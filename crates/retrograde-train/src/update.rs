//! How a gradient changes the parameters: SGD with momentum, and Adam. Both in `f32`, entry by entry in one order, so that a
//! seed fixes every bit. Weights decay, biases do not: `g ← g + weight_decay·w` first.

use retrograde_array::Array;
use retrograde_core::trace::{Tree, tree};
use retrograde_tricks::primal::dense::Mlp;

use crate::recipe::{Recipe, Update};
use crate::schedule::power;

/// Decay of the mean of squares in Adam. Source: Kingma and Ba (2015), algorithm 1, as the two below.
const BETA_2: f64 = 0.999;
/// Added to the root of the mean of squares.
const EPSILON: f32 = 1e-8;

/// Parameters, and what the update remembers of earlier gradients.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The network.
    pub parameters: Mlp<Array>,
    /// As many lists of arrays, each like the parameters' leaves, as [`n_slots`] says.
    pub slots: Vec<Vec<Array>>,
}

impl State {
    /// No gradient was seen yet.
    pub(crate) fn new(parameters: Mlp<Array>, update: Update) -> State {
        let zeros = tree::leaves(&parameters).into_iter();
        let zeros = zeros.map(|(_, leaf)| Array::zeros(leaf.dtype(), leaf.shape().clone())).collect();
        State { parameters, slots: vec![zeros; n_slots(update)] }
    }
}

/// Arrays of the size of the parameters that an update remembers.
pub(crate) fn n_slots(update: Update) -> usize {
    match update {
        Update::Sgd => 1,
        Update::Adam => 2,
    }
}

/// One step. `step` is counted from 1.
///
/// - SGD: `v ← momentum·v + g`, `p ← p − rate·v`. Source: I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of
///   initialization and momentum in deep learning, ICML 2013, equation 1, with the learning rate outside the velocity.
/// - Adam: `m ← β₁m + (1−β₁)g`, `s ← β₂s + (1−β₂)g²`, `p ← p − rate·m̂/(√ŝ + ε)` with `m̂ = m/(1−β₁ᵗ)`, `ŝ = s/(1−β₂ᵗ)`; β₁
///   is `momentum`. Source: D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
pub(crate) fn update(state: &mut State, gradient: &[Array], recipe: &Recipe, rate: f64, step: u64) {
    let momentum = recipe.momentum as f32;
    let mut moved = vec![];
    for (idx, ((path, mut leaf), gradient)) in
        tree::leaves(&state.parameters).into_iter().zip(gradient).enumerate()
    {
        let decay = if path.ends_with("weight") { recipe.weight_decay as f32 } else { 0.0 };
        let p = entries_mut(&mut leaf);
        let g = entries(gradient);
        match (&mut state.slots[..], recipe.update) {
            ([velocity], Update::Sgd) => {
                let rate = rate as f32;
                for ((p, v), g) in p.iter_mut().zip(entries_mut(&mut velocity[idx])).zip(g) {
                    *v = momentum * *v + (g + decay * *p);
                    *p -= rate * *v;
                }
            }
            ([means, squares], Update::Adam) => {
                let (mean_unit, square_unit) =
                    (1.0 - power(recipe.momentum, step), 1.0 - power(BETA_2, step));
                let (rate, square_unit) = ((rate / mean_unit) as f32, square_unit as f32);
                let (beta_2, rest_1, rest_2) = (BETA_2 as f32, 1.0 - momentum, (1.0 - BETA_2) as f32);
                let slots = entries_mut(&mut means[idx]).iter_mut().zip(entries_mut(&mut squares[idx]));
                for ((p, (m, s)), g) in p.iter_mut().zip(slots).zip(g) {
                    let g = g + decay * *p;
                    *m = momentum * *m + rest_1 * g;
                    *s = beta_2 * *s + rest_2 * (g * g);
                    *p -= rate * *m / ((*s / square_unit).sqrt() + EPSILON);
                }
            }
            _ => panic!("an update without its slots; this is a bug in retrograde"),
        }
        moved.push(leaf);
    }
    let mut moved = moved.into_iter();
    state.parameters = state.parameters.map(&mut |old| moved.next().unwrap_or_else(|| old.clone()));
}

fn entries(array: &Array) -> &[f32] {
    array.as_slice().unwrap_or_else(|| panic!("a gradient is not f32; this is a bug in retrograde"))
}

fn entries_mut(array: &mut Array) -> &mut [f32] {
    array.make_mut().unwrap_or_else(|| panic!("a parameter is not f32; this is a bug in retrograde"))
}

#[cfg(test)]
mod tests {
    use retrograde_array::DType;
    use retrograde_array::rng::Key;
    use retrograde_tricks::primal::dense::Activation;

    use super::*;

    fn network() -> Mlp<Array> {
        Mlp::xavier(Key::from_seed(0), 3, &[4], 2, Activation::Tanh, DType::F32)
    }

    fn leaves(network: &Mlp<Array>) -> Vec<(String, Vec<f32>)> {
        tree::leaves(network).into_iter().map(|(path, leaf)| (path, leaf.to_vec().unwrap())).collect()
    }

    #[test]
    fn weights_decay_and_biases_do_not() {
        let recipe = Recipe { weight_decay: 0.5, momentum: 0.0, ..Recipe::default() };
        let start = network().map(&mut |leaf| {
            if leaf.rank() == 1 {
                Array::full(DType::F32, leaf.shape().clone(), 3.0_f32.into())
            } else {
                leaf.clone()
            }
        });
        let mut state = State::new(start.clone(), Update::Sgd);
        let zeros = state.slots[0].clone();
        update(&mut state, &zeros, &recipe, 0.5, 1);
        for ((path, before), (_, after)) in leaves(&start).into_iter().zip(leaves(&state.parameters)) {
            let factor = if path.ends_with("weight") { 0.75 } else { 1.0 };
            let close =
                |(found, before): (&f32, &f32)| (found - before * factor).abs() <= 1e-6 * before.abs();
            assert!(after.iter().zip(&before).all(close), "{path}");
        }
    }

    /// Against the algorithm in `f64`, written out with the powers of β.
    #[test]
    fn adam_is_algorithm_1() {
        let recipe = Recipe { weight_decay: 0.0, update: Update::Adam, ..Recipe::default() };
        let start = network();
        let mut state = State::new(start.clone(), Update::Adam);
        let (mut m, mut s, mut moved) = (0.0_f64, 0.0_f64, 0.0_f64);
        for step in 1..=5 {
            let g = (step as f64 - 3.5) * 0.3;
            let gradient = state.slots[0].iter();
            let gradient = gradient
                .map(|leaf| Array::full(DType::F32, leaf.shape().clone(), (g as f32).into()))
                .collect::<Vec<_>>();
            update(&mut state, &gradient, &recipe, 0.01, step);
            m = 0.9 * m + 0.1 * g;
            s = 0.999 * s + 0.001 * g * g;
            let (m_hat, s_hat) =
                (m / (1.0 - 0.9_f64.powi(step as i32)), s / (1.0 - 0.999_f64.powi(step as i32)));
            moved -= 0.01 * m_hat / (s_hat.sqrt() + 1e-8);
        }
        for ((_, before), (path, after)) in leaves(&start).into_iter().zip(leaves(&state.parameters)) {
            let close = |(after, before): (&f32, &f32)| (f64::from(after - before) - moved).abs() < 1e-6;
            assert!(after.iter().zip(&before).all(close), "{path}");
        }
    }
}
