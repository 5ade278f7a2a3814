//! One output entry per input entry.

use super::dispatch;

dispatch! {
    /// `f` of every entry.
    pub(crate) fn map [A: Copy, B: Copy + Default, F: Fn(A) -> B] [A, B, F] (a: &[A], f: F) -> Vec<B> {
        let mut out = vec![B::default(); a.len()];
        for (out, &a) in out.iter_mut().zip(a) {
            *out = f(a);
        }
        out
    }
}

dispatch! {
    /// `f` of every pair of entries.
    pub(crate) fn zip [A: Copy, B: Copy, C: Copy + Default, F: Fn(A, B) -> C] [A, B, C, F]
        (a: &[A], b: &[B], f: F) -> Vec<C> {
        let mut out = vec![C::default(); a.len()];
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = f(a, b);
        }
        out
    }
}

dispatch! {
    /// `f` of every triple of entries.
    pub(crate) fn zip3 [A: Copy, B: Copy, C: Copy, D: Copy + Default, F: Fn(A, B, C) -> D] [A, B, C, D, F]
        (a: &[A], b: &[B], c: &[C], f: F) -> Vec<D> {
        let mut out = vec![D::default(); a.len()];
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = f(a, b, c);
        }
        out
    }
}
