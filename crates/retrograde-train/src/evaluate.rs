//! What a network gives for rows, and how good it is.

use retrograde_array::{Array, DType, map, ops};
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;
use serde::Serialize;

use crate::data::{Inputs, Targets};
use crate::model::{Buffers, Layers, Network, Pass};
use crate::standardise::Scaling;

/// Rows that are computed at once, which bounds the memory.
pub(crate) const ROWS_AT_ONCE: usize = 1024;

/// How good a network is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Score {
    /// For classes.
    Classes {
        /// Share of the rows whose class is right.
        accuracy: f64,
        /// Mean of −ln of the probability of the right class.
        loss: f64,
    },
    /// For numbers.
    Values {
        /// Root of the mean squared error, in units of the target.
        rmse: f64,
        /// 1 − squared error over squared deviation from the mean; 0 when the targets are constant.
        r2: f64,
        /// Mean squared error in units of the standardised target.
        loss: f64,
    },
}

impl Score {
    /// What a smaller value is better of.
    pub fn loss(&self) -> f64 {
        match self {
            Score::Classes { loss, .. } | Score::Values { loss, .. } => *loss,
        }
    }
}

/// The program of a network that predicts, compiled once for all its calls.
pub(crate) struct Evaluator {
    door: Jit<ForwardPass, (Layers<Var>, Buffers<Var>, Var)>,
}

type ForwardPass = fn(Layers<Var>, Buffers<Var>, Var) -> Var;

impl Evaluator {
    pub(crate) fn new() -> Evaluator {
        let forward: ForwardPass = |layers, buffers, x| layers.forward(x, &buffers, Pass::Evaluation).0;
        Evaluator { door: jit(forward) }
    }

    /// See [`outputs`].
    pub(crate) fn outputs(
        &self,
        network: &Network,
        inputs: &Inputs,
        scaling: &Scaling,
        rows: &[usize],
    ) -> Result<Vec<f32>, Error> {
        let mut all = vec![];
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let x = batch_of(inputs, scaling, rows);
            let outputs = self.door.call((&network.layers, &network.buffers, &x))?;
            all.extend(outputs.to_vec::<f32>().unwrap_or_default());
        }
        if let Some(target) = &scaling.target {
            target.undo(&mut all);
        }
        Ok(all)
    }
}

/// The outputs for some rows: `rows.len()` times one per class (logits), or the number itself.
///
/// # Errors
/// Rows that do not fit the network.
pub fn outputs(
    network: &Network,
    inputs: &Inputs,
    scaling: &Scaling,
    rows: &[usize],
) -> Result<Vec<f32>, Error> {
    Evaluator::new().outputs(network, inputs, scaling, rows)
}

/// The numbers of some rows, standardised if they are to be: `[rows, features]`.
pub(crate) fn batch_of(inputs: &Inputs, scaling: &Scaling, rows: &[usize]) -> Array {
    let n_features = inputs.layout.n_features();
    let mut x = Vec::with_capacity(rows.len() * n_features);
    rows.iter().for_each(|&row_idx| inputs.push_row(row_idx, &mut x));
    if let Some(columns) = &scaling.inputs {
        columns.apply(&mut x);
    }
    let array = Array::new([rows.len(), n_features], x);
    array.unwrap_or_else(|error| panic!("a batch of rows: {error}; this is a bug in retrograde"))
}

/// In `f64`, where it holds floating-point numbers.
pub(crate) fn wide(array: &Array) -> Array {
    if array.dtype().is_float() { ops::convert(array, DType::F64) } else { array.clone() }
}

/// Class numbers `i64[n]`, or standardised numbers `f32[n,1]`.
pub(crate) fn targets_of(targets: &Targets, scaling: &Scaling, rows: &[usize]) -> Array {
    match targets {
        Targets::Classes { labels, .. } => {
            Array::vector(rows.iter().map(|&row_idx| i64::from(labels[row_idx])).collect())
        }
        Targets::Values(values) => {
            let mut values: Vec<f32> = rows.iter().map(|&row_idx| values[row_idx]).collect();
            if let Some(columns) = &scaling.target {
                columns.apply(&mut values);
            }
            let array = Array::new([rows.len(), 1], values);
            array.unwrap_or_else(|error| panic!("a batch of targets: {error}; this is a bug in retrograde"))
        }
    }
}

/// How good outputs are for the targets of some rows.
pub fn score(outputs: &[f32], targets: &Targets, scaling: &Scaling, rows: &[usize]) -> Score {
    let n = rows.len().max(1) as f64;
    match targets {
        Targets::Classes { labels, names } => {
            let (mut n_right, mut loss) = (0, 0.0);
            for (logits, &row_idx) in outputs.chunks(names.len()).zip(rows) {
                let label = labels[row_idx] as usize;
                n_right += usize::from(largest(logits) == label);
                loss -= log_probabilities(logits)[label];
            }
            Score::Classes { accuracy: n_right as f64 / n, loss: loss / n }
        }
        Targets::Values(values) => {
            let expected = || rows.iter().map(|&row_idx| f64::from(values[row_idx]));
            let mean = expected().sum::<f64>() / n;
            let squares: f64 =
                outputs.iter().zip(expected()).map(|(found, y)| (f64::from(*found) - y).powi(2)).sum();
            let spread: f64 = expected().map(|y| (y - mean).powi(2)).sum();
            let unit = scaling.target.as_ref().map_or(1.0, |columns| f64::from(columns.deviation[0]));
            let r2 = if spread > 0.0 { 1.0 - squares / spread } else { 0.0 };
            Score::Values { rmse: (squares / n).sqrt(), r2, loss: squares / n / (unit * unit) }
        }
    }
}

/// The index of the largest logit, the first of equals.
pub fn largest(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, idx| if logits[idx] > logits[best] { idx } else { best })
}

/// `ln softmax`, with the largest logit subtracted first, so that nothing overflows.
pub fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let top = f64::from(logits[largest(logits)]);
    let sum: f64 = logits.iter().map(|&logit| map::exp_f64(f64::from(logit) - top)).sum();
    logits.iter().map(|&logit| f64::from(logit) - top - map::log_f64(sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standardise::Columns;

    #[test]
    fn classes_and_probabilities() {
        let p = log_probabilities(&[1e4, 1e4, -1e4]);
        assert!((p[0] + 2.0_f64.ln()).abs() < 1e-12 && p[2] < -1e4);
        let targets = Targets::Classes { labels: vec![9, 1, 0], names: vec!["a".into(), "b".into()] };
        let logits = [0.0, 3.0_f32.ln(), 0.0, 0.0];
        let found = score(&logits, &targets, &Scaling::default(), &[1, 2]);
        let Score::Classes { accuracy, loss } = found else { panic!("{found:?}") };
        assert_eq!(accuracy, 1.0);
        assert!((loss - (-(0.75_f64.ln()) - 0.5_f64.ln()) / 2.0).abs() < 1e-7, "{loss}");
    }

    #[test]
    fn numbers_in_their_own_unit_and_in_that_of_the_loss() {
        let scaling =
            Scaling { inputs: None, target: Some(Columns { mean: vec![0.0], deviation: vec![2.0] }) };
        let found = score(&[1.0, 5.0], &Targets::Values(vec![2.0, 4.0]), &scaling, &[0, 1]);
        assert_eq!(found, Score::Values { rmse: 1.0, r2: 0.0, loss: 0.25 });
    }
}
