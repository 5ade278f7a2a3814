//! D8: MuProp, ARM and DisARM.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::estimate::discrete::{arm, disarm, muprop};
use retrograde_tricks::estimate::distribution::Bernoulli;
use retrograde_tricks::estimate::score::{Node, score_function};

use crate::{close, numbers};

/// A cost of two truth values.
fn cost(z: Var) -> Var {
    let (first, second) = (z.index(0, 0), z.index(0, 1));
    (first - 0.45) * (first - 0.45) + first * second * 2.0 + second.exp()
}

/// Points and weights that integrate polynomials of degree 3 in u exactly between the places where a draw jumps, so the second moment
/// of what is linear in u: two points of Gauss in each of three intervals.
fn points(p: f64) -> Vec<(f64, f64)> {
    let mut ends = vec![0.0, p, 1.0 - p, 1.0];
    ends.sort_by(f64::total_cmp);
    let off = 0.5 / 3.0_f64.sqrt();
    let in_between = |ends: &[f64]| {
        let (middle, width) = (0.5 * (ends[0] + ends[1]), ends[1] - ends[0]);
        [(middle - off * width, 0.5 * width), (middle + off * width, 0.5 * width)]
    };
    ends.windows(2).flat_map(in_between).collect()
}

/// Mean and total variance of an estimate over all u.
fn moments(estimate: impl Fn(Var, Var) -> Var, logits: [f64; 2]) -> (Vec<f64>, f64) {
    let f = jit(|logits: Var, u: Var| estimate(logits, u));
    let p = logits.map(|logit: f64| 1.0 / (1.0 + (-logit).exp()));
    let (mut mean, mut square) = (vec![0.0; 2], 0.0);
    for (u, first) in points(p[0]) {
        for (v, second) in points(p[1]) {
            for (mean, g) in mean.iter_mut().zip(numbers(&f.call((&array(logits), &array([u, v]))).unwrap()))
            {
                *mean += first * second * g;
                square += first * second * g * g;
            }
        }
    }
    let variance = square - mean.iter().map(|mean| mean * mean).sum::<f64>();
    (mean, variance)
}

/// The draw that belongs to u, as a score function takes it.
fn draw(logits: Var, u: Var) -> Var {
    u.lt(logits.logistic()).convert(logits.dtype())
}

fn by_score(f: impl Fn(Var) -> Var) -> impl Fn(Var, Var) -> Var {
    move |logits: Var, u: Var| {
        let slope = grad(|logits: Var| {
            let node = Node::at(&Bernoulli { logits }, draw(logits, u));
            score_function(f(node.value), node.log_density.sum(), None)
        });
        slope.at(logits)
    }
}

#[test]
fn merged_and_mean_field_gradients_have_no_bias_and_less_variance() {
    for logits in [[0.4, -1.3], [0.0, 2.0]] {
        let exact = grad(|logits: Var| {
            let p = logits.logistic();
            let mut total = p.index(0, 0) * 0.0;
            for z in [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] {
                let chance = |i: usize| if z[i] == 1.0 { p.index(0, i) } else { 1.0 - p.index(0, i) };
                total = total + chance(0) * chance(1) * cost(p * 0.0 + &array(z));
            }
            total
        });
        let exact = numbers(&exact.call(&array(logits)).unwrap());
        let agree =
            |found: &[f64]| found.iter().zip(&exact).for_each(|(found, exact)| close(*found, *exact, 1e-13));
        agree(&moments(by_score(cost), logits).0);
        agree(&moments(|logits, u| muprop(cost, logits, draw(logits, u)), logits).0);
        let (mean, merged) = moments(|logits, u| arm(cost, logits, u), logits);
        agree(&mean);
        let (mean, conditioned) = moments(|logits, u| disarm(cost, logits, u), logits);
        agree(&mean);
        // DisARM is the mean of ARM given what was drawn.
        assert!(conditioned <= merged, "{conditioned} {merged}");
        // The mutation: the sign of one half of the pair.
        let turned = |logits: Var, u: Var| {
            let p = logits.logistic();
            let sum = cost(u.gt(1.0 - p).convert(u.dtype())) + cost(u.lt(p).convert(u.dtype()));
            (u - 0.5) * sum.spread(u.shape())
        };
        let found = moments(turned, logits).0;
        assert!(found.iter().zip(&exact).any(|(found, exact)| (found - exact).abs() > 0.05));
    }
    // The toy of REBAR: (z − 0.45)², where the score function is at its worst.
    let toy = |z: Var| {
        let miss = z - 0.45;
        (miss * miss).sum()
    };
    let logits = [0.0, 0.0];
    let (_, scored) = moments(by_score(toy), logits);
    let (_, mean_field) = moments(|logits, u| muprop(toy, logits, draw(logits, u)), logits);
    let (_, merged) = moments(|logits, u| arm(toy, logits, u), logits);
    let (_, conditioned) = moments(|logits, u| disarm(toy, logits, u), logits);
    assert!(mean_field < scored && merged < scored && conditioned < scored);
    assert!(conditioned <= merged, "{scored} {mean_field} {merged} {conditioned}");
}
