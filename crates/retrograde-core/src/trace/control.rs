//! Control flow on traced values.

use std::ops::Range;
use std::sync::Arc;

use super::Var;
use super::frame::{self, Traced};
use super::function::{Traceable, rebuild};
use super::tree;
use super::var::caller;
use crate::ir::{Diagnostic, Location, Type, ValueId};
use crate::prim::{self, Program, Tape, bodies, call::Call, cond::Cond, while_loop::While};
use crate::prim::{concat, full, select, slice, unslice};
use crate::tape::annotate;
use retrograde_array::{DType, Scalar};

/// Names a region for errors and reports while `f` is traced.
///
/// ```
/// use retrograde_core::trace::{Var, control::scope, door::jit};
/// use retrograde_array::array;
/// let f = |x: Var| scope("encoder", || x.index(0, 9));
/// let error = jit(f).call(&array([1.0])).unwrap_err().to_string();
/// assert!(error.contains("(in encoder)"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn scope<R>(name: &str, f: impl FnOnce() -> R) -> R {
    frame::scoped(name, f)
}

/// Records a function as a sub-program of its own, named in the text form and in reports.
///
/// ```
/// use retrograde_core::trace::{Var, control::call, door::jit};
/// use retrograde_array::array;
/// let f = jit(|x: Var| call("square", |x: Var| x * x, x));
/// assert_eq!(f.call(&array(3.0))?, array(9.0));
/// assert!(retrograde_core::ir::print(&f.program(&array(3.0))?).contains("square"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn call<A: Traceable, R: Traceable>(name: &str, f: impl FnOnce(A) -> R, x: A) -> R {
    recorded(name, None, f, x, caller())
}

/// Records a function of which the derivative remembers what `policy` says. [`Tape::Recompute`] keeps its arguments and
/// runs it once more when the derivative comes to it, so a chain of n such parts keeps n values and not what is inside;
/// [`Tape::Store`] keeps what the rest is rebuilt from cheaply. Loops inside without a policy of their own get this one.
/// The derivative has the same bits under each. Source: T. Chen et al. 2016, Training deep nets with sublinear memory cost.
///
/// ```
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::taped, door::grad};
/// use retrograde_array::array;
/// let deep = |x: Var| (0..10).fold(x, |x, _| taped(Tape::Recompute, |x: Var| x.sin().exp().tanh(), x)).sum();
/// let door = grad(deep);
/// door.call(&array([0.1, 0.2]))?;
/// // Nine arguments of parts, 16 bytes each: the first is the input itself.
/// assert_eq!(door.last_tape().tape_bytes(), 9 * 16);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn taped<A: Traceable, R: Traceable>(policy: impl Into<Tape>, f: impl FnOnce(A) -> R, x: A) -> R {
    recorded("taped", Some(policy.into()), f, x, caller())
}

/// Records a step of a loop and what undoes it, for `Tape::Reverse`, where the inverse cannot be found by itself.
///
/// `inverse` gets the state after the step and gives the one before, every bit of it. It is run on random and adversarial bits
/// before it is used, and each run compares the start that it leads to with the true one. Both may use traced values from
/// outside. Other policies do not use it. Most steps need none: updates of one part of the state by the others, also parts that are a
/// function of the others (such as an acceleration that is carried along), are turned round by themselves, and rounded steps are reversed
/// as a whole.
///
/// # Errors
/// At the front door: a step or an inverse that does not return what it was given; under `Tape::Reverse` an inverse that does not undo
/// the step, with its line. Under [`Tape::or`](prim::Tape::or) such an inverse is not used, and the report's notes say so.
/// # Cost
/// Under `Tape::Reverse` one inverse for each step, and nothing kept.
///
/// ```
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::{reversible, scan}, door::grad};
/// use retrograde_array::{DType, array};
/// // A number that a division gives back; whole numbers are found by addition alone.
/// let step = |(n, x): (Var, Var)| {
///     let n = reversible(n, |n| 2 * n + 1, |n| (n - 1) / 2);
///     (n, x + 0.1 * n.convert(DType::F64).sin())
/// };
/// let f = |n: Var, x: Var| {
///     let (_, x) = scan(20).repeat((n, x), step);
///     x * x
/// };
/// let slope = grad(f).wrt::<1>().tape(Tape::Reverse);
/// assert_eq!(slope.call((&array(3_i64), &array(0.5)))?, grad(f).wrt::<1>().call((&array(3_i64), &array(0.5)))?);
/// assert_eq!(slope.last_tape().inverse_evaluations, 0);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn reversible<S: Traceable>(state: S, step: impl FnOnce(S) -> S, inverse: impl FnOnce(S) -> S) -> S {
    let location = caller();
    let flat = vars(&state);
    let (step, after) = traced(&state, step);
    let (inverse, before) = traced(&state, inverse);
    let returned = |what: &str, traced: &Traced| {
        returns_its_state(what, &traced.program.output_types(), &types(&flat), location)
    };
    if poisoned(&after)
        || poisoned(&before)
        || !returned("reversible", &step)
        || !returned("reversible, the inverse", &inverse)
    {
        return state.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    // Both take the state, then the captures of both, each once.
    let mut captures = step.captures.clone();
    captures.extend(inverse.captures.iter().filter(|v| !step.captures.iter().any(|c| c.same(v))));
    let of_inverse = inverse.captures.iter().map(|v| captures.iter().position(|c| c.same(v)));
    let of_inverse: Vec<usize> = of_inverse.flatten().collect();
    let params = [types(&flat), types(&captures)].concat();
    let (n, n_step) = (flat.len(), step.captures.len());
    let body = bodies::build(&params, |b, p| b.inline(&step.program, &p[..n + n_step]));
    let undo = bodies::build(&params, |b, p| {
        let captures: Vec<ValueId> = of_inverse.iter().map(|i| p[n + i]).collect();
        b.inline(&inverse.program, &[&p[..n], &captures].concat())
    });
    let call = Call { inverse: Some(Arc::new(undo)), ..Call::new("reversible", body) };
    let inputs = [flat, captures].concat();
    let mut next = rebuild(frame::record(call, &inputs, location));
    after.map_vars(&mut |_| next())
}

fn recorded<A: Traceable, R: Traceable>(
    name: &str,
    policy: Option<Tape>,
    f: impl FnOnce(A) -> R,
    x: A,
    location: Location,
) -> R {
    let flat = vars(&x);
    let (traced, out) = traced(&x, f);
    let inputs = [flat, traced.captures].concat();
    let body = match policy {
        Some(policy) => annotate(&traced.program, policy),
        None => traced.program,
    };
    let call = Call { policy, ..Call::new(name, body) };
    if poisoned(&out) {
        return out.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    let mut next = rebuild(frame::record(call, &inputs, location));
    out.map_vars(&mut |_| next())
}

fn vars<T: Traceable>(tree: &T) -> Vec<Var> {
    tree::leaves(tree).into_iter().map(|(_, v)| v).collect()
}

/// Whether a mistake was noted on the way to these values.
fn poisoned<T: Traceable>(tree: &T) -> bool {
    vars(tree).iter().any(|v| v.poisoned)
}

fn types(vars: &[Var]) -> Vec<Type> {
    vars.iter().map(|v| v.ty()).collect()
}

/// Records `f` of one tree.
fn traced<A: Traceable, R: Traceable>(x: &A, f: impl FnOnce(A) -> R) -> (Traced, R) {
    let flat = vars(x);
    frame::body(&types(&flat), false, |p| {
        let mut next = rebuild(p.to_vec());
        let out = f(x.map_vars(&mut |_| next()));
        (vars(&out), out)
    })
}

/// The body with its captures first: (captures.., parameters..).
fn captures_first(traced: &Traced) -> Program {
    let types = traced.program.input_types();
    let (params, captures) = types.split_at(traced.n_params);
    let ordered = [captures, params].concat();
    bodies::build(&ordered, |b, p| {
        let (captures, params) = p.split_at(traced.captures.len());
        b.inline(&traced.program, &[params, captures].concat())
    })
}

/// Notes a body that does not return what it was given; says whether it does.
fn returns_its_state(what: &str, found: &[Type], state: &[Type], location: Location) -> bool {
    let differ = found.iter().zip(state).position(|(f, s)| f != s);
    let message = match differ {
        Some(i) => format!("{what}: the body turns part {i} of the state, {}, into {}", state[i], found[i]),
        None if found.len() != state.len() => {
            format!("{what}: the body returns {} values for a state of {}", found.len(), state.len())
        }
        None => return true,
    };
    let help = "a loop's state keeps its structure, shapes and dtypes from step to step";
    frame::mistake(Diagnostic::new(message, Some(location)).help(help));
    false
}

/// A loop of known length, see [`scan`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a scan runs when it is given a state: `.run(state, xs, step)`"]
pub struct ScanConfig {
    length: Option<usize>,
    reverse: bool,
    policy: Option<Tape>,
}

impl ScanConfig {
    /// Runs last to first.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, control::scan_over, door::jit};
    /// use retrograde_array::array;
    /// let sums = |x: Var| scan_over().reversed().run(0.0 * x.sum(), x, |total, x| (total + x, total + x)).1;
    /// assert_eq!(jit(sums).call(&array([1.0, 2.0, 4.0]))?, array([7.0, 6.0, 4.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn reversed(self) -> Self {
        ScanConfig { reverse: true, ..self }
    }
    /// What the derivative of this loop remembers, whatever the front door says.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, control::scan, door::grad};
    /// use retrograde_array::array;
    /// use retrograde_core::prim::Checkpoint;
    /// let f = |x: Var| scan(100).tape(Checkpoint::Sqrt).repeat(x, |x| x + 0.1 * x.sin());
    /// let slope = grad(f);
    /// slope.call(&array(1.0))?;
    /// assert!(slope.last_tape().recomputed_steps > 0);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        ScanConfig { policy: Some(policy.into()), ..self }
    }
    /// Runs `step(state, x) -> (state, y)` over the leading axis of `xs`; returns the last state and the ys, stacked.
    #[track_caller]
    pub fn run<S: Traceable, X: Traceable, Y: Traceable>(
        self,
        init: S,
        xs: X,
        step: impl FnOnce(S, X) -> (S, Y),
    ) -> (S, Y) {
        let location = caller();
        let (state, x_vars) = (vars(&init), vars(&xs));
        let lengths: Vec<Option<usize>> = x_vars.iter().map(|x| x.shape().first().copied()).collect();
        let length = self.length.or(lengths.first().copied().flatten()).unwrap_or(0);
        if let Some(i) = lengths.iter().position(|l| *l != Some(length)) {
            let what =
                format!("scan: x {i} is {}, expected a leading axis of {length} steps", x_vars[i].ty());
            frame::mistake(
                Diagnostic::new(what, Some(location))
                    .help("all xs have one entry per step along their first axis"),
            );
        }
        let slices: Vec<Type> = x_vars
            .iter()
            .zip(&lengths)
            .map(|(x, l)| if l.is_some() { x.ty().unstacked() } else { x.ty() })
            .collect();
        let params = [types(&state), slices].concat();
        let (traced, (after, y)) = frame::body(&params, false, |p| {
            let (s, x) = p.split_at(state.len());
            let (mut next_s, mut next_x) = (rebuild(s.to_vec()), rebuild(x.to_vec()));
            let (after, y) = step(init.map_vars(&mut |_| next_s()), xs.map_vars(&mut |_| next_x()));
            ([vars(&after), vars(&y)].concat(), (after, y))
        });
        let out_types = traced.program.output_types();
        let n_after = vars(&after).len();
        let fits =
            !poisoned(&after) && returns_its_state("scan", &out_types[..n_after], &types(&state), location);
        if !fits || lengths.iter().any(|l| *l != Some(length)) {
            let y = y.map_vars(&mut |v| frame::poisoned(&v.ty().stacked(length)));
            return (init.map_vars(&mut |v| frame::poisoned(&v.ty())), y);
        }
        let scan = prim::scan::Scan {
            body: Arc::new(captures_first(&traced)),
            length: Some(length),
            reverse: self.reverse,
            n_consts: traced.captures.len(),
            n_carry: state.len(),
            policy: self.policy,
        };
        let n_state = state.len();
        let inputs = [traced.captures, state, x_vars].concat();
        let out = frame::record(scan, &inputs, location);
        let (mut next_s, mut next_y) = (rebuild(out[..n_state].to_vec()), rebuild(out[n_state..].to_vec()));
        (after.map_vars(&mut |_| next_s()), y.map_vars(&mut |_| next_y()))
    }
    /// Runs `step(state) -> state`, without xs and ys.
    #[track_caller]
    pub fn repeat<S: Traceable>(self, init: S, step: impl FnOnce(S) -> S) -> S {
        let nothing: Vec<Var> = vec![];
        self.run(init, nothing.clone(), |s, _: Vec<Var>| (step(s), nothing)).0
    }
}

/// A loop of `length` steps.
///
/// ```
/// use retrograde_core::trace::{Var, control::scan, door::grad};
/// use retrograde_array::array;
/// // x after ten steps of x += 0.1 sin x
/// let f = |x: Var| scan(10).repeat(x, |x| x + 0.1 * x.sin());
/// let slope = grad(f).call(&array(1.0))?.item::<f64>().unwrap();
/// let step = |(x, dx): (f64, f64)| (x + 0.1 * x.sin(), dx * (1.0 + 0.1 * x.cos()));
/// let (_, expected) = (0..10).fold((1.0, 1.0), |state, _| step(state));
/// assert!((slope - expected).abs() < 1e-14);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn scan(length: usize) -> ScanConfig {
    ScanConfig { length: Some(length), reverse: false, policy: None }
}

/// A loop over the leading axis of its xs.
///
/// # Errors
/// At the front door, where the axes differ in length, and where a step does not return what it was given.
///
/// ```
/// use retrograde_core::trace::{Var, control::scan_over, door::{grad, jit}};
/// use retrograde_array::array;
/// // Horner's rule: the coefficients one after another.
/// let horner = |c: Var, x: Var| scan_over().run(0.0 * x, c, |y, c| (y * x + c, y)).0;
/// let (c, x) = (array([2.0, 3.0, 4.0]), array(10.0));
/// assert_eq!(jit(horner).call((&c, &x))?, array(234.0));
/// assert_eq!(grad(horner).call((&c, &x))?, array([100.0, 10.0, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn scan_over() -> ScanConfig {
    ScanConfig { length: None, reverse: false, policy: None }
}

/// Repeats `step` on a state for as long as `go_on` holds, see [`while_loop`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WhileConfig {
    policy: Option<Tape>,
    most: Option<usize>,
}

impl WhileConfig {
    /// What the derivative of this loop remembers, whatever the front door says.
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        WhileConfig { policy: Some(policy.into()), ..self }
    }
    /// How many steps the loop may take; one that would go on is an error when it runs. Changes no bit of what ends in time. Batched
    /// lanes take steps together, so it holds for the longest.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, control::while_config, door::grad};
    /// use retrograde_array::array;
    /// let halved = |x: Var| while_config().at_most(20).run(x, |x| x.gt(1.0), |x| x * 0.5);
    /// assert_eq!(grad(halved).call(&array(10.0))?, array(0.0625));
    /// let error = grad(halved).call(&array(f64::INFINITY)).unwrap_err().to_string();
    /// assert!(error.contains("the loop would take more than 20 steps"), "{error}");
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn at_most(self, n_steps: usize) -> Self {
        WhileConfig { most: Some(n_steps), ..self }
    }
    /// Runs the loop.
    #[track_caller]
    pub fn run<S: Traceable>(self, init: S, go_on: impl FnOnce(S) -> Var, step: impl FnOnce(S) -> S) -> S {
        let location = caller();
        let state = vars(&init);
        let (cond, _) = traced(&init, go_on);
        let (body, after) = traced(&init, step);
        if poisoned(&after)
            || !returns_its_state("while_loop", &body.program.output_types(), &types(&state), location)
        {
            return init.map_vars(&mut |v| frame::poisoned(&v.ty()));
        }
        let op = While {
            cond: Arc::new(captures_first(&cond)),
            body: Arc::new(captures_first(&body)),
            n_cond_consts: cond.captures.len(),
            n_body_consts: body.captures.len(),
            policy: self.policy,
            most: self.most,
        };
        let inputs = [cond.captures, body.captures, state].concat();
        let out = frame::record(op, &inputs, location);
        if out.len() != vars(&after).len() {
            return init;
        }
        let mut next = rebuild(out);
        after.map_vars(&mut |_| next())
    }
}

/// Repeats `step` on a state for as long as `go_on` (one truth value) holds.
///
/// All modes differentiate through it; what its reverse keeps grows with the steps taken, see [`WhileConfig::tape`].
///
/// # Errors
/// At the front door, where `go_on` is not one truth value or a step does not return what it was given. A loop whose condition never
/// fails runs for ever; [`WhileConfig::at_most`] makes that an error.
///
/// ```
/// use retrograde_core::trace::{Var, control::while_loop, door::{grad, jit}};
/// use retrograde_array::array;
/// let halved = |x: Var| while_loop(x, |x| x.gt(1.0), |x| x * 0.5);
/// assert_eq!((jit(halved).call(&array(10.0))?, grad(halved).call(&array(10.0))?), (array(0.625), array(0.0625)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn while_loop<S: Traceable>(init: S, go_on: impl FnOnce(S) -> Var, step: impl FnOnce(S) -> S) -> S {
    WhileConfig::default().run(init, go_on, step)
}

/// A `while_loop` with settings.
///
/// ```
/// use retrograde_core::trace::{Var, control::while_config, door::grad};
/// use retrograde_array::array;
/// use retrograde_core::prim::Checkpoint;
/// let f = |x: Var| while_config().tape(Checkpoint::Sqrt).run(x, |x| x.gt(1.0), |x| x * 0.5);
/// assert_eq!(grad(f).call(&array(10.0))?, array(0.0625));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn while_config() -> WhileConfig {
    WhileConfig::default()
}

/// One of two functions of the same operands, chosen by a truth value (`bool[]`) at run time.
///
/// Only the branch taken runs, and only its residuals are kept.
///
/// # Errors
/// At the front door, where the branches return other structures, shapes or dtypes.
///
/// ```
/// use retrograde_core::trace::{Var, control::cond, door::grad};
/// use retrograde_array::array;
/// let f = |x: Var| cond(x.gt(0.0), |x: Var| x * x, |x| -x, x);
/// assert_eq!((grad(f).call(&array(3.0))?, grad(f).call(&array(-3.0))?), (array(6.0), array(-1.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn cond<A: Traceable, R: Traceable>(
    pred: Var,
    if_true: impl FnOnce(A) -> R,
    if_false: impl FnOnce(A) -> R,
    x: A,
) -> R {
    cond_at(caller(), pred, if_true, if_false, x)
}

/// [`cond`], written at a line.
fn cond_at<A: Traceable, R: Traceable>(
    location: Location,
    pred: Var,
    if_true: impl FnOnce(A) -> R,
    if_false: impl FnOnce(A) -> R,
    x: A,
) -> R {
    let (t, out) = traced(&x, if_true);
    let (f, other) = traced(&x, if_false);
    if poisoned(&out) || poisoned(&other) {
        return out.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    let (found, expected) = (types_of(&f), types_of(&t));
    if found != expected || tree::structure(&out.types()) != tree::structure(&other.types()) {
        let show = |ts: &[Type]| ts.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
        let what = format!("cond: the branches return ({}) and ({})", show(&expected), show(&found));
        frame::mistake(
            Diagnostic::new(what, Some(location))
                .help("both branches return one structure, with the same shapes and dtypes"),
        );
        return out.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    // Both branches take the captures of both.
    let operands = vars(&x);
    let params = [types(&operands), types(&t.captures), types(&f.captures)].concat();
    let (nx, nt) = (operands.len(), t.captures.len());
    let if_true = bodies::build(&params, |b, p| b.inline(&t.program, &p[..nx + nt]));
    let if_false = bodies::build(&params, |b, p| b.inline(&f.program, &[&p[..nx], &p[nx + nt..]].concat()));
    let inputs = [vec![pred], operands, t.captures, f.captures].concat();
    let outs =
        frame::record(Cond { if_true: Arc::new(if_true), if_false: Arc::new(if_false) }, &inputs, location);
    if outs.len() != expected.len() {
        return out.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    let mut next = rebuild(outs);
    out.map_vars(&mut |_| next())
}

/// One of several functions of the same operands, chosen by an index (`i64[]`) at run time.
///
/// A tree of `cond`: reverse keeps the residuals of the branch taken and zeros for the others. An index outside `0..branches` is
/// an error when the program runs, as for `gather`.
///
/// ```
/// use retrograde_core::trace::{Var, control::switch, door::jit};
/// use retrograde_array::array;
/// let f = |(i, x): (Var, Var)| switch(i, &[&|x: Var| x.sin(), &|x| x * x, &|x| -x], x);
/// assert_eq!(jit(f).call(&(array(1_i64), array(3.0)))?, array(9.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn switch<A: Traceable, R: Traceable>(index: Var, branches: &[&dyn Fn(A) -> R], x: A) -> R {
    let location = caller();
    if branches.is_empty() {
        frame::mistake(
            Diagnostic::new("switch: found no branches, expected at least 1", Some(location))
                .help("pass the functions to choose from: `&[&|x| .., &|x| ..]`"),
        );
        panic!("switch without branches: there is no result to go on with");
    }
    // Read through `gather`, an index without a branch is an error and not the last branch.
    let numbers = super::place::iota(DType::I64, [branches.len()], 0);
    let index = frame::blame(location, || numbers.gather(0, index));
    choose(location, index, 0, branches, x)
}

/// The branch `index - first`, by halves.
fn choose<A: Traceable, R: Traceable>(
    location: Location,
    index: Var,
    first: i64,
    branches: &[&dyn Fn(A) -> R],
    x: A,
) -> R {
    if let [only] = branches {
        return only(x);
    }
    let (low, high) = branches.split_at(branches.len() / 2);
    let middle = first + low.len() as i64;
    let is_low = frame::blame(location, || index.lt(middle));
    let branch = |first, branches| move |x| choose(location, index, first, branches, x);
    cond_at(location, is_low, branch(first, low), branch(middle, high), x)
}

/// Repeats `step(i, state) -> state` for every i (`i64[]`) of a range.
///
/// ```
/// use retrograde_core::trace::{Var, control::fori, door::jit};
/// use retrograde_array::{DType, array};
/// let f = |x: Var| fori(1..5, x, |i, total| total * i.convert(DType::F64));
/// assert_eq!(jit(f).call(&array(1.0))?, array(24.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn fori<S: Traceable>(range: Range<usize>, init: S, step: impl FnOnce(Var, S) -> S) -> S {
    let count = super::place::iota(DType::I64, [range.len()], 0);
    let indices = if range.start == 0 { count } else { count + range.start as i64 };
    let nothing: Vec<Var> = vec![];
    scan(range.len()).run(init, indices, |state, i| (step(i, state), nothing)).0
}

/// `f` of every entry along the leading axis, one after another; the results are stacked. `vmap` computes them together.
///
/// ```
/// use retrograde_core::trace::{Var, control::map, door::jit};
/// use retrograde_array::array;
/// let norms = |x: Var| map(x, |row: Var| row.norm());
/// assert_eq!(jit(norms).call(&array([[3.0, 4.0], [0.0, 2.0]]))?, array([5.0, 2.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn map<X: Traceable, Y: Traceable>(xs: X, f: impl FnOnce(X) -> Y) -> Y {
    let nothing: Vec<Var> = vec![];
    scan_over().run(nothing, xs, |nothing, x| (nothing, f(x))).1
}

/// Along the leading axis, what `combine` makes of all entries up to each, in about 2 log₂ n rounds instead of n steps.
///
/// `combine` is associative and gets many entries at once, stacked along the leading axis, whose length it keeps: arithmetic
/// entry by entry does. Rounding differs from that of a loop, because entries are combined in another order. Costs about 2n
/// applications of `combine` in all.
///
/// ```
/// use retrograde_core::trace::{Var, control::associative_scan, door::jit};
/// use retrograde_array::array;
/// let products = jit(|x: Var| associative_scan(x, &|a, b| a * b));
/// assert_eq!(products.call(&array([1.0, 2.0, 3.0, 4.0, 5.0]))?, array([1.0, 2.0, 6.0, 24.0, 120.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
///
/// Source: Blelloch, Prefix sums and their applications (1990).
#[track_caller]
pub fn associative_scan<X: Traceable>(xs: X, combine: &dyn Fn(X, X) -> X) -> X {
    let location = caller();
    let lengths: Vec<Option<usize>> = vars(&xs).iter().map(|x| x.shape().first().copied()).collect();
    let n = lengths.first().copied().flatten();
    if let Some(i) = lengths.iter().position(|l| l.is_none() || *l != n) {
        let found = vars(&xs)[i].ty();
        let want = n.map_or("a leading axis".to_string(), |n| format!("a leading axis of {n}"));
        frame::mistake(
            Diagnostic::new(format!("associative_scan: x {i} is {found}, expected {want}"), Some(location))
                .help("all xs have one entry per step along their first axis"),
        );
        return xs.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    prefixes(location, &xs, n.unwrap_or(0), combine)
}

/// [`associative_scan`] of `n` entries: neighbours combined in pairs, the pairs scanned, and what lies between filled in.
fn prefixes<X: Traceable>(location: Location, xs: &X, n: usize, combine: &dyn Fn(X, X) -> X) -> X {
    let every = |xs: &X, start: usize, n: usize, step: usize| {
        xs.map_vars(&mut |v| {
            let (mut starts, mut limits) = (vec![0; v.rank()], v.shape().to_vec());
            (starts[0], limits[0]) = (start.min(n), n);
            let mut strides = vec![1; v.rank()];
            strides[0] = step;
            frame::record1(slice::Slice { starts, limits, strides }, &[*v], location)
        })
    };
    if n < 2 {
        return xs.map_vars(&mut |v| *v);
    }
    let n_pairs = n / 2;
    let pairs = combine(every(xs, 0, 2 * n_pairs, 2), every(xs, 1, 2 * n_pairs, 2));
    if !keeps_its_types(location, &pairs, xs, n_pairs) {
        return xs.map_vars(&mut |v| frame::poisoned(&v.ty()));
    }
    // odd[i] covers the entries up to 2i + 1, even[i] those up to 2i + 2.
    let odd = prefixes(location, &pairs, n_pairs, combine);
    let n_even = (n - 1) / 2;
    let even = combine(every(&odd, 0, n_even, 1), every(xs, 2, n, 2));
    let (firsts, evens) = (vars(&every(xs, 0, 1, 1)), vars(&even));
    let mut parts = firsts.into_iter().zip(evens);
    odd.map_vars(&mut |odd| {
        let (first, even) = parts.next().expect("one value per leaf; this is a bug in retrograde");
        interleaved(location, first, even, *odd, n)
    })
}

/// Notes what `combine` makes of `n` entries where it is of another type.
fn keeps_its_types<X: Traceable>(location: Location, made: &X, of: &X, n: usize) -> bool {
    let expected = |v: &Var| v.ty().unstacked().stacked(n);
    let (made, of) = (vars(made), vars(of));
    let differ = made.iter().zip(&of).find(|(m, o)| m.ty() != expected(o));
    let what = match differ {
        Some((m, o)) => format!("combine makes {} of {}", m.ty(), expected(o)),
        None if made.len() != of.len() => format!("combine makes {} values of {}", made.len(), of.len()),
        None => return true,
    };
    frame::mistake(
        Diagnostic::new(format!("associative_scan: {what}"), Some(location)).help(
            "combine works entry by entry along the leading axis and keeps structure, shapes and dtypes",
        ),
    );
    false
}

/// `first`, then entries of `odd` and `even` in turn, `n` in all.
fn interleaved(location: Location, first: Var, even: Var, odd: Var, n: usize) -> Var {
    let placed = |v: Var, start: usize| {
        let mut shape = v.shape().to_vec();
        shape[0] = n;
        let (mut starts, mut strides) = (vec![0; shape.len()], vec![1; shape.len()]);
        (starts[0], strides[0]) = (start, 2);
        frame::record1(unslice::Unslice { shape, starts, strides }, &[v], location)
    };
    let even = frame::record1(concat::Concat { axis: 0 }, &[first, even], location);
    let ty = Type::array(DType::Bool, odd.shape());
    let here = frame::record1(full::Full { ty, value: Scalar::Bool(true) }, &[], location);
    frame::record1(select::Select, &[placed(here, 1), placed(odd, 1), placed(even, 0)], location)
}

fn types_of(traced: &Traced) -> Vec<Type> {
    traced.program.output_types()
}
