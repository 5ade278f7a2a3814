//! The entries under a sliding window as a factor of a product, copied a few registers at a time where they are needed.

use std::ops::Range;

use super::factor::{Factor, pack};
use super::vector::Vector;
use crate::kernel::{Num, dispatch};

/// How a window slides over three axes; of fewer axes, the first ones have length, size and stride 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub(crate) lens: [usize; 3],
    pub(crate) places: [usize; 3],
    pub(crate) size: [usize; 3],
    pub(crate) strides: [usize; 3],
    pub(crate) low: [usize; 3],
    pub(crate) dilation: [usize; 3],
}

impl Geometry {
    pub(crate) fn n_places(&self) -> usize {
        self.places.iter().product()
    }

    pub(crate) fn n_entries(&self) -> usize {
        self.size.iter().product()
    }

    /// The coordinates of a place.
    #[inline(always)]
    fn place(&self, place: usize) -> [usize; 3] {
        let [_, p1, p2] = self.places;
        [place / p2 / p1, place / p2 % p1, place % p2]
    }

    /// The coordinates of the entry after this one.
    #[inline(always)]
    fn next_entry(&self, [e0, e1, e2]: [usize; 3]) -> [usize; 3] {
        let [_, s1, s2] = self.size;
        if e2 + 1 < s2 {
            [e0, e1, e2 + 1]
        } else if e1 + 1 < s1 {
            [e0, e1 + 1, 0]
        } else {
            [e0 + 1, 0, 0]
        }
    }

    /// The position along an axis of an entry of the window at a place, unless it is padding.
    #[inline(always)]
    fn position(&self, axis: usize, place: usize, entry: usize) -> Option<usize> {
        let position =
            (place * self.strides[axis] + entry * self.dilation[axis]).wrapping_sub(self.low[axis]);
        (position < self.lens[axis]).then_some(position)
    }

    /// The runs of the `n` places from `first` on whose entry is no padding: along a run only the last coordinate changes.
    #[inline(always)]
    fn runs(&self, first: [usize; 3], n: usize, entry: [usize; 3]) -> PlaceRuns {
        // Places of a row whose position, place · stride + shift - low, is neither negative nor past the end.
        let (stride, shift) = (self.strides[2], entry[2] * self.dilation[2]);
        let before = self.low[2].saturating_sub(shift);
        let inside = (self.lens[2] + self.low[2]).saturating_sub(shift);
        let row = if stride == 1 { before..inside } else { before.div_ceil(stride)..inside.div_ceil(stride) };
        PlaceRuns { geometry: *self, entry, row, here: first, done: 0, n }
    }
}

/// See [`Geometry::runs`].
struct PlaceRuns {
    geometry: Geometry,
    entry: [usize; 3],
    /// The last coordinates whose entry is no padding.
    row: Range<usize>,
    here: [usize; 3],
    done: usize,
    n: usize,
}

/// Places one after another, counted from the first of all runs, and where the entry lies at the first of them.
struct PlaceRun {
    places: Range<usize>,
    position: [usize; 3],
}

impl Iterator for PlaceRuns {
    type Item = PlaceRun;

    #[inline(always)]
    fn next(&mut self) -> Option<PlaceRun> {
        let geometry = &self.geometry;
        let [_, p1, p2] = geometry.places;
        while self.done < self.n {
            let ([o0, o1, column], start) = (self.here, self.done);
            let len = (p2 - column).min(self.n - start);
            self.done += len;
            self.here = if o1 + 1 < p1 { [o0, o1 + 1, 0] } else { [o0 + 1, 0, 0] };
            let (first, end) = (self.row.start.max(column), self.row.end.min(column + len));
            let x0 = geometry.position(0, o0, self.entry[0]);
            let x1 = geometry.position(1, o1, self.entry[1]);
            if let (Some(x0), Some(x1), true) = (x0, x1, first < end) {
                let x2 = first * geometry.strides[2] + self.entry[2] * geometry.dilation[2] - geometry.low[2];
                let places = start + first - column..start + end - column;
                return Some(PlaceRun { places, position: [x0, x1, x2] });
            }
        }
        None
    }
}

/// The windows over an array of `[examples, channels, lens..]`, at places and with entries `(channel, entry of the window)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a, T> {
    data: &'a [T],
    geometry: Geometry,
    n_examples: usize,
    n_channels: usize,
    /// Strides of examples, channels and the three axes.
    strides: [usize; 5],
}

impl<'a, T: Num> Windows<'a, T> {
    /// # Panics
    /// When an entry would lie outside.
    pub(crate) fn new(data: &'a [T], geometry: Geometry, lens: [usize; 2], strides: [usize; 5]) -> Self {
        let all = [lens[0], lens[1], geometry.lens[0], geometry.lens[1], geometry.lens[2]];
        if all.iter().all(|&len| len > 0) {
            let last: usize = all.iter().zip(strides).map(|(len, stride)| (len - 1) * stride).sum();
            assert!(
                last < data.len(),
                "{} entries with the last at {last}; this is a bug in retrograde",
                data.len()
            );
        }
        let [n_examples, n_channels] = lens;
        Windows { data, geometry, n_examples, n_channels, strides }
    }

    /// Writes, for each of `terms`, entries at `places` of one example to `to`, a row of `to_row` for each term.
    ///
    /// # Safety
    /// The machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn rows<V: Vector<Entry = T>>(
        &self,
        example: usize,
        places: Range<usize>,
        terms: Range<usize>,
        to: &mut [T],
        to_row: usize,
    ) {
        assert!(
            example < self.n_examples
                && places.end <= self.geometry.n_places()
                && terms.end <= self.n_channels * self.geometry.n_entries()
        );
        assert!(terms.is_empty() || (terms.len() - 1) * to_row + places.len() <= to.len());
        let n_entries = self.geometry.n_entries();
        let [of_example, of_channel, s0, s1, s2] = self.strides;
        let x = self.data.as_ptr().wrapping_add(example * of_example);
        let mut j = places.start;
        while j < places.end {
            let n_lanes = V::LANES.min(places.end - j);
            // SAFETY: the machine has the instructions; a piece covers lanes whose entries `runs` found inside, and
            // `new` has seen that all entries lie in `data`; rows lie in `to`, as just seen.
            unsafe {
                let all = V::lanes(0, n_lanes);
                let first = self.geometry.place(j);
                let mut coordinates = [0, 0, 0];
                for entry in 0..n_entries {
                    let here = coordinates;
                    coordinates = self.geometry.next_entry(here);
                    // The first term from the start on with this entry of the window.
                    let channel = (terms.start + n_entries - 1 - entry) / n_entries;
                    let mut term = channel * n_entries + entry;
                    if term >= terms.end {
                        continue;
                    }
                    let mut pieces = [(all, 0_usize); MOST_LANES];
                    let mut n_pieces = 0;
                    for run in self.geometry.runs(first, n_lanes, here) {
                        let [x0, x1, x2] = run.position;
                        let at = x0 * s0 + x1 * s1 + x2 * s2;
                        let (lane, len) = (run.places.start, run.places.len());
                        let step = self.geometry.strides[2] * s2;
                        // Pieces of lanes one after another in memory too.
                        let (n, len) = if step == 1 { (1, len) } else { (len, 1) };
                        for i in 0..n {
                            let at = (at + i * step).wrapping_sub(lane + i);
                            pieces[n_pieces] = (V::lanes(lane + i, lane + i + len), at);
                            n_pieces += 1;
                        }
                    }
                    let mut from = x.wrapping_add(channel * of_channel);
                    while term < terms.end {
                        let mut row = V::splat(T::ZERO);
                        for &(lanes, at) in &pieces[..n_pieces] {
                            row = row.load_over(from.wrapping_add(at), lanes);
                        }
                        let to = to.as_mut_ptr().add((term - terms.start) * to_row + j - places.start);
                        row.store_masked(to, all);
                        term += n_entries;
                        from = from.wrapping_add(of_channel);
                    }
                }
            }
            j += n_lanes;
        }
    }
}

/// Lanes of the widest register.
const MOST_LANES: usize = 16;

/// Windows as a right factor: columns are the places of one example (the number), terms are channels and entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a, T>(pub(crate) Windows<'a, T>, pub(crate) usize);

// SAFETY: it promises no places.
unsafe impl<T: Num> Factor<T> for Places<'_, T> {
    #[inline(always)]
    fn as_lies(&self) -> Option<(*const T, usize, usize)> {
        None
    }

    #[inline(always)]
    unsafe fn pack<V: Vector<Entry = T>>(
        &self,
        line0: usize,
        count: usize,
        k0: usize,
        len: usize,
        width: usize,
        to: &mut [T],
    ) {
        // SAFETY: as promised by the caller.
        unsafe { self.0.rows::<V>(self.1, line0..line0 + count, k0..k0 + len, to, width) };
    }
}

/// Windows as a left factor: rows are channels and entries, terms are examples and places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries<'a, T>(pub(crate) Windows<'a, T>);

// SAFETY: it promises no places.
unsafe impl<T: Num> Factor<T> for Entries<'_, T> {
    #[inline(always)]
    fn as_lies(&self) -> Option<(*const T, usize, usize)> {
        None
    }

    #[inline(always)]
    fn packs_lines(&self) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn pack<V: Vector<Entry = T>>(
        &self,
        line0: usize,
        count: usize,
        k0: usize,
        len: usize,
        _: usize,
        to: &mut [T],
    ) {
        for (example, places, at) in parts(self.0.geometry.n_places(), k0, len) {
            // SAFETY: as promised by the caller.
            unsafe { self.0.rows::<V>(example, places, line0..line0 + count, &mut to[at..], len) };
        }
    }
}

/// Terms `k0..k0 + len` by the runs of `run` terms that they lie in: the run, the part of it, and the terms before.
#[inline(always)]
fn parts(run: usize, k0: usize, len: usize) -> Parts {
    Parts { run, k0, len, done: 0 }
}

struct Parts {
    run: usize,
    k0: usize,
    len: usize,
    done: usize,
}

impl Iterator for Parts {
    type Item = (usize, Range<usize>, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done == self.len {
            return None;
        }
        let (k, done) = (self.k0 + self.done, self.done);
        let start = k % self.run;
        let end = self.run.min(start + self.len - done);
        self.done += end - start;
        Some((k / self.run, start..end, done))
    }
}

/// A factor whose terms lie in runs of adjacent ones, each run `next` further than the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs<'a, T> {
    data: &'a [T],
    line: usize,
    run: usize,
    next: usize,
}

impl<'a, T> Runs<'a, T> {
    /// Lines `line[0]` apart, `line[1]` of them, and `n_runs` runs of `run` adjacent terms, `next` apart.
    ///
    /// # Panics
    /// When an entry would lie outside.
    pub(crate) fn new(
        data: &'a [T],
        [line, n_lines]: [usize; 2],
        run: usize,
        [next, n_runs]: [usize; 2],
    ) -> Self {
        if n_lines > 0 && run > 0 && n_runs > 0 {
            let last = (n_lines - 1) * line + run - 1 + (n_runs - 1) * next;
            assert!(
                last < data.len(),
                "{} entries with the last at {last}; this is a bug in retrograde",
                data.len()
            );
        }
        Runs { data, line, run, next }
    }
}

// SAFETY: it promises no places.
unsafe impl<T: Num> Factor<T> for Runs<'_, T> {
    #[inline(always)]
    fn as_lies(&self) -> Option<(*const T, usize, usize)> {
        None
    }

    #[inline(always)]
    unsafe fn pack<V: Vector<Entry = T>>(
        &self,
        line0: usize,
        count: usize,
        k0: usize,
        len: usize,
        width: usize,
        to: &mut [T],
    ) {
        for (i, part, at) in parts(self.run, k0, len) {
            let from = &self.data[line0 * self.line + i * self.next + part.start..];
            // SAFETY: as promised by the caller.
            unsafe { pack::<V>(from, self.line, 1, count, part.len(), width, &mut to[at * width..]) };
        }
    }
}

dispatch! {
    /// Adds entries of windows to where they lie: `from` holds, for each channel and entry of the window, a row of entries at
    /// `places`, and `to` the channels. What lies at one position is added in the order of places.
    pub(crate) fn add_entries [T: Num] [T] (geometry: &Geometry, places: Range<usize>, from: &[T], to: &mut [T]) {
        let [l0, l1, l2] = geometry.lens;
        let (n_entries, n_lens, step) = (geometry.n_entries(), l0 * l1 * l2, geometry.strides[2]);
        if n_lens == 0 || places.is_empty() {
            return;
        }
        // At one position an earlier place has a later entry of the window.
        let first = geometry.place(places.start);
        let width = places.len();
        for entry in (0..n_entries).rev() {
            let [_, s1, s2] = geometry.size;
            let coordinates = [entry / s2 / s1, entry / s2 % s1, entry % s2];
            for run in geometry.runs(first, width, coordinates) {
                let [x0, x1, x2] = run.position;
                let (at, len) = ((x0 * l1 + x1) * l2 + x2, run.places.len());
                let from = from[entry * width..].chunks(n_entries * width);
                for (from, to) in from.zip(to.chunks_exact_mut(n_lens)) {
                    let (from, to) = (&from[run.places.clone()], &mut to[at..]);
                    if step == 1 {
                        for (to, &from) in to[..len].iter_mut().zip(from) {
                            *to = to.plus(from);
                        }
                    } else {
                        for (to, &from) in to.iter_mut().step_by(step).zip(from) {
                            *to = to.plus(from);
                        }
                    }
                }
            }
        }
    }
}

/// Places of a window that are searched together, their best entries on the stack.
const TOGETHER: usize = 256;

dispatch! {
    /// Where the largest entry under the window stands, for each place: the first of equal ones, NaN above everything. False
    /// where a window has no entries.
    pub(crate) fn window_argmax [T: Num + PartialOrd] [T] (geometry: &Geometry, x: &[T], out: &mut [i64]) -> bool {
        let [_, l1, l2] = geometry.lens;
        let step = geometry.strides[2];
        let mut found = true;
        for (i, out) in out.chunks_mut(TOGETHER).enumerate() {
            let start = i * TOGETHER;
            let mut best = [T::ZERO; TOGETHER];
            out.fill(-1);
            let first = geometry.place(start);
            let mut coordinates = [0, 0, 0];
            for _ in 0..geometry.n_entries() {
                let entry = coordinates;
                coordinates = geometry.next_entry(entry);
                for run in geometry.runs(first, out.len(), entry) {
                    let [x0, x1, x2] = run.position;
                    let at = (x0 * l1 + x1) * l2 + x2;
                    let here = run.places;
                    let entries = x[at..].iter().step_by(step);
                    let best = best[here.clone()].iter_mut();
                    for (i, ((out, best), &entry)) in out[here].iter_mut().zip(best).zip(entries).enumerate() {
                        // Written so that nothing branches; a NaN is the only number that differs from itself.
                        let is_nan = |x: T| x.partial_cmp(&x).is_none();
                        let beats = (*out < 0) | (entry > *best) | (is_nan(entry) & !is_nan(*best));
                        *best = if beats { entry } else { *best };
                        *out = if beats { (at + i * step) as i64 } else { *out };
                    }
                }
            }
            found &= !out.contains(&-1);
        }
        found
    }
}
