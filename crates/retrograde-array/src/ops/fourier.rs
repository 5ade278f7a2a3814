//! The discrete Fourier transform, through `rustfft` (cargo feature `fft`).
//!
//! Complex numbers are pairs on a trailing axis of 2. Computed in `f64`; `f32` and `bf16` are rounded once. The planner is
//! the scalar one, so that no instruction set is chosen at run time; the twiddle factors are the system's sines, so bits are
//! promised on one machine and build.

use crate::{Array, ArrayError};

/// `ŷ_k = Σ_j z_j exp(∓2πi jk/n)` along the axis before the last: `-` forwards, `+` backwards, neither divided by n.
///
/// z: `[.., n, 2]`, real and imaginary parts → the same shape. Cost: about 5 n log₂ n operations each, for every n.
///
/// # Errors
/// [`ArrayError::Feature`] in a build without the feature `fft`.
///
/// # Panics
/// When the last axis is not 2 long or the dtype is not floating-point: internal misuse.
///
/// # Source
/// Cooley and Tukey (1965), An algorithm for the machine calculation of complex Fourier series, Math. Comp. 19.
///
/// ```
/// # #[cfg(feature = "fft")] {
/// use retrograde_array::{array, ops::fourier::fft};
/// let z = array([[1.0, 0.0], [3.0, 0.0]]);
/// let spectrum = fft(&z, false)?;
/// assert_eq!(spectrum, array([[4.0, 0.0], [-2.0, 0.0]]));
/// assert_eq!(fft(&spectrum, true)?, array([[2.0, 0.0], [6.0, 0.0]])); // n times z
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn fft(z: &Array, backward: bool) -> Result<Array, ArrayError> {
    let [.., n, 2] = z.shape()[..] else { super::bug(&format!("Fourier transform of shape {}", z.shape())) };
    transformed(z, n, backward)
}

#[cfg(feature = "fft")]
fn transformed(z: &Array, n: usize, backward: bool) -> Result<Array, ArrayError> {
    use crate::DType;
    use rustfft::num_complex::Complex;
    use rustfft::{FftDirection, FftPlannerScalar};

    if z.size() == 0 {
        return Ok(z.clone());
    }
    let wide = super::convert(z, DType::F64);
    let pairs = super::values::<f64>(&wide).chunks_exact(2);
    let mut buffer: Vec<Complex<f64>> = pairs.map(|pair| Complex::new(pair[0], pair[1])).collect();
    let direction = if backward { FftDirection::Inverse } else { FftDirection::Forward };
    FftPlannerScalar::new().plan_fft(n, direction).process(&mut buffer);
    let entries = buffer.iter().flat_map(|z| [z.re, z.im]).collect();
    Ok(super::convert(&super::elementwise::result::<f64>(z.shape(), entries), z.dtype()))
}

#[cfg(not(feature = "fft"))]
fn transformed(_: &Array, _: usize, _: bool) -> Result<Array, ArrayError> {
    Err(ArrayError::Feature { what: "fft", feature: "fft" })
}
