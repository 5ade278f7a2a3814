//! Typed array programs in single-assignment form. This floor knows no operation: everything is generic over [`Op`].
//!
//! - [`program`]: ids, types, equations, programs
//! - [`builder`]: makes programs
//! - [`mod@print`] and [`parse`]: one text form, `parse(print(p)) == p`
//! - [`check`]: every invariant, run after every transform in debug builds and tests
//! - [`dce`], [`cse`], [`fold`]: the simplifications
//! - [`diagnostic`]: errors that point at the user's line

pub mod builder;
pub mod diagnostic;
pub mod program;

pub use builder::Builder;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use program::{EqnId, Equation, Field, Fields, Kind, Location, Mismatch, Op, Program, Type, ValueId};
