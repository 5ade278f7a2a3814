//! Residual connections: a layer adds to its input, so that the derivative has a path on which nothing acts. Law: exact.

use retrograde_array::rng::Key;
use retrograde_array::{Array, ArrayError, DType, array, ops};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_derive::Tree;

use super::dense::Linear;
use super::initial::scaled;
use super::relu::{AtZero, relu};
use crate::catalogue::{Law, Property, Source, Trick};

/// Residual connections and what to start them from.
pub const RESIDUAL: Trick = Trick {
    id: "A8",
    name: "residual connections, Fixup, ReZero",
    formula: "y = x + a F(x), from a = 0 (ReZero) or from a last layer of zeros (Fixup)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "K. He and X. Zhang and S. Ren and J. Sun",
            title: "Deep residual learning for image recognition",
            venue: "IEEE Conference on Computer Vision and Pattern Recognition",
            year: 2016,
        },
        Source {
            authors: "H. Zhang and Y. N. Dauphin and T. Ma",
            title: "Fixup initialization: residual learning without normalization",
            venue: "International Conference on Learning Representations",
            year: 2019,
        },
        Source {
            authors: "T. Bachlechner and B. P. Majumder and H. H. Mao and G. W. Cottrell and J. McAuley",
            title: "ReZero is all you need: fast convergence at large depth",
            venue: "Conference on Uncertainty in Artificial Intelligence",
            year: 2021,
        },
    ],
    file: file!(),
    example: "Residual",
    property: Property {
        claim: "the Jacobian of 1000 blocks from zero is the identity to the bit, and the slope by a is <ybar, F(x)>",
        test: "a_thousand_blocks_from_zero_have_the_identity_as_jacobian",
        found: "every bit of 6 rows and 6 columns, ReZero and Fixup; slope by a within 1e-14",
    },
};

/// `x + a F(x)`.   x, F(x): one type, a: number `[]` or of that type.
///
/// # Errors
/// At the front door, where F does not keep the type of x.
/// # Source
/// [`RESIDUAL`]: Bachlechner et al. 2021, eq. 1; He et al. 2016, eq. 1, for a = 1.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::value_and_grad};
/// use retrograde_tricks::primal::residual::rezero;
/// // The slope by a is F(x), also where a is 0.
/// let f = |a: Var, x: Var| rezero(x, a, |x| x * x);
/// assert_eq!(value_and_grad(f).call((&array(0.0), &array(3.0)))?, (array(3.0), array(9.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn rezero(x: Var, a: Var, f: impl FnOnce(Var) -> Var) -> Var {
    let update = f(x);
    x + a * update
}

/// The factor for the weights of a branch of `n_layers` layers in a network of `n_branches`, but for its last layer, which is zero:
/// `n_branches^(−1/(2 n_layers − 2))`.
///
/// One for a single layer, which is the one of zeros.
///
/// # Source
/// [`RESIDUAL`]: Zhang, Dauphin and Ma 2019, section 3, rule 2.
///
/// ```
/// use retrograde_tricks::primal::residual::fixup_factor;
/// assert_eq!((fixup_factor(16, 2), fixup_factor(16, 3), fixup_factor(16, 1)), (0.25, 0.5, 1.0));
/// ```
pub fn fixup_factor(n_branches: usize, n_layers: usize) -> f64 {
    if n_layers < 2 { 1.0 } else { (n_branches.max(1) as f64).powf(-1.0 / (2 * n_layers - 2) as f64) }
}

/// `y = x + a (relu(x w₁ + b₁) w₂ + b₂)`.   x: `[n, width]` → `[n, width]`.
///
/// # Errors
/// At the front door, where the widths do not fit.
/// # Cost
/// 4 n·width·hidden operations; the derivative keeps x, the hidden values and the update.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::residual::Residual;
/// let x = normal(Key::from_seed(2), [5, 4]);
/// let f = |block: Residual<Var>, x: Var| block.apply(x);
/// // Both begin as the identity.
/// for block in [
///     Residual::rezero(Key::from_seed(1), 4, 8, DType::F64),
///     Residual::fixup(Key::from_seed(1), 4, 8, 10, DType::F64),
/// ] {
///     assert!(jit(f).call((&block, &x))?.bits_eq(&x));
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Residual<T> {
    /// `[width, hidden]`
    pub inner: Linear<T>,
    /// `[hidden, width]`
    pub outer: Linear<T>,
    /// `[]`
    pub a: T,
}

impl Residual<Var> {
    /// The sum of input and update.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let hidden = relu(self.inner.apply(x), AtZero::Zero);
        let update = self.outer.apply(hidden);
        x + self.a * update
    }
}

impl Residual<Array> {
    /// He's weights in both layers and a = 0.
    pub fn rezero(key: Key, width: usize, hidden: usize, dtype: DType) -> Residual<Array> {
        let keys = key.split(2);
        Residual {
            inner: Linear::he(keys[0], width, hidden, dtype),
            outer: Linear::he(keys[1], hidden, width, dtype),
            a: Array::zeros(dtype, []),
        }
    }
    /// He's weights times [`fixup_factor`] in the inner layer, zeros in the outer one, and a = 1.
    pub fn fixup(key: Key, width: usize, hidden: usize, n_blocks: usize, dtype: DType) -> Residual<Array> {
        let inner = Linear::he(key, width, hidden, dtype);
        let weight = scaled(&inner.weight, fixup_factor(n_blocks, 2));
        Residual {
            inner: Linear { weight, ..inner },
            outer: Linear {
                weight: Array::zeros(dtype, [hidden, width]),
                bias: Array::zeros(dtype, [width]),
            },
            a: ops::convert(&array(1.0), dtype),
        }
    }
}

/// A stack of [`Residual`] blocks as one loop over their parameters: a thousand make a program as short as ten do.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::residual::{Residual, ResNet};
/// let key = Key::from_seed(1);
/// let blocks: Vec<_> = (0..30).map(|i| Residual::rezero(key.fold_in(i), 4, 8, DType::F64)).collect();
/// let stack = ResNet::of(&blocks)?;
/// let x = normal(Key::from_seed(2), [5, 4]);
/// assert!(jit(|stack: ResNet<Var>, x: Var| stack.apply(x)).call((&stack, &x))?.bits_eq(&x));
/// assert!(ResNet::of(&[]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct ResNet<T> {
    /// The parameters of all blocks, stacked along a new leading axis.
    pub blocks: Residual<T>,
    /// What the derivative remembers of this stack; `None`: what the front door says.
    pub tape: Option<Tape>,
}

impl ResNet<Array> {
    /// Of blocks of one shape, the first first.
    ///
    /// # Errors
    /// For no blocks, and for blocks of different shapes.
    pub fn of(blocks: &[Residual<Array>]) -> Result<ResNet<Array>, ArrayError> {
        let stack = |leaf: fn(&Residual<Array>) -> &Array| {
            Array::stack(&blocks.iter().map(leaf).cloned().collect::<Vec<_>>())
        };
        let blocks = Residual {
            inner: Linear { weight: stack(|b| &b.inner.weight)?, bias: stack(|b| &b.inner.bias)? },
            outer: Linear { weight: stack(|b| &b.outer.weight)?, bias: stack(|b| &b.outer.bias)? },
            a: stack(|b| &b.a)?,
        };
        Ok(ResNet { blocks, tape: None })
    }
}

impl ResNet<Var> {
    /// The values after all blocks: `[n, width]` → `[n, width]`.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let nothing: Vec<Var> = vec![];
        let mut config = scan_over();
        if let Some(policy) = self.tape {
            config = config.tape(policy);
        }
        config.run(x, self.blocks.clone(), |x, block: Residual<Var>| (block.apply(x), nothing)).0
    }
}
