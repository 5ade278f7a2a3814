//! Loops beside the steps they stand for.

use super::super::code::Pointer;
use super::super::parts::{Action, Address, Block, Nest, Parts, STREAMS, Step as TileStep, Stream, Where};
use super::super::{Code, Op, Scratch};
use super::select::{Step, select};
use super::{ENTRIES, Natives, is_right};
use crate::kernel::Level;
use crate::ops::{self, Binary, Unary};
use crate::tile::{Builder, Value, View};
use crate::{Array, DType, Scalar};

/// Numbers that follow from one another, the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

const BINARY: [Op; 6] = [
    Op::Binary(Binary::Add),
    Op::Binary(Binary::Sub),
    Op::Binary(Binary::Mul),
    Op::Binary(Binary::Div),
    Op::StrongMul,
    Op::StrongDiv,
];

/// Arithmetic drawn at random over arrays of one shape, a row and a number; two of its values are written.
fn drawn(draws: &mut Draws, dtype: DType, shape: &[usize], n_steps: usize) -> Builder {
    let mut b = Builder::nest(shape);
    let size = shape.iter().product();
    let last = shape.len() - 1;
    let arrays = [0, 1].map(|_| b.input(dtype, size));
    let (row, number) = (b.input(dtype, shape[last]), b.input(dtype, 1));
    let mut values: Vec<Value> = arrays.iter().map(|&x| b.read(x, &View::whole(shape))).collect();
    values.push(b.read(row, &View::whole(&shape[last..]).broadcast(shape, &[last])));
    values.push(b.read(number, &View::whole(&[]).broadcast(shape, &[])));
    let constant = if dtype == DType::F64 { Scalar::F64(-0.75) } else { Scalar::F32(-0.75) };
    values.push(b.constant(constant, shape));
    for _ in 0..n_steps {
        let [x, y, z] = [0, 1, 2].map(|_| values[draws.below(values.len())]);
        let value = match draws.below(10) {
            0 => b.op(Op::Unary(Unary::Neg), &[x]),
            1 => b.op(Op::Unary(Unary::Sqrt), &[x]),
            2 | 3 => b.op(Op::Fma, &[x, y, z]),
            other => b.op(BINARY[other - 4], &[x, y]),
        };
        values.push(value);
    }
    b.output(values[values.len() - 1]);
    b.output(values[5]);
    b
}

/// Numbers, and now and then one that is zero, infinite or none.
fn scattered(draws: &mut Draws, dtype: DType, size: usize, is_tame: bool) -> Array {
    const WILD: [f64; 6] = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-310];
    let mut number = || match draws.below(if is_tame { 1 << 30 } else { 200 }) {
        wild @ 0..6 => WILD[wild],
        _ => draws.below(1 << 20) as f64 / f64::from(1 << 18) - 2.0,
    };
    ops::convert(&Array::vector((0..size).map(|_| number()).collect()), dtype)
}

fn outputs(code: &Code, inputs: &[Array], (dtype, size): (DType, usize)) -> [Array; 2] {
    let mut outputs = [0, 1].map(|_| Array::zeros(dtype, [size]));
    code.run(&inputs.iter().collect::<Vec<_>>(), &mut outputs, &mut Scratch::default(), None);
    outputs
}

#[test]
fn loops_have_the_bits_of_their_steps() {
    // Whole tiles; one that ends with half a vector of f32, with no round number of entries; rows; long tiles.
    let shapes = [
        &[ENTRIES][..],
        &[ENTRIES + 8],
        &[ENTRIES + 2 * 512 + 13],
        &[5, 1003],
        &[9, 7, 101],
        &[16 * 4096 + 13],
    ];
    let mut draws = Draws(20_261_127);
    let (mut n_loops, mut n_over) = ([0; 2], 0);
    for round in 0..60 {
        let (dtype, shape) = ([DType::F32, DType::F64][round % 2], shapes[draws.below(shapes.len())]);
        let n_steps = [3, 8, 20, 90][draws.below(4)];
        let seed = draws.0;
        let at = |level| drawn(&mut Draws(seed), dtype, shape, n_steps).finish(level);
        let size: usize = shape.iter().product();
        let is_tame = draws.below(3) == 0;
        let sizes = [size, size, shape[shape.len() - 1], 1];
        let inputs = sizes.map(|size| scattered(&mut draws, dtype, size, is_tame));
        let expected = outputs(&at(Level::Portable), &inputs, (dtype, size));
        for level in Level::available().filter(|&level| level > Level::Portable) {
            let code = at(level);
            n_loops[usize::from(level == Level::Avx512)] += code.natives.all().len();
            let found = outputs(&code, &inputs, (dtype, size));
            assert_eq!(found, expected, "{n_steps} steps of {dtype}{shape:?} from seed {seed} at {level:?}");
            for (input, output) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let Some(over) = code.over(input, output) else { continue };
                n_over += over.natives.all().len();
                let mut found = [0, 1].map(|_| Array::zeros(dtype, [size]));
                found[output] = inputs[input].clone();
                let others = inputs.iter().enumerate().filter(|&(i, _)| i != input);
                let others: Vec<&Array> = others.map(|(_, other)| other).collect();
                over.run(&others, &mut found, &mut Scratch::default(), None);
                assert_eq!(found, expected, "input {input} under output {output}, seed {seed} at {level:?}");
            }
        }
    }
    for level in Level::available().filter(|&level| level > Level::Portable) {
        let n = n_loops[usize::from(level == Level::Avx512)];
        assert!(n >= 60, "{n} loops at {level:?}");
    }
    assert!(n_over >= 100 || Level::best() == Level::Portable, "{n_over} loops over inputs");
}

#[test]
fn small_nests_and_machines_without_vectors_have_no_loops() {
    let n_loops =
        |n: usize, level| drawn(&mut Draws(1), DType::F64, &[n], 8).finish(level).natives.all().len();
    assert_eq!((n_loops(ENTRIES - 1, Level::best()), n_loops(ENTRIES, Level::Portable)), (0, 0));
    assert_eq!(n_loops(ENTRIES, Level::best()) > 0, Level::best() > Level::Portable);
}

const OUTPUT: Address = Address { base: STREAMS + 1, offset: 0 };

/// `out = -((x * x) * x)` in steps through two registers, and what a test makes of it.
fn steps(product: Op, change: impl FnOnce(&mut Parts)) -> Parts {
    let nest = Nest { outer: vec![], rows: ENTRIES, block: 512, inner: 1 };
    let stream = |array| Stream { array, offset: 0, strides: nest.strides(), fallback: None };
    let register = |offset| Address { base: 0, offset };
    let (x, registers) = (Address { base: STREAMS, offset: 0 }, [register(0), register(4096)]);
    let step = |op, out, operands: &[Address]| TileStep {
        action: Action::Op(op),
        out,
        operands: operands.iter().map(|&address| (address, DType::F64)).collect(),
        len: None,
    };
    let mut parts = Parts {
        inputs: vec![(DType::F64, ENTRIES)],
        outputs: vec![(DType::F64, ENTRIES)],
        updated: vec![],
        kept: vec![],
        registers: 4 * 4096,
        constants: Block::default(),
        streams: vec![stream(Where::Input(0)), stream(Where::Output(0))],
        nest,
        once: vec![],
        steps: vec![
            step(Op::Binary(Binary::Mul), registers[0], &[x, x]),
            step(product, registers[1], &[registers[0], x]),
            step(Op::Unary(Unary::Neg), OUTPUT, &[registers[1]]),
        ],
        row: 1,
        begin: vec![],
        end: vec![],
    };
    change(&mut parts);
    parts
}

fn stores(parts: &Parts, end: usize) -> Option<usize> {
    let body = select(parts, 0, end)?;
    Some(body.steps.iter().filter(|step| matches!(step, Step::Store { .. })).count())
}

#[test]
fn a_loop_writes_what_is_needed_after_it() {
    let plain = Op::Binary(Binary::Mul);
    assert_eq!(stores(&steps(plain, |_| {}), 3), Some(1));
    // The register that the last step reads.
    assert_eq!(stores(&steps(plain, |_| {}), 2), Some(1));
    // One that is read before it is written again, and one that is not.
    let read_later = steps(plain, |p| p.steps[2].operands[0].0.offset = 0);
    assert_eq!(stores(&read_later, 2), Some(1));
    let written_again = steps(plain, |p| {
        p.steps.push(p.steps[0].clone());
        p.steps.push(p.steps[2].clone());
        p.steps[4].operands[0].0.offset = 0;
    });
    assert_eq!(stores(&written_again, 3), Some(1));
    assert_eq!(stores(&written_again, 4), Some(2));
}

#[test]
fn places_that_overlap_are_no_loop() {
    let plain = Op::Binary(Binary::Mul);
    // The second register starts within the first: entry by entry, the loop would read what it has written already.
    let overlapping = steps(plain, |p| {
        p.steps[1].out.offset = 64;
        p.steps[2].operands[0].0.offset = 64;
    });
    assert!(select(&overlapping, 0, 1).is_some());
    assert!(select(&overlapping, 0, 2).is_none());
}

#[test]
fn a_loop_with_products_in_which_a_zero_wins_leaves_what_it_reads() {
    for (product, is_fine) in [(Op::Binary(Binary::Mul), true), (Op::StrongMul, false)] {
        let in_place = steps(product, |p| {
            for step in &mut p.steps {
                for (address, _) in step.operands.iter_mut().filter(|(a, _)| a.base == STREAMS) {
                    *address = OUTPUT;
                }
            }
        });
        assert_eq!(select(&in_place, 0, 3).is_some_and(|body| is_right(&body)), is_fine);
    }
}

#[test]
fn a_product_in_which_a_zero_wins_is_computed_again() {
    for level in Level::available() {
        let mut b = Builder::nest(&[ENTRIES]);
        let inputs = [0, 1].map(|_| b.input(DType::F64, ENTRIES));
        let [x, y] = inputs.map(|input| b.read(input, &View::whole(&[ENTRIES])));
        let product = b.op(Op::StrongMul, &[x, y]);
        let sum = b.op(Op::Binary(Binary::Add), &[product, x]);
        b.output(sum);
        let code = b.finish(level);
        let mut x = vec![1.0; ENTRIES];
        let mut y = vec![2.0; ENTRIES];
        (x[3000], y[3000]) = (0.0, f64::INFINITY);
        (x[3001], y[3001]) = (1.0, f64::NAN);
        let mut out = [Array::zeros(DType::F64, [ENTRIES])];
        code.run(&[&Array::vector(x), &Array::vector(y)], &mut out, &mut Scratch::default(), None);
        let out = out[0].as_slice::<f64>().unwrap();
        assert_eq!((out[2999], out[3000], out[3001].is_nan(), out[3002]), (3.0, 0.0, true, 3.0));
    }
}

#[test]
fn loops_are_made_of_neighbours() {
    // A sine between: its operand is written before it, and two loops stand around it.
    let mut b = Builder::nest(&[ENTRIES]);
    let x = b.input(DType::F64, ENTRIES);
    let x = b.read(x, &View::whole(&[ENTRIES]));
    let around = |b: &mut Builder, x| {
        let square = b.op(Op::Binary(Binary::Mul), &[x, x]);
        let fma = b.op(Op::Fma, &[square, x, square]);
        b.op(Op::Binary(Binary::Div), &[fma, x])
    };
    let before = around(&mut b, x);
    let sine = b.op(Op::Function(crate::map::Function::Sin), &[before]);
    let after = around(&mut b, sine);
    b.output(after);
    let code = b.finish(Level::best());
    let steps: Vec<_> = code.natives.all().iter().map(super::Native::steps).collect();
    if Level::best() > Level::Portable {
        assert_eq!(steps, [0..3, 4..7]);
    }
    assert!(Natives::of(&code.parts, Level::Portable).all().is_empty());
}

#[test]
fn a_loop_touches_the_entries_it_is_told_of_and_no_others() {
    for (level, dtype) in
        Level::available().flat_map(|level| [DType::F64, DType::F32].map(|dtype| (level, dtype)))
    {
        let parts = steps(Op::Binary(Binary::Mul), |p| {
            (p.inputs[0].0, p.outputs[0].0) = (dtype, dtype);
            p.steps.iter_mut().flat_map(|step| &mut step.operands).for_each(|(_, own)| *own = dtype);
        });
        let code = Code::new(parts, None, level);
        let [native] = code.natives.all() else {
            assert_eq!(level, Level::Portable);
            continue;
        };
        // Rounds of vectors, and for f32 half a one behind them.
        for n in [16, 24, 32, 40, 504] {
            let x = ops::convert(&Array::vector(vec![2.0; n]), dtype);
            let mut out = ops::convert(&Array::vector(vec![7.0; n + 64]), dtype);
            let mut registers = code.parts.constants.clone();
            registers.grow(code.parts.registers);
            let before = registers.0.iter().flat_map(|line| line.0).map(usize::from).sum::<usize>();
            let at = [
                registers.0.as_mut_ptr().cast(),
                std::ptr::null_mut(),
                x.memory().1.cast_mut(),
                out.memory_mut().1,
            ];
            // SAFETY: the loop reads `n` entries of the first stream and writes as many of the second: there are so many.
            assert!(unsafe { native.run(&at.map(Pointer), n) });
            let expected = (0..n + 64).map(|i| if i < n { -8.0 } else { 7.0 }).collect();
            assert_eq!(
                out,
                ops::convert(&Array::vector(expected), dtype),
                "{n} entries of {dtype} at {level:?}"
            );
            // Values between stay in registers of the processor.
            assert_eq!(registers.0.iter().flat_map(|line| line.0).map(usize::from).sum::<usize>(), before);
        }
    }
}

#[test]
fn what_a_result_lies_over_is_read_before_it() {
    // The entries of `x` are taken once, after `p` was written over them.
    let mut b = Builder::nest(&[ENTRIES]);
    let inputs = [0, 1].map(|_| b.input(DType::F64, ENTRIES));
    let [x, y] = inputs.map(|input| b.read(input, &View::whole(&[ENTRIES])));
    let square = b.op(Op::Binary(Binary::Mul), &[y, y]);
    let p = b.op(Op::Binary(Binary::Add), &[square, y]);
    let q = b.op(Op::Binary(Binary::Sub), &[p, x]);
    b.output(p);
    b.output(q);
    let code = b.finish(Level::best()).over(0, 0).unwrap();
    assert_eq!(code.natives.all().len(), usize::from(Level::best() > Level::Portable));
    let filled = |entry: f64| Array::vector(vec![entry; ENTRIES]);
    let mut outputs = [filled(5.0), filled(0.0)];
    code.run(&[&filled(3.0)], &mut outputs, &mut Scratch::default(), None);
    assert_eq!(outputs, [filled(12.0), filled(7.0)]);
}
