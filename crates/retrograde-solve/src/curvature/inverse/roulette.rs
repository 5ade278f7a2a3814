//! Russian roulette: the whole Neumann series, without bias, by stopping at random.
//!
//! ```text
//! D₀ = P ĝ,   D_{k+1} = (I − η P Ĥₖ) Dₖ,   Y = η Σ_{k ≤ N} Dₖ / pₖ,   P(N ≥ k) = pₖ          E Y = H⁻¹ g
//! ```
//!
//! with pₖ = qᵏ, or 1 for k ≤ K₀ and q^(k−K₀) beyond. The second moment is finite if and only if q > ρ₂, the growth of E‖D‖² in a
//! step: with a smaller q the mean is still right and every standard error lies. So ρ₂ is measured first, and such a q is refused.
//!
//! Source: J. von Neumann and S. Ulam's method, G. E. Forsythe, R. A. Leibler, Matrix inversion by a Monte Carlo method,
//! Mathematical Tables and Other Aids to Computation 4 (1950).

use retrograde_array::Array;
use retrograde_array::rng::{Key, normal};
use retrograde_core::trace::control::{scan_over, while_config};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{full, random_bits, select, uniform};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{jit, vmap};

use super::RightSide;
use super::problem::Problem;
use super::spectrum::key_rows;
use crate::linear::flat::numbers;

/// Chains and steps that the growth of the second moment is measured with.
const CHAINS: usize = 64;
const STEPS: usize = 100;

/// How a roulette runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roulette {
    pub(super) eta: f64,
    pub(super) q: f64,
    /// So many steps are always taken.
    pub(super) always: usize,
    pub(super) n_chains: usize,
    pub(super) right_side: RightSide,
}

/// One answer for each chain, and how many steps each took.
pub(super) fn run(
    problem: &Problem<'_>,
    roulette: &Roulette,
    g: &[f64],
    key: Key,
) -> Result<(Vec<Vec<f64>>, Vec<f64>), Error> {
    let keys = key_rows(key, roulette.n_chains);
    let program = jit(|fixed: Vec<Var>, data: Vec<Var>, (g, keys): (Var, Var)| {
        vmap(|key: Var| chain(problem, roulette, &fixed, &data, g, key)).apply((keys,))
    });
    let inputs = (Array::vector(g.to_vec()), keys);
    let (draws, n_steps) = program.call((&problem.fixed(), &problem.data, &inputs))?;
    Ok((numbers(&draws).chunks(problem.size()).map(<[f64]>::to_vec).collect(), numbers(&n_steps)))
}

fn chain(
    problem: &Problem<'_>,
    roulette: &Roulette,
    fixed: &[Var],
    data: &[Var],
    g: Var,
    key: Var,
) -> (Var, Var) {
    let Roulette { eta, q, always, .. } = *roulette;
    let keys = random_bits(key, [3, 2], 53);
    // P(U ≤ qᵏ) = qᵏ with U in (0, 1].
    let beyond = ((1.0 - uniform(keys.index(0, 0), [])).log() * (1.0 / q.ln())).floor();
    let last = beyond + always as f64;
    let g = match roulette.right_side {
        RightSide::Given => g,
        RightSide::Once | RightSide::Fresh => problem.slope(fixed, problem.drawn(data, keys.index(0, 1))),
    };
    let d = problem.preconditioned(fixed, g);
    let number = |x: f64| full(retrograde_array::DType::F64, [], x);
    let state = vec![d, eta * d, number(1.0), number(0.0), last, keys.index(0, 2)];
    let step = |state: Vec<Var>| {
        let [d, x, weight, k, last, key] = state[..] else {
            unreachable!("six values are carried; this is a bug in retrograde")
        };
        let keys = random_bits(key, [2, 2], 53);
        let product = problem.curved(fixed, problem.drawn(data, keys.index(0, 1)), d);
        let d = d - eta * problem.preconditioned(fixed, product);
        let k = k + 1.0;
        let weight = select(k.gt(always as f64), weight * (1.0 / q), weight);
        vec![d, x + d * (eta * weight).spread(d.shape()), weight, k, last, keys.index(0, 0)]
    };
    let end = while_config().run(state, |state: Vec<Var>| state[3].lt(state[4]), step);
    (end[1], end[4])
}

/// The growth of E‖D‖² in a step, from the second half of some chains: what the slowest directions and the noise leave.
pub(super) fn growth(problem: &Problem<'_>, eta: f64, key: Key) -> Result<f64, Error> {
    let [of_chains, of_start] = [key.fold_in(0), key.fold_in(1)];
    let keys = key_rows(of_chains, CHAINS);
    let starts = normal(of_start, [CHAINS, problem.size()]);
    let program = jit(|fixed: Vec<Var>, data: Vec<Var>, (keys, starts): (Var, Var)| {
        let chain = |key: Var, start: Var| {
            let step = |d: Var, key: Var| {
                let product = problem.curved(&fixed, problem.drawn(&data, key), d);
                let d = d - eta * problem.preconditioned(&fixed, product);
                (d, (d * d).sum())
            };
            scan_over().run(start, random_bits(key, [STEPS, 2], 53), step).1
        };
        vmap(chain).apply((keys, starts)).sum_axes(&[0])
    });
    let squares = numbers(&program.call((&problem.fixed(), &problem.data, &(keys, starts)))?);
    // The last half that did not underflow.
    let n = squares.iter().take_while(|s| **s > f64::MIN_POSITIVE && s.is_finite()).count();
    let half = n / 2;
    if n < 4 {
        return Ok(if squares.first().is_some_and(|s| s.is_finite()) { 0.0 } else { f64::INFINITY });
    }
    Ok((squares[n - 1] / squares[half - 1]).powf(1.0 / (n - half) as f64))
}

/// How many products measuring takes, in batches.
pub(super) const GROWTH_PRODUCTS: usize = CHAINS * STEPS;
