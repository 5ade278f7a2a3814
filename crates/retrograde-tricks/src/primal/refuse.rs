//! What a layer says of an operand or a number that it cannot use. Notes for the front door, at the user's line.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::{Var, mistake};

/// Notes a mistake at the caller's line.
#[track_caller]
pub(super) fn refuse(message: String, help: &str) {
    mistake(Diagnostic::new(message, Some(Location(std::panic::Location::caller()))).help(help));
}

/// Whether `value` is above zero and finite; notes it where it is not.
#[track_caller]
pub(super) fn positive(what: &str, name: &str, value: f64, help: &str) -> bool {
    let fits = value > 0.0 && value.is_finite();
    if !fits {
        refuse(format!("{what}: found a {name} of {value}, expected a finite number above 0"), help);
    }
    fits
}

/// Whether axis `axis` of `x` has the length of the parameter `of`; notes it where it has not.
#[track_caller]
pub(super) fn as_wide(what: &str, x: Var, axis: usize, of: Var) -> bool {
    let n = of.shape().first().copied().unwrap_or(0);
    let fits = x.shape().get(axis) == Some(&n);
    if !fits {
        let message = format!("{what}: found {} of x for parameters of {n} features on axis {axis}", x.ty());
        refuse(message, "make the layer as wide as its input: features stand on that axis");
    }
    fits
}
