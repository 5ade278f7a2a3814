//! Random programs give the interpreter's bits.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::tile::hand;
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::ir::{parse, print};
use retrograde_core::prim::{Prim, Value};
use retrograde_engine::kernel::{Group, Level, fuse};

use crate::draw;
use crate::run::{by_groups, by_groups_and, by_interpreter, over_inputs};

/// Seeds of programs of what kernels do.
const SEEDS: u64 = 400;
/// Seeds of programs over all primitives.
const SAMPLES: u64 = 200;

fn compare(seed: u64, program: &retrograde_core::prim::Program, inputs: &[Value]) -> bool {
    let Some(expected) = by_interpreter(program, inputs) else { return false };
    for level in Level::available() {
        for threads in [1, 2, 4, 7] {
            let found = by_groups(program, inputs, level, threads);
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    found == expected,
                    "seed {seed}, {level:?}, {threads} threads, result {i}: found {found:?}, expected {expected:?}\n{}",
                    print(program)
                );
            }
        }
    }
    true
}

#[test]
fn programs_of_kernels_have_the_bits_of_the_interpreter() {
    let compared = (0..SEEDS).filter(|&seed| {
        let (program, inputs) = draw::program(seed);
        compare(seed, &program, &inputs)
    });
    assert!(compared.count() as u64 > SEEDS * 9 / 10, "too many programs that cannot run");
}

#[test]
fn programs_over_all_primitives_have_the_bits_of_the_interpreter() {
    for seed in 0..SAMPLES {
        let sample = retrograde_sample::draw(seed, &[]);
        let inputs: Vec<Value> = sample.inputs.iter().cloned().map(Value::Array).collect();
        compare(seed, &sample.program, &inputs);
        let gradient = retrograde_sample::derivative::gradient(&sample.program);
        let inputs: Vec<Value> =
            sample.inputs.iter().chain(&sample.weights).cloned().map(Value::Array).collect();
        compare(seed, &gradient, &inputs);
    }
}

/// Results that lie over operands, in every way that a kernel allows.
#[test]
fn kernels_have_the_same_bits_over_their_inputs() {
    let mut n_ways = 0;
    for seed in 0..SEEDS {
        let (program, inputs) = draw::program(seed);
        if by_interpreter(&program, &inputs).is_none() {
            continue;
        }
        for threads in [1, 3] {
            by_groups_and(&program, &inputs, Level::best(), threads, |kernel, inputs, outputs| {
                n_ways += over_inputs(kernel, inputs, outputs, threads);
            });
        }
    }
    assert!(n_ways > 500, "{n_ways}");
}

#[test]
fn a_chain_has_the_bits_of_a_loop_written_by_hand() {
    let n = 1003;
    let text = format!(
        "program(x:f32[{n}], a:f32[], b:f32[]) {{
  c:f32[{n}] = broadcast[shape=[{n}], axes=[]] a
  d:f32[{n}] = broadcast[shape=[{n}], axes=[]] b
  e:f32[{n}] = fma x c d
  f:f32[{n}] = tanh e
  g:f32[{n}] = mul x x
  h:f32[{n}] = neg g
  i:f32[{n}] = exp h
  j:f32[{n}] = sin x
  k:f32[{n}] = fma f i j
  return k
}}"
    );
    let program = parse::<Prim>(&text).expect("a program");
    let x = uniform(Key::from_seed(8), [n]);
    let x = ops::convert(&ops::binary(ops::Binary::Mul, &x, &array(2e6)).expect("floats"), DType::F32);
    let inputs = [x.clone(), array(0.7_f32), array(0.1_f32)].map(Value::Array);
    let mut by_hand = vec![0.0; n];
    hand::transcendental(x.as_slice::<f32>().expect("f32"), 0.7, 0.1, &mut by_hand);
    let by_hand = [Value::Array(Array::vector(by_hand))];
    for level in Level::available() {
        assert_eq!(by_groups(&program, &inputs, level, 1), by_hand, "{level:?}");
    }
}

#[test]
fn threads_change_no_bit() {
    for (shape, turned, axes) in
        [("300,1001", "1001,300", "1"), ("90,17,200", "200,17,90", "1,2"), ("300001", "300001", "0")]
    {
        let rank = shape.split(',').count();
        let perm = (0..rank).rev().map(|axis| axis.to_string()).collect::<Vec<_>>().join(",");
        let kept = if axes.starts_with('0') { "" } else { shape.split(',').next().unwrap_or("") };
        let text = format!(
            "program(a:f32[{turned}], b:f32[]) {{
  c:f32[{shape}] = transpose[perm=[{perm}]] a
  d:f32[{shape}] = broadcast[shape=[{shape}], axes=[]] b
  e:f32[{shape}] = mul c d
  f:f32[{shape}] = erf e
  g:f32[{kept}] = sum[axes=[{axes}]] f
  h:f32[{shape}] = tanh f
  return f, g, h
}}"
        );
        let program = parse::<Prim>(&text).expect("a program");
        let [Group::Kernel { kernel, .. }] = &fuse(&program)[..] else { panic!("one kernel") };
        // A sum over everything has one order, so it runs on one thread.
        let expected = if kept.is_empty() { 1 } else { 7 };
        assert_eq!(kernel.parts(7), expected);
        let ty = program.ty(program.inputs[0]);
        let a = ops::convert(&uniform(Key::from_seed(5), ty.shape.clone()), DType::F32);
        assert!(compare(0, &program, &[Value::Array(a), Value::Array(array(3.0_f32))]));
    }
}
