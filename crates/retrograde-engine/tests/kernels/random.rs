//! Random programs give the interpreter's bits.

use retrograde_core::ir::print;
use retrograde_core::prim::Value;
use retrograde_engine::kernel::Level;

use crate::draw;
use crate::run::{by_groups, by_interpreter};

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
