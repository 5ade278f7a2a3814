//! Structures of leaves: tuples, arrays, vectors, options, maps and your own structs with `#[derive(Tree)]`.

use super::Var;
use crate::ir::Type;
use retrograde_array::Array;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

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
    /// [`Tree::visit`] without paths, for callers in a hurry: containers that can do so make no text.
    fn walk(&self, f: &mut dyn FnMut(Part<'_, Self::Leaf>)) {
        self.visit("", &mut |path, visit| match visit {
            Visit::Leaf(leaf) => f(Part::Leaf(leaf)),
            Visit::Fixed(what) => f(Part::Fixed(&(path, what))),
        });
    }
}

/// What [`Tree::walk`] finds.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a, L> {
    /// A leaf.
    Leaf(&'a L),
    /// How many entries follow.
    Count(usize),
    /// A part of the structure that is not a leaf: a setting, the key of an entry.
    Fixed(&'a dyn std::fmt::Debug),
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

/// What a tree of arrays looks like, for a quick comparison: its structure and the types of its leaves.
///
/// ```
/// use retrograde_core::trace::tree::{Likeness, Tree};
/// use retrograde_array::array;
/// let of = |tree: &Vec<_>| Likeness::of(|f| tree.walk(f));
/// let two = vec![array(1.0), array([2.0])];
/// let like = of(&two);
/// assert!(like.fits(|f| two.walk(f)));
/// assert!(!like.fits(|f| vec![array(1.0), array(2.0)].walk(f)) && !like.fits(|f| two[..1].to_vec().walk(f)));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Likeness(Vec<KnownPart>);

#[derive(Clone, PartialEq, Debug)]
enum KnownPart {
    Leaf(Type),
    Count(usize),
    Fixed(String),
}

impl Likeness {
    /// That of what is walked through.
    pub fn of(walk: impl FnOnce(&mut dyn FnMut(Part<'_, Array>))) -> Likeness {
        let mut parts = vec![];
        walk(&mut |part| {
            parts.push(match part {
                Part::Leaf(array) => KnownPart::Leaf(Type::of(array)),
                Part::Count(n) => KnownPart::Count(n),
                Part::Fixed(what) => KnownPart::Fixed(format!("{what:?}")),
            });
        });
        Likeness(parts)
    }
    /// Whether what is walked through looks the same. Allocates nothing.
    pub fn fits(&self, walk: impl FnOnce(&mut dyn FnMut(Part<'_, Array>))) -> bool {
        let (mut known, mut same) = (self.0.iter(), true);
        walk(&mut |part| same = same && known.next().is_some_and(|known| known.fits(&part)));
        same && known.next().is_none()
    }
}

impl KnownPart {
    fn fits(&self, part: &Part<'_, Array>) -> bool {
        match (self, part) {
            (KnownPart::Leaf(ty), Part::Leaf(array)) => {
                ty.dtype == array.dtype() && ty.shape == *array.shape()
            }
            (KnownPart::Count(n), Part::Count(found)) => n == found,
            (KnownPart::Fixed(known), Part::Fixed(what)) => {
                let mut rest = Rest(known);
                write!(rest, "{what:?}").is_ok() && rest.0.is_empty()
            }
            _ => false,
        }
    }
}

/// A text that is compared with what is written, which takes its beginning off or fails.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
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
            fn walk(&self, f: &mut dyn FnMut(Part<'_, $ty>)) {
                f(Part::Leaf(self));
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
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T::Leaf>)) {
        f(Part::Count(self.len()));
        self.iter().for_each(|t| t.walk(f));
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
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T::Leaf>)) {
        self.iter().for_each(|t| t.walk(f));
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
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T::Leaf>)) {
        f(Part::Count(usize::from(self.is_some())));
        self.iter().for_each(|t| t.walk(f));
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
    fn walk(&self, f: &mut dyn FnMut(Part<'_, T::Leaf>)) {
        f(Part::Count(self.len()));
        for (key, t) in self {
            f(Part::Fixed(key));
            t.walk(f);
        }
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
            fn walk(&self, f: &mut dyn FnMut(Part<'_, L>)) {
                $(self.$i.walk(f);)*
            }
        }
    };
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
