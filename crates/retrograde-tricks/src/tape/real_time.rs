//! Recurrent learning in real time: the derivative of the state is carried forward, and no step is remembered.
//!
//! ```text
//! sₜ = f(θ, sₜ₋₁, xₜ),   lₜ = l(θ, sₜ₋₁, xₜ)
//! RTRL   Jₜ = ∂f/∂s Jₜ₋₁ + ∂f/∂θ,              ḡ = Σ ∂l/∂s Jₜ₋₁ + ∂l/∂θ
//! UORO   Jₜ ≈ s̃ₜ θ̃ₜᵀ,   s̃ₜ = ρ₀ ∂f/∂s s̃ₜ₋₁ + ρ₁ ν,   θ̃ₜ = θ̃ₜ₋₁/ρ₀ + ∂f/∂θᵀ ν/ρ₁,   ν random signs
//! ```
//!
//! Law: RTRL exact, but for another order of the sums; UORO inexact, with the mean of RTRL. ρ₀ = √(‖θ̃‖/‖∂f/∂s s̃‖) and
//! ρ₁ = √(‖∂f/∂θᵀν‖/‖ν‖) keep both factors of one size. Neither gives a derivative by the inputs or the start: they are held fixed.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::{concat, full, select};
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_engine::{grad, jvp, vmap};

use super::flat::{flat, shaped};
use crate::adjoint::map::{FlatStep, declared, leaves, made_on_the_way, with_leaves};
use crate::adjoint::stop::stop;
use crate::catalogue::{Law, Property, Source, Trick};
use crate::estimate::draw::{rademacher, split};

/// The row of [`real_time`].
pub const REAL_TIME: Trick = Trick {
    id: "C11",
    name: "real-time recurrent learning (RTRL)",
    formula: "Jₜ = ∂f/∂s Jₜ₋₁ + ∂f/∂θ, carried forward",
    law: Law::Rounding { bound: "sums over steps run forwards instead of backwards" },
    cite: &[Source {
        authors: "R. J. Williams and D. Zipser",
        title: "A Learning Algorithm for Continually Running Fully Recurrent Neural Networks",
        venue: "Neural Computation 1",
        year: 1989,
    }],
    file: file!(),
    example: "real_time",
    property: Property {
        claim: "equal to backpropagation through time; bytes independent of T",
        test: "real_time_learning_is_backpropagation_through_time",
        found: "1e-13; a tape of the size of the parameters for T of 10 and 100",
    },
};

/// The row of [`rank_one`].
pub const RANK_ONE: Trick = Trick {
    id: "C12",
    name: "unbiased online recurrent optimisation (UORO)",
    formula: "Jₜ ≈ s̃ₜ θ̃ₜᵀ, of rank one, with random signs",
    law: Law::Inexact {
        what: "a random estimate of rank one of what is carried forward; its mean is the gradient",
    },
    cite: &[
        Source {
            authors: "Y. Ollivier and C. Tallec and G. Charpiat",
            title: "Training recurrent networks online without backtracking",
            venue: "arXiv:1507.07680",
            year: 2015,
        },
        Source {
            authors: "C. Tallec and Y. Ollivier",
            title: "Unbiased Online Recurrent Optimization",
            venue: "ICLR",
            year: 2018,
        },
    ],
    file: file!(),
    example: "rank_one",
    property: Property {
        claim: "the mean is the gradient of RTRL; what is carried has n + p numbers",
        test: "the_mean_of_rank_one_estimates_is_the_gradient",
        found: "p = 0.59 for the mean of 1000 draws, where a gradient off by a tenth is refused with probability above 0.9",
    },
};

/// `f` of vectors: (θ, s, x) → (s', loss) in one vector, the loss last.
struct Step<'a> {
    theta: &'a [Var],
    state: &'a [Var],
    step: FlatStep<'a>,
}

impl Step<'_> {
    fn at(&self, theta: Var, s: Var, x: &[Var]) -> Var {
        let (next, loss) = (self.step)(&shaped(theta, self.theta), &shaped(s, self.state), x);
        flat(&[next, vec![loss]].concat())
    }
}

/// Notes leaves that cannot stand in one vector; says whether all can.
fn of_one_type(what: &str, all: &[Var], location: Location) -> bool {
    let first = all.first().map(|v| v.dtype());
    let fits = !all.is_empty() && all.iter().all(|v| v.ty().is_float() && Some(v.dtype()) == first);
    if !fits {
        let types: Vec<String> = all.iter().map(|v| v.ty().to_string()).collect();
        let found = format!(
            "{what}: found parameters and a state of ({}), expected floats of one type",
            types.join(", ")
        );
        mistake(Diagnostic::new(found, Some(location)).help("inputs of a step may be of any type"));
    }
    fits
}

/// The loss of all steps and the last state, whose gradient by the parameters is carried forward.   parameters, state: trees of floats of
/// one type; xs: a tree with a leading axis of steps; step: (parameters, state, x) → (state, loss of the step).
///
/// # Errors
/// At the front door, for leaves of several types, and a step that uses traced values from outside.
/// # Cost
/// For a state of n numbers and p parameters, n·p numbers are carried; a step takes n + 1 reverse sweeps over itself and n²·p
/// multiplications.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::tape::real_time::real_time;
/// // s ← w s + x, with the state as loss: 1, w + 1, w² + w + 1.
/// let step = |w: &Var, s: Var, x: Var| { let s = *w * s + x; (s, s) };
/// let loss = |w: Var, xs: Var| real_time(w, 0.0 * w, xs, step).0;
/// assert_eq!(grad(loss).call((&array(0.5), &array([1.0, 1.0, 1.0])))?, array(3.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn real_time<P: Traceable, S: Traceable, X: Traceable>(
    parameters: P,
    state: S,
    xs: X,
    step: impl Fn(&P, S, X) -> (S, Var),
) -> (Var, S) {
    let location = Location(std::panic::Location::caller());
    carried("rtrl", location, parameters, state, xs, None, step)
}

/// [`real_time`] with an estimate of rank one in the place of the derivative.   key: `i64[2]`.
///
/// # Errors
/// As [`real_time`].
/// # Cost
/// n + p numbers are carried; a step takes a forward sweep over itself and two back.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::tape::real_time::rank_one;
/// // A state of one number: its derivative has rank one.
/// let step = |w: &Var, s: Var, x: Var| { let s = *w * s + x; (s, s) };
/// let loss = |w: Var, xs: Var, key: Var| rank_one(w, 0.0 * w, xs, key, step).0;
/// let (w, xs, key) = (array(0.5), array([1.0, 1.0]), Key::from_seed(1).to_array());
/// // Two steps: 0 + 1, before signs of different steps meet.
/// assert!((grad(loss).call((&w, &xs, &key))?.item::<f64>().unwrap() - 1.0).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn rank_one<P: Traceable, S: Traceable, X: Traceable>(
    parameters: P,
    state: S,
    xs: X,
    key: Var,
    step: impl Fn(&P, S, X) -> (S, Var),
) -> (Var, S) {
    let location = Location(std::panic::Location::caller());
    carried("uoro", location, parameters, state, xs, Some(key), step)
}

fn carried<P: Traceable, S: Traceable, X: Traceable>(
    what: &str,
    location: Location,
    parameters: P,
    state: S,
    xs: X,
    key: Option<Var>,
    step: impl Fn(&P, S, X) -> (S, Var),
) -> (Var, S) {
    let (theta, start, inputs) = (leaves(&parameters), leaves(&state), leaves(&xs));
    let n_steps = inputs.first().and_then(|x| x.shape().first().copied()).unwrap_or(0);
    if !of_one_type(what, &[&theta[..], &start].concat(), location) {
        return (full(DType::F64, [], 0.0), state);
    }
    let flat_step = |theta: &[Var], s: &[Var], x: &[Var]| {
        let (next, loss) =
            step(&with_leaves(&parameters, theta), with_leaves(&state, s), with_leaves(&xs, x));
        (leaves(&next), loss)
    };
    let (n_state, n_inputs) = (start.len(), inputs.len());
    let like = (theta.clone(), start.clone());
    let run = |theta: &[Var], others: &[Var]| {
        let step = Step { theta: &like.0, state: &like.1, step: &flat_step };
        let (start, inputs) = (flat(&others[..n_state]), others[n_state..n_state + n_inputs].to_vec());
        let (loss, last, gradient) = match others.get(n_state + n_inputs) {
            None => exactly(&step, flat(theta), start, inputs),
            Some(key) => by_signs(&step, flat(theta), start, inputs, *key, n_steps),
        };
        ([vec![loss], shaped(last, &like.1)].concat(), shaped(gradient, &like.0))
    };
    let law = declared(if key.is_some() { &RANK_ONE } else { &REAL_TIME });
    let out = blame(location, || {
        let others = [stop(start.clone()), stop(inputs.clone()), Vec::from_iter(key)].concat();
        made_on_the_way(&law, theta.clone(), others, run)
    });
    (out[0], stop(with_leaves(&state, &out[1..])))
}

/// (loss, last state, gradient) with the whole derivative carried forward.
fn exactly(step: &Step<'_>, theta: Var, start: Var, inputs: Vec<Var>) -> (Var, Var, Var) {
    let (n, p, dtype) = (start.shape()[0], theta.shape()[0], theta.dtype());
    let of = |(theta, s): (Var, Var), x: Vec<Var>, e: Var| (step.at(theta, s, &x) * e).sum();
    let body = |(s, j, g, total): (Var, Var, Var, Var), x: Vec<Var>| {
        // A row of derivatives for every number of the state, and one for the loss.
        let row = |e: Var| grad(of).at(((theta, s), x.clone(), e));
        let (by_theta, by_state) = vmap(row).apply((eye(dtype, n + 1),));
        let rows = by_theta + by_state.dot(j);
        let out = step.at(theta, s, &x);
        let state = (out.slice(0, 0..n), rows.slice(0, 0..n), g + rows.index(0, n), total + out.index(0, n));
        (state, Vec::<Var>::new())
    };
    let zeros = |shape: &[usize]| full(dtype, shape.to_vec(), 0.0);
    let init = (start, zeros(&[n, p]), zeros(&[p]), zeros(&[]));
    let (last, _, gradient, loss) = scan_over().run(init, inputs, body).0;
    (loss, last, gradient)
}

/// (loss, last state, gradient) with a product of two vectors carried forward.
fn by_signs(
    step: &Step<'_>,
    theta: Var,
    start: Var,
    inputs: Vec<Var>,
    key: Var,
    n_steps: usize,
) -> (Var, Var, Var) {
    let (n, p, dtype) = (start.shape()[0], theta.shape()[0], theta.dtype());
    let keys = retrograde_core::trace::var::stack(&split(key, n_steps));
    type Carried = (Var, (Var, Var), (Var, Var));
    let body = |(s, (s_dot, theta_bar), (g, total)): Carried, (x, key): (Vec<Var>, Var)| {
        let signs = rademacher(key, [n]).convert(dtype);
        // Along the state, and back by the parameters from the signs and from the loss.
        let (out, along) =
            jvp(|(s, theta): (Var, Var)| step.at(theta, s, &x)).at((s, theta), &(s_dot, theta * 0.0));
        let along = along[0];
        let back = |theta: Var, s: Var, e: Var| (step.at(theta, s, &x) * e).sum();
        let zero = full(dtype, [1], 0.0);
        let by_signs = grad(back).at((theta, s, concat(&[signs, zero], 0)));
        let by_loss = grad(back).at((theta, s, concat(&[signs * 0.0, zero + 1.0], 0)));
        let g = g + along.index(0, n) * theta_bar + by_loss;
        // Factors of one size; 1 where one of them is zero.
        let ratio = |a: Var, b: Var| {
            let is_some = a.gt(0.0) & b.gt(0.0);
            let one = full(dtype, [], 1.0);
            select(is_some, (select(is_some, a, one) / select(is_some, b, one)).sqrt(), one)
        };
        let s_next = along.slice(0, 0..n);
        let (r0, r1) = (ratio(theta_bar.norm(), s_next.norm()), ratio(by_signs.norm(), signs.norm()));
        let carried = (r0 * s_next + r1 * signs, theta_bar / r0 + by_signs / r1);
        ((out.slice(0, 0..n), carried, (g, total + out.index(0, n))), Vec::<Var>::new())
    };
    let zeros = |shape: &[usize]| full(dtype, shape.to_vec(), 0.0);
    let init = (start, (zeros(&[n]), zeros(&[p])), (zeros(&[p]), zeros(&[])));
    let (last, _, (gradient, loss)) = scan_over().run(init, (inputs, keys), body).0;
    (loss, last, gradient)
}
