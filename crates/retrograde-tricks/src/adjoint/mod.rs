//! On the adjoint: change the derivative on purpose, and say so.
//!
//! What acts on cotangents alone is a value with one spelling, [`map::AdjointMap`]: `.at_edge(x)` in a program, `.on(gradient)` on a
//! tree. What replaces one operation's derivative is a function beside that operation.

pub mod check_rule;
pub mod clip;
pub mod feedback_alignment;
pub mod map;
pub mod scale;
pub mod stop;
pub mod straight_through;
pub mod surrogate;
pub mod synthetic_gradient;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    clip::CLIP_BY_VALUE,
    clip::CLIP_BY_NORM,
    clip::CLIP_INSIDE,
    scale::GRADIENT_SCALING,
    scale::GRADIENT_REVERSAL,
    stop::STOP_GRADIENT,
    straight_through::STRAIGHT_THROUGH,
    feedback_alignment::FEEDBACK_ALIGNMENT,
    surrogate::SURROGATE_GRADIENT,
    synthetic_gradient::SYNTHETIC_GRADIENT,
];
