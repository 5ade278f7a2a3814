//! D18: persistent ES and ES-single.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::jit;
use retrograde_tricks::estimate::draw::{normal, split};
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};
use retrograde_tricks::estimate::unroll::{persistent, single};

use crate::{close, number};

const THETA: f64 = 0.7;

/// Two windows of s += θ with loss s² each: 5 θ² in all, with slope 10 θ; with the state of the second window held, 6 θ.
fn window(theta: &Var, s: Var) -> (Var, Var) {
    let s = s + *theta;
    (s * s, s)
}

/// The sum of the estimates of both windows.
fn both(kind: Kind, theta: Var, noise: [Var; 2], sigma: f64) -> Var {
    let zero = theta * 0.0;
    match kind {
        Kind::Persistent | Kind::Forgetful => {
            let (first, (plus, minus, total)) =
                persistent(window, &theta, &noise[0], sigma, (zero, zero, zero));
            let particle = if kind == Kind::Persistent {
                (plus, minus, total)
            } else {
                // Truncation: the state of the unperturbed run, and no memory of the noise.
                (theta, theta, zero)
            };
            first + persistent(window, &theta, &noise[1], sigma, particle).0
        }
        Kind::Single => {
            let (first, particle) = single(window, &theta, &noise[0], sigma, (zero, zero));
            first + single(window, &theta, &noise[0], sigma, particle).0
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Persistent,
    Single,
    Forgetful,
}

#[test]
fn persistent_windows_have_no_bias_and_forgetful_ones_that_of_the_cut() {
    let points = [(-3.0_f64.sqrt(), 1.0 / 6.0), (0.0, 2.0 / 3.0), (3.0_f64.sqrt(), 1.0 / 6.0)];
    for sigma in [0.1, 2.0] {
        for (kind, slope) in [(Kind::Persistent, 10.0), (Kind::Single, 10.0), (Kind::Forgetful, 6.0)] {
            let f = jit(|theta: Var, noise: Var| {
                both(kind, theta, [noise.index(0, 0), noise.index(0, 1)], sigma)
            });
            let mut mean = 0.0;
            for (first, p) in points {
                for (second, q) in points {
                    mean += p * q * number(&f.call((&array(THETA), &array([first, second]))).unwrap());
                }
            }
            close(mean, slope * THETA, 1e-12);
        }
    }
    // Drawn by keys.
    let estimator = |kind: Kind| {
        let draw = move |key: Var| {
            let keys = split(key, 2);
            both(kind, constant(&array(THETA)), [normal(keys[0], []), normal(keys[1], [])], 0.3)
        };
        Estimator::new("two windows", Key::from_seed(95), draw).mean(array(10.0 * THETA))
    };
    estimator(Kind::Persistent).check(8000).unwrap();
    // g ε² with E ε⁴ = 3: variance 2 g².
    estimator(Kind::Single).variance(2.0 * (10.0 * THETA).powi(2)).check(8000).unwrap();
    assert!(matches!(estimator(Kind::Forgetful).check(8000), Err(CheckError::Mean { .. })));
}
