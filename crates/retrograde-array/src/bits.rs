//! A last-in-first-out stack of bit fields.

/// A stack of bit fields, packed into words: what was pushed last is popped first.
///
/// ```
/// use retrograde_array::bits::BitStack;
/// let mut stack = BitStack::default();
/// stack.push(5, 3);
/// stack.push(1, 1);
/// assert_eq!((stack.len_bits(), stack.size_bytes()), (4, 8));
/// assert_eq!((stack.pop(1), stack.pop(3), stack.pop(1)), (Some(1), Some(5), None));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct BitStack {
    /// Bits from the bottom up, low bits first; every bit at or above `len` is zero.
    words: Vec<u64>,
    len: usize,
}

/// The low `n_bits` bits set.
fn mask(n_bits: u32) -> u64 {
    if n_bits == 64 { u64::MAX } else { (1 << n_bits) - 1 }
}

impl BitStack {
    /// An empty stack.
    ///
    /// ```
    /// use retrograde_array::bits::BitStack;
    /// let mut stack = BitStack::new();
    /// assert!(stack.is_empty());
    /// stack.push(0b1010, 4);
    /// stack.flip(0);
    /// stack.shrink();
    /// assert_eq!(stack.pop(4), Some(0b1011));
    /// ```
    pub fn new() -> BitStack {
        BitStack::default()
    }

    /// Puts the low `n_bits` bits of `value` on top.
    ///
    /// # Panics
    /// When `n_bits` is above 64: internal misuse.
    #[inline]
    pub fn push(&mut self, value: u64, n_bits: u32) {
        assert!(n_bits <= 64, "push of {n_bits} bits; this is a bug in retrograde");
        if n_bits == 0 {
            return;
        }
        let value = value & mask(n_bits);
        let used = (self.len % 64) as u32;
        if used == 0 {
            self.words.push(value);
        } else {
            if let Some(top) = self.words.last_mut() {
                *top |= value << used;
            }
            if used + n_bits > 64 {
                self.words.push(value >> (64 - used));
            }
        }
        self.len += n_bits as usize;
    }

    /// Takes the top `n_bits` bits; `None`, taking nothing, when there are fewer.
    ///
    /// # Panics
    /// When `n_bits` is above 64: internal misuse.
    #[inline]
    pub fn pop(&mut self, n_bits: u32) -> Option<u64> {
        assert!(n_bits <= 64, "pop of {n_bits} bits; this is a bug in retrograde");
        let start = self.len.checked_sub(n_bits as usize)?;
        if n_bits == 0 {
            return Some(0);
        }
        let (word, shift) = (start / 64, (start % 64) as u32);
        let mut value = self.words[word] >> shift;
        if shift + n_bits > 64 {
            value |= self.words[word + 1] << (64 - shift);
        }
        self.words.truncate(start.div_ceil(64));
        if shift > 0 {
            self.words[word] &= mask(shift);
        }
        self.len = start;
        Some(value & mask(n_bits))
    }

    /// Bits on the stack.
    pub fn len_bits(&self) -> usize {
        self.len
    }

    /// True when nothing is on the stack.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the words in use.
    pub fn size_bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// Takes everything above the lowest `n_bits` bits off; nothing happens when there are no more.
    ///
    /// ```
    /// use retrograde_array::bits::BitStack;
    /// let mut stack = BitStack::new();
    /// stack.push(0b101, 3);
    /// let before = stack.clone();
    /// stack.push(u64::MAX, 64);
    /// stack.truncate(3);
    /// assert_eq!(stack, before);
    /// ```
    pub fn truncate(&mut self, n_bits: usize) {
        if n_bits >= self.len {
            return;
        }
        self.words.truncate(n_bits.div_ceil(64));
        let used = (n_bits % 64) as u32;
        if used > 0
            && let Some(top) = self.words.last_mut()
        {
            *top &= mask(used);
        }
        self.len = n_bits;
    }

    /// Inverts one bit, counted from the bottom: for tests that corrupt a tape on purpose.
    ///
    /// # Panics
    /// When there is no such bit: internal misuse.
    pub fn flip(&mut self, bit: usize) {
        assert!(bit < self.len, "flip of bit {bit} of {}; this is a bug in retrograde", self.len);
        self.words[bit / 64] ^= 1 << (bit % 64);
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.words.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, random_bits};

    #[test]
    fn pops_what_was_pushed() {
        for seed in 0..20 {
            let words = random_bits(Key::from_seed(seed), 2000);
            let mut stack = BitStack::new();
            let mut fields: Vec<(u64, u32)> = Vec::new();
            let mut earlier = Vec::new();
            for pair in words.chunks_exact(2) {
                let n_bits = (pair[0] % 65) as u32;
                if pair[0] >> 62 == 0 {
                    if let Some((value, n_bits)) = fields.pop() {
                        assert_eq!(stack.pop(n_bits), Some(value));
                        assert_eq!(earlier.pop(), Some(stack.clone()));
                    }
                } else {
                    earlier.push(stack.clone());
                    stack.push(pair[1], n_bits);
                    fields.push((pair[1] & mask(n_bits), n_bits));
                }
                let len: usize = fields.iter().map(|field| field.1 as usize).sum();
                assert_eq!((stack.len_bits(), stack.size_bytes()), (len, len.div_ceil(64) * 8));
            }
            while let Some((value, n_bits)) = fields.pop() {
                assert_eq!(stack.pop(n_bits), Some(value));
            }
            assert!(stack.is_empty() && stack == BitStack::default());
            assert_eq!(stack.pop(1), None);
        }
    }

    #[test]
    fn truncation_takes_back_what_was_pushed_since() {
        for (seed, n_before) in [0, 1, 63, 64, 65, 127, 128, 200].into_iter().enumerate() {
            let mut stack = BitStack::new();
            for word in random_bits(Key::from_seed(seed as u64), n_before) {
                stack.push(word, 1);
            }
            let before = stack.clone();
            stack.truncate(n_before + 1);
            assert_eq!(stack, before);
            for word in random_bits(Key::from_seed(100), 7) {
                stack.push(word, (word % 65) as u32);
                let mut back = stack.clone();
                back.truncate(n_before);
                assert_eq!(back, before);
            }
        }
    }

    #[test]
    fn a_flip_changes_one_field() {
        let mut stack = BitStack::new();
        stack.push(0, 60);
        stack.push(0, 60);
        stack.flip(70);
        assert_eq!((stack.pop(60), stack.pop(60)), (Some(1 << 10), Some(0)));
    }
}
