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
    /// True when a certain candidate is not the value it stands for.
    pub(crate) fn contradicts [T: Real] [T] (xs: &[T], candidates: &[T], certain: &[bool]) -> bool {
        let mut any = false;
        for ((&x, &candidate), &certain) in xs.iter().zip(candidates).zip(certain) {
            any |= certain & (x != candidate);
        }
        any
    }
}
