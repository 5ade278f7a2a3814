//! Maps of cotangents: one value, put at an edge, at every step of a loop, or on a final gradient.
//!
//! A map m is used in two ways, and both compute the same bits:
//!
//! ```text
//! y = m.at_edge(x)        y = x to the bit, x̄ = m(ȳ): where it stands in the program; in the body of a loop, at every step
//! ḡ = m.on(g)             a tree of cotangents that is there already
//! ```
//!
//! A linear map acts on tangents too, as its transpose does; one that is not linear leaves forward mode as it is. Either way
//! derivatives of second order are those of what the first order computes. `a.then(b)` is b(a(ȳ)).

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom::{self, custom_rules, custom_vjp};
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, blame, mistake, tree};

use crate::catalogue::{Law, Trick};

/// A setting that cannot be: what was found and expected, and what to try.
pub type Wrong = (String, &'static str);

/// A map of trees of cotangents. Settings are public fields; [`AdjointMap::at_edge`] and [`AdjointMap::on`] use it.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, control::scan, custom::Law};
/// use retrograde_engine::{grad, jit};
/// use retrograde_tricks::adjoint::clip::ClipValue;
/// use retrograde_tricks::adjoint::map::AdjointMap;
/// use retrograde_tricks::adjoint::scale::Scale;
/// let clip = ClipValue { bound: 1.0 };
/// let x = array([0.5, 0.5]);
/// // At an edge, and on the gradient.
/// let at_edge = grad(|x: Var| (clip.at_edge(x) * &array([0.25, 30.0])).sum()).call(&x)?;
/// let on = jit(|x: Var| clip.on(grad(|x: Var| (x * &array([0.25, 30.0])).sum()).at(x))).call(&x)?;
/// assert_eq!((&at_edge, &on), (&array([0.25, 1.0]), &array([0.25, 1.0])));
/// // In the body of a loop: at every step.
/// let steps = grad(|x: Var| scan(3).repeat(x, |x| 2.0 * clip.at_edge(x)).sum()).call(&x)?;
/// assert_eq!(steps, array([1.0, 1.0]));
/// // One after the other.
/// let both = jit(|g: Var| clip.then(Scale { factor: 0.5 }).on(g)).call(&array([0.25, 30.0]))?;
/// assert_eq!(both, array([0.125, 0.5]));
/// // What a map states, and the map itself.
/// assert!(!clip.is_linear() && clip.law() != Law::Exact && ClipValue { bound: -1.0 }.wrong().is_some());
/// let stated = jit(|g: Var| if clip.wrong_for(&[g]).is_none() { clip.cotangents(&clip.known(), g) } else { g });
/// assert_eq!(stated.call(&array([0.25, 30.0]))?, array([0.25, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait AdjointMap: Sized {
    /// What programs and reports say of it.
    fn law(&self) -> custom::Law;
    /// Whether it is linear in the cotangents.
    fn is_linear(&self) -> bool;
    /// The first setting that cannot be.
    fn wrong(&self) -> Option<Wrong> {
        None
    }
    /// What is wrong with it for these cotangents, or for values whose cotangents it is to map: those of a tree that can have any.
    fn wrong_for(&self, _: &[Var]) -> Option<Wrong> {
        None
    }
    /// The traced values that it reads besides cotangents: keys, factors that change from step to step.
    fn known(&self) -> Vec<Var> {
        vec![]
    }
    /// The map itself; `known` are the values of [`AdjointMap::known`], where it runs.
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T;

    /// The map of a tree of cotangents, such as a gradient.
    ///
    /// # Errors
    /// At the front door, for a setting that cannot be.
    #[track_caller]
    fn on<T: Traceable>(&self, gradient: T) -> T {
        let location = Location(std::panic::Location::caller());
        match refused(self.wrong().or_else(|| self.wrong_for(&floats(&gradient))), location) {
            true => gradient,
            false => blame(location, || self.cotangents(&self.known(), gradient)),
        }
    }

    /// The same values, whose cotangents are mapped. Keeps what [`AdjointMap::known`] lists, nothing else.
    ///
    /// # Errors
    /// At the front door, for a setting that cannot be.
    #[track_caller]
    fn at_edge<T: Traceable>(&self, x: T) -> T {
        let location = Location(std::panic::Location::caller());
        if refused(self.wrong().or_else(|| self.wrong_for(&floats(&x))), location) {
            return x;
        }
        blame(location, || {
            let (leaves, known) = (leaves(&x), self.known());
            let n = leaves.len();
            let y = |inputs: &[Var]| inputs[..n].to_vec();
            let forward = |inputs: Vec<Var>| (y(&inputs), inputs[n..].to_vec());
            let backward = |known: Vec<Var>, y_bar: Vec<Var>| {
                let mut x_bar = self::leaves(&self.cotangents(&known, with_leaves(&x, &y_bar)));
                x_bar.extend(known.iter().map(|v| full(v.dtype(), v.shape(), 0.0)));
                x_bar
            };
            let (law, inputs) = (self.law(), [leaves, known].concat());
            let out = if self.is_linear() {
                custom_vjp(&law, inputs, |inputs| y(&inputs), forward, backward)
            } else {
                custom_rules(&law, inputs, |inputs| y(&inputs), |_, dots| y(&dots), forward, backward)
            };
            with_leaves(&x, &out)
        })
    }

    /// This map and then another.
    fn then<M: AdjointMap>(self, next: M) -> Then<Self, M> {
        Then(self, next)
    }
}

/// Notes a setting that cannot be, at the user's line; says whether there is one.
pub(crate) fn refused(wrong: Option<Wrong>, location: Location) -> bool {
    let is_wrong = wrong.is_some();
    if let Some((found, help)) = wrong {
        mistake(Diagnostic::new(found, Some(location)).help(help));
    }
    is_wrong
}

/// The law of a row of the catalogue, as programs carry it: the one declaration for both.
///
/// ```
/// use retrograde_core::trace::custom;
/// use retrograde_tricks::adjoint::{clip, map::declared};
/// let custom::Law::Inexact(text) = declared(&clip::CLIP_BY_VALUE) else { panic!("a clipped gradient is another") };
/// assert!(text.starts_with("B1 clip by value: "));
/// ```
pub fn declared(trick: &Trick) -> custom::Law {
    match trick.law {
        Law::Exact | Law::Rounding { .. } => custom::Law::Exact,
        Law::Inexact { what } => custom::Law::Inexact(format!("{} {}: {what}", trick.id, trick.name)),
    }
}

/// All leaves, in order.
pub(crate) fn leaves<T: Traceable>(tree: &T) -> Vec<Var> {
    tree::leaves(tree).into_iter().map(|(_, leaf)| leaf).collect()
}

/// The same structure of other values, which stand in the order of its leaves.
pub(crate) fn with_leaves<T: Traceable>(tree: &T, values: &[Var]) -> T {
    let mut next = values.iter();
    tree.map_vars(&mut |_| *next.next().expect("one value per leaf; this is a bug in retrograde"))
}

/// `f` of every leaf that can have a cotangent.
pub(crate) fn each_float<T: Traceable>(tree: &T, mut f: impl FnMut(Var) -> Var) -> T {
    tree.map_vars(&mut |leaf| if leaf.ty().is_float() { f(*leaf) } else { *leaf })
}

/// The leaves that can have a cotangent.
pub(crate) fn floats<T: Traceable>(tree: &T) -> Vec<Var> {
    leaves(tree).into_iter().filter(|leaf| leaf.ty().is_float()).collect()
}

/// A step of a loop on leaves: (parameters, state, x) → (state, loss of the step).
pub(crate) type FlatStep<'a> = &'a dyn Fn(&[Var], &[Var], &[Var]) -> (Vec<Var>, Var);

/// A loss whose gradient by its parameters is made while it is computed, by `run(parameters, others)` → ((loss, further results..),
/// gradient): all that the reverse pass keeps is the gradient. Further results and the others have no cotangents.
pub(crate) fn made_on_the_way(
    law: &custom::Law,
    parameters: Vec<Var>,
    others: Vec<Var>,
    run: impl Fn(&[Var], &[Var]) -> (Vec<Var>, Vec<Var>),
) -> Vec<Var> {
    let n = parameters.len();
    custom_vjp(
        law,
        [parameters, others].concat(),
        |all: Vec<Var>| run(&all[..n], &all[n..]).0,
        |all: Vec<Var>| {
            let (out, gradient) = run(&all[..n], &all[n..]);
            (out, (gradient, all[n..].to_vec()))
        },
        |(gradient, others): (Vec<Var>, Vec<Var>), out_bar: Vec<Var>| {
            let of = |g: &Var| *g * out_bar[0].convert(g.dtype());
            let none = |v: &Var| full(v.dtype(), v.shape(), 0.0);
            gradient.iter().map(of).chain(others.iter().map(none)).collect()
        },
    )
}

/// Two maps, the first one first.
#[derive(Clone, Copy, Debug)]
pub struct Then<A, B>(pub A, pub B);

impl<A: AdjointMap, B: AdjointMap> AdjointMap for Then<A, B> {
    fn law(&self) -> custom::Law {
        match (self.0.law(), self.1.law()) {
            (custom::Law::Exact, law) | (law, custom::Law::Exact) => law,
            (custom::Law::Inexact(a), custom::Law::Inexact(b)) => {
                custom::Law::Inexact(format!("{a}; then {b}"))
            }
        }
    }
    fn is_linear(&self) -> bool {
        self.0.is_linear() && self.1.is_linear()
    }
    fn wrong(&self) -> Option<Wrong> {
        self.0.wrong().or_else(|| self.1.wrong())
    }
    fn wrong_for(&self, x_bar: &[Var]) -> Option<Wrong> {
        self.0.wrong_for(x_bar).or_else(|| self.1.wrong_for(x_bar))
    }
    fn known(&self) -> Vec<Var> {
        [self.0.known(), self.1.known()].concat()
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        let (first, second) = known.split_at(self.0.known().len());
        self.1.cotangents(second, self.0.cotangents(first, x_bar))
    }
}
