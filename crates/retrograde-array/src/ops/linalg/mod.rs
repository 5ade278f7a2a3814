//! Decompositions of matrices, through `faer` (cargo feature `linalg`).
//!
//! Matrices are the last two axes; leading axes are lanes, each computed by itself. Computed in `f64`, one thread; `f32` and
//! `bf16` are rounded once. Bits are promised on one machine and build. A lane with infinities or NaN gives NaN.
//!
//! All functions return [`ArrayError::Feature`] in a build without the feature, and panic where shapes or dtypes do not
//! fit: internal misuse.

use crate::{Array, ArrayError, DType, Shape};

use super::elementwise::result;
use super::{bug, convert, values};

#[cfg(feature = "linalg")]
mod dense;

/// Which triangular system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Triangular {
    /// The matrix is its lower triangle, else its upper one; the other is not read.
    pub lower: bool,
    /// The system of the transposed matrix.
    pub transposed: bool,
    /// The diagonal counts as ones and is not read.
    pub unit: bool,
}

/// The lower Cholesky factor L of A = L Lᵀ. Only the lower triangle of A is read.
///
/// a: `[.., n, n]` → the same shape, zeros above the diagonal. A matrix that is not positive definite gives NaN on and
/// below the diagonal: its lane alone, so that others of a batch live on. Cost: n³/3 flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §4.2.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::cholesky};
/// let a = array([[[4.0, f64::NAN], [2.0, 5.0]], [[1.0, 0.0], [2.0, 1.0]]]);
/// let n = f64::NAN; // the second matrix is not positive definite
/// assert_eq!(cholesky(&a)?, array([[[2.0, 0.0], [1.0, 2.0]], [[n, 0.0], [n, n]]]));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn cholesky(a: &Array) -> Result<Array, ArrayError> {
    let n = square("cholesky", a);
    let [l] = each_lane("cholesky", [a], [&[n, n]], |[a], [l]| run!(cholesky(a, n, l)))?;
    Ok(l)
}

/// X of A X = B (or Aᵀ X = B) for a triangular A.
///
/// a: `[.., n, n]`, b: `[.., n, m]` → the shape of b. A zero on the diagonal gives infinities or NaN. Cost: n² m flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §3.1.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::{Triangular, triangular_solve}};
/// let which = Triangular { lower: true, transposed: false, unit: false };
/// let a = array([[2.0, f64::NAN], [1.0, 4.0]]);
/// assert_eq!(triangular_solve(&a, &array([[2.0], [9.0]]), which)?, array([[1.0], [2.0]]));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn triangular_solve(a: &Array, b: &Array, which: Triangular) -> Result<Array, ArrayError> {
    let (n, m) = system("triangular_solve", a, b);
    let [x] = each_lane("triangular_solve", [a, b], [&[n, m]], |[a, b], [x]| {
        run!(triangular_solve(a, b, [n, m], which, x))
    })?;
    Ok(x)
}

/// X of A X = B (or Aᵀ X = B), by LU with partial pivoting.
///
/// a: `[.., n, n]`, b: `[.., n, m]` → the shape of b. A singular A gives infinities, NaN or, where rounding hides it, very
/// large numbers. Cost: 2n³/3 + 2n² m flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §3.4.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::solve};
/// let a = array([[0.0, 2.0], [1.0, 4.0]]);
/// assert_eq!(solve(&a, &array([[2.0], [5.0]]), false)?, array([[1.0], [1.0]]));
/// assert_eq!(solve(&a, &array([[1.0], [6.0]]), true)?, array([[1.0], [1.0]]));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn solve(a: &Array, b: &Array, transposed: bool) -> Result<Array, ArrayError> {
    let (n, m) = system("solve", a, b);
    let [x] = each_lane("solve", [a, b], [&[n, m]], |[a, b], [x]| run!(solve(a, b, [n, m], transposed, x)))?;
    Ok(x)
}

/// The sign (-1, 0, 1) of the determinant and the logarithm of its absolute value, by LU with partial pivoting.
///
/// a: `[.., n, n]` → two arrays of the leading axes. A singular A gives 0 and -∞; 0 × 0 gives 1 and 0. Cost: 2n³/3 flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §3.4.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::logdet};
/// let [sign, log] = logdet(&array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]]]))?;
/// assert_eq!((sign, log), (array([-1.0, 0.0]), array([0.0, f64::NEG_INFINITY])));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn logdet(a: &Array) -> Result<[Array; 2], ArrayError> {
    let n = square("logdet", a);
    each_lane("logdet", [a], [&[], &[]], |[a], [sign, log]| run!(logdet(a, n, sign, log)))
}

/// Q and R of A = Q R, reduced: Q has orthonormal columns, R is upper triangular with a diagonal ≥ 0 (Householder).
///
/// a: `[.., m, n]` → q `[.., m, k]`, r `[.., k, n]`, k = min(m, n). Where A has full rank both are unique.
/// Cost: about 4 m n k flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §5.2.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::qr};
/// let [q, r] = qr(&array([[3.0, 0.0], [4.0, 0.0], [0.0, -2.0]]))?;
/// assert_eq!((q.shape().to_string(), r.shape().to_string()), ("[3,2]".into(), "[2,2]".into()));
/// assert!((r.to_vec::<f64>().unwrap()[0] - 5.0).abs() < 1e-15);
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn qr(a: &Array) -> Result<[Array; 2], ArrayError> {
    let (m, n) = sides("qr", a);
    let k = m.min(n);
    each_lane("qr", [a], [&[m, k], &[k, n]], |[a], [q, r]| run!(qr(a, [m, n], q, r)))
}

/// Eigenvalues, ascending, and orthonormal eigenvectors of a symmetric matrix, of which only the lower triangle is read:
/// A = V diag(w) Vᵀ.
///
/// a: `[.., n, n]` → w `[.., n]`, v `[.., n, n]` with eigenvectors as columns; signs by Note \[signs\]. Equal eigenvalues
/// leave the basis of their space to the algorithm. Cost: about 9n³ flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §8.3.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::eigh};
/// let [w, v] = eigh(&array([[3.0, 0.0], [0.0, 1.0]]))?;
/// assert_eq!((w, v), (array([1.0, 3.0]), array([[0.0, 1.0], [1.0, 0.0]])));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn eigh(a: &Array) -> Result<[Array; 2], ArrayError> {
    let n = square("eigh", a);
    each_lane("eigh", [a], [&[n], &[n, n]], |[a], [w, v]| run!(eigh(a, n, w, v)))
}

/// The reduced singular value decomposition A = U diag(s) Vᵀ, s descending and ≥ 0.
///
/// a: `[.., m, n]` → u `[.., m, k]`, s `[.., k]`, v `[.., n, k]`, k = min(m, n); singular vectors are columns, signs by
/// Note \[signs\] of u. Equal singular values leave their basis to the algorithm. Cost: about 20 m n k flops.
///
/// # Errors
/// [`ArrayError::Feature`]
///
/// # Source
/// Golub and Van Loan (2013), Matrix computations, 4th edition, §8.6.
///
/// ```
/// # #[cfg(feature = "linalg")] {
/// use retrograde_array::{array, ops::linalg::svd};
/// let [u, s, v] = svd(&array([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]))?;
/// assert_eq!((u.shape().to_string(), v.shape().to_string()), ("[3,2]".into(), "[2,2]".into()));
/// assert_eq!(s, array([3.0, 2.0]));
/// # }
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn svd(a: &Array) -> Result<[Array; 3], ArrayError> {
    let (m, n) = sides("svd", a);
    let k = m.min(n);
    each_lane("svd", [a], [&[m, k], &[k], &[n, k]], |[a], [u, s, v]| run!(svd(a, [m, n], u, s, v)))
}

/// A call of the backend, where the build has one.
macro_rules! run {
    ($name:ident($($arg:expr),*)) => {{
        #[cfg(feature = "linalg")]
        dense::$name($($arg),*);
        #[cfg(not(feature = "linalg"))]
        let _ = ($($arg),*);
    }};
}
use run;

/// Calls `f` on the matrices of each lane, row-major, with zeros to write the results of the given shapes to.
fn each_lane<const N: usize, const M: usize>(
    what: &'static str,
    operands: [&Array; N],
    results: [&[usize]; M],
    f: impl Fn([&[f64]; N], [&mut [f64]; M]),
) -> Result<[Array; M], ArrayError> {
    if cfg!(not(feature = "linalg")) {
        return Err(ArrayError::Feature { what, feature: "linalg" });
    }
    let first = operands[0];
    let lanes = &first.shape()[..first.rank() - 2];
    let n_lanes = Shape::from(lanes).size();
    let wide = operands.map(|x| convert(x, DType::F64));
    let size = |x: &Array| x.shape()[lanes.len()..].iter().product::<usize>();
    let sizes = results.map(|shape| shape.iter().product::<usize>());
    let mut out = sizes.map(|size| vec![0.0; n_lanes * size]);
    for lane in 0..n_lanes {
        let inputs = wide.each_ref().map(|x| &values::<f64>(x)[lane * size(x)..][..size(x)]);
        let mut sizes = sizes.iter();
        let outputs = out.each_mut().map(|out| {
            let size = *sizes.next().unwrap_or(&0);
            &mut out[lane * size..][..size]
        });
        f(inputs, outputs);
    }
    let mut shapes = results.iter();
    Ok(out.map(|values| {
        let shape = Shape::from([lanes, shapes.next().copied().unwrap_or_default()].concat());
        convert(&result(&shape, values), first.dtype())
    }))
}

/// The sides of the matrices `[.., m, n]`.
fn sides(what: &str, a: &Array) -> (usize, usize) {
    match a.shape()[..] {
        [.., m, n] if a.dtype().is_float() => (m, n),
        _ => bug(&format!("{what} of {}{}", a.dtype(), a.shape())),
    }
}

/// The side of the square matrices `[.., n, n]`.
fn square(what: &str, a: &Array) -> usize {
    match sides(what, a) {
        (m, n) if m == n => n,
        _ => bug(&format!("{what} of {}{}", a.dtype(), a.shape())),
    }
}

/// The side of `[.., n, n]` and the columns of `[.., n, m]`.
fn system(what: &str, a: &Array, b: &Array) -> (usize, usize) {
    let n = square(what, a);
    match sides(what, b) {
        (rows, m)
            if rows == n
                && b.shape()[..b.rank() - 2] == a.shape()[..a.rank() - 2]
                && a.dtype() == b.dtype() =>
        {
            (n, m)
        }
        _ => bug(&format!("{what} of {}{} and {}{}", a.dtype(), a.shape(), b.dtype(), b.shape())),
    }
}
