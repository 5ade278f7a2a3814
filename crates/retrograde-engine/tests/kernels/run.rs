//! Runs a program as its groups say: kernels as such, other equations by the rule of the primitive.

use std::collections::HashMap;

use retrograde_array::Array;
use retrograde_array::tile::Places;
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::{Body, EvalError, Evaluate, Program, Value};
use retrograde_engine::kernel::{Group, Kernel, Level, Scratch, fuse_at};

/// Bodies of equations, by the interpreter.
struct Bodies;

impl Evaluate for Bodies {
    fn run(&mut self, body: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let outputs =
            Interpreter::default().run(body, inputs).map_err(|e| EvalError::Broken(e.to_string()))?;
        Ok(outputs.0)
    }
    fn attempt(&mut self, _: &mut dyn Body) -> bool {
        false
    }
}

/// The results of a program by its groups.
pub(crate) fn by_groups(program: &Program, inputs: &[Value], level: Level, threads: usize) -> Vec<Value> {
    by_groups_and(program, inputs, level, threads, |_, _, _| ())
}

/// The same; of each kernel that has run, `look` sees the inputs and outputs.
pub(crate) fn by_groups_and(
    program: &Program,
    inputs: &[Value],
    level: Level,
    threads: usize,
    mut look: impl FnMut(&Kernel, &[&Array], &[Array]),
) -> Vec<Value> {
    let mut values: HashMap<ValueId, Value> =
        program.inputs.iter().copied().zip(inputs.iter().cloned()).collect();
    let mut scratch = Scratch::default();
    for group in fuse_at(program, level) {
        match group {
            Group::Equation(index) => {
                let equation = &program.equations[index];
                let operands = equation.inputs.iter().map(|v| values[v].clone()).collect();
                let results = equation.op.eval(&mut Bodies, operands).expect("an equation that runs");
                values.extend(equation.outputs.iter().copied().zip(results));
            }
            Group::Kernel { kernel, inputs, outputs } => {
                let inputs: Vec<&Array> = inputs.iter().map(|v| values[v].array()).collect();
                // What is written is not zero before.
                let mut results: Vec<Array> =
                    outputs.iter().map(|&v| dirty(program.ty(v).dtype, &program.ty(v).shape)).collect();
                kernel.run(&inputs, &mut results, &mut scratch, threads);
                look(&kernel, &inputs, &results);
                values.extend(outputs.iter().copied().zip(results.into_iter().map(Value::Array)));
            }
        }
    }
    program.outputs.iter().map(|v| values[v].clone()).collect()
}

/// Checks that a kernel gives the same over any of its inputs, and over two of them; in how many ways it can.
pub(crate) fn over_inputs(kernel: &Kernel, inputs: &[&Array], expected: &[Array], threads: usize) -> usize {
    let all = (0..inputs.len()).flat_map(|i| (0..expected.len()).map(move |j| (i, j)));
    let all = all.filter(|&(i, j)| inputs[i].shape() == expected[j].shape());
    let mut n_ways = 0;
    for (i, j) in all.clone() {
        let Some(over) = kernel.over(i, j) else { continue };
        let mut results: Vec<Array> = expected.iter().map(|y| dirty(y.dtype(), y.shape())).collect();
        let mut rest = inputs.to_vec();
        let begun = rest.remove(i).compact();
        results[j] = begun.clone();
        // The array is held: it must be copied.
        over.run(&rest, &mut results, &mut Scratch::default(), threads);
        assert!(results == expected && begun == *inputs[i], "{over:?} over input {i} as {j}");
        n_ways += 1;
        let pairs = (0..rest.len()).flat_map(|k| (0..expected.len()).map(move |l| (k, l)));
        let mut pairs = pairs.filter(|&(k, l)| rest[k].shape() == expected[l].shape());
        let Some((k, l, both)) = pairs.find_map(|(k, l)| Some((k, l, over.over(k, l)?))) else { continue };
        let second = rest.remove(k);
        results.iter_mut().for_each(|y| *y = dirty(y.dtype(), y.shape()));
        (results[j], results[l]) = (begun, second.compact());
        // As in a workspace: outputs first.
        let mut slots = results;
        slots.extend(rest.into_iter().cloned());
        let (n, all) = (expected.len(), slots.len());
        let places = Places::new((n..all).collect(), (0..n).collect());
        both.run_in(&mut slots, &places, &mut Scratch::default(), threads);
        assert!(slots[..n] == *expected, "{both:?} over two inputs");
        n_ways += 1;
    }
    n_ways
}

/// An array full of what no kernel should leave.
fn dirty(dtype: retrograde_array::DType, shape: &retrograde_array::Shape) -> Array {
    let value =
        retrograde_array::Scalar::from_f64(dtype, 77.0).unwrap_or(retrograde_array::Scalar::Bool(true));
    Array::full(dtype, shape.clone(), value)
}

/// The results by the interpreter.
pub(crate) fn by_interpreter(program: &Program, inputs: &[Value]) -> Option<Vec<Value>> {
    Interpreter::default().run(program, inputs.to_vec()).ok().map(|(results, _)| results)
}
