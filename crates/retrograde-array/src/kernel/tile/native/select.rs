//! From steps of tile code to one loop over their entries.

use super::super::body::padded;
use super::super::pair::{Arithmetic, Pair};
use super::super::parts::{Action, Address, CONSTANTS, LINE, Parts, REGISTERS, Step as TileStep};
use super::super::routine::{Move, Op};
use crate::DType;
use crate::ops::{Binary, Unary};

/// What the body of a loop does with one entry after the other: a value has the number of its step.
pub(super) struct Loop {
    pub(super) is_f64: bool,
    pub(super) steps: Vec<Step>,
}

pub(super) enum Step {
    /// The entry there.
    Load(Address),
    /// Any of the entries there, which are all the same.
    Same(Address),
    Compute(Compute),
    Store {
        value: usize,
        to: Address,
    },
}

pub(super) struct Compute {
    pub(super) operator: Operator,
    /// Whether a result that is NaN may be none: then all is to be done otherwise.
    pub(super) is_strong: bool,
    /// As many as the operator has, from the first on.
    pub(super) operands: [usize; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    Neg,
    /// `a * b + c`, rounded once.
    Fma,
}

impl Operator {
    pub(super) fn n_operands(self) -> usize {
        match self {
            Operator::Sqrt | Operator::Neg => 1,
            Operator::Add | Operator::Sub | Operator::Mul | Operator::Div => 2,
            Operator::Fma => 3,
        }
    }
}

/// The operator of an operation, and whether a result that is NaN may be none.
fn operator(op: Op) -> Option<(Operator, bool)> {
    Some(match op {
        Op::Binary(Binary::Add) => (Operator::Add, false),
        Op::Binary(Binary::Sub) => (Operator::Sub, false),
        Op::Binary(Binary::Mul) => (Operator::Mul, false),
        Op::Binary(Binary::Div) => (Operator::Div, false),
        Op::StrongMul => (Operator::Mul, true),
        Op::StrongDiv => (Operator::Div, true),
        Op::Unary(Unary::Sqrt) => (Operator::Sqrt, false),
        Op::Unary(Unary::Neg) => (Operator::Neg, false),
        Op::Fma => (Operator::Fma, false),
        _ => return None,
    })
}

fn of_pair(arithmetic: Arithmetic) -> (Operator, bool) {
    match arithmetic {
        Arithmetic::Add => (Operator::Add, false),
        Arithmetic::Sub => (Operator::Sub, false),
        Arithmetic::Mul => (Operator::Mul, false),
        Arithmetic::StrongMul => (Operator::Mul, true),
    }
}

/// Whether a step can be part of a loop over numbers of that type.
fn fits(step: &TileStep, dtype: DType) -> bool {
    let Action::Op(op) = step.action else { return false };
    let is_known = matches!(op, Op::Copy | Op::Pair(_)) || operator(op).is_some();
    is_known && step.len.is_none() && step.operands.iter().all(|&(_, other)| other == dtype)
}

/// The steps from `first` on that can be one loop.
pub(super) fn longest(parts: &Parts, first: usize) -> usize {
    let dtype = parts.steps[first].operands.first().map(|&(_, dtype)| dtype);
    match dtype {
        Some(dtype @ (DType::F64 | DType::F32)) => {
            parts.steps[first..].iter().take_while(|step| fits(step, dtype)).count()
        }
        _ => 0,
    }
}

/// The loop of the steps `first..end`, which [`longest`] has found to fit; `None` where that would be another thing than one step after the
/// other over a whole tile.
pub(super) fn select(parts: &Parts, first: usize, end: usize) -> Option<Loop> {
    let dtype = parts.steps[first].operands[0].1;
    let bytes = padded(parts.nest.whole()) * dtype.size_bytes();
    let mut selection = Selection { parts, bytes, end, now: vec![], steps: vec![] };
    for index in first..end {
        selection.step(index)?;
    }
    Some(Loop { is_f64: dtype == DType::F64, steps: selection.steps })
}

/// So many values may stay in registers.
const MOST_SAME: usize = 8;

struct Selection<'a> {
    parts: &'a Parts,
    /// Those of a tile.
    bytes: usize,
    end: usize,
    /// Which value stands for the entry at each place.
    now: Vec<(Address, usize)>,
    steps: Vec<Step>,
}

impl Selection<'_> {
    fn step(&mut self, index: usize) -> Option<()> {
        let TileStep { action, out, operands, .. } = &self.parts.steps[index];
        let Action::Op(op) = *action else { return None };
        let values: Vec<usize> =
            operands.iter().map(|&(address, dtype)| self.read(address, dtype)).collect::<Option<_>>()?;
        let value = match op {
            Op::Copy => values[0],
            Op::Pair(Pair { first, second, turned }) => {
                let once = self.compute(of_pair(first), &values[..2]);
                let pair = if turned { [values[2], once] } else { [once, values[2]] };
                self.compute(of_pair(second), &pair)
            }
            _ => self.compute(operator(op)?, &values),
        };
        self.apart(*out)?;
        self.now.retain(|&(address, _)| address != *out);
        self.now.push((*out, value));
        if self.is_needed(index, *out) {
            self.steps.push(Step::Store { value, to: *out });
        }
        Some(())
    }

    fn compute(&mut self, (operator, is_strong): (Operator, bool), values: &[usize]) -> usize {
        let mut operands = [values[0]; 3];
        operands[..values.len()].copy_from_slice(values);
        self.steps.push(Step::Compute(Compute { operator, is_strong, operands }));
        self.steps.len() - 1
    }

    /// The entry at a place.
    fn read(&mut self, address: Address, dtype: DType) -> Option<usize> {
        if let Some(&(_, value)) = self.now.iter().find(|&&(other, _)| other == address) {
            return Some(value);
        }
        self.apart(address)?;
        let n_same = self.steps.iter().filter(|step| matches!(step, Step::Same(_))).count();
        let is_same = n_same < MOST_SAME && self.is_same(address, dtype);
        self.steps.push(if is_same { Step::Same(address) } else { Step::Load(address) });
        self.now.push((address, self.steps.len() - 1));
        Some(self.steps.len() - 1)
    }

    /// Entries that lie on others but not in the same order would be read and written in another order than that of the steps.
    fn apart(&self, address: Address) -> Option<()> {
        self.now.iter().all(|&(other, _)| other == address || !self.overlap(other, address)).then_some(())
    }

    fn overlap(&self, a: Address, b: Address) -> bool {
        a.base == b.base && (a.offset.abs_diff(b.offset) as usize) < self.bytes
    }

    /// Whether all entries of a tile there are the same.
    fn is_same(&self, address: Address, dtype: DType) -> bool {
        let offset = address.offset as usize;
        match address.base {
            CONSTANTS => {
                let lines = &self.parts.constants.0;
                let byte = |at: usize| lines[at / LINE].0[at % LINE];
                let width = dtype.size_bytes();
                (offset + width..offset + self.bytes).all(|at| byte(at) == byte(at - width))
            }
            REGISTERS => {
                let repeated =
                    |step: &&TileStep| step.action == Action::Move(Move::Repeated) && step.out == address;
                self.parts.once.iter().any(|step| repeated(&step))
            }
            _ => false,
        }
    }

    /// Whether what a step writes has to be in memory after the loop.
    fn is_needed(&self, index: usize, out: Address) -> bool {
        if out.base != REGISTERS {
            return true;
        }
        for (i, later) in self.parts.steps.iter().enumerate().skip(index + 1) {
            let is_read = later.operands.iter().any(|&(address, _)| self.is_near(address, out));
            if i >= self.end && is_read {
                return true;
            }
            if later.out == out {
                return false;
            }
        }
        false
    }

    /// Whether an operand may have entries in the tile.
    fn is_near(&self, operand: Address, out: Address) -> bool {
        // Values of other types have tiles of other lengths, of at most eight bytes an entry.
        let longest = padded(self.parts.nest.whole()) * 8;
        operand.base == out.base
            && (operand.offset as usize) < out.offset as usize + self.bytes
            && (out.offset as usize) < operand.offset as usize + longest
    }
}
