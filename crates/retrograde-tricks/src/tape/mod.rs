//! On the tape: remember less. Policies, which change no bit, are in `retrograde_core::tape`; here are other ways to a gradient, that
//! carry something forward, drop edges, keep random projections, use up gradients at once, or share directions.

pub mod colouring;
pub mod eprop;
mod flat;
pub mod gradient_release;
pub mod random_projection;
pub mod real_time;
pub mod replay;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    real_time::REAL_TIME,
    real_time::RANK_ONE,
    eprop::ELIGIBILITY,
    random_projection::RANDOM_PROJECTION,
    gradient_release::GRADIENT_RELEASE,
    colouring::COLOURING,
    replay::REPLAY,
];
