//! Tunes the learning rate and the penalty of each layer by gradients through whole training runs, on the digits that come along:
//! `cargo run --release --package retrograde-train --example hypergradient -- [SEED]`
//!
//! A 64-32-10 network is trained for 150 steps of momentum on batches of 50. The slope of its loss on validation rows, with respect to
//! the logarithms of two learning rates and two penalties, moves these by a fixed length, and training starts again. Rows for training,
//! validation and test are divided by the seed; the test rows decide nothing.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "writes to the terminal")]

use std::error::Error;

use retrograde_array::rng::{Key, permutation};
use retrograde_array::{Array, DType, array};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{jit, value_and_grad};
use retrograde_core::trace::var::constant;
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::update::reversible_momentum::{Hyper, ReversibleMomentum, layers};

const N_PIXELS: usize = 64;
const N_CLASSES: usize = 10;
const HIDDEN: usize = 32;
const N_STEPS: usize = 150;
const BATCH: usize = 50;
const N_TRAINING: usize = 1000;
const N_VALIDATION: usize = 400;
const N_HYPER_STEPS: usize = 5;
/// How far the largest of the logarithms moves in a step: by a factor of 1.6.
const MOVE: f64 = 0.5;

/// Images `[n, 64]` and labels `[n]`.
type Rows = (Array, Array);

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |seed| seed.parse())?;
    let [of_rows, of_batches, of_network] = Key::from_seed(seed).split(3)[..] else {
        unreachable!("three keys; this is a bug in retrograde")
    };
    let digits = retrograde_train::digits();
    let order = permutation(of_rows, digits.n_rows());
    let rows = |of: &[usize]| -> Result<Rows, Box<dyn Error>> {
        let pixels = of.iter().flat_map(|&row| digits.inputs.row(row)).map(f64::from).collect();
        let all = digits.targets.labels().ok_or("digits have labels")?;
        let labels: Vec<i64> = of.iter().map(|&row| i64::from(all[row])).collect();
        Ok((Array::new([of.len(), N_PIXELS], pixels)?, array(labels)))
    };
    let (training, rest) = order.split_at(N_TRAINING);
    let (validation, test) = rest.split_at(N_VALIDATION);
    let (training, validation, test) = (rows(training)?, rows(validation)?, rows(test)?);
    // Which training rows each step sees.
    let drawn = (0..N_STEPS)
        .flat_map(|step| permutation(of_batches.fold_in(step as u64), N_TRAINING)[..BATCH].to_vec());
    let batches = Array::new([N_STEPS, BATCH], drawn.map(|row| row as i64).collect::<Vec<_>>())?;
    let network = Mlp::xavier(of_network, N_PIXELS, &[HIDDEN], N_CLASSES, Activation::Tanh, DType::F64);

    let trained = move |hyper: Hyper<Var>, network: Mlp<Var>| {
        let (images, labels) = (constant(&training.0), constant(&training.1));
        let loss = move |network: Mlp<Var>, rows: Var| {
            cross_entropy(network.apply(images.gather(0, rows)), labels.gather(0, rows))
        };
        ReversibleMomentum::default().train(loss, network, constant(&batches), hyper)
    };
    let loss_on = |rows: &Rows| {
        let (trained, rows) = (trained.clone(), rows.clone());
        move |hyper: Hyper<Var>, network: Mlp<Var>| {
            cross_entropy(trained(hyper, network).apply(constant(&rows.0)), constant(&rows.1))
        }
    };
    let on_validation = value_and_grad(loss_on(&validation)).tape(Tape::Reverse);
    let on_test = jit(loss_on(&test));

    let names = layers(&network);
    let mut hyper =
        Hyper { log_rates: array(vec![-1.5; names.len()]), log_penalties: array(vec![-7.0; names.len()]) };
    println!("layers: {}; seed {seed}", names.join(", "));
    for step in 0..=N_HYPER_STEPS {
        let (loss, slope) = on_validation.call((&hyper, &network))?;
        let test = on_test.call((&hyper, &network))?;
        let numbers = |a: &Array| a.to_vec::<f64>().unwrap_or_default();
        println!(
            "step {step}: validation loss {:.4}, test loss {:.4}, learning rates {:.3?}, penalties {:.6?}",
            loss.item::<f64>().unwrap_or(f64::NAN),
            test.item::<f64>().unwrap_or(f64::NAN),
            numbers(&hyper.log_rates).iter().map(|x| x.exp()).collect::<Vec<_>>(),
            numbers(&hyper.log_penalties).iter().map(|x| x.exp()).collect::<Vec<_>>(),
        );
        let slopes = [numbers(&slope.log_rates), numbers(&slope.log_penalties)].concat();
        let largest = slopes.iter().fold(0.0, |most: f64, slope| most.max(slope.abs()));
        if largest == 0.0 {
            break;
        }
        let moved = |of: &Array, slope: &Array| {
            let all = numbers(of).into_iter().zip(numbers(slope));
            array(all.map(|(x, slope)| x - MOVE * slope / largest).collect::<Vec<_>>())
        };
        hyper = Hyper {
            log_rates: moved(&hyper.log_rates, &slope.log_rates),
            log_penalties: moved(&hyper.log_penalties, &slope.log_penalties),
        };
    }
    let report = on_validation.last_tape();
    println!(
        "tape: {} bytes for {N_STEPS} steps, {} of them run backwards",
        report.tape_bytes(),
        report.inverse_steps
    );
    Ok(())
}
