//! Linear systems and decompositions of matrices.
//!
//! Matrices are the last two axes, of `f64`, `f32` or `bf16` (computed in `f64`, rounded once); leading axes are lanes.
//! Everything differentiates in both modes, to any order, but where no derivative exists: each function says where that
//! is and what comes out. Bits are promised on one machine and build. In a build without the cargo feature `linalg`
//! (on by default) these are errors when the program runs.

use super::frame;
use super::var::{Var, caller, full, literal};
use crate::ir::Location;
use crate::prim::{Prim, cholesky, eigh, logdet, qr, solve, svd, triangle, triangular_solve};
use retrograde_array::DType;
use retrograde_array::ops::Part;
use retrograde_array::ops::linalg::Triangular;

/// The results of an operation with `N` of them; a refused one gives its stand-in `N` times.
fn record<const N: usize>(op: impl Into<Prim>, a: Var, location: Location) -> [Var; N] {
    let results = frame::record(op, &[a], location);
    std::array::from_fn(|i| results.get(i).copied().unwrap_or(results[0]))
}

fn part(a: Var, part: Part, location: Location) -> Var {
    frame::record1(triangle::Triangle { part }, &[a], location)
}

/// The entries on and below the diagonal, zeros above.   a: `[.., m, n]`
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, linalg::{diagonal, eye, tril, triu}};
/// use retrograde_array::array;
/// let a = array([[1.0, 2.0], [3.0, 4.0]]);
/// let (low, high) = jit(|a: Var| (tril(a), triu(a))).call(&a)?;
/// assert_eq!((low, high), (array([[1.0, 0.0], [3.0, 4.0]]), array([[1.0, 2.0], [0.0, 4.0]])));
/// let (entries, one) = jit(|a: Var| (diagonal(a), eye(a.dtype(), 2))).call(&a)?;
/// assert_eq!((entries, one), (array([1.0, 4.0]), array([[1.0, 0.0], [0.0, 1.0]])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn tril(a: Var) -> Var {
    part(a, Part::Lower, caller())
}

/// The entries on and above the diagonal, zeros below.   a: `[.., m, n]`
#[track_caller]
pub fn triu(a: Var) -> Var {
    part(a, Part::Upper, caller())
}

/// The diagonal of a square matrix.   a: `[.., n, n]` → `[.., n]`
#[track_caller]
pub fn diagonal(a: Var) -> Var {
    let location = caller();
    let kept = part(a, Part::Diagonal, location);
    frame::blame(location, || kept.sum_axes(&[kept.rank().saturating_sub(1)]))
}

/// The identity matrix.   `[n, n]`
#[track_caller]
pub fn eye(dtype: DType, n: usize) -> Var {
    let location = caller();
    frame::blame(location, || part(full(dtype, [n, n], 1.0), Part::Diagonal, location))
}

/// The lower Cholesky factor L of A = L Lᵀ.   a: `[.., n, n]` → the same shape, zeros above the diagonal.
///
/// Only the lower triangle of A counts: its gradient is zero above the diagonal. Pass `(a + a.t()) * 0.5` for a symmetric
/// one. A matrix that is not positive definite gives NaN, in its lane alone.
///
/// # Errors
/// At the front door, for what is not square or not floating-point.
/// # Cost
/// n³/3 flops; the derivative keeps L and takes about 4n³.
/// # Source
/// Murray 2016, Differentiation of the Cholesky decomposition.
///
/// ```
/// use retrograde_core::trace::{door::jit, linalg::cholesky};
/// use retrograde_array::array;
/// let l = jit(cholesky).call(&array([[4.0, 2.0], [2.0, 5.0]]))?;
/// assert_eq!(l, array([[2.0, 0.0], [1.0, 2.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn cholesky(a: Var) -> Var {
    frame::record1(cholesky::Cholesky, &[a], caller())
}

/// X of A X = B.   a: `[.., n, n]`, b: `[.., n, m]` or, with one axis fewer than a, vectors `[.., n]` → the shape of b.
///
/// A singular A gives infinities, NaN or, where rounding hides it, very large numbers.
///
/// # Errors
/// At the front door, where shapes or dtypes do not fit.
/// # Cost
/// LU with partial pivoting, 2n³/3 + 2n² m flops, as much again for the derivative, which keeps A and X.
/// # Source
/// Giles 2008, An extended collection of matrix derivative results, §2.2.
///
/// ```
/// use retrograde_core::trace::{Var, door::grad, linalg::solve};
/// use retrograde_array::array;
/// // The gradient of Σ A⁻¹ b in b is A⁻ᵀ 1.
/// let f = |b: Var, a: Var| solve(a, b).sum();
/// let slope = grad(f).wrt::<0>().call((&array([1.0, 1.0]), &array([[2.0, 0.0], [1.0, 4.0]])))?;
/// assert_eq!(slope, array([0.375, 0.25]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn solve(a: Var, b: Var) -> Var {
    let location = caller();
    columns(a, b, location, |b| frame::record1(solve::Solve { transposed: false }, &[a, b], location))
}

/// Vectors as single columns while `f` looks at them.
fn columns(a: Var, b: Var, location: Location, f: impl FnOnce(Var) -> Var) -> Var {
    if b.rank() + 1 != a.rank() {
        return f(b);
    }
    let shape = b.shape();
    frame::blame(location, || f(b.reshape([&shape[..], &[1]].concat())).reshape(shape))
}

/// The inverse.   a: `[.., n, n]`; infinities, NaN or very large numbers where A is singular. Prefer [`solve()`] where the
/// inverse only multiplies: it is faster and loses fewer digits.
///
/// # Errors
/// At the front door, for what is not square or not floating-point.
/// # Cost
/// 8n³/3 flops, as much again for the derivative, which keeps A and the inverse.
///
/// ```
/// use retrograde_core::trace::{door::jit, linalg::inv};
/// use retrograde_array::array;
/// assert_eq!(jit(inv).call(&array([[2.0, 1.0], [1.0, 1.0]]))?, array([[1.0, -1.0], [-1.0, 2.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn inv(a: Var) -> Var {
    let location = caller();
    frame::blame(location, || {
        let ones = literal(1.0, &a.ty(), location);
        solve(a, part(ones, Part::Diagonal, location))
    })
}

/// A triangular matrix, to solve systems with: [`lower`], [`upper`].
#[derive(Clone, Copy, Debug)]
pub struct TriangularMatrix {
    a: Var,
    which: Triangular,
}

/// The lower triangle of a matrix `[.., n, n]`, whose other entries are not read.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, linalg::lower};
/// use retrograde_array::array;
/// let l = array([[2.0, f64::NAN], [1.0, 4.0]]);
/// let x = jit(|l: Var, b: Var| lower(l).solve(b)).call((&l, &array([2.0, 9.0])))?;
/// assert_eq!(x, array([1.0, 2.0]));
/// let x = jit(|l: Var, b: Var| lower(l).transposed().solve(b)).call((&l, &array([4.0, 8.0])))?;
/// assert_eq!(x, array([1.0, 2.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn lower(a: Var) -> TriangularMatrix {
    TriangularMatrix { a, which: Triangular { lower: true, transposed: false, unit: false } }
}

/// The upper triangle of a matrix `[.., n, n]`, whose other entries are not read.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, linalg::upper};
/// use retrograde_array::array;
/// let a = array([[2.0, 2.0], [f64::NAN, 4.0]]);
/// let f = |a: Var, b: Var| (upper(a).solve(b), upper(a).unit_diagonal().solve(b));
/// assert_eq!(jit(f).call((&a, &array([6.0, 4.0])))?, (array([2.0, 1.0]), array([-2.0, 4.0])));
/// let right = |a: Var, b: Var| upper(a).solve_right(b);
/// assert_eq!(jit(right).call((&a, &array([[2.0, 6.0]])))?, array([[1.0, 1.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn upper(a: Var) -> TriangularMatrix {
    TriangularMatrix { a, which: Triangular { lower: false, transposed: false, unit: false } }
}

impl TriangularMatrix {
    /// The transposed matrix.
    pub fn transposed(mut self) -> Self {
        self.which.transposed = !self.which.transposed;
        self
    }
    /// With ones on the diagonal, whatever stands there.
    pub fn unit_diagonal(mut self) -> Self {
        self.which.unit = true;
        self
    }
    /// X of A X = B.   b: `[.., n, m]` or vectors `[.., n]` → its shape. A zero on the diagonal gives infinities or NaN.
    ///
    /// # Errors
    /// At the front door, where shapes or dtypes do not fit.
    /// # Cost
    /// n² m flops; the derivative keeps A and X and takes n² m and, in A, 2n² m more.
    #[track_caller]
    pub fn solve(self, b: Var) -> Var {
        let location = caller();
        let op = triangular_solve::TriangularSolve { which: self.which };
        columns(self.a, b, location, |b| frame::record1(op, &[self.a, b], location))
    }
    /// X of X A = B.   b: `[.., m, n]` → its shape. Otherwise as [`TriangularMatrix::solve`].
    #[track_caller]
    pub fn solve_right(self, b: Var) -> Var {
        let location = caller();
        let op = triangular_solve::TriangularSolve { which: self.transposed().which };
        frame::blame(location, || {
            let turned = frame::record1(op, &[self.a, transposed(b)], location);
            transposed(turned)
        })
    }
}

/// Each matrix transposed.
#[track_caller]
fn transposed(x: Var) -> Var {
    let mut perm: Vec<usize> = (0..x.rank()).collect();
    if let [.., i, j] = &mut perm[..] {
        std::mem::swap(i, j);
    }
    x.transpose(&perm)
}

/// Sign (-1, 0 or 1) and logarithm of the absolute value of the determinant.   a: `[.., n, n]` → two of `[..]`
///
/// The sign has no derivative, the logarithm has A⁻ᵀ. A singular A gives 0 and -∞ and a derivative that is not finite.
///
/// # Errors
/// At the front door, for what is not square or not floating-point.
/// # Cost
/// 2n³/3 flops; the derivative keeps A and takes 8n³/3.
/// # Source
/// Giles 2008, An extended collection of matrix derivative results, §2.2.4.
///
/// ```
/// use retrograde_core::trace::{door::jit, linalg::slogdet};
/// use retrograde_array::array;
/// let a = array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]]]);
/// assert_eq!(jit(slogdet).call(&a)?, (array([-1.0, 0.0]), array([0.0, f64::NEG_INFINITY])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn slogdet(a: Var) -> (Var, Var) {
    let [sign, log] = record(logdet::Logdet, a, caller());
    (sign, log)
}

/// log |det A|, as [`slogdet`] has it.   a: `[.., n, n]` → `[..]`
///
/// ```
/// use retrograde_core::trace::{door::grad, linalg::logdet};
/// use retrograde_array::array;
/// let slope = grad(logdet).call(&array([[2.0, 0.0], [1.0, 4.0]]))?;
/// assert_eq!(slope, array([[0.5, -0.125], [0.0, 0.25]])); // the inverse, transposed
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn logdet(a: Var) -> Var {
    let [_, log] = record(logdet::Logdet, a, caller());
    log
}

/// Q and R of A = Q R.   a: `[.., m, n]` → q: `[.., m, k]`, r: `[.., k, n]`, k = min(m, n)
///
/// Q has orthonormal columns, R is upper triangular with a diagonal ≥ 0. Where the first k columns of A are dependent
/// there is no derivative: what comes out is not finite.
///
/// # Errors
/// At the front door, for what is no matrix or not floating-point.
/// # Cost
/// About 4 m n k flops; the derivative keeps Q and R and takes two to three times as much.
/// # Source
/// Walter & Lehmann 2010, Algorithmic differentiation of linear algebra functions, §3.1.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, linalg::qr};
/// use retrograde_array::array;
/// let a = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let (q, r) = jit(qr).call(&a)?;
/// assert_eq!((&q.shape()[..], &r.shape()[..]), (&[3, 2][..], &[2, 2][..]));
/// let again = jit(|q: Var, r: Var| q.dot(r)).call((&q, &r))?.to_vec::<f64>().unwrap();
/// assert!(again.iter().zip(1..).all(|(x, i)| (x - f64::from(i)).abs() < 1e-14));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn qr(a: Var) -> (Var, Var) {
    let [q, r] = record(qr::Qr, a, caller());
    (q, r)
}

/// Eigenvalues and eigenvectors of symmetric matrices, A = V diag(w) Vᵀ.   a: `[.., n, n]` → w: `[.., n]`, ascending;
/// v: `[.., n, n]`, columns.
///
/// Only the lower triangle of A counts, as for [`cholesky()`]. Of each eigenvector the first entry within a thousandth of the
/// largest magnitude is positive. Where eigenvalues are equal, the derivative of their eigenvectors, and the second one of
/// the eigenvalues, is not finite.
///
/// # Errors
/// At the front door, for what is not square or not floating-point.
/// # Cost
/// About 9n³ flops; the derivative keeps w and V and takes 8n³.
/// # Source
/// Magnus 1985, On differentiating eigenvalues and eigenvectors.
///
/// ```
/// use retrograde_core::trace::{Var, door::grad, linalg::eigh};
/// use retrograde_array::array;
/// // The slope of an eigenvalue is v vᵀ, here with v = (0, 1).
/// let slope = grad(|a: Var| eigh(a).0.index(0, 1)).call(&array([[1.0, 0.0], [0.0, 3.0]]))?;
/// assert_eq!(slope, array([[0.0, 0.0], [0.0, 1.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn eigh(a: Var) -> (Var, Var) {
    let [w, v] = record(eigh::Eigh, a, caller());
    (w, v)
}

/// The reduced singular value decomposition A = U diag(s) Vᵀ.   a: `[.., m, n]` → u: `[.., m, k]`, s: `[.., k]`,
/// descending, v: `[.., n, k]`, k = min(m, n)
///
/// V is not transposed. Of each column of U the first entry within a thousandth of the largest magnitude is positive. Where
/// singular values are equal, or zero with m ≠ n, the derivative of their vectors is not finite.
///
/// # Errors
/// At the front door, for what is no matrix or not floating-point.
/// # Cost
/// About 20 m n k flops; the derivative keeps U, s and V and takes about as much.
/// # Source
/// Townsend 2016, Differentiating the singular value decomposition.
///
/// ```
/// use retrograde_core::trace::{Var, door::grad, linalg::svd};
/// use retrograde_array::array;
/// // The slope of the nuclear norm is U Vᵀ.
/// let slope = grad(|a: Var| svd(a).1.sum()).call(&array([[3.0, 0.0], [0.0, -2.0]]))?;
/// assert_eq!(slope, array([[1.0, 0.0], [0.0, -1.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn svd(a: Var) -> (Var, Var, Var) {
    let [u, s, v] = record(svd::Svd, a, caller());
    (u, s, v)
}
