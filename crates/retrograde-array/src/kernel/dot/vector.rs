//! A few numbers side by side, in a register where the machine has one for them.
//!
//! The compiler finds wide registers by itself for loops over slices, but not reliably for the many sums that a tile of a
//! product keeps at a time; so here the instructions are named. What they compute is what [`Num`] says, lane by lane.

use super::factor::Factor;
use super::tile::Tiles;
use super::{Buffer, Part};
use crate::kernel::Num;

/// A register of numbers.
///
/// # Safety
/// Every method needs a machine with the instruction set that the type is named for; reads and writes must lie inside
/// an allocation.
pub(crate) unsafe trait Vector: Copy {
    type Entry: Num;
    /// Some neighbouring lanes.
    type Mask: Copy;
    const LANES: usize;
    /// Rows of a tile of sums that fits the registers.
    const ROWS: usize;

    /// [`Tiles::multiply`], compiled once for this register.
    unsafe fn tiles(tiles: Tiles<Self::Entry>, rows: usize);
    unsafe fn splat(entry: Self::Entry) -> Self;
    unsafe fn load(from: *const Self::Entry) -> Self;
    unsafe fn store(self, to: *mut Self::Entry);
    /// Lanes `from..to`, `to` at most the number of lanes.
    unsafe fn lanes(from: usize, to: usize) -> Self::Mask;
    /// Lanes outside the mask are zero and not read.
    unsafe fn load_masked(from: *const Self::Entry, mask: Self::Mask) -> Self;
    /// Lanes outside the mask are those of `self`, and are not read.
    unsafe fn load_over(self, from: *const Self::Entry, mask: Self::Mask) -> Self;
    /// Lanes outside the mask are not written.
    unsafe fn store_masked(self, to: *mut Self::Entry, mask: Self::Mask);
    /// `self * b + c`, rounded once.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    unsafe fn plus(self, other: Self) -> Self;

    /// Copies `n_lines` runs of `n_terms` entries, `from_line` apart, to columns of rows `to_term` apart; columns after
    /// them, up to `LANES`, hold anything. Neither number is zero or above `LANES`.
    #[inline(always)]
    unsafe fn transpose(
        from: *const Self::Entry,
        from_line: usize,
        n_lines: usize,
        n_terms: usize,
        to: *mut Self::Entry,
        to_term: usize,
    ) {
        for i in 0..n_lines {
            for k in 0..n_terms {
                // SAFETY: the caller has all runs and columns inside their allocations.
                unsafe { *to.add(k * to_term + i) = *from.add(i * from_line + k) };
            }
        }
    }
}

/// Numbers without a register of their own: the compiler does what it can.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>([T; PLAIN]);

/// Lanes of [`Plain`]: two registers of the smallest machines, for four-byte numbers.
const PLAIN: usize = 8;

// SAFETY: needs no instruction set; reads and writes exactly the lanes that the trait says.
unsafe impl<T: Num> Vector for Plain<T> {
    type Entry = T;
    type Mask = (usize, usize);
    const LANES: usize = PLAIN;
    const ROWS: usize = 4;

    unsafe fn tiles(tiles: Tiles<T>, rows: usize) {
        // SAFETY: as the caller promises; there are no instructions to promise.
        unsafe { tiles.multiply::<Self, 4>(rows) };
    }

    #[inline(always)]
    unsafe fn splat(entry: T) -> Self {
        Plain([entry; PLAIN])
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller has `PLAIN` entries at `from`.
        Plain(unsafe { from.cast::<[T; PLAIN]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller has `PLAIN` entries at `to`.
        unsafe { to.cast::<[T; PLAIN]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    unsafe fn lanes(from: usize, to: usize) -> (usize, usize) {
        (from, to)
    }

    #[inline(always)]
    unsafe fn load_masked(from: *const T, mask: (usize, usize)) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Plain([T::ZERO; PLAIN]).load_over(from, mask) }
    }

    #[inline(always)]
    unsafe fn load_over(self, from: *const T, mask: (usize, usize)) -> Self {
        let mut lanes = self.0;
        for (i, lane) in lanes.iter_mut().enumerate().take(mask.1).skip(mask.0) {
            // SAFETY: the caller has the entries of the mask's lanes at `from`.
            *lane = unsafe { *from.wrapping_add(i) };
        }
        Plain(lanes)
    }

    #[inline(always)]
    unsafe fn store_masked(self, to: *mut T, mask: (usize, usize)) {
        for (i, &lane) in self.0.iter().enumerate().take(mask.1).skip(mask.0) {
            // SAFETY: the caller has the entries of the mask's lanes at `to`.
            unsafe { *to.wrapping_add(i) = lane };
        }
    }

    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        let mut lanes = c.0;
        for ((lane, a), b) in lanes.iter_mut().zip(self.0).zip(b.0) {
            *lane = a.fma(b, *lane);
        }
        Plain(lanes)
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        let mut lanes = self.0;
        for (lane, other) in lanes.iter_mut().zip(other.0) {
            *lane = lane.plus(other);
        }
        Plain(lanes)
    }
}

/// A number type whose products know the registers of the machine.
pub(crate) trait Registers: Num {
    /// [`Part::multiply`], with the widest registers.
    ///
    /// # Safety
    /// All outputs of the part lie in one allocation that nobody else uses meanwhile.
    unsafe fn multiply<A: Factor<Self>, B: Factor<Self>>(
        part: &Part,
        a: A,
        b: B,
        out: *mut Self,
        out_row: usize,
        buffer: &mut Buffer,
    ) {
        // SAFETY: as promised to this function; plain numbers need no instructions.
        unsafe { part.run::<Plain<Self>, A, B>(a, b, out, out_row, buffer) };
    }
}

impl Registers for i64 {}
impl Registers for i32 {}
impl Registers for u8 {}
#[cfg(not(target_arch = "x86_64"))]
impl Registers for f64 {}
#[cfg(not(target_arch = "x86_64"))]
impl Registers for f32 {}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Buffer, Factor, Part, Plain, Registers, Tiles, Vector};
    use crate::kernel::{Level, level};
    use std::arch::x86_64::*;

    macro_rules! registers {
        ($($t:ty, $avx512:ty, $avx2:ty;)*) => {
            $(impl Registers for $t {
                unsafe fn multiply<A: Factor<Self>, B: Factor<Self>>(
                    part: &Part,
                    a: A,
                    b: B,
                    out: *mut Self,
                    out_row: usize,
                    buffer: &mut Buffer,
                ) {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                    unsafe fn avx512<A: Factor<$t>, B: Factor<$t>>(
                        part: &Part,
                        a: A,
                        b: B,
                        out: *mut $t,
                        out_row: usize,
                        buffer: &mut Buffer,
                    ) {
                        // SAFETY: as promised to `multiply`, and this function has the instructions.
                        unsafe { part.run::<$avx512, A, B>(a, b, out, out_row, buffer) };
                    }

                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn avx2<A: Factor<$t>, B: Factor<$t>>(
                        part: &Part,
                        a: A,
                        b: B,
                        out: *mut $t,
                        out_row: usize,
                        buffer: &mut Buffer,
                    ) {
                        // SAFETY: as promised to `multiply`, and this function has the instructions.
                        unsafe { part.run::<$avx2, A, B>(a, b, out, out_row, buffer) };
                    }

                    // SAFETY: as promised to this function; `level` has detected every feature.
                    unsafe {
                        match level() {
                            Level::Avx512 => avx512(part, a, b, out, out_row, buffer),
                            Level::Avx2 => avx2(part, a, b, out, out_row, buffer),
                            Level::Portable => part.run::<Plain<$t>, A, B>(a, b, out, out_row, buffer),
                        }
                    }
                }
            })*
        };
    }
    registers! { f32, __m512, __m256; f64, __m512d, __m256d; }

    macro_rules! vector {
        ($register:ty, $entry:ty, $lanes:literal, $rows:literal $features:literal, $mask:ty, $lanes_of:ident
            $splat:ident $load:ident $store:ident $load_masked:ident $load_over:ident $store_masked:ident $fma:ident $plus:ident
            $(, $transpose:item)?) => {
            // SAFETY: the lanes read and written are those that the trait says.
            unsafe impl Vector for $register {
                type Entry = $entry;
                type Mask = $mask;
                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                unsafe fn tiles(tiles: Tiles<$entry>, rows: usize) {
                    #[target_feature(enable = $features)]
                    unsafe fn compiled(tiles: Tiles<$entry>, rows: usize) {
                        // SAFETY: as the caller promises; this function has the instructions.
                        unsafe { tiles.multiply::<$register, $rows>(rows) };
                    }
                    // SAFETY: the caller has seen to the instruction set.
                    unsafe { compiled(tiles, rows) };
                }

                #[inline(always)]
                unsafe fn splat(entry: $entry) -> Self {
                    // SAFETY: the caller has seen to the instruction set.
                    unsafe { $splat(entry) }
                }

                #[inline(always)]
                unsafe fn load(from: *const $entry) -> Self {
                    // SAFETY: the caller has seen to the instruction set and has all lanes at `from`.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut $entry) {
                    // SAFETY: the caller has seen to the instruction set and has all lanes at `to`.
                    unsafe { $store(to, self) };
                }

                #[inline(always)]
                unsafe fn lanes(from: usize, to: usize) -> $mask {
                    // SAFETY: the caller has seen to the instruction set.
                    unsafe { $lanes_of(from, to) }
                }

                #[inline(always)]
                unsafe fn load_masked(from: *const $entry, mask: $mask) -> Self {
                    // SAFETY: as for `load`; lanes outside the mask are not touched.
                    unsafe { $load_masked(mask, from) }
                }

                #[inline(always)]
                unsafe fn load_over(self, from: *const $entry, mask: $mask) -> Self {
                    // SAFETY: as for `load`; lanes outside the mask are not touched.
                    unsafe { $load_over(self, mask, from) }
                }

                #[inline(always)]
                unsafe fn store_masked(self, to: *mut $entry, mask: $mask) {
                    // SAFETY: as for `store`; lanes outside the mask are not touched.
                    unsafe { $store_masked(to, mask, self) };
                }

                #[inline(always)]
                unsafe fn fma(self, b: Self, c: Self) -> Self {
                    // SAFETY: the caller has seen to the instruction set.
                    unsafe { $fma(self, b, c) }
                }

                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: the caller has seen to the instruction set.
                    unsafe { $plus(self, other) }
                }

                $($transpose)?
            }
        };
    }

    #[inline(always)]
    unsafe fn maskz_load_ps(mask: __mmask16, from: *const f32) -> __m512 {
        // SAFETY: as the caller promises to `load_masked`.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    #[inline(always)]
    unsafe fn maskz_load_pd(mask: __mmask8, from: *const f64) -> __m512d {
        // SAFETY: as the caller promises to `load_masked`.
        unsafe { _mm512_maskz_loadu_pd(mask, from) }
    }

    #[inline(always)]
    unsafe fn maskload_ps(mask: __m256i, from: *const f32) -> __m256 {
        // SAFETY: as the caller promises to `load_masked`.
        unsafe { _mm256_maskload_ps(from, mask) }
    }

    #[inline(always)]
    unsafe fn maskload_pd(mask: __m256i, from: *const f64) -> __m256d {
        // SAFETY: as the caller promises to `load_masked`.
        unsafe { _mm256_maskload_pd(from, mask) }
    }

    #[inline(always)]
    unsafe fn load_over_ps(x: __m256, mask: __m256i, from: *const f32) -> __m256 {
        // SAFETY: as the caller promises to `load_over`.
        unsafe { _mm256_blendv_ps(x, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask)) }
    }

    #[inline(always)]
    unsafe fn load_over_pd(x: __m256d, mask: __m256i, from: *const f64) -> __m256d {
        // SAFETY: as the caller promises to `load_over`.
        unsafe { _mm256_blendv_pd(x, _mm256_maskload_pd(from, mask), _mm256_castsi256_pd(mask)) }
    }

    #[inline(always)]
    unsafe fn lanes_of_16(from: usize, to: usize) -> __mmask16 {
        ((1_u32 << to) - (1_u32 << from)) as __mmask16
    }

    #[inline(always)]
    unsafe fn lanes_of_8(from: usize, to: usize) -> __mmask8 {
        ((1_u32 << to) - (1_u32 << from)) as __mmask8
    }

    #[inline(always)]
    unsafe fn wide_lanes_of_8(from: usize, to: usize) -> __m256i {
        // SAFETY: the caller of `lanes` has seen to AVX2.
        unsafe {
            let i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let (below, before) = (_mm256_set1_epi32(to as i32), _mm256_set1_epi32(from as i32));
            _mm256_andnot_si256(_mm256_cmpgt_epi32(before, i), _mm256_cmpgt_epi32(below, i))
        }
    }

    #[inline(always)]
    unsafe fn wide_lanes_of_4(from: usize, to: usize) -> __m256i {
        // SAFETY: the caller of `lanes` has seen to AVX2.
        unsafe {
            let i = _mm256_setr_epi64x(0, 1, 2, 3);
            let (below, before) = (_mm256_set1_epi64x(to as i64), _mm256_set1_epi64x(from as i64));
            _mm256_andnot_si256(_mm256_cmpgt_epi64(before, i), _mm256_cmpgt_epi64(below, i))
        }
    }

    vector!(
        __m512, f32, 16, 8 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma", __mmask16, lanes_of_16 _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps maskz_load_ps _mm512_mask_loadu_ps _mm512_mask_storeu_ps _mm512_fmadd_ps _mm512_add_ps,
        #[inline(always)]
        unsafe fn transpose(
            from: *const f32,
            from_line: usize,
            n_lines: usize,
            n_terms: usize,
            to: *mut f32,
            to_term: usize,
        ) {
            // SAFETY: the caller has seen to the instruction set and has all runs and columns inside their allocations;
            // lines past the last are read as the last.
            unsafe {
                let mask = lanes_of_16(0, n_terms);
                // Squares of 4 within the quarters of the registers, then the quarters.
                let mut quarters = [[_mm512_setzero_ps(); 4]; 4];
                for (q, quarter) in quarters.iter_mut().enumerate() {
                    let r0 = _mm512_maskz_loadu_ps(mask, from.add((4 * q).min(n_lines - 1) * from_line));
                    let r1 = _mm512_maskz_loadu_ps(mask, from.add((4 * q + 1).min(n_lines - 1) * from_line));
                    let r2 = _mm512_maskz_loadu_ps(mask, from.add((4 * q + 2).min(n_lines - 1) * from_line));
                    let r3 = _mm512_maskz_loadu_ps(mask, from.add((4 * q + 3).min(n_lines - 1) * from_line));
                    let t0 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
                    let t1 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
                    let t2 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
                    let t3 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
                    *quarter = [
                        _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2)),
                        _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3)),
                    ];
                }
                let mut terms = [_mm512_setzero_ps(); 16];
                for j in 0..4 {
                    let [u0, u1, u2, u3] = [quarters[0][j], quarters[1][j], quarters[2][j], quarters[3][j]];
                    let (a, b) = (_mm512_shuffle_f32x4::<0x44>(u0, u1), _mm512_shuffle_f32x4::<0x44>(u2, u3));
                    let (c, d) = (_mm512_shuffle_f32x4::<0xee>(u0, u1), _mm512_shuffle_f32x4::<0xee>(u2, u3));
                    terms[j] = _mm512_shuffle_f32x4::<0x88>(a, b);
                    terms[4 + j] = _mm512_shuffle_f32x4::<0xdd>(a, b);
                    terms[8 + j] = _mm512_shuffle_f32x4::<0x88>(c, d);
                    terms[12 + j] = _mm512_shuffle_f32x4::<0xdd>(c, d);
                }
                if n_terms == 16 {
                    for (k, &term) in terms.iter().enumerate() {
                        _mm512_storeu_ps(to.add(k * to_term), term);
                    }
                } else {
                    for (k, &term) in terms.iter().enumerate().take(n_terms) {
                        _mm512_storeu_ps(to.add(k * to_term), term);
                    }
                }
            }
        }
    );

    vector!(
        __m512d, f64, 8, 8 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma", __mmask8, lanes_of_8 _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd maskz_load_pd _mm512_mask_loadu_pd _mm512_mask_storeu_pd _mm512_fmadd_pd _mm512_add_pd,
        #[inline(always)]
        unsafe fn transpose(
            from: *const f64,
            from_line: usize,
            n_lines: usize,
            n_terms: usize,
            to: *mut f64,
            to_term: usize,
        ) {
            // SAFETY: the caller has seen to the instruction set and has all runs and columns inside their allocations;
            // lines past the last are read as the last.
            unsafe {
                let mask = lanes_of_8(0, n_terms);
                // Squares of 2 within the quarters of the registers, then the quarters.
                let mut pairs = [[_mm512_setzero_pd(); 2]; 4];
                for (p, pair) in pairs.iter_mut().enumerate() {
                    let r0 = _mm512_maskz_loadu_pd(mask, from.add((2 * p).min(n_lines - 1) * from_line));
                    let r1 = _mm512_maskz_loadu_pd(mask, from.add((2 * p + 1).min(n_lines - 1) * from_line));
                    *pair = [_mm512_unpacklo_pd(r0, r1), _mm512_unpackhi_pd(r0, r1)];
                }
                let mut terms = [_mm512_setzero_pd(); 8];
                for j in 0..2 {
                    let [u0, u1, u2, u3] = [pairs[0][j], pairs[1][j], pairs[2][j], pairs[3][j]];
                    let (a, b) = (_mm512_shuffle_f64x2::<0x44>(u0, u1), _mm512_shuffle_f64x2::<0x44>(u2, u3));
                    let (c, d) = (_mm512_shuffle_f64x2::<0xee>(u0, u1), _mm512_shuffle_f64x2::<0xee>(u2, u3));
                    terms[j] = _mm512_shuffle_f64x2::<0x88>(a, b);
                    terms[2 + j] = _mm512_shuffle_f64x2::<0xdd>(a, b);
                    terms[4 + j] = _mm512_shuffle_f64x2::<0x88>(c, d);
                    terms[6 + j] = _mm512_shuffle_f64x2::<0xdd>(c, d);
                }
                if n_terms == 8 {
                    for (k, &term) in terms.iter().enumerate() {
                        _mm512_storeu_pd(to.add(k * to_term), term);
                    }
                } else {
                    for (k, &term) in terms.iter().enumerate().take(n_terms) {
                        _mm512_storeu_pd(to.add(k * to_term), term);
                    }
                }
            }
        }
    );

    vector!(
        __m256, f32, 8, 4 "avx2,fma", __m256i, wide_lanes_of_8 _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps maskload_ps load_over_ps _mm256_maskstore_ps _mm256_fmadd_ps _mm256_add_ps
    );

    vector!(
        __m256d, f64, 4, 4 "avx2,fma", __m256i, wide_lanes_of_4 _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd maskload_pd load_over_pd _mm256_maskstore_pd _mm256_fmadd_pd _mm256_add_pd
    );
}
