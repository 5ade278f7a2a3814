//! The vectorised test behind exact reversal: which rounded additions determine their operand by themselves.

use super::dispatch;
use crate::lost::{LostError, Real, Step};

dispatch! {
    /// For every `y = fl(x + d)`: the candidate for `x`, and whether it is the only one. True if all are.
    pub(crate) fn detect_add [T: Real] [T]
        (ys: &[T], ds: &[T], candidates: &mut [T], certain: &mut [bool]) -> bool {
        let mut all = true;
        for (((&y, &d), candidate), certain) in ys.iter().zip(ds).zip(candidates).zip(certain) {
            (*candidate, *certain) = Step::Add(d).candidate(y);
            all &= *certain;
        }
        all
    }
}

dispatch! {
    /// As [`detect_add`] for `y = fma(a, b, x)`.
    pub(crate) fn detect_fma [T: Real] [T]
        (ys: &[T], a: &[T], b: &[T], candidates: &mut [T], certain: &mut [bool]) -> bool {
        let mut all = true;
        for ((((&y, &a), &b), candidate), certain) in ys.iter().zip(a).zip(b).zip(candidates).zip(certain) {
            (*candidate, *certain) = Step::Fma(a, b).candidate(y);
            all &= *certain;
        }
        all
    }
}

dispatch! {
    /// [`Step::preimages`], compiled with a hardware fma.
    pub(crate) fn preimages [T: Real] [T] (step: Step<T>, y: T, x: T) -> Result<(i64, i64), LostError> {
        step.preimages(y, x)
    }
}

dispatch! {
    /// [`Step::candidate`], compiled with a hardware fma.
    pub(crate) fn candidate [T: Real] [T] (step: Step<T>, y: T) -> (T, bool) {
        step.candidate(y)
    }
}

dispatch! {
    /// As [`detect_add`], beside the values `xs` that candidates stand for: whether all are certain, and whether one that is certain is
    /// not its value.
    pub(crate) fn compare_add [T: Real] [T] (ys: &[T], ds: &[T], xs: &[T], certain: &mut [bool]) -> (bool, bool) {
        let (mut all, mut any) = (true, false);
        for (((&y, &d), &x), certain) in ys.iter().zip(ds).zip(xs).zip(certain) {
            let (candidate, is_certain) = Step::Add(d).candidate(y);
            *certain = is_certain;
            all &= is_certain;
            any |= is_certain & (x != candidate);
        }
        (all, any)
    }
}

dispatch! {
    /// As [`compare_add`] for `y = fma(a, b, x)`.
    pub(crate) fn compare_fma [T: Real] [T]
        (ys: &[T], a: &[T], b: &[T], xs: &[T], certain: &mut [bool]) -> (bool, bool) {
        let (mut all, mut any) = (true, false);
        for ((((&y, &a), &b), &x), certain) in ys.iter().zip(a).zip(b).zip(xs).zip(certain) {
            let (candidate, is_certain) = Step::Fma(a, b).candidate(y);
            *certain = is_certain;
            all &= is_certain;
            any |= is_certain & (x != candidate);
        }
        (all, any)
    }
}
