//! The laundry list: tricks as small, cited, composable parts.
//!
//! - [`primal`]: programs whose derivatives are nice
//! - [`adjoint`]: another derivative on purpose
//! - [`tape`]: less to remember on the way from one to the other
//! - [`estimate`]: a derivative that is right on average
//! - [`update`]: what is done with a derivative
//! - [`catalogue`]: every trick with its formula, law, source, example and property
#![forbid(unsafe_code)]

// The derive macro names its traits through the façade's path.
extern crate retrograde_core as retrograde;

pub mod adjoint;
pub mod catalogue;
pub mod estimate;
pub mod primal;
pub mod tape;
pub mod update;
