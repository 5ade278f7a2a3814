//! The user's mistakes, each at the user's line.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;
use retrograde_tricks::update::accumulate::{accumulate, accumulated_gradient, tree_sum};
use retrograde_tricks::update::adagrad::{adadelta, adagrad, rmsprop};
use retrograde_tricks::update::adam::{Adam, adam, adamw};
use retrograde_tricks::update::adaptive_rate::hypergradient_descent;
use retrograde_tricks::update::averaging::{ema, lookahead, swa};
use retrograde_tricks::update::clip::{clip, clip_by_global_norm};
use retrograde_tricks::update::curvature::{Sophia, adahessian};
use retrograde_tricks::update::langevin::langevin;
use retrograde_tricks::update::map::{Update, chain};
use retrograde_tricks::update::matrix::{muon, shampoo};
use retrograde_tricks::update::momentum::{momentum, sgd};
use retrograde_tricks::update::schedule::{Schedule, held};
use retrograde_tricks::update::sharpness::sharpness_aware_gradient;
use retrograde_tricks::update::trust::trust_ratio;
use retrograde_tricks::update::weight_decay::weight_decay;

/// The message begins so, and names this file and the line of the call.
#[track_caller]
fn mistake<T: std::fmt::Debug>(result: Result<T, Error>, line: u32, begins: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.starts_with(&format!("error: {begins}")), "{message}");
    assert!(message.contains(&format!("tests/update/bad_input.rs:{line}:")), "line {line}: {message}");
    assert!(message.contains("help: "), "{message}");
}

#[test]
fn settings_that_make_no_sense() {
    let p = array([1.0, 2.0]);
    #[track_caller]
    fn refused(p: &Array, update: Update, begins: &str) {
        let line = std::panic::Location::caller().line();
        mistake(update.init(p), line, begins);
        // In a chain too, and at each step.
        let update = chain((clip(1.0), update));
        mistake(jit(|p: Var| update.step_at(&p, update.init_at(&p), &p).0).call(p), line, begins);
    }
    let rate = "schedule: found rate -0.1, expected a finite number that is not negative";
    refused(&p, sgd(-0.1), rate);
    refused(&p, adam(-0.1), rate);
    refused(&p, momentum(Schedule::constant(-0.1), 0.9), rate);
    refused(&p, sgd(Schedule::linear(0.1, -0.1, 3)), rate);
    refused(&p, sgd(held(f64::NAN)), "held: found rate NaN");
    refused(&p, sgd(Schedule::step(0.1, 0.5, 0)), "schedule: found a length of 0 steps, expected at least 1");
    refused(&p, momentum(0.1, 1.0), "momentum: found beta 1, expected at least 0 and less than 1");
    refused(&p, Adam { beta_2: -0.5, ..Adam::default() }.update(0.1), "adam: found beta_2 -0.5");
    refused(&p, Adam { epsilon: -1.0, ..Adam::default() }.update(0.1), "adam: found epsilon -1");
    refused(&p, adamw(0.1, -0.1), "weight decay: found factor -0.1");
    refused(&p, weight_decay(f64::INFINITY), "weight decay: found factor inf");
    refused(&p, clip_by_global_norm(0.0), "clip: found bound 0, expected a finite positive number");
    refused(&p, clip(-1.0), "clip: found bound -1");
    refused(&p, rmsprop(0.1, 1.5), "rmsprop: found decay 1.5");
    refused(&p, adagrad(0.1, -1.0, 0.0), "adagrad: found start -1");
    refused(&p, adadelta(1.0, 0.9, 0.0), "adadelta: found epsilon 0");
    refused(&p, ema(1.0), "ema: found decay 1");
    refused(&p, swa(0, 0), "swa: found a period of 0 steps, expected at least 1");
    refused(&p, lookahead(5, 1.5), "lookahead: found share 1.5, expected more than 0 and at most 1");
    refused(&p, Sophia { gamma: 0.0, ..Sophia::default() }.update(0.1), "sophia: found gamma 0");
    refused(&p, trust_ratio(0.0), "trust ratio: found coefficient 0");
    refused(&p, shampoo(0.1, 0.0), "shampoo: found epsilon 0");
    refused(&p, muon(0.1, 0.9), "muon: found leaf `` f64[2], expected matrices");
    refused(&p, langevin(-1.0, Key::from_seed(1)), "langevin: found rate -1");
    refused(&p, accumulate(0, sgd(0.1)), "accumulate: found k 0, expected at least 1 gradient for a step");
    refused(&p, accumulate(2, sgd(-0.1)), rate);
    refused(&p, hypergradient_descent(0.1, -1.0, sgd(1.0)), "hypergradient descent: found beta -1");
}

#[test]
fn states_of_another_update_or_of_other_parameters() {
    let (p, g) = (array([1.0, 2.0]), array([1.0, 1.0]));
    let (first, second) = (momentum(0.1, 0.9), adam(0.1));
    let state = first.init(&p).unwrap();
    let found = "update: found a state of `momentum`, expected one of `adam`";
    mistake(second.update(&g, &state, &p), line!(), found);
    mistake(second.step(&g, state.clone(), p.clone()), line!(), found);
    let inside = jit(|p: Var| {
        let state = first.init_at(&p);
        second.update_at(&p, state, &p).0 // the line of the mistake
    });
    mistake(inside.call(&p), line!() - 2, found);
    // In a chain, the part that differs is named.
    let (short, long) = (chain((clip(1.0), adam(0.1))), chain((adam(0.1), clip(1.0))));
    let state = short.init(&p).unwrap();
    let found = "update: found a state of `chain(clip, adam)`, expected one of `chain(adam, clip)`";
    mistake(long.update(&g, &state, &p), line!(), found);
    // The same update with other parameters, and another schedule.
    let state = second.init(&array([1.0, 2.0, 3.0])).unwrap();
    let found = "update: found a state of `adam` that does not belong to these parameters: found `0.mean` f64[3], expected `0.mean` f64[2]";
    mistake(second.update(&g, &state, &p), line!(), found);
    let state = adam(Schedule::linear(0.0, 1.0, 3)).init(&p).unwrap();
    mistake(second.update(&g, &state, &p), line!(), "update: found a state of `adam` that does not belong");
}

#[test]
fn gradients_unlike_the_parameters() {
    let (p, update) = ((array([1.0, 2.0]), array(1.0)), sgd(0.1));
    let state = update.init(&p).unwrap();
    let short = (array([1.0]), array(1.0));
    mistake(update.update(&short, &state, &p), line!(), "gradient: leaf `0` is f64[1], expected f64[2]");
    let narrow = (array([1.0_f32, 2.0]), array(1.0));
    mistake(update.step(&narrow, state.clone(), p), line!(), "gradient: leaf `0` is f32[2], expected f64[2]");
    let inside = jit(|p: Var| update.update_at(&p.sum(), update.init_at(&p.sum()), &p.sum()).0 + p.sum());
    assert!(inside.call(&array([1.0])).is_ok());
    let inside = jit(|p: Var| update.update_at(&p.slice(0, 0..1), update.init_at(&p), &p).0);
    mistake(inside.call(&array([1.0, 2.0])), line!() - 1, "update: found a gradient unlike the parameters");
    let update = adahessian(0.1);
    let state = update.init(&array(1.0)).unwrap();
    let found = "adahessian: found a gradient alone, expected the diagonal of the Hessian too";
    mistake(update.update(&array(1.0), &state, &array(1.0)), line!(), found);
}

#[test]
fn batches_and_radii() {
    let loss = |w: Var, x: Var| (w * x).sum();
    let three = jit(|w: Var, x: Var| accumulated_gradient(loss, w, x));
    let found = "accumulated gradient: found 3 batches, expected a power of two";
    mistake(three.call((&array(1.0), &array([1.0, 2.0, 3.0]))), line!() - 2, found);
    let sum = jit(|x: Var| tree_sum(x));
    mistake(
        sum.call(&array([1.0, 2.0, 3.0])),
        line!() - 1,
        "tree sum: found 3 parts, expected a power of two",
    );
    let sam = jit(|w: Var, x: Var| sharpness_aware_gradient(loss, w, x, -1.0));
    mistake(sam.call((&array(1.0), &array(1.0))), line!() - 1, "sharpness-aware gradient: found rho -1");
}
