//! Structures of leaves: tuples, arrays, vectors, options, maps and your own structs with `#[derive(Tree)]`.

use super::Var;
use crate::ir::Type;
use retrograde_array::Array;
use std::collections::BTreeMap;

/// What stands at the ends of a tree: a traced value, an array, a type.
pub trait Leaf: Tree<Leaf = Self> + Clone {}

/// A structure of leaves.
///
/// ```
/// use retrograde_core::trace::tree::{Tree, Visit, join, leaves, structure};
/// use retrograde_array::array;
/// let tree = (array(1.0), vec![array([2.0]), array([3.0])]);
/// let paths: Vec<String> = leaves(&tree).into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["0", "1.0", "1.1"]);
/// assert_eq!(structure(&tree), ["0", "1 = 2 entries", "1.0", "1.1"]);
/// let ranks = tree.map(&mut |x| array(x.rank() as i64));
/// assert_eq!(ranks, (array(0_i64), vec![array(1_i64), array(1_i64)]));
/// let mut fixed = vec![];
/// tree.visit("", &mut |path, visit| if matches!(visit, Visit::Fixed(_)) { fixed.push(path.to_owned()) });
/// assert_eq!((fixed, join("hidden", "weight")), (vec!["1".to_owned()], "hidden.weight".to_owned()));
/// ```
pub trait Tree: Sized {
    /// What stands at its ends.
    type Leaf: Leaf;
    /// The same structure with other leaves.
    type With<U: Leaf>: Tree<Leaf = U>;
    /// The same structure with `f` of every leaf, in order.
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&Self::Leaf) -> U) -> Self::With<U>;
    /// Calls `f` with every leaf and every fixed part, in the order of [`Tree::map`], each with its path such as `hidden.0.weight`.
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, Self::Leaf>));
}

/// What [`Tree::visit`] finds.
#[derive(Debug)]
pub enum Visit<'a, L> {
    /// A leaf.
    Leaf(&'a L),
    /// A part of the structure that is not a leaf: a length, a setting.
    Fixed(String),
}

/// `path.name`, or `name` at the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// The leaves of a tree, in order, with their paths.
pub fn leaves<T: Tree>(tree: &T) -> Vec<(String, T::Leaf)> {
    let mut all = vec![];
    tree.visit("", &mut |path, visit| {
        if let Visit::Leaf(leaf) = visit {
            all.push((path.to_string(), leaf.clone()));
        }
    });
    all
}

/// The structure of a tree without its leaves, for comparison and for cache keys.
pub fn structure<T: Tree>(tree: &T) -> Vec<String> {
    let mut all = vec![];
    tree.visit("", &mut |path, visit| {
        all.push(match visit {
            Visit::Leaf(_) => path.to_string(),
            Visit::Fixed(what) => format!("{path} = {what}"),
        });
    });
    all
}

macro_rules! leaf {
    ($($ty:ty),*) => { $(
        impl Leaf for $ty {}
        impl Tree for $ty {
            type Leaf = $ty;
            type With<U: Leaf> = U;
            fn map<U: Leaf>(&self, f: &mut dyn FnMut(&$ty) -> U) -> U {
                f(self)
            }
            fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, $ty>)) {
                f(path, Visit::Leaf(self));
            }
        }
    )* };
}
leaf!(Var, Array, Type);

impl<T: Tree> Tree for Vec<T> {
    type Leaf = T::Leaf;
    type With<U: Leaf> = Vec<T::With<U>>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> Vec<T::With<U>> {
        self.iter().map(|t| t.map(f)).collect()
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        f(path, Visit::Fixed(format!("{} entries", self.len())));
        self.iter().enumerate().for_each(|(i, t)| t.visit(&join(path, &i.to_string()), f));
    }
}

impl<T: Tree, const N: usize> Tree for [T; N] {
    type Leaf = T::Leaf;
    type With<U: Leaf> = [T::With<U>; N];
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> [T::With<U>; N] {
        std::array::from_fn(|i| self[i].map(f))
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        self.iter().enumerate().for_each(|(i, t)| t.visit(&join(path, &i.to_string()), f));
    }
}

impl<T: Tree> Tree for Option<T> {
    type Leaf = T::Leaf;
    type With<U: Leaf> = Option<T::With<U>>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> Option<T::With<U>> {
        self.as_ref().map(|t| t.map(f))
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        f(path, Visit::Fixed(if self.is_some() { "some" } else { "none" }.into()));
        self.iter().for_each(|t| t.visit(path, f));
    }
}

impl<T: Tree> Tree for BTreeMap<String, T> {
    type Leaf = T::Leaf;
    type With<U: Leaf> = BTreeMap<String, T::With<U>>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> BTreeMap<String, T::With<U>> {
        self.iter().map(|(k, t)| (k.clone(), t.map(f))).collect()
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        self.iter().for_each(|(k, t)| t.visit(&join(path, k), f));
    }
}

macro_rules! tuple {
    ($($name:ident $i:tt),*) => {
        impl<L: Leaf, $($name: Tree<Leaf = L>),*> Tree for ($($name,)*) {
            type Leaf = L;
            type With<U: Leaf> = ($($name::With<U>,)*);
            fn map<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::With<U> {
                ($(self.$i.map(f),)*)
            }
            fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, L>)) {
                $(self.$i.visit(&join(path, stringify!($i)), f);)*
            }
        }
    };
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
