//! Code as it is handed over to be checked: plain lists of what is read, computed and written, and where.
//!
//! An address is a base and an offset. Bases are the block of registers, the block of constants, and the *streams*, which point
//! into the arrays that are read and written. A nest is run tile by tile, each tile a run of entries that are adjacent in
//! row-major order; before each tile the streams move on.

use super::routine::{Move, Op, Reduction, Stage};
use crate::{Array, DType};

/// Bytes that start where a cache line does, so that vectors of any width are aligned.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(super) [u8; LINE]);

/// Bytes of a cache line of the machines that have AVX-512, and of their widest vectors.
pub(super) const LINE: usize = 64;

/// Zeroed or filled bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block(pub(super) Vec<Line>);

impl Block {
    /// Its length.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * LINE
    }

    pub(super) fn grow(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(LINE);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; LINE]));
        }
    }

    /// Appends bytes, then as many as make the next offset a round one; the offset of the first.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> u32 {
        let offset = self.bytes();
        for chunk in bytes.chunks(LINE) {
            let mut line = [0; LINE];
            line[..chunk.len()].copy_from_slice(chunk);
            self.0.push(Line(line));
        }
        u32::try_from(offset).expect("constants of four gigabytes; this is a bug in retrograde")
    }

    pub(super) fn words(&self, offset: usize, n: usize) -> Option<Vec<i32>> {
        let byte = |i: usize| self.0.get(i / LINE).map(|line| line.0[i % LINE]);
        (0..n)
            .map(|i| {
                let at = offset + 4 * i;
                Some(i32::from_ne_bytes([byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?]))
            })
            .collect()
    }
}

/// A place while the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// 0: registers. 1: constants. From [`STREAMS`] on: streams.
    pub(crate) base: u32,
    /// In bytes.
    pub(crate) offset: u32,
}

pub(super) const REGISTERS: u32 = 0;
pub(super) const CONSTANTS: u32 = 1;
/// The base of the first stream.
pub(crate) const STREAMS: u32 = 2;

/// An array that the code reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// Given to each run.
    Input(usize),
    /// Kept by the code.
    Kept(usize),
    /// Given to each run, written.
    Output(usize),
}

/// A pointer that moves along an array from tile to tile.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Which array.
    pub(crate) array: Where,
    /// Where the first tile starts, in entries.
    pub(crate) offset: isize,
    /// How far the next index of each outer axis of the nest is, in entries.
    pub(crate) strides: Vec<isize>,
    /// The offset of the register that stands in for a tile which is not round: then as many entries as the tile has, from
    /// the pointer on, are operands or results. Without one, steps say what they read.
    pub(crate) fallback: Option<u32>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Computes entries.
    Op(Op),
    /// Moves entries.
    Move(Move),
    /// Reduces. A value: the middle axis of `[outer, n, inner]` lengths, which its second operand holds. A tile: the same, with the last
    /// two lengths. Over several tiles: its result is a state, or its operand.
    Reduce(Reduction, Stage),
    /// Multiplies small matrices: the third operand holds their lengths and strides.
    Product,
    /// Clears the state of a reduction over several tiles.
    Begin,
}

/// One step, as it is handed over to be checked.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) out: Address,
    /// With the dtype of each.
    pub(crate) operands: Vec<(Address, DType)>,
    /// Entries of the result, `None` for those of the tile.
    pub(crate) len: Option<u32>,
}

/// The iteration space: outer axes, of which the last counts blocks of `block` of `rows` rows of `inner` entries.
#[derive(Debug, Clone)]
pub(crate) struct Nest {
    /// Lengths of the outer axes before the one that is cut into blocks.
    pub(crate) outer: Vec<usize>,
    pub(crate) rows: usize,
    pub(crate) block: usize,
    pub(crate) inner: usize,
}

impl Nest {
    /// Entries of a tile but the last ones.
    pub(crate) fn whole(&self) -> usize {
        self.block.min(self.rows) * self.inner
    }

    /// How far along an array that is read or written in row-major order the next index of each outer axis lies.
    pub(crate) fn strides(&self) -> Vec<isize> {
        let mut strides = vec![(self.block * self.inner) as isize];
        let mut far = (self.rows * self.inner) as isize;
        for &len in self.outer.iter().rev() {
            strides.push(far);
            far *= len as isize;
        }
        strides.reverse();
        strides
    }

    pub(super) fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block)
    }

    pub(crate) fn tiles(&self) -> usize {
        self.outer.iter().product::<usize>() * self.blocks()
    }

    pub(super) fn entries(&self) -> usize {
        self.outer.iter().product::<usize>() * self.rows * self.inner
    }

    /// Entries of the last tile along the axis that is cut.
    pub(crate) fn last(&self) -> usize {
        (self.rows - (self.blocks() - 1) * self.block) * self.inner
    }
}

/// Code before it is checked.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) inputs: Vec<(DType, usize)>,
    pub(crate) outputs: Vec<(DType, usize)>,
    /// The outputs that begin with entries, which each tile may read before it writes them.
    pub(crate) updated: Vec<usize>,
    pub(crate) kept: Vec<Array>,
    /// Bytes of registers.
    pub(crate) registers: usize,
    pub(crate) constants: Block,
    pub(crate) nest: Nest,
    pub(crate) streams: Vec<Stream>,
    /// Run once, on the first tile's streams.
    pub(crate) once: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    /// So many tiles, one after another, are a row: before the first of them and after the last, further steps run.
    pub(crate) row: usize,
    pub(crate) begin: Vec<Step>,
    pub(crate) end: Vec<Step>,
}
