//! On the estimate: a derivative that is right on average.

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[];
