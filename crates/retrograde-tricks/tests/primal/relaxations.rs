//! Relaxations: cold, they give the hard answer; warm, they have the slopes of differences.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jit};
use retrograde_tricks::primal::memory::{by_content, read, rotate, sharpen};
use retrograde_tricks::primal::sinkhorn::sinkhorn;
use retrograde_tricks::primal::soft_rasteriser::coverage;
use retrograde_tricks::primal::soft_sort::{soft_argsort, soft_sort};

use crate::{Check, apart, difference, draw, hold, inner, refused, values, weighed};

/// A relaxation of one array at a temperature.
type Soft = fn(Var, f64) -> Var;

fn corners() -> Array {
    // One anticlockwise, one clockwise.
    array([[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [[5.0, 5.0], [5.0, 9.0], [9.0, 5.0]]])
}

fn pixels() -> Var {
    // None at the same distance from two edges, where there is a kink.
    constant(&array([[1.0, 1.3], [3.0, 2.7], [6.0, 6.4], [8.5, 8.2], [-1.0, 1.0]]))
}

fn rows() -> Vec<(&'static str, Soft, Array, Vec<f64>)> {
    vec![
        ("soft sort", soft_sort, array([3.0, -1.0, 2.0, 7.5]), vec![-1.0, 2.0, 3.0, 7.5]),
        ("soft argsort", soft_argsort, array([3.0, 1.0]), vec![0.0, 1.0, 1.0, 0.0]),
        (
            "sinkhorn",
            |cost, t| {
                let third = constant(&array([1.0 / 3.0; 3]));
                sinkhorn(cost, third, third, t, 60) * 3.0
            },
            array([[4.0, 0.0, 3.0], [0.0, 2.0, 5.0], [3.0, 2.0, 0.0]]),
            vec![0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        ),
        ("rasteriser", |c, t| coverage(c, pixels(), t), corners(), vec![1.0, 0.0, 1.0, 0.0, 0.0]),
        (
            "memory",
            |memory, t| {
                let key = constant(&array([0.0, 1.0]));
                read(memory, by_content(memory, key, 1.0 / t))
            },
            array([[1.0, 0.1], [0.2, 5.0], [1.0, 1.0]]),
            vec![0.2, 5.0],
        ),
    ]
}

fn cold(f: Soft, x: &Array, hard: &[f64]) -> Check {
    let y = values(&jit(move |x: Var| f(x, 1e-3)).call(x).unwrap());
    let most = y.iter().zip(hard).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    hold(y.len() == hard.len() && most < 1e-9, || format!("{y:?} instead of {hard:?}"))
}

/// And warm: by differences in a random direction.
fn slope(f: Soft, x: &Array) -> Check {
    let (loss, direction) = (move |x: Var| weighed(f(x, 0.8)), draw(7, x.shape().clone()));
    let found = inner(&grad(loss).call(x).unwrap(), &direction);
    let run = jit(loss);
    let expected = difference(|x| run.call(x).unwrap().item::<f64>().unwrap(), x, &direction);
    hold((found - expected).abs() < 1e-7 * (1.0 + found.abs()) && found != 0.0, || {
        format!("{found} {expected}")
    })
}

#[test]
fn cold_relaxations_give_the_hard_answer() {
    for (name, f, x, hard) in rows() {
        assert_eq!(cold(f, &x, &hard), Ok(()), "{name}");
        assert_eq!(slope(f, &x), Ok(()), "{name}");
    }
    // Warm is not hard, and a wrong sign sorts the other way.
    assert!(cold(|x, _| soft_sort(x, 1.0), &array([3.0, 1.0]), &[1.0, 3.0]).is_err());
    assert!(cold(|x, t| -soft_sort(-x, t), &array([3.0, 1.0]), &[1.0, 3.0]).is_err());
    assert!(slope(|x, t| soft_sort(x, t) + x.stop_gradient() * 0.1, &array([3.0, -1.0, 2.0])).is_err());
}

/// Columns are exact after each round, rows converge; entropy keeps all entries above 0.
#[test]
fn transport_has_the_masses_that_it_is_given() {
    let (cost, a, b) = (draw(1, [3, 4]), array([0.2, 0.3, 0.5]), array([0.1, 0.2, 0.3, 0.4]));
    let plan = jit(|c: Var, a: Var, b: Var| sinkhorn(c, a, b, 0.5, 100)).call((&cost, &a, &b)).unwrap();
    let sums = jit(|p: Var| (p.sum_axes(&[1]), p.sum_axes(&[0]))).call(&plan).unwrap();
    assert!(apart(&sums.0, &a) < 1e-14 && apart(&sums.1, &b) < 1e-15);
    assert!(values(&plan).iter().all(|p| *p > 0.0));
    // The colder, the nearer to the cheapest of six assignments, which costs 1 + 2 + 2 thirds: entropy is worth at most t ln 3 for each
    // unit of mass. Colder still, rounds without number are needed.
    let (costs, third) = (array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]]), array([1.0 / 3.0; 3]));
    let mut last = f64::INFINITY;
    for t in [1.0, 0.3, 0.1] {
        let f = move |c: Var, a: Var, b: Var| (sinkhorn(c, a, b, t, 2000) * c).sum();
        let found = jit(f).call((&costs, &third, &third)).unwrap().item::<f64>().unwrap();
        assert!(found < last && found > 5.0 / 3.0 && found < 5.0 / 3.0 + t * 3f64.ln(), "{t}: {found}");
        last = found;
    }
    // A cost for each row or column alone changes nothing: the slope by them is zero.
    let f = |c: Var, a: Var, b: Var| weighed(sinkhorn(c, a, b, 0.5, 100));
    let slope = grad(f).call((&cost, &a, &b)).unwrap();
    let sums = jit(|p: Var| (p.sum_axes(&[1]), p.sum_axes(&[0]))).call(&slope).unwrap();
    assert!(values(&sums.0).iter().chain(&values(&sums.1)).all(|s| s.abs() < 1e-13), "{sums:?}");
    assert!(inner(&slope, &slope) > 1e-3);
}

#[test]
fn memory_is_found_by_content_and_by_place() {
    // Moved on by one, in a circle; sharpened, the weights still sum to 1.
    let f = jit(|w: Var, s: Var| (rotate(w, s), sharpen(rotate(w, s), 3.0)));
    let (moved, sharp) = f.call((&array([0.1, 0.2, 0.7]), &array([0.0, 1.0, 0.0]))).unwrap();
    assert_eq!(moved, array([0.7, 0.1, 0.2]));
    assert!((values(&sharp).iter().sum::<f64>() - 1.0).abs() < 1e-15 && values(&sharp)[0] > 0.97);
    // Rotation is circular convolution: it keeps the sum, and two rotations add up.
    let (w, s) = (array([0.1, 0.2, 0.7]), array([0.3, 0.3, 0.4]));
    let twice =
        jit(|w: Var, s: Var| (rotate(rotate(w, s), s), rotate(w, rotate(s, s)))).call((&w, &s)).unwrap();
    assert!(apart(&twice.0, &twice.1) < 1e-16);
    // Nothing is like a key of zeros: all rows alike.
    let even =
        jit(|m: Var, k: Var| by_content(m, k, 9.0)).call((&draw(1, [4, 2]), &array([0.0, 0.0]))).unwrap();
    assert_eq!(even, array([0.25; 4]));
}

#[test]
fn temperatures_that_are_not_above_zero_are_refused() {
    let x = array([[1.0, 2.0], [3.0, 4.0]]);
    let above = "expected a finite number above 0";
    refused(
        |x| soft_sort(x.index(0, 0), -1.0),
        &x,
        &format!("soft_sort: found a temperature of -1, {above}"),
    );
    refused(
        |x| sinkhorn(x, x.index(0, 0), x.index(0, 0), f64::NAN, 3),
        &x,
        &format!("sinkhorn: found a temperature of NaN, {above}"),
    );
    refused(
        |x| sinkhorn(x, x.index(0, 0), x.index(0, 0).slice(0, 0..1), 1.0, 3),
        &x,
        "sinkhorn: found costs f64[2,2] for masses f64[2] and f64[1]",
    );
    refused(|x| sharpen(x.index(0, 0), 0.0), &x, &format!("sharpen: found a power of 0, {above}"));
    refused(
        |x| by_content(x, x.index(0, 0).slice(0, 0..1), 1.0),
        &x,
        "by_content: found memory f64[2,2] and key f64[1]",
    );
    refused(|x| coverage(x, x, 1.0), &x, "coverage: found corners f64[2,2] and pixels f64[2,2]");
}
