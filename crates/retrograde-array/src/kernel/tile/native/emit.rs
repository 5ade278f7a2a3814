//! From a loop to machine code.
//!
//! The function that is made has the signature `extern "sysv64" fn(bases: *const *mut u8, n: usize) -> u32`. It takes the entries one
//! vector after the other, keeps what is the same for all of them in registers, and returns what is not zero where a result is NaN that
//! may be none.

use std::collections::BTreeMap;

use iced_x86::{Code, Encoder, IcedError, Instruction, MemoryOperand, Register};

use super::super::parts::Address;
use super::select::{Compute, Loop, Operator, Step};
use crate::kernel::Level;

/// Vectors, and how instructions on them are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    /// 32 bytes, of 16 registers.
    Avx2,
    /// 32 bytes, of 32 registers.
    Half,
    /// 64 bytes, of 32 registers.
    Full,
}

impl Width {
    fn bytes(self) -> i32 {
        if self == Width::Full { 64 } else { 32 }
    }
}

/// An instruction on vectors of f32 and of f64, at each width.
type Codes = [[Code; 3]; 2];

const LOAD: Codes = [
    [Code::VEX_Vmovups_ymm_ymmm256, Code::EVEX_Vmovups_ymm_k1z_ymmm256, Code::EVEX_Vmovups_zmm_k1z_zmmm512],
    [Code::VEX_Vmovupd_ymm_ymmm256, Code::EVEX_Vmovupd_ymm_k1z_ymmm256, Code::EVEX_Vmovupd_zmm_k1z_zmmm512],
];
const STORE: Codes = [
    [Code::VEX_Vmovups_ymmm256_ymm, Code::EVEX_Vmovups_ymmm256_k1z_ymm, Code::EVEX_Vmovups_zmmm512_k1z_zmm],
    [Code::VEX_Vmovupd_ymmm256_ymm, Code::EVEX_Vmovupd_ymmm256_k1z_ymm, Code::EVEX_Vmovupd_zmmm512_k1z_zmm],
];
const ADD: Codes = [
    [
        Code::VEX_Vaddps_ymm_ymm_ymmm256,
        Code::EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
    ],
    [
        Code::VEX_Vaddpd_ymm_ymm_ymmm256,
        Code::EVEX_Vaddpd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er,
    ],
];
const SUB: Codes = [
    [
        Code::VEX_Vsubps_ymm_ymm_ymmm256,
        Code::EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
    ],
    [
        Code::VEX_Vsubpd_ymm_ymm_ymmm256,
        Code::EVEX_Vsubpd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er,
    ],
];
const MUL: Codes = [
    [
        Code::VEX_Vmulps_ymm_ymm_ymmm256,
        Code::EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
    ],
    [
        Code::VEX_Vmulpd_ymm_ymm_ymmm256,
        Code::EVEX_Vmulpd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er,
    ],
];
const DIV: Codes = [
    [
        Code::VEX_Vdivps_ymm_ymm_ymmm256,
        Code::EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
    ],
    [
        Code::VEX_Vdivpd_ymm_ymm_ymmm256,
        Code::EVEX_Vdivpd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er,
    ],
];
const SQRT: Codes = [
    [
        Code::VEX_Vsqrtps_ymm_ymmm256,
        Code::EVEX_Vsqrtps_ymm_k1z_ymmm256b32,
        Code::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er,
    ],
    [
        Code::VEX_Vsqrtpd_ymm_ymmm256,
        Code::EVEX_Vsqrtpd_ymm_k1z_ymmm256b64,
        Code::EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er,
    ],
];
const XOR: Codes = [
    [
        Code::VEX_Vxorps_ymm_ymm_ymmm256,
        Code::EVEX_Vxorps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32,
    ],
    [
        Code::VEX_Vxorpd_ymm_ymm_ymmm256,
        Code::EVEX_Vxorpd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64,
    ],
];
/// The first operand is overwritten: `a = a * b + c`.
const FMA: Codes = [
    [
        Code::VEX_Vfmadd213ps_ymm_ymm_ymmm256,
        Code::EVEX_Vfmadd213ps_ymm_k1z_ymm_ymmm256b32,
        Code::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
    ],
    [
        Code::VEX_Vfmadd213pd_ymm_ymm_ymmm256,
        Code::EVEX_Vfmadd213pd_ymm_k1z_ymm_ymmm256b64,
        Code::EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er,
    ],
];
const COMPARE: Codes = [
    [
        Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8,
        Code::EVEX_Vcmpps_kr_k1_ymm_ymmm256b32_imm8,
        Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae,
    ],
    [
        Code::VEX_Vcmppd_ymm_ymm_ymmm256_imm8,
        Code::EVEX_Vcmppd_kr_k1_ymm_ymmm256b64_imm8,
        Code::EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae,
    ],
];
/// The comparison that holds of NaN alone.
const UNORDERED: u32 = 3;

/// Pointers lie in these; those from the seventh on are the caller's, and that of the bases is overwritten last.
const POINTERS: [Register; 13] = [
    Register::RAX,
    Register::RCX,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    BASES,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const BASES: Register = Register::RDI;
/// Entries, then bytes up to which a whole vector is left.
const LIMIT: Register = Register::RSI;
/// Bytes from the start of the tile.
const INDEX: Register = Register::RDX;
const OWN: usize = 7;

/// Why a loop has no machine code.
pub(super) struct Unfit;

impl From<IcedError> for Unfit {
    fn from(_: IcedError) -> Unfit {
        Unfit
    }
}

/// The machine code of a loop, for that instruction set.
pub(super) fn emit(body: &Loop, level: Level) -> Result<Vec<u8>, Unfit> {
    let width = match level {
        Level::Avx512 => Width::Full,
        Level::Avx2 => Width::Avx2,
        Level::Portable => return Err(Unfit),
    };
    let mut pointers = BTreeMap::new();
    for step in &body.steps {
        if let Step::Load(address) | Step::Same(address) | Step::Store { to: address, .. } = step {
            let next = pointers.len();
            let _: &mut usize = pointers.entry(address.base).or_insert(next);
        }
    }
    if pointers.len() > POINTERS.len() {
        return Err(Unfit);
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
        encoder: Encoder::new(64),
        at: 0,
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
    encoder: Encoder,
    /// Bytes so far.
    at: u64,
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
    same: BTreeMap<usize, u32>,
    /// The register of sign bits.
    sign: Option<u32>,
    /// The register that collects NaNs, where there are no masks.
    rare: Option<u32>,
    is_strong: bool,
}

impl Emitter<'_> {
    fn push(&mut self, instruction: Instruction) -> Result<(), Unfit> {
        self.at += self.encoder.encode(&instruction, self.at)? as u64;
        Ok(())
    }

    fn code(&self, codes: &Codes) -> Code {
        codes[usize::from(self.body.is_f64)][self.width as usize]
    }

    fn take(&mut self) -> Result<u32, Unfit> {
        if self.free == 0 {
            return Err(Unfit);
        }
        let register = self.free.trailing_zeros();
        self.free &= !(1 << register);
        Ok(register)
    }

    fn vector(&self, register: u32) -> Register {
        if self.width == Width::Full { Register::ZMM0 + register } else { Register::YMM0 + register }
    }

    fn memory(&self, address: Address) -> Result<MemoryOperand, Unfit> {
        let displacement = i32::try_from(address.offset).map_err(|_| Unfit)?;
        let pointer = POINTERS[self.pointers[&address.base]];
        Ok(MemoryOperand::with_base_index_scale_displ_size(pointer, INDEX, 1, displacement.into(), 1))
    }

    fn function(mut self) -> Result<Vec<u8>, Unfit> {
        let saved: Vec<Register> = POINTERS[..self.pointers.len()].iter().skip(OWN).copied().collect();
        for &register in &saved {
            self.push(Instruction::with1(Code::Push_r64, register)?)?;
        }
        self.start()?;
        let top = self.at;
        self.entries()?;
        let step = self.width.bytes();
        self.push(Instruction::with2(Code::Add_rm64_imm8, INDEX, step)?)?;
        self.push(Instruction::with2(Code::Cmp_r64_rm64, INDEX, LIMIT)?)?;
        self.push(Instruction::with_branch(Code::Jbe_rel32_64, top)?)?;
        // Tiles are padded to eight entries.
        if self.width == Width::Full && !self.body.is_f64 {
            self.half()?;
        }
        self.result()?;
        self.push(Instruction::with(Code::VEX_Vzeroupper))?;
        for &register in saved.iter().rev() {
            self.push(Instruction::with1(Code::Pop_r64, register)?)?;
        }
        self.push(Instruction::with(Code::Retnq))?;
        Ok(self.encoder.take_buffer())
    }

    /// What is done once: pointers, the limit, and registers that stay.
    fn start(&mut self) -> Result<(), Unfit> {
        let pointers: Vec<(u32, usize)> = self.pointers.iter().map(|(&base, &i)| (base, i)).collect();
        let (last, others): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|&(_, i)| POINTERS[i] == BASES);
        for (base, i) in others.into_iter().chain(last) {
            let from = MemoryOperand::with_base_displ(BASES, 8 * i64::from(base));
            self.push(Instruction::with2(Code::Mov_r64_rm64, POINTERS[i], from)?)?;
        }
        let bits = if self.body.is_f64 { 3 } else { 2 };
        self.push(Instruction::with2(Code::Shl_rm64_imm8, LIMIT, bits)?)?;
        self.push(Instruction::with2(Code::Sub_rm64_imm8, LIMIT, self.width.bytes())?)?;
        self.push(Instruction::with2(Code::Xor_r32_rm32, Register::EDX, Register::EDX)?)?;
        for (value, step) in self.body.steps.iter().enumerate() {
            if let Step::Same(address) = step {
                let register = self.take()?;
                self.same.insert(value, register);
                let (to, from) = (self.vector(register), self.memory(*address)?);
                self.push(Instruction::with2(self.code(&LOAD), to, from)?)?;
            }
        }
        let negates = |step: &Step| matches!(step, Step::Compute(c) if c.operator == Operator::Neg);
        if self.body.steps.iter().any(negates) {
            let register = self.take()?;
            self.sign = Some(register);
            self.signs(register)?;
        }
        if self.is_strong && self.width == Width::Avx2 {
            let register = self.take()?;
            self.rare = Some(register);
            let r = self.vector(register);
            self.push(Instruction::with3(self.code(&XOR), r, r, r)?)?;
        } else if self.is_strong {
            let k = Register::K2;
            self.push(Instruction::with3(Code::VEX_Kxorw_kr_kr_kr, k, k, k)?)?;
        }
        Ok(())
    }

    /// Sets the highest bit of every lane, and no other.
    fn signs(&mut self, register: u32) -> Result<(), Unfit> {
        let r = self.vector(register);
        let (is_f64, far) = (self.body.is_f64, if self.body.is_f64 { 63 } else { 31 });
        if self.width == Width::Avx2 {
            let shift = if is_f64 { Code::VEX_Vpsllq_ymm_ymm_imm8 } else { Code::VEX_Vpslld_ymm_ymm_imm8 };
            self.push(Instruction::with3(Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256, r, r, r)?)?;
            return self.push(Instruction::with3(shift, r, r, far)?);
        }
        let shift = if is_f64 {
            Code::EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8
        } else {
            Code::EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8
        };
        let ones = Code::EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8;
        self.push(Instruction::with4(ones, r, r, r, 0xff)?)?;
        self.push(Instruction::with3(shift, r, r, far)?)
    }

    /// The rest of a tile that ends with half a vector.
    fn half(&mut self) -> Result<(), Unfit> {
        self.push(Instruction::with2(Code::Add_rm64_imm8, LIMIT, self.width.bytes())?)?;
        self.push(Instruction::with2(Code::Cmp_r64_rm64, INDEX, LIMIT)?)?;
        // The length of what is jumped over is known only after it: it is emitted twice.
        let jump = Instruction::with_branch(Code::Jae_rel32_64, self.at)?;
        let (encoder, at) = (std::mem::replace(&mut self.encoder, Encoder::new(64)), self.at);
        self.push(jump)?;
        self.width = Width::Half;
        self.entries()?;
        let end = self.at;
        (self.encoder, self.at) = (encoder, at);
        self.push(Instruction::with_branch(Code::Jae_rel32_64, end)?)?;
        self.entries()
    }

    /// Whether a NaN was met.
    fn result(&mut self) -> Result<(), Unfit> {
        match self.rare {
            Some(rare) => {
                let code =
                    if self.body.is_f64 { Code::VEX_Vmovmskpd_r32_ymm } else { Code::VEX_Vmovmskps_r32_ymm };
                self.push(Instruction::with2(code, Register::EAX, Register::YMM0 + rare)?)
            }
            None if self.is_strong => {
                self.push(Instruction::with2(Code::VEX_Kmovw_r32_kr, Register::EAX, Register::K2)?)
            }
            None => self.push(Instruction::with2(Code::Xor_r32_rm32, Register::EAX, Register::EAX)?),
        }
    }

    /// One vector of entries.
    fn entries(&mut self) -> Result<(), Unfit> {
        let before = self.free;
        let mut registers: BTreeMap<usize, u32> = self.same.clone();
        // What is read for one operation alone is its operand in memory.
        let mut folded: BTreeMap<usize, Address> = BTreeMap::new();
        for (at, step) in self.body.steps.iter().enumerate() {
            match step {
                Step::Same(_) => {}
                Step::Load(address) => {
                    if self.uses[at] == 1 && self.is_last_operand(at) {
                        folded.insert(at, *address);
                        continue;
                    }
                    let register = self.take()?;
                    let (to, from) = (self.vector(register), self.memory(*address)?);
                    self.push(Instruction::with2(self.code(&LOAD), to, from)?)?;
                    registers.insert(at, register);
                }
                Step::Store { value, to } => {
                    let (to, from) = (self.memory(*to)?, self.vector(registers[value]));
                    self.push(Instruction::with2(self.code(&STORE), to, from)?)?;
                    self.release(at, &[*value], &mut registers);
                }
                Step::Compute(compute) => {
                    let register = self.compute(at, compute, &mut registers, &folded)?;
                    registers.insert(at, register);
                    if self.last_use[at] == at {
                        // Nothing takes it: it stands in no place that is needed.
                        self.release(at, &[at], &mut registers);
                    }
                }
            }
        }
        self.free = before;
        Ok(())
    }

    /// Whether the only step that takes a value takes it as the operand that may be in memory.
    fn is_last_operand(&self, value: usize) -> bool {
        match &self.body.steps[self.last_use[value]] {
            Step::Compute(compute) => {
                let operands = operands(&self.body.steps[self.last_use[value]]);
                let is_free_of_order = compute.operator != Operator::Neg;
                is_free_of_order && operands.last() == Some(&value)
            }
            _ => false,
        }
    }

    fn compute(
        &mut self,
        at: usize,
        compute: &Compute,
        registers: &mut BTreeMap<usize, u32>,
        folded: &BTreeMap<usize, Address>,
    ) -> Result<u32, Unfit> {
        let taken = &compute.operands[..compute.operator.n_operands()];
        let of = |value: usize| registers.get(&value).copied().ok_or(Unfit);
        let codes = match compute.operator {
            Operator::Add => &ADD,
            Operator::Sub => &SUB,
            Operator::Mul => &MUL,
            Operator::Div => &DIV,
            Operator::Sqrt => &SQRT,
            Operator::Neg => &XOR,
            Operator::Fma => &FMA,
        };
        let code = self.code(codes);
        // Registers of the operands are free again only after the result has its own.
        let register = self.take()?;
        let out = self.vector(register);
        let last = taken[taken.len() - 1];
        let instruction = match (compute.operator, folded.get(&last)) {
            (Operator::Sqrt, Some(&address)) => Instruction::with2(code, out, self.memory(address)?)?,
            (Operator::Sqrt, None) => Instruction::with2(code, out, self.vector(of(last)?))?,
            (Operator::Neg, _) => {
                let sign = self.vector(self.sign.ok_or(Unfit)?);
                Instruction::with3(code, out, self.vector(of(last)?), sign)?
            }
            (operator, folded) => {
                let mut a = self.vector(of(taken[0])?);
                if operator == Operator::Fma {
                    self.push(Instruction::with2(self.code(&LOAD), out, a)?)?;
                    a = self.vector(of(taken[1])?);
                }
                match folded {
                    Some(&address) => Instruction::with3(code, out, a, self.memory(address)?)?,
                    None => Instruction::with3(code, out, a, self.vector(of(last)?))?,
                }
            }
        };
        self.push(instruction)?;
        if compute.is_strong {
            self.look_for_nan(register)?;
        }
        self.release(at, taken, registers);
        Ok(register)
    }

    fn look_for_nan(&mut self, register: u32) -> Result<(), Unfit> {
        let (code, r) = (self.code(&COMPARE), self.vector(register));
        let Some(rare) = self.rare else {
            self.push(Instruction::with4(code, Register::K1, r, r, UNORDERED)?)?;
            let (one, all) = (Register::K1, Register::K2);
            return self.push(Instruction::with3(Code::VEX_Korw_kr_kr_kr, all, all, one)?);
        };
        let found = self.take()?;
        let (mask, rare) = (self.vector(found), self.vector(rare));
        self.push(Instruction::with4(code, mask, r, r, UNORDERED)?)?;
        self.push(Instruction::with3(Code::VEX_Vorps_ymm_ymm_ymmm256, rare, rare, mask)?)?;
        self.free |= 1 << found;
        Ok(())
    }

    /// Gives the registers of values back that nothing takes after this step.
    fn release(&mut self, at: usize, values: &[usize], registers: &mut BTreeMap<usize, u32>) {
        for value in values {
            if self.last_use[*value] <= at
                && !self.same.contains_key(value)
                && let Some(register) = registers.remove(value)
            {
                self.free |= 1 << register;
            }
        }
    }
}
