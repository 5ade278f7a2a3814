//! The networks that a recipe can name: for each its keys, its first parameters, and what it makes of a batch.
//!
//! A network is a tree of parameters, which gradients change, and of buffers, which they do not: running moments, fixed
//! feedback weights. It has no state and no mode: buffers and a key go in, outputs and new buffers come out, all in `f32`.
//!
//! - [`mlp`], [`linear`], [`residual`], [`cnn`], [`lstm`], [`transformer`], [`revnet`]: by exact derivatives
//! - [`binary`], [`feedback_alignment`], [`synthetic_gradients`]: by derivatives that are another on purpose
//! - [`predictor`]: a trained network, ready to predict

pub mod binary;
pub mod cnn;
mod dense_keys;
pub mod feedback_alignment;
pub mod linear;
pub mod lstm;
pub mod mlp;
pub mod predictor;
pub mod residual;
pub mod revnet;
pub mod synthetic_gradients;
#[cfg(test)]
mod tests;
pub mod transformer;

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_core::trace::tree::{self, Leaf, Part, Tree, Visit};
use retrograde_derive::Tree;
use retrograde_tricks::estimate::draw::split;
use retrograde_tricks::estimate::dropout::dropout;
use retrograde_tricks::primal::batch_norm::{BatchNorm, Moments};

use crate::data::{Dataset, Layout};
use crate::loss::{Goal, Loss};
use crate::recipe::Setting;

pub(crate) use predictor::probabilities;
pub use predictor::{About, ModelError, Predictions, Predictor, file_name};

/// All parameters are of this type.
const DTYPE: DType = DType::F32;

/// What a network takes in and gives out.
#[derive(Clone, PartialEq, Debug)]
pub struct Interface {
    /// What the inputs are.
    pub layout: Layout,
    /// Numbers in an output: one for each class, or one.
    pub n_outputs: usize,
}

impl Interface {
    /// Of some data.
    pub fn of(data: &Dataset) -> Interface {
        Interface { layout: data.inputs.layout.clone(), n_outputs: data.targets.n_outputs() }
    }
    /// Height and width where the inputs are images.
    fn image(&self) -> Option<(usize, usize)> {
        match self.layout {
            Layout::Images { height, width } => Some((height, width)),
            Layout::Columns { .. } => None,
        }
    }
}

/// How large a network is, computed without making it. Sizes that no memory holds are the largest there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Numbers that gradients change.
    pub parameters: u64,
    /// Numbers between layers, for each row.
    pub values: u64,
}

impl Size {
    /// Of nothing but the inputs.
    fn of_inputs(interface: &Interface) -> Size {
        Size { parameters: 0, values: interface.layout.n_features() as u64 }
    }
    /// Of dense layers of these widths one after another, and one for the outputs.
    fn of_dense(hidden: &[u32], interface: &Interface) -> Size {
        let (mut size, mut n_in) = (Size::of_inputs(interface), interface.layout.n_features() as u64);
        for &width in hidden {
            size = size.dense(n_in, width.into(), 1);
            n_in = width.into();
        }
        size.dense(n_in, interface.n_outputs as u64, 1)
    }
    /// With a layer of so many parameters and results more.
    fn with(self, parameters: u64, values: u64) -> Size {
        Size {
            parameters: self.parameters.saturating_add(parameters),
            values: self.values.saturating_add(values),
        }
    }
    /// With a dense layer more, for each of `rows` parts of a row.
    fn dense(self, n_in: u64, n_out: u64, rows: u64) -> Size {
        self.with(n_in.saturating_add(1).saturating_mul(n_out), n_out.saturating_mul(rows))
    }
    /// The same, `n` times.
    fn times(self, n: u64) -> Size {
        Size { parameters: self.parameters.saturating_mul(n), values: self.values.saturating_mul(n) }
    }
}

/// Keys of a model that do not go with each other or with the inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// The key under `[model]`.
    pub key: &'static str,
    /// What was found and expected.
    pub message: String,
    /// What to try.
    pub help: String,
}

/// A kind of network: what a recipe says of it.
pub(crate) trait Kind: Sized + 'static {
    /// Its parameters.
    type Layers;
    /// Its keys under `[model]`.
    const KEYS: &'static [Setting<Self>];
    /// Whether its keys go with each other and with the inputs; of most kinds they always do.
    fn check(&self, _interface: &Interface) -> Result<(), Misfit> {
        Ok(())
    }
    /// Whether its loss is the mean of losses of single rows, the same at every step, with exact derivatives of both orders: what the
    /// minimisers of finite sums need.
    fn check_finite_sum(&self) -> Result<(), Misfit>;
    /// How large it is; called where `check` accepts.
    fn size(&self, interface: &Interface) -> Size;
    /// The network before the first step; called where `check` accepts.
    fn start(&self, interface: &Interface, key: Key) -> (Self::Layers, Buffers<Array>);
}

/// What a network makes of a batch.
pub(crate) trait Forward {
    /// `[n, features]` → `[n, outputs]`, and the buffers after it.
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>);
    /// What a batch is to be learnt from by: the loss, whose gradient moves the parameters, and the buffers after it.
    #[track_caller]
    fn loss(
        &self,
        loss: Loss,
        x: Var,
        goal: &Goal<Var>,
        buffers: &Buffers<Var>,
        pass: Pass,
    ) -> (Var, Buffers<Var>) {
        let (outputs, buffers) = self.forward(x, buffers, pass);
        (loss.of_outputs(outputs, goal), buffers)
    }
}

/// What a batch goes through a network for.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    /// To learn from it: parts are left out as the key (`i64[2]`) says, moments are those of the batch.
    Training(Var),
    /// To be predicted: nothing is left out, moments are the running ones.
    Evaluation,
}

impl Pass {
    /// A key for each of `n` parts of a network.
    fn keys(self, n: usize) -> Vec<Option<Var>> {
        match self {
            Pass::Training(key) => split(key, n).into_iter().map(Some).collect(),
            Pass::Evaluation => vec![None; n],
        }
    }
}

/// Leaves out a share of the entries, where there is a key.
#[track_caller]
fn drop_out(key: Option<Var>, share: f64, x: Var) -> Var {
    match key {
        Some(key) if share > 0.0 => dropout(key, 1.0 - share, x),
        _ => x,
    }
}

/// Arrays of a network that no gradient changes.
#[derive(Tree, Clone, Debug)]
pub struct Buffers<T> {
    /// Running moments of the batch norms, in their order.
    pub moments: Vec<Moments<T>>,
    /// Fixed weights by which cotangents come back.
    pub feedback: Vec<T>,
}

impl<T> Default for Buffers<T> {
    fn default() -> Buffers<T> {
        Buffers { moments: vec![], feedback: vec![] }
    }
}

/// The weight of a batch in the running moments. Source: the default of PyTorch's `BatchNorm2d`.
const RUNNING: f64 = 0.1;

/// Batch norm number `idx` of a network: by the batch, whose moments enter the running ones, or by the running ones.
#[track_caller]
fn normalise(norm: &BatchNorm<Var>, idx: usize, buffers: &mut Buffers<Var>, pass: Pass, x: Var) -> Var {
    match pass {
        Pass::Training(_) => {
            let (y, moments) = norm.by_batch(x);
            buffers.moments[idx] = buffers.moments[idx].towards(&moments, RUNNING);
            y
        }
        Pass::Evaluation => norm.by(&buffers.moments[idx], x),
    }
}

/// A network: parameters and buffers.
#[derive(Clone, Debug)]
pub struct Network {
    /// What gradients change.
    pub layers: Layers<Array>,
    /// What they do not.
    pub buffers: Buffers<Array>,
}

/// What the names of buffers begin with in files of parameters.
const BUFFERS: &str = "buffers.";

impl Network {
    /// Everything by name, to be kept in a file.
    pub fn arrays(&self) -> Vec<(String, Array)> {
        let buffers = tree::leaves(&self.buffers).into_iter();
        let buffers = buffers.map(|(path, leaf)| (format!("{BUFFERS}{path}"), leaf));
        tree::leaves(&self.layers).into_iter().chain(buffers).collect()
    }

    /// The same network with other arrays, such as [`Network::arrays`] gives; none where names, types or shapes differ.
    pub fn with(&self, arrays: &[(String, Array)]) -> Option<Network> {
        let (buffers, layers): (Vec<_>, Vec<_>) =
            arrays.iter().cloned().partition(|(name, _)| name.starts_with(BUFFERS));
        let buffers: Vec<_> =
            buffers.into_iter().map(|(name, leaf)| (name[BUFFERS.len()..].into(), leaf)).collect();
        Some(Network { layers: like(&self.layers, &layers)?, buffers: like(&self.buffers, &buffers)? })
    }

    /// The names of the layers: `hidden.0`, …, `head`.
    pub fn layer_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            tree::leaves(&self.layers).iter().map(|(path, _)| layer_of(path).into()).collect();
        names.dedup();
        names
    }
}

/// The layer that a parameter belongs to.
pub(crate) fn layer_of(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(layer, _)| layer)
}

/// A tree of the same structure with other leaves, in any order; none where names, types or shapes differ.
pub(crate) fn like<T: Tree<Leaf = Array, With<Array> = T>>(
    tree: &T,
    leaves: &[(String, Array)],
) -> Option<T> {
    let mine = tree::leaves(tree);
    if mine.len() != leaves.len() {
        return None;
    }
    let found = mine.iter().map(|(path, mine)| {
        let (_, other) = leaves.iter().find(|(name, _)| name == path)?;
        (mine.dtype() == other.dtype() && mine.shape() == other.shape()).then(|| other.clone())
    });
    let mut found = found.collect::<Option<Vec<_>>>()?.into_iter();
    Some(tree.map(&mut |old| found.next().unwrap_or_else(|| old.clone())))
}

/// Makes the sums over all kinds of networks from one table.
macro_rules! models {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $module:ident;)*) => {
        /// What a recipe says of its network.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Model { $($(#[$doc])* $variant($module::Keys)),* }

        /// The parameters of a network.
        #[expect(clippy::large_enum_variant, reason = "there are a few at a time, and what they hold is larger by far")]
        #[derive(Clone, Debug)]
        pub enum Layers<T> { $($(#[$doc])* $variant($module::Layers<T>)),* }

        impl<T: Leaf> Tree for Layers<T> {
            type Leaf = T;
            type With<U: Leaf> = Layers<U>;
            fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T) -> U) -> Layers<U> {
                match self { $(Layers::$variant(layers) => Layers::$variant(layers.map(f))),* }
            }
            fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T>)) {
                match self { $(Layers::$variant(layers) => {
                    f(path, Visit::Fixed($name.into()));
                    layers.visit(path, f);
                })* }
            }
            fn walk(&self, f: &mut dyn FnMut(Part<'_, T>)) {
                match self { $(Layers::$variant(layers) => {
                    f(Part::Fixed(&$name));
                    layers.walk(f);
                })* }
            }
        }

        impl Layers<Var> {
            /// What the network makes of a batch `[n, features]`: outputs `[n, outputs]`, and the buffers after it.
            #[track_caller]
            pub fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
                match self { $(Layers::$variant(layers) => layers.forward(x, buffers, pass)),* }
            }

            /// What a step minimises, and the buffers after it.
            #[track_caller]
            pub(crate) fn loss(
                &self,
                loss: Loss,
                x: Var,
                goal: &Goal<Var>,
                buffers: &Buffers<Var>,
                pass: Pass,
            ) -> (Var, Buffers<Var>) {
                match self { $(Layers::$variant(layers) => layers.loss(loss, x, goal, buffers, pass)),* }
            }
        }

        impl Model {
            /// The names of all kinds.
            pub const NAMES: &'static [&'static str] = &[$($name),*];
            /// The kind of this name, with the keys that it begins with.
            pub fn named(name: &str) -> Option<Model> {
                match name { $($name => Some(Model::$variant($module::Keys::default())),)* _ => None }
            }
            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Model::$variant(_) => $name),* }
            }
            /// Whether it goes with these inputs.
            ///
            /// # Errors
            /// The key that does not.
            pub fn check(&self, interface: &Interface) -> Result<(), Misfit> {
                match self { $(Model::$variant(keys) => keys.check(interface)),* }
            }
            /// Whether its loss is a mean over single rows with exact derivatives.
            ///
            /// # Errors
            /// The key because of which it is not.
            pub fn check_finite_sum(&self) -> Result<(), Misfit> {
                match self { $(Model::$variant(keys) => keys.check_finite_sum()),* }
            }
            /// How large it is; where [`Model::check`] accepts.
            pub fn size(&self, interface: &Interface) -> Size {
                match self { $(Model::$variant(keys) => keys.size(interface)),* }
            }
            /// The network before the first step; where [`Model::check`] accepts.
            pub fn start(&self, interface: &Interface, key: Key) -> Network {
                match self { $(Model::$variant(keys) => {
                    let (layers, buffers) = keys.start(interface, key);
                    Network { layers: Layers::$variant(layers), buffers }
                }),* }
            }
            /// Calls back with the keys and their table.
            pub(crate) fn with_keys<V: KeysVisitor>(&mut self, visitor: V) -> V::Result {
                match self { $(Model::$variant(keys) => visitor.visit(keys)),* }
            }
            /// The names of the keys, kind by kind.
            pub(crate) fn all_keys() -> Vec<&'static str> {
                let mut all = vec![];
                $(all.extend(<$module::Keys as Kind>::KEYS.iter().map(|key| key.name));)*
                all
            }
        }
    };
}

/// What is done with the keys of a model, whatever their type.
pub(crate) trait KeysVisitor {
    type Result;
    fn visit<K: Kind>(self, keys: &mut K) -> Self::Result;
}

models! {
    /// Dense layers.
    Mlp = "mlp", mlp;
    /// Outputs that are linear in the inputs.
    Linear = "linear", linear;
    /// Dense layers that add to their input.
    Residual = "residual", residual;
    /// Convolutions with batch norm.
    Cnn = "cnn", cnn;
    /// Long short-term memory over the rows of an image.
    Lstm = "lstm", lstm;
    /// Attention between the rows or patches of an image.
    Transformer = "transformer", transformer;
    /// Convolutions in couplings that run backwards.
    RevNet = "revnet", revnet;
    /// Dense layers of weights ±s, by straight-through derivatives.
    Binary = "binary", binary;
    /// Dense layers whose cotangents come back through fixed random matrices.
    FeedbackAlignment = "feedback_alignment", feedback_alignment;
    /// Dense layers below and above a cut, whose cotangents are predicted.
    SyntheticGradients = "synthetic_gradients", synthetic_gradients;
}

impl Default for Model {
    fn default() -> Model {
        Model::Mlp(mlp::Keys::default())
    }
}

/// No finite sum while values are left out by chance.
fn nothing_left_out(dropout: f64) -> Result<(), Misfit> {
    if dropout == 0.0 {
        return Ok(());
    }
    Err(Misfit {
        key: "dropout",
        message: format!(
            "found a dropout of {dropout}, with which the loss is another at every step, expected 0 for a minimiser of one sum"
        ),
        help: "set `model.dropout = 0`, or use an update by minibatches, such as \"adam\"".into(),
    })
}

/// No finite sum at all.
fn no_finite_sum(why: &str) -> Result<(), Misfit> {
    Err(Misfit {
        key: "name",
        message: format!(
            "found a model {why}, expected one whose loss is a mean over single rows with exact derivatives"
        ),
        help: "use the model \"linear\", \"mlp\", \"residual\", \"transformer\" or \"revnet\", or an update by minibatches, such as \"adam\""
            .into(),
    })
}

impl Model {
    /// Whether its loss is convex in the parameters.
    pub(crate) fn is_convex(&self) -> bool {
        matches!(self, Model::Linear(_))
    }
}

/// A misfit for a network of images that is given something else.
fn images_only(interface: &Interface) -> Result<(usize, usize), Misfit> {
    interface.image().ok_or_else(|| Misfit {
        key: "name",
        message: format!("found {}, expected images", interface.layout),
        help: "use the model \"mlp\" or \"residual\", which take any inputs".into(),
    })
}
