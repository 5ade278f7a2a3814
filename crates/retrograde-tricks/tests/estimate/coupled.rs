//! D19: derivatives of programs that toss coins.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jit};
use retrograde_tricks::estimate::coupled::{Program, coupled, coupled_at};
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};

use crate::{all_masks, close, number};

/// One toss with chance θ³, or 1 − θ³, and a result that jumps.
struct Toss {
    rises: bool,
}

impl Program for Toss {
    type State = Var;
    fn chance(&self, _: &Var, theta: Var) -> Var {
        let p = theta * theta * theta;
        if self.rises { p } else { 1.0 - p }
    }
    fn next(&self, _: Var, toss: Var) -> Var {
        toss
    }
    fn result(&self, toss: Var) -> Var {
        toss * 7.0 - 2.0
    }
}

/// A walk whose chance of a step up falls with its height and rises with θ, on even heights, and the other way round on odd ones.
struct Walk;

const N_STEPS: usize = 4;

impl Program for Walk {
    type State = Var;
    fn chance(&self, height: &Var, theta: Var) -> Var {
        let odd = *height % 2.0;
        let rising = theta / (*height + 1.0);
        rising * (1.0 - odd) + (1.0 - theta * 0.5) * odd
    }
    fn next(&self, height: Var, toss: Var) -> Var {
        height + toss
    }
    fn result(&self, height: Var) -> Var {
        height * height - height * 0.5
    }
}

#[test]
fn coupled_runs_have_the_derivative_of_the_mean() {
    let theta = 0.6_f64;
    for rises in [true, false] {
        let f = jit(|u: Var, theta: Var| coupled_at(u, &Toss { rises }, theta * 0.0, theta));
        let p = if rises { theta.powi(3) } else { 1.0 - theta.powi(3) };
        // Constant on both sides of p, so two points integrate over u exactly.
        let at = |u: f64| f.call((&array([[u, 0.5]]), &array(theta))).unwrap();
        let (one, zero) = (at(0.5 * p), at(0.5 * (1.0 + p)));
        close(p * number(&one.0) + (1.0 - p) * number(&zero.0), 7.0 * p - 2.0, 1e-14);
        let slope = p * number(&one.1) + (1.0 - p) * number(&zero.1);
        close(slope, if rises { 1.0 } else { -1.0 } * 7.0 * 3.0 * theta * theta, 1e-14);
    }
    // A walk: the mean over all walks, differentiated.
    let mean = |theta: Var| {
        let mut total = theta * 0.0;
        for walk in all_masks(N_STEPS) {
            let (mut height, mut p) = (theta * 0.0, theta * 0.0 + 1.0);
            for up in walk {
                let chance = Walk.chance(&height.stop_gradient(), theta);
                p = p * if up { chance } else { 1.0 - chance };
                height = height + f64::from(u8::from(up));
            }
            total = total + p * Walk.result(height);
        }
        total
    };
    let exact = grad(mean).call(&array(theta)).unwrap();
    let value = jit(mean).call(&array(theta)).unwrap();
    let runs = move |key: Var| coupled(key, &Walk, N_STEPS, constant(&array(0.0)), constant(&array(theta)));
    let check =
        Estimator::new("walk", Key::from_seed(96), runs).mean((value, exact.clone())).check(20_000).unwrap();
    assert!(check.power.unwrap() > 0.5, "{check:?}");
    // The mutation: a second run with uniform numbers of its own is no estimate of this; its total weight meets unrelated heights.
    let apart = move |key: Var| {
        let keys = retrograde_tricks::estimate::draw::split(key, 2);
        let run = |key: Var| coupled(key, &Walk, N_STEPS, constant(&array(0.0)), constant(&array(theta)));
        run(keys[0]).1 * (run(keys[1]).0 + 1.0) * 0.5
    };
    let apart = Estimator::new("apart", Key::from_seed(96), apart).mean(exact);
    assert!(matches!(apart.check(20_000), Err(CheckError::Mean { .. })));
}
