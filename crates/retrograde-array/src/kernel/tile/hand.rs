//! Two chains of operations as one would write them by hand, for each instruction set: what benchmarks hold tile code against.

use super::super::{Float, dispatch};

/// One entry of the chain, from its sine. A closure would be compiled for itself, without the instruction set of the loop.
#[inline(always)]
fn chain<T: Float>(x: T, a: T, b: T, sine: T) -> T {
    x.fma(a, b).tanh().fma(x.times(x).negated().exp(), sine)
}

dispatch! {
    fn transcendental_loop [T: Float] [T] (x: &[T], a: T, b: T, out: &mut [T]) {
        let mut any_rare = false;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = chain(x, a, b, x.sin_common());
            any_rare |= x.turn_is_rare();
        }
        if any_rare {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = chain(x, a, b, x.sin());
            }
        }
    }
}

/// `tanh(a x + b) exp(-x²) + sin x`, with two fused multiply-adds, of every entry.
///
/// # Panics
/// When lengths differ.
///
/// ```
/// let mut y = [0.0; 2];
/// retrograde_array::tile::hand::transcendental(&[0.0, 1.0], 1.0, 0.0, &mut y);
/// assert_eq!(y[0], 0.0);
/// assert!((y[1] - (1.0f32.tanh() * (-1.0f32).exp() + 1.0f32.sin())).abs() < 1e-6);
/// ```
pub fn transcendental(x: &[f32], a: f32, b: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "entries");
    transcendental_loop(x, a, b, out);
}

dispatch! {
    fn cheap_loop [T: Float] [T] (x: &[T], a: T, b: T, out: &mut [T]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x.fma(a, b).fma(x, x.times(b)).minus(a);
        }
    }
}

/// `(a x + b) x + b x - a`, with two fused multiply-adds, of every entry.
///
/// # Panics
/// When lengths differ.
///
/// ```
/// let mut y = [0.0; 2];
/// retrograde_array::tile::hand::cheap(&[1.0, 2.0], 2.0, 1.0, &mut y);
/// assert_eq!(y, [2.0, 10.0]);
/// ```
pub fn cheap(x: &[f32], a: f32, b: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "entries");
    cheap_loop(x, a, b, out);
}
