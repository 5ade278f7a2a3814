//! Exact reversal of a whole step `y = F(x)`, array by array: the correction of a guess of `x`, what the guess misses, and
//! whole arrays where that would be more.
//!
//! Of values the residual is the difference of places in the order of Note [float order], `±0` two places, modulo 2^64.

use super::{LostError, Real, ResidualStack};
use crate::element::each_dtype;
use crate::{Array, DType, Element, Shape, bf16};

/// `$body` with `$t` the Rust type of a float dtype.
macro_rules! each_float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::F64 => {
                type $t = f64;
                $body
            }
            DType::F32 => {
                type $t = f32;
                $body
            }
            DType::BF16 => {
                type $t = bf16;
                $body
            }
            dtype => panic!("whole-step reversal of {dtype}; this is a bug in retrograde"),
        }
    };
}

/// One correction of a guess of the `x` of `y = F(x)`: `x + (y - F(x))`, entry by entry, and the largest `|y - F(x)|`, NaN if
/// one is. An entry that is met keeps its bits.
///
/// # Panics
/// When dtypes or sizes differ or the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, lost::correct};
/// // y = x / 2 is 3; the guess 4 makes 2, so it is one too small, and the guess -0 would make -0.
/// let (x, off) = correct(&array([4.0, -0.0]), &array([3.0, 0.0]), &array([2.0, -0.0]));
/// assert_eq!((x, off), (array([5.0, -0.0]), 1.0));
/// ```
pub fn correct(x: &Array, y: &Array, f_of_x: &Array) -> (Array, f64) {
    each_float!(x.dtype(), T => {
        let (xs, ys, fs) = (values::<T>(x), values::<T>(y), values::<T>(f_of_x));
        let mut largest = 0.0_f64;
        let mut next = |((&x, &y), &f): ((&T, &T), &T)| {
            if y == f {
                return x;
            }
            let off = Real::minus(y, f);
            let size = off.to_scalar().to_f64().abs();
            largest = if size > largest || size.is_nan() { size } else { largest };
            Real::plus(x, off)
        };
        let entries: Vec<T> = xs.iter().zip(ys).zip(fs).map(&mut next).collect();
        (Array::from_parts(x.shape().clone(), entries), largest)
    })
}

/// Whether no entry is infinite or NaN.
///
/// # Panics
/// When the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, lost::is_finite};
/// assert!(is_finite(&array([0.0, -1e308])) && !is_finite(&array([0.0, f64::NAN])));
/// ```
pub fn is_finite(x: &Array) -> bool {
    each_float!(x.dtype(), T => values::<T>(x).iter().all(|x| Real::is_finite(*x)))
}

/// Pushes what a guess misses, entry by entry in row-major order.
///
/// # Errors
/// [`LostError::NotFinite`] when an entry of either is infinite or NaN, after the entries before it.
///
/// # Panics
/// When dtypes or sizes differ or the dtype is not a float: internal misuse.
pub fn push_residuals(x: &Array, guess: &Array, stack: &mut ResidualStack) -> Result<(), LostError> {
    each_float!(x.dtype(), T => {
        let (xs, guesses) = (values::<T>(x), values::<T>(guess));
        assert!(xs.len() == guesses.len(), "{} guesses of {}; this is a bug in retrograde", guesses.len(), xs.len());
        for (&x, &guess) in xs.iter().zip(guesses) {
            if !(Real::is_finite(x) && Real::is_finite(guess)) {
                return Err(LostError::NotFinite);
            }
            stack.push(x.place().wrapping_sub(guess.place()));
        }
        Ok(())
    })
}

/// What [`push_residuals`] was given, from the guess.
///
/// # Errors
/// [`LostError::Exhausted`] or [`LostError::Corrupt`] when the stack is not the one that was recorded.
///
/// # Panics
/// When the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, lost::{ResidualStack, pop_residuals, push_residuals}};
/// let (x, guess) = (array([0.3, -0.0]), array([0.1 + 0.2, 0.0]));
/// let mut stack = ResidualStack::new();
/// push_residuals(&x, &guess, &mut stack)?;
/// let bits = stack.into_bits();
/// assert_eq!(bits.len_bits(), 1 + 2 + 1 + 2 + 1); // -1 and -1, each below a run of no zeros
/// assert_eq!(pop_residuals(&guess, &mut ResidualStack::from_bits(bits))?, x);
/// # Ok::<(), retrograde_array::lost::LostError>(())
/// ```
pub fn pop_residuals(guess: &Array, stack: &mut ResidualStack) -> Result<Array, LostError> {
    each_float!(guess.dtype(), T => {
        let mut entries = values::<T>(guess).to_vec();
        for x in entries.iter_mut().rev() {
            let place = x.place().wrapping_add(stack.pop()?);
            let least = -1 - T::LARGEST_PLACE;
            if !(least..=T::LARGEST_PLACE).contains(&place) {
                return Err(LostError::Corrupt);
            }
            *x = T::from_place(place);
        }
        Ok(Array::from_parts(guess.shape().clone(), entries))
    })
}

/// Bits that [`push_whole`] takes for an array.
fn word_bits(dtype: DType) -> u32 {
    if dtype == DType::Bool { 1 } else { 8 * dtype.size_bytes() as u32 }
}

/// Pushes an array of any dtype as it is; what follows on the stack must be a residual that is not zero.
///
/// # Cost
/// The bits of its entries, one for each bool.
pub fn push_whole(x: &Array, stack: &mut ResidualStack) {
    each_dtype!(x.dtype(), T => values::<T>(x).iter().for_each(|x| stack.push_word(word(*x), word_bits(T::DTYPE))));
}

/// The array that [`push_whole`] was given.
///
/// # Errors
/// [`LostError::Exhausted`] when the stack is not the one that was recorded.
///
/// ```
/// use retrograde_array::{DType, array, lost::{ResidualStack, pop_whole, push_whole}};
/// let x = array([[1.5, -0.0]]);
/// let mut stack = ResidualStack::new();
/// push_whole(&x, &mut stack);
/// stack.push(1);
/// let mut stack = ResidualStack::from_bits(stack.into_bits());
/// assert_eq!(stack.pop(), Ok(1));
/// assert_eq!(pop_whole(DType::F64, x.shape(), &mut stack), Ok(x.clone()));
/// ```
pub fn pop_whole(dtype: DType, shape: &Shape, stack: &mut ResidualStack) -> Result<Array, LostError> {
    each_dtype!(dtype, T => {
        let n = shape.size();
        // The words must be there before memory is taken for them.
        if n.checked_mul(word_bits(T::DTYPE) as usize).is_none_or(|bits| bits > stack.len_bits()) {
            return Err(LostError::Exhausted);
        }
        let mut entries: Vec<T> = vec![];
        for _ in 0..n {
            entries.push(from_word(stack.pop_word(word_bits(T::DTYPE))?));
        }
        entries.reverse();
        Ok(Array::from_parts(shape.clone(), entries))
    })
}

/// The bits of an entry.
trait Word: Element {
    fn word(self) -> u64;
    fn from_word(word: u64) -> Self;
}

macro_rules! words {
    ($($t:ty: $x:ident => $word:expr, $w:ident => $from:expr;)*) => {
        $(impl Word for $t {
            fn word(self) -> u64 {
                let $x = self;
                $word
            }
            fn from_word($w: u64) -> $t {
                $from
            }
        })*
    };
}

words! {
    f64: x => x.to_bits(), w => f64::from_bits(w);
    f32: x => u64::from(x.to_bits()), w => f32::from_bits(w as u32);
    bf16: x => u64::from(x.to_bits()), w => bf16::from_bits(w as u16);
    i64: x => x as u64, w => w as i64;
    i32: x => x as u64, w => w as i32;
    u8: x => u64::from(x), w => w as u8;
    bool: x => u64::from(x), w => w == 1;
}

fn word<T: Word>(x: T) -> u64 {
    x.word()
}

fn from_word<T: Word>(word: u64) -> T {
    T::from_word(word)
}

fn values<T: Element>(a: &Array) -> &[T] {
    match a.as_slice() {
        Some(values) => values,
        None => panic!("{} array where {} was promised; this is a bug in retrograde", a.dtype(), T::DTYPE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, random_bits};

    /// Floats of any bits but infinities and NaN.
    fn any(seed: u64, n: usize) -> Vec<f64> {
        let of = |w: u64| match w % 5 {
            0 => 0.0,
            1 => -0.0,
            2 => 5e-324,
            _ => Some(f64::from_bits(w)).filter(|x| x.is_finite()).unwrap_or(f64::MAX),
        };
        random_bits(Key::from_seed(seed), n).into_iter().map(of).collect()
    }

    fn round_trip<T: Real>(xs: Vec<T>, guesses: Vec<T>) {
        let (x, guess) = (Array::vector(xs), Array::vector(guesses));
        let mut stack = ResidualStack::new();
        push_residuals(&x, &guess, &mut stack).unwrap();
        let mut stack = ResidualStack::from_bits(stack.into_bits());
        assert!(pop_residuals(&guess, &mut stack).unwrap().bits_eq(&x));
        assert_eq!(stack.finish(), Ok(()));
    }

    #[test]
    fn any_guess_leads_back() {
        for seed in 0..100 {
            let (x, guess) = (any(seed, 33), any(seed + 1000, 33));
            round_trip(x.clone(), guess.clone());
            let finite = |x: &f64| (*x as f32).clamp(f32::MIN, f32::MAX);
            round_trip(x.iter().map(finite).collect(), guess.iter().map(finite).collect());
            let finite = |x: &f64| bf16::from_f64(x.clamp(-1e30, 1e30));
            round_trip(x.iter().map(finite).collect(), guess.iter().map(finite).collect::<Vec<bf16>>());
        }
        // The residual that is furthest from zero and those that wrap.
        round_trip(vec![f64::MAX, f64::MIN, -0.0, 0.0], vec![f64::MIN, f64::MAX, 0.0, -0.0]);
    }

    #[test]
    fn a_residual_beyond_the_finite_floats_is_found() {
        for (guess, residual) in [(f64::MAX, 1), (f64::MIN, -1)] {
            let mut stack = ResidualStack::new();
            stack.push(residual);
            let mut stack = ResidualStack::from_bits(stack.into_bits());
            assert_eq!(pop_residuals(&Array::vector(vec![guess]), &mut stack), Err(LostError::Corrupt));
        }
        let mut stack = ResidualStack::new();
        stack.push(i64::from(i32::MAX));
        let mut stack = ResidualStack::from_bits(stack.into_bits());
        assert_eq!(pop_residuals(&Array::vector(vec![1.0_f32]), &mut stack), Err(LostError::Corrupt));
    }

    #[test]
    fn what_is_not_finite_is_an_error() {
        let (one, nan) = (Array::vector(vec![1.0]), Array::vector(vec![f64::NAN]));
        let mut stack = ResidualStack::new();
        assert_eq!(push_residuals(&nan, &one, &mut stack), Err(LostError::NotFinite));
        assert_eq!(push_residuals(&one, &nan, &mut stack), Err(LostError::NotFinite));
        assert!(correct(&one, &one, &nan).1.is_nan());
        assert!(
            correct(
                &Array::vector(vec![1.0, 1.0]),
                &Array::vector(vec![1.0, 3.0]),
                &Array::vector(vec![f64::NAN, 1.0])
            )
            .1
            .is_nan()
        );
    }

    #[test]
    fn whole_arrays_of_every_dtype_come_back() {
        let x = Array::new([2, 3], any(3, 6)).unwrap();
        let mut stack = ResidualStack::new();
        let ints = Array::vector(vec![i64::MIN, -1, i64::MAX]);
        let all: Vec<Array> = [DType::F64, DType::F32, DType::BF16, DType::Bool, DType::U8]
            .into_iter()
            .map(|dtype| crate::ops::convert(&x, dtype))
            .chain([crate::ops::convert(&Array::vector(vec![-7_i64, 7]), DType::I32), ints])
            .collect();
        all.iter().for_each(|x| push_whole(x, &mut stack));
        stack.push(1);
        let mut stack = ResidualStack::from_bits(stack.into_bits());
        assert_eq!(stack.pop(), Ok(1));
        for x in all.iter().rev() {
            assert!(pop_whole(x.dtype(), x.shape(), &mut stack).unwrap().bits_eq(x), "{}", x.dtype());
        }
        assert_eq!(stack.finish(), Ok(()));
        let mut empty = ResidualStack::from_bits(crate::bits::BitStack::new());
        assert_eq!(pop_whole(DType::F64, &Shape::from([1 << 40]), &mut empty), Err(LostError::Exhausted));
    }
}
