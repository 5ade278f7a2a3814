//! Long short-term memory: a loop whose state has a path along which nothing but the forget gates scales the derivative. Law: exact.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::full;
use retrograde_derive::Tree;

use super::dense::{Activation, Linear};

/// Where the cell and its forget gate come from.
pub const CITE: &str = "S. Hochreiter, J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997); F. A. Gers, J. Schmidhuber, F. Cummins, Learning to forget, Neural Computation 12 (2000); the forget bias of 1: R. Jozefowicz, W. Zaremba, I. Sutskever, An empirical exploration of recurrent network architectures, ICML 2015";

/// `c' = σ(f) c + σ(i) tanh(u)`, `h' = σ(o) tanh(c')`.   h, c, i, f, o, u: `[n, hidden]` → h', c'.
///
/// Along the state alone ∂c'/∂c = σ(f), so the derivative over many steps is the product of the gates. σ(x) is computed as
/// (1 + tanh(x/2)) / 2, whose derivative follows from its value: no function is evaluated for the derivative.
///
/// # Cost
/// Five tanh an entry; the derivative keeps their values and c.
/// # Source
/// [`CITE`].
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
