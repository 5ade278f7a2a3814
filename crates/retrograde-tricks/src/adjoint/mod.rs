//! On the adjoint: change the derivative on purpose, and say so.

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[];
