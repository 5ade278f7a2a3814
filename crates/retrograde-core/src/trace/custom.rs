//! Derivatives of the user's own, each with a declared law.

use std::sync::Arc;

use super::Var;
use super::frame::{self, Traced};
use super::function::{Traceable, rebuild};
use super::tree;
use super::var::caller;
use crate::ir::{Diagnostic, Location, Type};
use crate::prim::{custom_jvp::CustomJvp, custom_vjp::CustomVjp};
use crate::transform::{NotLinear, is_linear};

/// What a derivative promises.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Law {
    /// It is the derivative.
    Exact,
    /// It deviates, and this says how.
    Inexact(String),
}

impl Law {
    fn text(&self) -> String {
        match self {
            Law::Exact => "exact".into(),
            Law::Inexact(what) => format!("inexact: {what}"),
        }
    }
}

fn vars<T: Traceable>(tree: &T) -> Vec<Var> {
    tree::leaves(tree).into_iter().map(|(_, v)| v).collect()
}

/// Custom rules stand on their own: what they need comes in as an argument.
fn closed(what: &str, traced: &Traced, location: Location) -> bool {
    if traced.captures.is_empty() {
        return true;
    }
    frame::mistake(
        Diagnostic::new(format!("{what}: the function uses a traced value from outside"), Some(location))
            .help("pass it as part of the argument, so that the rule can say what its derivative is"),
    );
    false
}

/// Notes a forward rule that does more to a tangent than it may.
fn not_linear(what: &str, e: &NotLinear, location: Location) {
    frame::mistake(
        Diagnostic::new(
            format!("{what}: the rule is not linear in the tangent: `{}` is applied to it", e.op),
            e.location.or(Some(location)),
        )
        .help("a tangent may be added, scaled by functions of x, summed or reshaped, nothing else"),
    );
}

/// Calls `f` with the derivative `rule(x, x_dot) -> (y, y_dot)`, which must be linear in `x_dot`.
///
/// All leaves of `x` and of the result must be floating-point numbers.
///
/// # Errors
/// At the front door, for a rule that is not linear in `x_dot`, and for functions that use traced values from outside.
///
/// ```
/// use retrograde_core::trace::{Var, custom::{Law, custom_jvp}, door::grad};
/// use retrograde_array::array;
/// // log(1 + eˣ), with a slope that does not overflow.
/// let f = |x: Var| (x.exp() + 1.0).log();
/// let softplus = |x: Var| custom_jvp(&Law::Exact, x, f, |x, x_dot| (f(x), x_dot / ((-x).exp() + 1.0)));
/// assert_eq!((grad(softplus).call(&array(0.0))?, grad(softplus).call(&array(1000.0))?), (array(0.5), array(1.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn custom_jvp<A: Traceable, R: Traceable>(
    law: &Law,
    x: A,
    f: impl FnOnce(A) -> R,
    rule: impl FnOnce(A, A) -> (R, R),
) -> R {
    let location = caller();
    let operands = vars(&x);
    let types: Vec<Type> = operands.iter().map(|v| v.ty()).collect();
    let rebuilt = |p: &[Var]| {
        let mut next = rebuild(p.to_vec());
        x.map_vars(&mut |_| next())
    };
    let (primal, out) = frame::body(&types, false, |p| {
        let y = f(rebuilt(p));
        (vars(&y), y)
    });
    let (traced, ()) = frame::body(&[&types[..], &types].concat(), false, |p| {
        let (x, x_dot) = p.split_at(types.len());
        let (y, y_dot) = rule(rebuilt(x), rebuilt(x_dot));
        ([vars(&y), vars(&y_dot)].concat(), ())
    });
    let whole = closed("custom_jvp", &primal, location) && closed("custom_jvp", &traced, location);
    if whole {
        let n_out = primal.program.outputs.len().min(traced.program.outputs.len());
        let dots = &traced.program.outputs[n_out..];
        let only_tangents =
            crate::prim::bodies::restrict(&traced.program, &vec![true; traced.program.inputs.len()], dots);
        if let Err(e) = is_linear(&only_tangents, types.len()) {
            not_linear("custom_jvp", &e, location);
        }
        let op =
            CustomJvp { primal: Arc::new(primal.program), rule: Arc::new(traced.program), law: law.text() };
        let results = frame::record(op, &operands, location);
        if results.len() == vars(&out).len() {
            let mut next = rebuild(results);
            return out.map_vars(&mut |_| next());
        }
    }
    out.map_vars(&mut |v| frame::poisoned(&v.ty()))
}

/// Calls `f` with a reverse rule: `forward(x) -> (y, residuals)` and `backward(residuals, y_bar) -> x_bar`.
///
/// Leaves that are not floating-point numbers (keys, labels) have no cotangents: `backward` gets zeros for those of the result, and what
/// it returns for those of `x` is not used. Forward mode exists where `backward` is linear in `y_bar`.
///
/// # Errors
/// At the front door, for functions that use traced values from outside.
///
/// ```
/// use retrograde_core::trace::{Var, custom::{Law, custom_vjp}, door::grad};
/// use retrograde_array::array;
/// let law = Law::Inexact("cotangents are clipped to ±1".into());
/// let clip = |x: Var| custom_vjp(&law, x, |x| x, |x| (x, x), |_, y_bar: Var| y_bar.clamp(-1.0, 1.0));
/// let slope = grad(|x: Var| (clip(x) * &array([0.5, 30.0])).sum()).call(&array([7.0, 7.0]))?;
/// assert_eq!(slope, array([0.5, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn custom_vjp<A: Traceable, R: Traceable, S: Traceable>(
    law: &Law,
    x: A,
    f: impl FnOnce(A) -> R,
    forward: impl FnOnce(A) -> (R, S),
    backward: impl FnOnce(S, R) -> A,
) -> R {
    reverse_rule(law, x, f, None::<fn(A, A) -> Vec<Var>>, forward, backward, caller())
}

/// [`custom_vjp`] with a forward mode of its own, `tangent(x, x_dot) -> y_dot`, which must be linear in `x_dot`. For reverse rules that
/// are not linear in the cotangents, and for those that deviate where forward mode should not.
///
/// A derivative of a derivative is that of what the rules compute: forward or reverse over reverse differentiates `backward`, and what is
/// over forward differentiates `tangent`.
///
/// # Errors
/// As [`custom_jvp`] and [`custom_vjp`].
///
/// ```
/// use retrograde_core::trace::{Var, custom::{Law, custom_rules}, door::{grad, jvp}};
/// use retrograde_array::array;
/// let law = Law::Inexact("cotangents are clipped to ±1".into());
/// let none = Vec::<Var>::new;
/// let clip = |x: Var| {
///     custom_rules(&law, x, |x| x, |_, x_dot| x_dot, |x| (x, none()), |_, y_bar: Var| y_bar.clamp(-1.0, 1.0))
/// };
/// assert_eq!(grad(|x: Var| 30.0 * clip(x)).call(&array(7.0))?, array(1.0));
/// assert_eq!(jvp(|x: Var| 30.0 * clip(x)).call(&array(7.0), &array(1.0))?.1, array(30.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn custom_rules<A: Traceable, R: Traceable, S: Traceable>(
    law: &Law,
    x: A,
    f: impl FnOnce(A) -> R,
    tangent: impl FnOnce(A, A) -> R,
    forward: impl FnOnce(A) -> (R, S),
    backward: impl FnOnce(S, R) -> A,
) -> R {
    reverse_rule(law, x, f, Some(|x, x_dot| vars(&tangent(x, x_dot))), forward, backward, caller())
}

fn reverse_rule<A: Traceable, R: Traceable, S: Traceable>(
    law: &Law,
    x: A,
    f: impl FnOnce(A) -> R,
    tangent: Option<impl FnOnce(A, A) -> Vec<Var>>,
    forward: impl FnOnce(A) -> (R, S),
    backward: impl FnOnce(S, R) -> A,
    location: Location,
) -> R {
    let operands = vars(&x);
    let types: Vec<Type> = operands.iter().map(|v| v.ty()).collect();
    let rebuilt = |p: &[Var]| {
        let mut next = rebuild(p.to_vec());
        x.map_vars(&mut |_| next())
    };
    let (primal, out) = frame::body(&types, false, |p| {
        let y = f(rebuilt(p));
        (vars(&y), y)
    });
    let (fwd, residuals) = frame::body(&types, false, |p| {
        let (y, residuals) = forward(rebuilt(p));
        ([vars(&y), vars(&residuals)].concat(), residuals)
    });
    let n_out = primal.program.outputs.len();
    let out_types = primal.program.output_types();
    let of_floats: Vec<Type> = out_types.iter().filter(|ty| ty.is_float()).cloned().collect();
    let params =
        [&fwd.program.output_types()[n_out.min(fwd.program.outputs.len())..], &of_floats[..]].concat();
    let n_residuals = params.len() - of_floats.len();
    let (bwd, ()) = frame::body(&params, false, |p| {
        let (mut r, mut y) = (rebuild(p[..n_residuals].to_vec()), rebuild(p[n_residuals..].to_vec()));
        // Keys and counts have no cotangents: zeros stand in for them, and what is returned for them is left out.
        let mut y_bar = |out: &Var| match out.ty() {
            ty if ty.is_float() => y(),
            ty => super::var::literal(0.0, &ty, location),
        };
        let x_bar = backward(residuals.map_vars(&mut |_| r()), out.map_vars(&mut y_bar));
        let of_floats = vars(&x_bar).into_iter().zip(&types).filter(|(_, ty)| ty.is_float());
        (of_floats.map(|(x_bar, _)| x_bar).collect(), ())
    });
    let of_x: Vec<Type> = types.iter().filter(|ty| ty.is_float()).cloned().collect();
    let tangent = tangent.map(|rule| {
        let (traced, ()) = frame::body(&[&types[..], &of_x].concat(), false, |p| {
            let (known, dots) = p.split_at(types.len());
            let mut next = rebuild(dots.to_vec());
            let mut x_dot = |x: &Var| match x.ty() {
                ty if ty.is_float() => next(),
                ty => super::var::literal(0.0, &ty, location),
            };
            let y_dot = rule(rebuilt(known), x.map_vars(&mut x_dot));
            (y_dot.into_iter().filter(|y| y.ty().is_float()).collect(), ())
        });
        if let Err(e) = is_linear(&traced.program, types.len()) {
            not_linear("custom_rules", &e, location);
        }
        traced
    });
    if [&primal, &fwd, &bwd].into_iter().chain(&tangent).all(|t| closed("custom_vjp", t, location)) {
        let op = CustomVjp {
            primal: Arc::new(primal.program),
            forward: Arc::new(fwd.program),
            backward: Arc::new(bwd.program),
            tangent: tangent.map(|traced| Arc::new(traced.program)),
            law: law.text(),
        };
        let results = frame::record(op, &operands, location);
        if results.len() == n_out {
            let mut next = rebuild(results);
            return out.map_vars(&mut |_| next());
        }
    }
    out.map_vars(&mut |v| frame::poisoned(&v.ty()))
}
