//! What cannot be is an error with the user's line.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, full};
use retrograde_engine::jit;
use retrograde_tricks::tape::eprop::Leaky;
use retrograde_tricks::tape::gradient_release::update_in_reverse;
use retrograde_tricks::tape::random_projection::product_with_projection;
use retrograde_tricks::tape::real_time::real_time;

use crate::draw;

fn message(f: impl Fn(Var) -> Var, x: &Array) -> String {
    let error = jit(f).call(x).unwrap_err().to_string();
    assert!(error.contains("tests/tape/mistakes.rs:"), "{error}");
    error
}

#[test]
fn what_does_not_fit_is_named() {
    let x = draw(1, [4, 3]);
    let key = || constant(&Key::from_seed(1).to_array());
    let cases = [
        (
            message(|x| product_with_projection(x, full(x.dtype(), [3, 2], 1.0), key(), 5), &x),
            "randomised differentiation: found k = 5 for 4 rows, expected 1 to 4",
        ),
        (
            message(|x| product_with_projection(x, x, key(), 1), &x),
            "randomised differentiation: found x f64[4,3] and weights f64[4,3]",
        ),
        (
            message(
                |x| {
                    let half = full(retrograde_array::DType::F32, [], 0.0);
                    real_time(x, half, x, |_: &Var, s: Var, _: Var| (s, s)).0
                },
                &x,
            ),
            "rtrl: found parameters and a state of (f64[4,3], f32[]), expected floats of one type",
        ),
        (
            message(
                |x| {
                    update_in_reverse((x, x.sum()), x, |_: &(Var, Var), h: Var| h, |h: Var| h.sum(), |p, _| p)
                        .0
                },
                &x,
            ),
            "gradient release: found a leaf of type f64[], expected a leading axis of layers",
        ),
        (
            message(
                |x| {
                    let layer = Leaky { input: x, recurrent: x, decay: 0.5 };
                    layer.eligibility(x, Var::tanh, Vec::<Var>::new(), |_, z, _: Var| z.sum(), x)
                },
                &x,
            ),
            "e-prop: found inputs f64[4,3], weights f64[4,3] and recurrent weights f64[4,3]",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }
}
