//! Gated recurrent unit: a state that moves towards a candidate by as much as a gate lets it. Law: exact.
//!
//! Row in the catalogue: [`GATES`](super::lstm::GATES).

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, ops};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::full;
use retrograde_derive::Tree;

use super::dense::Linear;

/// `h' = σ(z) h + (1 − σ(z)) tanh(u)`.   h, z, u: `[n, hidden]` → h'.
///
/// Along the state alone ∂h'/∂h = σ(z).
///
/// # Source
/// K. Cho et al. 2014, eq. 7; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::gru::move_towards;
/// let f = |h: Var, z: Var| move_towards(h, z, h * 0.0);
/// assert_eq!(jit(f).call((&array([[3.0, 3.0]]), &array([[0.0, 1e4]])))?, array([[1.5, 3.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn move_towards(h: Var, z: Var, u: Var) -> Var {
    // 1 − σ(z) is σ(−z), which does not cancel.
    z.logistic() * h + (-z).logistic() * u.tanh()
}

/// A layer of gated recurrent units over time.   xs: `[steps, n, in]` → states of all steps `[steps, n, hidden]`, and the last one.
///
/// `z, r = x w + h v + b`, `u = x w' + (σ(r) h) v' + b'`, then [`move_towards`]. Input weights stand in the order z, r, u.
///
/// # Errors
/// At the front door, where the shapes do not fit.
/// # Cost
/// 6 n·hidden·(in + hidden) operations a step, of which the part of the inputs is one product for all steps.
/// # Source
/// K. Cho et al. 2014, eqs. 5-8; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::prim::Checkpoint;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::gru::Gru;
/// let layer = Gru::xavier(Key::from_seed(1), 3, 4, DType::F64);
/// let xs = normal(Key::from_seed(2), [50, 2, 3]);
/// let loss = |layer: Gru<Var>, xs: Var| layer.apply(xs).1.sum();
/// let (store, few) = (grad(loss), grad(loss).tape(Checkpoint::Sqrt));
/// let (a, b) = (store.call((&layer, &xs))?, few.call((&layer, &xs))?);
/// assert!(a.candidate.bits_eq(&b.candidate) && few.last_tape().tape_bytes() < store.last_tape().tape_bytes());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Gru<T> {
    /// `[in, 3 hidden]` and the biases of all gates.
    pub input: Linear<T>,
    /// From the state to the gates z and r: `[hidden, 2 hidden]`.
    pub gates: T,
    /// From the gated state to the candidate u: `[hidden, hidden]`.
    pub candidate: T,
    /// What the derivative remembers of the loop; `None`: what the front door says.
    pub tape: Option<Tape>,
}

impl Gru<Var> {
    /// From a state of zeros.
    #[track_caller]
    pub fn apply(&self, xs: Var) -> (Var, Var) {
        let shape = xs.shape();
        let hidden = self.candidate.shape().first().copied().unwrap_or(0);
        self.run(full(xs.dtype(), [shape.get(1).copied().unwrap_or(0), hidden], 0.0), xs)
    }
    /// From a state `[n, hidden]`.
    ///
    /// ```
    /// use retrograde_array::{DType, rng::{Key, normal}};
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::primal::gru::Gru;
    /// // Two halves of a sequence, one after the other, are the sequence.
    /// let layer = Gru::xavier(Key::from_seed(1), 3, 4, DType::F64);
    /// let whole = jit(|layer: Gru<Var>, xs: Var| layer.apply(xs).1);
    /// let halves = jit(|layer: Gru<Var>, xs: Var| {
    ///     let (_, state) = layer.apply(xs.slice(0, 0..3));
    ///     layer.run(state, xs.slice(0, 3..6)).1
    /// });
    /// let xs = normal(Key::from_seed(2), [6, 2, 3]);
    /// assert_eq!(whole.call((&layer, &xs))?, halves.call((&layer, &xs))?);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn run(&self, state: Var, xs: Var) -> (Var, Var) {
        let hidden = self.candidate.shape().first().copied().unwrap_or(0);
        let driven = self.input.apply(xs);
        let mut config = scan_over();
        if let Some(policy) = self.tape {
            config = config.tape(policy);
        }
        let step = |h: Var, driven: Var| {
            let gates = driven.slice(1, 0..2 * hidden) + h.dot(self.gates);
            let (z, r) = (gates.slice(1, 0..hidden), gates.slice(1, hidden..2 * hidden));
            let u = driven.slice(1, 2 * hidden..3 * hidden) + (r.logistic() * h).dot(self.candidate);
            let h = move_towards(h, z, u);
            (h, h)
        };
        let (state, hs) = config.run(state, driven, step);
        (hs, state)
    }
}

impl Gru<Array> {
    /// Xavier (Glorot) weights, each gate on its own; zero biases.
    pub fn xavier(key: Key, n_in: usize, hidden: usize, dtype: DType) -> Gru<Array> {
        let keys = key.split(3);
        let parts = |key: Key, n_in: usize, n: usize| {
            let parts: Vec<Array> =
                key.split(n).into_iter().map(|key| Linear::xavier(key, n_in, hidden, dtype).weight).collect();
            ops::concat(&parts.iter().collect::<Vec<_>>(), 1)
        };
        Gru {
            input: Linear { weight: parts(keys[0], n_in, 3), bias: Array::zeros(dtype, [3 * hidden]) },
            gates: parts(keys[1], hidden, 2),
            candidate: Linear::xavier(keys[2], hidden, hidden, dtype).weight,
            tape: None,
        }
    }
}
