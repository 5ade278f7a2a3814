//! Maps of cotangents as links of a chain: clipping, and whatever else is an [`AdjointMap`].
//!
//! What a map does, its sources and its property are in the file of the map; on a gradient it is `map.on(g)`, the same bits. Errors: those of the
//! map, at the line that made the link.

use std::fmt::Debug;

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::Var;

use super::map::{Given, Leaves, Rule, State, Update};
use crate::adjoint::clip::{ClipNorm, ClipValue};
use crate::adjoint::map::AdjointMap;

#[derive(Debug)]
struct Mapped<M> {
    name: &'static str,
    map: M,
}

impl<M: AdjointMap + Debug + Send + Sync> Rule for Mapped<M> {
    fn name(&self) -> String {
        self.name.into()
    }
    fn init(&self, _: &Leaves<Var>) -> State<Var> {
        State::new(self.name)
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        (self.map.cotangents(&self.map.known(), given.gradient.clone()), state.clone())
    }
}

/// A map of cotangents as a link, with the name of its states.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::adjoint::scale::Scale;
/// use retrograde_tricks::update::{clip::mapped, map::chain, momentum::sgd};
/// let (w, update) = (array([0.0]), chain((mapped("half", Scale { factor: 0.5 }), sgd(1.0))));
/// assert_eq!(update.update(&array([3.0]), &update.init(&w)?, &w)?.0, array([-1.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn mapped(name: &'static str, map: impl AdjointMap + Debug + Send + Sync + 'static) -> Update {
    let location = Location(std::panic::Location::caller());
    let wrong = map.wrong().map(|(found, help)| Diagnostic::new(found, Some(location)).help(help));
    Update::new(Mapped { name, map }, wrong.into_iter().collect())
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
    mapped("clip", ClipValue { bound })
}

/// A gradient of norm at most `bound`, over all parameters together, in the same direction.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::clip::clip_by_global_norm;
/// let (w, update) = ((array(0.0), array(0.0)), clip_by_global_norm(12.5));
/// let state = update.init(&w)?;
/// assert_eq!(update.update(&(array(30.0), array(40.0)), &state, &w)?.0, (array(7.5), array(10.0)));
/// assert_eq!(update.update(&(array(3.0), array(4.0)), &state, &w)?.0, (array(3.0), array(4.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn clip_by_global_norm(bound: f64) -> Update {
    mapped("clip by global norm", ClipNorm { bound })
}
