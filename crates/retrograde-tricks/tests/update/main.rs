//! What is done with a derivative.
#![forbid(unsafe_code)]

mod finite_sum;
