//! The same entries stored in several ways, and the comparison that all tests here make.

use retrograde_array::{Array, DType, Scratch, ops};
use retrograde_core::ir::{Op, Type};
use retrograde_core::prim::{Body, EvalError, Evaluate, Prim, Program, Value};
use retrograde_engine::direct::resolve;
use retrograde_sample::Draws;

/// Numbers of both signs and several magnitudes, or small whole ones.
pub(crate) fn entries(draws: &mut Draws, dtype: DType, shape: &[usize]) -> Array {
    let numbers = draws.array(&Type::array(dtype, shape), (-9.0, 9.0));
    if !dtype.is_float() {
        return numbers;
    }
    let scale = draws.array(&Type::array(dtype, shape), (-1.0, 1.0));
    ops::binary(ops::Binary::Mul, &numbers, &scale).unwrap()
}

/// The same entries in another storage: whole, with axes stored in another order, as a part of something, backwards.
pub(crate) fn stored(draws: &mut Draws, x: &Array) -> Array {
    let rank = x.rank();
    match draws.below(4) {
        1 if rank > 1 => {
            let perm = draws.permutation(rank);
            let inverse: Vec<usize> = (0..rank).map(|i| perm.iter().position(|&p| p == i).unwrap()).collect();
            ops::transpose(&ops::transpose(x, &perm).compact(), &inverse)
        }
        2 if rank > 0 => {
            let larger = x.shape().iter().map(|len| len + 2).collect();
            let ones = vec![1; rank];
            let limits: Vec<usize> = x.shape().iter().map(|len| len + 1).collect();
            ops::slice(&ops::pad_slice(x, &larger, &ones, &ones), &ones, &limits, &ones)
        }
        3 if rank > 0 => {
            let axes = [draws.below(rank)];
            ops::reverse(&ops::reverse(x, &axes).compact(), &axes)
        }
        _ => x.compact(),
    }
}

struct NoBodies;

impl Evaluate for NoBodies {
    fn run(&mut self, _: &Program, _: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        unreachable!("these primitives have no bodies")
    }
    fn attempt(&mut self, _: &mut dyn Body) -> bool {
        false
    }
}

/// What `Prim::eval` says.
pub(crate) fn evaluated(prim: &Prim, inputs: &[Array]) -> Array {
    let values = inputs.iter().map(|x| Value::Array(x.compact())).collect();
    prim.eval(&mut NoBodies, values).unwrap().remove(0).into_array().unwrap()
}

/// Runs one equation directly on 1, 2, 4 and 7 threads, with the scratch of the run before, and compares with `Prim::eval`.
pub(crate) fn check(prim: &Prim, inputs: &[Array], scratch: &mut Scratch) {
    let types: Vec<Type> = inputs.iter().map(|x| Type::array(x.dtype(), x.shape())).collect();
    prim.infer(&types).unwrap_or_else(|error| panic!("{prim:?} of {types:?}: {error:?}"));
    let direct = resolve(prim, &types).unwrap_or_else(|| panic!("{prim:?} of {types:?} is not direct"));
    let expected = evaluated(prim, inputs);
    let operands: Vec<&Array> = inputs.iter().collect();
    for n_threads in [1, 2, 4, 7] {
        // What is in the result before does not matter.
        let before = ops::convert(&Array::vector(vec![-1_i64; expected.size()]), expected.dtype());
        let mut out = before.reshaped(expected.shape()).unwrap();
        drop(before);
        direct.run(&operands, &mut out, n_threads, scratch).unwrap();
        assert_eq!(out, expected, "{prim:?} of {types:?} on {n_threads} threads");
    }
}
