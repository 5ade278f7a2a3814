//! Solvers of fixed step and the runs that they start: one spelling for every method.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::prim::Tape;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{IntoOperand, full};
use retrograde_core::trace::{Var, mistake, tree};

use super::method::{Facts, Field, Method, Rates};
use super::state::{can_move, is_step, leaves, same, with_leaves};

/// The step until `.step` says otherwise.
pub(super) const STEP: f64 = 0.01;

/// A method for y' = f(y), y any tree of floating-point leaves.
#[derive(Clone, Copy, Debug)]
pub struct FirstOrder<M, F> {
    pub(super) method: M,
    pub(super) field: F,
    pub(super) step_s: Option<f64>,
}

impl<M: Method, F> FirstOrder<M, F> {
    /// The method for the field f, with a step of 0.01 until [`FirstOrder::step`] says otherwise.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode::{FirstOrder, MIDPOINT};
    /// let doubling = FirstOrder::new(MIDPOINT, |y: Var| y).step(1.0);
    /// assert_eq!((doubling.facts().name, doubling.facts().order), ("midpoint", 2));
    /// assert_eq!(jit(|y: Var| doubling.run(y, 1).end()).call(&array(1.0))?, array(2.5));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn new(method: M, field: F) -> Self {
        FirstOrder { method, field, step_s: None }
    }
    /// The size of a step, in units of time; a negative one runs backwards. For adaptive steps, the first one.
    pub fn step(self, step_s: f64) -> Self {
        FirstOrder { step_s: Some(step_s), ..self }
    }
    /// What the method declares.
    pub fn facts(&self) -> Facts {
        self.method.facts()
    }
    /// `n_steps` steps from a state.
    pub fn run<S: Traceable>(&self, state: S, n_steps: usize) -> Run<'_, S>
    where
        F: Fn(S) -> S,
    {
        let rates = rates(&self.field, &state);
        Run {
            method: &self.method,
            rates,
            system: System::First,
            state,
            step_s: self.step_s,
            n_steps,
            policy: None,
        }
    }
}

/// The field on leaves of a state like this one.
pub(super) fn rates<'a, S: Traceable, F: Fn(S) -> S>(field: &'a F, state: &S) -> Box<Rates<'a>> {
    let like = same(state);
    Box::new(move |y: &[Var]| leaves(&field(with_leaves(&like, y))))
}

/// A method for q'' = a(q), on any tree of two leaves: positions, then velocities.
#[derive(Clone, Copy, Debug)]
pub struct SecondOrder<M, A> {
    method: M,
    acceleration: A,
    step_s: Option<f64>,
}

impl<M: Method, A: Fn(Var) -> Var> SecondOrder<M, A> {
    /// The method for the acceleration a(q), in units of length per time², with a step of 0.01 until
    /// [`SecondOrder::step`] says otherwise.
    pub fn new(method: M, acceleration: A) -> Self {
        SecondOrder { method, acceleration, step_s: None }
    }
    /// The size of a step, in units of time; a negative one runs backwards.
    pub fn step(self, step_s: f64) -> Self {
        SecondOrder { step_s: Some(step_s), ..self }
    }
    /// What the method declares.
    pub fn facts(&self) -> Facts {
        self.method.facts()
    }
    /// `n_steps` steps from a state of positions and velocities (any tree of two leaves, positions first).
    pub fn run<S: Traceable>(&self, state: S, n_steps: usize) -> Run<'_, S> {
        let rates = Box::new(|q: &[Var]| q.iter().map(|q| (self.acceleration)(*q)).collect());
        let system = System::Second;
        Run { method: &self.method, rates, system, state, step_s: self.step_s, n_steps, policy: None }
    }
}

/// What a method integrates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum System {
    /// y' = f(y)
    First,
    /// q'' = a(q)
    Second,
}

impl System {
    fn right_side(self) -> &'static str {
        match self {
            System::First => "field",
            System::Second => "acceleration",
        }
    }
}

/// Steps of fixed size that are about to be taken.
///
/// # Errors
/// At the front door: a step that is zero or not finite, leaves that are not floating-point, a field that returns other
/// types than those of the state, and a state of other than two leaves where the method needs positions and velocities. When it
/// runs: `Tape::Reverse` on a state that is infinite or NaN.
/// # Cost
/// Per step, [`Facts::evaluations`] of the field; reverse mode two to three times as much again under `Tape::Store`, and
/// once more the step under a checkpoint or `Tape::Reverse`; under that, for a method whose facts do not say `reversible`, up to
/// nine times more forwards and ten back.
#[must_use = "a run takes its steps when asked for its end"]
pub struct Run<'a, S> {
    method: &'a dyn Method,
    rates: Box<Rates<'a>>,
    system: System,
    state: S,
    step_s: Option<f64>,
    n_steps: usize,
    policy: Option<Tape>,
}

impl<S> std::fmt::Debug for Run<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps of {}", self.n_steps, self.method.facts().name)
    }
}

impl<S: Traceable> Run<'_, S> {
    /// What the derivative remembers of the steps; it changes bytes and seconds, never a bit of a gradient.
    ///
    /// ```
    /// use retrograde_core::prim::Tape;
    /// use retrograde_core::trace::{Var, door::value_and_grad};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// let pendulum = ode::leapfrog(|q: Var| -q.sin()).step(0.01);
    /// let kept = value_and_grad(|s: (Var, Var)| pendulum.run(s, 1000).distance_to(0.5));
    /// let reversed = value_and_grad(|s: (Var, Var)| pendulum.run(s, 1000).tape(Tape::Reverse).distance_to(0.5));
    /// let start = (array([1.0, 2.0]), array([0.0, 0.5]));
    /// let (found, expected) = (reversed.call(&start)?, kept.call(&start)?);
    /// assert!(found.0.bits_eq(&expected.0) && found.1.0.bits_eq(&expected.1.0) && found.1.1.bits_eq(&expected.1.1));
    /// assert!(16 * reversed.last_tape().tape_bytes() < kept.last_tape().tape_bytes());
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        Run { policy: Some(policy.into()), ..self }
    }
    /// The state after the last step.
    #[track_caller]
    pub fn end(self) -> S {
        self.take(Location(std::panic::Location::caller()), false).0
    }
    /// The states after each step, stacked along a new leading axis of length `n_steps`.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// let doubled = ode::euler(|y: Var| y).step(1.0);
    /// let path = jit(|y: Var| doubled.run(y, 3).path()).call(&array(1.0))?;
    /// assert_eq!(path, array([2.0, 4.0, 8.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn path(self) -> S {
        self.take(Location(std::panic::Location::caller()), true).1
    }
    /// Squared distance of the last positions (the first leaf) from `target`.
    #[track_caller]
    pub fn distance_to(self, target: impl IntoOperand) -> Var {
        let location = Location(std::panic::Location::caller());
        let end = self.end();
        let Some((_, q)) = tree::leaves(&end).into_iter().next() else { return full(DType::F64, [], 0.0) };
        let miss = q - target.operand(&q.ty(), location);
        (miss * miss).sum()
    }

    /// The last state and, where asked for, all states (otherwise the first one).
    fn take(self, location: Location, path: bool) -> (S, S) {
        let Run { method, rates, system, state, n_steps, policy, .. } = self;
        let h = self.step_s.unwrap_or(STEP);
        let name = method.facts().name;
        let of_two = system == System::First || positions_and_velocities(name, &state, location);
        if !of_two || !can_move(name, &state, location) || !is_step(name, h, location) {
            let unmoved = same(&state);
            return (state, unmoved);
        }
        let field = Field::new(name, system.right_side(), &*rates, location);
        let mut config = scan(n_steps);
        if let Some(policy) = policy {
            config = config.tape(policy);
        }
        let carry = method.open(&field, leaves(&state), h);
        let nothing: Vec<Var> = vec![];
        let (carry, states) = config.run(carry, nothing, |carry, _: Vec<Var>| {
            let carry = method.step(&field, carry, h);
            let states = if path { method.close(&field, carry.clone(), h) } else { vec![] };
            (carry, states)
        });
        let end = with_leaves(&state, &method.close(&field, carry, h));
        (end, with_leaves(&state, &states))
    }
}

/// Notes a state that is none of positions and velocities; says whether it is.
fn positions_and_velocities<S: Traceable>(name: &str, state: &S, location: Location) -> bool {
    let types: Vec<_> = leaves(state).iter().map(|leaf| leaf.ty()).collect();
    let (found, help) = match &types[..] {
        [q, v] if q == v => return true,
        [q, v] => (
            format!("{name}: the positions are {q}, the velocities {v}, expected one type"),
            "positions and velocities have one entry for each coordinate",
        ),
        _ => (
            format!("{name}: found a state of {} leaves, expected positions and velocities", types.len()),
            "what does not move, such as masses, is captured by the acceleration",
        ),
    };
    mistake(Diagnostic::new(found, Some(location)).help(help));
    false
}
