//! Spectral normalisation: weights over their largest singular value, found by a few steps of power iteration at a time.
//!
//! The singular vectors go in and come out; the derivative holds them fixed. Law: inexact by that, and exact where they have converged.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_derive::Tree;

use super::refuse::refuse;
use crate::catalogue::{Law, Property, Source, Trick};

/// Spectral normalisation.
pub const SPECTRAL: Trick = Trick {
    id: "A12",
    name: "spectral normalisation",
    formula: "w / s(w), s = u'wv, ds = u' dw v, u and v by power iteration and held constant",
    law: Law::Inexact { what: "u and v are held constant: the term through them vanishes as they converge" },
    cite: &[Source {
        authors: "T. Miyato and T. Kataoka and M. Koyama and Y. Yoshida",
        title: "Spectral normalization for generative adversarial networks",
        venue: "International Conference on Learning Representations",
        year: 2018,
    }],
    file: file!(),
    example: "Vectors",
    property: Property {
        claim: "the gradient of s is u v' to the bit, and converges to the derivative of the largest singular value as u and v do",
        test: "the_slope_of_a_singular_value_is_that_with_its_vectors_fixed",
        found: "gradient of s is u v' in every bit; off by 1.7, 0.094, 5.1e-4, 1.8e-10 after 1, 4, 16, 300 steps",
    },
};

/// Estimates of the singular vectors of a weight `[rows, columns]`, each of length 1.
///
/// # Errors
/// At the front door, where they do not fit the weight.
/// # Cost
/// 4 rows·columns operations for each step and 2 for the singular value; the derivative keeps both vectors.
/// # Source
/// [`SPECTRAL`]: Miyato et al. 2018, algorithm 1 and eq. 10.
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::spectral_norm::Vectors;
/// let w = array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]);
/// // In training, one step for each update of the weight: the vectors follow it.
/// let f = jit(|w: Var, vectors: Vectors<Var>| {
///     let vectors = vectors.follow(w, 60);
///     (vectors.normalise(w), vectors.value(w), vectors)
/// });
/// let (unit, value, vectors) = f.call((&w, &Vectors::new(Key::from_seed(1), 2, 3, DType::F64)))?;
/// assert_eq!((unit, value), (array([[0.75, 0.0, 0.0], [0.0, 1.0, 0.0]]), array(4.0)));
/// let error = f.call((&array([[1.0, 2.0]]), &vectors)).unwrap_err();
/// assert!(error.to_string().starts_with("error: spectral_norm: found f64[1,2] of w for vectors of 2 rows and 3 columns"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Vectors<T> {
    /// `[rows]`
    pub left: T,
    /// `[columns]`
    pub right: T,
}

impl Vectors<Array> {
    /// Random directions.
    pub fn new(key: Key, rows: usize, columns: usize, dtype: DType) -> Vectors<Array> {
        let keys = key.split(2);
        let direction = |key: Key, n: usize| {
            let mut draw = normal(key, [n]);
            if let Some(entries) = draw.make_mut::<f64>() {
                let length = entries.iter().map(|x| x * x).sum::<f64>().sqrt();
                entries.iter_mut().for_each(|x| *x /= length);
            }
            ops::convert(&draw, dtype)
        };
        Vectors { left: direction(keys[0], rows), right: direction(keys[1], columns) }
    }
}

impl Vectors<Var> {
    /// Whether they fit; notes it where they do not.
    #[track_caller]
    fn fits(&self, w: Var) -> bool {
        let (rows, columns) = (self.left.shape(), self.right.shape());
        let fits = w.shape()[..] == [&rows[..], &columns[..]].concat();
        if !fits {
            let [rows, columns] = [rows, columns].map(|s| s.first().copied().unwrap_or(0));
            refuse(
                format!(
                    "spectral_norm: found {} of w for vectors of {rows} rows and {columns} columns",
                    w.ty()
                ),
                "make the vectors for this weight: Vectors::new(key, rows, columns, dtype)",
            );
        }
        fits
    }
    /// After `n_steps` steps of power iteration on w, without derivative.
    #[track_caller]
    pub fn follow(&self, w: Var, n_steps: usize) -> Vectors<Var> {
        if !self.fits(w) {
            return self.clone();
        }
        let w = w.stop_gradient();
        let start = (self.left.stop_gradient(), self.right.stop_gradient());
        let (left, right) = scan(n_steps).repeat(start, |(left, _)| {
            let right = left.dot(w);
            let right = right / right.norm();
            let left = w.dot(right);
            (left / left.norm(), right)
        });
        Vectors { left, right }
    }
    /// The estimate `uᵀ w v` of the largest singular value; its derivative is `uᵀ ẇ v`.
    #[track_caller]
    pub fn value(&self, w: Var) -> Var {
        if !self.fits(w) {
            return w.sum();
        }
        self.left.stop_gradient().dot(w).dot(self.right.stop_gradient())
    }
    /// The weight over that estimate: `[rows, columns]`.
    #[track_caller]
    pub fn normalise(&self, w: Var) -> Var {
        w / self.value(w)
    }
}
