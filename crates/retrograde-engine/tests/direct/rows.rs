//! Every primitive that runs directly, on operands like those of its test rows and on larger ones.

use super::storage::{check, entries, stored};
use retrograde_array::ops::Window;
use retrograde_array::rng::Key;
use retrograde_array::{Array, Comparison, DType, Scratch, array, ops};
use retrograde_core::ir::{Op, Type};
use retrograde_core::prim::{self, Prim};
use retrograde_engine::direct::resolve;
use retrograde_sample::Draws;

#[test]
fn the_rows_of_all_primitives() {
    let mut draws = Draws::new(Key::from_seed(6));
    let mut scratch = Scratch::default();
    let mut direct = Vec::new();
    for (name, rows) in Prim::rows() {
        for row in rows {
            if resolve(&row.op, &row.inputs).is_none() {
                continue;
            }
            direct.push(name);
            for _ in 0..4 {
                let inputs: Vec<Array> = row
                    .inputs
                    .iter()
                    .map(|ty| {
                        let x = draws.array(ty, row.range);
                        stored(&mut draws, &x)
                    })
                    .collect();
                check(&row.op, &inputs, &mut scratch);
            }
        }
    }
    direct.dedup();
    let all = [
        "unslice",
        "concat",
        "pad",
        "dynamic_slice",
        "dynamic_update",
        "gather",
        "scatter_add",
        "sum",
        "prod",
        "reduce_max",
        "reduce_min",
        "logsumexp",
        "argmax",
        "argmin",
        "cumsum",
        "cumprod",
        "recurrence",
        "dot_general",
        "conv",
        "window_argmax",
    ];
    assert_eq!(direct, all);
}

/// Shapes with long and short, single and no entries.
fn shape(draws: &mut Draws, least: usize) -> Vec<usize> {
    (0..least + draws.below(4 - least)).map(|_| *draws.of(&[1, 2, 3, 7, 16, 17, 40, 100])).collect()
}

#[test]
fn reductions() {
    let mut draws = Draws::new(Key::from_seed(7));
    let mut scratch = Scratch::default();
    for _ in 0..200 {
        let dtype = *draws.of(&[DType::F32, DType::F64, DType::I64, DType::I32, DType::U8]);
        let shape = shape(&mut draws, 0);
        let x = entries(&mut draws, dtype, &shape);
        let x = stored(&mut draws, &x);
        let axes = draws.subset(shape.len());
        let prims: [Prim; 4] = [
            prim::sum::Sum { axes: axes.clone() }.into(),
            prim::prod::Prod { axes: axes.clone() }.into(),
            prim::reduce_max::ReduceMax { axes: axes.clone() }.into(),
            prim::reduce_min::ReduceMin { axes: axes.clone() }.into(),
        ];
        for prim in prims {
            check(&prim, std::slice::from_ref(&x), &mut scratch);
        }
        if dtype.is_float() {
            check(&prim::logsumexp::Logsumexp { axes }.into(), &[x], &mut scratch);
        }
    }
    // Large enough for several threads; NaN and zeros of both signs.
    for (shape, axes) in
        [([300, 1000, 1], [1]), ([4, 100, 900], [1]), ([1, 2000, 130], [1]), ([70, 60, 50], [0])]
    {
        let x = entries(&mut draws, DType::F32, &shape);
        let special = array([f32::NAN, -0.0, 0.0, f32::INFINITY]);
        let x =
            ops::dynamic_update(&x.reshaped([x.size()]).unwrap(), &special, &array([700_i64]), 0).unwrap();
        let x = x.reshaped(shape).unwrap();
        check(&prim::sum::Sum { axes: axes.to_vec() }.into(), std::slice::from_ref(&x), &mut scratch);
        check(
            &prim::logsumexp::Logsumexp { axes: axes.to_vec() }.into(),
            std::slice::from_ref(&x),
            &mut scratch,
        );
        check(&prim::reduce_max::ReduceMax { axes: axes.to_vec() }.into(), &[x], &mut scratch);
    }
    for axes in [vec![0], vec![1], vec![0, 1], vec![]] {
        let nothing = Array::zeros(DType::F64, [0, 3]);
        check(&prim::sum::Sum { axes: axes.clone() }.into(), std::slice::from_ref(&nothing), &mut scratch);
        check(&prim::prod::Prod { axes }.into(), &[nothing], &mut scratch);
    }
}

#[test]
fn along_an_axis() {
    let mut draws = Draws::new(Key::from_seed(8));
    let mut scratch = Scratch::default();
    for _ in 0..150 {
        let dtype = *draws.of(&[DType::F32, DType::F64, DType::I64]);
        let shape = shape(&mut draws, 1);
        let (axis, reverse) = (draws.below(shape.len()), draws.one_in(2));
        let [x, y] = [0, 1].map(|_| {
            let x = entries(&mut draws, dtype, &shape);
            stored(&mut draws, &x)
        });
        check(&prim::cumsum::Cumsum { axis, reverse }.into(), std::slice::from_ref(&x), &mut scratch);
        check(&prim::cumprod::Cumprod { axis, reverse }.into(), std::slice::from_ref(&x), &mut scratch);
        check(&prim::argmax::Argmax { axis }.into(), std::slice::from_ref(&x), &mut scratch);
        check(&prim::argmin::Argmin { axis }.into(), std::slice::from_ref(&x), &mut scratch);
        check(&prim::recurrence::Recurrence { axis, reverse }.into(), &[x, y], &mut scratch);
    }
}

#[test]
fn positions() {
    let mut draws = Draws::new(Key::from_seed(9));
    let mut scratch = Scratch::default();
    for round in 0..120 {
        let dtype = *draws.of(&DType::ALL);
        let lens = |draws: &mut Draws, n: usize| -> Vec<usize> {
            (0..draws.below(n + 1)).map(|_| *draws.of(&[1, 2, 5, 30])).collect()
        };
        let (batch, middle, inner) = (lens(&mut draws, 1), lens(&mut draws, 1), lens(&mut draws, 1));
        // The last rounds have work for several threads.
        let of_index = if round < 110 { lens(&mut draws, 2) } else { vec![300, 70] };
        let size = 1 + draws.below(9);
        let (axis, batch_dims) = (batch.len() + middle.len(), batch.len());
        let x = entries(&mut draws, dtype, &[&batch[..], &middle, &[size], &inner].concat());
        let indices = Type::array(DType::I64, [&batch[..], &of_index].concat());
        let indices = draws.array(&indices, (0.0, size as f64));
        let inputs = [stored(&mut draws, &x), stored(&mut draws, &indices)];
        check(&prim::gather::Gather { axis, batch_dims }.into(), &inputs, &mut scratch);
        if !matches!(dtype, DType::Bool | DType::BF16) {
            let updates = entries(&mut draws, dtype, &[&batch[..], &middle, &of_index, &inner].concat());
            let inputs = [indices, stored(&mut draws, &updates)];
            check(&prim::scatter_add::ScatterAdd { axis, batch_dims, size }.into(), &inputs, &mut scratch);
        }
    }
}

#[test]
fn an_index_outside_is_an_error() {
    let gather = Prim::from(prim::gather::Gather { axis: 0, batch_dims: 0 });
    let types = [Type::array(DType::F64, [3]), Type::array(DType::I64, [2])];
    let mut out = Array::zeros(DType::F64, [2]);
    let inputs = [&array([1.0, 2.0, 3.0]), &array([0_i64, 3])];
    let direct = resolve(&gather, &types).unwrap();
    let error = direct.run(&inputs, &mut out, 1, &mut Scratch::default()).unwrap_err();
    assert_eq!(error.to_string(), "index 3 is outside an axis of size 3");
}

#[test]
fn parts_and_wholes() {
    let mut draws = Draws::new(Key::from_seed(10));
    let mut scratch = Scratch::default();
    for _ in 0..150 {
        let dtype = *draws.of(&DType::ALL);
        let shape = shape(&mut draws, 1);
        let rank = shape.len();
        let x = entries(&mut draws, dtype, &shape);
        let x = stored(&mut draws, &x);
        let value = entries(&mut draws, dtype, &[]);
        let mut list =
            |n: usize, from: usize| (0..rank).map(|_| from + draws.below(n)).collect::<Vec<usize>>();
        let pad = prim::pad::Pad { low: list(3, 0), high: list(3, 0), strides: list(3, 1) };
        let types = [Type::array(dtype, x.shape()), Type::array(dtype, [])];
        let whole = Prim::from(pad.clone()).infer(&types).unwrap()[0].shape.to_vec();
        let unslice =
            prim::unslice::Unslice { shape: whole, starts: pad.low.clone(), strides: pad.strides.clone() };
        check(&unslice.into(), std::slice::from_ref(&x), &mut scratch);
        check(&pad.into(), &[x.clone(), value], &mut scratch);
        let axis = draws.below(rank);
        let others: Vec<Array> = (0..draws.below(3))
            .map(|_| {
                let mut shape = shape.clone();
                shape[axis] = draws.below(4);
                let other = entries(&mut draws, dtype, &shape);
                stored(&mut draws, &other)
            })
            .collect();
        check(&prim::concat::Concat { axis }.into(), &[&[x], &others[..]].concat(), &mut scratch);
    }
}

#[test]
fn parts_at_computed_places() {
    let mut draws = Draws::new(Key::from_seed(12));
    let mut scratch = Scratch::default();
    for _ in 0..100 {
        let dtype = *draws.of(&DType::ALL);
        let shape = shape(&mut draws, 1);
        let batch_dims = draws.below(shape.len());
        let lens: Vec<usize> = shape[batch_dims..].iter().map(|len| draws.below(len + 1)).collect();
        // Every start is inside for all lanes.
        let starts: Vec<i64> =
            lens.iter().zip(&shape[batch_dims..]).map(|(n, len)| draws.below(len - n + 1) as i64).collect();
        let of_lanes = [&shape[..batch_dims], &[lens.len()]].concat();
        let starts = ops::broadcast(&Array::vector(starts), &of_lanes.into(), &[batch_dims]);
        let (x, update) = (
            entries(&mut draws, dtype, &shape),
            entries(&mut draws, dtype, &[&shape[..batch_dims], &lens].concat()),
        );
        let (x, update) = (stored(&mut draws, &x), stored(&mut draws, &update));
        let slice = prim::dynamic_slice::DynamicSlice { lens, batch_dims };
        check(&slice.into(), &[x.clone(), starts.clone()], &mut scratch);
        let prim = prim::dynamic_update::DynamicUpdate { batch_dims };
        check(&prim.into(), &[x, update, starts], &mut scratch);
    }
}

#[test]
fn pooling() {
    let mut draws = Draws::new(Key::from_seed(11));
    let mut scratch = Scratch::default();
    for (shape, size, stride, pad) in [
        ([2, 3, 28, 28], 2, 2, 0),
        ([1, 1, 9, 13], 3, 2, 1),
        ([64, 32, 28, 28], 2, 2, 0),
        ([3, 1, 40, 50], 5, 1, 2),
    ] {
        let list = |n: usize| vec![n; 2];
        let window = Window {
            size: list(size),
            strides: list(stride),
            low: list(pad),
            high: list(pad),
            dilation: list(1),
        };
        for dtype in [DType::F32, DType::F64, DType::I32] {
            // Few values, so that there are equal ones; some NaN.
            let x = draws.array(&Type::array(DType::I64, shape), (-4.0, 5.0));
            let x = ops::convert(&x, dtype);
            let x = if dtype.is_float() {
                let is_largest = ops::compare(Comparison::Eq, &x, &ops::convert(&array(4.0), dtype));
                ops::select(&is_largest, &ops::convert(&array(f64::NAN), dtype), &x)
            } else {
                x
            };
            let prim = Prim::from(prim::window_argmax::WindowArgmax { window: window.clone() });
            check(&prim, &[x], &mut scratch);
        }
    }
}
