//! Arithmetic on trees, leaf by leaf.

use retrograde_array::Array;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::tree::leaves;
use retrograde_core::trace::var::constant;

use super::draw::split;

/// The tree as constants of the program.
#[track_caller]
pub(super) fn constants<T: Traceable>(arrays: &T::Arrays) -> T {
    T::from_arrays(arrays, &mut |array| constant(array))
}

/// The same handles.
pub(super) fn copy<T: Traceable>(tree: &T) -> T {
    tree.map_vars(&mut |leaf| *leaf)
}

/// The leaves: a loop's state is a list of them, as trees of a caller's types do not combine.
pub(super) fn flat<T: Traceable>(tree: &T) -> Vec<Var> {
    leaves(tree).into_iter().map(|(_, leaf)| leaf).collect()
}

/// The tree with the next leaves of a list.
pub(super) fn rebuilt<T: Traceable>(like: &T, list: &mut impl Iterator<Item = Var>) -> T {
    like.map_vars(&mut |leaf| list.next().unwrap_or(*leaf))
}

/// `f` of the leaves of two trees of one structure.
pub(super) fn zip<T: Traceable>(a: &T, b: &T, f: impl Fn(Var, Var) -> Var) -> T {
    let mut others = leaves(b).into_iter().map(|(_, leaf)| leaf);
    a.map_vars(&mut |a| match others.next() {
        Some(b) => f(*a, b),
        None => *a,
    })
}

/// `factor` (f64, a number) times each leaf.
#[track_caller]
pub(super) fn scaled<T: Traceable>(factor: Var, tree: &T) -> T {
    tree.map_vars(&mut |leaf| *leaf * factor.convert(leaf.dtype()))
}

/// `a + factor b` with a number that is known.
#[track_caller]
pub(super) fn shifted<T: Traceable>(a: &T, factor: f64, b: &T) -> T {
    zip(a, b, |a, b| a + b * factor)
}

/// A draw like each leaf, each from its own key.
#[track_caller]
pub(super) fn noise<T: Traceable>(key: Var, like: &T, draw: impl Fn(Var, &[usize]) -> Var) -> T {
    let mut keys = split(key, leaves(like).len()).into_iter();
    like.map_vars(&mut |leaf| match keys.next() {
        Some(key) => draw(key, &leaf.shape()).convert(leaf.dtype()),
        None => *leaf,
    })
}

/// The entries of all leaves, as f64, in order.
pub(super) fn numbers<T: retrograde_core::trace::Tree<Leaf = Array>>(tree: &T) -> Vec<f64> {
    let entries = |leaf: &Array| {
        retrograde_array::ops::convert(leaf, retrograde_array::DType::F64).to_vec::<f64>().unwrap_or_default()
    };
    leaves(tree).iter().flat_map(|(_, leaf)| entries(leaf)).collect()
}
