//! From a loop to machine code.
//!
//! The function that is made has the signature `extern "sysv64" fn(bases: *const *mut u8, n: usize) -> u32`. It takes the entries one
//! vector after the other, keeps what is the same for all of them in registers, and returns what is not zero where a result is NaN that
//! may be none.

use std::collections::BTreeMap;

use super::super::parts::Address;
use super::encode::{self, BASES, Bytes, INDEX, LIMIT, Last, Opcode, R8, RAX, RCX, Width};
use super::select::{Compute, Loop, Operator, Step};
use crate::kernel::Level;

/// The comparison that holds of NaN alone.
const UNORDERED: u8 = 3;

/// Pointers lie in these, of which that of the bases is overwritten last.
///
/// There would be six more for who saves them. But large arrays often start at the same place of a page, and then their entries of one
/// place share a few lines of the first cache, which loops over a dozen arrays lose before they have used them up.
const POINTERS: [u8; 7] = [RAX, RCX, R8, R8 + 1, R8 + 2, R8 + 3, BASES];

/// The machine code of a loop, for that instruction set; `None` where there are too few registers.
pub(super) fn emit(body: &Loop, level: Level) -> Option<Vec<u8>> {
    let width = match level {
        Level::Avx512 => Width::Full,
        Level::Avx2 => Width::Avx2,
        Level::Portable => return None,
    };
    let mut pointers = BTreeMap::new();
    for step in &body.steps {
        if let Step::Load(address) | Step::Same(address) | Step::Store { to: address, .. } = step {
            let next = pointers.len();
            let _: &mut usize = pointers.entry(address.base).or_insert(next);
        }
    }
    if pointers.len() > POINTERS.len() {
        return None;
    }
    let mut last_use: Vec<usize> = (0..body.steps.len()).collect();
    let mut uses = vec![0; body.steps.len()];
    for (at, step) in body.steps.iter().enumerate() {
        for &operand in operands(step) {
            (last_use[operand], uses[operand]) = (at, uses[operand] + 1);
        }
    }
    let is_strong = |step: &Step| matches!(step, Step::Compute(compute) if compute.is_strong);
    let emitter = Emitter {
        bytes: Bytes::default(),
        width,
        free: if width == Width::Avx2 { 0xffff } else { u32::MAX },
        body,
        pointers,
        last_use,
        uses,
        same: BTreeMap::new(),
        sign: None,
        rare: None,
        is_strong: body.steps.iter().any(is_strong),
    };
    emitter.function()
}

fn operands(step: &Step) -> &[usize] {
    match step {
        Step::Load(_) | Step::Same(_) => &[],
        Step::Compute(Compute { operator, operands, .. }) => &operands[..operator.n_operands()],
        Step::Store { value, .. } => std::slice::from_ref(value),
    }
}

struct Emitter<'a> {
    bytes: Bytes,
    width: Width,
    /// Vector registers, a bit each.
    free: u32,
    body: &'a Loop,
    /// The number of the pointer of each base.
    pointers: BTreeMap<u32, usize>,
    /// The step that takes each value last, and how often it is taken.
    last_use: Vec<usize>,
    uses: Vec<usize>,
    /// The registers of what is the same for all entries.
    same: BTreeMap<usize, u8>,
    /// The register of sign bits.
    sign: Option<u8>,
    /// The register that collects NaNs, where there are no registers of masks.
    rare: Option<u8>,
    is_strong: bool,
}

impl Emitter<'_> {
    fn push(&mut self, opcode: fn(bool) -> Opcode, first: u8, second: Option<u8>, last: Last) {
        self.bytes.vector(self.width, opcode(self.body.is_f64), first, second, last, None);
    }

    fn take(&mut self) -> Option<u8> {
        let register = self.free.trailing_zeros();
        self.free &= !1_u32.checked_shl(register)?;
        Some(register as u8)
    }

    fn give(&mut self, register: u8) {
        self.free |= 1 << register;
    }

    fn memory(&self, address: Address) -> Option<Last> {
        let pointer = POINTERS[self.pointers[&address.base]];
        Some(Last::Memory { pointer, displacement: i32::try_from(address.offset).ok()? })
    }

    fn function(mut self) -> Option<Vec<u8>> {
        self.start()?;
        let bytes = i32::from(self.width.bytes());
        let top = self.bytes.here();
        self.entries()?;
        self.bytes.advance(INDEX, bytes);
        self.bytes.again(top);
        // Tiles are padded to eight entries: of f32, half a vector may be left.
        if self.width == Width::Full && !self.body.is_f64 {
            self.bytes.advance(LIMIT, bytes);
            let past = self.bytes.past();
            self.width = Width::Half;
            self.entries()?;
            self.bytes.land(past);
        }
        match self.rare {
            Some(rare) => self.push(encode::signs_of, RAX, None, Last::Register(rare)),
            None if self.is_strong => self.bytes.take_mask(),
            None => self.bytes.clear(RAX),
        }
        self.bytes.zero_upper();
        self.bytes.ret();
        Some(self.bytes.into_vec())
    }

    /// What is done once: pointers, the limit, and registers that stay.
    fn start(&mut self) -> Option<()> {
        let pointers: Vec<(u32, u8)> = self.pointers.iter().map(|(&base, &i)| (base, POINTERS[i])).collect();
        let (last, others): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|&(_, own)| own == BASES);
        for (base, own) in others.into_iter().chain(last) {
            self.bytes.pointer(own, i32::try_from(8 * base).ok()?);
        }
        // From entries to bytes, up to which a whole vector is left.
        self.bytes.shift_limit(if self.body.is_f64 { 3 } else { 2 });
        self.bytes.advance(LIMIT, -i32::from(self.width.bytes()));
        self.bytes.clear(INDEX);
        for (value, step) in self.body.steps.iter().enumerate() {
            if let Step::Same(address) = step {
                let register = self.take()?;
                self.same.insert(value, register);
                let from = self.memory(*address)?;
                self.push(encode::load, register, None, from);
            }
        }
        let negates = |step: &Step| matches!(step, Step::Compute(c) if c.operator == Operator::Neg);
        if self.body.steps.iter().any(negates) {
            let register = self.take()?;
            self.sign = Some(register);
            self.signs(register);
        }
        if self.is_strong && self.width == Width::Avx2 {
            let register = self.take()?;
            self.rare = Some(register);
            self.push(encode::xor, register, Some(register), Last::Register(register));
        } else if self.is_strong {
            self.bytes.clear_mask();
        }
        Some(())
    }

    /// Sets the highest bit of every lane, and no other.
    fn signs(&mut self, register: u8) {
        let (is_f64, itself) = (self.body.is_f64, Last::Register(register));
        let (ones, function) = match self.width {
            Width::Avx2 => (encode::EQUAL, None),
            Width::Half | Width::Full => (encode::TERNARY, Some(0xff)),
        };
        self.bytes.vector(self.width, ones, register, Some(register), itself, function);
        let far = if is_f64 { 63 } else { 31 };
        let shift = encode::shift(is_f64);
        self.bytes.vector(self.width, shift, encode::SHIFT_LEFT, Some(register), itself, Some(far));
    }

    /// One vector of entries.
    fn entries(&mut self) -> Option<()> {
        let before = self.free;
        let mut registers: BTreeMap<usize, u8> = self.same.clone();
        // What is read for one operation alone is its operand in memory.
        let mut folded: BTreeMap<usize, Address> = BTreeMap::new();
        for (at, step) in self.body.steps.iter().enumerate() {
            match step {
                Step::Same(_) => {}
                Step::Load(address) if self.may_stay(at, *address) => {
                    folded.insert(at, *address);
                }
                Step::Load(address) => {
                    let (register, from) = (self.take()?, self.memory(*address)?);
                    self.push(encode::load, register, None, from);
                    registers.insert(at, register);
                }
                Step::Store { value, to } => {
                    let to = self.memory(*to)?;
                    self.push(encode::store, *registers.get(value)?, None, to);
                    self.release(at, &[*value], &mut registers);
                }
                Step::Compute(compute) => {
                    let register = self.compute(at, compute, &mut registers, &folded)?;
                    registers.insert(at, register);
                    // What nothing takes stands in no place that is needed.
                    self.release(at, &[at], &mut registers);
                }
            }
        }
        self.free = before;
        Some(())
    }

    /// Whether what is read may stay in memory until it is taken: by one step alone, as the operand that may be there, and before anything is
    /// written over it.
    fn may_stay(&self, value: usize, from: Address) -> bool {
        let taken_at = self.last_use[value];
        let step = &self.body.steps[taken_at];
        let Step::Compute(compute) = step else { return false };
        let is_over = |step: &Step| matches!(step, Step::Store { to, .. } if *to == from);
        self.uses[value] == 1
            && compute.operator != Operator::Neg
            && operands(step).last() == Some(&value)
            && !self.body.steps[value..taken_at].iter().any(is_over)
    }

    fn compute(
        &mut self,
        at: usize,
        compute: &Compute,
        registers: &mut BTreeMap<usize, u8>,
        folded: &BTreeMap<usize, Address>,
    ) -> Option<u8> {
        let taken = &compute.operands[..compute.operator.n_operands()];
        // Registers of the operands are free again only after the result has its own.
        let out = self.take()?;
        let last = taken[taken.len() - 1];
        let last = match folded.get(&last) {
            Some(&address) => self.memory(address)?,
            None => Last::Register(*registers.get(&last)?),
        };
        let first = |i: usize| registers.get(&taken[i]).copied();
        match compute.operator {
            Operator::Add => self.push(encode::add, out, Some(first(0)?), last),
            Operator::Sub => self.push(encode::sub, out, Some(first(0)?), last),
            Operator::Mul => self.push(encode::mul, out, Some(first(0)?), last),
            Operator::Div => self.push(encode::div, out, Some(first(0)?), last),
            Operator::Sqrt => self.push(encode::sqrt, out, None, last),
            Operator::Neg => self.push(encode::xor, out, self.sign, last),
            Operator::Fma => {
                self.push(encode::load, out, None, Last::Register(first(0)?));
                self.push(encode::fma, out, Some(first(1)?), last);
            }
        }
        if compute.is_strong {
            self.look_for_nan(out)?;
        }
        self.release(at, taken, registers);
        Some(out)
    }

    fn look_for_nan(&mut self, register: u8) -> Option<()> {
        const MASK: u8 = 1;
        let compare = encode::compare(self.body.is_f64);
        let found = if self.rare.is_some() { self.take()? } else { MASK };
        let last = Last::Register(register);
        self.bytes.vector(self.width, compare, found, Some(register), last, Some(UNORDERED));
        match self.rare {
            Some(rare) => {
                self.push(encode::or, rare, Some(rare), Last::Register(found));
                self.give(found);
            }
            None => self.bytes.add_mask(),
        }
        Some(())
    }

    /// Gives the registers of values back that nothing takes after this step.
    fn release(&mut self, at: usize, values: &[usize], registers: &mut BTreeMap<usize, u8>) {
        for value in values {
            if self.last_use[*value] <= at
                && !self.same.contains_key(value)
                && let Some(register) = registers.remove(value)
            {
                self.give(register);
            }
        }
    }
}
