//! On the adjoint: change the derivative on purpose, and say so.
//!
//! What acts on cotangents alone is a value with one spelling, [`map::AdjointMap`]: `.at_edge(x)` in a program, `.on(gradient)` on a
//! tree. What replaces one operation's derivative is a function beside that operation. Whether a rule of one's own is what it is declared
//! to be, [`check_rule::check_rule`] finds out.

pub mod adaptive_clip;
pub mod centralise;
pub mod check_rule;
pub mod clip;
pub mod feedback_alignment;
pub mod guided;
pub mod loss_scaling;
pub mod map;
pub mod noise;
pub mod penalty;
pub mod per_example;
pub mod scale;
pub mod sign;
pub mod sparsify;
pub mod stop;
pub mod straight_through;
pub mod surrogate;
pub mod synthetic_gradient;
pub mod target_propagation;
pub mod top_k;
pub mod truncated;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    clip::CLIP_BY_VALUE,
    clip::CLIP_BY_NORM,
    adaptive_clip::ADAPTIVE_CLIPPING,
    clip::CLIP_INSIDE,
    noise::GRADIENT_NOISE,
    scale::GRADIENT_SCALING,
    scale::GRADIENT_REVERSAL,
    stop::STOP_GRADIENT,
    straight_through::STRAIGHT_THROUGH,
    loss_scaling::LOSS_SCALING,
    sign::SIGN,
    feedback_alignment::FEEDBACK_ALIGNMENT,
    target_propagation::TARGET_PROPAGATION,
    synthetic_gradient::SYNTHETIC_GRADIENT,
    truncated::TRUNCATED,
    top_k::TOP_K,
    sparsify::SPARSIFY,
    centralise::CENTRALISE,
    penalty::DOUBLE_BACKPROPAGATION,
    per_example::PER_EXAMPLE_CLIPPING,
    surrogate::SURROGATE_GRADIENT,
    guided::GUIDED,
];
