//! Kernels against the reference interpreter, to the bit.

mod draw;
mod fused;
mod random;
mod run;
