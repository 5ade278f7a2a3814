//! Rows of inputs, each with a target, kept as compactly as they came.

use std::fmt;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use crate::choice::choice;

choice! {
    /// What is learned.
    Task {
        /// Whatever the target column makes clear.
        Auto = "auto",
        /// Which of several classes a row has.
        Classification = "classification",
        /// A number.
        Regression = "regression",
    }
}

/// Values in the order of their rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Features {
    /// Bytes, of which `full` stands for 1: a quarter of the memory of numbers.
    Bytes {
        /// Row-major.
        values: Vec<u8>,
        /// What divides them.
        full: u8,
    },
    /// Numbers, row-major.
    Numbers(Vec<f32>),
}

/// What the rows of inputs are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Grey images.
    Images {
        /// Rows of pixels.
        height: usize,
        /// Pixels in a row.
        width: usize,
    },
    /// Columns of a table.
    Columns {
        /// Their names.
        names: Vec<String>,
        /// Whether the file named them, or they are numbered.
        header: bool,
    },
}

impl Layout {
    /// Values in a row; as many as there can be where the sizes, which may come from a file, are larger.
    pub fn n_features(&self) -> usize {
        match self {
            Layout::Images { height, width } => height.saturating_mul(*width),
            Layout::Columns { names, .. } => names.len(),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layout::Images { height, width } => write!(f, "images of {height}×{width} pixels"),
            Layout::Columns { names, .. } => write!(f, "{} columns of numbers", names.len()),
        }
    }
}

/// Rows of inputs.
#[derive(Clone, PartialEq, Debug)]
pub struct Inputs {
    /// Their values, `n_rows() × layout.n_features()`.
    pub features: Features,
    /// What they are.
    pub layout: Layout,
}

impl Inputs {
    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        let n_values = match &self.features {
            Features::Bytes { values, .. } => values.len(),
            Features::Numbers(values) => values.len(),
        };
        n_values / self.layout.n_features().max(1)
    }

    /// Appends the numbers of one row: bytes divided by what is full. Panics when there is no such row.
    pub fn push_row(&self, row_idx: usize, into: &mut Vec<f32>) {
        let n = self.layout.n_features();
        match &self.features {
            Features::Bytes { values, full } => {
                into.extend(values[row_idx * n..][..n].iter().map(|&v| f32::from(v) / f32::from(*full)));
            }
            Features::Numbers(values) => into.extend_from_slice(&values[row_idx * n..][..n]),
        }
    }

    /// The numbers of one row. Panics when there is no such row.
    pub fn row(&self, row_idx: usize) -> Vec<f32> {
        let mut row = Vec::with_capacity(self.layout.n_features());
        self.push_row(row_idx, &mut row);
        row
    }
}

/// What is to be learned of each row.
#[derive(Clone, PartialEq, Debug)]
pub enum Targets {
    /// Its class.
    Classes {
        /// One for each row, an index into `names`.
        labels: Vec<u32>,
        /// Of all classes.
        names: Vec<String>,
    },
    /// A number.
    Values(Vec<f32>),
}

impl Targets {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Targets::Classes { labels, .. } => labels.len(),
            Targets::Values(values) => values.len(),
        }
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The classes as integers, `None` for numbers.
    pub fn labels(&self) -> Option<&[u32]> {
        match self {
            Targets::Classes { labels, .. } => Some(labels),
            Targets::Values(_) => None,
        }
    }
    /// How many numbers a network gives for each row: one per class, or one.
    pub fn n_outputs(&self) -> usize {
        match self {
            Targets::Classes { names, .. } => names.len(),
            Targets::Values(_) => 1,
        }
    }
}

/// Rows of inputs, each with a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// The rows.
    pub inputs: Inputs,
    /// As many targets as rows.
    pub targets: Targets,
    /// The name of the target's column; `label` for images.
    pub target_name: String,
    /// The first row of the test part, where the data come with one.
    pub given_test_from: Option<usize>,
}

impl Dataset {
    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.targets.len()
    }

    /// A checksum over everything in the data: equal data, equal checksum. Costs one pass.
    pub fn checksum(&self) -> u32 {
        let mut hasher = Hasher::new();
        match &self.inputs.features {
            Features::Bytes { values, full } => {
                hasher.update(&[*full]);
                hasher.update(values);
            }
            Features::Numbers(values) => update_numbers(&mut hasher, values),
        }
        match &self.targets {
            Targets::Classes { labels, names } => {
                labels.iter().for_each(|label| hasher.update(&label.to_le_bytes()));
                names.iter().for_each(|name| update_text(&mut hasher, name));
            }
            Targets::Values(values) => update_numbers(&mut hasher, values),
        }
        update_text(&mut hasher, &format!("{:?} {:?}", self.inputs.layout, self.given_test_from));
        update_text(&mut hasher, &self.target_name);
        hasher.finalize()
    }
}

fn update_numbers(hasher: &mut Hasher, values: &[f32]) {
    values.iter().for_each(|value| hasher.update(&value.to_le_bytes()));
}

/// The length first, so that two texts never read as another two.
fn update_text(hasher: &mut Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Dataset {
        Dataset {
            inputs: Inputs {
                features: Features::Bytes { values: vec![0, 51, 102, 255], full: 255 },
                layout: Layout::Images { height: 1, width: 2 },
            },
            targets: Targets::Classes { labels: vec![0, 1], names: vec!["a".into(), "b".into()] },
            target_name: "label".into(),
            given_test_from: None,
        }
    }

    #[test]
    fn bytes_become_numbers_row_by_row() {
        let data = sample();
        assert_eq!((data.n_rows(), data.inputs.n_rows(), data.targets.n_outputs()), (2, 2, 2));
        assert_eq!(data.inputs.row(0), [0.0, 0.2]);
        assert_eq!(data.inputs.row(1), [0.4, 1.0]);
    }

    #[test]
    fn the_checksum_sees_every_part() {
        let data = sample();
        let mut others = vec![data.clone(); 5];
        others[0].inputs.features = Features::Bytes { values: vec![0, 51, 102, 254], full: 255 };
        others[1].targets = Targets::Classes { labels: vec![1, 1], names: vec!["a".into(), "b".into()] };
        others[2].targets = Targets::Classes { labels: vec![0, 1], names: vec!["ab".into(), "".into()] };
        others[3].inputs.layout = Layout::Images { height: 2, width: 1 };
        others[4].given_test_from = Some(1);
        assert!(others.iter().all(|other| other.checksum() != data.checksum()));
        assert_eq!(sample().checksum(), data.checksum());
    }
}
