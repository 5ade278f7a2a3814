//! Data as part of the primal: targets that are less than certain. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::loss::cross_entropy;
use super::refuse::refuse;
use crate::catalogue::{Law, Property, Source, Trick};

/// What is done to data and targets.
pub const DATA: Trick = Trick {
    id: "A21",
    name: "curriculum, whitening, augmentation, mixup, label smoothing",
    formula: "(1 - e) L + e L_uniform; l a + (1 - l) b; (x - mean) C^(-1/2); shifts, crops, flips by a key; easiest first",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "Y. LeCun and L. Bottou and G. B. Orr and K.-R. Mueller",
            title: "Efficient BackProp",
            venue: "Neural Networks: Tricks of the Trade, Lecture Notes in Computer Science 1524",
            year: 1998,
        },
        Source {
            authors: "Y. Bengio and J. Louradour and R. Collobert and J. Weston",
            title: "Curriculum learning",
            venue: "International Conference on Machine Learning",
            year: 2009,
        },
        Source {
            authors: "A. Krizhevsky and I. Sutskever and G. E. Hinton",
            title: "ImageNet classification with deep convolutional neural networks",
            venue: "Advances in Neural Information Processing Systems 25",
            year: 2012,
        },
        Source {
            authors: "C. Szegedy and V. Vanhoucke and S. Ioffe and J. Shlens and Z. Wojna",
            title: "Rethinking the Inception architecture for computer vision",
            venue: "IEEE Conference on Computer Vision and Pattern Recognition",
            year: 2016,
        },
        Source {
            authors: "H. Zhang and M. Cisse and Y. N. Dauphin and D. Lopez-Paz",
            title: "mixup: beyond empirical risk minimization",
            venue: "International Conference on Learning Representations",
            year: 2018,
        },
    ],
    file: file!(),
    example: "smoothed_cross_entropy",
    property: Property {
        claim: "the gradient of a smoothed loss is (1 - e) that of the labels and e that of uniform targets",
        test: "a_smoothed_gradient_is_the_mean_of_two",
        found: "2 units in the last place of 0.1; bound 4",
    },
};

/// Mean of `−Σ q ln softmax(logits)` with `q = (1 − e) one-hot(label) + e/classes`.   logits: `[n, classes]`, labels: i64 `[n]` → number.
///
/// # Errors
/// At the front door, where the shapes do not fit, and for an e outside 0 to 1.
/// # Cost
/// As [`cross_entropy`], and one log-sum-exp more.
/// # Source
/// [`DATA`]: Szegedy et al. 2016, section 7.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::label_smoothing::smoothed_cross_entropy;
/// let slope = grad(|x: Var, labels: Var| smoothed_cross_entropy(x, labels, 0.5));
/// assert_eq!(slope.call((&array([[0.0, 0.0]]), &array([0_i64])))?, array([[-0.25, 0.25]]));
/// let error = jit(|x: Var, labels: Var| smoothed_cross_entropy(x, labels, 1.5))
///     .call((&array([[0.0, 0.0]]), &array([0_i64])))
///     .unwrap_err();
/// assert!(error.to_string().starts_with("error: smoothed_cross_entropy: found a smoothing of 1.5, expected 0 to 1"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn smoothed_cross_entropy(logits: Var, labels: Var, smoothing: f64) -> Var {
    if !(0.0..=1.0).contains(&smoothing) {
        refuse(
            format!("smoothed_cross_entropy: found a smoothing of {smoothing}, expected 0 to 1"),
            "it is the part of the target that is spread over all classes: 0.1 as a rule",
        );
        return full(logits.dtype(), [], 0.0);
    }
    cross_entropy(logits, labels) * (1.0 - smoothing) + uniform_cross_entropy(logits) * smoothing
}

/// Mean of `−Σ ln softmax(logits) / classes`: the cross-entropy with targets that say nothing.   logits: `[n, classes]` → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::label_smoothing::uniform_cross_entropy;
/// assert_eq!(grad(|x: Var| uniform_cross_entropy(x)).call(&array([[3.0, 3.0]]))?, array([[0.0, 0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn uniform_cross_entropy(logits: Var) -> Var {
    if logits.rank() != 2 {
        let found = format!("uniform_cross_entropy: found logits {}, expected [n, classes]", logits.ty());
        refuse(found, "put one row of logits for each example");
        return full(logits.dtype(), [], 0.0);
    }
    logits.logsumexp(&[1]).mean() - logits.mean()
}
