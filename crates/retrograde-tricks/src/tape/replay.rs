//! Randomness that can be replayed: a draw is a function of a key, and the key one of the place where it is used.
//!
//! ```text
//! key(path) = fold of the path's bytes into the root's key;   draw i = cipher(key, i)
//! ```
//!
//! Law: exact. Masks are not kept: on the way back, or when steps run again, they are drawn again and have the same bits, on any schedule
//! and for any order of the places.

use retrograde_array::rng::Key;
use retrograde_core::trace::tree::{Tree, leaves};

use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`key_at`].
pub const REPLAY: Trick = Trick {
    id: "C17",
    name: "replayable randomness",
    formula: "draw i at a path = cipher(key folded with the path, i)",
    law: Law::Exact,
    cite: &[Source {
        authors: "J. K. Salmon and M. A. Moraes and R. O. Dror and D. E. Shaw",
        title: "Parallel random numbers: as easy as 1, 2, 3",
        venue: "SC",
        year: 2011,
    }],
    file: file!(),
    example: "key_at",
    property: Property {
        claim: "replay has the same bits under every policy of the tape",
        test: "masks_have_the_same_bits_on_every_schedule",
        found: "equal bits under 5 policies, 30 steps with a mask each",
    },
};

/// The key of a path such as `hidden.0.weight`, from the key of the root. Other paths have other keys, unrelated to this one.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_tricks::tape::replay::key_at;
/// let root = Key::from_seed(7);
/// assert_eq!(key_at(root, "hidden.0"), key_at(root, "hidden.0"));
/// assert_ne!(key_at(root, "hidden.0"), key_at(root, "hidden.1"));
/// ```
pub fn key_at(root: Key, path: &str) -> Key {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    // The length first: then no path is a beginning of another.
    let lengths = std::iter::once(path.len() as u64);
    lengths.chain(path.as_bytes().chunks(8).map(word)).fold(root, Key::fold_in)
}

/// The key of every leaf of a tree, by its path: that of a leaf does not depend on what else is in the tree.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_tricks::tape::replay::{key_at, keys_of};
/// let root = Key::from_seed(7);
/// let tree = vec![array(1.0), array([2.0])];
/// assert_eq!(keys_of(root, &tree), [key_at(root, "0"), key_at(root, "1")]);
/// ```
pub fn keys_of<T: Tree>(root: Key, tree: &T) -> Vec<Key> {
    leaves(tree).into_iter().map(|(path, _)| key_at(root, &path)).collect()
}
