//! Files of numbers, the form in which the ADBench collection has its problems.
//!
//! Source: F. Šrajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools on some problems in computer
//! vision and machine learning, Optimization Methods and Software 33 (2018).

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use retrograde::prelude::*;

use crate::failure::Failure;

/// The most numbers that a file may ask for: 8 GB of them.
const MAX_NUMBERS: usize = 1 << 30;

/// The words of a file, one after another.
pub(super) struct Words {
    path: PathBuf,
    /// In reverse order, with their lines.
    left: Vec<(usize, String)>,
    line: usize,
}

impl Words {
    /// The words of a file between white space and the given separators.
    pub(super) fn read(path: &Path, separators: &[char]) -> Result<Words, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|source| Failure::InstanceUnreadable { path: path.into(), source })?;
        Ok(Words::new(path, &text, separators))
    }

    fn new(path: &Path, text: &str, separators: &[char]) -> Words {
        let words = |(line, text): (usize, &str)| {
            text.split(|c: char| c.is_whitespace() || separators.contains(&c))
                .filter(|word| !word.is_empty())
                .map(|word| (line + 1, word.to_owned()))
                .collect::<Vec<_>>()
        };
        let mut left: Vec<_> = text.lines().enumerate().flat_map(words).collect();
        left.reverse();
        Words { path: path.into(), left, line: 1 }
    }

    /// A refusal at the last word that was read.
    pub(super) fn refuse(&self, found: impl Display, expected: impl Display) -> Failure {
        Failure::Instance {
            path: self.path.clone(),
            line: self.line,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// How many words there are still.
    pub(super) fn n_left(&self) -> usize {
        self.left.len()
    }

    /// The next word, of which `what` is said where it is missing or no such value.
    pub(super) fn next<T: FromStr>(&mut self, what: &str) -> Result<T, Failure> {
        let Some((line, word)) = self.left.pop() else {
            return Err(self.refuse("the end of the file", what));
        };
        self.line = line;
        word.parse().map_err(|_| self.refuse(format!("{word:?}"), what))
    }

    /// The next `n` numbers.
    pub(super) fn numbers(&mut self, n: usize, what: &str) -> Result<Vec<f64>, Failure> {
        if n > MAX_NUMBERS {
            return Err(
                self.refuse(format!("sizes that make {n} numbers of {what}"), "fewer than a milliard")
            );
        }
        (0..n).map(|_| self.next(what)).collect()
    }

    /// The next numbers, as an array.
    pub(super) fn array(&mut self, shape: &[usize], what: &str) -> Result<Array, Failure> {
        let n = shape.iter().try_fold(1_usize, |n, len| n.checked_mul(*len)).unwrap_or(usize::MAX);
        let values = self.numbers(n, what)?;
        Ok(of_shape(shape, values))
    }

    /// Refuses what follows the last number.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        match self.left.pop() {
            None => Ok(()),
            Some((line, word)) => {
                self.line = line;
                Err(self.refuse(format!("{word:?}"), "the end of the file"))
            }
        }
    }
}

/// An array of as many values as its shape has.
pub(super) fn of_shape(shape: &[usize], values: Vec<f64>) -> Array {
    Array::new(shape, values).expect("as many as the shape has; this is a bug in retrograde")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        Words::new(Path::new("a.txt"), text, &[':'])
    }

    #[test]
    fn numbers_are_read_in_order() {
        let mut all = words("2 3\n1.5:-2e3\n\n7\n");
        assert_eq!((all.next::<usize>("a size").unwrap(), all.next::<usize>("a size").unwrap()), (2, 3));
        assert_eq!(all.array(&[3], "means").unwrap(), array([1.5, -2000.0, 7.0]));
        assert!(all.end().is_ok());
    }

    #[test]
    fn mistakes_have_place_and_remedy() {
        let text = |result: Result<(), Failure>| result.unwrap_err().to_string();
        let mut short = words("1\n2");
        let error = text(short.numbers(3, "a mean").map(drop));
        assert!(error.contains("a.txt:2: found the end of the file, expected a mean"), "{error}");
        let mut wrong = words("1\nx 2");
        let error = text(wrong.numbers(2, "a mean").map(drop));
        assert!(
            error.contains("a.txt:2: found \"x\", expected a mean") && error.contains("help: "),
            "{error}"
        );
        let error = text(words("1 2").end());
        assert!(error.contains("expected the end of the file"), "{error}");
        assert!(words("").array(&[usize::MAX, 2], "a mean").is_err());
    }
}
