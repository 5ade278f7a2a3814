//! Bytes of instructions beside those that another encoder writes.

use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};

use super::encode::{self, Bytes, INDEX, LIMIT, Last, Opcode, Width};

/// What the other encoder writes, with 32 bits of displacement and prefixes of three bytes.
fn expected(instructions: &[Instruction]) -> Vec<u8> {
    let mut encoder = Encoder::new(64);
    encoder.set_prevent_vex2(true);
    let mut at = 0;
    for instruction in instructions {
        at += encoder.encode(instruction, at).unwrap() as u64;
    }
    encoder.take_buffer()
}

fn found(write: impl FnOnce(&mut Bytes)) -> Vec<u8> {
    let mut bytes = Bytes::default();
    write(&mut bytes);
    bytes.into_vec()
}

fn vector(width: Width, register: u8) -> Register {
    let first = if width == Width::Full { Register::ZMM0 } else { Register::YMM0 };
    first + u32::from(register)
}

fn general(register: u8) -> Register {
    Register::RAX + u32::from(register)
}

/// Each opcode with its names at `Avx2`, `Half` and `Full`, and whether it takes three operands.
fn opcodes(is_f64: bool) -> Vec<(Opcode, [Code; 3], bool)> {
    use Code::*;
    let named = |f32: [Code; 3], f64: [Code; 3]| if is_f64 { f64 } else { f32 };
    let (two, three) = (false, true);
    vec![
        (
            encode::load(is_f64),
            named(
                [VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_ymm_k1z_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512],
                [VEX_Vmovupd_ymm_ymmm256, EVEX_Vmovupd_ymm_k1z_ymmm256, EVEX_Vmovupd_zmm_k1z_zmmm512],
            ),
            two,
        ),
        (
            encode::sqrt(is_f64),
            named(
                [
                    VEX_Vsqrtps_ymm_ymmm256,
                    EVEX_Vsqrtps_ymm_k1z_ymmm256b32,
                    EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er,
                ],
                [
                    VEX_Vsqrtpd_ymm_ymmm256,
                    EVEX_Vsqrtpd_ymm_k1z_ymmm256b64,
                    EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er,
                ],
            ),
            two,
        ),
        (
            encode::add(is_f64),
            named(
                [
                    VEX_Vaddps_ymm_ymm_ymmm256,
                    EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
                ],
                [
                    VEX_Vaddpd_ymm_ymm_ymmm256,
                    EVEX_Vaddpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er,
                ],
            ),
            three,
        ),
        (
            encode::sub(is_f64),
            named(
                [
                    VEX_Vsubps_ymm_ymm_ymmm256,
                    EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
                ],
                [
                    VEX_Vsubpd_ymm_ymm_ymmm256,
                    EVEX_Vsubpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er,
                ],
            ),
            three,
        ),
        (
            encode::mul(is_f64),
            named(
                [
                    VEX_Vmulps_ymm_ymm_ymmm256,
                    EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
                ],
                [
                    VEX_Vmulpd_ymm_ymm_ymmm256,
                    EVEX_Vmulpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er,
                ],
            ),
            three,
        ),
        (
            encode::div(is_f64),
            named(
                [
                    VEX_Vdivps_ymm_ymm_ymmm256,
                    EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
                ],
                [
                    VEX_Vdivpd_ymm_ymm_ymmm256,
                    EVEX_Vdivpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er,
                ],
            ),
            three,
        ),
        (
            encode::xor(is_f64),
            named(
                [
                    VEX_Vxorps_ymm_ymm_ymmm256,
                    EVEX_Vxorps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32,
                ],
                [
                    VEX_Vxorpd_ymm_ymm_ymmm256,
                    EVEX_Vxorpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64,
                ],
            ),
            three,
        ),
        (
            encode::or(is_f64),
            named(
                [
                    VEX_Vorps_ymm_ymm_ymmm256,
                    EVEX_Vorps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vorps_zmm_k1z_zmm_zmmm512b32,
                ],
                [
                    VEX_Vorpd_ymm_ymm_ymmm256,
                    EVEX_Vorpd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vorpd_zmm_k1z_zmm_zmmm512b64,
                ],
            ),
            three,
        ),
        (
            encode::fma(is_f64),
            named(
                [
                    VEX_Vfmadd213ps_ymm_ymm_ymmm256,
                    EVEX_Vfmadd213ps_ymm_k1z_ymm_ymmm256b32,
                    EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
                ],
                [
                    VEX_Vfmadd213pd_ymm_ymm_ymmm256,
                    EVEX_Vfmadd213pd_ymm_k1z_ymm_ymmm256b64,
                    EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er,
                ],
            ),
            three,
        ),
    ]
}

/// Registers with every bit of their numbers set and not set.
fn registers(width: Width) -> impl Iterator<Item = u8> + Clone {
    [0, 3, 7, 8, 13, 16, 23, 24, 31].into_iter().filter(move |&r| width != Width::Avx2 || r < 16)
}

#[test]
fn instructions_on_vectors_are_those_of_the_manual() {
    let mut n = 0;
    for (is_f64, width) in
        [false, true].iter().flat_map(|&w| [Width::Avx2, Width::Half, Width::Full].map(|width| (w, width)))
    {
        for (opcode, codes, has_second) in opcodes(is_f64) {
            let code = codes[width as usize];
            let memory =
                [0, 1, 3, 5, 7, 8, 12, 13, 15].map(|pointer| Last::Memory { pointer, displacement: 0x1240 });
            let lasts: Vec<Last> = registers(width).map(Last::Register).chain(memory).collect();
            for (first, &last) in
                registers(width).flat_map(|first| lasts.iter().map(move |last| (first, last)))
            {
                for second in registers(width).filter(|&second| has_second || second == 0) {
                    let other = has_second.then_some(second);
                    let found = found(|bytes| bytes.vector(width, opcode, first, other, last, None));
                    let (to, other) = (vector(width, first), vector(width, second));
                    let instruction = match (last, has_second) {
                        (Last::Register(last), true) => {
                            Instruction::with3(code, to, other, vector(width, last))
                        }
                        (Last::Register(last), false) => Instruction::with2(code, to, vector(width, last)),
                        (Last::Memory { pointer, displacement }, _) => {
                            let memory = at(pointer, displacement);
                            if has_second {
                                Instruction::with3(code, to, other, memory)
                            } else {
                                Instruction::with2(code, to, memory)
                            }
                        }
                    };
                    assert_eq!(
                        found,
                        expected(&[instruction.unwrap()]),
                        "{code:?} {first} {second} {last:?}"
                    );
                    n += 1;
                }
            }
        }
    }
    assert!(n > 10_000, "{n} instructions");
}

fn at(pointer: u8, displacement: i32) -> MemoryOperand {
    let (pointer, index) = (general(pointer), general(INDEX));
    MemoryOperand::with_base_index_scale_displ_size(pointer, index, 1, displacement.into(), 8)
}

#[test]
fn stores_masks_and_shifts_are_those_of_the_manual() {
    use Code::*;
    let with = |width, opcode, first, second, last, constant| {
        found(|bytes| bytes.vector(width, opcode, first, second, last, constant))
    };
    let stores = [
        (Width::Avx2, [VEX_Vmovups_ymmm256_ymm, VEX_Vmovupd_ymmm256_ymm]),
        (Width::Half, [EVEX_Vmovups_ymmm256_k1z_ymm, EVEX_Vmovupd_ymmm256_k1z_ymm]),
        (Width::Full, [EVEX_Vmovups_zmmm512_k1z_zmm, EVEX_Vmovupd_zmmm512_k1z_zmm]),
    ];
    for (width, codes) in stores {
        for (is_f64, register) in [false, true].iter().flat_map(|&w| registers(width).map(move |r| (w, r))) {
            let last = Last::Memory { pointer: 9, displacement: -8 };
            let found = with(width, encode::store(is_f64), register, None, last, None);
            let store = Instruction::with2(codes[usize::from(is_f64)], at(9, -8), vector(width, register));
            assert_eq!(found, expected(&[store.unwrap()]));
        }
    }
    let k = Register::K1;
    let compares = [
        (Width::Half, [EVEX_Vcmpps_kr_k1_ymm_ymmm256b32_imm8, EVEX_Vcmppd_kr_k1_ymm_ymmm256b64_imm8]),
        (Width::Full, [EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae, EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae]),
    ];
    for (width, codes) in compares {
        for (is_f64, code) in [(false, codes[0]), (true, codes[1])] {
            let r = vector(width, 21);
            let found = with(width, encode::compare(is_f64), 1, Some(21), Last::Register(21), Some(3));
            assert_eq!(found, expected(&[Instruction::with4(code, k, r, r, 3).unwrap()]));
        }
    }
    for (is_f64, compare, shift, signs) in [
        (false, VEX_Vcmpps_ymm_ymm_ymmm256_imm8, VEX_Vpslld_ymm_ymm_imm8, VEX_Vmovmskps_r32_ymm),
        (true, VEX_Vcmppd_ymm_ymm_ymmm256_imm8, VEX_Vpsllq_ymm_ymm_imm8, VEX_Vmovmskpd_r32_ymm),
    ] {
        let (width, last, r) = (Width::Avx2, Last::Register(12), Register::YMM12);
        let found = with(width, encode::compare(is_f64), 9, Some(12), last, Some(3));
        assert_eq!(found, expected(&[Instruction::with4(compare, Register::YMM9, r, r, 3).unwrap()]));
        let found = with(width, encode::shift(is_f64), encode::SHIFT_LEFT, Some(12), last, Some(31));
        assert_eq!(found, expected(&[Instruction::with3(shift, r, r, 31).unwrap()]));
        let found = with(width, encode::signs_of(is_f64), 0, None, last, None);
        assert_eq!(found, expected(&[Instruction::with2(signs, Register::EAX, r).unwrap()]));
    }
    let (last, r) = (Last::Register(29), Register::ZMM29);
    for (is_f64, shift) in
        [(false, EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8), (true, EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8)]
    {
        let found = with(Width::Full, encode::shift(is_f64), encode::SHIFT_LEFT, Some(29), last, Some(63));
        assert_eq!(found, expected(&[Instruction::with3(shift, r, r, 63).unwrap()]));
    }
    let found = with(Width::Full, encode::TERNARY, 29, Some(29), last, Some(0xff));
    let ones = EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8;
    assert_eq!(found, expected(&[Instruction::with4(ones, r, r, r, 0xff).unwrap()]));
    let found = with(Width::Avx2, encode::EQUAL, 14, Some(14), Last::Register(14), None);
    let r = Register::YMM14;
    assert_eq!(found, expected(&[Instruction::with3(VEX_Vpcmpeqd_ymm_ymm_ymmm256, r, r, r).unwrap()]));
}

#[test]
fn what_stands_around_a_loop_is_that_of_the_manual() {
    use Code::*;
    let (k1, k2, eax) = (Register::K1, Register::K2, Register::EAX);
    let short = |instruction: Instruction| {
        let mut encoder = Encoder::new(64);
        encoder.encode(&instruction, 0).unwrap();
        encoder.take_buffer()
    };
    assert_eq!(found(Bytes::clear_mask), short(Instruction::with3(VEX_Kxorw_kr_kr_kr, k2, k2, k2).unwrap()));
    assert_eq!(found(Bytes::add_mask), short(Instruction::with3(VEX_Korw_kr_kr_kr, k2, k2, k1).unwrap()));
    assert_eq!(found(Bytes::take_mask), short(Instruction::with2(VEX_Kmovw_r32_kr, eax, k2).unwrap()));
    assert_eq!(found(Bytes::zero_upper), short(Instruction::with(VEX_Vzeroupper)));
    assert_eq!(found(Bytes::ret), short(Instruction::with(Retnq)));
    for register in [0, 1, 3, 7, 8, 15] {
        let word = MemoryOperand::with_base_displ_size(Register::RDI, 24, 8);
        let load = Instruction::with2(Mov_r64_rm64, general(register), word).unwrap();
        assert_eq!(found(|bytes| bytes.pointer(register, 24)), short(load));
    }
    for (register, by) in [(INDEX, 64), (LIMIT, -32)] {
        let add = Instruction::with2(Add_rm64_imm32, general(register), by).unwrap();
        assert_eq!(found(|bytes| bytes.advance(register, by)), short(add));
    }
    let shift = Instruction::with2(Shl_rm64_imm8, Register::RSI, 3).unwrap();
    assert_eq!(found(|bytes| bytes.shift_limit(3)), short(shift));
    for (register, name) in [(0, Register::EAX), (INDEX, Register::EDX)] {
        let clear = Instruction::with2(Xor_r32_rm32, name, name).unwrap();
        assert_eq!(found(|bytes| bytes.clear(register)), short(clear));
    }
    let compare = Instruction::with2(Cmp_r64_rm64, Register::RDX, Register::RSI).unwrap();
    let back = [Instruction::with(Retnq), compare, Instruction::with_branch(Jbe_rel32_64, 0).unwrap()];
    let again = found(|bytes| {
        let top = bytes.here();
        bytes.ret();
        bytes.again(top);
    });
    assert_eq!(again, expected(&back));
    // The jump has 6 bytes after the 3 of the comparison, and goes past one more.
    let past = [compare, Instruction::with_branch(Jae_rel32_64, 10).unwrap(), Instruction::with(Retnq)];
    let over = found(|bytes| {
        let past = bytes.past();
        bytes.ret();
        bytes.land(past);
    });
    assert_eq!(over, expected(&past));
}
