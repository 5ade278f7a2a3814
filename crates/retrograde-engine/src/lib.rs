//! The default executor: the same bits as the reference interpreter, faster.
//!
//! A program is planned once ([`plan`]) and run often: elementwise chains become [`kernel`]s, which tiles of registers run;
//! everything else is called as the primitive says. Buffers are laid out by liveness and live from call to call.
#![forbid(unsafe_code)]

pub mod direct;
pub mod kernel;
pub mod plan;
