//! Canonical bits: how operands lie in memory, and whether they are part of a larger batch, changes no bit of any
//! primitive or of its derivative.

mod common;

use common::{Draw, cotangent_program, equation, expect_bits, floats, is_lowered, run};
use retrograde_array::{Array, ops};
use retrograde_core::ir::{Kind, Type, print};
use retrograde_core::prim::{Prim, Program, Row};
use retrograde_core::transform::vmap;

/// So many that one entry for each lane is enough for a view: smaller arrays are copied.
const LANES: usize = 300;

/// A view of other memory, with the entries of `x`.
fn views(x: &Array) -> Vec<(&'static str, Array)> {
    let axes: Vec<usize> = (0..x.rank()).collect();
    let back: Vec<usize> = axes.iter().rev().copied().collect();
    let turned = ops::transpose(&ops::transpose(x, &back).compact(), &back);
    let mirrored = ops::reverse(&ops::reverse(x, &axes).compact(), &axes);
    let first = ops::slice(x, &vec![0; x.rank()], x.shape(), &vec![1; x.rank()]);
    let part = Array::stack(&[first.clone(), x.clone(), first]).unwrap().row(1);
    // Every second lane of twice as many.
    let mut room = x.shape().to_vec();
    room[0] *= 2;
    let (starts, mut steps) = (vec![0; x.rank()], vec![1; x.rank()]);
    steps[0] = 2;
    let spread =
        ops::slice(&ops::pad_slice(x, &room.clone().into(), &starts, &steps), &starts, &room, &steps);
    vec![("transposed", turned), ("backwards", mirrored), ("part of a stack", part), ("every second", spread)]
}

fn is_view(x: &Array) -> bool {
    let mut expected = 1;
    let strides = x.strides();
    let in_order = x.shape().iter().zip(&strides).rev().all(|(&len, &stride)| {
        let ok = stride == expected;
        expected *= len as isize;
        ok
    });
    !in_order
}

/// Every second lane.
fn half(x: &Array) -> Array {
    let mut steps = vec![1; x.rank()];
    steps[0] = 2;
    ops::slice(x, &vec![0; x.rank()], x.shape(), &steps)
}

/// Returns how many operands were views out of order.
fn check(what: &str, program: &Program, row: &Row, draw: &mut Draw) -> usize {
    let n_in = program.inputs.len();
    let types: Vec<Type> = program.input_types().iter().map(|ty| ty.stacked(LANES)).collect();
    let every = |lanes| vmap(program, &vec![true; n_in], &vec![true; program.outputs.len()], lanes).program;
    let mapped = every(LANES);
    let inputs: Vec<Array> = draw.operands(&types, row).iter().map(Array::compact).collect();
    let expected = run(&mapped, &inputs);
    let mut n_views = 0;
    for kind in 0..4 {
        let stored: Vec<(&str, Array)> = inputs.iter().map(|x| views(x).swap_remove(kind)).collect();
        let Some((name, _)) = stored.first() else { break };
        let arrays: Vec<Array> = stored.iter().map(|(_, x)| x.clone()).collect();
        n_views += arrays.iter().filter(|x| is_view(x)).count();
        expect_bits(&format!("{what}, operands {name}"), &run(&mapped, &arrays), &expected, &print(&mapped));
    }
    if n_in > 0 {
        let some = run(&every(LANES / 2), &inputs.iter().map(half).collect::<Vec<_>>());
        let expected: Vec<Array> = expected.iter().map(half).collect();
        expect_bits(&format!("{what}, every second lane"), &some, &expected, &print(&mapped));
    }
    n_views
}

#[test]
fn storage_and_slicing_change_no_bit() {
    for (name, rows) in Prim::rows() {
        let of_arrays = |row: &&Row| row.inputs.iter().all(|ty| ty.kind == Kind::Array);
        let mut n_views = 0;
        for (i, row) in rows.iter().filter(of_arrays).enumerate() {
            let mut draw = Draw::new(20_261_124 + i as u64);
            let program = equation(&row.op, &row.inputs);
            if is_lowered(&row.op) {
                continue;
            }
            n_views += check(name, &program, row, &mut draw);
            let active = floats(&row.inputs);
            if active.contains(&true) && floats(&program.output_types()).contains(&true) {
                n_views +=
                    check(&format!("vjp of {name}"), &cotangent_program(&program, &active), row, &mut draw);
            }
        }
        let has_operands =
            rows.iter().any(|row| !row.inputs.is_empty() && of_arrays(&row) && !is_lowered(&row.op));
        assert!(n_views > 0 || !has_operands, "{name}: no operand was a view");
    }
}

/// The comparison can fail: a sum that follows storage has other bits.
#[test]
fn a_sum_in_order_of_storage_is_found() {
    let entry = |i: usize| match (i / 40, i % 2) {
        (0, 0) => 1e16,
        (0, _) => -1e16,
        _ => 1.0,
    };
    let x = Array::new([30, 40], (0..1200).map(entry).collect()).unwrap();
    let by_storage = |x: &Array| {
        let strides = x.strides();
        let by_columns = strides[0].abs() < strides[1].abs();
        let x = if by_columns { ops::transpose(x, &[1, 0]) } else { x.clone() };
        x.to_vec::<f64>().unwrap().iter().sum::<f64>()
    };
    let turned = views(&x).swap_remove(0).1;
    assert!(is_view(&turned) && turned.bits_eq(&x));
    assert_ne!(by_storage(&turned), by_storage(&x));
}
