//! What is remembered between a program and its derivative.
//!
//! Policies never enter differentiation: it makes one program over logical residuals, stacked over the steps of loops.
//! [`lower`](fn@lower) is the last pass. It decides how each stack is produced; it may insert primal equations, never
//! change a cotangent equation or its order, so all exact policies agree to the bit.
//! [`audit`](fn@audit) proves that of a lowered program without sharing code with the pass.

mod annotate;
mod audit;
mod budget;
mod chain;
mod cut;
mod emit;
mod flow;
mod held;
mod lower;
mod made;
mod minimise;
mod quantise;
mod regions;
mod report;
mod splits;
mod trim;
mod unbiased;
mod variance;

pub use crate::prim::{Checkpoint, Tape};
pub use annotate::{annotate, without_inverse};
pub use audit::{AuditError, audit};
pub use budget::Planned;
pub use cut::TapeEntry;
pub use lower::{LowerError, Lowered, Reversal, lower};
pub use made::LoopSize;
pub use quantise::reseeded;
pub(crate) use report::HeldSize;
pub use report::{EntryBytes, LoopBytes, TapeReport};
pub use variance::variance_bound;
