//! Stable losses.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::var::{constant, full, select};
use retrograde_core::trace::{Var, mistake};

use crate::catalogue::{Law, Property, Source, Trick};

/// Softmax and logarithm in one.
pub const CROSS_ENTROPY: Trick = Trick {
    id: "A13",
    name: "cross-entropy of logits",
    formula: "log sum exp(x - m) - (x_label - m), m = max x; derivative p - y",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "J. S. Bridle",
            title: "Probabilistic interpretation of feedforward classification network outputs, with relationships to statistical pattern recognition",
            venue: "Neurocomputing: Algorithms, Architectures and Applications, Springer",
            year: 1990,
        },
        Source {
            authors: "P. Blanchard and D. J. Higham and N. J. Higham",
            title: "Accurately computing the log-sum-exp and softmax functions",
            venue: "IMA Journal of Numerical Analysis 41",
            year: 2021,
        },
    ],
    file: file!(),
    example: "cross_entropy",
    property: Property {
        claim: "finite for logits of +-1e4; the gradient sums to 0 and is p - y within 2 ulp of the larger of p and y",
        test: "the_slope_of_cross_entropy_is_the_difference_of_probabilities",
        found: "1.4 ulp, sums within 1.2e-16; bounds 2 ulp and 4.5e-16",
    },
};

/// Mean of `−ln softmax(logits)[label]`.   logits: `[n, classes]`, labels: i64 `[n]` → number.
///
/// The largest logit of each row is subtracted first (without derivative), so logits of ±10⁴ are fine. Law: exact;
/// the derivative with respect to the logits is (softmax − one-hot)/n.
///
/// # Errors
/// At the front door, where the shapes do not fit.
/// # Cost
/// One exponential for each logit and a few passes; the derivative keeps as many numbers as there are logits.
/// # Source
/// [`CROSS_ENTROPY`]: Blanchard, Higham and Higham 2021, eq. 1.3 for the shift; Bridle 1990 for the derivative.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::loss::cross_entropy;
/// let logits = array([[0.0, 0.0], [1e4, 0.0]]);
/// let loss = |logits: Var, labels: Var| cross_entropy(logits, labels);
/// assert_eq!(grad(loss).call((&logits, &array([0_i64, 0])))?, array([[-0.25, 0.25], [0.0, 0.0]]));
/// let error = jit(loss).call((&logits, &array([0_i64, 1, 0]))).unwrap_err();
/// assert!(error.to_string().starts_with("error: cross_entropy: found logits f64[2,2] and labels i64[3]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn cross_entropy(logits: Var, labels: Var) -> Var {
    let shape = logits.shape();
    if shape.rank() != 2 || labels.shape()[..] != shape[..1] {
        let found = format!("cross_entropy: found logits {} and labels {}", logits.ty(), labels.ty());
        let help =
            "logits have one row per example and one column per class; labels are class numbers, one per row";
        let location = Location(std::panic::Location::caller());
        mistake(Diagnostic::new(found + ", expected [n, classes] and [n]", Some(location)).help(help));
        return full(logits.dtype(), [], 0.0);
    }
    let classes: Vec<i64> = (0..shape[1] as i64).collect();
    let classes = constant(&retrograde_array::array(classes)).spread(shape.clone());
    let zeros = full(logits.dtype(), shape.clone(), 0.0);
    let largest = select(one_hot(classes, logits.argmax(1)), logits, zeros).sum_axes(&[1]).stop_gradient();
    let shifted = logits - largest.broadcast(shape.clone(), &[0]);
    let log_sum = shifted.exp().sum_axes(&[1]).log();
    let labels = if labels.dtype() == DType::I64 { labels } else { labels.convert(DType::I64) };
    let chosen = select(one_hot(classes, labels), shifted, zeros).sum_axes(&[1]);
    (log_sum - chosen).mean()
}

/// Where each row has its class.
#[track_caller]
fn one_hot(classes: Var, of_rows: Var) -> Var {
    classes.eq(of_rows.broadcast(classes.shape(), &[0]))
}
