//! Each routine by itself, on arrays that end where it may read and write no further.

use super::body::{Routine, padded};
use super::pair::{Arithmetic, Pair};
use super::reduce::{Begun, STATE};
use super::routine::{
    Move, Op, Reduction, Stage, move_routine, op_routine, product_routine, reduction_routine,
};
use super::{GROUP, at};
use crate::kernel::Level;
use crate::map::{BinaryFunction, Function};
use crate::ops::{self, Binary, Comparison, DotDims, Logic, Piecewise, Shift, Unary};
use crate::{Array, DType, array};

/// Dtypes of numbers; in an interpreter one of each size.
const NUMBERS: &[DType] = if cfg!(miri) {
    &[DType::F32, DType::I64, DType::U8]
} else {
    &[DType::F64, DType::F32, DType::I64, DType::I32, DType::U8]
};

/// Calls a routine with `n` entries, from entry `first` of the result and of each operand on.
fn call(routine: Routine, out: &mut Array, operands: &[&Array], first: usize, n: usize) {
    let (dtype, to, _) = out.memory_mut();
    let to = to.wrapping_add(first * dtype.size_bytes());
    let from = |operand: &&Array| {
        let (dtype, from, _) = operand.memory();
        from.wrapping_add(first * dtype.size_bytes())
    };
    let [a, b, c] = [0, 1, 2].map(|i| operands.get(i).map_or(to.cast_const(), from));
    // SAFETY: the tests below give each routine what it asks for.
    unsafe { routine(to, a, b, c, n) };
}

/// What a routine writes to an array of `size` entries.
fn result(routine: Routine, (dtype, size): (DType, usize), operands: &[&Array], n: usize) -> Array {
    let mut out = Array::zeros(dtype, [size]);
    call(routine, &mut out, operands, 0, n);
    out
}

/// The entries at these places.
fn gathered(x: &Array, places: impl Iterator<Item = usize>) -> Vec<crate::Scalar> {
    places.map(|place| x.get(place).unwrap()).collect()
}

fn words(words: &[usize]) -> Array {
    Array::vector(words.iter().map(|&word| word as i32).collect())
}

/// Every operation of tile code.
fn operations() -> Vec<Op> {
    let mut all =
        vec![Op::Copy, Op::StrongMul, Op::StrongDiv, Op::Fma, Op::Min, Op::Rem, Op::Clamp, Op::Select];
    all.extend([Op::Not, Op::IsFinite]);
    all.extend([Unary::Neg, Unary::Sqrt].map(Op::Unary));
    all.extend([Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max].map(Op::Binary));
    // The same loops call all of them: one that turns and one that does not are enough for an interpreter.
    let is_taken = |f: &Function| !cfg!(miri) || [Function::Exp, Function::Sin].contains(f);
    all.extend(Function::ALL.iter().copied().filter(is_taken).map(Op::Function));
    all.extend(BinaryFunction::ALL.iter().copied().take(if cfg!(miri) { 1 } else { 99 }).map(Op::Function2));
    let pieces = [Piecewise::Abs, Piecewise::Sign, Piecewise::Floor, Piecewise::Ceil, Piecewise::Round];
    all.extend(pieces.map(Op::Piecewise));
    let order = [Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];
    all.extend([Comparison::Eq, Comparison::Ne].into_iter().chain(order).map(Op::Compare));
    all.extend([Logic::And, Logic::Or, Logic::Xor].map(Op::Logic));
    all.extend([Shift::Left, Shift::Right, Shift::RightLogical].map(Op::Shift));
    all.extend(DType::ALL.map(Op::Convert));
    let arithmetic = [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul, Arithmetic::StrongMul];
    for (first, second) in arithmetic.iter().flat_map(|&a| arithmetic.map(|b| (a, b))) {
        all.extend([false, true].map(|turned| Op::Pair(Pair { first, second, turned })));
    }
    all
}

#[test]
fn operations_take_many_entries_as_they_take_one() {
    // No whole vectors; an infinite product with zero, and an angle that only the exact reduction can turn.
    let numbers = [0.0, f64::INFINITY, 1.5, -0.75, f64::NAN, 1e300, 2.0, -3.0, 0.3, 7.0, 1.0];
    let n = numbers.len();
    let mut n_routines = 0;
    let turned = |by: usize, dtype: DType| {
        let mut numbers = numbers;
        numbers.rotate_left(by);
        ops::convert(&Array::vector(numbers.to_vec()), dtype)
    };
    let masks = turned(0, DType::Bool);
    for dtype in DType::ALL {
        let numbers = [0, 1, 2].map(|by| turned(by, dtype));
        for (op, count) in operations().into_iter().flat_map(|op| [1, 2, 3].map(|count| (op, count))) {
            let first = if op == Op::Select { &masks } else { &numbers[0] };
            let operands = &[first, &numbers[1], &numbers[2]][..count];
            let dtypes: Vec<DType> = operands.iter().map(|operand| operand.dtype()).collect();
            for level in Level::available() {
                let Some((routine, dtype)) = op_routine(op, &dtypes, level) else { continue };
                let mut expected = Array::zeros(dtype, [n]);
                (0..n).for_each(|i| call(routine, &mut expected, operands, i, 1));
                let found = result(routine, (dtype, n), operands, n);
                assert_eq!(found, expected, "{op:?} of {dtypes:?} at {level:?}");
                n_routines += usize::from(level == Level::Portable);
            }
        }
    }
    assert!(n_routines > if cfg!(miri) { 200 } else { 300 }, "{n_routines} routines");
}

#[test]
fn moves_touch_the_entries_they_name_and_no_others() {
    let groups = |starts: &[usize], step: usize| -> Vec<usize> {
        starts.iter().flat_map(|start| (0..GROUP).map(move |i| start + step * i)).collect()
    };
    for (dtype, level) in [DType::F64, DType::F32, DType::BF16, DType::Bool]
        .into_iter()
        .flat_map(|d| Level::available().map(move |l| (d, l)))
    {
        // Entries of the operand, a table of places, and the place of each entry of the result before it is padded.
        let check = |how: Move, size: usize, table: &[usize], places: &[usize]| {
            let numbers = Array::vector((0..size).map(|i| (i % 3) as f64).collect());
            let (x, table) = (ops::convert(&numbers, dtype), words(table));
            let (n, room) =
                (places.len(), if how == Move::Stored { places.len() } else { padded(places.len()) });
            let found = result(move_routine(how, dtype, level), (dtype, room), &[&x, &table], n);
            let expected = gathered(&x, (0..room).map(|i| places[i.min(n - 1)]));
            assert_eq!(gathered(&found, 0..room), expected, "{how:?} {dtype} of {size} at {level:?}");
        };
        for n in [1, 8, 9, 17] {
            let ascending: Vec<usize> = (0..n).collect();
            let turned: Vec<usize> = ascending.iter().map(|i| i * 5 % 7).collect();
            check(Move::Padded, n, &[], &ascending);
            check(Move::Stored, n, &[], &ascending);
            check(Move::Repeated, 1, &[], &vec![0; n]);
            check(Move::Gathered, turned.iter().max().unwrap() + 1, &turned, &turned);
        }
        for starts in [&[0][..], &[3], &[5, 0], &[1, 9, 4]] {
            let last = starts.iter().max().unwrap();
            check(Move::Neighbours, last + GROUP, starts, &groups(starts, 1));
            check(Move::Spread, last + 1, starts, &groups(starts, 0));
        }
        let (x, table) = (ops::convert(&array([1.0, 0.0, 1.0]), dtype), words(&[4, 0, 1]));
        let found = result(move_routine(Move::Placed, dtype, level), (dtype, 5), &[&x, &table], 3);
        assert_eq!(found, ops::convert(&array([0.0, 1.0, 0.0, 0.0, 1.0]), dtype));
    }
}

type Reduce = fn(&Array, &[usize]) -> Array;

const REDUCTIONS: [(Reduction, Reduce); 4] = [
    (Reduction::Sum, ops::sum),
    (Reduction::Prod, ops::prod),
    (Reduction::Max, ops::reduce_max),
    (Reduction::Min, ops::reduce_min),
];

/// Numbers without a pattern, of both signs.
fn scattered(dtype: DType, shape: &[usize]) -> Array {
    let number = |i: usize| ((i + 1) as f64 * 0.618_034).fract() * 8.0 - 4.0;
    let numbers = (0..shape.iter().product()).map(number).collect();
    ops::convert(&Array::new(shape, numbers).unwrap(), dtype)
}

#[test]
fn reductions_read_their_terms_and_no_others() {
    let shapes = [[1, 1, 1], [3, 5, 1], [1, 35, 1], [2, 3, 2], [1, 18, 3]];
    for (dtype, shape) in NUMBERS.iter().flat_map(|&dtype| shapes.map(|shape| (dtype, shape))) {
        let [outer, n, inner] = shape;
        let (x, kept) = (scattered(dtype, &shape), outer * inner);
        for ((reduction, function), level) in
            REDUCTIONS.into_iter().flat_map(|r| Level::available().map(move |level| (r, level)))
        {
            let routine = |stage| reduction_routine(reduction, stage, dtype, level).unwrap();
            let expected = gathered(&function(&x, &[1]), 0..kept);
            let lengths = words(&shape);
            let value = result(routine(Stage::Value), (dtype, padded(kept)), &[&x, &lengths], kept);
            let padding = (0..padded(kept)).map(|i| expected[i.min(kept - 1)]).collect::<Vec<_>>();
            assert_eq!(
                gathered(&value, 0..padded(kept)),
                padding,
                "{reduction:?} {dtype}{shape:?} {level:?}"
            );
            let lengths = words(&[n, inner]);
            let tile = result(routine(Stage::Tile), (dtype, kept), &[&x, &lengths], x.size());
            assert_eq!(gathered(&tile, 0..kept), expected, "{reduction:?} {dtype}{shape:?} {level:?}");
        }
    }
}

#[test]
fn reductions_over_several_tiles_keep_their_state_in_its_place() {
    for (dtype, lens) in
        NUMBERS.iter().flat_map(|&d| [&[3][..], &[5, 16, 1, 20], &[16, 16], &[33]].map(|lens| (d, lens)))
    {
        let x = scattered(dtype, &[lens.iter().sum()]);
        for ((reduction, function), level) in
            REDUCTIONS.into_iter().flat_map(|r| Level::available().map(move |level| (r, level)))
        {
            let routine = |stage| reduction_routine(reduction, stage, dtype, level).unwrap();
            let mut state = Array::zeros(DType::I64, [STATE / 8]);
            call(at::<Begun>(level), &mut state, &[], 0, 0);
            let mut start = 0;
            for &len in lens {
                let terms = ops::slice(&x, &[start], &[start + len], &[1]).compact();
                call(routine(Stage::Accumulate), &mut state, &[&terms], 0, len);
                start += len;
            }
            let found = result(routine(Stage::Fold), (dtype, 1), &[&state], 1);
            assert_eq!(found.get(0), function(&x, &[0]).get(0), "{reduction:?} {dtype} {lens:?} {level:?}");
        }
    }
}

#[test]
fn products_read_their_factors_and_no_others() {
    // Fewer rows than columns and more; whole groups of columns, and some left over; two blocks of terms.
    let shapes = [[1, 1, 1, 1], [2, 3, 2, 8], [2, 4, 2, 3], [1, 2, 2, 11], [1, 1, 257, 1]];
    for (dtype, lengths) in NUMBERS.iter().flat_map(|&dtype| shapes.map(|lengths| (dtype, lengths))) {
        let [batch, m, k, n] = lengths;
        let (a, b) = (scattered(dtype, &[batch, m, k]), scattered(dtype, &[batch, k, n]));
        let (across_a, across_b) =
            (ops::transpose(&a, &[0, 2, 1]).compact(), ops::transpose(&b, &[0, 2, 1]).compact());
        let dims =
            DotDims { lhs_contract: vec![2], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] };
        let kept = batch * m * n;
        let expected = ops::dot_general(&a, &b, &dims);
        let expected = gathered(&expected, (0..padded(kept)).map(|i| i.min(kept - 1)));
        for (a, of_a) in [(&a, [m * k, k, 1]), (&across_a, [m * k, 1, m])] {
            for (b, of_b) in [(&b, [k * n, n, 1]), (&across_b, [k * n, 1, k])] {
                let lengths = words(&[&lengths[..], &of_a, &of_b].concat());
                for level in Level::available() {
                    let routine = product_routine(dtype, level).unwrap();
                    let found = result(routine, (dtype, padded(kept)), &[a, b, &lengths], kept);
                    assert_eq!(gathered(&found, 0..padded(kept)), expected, "{dtype} {lengths} {level:?}");
                }
            }
        }
    }
}
