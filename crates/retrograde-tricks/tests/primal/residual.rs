//! Residual stacks: from zero they are the identity to the bit, however deep. Joining and parting undo each other.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::concat;
use retrograde_engine::{grad, jit, jvp, vjp};
use retrograde_tricks::primal::concat_skip::{beside, part};
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::orthogonal::identity;
use retrograde_tricks::primal::residual::{ResNet, Residual, fixup_factor};

use crate::{Check, draw, hold, inner, values};

const WIDTH: usize = 6;

/// The Jacobian of a stack for one example, row by row, by both modes; whether it is the identity in every bit.
fn is_the_identity(blocks: &[Residual<Array>]) -> Check {
    let stack = ResNet::of(blocks).unwrap();
    let x = draw(2, [1, WIDTH]);
    let eye = identity(WIDTH, DType::F64);
    let f = move |stack: ResNet<Var>, x: Var| stack.apply(x);
    let door = vjp(f).wrt::<1>();
    let (_, pullback) = door.call((&stack, &x)).unwrap();
    for at in 0..WIDTH {
        let unit = eye.row(at).reshaped([1, WIDTH]).unwrap();
        let row = pullback.call(&unit).unwrap();
        hold(row.bits_eq(&unit), || format!("row {at} is {row}"))?;
        // Along one direction alone: parameters are passed with tangents of zero.
        let still = stack.clone();
        let along = move |x: Var| {
            let like = |a: &Array| retrograde_core::trace::var::constant(a);
            let blocks = Residual {
                inner: Linear {
                    weight: like(&still.blocks.inner.weight),
                    bias: like(&still.blocks.inner.bias),
                },
                outer: Linear {
                    weight: like(&still.blocks.outer.weight),
                    bias: like(&still.blocks.outer.bias),
                },
                a: like(&still.blocks.a),
            };
            ResNet { blocks, tape: None }.apply(x)
        };
        let column = jvp(along).call(&x, &unit).unwrap().1;
        hold(column.bits_eq(&unit), || format!("column {at} is {column}"))?;
    }
    Ok(())
}

#[test]
fn a_thousand_blocks_from_zero_have_the_identity_as_jacobian() {
    let key = Key::from_seed(1);
    let rezero: Vec<_> = (0..1000).map(|i| Residual::rezero(key.fold_in(i), WIDTH, 4, DType::F64)).collect();
    let fixup: Vec<_> =
        (0..1000).map(|i| Residual::fixup(key.fold_in(i), WIDTH, 4, 1000, DType::F64)).collect();
    assert_eq!(is_the_identity(&rezero), Ok(()));
    assert_eq!(is_the_identity(&fixup), Ok(()));
    // One block of a thousand that does not begin at zero, by the least it can.
    let mut broken = rezero.clone();
    broken[500].a = array(1e-12);
    assert!(is_the_identity(&broken).is_err());
    // Inner weights of a Fixup block are He's, smaller by the root of the depth.
    let he = Linear::he(key.fold_in(0), WIDTH, 4, DType::F64);
    let ratio = values(&fixup[0].inner.weight)[3] / values(&he.weight)[3];
    assert!((ratio - fixup_factor(1000, 2)).abs() < 1e-15 && fixup_factor(1000, 2) == 1000f64.powf(-0.5));
}

/// The slope by a is ⟨ȳ, F(x)⟩, at a = 0 and elsewhere.
#[test]
fn the_slope_of_a_gate_is_what_it_lets_through() {
    for a in [0.0, 0.7] {
        let block = Residual { a: array(a), ..Residual::rezero(Key::from_seed(1), WIDTH, 4, DType::F64) };
        let (x, y_bar) = (draw(2, [3, WIDTH]), draw(3, [3, WIDTH]));
        let loss = |block: Residual<Var>, x: Var, y_bar: Var| (block.apply(x) * y_bar).sum();
        let slope = grad(loss).call((&block, &x, &y_bar)).unwrap().a.item::<f64>().unwrap();
        let branch = |block: Residual<Var>, x: Var| block.outer.apply(block.inner.apply(x).max(0.0));
        let expected = inner(&y_bar, &jit(branch).call((&block, &x)).unwrap());
        assert!((slope - expected).abs() < 1e-14 * (1.0 + expected.abs()), "{slope} {expected}");
        assert!(expected.abs() > 0.01, "{expected}");
    }
}

fn undone(
    split: impl Fn(Var) -> Vec<Var> + Copy + 'static,
    join: impl Fn(Vec<Var>) -> Var + Copy + 'static,
) -> Check {
    let y = draw(1, [2, 6]);
    let there_and_back = move |y: Var| join(split(y));
    let (found, pullback) = (jit(there_and_back).call(&y).unwrap(), draw(2, [2, 6]));
    hold(found.bits_eq(&y), || format!("{found}"))?;
    let door = vjp(there_and_back);
    let y_bar = door.call(&y).unwrap().1.call(&pullback).unwrap();
    hold(y_bar.bits_eq(&pullback), || format!("cotangents {y_bar}"))?;
    let parts = vec![draw(3, [2, 1]), draw(4, [2, 5])];
    let back_and_there = move |parts: Vec<Var>| split(join(parts));
    let door = vjp(back_and_there);
    let (found, pullback) = door.call(&parts).unwrap();
    let same = |a: &[Array], b: &[Array]| a.iter().zip(b).all(|(a, b)| a.bits_eq(b));
    let bars = vec![draw(5, [2, 1]), draw(6, [2, 5])];
    hold(same(&found, &parts) && same(&pullback.call(&bars).unwrap(), &bars), || format!("{found:?}"))
}

#[test]
fn joining_and_parting_undo_each_other() {
    assert_eq!(undone(|y| part(y, 1, &[1, 5]), |parts| concat(&parts, 1)), Ok(()));
    assert!(undone(|y| part(y, 1, &[1, 5]), |parts| concat(&[parts[0], parts[1].reverse(&[1])], 1)).is_err());
    // A layer beside its input: its derivative is the sum of that of both.
    let x = draw(1, [2, 3]);
    let slope = grad(|x: Var| beside(x, 1, |x| x.sin()).sum()).call(&x).unwrap();
    assert!(values(&slope).iter().zip(values(&x)).all(|(g, x)| (g - (1.0 + x.cos())).abs() < 1e-15));
}
