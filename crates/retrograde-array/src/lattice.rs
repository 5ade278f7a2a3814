//! Whole numbers as a lattice of reals, and their exactly reversible arithmetic.
//!
//! A lattice point q, an `i64`, stands for q · g, where the grid g is a power of two. Adding a float rounds the *increment* to
//! the lattice and adds whole numbers, so that adding its negative gives the point back: nothing is lost and nothing is kept.
//! Rounding is symmetric (halves to even), so no step drifts.
//!
//! [`Contract`] multiplies a point by n/d < 1. What the division cuts off goes into a remainder, one whole number per point,
//! instead of being lost. Such a remainder R grows by a factor d/n per multiplication, the information that a contraction
//! destroys; see Note [spilling] for what happens where it gets too large.
//!
//! # Source
//! Levesque & Verlet, Molecular dynamics and time reversibility (1993); Rein & Tamayo, JANUS (2017); for the contraction
//! Maclaurin, Duvenaud, Adams, Gradient-based hyperparameter optimization through reversible learning (2015).

// Note [spilling]
// A remainder R stays in n ≤ R < n·2³². A multiplication first makes R' = (R d + v mod d) div n, at least d because R ≥ n. Where
// R' ≥ n·2³², its low word is spilled (on a bit stack, if the step is to be reversed) and R'' = R' div 2³² is kept. From
// R ≤ n·2³² - 1 follows R d + v mod d < n d 2³², hence R' < d·2³² and R'' < d. So the way back sees from R'' alone whether a
// word was spilled: exactly where R'' < d. That no bit says so, and that the low word is lost by nobody, makes the whole map
// one-to-one and the bits kept log2(d/n) per multiplication, up to the word in hand.

use crate::bits::BitStack;
use crate::lost::LostError;
use crate::{Array, DType, bf16};

/// Bits of a spilled word.
const WORD: u32 = 32;

/// Why lattice arithmetic cannot go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LatticeError {
    /// The grid is not a power of two in reach.
    #[error("found a grid of {0:e}, expected a power of two from 2^-126 to 2^63")]
    Grid(f64),
    /// The range is not positive, below the grid, or holds more points than 64 bits do.
    #[error("found a range of {range} on a grid of 2^{exponent}, expected one above the grid and at most {}", at_most(*.exponent))]
    Range {
        /// The range found.
        range: f64,
        /// The grid as a power of two.
        exponent: i32,
    },
    /// A value outside the range.
    #[error(
        "entry {entry} would be {value}, expected |x| < {range}, the range of this lattice of grid 2^{exponent}; a range of {} would do{}",
        wanted(*.value), coarser(*.value, *.exponent)
    )]
    Outside {
        /// Row-major position of the first one.
        entry: usize,
        /// The value that does not fit.
        value: f64,
        /// The range of the lattice.
        range: f64,
        /// The grid as a power of two.
        exponent: i32,
    },
    /// NaN or infinity has no place on a lattice.
    #[error("entry {entry} is {value}, which has no place on a lattice; look where it comes from")]
    NotFinite {
        /// Row-major position of the first one.
        entry: usize,
        /// What was found.
        value: f64,
    },
    /// A factor that is no contraction.
    #[error("found a factor of {n}/{d}, expected n/d with 1 <= n < d <= 32768")]
    Factor {
        /// The numerator.
        n: u32,
        /// The denominator.
        d: u32,
    },
    /// A number that is no remainder of this contraction.
    #[error("remainder {entry} is {found}, expected {n} <= R < {n} · 2^32; start with `{n}` everywhere")]
    Remainder {
        /// Row-major position of the first one.
        entry: usize,
        /// What was found.
        found: i64,
        /// The numerator of the contraction.
        n: u32,
    },
}

/// The largest range on a grid.
fn at_most(exponent: i32) -> f64 {
    2f64.powi(exponent + 63)
}
/// The smallest power of two above a value.
fn wanted(value: f64) -> f64 {
    let mut range = 1.0;
    while range <= value.abs() && range < f64::MAX / 4.0 {
        range *= 2.0;
    }
    while range / 2.0 > value.abs() && range > 2f64.powi(-126) {
        range /= 2.0;
    }
    range
}
/// What has to change besides the range, so that the value fits.
fn coarser(value: f64, exponent: i32) -> String {
    let range = wanted(value);
    if range <= at_most(exponent) {
        return String::new();
    }
    format!(", with a grid of {:e} or coarser", range / 2f64.powi(63))
}

/// A lattice: a grid, and how many points of it there are on either side of zero.
///
/// ```
/// use retrograde_array::{array, DType, lattice::Lattice};
/// let lattice = Lattice::new(2f64.powi(-57), 64.0)?;
/// let (x, d) = (lattice.point(&array(1.0))?, array([0.1]));
/// let after = lattice.add(&lattice.point(&array([1.0]))?, &d)?;
/// assert_eq!(lattice.add(&after, &array([-0.1]))?, array([1_i64 << 57]));
/// assert_eq!(lattice.value(&x, DType::F64), array(1.0));
/// assert_eq!((lattice.grid(), lattice.range()), (2f64.powi(-57), 64.0));
/// assert!(lattice.point(&array(65.0)).unwrap_err().to_string().contains("a range of 128 would do"));
/// assert!(Lattice::new(0.1, 1.0).is_err() && Lattice::new(0.5, 1e30).is_err());
/// # Ok::<(), retrograde_array::lattice::LatticeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lattice {
    exponent: i32,
    limit: i64,
}

impl Lattice {
    /// The multiples of `grid` (a power of two from 2^-126 to 2^63) of magnitude below `range` (at most 2^63 grids).
    ///
    /// # Errors
    /// When they are not.
    pub fn new(grid: f64, range: f64) -> Result<Lattice, LatticeError> {
        let exponent = grid.log2();
        if !(-126.0..=63.0).contains(&exponent) || 2f64.powi(exponent as i32) != grid {
            return Err(LatticeError::Grid(grid));
        }
        let exponent = exponent as i32;
        // Exact, up to an overflow to infinity: the grid is a power of two.
        let n_points = range / grid;
        if !(n_points > 1.0 && n_points <= 2f64.powi(63)) {
            return Err(LatticeError::Range { range, exponent });
        }
        // The largest whole number below; `as` brings 2^63 to 2^63 - 1.
        let limit =
            if n_points < 2f64.powi(53) { n_points.ceil() as i64 - 1 } else { (n_points as u64 - 1) as i64 };
        Ok(Lattice { exponent, limit })
    }
    /// The lattice of grid `2^exponent` whose largest point is `limit`.
    ///
    /// ```
    /// use retrograde_array::lattice::Lattice;
    /// let lattice = Lattice::from_parts(-57, i64::MAX)?;
    /// assert_eq!(lattice, Lattice::new(2f64.powi(-57), 64.0)?);
    /// assert_eq!((lattice.exponent(), lattice.limit()), (-57, i64::MAX));
    /// assert!(Lattice::from_parts(-57, 0).is_err() && Lattice::from_parts(64, 1).is_err());
    /// # Ok::<(), retrograde_array::lattice::LatticeError>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such grid, or no point but zero.
    pub fn from_parts(exponent: i32, limit: i64) -> Result<Lattice, LatticeError> {
        if !(-126..=63).contains(&exponent) {
            return Err(LatticeError::Grid(2f64.powi(exponent)));
        }
        if limit < 1 {
            return Err(LatticeError::Range { range: limit as f64 * 2f64.powi(exponent), exponent });
        }
        Ok(Lattice { exponent, limit })
    }
    /// The distance of two neighbours.
    pub fn grid(&self) -> f64 {
        2f64.powi(self.exponent)
    }
    /// The grid as a power of two.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }
    /// All values are below this in magnitude.
    pub fn range(&self) -> f64 {
        (self.limit as f64 + 1.0) * self.grid()
    }
    /// The largest point.
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// The nearest points, halves to the even one: i64 of the shape of `x`, a float array.
    ///
    /// # Errors
    /// The first value that is not finite or outside the range.
    ///
    /// # Panics
    /// When `x` is not of floats: internal misuse.
    pub fn point(&self, x: &Array) -> Result<Array, LatticeError> {
        let zeros = vec![0; x.size()];
        Ok(Array::from_parts(x.shape().clone(), self.moved(&zeros, x)?))
    }
    /// The values q · g of points, rounded to nearest, as f64 or f32.
    ///
    /// # Panics
    /// When `q` is not i64 or `dtype` another one: internal misuse.
    pub fn value(&self, q: &Array, dtype: DType) -> Array {
        let (points, grid, shape) = (points(q), self.grid(), q.shape().clone());
        match dtype {
            DType::F64 => Array::from_parts(shape, points.iter().map(|&q| q as f64 * grid).collect()),
            // No point but zero is below 2^-126, so the product is exact.
            DType::F32 => Array::from_parts(
                shape,
                points.iter().map(|&q| (f64::from(q as f32) * grid) as f32).collect(),
            ),
            dtype => panic!("lattice values of {dtype}; this is a bug in retrograde"),
        }
    }
    /// The points `q + round(d / g)`. Undone, to the bit, by adding `-d`.
    ///
    /// # Errors
    /// The first increment that is not finite, the first sum outside the range.
    ///
    /// # Panics
    /// When `q` is not i64, `d` is not of floats or shapes differ: internal misuse.
    pub fn add(&self, q: &Array, d: &Array) -> Result<Array, LatticeError> {
        assert_eq!(q.shape(), d.shape(), "shapes of points and increments; this is a bug in retrograde");
        Ok(Array::from_parts(q.shape().clone(), self.moved(points(q), d)?))
    }

    fn moved(&self, q: &[i64], d: &Array) -> Result<Vec<i64>, LatticeError> {
        // No power of two in reach overflows or rounds here but where |d / g| is far outside or far below one half.
        let (per_grid, mut after) = (2f64.powi(-self.exponent), Vec::with_capacity(q.len()));
        let mut go = |d: &mut dyn Iterator<Item = f64>| -> Result<(), LatticeError> {
            for (entry, (&q, d)) in q.iter().zip(d).enumerate() {
                // Saturates, far outside any range.
                let count = (d * per_grid).round_ties_even();
                match q.checked_add(count as i64) {
                    Some(sum) if sum.unsigned_abs() <= self.limit as u64 && count.abs() < 2f64.powi(63) => {
                        after.push(sum)
                    }
                    _ if !d.is_finite() => return Err(LatticeError::NotFinite { entry, value: d }),
                    _ => {
                        let value = q as f64 * self.grid() + d;
                        return Err(LatticeError::Outside {
                            entry,
                            value,
                            range: self.range(),
                            exponent: self.exponent,
                        });
                    }
                }
            }
            Ok(())
        };
        match d.dtype() {
            DType::F64 => go(&mut entries::<f64>(d).iter().copied())?,
            DType::F32 => go(&mut entries::<f32>(d).iter().map(|&d| f64::from(d)))?,
            DType::BF16 => go(&mut entries::<bf16>(d).iter().map(|d| d.to_f64()))?,
            dtype => panic!("lattice increments of {dtype}; this is a bug in retrograde"),
        }
        Ok(after)
    }
}

fn entries<T: crate::Element>(a: &Array) -> &[T] {
    match a.as_slice() {
        Some(entries) => entries,
        None => panic!("{} array where {} was promised; this is a bug in retrograde", a.dtype(), T::DTYPE),
    }
}
fn points(q: &Array) -> &[i64] {
    entries(q)
}

/// Multiplication of whole numbers v by `n/d < 1`, one-to-one together with their remainders R.
///
/// `(v, R)` becomes `v' = (v div d) n + t mod n` and `R' = t div n`, where `t = R d + v mod d`; divisions are rounded down, so
/// `0 ≤ v mod d < d` for negative v too. `|v' - v n/d| < n + 1`, in points. See Note \[spilling\] for large R.
///
/// ```
/// use retrograde_array::{array, bits::BitStack, lattice::Contract};
/// let nine_tenths = Contract::new(9, 10)?;
/// let (mut v, mut r) = (array([1_000_000_i64, -77]), array([9_i64, 9]));
/// let mut bits = BitStack::new();
/// for _ in 0..1000 {
///     nine_tenths.spill(&v, &r, &mut bits)?;
///     (v, r) = nine_tenths.apply(&v, &r)?;
/// }
/// let spilled = bits.len_bits();
/// assert_eq!(spilled, 2 * 4 * 32); // 1000 · log2(10/9) = 152 bits each, of which the last ones are in r
/// for _ in 0..1000 {
///     (v, r) = nine_tenths.undo(&v, &r, &mut bits).unwrap();
/// }
/// assert_eq!((v, r, bits.len_bits()), (array([1_000_000_i64, -77]), array([9_i64, 9]), 0));
/// assert!(Contract::new(10, 9).is_err());
/// # Ok::<(), retrograde_array::lattice::LatticeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contract {
    n: u32,
    d: u32,
}

impl Contract {
    /// The multiplication by `n/d`, with `1 ≤ n < d ≤ 2^15`.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(n: u32, d: u32) -> Result<Contract, LatticeError> {
        if (1..d).contains(&n) && d <= 1 << 15 {
            Ok(Contract { n, d })
        } else {
            Err(LatticeError::Factor { n, d })
        }
    }
    /// Numerator and denominator.
    ///
    /// ```
    /// use retrograde_array::lattice::Contract;
    /// assert_eq!(Contract::new(99, 100)?.parts(), (99, 100));
    /// # Ok::<(), retrograde_array::lattice::LatticeError>(())
    /// ```
    pub fn parts(&self) -> (u32, u32) {
        (self.n, self.d)
    }
    /// From here on a word is spilled.
    fn too_large(&self) -> i64 {
        i64::from(self.n) << WORD
    }
    /// `v'`, and `R'` before a word of it is spilled.
    fn of(&self, v: i64, r: i64) -> (i64, i64) {
        let (n, d) = (i64::from(self.n), i64::from(self.d));
        // Below n d 2^32 ≤ 2^62.
        let t = r * d + v.rem_euclid(d);
        (v.div_euclid(d) * n + t % n, t / n)
    }
    fn check(&self, r: &[i64]) -> Result<(), LatticeError> {
        let fits = i64::from(self.n)..self.too_large();
        match r.iter().position(|r| !fits.contains(r)) {
            Some(entry) => Err(LatticeError::Remainder { entry, found: r[entry], n: self.n }),
            None => Ok(()),
        }
    }

    /// `(v', R')` of every entry of two i64 arrays of one shape.
    ///
    /// # Errors
    /// The first number that is no remainder.
    ///
    /// # Panics
    /// When dtypes or shapes differ: internal misuse.
    pub fn apply(&self, v: &Array, r: &Array) -> Result<(Array, Array), LatticeError> {
        let both = (points(v), points(r));
        self.check(both.1)?;
        let (mut of_v, mut of_r) = (Vec::with_capacity(v.size()), Vec::with_capacity(v.size()));
        for (&v, &r) in both.0.iter().zip(both.1) {
            let (v, r) = self.of(v, r);
            of_v.push(v);
            of_r.push(if r >= self.too_large() { r >> WORD } else { r });
        }
        Ok((Array::from_parts(v.shape().clone(), of_v), Array::from_parts(r.shape().clone(), of_r)))
    }
    /// Puts the words that [`Contract::apply`] spills of the same operands on a stack, in row-major order.
    ///
    /// # Errors
    /// The first number that is no remainder.
    ///
    /// # Panics
    /// When dtypes or shapes differ: internal misuse.
    pub fn spill(&self, v: &Array, r: &Array, stack: &mut BitStack) -> Result<(), LatticeError> {
        self.check(points(r))?;
        for (&v, &r) in points(v).iter().zip(points(r)) {
            let (_, r) = self.of(v, r);
            if r >= self.too_large() {
                stack.push(r as u64, WORD);
            }
        }
        Ok(())
    }
    /// The `(v, R)` that [`Contract::apply`] made these of, the spilled words taken from the stack.
    ///
    /// # Errors
    /// When the stack is exhausted, or these are not what was made.
    ///
    /// # Panics
    /// When dtypes or shapes differ: internal misuse.
    pub fn undo(&self, v: &Array, r: &Array, stack: &mut BitStack) -> Result<(Array, Array), LostError> {
        let (n, d) = (i64::from(self.n), i64::from(self.d));
        let (mut of_v, mut of_r) = (vec![0; v.size()], vec![0; r.size()]);
        for (i, (&v, &r)) in points(v).iter().zip(points(r)).enumerate().rev() {
            let r = if r < d {
                let low = stack.pop(WORD).ok_or(LostError::Exhausted)?;
                r << WORD | low as i64
            } else {
                r
            };
            let t = r.checked_mul(n).map(|t| t + v.rem_euclid(n)).ok_or(LostError::Corrupt)?;
            // (v div d) d may lie below the smallest number, the sum does not.
            (of_v[i], of_r[i]) = (v.div_euclid(n).wrapping_mul(d).wrapping_add(t % d), t / d);
        }
        self.check(&of_r).map_err(|_| LostError::Corrupt)?;
        Ok((Array::from_parts(v.shape().clone(), of_v), Array::from_parts(r.shape().clone(), of_r)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, random_bits};
    use crate::{Scalar, array};

    fn halves() -> Lattice {
        Lattice::new(0.5, 8.0).unwrap()
    }

    #[test]
    fn points_round_to_even_and_zeros_have_no_sign() {
        let q = halves().point(&array([0.25, 0.75, -0.25, -0.75, -0.0, 7.5])).unwrap();
        assert_eq!(q, array([0_i64, 2, 0, -2, 0, 15]));
        assert!(halves().value(&q, DType::F64).bits_eq(&array([0.0, 1.0, 0.0, -1.0, 0.0, 7.5])));
        let fine = Lattice::new(2f64.powi(-57), 64.0).unwrap();
        // Rounded once, to the nearest f32.
        let q = array([(1_i64 << 57) + (1 << 33) + 1, i64::MAX, -i64::MAX]);
        assert_eq!(fine.value(&q, DType::F32), array([1.0_f32 + f32::EPSILON, 64.0, -64.0]));
    }

    #[test]
    fn a_sum_is_undone_by_the_negative_increment() {
        let lattice = Lattice::new(2f64.powi(-57), 64.0).unwrap();
        let words = random_bits(Key::from_seed(7), 3000);
        let q = array(words[..1000].iter().map(|w| (*w as i64) >> 2).collect::<Vec<_>>());
        for dtype in [DType::F64, DType::F32, DType::BF16] {
            let d: Vec<f64> = words[1000..2000]
                .iter()
                .map(|w| (*w as i64) as f64 * 2f64.powi(-60 - (w % 20) as i32))
                .collect();
            let d = crate::ops::convert(&array(d), dtype);
            let minus = crate::ops::unary(crate::ops::Unary::Neg, &d);
            let there = lattice.add(&q, &d).unwrap();
            assert_eq!(lattice.add(&there, &minus).unwrap(), q, "{dtype}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |x: Array| halves().point(&x).unwrap_err().to_string();
        assert_eq!(
            text(array([1.0, -8.0])),
            "entry 1 would be -8, expected |x| < 8, the range of this lattice of grid 2^-1; a range of 16 would do"
        );
        assert!(text(array(f64::NAN)).starts_with("entry 0 is NaN"));
        assert!(text(array(f64::INFINITY)).starts_with("entry 0 is inf"));
        assert!(text(array(1e300)).contains("with a grid of"));
        let q = Array::scalar(15_i64);
        assert!(matches!(halves().add(&q, &array(0.5)), Err(LatticeError::Outside { entry: 0, .. })));
        let full = Lattice::new(2f64.powi(-57), 64.0).unwrap();
        let error = full.add(&array(i64::MAX), &array(0.5)).unwrap_err().to_string();
        assert!(
            error.ends_with("a range of 128 would do, with a grid of 1.3877787807814457e-17 or coarser"),
            "{error}"
        );
        assert!(full.add(&array(-i64::MAX), &array(1e-30)).is_ok());
        assert!(Lattice::new(f64::NAN, 1.0).is_err() && Lattice::new(1.0, f64::NAN).is_err());
        assert_eq!(Lattice::new(1.0, 2f64.powi(60)).unwrap().limit(), (1 << 60) - 1);
        assert_eq!(Lattice::new(1.0, 2.5).unwrap().limit(), 2);
        assert!(matches!(q.get(0), Some(Scalar::I64(15))));
    }

    #[test]
    fn contractions_come_back_and_keep_the_information() {
        for (n, d) in [(9, 10), (99, 100), (1, 2), (32767, 32768), (1, 32768), (3, 7)] {
            let factor = Contract::new(n, d).unwrap();
            let words = random_bits(Key::from_seed(u64::from(d)), 400);
            let (mut v, mut r) = (
                array(words.iter().map(|w| (*w as i64) >> (w % 60)).collect::<Vec<_>>()),
                array(vec![i64::from(n); 400]),
            );
            let mut bits = BitStack::new();
            let mut past = vec![];
            for _ in 0..300 {
                past.push((v.clone(), r.clone()));
                factor.spill(&v, &r, &mut bits).unwrap();
                let (next, rest) = factor.apply(&v, &r).unwrap();
                for (a, b) in points(&v).iter().zip(points(&next)) {
                    let exact = *a as f64 * f64::from(n) / f64::from(d);
                    assert!(
                        (*b as f64 - exact).abs() <= f64::from(n) + 1.0 + exact.abs() * 1e-15,
                        "{a} -> {b}"
                    );
                }
                (v, r) = (next, rest);
            }
            let live: f64 = points(&r).iter().map(|r| (*r as f64 / f64::from(n)).log2()).sum();
            let needed = 300.0 * 400.0 * (f64::from(d) / f64::from(n)).log2();
            let kept = bits.len_bits() as f64 + live;
            assert!((kept - needed).abs() < 400.0 * 1.0, "{n}/{d}: {kept} bits for {needed}");
            while let Some((v_before, r_before)) = past.pop() {
                (v, r) = factor.undo(&v, &r, &mut bits).unwrap();
                assert_eq!((&v, &r), (&v_before, &r_before));
            }
            assert!(bits.is_empty());
        }
    }

    #[test]
    fn foreign_remainders_are_refused() {
        let factor = Contract::new(9, 10).unwrap();
        for found in [0, 8, -1, 9 << 32, i64::MIN] {
            let error = factor.apply(&array(5_i64), &array(found)).unwrap_err().to_string();
            assert!(error.contains(&format!("is {found}, expected 9 <= R")), "{error}");
        }
        let undo = |v: i64, r: i64| factor.undo(&array(v), &array(r), &mut BitStack::new());
        assert_eq!(undo(5, 9), Err(LostError::Exhausted));
        assert_eq!(undo(5, i64::MAX), Err(LostError::Corrupt));
        assert_eq!(undo(5, 10 << 33), Err(LostError::Corrupt));
    }
}
