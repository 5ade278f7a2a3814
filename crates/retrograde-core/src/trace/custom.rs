//! Derivatives of the user's own, each with a declared law.

use std::sync::Arc;

use super::Var;
use super::frame::{self, Traced};
use super::function::{Traceable, rebuild};
use super::tree;
use super::var::caller;
use crate::ir::{Diagnostic, Location, Type};
use crate::prim::{custom_jvp::CustomJvp, custom_vjp::CustomVjp};
use crate::transform::is_linear;

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
            frame::mistake(
                Diagnostic::new(
                    format!("custom_jvp: the rule is not linear in the tangent: `{}` is applied to it", e.op),
                    e.location.or(Some(location)),
                )
                .help("a tangent may be added, scaled by functions of x, summed or reshaped, nothing else"),
            );
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
/// All leaves of `x` and of the result must be floating-point numbers. Forward mode exists where `backward` is linear
/// in `y_bar`.
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
    let (fwd, residuals) = frame::body(&types, false, |p| {
        let (y, residuals) = forward(rebuilt(p));
        ([vars(&y), vars(&residuals)].concat(), residuals)
    });
    let n_out = primal.program.outputs.len();
    let params =
        [&fwd.program.output_types()[n_out.min(fwd.program.outputs.len())..], &primal.program.output_types()]
            .concat();
    let n_residuals = params.len() - n_out;
    let (bwd, ()) = frame::body(&params, false, |p| {
        let (mut r, mut y) = (rebuild(p[..n_residuals].to_vec()), rebuild(p[n_residuals..].to_vec()));
        let x_bar = backward(residuals.map_vars(&mut |_| r()), out.map_vars(&mut |_| y()));
        (vars(&x_bar), ())
    });
    if [&primal, &fwd, &bwd].into_iter().all(|t| closed("custom_vjp", t, location)) {
        let op = CustomVjp {
            primal: Arc::new(primal.program),
            forward: Arc::new(fwd.program),
            backward: Arc::new(bwd.program),
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
