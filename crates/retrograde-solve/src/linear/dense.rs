//! Small dense matrices: what Krylov bases, samples of rows and low-rank approximations come down to. Rows of `f64`.
//!
//! The library's decompositions (`ops::linalg`) need the cargo feature `linalg`; these do not.

use super::flat::dot;

/// Rows.
pub(crate) type Matrix = Vec<Vec<f64>>;

/// The lower factor L of A = L Lᵀ; none where A is not positive definite beyond rounding.
pub(crate) fn cholesky(a: &Matrix) -> Option<Matrix> {
    let n = a.len();
    let mut l: Matrix = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = a[i][j] - dot(&l[i][..j], &l[j][..j]);
            if i == j {
                if rest <= f64::EPSILON * n as f64 * a[i][i].abs() || rest.is_nan() {
                    return None;
                }
                l[i][i] = rest.sqrt();
            } else {
                l[i][j] = rest / l[j][j];
            }
        }
    }
    Some(l)
}

/// x of L Lᵀ x = b.
pub(crate) fn cholesky_solve(l: &Matrix, b: &[f64]) -> Vec<f64> {
    let n = l.len();
    let mut x = b.to_vec();
    for i in 0..n {
        x[i] = (x[i] - dot(&l[i][..i], &x[..i])) / l[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| l[k][i] * x[k]).sum();
        x[i] = (x[i] - known) / l[i][i];
    }
    x
}

/// Eigenvalues, ascending, and eigenvectors (one a row) of a symmetric matrix, by Jacobi's rotations.
///
/// Source: Golub & Van Loan 2013, algorithm 8.5.3 (cyclic Jacobi); it converges quadratically once sweeps have begun to.
pub(crate) fn symmetric_eigen(a: &Matrix) -> (Vec<f64>, Matrix) {
    /// More sweeps than it ever takes: 6 to 10 do for n up to a thousand.
    const SWEEPS: usize = 60;
    let n = a.len();
    let mut a = a.clone();
    let mut v: Matrix = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..SWEEPS {
        let total: f64 = a.iter().map(|row| dot(row, row)).sum();
        // Summed directly: a difference of two sums would hide it in rounding.
        let beside = |i: usize| (0..n).filter(move |&j| j != i);
        let off: f64 = (0..n).map(|i| beside(i).map(|j| a[i][j] * a[i][j]).sum::<f64>()).sum();
        if off <= f64::EPSILON * f64::EPSILON * total {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                let turn = |pair: (f64, f64)| (c * pair.0 - s * pair.1, s * pair.0 + c * pair.1);
                for row in &mut a {
                    (row[p], row[q]) = turn((row[p], row[q]));
                }
                for matrix in [&mut a, &mut v] {
                    let (low, high) = matrix.split_at_mut(q);
                    low[p].iter_mut().zip(&mut high[0]).for_each(|(x, y)| (*x, *y) = turn((*x, *y)));
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i][i].total_cmp(&a[j][j]));
    (order.iter().map(|&i| a[i][i]).collect(), order.iter().map(|&i| v[i].clone()).collect())
}

/// [`symmetric_eigen`] of the tridiagonal matrix with this diagonal and these entries beside it.
pub(crate) fn tridiagonal_eigen(diagonal: &[f64], beside: &[f64]) -> (Vec<f64>, Matrix) {
    let n = diagonal.len();
    let mut a = vec![vec![0.0; n]; n];
    for i in 0..n {
        a[i][i] = diagonal[i];
        if i + 1 < n {
            a[i][i + 1] = beside[i];
            a[i + 1][i] = beside[i];
        }
    }
    symmetric_eigen(&a)
}

#[cfg(test)]
mod tests {
    use retrograde_array::rng::{Key, normal};

    use super::*;

    fn gram(n: usize) -> Matrix {
        let z = normal(Key::from_seed(3), [n, n]).to_vec::<f64>().unwrap();
        let rows: Vec<&[f64]> = z.chunks(n).collect();
        (0..n).map(|i| (0..n).map(|j| dot(rows[i], rows[j])).collect()).collect()
    }

    #[test]
    fn factors_and_eigenvectors_give_the_matrix_back() {
        let a = gram(12);
        let size = a.iter().map(|row| dot(row, row)).sum::<f64>().sqrt();
        let l = cholesky(&a).unwrap();
        let (values, vectors) = symmetric_eigen(&a);
        for i in 0..12 {
            for j in 0..12 {
                let of_vectors: f64 = (0..12).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                assert!((of_vectors - a[i][j]).abs() < 1e-14 * size, "{i} {j}");
                assert!((dot(&l[i], &l[j]) - a[i][j]).abs() < 1e-14 * size, "{i} {j}");
            }
        }
        assert!(values.is_sorted());
        let x = cholesky_solve(&l, &a[3]);
        assert!(x.iter().enumerate().all(|(i, x)| (x - f64::from(u8::from(i == 3))).abs() < 1e-9));
    }

    #[test]
    fn what_is_not_positive_has_no_factor() {
        assert_eq!(cholesky(&vec![vec![1.0, 2.0], vec![2.0, 1.0]]), None);
        assert_eq!(cholesky(&vec![vec![1.0, 1.0], vec![1.0, 1.0]]), None);
    }

    #[test]
    fn eigenvalues_of_a_second_difference_are_known() {
        let n = 20;
        let (values, _) = tridiagonal_eigen(&vec![2.0; n], &vec![-1.0; n - 1]);
        for (k, value) in values.iter().enumerate() {
            let angle = std::f64::consts::PI * (k + 1) as f64 / (2.0 * (n + 1) as f64);
            assert!((value - 4.0 * angle.sin().powi(2)).abs() < 1e-13, "{k}");
        }
    }
}
