//! A code for numbers that are mostly zero, on a [`BitStack`]: what is written last is read first.
//!
//! A whole step that is reversed by iteration misses the true state by a few units in the last place in some of a hundred
//! values and by nothing in the others. So zeros are counted, and each other number `r` is one event: from the bottom up,
//! the number of zeros before it, `|r|`, and its sign. Counts (one added) and sizes are in Elias' delta code: a number of
//! `n` bits takes `n - 1` bits, then `n` in `2 ⌊log2 n⌋ + 1` bits, read from the top. A residual of ±1 takes two bits and
//! its run of about a hundred zeros fourteen; a run of any length without event takes nothing until it ends.
//!
//! Source: P. Elias, Universal codeword sets and representations of the integers, IEEE Transactions on Information Theory
//! 21 (1975), the code δ, turned round.

use super::LostError;
use crate::bits::BitStack;

/// A stack of residuals, with the run of zeros at its top still open.
///
/// ```
/// use retrograde_array::lost::ResidualStack;
/// let mut stack = ResidualStack::new();
/// for r in [0, 0, -3, 0, i64::MIN, 0] {
///     stack.push(r);
/// }
/// let mut stack = ResidualStack::from_bits(stack.into_bits());
/// for r in [0, i64::MIN, 0, -3, 0, 0] {
///     assert_eq!(stack.pop(), Ok(r));
/// }
/// assert_eq!(stack.finish(), Ok(()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidualStack {
    bits: BitStack,
    /// Zeros on top that are not in `bits`; `None`: the number of them is the next thing in `bits`.
    run: Option<u64>,
}

/// How far a stack was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    len_bits: usize,
    run: Option<u64>,
}

impl Default for ResidualStack {
    fn default() -> ResidualStack {
        ResidualStack::new()
    }
}

impl ResidualStack {
    /// An empty stack.
    ///
    /// ```
    /// use retrograde_array::lost::ResidualStack;
    /// assert_eq!(ResidualStack::new().len_bits(), 0);
    /// ```
    pub fn new() -> ResidualStack {
        ResidualStack { bits: BitStack::new(), run: Some(0) }
    }

    /// The stack that [`into_bits`](Self::into_bits) closed.
    ///
    /// ```
    /// use retrograde_array::{bits::BitStack, lost::{LostError, ResidualStack}};
    /// assert_eq!(ResidualStack::from_bits(BitStack::new()).pop(), Err(LostError::Exhausted));
    /// ```
    pub fn from_bits(bits: BitStack) -> ResidualStack {
        ResidualStack { bits, run: None }
    }

    /// The bits, the open run among them.
    ///
    /// ```
    /// use retrograde_array::lost::ResidualStack;
    /// let mut stack = ResidualStack::new();
    /// (0..1_000_000).for_each(|_| stack.push(0));
    /// assert_eq!(stack.into_bits().len_bits(), 28);
    /// ```
    pub fn into_bits(mut self) -> BitStack {
        self.close_run();
        self.bits
    }

    /// Puts a residual on top.
    #[inline]
    pub fn push(&mut self, residual: i64) {
        if residual == 0 {
            // A run as long as 2^64 - 1 values does not occur.
            self.run = Some(self.run.map_or(0, |n| n) + 1);
            return;
        }
        self.close_run();
        self.push_delta(residual.unsigned_abs());
        self.bits.push(u64::from(residual < 0), 1);
        self.run = Some(0);
    }

    /// Takes a residual from the top.
    ///
    /// # Errors
    /// [`LostError::Exhausted`] or [`LostError::Corrupt`] when there is none.
    #[inline]
    pub fn pop(&mut self) -> Result<i64, LostError> {
        let zeros = self.open_run()?;
        if zeros > 0 {
            self.run = Some(zeros - 1);
            return Ok(0);
        }
        let negative = self.bits.pop(1).ok_or(LostError::Exhausted)? == 1;
        let size = self.pop_delta()?;
        self.run = None;
        if size > 1 << 63 || (size == 1 << 63 && !negative) {
            return Err(LostError::Corrupt);
        }
        Ok(if negative { (size as i64).wrapping_neg() } else { size as i64 })
    }

    /// Puts the low `n_bits` bits of a word on top, as they are. Only below a residual that is not zero, which must follow:
    /// words are taken back right after it.
    ///
    /// ```
    /// use retrograde_array::lost::ResidualStack;
    /// let mut stack = ResidualStack::new();
    /// stack.push(0);
    /// stack.push_word(0b1011, 4);
    /// stack.push(1);
    /// let mut stack = ResidualStack::from_bits(stack.into_bits());
    /// assert_eq!((stack.pop(), stack.pop_word(4), stack.pop()), (Ok(1), Ok(0b1011), Ok(0)));
    /// ```
    pub fn push_word(&mut self, word: u64, n_bits: u32) {
        self.close_run();
        self.bits.push(word, n_bits);
    }

    /// Takes a word back.
    ///
    /// # Errors
    /// [`LostError::Exhausted`] when there are fewer bits, [`LostError::Corrupt`] where no word can be.
    pub fn pop_word(&mut self, n_bits: u32) -> Result<u64, LostError> {
        match self.run {
            None => self.bits.pop(n_bits).ok_or(LostError::Exhausted),
            Some(_) => Err(LostError::Corrupt),
        }
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// [`LostError::Corrupt`] when something is.
    pub fn finish(mut self) -> Result<(), LostError> {
        let zeros = self.open_run()?;
        if zeros == 0 && self.bits.is_empty() { Ok(()) } else { Err(LostError::Corrupt) }
    }

    /// Bits on the stack, the open run not counted.
    pub fn len_bits(&self) -> usize {
        self.bits.len_bits()
    }

    /// Where the stack stands, for [`rewind`](Self::rewind).
    ///
    /// ```
    /// use retrograde_array::lost::ResidualStack;
    /// let mut stack = ResidualStack::new();
    /// stack.push(0);
    /// let (mark, before) = (stack.mark(), stack.clone());
    /// (1..9).for_each(|r| stack.push(r));
    /// stack.rewind(mark);
    /// assert_eq!(stack, before);
    /// ```
    pub fn mark(&self) -> Mark {
        Mark { len_bits: self.bits.len_bits(), run: self.run }
    }

    /// Takes off everything that was pushed since the mark was taken.
    pub fn rewind(&mut self, mark: Mark) {
        self.bits.truncate(mark.len_bits);
        self.run = mark.run;
    }

    /// Bits that were pushed since the mark was taken, open runs not counted.
    ///
    /// ```
    /// use retrograde_array::lost::ResidualStack;
    /// let mut stack = ResidualStack::new();
    /// let mark = stack.mark();
    /// stack.push(-1);
    /// assert_eq!(stack.bits_since(mark), 3); // no zeros, one, minus
    /// ```
    pub fn bits_since(&self, mark: Mark) -> usize {
        self.len_bits().saturating_sub(mark.len_bits)
    }

    fn close_run(&mut self) {
        if let Some(zeros) = self.run.take() {
            self.push_delta(zeros + 1);
        }
    }

    /// The zeros on top.
    fn open_run(&mut self) -> Result<u64, LostError> {
        let zeros = match self.run {
            Some(zeros) => zeros,
            None => self.pop_delta()? - 1,
        };
        self.run = Some(zeros);
        Ok(zeros)
    }

    fn push_delta(&mut self, n: u64) {
        let log = n.ilog2();
        self.bits.push(n, log);
        let log_log = (log + 1).ilog2();
        self.bits.push(u64::from(log + 1), log_log);
        // Read from the top: as many zeros as bits follow, then a one.
        self.bits.push(1, log_log + 1);
    }

    fn pop_delta(&mut self) -> Result<u64, LostError> {
        let mut log_log = 0;
        while self.bits.pop(1).ok_or(LostError::Exhausted)? == 0 {
            log_log += 1;
            // Six bits say any length up to 64.
            if log_log > 6 {
                return Err(LostError::Corrupt);
            }
        }
        let length = (1 << log_log) | self.bits.pop(log_log).ok_or(LostError::Exhausted)?;
        if length > 64 {
            return Err(LostError::Corrupt);
        }
        let log = length as u32 - 1;
        Ok((1 << log) | self.bits.pop(log).ok_or(LostError::Exhausted)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, random_bits};

    fn coded(residuals: &[i64]) -> BitStack {
        let mut stack = ResidualStack::new();
        residuals.iter().for_each(|&r| stack.push(r));
        stack.into_bits()
    }

    fn decoded(bits: BitStack, n: usize) -> Result<Vec<i64>, LostError> {
        let mut stack = ResidualStack::from_bits(bits);
        let mut residuals = (0..n).map(|_| stack.pop()).collect::<Result<Vec<i64>, _>>()?;
        residuals.reverse();
        stack.finish()?;
        Ok(residuals)
    }

    /// Of every class: each bit length, both ends of it, both signs.
    fn of_every_class() -> Vec<i64> {
        let ends =
            |bits: u32| [1_u64 << bits, (1 << bits) | ((1 << bits) - 1), (1 << bits) | (1 << bits >> 1)];
        let sizes = (0..63).flat_map(ends).map(|size| size as i64);
        sizes.flat_map(|r| [r, -r]).chain([i64::MIN, i64::MAX, i64::MIN + 1, 0]).collect()
    }

    fn random(seed: u64, n: usize) -> Vec<i64> {
        let words = random_bits(Key::from_seed(seed), 2 * n);
        let likely = [0, 1, 8, 64][seed as usize % 4];
        let of = |w: &[u64]| if w[0] % 65 < likely { 0 } else { (w[1] >> (w[0] >> 32 & 63)) as i64 };
        words.chunks_exact(2).map(|w| if w[0] >> 63 == 0 { of(w) } else { of(w).wrapping_neg() }).collect()
    }

    #[test]
    fn residuals_come_back() {
        let every = of_every_class();
        assert_eq!(decoded(coded(&every), every.len()), Ok(every.clone()));
        for r in every {
            assert_eq!(decoded(coded(&[r]), 1), Ok(vec![r]));
            assert_eq!(decoded(coded(&[0, r, r, 0, 0, 0, r]), 7), Ok(vec![0, r, r, 0, 0, 0, r]));
        }
        for seed in 0..200 {
            let residuals = random(seed, 1 + seed as usize * 7);
            assert_eq!(decoded(coded(&residuals), residuals.len()), Ok(residuals), "seed {seed}");
        }
        assert_eq!(decoded(coded(&[]), 0), Ok(vec![]));
    }

    #[test]
    fn zeros_cost_far_less_than_a_bit() {
        assert!(coded(&vec![0; 100_000]).len_bits() < 32);
        // One event in 150 values, as Lorenz' system has it: near the 0.057 + 0.03 bits that the events tell.
        let sparse: Vec<i64> = (0..30_000).map(|i| if i % 150 == 7 { 1 - 2 * (i % 2) } else { 0 }).collect();
        assert!(coded(&sparse).len_bits() < 200 * 17, "{}", coded(&sparse).len_bits());
    }

    #[test]
    fn no_code_is_longer_than_its_bound() {
        for r in of_every_class() {
            let (with, without) = (coded(&[0, r, 0]).len_bits(), coded(&[0, 0]).len_bits());
            let bits = 64 - r.unsigned_abs().leading_zeros() as usize;
            // 63 bits below the highest, 13 for their number, the sign, and four for the run that ends.
            assert!(with <= without + bits + 17, "{r}: {with} bits");
        }
    }

    #[test]
    fn a_flipped_bit_is_found_or_changes_a_residual() {
        for seed in 0..40 {
            let residuals = if seed == 0 { of_every_class() } else { random(seed, 40) };
            let bits = coded(&residuals);
            for bit in 0..bits.len_bits() {
                let mut wrong = bits.clone();
                wrong.flip(bit);
                assert_ne!(decoded(wrong, residuals.len()), Ok(residuals.clone()), "seed {seed}, bit {bit}");
            }
        }
    }

    #[test]
    fn random_bits_never_panic() {
        for seed in 0..2000 {
            let mut bits = BitStack::new();
            random_bits(Key::from_seed(seed), 20).into_iter().for_each(|w| bits.push(w, 1 + (w % 64) as u32));
            let mut stack = ResidualStack::from_bits(bits);
            for _ in 0..2000 {
                if stack.pop().is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn words_stand_below_residuals() {
        let mut stack = ResidualStack::new();
        for i in 0..50_u64 {
            (0..i % 5).for_each(|_| stack.push(0));
            (0..i % 3).for_each(|j| stack.push_word(i * j, 64));
            stack.push(1 + i as i64);
        }
        let mut stack = ResidualStack::from_bits(stack.into_bits());
        for i in (0..50_u64).rev() {
            assert_eq!(stack.pop(), Ok(1 + i as i64));
            (0..i % 3).rev().for_each(|j| assert_eq!(stack.pop_word(64), Ok(i * j)));
            (0..i % 5).for_each(|_| assert_eq!(stack.pop(), Ok(0)));
            assert!(i % 5 == 0 || stack.pop_word(1) == Err(LostError::Corrupt));
        }
        assert_eq!(stack.finish(), Ok(()));
    }
}
