//! Surrogate gradients: a spike in the primal, and in its derivative a smooth bump about the threshold. Law: inexact, and linear.
//!
//! ```text
//! y = 1[x > 0],   x̄ = ȳ h(x)
//! ```
//!
//! Any rule of one's own is checked against its declaration by [`check_rule`](super::check_rule::check_rule).

use retrograde_core::ir::Location;
use retrograde_core::trace::custom::custom_vjp;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame};

use super::map::{Wrong, declared, refused};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`spike`].
pub const SURROGATE_GRADIENT: Trick = Trick {
    id: "B21",
    name: "surrogate gradient",
    formula: "y = 1[x > 0], x̄ = ȳ h(x), h a bump",
    law: Law::Inexact { what: "the slope of a smooth step in the place of that of a spike, which is zero" },
    cite: &[
        Source {
            authors: "F. Zenke and S. Ganguli",
            title: "SuperSpike: Supervised Learning in Multilayer Spiking Neural Networks",
            venue: "Neural Computation 30",
            year: 2018,
        },
        Source {
            authors: "E. O. Neftci and H. Mostafa and F. Zenke",
            title: "Surrogate Gradient Learning in Spiking Neural Networks",
            venue: "IEEE Signal Processing Magazine 36",
            year: 2019,
        },
    ],
    file: file!(),
    example: "spike",
    property: Property {
        claim: "the adjoint identity fails as declared, and a rule that is not as declared is refused either way",
        test: "every_map_is_as_exact_as_it_is_declared",
        found: "gap above 1e-3 for the spike; below 1e-15 for exact rules",
    },
};

/// The bump.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::surrogate::Bump;
/// let at = |bump: Bump| jit(move |x: Var| bump.at(x)).call(&array([0.0, 1.0])).unwrap();
/// assert_eq!(at(Bump::FastSigmoid { steepness: 1.0 }), array([1.0, 0.25]));
/// assert_eq!(at(Bump::Triangle { width: 2.0 }), array([0.5, 0.25]));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bump {
    /// 1/(1 + β|x|)², of Zenke and Ganguli; 1 at the threshold.
    FastSigmoid {
        /// β
        steepness: f64,
    },
    /// max(0, 1 − |x|/w)/w, whose integral is that of the spike's step.
    Triangle {
        /// w
        width: f64,
    },
}

impl Bump {
    /// h(x), entry by entry.
    #[track_caller]
    pub fn at(self, x: Var) -> Var {
        match self {
            Bump::FastSigmoid { steepness } => {
                let root = 1.0 / (1.0 + steepness * x.abs());
                root * root
            }
            Bump::Triangle { width } => (1.0 - x.abs() / width).max(0.0) / width,
        }
    }
    fn wrong(self) -> Option<Wrong> {
        let (what, found) = match self {
            Bump::FastSigmoid { steepness } => ("steepness", steepness),
            Bump::Triangle { width } => ("width", width),
        };
        let is_size = found > 0.0 && found.is_finite();
        (!is_size).then(|| {
            (
                format!("surrogate gradient: found a {what} of {found}, expected a positive number"),
                "1 is of the size of inputs with variance 1",
            )
        })
    }
}

/// 1 where x > 0, else 0, with the derivative of a bump.   x: [..] → y: same.
///
/// # Errors
/// At the front door, for a steepness or width that is not positive.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::value_and_grad;
/// use retrograde_tricks::adjoint::surrogate::{Bump, spike};
/// let f = |x: Var| spike(Bump::FastSigmoid { steepness: 1.0 }, x).sum();
/// assert_eq!(value_and_grad(f).call(&array([-1.0, 0.0, 3.0]))?, (array(1.0), array([0.25, 1.0, 0.0625])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn spike(bump: Bump, x: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if refused(bump.wrong(), location) {
        return x;
    }
    let step = |x: Var| {
        let of = |value: f64| full(x.dtype(), x.shape(), value);
        select(x.gt(0.0), of(1.0), of(0.0))
    };
    blame(location, || {
        custom_vjp(&declared(&SURROGATE_GRADIENT), x, step, |x| (step(x), x), |x, y_bar| bump.at(x) * y_bar)
    })
}
