//! Clipping as links of a chain.
//!
//! ```text
//! by value         g ← clamp(g, −c, c), entry by entry
//! by global norm   g ← g min(1, c/‖g‖), ‖g‖ over all parameters together
//! ```
//!
//! Sources and properties are those of rows B1 and B2; here they are maps of gradient trees. A gradient of norm 0 stays 0. Errors: a bound that is not
//! positive, at the line that said it.

use retrograde_array::DType;
use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{full, select};

use super::map::{Given, Leaves, Rule, State, Update, expect_positive, scaled};

#[derive(Debug)]
struct Clip {
    bound: f64,
    by_norm: bool,
}

impl Rule for Clip {
    fn name(&self) -> String {
        if self.by_norm { "clip by global norm".into() } else { "clip".into() }
    }
    fn init(&self, _: &Leaves<Var>) -> State<Var> {
        State::new(&self.name())
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let gradient = &given.gradient;
        let clipped = if self.by_norm {
            let squared = gradient.squared_norm();
            let one = full(DType::F64, [], 1.0);
            let is_long = squared.gt(self.bound * self.bound);
            let factor = select(is_long, self.bound / select(is_long, squared, one).sqrt(), one);
            gradient.each(|g| scaled(g, factor))
        } else {
            gradient.each(|g| g.clamp(-self.bound, self.bound))
        };
        (clipped, state.clone())
    }
}

/// Every entry of a gradient at least `-bound` and at most `bound`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::clip::clip;
/// let (w, update) = (array([0.0, 0.0]), clip(1.0));
/// assert_eq!(update.update(&array([3.0, -0.5]), &update.init(&w)?, &w)?.0, array([1.0, -0.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn clip(bound: f64) -> Update {
    clipping(bound, false)
}

/// A gradient of norm at most `bound`, over all parameters together, in the same direction.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::clip::clip_by_global_norm;
/// let (w, update) = ((array(0.0), array(0.0)), clip_by_global_norm(10.0));
/// let state = update.init(&w)?;
/// assert_eq!(update.update(&(array(30.0), array(40.0)), &state, &w)?.0, (array(6.0), array(8.0)));
/// assert_eq!(update.update(&(array(3.0), array(4.0)), &state, &w)?.0, (array(3.0), array(4.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn clip_by_global_norm(bound: f64) -> Update {
    clipping(bound, true)
}

#[track_caller]
fn clipping(bound: f64, by_norm: bool) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_positive("clip", "bound", bound, location).into_iter().collect();
    Update::new(Clip { bound, by_norm }, mistakes)
}
