//! Smooth functions as polynomials on short intervals.

use super::double::Double;

/// A function on the non-negative numbers, cut where `1 + x` has new leading bits: `2^bits` pieces for each of its binades,
/// so that pieces near zero are equally long and far ones grow with `x`.
///
/// A row holds the centre of its piece, the value there in two parts, and the other coefficients in powers of the distance
/// from the centre. With the value exact, what rounding of the polynomial loses is the fraction that the function changes
/// by over half a piece.
pub(super) struct Pieces<const N: usize, const M: usize> {
    /// The number of the first piece, counted from zero at `x = 0`.
    pub(super) first: u64,
    /// Pieces for a binade, as a power of two.
    pub(super) bits: u32,
    pub(super) rows: [[f64; N]; M],
}

impl<const N: usize, const M: usize> Pieces<N, M> {
    /// The function at `x + x_low`; outside the covered range the nearest piece is continued.
    #[inline(always)]
    pub(super) fn at(&self, x: f64, x_low: f64) -> Double {
        let shift = 52 - self.bits;
        let index = ((1.0 + x).to_bits() >> shift).wrapping_sub((1.0_f64.to_bits() >> shift) + self.first);
        // What lies before the first piece wraps round to a huge number: to the last piece, never out of the table.
        let row = &self.rows[(index as usize).min(M - 1)];
        let u = (x - row[0]) + x_low;
        let mut slope = row[N - 1];
        for &c in row[3..N - 1].iter().rev() {
            slope = slope.mul_add(u, c);
        }
        Double::fast_sum(row[1], slope.mul_add(u, row[2]))
    }
}
