//! Truncated backpropagation through time: after every k₁ steps, the loss of those steps is differentiated through the last k₂.
//!
//! ```text
//! L = Σₜ lₜ,   sₜ = f(θ, sₜ₋₁, xₜ)
//! ḡ = Σ over windows w of  ∂(Σ of lₜ, t in the last k₁ steps of w)/∂θ  with the state k₂ steps before the end of w held fixed
//! ```
//!
//! Law: inexact; exact for k₂ ≥ T. The gradient is made while the loop runs forward: the tape of one window is all there ever is, and what
//! the reverse pass keeps is the gradient itself. Starts, inputs and the last state get no cotangent.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::custom::custom_vjp;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::place::iota;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_engine::value_and_grad;

use super::map::{declared, leaves, with_leaves};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Truncated`].
pub const TRUNCATED: Trick = Trick {
    id: "B15",
    name: "truncated backpropagation through time",
    formula: "every k₁ steps, the derivative of their loss through the last k₂ steps",
    law: Law::Inexact {
        what: "a partial sum: the derivative through the last k₂ steps of every window, of the parameters alone",
    },
    cite: &[
        Source {
            authors: "R. J. Williams and J. Peng",
            title: "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network Trajectories",
            venue: "Neural Computation 2",
            year: 1990,
        },
        Source {
            authors: "I. Sutskever",
            title: "Training Recurrent Neural Networks",
            venue: "PhD thesis, University of Toronto",
            year: 2013,
        },
    ],
    file: file!(),
    example: "Truncated",
    property: Property {
        claim: "the gradient is the partial sum, exact for k₂ ≥ T; bytes do not grow with T",
        test: "truncation_is_a_partial_sum_and_exact_when_nothing_is_cut",
        found: "1e-13 of the partial sum by hand; the tape is the size of the parameters for T of 24 and 240",
    },
};

/// k₁ and k₂.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::truncated::Truncated;
/// // s ← w s + x with the state as loss; the steps see one step back.
/// let step = |w: &Var, s: Var, x: Var| { let s = *w * s + x; (s, s) };
/// let loss = |w: Var, xs: Var| Truncated { every: 1, back: 1 }.run(w, 0.0 * w, xs, step).0;
/// // Σ sₜ₋₁ = 0 + 1 + 1.5, of which ∂sₜ₋₁ is cut off.
/// assert_eq!(grad(loss).call((&array(0.5), &array([1.0, 1.0, 1.0])))?, array(2.5));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truncated {
    /// k₁: how many steps there are from one derivative to the next.
    pub every: usize,
    /// k₂: through how many steps it goes back.
    pub back: usize,
}

impl Truncated {
    /// The loss of all steps and the last state.   parameters: a tree; state: a tree; xs: a tree with a leading axis of T steps; step:
    /// (parameters, state, x) → (state, loss of the step).
    ///
    /// # Errors
    /// At the front door, for k₁ = 0, k₂ < k₁, a T that k₁ does not divide, and a step that uses traced values from outside.
    /// # Cost
    /// k₂/k₁ + 1 times the steps forward, and k₂/k₁ times back.
    #[track_caller]
    pub fn run<P: Traceable, S: Traceable, X: Traceable>(
        self,
        parameters: P,
        state: S,
        xs: X,
        step: impl Fn(&P, S, X) -> (S, Var),
    ) -> (Var, S) {
        let location = Location(std::panic::Location::caller());
        let (theta, start, inputs) = (leaves(&parameters), leaves(&state), leaves(&xs));
        let n_steps = inputs.first().and_then(|x| x.shape().first().copied()).unwrap_or(0);
        let (n_theta, n_state) = (theta.len(), start.len());
        if let Some(found) = self.wrong(n_steps) {
            let help = "k₁ = k₂ cuts the sequence into pieces; a larger k₂ looks back beyond them";
            mistake(
                Diagnostic::new(format!("truncated backpropagation: {found}"), Some(location)).help(help),
            );
            return (full(DType::F64, [], 0.0), state);
        }
        let flat_step = |theta: &[Var], s: &[Var], x: &[Var]| {
            let (next, loss) =
                step(&with_leaves(&parameters, theta), with_leaves(&state, s), with_leaves(&xs, x));
            (leaves(&next), loss)
        };
        let streamed = |all: &[Var]| {
            let (theta, rest) = all.split_at(n_theta);
            let (start, inputs) = rest.split_at(n_state);
            self.stream(theta, start, inputs, n_steps, &flat_step)
        };
        let out = blame(location, || {
            custom_vjp(
                &declared(&TRUNCATED),
                [theta, start, inputs].concat(),
                |all: Vec<Var>| streamed(&all).0,
                |all: Vec<Var>| {
                    let (out, gradient) = streamed(&all);
                    (out, (gradient, all[n_theta..].to_vec()))
                },
                |(gradient, others): (Vec<Var>, Vec<Var>), out_bar: Vec<Var>| {
                    let of = |g: &Var| *g * out_bar[0].convert(g.dtype());
                    let none = |v: &Var| full(v.dtype(), v.shape(), 0.0);
                    gradient.iter().map(of).chain(others.iter().map(none)).collect()
                },
            )
        });
        (out[0], with_leaves(&state, &out[1..]))
    }

    fn wrong(self, n_steps: usize) -> Option<String> {
        let Truncated { every, back } = self;
        if every == 0 || back < every {
            return Some(format!("found k₁ = {every} and k₂ = {back}, expected 1 ≤ k₁ ≤ k₂"));
        }
        (n_steps % every != 0).then(|| format!("found {n_steps} steps, expected a multiple of k₁ = {every}"))
    }

    /// ((loss, last state..), gradient of the parameters).
    fn stream(
        self,
        theta: &[Var],
        start: &[Var],
        inputs: &[Var],
        n_steps: usize,
        step: &dyn Fn(&[Var], &[Var], &[Var]) -> (Vec<Var>, Var),
    ) -> (Vec<Var>, Vec<Var>) {
        let Truncated { every, back } = self;
        // Steps `part` of the window that begins at step `first`, which may lie before the first step of all: then nothing happens.
        let steps = |theta: &[Var], s: Vec<Var>, inputs: &[Var], first: Var, part: std::ops::Range<usize>| {
            let places = iota(DType::I64, [part.len()], 0) + part.start as i64;
            let xs: Vec<Var> = inputs.iter().map(|x| x.slice(0, part.clone())).collect();
            let body = |s: Vec<Var>, (at, x): (Var, Vec<Var>)| {
                let (next, loss) = step(theta, &s, &x);
                let happens = (first + at).ge(0);
                let counts = happens & at.ge((back - every) as i64);
                let s = next.iter().zip(&s).map(|(next, s)| select(happens, *next, *s)).collect();
                (s, select(counts, loss, full(loss.dtype(), [], 0.0)))
            };
            let (s, losses) = scan_over().run(s, (places, xs), body);
            (s, losses.sum())
        };
        let window = |first: Var| {
            let at = (iota(DType::I64, [back], 0) + first).max(0);
            inputs.iter().map(|x| x.gather(0, at)).collect::<Vec<Var>>()
        };
        let of_window = |theta: Vec<Var>, others: (Vec<Var>, Vec<Var>), first: Var| {
            let (s, inputs) = others;
            let (s, before) = steps(&theta, s, &inputs, first, 0..every);
            if back == every {
                return before;
            }
            before + steps(&theta, s, &inputs, first, every..back).1
        };
        let firsts = iota(DType::I64, [n_steps / every], 0) * every as i64 + (every as i64 - back as i64);
        let zeros: Vec<Var> = theta.iter().map(|v| full(v.dtype(), v.shape(), 0.0)).collect();
        // The state at the begin of the next window is that of this one after k₁ steps.
        let body = |(total, s): (Vec<Var>, Vec<Var>), first: Var| {
            let xs = window(first);
            let (loss, slope) =
                value_and_grad(of_window).at((theta.to_vec(), (s.clone(), xs.clone()), first));
            let next = steps(theta, s, &xs, first, 0..every).0;
            let total = total.iter().zip(&slope).map(|(total, slope)| *total + *slope).collect();
            ((total, next), loss)
        };
        let ((gradient, s), losses) = scan_over().run((zeros, start.to_vec()), firsts, body);
        // What is left of the last window.
        let first = full(DType::I64, [], n_steps as f64 - back as f64 + every as f64);
        let last = match back - every {
            0 => s,
            left => {
                let tail: Vec<Var> = inputs
                    .iter()
                    .map(|x| x.gather(0, (iota(DType::I64, [left], 0) + first).max(0)))
                    .collect();
                let body = |s: Vec<Var>, (at, x): (Var, Vec<Var>)| {
                    let next = step(theta, &s, &x).0;
                    let happens = (first + at).ge(0);
                    let s = next.iter().zip(&s).map(|(next, s)| select(happens, *next, *s)).collect();
                    (s, Vec::<Var>::new())
                };
                scan_over().run(s, (iota(DType::I64, [left], 0), tail), body).0
            }
        };
        ([vec![losses.sum()], last].concat(), gradient)
    }
}
