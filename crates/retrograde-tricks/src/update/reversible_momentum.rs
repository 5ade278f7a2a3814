//! Training by momentum that runs backwards exactly, for gradients with respect to hyperparameters.
//!
//! The slope of a validation loss with respect to learning rates and penalties is the derivative of a whole training run, whose
//! states are too many to keep. With velocities and weights on a lattice and γ a rational, each step
//!
//! ```text
//! v ← γ v − (1 − γ) (∇L(w) + λ w)
//! w ← w + η v
//! ```
//!
//! is undone to the bit from the weights after it, for the log2(1/γ) bits of a number that the multiplication destroys. So
//! `Tape::Reverse` keeps those bits and the last state, whatever the training computes. Law: exact, to the bit, under every policy,
//! for the run on the lattice; the derivative is declared to be that of the same run without its roundings.
//!
//! Where the run converges, the slope by penalties is that of the minimum, which `retrograde_solve::uses::hypergradient` has from the
//! last weights by one linear solve; a run that stops early has this one.

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door::grad;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::lattice::{Contract, Lattice, Point, Remainder};
use retrograde_core::trace::{Tree, Var, mistake, tree};
use retrograde_derive::Tree;

use crate::catalogue::{Law, Property, Source, Trick};

/// The row of hypergradients.
pub const HYPERGRADIENT: Trick = Trick {
    id: "E7",
    name: "hypergradients: of whole training runs by reversing them, and by one step",
    formula: "dL(w_T)/d eta through v = g v - (1 - g) grad L, w += eta v, run backwards; eta += beta g_t . g_(t-1)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "L. B. Almeida and T. Langlois and J. D. Amaral and A. Plakhov",
            title: "Parameter adaptation in stochastic optimization",
            venue: "On-Line Learning in Neural Networks, Cambridge University Press",
            year: 1998,
        },
        Source {
            authors: "D. Maclaurin and D. Duvenaud and R. P. Adams",
            title: "Gradient-based Hyperparameter Optimization through Reversible Learning",
            venue: "ICML",
            year: 2015,
        },
        Source {
            authors: "A. G. Baydin and R. Cornish and D. Martinez Rubio and M. Schmidt and F. Wood",
            title: "Online Learning Rate Adaptation with Hypergradient Descent",
            venue: "ICLR",
            year: 2018,
        },
    ],
    file: file!(),
    example: "ReversibleMomentum",
    property: Property {
        claim: "the reversed run gives the bits of the stored one and keeps the information that momentum destroys",
        test: "hypergradients_have_the_same_bits_and_keep_what_contraction_destroys",
        found: "equal to the bit under every policy; the tape within the entropy bound of log2(10/9) bits a number and step",
    },
};

/// Learning rates η and penalties λ by their natural logarithms, which keeps them positive: one entry for each layer, `[n_layers]`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::reversible_momentum::Hyper;
/// let hyper = Hyper { log_rates: array([-1.0, -2.0]), log_penalties: array([-9.0, -9.0]) };
/// assert_eq!(hyper.log_rates.size(), 2);
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Hyper<T> {
    /// ln η of each layer.
    pub log_rates: T,
    /// ln λ of each layer; the loss has λ/2 times the sum of the squares of its numbers more.
    pub log_penalties: T,
}

/// The layers of parameters by name: numbers that stand in one struct, such as `hidden.0`; an array that stands alone is one.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// use retrograde_tricks::update::reversible_momentum::layers;
/// let network = Mlp::xavier(Key::from_seed(1), 2, &[8, 8], 1, Activation::Tanh, DType::F64);
/// assert_eq!(layers(&network), ["hidden.0", "hidden.1", "head"]);
/// ```
pub fn layers<P: Tree>(parameters: &P) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for (path, _) in tree::leaves(parameters) {
        let name = layer_of(&path);
        if names.iter().all(|n| n != name) {
            names.push(name.into());
        }
    }
    names
}

fn layer_of(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(layer, _)| layer)
}

/// Momentum on a lattice.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::update::reversible_momentum::{Hyper, ReversibleMomentum};
/// // A line through points; how the error of a point left out depends on learning rate and penalty.
/// let (xs, ys) = (array([0.0, 1.0, 2.0, 3.0]), array([0.1, 0.9, 2.2, 2.9]));
/// let left_out = |hyper: Hyper<Var>, xs: Var, ys: Var| {
///     let miss = |(slope, height): (Var, Var), (x, y): (Var, Var)| slope * x + height - y;
///     let start = (0.0 * xs.sum(), 0.0 * xs.sum());
///     let squared = |line: (Var, Var), point: (Var, Var)| 0.5 * miss(line, point) * miss(line, point);
///     let line = ReversibleMomentum::default().train(squared, start, (xs, ys), hyper);
///     let (x, y) = (0.0 * xs.sum() + 4.0, 0.0 * xs.sum() + 4.1);
///     squared(line, (x, y))
/// };
/// let hyper = Hyper { log_rates: array([-1.0, -2.0]), log_penalties: array([-6.0, -9.0]) };
/// let (stored, reversed) = (grad(left_out), grad(left_out).tape(Tape::Reverse));
/// let slope = reversed.call((&hyper, &xs, &ys))?;
/// assert_eq!(slope.log_rates, stored.call((&hyper, &xs, &ys))?.log_rates);
/// assert!(slope.log_rates.to_vec::<f64>().unwrap()[0] < 0.0); // four steps are few: faster is better
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReversibleMomentum {
    /// Where weights and velocities stand.
    pub lattice: Lattice,
    /// What is left of a velocity in each step.
    pub gamma: Contract,
}

impl Default for ReversibleMomentum {
    /// γ = 9/10 on a lattice of 2⁻⁵⁰ below 4096: finer than f64 is for numbers above ¼, and room for weights of any sane size.
    fn default() -> Self {
        ReversibleMomentum {
            lattice: Lattice { grid: 2f64.powi(-50), range: 4096.0 },
            gamma: Contract { n: 9, d: 10 },
        }
    }
}

/// Weights, velocity and remainder of one array.
type State = Vec<(Point, Point, Remainder)>;

impl ReversibleMomentum {
    /// The parameters after one step for each entry along the leading axis of `batches`, of the loss that `loss(parameters, batch)`
    /// gives without the penalties.
    ///
    /// # Errors
    /// At the front door: parameters that are not f64 or f32, hyperparameters that are not one for each layer, a loss that is not one
    /// number. When it runs: a weight or velocity that is not finite or leaves the range of the lattice, with the step.
    /// # Cost
    /// A gradient of the loss for each step; the derivative under `Tape::Reverse` about two more, and one of the gradient. It keeps
    /// log2(d/n) bits for each parameter and step, and four whole or floating-point numbers for each parameter at either end.
    #[track_caller]
    pub fn train<P: Traceable, X: Traceable>(
        self,
        loss: impl Fn(P, X) -> Var,
        start: P,
        batches: X,
        hyper: Hyper<Var>,
    ) -> P {
        let location = Location(std::panic::Location::caller());
        let names = layers(&start);
        for (what, found) in [("log_rates", hyper.log_rates), ("log_penalties", hyper.log_penalties)] {
            if found.shape()[..] != [names.len()] || !found.dtype().is_float() {
                let found = format!("ReversibleMomentum: found {what} {}", found.ty());
                let expected = format!("{found}, expected floats [{}], one for each layer", names.len());
                let help = format!("the layers are {}", names.join(", "));
                mistake(Diagnostic::new(expected, Some(location)).help(help));
                return start;
            }
        }
        let layer_idx: Vec<usize> = tree::leaves(&start)
            .iter()
            .map(|(path, _)| {
                names.iter().position(|name| name == layer_of(path)).expect("every leaf is of a layer")
            })
            .collect();
        let gamma = f64::from(self.gamma.n) / f64::from(self.gamma.d);
        let (rates, penalties) = (hyper.log_rates.exp(), hyper.log_penalties.exp());
        let of_layer = |all: Var, leaf_idx: usize, dtype: DType| {
            let number = all.index(0, layer_idx[leaf_idx]);
            if number.dtype() == dtype { number } else { number.convert(dtype) }
        };
        let state: State = leaves(&start)
            .into_iter()
            .map(|w| {
                let (w, v) = (self.lattice.at(w), self.lattice.at(0.0 * w));
                (w, v, self.gamma.remainder(v))
            })
            .collect();
        let nothing: Vec<Var> = vec![];
        let (state, _) = scan_over().run(state, batches, |state: State, batch: X| {
            let weights = with_leaves(&start, state.iter().map(|(w, ..)| w.value()).collect());
            let slopes = leaves(&grad(&loss).at((weights, batch)));
            let next = state.into_iter().zip(slopes).enumerate().map(|(i, ((w, v, rest), slope))| {
                let dtype = slope.dtype();
                let slope = slope + of_layer(penalties, i, dtype) * w.value();
                let (v, rest) = v.contract(rest);
                let v = v - (1.0 - gamma) * slope;
                (w + of_layer(rates, i, dtype) * v.value(), v, rest)
            });
            (next.collect(), nothing)
        });
        with_leaves(&start, state.iter().map(|(w, ..)| w.value()).collect())
    }
}

fn leaves<T: Traceable>(tree: &T) -> Vec<Var> {
    tree::leaves(tree).into_iter().map(|(_, v)| v).collect()
}

/// A tree like this one with other leaves.
fn with_leaves<T: Traceable>(like: &T, leaves: Vec<Var>) -> T {
    let mut next = leaves.into_iter();
    like.map_vars(&mut |_| next.next().expect("one value per leaf; this is a bug in retrograde"))
}
