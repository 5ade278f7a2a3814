//! Dense layers whose cotangents come back through fixed random matrices in the place of the transposed weights.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::adjoint::feedback_alignment::{
    direct_feedback_alignment, feedback_alignment, random_direct_feedback, random_feedback,
};
use retrograde_tricks::primal::dense::{self, Linear, Mlp};

use super::dense_keys::{dense_keys, xavier};
use super::{Buffers, Forward, Interface, Kind, Misfit, Pass, Size, no_finite_sum};
use crate::choice::choice;
use crate::recipe::{Setting, setting};

choice! {
    /// Which way cotangents come back.
    Feedback {
        /// Layer by layer. Source: Lillicrap et al. 2016.
        Layers = "layers",
        /// From the output straight to every layer. Source: Nøkland 2016.
        Direct = "direct",
    }
}

dense_keys!(
    [256, 256], Tanh,
    /// Which way cotangents come back.
    feedback: Feedback = Feedback::Layers, choice feedback: Feedback
);

/// The dense layers; the matrices are among the buffers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    hidden: Vec<Linear<T>>,
    head: Linear<T>,
    activation: dense::Activation,
    is_direct: bool,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = KEYS;

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        no_finite_sum("whose cotangents come back through random matrices")
    }

    fn size(&self, interface: &Interface) -> Size {
        Size::of_dense(&self.hidden, interface)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(2);
        let mlp = xavier(keys[0], &self.hidden, self.activation, interface);
        let feedback = match self.feedback {
            Feedback::Layers => random_feedback(keys[1], &mlp),
            Feedback::Direct => random_direct_feedback(keys[1], &mlp),
        };
        let Mlp { hidden, head, activation } = mlp;
        let is_direct = self.feedback == Feedback::Direct;
        (Layers { hidden, head, activation, is_direct }, Buffers { feedback, ..Buffers::default() })
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, _: Pass) -> (Var, Buffers<Var>) {
        let mlp = Mlp { hidden: self.hidden.clone(), head: self.head.clone(), activation: self.activation };
        let outputs = if self.is_direct {
            direct_feedback_alignment(&mlp, &buffers.feedback, x)
        } else {
            feedback_alignment(&mlp, &buffers.feedback, x)
        };
        (outputs, buffers.clone())
    }
}
