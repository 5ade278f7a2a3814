//! The updates that a recipe can name: steps by minibatches, and minimisers of the mean loss over all training rows, each with its own
//! keys under `[update]`.
//!
//! ```
//! use retrograde_train::{Recipe, Update};
//! let recipe = Recipe::parse("[update]\nname = \"lbfgs\"\nmemory = 20\n", "r.toml")?;
//! let Update::FiniteSum(minimiser) = recipe.update else { panic!("another update") };
//! assert_eq!((minimiser.name(), recipe.update.name()), ("lbfgs", "lbfgs"));
//! assert!(recipe.to_string().contains("memory = 20  # differences kept"));
//! # Ok::<(), retrograde_train::RecipeError>(())
//! ```

use std::fmt;

use retrograde_tricks::catalogue::Source;
use retrograde_tricks::update::finite_sum::{
    self, HessianFree, Lbfgs, Limits, Lissa, MatrixFreeNewton, NewtonCg, Saga, StochasticNewton, Svrg,
};

use crate::choice::{Choice, choice};

choice! {
    /// How the gradient of a minibatch changes the parameters; see [`crate::update`].
    Rule {
        /// Stochastic gradient descent with momentum.
        Sgd = "sgd",
        /// With Nesterov's look ahead.
        Nesterov = "nesterov",
        /// Adaptive moments.
        Adam = "adam",
        /// Weights that decay apart from the gradient.
        AdamW = "adamw",
        /// The largest mean of squares so far.
        AmsGrad = "amsgrad",
        /// Adam with Nesterov's look ahead.
        Nadam = "nadam",
        /// Squares are added, not mixed in.
        Yogi = "yogi",
        /// By the root of the mean of squares.
        RmsProp = "rmsprop",
        /// By the root of the sum of squares.
        AdaGrad = "adagrad",
        /// By the root of the mean of squares, of which rows and columns are kept.
        Adafactor = "adafactor",
        /// By the signs of the mean gradient.
        Lion = "lion",
        /// The orthogonal factor of the velocity of each matrix; Adam for the rest.
        Muon = "muon",
        /// By roots of the covariances of rows and columns.
        Shampoo = "shampoo",
        /// Momentum of a size that goes with each layer's weights.
        Lars = "lars",
        /// Adam of a size that goes with each layer's weights.
        Lamb = "lamb",
    }
}

/// What changes the parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Update {
    /// A step for each minibatch.
    Minibatch(Rule),
    /// Steps down the mean loss over all training rows.
    FiniteSum(Minimiser),
}

impl Update {
    /// The names of all updates.
    pub fn names() -> Vec<&'static str> {
        Rule::ALL.iter().map(|rule| rule.name()).chain(Method::NAMES.iter().copied()).collect()
    }
    /// The update of this name, with the keys that it begins with.
    pub fn named(name: &str) -> Option<Update> {
        let rule = Rule::ALL.iter().find(|rule| rule.name() == name);
        rule.map(|rule| Update::Minibatch(*rule)).or_else(|| {
            Some(Update::FiniteSum(Minimiser { method: Method::named(name)?, tolerance: TOLERANCE }))
        })
    }
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Update::Minibatch(rule) => rule.name(),
            Update::FiniteSum(minimiser) => minimiser.name(),
        }
    }
    /// Its keys.
    pub(super) fn keys(&self) -> Vec<&'static Key> {
        match self {
            Update::Minibatch(_) => vec![],
            Update::FiniteSum(minimiser) => minimiser.method.keys().iter().chain([&OF_ALL]).collect(),
        }
    }
    /// The names of all keys of all updates.
    pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
        Method::ALL.iter().flat_map(|method| method.keys()).chain([&OF_ALL]).map(|key| key.name)
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The tolerance until another is asked for.
const TOLERANCE: f64 = 1e-9;
/// What stochastic Newton adds to the curvature at first: about the largest of a mean cross-entropy.
const LEVENBERG: f64 = 1.0;

/// A minimiser of the mean loss over all training rows, and when it is near enough.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Minimiser {
    /// How it goes.
    pub method: Method,
    /// It ends once its own estimate of what is left of the loss is at most this; 0: it goes on.
    pub tolerance: f64,
}

impl Minimiser {
    /// What recipes call it.
    pub fn name(&self) -> &'static str {
        self.method.name()
    }
    /// Where it comes from.
    pub fn cite(&self) -> &'static [Source] {
        self.method.of_sum().cite()
    }
    /// When a run ends, and what its draws depend on.
    pub(crate) fn limits(&self, epochs: u32, seed: u64) -> Limits {
        Limits { passes: epochs.into(), tolerance: self.tolerance, seed }
    }
}

/// A key under `[update]`: how its value is read, printed and explained.
pub(crate) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it means, for those who read a recipe.
    pub(super) note: &'static str,
    pub(super) get: fn(&Minimiser) -> f64,
    pub(super) set: fn(&mut Minimiser, f64),
}

/// What values a key has.
pub(super) enum Kind {
    /// Integers from a least one, up to that of `u32`.
    Count(u32),
    /// Finite numbers in a range, with the words for it.
    Number(&'static str, fn(f64) -> bool),
}

impl Key {
    /// The value as TOML.
    pub(super) fn show(&self, of: &Minimiser) -> String {
        let value = (self.get)(of);
        match self.kind {
            Kind::Count(_) => format!("{value}"),
            Kind::Number(..) => format!("{value:?}"),
        }
    }
}

const ABOVE_0: Kind = Kind::Number("above 0", |x| x > 0.0);
const FROM_0: Kind = Kind::Number("from 0", |x| x >= 0.0);

/// The key that all minimisers have.
const OF_ALL: Key = Key {
    name: "tolerance",
    kind: FROM_0,
    note: "of what is left of the loss, by the method's own estimate; 0: all epochs",
    get: |minimiser| minimiser.tolerance,
    set: |minimiser, value| minimiser.tolerance = value,
};

/// A key of one method: where it stands in the method's settings, as a number.
macro_rules! key {
    ($name:literal, $kind:expr, $note:literal, $variant:ident |$settings:ident| $get:expr, |$value:ident| $set:expr) => {
        Key {
            name: $name,
            kind: $kind,
            note: $note,
            get: |minimiser| match &minimiser.method {
                Method::$variant($settings) => $get,
                other => panic!("a key of another method than {}; this is a bug in retrograde", other.name()),
            },
            set: |minimiser, $value| {
                if let Method::$variant($settings) = &mut minimiser.method {
                    $set;
                }
            },
        }
    };
}

/// The methods: name, settings to begin with, and keys.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident($settings:ty) = $name:literal, $start:expr, [$($key:expr),* $(,)?];)*) => {
        /// How the mean loss is minimised. Rates that are 0 are found by the curvature of the rows.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum Method { $($(#[$doc])* $variant($settings)),* }

        impl Method {
            const NAMES: &'static [&'static str] = &[$($name),*];
            const ALL: &'static [Method] = &[$(Method::$variant($start)),*];

            fn named(name: &str) -> Option<Method> {
                Method::ALL.iter().copied().find(|method| method.name() == name)
            }
            /// What recipes call it.
            pub fn name(&self) -> &'static str {
                match self { $(Method::$variant(_) => $name),* }
            }
            fn keys(&self) -> &'static [Key] {
                match self { $(Method::$variant(_) => const { &[$($key),*] }),* }
            }
            /// As a method of a finite sum; its rate must be found where it is 0.
            pub(crate) fn of_sum(&self) -> &dyn finite_sum::Method {
                match self { $(Method::$variant(settings) => settings),* }
            }
        }
    };
}

methods! {
    /// Newton steps by the curvature of a few rows, secants, and a growing sample.
    StochasticNewton(StochasticNewton) = "stochastic-newton",
        StochasticNewton { memory: 5, refresh_every: 3, subsample: None, damping: None, levenberg: 0.0 }, [
        key!("memory", Kind::Count(0), "differences kept", StochasticNewton |s| s.memory as f64, |v| s.memory = v as usize),
        key!("refresh_every", Kind::Count(1), "steps between two curvatures",
            StochasticNewton |s| s.refresh_every as f64, |v| s.refresh_every = v as usize),
        key!("subsample", Kind::Count(0), "rows of a curvature; 0: by parameters and rows",
            StochasticNewton |s| s.subsample.unwrap_or(0) as f64, |v| s.subsample = (v > 0.0).then_some(v as usize)),
        key!("damping", FROM_0, "part of a row's curvature, over the subsample; 0: by the weight decay",
            StochasticNewton |s| s.damping.unwrap_or(0.0), |v| s.damping = (v > 0.0).then_some(v)),
        key!("levenberg", FROM_0, "curvature added at first, then it learns; 0: 1",
            StochasticNewton |s| s.levenberg, |v| s.levenberg = v),
    ];
    /// Newton steps by products with batches, for many more rows than parameters.
    MatrixFreeNewton(MatrixFreeNewton) = "matrix-free-newton",
        MatrixFreeNewton { eta: 1.0, momentum: 0.5, batch: 8, rank: 10, products: 0.5, first_part: 0.1 }, [
        key!("rank", Kind::Count(1), "of the preconditioner", MatrixFreeNewton |s| s.rank as f64, |v| s.rank = v as usize),
        key!("batch", Kind::Count(1), "rows of a product", MatrixFreeNewton |s| s.batch as f64, |v| s.batch = v as usize),
    ];
    /// Conjugate gradients on the curvature of Gauss and Newton, with a damping that learns.
    HessianFree(HessianFree) = "hessian-free",
        HessianFree { damping: 0.1, preconditioned: false, max_products: 250 }, [
        key!("damping", ABOVE_0, "at first", HessianFree |s| s.damping, |v| s.damping = v),
        key!("max_products", Kind::Count(1), "of a step", HessianFree |s| s.max_products as f64, |v| s.max_products = v as usize),
    ];
    /// Secants and a line search.
    Lbfgs(Lbfgs) = "lbfgs", Lbfgs { memory: 10 }, [
        key!("memory", Kind::Count(1), "differences kept", Lbfgs |s| s.memory as f64, |v| s.memory = v as usize),
    ];
    /// Conjugate gradients on the Hessian.
    NewtonCg(NewtonCg) = "newton-cg", NewtonCg { forcing: 0.5 }, [
        key!("forcing", ABOVE_0, "the largest relative residual of a step", NewtonCg |s| s.forcing, |v| s.forcing = v),
    ];
    /// The series of the inverse curvature, row by row.
    Lissa(Lissa) = "lissa", Lissa { eta: 0.0, depth: 1.0 }, [
        key!("rate", FROM_0, "0: by the curvature of the rows", Lissa |s| s.eta, |v| s.eta = v),
        key!("depth", ABOVE_0, "terms of the series, in passes", Lissa |s| s.depth, |v| s.depth = v),
    ];
    /// Gradients corrected by those of a snapshot.
    Svrg(Svrg) = "svrg", Svrg { rate: 0.0, epoch: 2.0, batch: 1 }, [
        key!("rate", FROM_0, "0: by the curvature of the rows", Svrg |s| s.rate, |v| s.rate = v),
        key!("depth", ABOVE_0, "steps between two snapshots, in passes", Svrg |s| s.epoch, |v| s.epoch = v),
        key!("batch", Kind::Count(1), "rows of a step", Svrg |s| s.batch as f64, |v| s.batch = v as usize),
    ];
    /// Gradients corrected by the last one of each row.
    Saga(Saga) = "saga", Saga { rate: 0.0 }, [
        key!("rate", FROM_0, "0: by the curvature of the rows", Saga |s| s.rate, |v| s.rate = v),
    ];
}

impl Method {
    /// The rate, of those that have one, and what it is for rows with a curvature of one.
    pub(crate) fn rate(&mut self) -> Option<(&mut f64, f64)> {
        match self {
            Method::Lissa(settings) => Some((&mut settings.eta, Lissa::default().eta)),
            Method::Svrg(settings) => Some((&mut settings.rate, Svrg::default().rate)),
            Method::Saga(settings) => Some((&mut settings.rate, Saga::default().rate)),
            _ => None,
        }
    }
    /// Whether it goes nowhere useful unless the loss is convex: products with a negative curvature lead it astray.
    pub(crate) fn is_for_convex(&self) -> bool {
        matches!(self, Method::MatrixFreeNewton(_) | Method::Lissa(_))
    }
    /// With the damping that is to be found where it is 0. Without one a unit step goes too far in a network, and also in a linear
    /// model of many classes with little weight decay.
    pub(crate) fn damped(mut self) -> Method {
        if let Method::StochasticNewton(settings) = &mut self
            && settings.levenberg == 0.0
        {
            settings.levenberg = LEVENBERG;
        }
        self
    }
    /// How many numbers it holds at once for so many rows, parameters and outputs, but for a few vectors: rows of gradients and of
    /// curvature, matrices that are solved with, tables, differences.
    pub(crate) fn n_held(&self, n_rows: usize, n_parameters: u64, n_outputs: usize) -> u64 {
        let d = usize::try_from(n_parameters).unwrap_or(usize::MAX);
        let times = |count: usize| n_parameters.saturating_mul(count as u64);
        // Of each row a gradient, and the curvature of its loss in the outputs.
        let curved = |rows: usize| {
            times(rows).saturating_add((rows as u64).saturating_mul((n_outputs as u64).saturating_pow(2)))
        };
        match self {
            Method::StochasticNewton(settings) => {
                let s = settings.examples_of_curvature(n_rows, d);
                curved(s).saturating_add((s.min(d) as u64).saturating_pow(2))
            }
            Method::MatrixFreeNewton(settings) => {
                curved(MatrixFreeNewton::LEAST_SUBSAMPLE.max(4 * settings.rank))
            }
            Method::Lbfgs(settings) => times(2 * settings.memory),
            Method::Saga(_) => times(n_rows),
            Method::HessianFree(_) | Method::NewtonCg(_) | Method::Lissa(_) | Method::Svrg(_) => 0,
        }
    }
    /// How many rows it takes at once, with the key that says so.
    pub(crate) fn rows_at_once(&self) -> Option<(&'static str, usize)> {
        match self {
            Method::StochasticNewton(settings) => Some(("subsample", settings.subsample?)),
            Method::MatrixFreeNewton(settings) => Some(("batch", settings.batch)),
            Method::Svrg(settings) => Some(("batch", settings.batch)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings that recipes begin with are those of the methods, but for rates, which are found.
    #[test]
    fn defaults_are_the_constants_of_the_methods() {
        let expected = [
            Method::StochasticNewton(StochasticNewton::default()),
            Method::MatrixFreeNewton(MatrixFreeNewton::default()),
            Method::HessianFree(HessianFree::default()),
            Method::Lbfgs(Lbfgs::default()),
            Method::NewtonCg(NewtonCg::default()),
            Method::Lissa(Lissa { eta: 0.0, ..Lissa::default() }),
            Method::Svrg(Svrg { rate: 0.0, ..Svrg::default() }),
            Method::Saga(Saga { rate: 0.0 }),
        ];
        assert_eq!(Method::ALL, expected);
        assert_eq!(TOLERANCE, Limits::default().tolerance);
    }

    #[test]
    fn every_key_sets_what_it_shows() {
        for name in Method::NAMES {
            let Some(Update::FiniteSum(mut minimiser)) = Update::named(name) else { panic!("{name}") };
            let keys = Update::FiniteSum(minimiser).keys();
            for key in &keys {
                let before = minimiser;
                (key.set)(&mut minimiser, 7.0);
                assert_eq!((key.get)(&minimiser), 7.0, "{name} {}", key.name);
                assert_ne!(minimiser, before, "{name} {}", key.name);
            }
            assert!(keys.iter().all(|key| (key.get)(&minimiser) == 7.0), "{name}");
        }
    }
}
