//! Adagrad, RMSprop, Adadelta: rates by the size of earlier gradients, without a mean of them. Their row is in [`super::adam`].
//!
//! ```text
//! Adagrad    v ← v + g²                     w ← w − η g / (√v + ε)
//! RMSprop    v ← ρ v + (1 − ρ) g²           w ← w − η g / (√v + ε); centred: √(v − m²), m ← ρ m + (1 − ρ) g
//! Adadelta   v ← ρ v + (1 − ρ) g²,  s = g √(x + ε)/√(v + ε),  x ← ρ x + (1 − ρ) s²,  w ← w − η s
//! ```
//!
//! ε stands where torch.optim has it: outside of the root in the first two, inside in the third; optax has it inside by default, so that its
//! `adagrad` agrees only with ε = 0 and its `rmsprop` with `eps_in_sqrt=False`. Law: exact. Cost: one array like each parameter;
//! Adadelta and centred RMSprop two.

use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::adam::root;
use super::map::{
    Given, Leaves, Rule, State, Update, expect_decay, expect_not_negative, expect_positive, named,
};
use super::schedule::{IntoRate, descend};

#[derive(Clone, Copy, Debug)]
enum Squares {
    Adagrad { start: f64, epsilon: f64 },
    RmsProp { decay: f64, epsilon: f64, centred: bool },
    Adadelta { decay: f64, epsilon: f64 },
}

impl Rule for Squares {
    fn name(&self) -> String {
        match self {
            Squares::Adagrad { .. } => "adagrad direction".into(),
            Squares::RmsProp { centred: false, .. } => "rmsprop direction".into(),
            Squares::RmsProp { .. } => "centred rmsprop direction".into(),
            Squares::Adadelta { .. } => "adadelta direction".into(),
        }
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let state = State::new(&self.name());
        match *self {
            Squares::Adagrad { start, .. } => {
                state.with("square", parameters.each(|w| full(w.dtype(), w.shape(), start)))
            }
            Squares::RmsProp { centred: false, .. } => state.with("square", parameters.zeros()),
            Squares::RmsProp { .. } => {
                state.with("square", parameters.zeros()).with("mean", parameters.zeros())
            }
            Squares::Adadelta { .. } => {
                state.with("square", parameters.zeros()).with("step square", parameters.zeros())
            }
        }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (g, old) = (&given.gradient, state.slot("square"));
        let next = State::new(&self.name());
        match *self {
            Squares::Adagrad { epsilon, .. } => {
                let square = old.zip(g, |v, g| v + g * g);
                let step = g.zip(&square, |g, v| g / (root(v) + epsilon));
                (step, next.with("square", square))
            }
            Squares::RmsProp { decay, epsilon, centred } => {
                let square = old.zip(g, |v, g| decay * v + (1.0 - decay) * (g * g));
                if !centred {
                    let step = g.zip(&square, |g, v| g / (root(v) + epsilon));
                    return (step, next.with("square", square));
                }
                let mean = state.slot("mean").zip(g, |m, g| decay * m + (1.0 - decay) * g);
                let spread = square.zip(&mean, |v, m| v - m * m);
                let step = g.zip(&spread, |g, v| g / (root(v) + epsilon));
                (step, next.with("square", square).with("mean", mean))
            }
            Squares::Adadelta { decay, epsilon } => {
                let square = old.zip(g, |v, g| decay * v + (1.0 - decay) * (g * g));
                let of_steps = state.slot("step square");
                let share = of_steps.zip(&square, |x, v| (x + epsilon).sqrt() / (v + epsilon).sqrt());
                let step = share.zip(g, |share, g| share * g);
                let of_steps = of_steps.zip(&step, |x, s| decay * x + (1.0 - decay) * (s * s));
                (step, next.with("square", square).with("step square", of_steps))
            }
        }
    }
}

/// Adagrad; the sum of squares begins at `start`. torch.optim has 0 and 10⁻¹⁰, optax 0.1 and, inside the root, 10⁻⁷.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adagrad::adagrad;
/// let (mut w, update) = (array([0.0]), adagrad(1.0, 0.0, 1e-10));
/// let mut state = update.init(&w)?;
/// (w, state) = update.step(&array([5.0]), state, w)?;
/// assert!((w.to_vec::<f64>().unwrap()[0] + 1.0).abs() < 1e-9); // the first step is the sign
/// (w, _) = update.step(&array([5.0]), state, w)?;
/// assert!((w.to_vec::<f64>().unwrap()[0] + 1.0 + 0.5_f64.sqrt()).abs() < 1e-9); // the second 1/√2 of it
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adagrad(rate: impl IntoRate, start: f64, epsilon: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = [
        expect_not_negative("adagrad", "start", start, location),
        expect_not_negative("adagrad", "epsilon", epsilon, location),
    ];
    let rule = Squares::Adagrad { start, epsilon };
    named("adagrad", vec![Update::new(rule, mistakes.into_iter().flatten().collect()), descend(rate)])
}

/// RMSprop with ε = 10⁻⁸.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adagrad::{centred_rmsprop, rmsprop};
/// let w = array([0.0]);
/// for update in [rmsprop(1.0, 0.75), centred_rmsprop(1.0, 0.75, 1e-2)] {
///     let step = update.update(&array([5.0]), &update.init(&w)?, &w)?.0.to_vec::<f64>().unwrap()[0];
///     assert!(-2.4 < step && step < -1.9); // 1/√(1 - ρ) of the sign, and 1/√(ρ - ρ²)
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn rmsprop(rate: impl IntoRate, decay: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_decay("rmsprop", "decay", decay, location).into_iter().collect();
    let rule = Squares::RmsProp { decay, epsilon: 1e-8, centred: false };
    named("rmsprop", vec![Update::new(rule, mistakes), descend(rate)])
}

/// RMSprop by the variance of gradients in place of their mean square (Graves, 2013). v − m² cancels where gradients hardly change: ε, its
/// third argument, should be well above the root of the rounding of v.
#[track_caller]
pub fn centred_rmsprop(rate: impl IntoRate, decay: f64, epsilon: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = [
        expect_decay("rmsprop", "decay", decay, location),
        expect_not_negative("rmsprop", "epsilon", epsilon, location),
    ];
    let rule = Squares::RmsProp { decay, epsilon, centred: true };
    named("centred rmsprop", vec![Update::new(rule, mistakes.into_iter().flatten().collect()), descend(rate)])
}

/// Adadelta; its steps have the unit of the parameters, so that a rate of 1 is the paper's.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adagrad::adadelta;
/// let (w, update) = (array([0.0]), adadelta(1.0, 0.9, 1e-6));
/// let step = update.update(&array([5.0]), &update.init(&w)?, &w)?.0.to_vec::<f64>().unwrap()[0];
/// assert!((step + (1e-6_f64 / 0.1).sqrt()).abs() < 1e-8);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adadelta(rate: impl IntoRate, decay: f64, epsilon: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = [
        expect_decay("adadelta", "decay", decay, location),
        expect_positive("adadelta", "epsilon", epsilon, location),
    ];
    let rule = Squares::Adadelta { decay, epsilon };
    named("adadelta", vec![Update::new(rule, mistakes.into_iter().flatten().collect()), descend(rate)])
}
