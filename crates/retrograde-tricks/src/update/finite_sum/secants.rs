//! The memory of quasi-Newton methods: differences of parameters s and of gradients y, each over one set of examples.

use super::FiniteSumError;
use super::memory::{Memory, Remembered, count, rows};
use super::vector::{add_scaled, dot};

/// A pair is kept if s·y exceeds this part of |s|²: rounding beside a curvature of one.
const LEAST_CURVATURE: f64 = 1e-12;

/// The last few pairs, and the inverse curvature that they make of another one.
#[derive(Clone, Debug)]
pub(super) struct Secants {
    capacity: usize,
    /// (s, y, 1/s·y), oldest first.
    pairs: Vec<(Vec<f64>, Vec<f64>, f64)>,
}

impl Secants {
    pub(super) fn new(capacity: usize) -> Secants {
        Secants { capacity, pairs: vec![] }
    }
    pub(super) fn memory(&self) -> Memory {
        let d = self.pairs.first().map_or(0, |(s, ..)| s.len());
        let steps = self.pairs.iter().map(|(s, ..)| s);
        let bends = self.pairs.iter().map(|(_, y, _)| y);
        vec![count("secants", self.pairs.len()), rows("secants.s", d, steps), rows("secants.y", d, bends)]
    }
    pub(super) fn remembered(
        capacity: usize,
        memory: Remembered<'_>,
        d: usize,
    ) -> Result<Secants, FiniteSumError> {
        let mut secants = Secants::new(capacity);
        if memory.count("secants")? > 0 {
            let pairs = memory.rows("secants.s", d)?.into_iter().zip(memory.rows("secants.y", d)?);
            pairs.for_each(|(s, y)| _ = secants.push(s, y));
        }
        Ok(secants)
    }
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
    pub(super) fn clear(&mut self) {
        self.pairs.clear();
    }
    /// Keeps a pair with positive curvature; says whether it did.
    pub(super) fn push(&mut self, s: Vec<f64>, y: Vec<f64>) -> bool {
        let bend = dot(&s, &y);
        if self.capacity == 0 || bend.is_nan() || bend <= LEAST_CURVATURE * dot(&s, &s) {
            return false;
        }
        if self.pairs.len() == self.capacity {
            self.pairs.remove(0);
        }
        self.pairs.push((s, y, 1.0 / bend));
        true
    }
    /// H g, where H is the inverse curvature that `initial` and the pairs make: H y = s for the last pair.
    ///
    /// Source: Nocedal 1980, Updating quasi-Newton matrices with limited storage, the two loops.
    pub(super) fn apply<E>(
        &self,
        g: &[f64],
        initial: impl FnOnce(&[f64]) -> Result<Vec<f64>, E>,
    ) -> Result<Vec<f64>, E> {
        let mut q = g.to_vec();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (s, y, inverse) in self.pairs.iter().rev() {
            let share = inverse * dot(s, &q);
            add_scaled(&mut q, -share, y);
            shares.push(share);
        }
        let mut x = initial(&q)?;
        for ((s, y, inverse), share) in self.pairs.iter().zip(shares.iter().rev()) {
            let by = share - inverse * dot(y, &x);
            add_scaled(&mut x, by, s);
        }
        Ok(x)
    }
    /// s·y / y·y of the last pair: the size of the inverse curvature along it.
    pub(super) fn scale(&self) -> Option<f64> {
        self.pairs.last().map(|(_, y, inverse)| 1.0 / (inverse * dot(y, y)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrograde_array::rng::{Key, normal};

    fn vector(seed: u64, d: usize) -> Vec<f64> {
        normal(Key::from_seed(seed), [d]).to_vec::<f64>().unwrap()
    }

    /// Pairs of the matrix diag(1..d), whose curvature is positive.
    fn pairs(n: usize, d: usize) -> Secants {
        let mut secants = Secants::new(3);
        for seed in 0..n as u64 {
            let s = vector(seed, d);
            let y = s.iter().enumerate().map(|(i, s)| (i + 1) as f64 * s).collect();
            assert!(secants.push(s, y));
        }
        secants
    }

    fn h(secants: &Secants, g: &[f64]) -> Vec<f64> {
        secants.apply(g, |q| Ok::<_, ()>(q.iter().map(|q| 0.3 * q).collect())).unwrap()
    }

    #[test]
    fn the_secant_equation_holds_for_the_last_pair_and_the_inverse_is_symmetric_and_positive() {
        let d = 7;
        let secants = pairs(5, d);
        assert_eq!(secants.pairs.len(), 3);
        let (s, y, _) = secants.pairs.last().unwrap().clone();
        let found = h(&secants, &y);
        let miss = found.iter().zip(&s).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(miss < 1e-14, "{miss:e}");
        // An older pair is not interpolated: the check would notice a missing update.
        let (s, y, _) = secants.pairs[0].clone();
        let found = h(&secants, &y);
        assert!(found.iter().zip(&s).any(|(a, b)| (a - b).abs() > 1e-3));
        let (a, b) = (vector(11, d), vector(12, d));
        let (left, right) = (dot(&a, &h(&secants, &b)), dot(&h(&secants, &a), &b));
        assert!((left - right).abs() < 1e-13 * left.abs().max(1.0), "{left} {right}");
        assert!(dot(&a, &h(&secants, &a)) > 0.0);
    }

    #[test]
    fn as_many_pairs_as_dimensions_invert_a_quadratic_along_them() {
        // With conjugate directions, here the axes, every pair stays interpolated.
        let mut secants = Secants::new(3);
        for i in 0..3 {
            let (mut s, mut y) = (vec![0.0; 3], vec![0.0; 3]);
            (s[i], y[i]) = (1.0, (i + 2) as f64);
            secants.push(s, y);
        }
        assert_eq!(h(&secants, &[2.0, 3.0, 4.0]), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_pair_without_positive_curvature_is_refused() {
        let mut secants = Secants::new(3);
        assert!(!secants.push(vec![1.0, 0.0], vec![-1.0, 0.0]));
        assert!(!secants.push(vec![1.0, 0.0], vec![0.0, 5.0]));
        assert!(!secants.push(vec![1.0], vec![f64::NAN]));
        assert!(secants.is_empty());
    }
}
