//! B9.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_engine::{jit, jvp, value_and_grad};
use retrograde_tricks::adjoint::stop::stop;
use retrograde_tricks::adjoint::straight_through::{binarise, straight_through};

use crate::{draw, values};

#[test]
fn both_spellings_of_straight_through_agree() {
    let (x, w) = (draw(1, [1000]), draw(2, [1000]));
    let spelled = |q: fn(Var) -> Var, x: Var| x + stop(q(x) - x);
    let sizes = |x: Var| 4.0 * x;
    let by_rule = value_and_grad(|x: Var, w: Var| (straight_through(Var::round, sizes(x)) * w).tanh().sum());
    let by_stop = value_and_grad(move |x: Var, w: Var| (spelled(Var::round, sizes(x)) * w).tanh().sum());
    let (a, b) = (by_rule.call((&x, &w)).unwrap(), by_stop.call((&x, &w)).unwrap());
    assert!(a.0.bits_eq(&b.0) && a.1.bits_eq(&b.1));
    let quantised = jit(move |x: Var| straight_through(Var::round, sizes(x))).call(&x).unwrap();
    assert!(values(&quantised).iter().zip(values(&x)).all(|(q, x)| *q == (4.0 * x).round_ties_even()));
    // Far from what it is rounded to, the sum loses it; the rule does not.
    let far = array([1e17, -1e300, f64::INFINITY, 0.25]);
    let exact = jit(|x: Var| straight_through(Var::sign, x)).call(&far).unwrap();
    assert_eq!(exact, array([1.0, -1.0, 1.0, 1.0]));
    let summed = values(&jit(move |x: Var| spelled(Var::sign, x)).call(&far).unwrap());
    assert!(summed[..2] == [0.0, 0.0] && summed[2].is_nan() && summed[3] == 1.0);
}

#[test]
fn binary_weights_have_a_gradient_within_the_window_only() {
    let x = array([-1.5, -1.0, -0.2, 0.0, 0.7, 1.0, 1.2]);
    let (value, slope) = value_and_grad(|x: Var| (3.0 * binarise(x)).sum()).call(&x).unwrap();
    assert_eq!((value, slope), (array(3.0), array([0.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0])));
    // Forward mode is the transpose.
    let (y, y_dot) = jvp(binarise).call(&x, &array([2.0; 7])).unwrap();
    assert_eq!(y, array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0]));
    assert_eq!(y_dot, array([0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0]));
}
