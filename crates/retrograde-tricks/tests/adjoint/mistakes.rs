//! Settings that cannot be are errors with the user's line.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;
use retrograde_engine::jit;
use retrograde_tricks::adjoint::clip::{ClipNorm, ClipValue, clip_each_step};
use retrograde_tricks::adjoint::feedback_alignment::{
    direct_feedback, feedback_alignment, product_with_feedback,
};
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::scale::{Reverse, Scale};
use retrograde_tricks::adjoint::straight_through::straight_through_within;
use retrograde_tricks::adjoint::surrogate::{Bump, spike};
use retrograde_tricks::adjoint::synthetic_gradient::synthetic_gradient;
use retrograde_tricks::primal::dense::{Activation, Linear, Mlp};

use crate::draw;

/// The message of a program of one array, which has to name this file and the line that it was written in.
fn message(f: impl Fn(Var) -> Var, x: &Array) -> String {
    let error = jit(f).call(x).unwrap_err().to_string();
    assert!(error.contains("tests/adjoint/mistakes.rs:"), "{error}");
    error
}

#[test]
fn settings_that_cannot_be_are_named() {
    let x = draw(1, [4, 3]);
    let b = |shape: [usize; 2]| move |x: Var| full(x.dtype(), shape, 1.0);
    let cases: Vec<(String, &str)> = vec![
        (
            message(|x| ClipValue { bound: 0.0 }.at_edge(x), &x),
            "clip by value: found a bound of 0, expected a positive number",
        ),
        (message(|x| ClipValue { bound: f64::NAN }.on(x), &x), "clip by value: found a bound of NaN"),
        (message(|x| ClipNorm { bound: -2.0 }.at_edge(x), &x), "clip by norm: found a bound of -2"),
        (message(|x| clip_each_step(0.0, x), &x), "clip by value: found a bound of 0"),
        (
            message(|x| ClipValue { bound: 1.0 }.then(ClipNorm { bound: 0.0 }).on(x), &x),
            "clip by norm: found a bound of 0",
        ),
        (
            message(|x| Scale { factor: f64::INFINITY }.at_edge(x), &x),
            "gradient scaling: found a factor of inf",
        ),
        (
            message(|x| Reverse { factor: x }.at_edge(x), &x),
            "gradient reversal: found a factor of type f64[4,3], expected a number",
        ),
        (
            message(|x| straight_through_within(-1.0, Var::sign, x), &x),
            "straight-through: found a bound of -1",
        ),
        (message(|x| spike(Bump::Triangle { width: 0.0 }, x), &x), "surrogate gradient: found a width of 0"),
        (
            message(move |x| product_with_feedback(x, b([3, 2])(x), b([3, 2])(x)), &x),
            "feedback alignment: found x f64[4,3], weights f64[3,2] and feedback f64[3,2]",
        ),
        (
            message(move |x| direct_feedback(x, &[x], &[b([2, 3])(x)]), &x),
            "direct feedback: found an output f64[4,3], hidden values f64[4,3] and feedback f64[2,3]",
        ),
        (
            message(|x| synthetic_gradient(x, x.sum()), &x),
            "synthetic gradient: found f64[] for a value of f64[4,3]",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }
}

#[test]
fn another_number_of_matrices_is_named() {
    let f = |x: Var| {
        let layer = || Linear { weight: full(x.dtype(), [3, 3], 1.0), bias: full(x.dtype(), [3], 0.0) };
        let mlp = Mlp { hidden: vec![layer(), layer()], head: layer(), activation: Activation::Tanh };
        feedback_alignment(&mlp, &[x], x)
    };
    let found = message(f, &array([[1.0, 2.0, 3.0]]));
    assert!(found.contains(
        "feedback alignment: found 1 matrices, expected 2, one for each of the layers but the first"
    ));
}
