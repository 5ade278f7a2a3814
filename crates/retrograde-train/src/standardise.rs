//! Inputs and numeric targets brought to mean 0 and standard deviation 1, by the training rows alone.
//!
//! Mean and deviation are kept with the parameters: rows to predict are treated like rows to train on, and nothing of the
//! test rows enters the training.

use retrograde_array::Array;

use crate::data::{Inputs, Layout, Targets};
use crate::recipe::Standardise;

/// Mean and standard deviation of each column.
#[derive(Clone, PartialEq, Debug)]
pub struct Columns {
    /// Means.
    pub mean: Vec<f32>,
    /// Standard deviations, 1 where a column is constant.
    pub deviation: Vec<f32>,
}

/// What is done to inputs and targets.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scaling {
    /// To the inputs, if anything.
    pub inputs: Option<Columns>,
    /// To a numeric target, one column.
    pub target: Option<Columns>,
}

impl Scaling {
    /// Computed from the given rows. Costs two passes over them.
    pub fn of(inputs: &Inputs, targets: &Targets, rows: &[usize], standardise: Standardise) -> Scaling {
        let wanted = match standardise {
            Standardise::Auto => matches!(inputs.layout, Layout::Columns { .. }),
            Standardise::Yes => true,
            Standardise::No => false,
        };
        let n_features = inputs.layout.n_features();
        let each_row = |row_idx, into: &mut Vec<f32>| inputs.push_row(row_idx, into);
        let target = match targets {
            Targets::Values(values) => {
                Some(Columns::of(1, rows, |row_idx, into: &mut Vec<f32>| into.push(values[row_idx])))
            }
            Targets::Classes { .. } => None,
        };
        Scaling { inputs: wanted.then(|| Columns::of(n_features, rows, each_row)), target }
    }

    /// Named arrays, to be kept with the parameters.
    pub fn arrays(&self) -> Vec<(String, Array)> {
        let mut arrays = vec![];
        for (name, columns) in [("inputs", &self.inputs), ("target", &self.target)] {
            if let Some(Columns { mean, deviation }) = columns {
                arrays.push((format!("{name}.mean"), Array::vector(mean.clone())));
                arrays.push((format!("{name}.deviation"), Array::vector(deviation.clone())));
            }
        }
        arrays
    }
}

impl Columns {
    fn of(n: usize, rows: &[usize], push_row: impl Fn(usize, &mut Vec<f32>)) -> Columns {
        let (mut sum, mut squares) = (vec![0.0_f64; n], vec![0.0_f64; n]);
        let mut row = Vec::with_capacity(n);
        let mut each = |visit: &mut dyn FnMut(usize, f64)| {
            for &row_idx in rows {
                row.clear();
                push_row(row_idx, &mut row);
                row.iter().enumerate().for_each(|(column, &value)| visit(column, f64::from(value)));
            }
        };
        let n_rows = rows.len().max(1) as f64;
        each(&mut |column, value| sum[column] += value);
        let mean = sum.iter().map(|sum| sum / n_rows).collect::<Vec<_>>();
        each(&mut |column, value| squares[column] += (value - mean[column]) * (value - mean[column]));
        // A column that is constant over the training rows, like the corner pixels of images, is only shifted.
        let deviation = squares.iter().map(|squares| (squares / n_rows).sqrt() as f32);
        let deviation = deviation.map(|deviation| if deviation > 0.0 { deviation } else { 1.0 }).collect();
        Columns { mean: mean.into_iter().map(|mean| mean as f32).collect(), deviation }
    }

    /// `(value − mean) / deviation` for every value of whole rows.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_mut(self.mean.len().max(1)) {
            for ((value, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = (*value - mean) / deviation;
            }
        }
    }

    /// The inverse of [`Columns::apply`], up to rounding.
    pub fn undo(&self, rows: &mut [f32]) {
        for row in rows.chunks_mut(self.mean.len().max(1)) {
            for ((value, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = *value * deviation + mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Features;

    #[test]
    fn only_the_given_rows_count_and_constants_are_shifted() {
        let layout = Layout::Columns { names: vec!["a".into(), "b".into()], header: true };
        let features = Features::Numbers(vec![1.0, 7.0, 3.0, 7.0, 1e9, -1e9]);
        let inputs = Inputs { features, layout };
        let targets = Targets::Values(vec![10.0, 30.0, 1e9]);
        let scaling = Scaling::of(&inputs, &targets, &[0, 1], Standardise::Auto);
        let columns = scaling.inputs.clone().unwrap();
        assert_eq!(columns, Columns { mean: vec![2.0, 7.0], deviation: vec![1.0, 1.0] });
        let mut row = inputs.row(1);
        columns.apply(&mut row);
        assert_eq!(row, [1.0, 0.0]);
        columns.undo(&mut row);
        assert_eq!(row, [3.0, 7.0]);
        assert_eq!(scaling.target, Some(Columns { mean: vec![20.0], deviation: vec![10.0] }));
        let names = scaling.arrays().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names, ["inputs.mean", "inputs.deviation", "target.mean", "target.deviation"]);
    }

    #[test]
    fn images_are_not_standardised_unless_asked() {
        let digits = crate::digits();
        let of = |standardise| Scaling::of(&digits.inputs, &digits.targets, &[0, 1, 2], standardise);
        assert_eq!(of(Standardise::Auto), Scaling::default());
        let Some(columns) = of(Standardise::Yes).inputs else { panic!("found none") };
        assert!(columns.deviation.iter().all(|&deviation| deviation > 0.0));
    }
}
