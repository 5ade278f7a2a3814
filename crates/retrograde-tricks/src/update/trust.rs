//! Layer-wise rates: LARS and LAMB.
//!
//! ```text
//! trust   s ← s · c ‖w‖ / ‖s‖, leaf by leaf; s as it is where either norm is 0
//! LARS    trust of g + λ w, times η, with momentum behind the rate: v ← β v − η s,  w ← w + v
//! LAMB    trust of m̂/(√v̂ + ε) + λ w, times η
//! ```
//!
//! A step is as long as its leaf says, whatever the scale of the gradient; so with no weight decay a positive multiple of the loss
//! of a leaf gives the same steps. Conventions as in optax; torch.optim has neither. Law: exact. Cost: LARS one array like each parameter,
//! LAMB two.

use retrograde_array::DType;
use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{full, select};

use super::adam::Adam;
use super::map::{Given, Leaves, Rule, State, Update, as_dtype, expect_positive, named, scaled};
use super::momentum::velocity;
use super::schedule::{IntoRate, descend};
use super::weight_decay::weight_decay;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of layer-wise rates.
pub const TRUST: Trick = Trick {
    id: "E8",
    name: "LARS and LAMB: layer-wise trust ratios",
    formula: "s *= ||w|| / ||s||, leaf by leaf",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "Y. You and I. Gitman and B. Ginsburg",
            title: "Large Batch Training of Convolutional Networks",
            venue: "arXiv:1708.03888",
            year: 2017,
        },
        Source {
            authors: "Y. You and J. Li and S. Reddi and others",
            title: "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
            venue: "ICLR",
            year: 2020,
        },
    ],
    file: file!(),
    example: "trust_ratio",
    property: Property {
        claim: "the step of a leaf has the norm c ||w||, and a gradient times a power of two gives the same bits",
        test: "trust_does_not_see_the_scale_of_a_gradient",
        found: "norms within 1e-15 relative; steps equal to the bit",
    },
};

#[derive(Debug)]
struct Trust {
    coefficient: f64,
}

impl Rule for Trust {
    fn name(&self) -> String {
        "trust ratio".into()
    }
    fn init(&self, _: &Leaves<Var>) -> State<Var> {
        State::new("trust ratio")
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let squared = |x: Var| as_dtype((x * x).sum(), DType::F64);
        let step = given.gradient.zip(&given.parameters, |s, w| {
            let (s_squared, w_squared) = (squared(s), squared(w));
            let one = full(DType::F64, [], 1.0);
            let is_known = s_squared.gt(0.0) & w_squared.gt(0.0);
            let ratio = select(is_known, w_squared, one).sqrt() / select(is_known, s_squared, one).sqrt();
            scaled(s, select(is_known, self.coefficient * ratio, one))
        });
        (step, state.clone())
    }
}

/// Makes the step of each leaf `coefficient` times as long as the leaf.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::trust::trust_ratio;
/// let (w, update) = ((array([3.0, 4.0]), array(0.0)), trust_ratio(0.5));
/// let (step, _) = update.update(&(array([0.0, 100.0]), array(7.0)), &update.init(&w)?, &w)?;
/// assert_eq!(step, (array([0.0, 2.5]), array(7.0))); // half of 5; as it is, where the leaf is 0
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn trust_ratio(coefficient: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_positive("trust ratio", "coefficient", coefficient, location).into_iter().collect();
    Update::new(Trust { coefficient }, mistakes)
}

/// LARS with the coefficient 0.001 and the momentum 0.9 of its authors.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::trust::{lamb, lars};
/// let w = array([3.0, 4.0]);
/// let (lars, lamb) = (lars(1.0, 0.0), lamb(1.0, 0.0));
/// let length = |step: retrograde_array::Array| step.to_vec::<f64>().unwrap().iter().map(|s| s * s).sum::<f64>().sqrt();
/// let by_lars = length(lars.update(&w, &lars.init(&w)?, &w)?.0);
/// let by_lamb = length(lamb.update(&w, &lamb.init(&w)?, &w)?.0);
/// assert!((by_lars - 0.005).abs() < 1e-15 && (by_lamb - 5.0).abs() < 1e-12);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn lars(rate: impl IntoRate, decay: f64) -> Update {
    named("lars", vec![weight_decay(decay), trust_ratio(0.001), descend(rate), velocity(0.9, false)])
}

/// LAMB with the usual settings of Adam, ε = 10⁻⁶ as its authors.
#[track_caller]
pub fn lamb(rate: impl IntoRate, decay: f64) -> Update {
    let direction = Adam { epsilon: 1e-6, ..Adam::default() }.direction();
    named("lamb", vec![direction, weight_decay(decay), trust_ratio(1.0), descend(rate)])
}
