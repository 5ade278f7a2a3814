//! Reversible residual networks: deep stacks whose activations need not be remembered.
//!
//! An additive coupling updates each half of the activations by a function of the other,
//!
//! ```text
//! y₁ = x₁ + F(x₂)        x₂ = y₂ − G(y₁)
//! y₂ = x₂ + G(y₁)        x₁ = y₁ − F(x₂)
//! ```
//!
//! so that the input follows from the output whatever F and G are. Under `Tape::Reverse` a stack of couplings keeps its last
//! activations and the bits that the rounding of the two additions destroyed, and finds the earlier ones exactly. Law: exact,
//! to the bit, under every policy. That is more than the source promises, where reconstruction is subject to rounding.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType, ops};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::lattice::{Lattice, Point};
use retrograde_derive::Tree;

use super::dense::Linear;

/// Where couplings as residual networks come from; the coupling itself is that of L. Dinh, D. Krueger, Y. Bengio, NICE, 2014.
pub const CITE: &str = "A. N. Gomez, M. Ren, R. Urtasun, R. B. Grosse, The reversible residual network: backpropagation without storing activations, NIPS 2017, eqs. 7-8";

/// `y₁ = x₁ + F(x₂)`, `y₂ = x₂ + G(y₁)`.   x₁, F(x₂), y₁: one type; x₂, G(y₁), y₂: one type.
///
/// # Errors
/// At the front door, where a function does not return the type of the half that it updates.
/// # Cost
/// One F, one G, two additions; reverse mode under `Tape::Reverse` once more the same.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::reversible::couple;
/// let block = jit(|x1: Var, x2: Var| couple((x1, x2), |x| x * x, |y| 2.0 * y));
/// assert_eq!(block.call((&array(1.0), &array(3.0)))?, (array(10.0), array(23.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn couple((x1, x2): (Var, Var), f: impl FnOnce(Var) -> Var, g: impl FnOnce(Var) -> Var) -> (Var, Var) {
    let y1 = x1 + f(x2);
    let y2 = x2 + g(y1);
    (y1, y2)
}

/// `tanh(x w₁ + b₁) w₂ + b₂`, the function inside a coupling.   x: `[n, width]` → `[n, width]`.
#[derive(Tree, Clone, Debug)]
pub struct Branch<T> {
    /// `[width, hidden]`
    pub inner: Linear<T>,
    /// `[hidden, width]`
    pub outer: Linear<T>,
}

impl Branch<Var> {
    /// The function. Costs 4 n·width·hidden operations.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let hidden = self.inner.apply(x).tanh();
        self.outer.apply(hidden)
    }
}

/// One coupling.
#[derive(Tree, Clone, Debug)]
pub struct Block<T> {
    /// Updates the first half by the second.
    pub f: Branch<T>,
    /// Updates the second half by the first, which is updated already.
    pub g: Branch<T>,
}

impl Block<Var> {
    /// The coupling of both halves, each `[n, width]`.
    #[track_caller]
    pub fn apply(&self, halves: (Var, Var)) -> (Var, Var) {
        couple(halves, |x| self.f.apply(x), |y| self.g.apply(y))
    }
}

/// A stack of couplings as one loop over their parameters: a thousand blocks make a program as short as ten do.
///
/// Each parameter has a leading axis, one entry for each block. What the tape holds for a batch of 8 and halves of 16 (f32, new
/// networks; `tests/primal/reversible.rs` holds these numbers and finds the gradients equal in every bit):
///
/// | blocks | `Store`, bytes | `Reverse`, bytes | bits per activation and update |
/// |---|---|---|---|
/// | 10 | 21,504 | 1,096 | 0.223 |
/// | 100 | 205,824 | 1,352 | 0.102 |
/// | 1000 | 2,049,024 | 2,296 | 0.040 |
///
/// The larger an update beside what it updates, the more bits rounding destroys: with weights behind the tanh twice as large,
/// ten blocks lose 0.376 bits.
///
/// # Errors
/// At the front door, where the halves are not `[n, width]`.
/// # Cost
/// 8 n·width·hidden operations for each block. Under `Store` 2 n·(width + hidden) numbers for each block are kept, under `Reverse` those
/// of one block and the bits that rounding destroyed.
///
/// ```
/// use retrograde_array::{Array, DType, rng::{Key, normal}};
/// use retrograde_core::{prim::Tape, trace::{Var, door::grad}};
/// use retrograde_tricks::primal::reversible::RevNet;
/// let network = RevNet::xavier(Key::from_seed(1), 50, 4, 8, DType::F32);
/// let x = retrograde_array::ops::convert(&normal(Key::from_seed(2), [5, 4]), DType::F32);
/// let loss = |network: RevNet<Var>, x: Var| {
///     let (y1, y2) = network.apply((x, x));
///     (y1 * y2).sum()
/// };
/// let (stored, reversed) = (grad(loss), grad(loss).tape(Tape::Reverse));
/// let (a, b) = (stored.call((&network, &x))?, reversed.call((&network, &x))?);
/// assert!(a.blocks.f.inner.weight.bits_eq(&b.blocks.f.inner.weight));
/// assert!(20 * reversed.last_tape().tape_bytes() < stored.last_tape().tape_bytes());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct RevNet<T> {
    /// The parameters of all blocks, stacked along a new leading axis.
    pub blocks: Block<T>,
    /// What the derivative remembers of this stack; `None`: what the front door says.
    pub tape: Option<Tape>,
}

impl RevNet<Var> {
    /// Both halves after all blocks, each `[n, width]`.
    #[track_caller]
    pub fn apply(&self, halves: (Var, Var)) -> (Var, Var) {
        let nothing: Vec<Var> = vec![];
        let mut config = scan_over();
        if let Some(policy) = self.tape {
            config = config.tape(policy);
        }
        let step = |halves, block: Block<Var>| (block.apply(halves), nothing);
        config.run(halves, self.blocks.clone(), step).0
    }
}

impl RevNet<Var> {
    /// [`RevNet::apply`] with activations on a lattice: under `Tape::Reverse` nothing is kept of them but the last and the first ones,
    /// however many blocks there are. Another primal than in plain floats, by about a grid for each block.
    ///
    /// ```
    /// use retrograde_array::{DType, array, rng::Key};
    /// use retrograde_core::{prim::Tape, trace::{Var, door::grad, lattice::Lattice}};
    /// use retrograde_tricks::primal::reversible::RevNet;
    /// let lattice = Lattice { grid: 2f64.powi(-30), range: 1024.0 };
    /// let loss = move |network: RevNet<Var>, x: Var| network.apply_on(lattice, (x, x)).0.sum();
    /// let kept = |n_blocks| {
    ///     let network = RevNet::xavier(Key::from_seed(1), n_blocks, 2, 2, DType::F32);
    ///     let slope = grad(loss).tape(Tape::Reverse);
    ///     slope.call((&network, &array([[1.0_f32, 0.5]]))).unwrap();
    ///     slope.last_tape().tape_bytes()
    /// };
    /// assert_eq!(kept(5), kept(50));
    /// ```
    ///
    /// # Errors
    /// As [`RevNet::apply`]; when it runs, an activation that leaves the range, with its block and the range that would do.
    #[track_caller]
    pub fn apply_on(&self, lattice: Lattice, (x1, x2): (Var, Var)) -> (Var, Var) {
        let nothing: Vec<Var> = vec![];
        let mut config = scan_over();
        if let Some(policy) = self.tape {
            config = config.tape(policy);
        }
        let step = |(x1, x2): (Point, Point), block: Block<Var>| {
            let y1 = x1 + block.f.apply(x2.value());
            let y2 = x2 + block.g.apply(y1.value());
            ((y1, y2), nothing)
        };
        let halves = (lattice.at(x1), lattice.at(x2));
        let ((y1, y2), _) = config.run(halves, self.blocks.clone(), step);
        (y1.value(), y2.value())
    }
}

impl RevNet<Array> {
    /// Xavier (Glorot) weights, of which those behind the tanh are divided by √(8 blocks), so that all blocks together add
    /// little to the variance of activations, however many they are. Zero biases. `width` is that of a half.
    pub fn xavier(key: Key, n_blocks: usize, width: usize, hidden: usize, dtype: DType) -> RevNet<Array> {
        let keys = key.split(4);
        let depth = (8.0 * n_blocks.max(1) as f64).sqrt();
        let branch = |inner: Key, outer: Key| Branch {
            inner: stacked(inner, [n_blocks, width, hidden], 1.0, dtype),
            outer: stacked(outer, [n_blocks, hidden, width], 1.0 / depth, dtype),
        };
        RevNet { blocks: Block { f: branch(keys[0], keys[1]), g: branch(keys[2], keys[3]) }, tape: None }
    }
}

/// Dense layers of one shape, `[layers, in, out]`.
fn stacked(key: Key, shape: [usize; 3], scale: f64, dtype: DType) -> Linear<Array> {
    let [n_layers, n_in, n_out] = shape;
    let bound = scale * (6.0 / (n_in + n_out) as f64).sqrt();
    let mut weight = uniform(key, shape);
    if let Some(entries) = weight.make_mut::<f64>() {
        entries.iter_mut().for_each(|w| *w = (2.0 * *w - 1.0) * bound);
    }
    Linear { weight: ops::convert(&weight, dtype), bias: Array::zeros(dtype, [n_layers, n_out]) }
}
