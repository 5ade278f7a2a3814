//! Outputs that are linear in the inputs: logistic regression for classes, least squares for numbers. The loss is convex, so it begins
//! at zero.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::primal::dense::Linear;

use super::{Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size};
use crate::recipe::Setting;

/// The keys: none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Keys {}

/// The one layer.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    head: Linear<T>,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = &[];

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        Ok(())
    }

    fn size(&self, interface: &Interface) -> Size {
        Size::of_dense(&[], interface)
    }

    fn start(&self, interface: &Interface, _: Key) -> (Layers<Array>, Buffers<Array>) {
        let (n_in, n_out) = (interface.layout.n_features(), interface.n_outputs);
        let (weight, bias) = (Array::zeros(DTYPE, [n_in, n_out]), Array::zeros(DTYPE, [n_out]));
        (Layers { head: Linear { weight, bias } }, Buffers::default())
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, _: Pass) -> (Var, Buffers<Var>) {
        (self.head.apply(x), buffers.clone())
    }
}
