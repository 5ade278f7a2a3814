//! One matrix at a time, in `faer`: row-major slices in, row-major slices out, nothing of its types beyond this file.
//!
//! Operands are copied into matrices of its own, so that neither alignment nor the place in a batch can reach a bit.
//!
//! Note [signs]: eigenvectors and singular vectors are fixed up to a sign. Here the first entry within a thousandth of the
//! largest magnitude of the column is positive. Singular pairs turn together, by their left vector. The tolerance keeps
//! columns such as (1, -1)/√2 from turning on the last bit.

use faer::linalg::solvers::Solve;
use faer::linalg::triangular_solve as triangular;
use faer::{Mat, MatMut, MatRef, Par, Side};

use super::Triangular;
use crate::map;

fn matrix(a: &[f64], [m, n]: [usize; 2]) -> Mat<f64> {
    Mat::from_fn(m, n, |i, j| a[i * n + j])
}

fn write(from: MatRef<'_, f64>, to: &mut [f64]) {
    let n = from.ncols();
    for (at, to) in to.iter_mut().enumerate() {
        *to = from[(at / n, at % n)];
    }
}

fn lower_is_finite(a: &[f64], n: usize) -> bool {
    (0..n).all(|i| a[i * n..=i * n + i].iter().all(|x| x.is_finite()))
}

/// The power of two that brings the largest magnitude to [1, 2): products of entries neither overflow nor vanish, and
/// scaling by it is exact. 1 for zeros.
fn scale(a: &[f64]) -> f64 {
    let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let exponent = (largest.to_bits() >> 52) as i64 - 1023;
    if largest == 0.0 { 1.0 } else { power_of_two(exponent.clamp(-1022, 1022)) }
}

/// 2^exponent, for exponents of normal numbers.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

fn scaled(a: &[f64], sides: [usize; 2], by: f64) -> Mat<f64> {
    let mut a = matrix(a, sides);
    a.col_iter_mut().for_each(|column| column.iter_mut().for_each(|x| *x /= by));
    a
}

/// See Note [signs]: -1 where the column has to turn.
fn sign_of(column: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = column.clone().fold(0.0, |m: f64, x| m.max(x.abs()));
    match column.clone().find(|x| x.abs() >= 0.999 * largest) {
        Some(x) if x < 0.0 => -1.0,
        _ => 1.0,
    }
}

pub(super) fn cholesky(a: &[f64], n: usize, l: &mut [f64]) {
    let factor = lower_is_finite(a, n).then(|| matrix(a, [n, n]).llt(Side::Lower).ok()).flatten();
    for i in 0..n {
        for j in 0..=i {
            l[i * n + j] = factor.as_ref().map_or(f64::NAN, |factor| factor.L()[(i, j)]);
        }
    }
}

pub(super) fn triangular_solve(a: &[f64], b: &[f64], [n, m]: [usize; 2], which: Triangular, x: &mut [f64]) {
    let (a, mut b) = (matrix(a, [n, n]), matrix(b, [n, m]));
    let a = if which.transposed { a.transpose() } else { a.as_ref() };
    let solve: fn(MatRef<'_, f64>, MatMut<'_, f64>, Par) = match (which.lower != which.transposed, which.unit)
    {
        (true, false) => |a, b, par| triangular::solve_lower_triangular_in_place(a, b, par),
        (true, true) => |a, b, par| triangular::solve_unit_lower_triangular_in_place(a, b, par),
        (false, false) => |a, b, par| triangular::solve_upper_triangular_in_place(a, b, par),
        (false, true) => |a, b, par| triangular::solve_unit_upper_triangular_in_place(a, b, par),
    };
    solve(a, b.as_mut(), Par::Seq);
    write(b.as_ref(), x);
}

pub(super) fn solve(a: &[f64], b: &[f64], [n, m]: [usize; 2], transposed: bool, x: &mut [f64]) {
    let lu = matrix(a, [n, n]).partial_piv_lu();
    let b = matrix(b, [n, m]);
    let solution = if transposed { lu.solve_transpose(b) } else { lu.solve(b) };
    write(solution.as_ref(), x);
}

pub(super) fn logdet(a: &[f64], n: usize, sign: &mut [f64], log: &mut [f64]) {
    let lu = matrix(a, [n, n]).partial_piv_lu();
    let (mut odd, mut total) = (false, 0.0);
    let mut is_zero = false;
    for i in 0..n {
        let pivot = lu.U()[(i, i)];
        odd ^= pivot < 0.0;
        is_zero |= pivot == 0.0;
        total += map::log_f64(pivot.abs());
    }
    let (forward, _) = lu.P().arrays();
    odd ^= is_odd(forward);
    (sign[0], log[0]) = match (is_zero, odd) {
        _ if total.is_nan() => (f64::NAN, f64::NAN),
        (true, _) => (0.0, f64::NEG_INFINITY),
        (_, true) => (-1.0, total),
        (_, false) => (1.0, total),
    };
}

/// Whether a permutation is an odd number of exchanges: cycles of even length are.
fn is_odd(permutation: &[usize]) -> bool {
    let mut seen = vec![false; permutation.len()];
    let mut odd = false;
    for start in 0..permutation.len() {
        let mut at = permutation[start];
        while !seen[start] && at != start {
            seen[at] = true;
            odd = !odd;
            at = permutation[at];
        }
    }
    odd
}

pub(super) fn qr(a: &[f64], [m, n]: [usize; 2], q: &mut [f64], r: &mut [f64]) {
    let k = m.min(n);
    if a.is_empty() {
        return;
    }
    if !a.iter().all(|x| x.is_finite()) {
        q.fill(f64::NAN);
        r.fill(f64::NAN);
        return;
    }
    let by = scale(a);
    let factors = scaled(a, [m, n], by).qr();
    let (basis, upper) = (factors.compute_thin_Q(), factors.thin_R());
    for l in 0..k {
        let sign = if upper[(l, l)] < 0.0 { -1.0 } else { 1.0 };
        (0..m).for_each(|i| q[i * k + l] = sign * basis[(i, l)]);
        (l..n).for_each(|j| r[l * n + j] = sign * upper[(l, j)] * by);
    }
}

pub(super) fn eigh(a: &[f64], n: usize, w: &mut [f64], v: &mut [f64]) {
    if n == 0 {
        return;
    }
    let lower: Vec<f64> = (0..n * n).map(|at| if at % n <= at / n { a[at] } else { 0.0 }).collect();
    let by = scale(&lower);
    let found =
        lower_is_finite(a, n).then(|| scaled(&lower, [n, n], by).self_adjoint_eigen(Side::Lower).ok());
    let Some(found) = found.flatten() else {
        w.fill(f64::NAN);
        v.fill(f64::NAN);
        return;
    };
    for j in 0..n {
        let column = (0..n).map(|i| found.U()[(i, j)]);
        let sign = sign_of(column.clone());
        w[j] = found.S()[j] * by;
        column.enumerate().for_each(|(i, x)| v[i * n + j] = sign * x);
    }
}

pub(super) fn svd(a: &[f64], [m, n]: [usize; 2], u: &mut [f64], s: &mut [f64], v: &mut [f64]) {
    let k = m.min(n);
    if a.is_empty() {
        return;
    }
    let by = scale(a);
    let found = a.iter().all(|x| x.is_finite()).then(|| scaled(a, [m, n], by).thin_svd().ok());
    let Some(found) = found.flatten() else {
        for part in [u, s, v] {
            part.fill(f64::NAN);
        }
        return;
    };
    for j in 0..k {
        let column = (0..m).map(|i| found.U()[(i, j)]);
        let sign = sign_of(column.clone());
        s[j] = found.S()[j] * by;
        column.enumerate().for_each(|(i, x)| u[i * k + j] = sign * x);
        (0..n).for_each(|i| v[i * k + j] = sign * found.V()[(i, j)]);
    }
}
