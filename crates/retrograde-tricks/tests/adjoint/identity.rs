//! The adjoint identity ⟨ȳ, Jẋ⟩ = ⟨Jᵀȳ, ẋ⟩ holds for every exact trick, and fails for every one that is declared inexact.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::custom::{Law, custom_vjp};
use retrograde_core::trace::var::{constant, full};
use retrograde_tricks::adjoint::check_rule::{RuleError, check_rule};
use retrograde_tricks::adjoint::clip::{ClipNorm, ClipValue, clip_each_step};
use retrograde_tricks::adjoint::feedback_alignment::product_with_feedback;
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::scale::{Reverse, Scale};
use retrograde_tricks::adjoint::stop::stop;
use retrograde_tricks::adjoint::straight_through::{binarise, straight_through};
use retrograde_tricks::adjoint::surrogate::{Bump, spike};
use retrograde_tricks::adjoint::synthetic_gradient::synthetic_gradient;
use retrograde_tricks::catalogue;

use crate::draw;

/// A function of one array [4, 3], all of whose tricks are of one row.
type Edge = fn(Var) -> Var;

/// The row, and a program that the trick is in.
fn rows() -> Vec<(&'static str, Edge)> {
    vec![
        ("B1", |x| ClipValue { bound: 0.5 }.at_edge(x.sin())),
        ("B2", |x| ClipNorm { bound: 0.5 }.at_edge(x.sin())),
        ("B4", |x| retrograde_core::trace::control::scan(3).repeat(x, |x| clip_each_step(0.1, x.sin()))),
        ("B6", |x| Scale { factor: 0.5 }.at_edge(x.sin())),
        ("B7", |x| Reverse { factor: full(x.dtype(), [], 1.0) }.at_edge(x.sin())),
        ("B8", |x| x * stop(x)),
        ("B9", |x| straight_through(Var::round, 3.0 * x) + binarise(x)),
        ("B12", |x| product_with_feedback(x, constant(&draw(5, [3, 2])), constant(&draw(6, [2, 3])))),
        ("B14", |x| synthetic_gradient(x.sin(), constant(&draw(7, [4, 3]))).tanh()),
        ("B21", |x| spike(Bump::FastSigmoid { steepness: 1.0 }, x)),
    ]
}

#[test]
fn every_map_is_as_exact_as_it_is_declared() {
    let x = draw(1, [4, 3]);
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
