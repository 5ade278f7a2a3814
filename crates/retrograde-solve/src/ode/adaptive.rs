//! Steps whose size follows an estimate of their error, and states at given times.
//!
//! The control of the step is held fixed by derivatives: they are those of the accepted steps, as if these had been given. A
//! finite difference through the control differs from them by about the tolerance.

use retrograde_array::{DType, array};
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::prim::Tape;
use retrograde_core::trace::control::{scan_over, while_config};
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{constant, full, select};
use retrograde_core::trace::{Var, blame, mistake};

use super::method::{Field, Rates};
use super::run::{FirstOrder, rates};
use super::state::{can_move, is_step, leaves, same, with_leaves};
use super::tableau::Embedded;

/// A step is changed by this part of what the error would allow (Hairer, Nørsett & Wanner I, 1993, II.4).
const SAFETY: f64 = 0.9;
/// The exponents of the last and of the last but one error, over the order of the estimate plus one (Hairer & Wanner II, 1996,
/// IV.2; Gustafsson 1991).
const PROPORTIONAL: f64 = 0.7;
const INTEGRAL: f64 = 0.4;
/// A step becomes no more than this much shorter or longer at once.
const SHRINK: f64 = 0.2;
const GROW: f64 = 10.0;
/// Smaller errors, relative to what is allowed, count as this one.
const LEAST_ERROR: f64 = 1e-10;
/// The first step is at least this part of the run, where nothing is allowed at a start of zero.
const LEAST_STEP: f64 = 1e-9;
/// Until `.max_steps` says otherwise.
const MAX_STEPS: usize = 100_000;

/// A method for y' = f(y) that chooses its steps.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive<M, F> {
    solver: FirstOrder<M, F>,
    control: Control,
}

#[derive(Clone, Copy, Debug)]
struct Control {
    relative: f64,
    absolute: f64,
    max_steps: usize,
    first_step: Option<f64>,
}

impl<M: Embedded, F> FirstOrder<M, F> {
    /// Chooses the steps so that the estimated error of each, over `absolute + relative |y|`, has a root mean square of at most
    /// one over all entries of the state. `.step` gives the first step; without it, it is estimated.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// let pendulum = ode::tsit5(|(q, v): (Var, Var)| (v, -q.sin())).adaptive(1e-9, 1e-9);
    /// let path = jit(|q: Var, v: Var| pendulum.run((q, v), 10.0).at(&[2.5, 5.0, 7.5]));
    /// let (q, _) = path.call((&array(1.0), &array(0.0)))?;
    /// assert_eq!(q.shape()[..], [3]);
    /// let last = |q: Var| pendulum.run((q, 0.0 * q), 10.0).end().0;
    /// assert!(grad(last).call(&array(1.0))?.item::<f64>().unwrap().is_finite());
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn adaptive(self, relative: f64, absolute: f64) -> Adaptive<M, F> {
        let control = Control { relative, absolute, max_steps: MAX_STEPS, first_step: self.step_s };
        Adaptive { solver: self, control }
    }
}

impl<M: Embedded, F> Adaptive<M, F> {
    /// How many steps may be tried, refused ones included; 100,000 until said otherwise. Where they do not suffice, or become too
    /// short to move time, the states that were not reached are NaN.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// let decay = ode::bosh3(|y: Var| -y).adaptive(1e-9, 1e-9);
    /// let (end, tried) = jit(|y: Var| decay.run(y, 1.0).end_and_steps()).call(&array(1.0))?;
    /// assert!((end.item::<f64>().unwrap() - (-1f64).exp()).abs() < 1e-7 && tried.item::<f64>().unwrap() > 10.0);
    /// let few = decay.max_steps(3);
    /// assert!(jit(|y: Var| few.run(y, 1.0).end()).call(&array(1.0))?.item::<f64>().unwrap().is_nan());
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn max_steps(mut self, max_steps: usize) -> Self {
        self.control.max_steps = max_steps;
        self
    }
    /// From time 0 to `until` (> 0), in units of time.
    pub fn run<S: Traceable>(&self, state: S, until: f64) -> AdaptiveRun<'_, S>
    where
        F: Fn(S) -> S,
    {
        let rates = rates(&self.solver.field, &state);
        AdaptiveRun { method: &self.solver.method, rates, control: self.control, state, until, policy: None }
    }
}

/// Steps of chosen size that are about to be taken, from time 0.
///
/// # Errors
/// At the front door: tolerances that are negative, both zero or not finite, an end that is not a positive number, times that
/// are not ascending or not between 0 and the end, leaves that are not floating-point, a field that returns other types than
/// those of the state.
/// # Cost
/// Per step tried, [`Facts::evaluations`](super::Facts) of the field; one step more for each time asked for. Reverse mode keeps
/// the residuals of each step tried, or under a checkpoint its state; under `Tape::Reverse` about one state for 64 steps, as a step
/// does not tell the size of the one before, and for a run with times none, as it is refused: its steps hold a loop.
#[must_use = "a run takes its steps when asked for its end"]
pub struct AdaptiveRun<'a, S> {
    method: &'a dyn Embedded,
    rates: Box<Rates<'a>>,
    control: Control,
    state: S,
    until: f64,
    policy: Option<Tape>,
}

impl<S> std::fmt::Debug for AdaptiveRun<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} until {}", self.method.facts().name, self.until)
    }
}

/// What is carried from step to step.
type Carry = ([Var; CLOCK], Vec<Var>, Vec<Var>, (Vec<Var>, Vec<Var>));
/// Time, the next step, the last error, steps tried; where the last accepted step began, and how long it was.
const CLOCK: usize = 6;

impl<S: Traceable> AdaptiveRun<'_, S> {
    /// What the derivative remembers of the steps; it changes bytes and seconds, never a bit of a gradient.
    ///
    /// ```
    /// use retrograde_core::prim::{Checkpoint, Tape};
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode;
    /// let decay = ode::bosh3(|y: Var| -y).adaptive(1e-6, 1e-6);
    /// let kept = grad(|y: Var| decay.run(y, 1.0).tape(Tape::Store).end()).call(&array(1.0))?;
    /// let slots = grad(|y: Var| decay.run(y, 1.0).tape(Checkpoint::Slots(4)).end()).call(&array(1.0))?;
    /// assert!(kept.bits_eq(&slots));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        AdaptiveRun { policy: Some(policy.into()), ..self }
    }
    /// The state at the end; NaN where it was not reached, see [`Adaptive::max_steps`].
    #[track_caller]
    pub fn end(self) -> S {
        self.end_and_steps().0
    }
    /// The state at the end and how many steps were tried (`f64[]`), refused ones included.
    #[track_caller]
    pub fn end_and_steps(self) -> (S, Var) {
        let location = Location(std::panic::Location::caller());
        if !self.is_sound(&[], location) {
            let nothing = blame(location, || full(DType::F64, [], 0.0));
            return (same(&self.state), nothing);
        }
        let field = Field::new(self.method.facts().name, "field", &*self.rates, location);
        let until = field.own(|| full(DType::F64, [], self.until));
        let start = self.start(&field);
        let ([t, _, _, n_steps, ..], y, ..) = self.advance(&field, start, until);
        let y: Vec<Var> = field.own(|| y.iter().map(|y| reached(t, until, *y)).collect());
        (with_leaves(&self.state, &y), n_steps)
    }
    /// The states at these times, stacked along a new leading axis; times ascend from 0 to the end. Within a step they are
    /// interpolated, to the order of [`Embedded::dense`], and do not change the steps. Those not reached within the maximum of
    /// steps are NaN.
    #[track_caller]
    pub fn at(self, times: &[f64]) -> S {
        let location = Location(std::panic::Location::caller());
        if !self.is_sound(times, location) {
            return same(&self.state);
        }
        let field = Field::new(self.method.facts().name, "field", &*self.rates, location);
        let times = field.own(|| constant(&array(times.to_vec())));
        let start = self.start(&field);
        let mut config = scan_over();
        if let Some(policy) = self.policy {
            config = config.tape(policy);
        }
        let (_, states) = config.run(start, times, |carry: Carry, time| {
            let carry = self.advance(&field, carry, time);
            let states = self.interpolated(&field, &carry, time);
            (carry, states)
        });
        with_leaves(&self.state, &states)
    }

    /// What is carried before the first step.
    fn start(&self, field: &Field<'_>) -> Carry {
        let y = leaves(&self.state);
        let rate = field.at(&y);
        let h = match self.control.first_step {
            Some(h) => field.own(|| full(DType::F64, [], h)),
            None => self.first_step(field, &y, &rate),
        };
        let of = |value: f64| field.own(|| full(DType::F64, [], value));
        ([of(0.0), h, of(1.0), of(0.0), of(0.0), h], y.clone(), rate.clone(), (y, rate))
    }

    /// A first step from the sizes of y, y' and y'' (Hairer, Nørsett & Wanner I, 1993, II.4, starting step).
    fn first_step(&self, field: &Field<'_>, y: &[Var], rate: &[Var]) -> Var {
        let (h, ahead) = field.own(|| {
            let (d0, d1) = (self.norm(y, y, y), self.norm(rate, y, y));
            let small = d0.lt(1e-5) | d1.lt(1e-5);
            let h = select(small, 1e-6, 0.01 * d0 / select(small, 1.0, d1)).min(self.until);
            let ahead: Vec<Var> = y
                .iter()
                .zip(rate)
                .map(|(y, k)| y.stop_gradient() + h.convert(k.dtype()) * k.stop_gradient())
                .collect();
            (h, ahead)
        });
        let later = field.at(&ahead);
        field.own(|| {
            let change: Vec<Var> = later.iter().zip(rate).map(|(later, k)| *later - *k).collect();
            let d = self.norm(rate, y, y).max(self.norm(&change, y, y) / h);
            let order = f64::from(self.method.error_order() + 1);
            let flat = d.le(1e-15);
            let next = select(flat, (1e-3 * h).max(1e-6), (0.01 / select(flat, 1.0, d)).pow(1.0 / order));
            let least = full(DType::F64, [], LEAST_STEP * self.until);
            let next = next.min(100.0 * h);
            select(next.gt(least), next, least).min(self.until)
        })
    }

    /// The root mean square of `error` over what is allowed at y and z; no derivative.
    fn norm(&self, error: &[Var], y: &[Var], z: &[Var]) -> Var {
        let number = |v: &Var| v.stop_gradient().convert(DType::F64);
        let squares = |((e, y), z): ((&Var, &Var), &Var)| {
            let allowed =
                self.control.absolute + self.control.relative * number(y).abs().max(number(z).abs());
            // Without absolute tolerance nothing is allowed at zero: an error there is infinite, none is none.
            let allowed = allowed.max(f64::MIN_POSITIVE);
            let part = number(e) / allowed;
            (part * part).sum()
        };
        let n: usize = y.iter().map(|y| y.shape().size()).sum();
        let total: Var =
            error.iter().zip(y).zip(z).map(squares).fold(full(DType::F64, [], 0.0), |a, b| a + b);
        (total / n.max(1) as f64).sqrt()
    }

    /// Steps until the time is reached, the maximum of steps is, or they do not move time any more.
    fn advance(&self, field: &Field<'_>, carry: Carry, until: Var) -> Carry {
        let mut config = while_config();
        if let Some(policy) = self.policy {
            config = config.tape(policy);
        }
        let max_steps = self.control.max_steps as f64;
        // A step so short that time stands still, or NaN, leads nowhere.
        let go_on = |([t, h, _, n_steps, ..], ..): Carry| {
            field.own(|| t.lt(until) & n_steps.lt(max_steps) & (t + h).gt(t))
        };
        config.run(carry, go_on, |carry| self.step(field, carry))
    }

    /// Tries one step.
    fn step(&self, field: &Field<'_>, (clock, y, rate, (y0, rate0)): Carry) -> Carry {
        let [t, h, last_error, n_steps, t0, h0] = clock;
        let (is_last, h) = field.own(|| {
            let left = self.until - t;
            let is_last = h.ge(left);
            (is_last, select(is_last, left, h))
        });
        let trial = self.method.trial(field, &y, &rate, h);
        field.own(|| {
            let error = self.norm(&trial.error, &y, &trial.next);
            // An infinite error or NaN is a step far too long.
            let error = select(error.is_finite(), error.max(LEAST_ERROR), full(DType::F64, [], 1e10));
            let accept = error.le(1.0);
            let k = f64::from(self.method.error_order() + 1);
            let longer = SAFETY * error.pow(-PROPORTIONAL / k) * last_error.pow(INTEGRAL / k);
            let shorter = SAFETY * error.pow(-1.0 / k);
            let factor = select(accept, longer.clamp(SHRINK, GROW), shorter.clamp(SHRINK, 1.0));
            let ahead = select(is_last, self.until, t + h);
            let either = |a: Var, b: Var| select(accept, a, b);
            let clock = [
                either(ahead, t),
                h * factor,
                either(error, last_error),
                n_steps + 1.0,
                either(t, t0),
                either(h, h0),
            ];
            let choose = |a: &[Var], b: &[Var]| a.iter().zip(b).map(|(a, b)| either(*a, *b)).collect();
            let before = (choose(&y, &y0), choose(&rate, &rate0));
            (clock, choose(&trial.next, &y), choose(&trial.rate, &rate), before)
        })
    }

    /// The leaves at a time within the last accepted step, which is taken once more.
    fn interpolated(&self, field: &Field<'_>, carry: &Carry, time: Var) -> Vec<Var> {
        let ([t, _, _, _, t0, h0], _, _, (y0, rate0)) = carry;
        let trial = self.method.trial(field, y0, rate0, *h0);
        field.own(|| {
            let theta = (time - *t0) / *h0;
            let horner = |p: &&[f64]| p.iter().rev().fold(0.0 * theta, |sum, &c| (sum + c) * theta);
            let weights: Vec<Var> = self.method.dense().polynomials.iter().map(horner).collect();
            let at = |i: usize| {
                let moved = weights
                    .iter()
                    .zip(&trial.parts)
                    .fold(y0[i], |sum, (w, part)| sum + w.convert(sum.dtype()) * part[i]);
                reached(*t, time, moved)
            };
            (0..y0.len()).map(at).collect()
        })
    }

    /// Notes what cannot be done; says whether all can.
    fn is_sound(&self, times: &[f64], location: Location) -> bool {
        let name = self.method.facts().name;
        let Control { relative, absolute, first_step, .. } = self.control;
        let refuse = |message: String, help: &str| {
            mistake(Diagnostic::new(format!("{name}: {message}"), Some(location)).help(help));
            false
        };
        let is_tolerance = |t: f64| t.is_finite() && t >= 0.0;
        if !is_tolerance(relative) || !is_tolerance(absolute) || relative + absolute == 0.0 {
            let found = format!(
                "found tolerances {relative} (relative) and {absolute} (absolute), expected two numbers ≥ 0, not both 0"
            );
            return refuse(found, "say `.adaptive(1e-6, 1e-9)`");
        }
        if !(self.until.is_finite() && self.until > 0.0) {
            let found = format!("found a run until {}, expected a time > 0", self.until);
            return refuse(
                found,
                "times count from 0; to run backwards, let the field return the opposite rates",
            );
        }
        if let Some(i) = times.iter().position(|t| !(0.0..=self.until).contains(t)) {
            let found = format!(
                "time {i} is {}, expected one from 0 to the end of the run, {}",
                times[i], self.until
            );
            return refuse(found, "let the run last as long as the last time");
        }
        if let Some(i) = (1..times.len()).find(|&i| times[i] < times[i - 1]) {
            let found =
                format!("time {i} is {}, expected at least {}, the time before it", times[i], times[i - 1]);
            return refuse(found, "sort the times");
        }
        if let Some(h) = first_step.filter(|h| *h <= 0.0) {
            return refuse(
                format!("found a first step of {h}, expected one > 0"),
                "say `.step(0.01)`, in units of time",
            );
        }
        first_step.is_none_or(|h| is_step(name, h, location)) && can_move(name, &self.state, location)
    }
}

/// The value where the time is reached, NaN elsewhere.
fn reached(t: Var, until: Var, y: Var) -> Var {
    select(t.ge(until), y, full(y.dtype(), y.shape(), f64::NAN))
}
