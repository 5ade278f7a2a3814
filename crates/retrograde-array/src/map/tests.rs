//! Accuracy against high precision, and the edges of the domain.
//!
//! `reference.txt` was computed with mpmath (at least 200 bits): function, argument, nearest f64 (both as bits in hexadecimal) and
//! the distance from it to the true value in its units in the last place. Functions named `…32` have f32 arguments.

use super::*;
use crate::Element;

const REFERENCE: &str = include_str!("reference.txt");

/// The unit in the last place of an f64.
fn ulp(x: f64) -> f64 {
    let magnitude = x.abs();
    f64::from_bits(magnitude.to_bits() + 1) - magnitude
}

/// The unit in the last place of the f32 nearest to an f64.
fn ulp_f32(x: f64) -> f64 {
    let exponent = ((x.abs().to_bits() >> 52) as i64 - 1023).max(-126);
    pow2(exponent - 23)
}

/// Largest error in ulp over the rows of one function.
fn worst(name: &str, f: impl Fn(f64) -> f64, is_f32: bool) -> f64 {
    let mut worst = 0.0_f64;
    let mut rows = 0;
    for line in REFERENCE.lines() {
        let mut fields = line.split(' ');
        if fields.next() != Some(name) {
            continue;
        }
        rows += 1;
        let mut bits = || f64::from_bits(u64::from_str_radix(fields.next().unwrap(), 16).unwrap());
        let (x, nearest) = (bits(), bits());
        let rest: f64 = fields.next().unwrap().parse().unwrap();
        let y = f(x);
        let overflows =
            if is_f32 { nearest.abs() >= 3.402_823_567_797_336_6e38 } else { nearest.is_infinite() };
        let error = match (overflows, is_f32) {
            (true, _) if y == nearest.signum() * f64::INFINITY => 0.0,
            (true, _) => f64::INFINITY,
            (false, true) => ((y - nearest) / ulp_f32(nearest)).abs(),
            (false, false) => ((y - nearest) / ulp(nearest) - rest).abs(),
        };
        assert!(!error.is_nan(), "{name}({x:e}) gave {y:e}");
        worst = worst.max(error);
    }
    assert_eq!(rows, 150, "rows of {name}");
    worst
}

#[test]
fn errors_are_within_the_stated_bounds() {
    assert!(worst("exp", exp_f64, false) < 0.75);
    assert!(worst("log", log_f64, false) < 0.6);
    assert!(worst("tanh", tanh_f64, false) < 0.6);
    assert!(worst("sin", sin_f64, false) < 0.75);
    assert!(worst("cos", cos_f64, false) < 0.75);
    let wide = |f: fn(f32) -> f32| move |x: f64| f64::from(f(x as f32));
    assert!(worst("exp32", wide(exp_f32), true) < 0.501);
    assert!(worst("log32", wide(log_f32), true) < 0.501);
    assert!(worst("tanh32", wide(tanh_f32), true) < 0.501);
    assert!(worst("sin32", wide(sin_f32), true) < 0.501);
    assert!(worst("cos32", wide(cos_f32), true) < 0.501);
}

#[test]
fn f32_functions_round_the_f64_ones() {
    // Every 9973rd float, infinities and NaN included.
    type Pair = (fn(f32) -> f32, fn(f64) -> f64);
    let pairs: [Pair; 5] = [
        (exp_f32, exp_f64),
        (log_f32, log_f64),
        (tanh_f32, tanh_f64),
        (sin_f32, sin_f64),
        (cos_f32, cos_f64),
    ];
    for (narrow, wide) in pairs {
        for bits in (0..=u32::MAX).step_by(9973) {
            let x = f32::from_bits(bits);
            let (y, reference) = (narrow(x), wide(f64::from(x)));
            if reference.is_nan() || reference.abs() >= 3.402_823_567_797_336_6e38 {
                assert_eq!(y.key(), (reference as f32).key(), "at {x:e}");
            } else {
                let error = ((f64::from(y) - reference) / ulp_f32(reference)).abs();
                assert!(error < 0.501, "{error} at {x:e}");
            }
        }
    }
}

#[test]
fn edges() {
    let inf = f64::INFINITY;
    let same =
        |a: f64, b: f64| assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{a:e} {b:e}");
    for (f, rows) in [
        (
            exp_f64 as fn(f64) -> f64,
            vec![
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, inf),
                (-inf, 0.0),
                (1e300, inf),
                (-1e300, 0.0),
                (5e-324, 1.0),
            ],
        ),
        (
            exp_f64,
            vec![
                (710.0, inf),
                (-745.0, 5e-324),
                (-746.0, 0.0),
                (709.782_712_893_384, 1.797_693_134_862_273_2e308),
            ],
        ),
        (
            log_f64,
            vec![(1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-1.0, f64::NAN), (-inf, f64::NAN)],
        ),
        (log_f64, vec![(5e-324, -744.440_071_921_381_2), (f64::MAX, 709.782_712_893_384)]),
        (
            sin_f64,
            vec![
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, f64::NAN),
                (-inf, f64::NAN),
                (5e-324, 5e-324),
                (1e-300, 1e-300),
            ],
        ),
        (cos_f64, vec![(0.0, 1.0), (-0.0, 1.0), (inf, f64::NAN), (-inf, f64::NAN), (5e-324, 1.0)]),
        (
            tanh_f64,
            vec![(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (300.0, 1.0), (-5e-324, -5e-324)],
        ),
    ] {
        rows.into_iter().for_each(|(x, y)| same(f(x), y));
        same(f(f64::NAN), f64::NAN);
    }
    for f in [exp_f32, log_f32, sin_f32, cos_f32, tanh_f32] {
        assert!(f(f32::NAN).is_nan());
    }
    assert_eq!((exp_f32(-f32::INFINITY), exp_f32(89.0), tanh_f32(50.0)), (0.0, f32::INFINITY, 1.0));
    assert_eq!(
        (sin_f32(-0.0).to_bits(), tanh_f32(-0.0).to_bits()),
        ((-0.0_f32).to_bits(), (-0.0_f32).to_bits())
    );
    assert_eq!((log_f32(0.0), log_f32(1e-45).to_bits()), (-f32::INFINITY, (-103.278_93_f32).to_bits()));
}

#[test]
fn the_two_argument_reductions_agree() {
    for i in 0..2000 {
        let x = (1.0 + f64::from(i) * 0.37).powi(3) + 1.0;
        let (r, r_low, n) = reduce_pi::reduce_common(x);
        let (s, s_low, m) = reduce_pi::reduce_huge(x);
        assert!(n == m && ((r - s) + (r_low - s_low)).abs() < 1e-28 * x, "{x:e}");
        let (s, s_low, m) = reduce_pi::reduce_huge(-x);
        assert!((n + m) % 4 == 0 && ((r + s) + (r_low + s_low)).abs() < 1e-28 * x, "{x:e}");
    }
}

#[test]
fn identities() {
    for i in -500..500 {
        let x = f64::from(i) * 0.013;
        let (s, c) = (sin_f64(x), cos_f64(x));
        assert!((s.mul_add(s, c * c) - 1.0).abs() < 4e-16);
        assert_eq!((sin_f64(-x).to_bits(), cos_f64(-x)), ((-s).to_bits(), c));
        assert_eq!(tanh_f64(-x).to_bits(), (-tanh_f64(x)).to_bits());
        assert!((log_f64(exp_f64(x)) - x).abs() < 4e-16 * x.abs().max(1.0));
    }
}
