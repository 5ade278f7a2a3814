//! The map functions over slices.
//!
//! `sin` and `cos` compute every entry with the fast argument reduction, then repair the rare entries that need the
//! exact one: the loop stays branch-free.

use super::{Float, dispatch};

dispatch! {
    /// `exp` of every entry.
    pub(crate) fn exp [T: Float] [T] (a: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; a.len()];
        for (out, &a) in out.iter_mut().zip(a) {
            *out = a.exp();
        }
        out
    }
}

dispatch! {
    /// `log` of every entry.
    pub(crate) fn log [T: Float] [T] (a: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; a.len()];
        for (out, &a) in out.iter_mut().zip(a) {
            *out = a.log();
        }
        out
    }
}

dispatch! {
    /// `tanh` of every entry.
    pub(crate) fn tanh [T: Float] [T] (a: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; a.len()];
        for (out, &a) in out.iter_mut().zip(a) {
            *out = a.tanh();
        }
        out
    }
}

dispatch! {
    /// `sin` of every entry.
    pub(crate) fn sin [T: Float] [T] (a: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; a.len()];
        let mut any_rare = false;
        for (out, &a) in out.iter_mut().zip(a) {
            *out = a.sin_common();
            any_rare |= a.trig_is_rare();
        }
        if any_rare {
            for (out, &a) in out.iter_mut().zip(a) {
                if a.trig_is_rare() {
                    *out = a.sin();
                }
            }
        }
        out
    }
}

dispatch! {
    /// `cos` of every entry.
    pub(crate) fn cos [T: Float] [T] (a: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; a.len()];
        let mut any_rare = false;
        for (out, &a) in out.iter_mut().zip(a) {
            *out = a.cos_common();
            any_rare |= a.trig_is_rare();
        }
        if any_rare {
            for (out, &a) in out.iter_mut().zip(a) {
                if a.trig_is_rare() {
                    *out = a.cos();
                }
            }
        }
        out
    }
}

dispatch! {
    /// `exp` of one value.
    pub(crate) fn exp_one [T: Float] [T] (x: T) -> T {
        x.exp()
    }
}

dispatch! {
    /// `log` of one value.
    pub(crate) fn log_one [T: Float] [T] (x: T) -> T {
        x.log()
    }
}

dispatch! {
    /// `tanh` of one value.
    pub(crate) fn tanh_one [T: Float] [T] (x: T) -> T {
        x.tanh()
    }
}

dispatch! {
    /// `sin` of one value.
    pub(crate) fn sin_one [T: Float] [T] (x: T) -> T {
        x.sin()
    }
}

dispatch! {
    /// `cos` of one value.
    pub(crate) fn cos_one [T: Float] [T] (x: T) -> T {
        x.cos()
    }
}
