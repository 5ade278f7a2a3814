//! Leapfrog, drift–kick–drift: `q += h/2 v; v += h a(q); q += h/2 v`.
//!
//! Second order, symplectic, time-reversible. Each line is an update of one variable by the others, so `Tape::Reverse`
//! turns a step round exactly and keeps only what rounding destroyed.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::prim::Tape;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{IntoOperand, full};
use retrograde_core::trace::{Var, blame, mistake, tree};

/// Where the method comes from.
pub const CITE: &str =
    "L. Verlet, Computer experiments on classical fluids I, Physical Review 159 (1967) 98-103";

/// A leapfrog integrator of q'' = a(q).
#[derive(Clone, Copy, Debug)]
pub struct Leapfrog<A> {
    acceleration: A,
    step_s: f64,
}

/// Leapfrog for the acceleration `a(q)`, in units of length per time², with a step of 0.01 until [`Leapfrog::step`] says otherwise.
pub fn leapfrog<A: Fn(Var) -> Var>(acceleration: A) -> Leapfrog<A> {
    Leapfrog { acceleration, step_s: 0.01 }
}

impl<A: Fn(Var) -> Var> Leapfrog<A> {
    /// The size of a step, in units of time.
    pub fn step(self, step_s: f64) -> Self {
        Leapfrog { step_s, ..self }
    }
    /// `n_steps` steps from a state of positions and velocities (any tree of two leaves, positions first).
    pub fn run<S: Traceable>(&self, state: S, n_steps: usize) -> Run<'_, A, S> {
        Run { method: self, state, n_steps, policy: None }
    }
}

/// Steps that are about to be taken.
#[derive(Debug)]
#[must_use = "a run takes its steps when asked for its end"]
pub struct Run<'a, A, S> {
    method: &'a Leapfrog<A>,
    state: S,
    n_steps: usize,
    policy: Option<Tape>,
}

impl<A: Fn(Var) -> Var, S: Traceable> Run<'_, A, S> {
    /// What the derivative remembers of the steps.
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        Run { policy: Some(policy.into()), ..self }
    }
    /// The state after the last step.
    #[track_caller]
    pub fn end(self) -> S {
        let leaves: Vec<Var> = tree::leaves(&self.state).into_iter().map(|(_, v)| v).collect();
        let location = Location(std::panic::Location::caller());
        let [q, v] = leaves[..] else {
            let found = format!(
                "leapfrog: found a state of {} leaves, expected positions and velocities",
                leaves.len()
            );
            mistake(
                Diagnostic::new(found, Some(location))
                    .help("what does not move, such as masses, is captured by the acceleration"),
            );
            return self.state;
        };
        let h = self.method.step_s;
        let mut config = scan(self.n_steps);
        if let Some(policy) = self.policy {
            config = config.tape(policy);
        }
        let advance = |x: Var, by: f64, rate: Var| blame(location, || x + by * rate);
        let (q, v) = config.repeat((q, v), |(q, v)| {
            let q = advance(q, 0.5 * h, v);
            let v = advance(v, h, (self.method.acceleration)(q));
            let q = advance(q, 0.5 * h, v);
            (q, v)
        });
        let mut ends = [q, v].into_iter();
        self.state.map_vars(&mut |old| ends.next().unwrap_or(*old))
    }
    /// Squared distance of the last positions from `target`.
    #[track_caller]
    pub fn distance_to(self, target: impl IntoOperand) -> Var {
        let location = Location(std::panic::Location::caller());
        let end = self.end();
        let Some((_, q)) = tree::leaves(&end).into_iter().next() else { return full(DType::F64, [], 0.0) };
        let miss = q - target.operand(&q.ty(), location);
        (miss * miss).sum()
    }
}
