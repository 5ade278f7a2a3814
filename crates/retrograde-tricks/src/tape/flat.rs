//! A tree as one vector, and back: what a matrix of derivatives is indexed by.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::concat;

/// All entries of some values, one after the other. There is at least one value.
pub(super) fn flat(values: &[Var]) -> Var {
    let parts: Vec<Var> = values.iter().map(|v| v.reshape([v.shape().size()])).collect();
    concat(&parts, 0)
}

/// Values in the shapes of others, from a vector.
pub(super) fn shaped(vector: Var, like: &[Var]) -> Vec<Var> {
    let mut at = 0;
    let mut part = |like: &Var| {
        let n = like.shape().size();
        at += n;
        vector.slice(0, at - n..at).reshape(like.shape())
    };
    like.iter().map(&mut part).collect()
}
