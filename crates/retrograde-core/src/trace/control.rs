//! Control flow on traced values.

use std::sync::Arc;

use super::Var;
use super::frame::{self, Traced};
use super::function::{Traceable, rebuild};
use super::tree;
use super::var::caller;
use crate::ir::{Diagnostic, Location, Type};
use crate::prim::{self, Program, Tape, bodies, call::Call, cond::Cond, while_loop::While};

/// Names a region for errors and reports while `f` is traced.
pub fn scope<R>(name: &str, f: impl FnOnce() -> R) -> R {
    frame::scoped(name, f)
}

/// Records a function as a sub-program of its own, named in the text form and in reports.
#[track_caller]
pub fn call<A: Traceable, R: Traceable>(name: &str, f: impl FnOnce(A) -> R, x: A) -> R {
    let location = caller();
    let flat = vars(&x);
    let (traced, out) = traced(&x, f);
    let inputs = [flat, traced.captures].concat();
    let call = Call { name: name.into(), body: Arc::new(traced.program) };
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
    pub fn reversed(self) -> Self {
        ScanConfig { reverse: true, ..self }
    }
    /// What the derivative of this loop remembers, whatever the front door says.
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
/// let slope = grad(f).call(&array(1.0))?;
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn scan(length: usize) -> ScanConfig {
    ScanConfig { length: Some(length), reverse: false, policy: None }
}

/// A loop over the leading axis of its xs.
pub fn scan_over() -> ScanConfig {
    ScanConfig { length: None, reverse: false, policy: None }
}

/// Repeats `step` on a state for as long as `go_on` holds, see [`while_loop`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WhileConfig {
    policy: Option<Tape>,
}

impl WhileConfig {
    /// What the derivative of this loop remembers, whatever the front door says.
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        WhileConfig { policy: Some(policy.into()) }
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
#[track_caller]
pub fn while_loop<S: Traceable>(init: S, go_on: impl FnOnce(S) -> Var, step: impl FnOnce(S) -> S) -> S {
    WhileConfig::default().run(init, go_on, step)
}

/// A `while_loop` with settings.
pub fn while_config() -> WhileConfig {
    WhileConfig::default()
}

/// One of two functions of the same operands, chosen by a truth value (`bool[]`) at run time.
#[track_caller]
pub fn cond<A: Traceable, R: Traceable>(
    pred: Var,
    if_true: impl FnOnce(A) -> R,
    if_false: impl FnOnce(A) -> R,
    x: A,
) -> R {
    let location = caller();
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

fn types_of(traced: &Traced) -> Vec<Type> {
    traced.program.output_types()
}
