//! Typed array programs in single-assignment form. This floor knows no operation: everything is generic over [`Op`].
//!
//! - [`program`]: ids, types, equations, programs
//! - [`builder`]: makes programs
//! - [`mod@print`] and [`mod@parse`]: one text form, `parse(print(p)) == p`
//! - [`mod@check`]: every invariant, run after every transform in debug builds and tests
//! - [`mod@fold`], [`mod@compose`], [`mod@cse`], [`mod@dce`]: the simplifications; [`mod@simplify`] runs all four
//! - [`diagnostic`]: errors that point at the user's line

pub mod builder;
pub mod check;
pub mod compose;
pub mod cse;
pub mod dce;
pub mod diagnostic;
pub mod fold;
pub mod parse;
pub mod print;
pub mod program;
pub mod simplify;
#[cfg(test)]
mod toy;

pub use builder::Builder;
pub use check::{CheckError, check, debug_check};
pub use compose::compose;
pub use cse::cse;
pub use dce::dce;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use fold::fold;
pub use parse::{ParseError, parse};
pub use print::{print, print_abbreviated, print_with_locations, window};
pub use program::{EqnId, Equation, Field, Fields, Kind, Location, Mismatch, Op, Program, Type, ValueId};
pub use simplify::simplify;
