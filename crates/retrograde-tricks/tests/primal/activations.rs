//! Activations: declared slopes, what the tape holds, moments, and digits far out.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit, jvp, value_and_grad};
use retrograde_tricks::primal::activation::{gelu, mish, silu, softplus};
use retrograde_tricks::primal::elu::elu;
use retrograde_tricks::primal::leaky::{leaky_relu, prelu};
use retrograde_tricks::primal::relu::{AtZero, relu};
use retrograde_tricks::primal::selu::selu;

use crate::true_values::{GELU, MISH, Row, SELU, SILU, SOFTPLUS};
use crate::{Check, draw, hold, refused, ulp, values, weighed};

/// Behind a product, so that its argument is no input: the only thing to keep is what the rectifier needs.
#[test]
fn rectifiers_keep_one_bit_and_have_one_slope_at_zero() {
    let x = array([0.0, -0.0, 1.0, -1.0, f64::NAN]);
    for (at_zero, slope) in [(AtZero::Zero, 0.0), (AtZero::Half, 0.5), (AtZero::One, 1.0)] {
        let f = move |x: Var| relu(x, at_zero);
        let reverse = values(&grad(move |x: Var| f(x).sum()).call(&x).unwrap());
        let (y, forward) = jvp(f).call(&x, &array([1.0; 5])).unwrap();
        assert_eq!(reverse[..4], values(&forward)[..4]);
        assert_eq!(reverse[..4], [slope, slope, 1.0, 0.0]);
        assert!(values(&y)[4].is_nan());
        // Of the second derivative nothing is left.
        let curve = jvp(grad(move |x: Var| f(x).sum())).call(&x, &array([1.0; 5])).unwrap().1;
        assert_eq!(values(&curve)[..4], [0.0; 4]);
    }
    let (a, w) = (draw(1, [64, 8]), draw(2, [8, 100]));
    for (at_zero, bits) in [(AtZero::Zero, 1), (AtZero::One, 1), (AtZero::Half, 2)] {
        let door = grad(move |w: Var, a: Var| weighed(relu(a.dot(w), at_zero)));
        door.call((&w, &a)).unwrap();
        let report = door.last_tape();
        assert_eq!(8 * report.tape_bytes(), bits * 64 * 100, "{report}");
    }
}

/// Σ x̄ min(x, 0), for one slope and for one each.
fn leak(f: impl Fn(Var, Var) -> Var + 'static) -> Check {
    let (x, a) = (draw(1, [6, 3]), draw(2, [3]));
    let y_bar = values(&draw(99, [6, 3]));
    let found = values(&grad(move |a: Var, x: Var| weighed(f(x, a))).call((&a, &x)).unwrap());
    let mut expected = [0.0; 3];
    for (at, (x, y_bar)) in values(&x).into_iter().zip(y_bar).enumerate() {
        expected[at % 3] += y_bar * x.min(0.0);
    }
    let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14);
    hold(near, || format!("{found:?} instead of {expected:?}"))
}

#[test]
fn the_slope_of_a_leak_is_what_leaks() {
    assert_eq!(leak(prelu), Ok(()));
    // The slope of the wrong side, and one that does not leak.
    assert!(leak(|x, a| -prelu(-x, a)).is_err());
    assert!(leak(|x, a| prelu(x, a.stop_gradient())).is_err());
    // With a slope of 1 the Jacobian is the identity, to the bit.
    let y_bar = draw(3, [50]);
    let x = draw(4, [50]);
    let of = grad(|x: Var, y_bar: Var| (leaky_relu(x, 1.0) * y_bar).sum());
    assert!(of.call((&x, &y_bar)).unwrap().bits_eq(&y_bar));
}

#[test]
fn the_slope_of_an_elu_comes_from_its_result() {
    // Behind a product: one number for each entry is kept, and it is what the next layer keeps as well.
    let (a, w, next) = (draw(1, [64, 8]), draw(2, [8, 32]), draw(3, [32, 4]));
    let alone = grad(|w: Var, a: Var| weighed(elu(a.dot(w), 1.0)));
    alone.call((&w, &a)).unwrap();
    assert_eq!(alone.last_tape().tape_bytes(), 64 * 32 * 8, "{}", alone.last_tape());
    let followed = grad(|s: (Var, Var), a: Var| weighed(elu(a.dot(s.0), 1.0).dot(s.1)));
    followed.call((&(w.clone(), next.clone()), &a)).unwrap();
    assert_eq!(followed.last_tape().tape_bytes(), 64 * 32 * 8, "{}", followed.last_tape());
    // From the argument, both are needed.
    let plain = |x: Var| retrograde_core::trace::var::select(x.gt(0.0), x, x.exp() - 1.0);
    let other = grad(move |s: (Var, Var), a: Var| weighed(plain(a.dot(s.0)).dot(s.1)));
    other.call((&(w, next), &a)).unwrap();
    assert!(other.last_tape().tape_bytes() > 64 * 32 * 8);
    // Within one unit in the last place of the scale.
    let x: Vec<f64> = (-4000..=1000).map(|k| f64::from(k) / 100.0).collect();
    for scale in [1.0, 1.75] {
        let slope = grad(move |x: Var| elu(x, scale).sum()).call(&array(x.clone())).unwrap();
        let off = |(x, y): (&f64, f64)| (y - if *x > 0.0 { 1.0 } else { scale * x.exp() }).abs();
        let most = x.iter().zip(values(&slope)).map(off).fold(0.0, f64::max);
        assert!(most <= ulp(scale), "{most}");
    }
    refused(|x| elu(x, 0.0), &array([1.0]), "elu: found a scale of 0, expected a finite number above 0");
}

/// ∫ f(z)^power φ(z) dz by Simpson's rule on either side of the kink.
fn moment(f: impl Fn(Var) -> Var + Copy + 'static, power: i32) -> f64 {
    let (n, edge) = (2000, 12.0);
    let side = |sign: f64| {
        let z: Vec<f64> = (0..=n).map(|k| sign * edge * f64::from(k) / f64::from(n)).collect();
        let y = values(&jit(f).call(&array(z.clone())).unwrap());
        let weight = |k: i32| {
            if k == 0 || k == n {
                1.0
            } else if k % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let terms = z.iter().zip(y).zip(0..).map(|((z, y), k)| weight(k) * y.powi(power) * density(*z));
        terms.sum::<f64>() * edge / f64::from(n) / 3.0
    };
    side(-1.0) + side(1.0)
}

fn fixed_point_of_moments(f: impl Fn(Var) -> Var + Copy + 'static) -> Check {
    let (mean, square) = (moment(f, 1), moment(f, 2));
    hold(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6, || format!("{mean} {square}"))
}

#[test]
fn selu_keeps_mean_and_variance() {
    assert_eq!(fixed_point_of_moments(selu), Ok(()));
    // Much better than asked for.
    let (mean, square) = (moment(selu, 1), moment(selu, 2));
    assert!(mean.abs() < 1e-10 && (square - 1.0).abs() < 1e-10, "{mean} {square}");
    assert!(fixed_point_of_moments(|x| elu(x, SELU.0)).is_err());
    assert!(fixed_point_of_moments(|x| -selu(-x)).is_ok());
    assert!(fixed_point_of_moments(|x| elu(x, 1.0) * SELU.1).is_err());
    let (alpha, scale) = SELU;
    assert_eq!(values(&jit(selu).call(&array([-1e3, 1.0])).unwrap()), [-alpha * scale, scale]);
}

/// The largest errors of values and slopes, in units.
fn errors(f: impl Fn(Var) -> Var + Copy + 'static, rows: &[Row]) -> (f64, f64) {
    let x: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let y = values(&jit(f).call(&array(x.clone())).unwrap());
    let slopes = values(&grad(move |x: Var| f(x).sum()).call(&array(x)).unwrap());
    let mut most = (0.0_f64, 0.0_f64);
    for ((row, y), slope) in rows.iter().zip(y).zip(slopes) {
        let (_, value, of_slope, unit) = *row;
        // Of a product with a number below the least that is held in full, no digits can be asked for.
        if value.0.abs() > f64::MIN_POSITIVE {
            most.0 = most.0.max(((y - value.0) - value.1).abs() / ulp(value.0));
        }
        most.1 = most.1.max(((slope - of_slope.0) - of_slope.1).abs() / ulp(unit));
    }
    most
}

#[test]
fn slopes_of_smooth_activations_hold_far_out() {
    let found = [
        ("softplus", errors(softplus, &SOFTPLUS)),
        ("gelu", errors(gelu, &GELU)),
        ("silu", errors(silu, &SILU)),
        ("mish", errors(mish, &MISH)),
    ];
    for (name, (value, slope)) in found {
        assert!(value <= 2.5 && slope <= 2.0, "{name}: {value} ulp, slope {slope} ulp; {found:?}");
    }
    // As it is written down, the tail is lost: the check sees it.
    let plain = errors(|x| x * (1.0 - (x / 2f64.sqrt()).erf() * -1.0) * 0.5, &GELU);
    assert!(plain.1 > 100.0, "{plain:?}");
    // The slope of softplus is the logistic, to the bit, and all are finite beyond.
    let x = array([-1e300, -100.0, -3.0, 0.5, 100.0, 1e300]);
    let logistic = jit(|x: Var| x.logistic()).call(&x).unwrap();
    assert!(grad(|x: Var| softplus(x).sum()).call(&x).unwrap().bits_eq(&logistic));
    for f in [softplus, gelu, silu, mish] {
        let (y, slope) = value_and_grad(move |x: Var| f(x).sum()).call(&array([-1e300, 300.0])).unwrap();
        assert_eq!((y, values(&slope)), (array(300.0), vec![0.0, 1.0]));
    }
}
