//! The adjoint identity ⟨ȳ, Jẋ⟩ = ⟨Jᵀȳ, ẋ⟩ holds for every exact trick, and fails for every one that is declared inexact.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::custom::{Law, custom_rules, custom_vjp};
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::{constant, full};
use retrograde_engine::{grad, jvp};
use retrograde_tricks::adjoint;
use retrograde_tricks::adjoint::adaptive_clip::AdaptiveClip;
use retrograde_tricks::adjoint::centralise::Centralise;
use retrograde_tricks::adjoint::check_rule::{RuleError, check_rule};
use retrograde_tricks::adjoint::clip::{ClipNorm, ClipValue, clip_each_step};
use retrograde_tricks::adjoint::feedback_alignment::product_with_feedback;
use retrograde_tricks::adjoint::guided::{guided_relu, relevance_product};
use retrograde_tricks::adjoint::loss_scaling::LossScale;
use retrograde_tricks::adjoint::map::{AdjointMap, declared};
use retrograde_tricks::adjoint::noise::GradientNoise;
use retrograde_tricks::adjoint::penalty::double_backpropagation;
use retrograde_tricks::adjoint::per_example::{PER_EXAMPLE_CLIPPING, Private};
use retrograde_tricks::adjoint::scale::{Reverse, Scale};
use retrograde_tricks::adjoint::sign::Sign;
use retrograde_tricks::adjoint::sparsify::Sparsify;
use retrograde_tricks::adjoint::stop::stop;
use retrograde_tricks::adjoint::straight_through::{binarise, straight_through};
use retrograde_tricks::adjoint::surrogate::{Bump, spike};
use retrograde_tricks::adjoint::synthetic_gradient::synthetic_gradient;
use retrograde_tricks::adjoint::target_propagation::with_targets;
use retrograde_tricks::adjoint::top_k::{TopK, product_with_top_k};
use retrograde_tricks::adjoint::truncated::Truncated;
use retrograde_tricks::catalogue;

use crate::{draw, inner, values};

/// A function of one array [4, 3], all of whose tricks are of one row.
type Edge = fn(Var) -> Var;

/// The row, and a program that the trick is in.
fn rows() -> Vec<(&'static str, Edge)> {
    vec![
        ("B1", |x| ClipValue { bound: 0.5 }.at_edge(x.sin())),
        ("B2", |x| ClipNorm { bound: 0.5 }.at_edge(x.sin())),
        ("B3", |x| AdaptiveClip::of(&x, 0.1).at_edge(x).sin()),
        ("B4", |x| retrograde_core::trace::control::scan(3).repeat(x, |x| clip_each_step(0.1, x.sin()))),
        ("B5", |x| GradientNoise { key: key(1), variance: full(x.dtype(), [], 1.0) }.at_edge(x.sin())),
        ("B6", |x| Scale { factor: 0.5 }.at_edge(x.sin())),
        ("B7", |x| Reverse { factor: full(x.dtype(), [], 1.0) }.at_edge(x.sin())),
        ("B8", |x| x * stop(x)),
        ("B9", |x| straight_through(Var::round, 3.0 * x) + binarise(x)),
        ("B10", |x| {
            let f = |x: Var, state: LossScale<Var>| state.scaled(x.sin().sum());
            let one = full(DType::F32, [], 1.0);
            let state = LossScale { scale: one * 1024.0, good_steps: constant(&array(0_i64)), interval: 10 };
            state.clone().unscaled(grad(f).at((x, state))).0
        }),
        ("B11", |x| Sign.at_edge(x.sin())),
        ("B12", |x| product_with_feedback(x, constant(&draw(5, [3, 2])), constant(&draw(6, [2, 3])))),
        ("B13", |x| {
            let (w, v) = (constant(&draw(8, [3, 3])), constant(&draw(9, [3, 3])));
            with_targets(w, v, x, |w: &Var, h: Var| h.dot(*w).tanh(), |v: &Var, y: Var| y.dot(*v))
        }),
        ("B14", |x| synthetic_gradient(x.sin(), constant(&draw(7, [4, 3]))).tanh()),
        ("B15", |x| {
            let step = |w: &Var, h: Var, x: Var| {
                let h = (h.dot(w.slice(0, 0..3)) + x * w.index(0, 3)).tanh();
                (h, (h * h).sum())
            };
            Truncated { every: 2, back: 3 }
                .run(x, full(x.dtype(), [3], 0.5), constant(&draw(10, [8])), step)
                .0
        }),
        ("B16", |x| TopK { k: 2 }.at_edge(x.sin()) + product_with_top_k(x, constant(&draw(11, [3, 3])), 1)),
        ("B17", |x| Sparsify { key: key(2), keep: 0.5 }.at_edge(x.sin())),
        ("B18", |x| Centralise.at_edge(x.sin())),
        ("B19", |x| {
            double_backpropagation(|w: Var, x: Var| (x.dot(w).tanh()).sum(), constant(&draw(12, [3])), x)
        }),
        ("B20", private_losses),
        ("B21", |x| spike(Bump::FastSigmoid { steepness: 1.0 }, x)),
        ("B22", |x| guided_relu(x) + relevance_product(x * x, constant(&draw(13, [3, 3])))),
    ]
}

fn key(seed: u64) -> Var {
    constant(&Key::from_seed(seed).to_array())
}

/// Losses of 4 examples, whose cotangents go back through clipped gradients and noise.
fn private_losses(x: Var) -> Var {
    let losses = |x: Var| (x.sin() * &draw(14, [5, 4, 3]).row(0)).sum_axes(&[1]);
    let of_one = |x: Var, (row, y_bar): (Var, Var)| (x.sin() * row).sum_axes(&[1]).sum() * y_bar;
    custom_rules(
        &declared(&PER_EXAMPLE_CLIPPING),
        x,
        losses,
        move |x, x_dot| jvp(losses).at(x, &x_dot).1[0],
        |x| (losses(x), x),
        move |x, y_bar| {
            let rows = constant(&draw(14, [5, 4, 3]).row(0));
            // Example i reads row i alone.
            let own = rows.broadcast([4, 4, 3], &[1, 2]) * eye(x.dtype(), 4).broadcast([4, 4, 3], &[0, 1]);
            Private { bound: 0.3, noise: 0.1 }.gradient(of_one, x, (own, y_bar), key(3))
        },
    )
}

#[test]
fn every_map_is_as_exact_as_it_is_declared() {
    let x = draw(1, [4, 3]);
    let covered: Vec<&str> = rows().into_iter().map(|(id, _)| id).collect();
    let all: Vec<&str> = adjoint::TRICKS.iter().map(|trick| trick.id).collect();
    assert_eq!(covered, all);
    for (id, edge) in rows() {
        let trick = catalogue::ALL.iter().flat_map(|rows| rows.iter()).find(|trick| trick.id == id).unwrap();
        let found = check_rule(edge, &x, Key::from_seed(2));
        match (trick.law, found) {
            (catalogue::Law::Inexact { what }, Ok(found)) => {
                assert!(found.gap > 1e-3, "{id}: {}", found.gap);
                let said = |text: &String| text.contains(what) || id == "B8";
                assert!(
                    !found.declared.is_empty() && found.declared.iter().all(said),
                    "{id}: {:?}",
                    found.declared
                );
            }
            (catalogue::Law::Exact, Ok(found)) => {
                assert!(found.declared.is_empty() && found.gap < 1e-14, "{id}")
            }
            (law, found) => panic!("{id}: {law:?} {found:?}"),
        }
    }
}

/// A derivative of what a trick computes is that of what it computes: both modes over reverse mode agree with differences of the
/// disturbed gradient. All but what is stopped, which has no derivative at any order, by declaration.
#[test]
fn second_derivatives_are_those_of_the_disturbed_gradient() {
    // Entries away from the kinks of all rows, which differences must not cross.
    let (x, u, v) = (draw(1, [4, 3]), draw(2, [4, 3]), draw(3, [4, 3]));
    for (id, edge) in rows().into_iter().filter(|(id, _)| *id != "B8") {
        let against = move |x: Var| {
            let y = edge(x);
            (y * &draw(4, y.shape())).sum()
        };
        let slope = move |x: Var| grad(against).at(x);
        let (_, forward) = jvp(slope).call(&x, &v).unwrap();
        let reverse = grad(|x: Var| (slope(x) * &u).sum()).call(&x).unwrap();
        let (left, right) = (inner(&u, &forward), inner(&reverse, &v));
        assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()), "{id}: {left} {right}");
        let at = |delta: f64| {
            let moved = values(&x).iter().zip(values(&v)).map(|(x, v)| x + delta * v).collect::<Vec<f64>>();
            inner(&u, &grad(against).call(&Array::new([4, 3], moved).unwrap()).unwrap())
        };
        // Central differences of f64: about δ² and 1e-16/δ.
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!(
            (left - difference).abs() < 1e-7 * (1.0 + left.abs()),
            "{id}: {left}, by differences {difference}"
        );
    }
}

/// Every broken rule is refused, and says how it is broken.
#[test]
fn rules_that_are_not_as_declared_are_refused() {
    let x = array([0.3, -0.4, 1.5]);
    let key = Key::from_seed(3);
    let rule = |law: Law, backward: fn(Var, Var) -> Var| {
        move |x: Var| custom_vjp(&law, x, Var::sin, |x| (x.sin(), x), move |x, y_bar: Var| backward(x, y_bar))
    };
    // The right one, a wrong sign, a missing factor, a cotangent squared, and one that is lost for an entry.
    assert!(check_rule(rule(Law::Exact, |x, y_bar| x.cos() * y_bar), &x, key).unwrap().gap < 1e-15);
    let broken: [fn(Var, Var) -> Var; 4] = [
        |x, y_bar| -x.cos() * y_bar,
        |_, y_bar| y_bar,
        |x, y_bar| x.cos() * y_bar * y_bar,
        |x, y_bar| x.cos() * y_bar * &array([1.0, 0.0, 1.0]),
    ];
    for backward in broken {
        match check_rule(rule(Law::Exact, backward), &x, key) {
            Err(RuleError::Deviates { gap, tolerance }) => assert!(gap > 1e3 * tolerance, "{gap}"),
            other => panic!("{other:?}"),
        }
        let declared = check_rule(rule(Law::Inexact("broken on purpose".into()), backward), &x, key).unwrap();
        assert_eq!(declared.declared, ["broken on purpose"]);
    }
    // A declaration where nothing deviates.
    let idle =
        check_rule(rule(Law::Inexact("none".into()), |x, y_bar| x.cos() * y_bar), &x, key).unwrap_err();
    assert!(idle.to_string().starts_with("a deviation is declared (none)"), "{idle}");
    // A clip that no cotangent reaches is no deviation either.
    let wide = check_rule(|x: Var| ClipValue { bound: 1e9 }.at_edge(x), &x, key).unwrap_err();
    assert!(matches!(wide, RuleError::DoesNotDeviate { .. }), "{wide}");
    // A forward half that computes something else.
    let other =
        |x: Var| custom_vjp(&Law::Exact, x, Var::sin, |x| (x.sin() + 1e-12, x), |x, y_bar| x.cos() * y_bar);
    assert!(matches!(check_rule(other, &x, key), Err(RuleError::AnotherValue { result: 0 })));
    // Without rules there is nothing to declare.
    assert!(check_rule(|x: Var| x.sin(), &x, key).unwrap().declared.is_empty());
}
