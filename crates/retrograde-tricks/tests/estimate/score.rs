//! D5 and D6: score functions, and the ratio that is right at every order.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, stack};
use retrograde_engine::{grad, hessian, jacobian, jit, value_and_grad};
use retrograde_tricks::estimate::dice::surrogate;
use retrograde_tricks::estimate::distribution::{Bernoulli, Distribution};
use retrograde_tricks::estimate::score::{Node, leave_one_out, optimal_baseline, score_function};

use crate::{all_masks, close, message, number, numbers};

const LOGITS: [f64; 3] = [0.3, -0.8, 1.1];

/// A cost of three truth values that also depends on the parameters.
fn cost(logits: Var, z: Var) -> Var {
    let miss = (z * &array([1.0, -2.0, 0.5])).sum() - 0.3;
    miss * miss + (z * logits.sin()).sum()
}

fn outcomes(n: usize) -> Vec<Array> {
    all_masks(n).map(|mask| array(mask.iter().map(|&z| f64::from(u8::from(z))).collect::<Vec<_>>())).collect()
}

/// The mean of `f` over all outcomes of Bernoulli nodes, weighed inside the trace where `exact`, and by its value otherwise.
fn mean_over(logits: Var, n: usize, exact: bool, f: impl Fn(Var) -> Var) -> Var {
    let mut total = logits.index(0, 0) * 0.0;
    for z in outcomes(n) {
        let z = constant(&z);
        let p = Bernoulli { logits }.log_density(z).sum().exp();
        total = total + if exact { p } else { p.stop_gradient() } * f(z);
    }
    total
}

#[test]
fn scores_have_no_bias_and_the_optimal_baseline_has_the_least_variance() {
    let x = array(LOGITS);
    let exact = grad(|logits: Var| mean_over(logits, 3, true, |z| cost(logits, z))).call(&x).unwrap();
    let scored = |baseline: f64| {
        move |logits: Var| {
            mean_over(logits, 3, false, |z| {
                let node = Node::at(&Bernoulli { logits }, z);
                let cost = cost(logits, node.value);
                score_function(cost, node.log_density.sum(), Some(cost * 0.0 + baseline))
            })
        }
    };
    for baseline in [0.0, 1.7, -20.0] {
        let found = grad(scored(baseline)).call(&x).unwrap();
        numbers(&found).iter().zip(numbers(&exact)).for_each(|(found, exact)| close(*found, exact, 1e-13));
    }
    // Variances from the estimates of all outcomes.
    let single = value_and_grad(|logits: Var, z: Var, baseline: Var| {
        let node = Node::at(&Bernoulli { logits }, z);
        let value = cost(logits.stop_gradient(), node.value);
        score_function(value, node.log_density.sum(), Some(baseline))
    });
    let weight = jit(|logits: Var, z: Var| {
        let node = Node::at(&Bernoulli { logits }, z);
        let p = node.log_density.sum().exp();
        (p, grad(|logits: Var| Bernoulli { logits }.log_density(z).sum()).at(logits))
    });
    let mut table = vec![];
    for z in outcomes(3) {
        let (p, score) = weight.call((&x, &z)).unwrap();
        let (value, _) = single.call((&x, &z, &array(0.0))).unwrap();
        table.push((z, number(&value), numbers(&score), number(&p)));
    }
    let rows: Vec<(f64, &[f64], f64)> =
        table.iter().map(|(_, value, score, p)| (*value, &score[..], *p)).collect();
    let best = optimal_baseline(&rows);
    let variance = |baseline: f64| {
        let mut moments = (vec![0.0; 3], 0.0);
        for (z, _, _, p) in &table {
            let (_, g) = single.call((&x, z, &array(baseline))).unwrap();
            for (mean, g) in moments.0.iter_mut().zip(numbers(&g)) {
                *mean += p * g;
                moments.1 += p * g * g;
            }
        }
        moments.1 - moments.0.iter().map(|mean| mean * mean).sum::<f64>()
    };
    // The variance is a parabola about the best baseline, with curvature E |s|².
    let least = variance(best);
    let curvature: f64 = rows.iter().map(|(_, score, p)| p * score.iter().map(|s| s * s).sum::<f64>()).sum();
    for off in [-1.0, -0.1, 0.1, 1.0] {
        close(variance(best + off) - least, curvature * off * off, 1e-12);
    }
    assert!(least < variance(0.0));
    // Leave one out: two independent draws, 64 pairs.
    let pairs = grad(|logits: Var| {
        let mut total = logits.index(0, 0) * 0.0;
        for first in outcomes(3) {
            for second in outcomes(3) {
                let nodes = [&first, &second].map(|z| Node::at(&Bernoulli { logits }, constant(z)));
                let tau = stack(&nodes.map(|node| node.log_density.sum()));
                let costs = stack(&nodes.map(|node| cost(logits, node.value)));
                let estimate = score_function(costs, tau, Some(leave_one_out(costs))).mean();
                total = total + tau.sum().exp().stop_gradient() * estimate;
            }
        }
        total
    });
    let found = pairs.call(&x).unwrap();
    numbers(&found).iter().zip(numbers(&exact)).for_each(|(found, exact)| close(*found, exact, 1e-13));
}

#[test]
fn a_baseline_without_its_own_term_is_found() {
    // The mutation: (f − b) weighed, and b forgotten where it must come back, makes b part of the gradient only through its own draw:
    // with a baseline that is the cost itself, nothing is left.
    let x = array(LOGITS);
    let exact = grad(|logits: Var| mean_over(logits, 3, true, |z| cost(logits, z))).call(&x).unwrap();
    let own = grad(|logits: Var| {
        mean_over(logits, 3, false, |z| {
            let node = Node::at(&Bernoulli { logits }, z);
            let cost = cost(logits, node.value);
            score_function(cost, node.log_density.sum(), Some(cost))
        })
    });
    let found = own.call(&x).unwrap();
    assert!(numbers(&found).iter().zip(numbers(&exact)).any(|(found, exact)| (found - exact).abs() > 0.1));
}

/// z₁ ~ σ(φ₀), z₂ ~ σ(φ₁ + 2 z₁): the mean of two costs, exact or as the mean of a surrogate.
fn chain(phi: Var, how: &dyn Fn(Var, [Node; 2], [Var; 2]) -> Var) -> Var {
    let mut total = phi.index(0, 0) * 0.0;
    for first in [0.0, 1.0] {
        for second in [0.0, 1.0] {
            let z = [first, second].map(|z| constant(&array(z)));
            let one = Node::at(&Bernoulli { logits: phi.index(0, 0) }, z[0]);
            let two = Node::at(&Bernoulli { logits: phi.index(0, 1) + one.value * 2.0 }, z[1]);
            let costs =
                [one.value * 3.0 + phi.index(0, 1), (two.value - 0.2) * phi.index(0, 0).exp() + one.value];
            let p = (one.log_density + two.log_density).exp();
            total = total + how(p, [one, two], costs);
        }
    }
    total
}

fn derivatives(f: impl Fn(Var) -> Var + Copy) -> [Vec<f64>; 3] {
    let x = array([0.4, -0.7]);
    let third = jacobian(hessian(f)).call(&x).unwrap();
    [numbers(&grad(f).call(&x).unwrap()), numbers(&hessian(f).call(&x).unwrap()), numbers(&third)]
}

#[test]
fn likelihood_ratios_are_right_to_the_third_order() {
    let exact = derivatives(|phi: Var| chain(phi, &|p, _, costs| p * (costs[0] + costs[1])));
    let found = derivatives(|phi: Var| {
        chain(phi, &|p, [one, two], costs| {
            p.stop_gradient() * surrogate(&[(costs[0], vec![one]), (costs[1], vec![one, two])])
        })
    });
    for (found, exact) in found.iter().zip(&exact) {
        found.iter().zip(exact).for_each(|(found, exact)| close(*found, *exact, 1e-13));
    }
    // The mutation: the surrogate of first order, log p · sg f, has the right gradient and a wrong Hessian.
    let first = derivatives(|phi: Var| {
        chain(phi, &|p, [one, two], costs| {
            let tau = one.log_density + two.log_density;
            p.stop_gradient() * ((costs[0] + costs[1]).stop_gradient() * tau + costs[0] + costs[1])
        })
    });
    first[0].iter().zip(&exact[0]).for_each(|(found, exact)| close(*found, *exact, 1e-13));
    assert!(first[1].iter().zip(&exact[1]).any(|(found, exact)| (found - exact).abs() > 0.05));
    // And a cost that does not know of the first node misses its part of the gradient.
    let apart = derivatives(|phi: Var| {
        chain(phi, &|p, [one, two], costs| {
            p.stop_gradient() * surrogate(&[(costs[0], vec![one]), (costs[1], vec![two])])
        })
    });
    assert!(apart[0].iter().zip(&exact[0]).any(|(found, exact)| (found - exact).abs() > 0.05));
}

#[test]
fn one_cost_has_no_others() {
    let error = message(jit(|costs: Var| leave_one_out(costs)).call(&array([1.0])));
    assert!(error.contains("leave_one_out: found costs of type f64[1], expected at least two"), "{error}");
}
