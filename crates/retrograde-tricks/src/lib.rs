//! The laundry list: tricks as small, cited, composable parts.
//!
//! - [`primal`]: programs whose derivatives are nice
//! - [`update`]: what is done with a derivative
#![forbid(unsafe_code)]

// The derive macro names its traits through the façade's path.
extern crate retrograde_core as retrograde;

pub mod primal;
pub mod update;
