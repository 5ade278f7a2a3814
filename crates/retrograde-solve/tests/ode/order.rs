//! Orders, as they are and as the coefficients promise.

use std::collections::BTreeMap;

use retrograde_solve::ode::{self, Composition, Pair, Part, Tableau};

use super::solvers::{all, distance, numbers};

#[test]
fn every_order_is_the_declared_one() {
    for solver in all() {
        let n_steps = if solver.facts.order == 1 { 100 } else { 20 };
        let (until, truth) = solver.truth;
        let error = |n: usize| {
            let end = solver.end(&solver.start, until / n as f64, n);
            distance(&numbers(&end), truth)
        };
        let (coarse, fine) = (error(n_steps), error(2 * n_steps));
        let order = (coarse / fine).log2();
        let declared = f64::from(solver.facts.order);
        assert!((order - declared).abs() <= 0.2, "{}: {order}, {coarse:e} {fine:e}", solver.facts.name);
        assert!(fine > 1e-13, "{}: {fine:e} is rounding", solver.facts.name);
    }
}

/// A rooted tree by its branches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rooted(Vec<Rooted>);

impl Rooted {
    fn order(&self) -> u32 {
        1 + self.0.iter().map(Rooted::order).sum::<u32>()
    }
    /// γ of Butcher's theory: the product of the orders of all subtrees.
    fn density(&self) -> f64 {
        f64::from(self.order()) * self.0.iter().map(Rooted::density).product::<f64>()
    }
    /// The elementary weight of each stage.
    fn stages(&self, a: &[&[f64]]) -> Vec<f64> {
        let mut weights = vec![1.0; a.len()];
        for branch in &self.0 {
            let inner = branch.stages(a);
            for (weight, row) in weights.iter_mut().zip(a) {
                *weight *= row.iter().zip(&inner).map(|(a, x)| a * x).sum::<f64>();
            }
        }
        weights
    }
}

/// All trees of an order, by adding a leaf at every place of those of the order before.
fn trees(order: u32) -> Vec<Rooted> {
    fn grown(tree: &Rooted) -> Vec<Rooted> {
        let mut all = vec![];
        let mut with_leaf = tree.0.clone();
        with_leaf.push(Rooted(vec![]));
        all.push(with_leaf);
        for (i, branch) in tree.0.iter().enumerate() {
            for bigger in grown(branch) {
                let mut branches = tree.0.clone();
                branches[i] = bigger;
                all.push(branches);
            }
        }
        all.into_iter()
            .map(|mut branches| {
                branches.sort();
                Rooted(branches)
            })
            .collect()
    }
    if order == 1 {
        return vec![Rooted(vec![])];
    }
    let mut all: Vec<Rooted> = trees(order - 1).iter().flat_map(grown).collect();
    all.sort();
    all.dedup();
    all
}

/// The largest defect of the conditions of one order at θ.
fn defect(a: &[&[f64]], b: &[f64], order: u32, theta: f64) -> f64 {
    let of = |tree: &Rooted| {
        let sum: f64 = tree.stages(a).iter().zip(b).map(|(x, b)| x * b).sum();
        (sum - theta.powi(order as i32) / tree.density()).abs()
    };
    trees(order).iter().map(of).fold(0.0, f64::max)
}

/// Exactly this order: all conditions hold up to it, one fails beyond.
#[track_caller]
fn has_order(name: &str, a: &[&[f64]], b: &[f64], order: u32, theta: f64) {
    for p in 1..=order {
        let defect = defect(a, b, p, theta);
        assert!(defect < 2e-14, "{name}: order {p} at {theta}: {defect:e}");
    }
    assert!(defect(a, b, order + 1, theta) > 1e-7, "{name}: more than order {order} at {theta}");
}

#[test]
fn trees_are_all_there() {
    assert_eq!([1, 2, 3, 4, 5, 6].map(|order| trees(order).len()), [1, 1, 2, 4, 9, 20]);
}

#[test]
fn coefficients_meet_the_order_conditions() {
    for Tableau { facts, a, b } in [ode::EULER, ode::MIDPOINT, ode::HEUN, ode::RK4] {
        has_order(facts.name, a, b, facts.order, 1.0);
        assert_eq!(facts.evaluations as usize, a.len());
    }
    for Pair { tableau: Tableau { facts, a, b }, error, dense } in [ode::BOSH3, ode::DOPRI5, ode::TSIT5] {
        let name = facts.name;
        has_order(name, a, b, facts.order, 1.0);
        let embedded: Vec<f64> = b.iter().zip(error).map(|(b, e)| b - e).collect();
        has_order(name, a, &embedded, facts.order - 1, 1.0);
        for theta in [0.2, 0.5, 0.9] {
            let horner = |p: &&[f64]| p.iter().rev().fold(0.0, |sum, c| (sum + c) * theta);
            let weights: Vec<f64> = dense.polynomials.iter().map(horner).collect();
            has_order(name, a, &weights, dense.order, theta);
        }
        // The last stage is the rate after the step, and the interpolant ends there.
        assert_eq!(a[a.len() - 1], &b[..b.len() - 1]);
        assert_eq!((b[b.len() - 1], facts.evaluations as usize), (0.0, a.len() - 1));
        let ends: Vec<f64> = dense.polynomials.iter().map(|p| p.iter().sum()).collect();
        assert!(distance(&ends, b) < 2e-14, "{name}: {ends:?}");
    }
}

/// The series of a composition in words of drifts (false) and kicks (true).
fn series(parts: &[Part], length: usize) -> BTreeMap<Vec<bool>, f64> {
    let mut all = BTreeMap::from([(vec![], 1.0)]);
    for part in parts {
        let (letter, weight) = match part {
            Part::Drift(c) => (false, c),
            Part::Kick(c) => (true, c),
        };
        let mut next = BTreeMap::new();
        for (word, c) in all {
            let (mut word, mut c): (Vec<bool>, f64) = (word, c);
            for n in 1.. {
                *next.entry(word.clone()).or_insert(0.0) += c;
                if word.len() == length {
                    break;
                }
                word.push(letter);
                c *= weight / f64::from(n);
            }
        }
        all = next;
    }
    all
}

/// A composition has order p when its series agrees with exp(drift + kick) in words of up to p letters.
#[test]
fn compositions_meet_the_order_conditions() {
    let all = [
        ode::SYMPLECTIC_EULER,
        ode::LEAPFROG,
        ode::LEAPFROG_KDK,
        ode::VELOCITY_VERLET,
        ode::YOSHIDA4,
        ode::YOSHIDA6,
    ];
    for Composition { facts, opening, parts, closing } in all {
        let order = facts.order as usize;
        let one_step = [opening, parts, closing].concat();
        let mut beyond = 0.0f64;
        for (word, c) in series(&one_step, order + 1) {
            let factorial: f64 = (1..=word.len()).map(|n| n as f64).product();
            let defect = (c - 1.0 / factorial).abs();
            if word.len() <= order {
                assert!(defect < 4e-15, "{}: {word:?} {defect:e}", facts.name);
            } else {
                beyond = beyond.max(defect);
            }
        }
        assert!(beyond > 1e-4, "{}: {beyond:e}", facts.name);
        let kicks = parts.iter().filter(|part| matches!(part, Part::Kick(_))).count();
        assert_eq!(facts.evaluations as usize, kicks, "{}", facts.name);
    }
}
