//! Which training rows the prediction for a row rests on, of a network that a run left.
//!
//! ```text
//! change without row i  =  (1/n) ∇ℓ(test)ᵀ (G + μ I)⁻¹ ∇ℓᵢ        G: the Gauss–Newton matrix of the mean loss over the training rows
//! ```
//!
//! At the parameters as they are, in f64. A network is no minimum of its loss and its curvature is zero or negative along many
//! directions; G is never negative, and the damping μ says how little curvature counts as none. So scores order the rows; their
//! size is that of a fit that is held near these parameters by μ. Law: the first term of a series in 1/n, at a minimum.
//!
//! Source: P. W. Koh, P. Liang, Understanding black-box predictions via influence functions, ICML 2017; with the Gauss–Newton
//! matrix J. Bae, N. Ng, A. Lo, M. Ghassemi, R. Grosse, If influence functions are the answer, then what is the question?,
//! NeurIPS 2022.

use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Error, Tree, Var};
use retrograde_engine::jit;
use retrograde_solve::curvature::{Batches, Certificate, CurvatureError, fitted, inverse_hvp};
use retrograde_solve::uses::{Scores, UseError, influence};
use retrograde_tricks::primal::loss::cross_entropy;

use crate::data::{Dataset, Targets};
use crate::evaluate::{batch_of, targets_of, wide};
use crate::loss::squared_error;
use crate::model::{Layers, Pass};
use crate::{Fold, Predictor};

/// The damping until another is asked for. The largest curvature of a mean cross-entropy is a few units and most directions have
/// none to speak of: a hundredth keeps what the data decide and holds the rest.
pub const DAMPING: f64 = 0.01;
/// Conjugate gradients go as far as scores are printed.
const TOLERANCE: f64 = 1e-6;

/// What was found of one row.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// The row whose prediction is explained.
    pub row: usize,
    /// Its loss.
    pub loss: f64,
    /// The training rows, in the order of the scores.
    pub rows: Vec<usize>,
    /// How much its loss would change without each of them, and what the inverse says of itself.
    pub scores: Scores<Certificate>,
    /// μ.
    pub damping: f64,
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum AttributionError {
    /// A row that is not there.
    #[error("error: found row {found}, expected one from 0 to {}\n  --> --test {found}\n  help: rows are counted from 0 in the order of the data, as in `report.html`", n_rows.saturating_sub(1))]
    Row {
        /// Its number.
        found: usize,
        /// How many rows the data have.
        n_rows: usize,
    },
    /// Without damping the curvature of a network has no inverse.
    #[error(
        "error: found a damping of {found}, expected a positive number\n  --> --damping {found}\n  help: the curvature of a network is zero along directions that the data say nothing about; a damping of {DAMPING} or more holds the network there, so that an inverse exists"
    )]
    Damping {
        /// What it is.
        found: f64,
    },
    /// The programs of the network failed.
    #[error("{0}")]
    Program(#[from] Error),
    /// The curvature.
    #[error("{0}")]
    Curvature(#[from] CurvatureError),
    /// The scores.
    #[error("{0}")]
    Scores(#[from] UseError),
}

impl Attribution {
    /// The most helpful training rows, without which the loss would rise most, with by how much.
    pub fn helpful(&self, n: usize) -> Vec<(usize, f64)> {
        self.of(self.scores.most_helpful(n))
    }
    /// The most harmful training rows, without which the loss would fall most, with the change.
    pub fn harmful(&self, n: usize) -> Vec<(usize, f64)> {
        self.of(self.scores.most_harmful(n))
    }
    fn of(&self, positions: Vec<usize>) -> Vec<(usize, f64)> {
        positions.into_iter().map(|i| (self.rows[i], self.scores.changes[i])).collect()
    }
}

/// Features and targets.
type Batch = (Var, Var);

/// How much the loss of `row` would change without each training row of `fold`.
///
/// # Errors
/// A row that is not there; a damping that is not positive; a network that does not fit the data.
/// # Cost
/// Conjugate gradients: products with the Gauss–Newton matrix over all training rows, whose features are held in f64.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_train::influence::{DAMPING, attribute};
/// use retrograde_train::model::Interface;
/// use retrograde_train::{About, Fold, Predictor, Recipe, Scaling, digits};
/// let data = digits();
/// let recipe = Recipe::parse("[model]\nhidden = [8]\n", "small.toml").unwrap();
/// let network = recipe.model.start(&Interface::of(&data), Key::from_seed(1));
/// let predictor = Predictor { network, scaling: Scaling::default(), about: About::of(&data, None) };
/// let fold = Fold { train: (0..50).collect(), validation: vec![], test: vec![50] };
/// let found = attribute(&predictor, &data, &fold, 50, DAMPING)?;
/// // Rows of the same digit help most.
/// let labels = data.targets.labels().unwrap();
/// let (best, change) = found.helpful(1)[0];
/// assert!(labels[best] == labels[50] && change > 0.0 && found.harmful(1)[0].1 < 0.0);
/// assert!(attribute(&predictor, &data, &fold, 1797, DAMPING).is_err());
/// # Ok::<(), retrograde_train::influence::AttributionError>(())
/// ```
pub fn attribute(
    predictor: &Predictor,
    data: &Dataset,
    fold: &Fold,
    row: usize,
    damping: f64,
) -> Result<Attribution, AttributionError> {
    let n_rows = data.n_rows();
    if row >= n_rows {
        return Err(AttributionError::Row { found: row, n_rows });
    }
    if !(damping > 0.0 && damping.is_finite()) {
        return Err(AttributionError::Damping { found: damping });
    }
    let is_classes = matches!(data.targets, Targets::Classes { .. });
    let loss_of_outputs = move |outputs: Var, (_, targets): Batch| match is_classes {
        true => cross_entropy(outputs, targets),
        false => squared_error(outputs, targets),
    };
    let batch = |rows: &[usize]| {
        let x = batch_of(&data.inputs, &predictor.scaling, rows);
        (wide(&x), wide(&targets_of(&data.targets, &predictor.scaling, rows)))
    };
    let parameters = predictor.network.layers.map(&mut |leaf| wide(leaf));
    let buffers = predictor.network.buffers.map(&mut |leaf| wide(leaf));
    // Nothing is left out, and moments are the running ones.
    let model = move |layers: Layers<Var>, (x, _): Batch| {
        layers.forward(x, &buffers.map(&mut |leaf| constant(leaf)), Pass::Evaluation).0
    };
    let loss = fitted(model, loss_of_outputs);
    let (train, test) = (batch(&fold.train), batch(&[row]));
    let batches = Batches::of(&train, fold.train.len().max(1))?;
    let scores = influence(loss.clone()).on_loss(&parameters, &train, &test, |g| {
        let inverse =
            inverse_hvp(loss.clone(), &parameters, g).data(&batches).gauss_newton().damping(damping);
        inverse.conjugate_gradient().tolerance(TOLERANCE).solve()
    })?;
    let loss = jit(loss).call((&parameters, &test))?.item::<f64>().unwrap_or(f64::NAN);
    Ok(Attribution { row, loss, rows: fold.train.clone(), scores, damping })
}
