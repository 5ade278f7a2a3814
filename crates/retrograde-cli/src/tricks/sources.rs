//! The files that hold tricks, as they were when the command was built: what `retrograde tricks B12` shows an example from.

/// Path from the root of the project, and text.
pub(super) type Source = (&'static str, &'static str);

macro_rules! sources {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../../", $path)))),*]
    };
}

/// All of them.
pub(super) const SOURCES: &[Source] = sources! {
    "crates/retrograde-core/src/prim/policy.rs"
    "crates/retrograde-core/src/tape/minimise.rs"
    "crates/retrograde-core/src/tape/quantise.rs"
    "crates/retrograde-core/src/tape/variance.rs"
    "crates/retrograde-core/src/trace/control.rs"
    "crates/retrograde-core/src/trace/door.rs"
    "crates/retrograde-tricks/src/estimate/dropout.rs"
    "crates/retrograde-tricks/src/primal/attention.rs"
    "crates/retrograde-tricks/src/primal/reversible.rs"
    "crates/retrograde-tricks/src/update/accumulate.rs"
    "crates/retrograde-tricks/src/update/adam.rs"
    "crates/retrograde-tricks/src/update/adaptive_rate.rs"
    "crates/retrograde-tricks/src/update/averaging.rs"
    "crates/retrograde-tricks/src/update/curvature.rs"
    "crates/retrograde-tricks/src/update/frozen_newton.rs"
    "crates/retrograde-tricks/src/update/langevin.rs"
    "crates/retrograde-tricks/src/update/matrix.rs"
    "crates/retrograde-tricks/src/update/meta_learning.rs"
    "crates/retrograde-tricks/src/update/momentum.rs"
    "crates/retrograde-tricks/src/update/reversible_momentum.rs"
    "crates/retrograde-tricks/src/update/schedule.rs"
    "crates/retrograde-tricks/src/update/sharpness.rs"
    "crates/retrograde-tricks/src/update/trust.rs"
    "crates/retrograde-tricks/src/update/weight_decay.rs"
};
