//! What runs and methods remember between two steps, as arrays by name, and reading it back.

use retrograde_array::{Array, DType};

use super::FiniteSumError;
use super::run::vector;

/// Arrays by name: numbers, vectors and matrices in `f64`, counts in `i64`.
pub type Memory = Vec<(String, Array)>;

pub(super) fn number(name: &str, value: f64) -> (String, Array) {
    (name.into(), Array::scalar(value))
}

pub(super) fn count(name: &str, value: usize) -> (String, Array) {
    (name.into(), Array::scalar(value as i64))
}

pub(super) fn list(name: &str, values: &[f64]) -> (String, Array) {
    (name.into(), vector(values))
}

/// Vectors of d numbers as the rows of a matrix.
pub(super) fn rows<'v>(name: &str, d: usize, vectors: impl Iterator<Item = &'v Vec<f64>>) -> (String, Array) {
    let flat: Vec<f64> = vectors.flatten().copied().collect();
    let n = flat.len() / d.max(1);
    let matrix = Array::new([n, d], flat).expect("vectors of one length; this is a bug in retrograde");
    (name.into(), matrix)
}

/// Memory that is read back.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'m>(pub(super) &'m [(String, Array)]);

impl Remembered<'_> {
    pub(super) fn holds(self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
    pub(super) fn number(self, name: &'static str) -> Result<f64, FiniteSumError> {
        let array = self.array(name, DType::F64, &[])?;
        Ok(array.item::<f64>().unwrap_or(f64::NAN))
    }
    pub(super) fn count(self, name: &'static str) -> Result<usize, FiniteSumError> {
        let array = self.array(name, DType::I64, &[])?;
        let found = array.item::<i64>().and_then(|value| usize::try_from(value).ok());
        found.ok_or_else(|| FiniteSumError::Memory {
            name,
            found: "a negative count".into(),
            expected: "a count".into(),
        })
    }
    pub(super) fn list(self, name: &'static str, n: usize) -> Result<Vec<f64>, FiniteSumError> {
        Ok(super::problem::numbers(&self.array(name, DType::F64, &[Some(n)])?))
    }
    /// A matrix, of as many rows and columns as are given.
    pub(super) fn matrix(
        self,
        name: &'static str,
        rows: Option<usize>,
        columns: Option<usize>,
    ) -> Result<Array, FiniteSumError> {
        self.array(name, DType::F64, &[rows, columns])
    }
    /// The rows of a matrix.
    pub(super) fn rows(self, name: &'static str, d: usize) -> Result<Vec<Vec<f64>>, FiniteSumError> {
        let matrix = self.array(name, DType::F64, &[None, Some(d)])?;
        Ok(super::problem::numbers(&matrix).chunks(d.max(1)).map(<[f64]>::to_vec).collect())
    }
    fn array(
        self,
        name: &'static str,
        dtype: DType,
        shape: &[Option<usize>],
    ) -> Result<Array, FiniteSumError> {
        let sizes = shape.iter().map(|size| size.map_or("n".into(), |size| size.to_string()));
        let expected = format!("{dtype}[{}]", sizes.collect::<Vec<_>>().join(","));
        let wrong = |found: String| FiniteSumError::Memory { name, found, expected: expected.clone() };
        let Some((_, array)) = self.0.iter().find(|(known, _)| known == name) else {
            return Err(wrong("nothing".into()));
        };
        let fits = array.rank() == shape.len()
            && shape
                .iter()
                .zip(array.shape().iter())
                .all(|(size, found)| size.is_none_or(|size| size == *found));
        if array.dtype() != dtype || !fits {
            return Err(wrong(retrograde_core::ir::Type::of(array).to_string()));
        }
        Ok(array.clone())
    }
}
