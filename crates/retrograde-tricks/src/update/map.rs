//! Update maps: what is done with a gradient, as maps that compose, each with an explicit tree of what it remembers.
//!
//! ```text
//! init(w) → state₀        update(g, state, w) → (step, state')        w ← w + step
//! ```
//!
//! A map is written once, over traced values. Inside a trace it is a function like any other, so that it nests with
//! differentiation ([`Update::init_at`], [`Update::update_at`], [`Update::step_at`]); outside, the object owns the compiled programs
//! and takes arrays ([`Update::init`], [`Update::update`], [`Update::step`]). Parameters are any tree of floats; scalars such as
//! learning rates are worked out in f64 and rounded once to the dtype of the leaf.
//!
//! A state says which update made it; its entries have names such as `mean.hidden.0.weight`, so that a checkpoint can hold them.
//!
//! Errors: a setting that makes no sense, at the line that said it; a state of another update or of other parameters, and a gradient
//! unlike the parameters, at the line of the call. Cost: a few operations for each parameter; what is remembered is on the page of
//! each update.

use std::fmt;
use std::sync::Arc;

use retrograde_array::{Array, DType};
use retrograde_core::ir::{Diagnostic, Location, Type};
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::function::{Function, Traceable, expect_like};
use retrograde_core::trace::tree::{self, Part, Visit, join};
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Leaf, Tree, Var, mistake};
use retrograde_engine::jit;

/// The leaves of parameters in order, each with its path.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::map::Leaves;
/// let leaves = Leaves::of(&(array(1.0), vec![array([2.0, 3.0])]));
/// assert_eq!(leaves.0[1].0, "1.0");
/// assert_eq!(leaves.like(&(array(0.0), vec![array(0.0)])), (array(1.0), vec![array([2.0, 3.0])]));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Leaves<T>(pub Vec<(String, T)>);

impl<T: Leaf> Leaves<T> {
    /// Those of a tree.
    pub fn of<P: Tree<Leaf = T>>(tree: &P) -> Leaves<T> {
        Leaves(tree::leaves(tree))
    }

    /// A tree of the structure of `like` with these leaves; as many as it has.
    pub fn like<P: Tree<Leaf = T, With<T> = P>>(self, like: &P) -> P {
        let mut next = self.0.into_iter();
        like.map(&mut |_| next.next().expect("one value per leaf; this is a bug in retrograde").1)
    }
}

impl Leaves<Var> {
    /// Zeros of the same types.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::update::map::Leaves;
    /// let f = |x: Var| {
    ///     let x = Leaves::of(&x);
    ///     let cube = x.zip(&x.each(|x| x * x), |x, squared| x * squared);
    ///     (x.zeros().0[0].1, cube.0[0].1, cube.squared_norm())
    /// };
    /// assert_eq!(jit(f).call(&array([1.0, 2.0]))?, (array([0.0, 0.0]), array([1.0, 8.0]), array(65.0)));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn zeros(&self) -> Leaves<Var> {
        self.each(|x| full(x.dtype(), x.shape(), 0.0))
    }

    /// `f` of each leaf.
    pub fn each(&self, mut f: impl FnMut(Var) -> Var) -> Leaves<Var> {
        Leaves(self.0.iter().map(|(path, x)| (path.clone(), f(*x))).collect())
    }

    /// `f` of each leaf and the leaf of the other in its place.
    pub fn zip(&self, other: &Leaves<Var>, mut f: impl FnMut(Var, Var) -> Var) -> Leaves<Var> {
        let pairs = self.0.iter().zip(&other.0);
        Leaves(pairs.map(|((path, a), (_, b))| (path.clone(), f(*a, *b))).collect())
    }

    /// The sum of the squares of all entries, in f64: leaf by leaf, then over the leaves in order.
    pub fn squared_norm(&self) -> Var {
        self.0.iter().map(|(_, x)| as_dtype((*x * *x).sum(), DType::F64)).sum()
    }
}

impl<T: Leaf> Tree for Leaves<T> {
    type Leaf = T;
    type With<U: Leaf> = Leaves<U>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T) -> U) -> Leaves<U> {
        Leaves(self.0.iter().map(|(path, x)| (path.clone(), f(x))).collect())
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T>)) {
        self.0.iter().for_each(|(name, x)| f(&join_any(path, name), Visit::Leaf(x)));
    }
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T>)) {
        f(Part::Count(self.0.len()));
        for (name, x) in &self.0 {
            f(Part::Fixed(name));
            f(Part::Leaf(x));
        }
    }
}

/// [`join`], where the name may be empty too.
fn join_any(path: &str, name: &str) -> String {
    if name.is_empty() { path.to_string() } else { join(path, name) }
}

/// What an update remembers: its name, arrays by name, and the states of the updates that it is made of.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::tree::leaves;
/// use retrograde_tricks::update::{adam::adam, map::chain, schedule::held, momentum::momentum};
/// let state = momentum(0.1, 0.9).init(&array([1.0, 2.0]))?;
/// assert_eq!((state.update.as_str(), state.get("velocity").unwrap().0[0].1.clone()), ("momentum", array([0.0, 0.0])));
/// let mut state = chain((adam(held(0.1)),)).init(&(array(1.0), array(2.0)))?;
/// let paths: Vec<_> = leaves(&state).into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths[..3], ["0.0.mean.0", "0.0.mean.1", "0.0.square.0"]);
/// assert!(state.set("rate", &array(0.01)));
/// assert_eq!(state.number("rate"), Some(&array(0.01)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct State<T> {
    /// The name of the update.
    pub update: String,
    /// What it remembers, by name; a single number has the path ``.
    pub slots: Vec<(String, Leaves<T>)>,
    /// The states of its parts, in order.
    pub parts: Vec<State<T>>,
}

impl<T: Leaf> State<T> {
    /// Nothing is remembered yet.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_tricks::update::map::{Leaves, State};
    /// let state = State::new("mean").with("mean", Leaves::of(&array([0.0]))).with_number("count", array(0_i64));
    /// assert_eq!(state.number("count"), Some(&array(0_i64)));
    /// ```
    pub fn new(update: &str) -> State<T> {
        State { update: update.into(), slots: vec![], parts: vec![] }
    }

    /// One thing more.
    pub fn with(mut self, name: &str, leaves: Leaves<T>) -> State<T> {
        self.slots.push((name.into(), leaves));
        self
    }

    /// One number more.
    pub fn with_number(self, name: &str, number: T) -> State<T> {
        self.with(name, Leaves(vec![(String::new(), number)]))
    }

    /// What stands under a name, here or in a part; the first, in order.
    pub fn get(&self, name: &str) -> Option<&Leaves<T>> {
        let own = self.slots.iter().find(|(slot, _)| slot == name).map(|(_, leaves)| leaves);
        own.or_else(|| self.parts.iter().find_map(|part| part.get(name)))
    }

    /// The number under a name.
    pub fn number(&self, name: &str) -> Option<&T> {
        self.get(name).filter(|leaves| leaves.0.len() == 1).map(|leaves| &leaves.0[0].1)
    }

    /// Puts a number in place of the one under this name, wherever it stands; says whether there is one.
    pub fn set(&mut self, name: &str, number: &T) -> bool {
        let mut found = false;
        for (slot, leaves) in &mut self.slots {
            if slot == name && leaves.0.len() == 1 {
                leaves.0[0].1 = number.clone();
                found = true;
            }
        }
        for part in &mut self.parts {
            found |= part.set(name, number);
        }
        found
    }

    /// A slot that the update itself made.
    fn own(&self, name: &str) -> &Leaves<T> {
        let found = self.slots.iter().find(|(slot, _)| slot == name);
        &found.unwrap_or_else(|| panic!("`{}` has no `{name}`; this is a bug in retrograde", self.update)).1
    }
}

impl State<Var> {
    /// A slot that the rule made in [`Rule::init`].
    pub(super) fn slot(&self, name: &str) -> &Leaves<Var> {
        self.own(name)
    }
    /// The number in such a slot.
    pub(super) fn slot_number(&self, name: &str) -> Var {
        self.own(name).0[0].1
    }
    /// The steps that were made before this one, in f64, and with this one as the number to remember.
    pub(super) fn counted(&self) -> (Var, Var) {
        let count = self.slot_number("count");
        (count.convert(DType::F64), count + 1)
    }
}

impl<T: Leaf> Tree for State<T> {
    type Leaf = T;
    type With<U: Leaf> = State<U>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T) -> U) -> State<U> {
        State {
            update: self.update.clone(),
            slots: self.slots.iter().map(|(name, leaves)| (name.clone(), leaves.map(f))).collect(),
            parts: self.parts.iter().map(|part| part.map(f)).collect(),
        }
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T>)) {
        f(path, Visit::Fixed(self.update.clone()));
        self.slots.iter().for_each(|(name, leaves)| leaves.visit(&join(path, name), f));
        self.parts.iter().enumerate().for_each(|(i, part)| part.visit(&join(path, &i.to_string()), f));
    }
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T>)) {
        f(Part::Fixed(&self.update));
        f(Part::Count(self.slots.len()));
        for (name, leaves) in &self.slots {
            f(Part::Fixed(name));
            leaves.walk(f);
        }
        f(Part::Count(self.parts.len()));
        self.parts.iter().for_each(|part| part.walk(f));
    }
}

/// What an update is given.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// The gradient, or what the update before this one in a chain made of it.
    pub gradient: Leaves<T>,
    /// Where it was taken.
    pub parameters: Leaves<T>,
    /// The diagonal of the Hessian or an estimate of it, for updates that ask for it.
    pub curvature: Option<Leaves<T>>,
}

impl<T: Leaf> Tree for Given<T> {
    type Leaf = T;
    type With<U: Leaf> = Given<U>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T) -> U) -> Given<U> {
        Given {
            gradient: self.gradient.map(f),
            parameters: self.parameters.map(f),
            curvature: Tree::map(&self.curvature, f),
        }
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T>)) {
        self.gradient.visit(&join(path, "gradient"), f);
        self.parameters.visit(&join(path, "parameters"), f);
        self.curvature.visit(&join(path, "curvature"), f);
    }
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T>)) {
        self.gradient.walk(f);
        self.parameters.walk(f);
        f(Part::Count(usize::from(self.curvature.is_some())));
        self.curvature.iter().for_each(|curvature| curvature.walk(f));
    }
}

/// What an update does, over traced values. This is what a new one implements; [`Update::new`] makes an update of it.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::map::{Given, Leaves, Rule, State, Update};
/// /// Against the gradient, by a hundredth of its cube.
/// #[derive(Debug)]
/// struct Cubic;
/// impl Rule for Cubic {
///     fn name(&self) -> String {
///         "cubic".into()
///     }
///     fn init(&self, _: &Leaves<Var>) -> State<Var> {
///         State::new("cubic")
///     }
///     fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
///         (given.gradient.each(|g| -0.01 * g * g * g), state.clone())
///     }
/// }
/// let cubic = Update::new(Cubic, vec![]);
/// assert_eq!(cubic.name(), "cubic");
/// let w = array([1.0, 2.0]);
/// let (step, _) = cubic.update(&array([1.0, 10.0]), &cubic.init(&w)?, &w)?;
/// assert_eq!(step, array([-0.01, -10.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Rule: fmt::Debug + Send + Sync {
    /// What it is called; the name of its states.
    fn name(&self) -> String;
    /// What is remembered before the first step.
    fn init(&self, parameters: &Leaves<Var>) -> State<Var>;
    /// What is added to the parameters, or goes on to the next update of a chain; and what is remembered.
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>);
    /// Whether it cannot do without [`Given::curvature`].
    fn needs_curvature(&self) -> bool {
        false
    }
}

/// An update map. Copies share their compiled programs.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::update::{adam::adam, clip::clip_by_global_norm, map::chain};
/// // Outside of traces: arrays.
/// let slope = grad(|w: Var| (w * w).sum());
/// let update = chain((clip_by_global_norm(1.0), adam(1e-1)));
/// let mut w = array([1.0, -2.0]);
/// let mut state = update.init(&w)?;
/// let (step, next) = update.update(&slope.call(&w)?, &state, &w)?;
/// let rounded = step.to_vec::<f64>().unwrap().iter().map(|x| (x * 1e6).round() / 1e6).collect::<Vec<_>>();
/// assert_eq!(rounded, [-0.1, 0.1]); // the first step of Adam is the sign
/// for _ in 0..100 {
///     (w, state) = update.step(&slope.call(&w)?, state, w)?;
/// }
/// assert!(w.to_vec::<f64>().unwrap().iter().all(|w| w.abs() < 0.2));
/// # drop(next);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Update {
    rule: Arc<dyn Rule>,
    mistakes: Vec<Diagnostic>,
    location: Location,
    programs: Arc<Programs>,
}

/// What arrays run on.
#[derive(Debug)]
struct Programs {
    init: Jit<Init, (Leaves<Var>,)>,
    update: Jit<Map, (Given<Var>, State<Var>)>,
    step: Jit<Step, (Given<Var>, State<Var>)>,
}

#[derive(Clone, Debug)]
struct Checked {
    rule: Arc<dyn Rule>,
    mistakes: Vec<Diagnostic>,
    location: Location,
}
#[derive(Debug)]
struct Init(Checked);
#[derive(Debug)]
struct Map(Checked);
#[derive(Debug)]
struct Step(Checked);

impl Checked {
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        self.mistakes.iter().for_each(|m| mistake(m.clone()));
        self.rule.init(parameters)
    }

    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let expected = self.init(&given.parameters);
        if let Some((what, help)) = unlike(&types(state), &types(&expected)) {
            mistake(Diagnostic::new(what, Some(self.location)).help(help));
            return (given.gradient.clone(), state.clone());
        }
        if let Some(what) = differs(&types(&given.gradient), &types(&given.parameters)) {
            let what = format!("update: found a gradient unlike the parameters: {what}");
            mistake(Diagnostic::new(what, Some(self.location)).help("pass the gradient at these parameters"));
            return (given.gradient.clone(), state.clone());
        }
        if self.rule.needs_curvature() && given.curvature.is_none() {
            mistake(no_curvature(&self.rule.name(), self.location));
            return (given.gradient.clone(), state.clone());
        }
        self.rule.update(given, state)
    }
}

fn no_curvature(name: &str, location: Location) -> Diagnostic {
    Diagnostic::new(format!("{name}: found a gradient alone, expected the diagonal of the Hessian too"), Some(location))
        .help("call `.update_with(gradient, curvature, state, parameters)`, with an estimate by `curvature::hutchinson`")
}

impl Function<(Leaves<Var>,)> for Init {
    type Output = State<Var>;
    fn apply(&self, (parameters,): (Leaves<Var>,)) -> State<Var> {
        self.0.init(&parameters)
    }
}
impl Function<(Given<Var>, State<Var>)> for Map {
    type Output = (Leaves<Var>, State<Var>);
    fn apply(&self, (given, state): (Given<Var>, State<Var>)) -> (Leaves<Var>, State<Var>) {
        self.0.update(&given, &state)
    }
}
impl Function<(Given<Var>, State<Var>)> for Step {
    type Output = (Leaves<Var>, State<Var>);
    fn apply(&self, (given, state): (Given<Var>, State<Var>)) -> (Leaves<Var>, State<Var>) {
        let (step, state) = self.0.update(&given, &state);
        (given.parameters.zip(&step, |w, step| w + step), state)
    }
}

/// The structure of a tree with the types of its leaves.
type Types = Vec<(String, String)>;

fn types<T: Tree>(tree: &T) -> Types
where
    T::Leaf: HasType,
{
    let mut all = vec![];
    tree.visit("", &mut |path, visit| {
        all.push((
            path.to_string(),
            match visit {
                Visit::Leaf(leaf) => leaf.type_text(),
                Visit::Fixed(what) => what,
            },
        ));
    });
    all
}

trait HasType {
    fn type_text(&self) -> String;
}
impl HasType for Var {
    fn type_text(&self) -> String {
        self.ty().to_string()
    }
}
impl HasType for Array {
    fn type_text(&self) -> String {
        Type::of(self).to_string()
    }
}

/// The first difference of two structures.
fn differs(found: &Types, expected: &Types) -> Option<String> {
    let place = |(path, what): &(String, String)| match path.as_str() {
        "" => what.clone(),
        path => format!("`{path}` {what}"),
    };
    match found.iter().zip(expected).find(|(f, e)| f != e) {
        Some((f, e)) => Some(format!("found {}, expected {}", place(f), place(e))),
        None if found.len() < expected.len() => Some(format!("{} is missing", place(&expected[found.len()]))),
        None if found.len() > expected.len() => {
            Some(format!("found {}, which is too much", place(&found[expected.len()])))
        }
        None => None,
    }
}

/// How a state is not the one that an update made of these parameters; and what to do.
fn unlike(found: &Types, expected: &Types) -> Option<(String, String)> {
    let what = differs(found, expected)?;
    let name = |types: &Types| types.first().map_or(String::new(), |(_, name)| name.clone());
    let (found, own) = (name(found), name(expected));
    Some(if found == own {
        (
            format!("update: found a state of `{own}` that does not belong to these parameters: {what}"),
            "make the state with `.init(..)` of this update and these parameters".into(),
        )
    } else {
        (
            format!("update: found a state of `{found}`, expected one of `{own}`"),
            format!(
                "make the state with `.init(..)` of this update: each remembers other things than `{found}`"
            ),
        )
    })
}

#[track_caller]
fn here() -> Location {
    Location(std::panic::Location::caller())
}

impl Update {
    /// An update of a rule. `mistakes` are settings that make no sense, each with its line; they are reported when it is used.
    #[track_caller]
    pub fn new(rule: impl Rule + 'static, mistakes: Vec<Diagnostic>) -> Update {
        let (rule, location): (Arc<dyn Rule>, _) = (Arc::new(rule), here());
        let checked = || Checked { rule: rule.clone(), mistakes: mistakes.clone(), location };
        let programs =
            Programs { init: jit(Init(checked())), update: jit(Map(checked())), step: jit(Step(checked())) };
        Update { rule, mistakes, location, programs: Arc::new(programs) }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.rule.name()
    }

    /// What is remembered before the first step with these parameters.
    ///
    /// # Errors
    /// Settings that make no sense, with the line that said them.
    pub fn init<P: Tree<Leaf = Array>>(&self, parameters: &P) -> Result<State<Array>, Error> {
        self.programs.init.call(&Leaves::of(parameters))
    }

    /// What is added to the parameters, and what is remembered then.
    ///
    /// # Errors
    /// A state of another update or of other parameters; a gradient unlike the parameters; settings that make no sense.
    #[track_caller]
    pub fn update<P: Tree<Leaf = Array, With<Array> = P>>(
        &self,
        gradient: &P,
        state: &State<Array>,
        parameters: &P,
    ) -> Result<(P, State<Array>), Error> {
        let location = here();
        expect_like("gradient", gradient, "parameters", parameters, location)?;
        let given =
            Given { gradient: Leaves::of(gradient), parameters: Leaves::of(parameters), curvature: None };
        let (step, state) = self.run(&self.programs.update, given, state, location)?;
        Ok((step.like(parameters), state))
    }

    /// [`Update::update`] with the diagonal of the Hessian or an estimate of it, for the updates that ask for it.
    ///
    /// # Errors
    /// As [`Update::update`].
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_tricks::update::curvature::sophia;
    /// let (w, update) = (array([1.0, 1.0]), sophia(0.1));
    /// let (step, _) = update.update_with(&array([2.0, 4.0]), &array([2.0, 4.0]), &update.init(&w)?, &w)?;
    /// assert_eq!(step.size(), 2);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn update_with<P: Tree<Leaf = Array, With<Array> = P>>(
        &self,
        gradient: &P,
        curvature: &P,
        state: &State<Array>,
        parameters: &P,
    ) -> Result<(P, State<Array>), Error> {
        let location = here();
        expect_like("gradient", gradient, "parameters", parameters, location)?;
        expect_like("curvature", curvature, "parameters", parameters, location)?;
        let (gradient, curvature) = (Leaves::of(gradient), Some(Leaves::of(curvature)));
        let given = Given { gradient, parameters: Leaves::of(parameters), curvature };
        let (step, state) = self.run(&self.programs.update, given, state, location)?;
        Ok((step.like(parameters), state))
    }

    /// The parameters after a step, and what is remembered then.
    ///
    /// # Errors
    /// As [`Update::update`].
    #[track_caller]
    pub fn step<P: Tree<Leaf = Array, With<Array> = P>>(
        &self,
        gradient: &P,
        state: State<Array>,
        parameters: P,
    ) -> Result<(P, State<Array>), Error> {
        let location = here();
        expect_like("gradient", gradient, "parameters", &parameters, location)?;
        let given =
            Given { gradient: Leaves::of(gradient), parameters: Leaves::of(&parameters), curvature: None };
        let (moved, state) = self.run(&self.programs.step, given, &state, location)?;
        Ok((moved.like(&parameters), state))
    }

    fn run<F>(
        &self,
        program: &Jit<F, (Given<Var>, State<Var>)>,
        given: Given<Array>,
        state: &State<Array>,
        location: Location,
    ) -> Result<(Leaves<Array>, State<Array>), Error>
    where
        F: Function<(Given<Var>, State<Var>), Output = (Leaves<Var>, State<Var>)>,
    {
        program.call((&given, state)).map_err(|error| {
            // The program knows where the update was made; the caller wants to know where it was used.
            let Ok(expected) = self.init(&given.parameters) else { return error };
            if let Some((message, help)) = unlike(&types(state), &types(&expected)) {
                return Error::Input { message, location, help };
            }
            if self.rule.needs_curvature() && given.curvature.is_none() {
                return no_curvature(&self.name(), location).into();
            }
            error
        })
    }

    /// What the settings are blamed for.
    pub(super) fn mistakes(&self) -> Vec<Diagnostic> {
        self.mistakes.clone()
    }

    /// [`Rule::init`], for an update inside another.
    pub(super) fn rule_init(&self, parameters: &Leaves<Var>) -> State<Var> {
        self.rule.init(parameters)
    }

    /// [`Rule::update`], likewise.
    pub(super) fn rule_update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        self.rule.update(given, state)
    }

    /// [`Rule::needs_curvature`], likewise.
    pub(super) fn wants_curvature(&self) -> bool {
        self.rule.needs_curvature()
    }

    fn checked(&self, location: Location) -> Checked {
        Checked { rule: self.rule.clone(), mistakes: self.mistakes.clone(), location }
    }

    /// [`Update::init`] inside a trace.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_tricks::update::{momentum::momentum, schedule::held};
    /// // How the loss after two steps depends on the rate: d/dη of ½ w² after two steps of gradient descent from 1.
    /// let f = |rate: Var| {
    ///     let update = momentum(held(0.0), 0.0);
    ///     let mut w = 0.0 * rate + 1.0;
    ///     let mut state = update.init_at(&w);
    ///     for _ in 0..2 {
    ///         state.set("rate", &rate);
    ///         (w, state) = update.step_at(&w, state, &w);
    ///     }
    ///     0.5 * w * w
    /// };
    /// // w = (1 - η)², so the slope is -2 (1 - η)³.
    /// assert_eq!(grad(f).call(&array(0.5))?, array(-0.25));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn init_at<P: Traceable>(&self, parameters: &P) -> State<Var> {
        self.checked(self.location).init(&Leaves::of(parameters))
    }

    /// [`Update::update`] inside a trace.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::update::momentum::sgd;
    /// let f = |w: Var| {
    ///     let update = sgd(0.5);
    ///     update.update_at(&w, update.init_at(&w), &w).0
    /// };
    /// assert_eq!(jit(f).call(&array([2.0]))?, array([-1.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn update_at<P: Traceable>(
        &self,
        gradient: &P,
        state: State<Var>,
        parameters: &P,
    ) -> (P, State<Var>) {
        let location = here();
        let (gradient, parameters_) = (Leaves::of(gradient), Leaves::of(parameters));
        let given = Given { gradient, parameters: parameters_, curvature: None };
        let (step, state) = self.checked(location).update(&given, &state);
        (step_like(step, parameters), state)
    }

    /// [`Update::update_with`] inside a trace.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::update::curvature::sophia;
    /// let f = |w: Var| {
    ///     let update = sophia(0.1);
    ///     update.update_with_at(&w, &(0.0 * w + 1.0), update.init_at(&w), &w).0
    /// };
    /// assert_eq!(jit(f).call(&array([2.0]))?.size(), 1);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn update_with_at<P: Traceable>(
        &self,
        gradient: &P,
        curvature: &P,
        state: State<Var>,
        parameters: &P,
    ) -> (P, State<Var>) {
        let location = here();
        let (gradient, curvature) = (Leaves::of(gradient), Some(Leaves::of(curvature)));
        let given = Given { gradient, parameters: Leaves::of(parameters), curvature };
        let (step, state) = self.checked(location).update(&given, &state);
        (step_like(step, parameters), state)
    }

    /// [`Update::step`] inside a trace.
    #[track_caller]
    pub fn step_at<P: Traceable>(&self, gradient: &P, state: State<Var>, parameters: &P) -> (P, State<Var>) {
        let location = here();
        let given =
            Given { gradient: Leaves::of(gradient), parameters: Leaves::of(parameters), curvature: None };
        let (step, state) = self.checked(location).update(&given, &state);
        (step_like(given.parameters.zip(&step, |w, step| w + step), parameters), state)
    }
}

fn step_like<P: Traceable>(leaves: Leaves<Var>, like: &P) -> P {
    let mut next = leaves.0.into_iter();
    like.map_vars(&mut |old| next.next().map_or(*old, |(_, x)| x))
}

/// What [`chain`] takes: tuples of two to five updates, lists, and one alone in a tuple.
pub trait Links {
    /// The updates in order.
    fn links(self) -> Vec<Update>;
}
impl Links for Vec<Update> {
    fn links(self) -> Vec<Update> {
        self
    }
}
macro_rules! tuple_of_links {
    ($($name:ident)*) => {
        impl Links for ($(tuple_of_links!(@update $name),)*) {
            fn links(self) -> Vec<Update> {
                #[expect(non_snake_case, reason = "the names of the places")]
                let ($($name,)*) = self;
                vec![$($name),*]
            }
        }
    };
    (@update $name:ident) => { Update };
}
tuple_of_links!(A);
tuple_of_links!(A B);
tuple_of_links!(A B C);
tuple_of_links!(A B C D);
tuple_of_links!(A B C D E);

#[derive(Debug)]
struct Chain {
    name: String,
    links: Vec<Update>,
}

impl Rule for Chain {
    fn name(&self) -> String {
        self.name.clone()
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let parts = self.links.iter().map(|link| link.rule.init(parameters)).collect();
        State { parts, ..State::new(&self.name) }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (mut given, mut parts) = (given.clone(), vec![]);
        for (link, part) in self.links.iter().zip(&state.parts) {
            let (next, part) = link.rule.update(&given, part);
            given.gradient = next;
            parts.push(part);
        }
        (given.gradient, State { parts, ..State::new(&self.name) })
    }
    fn needs_curvature(&self) -> bool {
        self.links.iter().any(|link| link.rule.needs_curvature())
    }
}

/// One update after another: each gets what the one before made of the gradient.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{clip::clip_by_global_norm, map::chain, momentum::sgd};
/// let (w, update) = (array([0.0, 0.0]), chain((clip_by_global_norm(1.25), sgd(0.5))));
/// let (step, _) = update.update(&array([3.0, 4.0]), &update.init(&w)?, &w)?;
/// assert_eq!(step, array([-0.375, -0.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn chain(links: impl Links) -> Update {
    let links = links.links();
    let names: Vec<String> = links.iter().map(Update::name).collect();
    named(&format!("chain({})", names.join(", ")), links)
}

/// A chain with a name of its own.
#[track_caller]
pub(super) fn named(name: &str, links: Vec<Update>) -> Update {
    let mistakes = links.iter().flat_map(|link| link.mistakes.clone()).collect();
    Update::new(Chain { name: name.into(), links }, mistakes)
}

/// A value as another float.
pub(super) fn as_dtype(x: Var, dtype: DType) -> Var {
    if x.dtype() == dtype { x } else { x.convert(dtype) }
}

/// A leaf times a number in f64, which is rounded to the leaf's dtype first.
pub(super) fn scaled(x: Var, by: Var) -> Var {
    as_dtype(by, x.dtype()) * x
}

/// The number of steps so far, before the first.
pub(super) fn no_steps() -> Var {
    full(DType::I64, [], 0.0)
}

/// β to the number of steps, in f64.
pub(super) fn power(beta: f64, count: Var) -> Var {
    full(DType::F64, [], beta).pow(count)
}

/// A mistake at a line, unless all is well.
pub(super) fn unless(ok: bool, what: String, help: &str, location: Location) -> Option<Diagnostic> {
    (!ok).then(|| Diagnostic::new(what, Some(location)).help(help))
}

/// A decay, which lies in [0, 1).
pub(super) fn expect_decay(update: &str, name: &str, value: f64, location: Location) -> Option<Diagnostic> {
    let what = format!("{update}: found {name} {value}, expected at least 0 and less than 1");
    unless((0.0..1.0).contains(&value), what, "0.9 keeps nine tenths of what was remembered", location)
}

/// A number that is not negative.
pub(super) fn expect_not_negative(
    update: &str,
    name: &str,
    value: f64,
    location: Location,
) -> Option<Diagnostic> {
    let what = format!("{update}: found {name} {value}, expected a finite number that is not negative");
    unless(value >= 0.0 && value.is_finite(), what, "steps go against the gradient by themselves", location)
}

/// A positive number.
pub(super) fn expect_positive(
    update: &str,
    name: &str,
    value: f64,
    location: Location,
) -> Option<Diagnostic> {
    let what = format!("{update}: found {name} {value}, expected a finite positive number");
    unless(value > 0.0 && value.is_finite(), what, "say a number above 0", location)
}
