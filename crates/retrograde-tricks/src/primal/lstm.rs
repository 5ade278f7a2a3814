//! Long short-term memory: a loop whose state has a path along which nothing but the forget gates scales the derivative. Law: exact.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::full;
use retrograde_derive::Tree;

use super::dense::{Activation, Linear};
use crate::catalogue::{Law, Property, Source, Trick};

/// Gates along which a state, and its derivative, is carried.
pub const GATES: Trick = Trick {
    id: "A9",
    name: "gates: highway layers, LSTM and GRU cells, forget bias 1",
    formula: "y = T F(x) + (1 - T) x; c' = f c + i u, so dc'/dc = f; h' = z h + (1 - z) u",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "S. Hochreiter and J. Schmidhuber",
            title: "Long short-term memory",
            venue: "Neural Computation 9",
            year: 1997,
        },
        Source {
            authors: "F. A. Gers and J. Schmidhuber and F. Cummins",
            title: "Learning to forget: continual prediction with LSTM",
            venue: "Neural Computation 12",
            year: 2000,
        },
        Source {
            authors: "K. Cho and B. van Merrienboer and C. Gulcehre and D. Bahdanau and F. Bougares and H. Schwenk and Y. Bengio",
            title: "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
            venue: "Conference on Empirical Methods in Natural Language Processing",
            year: 2014,
        },
        Source {
            authors: "R. K. Srivastava and K. Greff and J. Schmidhuber",
            title: "Training very deep networks",
            venue: "Advances in Neural Information Processing Systems 28",
            year: 2015,
        },
        Source {
            authors: "R. Jozefowicz and W. Zaremba and I. Sutskever",
            title: "An empirical exploration of recurrent network architectures",
            venue: "International Conference on Machine Learning",
            year: 2015,
        },
    ],
    file: file!(),
    example: "cell",
    property: Property {
        claim: "the derivative along the state is the product of the gates, and exactly 1 after 10^4 steps where they are 1",
        test: "the_state_of_a_cell_carries_the_derivative",
        found: "exactly 1 after 10,000 steps; product of 200 gates within 3 roundings a step",
    },
};

/// `c' = σ(f) c + σ(i) tanh(u)`, `h' = σ(o) tanh(c')`.   h, c, i, f, o, u: `[n, hidden]` → h', c'.
///
/// Along the state alone ∂c'/∂c = σ(f), so the derivative over many steps is the product of the gates. σ(x) is computed as
/// (1 + tanh(x/2)) / 2, whose derivative follows from its value: no function is evaluated for the derivative.
///
/// # Cost
/// Five tanh an entry; the derivative keeps their values and c.
/// # Source
/// [`GATES`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::lstm::cell;
/// // Forgets nothing, takes nothing in, shows everything.
/// let f = |c: Var| cell(c, [c * 0.0 - 1e3, c * 0.0 + 1e3, c * 0.0 + 1e3, c]);
/// assert_eq!(jit(f).call(&array([[0.25]]))?, (array([[0.25_f64.tanh()]]), array([[0.25]])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn cell(c: Var, [i, f, o, u]: [Var; 4]) -> (Var, Var) {
    // One by one: a closure would hide the caller's line from errors.
    let (i, f) = (Activation::Sigmoid.apply(i), Activation::Sigmoid.apply(f));
    let c = f * c + i * u.tanh();
    (Activation::Sigmoid.apply(o) * c.tanh(), c)
}

/// A layer of [`cell`]s over time.   xs: `[steps, n, in]` → hidden values of all steps `[steps, n, hidden]`, and the last (h, c).
///
/// Gates stand in the order i, f, o, u along the last axes of the weights.
///
/// # Cost
/// 8 n·hidden·(in + hidden) operations a step, of which the part of the inputs is one product for all steps.
///
/// ```
/// use retrograde_array::{Array, DType, rng::{Key, normal}};
/// use retrograde_core::prim::{Checkpoint, Tape};
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::lstm::Lstm;
/// let layer = Lstm::xavier(Key::from_seed(1), 3, 4, DType::F64);
/// let xs = normal(Key::from_seed(2), [50, 2, 3]);
/// let loss = |layer: Lstm<Var>, xs: Var| layer.apply(xs).1.0.sum();
/// let (store, few) = (grad(loss), grad(loss).tape(Checkpoint::Sqrt));
/// let (a, b) = (store.call((&layer, &xs))?, few.call((&layer, &xs))?);
/// assert!(a.recurrent.bits_eq(&b.recurrent));
/// assert!(few.last_tape().tape_bytes() < store.last_tape().tape_bytes());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Lstm<T> {
    /// `[in, 4 hidden]` and the bias of all gates.
    pub input: Linear<T>,
    /// `[hidden, 4 hidden]`
    pub recurrent: T,
    /// What the derivative remembers of the loop; `None`: what the front door says.
    pub tape: Option<Tape>,
}

impl Lstm<Var> {
    /// From a state of zeros.
    #[track_caller]
    pub fn apply(&self, xs: Var) -> (Var, (Var, Var)) {
        let shape = xs.shape();
        let hidden = self.recurrent.shape().first().copied().unwrap_or(0);
        let zeros = full(xs.dtype(), [shape.get(1).copied().unwrap_or(0), hidden], 0.0);
        self.run((zeros, zeros), xs)
    }
    /// From a state (h, c), each `[n, hidden]`.
    ///
    /// ```
    /// use retrograde_array::{DType, array, rng::{Key, normal}};
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::primal::lstm::Lstm;
    /// // Two halves of a sequence, one after the other, are the sequence.
    /// let layer = Lstm::xavier(Key::from_seed(1), 3, 4, DType::F64);
    /// let whole = jit(|layer: Lstm<Var>, xs: Var| layer.apply(xs).1.0);
    /// let halves = jit(|layer: Lstm<Var>, xs: Var| {
    ///     let (_, state) = layer.apply(xs.slice(0, 0..3));
    ///     layer.run(state, xs.slice(0, 3..6)).1.0
    /// });
    /// let xs = normal(Key::from_seed(2), [6, 2, 3]);
    /// assert_eq!(whole.call((&layer, &xs))?, halves.call((&layer, &xs))?);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn run(&self, state: (Var, Var), xs: Var) -> (Var, (Var, Var)) {
        let hidden = self.recurrent.shape().first().copied().unwrap_or(0);
        let driven = self.input.apply(xs);
        let mut config = scan_over();
        if let Some(policy) = self.tape {
            config = config.tape(policy);
        }
        let step = |(h, c): (Var, Var), driven: Var| {
            let gates = driven + h.dot(self.recurrent);
            let gate = |k: usize| gates.slice(1, k * hidden..(k + 1) * hidden);
            let (h, c) = cell(c, [gate(0), gate(1), gate(2), gate(3)]);
            ((h, c), h)
        };
        let (state, hs) = config.run(state, driven, step);
        (hs, state)
    }
}

impl Lstm<Array> {
    /// Xavier (Glorot) weights, each gate on its own; the bias of the forget gates is 1, all others are 0.
    pub fn xavier(key: Key, n_in: usize, hidden: usize, dtype: DType) -> Lstm<Array> {
        let keys = key.split(2);
        let gates = |key: Key, n_in: usize| {
            let parts: Vec<Array> =
                key.split(4).into_iter().map(|key| Linear::xavier(key, n_in, hidden, dtype).weight).collect();
            retrograde_array::ops::concat(&parts.iter().collect::<Vec<_>>(), 1)
        };
        let forget =
            (0..4 * hidden).map(|at| f64::from(u8::from(at / hidden.max(1) == 1))).collect::<Vec<f64>>();
        let bias = retrograde_array::ops::convert(&retrograde_array::array(forget), dtype);
        Lstm {
            input: Linear { weight: gates(keys[0], n_in), bias },
            recurrent: gates(keys[1], hidden),
            tape: None,
        }
    }
}
