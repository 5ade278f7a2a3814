use std::panic::{AssertUnwindSafe, catch_unwind};

use super::plan::Plan;
use super::scalarise::scalarised_at;
use super::{Arithmetic, Builder, Level, Op, Pair, Places, Reduction, TILE, Value, View};
use crate::kernel::tile::{
    Action, Address, Call, Code, Instruction, Move, Operation, Parts, REGISTERS, Run, STREAMS, Scalars,
    Scratch, Script, Step, padded,
};
use crate::map::Function;
use crate::ops::{Binary, Comparison, Unary, strong_mul};
use crate::{Array, DType, Threads, array};

/// Sums, products and sines in turn, each operand used for the last time.
fn chain(shape: &[usize], steps: usize) -> Builder {
    let mut b = Builder::nest(shape);
    let size = shape.iter().product();
    let [x, y] = [0, 1].map(|_| b.input(DType::F64, size));
    let (mut x, y) = (b.read(x, &View::whole(shape)), b.read(y, &View::whole(shape).reversed(&[0])));
    for i in 0..steps {
        x = match i % 3 {
            0 => b.op(Op::Binary(Binary::Add), &[x, y]),
            1 => b.op(Op::Function(Function::Sin), &[x]),
            _ => b.op(Op::Binary(Binary::Mul), &[x, x]),
        };
    }
    b.output(x);
    b
}

fn parts(b: &Builder, shape: &[usize]) -> Parts {
    Plan::nest(b, shape, TILE).parts(b)
}

#[test]
fn a_result_never_lies_on_an_operand() {
    for shape in [&[TILE * 3 + 5][..], &[24], &[7, 3]] {
        let parts = parts(&chain(shape, 50), shape);
        let tile = padded(parts.nest.whole()) * 8;
        for step in &parts.steps {
            for &(operand, _) in &step.operands {
                let apart = operand.offset.abs_diff(step.out.offset) as usize >= tile;
                assert!(operand.base != step.out.base || apart, "{step:?}");
            }
        }
        // And yet registers are used again: the chain has no more than three values at a time, and as many stand-ins.
        assert!(parts.registers <= 6 * tile.next_multiple_of(64), "{} bytes", parts.registers);
    }
}

#[test]
fn code_that_leaves_its_places_is_refused() {
    let shape = [TILE * 2 + 8];
    let good = parts(&chain(&shape, 6), &shape);
    let refused = |what: &str, breaks: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        breaks(&mut parts);
        let found = catch_unwind(AssertUnwindSafe(|| Code::new(parts, None, Level::best())));
        let message = found.err().and_then(|e| e.downcast::<String>().ok());
        assert_eq!(message.as_deref(), Some(&format!("tile code: {what}; this is a bug in retrograde")));
    };
    assert!(catch_unwind(AssertUnwindSafe(|| Code::new(good.clone(), None, Level::best()))).is_ok());
    refused("a result on top of an operand", &|p| p.steps[2].out = p.steps[2].operands[0].0);
    refused("a result outside", &|p| p.registers = 64);
    refused("a register that is read before it is written", &|p| {
        p.steps.remove(1);
    });
    refused("a stream that leaves its array", &|p| p.streams[0].offset += 1);
    refused("a stream that leaves its array", &|p| p.inputs[1].1 -= 1);
    refused("an output out of order", &|p| {
        p.outputs[0].1 *= 2;
        let output = p.streams.len() - 1;
        p.streams[output].strides[0] += 8;
    });
    refused("an operation on types it does not have", &|p| {
        let last = p.steps.len() - 1;
        p.steps[last].operands.truncate(1);
    });
    refused("an array of another type", &|p| p.inputs[0].0 = DType::I64);
    refused("two streams of one output", &|p| {
        let output = p.streams[p.streams.len() - 1].clone();
        p.streams.push(output);
    });
}

/// A kernel that reads its first input several times, another shape along the way, and a number that is there once; it writes two
/// results of the shape, and a sum.
fn update(shape: &[usize]) -> Builder {
    let size = shape.iter().product();
    let n = shape[shape.len() - 1];
    let mut b = Builder::nest(shape);
    let [x, y] = [0, 1].map(|_| b.input(DType::F64, size));
    let (row, one) = (b.input(DType::F64, n), b.input(DType::F64, 1));
    let (x, y) = (b.read(x, &View::whole(shape)), b.read(y, &View::whole(shape)));
    let row = b.read(row, &View::whole(&[n]).broadcast(shape, &[shape.len() - 1]));
    let one = b.read(one, &View::whole(&[]).broadcast(shape, &[]));
    let square = b.op(Op::Binary(Binary::Mul), &[x, x]);
    let moved = b.op(Op::Binary(Binary::Add), &[square, row]);
    let new = b.op(Op::Fma, &[moved, one, y]);
    let sine = b.op(Op::Function(Function::Sin), &[new]);
    let other = b.op(Op::Binary(Binary::Sub), &[sine, x]);
    let sums = b.reduce(Reduction::Sum, x, [size / n, n, 1]);
    [new, other, sums].into_iter().for_each(|v| b.output(v));
    b
}

#[test]
fn an_output_over_an_input_has_the_bits_of_one_apart() {
    // Round tiles and others, one and many, sums within a tile and over several.
    let few: [(&[usize], usize); 4] = [(&[24], 32), (&[3, 16], 16), (&[30], 32), (&[5, 20], 40)];
    let many: [(&[usize], usize); 4] =
        [(&[2, 3, 30], 32), (&[5000], TILE), (&[37, 613], TILE), (&[9, 8, 40], 2 * TILE)];
    for (shape, most) in few.into_iter().chain(many.into_iter().filter(|_| !cfg!(miri))) {
        let (size, n) = (shape.iter().product::<usize>(), shape[shape.len() - 1]);
        let draw = |seed: u64, shape: &[usize]| crate::rng::normal(crate::rng::Key::from_seed(seed), shape);
        let (x, y) = (draw(1, shape), draw(2, shape));
        let (row, one) = (draw(3, &[n]), array([0.25]));
        let b = update(shape);
        let code = Code::new(Plan::nest(&b, shape, most).parts(&b), None, Level::best());
        let empty = Array::zeros(DType::F64, shape);
        let sums = Array::zeros(DType::F64, [size / n]);
        let mut apart = [empty.clone(), empty.clone(), sums.clone()];
        code.run(&[&x, &y, &row, &one], &mut apart, &mut Scratch::default(), None);
        for (first, second) in [(0, 1), (1, 0)] {
            let over = code.over(0, first).unwrap();
            let both = over.over(0, second).unwrap();
            for &parts in if cfg!(miri) { &[Some(2)][..] } else { &[None, Some(2), Some(1000)] } {
                let shared = parts.map(|n| (n, &Threads(3) as _));
                let mut out = [empty.clone(), empty.clone(), sums.clone()];
                out[first] = x.clone();
                over.run(&[&y, &row, &one], &mut out, &mut Scratch::default(), shared);
                assert_eq!(out, apart, "{shape:?} {first} in {parts:?} parts");
                out[first] = x.clone();
                out[second] = y.clone();
                let [a, b, c] = out;
                let mut slots = [one.clone(), c, row.clone(), b, a];
                let places = Places::new(vec![2, 0], vec![4, 3, 1]);
                both.run_in(&mut slots, &places, &mut Scratch::default(), shared);
                let [_, c, _, b, a] = slots;
                assert_eq!([a, b, c], apart, "{shape:?} {first} and {second} in {parts:?} parts");
            }
        }
        // What somebody else holds is copied, not written.
        let mut out = [x.clone(), empty.clone(), sums.clone()];
        let held = x.clone();
        code.over(0, 0).unwrap().run(&[&y, &row, &one], &mut out, &mut Scratch::default(), None);
        assert_eq!((&held, out), (&x, apart));
    }
}

#[test]
fn an_output_lies_over_no_input_that_is_read_elsewhere() {
    let shape = [4, 16];
    let over = |input: usize, view: &dyn Fn(&mut Builder) -> Value| {
        let mut b = Builder::nest(&shape);
        let x = b.input(DType::F64, 64);
        let whole = b.read(x, &View::whole(&shape));
        let other = view(&mut b);
        let sum = b.op(Op::Binary(Binary::Add), &[whole, other]);
        b.output(sum);
        let code = Code::new(Plan::nest(&b, &shape, 16).parts(&b), None, Level::best());
        code.over(input, 0).is_some()
    };
    let another = |size: usize, view: View| {
        move |b: &mut Builder| {
            let y = b.input(DType::F64, size);
            b.read(y, &view)
        }
    };
    assert!(over(1, &another(64, View::whole(&shape))));
    // Places that are not there, other places of the array, an array of another size, and two reads of one.
    assert!(!over(2, &another(64, View::whole(&shape))));
    assert!(!over(1, &another(64, View::whole(&shape).reversed(&[0]))));
    assert!(!over(1, &another(64, View::whole(&shape).reversed(&[1]))));
    assert!(!over(1, &another(64, View::whole(&[16, 4]).transposed(&[1, 0]))));
    assert!(!over(1, &another(80, View::whole(&[5, 16]).sliced(&[1, 0], &[5, 16], &[1, 1]))));
    assert!(!over(1, &another(16, View::whole(&[16]).broadcast(&shape, &[1]))));
    assert!(!over(1, &another(1, View::whole(&[]).broadcast(&shape, &[]))));
    let again = |b: &mut Builder| {
        let x = b.input(DType::F64, 64);
        let first = b.read(x, &View::whole(&shape));
        let second = b.read(x, &View::whole(&shape).reversed(&[0]));
        b.op(Op::Binary(Binary::Mul), &[first, second])
    };
    assert!(!over(1, &again));
    // Another type, a second input over one output, an output that is none, and a sum.
    let mut b = update(&shape);
    let input = b.input(DType::I64, 64);
    let whole = b.read(input, &View::whole(&shape));
    b.output(whole);
    let code = b.finish(Level::best());
    assert!(code.over(0, 0).is_some() && code.over(0, 3).is_none() && code.over(4, 0).is_none());
    assert!(code.over(0, 0).unwrap().over(0, 0).is_none());
    assert!(code.over(0, 2).is_none() && code.over(0, 4).is_none() && code.over(4, 3).is_some());
    // Small code.
    let mut b = Builder::small();
    let x = b.input(DType::F64, 16);
    let x = b.read(x, &View::whole(&[16]));
    let y = b.op(Op::Unary(Unary::Neg), &[x]);
    b.output(y);
    assert!(b.finish(Level::best()).over(0, 0).is_none());
}

#[test]
fn code_that_reads_more_of_an_output_than_its_tile_is_refused() {
    let shape = [3, 16];
    let b = update(&shape);
    let good = Plan::nest(&b, &shape, 16).parts(&b).over(0, 0).unwrap();
    assert!(good.nest.tiles() > 1);
    let to = good.steps[0].operands[0].0;
    let stream = (to.base - STREAMS) as usize;
    let refused_as = |what: &str, good: &Parts, breaks: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        breaks(&mut parts);
        let found = catch_unwind(AssertUnwindSafe(|| Code::new(parts, None, Level::best())));
        let message = found.err().and_then(|e| e.downcast::<String>().ok());
        assert_eq!(message.as_deref(), Some(&format!("tile code: {what}; this is a bug in retrograde")));
    };
    let refused = |breaks: &dyn Fn(&mut Parts)| {
        refused_as("an output that is read before it is written", &good, breaks)
    };
    assert!(catch_unwind(AssertUnwindSafe(|| Code::new(good.clone(), None, Level::best()))).is_ok());
    // An output that begins with any entries.
    refused(&|p| p.updated.clear());
    refused(&|p| p.updated = vec![1]);
    // Entries of other tiles: from another place on, at another distance, before all tiles, and before a row of them.
    refused(&|p| {
        p.outputs[0].1 += 16;
        p.streams[stream].offset += 16;
    });
    refused(&|p| p.streams[stream].strides[0] = 8);
    refused(&|p| {
        let copy = p.steps.remove(0);
        p.once.push(copy);
    });
    refused(&|p| {
        let copy = p.steps.remove(0);
        p.begin.push(copy);
    });
    // Not as a whole: one entry, places of a table, terms of sums.
    refused(&|p| p.steps[0].action = Action::Move(Move::Repeated));
    refused(&|p| {
        let words: Vec<u8> = (0..16).flat_map(|_| 17_i32.to_ne_bytes()).collect();
        let offset = p.constants.push(&words);
        p.outputs[0].1 += 16;
        p.steps[0].action = Action::Move(Move::Gathered);
        p.steps[0].operands.push((Address { base: 1, offset }, DType::I32));
    });
    refused(&|p| {
        let sum = p.steps.iter_mut().find(|step| matches!(step.action, Action::Reduce(..))).unwrap();
        sum.operands[0].0 = to;
        let sum = sum.clone();
        p.steps.insert(0, sum);
    });
    let refused = |what: &str, breaks: &dyn Fn(&mut Parts)| refused_as(what, &good, breaks);
    refused("a result on top of an operand", &|p| p.steps[0].out = to);
    refused("two streams of one output", &|p| {
        let output = p.streams[stream].clone();
        p.streams.push(output);
    });
    refused("a register that is read before it is written", &|p| {
        p.steps.remove(0);
    });
    // In part what was written, in part what was there before.
    let shape = [32];
    let b = update(&shape);
    let single = Plan::nest(&b, &shape, 32).parts(&b).over(0, 0).unwrap();
    refused_as("an output that is read before it is written", &single, &|p| {
        let copy = p.steps[0].clone();
        let half =
            Step { out: copy.operands[0].0, operands: vec![(copy.out, DType::F64)], len: Some(16), ..copy };
        p.steps.insert(1, half);
        p.steps.insert(2, copy);
    });
    // The loop over single numbers knows nothing of it.
    let (b, _) = small(0, DType::F64);
    let scalar = scalarised_at(&b, usize::MAX, Level::best());
    assert!(scalar.is_some());
    let found = catch_unwind(AssertUnwindSafe(|| Code::new(single, scalar, Level::best())));
    assert!(found.is_err());
}

#[test]
fn code_refuses_other_arrays_than_promised() {
    let code = chain(&[3], 4).finish(Level::best());
    let x = array([1.0, 2.0, 3.0]);
    let run = |inputs: &[&Array], output: Array| {
        catch_unwind(AssertUnwindSafe(|| code.run(inputs, &mut [output], &mut Scratch::default(), None)))
            .is_ok()
    };
    assert!(run(&[&x, &x], x.clone()));
    assert!(!run(&[&x], x.clone()));
    assert!(!run(&[&x, &array([1.0, 2.0])], x.clone()));
    assert!(!run(&[&x, &array([1, 2, 3])], x.clone()));
    assert!(!run(&[&x, &x], array([1.0])));
}

#[test]
fn an_output_that_shares_its_buffer_with_an_input_is_taken_out_first() {
    let code = chain(&[3], 1).finish(Level::best());
    let x = array([1.0, 2.0, 3.0]);
    let mut out = [x.clone()];
    code.run(&[&x, &x], &mut out, &mut Scratch::default(), None);
    assert_eq!((x, out), (array([1.0, 2.0, 3.0]), [array([4.0, 4.0, 4.0])]));
}

#[test]
fn reductions_of_any_length_have_the_canonical_order() {
    let mut scratch = Scratch::default();
    // Within a tile, over several of them, and several results in one.
    let few = [(1, 5, 1), (3, 17, 1), (2, 513, 1), (9, 9, 7)];
    let many = [(1, 16, 1), (5, 1200, 1), (1, 100_003, 1), (40, 9, 7), (700, 3, 2)];
    for &(outer, n, inner) in few.iter().chain(if cfg!(miri) { &[][..] } else { &many }) {
        let shape = [outer, n, inner];
        let x = crate::rng::normal(crate::rng::Key::from_seed(n as u64), shape);
        for x in [x.clone(), crate::ops::convert(&x, DType::F32)] {
            let mut b = Builder::nest(&shape);
            let input = b.input(x.dtype(), x.size());
            let value = b.read(input, &View::whole(&shape));
            let all = [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min];
            for reduction in all {
                let reduced = b.reduce(reduction, value, shape);
                b.output(reduced);
            }
            let mut out = [0; 4].map(|_| Array::zeros(x.dtype(), [outer, inner]));
            b.finish(Level::best()).run(&[&x], &mut out, &mut scratch, None);
            let expected = [
                crate::ops::sum(&x, &[1]),
                crate::ops::prod(&x, &[1]),
                crate::ops::reduce_max(&x, &[1]),
                crate::ops::reduce_min(&x, &[1]),
            ];
            assert_eq!(out, expected, "{shape:?}");
        }
    }
}

#[test]
fn an_output_in_the_place_of_another_array_is_refused() {
    for (inputs, outputs) in [(vec![0, 1], vec![1]), (vec![0], vec![1, 2, 1])] {
        assert!(catch_unwind(|| Places::new(inputs, outputs)).is_err());
    }
    let mut b = Builder::nest(&[3]);
    let x = b.input(DType::F64, 3);
    let x = b.read(x, &View::whole(&[3]));
    let y = b.op(Op::Unary(Unary::Neg), &[x]);
    b.output(y);
    let code = b.finish(Level::best());
    let run = |slots: &mut [Array], input: usize| {
        let places = Places::new(vec![input], vec![0]);
        catch_unwind(AssertUnwindSafe(|| code.run_in(slots, &places, &mut Scratch::default(), None))).is_ok()
    };
    // An output that shares its memory with the input gets its own.
    let x = array([1.0, 2.0, 3.0]);
    let mut slots = [x.clone(), x.clone(), array([1.0, 2.0])];
    assert!(run(&mut slots, 1));
    assert_eq!((&slots[0], &slots[1]), (&array([-1.0, -2.0, -3.0]), &x));
    // Another size, and a place that is not there.
    assert!(!run(&mut slots, 2) && !run(&mut slots, 3));
}

#[test]
fn parts_on_any_thread_give_the_same_bits() {
    // An interpreter gets few entries, and tiles of fewer.
    let shapes =
        if cfg!(miri) { [&[30][..], &[5, 20], &[2, 3, 30]] } else { [&[5000][..], &[37, 613], &[9, 8, 40]] };
    for shape in shapes {
        let size: usize = shape.iter().product();
        let x = crate::rng::normal(crate::rng::Key::from_seed(3), shape);
        let n = shape[shape.len() - 1];
        let mut b = chain(shape, 7);
        let input = b.input(DType::F64, size);
        let value = b.read(input, &View::whole(shape));
        // One number for all tiles.
        let one = b.input(DType::F64, 1);
        let one = b.read(one, &View::whole(&[]).broadcast(shape, &[]));
        let moved = b.op(Op::Binary(Binary::Add), &[value, one]);
        let sums = b.reduce(Reduction::Sum, moved, [size / n, n, 1]);
        b.output(sums);
        let code = if cfg!(miri) {
            Code::new(Plan::nest(&b, shape, 32).parts(&b), None, Level::best())
        } else {
            b.finish(Level::best())
        };
        let run = |parts: Option<usize>| {
            let mut out = [Array::zeros(DType::F64, shape), Array::zeros(DType::F64, [size / n])];
            let shared = parts.map(|n| (n, &Threads(3) as _));
            code.run(&[&x, &x, &x, &array([0.25])], &mut out, &mut Scratch::default(), shared);
            out
        };
        for parts in if cfg!(miri) { &[3, 1000][..] } else { &[1, 2, 3, 7, 1000] } {
            assert_eq!(run(Some(*parts)), run(None), "{shape:?} in {parts} parts");
        }
    }
}

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

#[test]
#[cfg_attr(miri, ignore = "a thousand entries; the tests of single routines run the loops of pairs")]
fn a_pair_has_the_bits_of_one_operation_after_the_other() {
    let numbers =
        [0.0, -0.0, 1.0, -2.5, 1.0 + f64::EPSILON, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let n = numbers.len().pow(3);
    let operand = |digit: u32| {
        Array::vector((0..n).map(|i| numbers[i / numbers.len().pow(digit) % numbers.len()]).collect())
    };
    let apply = |how: Arithmetic, a: &Array, b: &Array| match how {
        Arithmetic::Add => crate::ops::binary(Binary::Add, a, b).unwrap(),
        Arithmetic::Sub => crate::ops::binary(Binary::Sub, a, b).unwrap(),
        Arithmetic::Mul => crate::ops::binary(Binary::Mul, a, b).unwrap(),
        Arithmetic::StrongMul => strong_mul(a, b),
    };
    let all = [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::StrongMul];
    for dtype in [DType::F64, DType::F32] {
        let operands = [0, 1, 2].map(|digit| crate::ops::convert(&operand(digit), dtype));
        for (first, second, turned) in
            all.iter().flat_map(|&a| all.map(|b| [(a, b, false), (a, b, true)])).flatten()
        {
            let one = apply(first, &operands[0], &operands[1]);
            let [x, y] = if turned { [&operands[2], &one] } else { [&one, &operands[2]] };
            let expected = apply(second, x, y);
            for level in LEVELS {
                let mut b = Builder::nest(&[n]);
                let values = [0; 3].map(|_| {
                    let input = b.input(dtype, n);
                    b.read(input, &View::whole(&[n]))
                });
                let y = b.op(Op::Pair(Pair { first, second, turned }), &values);
                b.output(y);
                let mut out = [Array::zeros(dtype, [n])];
                let inputs = [&operands[0], &operands[1], &operands[2]];
                b.finish(level).run(&inputs, &mut out, &mut Scratch::default(), None);
                assert_eq!(out[0], expected, "{first:?} {second:?} {turned} {dtype} {level:?}");
            }
        }
    }
}

/// What is used once more, or written, is computed by itself.
#[test]
fn only_what_is_used_once_goes_into_a_pair() {
    let steps = |uses_again: bool, is_written: bool| {
        let mut b = Builder::nest(&[16]);
        let x = b.input(DType::F64, 16);
        let x = b.read(x, &View::whole(&[16]));
        let square = b.op(Op::Binary(Binary::Mul), &[x, x]);
        let sum = b.op(Op::Binary(Binary::Add), &[square, if uses_again { square } else { x }]);
        b.output(sum);
        if is_written {
            b.output(square);
        }
        b.finish(Level::best()).steps()
    };
    assert_eq!((steps(false, false), steps(true, false), steps(false, true)), (1, 2, 2));
}

/// A draw of everything that small code can do, on a few numbers.
fn small(seed: u64, dtype: DType) -> (Builder, Vec<Array>) {
    let mut words = crate::rng::random_bits(crate::rng::Key::from_seed(seed), 200).into_iter();
    let mut draw = |n: usize| words.next().unwrap() as usize % n;
    let mut b = Builder::small();
    let n = [1, 3, 4][draw(3)];
    let mut inputs = vec![];
    let mut values: Vec<Value> = vec![];
    for i in 0..2 {
        let x = crate::rng::normal(crate::rng::Key::from_seed(seed).fold_in(i), [n]);
        let x = crate::ops::convert(&x, dtype);
        let input = b.input(dtype, n);
        let view = if i == 0 { View::whole(&[n]) } else { View::whole(&[n]).reversed(&[0]) };
        values.push(b.read(input, &view));
        inputs.push(x);
    }
    let two = crate::ops::convert(&array(2.0), dtype).get(0).unwrap();
    values.push(b.constant(two, &[n]));
    for _ in 0..12 {
        let mut any = || values[draw(values.len())];
        let [x, y, z] = [any(), any(), any()];
        let value = match draw(13) {
            0 => b.op(Op::Binary([Binary::Add, Binary::Sub, Binary::Mul][draw(3)]), &[x, y]),
            1 => b.op(Op::Binary([Binary::Div, Binary::Max][draw(2)]), &[x, y]),
            2 => b.op([Op::Fma, Op::Clamp][draw(2)], &[x, y, z]),
            3 => b.op(Op::Function([Function::Sin, Function::Exp, Function::Tanh][draw(3)]), &[x]),
            4 => b.op(Op::Unary(Unary::Neg), &[x]),
            5 => b.op([Op::StrongMul, Op::StrongDiv, Op::Min, Op::Rem][draw(4)], &[x, y]),
            6 => {
                let comparison = [Comparison::Eq, Comparison::Lt, Comparison::Ge][draw(3)];
                let mask = b.op(Op::Compare(comparison), &[x, y]);
                b.op(Op::Select, &[mask, y, z])
            }
            7 => b.view(x, &View::whole(&[n]).reversed(&[0])),
            8 => {
                let all = b.reduce([Reduction::Sum, Reduction::Max][draw(2)], x, [1, n, 1]);
                b.view(all, &View::whole(&[]).broadcast(&[n], &[]))
            }
            9 => {
                // Longer than there are lanes.
                let long = b.view(x, &View::whole(&[n]).broadcast(&[19, n], &[1]));
                b.reduce(Reduction::Sum, long, [1, 19, n])
            }
            10 => {
                let zero = b.constant(crate::ops::convert(&array(0.0), dtype).get(0).unwrap(), &[]);
                b.assemble(n, zero, &[(x, View::whole(&[n]).reversed(&[0]))])
            }
            11 => {
                let outer = (&View::whole(&[1, n, 1]), &View::whole(&[1, 1, n]));
                let square = b.product((x, outer.0), (y, outer.1));
                b.product((square, &View::whole(&[1, n, n])), (z, &View::whole(&[1, n, 1])))
            }
            _ => {
                let finite = b.op(Op::IsFinite, &[x]);
                let not = b.op(Op::Not, &[finite]);
                let both = b.op(Op::Binary(Binary::Max), &[finite, not]);
                b.op(Op::Convert(dtype), &[both])
            }
        };
        values.push(value);
    }
    let mask = b.op(Op::Compare(Comparison::Lt), &[values[0], values[values.len() - 1]]);
    let last = values[values.len() - 1];
    b.output(last);
    b.output(mask);
    (b, inputs)
}

/// A program in registers of single numbers and over tiles, at the level that has no other.
#[test]
fn scalar_code_has_the_bits_of_tiles() {
    let mut n_scalar = 0;
    let n_seeds = if cfg!(miri) { 2 } else { 400 };
    for seed in 0..n_seeds {
        for dtype in [DType::F64, DType::F32] {
            let (b, inputs) = small(seed, dtype);
            let inputs: Vec<&Array> = inputs.iter().collect();
            let is_scalar = scalarised_at(&b, usize::MAX, Level::best()).is_some();
            n_scalar += usize::from(is_scalar);
            let run = |b: Builder, is_scalar: bool| {
                let n = b.values[b.outputs[0].0].size;
                let mut out = [Array::zeros(dtype, [n]), Array::zeros(DType::Bool, [n])];
                let scalar = if is_scalar { scalarised_at(&b, usize::MAX, Level::best()) } else { None };
                let code = Code::new(Plan::small(&b).parts(&b), scalar, Level::Portable);
                code.run(&inputs, &mut out, &mut Scratch::default(), None);
                out
            };
            assert_eq!(run(small(seed, dtype).0, is_scalar), run(b, false), "{seed} {dtype}");
        }
    }
    assert!(4 * n_scalar > 7 * n_seeds as usize, "{n_scalar}");
}

#[test]
fn scalar_code_that_leaves_its_places_is_refused() {
    let run = |place: usize, register: u16, n: u16| Run { array: 0, is_truth: false, place, register, n };
    let instruction = |operation, out, operands| Instruction { operation, out, operands };
    let good = Script {
        constants: vec![1.0],
        loads: vec![run(0, 0, 2)],
        instructions: vec![
            instruction(Operation::Add, 2, [0, REGISTERS as u16 - 1, 0]),
            instruction(Operation::Call, 0, [0, 0, 0]),
        ],
        calls: vec![Call { function: Op::Function(Function::Sin), out: 3, operands: [1, 1], n: 1 }],
        stores: vec![run(0, 2, 2)],
    };
    let made = |script: Script<f64>| {
        let arrays = [(DType::F64, 2)];
        let made = catch_unwind(|| Scalars::new(script, &arrays, &arrays, Level::best()));
        made.err().and_then(|e| e.downcast::<String>().ok())
    };
    assert_eq!(made(good.clone()), None);
    let refused = |what: &str, breaks: &dyn Fn(&mut Script<f64>)| {
        let mut script = good.clone();
        breaks(&mut script);
        let message = made(script);
        assert_eq!(message.as_deref(), Some(&format!("tile code: {what}; this is a bug in retrograde")));
    };
    refused("a number outside", &|s| s.loads[0].place = 1);
    refused("a number outside", &|s| s.loads[0].register = REGISTERS as u16 - 1);
    refused("a number outside", &|s| s.stores[0].is_truth = true);
    refused("entries that are not written", &|s| s.stores[0].n = 1);
    refused("a function of registers that are not there", &|s| s.calls[0].out = REGISTERS as u16);
    refused("a function of registers that are not there", &|s| s.calls[0].operands = [3, 3]);
    refused("a call of no function", &|s| s.calls[0].function = Op::Copy);
    refused("a call that is not there", &|s| s.instructions[1].operands[0] = 1);
    refused("more constants than registers", &|s| s.constants = vec![0.0; REGISTERS + 1]);
}

/// Entries that lie side by side or are repeated move together, also where a tile ends within the array.
#[test]
fn entries_move_in_groups() {
    let shapes = [(8, 8), (24, 16), (7, 8), (200, 24), (130, 40)];
    for (rows, columns) in shapes.into_iter().take(if cfg!(miri) { 3 } else { 5 }) {
        let x = crate::rng::normal(crate::rng::Key::from_seed(rows as u64), [columns]);
        let y = crate::rng::normal(crate::rng::Key::from_seed(columns as u64), [rows]);
        let shape = [rows, columns];
        for dtype in [DType::F64, DType::F32] {
            let (x, y) = (crate::ops::convert(&x, dtype), crate::ops::convert(&y, dtype));
            let expected = [&x, &y]
                .into_iter()
                .zip([1, 0])
                .map(|(a, axis)| crate::ops::broadcast(a, &crate::Shape::from(shape), &[axis]));
            let expected: Vec<Array> = expected.map(|a| a.compact()).collect();
            for mut b in [Builder::nest(&shape), Builder::small()] {
                for (axis, n) in [(1, columns), (0, rows)] {
                    let input = b.input(dtype, n);
                    let value = b.read(input, &View::whole(&[n]).broadcast(&shape, &[axis]));
                    b.output(value);
                }
                let mut out = [0; 2].map(|_| Array::zeros(dtype, shape));
                b.finish(Level::best()).run(&[&x, &y], &mut out, &mut Scratch::default(), None);
                assert_eq!(&out[..], &expected[..], "{shape:?}");
            }
        }
    }
}
