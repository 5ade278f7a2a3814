//! What leaving examples out would change.

use retrograde_core::ir::Location;

use super::error::{Cause, UseError};

/// For each training example how much a number would change if the fit were made again without it.
#[derive(Clone, PartialEq, Debug)]
pub struct Scores<C> {
    /// One for each row. For the loss of a test example: positive where the example helps (without it the loss would be higher),
    /// negative where it harms.
    pub changes: Vec<f64>,
    /// What the inverse says of its answer.
    pub certificate: C,
}

impl<C> Scores<C> {
    /// The rows whose absence would raise the number most, the first of equals first; rows that would not raise it are left out.
    ///
    /// ```
    /// use retrograde_solve::uses::Scores;
    /// let scores = Scores { changes: vec![0.5, -2.0, 3.0, 0.0], certificate: () };
    /// assert_eq!((scores.most_helpful(5), scores.most_harmful(1)), (vec![2, 0], vec![1]));
    /// ```
    pub fn most_helpful(&self, n: usize) -> Vec<usize> {
        self.largest(n, 1.0)
    }
    /// The rows whose absence would lower the number most.
    pub fn most_harmful(&self, n: usize) -> Vec<usize> {
        self.largest(n, -1.0)
    }
    fn largest(&self, n: usize, sign: f64) -> Vec<usize> {
        let mut rows: Vec<usize> =
            (0..self.changes.len()).filter(|&row| sign * self.changes[row] > 0.0).collect();
        rows.sort_by(|&a, &b| (sign * self.changes[b]).total_cmp(&(sign * self.changes[a])).then(a.cmp(&b)));
        rows.truncate(n);
        rows
    }
    /// The change if all rows of a group were left out together, for each group: the sum, which is what the change is to first
    /// order. Of large groups it has the right order and too small a size (Koh, Ang, Teo, Liang 2019).
    ///
    /// # Errors
    /// A group without rows, a row that is not there, a row in two groups.
    ///
    /// ```
    /// use retrograde_solve::uses::Scores;
    /// let scores = Scores { changes: vec![0.5, -2.0, 3.0], certificate: () };
    /// assert_eq!(scores.groups(&[vec![0, 1], vec![2]])?, [-1.5, 3.0]);
    /// let error = scores.groups(&[vec![0, 1], vec![1]]).unwrap_err().to_string();
    /// assert!(error.contains("found row 1 in group 0 and in group 1"));
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn groups(&self, groups: &[Vec<usize>]) -> Result<Vec<f64>, UseError> {
        let location = Location(std::panic::Location::caller());
        let n_rows = self.changes.len();
        let mut group_of: Vec<Option<usize>> = vec![None; n_rows];
        let mut sum = |(group, rows): (usize, &Vec<usize>)| {
            if rows.is_empty() {
                return Err(Cause::EmptyGroup { group });
            }
            for &row in rows {
                let here = group_of.get_mut(row);
                let here = here.ok_or_else(|| Cause::Row { what: format!("group {group}"), row, n_rows })?;
                if let Some(first) = here.replace(group) {
                    return Err(Cause::Overlap { row, first, second: group });
                }
            }
            Ok(rows.iter().map(|&row| self.changes[row]).sum())
        };
        let sums: Result<Vec<f64>, Cause> = groups.iter().enumerate().map(&mut sum).collect();
        sums.map_err(|cause| cause.at(location))
    }
}
