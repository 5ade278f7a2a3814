//! The text form of programs.

use retrograde_core::ir::{parse, print};
use retrograde_core::prim::Prim;
use retrograde_core::trace::Var;
use retrograde_engine::value_and_grad;

use super::fuzz;

const PENDULUM: &str = "program(a:f64[2], b:f64[2]) {
  c:f64[2], d:f64[2] = scan[length=50, reverse=false, consts=0, carries=2, body=program(a:f64[2], b:f64[2]) {
    c:f64[2] = full[type=f64[2], value=f64[]{0.01}]
    d:f64[2] = mul c b
    e:f64[2] = add a d
    return e, b
  }] a b
  e:f64[] = sum[axes=[0]] c
  return e
}
";

/// Both halves of a gradient, and a loop.
fn texts() -> Vec<Vec<u8>> {
    let door = value_and_grad(|x: Var| ((x * x.sin()).exp() + x.tanh()).sum());
    let lowered = door.lowered(&retrograde_array::array([1.0, 2.0])).unwrap();
    let texts = [print(&lowered.forward), print(&lowered.backward), PENDULUM.to_owned()];
    texts.into_iter().map(String::into_bytes).collect()
}

#[test]
fn programs_never_panic() {
    for text in texts() {
        parse::<Prim>(&String::from_utf8(text).unwrap()).unwrap();
    }
    fuzz("program", &texts(), |input| {
        let text = String::from_utf8_lossy(input);
        match parse::<Prim>(&text) {
            Ok(program) => assert_eq!(parse::<Prim>(&print(&program)).as_ref(), Ok(&program)),
            Err(error) => {
                assert!(
                    error.line >= 1 && error.column >= 1 && !error.to_string().contains(char::is_control),
                    "{error}"
                )
            }
        }
    });
}
