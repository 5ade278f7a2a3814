//! Approximate inverses of a curvature from a few examples.

use retrograde_array::ops::linalg::{Triangular, cholesky, svd, triangular_solve};
use retrograde_array::ops::{DotDims, dot_general};
use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, ArrayError};

use super::FiniteSumError;
use super::memory::{Memory, Remembered, list, number};
use super::problem::{Curvature, numbers};
use super::vector::{add_scaled, dot};

const LOWER: Triangular = Triangular { lower: true, transposed: false, unit: false };

/// (C + shift I)⁻¹ for the mean curvature C of some examples.
#[derive(Clone, Debug)]
pub(super) enum SubsampledInverse {
    /// By the Cholesky factor of the d × d matrix.
    Dense { factor: Array },
    /// By that of S shift I + A Aᵀ, for fewer examples S than parameters: (v − Aᵀ(S shift I + A Aᵀ)⁻¹A v)/shift (Woodbury 1950).
    Rows { rows: Array, factor: Array, shift: f64 },
}

impl SubsampledInverse {
    /// Cost: S d min(S, d) + min(S, d)³/3 multiplications.
    ///
    /// A matrix that is not positive gets ten times the shift until it is.
    pub(super) fn new(curvature: &Curvature, shift: f64) -> Result<Self, ArrayError> {
        let mut shift = shift;
        let (mut matrix, diagonal, rows) = match curvature {
            Curvature::Matrix { sum, n_examples } => (scaled(sum, 1.0 / *n_examples as f64), 1.0, None),
            Curvature::Rows(rows) => {
                let s = rows.shape()[0];
                if s >= rows.shape()[1] {
                    (scaled(&product(rows, rows, 0, 0), 1.0 / s as f64), 1.0, None)
                } else {
                    (product(rows, rows, 1, 1), s as f64, Some(rows))
                }
            }
        };
        let mut added = 0.0;
        // Sixty times ten is beyond any f64 that is not absurd: what is not positive then is not finite.
        for _ in 0..60 {
            add_to_diagonal(&mut matrix, diagonal * (shift - added));
            added = shift;
            let factor = cholesky(&matrix)?;
            if factor.get(0).is_some_and(|first| !first.to_f64().is_nan()) {
                return Ok(match rows {
                    Some(rows) => SubsampledInverse::Rows { rows: rows.clone(), factor, shift },
                    None => SubsampledInverse::Dense { factor },
                });
            }
            shift *= 10.0;
        }
        Ok(SubsampledInverse::Dense { factor: matrix })
    }
    pub(super) fn memory(&self) -> Memory {
        match self {
            SubsampledInverse::Dense { factor } => vec![("inverse.factor".into(), factor.clone())],
            SubsampledInverse::Rows { rows, factor, shift } => vec![
                ("inverse.factor".into(), factor.clone()),
                ("inverse.rows".into(), rows.clone()),
                number("inverse.shift", *shift),
            ],
        }
    }
    pub(super) fn remembered(memory: Remembered<'_>, d: usize) -> Result<Self, FiniteSumError> {
        if !memory.holds("inverse.rows") {
            let factor = memory.matrix("inverse.factor", Some(d), Some(d))?;
            return Ok(SubsampledInverse::Dense { factor });
        }
        let rows = memory.matrix("inverse.rows", None, Some(d))?;
        let s = rows.shape()[0];
        let factor = memory.matrix("inverse.factor", Some(s), Some(s))?;
        Ok(SubsampledInverse::Rows { rows, factor, shift: memory.number("inverse.shift")? })
    }
    /// Times g.
    pub(super) fn apply(&self, g: &[f64]) -> Result<Vec<f64>, ArrayError> {
        match self {
            SubsampledInverse::Dense { factor } => solve(factor, g),
            SubsampledInverse::Rows { rows, factor, shift } => {
                let inside = solve(factor, &numbers(&product(rows, &Array::vector(g.to_vec()), 1, 0)))?;
                let mut x = g.to_vec();
                add_scaled(&mut x, -1.0, &numbers(&product(rows, &Array::vector(inside), 0, 0)));
                x.iter_mut().for_each(|x| *x /= shift);
                Ok(x)
            }
        }
    }
}

/// (L Lᵀ)⁻¹ g.
fn solve(factor: &Array, g: &[f64]) -> Result<Vec<f64>, ArrayError> {
    let g = Array::new([g.len(), 1], g.to_vec())?;
    let half = triangular_solve(factor, &g, LOWER)?;
    Ok(numbers(&triangular_solve(factor, &half, Triangular { transposed: true, ..LOWER })?))
}

/// The largest squared length of a row, or the mean trace where there are no rows: a bound of the curvature of one example, and a
/// stand-in for it.
pub(super) fn curvature_bound(curvature: &Curvature) -> f64 {
    match curvature {
        Curvature::Rows(rows) => {
            numbers(rows).chunks(rows.shape()[1]).map(|row| dot(row, row)).fold(0.0, f64::max)
        }
        Curvature::Matrix { sum, n_examples } => {
            let d = sum.shape()[0];
            numbers(sum).iter().step_by(d + 1).sum::<f64>().max(0.0) / *n_examples as f64
        }
    }
}

/// base I + D diag(gains) Dᵀ: the inverse of e + μ along the largest eigenvalues e of a curvature, and of the smallest of them
/// elsewhere.
#[derive(Clone, Debug)]
pub(super) struct LowRankInverse {
    pub(super) base: f64,
    /// `[d, r]`, orthonormal columns.
    pub(super) directions: Array,
    pub(super) gains: Vec<f64>,
}

impl LowRankInverse {
    /// I.
    pub(super) fn identity(d: usize) -> LowRankInverse {
        LowRankInverse {
            base: 1.0,
            directions: Array::zeros(retrograde_array::DType::F64, [d, 1]),
            gains: vec![0.0],
        }
    }
    pub(super) fn memory(&self) -> Memory {
        let directions = ("directions".into(), self.directions.clone());
        vec![number("base", self.base), directions, list("gains", &self.gains)]
    }
    pub(super) fn remembered(memory: Remembered<'_>, d: usize) -> Result<Self, FiniteSumError> {
        let directions = memory.matrix("directions", Some(d), None)?;
        let gains = memory.list("gains", directions.shape()[1])?;
        Ok(LowRankInverse { base: memory.number("base")?, directions, gains })
    }
    /// From the products of a curvature C with `rank` random directions.
    ///
    /// C ≈ Y (ΩᵀY)⁻¹ Yᵀ with Y = C Ω; a shift keeps the small matrix positive and is taken off again.
    /// Source: Tropp, Yurtsever, Udell, Cevher 2017, Fixed-rank approximation of a positive-semidefinite matrix from streaming
    /// data, algorithm 3; as a preconditioner Frangella, Tropp, Udell 2023, Randomized Nyström preconditioning.
    pub(super) fn nystrom(curvature: &Curvature, rank: usize, mu: f64, key: Key) -> Result<Self, ArrayError> {
        let d = match curvature {
            Curvature::Rows(rows) => rows.shape()[1],
            Curvature::Matrix { sum, .. } => sum.shape()[0],
        };
        let times = |v: &Array| match curvature {
            Curvature::Rows(a) => scaled(&product(a, &product(a, v, 1, 0), 0, 0), 1.0 / a.shape()[0] as f64),
            Curvature::Matrix { sum, n_examples } => scaled(&product(sum, v, 1, 0), 1.0 / *n_examples as f64),
        };
        let rank = rank.min(d);
        let [omega, _] = retrograde_array::ops::linalg::qr(&normal(key, [d, rank]))?;
        let y = times(&omega);
        let size = numbers(&y).iter().map(|y| y * y).sum::<f64>().sqrt();
        // Half the digits of what the products can tell apart.
        let nu = 1e-10 * size;
        let y = plus(&y, &scaled(&omega, nu));
        let mut inner = product(&omega, &y, 0, 0);
        // Rounding alone may make a pivot negative.
        add_to_diagonal(&mut inner, f64::EPSILON * size);
        let factor = cholesky(&inner)?;
        // Bᵀ = L⁻¹ Yᵀ.
        let b = triangular_solve(&factor, &retrograde_array::ops::transpose(&y, &[1, 0]), LOWER)?;
        let [_, s, directions] = svd(&b)?;
        let e: Vec<f64> = numbers(&s).iter().map(|s| (s * s - nu).max(0.0)).collect();
        let smallest = e.last().copied().unwrap_or(0.0);
        let base = 1.0 / (2.0 * smallest + mu);
        let gains = e.iter().map(|e| 1.0 / (e + smallest + mu) - base).collect();
        Ok(LowRankInverse { base, directions, gains })
    }
    /// Its largest eigenvalue.
    pub(super) fn largest(&self) -> f64 {
        self.base + self.gains.iter().fold(0.0, |a: f64, b| a.max(*b))
    }
    /// The largest aᵀPa over rows a of a curvature.
    pub(super) fn largest_leverage(&self, curvature: &Curvature) -> f64 {
        let Curvature::Rows(rows) = curvature else { return curvature_bound(curvature) * self.largest() };
        let inside = numbers(&product(rows, &self.directions, 1, 0));
        let r = self.gains.len();
        let of_row = |(row, inside): (&[f64], &[f64])| {
            let outside = self.base * dot(row, row);
            outside + inside.iter().zip(&self.gains).map(|(i, gain)| gain * i * i).sum::<f64>()
        };
        numbers(rows).chunks(rows.shape()[1]).zip(inside.chunks(r)).map(of_row).fold(0.0, f64::max)
    }
}

/// Sums over one axis of each.
fn product(a: &Array, b: &Array, a_axis: usize, b_axis: usize) -> Array {
    let dims = DotDims {
        lhs_contract: vec![a_axis],
        rhs_contract: vec![b_axis],
        lhs_batch: vec![],
        rhs_batch: vec![],
    };
    dot_general(a, b, &dims)
}

fn scaled(a: &Array, by: f64) -> Array {
    let values = numbers(a).iter().map(|a| a * by).collect();
    Array::new(a.shape().clone(), values).expect("as many as before")
}

fn plus(a: &Array, b: &Array) -> Array {
    let values = numbers(a).iter().zip(numbers(b)).map(|(a, b)| a + b).collect();
    Array::new(a.shape().clone(), values).expect("as many as before")
}

fn add_to_diagonal(a: &mut Array, by: f64) {
    let n = a.shape()[0];
    let values = a.make_mut::<f64>().expect("matrices of a problem are f64; this is a bug in retrograde");
    values.iter_mut().step_by(n + 1).for_each(|v| *v += by);
}
