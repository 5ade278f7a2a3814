//! States as lists of leaves, and what a state must be.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Var, mistake, tree};

/// The leaves of a state, in order.
pub(super) fn leaves<S: Traceable>(state: &S) -> Vec<Var> {
    tree::leaves(state).into_iter().map(|(_, leaf)| leaf).collect()
}

/// A state of the structure of `like`.
pub(super) fn with_leaves<S: Traceable>(like: &S, leaves: &[Var]) -> S {
    let mut next = leaves.iter();
    like.map_vars(&mut |old| next.next().copied().unwrap_or(*old))
}

/// The same state.
pub(super) fn same<S: Traceable>(state: &S) -> S {
    state.map_vars(&mut |leaf| *leaf)
}

/// Notes a leaf that cannot move; says whether there is none.
pub(super) fn can_move<S: Traceable>(method: &str, state: &S, location: Location) -> bool {
    let all = tree::leaves(state);
    let Some((path, leaf)) = all.iter().find(|(_, leaf)| !leaf.ty().is_float()) else { return true };
    let which = if path.is_empty() { "the state".into() } else { format!("leaf `{path}` of the state") };
    let message = format!("{method}: {which} is {}, expected floating-point numbers", leaf.ty());
    let help = "write `1.0` instead of `1`, or let the field capture what does not move";
    mistake(Diagnostic::new(message, Some(location)).help(help));
    false
}

/// Notes a step that leads nowhere; says whether it leads somewhere.
pub(super) fn is_step(method: &str, step_s: f64, location: Location) -> bool {
    if step_s.is_finite() && step_s != 0.0 {
        return true;
    }
    let message = format!("{method}: found a step of {step_s}, expected a finite number other than zero");
    let help = "say `.step(0.01)`, in units of time; a negative step runs backwards";
    mistake(Diagnostic::new(message, Some(location)).help(help));
    false
}
