//! Random choices, one after the other, from one key.

use retrograde_array::rng::{Key, random_bits, uniform};
use retrograde_array::{Array, DType, ops};
use retrograde_core::ir::Type;

/// A stream of random choices: equal seeds choose alike.
#[derive(Clone, Debug)]
pub struct Draws {
    key: Key,
    count: u64,
}

impl Draws {
    /// The stream of a key.
    pub fn new(key: Key) -> Draws {
        Draws { key, count: 0 }
    }
    fn next_key(&mut self) -> Key {
        self.count += 1;
        self.key.fold_in(self.count)
    }
    /// A number in `0..n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let word = random_bits(self.next_key(), 1)[0];
        // The bias of the remainder is below n / 2⁶⁴.
        (word % n.max(1) as u64) as usize
    }
    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    /// One of `all`.
    ///
    /// # Panics
    /// When there is none.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
    /// Each of `0..n` with probability one half, ascending.
    pub fn subset(&mut self, n: usize) -> Vec<usize> {
        (0..n).filter(|_| self.one_in(2)).collect()
    }
    /// `0..n` in a random order (Fisher–Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
    /// An array with entries in `[low, high)`: floats uniform and rounded, integers rounded down, truth values even.
    pub fn array(&mut self, ty: &Type, (low, high): (f64, f64)) -> Array {
        let unit = uniform(self.next_key(), ty.shape.clone());
        let low = if ty.dtype == DType::U8 { low.max(0.0) } else { low };
        let entry = |u: f64| match ty.dtype {
            DType::Bool => f64::from(u8::from(u < 0.5)),
            dtype if dtype.is_float() => low + (high - low) * u,
            _ => (low + (high - low) * u).floor(),
        };
        let entries = unit.to_vec::<f64>().unwrap_or_default().into_iter().map(entry).collect::<Vec<f64>>();
        match Array::new(ty.shape.clone(), entries) {
            Ok(reals) => ops::convert(&reals, ty.dtype),
            Err(e) => panic!("{e}; this is a bug in retrograde"),
        }
    }
    /// A shape of rank 0 to 3, with lengths 0 to 5: seldom empty, mostly small.
    pub fn shape(&mut self) -> Vec<usize> {
        let rank = *self.of(&[0, 1, 1, 1, 2, 2, 2, 3]);
        (0..rank).map(|_| self.length()).collect()
    }
    /// A length, 0 to 5.
    pub fn length(&mut self) -> usize {
        if self.one_in(40) { 0 } else { *self.of(&[1, 2, 2, 3, 3, 3, 4, 5]) }
    }
}
