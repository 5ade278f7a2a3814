use std::panic::{AssertUnwindSafe, catch_unwind};

use super::plan::Plan;
use super::{Builder, Level, Op, Reduction, TILE, View};
use crate::kernel::tile::{Code, Parts, Scratch, padded};
use crate::map::Function;
use crate::ops::Binary;
use crate::{Array, DType, array};

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
        let found = catch_unwind(AssertUnwindSafe(|| Code::new(parts, Level::best())));
        let message = found.err().and_then(|e| e.downcast::<String>().ok());
        assert_eq!(message.as_deref(), Some(&format!("tile code: {what}; this is a bug in retrograde")));
    };
    assert!(catch_unwind(AssertUnwindSafe(|| Code::new(good.clone(), Level::best()))).is_ok());
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
    for (outer, n, inner) in [
        (1, 5, 1),
        (1, 16, 1),
        (3, 17, 1),
        (2, 513, 1),
        (5, 1200, 1),
        (1, 100_003, 1),
        (40, 9, 7),
        (700, 3, 2),
    ] {
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
fn parts_in_any_order_give_the_same_bits() {
    for shape in [&[5000][..], &[37, 613], &[9, 8, 40]] {
        let size: usize = shape.iter().product();
        let x = crate::rng::normal(crate::rng::Key::from_seed(3), shape);
        let n = shape[shape.len() - 1];
        let mut b = chain(shape, 7);
        let input = b.input(DType::F64, size);
        let value = b.read(input, &View::whole(shape));
        let sums = b.reduce(Reduction::Sum, value, [size / n, n, 1]);
        b.output(sums);
        let code = b.finish(Level::best());
        let run = |parts: Option<usize>| {
            let mut out = [Array::zeros(DType::F64, shape), Array::zeros(DType::F64, [size / n])];
            let backwards = |n: usize, work: &(dyn Fn(usize) + Sync)| (0..n).rev().for_each(work);
            code.run(&[&x, &x, &x], &mut out, &mut Scratch::default(), parts.map(|n| (n, &backwards as _)));
            out
        };
        for parts in [1, 2, 3, 7, 1000] {
            assert_eq!(run(Some(parts)), run(None), "{shape:?} in {parts} parts");
        }
    }
}
