//! The learning rate of each step.

use std::f64::consts::PI;

use retrograde_array::map;

use crate::recipe::{Recipe, Schedule};

/// The learning rate of a step, counted from 1. The cosine reaches 0 one step after the last.
///
/// # Source
/// I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, equation 5, one cycle.
pub(crate) fn learning_rate(recipe: &Recipe, step: u64, total_steps: u64) -> f64 {
    match recipe.schedule {
        Schedule::Constant => recipe.learning_rate,
        Schedule::Cosine => {
            let done = (step - 1) as f64 / total_steps as f64;
            recipe.learning_rate * 0.5 * (1.0 + map::cos_f64(PI * done))
        }
        Schedule::Step => {
            let steps_per_epoch = (total_steps / u64::from(recipe.epochs)).max(1);
            let n_decays = (step - 1) / steps_per_epoch / u64::from(recipe.decay_every);
            recipe.learning_rate * power(recipe.decay_factor, n_decays)
        }
    }
}

/// `base` to an integer power, by squaring: the same bits on every machine, which `powi` does not promise.
pub(crate) fn power(base: f64, mut exponent: u64) -> f64 {
    let (mut result, mut square) = (1.0, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= square;
        }
        square *= square;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_falls_from_the_learning_rate_towards_zero() {
        let recipe = Recipe { learning_rate: 0.2, schedule: Schedule::Cosine, ..Recipe::default() };
        assert_eq!(learning_rate(&recipe, 1, 10), 0.2);
        assert!((learning_rate(&recipe, 6, 10) - 0.1).abs() < 1e-15);
        assert!(learning_rate(&recipe, 10, 10) > 0.0);
        let recipe = Recipe { schedule: Schedule::Constant, ..recipe };
        assert_eq!(learning_rate(&recipe, 10, 10), 0.2);
    }

    #[test]
    fn steps_fall_after_whole_epochs() {
        let schedule = Schedule::Step;
        let recipe = Recipe {
            learning_rate: 0.5,
            schedule,
            epochs: 5,
            decay_every: 2,
            decay_factor: 0.5,
            ..Recipe::default()
        };
        // Three steps an epoch: epochs 1 and 2, 3 and 4, 5.
        let rates = (1..=15).map(|step| learning_rate(&recipe, step, 15)).collect::<Vec<_>>();
        assert_eq!(rates, [[0.5; 6].as_slice(), &[0.25; 6], &[0.125; 3]].concat());
    }

    #[test]
    fn powers_of_small_integers_are_exact() {
        assert_eq!(
            [power(3.0, 0), power(3.0, 1), power(3.0, 13), power(0.5, 60)],
            [1.0, 3.0, 1_594_323.0, 8.673_617_379_884_035e-19]
        );
        assert_eq!(power(0.9, u64::MAX), 0.0);
    }
}
