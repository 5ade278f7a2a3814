//! Reversal of steps that choose by what their results do not tell: a bit for each decision.

use retrograde_array::bits::BitStack;
use retrograde_array::{Array, array};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{parse, print};
use retrograde_core::prim::{Prim, Program, Tape, Value};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{cond, scan};
use retrograde_core::trace::door::{grad, value_and_grad};
use retrograde_core::trace::var::select;
use retrograde_core::transform::invert;

/// Entries that stay between 8 and 16, in multiples of ⅛: no addition rounds or leaves its binade, so all bits on the stack are
/// decisions.
fn start() -> Array {
    array([8.25, 9.5, 10.75, 11.5, 8.875])
}

/// Down by ¼ from above 9, else up by ⅛.
fn sawtooth(n_steps: usize) -> impl Fn(Var) -> Var + Copy {
    move |x: Var| {
        let end = scan(n_steps).repeat(x, |x| select(x.gt(9.0), x - 0.25, x + 0.125));
        (end * end).sum()
    }
}

fn bits_kept(f: impl Fn(Var) -> Var + Copy + 'static, x: &Array) -> usize {
    let (stored, reversed) = (value_and_grad(f), value_and_grad(f).tape(Tape::Reverse));
    let (expected, found) = (stored.call(x).unwrap(), reversed.call(x).unwrap());
    assert!(found.0.bits_eq(&expected.0) && found.1.bits_eq(&expected.1), "{found:?}, stored {expected:?}");
    reversed.last_tape().stack_bits()
}

#[test]
fn a_decision_costs_a_bit() {
    assert_eq!(bits_kept(sawtooth(64), &start()), 64 * 5);
    // One for the whole state where the choice is one.
    let together = |x: Var| {
        let step = |x: Var| cond(x.sum().gt(46.0), |x: Var| x - 0.25, |x: Var| x + 0.125, x);
        let end = scan(64).repeat(x, step);
        (end * end).sum()
    };
    assert_eq!(bits_kept(together, &start()), 64);
    // None where the results tell.
    let told = |x: Var| {
        let (x, v) = scan(4).repeat((x, 0.0 * x + 9.0), |(x, v)| {
            let v = select(x.gt(9.0), v - 0.25, v + 0.125);
            (x, v)
        });
        (x * v).sum()
    };
    assert_eq!(bits_kept(told, &start()), 0);
}

#[test]
fn zeros_keep_their_signs() {
    // An entry that is left as it is may be a zero of either sign.
    let f = |x: Var| {
        let end = scan(3).repeat(x, |x| select(x.gt(0.5), x - 0.25, x));
        (1.0 / end).sum()
    };
    let x = array([-0.0, 0.0, 2.0]);
    let (stored, reversed) = (grad(f), grad(f).tape(Tape::Reverse));
    assert!(reversed.call(&x).unwrap().bits_eq(&stored.call(&x).unwrap()));
    assert_eq!(x.to_vec::<f64>().unwrap()[0].to_bits(), (-0.0_f64).to_bits());
}

/// The step of the sawtooth, recorded and undone: a bit that is flipped leads elsewhere, one that is missing is an error.
#[test]
fn a_flipped_decision_is_another_state() {
    let step = parse::<Prim>(
        "program(a:f64[5]) {
           b:f64[5] = full[type=f64[5], value=f64[]{9.0}]
           c:bool[5] = compare[comparison=gt] a b
           d:f64[5] = full[type=f64[5], value=f64[]{0.25}]
           e:f64[5] = sub a d
           f:f64[5] = full[type=f64[5], value=f64[]{0.125}]
           g:f64[5] = add a f
           h:f64[5] = select c e g
           return h
         }",
    )
    .unwrap();
    let inverse = invert(&step, 0, 1).unwrap();
    let text = print(&inverse.inverse);
    assert!(text.contains("pop_bits[shape=[5]]") && text.contains("restore[update=add]"), "{text}");
    let run = |program: &Program, inputs| Interpreter::default().run(program, inputs).map(|(out, _)| out);
    let after = run(&inverse.record, vec![start().into(), Value::default()]).unwrap();
    let back = run(&inverse.inverse, after.clone()).unwrap();
    assert_eq!(back, [start().into(), Value::default()]);
    let broken = |change: &dyn Fn(&mut BitStack)| {
        let mut after = after.clone();
        let Value::Bits(stack) = &mut after[1] else { panic!("a stack") };
        change(stack);
        run(&inverse.inverse, after)
    };
    for bit in 0..5 {
        assert_ne!(broken(&|stack| stack.flip(bit)).ok(), Some(back.clone()), "bit {bit}");
    }
    let short = |stack: &mut BitStack| {
        stack.pop(1);
    };
    assert!(broken(&short).unwrap_err().to_string().contains("the bit stack is exhausted"));
}
