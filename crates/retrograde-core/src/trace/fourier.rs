//! Fourier transforms.
//!
//! There is no complex dtype: a complex array is a real one with a trailing axis of 2, real and imaginary parts. So a
//! gradient is the plain gradient in those real numbers, and nothing has to be agreed on about conjugates. Transforms run
//! along the last axis (before the pair), over all others. Bits are promised on one machine and build. In a build without
//! the cargo feature `fft` (on by default) these are errors when the program runs.

use super::frame;
use super::place::iota;
use super::var::{Var, caller, concat, full, select};
use crate::ir::{Diagnostic, Location};
use crate::prim::fft;
use retrograde_array::DType;

/// A complex array from its parts.   re, im: `[..]` → `[.., 2]`
///
/// # Errors
/// At the front door, where shapes or dtypes differ.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, fourier::{complex, im, re}};
/// use retrograde_array::array;
/// let f = |x: Var, y: Var| {
///     let z = complex(x, y);
///     (z, re(z), im(z))
/// };
/// let (x, y) = (array([1.0, 2.0]), array([3.0, 4.0]));
/// assert_eq!(jit(f).call((&x, &y))?, (array([[1.0, 3.0], [2.0, 4.0]]), x, y));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn complex(re: Var, im: Var) -> Var {
    let part = |x: Var| x.reshape([&x.shape()[..], &[1]].concat());
    frame::blame(caller(), || concat(&[part(re), part(im)], re.rank()))
}

/// The real parts.   z: `[.., 2]` → `[..]`
#[track_caller]
pub fn re(z: Var) -> Var {
    frame::blame(caller(), || z.index(z.rank().saturating_sub(1), 0))
}

/// The imaginary parts.   z: `[.., 2]` → `[..]`
#[track_caller]
pub fn im(z: Var) -> Var {
    frame::blame(caller(), || z.index(z.rank().saturating_sub(1), 1))
}

/// ẑ_k = Σ_j z_j exp(-2πi jk/n).   z: `[.., n, 2]` → the same shape
///
/// # Errors
/// At the front door, where the last axis is not 2 long or the dtype is not floating-point.
/// # Cost
/// About 5 n log₂ n flops for every n; the derivative as much, and it keeps nothing.
/// # Source
/// Cooley & Tukey 1965, An algorithm for the machine calculation of complex Fourier series.
///
/// ```
/// use retrograde_core::trace::{door::jit, fourier::{fft, ifft}};
/// use retrograde_array::array;
/// let z = array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]]);
/// let spectrum = jit(fft).call(&z)?;
/// assert_eq!(spectrum, array([[10.0, 0.0], [-2.0, 2.0], [-2.0, 0.0], [-2.0, -2.0]]));
/// assert_eq!(jit(ifft).call(&spectrum)?, z);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn fft(z: Var) -> Var {
    frame::record1(fft::Fft { backward: false }, &[z], caller())
}

/// z_j = (1/n) Σ_k ẑ_k exp(2πi jk/n), the inverse of [`fft()`].   z: `[.., n, 2]` → the same shape
///
/// # Errors
/// As [`fft()`].
/// # Cost
/// That of [`fft()`].
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, fourier::ifft};
/// use retrograde_array::array;
/// let constant = array([[4.0, 0.0], [0.0, 0.0]]); // coefficient 0 alone
/// assert_eq!(jit(|z: Var| ifft(z)).call(&constant)?, array([[2.0, 0.0], [2.0, 0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn ifft(z: Var) -> Var {
    let location = caller();
    let sum = frame::record1(fft::Fft { backward: true }, &[z], location);
    let n = length(z, 2);
    frame::blame(location, || sum / n as f64)
}

/// The length of the axis that is `from_end` axes from the end, at least 1.
fn length(z: Var, from_end: usize) -> usize {
    let shape = z.shape();
    shape.rank().checked_sub(from_end).map_or(1, |axis| shape[axis].max(1))
}

/// Coefficients 0 to n/2 of the transform of real numbers; the others are their conjugates.   x: `[.., n]` →
/// `[.., n/2 + 1, 2]`
///
/// # Errors
/// At the front door, where x has no axis, is empty along it, or is not floating-point.
/// # Cost
/// That of [`fft()`].
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, fourier::{irfft, rfft}};
/// use retrograde_array::array;
/// let x = array([1.0, 2.0, 3.0, 4.0]);
/// let spectrum = jit(rfft).call(&x)?;
/// assert_eq!(spectrum, array([[10.0, 0.0], [-2.0, 2.0], [-2.0, 0.0]]));
/// assert_eq!(jit(|z: Var| irfft(z, 4)).call(&spectrum)?, x);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn rfft(x: Var) -> Var {
    let location = caller();
    let (ty, shape) = (x.ty(), x.shape());
    let Some(axis) = shape.rank().checked_sub(1).filter(|&axis| shape[axis] > 0) else {
        let found = format!("rfft: found {ty}, expected at least one number along the last axis");
        return refused(x, found, "`reshape` makes a single number an array of one", location);
    };
    frame::blame(location, || {
        let zeros = full(ty.dtype, shape.clone(), 0.0);
        fft(complex(x, zeros)).slice(axis, 0..shape[axis] / 2 + 1)
    })
}

/// n real numbers from coefficients 0 to n/2, the inverse of [`rfft`].   z: `[.., n/2 + 1, 2]` → `[.., n]`
///
/// What the conjugate symmetry makes impossible, an imaginary part of coefficient 0 (and n/2, for even n), is ignored.
///
/// # Errors
/// At the front door, where z does not have n/2 + 1 coefficients, n is 0, or z is not floating-point.
/// # Cost
/// That of [`fft()`] of length n.
#[track_caller]
pub fn irfft(z: Var, n: usize) -> Var {
    let location = caller();
    let (ty, shape) = (z.ty(), z.shape());
    let [lanes @ .., m, 2] = &shape[..] else {
        let found = format!(
            "irfft: found {ty}, expected [.., n/2 + 1, 2] with real and imaginary parts on the last axis"
        );
        return refused(z, found, "`complex(re, im)` joins two real arrays", location);
    };
    if n == 0 || *m != n / 2 + 1 {
        let found = format!("irfft: found {ty}, expected {} coefficients for n = {n}", n / 2 + 1);
        return refused(
            z,
            found,
            "n is the length before `rfft`: 2m - 2 or 2m - 1, for m coefficients",
            location,
        );
    }
    let axis = lanes.len();
    frame::blame(location, || {
        // Coefficients between stand for their conjugates too, which contribute the same real part.
        let k = iota(DType::I64, shape.clone(), axis);
        let twice = k.gt(0_i64) & k.lt(n.div_ceil(2) as i64);
        let weighted = select(twice, z * 2.0, z);
        let mut widths = vec![(0, 0); shape.rank()];
        widths[axis] = (0, n - m);
        let sum = frame::record1(fft::Fft { backward: true }, &[weighted.pad(&widths, 0.0)], location);
        re(sum) / n as f64
    })
}

fn refused(z: Var, found: String, help: &str, location: Location) -> Var {
    frame::mistake(Diagnostic::new(found, Some(location)).help(help));
    frame::poisoned(&z.ty())
}
