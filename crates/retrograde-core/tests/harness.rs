//! One harness over the rows of all primitives: derivatives, batches and text of each, and of its derivatives.

use retrograde_array::{Array, DType, bits::BitStack, ops};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Kind, Op, Type, check as check_invariants, parse, print, simplify};
use retrograde_core::prim::{Prim, Program, Row, Value, bodies};
use retrograde_core::prim::{replay::Plan, scan::Scan};
use retrograde_core::transform::{LinearProgram, is_linear, jvp, linearize, transpose, vmap};

mod common;

use common::{Draw, cotangent_program, equation, expect_bits, floats, is_lowered, run};

const LANES: usize = 3;

fn reals(array: &Array) -> Vec<f64> {
    (0..array.size()).map(|i| array.get(i).unwrap().to_f64()).collect()
}

/// Σ a·b, and the size of its terms.
fn inner(a: &[Array], b: &[Array]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let terms: Vec<f64> = a
        .iter()
        .zip(b)
        .flat_map(|(a, b)| reals(a).into_iter().zip(reals(b)).map(|(x, y)| x * y).collect::<Vec<_>>())
        .collect();
    (terms.iter().sum(), terms.iter().map(|t| t.abs()).sum())
}

fn expect_close(what: &str, found: &[Array], expected: &[Array], tolerance: f64, context: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: number of results\n{context}");
    for (k, (f, e)) in found.iter().zip(expected).enumerate() {
        assert_eq!(Type::of(f), Type::of(e), "{what}: type of result {k}\n{context}");
        let (f, e) = (reals(f), reals(e));
        let scale = e.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        for (i, (f, e)) in f.iter().zip(&e).enumerate() {
            assert!(
                (f - e).abs() <= tolerance * scale,
                "{what}: result {k}, entry {i}: {f:e}, expected {e:e}\n{context}"
            );
        }
    }
}

/// Subsets of the marked positions: all non-empty ones of up to three, else all, each, and all but each.
fn subsets(of: &[bool]) -> Vec<Vec<bool>> {
    let at = bodies::positions(of);
    let mark = |chosen: &dyn Fn(usize) -> bool| {
        let mut marks = vec![false; of.len()];
        at.iter().enumerate().filter(|(k, _)| chosen(*k)).for_each(|(_, &i)| marks[i] = true);
        marks
    };
    let mut all: Vec<Vec<bool>> = if at.len() <= 3 {
        (1..1usize << at.len()).map(|set| mark(&|k| set >> k & 1 == 1)).collect()
    } else {
        let each = (0..at.len()).flat_map(|i| [mark(&|k| k == i), mark(&|k| k != i)]);
        each.chain([mark(&|_| true)]).collect()
    };
    all.dedup();
    all
}

/// Text and simplification of a program: parses back to itself, keeps its invariants, and simplifying changes no bit.
fn check_text(what: &str, program: &Program, inputs: &[Array]) {
    check_form(what, program);
    let simple = simplify(program);
    check_form(what, &simple);
    expect_bits(
        &format!("simplify of {what}"),
        &run(&simple, inputs),
        &run(program, inputs),
        &print(program),
    );
}

fn check_form(what: &str, program: &Program) {
    if let Err(e) = check_invariants(program) {
        panic!("{what}: {e}\n{}", print(program));
    }
    let text = print(program);
    match parse::<Prim>(&text) {
        Ok(parsed) => {
            assert!(parsed == *program, "{what}: parses to another program\n{text}\n{}", print(&parsed))
        }
        Err(e) => panic!("{what}: does not parse: {e}\n{text}"),
    }
}

/// `vmap` over every choice of operands = a loop over the lanes, to the bit.
fn check_lanes(what: &str, program: &Program, draw: &mut Draw, row: &Row) {
    let types = program.input_types();
    let n_out = program.outputs.len();
    for marks in subsets(&vec![true; types.len()]) {
        let stacked: Vec<Type> =
            types.iter().zip(&marks).map(|(ty, m)| if *m { ty.stacked(LANES) } else { ty.clone() }).collect();
        let inputs = draw.operands(&stacked, row);
        let lanes: Vec<Vec<Array>> = (0..LANES)
            .map(|lane| {
                let own: Vec<Array> = inputs
                    .iter()
                    .zip(&marks)
                    .map(|(x, m)| if *m { x.row(lane) } else { x.clone() })
                    .collect();
                run(program, &own)
            })
            .collect();
        for force in [true, false] {
            let mapped = vmap(program, &marks, &vec![force; n_out], LANES);
            let what = format!("vmap {marks:?} of {what}");
            check_text(&what, &mapped.program, &inputs);
            let found = run(&mapped.program, &inputs);
            for (k, found) in found.iter().enumerate() {
                assert!(mapped.batched[k] || !force);
                for (lane, expected) in lanes.iter().enumerate() {
                    let found = if mapped.batched[k] { found.row(lane) } else { found.clone() };
                    let context = print(&mapped.program);
                    expect_bits(
                        &format!("{what}, lane {lane}, result {k}"),
                        &[found],
                        &expected[k..=k],
                        &context,
                    );
                }
            }
        }
    }
}

/// (x, tangents of the active x) -> tangents of the floating-point results.
fn tangent_program(program: &Program, active: &[bool]) -> Program {
    let whole = jvp(program, active, &floats(&program.output_types())).program;
    let tangents = whole.outputs[program.outputs.len()..].to_vec();
    bodies::restrict(&whole, &vec![true; whole.inputs.len()], &tangents)
}

/// Five-point central differences of the floating-point results along `x_dot`, of error O(step⁴). Source: Abramowitz
/// & Stegun 25.3.6. The points are rounded first and the direction follows them, so `f32` operands work too; returns it.
fn differences(
    program: &Program,
    x: &[Array],
    x_dot: &[Array],
    active: &[bool],
    step: f64,
) -> (Vec<Array>, Vec<Array>) {
    let moved = |t: f64| -> Vec<Array> {
        let mut dots = x_dot.iter();
        x.iter()
            .zip(active)
            .map(|(x, a)| {
                if !a {
                    return x.clone();
                }
                let d = reals(dots.next().unwrap());
                let entries: Vec<f64> = reals(x).iter().zip(d).map(|(x, d)| x + t * step * d).collect();
                ops::convert(&Array::new(x.shape().clone(), entries).unwrap(), x.dtype())
            })
            .collect()
    };
    let combine = |a: &Array, b: &Array, c: &Array, d: &Array| -> Array {
        let [a, b, c, d] = [a, b, c, d].map(reals);
        let entries: Vec<f64> =
            (0..a.len()).map(|i| (8.0 * (b[i] - c[i]) - (a[i] - d[i])) / (12.0 * step)).collect();
        Array::vector(entries)
    };
    let of = |points: &[Vec<Array>; 4], keep: &[bool]| -> Vec<Array> {
        (0..keep.len())
            .filter(|&k| keep[k])
            .map(|k| {
                let like = &points[0][k];
                let d = combine(&points[0][k], &points[1][k], &points[2][k], &points[3][k]);
                ops::convert(&d.reshaped(like.shape().clone()).unwrap(), like.dtype())
            })
            .collect()
    };
    let points = [2.0, 1.0, -1.0, -2.0].map(moved);
    let values = points.clone().map(|p| run(program, &p));
    (of(&values, &floats(&program.output_types())), of(&points, active))
}

/// Everything the harness asks of a program at `x`, and of its derivatives up to `order`.
fn check_program(what: &str, program: &Program, x: &[Array], row: &Row, order: u8, draw: &mut Draw) {
    check_text(what, program, x);
    check_lanes(what, program, draw, row);
    let (in_types, out_types) = (program.input_types(), program.output_types());
    let (float_in, float_out) = (floats(&in_types), floats(&out_types));
    if !float_in.contains(&true) || !float_out.contains(&true) {
        return;
    }
    // By the coarsest dtype that takes part: a few units in its last place, and steps that its differences survive.
    let has = |dtype| in_types.iter().chain(&out_types).any(|ty| ty.dtype == dtype);
    let (tolerance, of_differences, step) = match (has(DType::BF16), has(DType::F32)) {
        (true, _) => (1e-2, 0.5, 0.5),
        (false, true) => (2e-7, 2e-3, 2e-2),
        (false, false) => (1e-12, 1e-8, 3e-4),
    };
    let y = run(program, x);
    for active in subsets(&float_in) {
        let what = format!("{what} in {active:?}");
        let x_dot = draw.arrays(&bodies::marked(&in_types, &active), (-1.0, 1.0));
        let y_bar = draw.arrays(&bodies::marked(&out_types, &float_out), (-1.0, 1.0));
        let with_dot = [x, &x_dot].concat();

        // Forward mode leaves the primal results alone.
        let whole = jvp(program, &active, &float_out);
        assert_eq!(whole.active, float_out);
        check_text(&format!("jvp of {what}"), &whole.program, &with_dot);
        let both = run(&whole.program, &with_dot);
        let text = print(&whole.program);
        expect_bits(&format!("primal results of jvp of {what}"), &both[..y.len()], &y, &text);
        let y_dot = &both[y.len()..];

        // The split derivative: the same primal results to the bit, the same tangents.
        let lin = linearize(program, &active, &float_out);
        check_text(&format!("forward part of {what}"), &lin.forward, x);
        let forward = run(&lin.forward, x);
        let residuals = &forward[y.len()..];
        assert_eq!(residuals.len(), lin.n_residuals);
        expect_bits(
            &format!("primal results of linearize of {what}"),
            &forward[..y.len()],
            &y,
            &print(&lin.forward),
        );
        let of_linear = [residuals, &x_dot].concat();
        check_text(&format!("linear part of {what}"), &lin.linear, &of_linear);
        let text = print(&lin.linear);
        expect_close(
            &format!("linear part of {what}"),
            &run(&lin.linear, &of_linear),
            y_dot,
            tolerance,
            &text,
        );

        // Reverse mode is the transpose: <y_bar, J x_dot> = <J^T y_bar, x_dot>.
        let linear = LinearProgram::new(lin.linear.clone(), lin.n_residuals)
            .unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
        let transposed = transpose(&linear);
        let of_transposed = [residuals, &y_bar].concat();
        check_text(&format!("transpose of {what}"), &transposed, &of_transposed);
        let x_bar = run(&transposed, &of_transposed);
        let ((left, a), (right, b)) = (inner(&y_bar, y_dot), inner(&x_bar, &x_dot));
        let text = print(&transposed);
        assert!(
            (left - right).abs() <= tolerance * a.max(b),
            "{what}: <y_bar, J x_dot> = {left:e}, <J^T y_bar, x_dot> = {right:e}\n{text}"
        );

        // Transposed twice it is itself.
        let again = LinearProgram::new(transposed, lin.n_residuals)
            .unwrap_or_else(|e| panic!("{what}, transposed: {e}\n{text}"));
        let twice = transpose(&again);
        check_text(&format!("transpose of the transpose of {what}"), &twice, &of_linear);
        expect_close(
            &format!("transpose of the transpose of {what}"),
            &run(&twice, &of_linear),
            y_dot,
            tolerance,
            &print(&twice),
        );

        if order >= 1 {
            let (expected, direction) = differences(program, x, &x_dot, &active, step);
            let tangents = tangent_program(program, &active);
            let found = run(&tangents, &[x, &direction].concat());
            expect_close(
                &format!("differences of {what}"),
                &found,
                &expected,
                of_differences,
                &print(&tangents),
            );
        }
        if order >= 2 && active == float_in {
            let forward = tangent_program(program, &active);
            check_program(&format!("jvp of {what}"), &forward, &with_dot, row, order - 1, draw);
            let backward = cotangent_program(program, &active);
            check_program(&format!("vjp of {what}"), &backward, &[x, &y_bar].concat(), row, order - 1, draw);
        } else if active == float_in {
            check_lanes(&format!("jvp of {what}"), &tangent_program(program, &active), draw, row);
            check_lanes(&format!("vjp of {what}"), &cotangent_program(program, &active), draw, row);
        }
    }
}

/// Where the program is linear in its last operands as it stands, its own transpose is tested, without a derivative
/// before it.
fn check_as_linear(what: &str, program: &Program, x: &[Array], draw: &mut Draw) {
    let (in_types, out_types) = (program.input_types(), program.output_types());
    for n_known in 0..in_types.len() {
        let all_float = in_types[n_known..].iter().chain(&out_types).all(|ty| ty.dtype == DType::F64);
        if !all_float || is_linear(program, n_known).is_err() {
            continue;
        }
        let zeros: Vec<Array> =
            in_types[n_known..].iter().map(|ty| Array::zeros(ty.dtype, ty.shape.clone())).collect();
        let at_zero = run(program, &[&x[..n_known], &zeros].concat());
        // `select` counts as linear in one side, as long as the other is zero.
        if at_zero.iter().any(|y| reals(y).iter().any(|y| *y != 0.0)) {
            continue;
        }
        let Ok(linear) = LinearProgram::new(program.clone(), n_known) else { continue };
        let transposed = transpose(&linear);
        let y_bar = draw.arrays(&out_types, (-1.0, 1.0));
        let x_bar = run(&transposed, &[&x[..n_known], &y_bar].concat());
        let ((left, a), (right, b)) = (inner(&y_bar, &run(program, x)), inner(&x_bar, &x[n_known..]));
        let text = print(&transposed);
        assert!(
            (left - right).abs() <= 1e-12 * a.max(b),
            "{what}, linear after {n_known}: {left:e} and {right:e}\n{text}"
        );
    }
}

/// What only `tape::lower` writes has no derivatives: it is printed, parsed and run.
fn check_lowered(program: &Program, row: &Row, draw: &mut Draw) {
    let what = row.op.name();
    check_form(what, program);
    let floats: Vec<Array> =
        draw.arrays(&row.inputs[row.inputs.iter().filter(|t| t.kind == Kind::Bits).count()..], row.range);
    let values = |arrays: &[Array]| arrays.iter().cloned().map(Value::Array).collect::<Vec<_>>();
    let go = |op: Prim, types: &[Type], inputs: Vec<Value>| -> Vec<Value> {
        Interpreter::default().run(&equation(&op, types), inputs).unwrap_or_else(|e| panic!("{what}: {e}")).0
    };
    let bits = || Value::Bits(BitStack::new());
    match &row.op {
        // What retain keeps gives x back; the stack is left as it was.
        Prim::Retain(retain) => {
            let [_, x, operands @ ..] = &floats[..] else { panic!("operands of retain") };
            let y = match operands {
                [d] => ops::binary(ops::Binary::Add, x, d).unwrap(),
                [a, b] => ops::fma(a, b, x),
                _ => panic!("operands of retain"),
            };
            let kept = go(
                row.op.clone(),
                &row.inputs,
                [vec![bits()], values(&[y.clone(), x.clone()]), values(operands)].concat(),
            );
            let restore = Prim::from(retrograde_core::prim::restore::Restore { update: retain.update });
            let types: Vec<Type> = [&row.inputs[..2], &row.inputs[3..]].concat();
            let back = go(restore, &types, [kept, values(&[y]), values(operands)].concat());
            assert_eq!(back[0], bits(), "{what} leaves bits");
            expect_bits(what, &[back[1].array().clone()], std::slice::from_ref(x), "restore of retain");
        }
        // Nothing was lost: x = 3, d = 1/2, y = 7/2; and y = a b + x the same way.
        Prim::Restore(_) => {
            let of = |v: f64| Value::Array(ops::convert(&Array::vector(vec![v; 3]), DType::F64));
            let operands = if row.inputs.len() == 3 { vec![of(0.5)] } else { vec![of(0.5), of(1.0)] };
            let step = |bits: Vec<Value>, y| {
                go(row.op.clone(), &row.inputs, [bits, vec![y], operands.clone()].concat())
            };
            let retain = Prim::from(retrograde_core::prim::retain::Retain {
                update: if operands.len() == 1 {
                    retrograde_core::prim::retain::Update::Add
                } else {
                    retrograde_core::prim::retain::Update::Fma
                },
            });
            let types: Vec<Type> = [&row.inputs[..2], &row.inputs[1..]].concat();
            let kept = go(retain, &types, [vec![bits(), of(3.5), of(3.0)], operands.clone()].concat());
            assert_eq!(step(kept, of(3.5))[1], of(3.0));
        }
        // Expand takes back what spill keeps, and leaves no bits.
        Prim::Spill(spill) => {
            let contract = Prim::from(retrograde_core::prim::contract::Contract { by: spill.by });
            let expand = Prim::from(retrograde_core::prim::expand::Expand { by: spill.by });
            let kept = go(row.op.clone(), &row.inputs, [vec![bits()], values(&floats)].concat());
            let after = go(contract, &row.inputs[1..], values(&floats));
            let back = go(expand, &row.inputs, [kept, after].concat());
            assert_eq!(back, [vec![bits()], values(&floats)].concat());
        }
        // Remainders above d have spilled nothing: (5 div 9) 10 + (9 R + 5) mod 10, (9 R + 5) div 10.
        Prim::Expand(_) => {
            let of = |v: i64| Value::Array(Array::vector(vec![v; 3]));
            let back = go(row.op.clone(), &row.inputs, vec![bits(), of(5), of(1000)]);
            assert_eq!(back, [bits(), of(5), of(900)]);
        }
        // The same value goes through, another one is an error that names both.
        Prim::Agree(_) => {
            let x = &floats[0];
            let out = go(row.op.clone(), &row.inputs, values(&[x.clone(), x.clone()]));
            assert_eq!(out, values(std::slice::from_ref(x)));
            let error = Interpreter::default().run(program, values(&floats)).unwrap_err().to_string();
            assert!(error.contains("starts with another value: entry 0 is"), "{error}");
        }
        // The carries of the loop, and the states that the plan names.
        Prim::Record(record) => {
            assert_eq!(record.plan, Plan::Every(2));
            let out = go(row.op.clone(), &row.inputs, values(&floats));
            let scan = |length| {
                let scan = Scan {
                    body: record.body.clone(),
                    length: Some(length),
                    reverse: false,
                    n_consts: 1,
                    n_carry: 1,
                    policy: None,
                };
                go(scan.into(), &row.inputs, values(&floats)).remove(0)
            };
            assert_eq!(out[0], scan(5));
            let states: Vec<Value> = (0..3).map(|i| Value::Array(out[1].array().row(i))).collect();
            assert_eq!(states, [scan(0), scan(2), scan(4)]);
        }
        Prim::Replay(_) => {
            let out = go(row.op.clone(), &row.inputs, values(&floats));
            assert_eq!(out.len(), program.outputs.len());
        }
        // Back from their codes, values are between the points beside them.
        Prim::Quantise(op) => {
            let ty = &row.inputs[0];
            let parts = go(row.op.clone(), &row.inputs, values(&floats));
            let (bits, dtype, shape) = (op.bits, ty.dtype, ty.shape.to_vec());
            let back = Prim::from(retrograde_core::prim::dequantise::Dequantise { bits, dtype, shape });
            let back = go(back, &program.output_types(), parts.clone()).remove(0);
            let steps = parts[1].array().to_vec::<f32>().unwrap();
            let widest = steps.chunks(2).map(|grid| f64::from(grid[1])).fold(0.0, f64::max);
            let wide = |a: &Array| ops::convert(a, DType::F64).to_vec::<f64>().unwrap();
            for (found, expected) in wide(back.array()).iter().zip(wide(&floats[0])) {
                assert!((found - expected).abs() <= 1.0001 * widest, "{what}: {found}, expected {expected}");
            }
        }
        Prim::Dequantise(_) => {
            let zeros = row.inputs.iter().map(|ty| Value::Array(Array::zeros(ty.dtype, ty.shape.clone())));
            let out = go(row.op.clone(), &row.inputs, zeros.collect());
            assert_eq!(
                out[0].array(),
                &Array::zeros(program.output_types()[0].dtype, out[0].array().shape().clone())
            );
        }
        // Unpacked again they are what they were.
        Prim::PackBits(_) => {
            let packed = go(row.op.clone(), &row.inputs, values(&floats)).remove(0);
            let shape = floats[0].shape().to_vec();
            let unpack = Prim::from(retrograde_core::prim::unpack_bits::UnpackBits { shape });
            let back = go(unpack, &program.output_types(), vec![packed]).remove(0);
            expect_bits(what, &[back.array().clone()], &floats, "unpack_bits of pack_bits");
        }
        Prim::UnpackBits(_) => {
            let byte = Array::vector(vec![0b0010_0110_u8, 0, 0b1_0000]);
            let bits = go(row.op.clone(), &row.inputs, vec![Value::Array(byte)]).remove(0);
            let set = bits
                .array()
                .to_vec::<bool>()
                .unwrap()
                .iter()
                .enumerate()
                .filter(|b| *b.1)
                .map(|b| b.0)
                .collect::<Vec<_>>();
            assert_eq!(set, [1, 2, 5, 20]);
        }
        _ => unreachable!("not a lowered operation"),
    }
}

/// The harness: everything that is asked of a primitive, on random operands.
fn check(row: &Row, seed: u64) {
    let mut draw = Draw::new(seed);
    let program = equation(&row.op, &row.inputs);
    if is_lowered(&row.op) {
        return check_lowered(&program, row, &mut draw);
    }
    let x = draw.operands(&row.inputs, row);
    check_as_linear(row.op.name(), &program, &x, &mut draw);
    check_program(row.op.name(), &program, &x, row, row.order, &mut draw);
}

/// The primitives without a row.
fn without_row<'a>(all: &[&'a str], rows: &[(&str, Vec<Row>)]) -> Vec<&'a str> {
    let has =
        |name: &str| rows.iter().any(|(n, rows)| *n == name && rows.iter().any(|row| row.op.name() == name));
    all.iter().copied().filter(|name| !has(name)).collect()
}

#[test]
fn every_primitive_has_a_row() {
    assert_eq!(without_row(Prim::ALL, &Prim::rows()), Vec::<&str>::new());
    for (name, rows) in Prim::rows() {
        assert!(rows.iter().all(|row| row.op.name() == name), "{name} has a row of another primitive");
    }
}

#[test]
fn a_primitive_without_a_row_is_found() {
    for i in 0..Prim::ALL.len() {
        let mut rows = Prim::rows();
        rows[i].1.clear();
        assert_eq!(without_row(Prim::ALL, &rows), [Prim::ALL[i]]);
        rows.remove(i);
        assert_eq!(without_row(Prim::ALL, &rows), [Prim::ALL[i]]);
    }
}

#[test]
fn a_wrong_rule_is_found() {
    use retrograde_core::prim::{custom_jvp::CustomJvp, linear_call::LinearCall, mul::Mul, sin::Sin};
    use std::sync::Arc;
    let v = Type::array(DType::F64, [3]);
    let fails = |row: Row| std::panic::catch_unwind(|| check(&row, 1)).is_err();
    // sin with its own value for a derivative.
    let primal = bodies::build(std::slice::from_ref(&v), |b, p| b.emit(Sin.into(), p));
    let rule = bodies::build(&[v.clone(), v.clone()], |b, p| {
        let y = b.emit1(Sin.into(), &p[..1]);
        vec![y, b.emit1(Mul.into(), &[p[1], y])]
    });
    let wrong = CustomJvp { primal: Arc::new(primal), rule: Arc::new(rule), law: "exact".into() };
    assert!(fails(Row::new(wrong, std::slice::from_ref(&v))));
    // A product given as its own square's transpose.
    let times = |squared: bool| {
        Arc::new(bodies::build(&[v.clone(), v.clone()], |b, p| {
            let once = b.emit1(Mul.into(), &[p[1], p[0]]);
            if squared { b.emit(Mul.into(), &[once, p[0]]) } else { vec![once] }
        }))
    };
    let call = |squared| LinearCall {
        n_known: 1,
        apply: Some(times(false)),
        transposed: times(squared),
        is_apart: false,
    };
    let row = |squared| Row::new(call(squared), &[v.clone(), v.clone()]).order(0);
    assert!(!fails(row(false)) && fails(row(true)));
}

#[test]
fn every_row_passes() {
    let mut failed = vec![];
    for (name, rows) in Prim::rows() {
        for (i, row) in rows.iter().enumerate() {
            for seed in [1, 2] {
                if std::panic::catch_unwind(|| check(row, seed)).is_err() {
                    failed.push(format!("{name}, row {i}, seed {seed}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Every primitive that takes bf16 or f32 operands in place of f64 ones gives about the same, and so do both its derivatives.
#[test]
fn narrow_floats_run_where_they_are_accepted() {
    // Hundreds of units of rounding, in derivatives that are sums of many products.
    const BOUNDS: [(DType, f64); 2] = [(DType::F32, 2e-5), (DType::BF16, 0.1)];
    let (mut n_run, mut n_slopes) = (0, [0; 2]);
    for (name, rows) in Prim::rows() {
        let of_arrays = |row: &&Row| row.inputs.iter().all(|ty| ty.kind == Kind::Array);
        // Random operands do not agree.
        let may_fail = |row: &&Row| matches!(row.op, Prim::Agree(_));
        let of_floats = |row: &&Row| row.inputs.iter().any(Type::is_float);
        for row in rows.iter().filter(of_arrays).filter(of_floats).filter(|row| !may_fail(row)) {
            let mut draw = Draw::new(3);
            for (i, (dtype, tolerance)) in BOUNDS.into_iter().enumerate() {
                let narrowed =
                    |ty: &Type| if ty.dtype == DType::F64 { ty.with_dtype(dtype) } else { ty.clone() };
                let types: Vec<Type> = row.inputs.iter().map(narrowed).collect();
                // Parameters that name a dtype and bodies stay as they are, and then refuse.
                let Ok(results) = row.op.infer(&types) else { continue };
                let in_dtypes = |arrays: &[Array], types: &[Type]| -> Vec<Array> {
                    let pairs = arrays.iter().zip(types);
                    pairs.map(|(x, ty)| ops::convert(x, ty.dtype)).collect()
                };
                let close = |what: &str, narrow: &Program, wide: &Program, inputs: &[Array]| {
                    let found = run(narrow, inputs);
                    let expected = run(wide, &in_dtypes(inputs, &wide.input_types()));
                    for ((found, ty), expected) in found.iter().zip(narrow.output_types()).zip(&expected) {
                        assert_eq!(Type::of(found), ty, "{what} of {name}");
                        if ty.dtype != dtype {
                            continue;
                        }
                        let (found, expected) = (reals(found), reals(expected));
                        let finite = expected.iter().filter(|x| x.is_finite());
                        let scale = finite.fold(1.0f64, |m, x| m.max(x.abs()));
                        for (f, e) in found.iter().zip(&expected) {
                            assert!(
                                f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance * scale,
                                "{what} of {name} in {dtype}: {found:?}, in f64 {expected:?}"
                            );
                        }
                    }
                };
                let (narrow, wide) = (equation(&row.op, &types), equation(&row.op, &row.inputs));
                let x = in_dtypes(&draw.operands(&row.inputs, row), &types);
                close("value", &narrow, &wide, &x);
                n_run += 1;
                let (active, float_out) = (floats(&types), floats(&results));
                if is_lowered(&row.op) || !float_out.contains(&true) {
                    continue;
                }
                let of = |types: &[Type], draw: &mut Draw| in_dtypes(&draw.arrays(types, (-1.0, 1.0)), types);
                let x_dot = of(&bodies::marked(&types, &active), &mut draw);
                let y_bar = of(&bodies::marked(&results, &float_out), &mut draw);
                let [narrow_dot, wide_dot] =
                    [&narrow, &wide].map(|program| tangent_program(program, &active));
                close("tangent", &narrow_dot, &wide_dot, &[&x[..], &x_dot].concat());
                let [narrow_bar, wide_bar] =
                    [&narrow, &wide].map(|program| cotangent_program(program, &active));
                close("cotangent", &narrow_bar, &wide_bar, &[&x[..], &y_bar].concat());
                n_slopes[i] += 1;
            }
        }
    }
    assert!(
        n_run > 200 && n_slopes.iter().all(|n| *n > 100),
        "only {n_run} rows ran, derivatives of {n_slopes:?}"
    );
}
