//! Pooling: where cotangents go, and that none is lost.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_core::trace::window::PoolConfig;
use retrograde_engine::{grad, jit, vjp};
use retrograde_tricks::primal::pool::{Pool, global_average, smooth_max, soft_argmax};

use crate::{Check, apart, draw, hold, refused, values};

/// Windows of 2 by 2, side by side: the cotangent of a window goes to `routes` of its entries, and all of it arrives.
fn keeps_its_sum(f: impl Fn(Var) -> Var + 'static, routes: usize) -> Check {
    let (x, y_bar) = (draw(1, [2, 3, 4, 6]), draw(2, [2, 3, 2, 3]));
    let door = vjp(f);
    let x_bar = values(&door.call(&x).unwrap().1.call(&y_bar).unwrap());
    let (total, sent): (f64, f64) = (x_bar.iter().sum(), values(&y_bar).iter().sum());
    hold((total - sent).abs() < 1e-13, || format!("{total} of {sent}"))?;
    for (at, sent) in values(&y_bar).iter().enumerate() {
        let (image, row, column) = (at / 6, at / 3 % 2, at % 3);
        let entry = |i: usize, j: usize| x_bar[image * 24 + (2 * row + i) * 6 + 2 * column + j];
        let window = [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)];
        let reached = window.iter().filter(|x| **x != 0.0).count();
        let arrived: f64 = window.iter().sum();
        hold(reached == routes && (arrived - sent).abs() < 1e-14, || format!("{window:?} of {sent}"))?;
    }
    Ok(())
}

#[test]
fn pooling_routes_cotangents_and_keeps_their_sum() {
    let pooled = |pool: Pool| move |x: Var| pool.apply(x, &PoolConfig::new([2, 2]));
    let soft = |temperature: f64| Pool::LogSumExp { temperature };
    assert_eq!(keeps_its_sum(pooled(Pool::Max), 1), Ok(()));
    assert_eq!(keeps_its_sum(pooled(Pool::Average), 4), Ok(()));
    assert_eq!(keeps_its_sum(pooled(soft(0.5)), 4), Ok(()));
    // Sums instead of means, and a maximum with a factor.
    assert!(keeps_its_sum(move |x| pooled(Pool::Average)(x) * 4.0, 4).is_err());
    assert!(keeps_its_sum(move |x| pooled(soft(0.5))(x) * 0.5, 4).is_err());
    // Cold, the maximum; hot, the mean.
    let x = draw(1, [2, 3, 4, 6]);
    let of = |pool: Pool| jit(pooled(pool)).call(&x).unwrap();
    assert!(apart(&of(soft(1e-3)), &of(Pool::Max)) < 4f64.ln() * 1e-3 + 1e-12);
    assert!(apart(&of(soft(1e5)), &of(Pool::Average)) < 1e-4);
    // Of equals, one is chosen.
    let slope = grad(|x: Var| Pool::Max.apply(x, &PoolConfig::new([2, 2])).sum())
        .call(&array([[[[1.0; 2]; 2]]]))
        .unwrap();
    assert_eq!(values(&slope), [1.0, 0.0, 0.0, 0.0]);
    // The mean of a channel: each entry gets 1/n.
    let slope = grad(|x: Var| global_average(x).sum()).call(&x).unwrap();
    assert!(values(&slope).iter().all(|g| *g == 1.0 / 24.0));
    refused(
        move |x| pooled(soft(-1.0))(x),
        &x,
        "log-sum-exp pooling: found a temperature of -1, expected a finite number above 0",
    );
    refused(
        global_average,
        &draw(1, [2, 3]),
        "global_average: found f64[2,3] of x, expected [n, channels, lens..]",
    );
}

/// Shift by a constant: the smooth maximum moves with it, the soft position not at all.
#[test]
fn soft_maxima_move_with_their_argument() {
    let x = draw(1, [3, 5]);
    let bar = draw(3, [3]);
    for temperature in [0.1, 1.0, 10.0] {
        let sum_of = |f: fn(Var, usize, f64) -> Var| {
            let slope =
                grad(move |x: Var, bar: Var| (f(x, 1, temperature) * bar).sum()).call((&x, &bar)).unwrap();
            values(&slope).chunks(5).map(|row| row.iter().sum::<f64>()).collect::<Vec<f64>>()
        };
        let (of_max, of_place) = (sum_of(smooth_max), sum_of(soft_argmax));
        let bars = values(&bar);
        assert!(of_max.iter().zip(&bars).all(|(a, b)| (a - b).abs() < 1e-12), "{of_max:?} {bars:?}");
        assert!(of_place.iter().all(|a| a.abs() < 1e-12), "{of_place:?}");
    }
    let cold = jit(|x: Var| (smooth_max(x, 1, 1e-4), soft_argmax(x, 1, 1e-4))).call(&x).unwrap();
    let hard = jit(|x: Var| (x.reduce_max(&[1]), x.argmax(1).convert(retrograde_array::DType::F64)))
        .call(&x)
        .unwrap();
    assert!(apart(&cold.0, &hard.0) < 1e-12 && apart(&cold.1, &hard.1) < 1e-12);
}
