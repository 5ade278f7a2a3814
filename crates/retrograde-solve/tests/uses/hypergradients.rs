//! Slopes of a validation loss by what the fit was made with, against fits made again.

use super::*;
use retrograde_core::trace::var::constant;
use retrograde_solve::linear::LinearError;
use retrograde_solve::uses::hypergradient;

/// Two penalties by their logarithms, one for each half of the parameters.
fn inner(train: &Arrays) -> impl Fn(Var, Var) -> Var + Clone + use<> {
    let train = train.clone();
    move |p: Var, h: Var| {
        let batch = (constant(&train.0), constant(&train.1), constant(&train.2));
        let half = p.shape()[0] / 2;
        let squares = |part: Var| (part * part).sum();
        let (first, second) = (squares(p.slice(0, 0..half)), squares(p.slice(0, half..2 * half)));
        logistic(p, batch) + 0.5 * (h.index(0, 0).exp() * first + h.index(0, 1).exp() * second)
    }
}

fn solved(inner: &(impl Fn(Var, Var) -> Var + Clone), h: &Array, d: usize) -> Array {
    let (slope, curvature) = (grad(inner.clone()), hvp(inner.clone()));
    let mut p = array(vec![0.0; d]);
    for _ in 0..50 {
        let g = slope.call((&p, h)).unwrap();
        if length(&g) < 1e-13 {
            break;
        }
        let step = cg(|v| curvature.call((&p, h), v), &g).tolerance(1e-12).solve().unwrap().x;
        p = ops::binary(Binary::Sub, &p, &step).unwrap();
    }
    p
}

#[test]
fn slopes_of_penalties_are_those_of_fits_made_again() {
    let d = 4;
    let (train, validation) = (sample(81, 60, d), sample(82, 30, d));
    let inner = inner(&train);
    let outer = move |p: Var, h: Var| {
        let batch = (constant(&validation.0), constant(&validation.1), constant(&validation.2));
        // It may depend on the penalties directly, too.
        logistic(p, batch) + 0.01 * h.sum() * h.sum()
    };
    let h = array([-2.0, -1.0]);
    let p = solved(&inner, &h, d);
    let implicit = hypergradient(inner.clone(), outer.clone());
    let found = implicit
        .call((&p, &h), |g| {
            let found = cg(|v| implicit.curvature((&p, &h), v), g).tolerance(1e-12).solve()?;
            Ok::<_, LinearError>((found.x, *found.residuals.last().unwrap()))
        })
        .unwrap();
    assert!(found.gradient_norm < 1e-12 && found.certificate <= 1e-12);
    let value = retrograde_engine::jit(outer);
    let at = |k: usize, by: f64| {
        let mut moved = h.clone();
        moved.make_mut::<f64>().unwrap()[k] += by;
        value.call((&solved(&inner, &moved, d), &moved)).unwrap().item::<f64>().unwrap()
    };
    // Fourth-order differences: with steps of 1e-2 their own error is near 1e-9.
    let by = 1e-2;
    for (k, found) in numbers(&found.slope).into_iter().enumerate() {
        let expected = (8.0 * (at(k, by) - at(k, -by)) - (at(k, 2.0 * by) - at(k, -2.0 * by))) / (12.0 * by);
        assert!(found.abs() > 1e-4 && close(found, expected, 1e-6), "{k}: {found} {expected}");
    }
}

/// Away from a minimum the answer says so.
#[test]
fn a_fit_that_is_none_shows_in_the_norm_of_its_gradient() {
    let inner = inner(&sample(83, 40, 4));
    let outer = |p: Var, _: Var| (p * p).sum();
    let (p, h) = (array([1.0, -1.0, 0.5, 0.0]), array([-2.0, -1.0]));
    let implicit = hypergradient(inner, outer);
    let found = implicit
        .call((&p, &h), |g| {
            cg(|v| implicit.curvature((&p, &h), v), g).solve().map(|found| (found.x, found.stop))
        })
        .unwrap();
    assert!(found.gradient_norm > 0.01);
}
