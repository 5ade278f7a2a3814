//! Batches whose independence the compiler watches over.
//!
//! The mean of a product of estimates is the product of their means only if they are independent: one batch in two factors of
//! `(I − η Ĥ₂)(I − η Ĥ₁)` estimates something else. So a drawn batch is a value that can be used once: [`Batch`] is neither `Copy`
//! nor `Clone`, and the product that uses it consumes it. Value, gradient and product of one sweep may share a batch, and do.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType, ops};
use retrograde_core::ir::Location;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Tree, Var};

use super::error::Cause;
use super::objective::leaves;
use super::product::arrays;

/// A batch that no factor has used yet.
///
/// Using one in two factors does not compile (E0382, use of a moved value):
///
/// ```compile_fail,E0382
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::{Batches, hessian_vp};
/// let data = array([[1.0, 0.0], [0.5, 2.0], [1.0, 1.0]]);
/// let batches = Batches::of(&data, 2).unwrap();
/// let product = hessian_vp(|p: Var, x: Var| x.dot(p).powi(4).mean());
/// let (p, v) = (array([1.0, 2.0]), array([1.0, 0.0]));
/// let batch = batches.draw(Key::from_seed(1));
/// let first = product.on(&p, batch, &v).unwrap();
/// let second = product.on(&p, batch, &first).unwrap(); // the same batch again: biased
/// ```
///
/// Nor does copying it (E0599, there is no `clone`):
///
/// ```compile_fail,E0599
/// use retrograde_array::{array, rng::Key};
/// use retrograde_solve::curvature::Batches;
/// let data = array([[1.0, 0.0], [0.5, 2.0]]);
/// let batch = Batches::of(&data, 2).unwrap().draw(Key::from_seed(1));
/// let again = batch.clone();
/// ```
///
/// Another batch does:
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::{Batches, hessian_vp};
/// let data = array([[1.0, 0.0], [0.5, 2.0], [1.0, 1.0]]);
/// let batches = Batches::of(&data, 2).unwrap();
/// let product = hessian_vp(|p: Var, x: Var| x.dot(p).powi(4).mean());
/// let (p, v) = (array([1.0, 2.0]), array([1.0, 0.0]));
/// let [one, other] = [0, 1].map(|step| batches.draw(Key::from_seed(1).fold_in(step)));
/// let first = product.on(&p, one, &v).unwrap();
/// let second = product.on(&p, other, &first).unwrap();
/// assert_eq!(second.shape()[..], [2]);
/// ```
#[derive(Debug)]
#[must_use = "a batch is drawn to be used"]
pub struct Batch<T> {
    rows: T,
}

impl<T> Batch<T> {
    pub(super) fn new(rows: T) -> Batch<T> {
        Batch { rows }
    }
    /// What it holds; it is used then.
    pub(super) fn used(self) -> T {
        self.rows
    }
}

/// Where batches come from.
#[derive(Clone, Debug)]
pub(super) enum Source<A> {
    /// Rows of a data set, drawn with replacement.
    Rows { data: A, n_rows: usize, size: usize },
    /// As they are given, each once.
    Given(Vec<A>),
}

/// Independent batches: rows of a data set drawn with replacement, or given ones, each used once.
///
/// Batches without replacement within an epoch are not independent: each knows what the ones before it left.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_solve::curvature::Batches;
/// let data = (array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), array([0_i64, 1, 1]));
/// assert_eq!(Batches::of(&data, 2)?.n_rows(), 3);
/// let error = Batches::of(&data, 0).unwrap_err().to_string();
/// assert!(error.contains("found batches of 0 rows, expected at least one"));
/// # Ok::<(), retrograde_solve::curvature::CurvatureError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches<A> {
    pub(super) source: Source<A>,
}

impl<A: Tree<Leaf = Array, With<Array> = A>> Batches<A> {
    /// Batches of `size` rows, drawn from `data` independently and with replacement. Every leaf has one row for each example.
    ///
    /// # Errors
    /// No data, leaves with another number of rows, batches without rows.
    #[track_caller]
    pub fn of(data: &A, size: usize) -> Result<Batches<A>, super::CurvatureError> {
        let location = Location(std::panic::Location::caller());
        let n_rows = rows_of(data).map_err(|cause| cause.at(location))?;
        if size == 0 {
            return Err(Cause::EmptyBatch { what: "batches of 0 rows".into() }.here());
        }
        let data = data.map(&mut Clone::clone);
        Ok(Batches { source: Source::Rows { data, n_rows, size } })
    }
    /// These batches, independent of each other, each to be used once; all of the same shapes. The curvature that is solved for is
    /// the mean of theirs.
    ///
    /// # Errors
    /// No batch, one without rows, batches of several shapes.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_solve::curvature::Batches;
    /// let batches = Batches::given(vec![array([[1.0, 2.0]]), array([[3.0, 4.0]])])?;
    /// assert_eq!(batches.n_rows(), 2);
    /// assert!(Batches::given(Vec::<retrograde_array::Array>::new()).is_err());
    /// # Ok::<(), retrograde_solve::curvature::CurvatureError>(())
    /// ```
    #[track_caller]
    pub fn given(batches: Vec<A>) -> Result<Batches<A>, super::CurvatureError> {
        let Some(first) = batches.first() else {
            return Err(Cause::EmptyBatch { what: "no batches".into() }.here());
        };
        let location = Location(std::panic::Location::caller());
        rows_of(first).map_err(|cause| cause.at(location))?;
        let shapes = |batch: &A| shapes_of(batch);
        if let Some(other) = batches.iter().find(|batch| shapes(batch) != shapes(first)) {
            return Err(Cause::Uneven { shapes: format!("{} and {}", shapes(first), shapes(other)) }.here());
        }
        Ok(Batches { source: Source::Given(batches) })
    }
    /// How many rows there are in all.
    pub fn n_rows(&self) -> usize {
        match &self.source {
            Source::Rows { n_rows, .. } => *n_rows,
            Source::Given(batches) => batches.iter().map(|batch| rows_of(batch).unwrap_or(0)).sum(),
        }
    }
    /// The batch of a key: rows drawn with replacement, or one of the given batches.
    ///
    /// One key gives one batch; give each factor a key of its own (`key.fold_in(step)`).
    pub fn draw(&self, key: Key) -> Batch<A> {
        let position = |n: usize, u: f64| ((u * n as f64) as usize).min(n - 1);
        let draws = |n: usize, of: usize| -> Vec<i64> {
            let u = uniform(key, [n]).to_vec::<f64>().expect("uniform draws are f64");
            u.into_iter().map(|u| position(of, u) as i64).collect()
        };
        Batch::new(match &self.source {
            Source::Rows { data, n_rows, size } => {
                let at = Array::vector(draws(*size, *n_rows));
                data.map(&mut |leaf| ops::gather(leaf, &at, 0, 0).expect("positions are within the rows"))
            }
            Source::Given(batches) => batches[draws(1, batches.len())[0] as usize].map(&mut Clone::clone),
        })
    }
}

fn shapes_of<A: Tree<Leaf = Array>>(data: &A) -> String {
    arrays(data).iter().map(|leaf| format!("{}{}", leaf.dtype(), leaf.shape())).collect::<Vec<_>>().join(", ")
}

/// How many rows all leaves have.
fn rows_of<A: Tree<Leaf = Array>>(data: &A) -> Result<usize, Cause> {
    let all = arrays(data);
    let n = all.first().and_then(|leaf| leaf.shape().first().copied());
    if all.iter().any(|leaf| leaf.shape().first().copied() != n) || n.is_none() {
        return Err(Cause::Uneven { shapes: shapes_of(data) });
    }
    match n {
        Some(0) | None => Err(Cause::EmptyBatch { what: format!("data of shapes {}", shapes_of(data)) }),
        Some(n) => Ok(n),
    }
}

/// Inside traced code: `size` of the leading rows of these leaves, by a key (`i64[2]`).
pub(super) fn draw_rows<B: Traceable>(data: &B, n_rows: usize, size: usize, key: Var) -> Batch<B> {
    let u = retrograde_core::trace::var::uniform(key, [size]);
    // A product with the last number below one may round up to n.
    let at = (u * n_rows as f64).floor().min((n_rows - 1) as f64).convert(DType::I64);
    debug_assert!(!leaves(data).is_empty());
    Batch::new(data.map_vars(&mut |leaf| leaf.gather(0, at)))
}
