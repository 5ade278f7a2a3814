//! What goes wrong inside a run comes back as an error, and the compiled program works on.

use retrograde_array::{ArrayError, DType, array};
use retrograde_core::exec::{Cause, Executor, RunConfig};
use retrograde_core::ir::{Equation, Type, ValueId, parse};
use retrograde_core::prim::cumsum::Cumsum;
use retrograde_core::prim::{EvalError, Prim, Program, Value};
use retrograde_engine::Engine;

/// A program that no checker lets through: it sums along an axis that is not there, where its input says so.
fn broken() -> Program {
    let ty = Type::array(DType::F64, [3]);
    let flag = Type::array(DType::Bool, []);
    let branch = |axis| {
        let op = Prim::from(Cumsum { axis, reverse: false });
        let equation = Equation { op, inputs: vec![ValueId(0)], outputs: vec![ValueId(1)], location: None };
        Program {
            inputs: vec![ValueId(0)],
            equations: vec![equation],
            outputs: vec![ValueId(1)],
            types: vec![ty.clone(), ty.clone()],
        }
    };
    let op = retrograde_core::prim::cond::Cond { if_true: branch(5).into(), if_false: branch(0).into() };
    let equation = Equation {
        op: op.into(),
        inputs: vec![ValueId(0), ValueId(1)],
        outputs: vec![ValueId(2)],
        location: None,
    };
    Program {
        inputs: vec![ValueId(0), ValueId(1)],
        equations: vec![equation],
        outputs: vec![ValueId(2)],
        types: vec![flag, ty.clone(), ty.clone()],
    }
}

#[test]
fn a_panic_is_an_error_and_the_next_call_runs() {
    let compiled = Engine::default().compile(&broken());
    let call = |fails: bool| compiled.run(vec![array(fails).into(), array([1.0, 2.0, 3.0]).into()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let error = call(true).unwrap_err();
                    assert_eq!(error.op, "cumsum");
                    assert!(matches!(error.cause, Cause::Panic { .. }), "{error}");
                    assert_eq!(call(false).unwrap().0, [Value::Array(array([1.0, 3.0, 6.0]))]);
                }
            });
        }
    });
}

#[test]
fn out_of_memory_names_the_equation_and_the_bytes() {
    let program = parse::<Prim>(
        "program(a:f64[]) {
  b:f64[1099511627776,1024] = broadcast[shape=[1099511627776,1024], axes=[]] a
  c:f64[1099511627776,1024] = sin b
  return c
}",
    )
    .unwrap();
    for look_for_non_finite in [false, true] {
        let engine = Engine { config: RunConfig { look_for_non_finite }, ..Engine::default() };
        // Looking at the operand would take its memory.
        let program = if look_for_non_finite { &full() } else { &program };
        let compiled = engine.compile(program);
        let error = compiled.run(vec![array(1.0).into()]).unwrap_err();
        let bytes = 1 << 53;
        assert_eq!(error.cause, Cause::Eval(EvalError::Array(ArrayError::OutOfMemory { bytes })), "{error}");
        assert!(["sin", "full"].contains(&error.op), "{error}");
    }
}

/// A constant of eight pebibytes.
fn full() -> Program {
    let text = "program(a:f64[]) {\n  b:f64[1099511627776,1024] = full[type=f64[1099511627776,1024], value=f64[]{1.0}]\n  return b\n}";
    parse::<Prim>(text).unwrap()
}

#[test]
fn a_setting_that_cannot_be_is_an_error() {
    let negate = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = neg a\n  return b\n}").unwrap();
    let engine = Engine { threads: Some(0), ..Engine::default() };
    let error = engine.run(&negate, vec![array(1.0).into()]).unwrap_err();
    assert_eq!(error.to_string(), "program: threads: found 0, expected a number of threads from 1 on");
    let expected = [Value::Array(array(-1.0))];
    for threads in [1, 2, 4, 7] {
        let engine = Engine { threads: Some(threads), ..Engine::default() };
        assert_eq!(engine.run(&negate, vec![array(1.0).into()]).unwrap().0, expected);
    }
}
