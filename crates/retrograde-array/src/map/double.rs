//! Numbers of about 106 bits as unevaluated sums of two floats.
//!
//! Each operation is within a few units of 2^-104 of the exact result, where nothing overflows or is subnormal. Infinities
//! and NaN give parts that mean nothing: the functions that use these choose their values at the edges themselves.
//!
//! Source: Dekker (1971), A floating-point technique for extending the available precision; Joldes, Muller and Popescu
//! (2017), Tight and rigorous error bounds for basic building blocks of double-word arithmetic.

use super::{fast_two_sum, two_sum};

/// `hi + lo`, with `lo` at most half a unit in the last place of `hi`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double {
    pub(super) hi: f64,
    pub(super) lo: f64,
}

impl Double {
    /// A float.
    #[inline(always)]
    pub(super) const fn from(x: f64) -> Double {
        Double { hi: x, lo: 0.0 }
    }

    /// `a + b`, exactly.
    #[inline(always)]
    pub(super) fn sum(a: f64, b: f64) -> Double {
        let (hi, lo) = two_sum(a, b);
        Double { hi, lo }
    }

    /// `a + b` with `|a| >= |b|` or `a = 0`, exactly.
    #[inline(always)]
    pub(super) fn fast_sum(a: f64, b: f64) -> Double {
        let (hi, lo) = fast_two_sum(a, b);
        Double { hi, lo }
    }

    /// `a b`, exactly where it does not underflow.
    #[inline(always)]
    pub(super) fn product(a: f64, b: f64) -> Double {
        let hi = a * b;
        Double { hi, lo: a.mul_add(b, -hi) }
    }

    /// Rounded to one float.
    #[inline(always)]
    pub(super) fn value(self) -> f64 {
        self.hi + self.lo
    }

    #[inline(always)]
    pub(super) fn plus(self, other: Double) -> Double {
        let high = Double::sum(self.hi, other.hi);
        let low = Double::sum(self.lo, other.lo);
        let all = Double::fast_sum(high.hi, high.lo + low.hi);
        Double::fast_sum(all.hi, all.lo + low.lo)
    }

    #[inline(always)]
    pub(super) fn minus(self, other: Double) -> Double {
        self.plus(other.negated())
    }

    #[inline(always)]
    pub(super) fn times(self, other: Double) -> Double {
        let high = Double::product(self.hi, other.hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        Double::fast_sum(high.hi, high.lo + cross)
    }

    #[inline(always)]
    pub(super) fn over(self, other: Double) -> Double {
        let q = self.hi / other.hi;
        // What q misses: the remainder of the leading parts is exact.
        let rest = (-q).mul_add(other.hi, self.hi) + (-q).mul_add(other.lo, self.lo);
        Double::fast_sum(q, rest / other.hi)
    }

    /// The square root of a number that is not negative; zero of zero.
    #[inline(always)]
    pub(super) fn root(self) -> Double {
        let root = self.hi.sqrt();
        let rest = (-root).mul_add(root, self.hi) + self.lo;
        if root == 0.0 { Double::from(0.0) } else { Double::fast_sum(root, rest / (root + root)) }
    }

    #[inline(always)]
    pub(super) fn negated(self) -> Double {
        Double { hi: -self.hi, lo: -self.lo }
    }

    /// Times a power of two.
    #[inline(always)]
    pub(super) fn scaled(self, power: f64) -> Double {
        Double { hi: self.hi * power, lo: self.lo * power }
    }

    /// `self` where the condition holds, else `other`.
    #[inline(always)]
    pub(super) fn when(self, condition: bool, other: Double) -> Double {
        Double {
            hi: if condition { self.hi } else { other.hi },
            lo: if condition { self.lo } else { other.lo },
        }
    }
}
