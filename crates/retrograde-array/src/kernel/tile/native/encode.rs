//! Instructions of x86-64 as bytes: the few that loops need.
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: chapter 2 for the prefixes VEX and EVEX, chapters 3 to 5 for the
//! instructions. Memory is always a register, [`INDEX`] and 32 bits: of all forms the one that serves everywhere.

/// Vectors, and how instructions on them are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    /// 32 bytes, of 16 registers: VEX.
    Avx2,
    /// 32 bytes, of 32 registers: EVEX.
    Half,
    /// 64 bytes, of 32 registers: EVEX.
    Full,
}

impl Width {
    pub(super) fn bytes(self) -> u8 {
        if self == Width::Full { 64 } else { 32 }
    }
}

/// An instruction on vectors: the map of its opcode (1 is `0f`, 2 `0f 38`, 3 `0f 3a`), the opcode, and its prefix (1 is `66`) and wide bit.
#[derive(Clone, Copy)]
pub(super) struct Opcode {
    map: u8,
    code: u8,
    prefix: u8,
    /// Whether the operands have eight bytes; with VEX, for some instructions alone.
    is_wide: bool,
    keeps_wide: bool,
}

/// An instruction of the map `0f` on floats: f64 has the prefix and the wide bit.
const fn floats(code: u8, is_f64: bool) -> Opcode {
    Opcode { map: 1, code, prefix: is_f64 as u8, is_wide: is_f64, keeps_wide: false }
}

pub(super) const fn load(is_f64: bool) -> Opcode {
    floats(0x10, is_f64)
}

pub(super) const fn store(is_f64: bool) -> Opcode {
    floats(0x11, is_f64)
}

pub(super) const fn sqrt(is_f64: bool) -> Opcode {
    floats(0x51, is_f64)
}

pub(super) const fn or(is_f64: bool) -> Opcode {
    floats(0x56, is_f64)
}

pub(super) const fn xor(is_f64: bool) -> Opcode {
    floats(0x57, is_f64)
}

pub(super) const fn add(is_f64: bool) -> Opcode {
    floats(0x58, is_f64)
}

pub(super) const fn mul(is_f64: bool) -> Opcode {
    floats(0x59, is_f64)
}

pub(super) const fn sub(is_f64: bool) -> Opcode {
    floats(0x5c, is_f64)
}

pub(super) const fn div(is_f64: bool) -> Opcode {
    floats(0x5e, is_f64)
}

/// To a vector of masks with VEX, to a register of masks with EVEX.
pub(super) const fn compare(is_f64: bool) -> Opcode {
    floats(0xc2, is_f64)
}

/// The sign bits, to a general register.
pub(super) const fn signs_of(is_f64: bool) -> Opcode {
    floats(0x50, is_f64)
}

/// The first operand is overwritten: `a = a * b + c`.
pub(super) const fn fma(is_f64: bool) -> Opcode {
    Opcode { map: 2, code: 0xa8, prefix: 1, is_wide: is_f64, keeps_wide: true }
}

/// Ones where both are equal, of whole numbers.
pub(super) const EQUAL: Opcode = Opcode { map: 1, code: 0x76, prefix: 1, is_wide: false, keeps_wide: false };

/// Any function of three bits.
pub(super) const TERNARY: Opcode =
    Opcode { map: 3, code: 0x25, prefix: 1, is_wide: false, keeps_wide: false };

/// Shifts to the left by a constant; [`SHIFT_LEFT`] stands where the first register would.
pub(super) const fn shift(is_f64: bool) -> Opcode {
    let code = if is_f64 { 0x73 } else { 0x72 };
    Opcode { map: 1, code, prefix: 1, is_wide: is_f64, keeps_wide: false }
}

pub(super) const SHIFT_LEFT: u8 = 6;

/// The last operand of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Last {
    Register(u8),
    /// Behind a pointer and [`INDEX`].
    Memory {
        pointer: u8,
        displacement: i32,
    },
}

/// General registers by their numbers.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const R8: u8 = 8;
/// What every address in memory adds: rdx.
pub(super) const INDEX: u8 = 2;
/// rsi
pub(super) const LIMIT: u8 = 6;
/// rdi
pub(super) const BASES: u8 = 7;

/// A jump whose end is not known yet.
#[must_use]
pub(super) struct Jump(usize);

/// Bytes of instructions.
#[derive(Default)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// `opcode first, second, last, constant`, of which an instruction may have no second and no constant.
    pub(super) fn vector(
        &mut self,
        width: Width,
        opcode: Opcode,
        first: u8,
        second: Option<u8>,
        last: Last,
        constant: Option<u8>,
    ) {
        let Opcode { map, code, prefix, is_wide, keeps_wide } = opcode;
        let second = second.unwrap_or(0);
        // Bits of register numbers above the three that the instruction itself holds; prefixes have them inverted.
        let bit = |register: u8, bit: u8| register >> bit & 1;
        let (x, b) = match last {
            Last::Register(last) => (bit(last, 4), bit(last, 3)),
            Last::Memory { pointer, .. } => (bit(INDEX, 3), bit(pointer, 3)),
        };
        let upper = !(bit(first, 3) << 7 | x << 6 | b << 5 | bit(first, 4) << 4) & 0xf0;
        let middle = !(second & 15) << 3 & 0x78 | prefix;
        if width == Width::Avx2 {
            let wide = u8::from(is_wide && keeps_wide) << 7;
            self.0.extend([0xc4, upper & 0xe0 | map, wide | middle | 1 << 2, code]);
        } else {
            let length = u8::from(width == Width::Full) + 1;
            let upper = upper | map;
            let wide = u8::from(is_wide) << 7 | 1 << 2;
            self.0.extend([0x62, upper, wide | middle, length << 5 | (1 - bit(second, 4)) << 3, code]);
        }
        match last {
            Last::Register(last) => self.0.push(0xc0 | (first & 7) << 3 | last & 7),
            Last::Memory { pointer, displacement } => {
                self.0.extend([0x80 | (first & 7) << 3 | 4, (INDEX & 7) << 3 | pointer & 7]);
                self.0.extend(displacement.to_le_bytes());
            }
        }
        self.0.extend(constant);
    }

    /// `k2 = 0`
    pub(super) fn clear_mask(&mut self) {
        self.0.extend([0xc5, 0xec, 0x47, 0xd2]);
    }

    /// `k2 |= k1`
    pub(super) fn add_mask(&mut self) {
        self.0.extend([0xc5, 0xec, 0x45, 0xd1]);
    }

    /// `eax = k2`
    pub(super) fn take_mask(&mut self) {
        self.0.extend([0xc5, 0xf8, 0x93, 0xc2]);
    }

    /// Leaves vectors as other code expects them.
    pub(super) fn zero_upper(&mut self) {
        self.0.extend([0xc5, 0xf8, 0x77]);
    }

    /// `register = the word at bases + displacement`
    pub(super) fn pointer(&mut self, register: u8, displacement: i32) {
        self.0.extend([0x48 | register >> 3 << 2, 0x8b, 0x80 | (register & 7) << 3 | BASES]);
        self.0.extend(displacement.to_le_bytes());
    }

    /// `limit <<= by`
    pub(super) fn shift_limit(&mut self, by: u8) {
        self.0.extend([0x48, 0xc1, 0xe0 | LIMIT, by]);
    }

    /// `register += by`
    pub(super) fn advance(&mut self, register: u8, by: i32) {
        self.0.extend([0x48, 0x81, 0xc0 | register]);
        self.0.extend(by.to_le_bytes());
    }

    /// `register = 0`, for eax and edx.
    pub(super) fn clear(&mut self, register: u8) {
        self.0.extend([0x33, 0xc0 | register << 3 | register]);
    }

    /// Where a jump back may go.
    pub(super) fn here(&self) -> usize {
        self.0.len()
    }

    fn compare_with_limit(&mut self) {
        self.0.extend([0x48, 0x3b, 0xc0 | INDEX << 3 | LIMIT]);
    }

    /// Jumps back where the index is at most the limit.
    pub(super) fn again(&mut self, to: usize) {
        self.compare_with_limit();
        self.0.extend([0x0f, 0x86]);
        let far = to as i64 - (self.0.len() + 4) as i64;
        self.0.extend((far as i32).to_le_bytes());
    }

    /// Jumps where the index is at least the limit.
    pub(super) fn past(&mut self) -> Jump {
        self.compare_with_limit();
        self.0.extend([0x0f, 0x83, 0, 0, 0, 0]);
        Jump(self.0.len())
    }

    /// Jumps to here.
    pub(super) fn land(&mut self, Jump(after): Jump) {
        let far = (self.0.len() - after) as i32;
        self.0[after - 4..after].copy_from_slice(&far.to_le_bytes());
    }

    pub(super) fn ret(&mut self) {
        self.0.push(0xc3);
    }
}
