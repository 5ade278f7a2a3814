//! D1: minibatches.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{jit, vmap};
use retrograde_tricks::estimate::estimator::CheckError;
use retrograde_tricks::estimate::minibatch::{Replacement, minibatch, minibatch_gradient};

use crate::{close, message, numbers};

/// A loss of two parameters and an example of two numbers.
fn loss(w: Var, x: Var) -> Var {
    let z = (w * x).sum();
    z.sin() + (w * w).sum() * 0.1
}

fn data() -> Array {
    array([[1.0, 2.0], [-0.5, 0.3], [2.0, -1.0], [0.1, 0.7], [-1.3, 1.1]])
}

fn slopes(w: &[f64; 2]) -> Vec<[f64; 2]> {
    let rows = numbers(&data());
    let slope = |x: &[f64]| {
        let rate = (w[0] * x[0] + w[1] * x[1]).cos();
        [rate * x[0] + 0.2 * w[0], rate * x[1] + 0.2 * w[1]]
    };
    rows.chunks(2).map(slope).collect()
}

/// Mean and total variance of the mean of a batch, over batches of equal probability.
fn over(batches: &[Vec<usize>], slopes: &[[f64; 2]]) -> ([f64; 2], f64) {
    let (mut mean, mut square) = ([0.0; 2], 0.0);
    for batch in batches {
        for (j, mean) in mean.iter_mut().enumerate() {
            let g = batch.iter().map(|&i| slopes[i][j]).sum::<f64>() / batch.len() as f64;
            *mean += g / batches.len() as f64;
            square += g * g / batches.len() as f64;
        }
    }
    (mean, square - mean.iter().map(|mean| mean * mean).sum::<f64>())
}

#[test]
fn batches_have_the_mean_and_the_variance_of_the_formulas() {
    let w = [0.4, -0.9];
    let slopes = slopes(&w);
    let pairs: Vec<Vec<usize>> = (0..25).map(|code| vec![code / 5, code % 5]).collect();
    let triples: Vec<Vec<usize>> = (0..125).map(|code| vec![code / 25, code / 5 % 5, code % 5]).collect();
    let different = |batch: &&Vec<usize>| (1..batch.len()).all(|i| !batch[..i].contains(&batch[i]));
    for batches in [pairs, triples] {
        let b = batches[0].len();
        let apart: Vec<Vec<usize>> = batches.iter().filter(different).cloned().collect();
        for (replacement, batches) in [(Replacement::With, &batches), (Replacement::Without, &apart)] {
            let (mean, variance) = over(batches, &slopes);
            let found =
                minibatch_gradient(Key::from_seed(41), loss, array(w), data(), b, replacement).unwrap();
            let predicted = numbers(found.predicted_mean.as_ref().unwrap());
            predicted.iter().zip(mean).for_each(|(found, mean)| close(*found, mean, 1e-14));
            close(found.predicted_variance.unwrap(), variance, 1e-14);
            let check = found.check(3000).unwrap();
            assert!(check.variance.unwrap().p > 0.01 && check.mean.unwrap().rank == 2);
            // The mutation: the correction for a finite number of examples left out, or put in where it does not belong.
            let other =
                if replacement == Replacement::With { Replacement::Without } else { Replacement::With };
            let wrong = variance / replacement.variance(1.0, 5, b) * other.variance(1.0, 5, b);
            assert!(matches!(found.variance(wrong).check(3000), Err(CheckError::Variance { .. })));
        }
    }
}

#[test]
fn batches_without_replacement_are_all_alike() {
    let keys = Key::from_seed(42).split(3000).into_iter().map(|key| key.to_array()).collect::<Vec<_>>();
    let draw = jit(vmap(|key: Var| minibatch(key, 4, 2, Replacement::Without)));
    let drawn = draw.call(&Array::stack(&keys).unwrap()).unwrap().to_vec::<i64>().unwrap();
    let mut counts = [[0_u32; 4]; 4];
    drawn.chunks(2).for_each(|pair| counts[pair[0] as usize][pair[1] as usize] += 1);
    for (i, row) in counts.iter().enumerate() {
        for (j, &count) in row.iter().enumerate() {
            // 250 of 3000 on average, with a standard deviation of 15.
            assert!(if i == j { count == 0 } else { count.abs_diff(250) < 62 }, "{counts:?}");
        }
    }
}

#[test]
fn batches_that_cannot_be_are_refused_at_their_line() {
    let key = Key::from_seed(1).to_array();
    let error = message(jit(|key: Var| minibatch(key, 5, 6, Replacement::Without)).call(&key));
    assert!(error.contains("minibatch: found a batch of 6, expected 1 to 5 examples"), "{error}");
    let error = message(jit(|key: Var| minibatch(key, 5, 0, Replacement::With)).call(&key));
    assert!(error.contains("minibatch: found a batch of 0, expected at least 1 example"), "{error}");
    let error =
        minibatch_gradient(Key::from_seed(1), loss, array([0.0, 0.0]), data(), 6, Replacement::Without);
    assert!(message(error).contains("minibatch_gradient: found a batch of 6, expected 1 to 5 examples"));
}
