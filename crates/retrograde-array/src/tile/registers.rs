//! When registers are taken, and when they are free again.

use super::build::{Builder, Value, bug};
use super::plan::{Item, Place, Plan};
use crate::DType;
use crate::kernel::tile::{Address, Parts, Step};

impl Plan {
    /// The parts of the code: registers get their places.
    ///
    /// A register is taken before those of the operands are given back: a result never lies on an operand. In one place, a loop would
    /// have to find out that they are the same, and falls back to one entry at a time.
    pub(super) fn parts(self, builder: &Builder) -> Parts {
        let mut last_use = vec![0; self.registers.len()];
        for (at, item) in self.items.iter().enumerate() {
            for (place, _) in item.operands.iter().chain([&(item.out, DType::U8)]) {
                if let Place::Register(register) = place {
                    last_use[*register] = at;
                }
            }
        }
        let mut memory = Memory { free: vec![], end: self.stand_ins };
        let mut offsets: Vec<Option<usize>> = vec![None; self.registers.len()];
        let address = |offsets: &[Option<usize>], place: Place| match place {
            Place::Fixed(address) => address,
            Place::Register(register) => match offsets[register] {
                Some(offset) => Address { base: 0, offset: offset as u32 },
                None => bug("a register that is used before it is written"),
            },
        };
        let step = |offsets: &mut Vec<Option<usize>>, memory: &mut Memory, item: &Item| {
            if let Place::Register(register) = item.out {
                offsets[register].get_or_insert_with(|| memory.take(self.registers[register]));
            }
            let operands =
                item.operands.iter().map(|&(place, dtype)| (address(offsets, place), dtype)).collect();
            Step { action: item.action, out: address(offsets, item.out), operands, len: item.len }
        };
        let once: Vec<Step> = self.once.iter().map(|item| step(&mut offsets, &mut memory, item)).collect();
        let pinned: Vec<usize> = (0..offsets.len()).filter(|&i| offsets[i].is_some()).collect();
        let mut steps = vec![];
        for (at, item) in self.items.iter().enumerate() {
            steps.push(step(&mut offsets, &mut memory, item));
            let mut ended: Vec<usize> = item
                .operands
                .iter()
                .chain([&(item.out, DType::U8)])
                .filter_map(|(place, _)| match place {
                    Place::Register(register) => Some(*register),
                    Place::Fixed(_) => None,
                })
                .filter(|register| last_use[*register] == at && !pinned.contains(register))
                .collect();
            ended.sort_unstable();
            ended.dedup();
            for register in ended {
                if let Some(offset) = offsets[register] {
                    memory.give(offset, self.registers[register]);
                }
            }
        }
        let sizes = |v: &Value| (builder.values[v.0].dtype, builder.values[v.0].size);
        Parts {
            inputs: builder.inputs.clone(),
            outputs: builder.outputs.iter().map(sizes).collect(),
            updated: vec![],
            kept: builder.kept.clone(),
            registers: memory.end,
            constants: self.constants,
            nest: self.nest,
            streams: self.streams,
            once,
            steps,
            row: self.row,
            begin: self.begin,
            end: self.end,
        }
    }
}

/// Free bytes between registers.
struct Memory {
    /// Offsets and lengths, ascending, no two adjacent.
    free: Vec<(usize, usize)>,
    end: usize,
}

/// Registers start at cache lines.
pub(super) const ALIGNMENT: usize = 64;

impl Memory {
    /// The smallest gap that serves, or new bytes.
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let best = (0..self.free.len()).filter(|&i| self.free[i].1 >= bytes).min_by_key(|&i| self.free[i].1);
        match best {
            Some(i) => {
                let (offset, len) = self.free[i];
                if len == bytes {
                    self.free.remove(i);
                } else {
                    self.free[i] = (offset + bytes, len - bytes);
                }
                offset
            }
            None => {
                self.end += bytes;
                self.end - bytes
            }
        }
    }

    fn give(&mut self, offset: usize, bytes: usize) {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let at = self.free.partition_point(|&(other, _)| other < offset);
        self.free.insert(at, (offset, bytes));
        if at + 1 < self.free.len() && offset + bytes == self.free[at + 1].0 {
            self.free[at].1 += self.free.remove(at + 1).1;
        }
        if at > 0 && self.free[at - 1].0 + self.free[at - 1].1 == offset {
            self.free[at - 1].1 += self.free.remove(at).1;
        }
    }
}
