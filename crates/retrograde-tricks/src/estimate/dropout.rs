//! Dropout and its kin: a network whose parts are left out at random, each with its key.
//!
//! | function | what is drawn | y |
//! |---|---|---|
//! | [`dropout`] | each entry of x | m x / p |
//! | [`drop_connect`] | each weight of a tree | f(m w / p) |
//! | [`stochastic_depth`] | one branch | x + m f(x) / p |
//! | [`zoneout`] | each entry of a state | m old + (1 − m) new |
//!
//! p is the probability that a part stays. Law: exact, for the network that was drawn. The key goes in as an argument, so that
//! recomputation, replay and derivatives of every order see the same mask.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::cond;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::tree::leaves;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, mistake};

use super::draw::{bernoulli, split};
use crate::catalogue::{Law, Property, Source, Trick};

/// D2.
pub const DROPOUT: Trick = Trick {
    id: "D2",
    name: "dropout, DropConnect, stochastic depth, zoneout",
    formula: "y = m x / p, m ~ Bernoulli(p)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "G. E. Hinton and N. Srivastava and A. Krizhevsky and I. Sutskever and R. R. Salakhutdinov",
            title: "Improving neural networks by preventing co-adaptation of feature detectors",
            venue: "arXiv:1207.0580",
            year: 2012,
        },
        Source {
            authors: "L. Wan and M. Zeiler and S. Zhang and Y. LeCun and R. Fergus",
            title: "Regularization of neural networks using DropConnect",
            venue: "ICML",
            year: 2013,
        },
        Source {
            authors: "G. Huang and Y. Sun and Z. Liu and D. Sedra and K. Q. Weinberger",
            title: "Deep networks with stochastic depth",
            venue: "ECCV",
            year: 2016,
        },
        Source {
            authors: "D. Krueger and T. Maharaj and J. Kramár and M. Pezeshki and N. Ballas and N. R. Ke and A. Goyal and Y. Bengio and A. Courville and C. Pal",
            title: "Zoneout: regularizing RNNs by randomly preserving hidden activations",
            venue: "ICLR",
            year: 2017,
        },
    ],
    file: file!(),
    example: "dropout",
    property: Property {
        claim: "E y = x, and the mean loss of a linear net has the ridge term, over all masks; one mask for all orders, bitwise",
        test: "dropout_adds_the_ridge_term_and_keeps_its_mask",
        found: "mean and loss within 1e-14 over 16 masks; slopes and values bitwise the same mask, second order within 1e-15",
    },
};

/// Whether `keep` is a probability that something can stay with; notes the mistake.
fn is_probability(what: &str, keep: f64, least: &str, fits: bool, location: Location) -> bool {
    if !fits {
        let found = format!("{what}: found a probability of {keep}, expected one in {least}");
        mistake(
            Diagnostic::new(found, Some(location)).help("it is the probability of staying, 0.8 for instance"),
        );
    }
    fits
}

/// `m x / p` for a mask that is given.   mask: bool, x: float, of one shape.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::dropout::masked;
/// let f = jit(|mask: Var, x: Var| masked(mask, 0.5, x));
/// assert_eq!(f.call((&array([true, false]), &array([1.0, 3.0])))?, array([2.0, 0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn masked(mask: Var, keep: f64, x: Var) -> Var {
    select(mask, x / keep, full(x.dtype(), x.shape(), 0.0))
}

/// `m x / p`: each entry stays with probability `keep`.   key: `i64[2]`, x: `[..]` float → y: the same shape.
///
/// # Errors
/// At the front door, unless `keep` lies in (0, 1].
/// # Cost
/// A random word an entry; the derivative keeps a bit an entry, or the key under recomputation.
/// # Source
/// [`DROPOUT`], with the division during training.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::dropout::dropout;
/// let (key, x) = (Key::from_seed(1).to_array(), array([1.0; 8]));
/// let y = jit(|x: Var, key: Var| dropout(key, 0.5, x)).call((&x, &key))?;
/// assert!(y.to_vec::<f64>().unwrap().iter().all(|y| [0.0, 2.0].contains(y)));
/// // The adjoint goes through the same mask.
/// assert_eq!(grad(|x: Var, key: Var| dropout(key, 0.5, x).sum()).call((&x, &key))?, y);
/// let error = jit(|x: Var, key: Var| dropout(key, 1.5, x)).call((&x, &key)).unwrap_err();
/// assert!(error.to_string().starts_with("error: dropout: found a probability of 1.5, expected one in (0, 1]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn dropout(key: Var, keep: f64, x: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if !is_probability("dropout", keep, "(0, 1]", keep > 0.0 && keep <= 1.0, location) {
        return x;
    }
    masked(bernoulli(key, full(DType::F64, x.shape(), keep)), keep, x)
}

/// The weights of a layer or network, each of which stays with probability `keep` and is then divided by it.
///
/// One mask for all examples of a batch; `vmap` over examples with a key each gives each its own, as the paper has it.
///
/// # Errors
/// At the front door, unless `keep` lies in (0, 1].
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::{estimate::dropout::drop_connect, primal::dense::Linear};
/// let layer = Linear::xavier(Key::from_seed(1), 3, 5, DType::F64);
/// let f = jit(|layer: Linear<Var>, key: Var| drop_connect(key, 0.5, &layer));
/// let drawn = f.call((&layer, &Key::from_seed(2).to_array()))?;
/// let (all, drawn) = (layer.weight.to_vec::<f64>().unwrap(), drawn.weight.to_vec::<f64>().unwrap());
/// assert!(all.iter().zip(&drawn).all(|(all, drawn)| *drawn == 0.0 || *drawn == 2.0 * all));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn drop_connect<T: Traceable>(key: Var, keep: f64, weights: &T) -> T {
    let location = Location(std::panic::Location::caller());
    if !is_probability("drop_connect", keep, "(0, 1]", keep > 0.0 && keep <= 1.0, location) {
        return weights.map_vars(&mut |w| *w);
    }
    retrograde_core::trace::blame(location, || {
        let mut keys = split(key, leaves(weights).len()).into_iter();
        weights.map_vars(&mut |w| match keys.next() {
            Some(key) => dropout(key, keep, *w),
            None => *w,
        })
    })
}

/// `x + m f(x) / p`: the branch is there with probability `keep`, and is not computed otherwise.   x and f(x): of one type.
///
/// # Errors
/// At the front door, unless `keep` lies in (0, 1].
/// # Cost
/// That of the branch where it is there. Under `vmap` over keys both are computed.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::dropout::stochastic_depth;
/// let f = jit(|x: Var, key: Var| stochastic_depth(key, 0.5, x, |x| x * x));
/// let found = f.call((&array(3.0), &Key::from_seed(1).to_array()))?;
/// assert!([array(3.0), array(21.0)].contains(&found));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn stochastic_depth(key: Var, keep: f64, x: Var, branch: impl FnOnce(Var) -> Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if !is_probability("stochastic_depth", keep, "(0, 1]", keep > 0.0 && keep <= 1.0, location) {
        return x;
    }
    cond(bernoulli(key, full(DType::F64, [], keep)), |x: Var| x + branch(x) / keep, |x: Var| x, x)
}

/// Each entry of a recurrent state keeps its old value with probability `stay`.   old, new: of one type.
///
/// Its mean is `stay·old + (1 − stay)·new`, which is what stands in for it when nothing shall be drawn.
///
/// # Errors
/// At the front door, unless `stay` lies in [0, 1].
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::dropout::zoneout;
/// let f = |stay| jit(move |key: Var, old: Var, new: Var| zoneout(key, stay, old, new));
/// let (key, old, new) = (Key::from_seed(1).to_array(), array([1.0, 2.0]), array([3.0, 4.0]));
/// assert_eq!((f(1.0).call((&key, &old, &new))?, f(0.0).call((&key, &old, &new))?), (old, new));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn zoneout(key: Var, stay: f64, old: Var, new: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if !is_probability("zoneout", stay, "[0, 1]", (0.0..=1.0).contains(&stay), location) {
        return new;
    }
    select(bernoulli(key, full(DType::F64, old.shape(), stay)), old, new)
}
