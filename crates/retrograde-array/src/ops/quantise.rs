//! Floats as codes of a few bits, rounded at random to the points of a grid: what a lossy tape keeps.

use super::convert;
use crate::rng::{Key, random_bits};
use crate::{Array, DType, Shape};

/// Entries, consecutive in row-major order, that share a grid. Its two f32 cost a quarter of a bit for each of 256 entries.
pub const QUANTISE_BLOCK: usize = 256;

/// A value that no grid of f32 reaches.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "entry {entry} of a coefficient is {found}: `Tape::Quantise` takes finite values within the range of f32; keep the part of \
     the program that makes it exact with `taped(Tape::Store, ..)`"
)]
pub struct NotOnGrid {
    /// Its row-major position.
    pub entry: usize,
    /// The value.
    pub found: f64,
}

/// Bytes of the codes of so many entries.
///
/// ```
/// assert_eq!(retrograde_array::ops::quantised_bytes(10, 3), 4);
/// ```
pub fn quantised_bytes(n: usize, bits: u8) -> usize {
    (n * usize::from(bits)).div_ceil(8)
}

/// Codes of `bits` bits (1 to 8), u8 `[quantised_bytes]`, the first in the lowest bits, and the grids, f32 `[blocks, 2]`: the lowest
/// point of each block of [`QUANTISE_BLOCK`] entries and the distance to the next. An entry between two points becomes the
/// upper one with the probability that makes the mean of the result the entry: unbiased but for 2^-53 of a distance, with a
/// variance of at most a quarter of the squared distance. The draw of an entry depends on key and position only.
///
/// ```
/// use retrograde_array::{DType, array, ops, rng::Key};
/// let x = array([0.0, 0.3, 1.0]);
/// let mean = (0..1000).map(|seed| {
///     let (codes, grids) = ops::quantise(&x, 1, Key::from_seed(seed)).unwrap();
///     ops::dequantise(&codes, &grids, 1, DType::F64, x.shape()).to_vec::<f64>().unwrap()[1]
/// }).sum::<f64>() / 1000.0;
/// // A standard deviation of the mean is √(0.3 · 0.7 / 1000) = 0.0145.
/// assert!((mean - 0.3).abs() < 4.0 * 0.0145);
/// ```
///
/// # Errors
/// An entry is not finite, or its block is wider than f32.
///
/// # Source
/// M. Höhfeld and S. Fahlman 1992, Probabilistic rounding in neural network learning with limited precision; grids for
/// blocks as in J. Chen et al. 2021, ActNN.
pub fn quantise(x: &Array, bits: u8, key: Key) -> Result<(Array, Array), NotOnGrid> {
    let dtype = x.dtype();
    let wide = convert(x, DType::F64);
    let values = super::values::<f64>(&wide);
    let words = random_bits(key, values.len());
    let mut codes = vec![0_u8; quantised_bytes(values.len(), bits)];
    let mut grids: Vec<f32> = Vec::with_capacity(2 * values.len().div_ceil(QUANTISE_BLOCK));
    for (b, block) in values.chunks(QUANTISE_BLOCK).enumerate() {
        let first = b * QUANTISE_BLOCK;
        let grid =
            Grid::of(block, bits, dtype).map_err(|i| NotOnGrid { entry: first + i, found: block[i] })?;
        grids.extend([grid.low, grid.step]);
        for (i, (&value, word)) in block.iter().zip(&words[first..]).enumerate() {
            put(&mut codes, first + i, bits, grid.code(value, *word));
        }
    }
    let shape = [values.len().div_ceil(QUANTISE_BLOCK), 2];
    let grids = Array::new(shape, grids).unwrap_or_else(|_| super::bug("two numbers for each block"));
    Ok((Array::vector(codes), grids))
}

/// The array of this dtype and shape whose codes and grids [`quantise`] gave.
///
/// # Panics
/// When they are those of another number of entries or bits, or of other dtypes.
pub fn dequantise(codes: &Array, grids: &Array, bits: u8, dtype: DType, shape: &Shape) -> Array {
    let n = shape.size();
    let (codes, grids) = (super::values::<u8>(codes), super::values::<f32>(grids));
    assert_eq!(codes.len(), quantised_bytes(n, bits), "dequantise: bytes for {shape}");
    assert_eq!(grids.len(), 2 * n.div_ceil(QUANTISE_BLOCK), "dequantise: grids for {shape}");
    let levels = last_code(bits);
    let point = |i: usize| {
        let b = i / QUANTISE_BLOCK;
        Grid { low: grids[2 * b], step: grids[2 * b + 1], levels, dtype }.point(get(codes, i, bits))
    };
    let values: Vec<f64> = (0..n).map(point).collect();
    let wide = Array::new(shape.clone(), values).unwrap_or_else(|_| super::bug("one value for each entry"));
    convert(&wide, dtype)
}

fn last_code(bits: u8) -> u8 {
    ((1_u16 << bits) - 1) as u8
}

/// Equally spaced points, as numbers of a dtype.
struct Grid {
    low: f32,
    step: f32,
    levels: u8,
    dtype: DType,
}

impl Grid {
    /// The closest grid that holds all of `block`; else the position of an entry that it cannot hold.
    fn of(block: &[f64], bits: u8, dtype: DType) -> Result<Grid, usize> {
        if let Some(i) = block.iter().position(|x| !x.is_finite()) {
            return Err(i);
        }
        let widest = |order: fn(&f64, &f64) -> bool| {
            (0..block.len()).fold(0, |best, i| if order(&block[i], &block[best]) { i } else { best })
        };
        let (min, max) = (widest(f64::lt), widest(f64::gt));
        let mut low = block[min] as f32;
        if f64::from(low) > block[min] {
            low = low.next_down();
        }
        let levels = last_code(bits);
        let step = ((block[max] - f64::from(low)) / f64::from(levels)) as f32;
        let mut grid = Grid { low, step, levels, dtype };
        while grid.step.is_finite() && grid.point(levels) < block[max] {
            grid.step = grid.step.next_up();
        }
        // The far end in f64 is finite where low and step are; in f32 it may not be.
        if !low.is_finite() {
            return Err(min);
        }
        if !grid.step.is_finite() || !grid.point(levels).is_finite() {
            return Err(max);
        }
        Ok(grid)
    }
    /// The point of a code, rounded to the dtype.
    fn point(&self, code: u8) -> f64 {
        let point = f64::from(self.low) + f64::from(code) * f64::from(self.step);
        match self.dtype {
            DType::F64 => point,
            DType::F32 => f64::from(point as f32),
            _ => f64::from(half::bf16::from_f64(point).to_f32()),
        }
    }
    /// One of the two codes beside a value, by a random word.
    fn code(&self, x: f64, word: u64) -> u8 {
        if self.step == 0.0 {
            return 0;
        }
        let mut code =
            ((x - f64::from(self.low)) / f64::from(self.step)).clamp(0.0, f64::from(self.levels)) as u8;
        // Rounding of the quotient or of the points may have missed by one.
        while code > 0 && self.point(code) > x {
            code -= 1;
        }
        while code < self.levels && self.point(code + 1) <= x {
            code += 1;
        }
        let below = self.point(code);
        if code == self.levels || x <= below {
            return code;
        }
        let up = (x - below) / (self.point(code + 1) - below);
        let uniform = (word >> 11) as f64 * (0.5_f64).powi(53);
        code + u8::from(uniform < up)
    }
}

fn put(bytes: &mut [u8], i: usize, bits: u8, code: u8) {
    let at = i * usize::from(bits);
    let wide = u16::from(code) << (at % 8);
    bytes[at / 8] |= wide as u8;
    if wide > 0xff {
        bytes[at / 8 + 1] |= (wide >> 8) as u8;
    }
}

fn get(bytes: &[u8], i: usize, bits: u8) -> u8 {
    let at = i * usize::from(bits);
    let wide = u16::from(bytes[at / 8]) | u16::from(bytes.get(at / 8 + 1).copied().unwrap_or(0)) << 8;
    (wide >> (at % 8)) as u8 & last_code(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::normal;

    #[test]
    fn values_stay_between_their_points_and_points_stay() {
        for dtype in [DType::F64, DType::F32, DType::BF16] {
            for bits in 1..=8_u8 {
                let x = convert(&normal(Key::from_seed(3), [3, 211]), dtype);
                let (codes, grids) = quantise(&x, bits, Key::from_seed(bits.into())).unwrap();
                assert_eq!(
                    (codes.size_bytes(), grids.shape()[0]),
                    ((633 * usize::from(bits)).div_ceil(8), 3)
                );
                let y = dequantise(&codes, &grids, bits, dtype, x.shape());
                let wide = |a: &Array| convert(a, DType::F64).to_vec::<f64>().unwrap();
                let steps = grids.to_vec::<f32>().unwrap();
                for (i, (x, y)) in wide(&x).into_iter().zip(wide(&y)).enumerate() {
                    // One step, and what rounding the points to the dtype adds to it.
                    let step = f64::from(steps[2 * (i / QUANTISE_BLOCK) + 1]);
                    let rounding = if dtype == DType::BF16 { 2.0 * 4.0 / 256.0 } else { 1e-6 };
                    assert!((x - y).abs() <= step + rounding, "{dtype} {bits} {i}: {x} {y} {step}");
                }
                // What lies on the grid is not moved by another draw.
                let (codes, grids) = quantise(&y, bits, Key::from_seed(99)).unwrap();
                if dtype == DType::F64 {
                    let again = dequantise(&codes, &grids, bits, dtype, x.shape());
                    let off =
                        wide(&again).iter().zip(wide(&y)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(off <= 8.0 * f64::from(steps[1]), "{bits}: {off}");
                }
            }
        }
    }

    /// The mean over draws is the value: 4 standard errors, of 633 entries at most a few beyond 3.
    #[test]
    fn the_mean_is_the_value() {
        const DRAWS: u64 = 2000;
        let x = normal(Key::from_seed(5), [300]);
        for bits in [1, 2, 5] {
            let mut sums = vec![0.0; 300];
            let mut step = 0.0_f64;
            for seed in 0..DRAWS {
                let (codes, grids) = quantise(&x, bits, Key::from_seed(7).fold_in(seed)).unwrap();
                step = f64::from(grids.to_vec::<f32>().unwrap()[1])
                    .max(f64::from(grids.to_vec::<f32>().unwrap()[3]));
                let y = dequantise(&codes, &grids, bits, DType::F64, x.shape()).to_vec::<f64>().unwrap();
                sums.iter_mut().zip(y).for_each(|(s, y)| *s += y);
            }
            let of = x.to_vec::<f64>().unwrap();
            let worst = sums.iter().zip(of).map(|(s, x)| (s / DRAWS as f64 - x).abs()).fold(0.0, f64::max);
            assert!(worst < 4.5 * 0.5 * step / (DRAWS as f64).sqrt(), "{bits}: {worst}");
        }
    }

    #[test]
    fn constants_are_exact_and_what_no_grid_holds_is_refused() {
        let x = Array::full(DType::F32, [5], crate::Scalar::F32(0.3));
        let (codes, grids) = quantise(&x, 2, Key::from_seed(0)).unwrap();
        assert!(dequantise(&codes, &grids, 2, DType::F32, x.shape()).bits_eq(&x));
        for wrong in [f64::NAN, f64::INFINITY, 1e300] {
            let e = quantise(&Array::vector(vec![1.0, wrong]), 8, Key::from_seed(0)).unwrap_err();
            assert_eq!(e.entry, 1);
        }
    }
}
