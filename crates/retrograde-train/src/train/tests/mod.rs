//! Runs from their first step to their last.

mod finite_sum;
mod minibatches;

use std::sync::atomic::Ordering;

use retrograde_array::{Array, rng};

use super::*;
use crate::digits::digits;
use crate::{Silent, hold_out, stratified_folds};

fn first_fold(data: &Dataset) -> Fold {
    let mut n_calls = 0;
    let mut permute = |n| {
        n_calls += 1;
        rng::permutation(Key::from_seed(5).fold_in(n_calls), n)
    };
    stratified_folds(&data.targets, 5, &mut permute).unwrap().remove(0)
}

fn run(recipe: &Recipe, seed: u64) -> (Result<Trained, TrainError>, Vec<Record>) {
    let data = digits();
    run_on(recipe, &data, &first_fold(&data), seed)
}

fn run_on(
    recipe: &Recipe,
    data: &Dataset,
    fold: &Fold,
    seed: u64,
) -> (Result<Trained, TrainError>, Vec<Record>) {
    let mut records = vec![];
    let mut listeners = Listeners {
        progress: &mut Silent,
        metrics: &mut |record| {
            records.push(record.clone());
            Ok(())
        },
        checkpoint: &mut |_| Ok(()),
        checkpoint_every: Duration::MAX,
        interrupt: &AtomicBool::new(false),
    };
    let job = Job { recipe, data, fold, key: Key::from_seed(seed) };
    let result = train(job, None, &mut listeners);
    (result, records)
}

fn leaves(trained: &Trained) -> Vec<(String, Array)> {
    trained.network.arrays()
}

/// Stops after every step and goes on from the encoded checkpoint.
fn stopped_after_every_step(job: Job<'_>) -> (Trained, Vec<Record>) {
    let (mut from, mut records) = (None, vec![]);
    loop {
        let saved = std::cell::RefCell::new(None);
        let interrupt = AtomicBool::new(false);
        let mut listeners = Listeners {
            progress: &mut Silent,
            metrics: &mut |record| {
                records.push(record.clone());
                Ok(())
            },
            checkpoint: &mut |checkpoint| {
                interrupt.store(true, Ordering::Relaxed);
                *saved.borrow_mut() = Some(Checkpoint::decode(&checkpoint.encode()).unwrap());
                Ok(())
            },
            checkpoint_every: Duration::ZERO,
            interrupt: &interrupt,
        };
        match train(job, from, &mut listeners) {
            Ok(trained) => break (trained, records),
            Err(error) if error.is_interrupt() => from = saved.into_inner(),
            Err(error) => panic!("{error}"),
        }
    }
}
