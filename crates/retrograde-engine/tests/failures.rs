//! What goes wrong inside a run comes back as an error, and the compiled program works on.

use retrograde_array::{DType, array};
use retrograde_core::exec::{Cause, Executor};
use retrograde_core::ir::{Equation, Type, ValueId};
use retrograde_core::prim::cumsum::Cumsum;
use retrograde_core::prim::{Prim, Program, Value};
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
