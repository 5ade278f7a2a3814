//! Code that writes an output where an input lies.

use super::body::padded;
use super::check::checked;
use super::code::Code;
use super::parts::{Action, Address, LINE, Parts, REGISTERS, STREAMS, Step, Where};
use super::routine::{Op, Stage};

impl Code {
    /// The same code with an input and an output in one array: it begins with the entries of the input, which are no further input, and
    /// ends with those of the output. `None` where the code cannot have that.
    ///
    /// ```
    /// use retrograde_array::{DType, array, ops::Unary, tile::{Builder, Level, Op, Scratch, View}};
    /// let mut b = Builder::nest(&[2]);
    /// let x = b.input(DType::F64, 2);
    /// let x = b.read(x, &View::whole(&[2]));
    /// let y = b.op(Op::Unary(Unary::Neg), &[x]);
    /// b.output(y);
    /// let code = b.finish(Level::best()).over(0, 0).expect("each entry is read where it is written");
    /// let mut x = [array([1.0, 2.0])];
    /// code.run(&[], &mut x, &mut Scratch::default(), None);
    /// assert_eq!(x[0], array([-1.0, -2.0]));
    /// ```
    pub fn over(&self, input: usize, output: usize) -> Option<Code> {
        if self.scalar.is_some() {
            return None;
        }
        Some(checked(self.parts.over(input, output)?, None, self.level))
    }
}

impl Parts {
    /// See [`Code::over`]. Each tile first copies its entries to a register, which is read instead of the input: so a tile has read
    /// what it needs before it writes, and no result lies on an operand. This serves where a tile reads of the input the very entries
    /// that it writes of the output, as wholes.
    pub(crate) fn over(&self, input: usize, output: usize) -> Option<Parts> {
        let nest = &self.nest;
        let &(dtype, size) = self.inputs.get(input)?;
        let (from, to) = (self.only_stream(Where::Input(input))?, self.only_stream(Where::Output(output))?);
        let (read, written) = (&self.streams[from], &self.streams[to]);
        let are_one = self.outputs[output] == (dtype, size)
            && !self.updated.contains(&output)
            && (read.offset, written.offset) == (0, 0)
            && written.strides == nest.strides()
            && (read.strides == written.strides || nest.tiles() == 1);
        let [from, to] = [from, to].map(|stream| STREAMS + stream as u32);
        let reads = |step: &Step| step.operands.iter().any(|(address, _)| address.base == from);
        let takes_tiles = |step: &Step| {
            let takes =
                |action| matches!(action, Action::Op(_) | Action::Reduce(_, Stage::Accumulate | Stage::Tile));
            step.len.is_none() && takes(step.action)
        };
        let writes = |step: &Step| step.out.base == to && takes_tiles(step);
        let mut rare = self.once.iter().chain(&self.begin).chain(&self.end);
        let serves = are_one
            && Op::Copy.dtype(&[dtype]).is_some()
            && self.steps.iter().all(|step| !reads(step) || takes_tiles(step))
            && self.steps.iter().any(writes)
            && !rare.any(reads);
        if !serves {
            return None;
        }
        let mut parts = self.clone();
        let register = self.registers.next_multiple_of(LINE);
        parts.registers = register + padded(nest.whole()) * dtype.size_bytes();
        let register = Address { base: REGISTERS, offset: u32::try_from(register).ok()? };
        let copy = Step {
            action: Action::Op(Op::Copy),
            out: register,
            operands: vec![(Address { base: to, offset: 0 }, dtype)],
            len: None,
        };
        parts.steps.insert(0, copy);
        let moved = |address: &mut Address| match address.base {
            base if base == from => *address = register,
            base if base > from => address.base -= 1,
            _ => {}
        };
        let steps = [&mut parts.once, &mut parts.begin, &mut parts.steps, &mut parts.end];
        for step in steps.into_iter().flatten() {
            moved(&mut step.out);
            step.operands.iter_mut().for_each(|(address, _)| moved(address));
        }
        parts.streams.remove((from - STREAMS) as usize);
        for stream in &mut parts.streams {
            if let Where::Input(i) = &mut stream.array
                && *i > input
            {
                *i -= 1;
            }
        }
        parts.inputs.remove(input);
        parts.updated.push(output);
        Some(parts)
    }

    /// The stream of an array that has one.
    fn only_stream(&self, array: Where) -> Option<usize> {
        let mut found = (0..self.streams.len()).filter(|&i| self.streams[i].array == array);
        found.next().filter(|_| found.next().is_none())
    }
}
