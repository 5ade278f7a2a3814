//! C17.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::{select, uniform as draw_inside};
use retrograde_engine::value_and_grad;
use retrograde_tricks::tape::replay::{key_at, keys_of};

use crate::draw;

/// A step with a mask of its own, which the derivative needs again.
fn masked(x: Var, keys: Var) -> Var {
    let step = |x: Var, key: Var| {
        let stays = draw_inside(key, x.shape()).lt(0.7);
        let next = (1.3 * x).sin();
        (x + 0.3 * select(stays, next / 0.7, next * 0.0), Vec::<Var>::new())
    };
    scan_over().run(x, keys, step).0.sum()
}

fn keys(root: Key, reused: bool) -> Array {
    let of = |i: usize| key_at(root, &format!("step.{}", if reused { 0 } else { i }));
    Array::stack(&(0..30).map(|i| of(i).to_array()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn masks_have_the_same_bits_on_every_schedule() {
    let (x, keys) = (draw(1, [40]), keys(Key::from_seed(2), false));
    let (value, slope) = value_and_grad(masked).call((&x, &keys)).unwrap();
    assert!(slope.to_vec::<f64>().unwrap().iter().any(|g| *g != 0.0));
    let policies: [Tape; 4] =
        [Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(2).into(), Checkpoint::Slots(7).into()];
    for policy in policies {
        let door = value_and_grad(masked).tape(policy);
        let (same, again) = door.call((&x, &keys)).unwrap();
        assert!(same.bits_eq(&value) && again.bits_eq(&slope), "{policy}");
    }
    let budget = value_and_grad(masked).budget(4096);
    assert!(budget.call((&x, &keys)).unwrap().1.bits_eq(&slope));
    // Other keys, other masks: the check can see them.
    assert!(
        !value_and_grad(masked).call((&x, &self::keys(Key::from_seed(3), false))).unwrap().1.bits_eq(&slope)
    );
    assert!(
        !value_and_grad(masked).call((&x, &self::keys(Key::from_seed(2), true))).unwrap().1.bits_eq(&slope)
    );
}

#[test]
fn keys_of_places_differ_and_do_not_depend_on_what_else_there_is() {
    let root = Key::from_seed(1);
    let mut paths: Vec<String> = (0..200).map(|i| format!("layer.{i}")).collect();
    // Beginnings, zero bytes and lengths about a word.
    paths.extend(["", "a", "a\0", "\0a", "aaaaaaa", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaa\0"].map(String::from));
    let mut keys: Vec<[u64; 2]> = paths.iter().map(|path| key_at(root, path).0).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), paths.len());
    let (small, large) = (vec![array(0.0)], vec![array(0.0), array([1.0, 2.0])]);
    assert_eq!(keys_of(root, &small)[0], keys_of(root, &large)[0]);
    // Draws of neighbours are uncorrelated: within 4 standard errors of n products of variance 1/144.
    let n = 10_000;
    let centred =
        |path: &str| uniform(key_at(root, path), [n]).to_vec::<f64>().unwrap().into_iter().map(|u| u - 0.5);
    let product: f64 = centred("layer.0").zip(centred("layer.1")).map(|(a, b)| a * b).sum::<f64>() / n as f64;
    assert!(product.abs() < 4.0 / 12.0 / (n as f64).sqrt(), "{product}");
}
