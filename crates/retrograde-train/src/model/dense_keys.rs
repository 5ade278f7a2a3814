//! What kinds of dense layers share: widths and an activation among their keys, and Xavier's first weights.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_tricks::primal::dense::Mlp;

use super::{DTYPE, Interface};
use crate::recipe::Activation;

/// Makes `Keys` of the widths of hidden layers, what stands after each, and one key more; with what they are until somebody says
/// otherwise, and the table of their settings, `KEYS`.
macro_rules! dense_keys {
    ($widths:expr, $activation:ident, $(#[$doc:meta])* $key:ident: $ty:ty = $value:expr, $($setting:tt)*) => {
        /// The keys.
        #[derive(Clone, PartialEq, Debug)]
        pub struct Keys {
            /// The widths of the hidden layers, each from 1 to 65,536.
            pub hidden: Vec<u32>,
            /// What stands after each hidden layer.
            pub activation: $crate::recipe::Activation,
            $(#[$doc])*
            pub $key: $ty,
        }

        impl Default for Keys {
            fn default() -> Keys {
                let activation = $crate::recipe::Activation::$activation;
                Keys { hidden: $widths.to_vec(), activation, $key: $value }
            }
        }

        const KEYS: &[$crate::recipe::Setting<Keys>] = &[
            setting!(widths hidden),
            setting!(choice activation: $crate::recipe::Activation),
            setting!($($setting)*),
        ];
    };
}
pub(super) use dense_keys;

/// Dense layers of these widths between the inputs and the outputs.
pub(super) fn xavier(key: Key, hidden: &[u32], activation: Activation, interface: &Interface) -> Mlp<Array> {
    let hidden: Vec<usize> = hidden.iter().map(|&width| width as usize).collect();
    let n_in = interface.layout.n_features();
    Mlp::xavier(key, n_in, &hidden, interface.n_outputs, activation.function(), DTYPE)
}
