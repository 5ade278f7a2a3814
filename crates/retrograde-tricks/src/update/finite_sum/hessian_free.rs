//! Hessian-free optimisation: conjugate gradients on the curvature of Gauss and Newton with a damping that learns.
//!
//! Each step minimises the model `q(δ) = g·δ + ½ δᵀ(G + λ + ρ)δ` over all examples by conjugate gradients, which stop when q makes too
//! little progress for their effort; the damping ρ follows how well q foretold the loss:
//!
//! ```text
//! r = (F(w+δ) − F(w)) / q(δ):    r > ¾: ρ ← ⅔ρ,    r < ¼: ρ ← 3/2 ρ
//! ```
//!
//! Law: exact products of G, an inexact step of a damped model. Cost: a pass for the gradient, one for each product, one for each try of a step
//! that is halved. Source: Martens 2010, Deep learning via Hessian-free optimization: §4.1 damping, §4.4 stop, §4.7 preconditioner
//! `(Σ gᵢ² + ρ)^¾`.

use super::memory::{Memory, Remembered, list, number};
use super::problem::numbers;
use super::run::{Run, Stop, vector};
use super::vector::{add_scaled, dot};
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of the catalogue.
pub const HESSIAN_FREE: Trick = Trick {
    id: "E5",
    name: "Hessian-free: conjugate gradients on Gauss–Newton with damping",
    formula: "min_δ g·δ + ½ δᵀ(JᵀH_L J + λ + ρ)δ; ρ ← ⅔ρ or 3/2 ρ by (F(w+δ) − F(w))/q(δ)",
    law: Law::Inexact {
        what: "a truncated and damped Newton step; its fixed points are those of the gradient",
    },
    cite: &[
        Source {
            authors: "B. A. Pearlmutter",
            title: "Fast exact multiplication by the Hessian",
            venue: "Neural Computation 6(1)",
            year: 1994,
        },
        Source {
            authors: "N. N. Schraudolph",
            title: "Fast curvature matrix-vector products for second-order gradient descent",
            venue: "Neural Computation 14(7)",
            year: 2002,
        },
        Source {
            authors: "J. Martens",
            title: "Deep learning via Hessian-free optimization",
            venue: "ICML",
            year: 2010,
        },
    ],
    file: file!(),
    example: "HessianFree",
    property: Property {
        claim: "the product is that of JᵀH_L J made of Jacobians, and no Hessian",
        test: "products_of_gauss_and_newton_are_those_of_jacobians",
        found: "within 1e-14, where the Hessian's misses by more than 1e-3",
    },
};

/// §4.1: the thresholds of the ratio, and what they do to the damping.
const GOOD: f64 = 0.75;
const POOR: f64 = 0.25;
const LESS: f64 = 2.0 / 3.0;
const MORE: f64 = 1.5;
/// §4.4: conjugate gradients stop when the relative progress over the last max(10, 0.1 i) steps is below that many times this.
const PROGRESS: f64 = 5e-4;
const LEAST_WINDOW: usize = 10;
const PART_OF_STEPS: f64 = 0.1;
/// §4.7: exponent of the preconditioner.
const FLATTENING: f64 = 0.75;
/// A step is halved at most so often: then it is below the rounding of any w.
const HALVINGS: usize = 60;

/// The method.
///
/// ```
/// use retrograde_array::{Array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, HessianFree, Limits, Stop};
/// let (x, y) = (normal(Key::from_seed(1), [100, 3]), normal(Key::from_seed(2), [100]));
/// let model = |w: Var, (x, _): (Var, Var)| x.dot(w).tanh();
/// let squared = |z: Var, (_, y): (Var, Var)| 0.5 * (z - y) * (z - y);
/// let problem = FiniteSum::new(Array::vector(vec![0.1; 3]), (x, y), model, squared)?.l2(1e-2)?;
/// let found = problem.minimise(&HessianFree::default(), Limits { tolerance: 1e-8, ..Limits::default() })?;
/// assert_eq!(found.stop, Stop::Tolerance);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HessianFree {
    /// ρ at first.
    pub damping: f64,
    /// Whether each step has the preconditioner, for one pass.
    pub preconditioned: bool,
    /// The most products in a step.
    pub max_products: usize,
}

impl Default for HessianFree {
    /// ρ = 1 as in the article's repository of 2010 is for losses of sums over outputs; 0.1 here, for means.
    fn default() -> Self {
        HessianFree { damping: 0.1, preconditioned: false, max_products: 250 }
    }
}

/// The next ρ.
pub(super) fn next_damping(damping: f64, ratio: f64) -> f64 {
    if ratio > GOOD {
        LESS * damping
    } else if ratio < POOR || ratio.is_nan() {
        MORE * damping
    } else {
        damping
    }
}

/// Minimises g·δ + ½ δᵀAδ by conjugate gradients with a diagonal preconditioner; δ and the model's value there.
fn truncated(
    g: &[f64],
    inverse_diagonal: &[f64],
    max_products: usize,
    mut times: impl FnMut(&[f64]) -> Result<Vec<f64>, FiniteSumError>,
) -> Result<(Vec<f64>, f64), FiniteSumError> {
    let mut delta = vec![0.0; g.len()];
    // The gradient of the model.
    let mut r = g.to_vec();
    let preconditioned =
        |r: &[f64]| -> Vec<f64> { r.iter().zip(inverse_diagonal).map(|(r, m)| r * m).collect() };
    let mut z = preconditioned(&r);
    let mut direction: Vec<f64> = z.iter().map(|z| -z).collect();
    let mut rz = dot(&r, &z);
    let mut values = vec![0.0];
    for i in 1..=max_products {
        let bent = times(&direction)?;
        let bend = dot(&direction, &bent);
        if bend <= 0.0 || rz <= 0.0 {
            break;
        }
        let length = rz / bend;
        add_scaled(&mut delta, length, &direction);
        add_scaled(&mut r, length, &bent);
        values.push(0.5 * (dot(&r, &delta) + dot(g, &delta)));
        let window = LEAST_WINDOW.max((PART_OF_STEPS * i as f64) as usize);
        if i > window
            && values[i] < 0.0
            && (values[i] - values[i - window]) / values[i] < window as f64 * PROGRESS
        {
            break;
        }
        z = preconditioned(&r);
        let next = dot(&r, &z);
        let keep = next / rz;
        rz = next;
        direction.iter_mut().zip(&z).for_each(|(p, z)| *p = keep * *p - z);
    }
    Ok((delta, values.last().copied().unwrap_or(0.0)))
}

/// A run between two steps.
struct State {
    settings: HessianFree,
    damping: f64,
    /// F and ∇F where the run is.
    value: f64,
    g: Vec<f64>,
}

impl Method for HessianFree {
    fn name(&self) -> &'static str {
        "hessian-free"
    }
    fn cite(&self) -> &'static [Source] {
        HESSIAN_FREE.cite
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        check_positive("damping", self.damping)?;
        super::check_batch("max_products", self.max_products, usize::MAX)?;
        let damping = memory.map_or(Ok(self.damping), |memory| memory.number("damping"))?;
        let (value, g) = run.gradient_or(memory)?;
        Ok(Box::new(State { settings: *self, damping, value, g }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let HessianFree { preconditioned, max_products, .. } = self.settings;
        let State { damping, value, g, .. } = self;
        let problem = run.problem();
        let (n, d, l2) = (problem.n_examples(), problem.n_parameters(), problem.l2());
        let w = run.w().to_vec();
        if dot(g, g) == 0.0 || run.enough_by_gradient(g) {
            return Ok(Some(Stop::Tolerance));
        }
        let here = vector(&w);
        let inverse_diagonal = if preconditioned {
            run.charge(n);
            let each = numbers(&problem.gradients(&here, problem.data())?);
            let mut squares = vec![0.0; d];
            each.chunks(d).for_each(|g| squares.iter_mut().zip(g).for_each(|(s, g)| *s += g * g / n as f64));
            squares.iter().map(|s| (s + l2 + *damping).powf(-FLATTENING)).collect()
        } else {
            vec![1.0; d]
        };
        let mut n_products = 0;
        let (mut delta, foretold) = truncated(g, &inverse_diagonal, max_products, |v| {
            n_products += 1;
            let mut bent = numbers(&problem.gauss_newton(&here, problem.data(), &vector(v))?);
            bent.iter_mut().zip(v).for_each(|(b, v)| *b = *b / n as f64 + (l2 + *damping) * v);
            Ok(bent)
        })?;
        run.charge(n_products * n);
        let descent = -dot(g, &delta);
        if descent.is_nan() || descent <= 0.0 {
            return Ok(Some(Stop::NoDescent));
        }
        let mut halvings = 0;
        let rounding = n as f64 * f64::EPSILON * value.abs();
        let (next, next_value, next_g) = loop {
            let mut next = w.clone();
            add_scaled(&mut next, 1.0, &delta);
            let (next_value, next_g) = run.gradient(&next)?;
            if halvings == 0 {
                *damping = next_damping(*damping, (next_value - *value) / foretold);
            }
            if next_value <= *value + rounding {
                break (next, next_value, next_g);
            }
            if halvings == HALVINGS {
                return Ok(Some(Stop::NoDescent));
            }
            halvings += 1;
            delta.iter_mut().for_each(|x| *x *= 0.5);
        };
        (*value, *g) = (next_value, next_g);
        run.moved(&next)
    }

    fn memory(&self) -> Memory {
        vec![number("damping", self.damping), number("value", self.value), list("g", &self.g)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_damping_follows_the_rule_of_martens() {
        assert_eq!(next_damping(0.3, 1.0), 0.3 * 2.0 / 3.0);
        assert_eq!(next_damping(0.3, 0.5), 0.3);
        assert_eq!(next_damping(0.3, 0.2), 0.3 * 1.5);
        assert_eq!(next_damping(0.3, -2.0), 0.3 * 1.5);
        // At the thresholds themselves nothing changes.
        assert_eq!((next_damping(1.0, 0.75), next_damping(1.0, 0.25)), (1.0, 1.0));
    }

    #[test]
    fn the_model_is_minimised_and_its_value_is_that_of_the_minimum() {
        // A = diag(1, 2, 4), g = (1, 1, 1): δ = −A⁻¹g, q = −½ gᵀA⁻¹g = −0.875.
        let a = [1.0, 2.0, 4.0];
        let times = |v: &[f64]| Ok(v.iter().zip(a).map(|(v, a)| a * v).collect());
        for inverse_diagonal in [[1.0, 1.0, 1.0], [1.0, 0.5, 0.25]] {
            let (delta, value) = truncated(&[1.0; 3], &inverse_diagonal, 3, times).unwrap();
            assert!(delta.iter().zip([-1.0, -0.5, -0.25]).all(|(x, y)| (x - y).abs() < 1e-14), "{delta:?}");
            assert!((value + 0.875).abs() < 1e-14);
        }
        let (_, early) = truncated(&[1.0; 3], &[1.0; 3], 1, times).unwrap();
        assert!(early > -0.874);
    }
}
