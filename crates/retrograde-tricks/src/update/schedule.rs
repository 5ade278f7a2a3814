//! Learning rates: constant, by a schedule of steps, or held in the state where the caller and derivatives reach them.
//!
//! ```text
//! step      η₀ f^⌊t/k⌋                        one over t   η₀ / (1 + a t)
//! linear    η₀ (1 − s) + η₁ s, s = t/n        cosine       η₀ c + η₁ (1 − c), c = (1 + cos πs)/2
//! ```
//!
//! t counts the steps made before, so the first has t = 0; s stays 1 after n. Warm-up, warm-up with a stable part and decay (WSD) and
//! one cycle are these one after another: [`Schedule::then`]. A schedule is worked out in f64; its values at the knots are exact. Law:
//! exact. Errors: a rate that is negative or not finite, a length of 0, at the line that said it.

use std::f64::consts::PI;

use retrograde_array::{Array, DType};
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;

use super::map::{Given, Leaves, Rule, State, Update, expect_not_negative, no_steps, scaled, unless};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of schedules.
pub const SCHEDULES: Trick = Trick {
    id: "E9",
    name: "learning-rate schedules",
    formula: "eta_t: step, 1/t, linear warm-up, cosine, one cycle, warm-up stable decay",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "H. Robbins and S. Monro",
            title: "A Stochastic Approximation Method",
            venue: "Annals of Mathematical Statistics 22",
            year: 1951,
        },
        Source {
            authors: "I. Loshchilov and F. Hutter",
            title: "SGDR: Stochastic Gradient Descent with Warm Restarts",
            venue: "ICLR",
            year: 2017,
        },
        Source {
            authors: "L. N. Smith and N. Topin",
            title: "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
            venue: "arXiv:1708.07120",
            year: 2017,
        },
        Source {
            authors: "S. Hu and others",
            title: "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies",
            venue: "arXiv:2404.06395",
            year: 2024,
        },
    ],
    file: file!(),
    example: "Schedule",
    property: Property {
        claim: "values at the knots are exact, and all others are those of optax",
        test: "schedules_are_exact_at_their_knots",
        found: "equal to the bit at the knots; at most 1e-15 relative from optax over 50 steps",
    },
};

/// A learning rate as a function of the number of steps made before.
///
/// ```
/// use retrograde_tricks::update::schedule::Schedule;
/// let rate = Schedule::linear(0.0, 0.5, 2).then(2, Schedule::cosine(0.5, 0.1, 4));
/// let values = rate.values(8)?;
/// assert_eq!((values[0], values[1], values[2], values[6], values[7]), (0.0, 0.25, 0.5, 0.1, 0.1));
/// assert!((values[4] - 0.3).abs() < 1e-15);
/// assert_eq!(Schedule::step(0.5, 0.5, 2).values(5)?, [0.5, 0.5, 0.25, 0.25, 0.125]);
/// assert_eq!(Schedule::one_over_t(1.0, 1.0).values(4)?[3], 0.25);
/// assert_eq!(Schedule::one_cycle(1.0, 10, 4).values(11)?[4], 1.0);
/// assert_eq!(Schedule::warmup_stable_decay(1.0, 2, 3, 2).values(8)?, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]);
/// assert_eq!(Schedule::constant(2.0).values(1)?, [2.0]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    /// Each with the step that it begins at.
    pieces: Vec<(u64, Piece)>,
    mistakes: Vec<Diagnostic>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Piece {
    Constant(f64),
    Step { start: f64, factor: f64, every: u64 },
    OneOverT { start: f64, decay: f64 },
    Linear { start: f64, end: f64, n_steps: u64 },
    Cosine { start: f64, end: f64, n_steps: u64 },
}

impl Schedule {
    /// The same at every step.
    #[track_caller]
    pub fn constant(rate: f64) -> Schedule {
        Schedule::of(Piece::Constant(rate), &[rate], 1)
    }

    /// Times `factor` after every so many steps.
    #[track_caller]
    pub fn step(start: f64, factor: f64, every: u64) -> Schedule {
        Schedule::of(Piece::Step { start, factor, every }, &[start, factor], every)
    }

    /// `start / (1 + decay t)`.
    #[track_caller]
    pub fn one_over_t(start: f64, decay: f64) -> Schedule {
        Schedule::of(Piece::OneOverT { start, decay }, &[start, decay], 1)
    }

    /// In a straight line, then as it ended.
    #[track_caller]
    pub fn linear(start: f64, end: f64, n_steps: u64) -> Schedule {
        Schedule::of(Piece::Linear { start, end, n_steps }, &[start, end], n_steps)
    }

    /// Down half a wave, then as it ended.
    #[track_caller]
    pub fn cosine(start: f64, end: f64, n_steps: u64) -> Schedule {
        Schedule::of(Piece::Cosine { start, end, n_steps }, &[start, end], n_steps)
    }

    /// Up to `peak` within the first `n_up` of `n_steps` and down again, both as half a wave: from a 25th of the peak to a 10⁴th of
    /// that, the proportions of Smith and Topin's authors' implementation (fastai), which optax and PyTorch took over.
    #[track_caller]
    pub fn one_cycle(peak: f64, n_steps: u64, n_up: u64) -> Schedule {
        let (start, end) = (peak / 25.0, peak / 25.0 / 1e4);
        let up = Schedule::cosine(start, peak, n_up);
        up.then(n_up, Schedule::cosine(peak, end, n_steps.saturating_sub(n_up)))
    }

    /// Up in a straight line, as it is for `n_stable` steps, down to 0 in a straight line.
    #[track_caller]
    pub fn warmup_stable_decay(peak: f64, n_up: u64, n_stable: u64, n_down: u64) -> Schedule {
        let stable = Schedule::linear(0.0, peak, n_up).then(n_up, Schedule::constant(peak));
        stable.then(n_up + n_stable, Schedule::linear(peak, 0.0, n_down))
    }

    /// Another one from step `at` on, which counts from there.
    pub fn then(mut self, at: u64, next: Schedule) -> Schedule {
        self.pieces.retain(|(start, _)| *start < at || *start == 0);
        self.pieces.extend(next.pieces.into_iter().map(|(start, piece)| (start + at, piece)));
        self.mistakes.extend(next.mistakes);
        self
    }

    #[track_caller]
    fn of(piece: Piece, rates: &[f64], n_steps: u64) -> Schedule {
        let location = Location(std::panic::Location::caller());
        let mut mistakes: Vec<Diagnostic> = rates
            .iter()
            .filter_map(|rate| expect_not_negative("schedule", "rate", *rate, location))
            .collect();
        let what = "schedule: found a length of 0 steps, expected at least 1".to_string();
        mistakes.extend(unless(n_steps > 0, what, "leave the piece out", location));
        Schedule { pieces: vec![(0, piece)], mistakes }
    }

    /// The rate after these numbers of steps, in f64, inside a trace.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::update::schedule::Schedule;
    /// let rate = |count: Var| Schedule::linear(1.0, 0.0, 4).at(count);
    /// assert_eq!(jit(rate).call(&array([0.0, 1.0, 9.0]))?, array([1.0, 0.75, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn at(&self, count: Var) -> Var {
        let mut pieces = self.pieces.iter();
        let first = pieces.next().map_or(count, |(_, piece)| piece.at(count));
        pieces.fold(first, |before, (start, piece)| {
            let since = count - *start as f64;
            select(since.ge(0.0), piece.at(since.max(0.0)), before)
        })
    }

    /// The rates of the first steps.
    ///
    /// # Errors
    /// Rates and lengths that make no sense.
    pub fn values(&self, n_steps: usize) -> Result<Vec<f64>, Error> {
        if let Some(mistake) = self.mistakes.first() {
            return Err(mistake.clone().into());
        }
        let counts = Array::new([n_steps], (0..n_steps).map(|step| step as f64).collect())
            .expect("as many counts as steps; this is a bug in retrograde");
        let rates = jit(|count: Var| self.at(count)).call(&counts)?;
        Ok(rates.to_vec().unwrap_or_default())
    }
}

impl Piece {
    fn at(self, count: Var) -> Var {
        // Exact at either end: 1·start + 0·end, and the other way round.
        let between = |start: f64, end: f64, share: Var| (1.0 - share) * start + share * end;
        let done = |n_steps: u64| (count / n_steps as f64).min(1.0);
        match self {
            Piece::Constant(rate) => 0.0 * count + rate,
            Piece::Step { start, factor, every } => {
                let n_falls = (count / every as f64).floor();
                start * full(DType::F64, count.shape(), factor).pow(n_falls)
            }
            Piece::OneOverT { start, decay } => start / (1.0 + decay * count),
            Piece::Linear { start, end, n_steps } => between(start, end, done(n_steps)),
            Piece::Cosine { start, end, n_steps } => {
                between(start, end, 0.5 * (1.0 - (PI * done(n_steps)).cos()))
            }
        }
    }
}

/// A learning rate: a number, a [`Schedule`], or [`held`].
#[derive(Clone, PartialEq, Debug)]
pub enum Rate {
    /// By the number of steps.
    Scheduled(Schedule),
    /// Whatever stands under `rate` in the state, at first this.
    Held(f64, Vec<Diagnostic>),
}

/// What is taken for a learning rate.
pub trait IntoRate {
    /// The rate; what makes no sense about it is reported at the caller's line.
    #[track_caller]
    fn rate(self) -> Rate;
}
impl IntoRate for f64 {
    #[track_caller]
    fn rate(self) -> Rate {
        Rate::Scheduled(Schedule::constant(self))
    }
}
impl IntoRate for Schedule {
    fn rate(self) -> Rate {
        Rate::Scheduled(self)
    }
}
impl IntoRate for Rate {
    fn rate(self) -> Rate {
        self
    }
}

/// A learning rate that stands in the state under the name `rate`, an f64: the caller may change it from step to step without another
/// program, and inside a trace a derivative may be taken with respect to it.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{momentum::sgd, schedule::held};
/// let (w, update) = (array([1.0]), sgd(held(0.5)));
/// let mut state = update.init(&w)?;
/// assert_eq!(update.update(&array([1.0]), &state, &w)?.0, array([-0.5]));
/// state.set("rate", &array(0.25));
/// assert_eq!(update.update(&array([1.0]), &state, &w)?.0, array([-0.25]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn held(rate: f64) -> Rate {
    let location = Location(std::panic::Location::caller());
    Rate::Held(rate, expect_not_negative("held", "rate", rate, location).into_iter().collect())
}

#[derive(Debug)]
struct Descend(Rate);

impl Rule for Descend {
    fn name(&self) -> String {
        "descend".into()
    }
    fn init(&self, _: &Leaves<Var>) -> State<Var> {
        let state = State::new("descend");
        match &self.0 {
            Rate::Scheduled(schedule) if schedule.is_constant() => state,
            Rate::Scheduled(_) => state.with_number("count", no_steps()),
            Rate::Held(rate, _) => state.with_number("rate", full(DType::F64, [], *rate)),
        }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (rate, state) = match &self.0 {
            Rate::Scheduled(schedule) if schedule.is_constant() => {
                (schedule.at(full(DType::F64, [], 0.0)), state.clone())
            }
            Rate::Scheduled(schedule) => {
                let (before, count) = state.counted();
                (schedule.at(before), State::new("descend").with_number("count", count))
            }
            Rate::Held(..) => (state.slot_number("rate"), state.clone()),
        };
        (given.gradient.each(|g| scaled(g, -rate)), state)
    }
}

impl Schedule {
    fn is_constant(&self) -> bool {
        matches!(self.pieces[..], [(_, Piece::Constant(_))])
    }
}

/// Against the gradient, by a learning rate: the last link of most chains.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::schedule::{Schedule, descend};
/// let (w, update) = (array([1.0]), descend(Schedule::step(1.0, 0.5, 1)));
/// let state = update.init(&w)?;
/// let (step, state) = update.update(&array([2.0]), &state, &w)?;
/// assert_eq!((step, update.update(&array([2.0]), &state, &w)?.0), (array([-2.0]), array([-1.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn descend(rate: impl IntoRate) -> Update {
    let rate = rate.rate();
    let mistakes = match &rate {
        Rate::Scheduled(schedule) => schedule.mistakes.clone(),
        Rate::Held(_, mistakes) => mistakes.clone(),
    };
    Update::new(Descend(rate), mistakes)
}
