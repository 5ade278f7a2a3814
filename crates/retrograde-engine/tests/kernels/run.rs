//! Runs a program as its groups say: kernels as such, other equations by the rule of the primitive.

use std::collections::HashMap;

use retrograde_array::Array;
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::{Body, EvalError, Evaluate, Program, Value};
use retrograde_engine::kernel::{Group, Level, Scratch, fuse_at};

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
                values.extend(outputs.iter().copied().zip(results.into_iter().map(Value::Array)));
            }
        }
    }
    program.outputs.iter().map(|v| values[v].clone()).collect()
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
