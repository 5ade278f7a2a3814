//! Accuracy against high precision, and the edges of the domain.
//!
//! `reference.txt` is written by `cargo xtask reference`: function, arguments, the f64 nearest to the true value (all as bits in
//! hexadecimal) and how far the true value lies above it, in its units in the last place.

use super::*;
use crate::Element;
use crate::kernel::{Level, at_level};
use crate::rng::{Key, random_bits};

const REFERENCE: &str = include_str!("reference.txt");
const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

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

/// What errors are counted in: the ulp, but between the zeros of the reflected functions as their documentation says.
fn unit(name: &str, x: f64, nearest: f64) -> f64 {
    let reflected = match name {
        "lgamma" if x < 0.0 => lgamma_f64(1.0 - x).abs(),
        "digamma" if x < 0.0 => digamma_f64(1.0 - x).abs(),
        _ => 0.0,
    };
    ulp(nearest) + f64::EPSILON * reflected
}

/// Largest error in ulp over the rows of one function.
fn worst(name: &str, f: impl Fn(&[f64]) -> f64) -> f64 {
    let mut worst = 0.0_f64;
    let mut rows = 0;
    for line in REFERENCE.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != name {
            continue;
        }
        rows += 1;
        let bits = |word: &&str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
        let numbers: Vec<f64> = words[1..words.len() - 1].iter().map(bits).collect();
        let (&nearest, x) = numbers.split_last().unwrap();
        let rest: f64 = words[words.len() - 1].parse().unwrap();
        let y = f(x);
        let error = match (nearest.is_infinite(), y == nearest) {
            (true, true) => 0.0,
            (true, false) => INF,
            _ => ((y - nearest) / ulp(nearest) - rest).abs() * (ulp(nearest) / unit(name, x[0], nearest)),
        };
        assert!(!error.is_nan(), "{name}({x:?}) gave {y:e}");
        worst = worst.max(error);
    }
    assert_eq!(rows, 150, "rows of {name}");
    worst
}

#[test]
fn errors_are_within_the_stated_bounds() {
    for &function in Function::ALL {
        let bound = function.bound_ulp();
        if bound > 0.0 {
            let error = worst(function.name(), |x| function.f64(x)[0]);
            assert!(error < bound, "{function:?}: {error} ulp");
        }
    }
    for &function in BinaryFunction::ALL {
        let bound = function.bound_ulp();
        if bound > 0.0 {
            let error = worst(function.name(), |x| function.f64(&x[..1], &x[1..])[0]);
            assert!(error < bound, "{function:?}: {error} ulp");
        }
    }
}

#[test]
fn f32_functions_are_the_f64_ones_within_their_bounds() {
    // Every 9973rd float, infinities and NaN included.
    let x: Vec<f32> = (0..=u32::MAX).step_by(9973).map(f32::from_bits).collect();
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    for &function in Function::ALL {
        for ((x, y), reference) in x.iter().zip(function.f32(&x)).zip(function.f64(&wide)) {
            if reference.is_nan() || reference.abs() >= 3.402_823_567_797_336_6e38 {
                assert_eq!(y.key(), (reference as f32).key(), "{function:?} at {x:e}");
            } else {
                let error = ((f64::from(y) - reference) / ulp_f32(reference)).abs();
                assert!(error <= function.bound_ulp_f32(), "{function:?}: {error} at {x:e}");
            }
        }
    }
}

/// Special values, random ones of every magnitude, random ones near zero.
fn wild(seed: u64) -> Vec<f64> {
    let words = random_bits(Key::from_seed(seed), 400);
    let near = words.iter().map(|word| (word >> 40) as f64 * 4e-6 - 32.0);
    SPECIAL.into_iter().chain(words.iter().map(|&word| f64::from_bits(word))).chain(near).collect()
}

const SPECIAL: [f64; 26] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    -3.0,
    1.5,
    -2.5,
    INF,
    -INF,
    NAN,
    5e-324,
    -5e-324,
    1e-310,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    9_007_199_254_740_991.0,
    -9_007_199_254_740_993.0,
    1e300,
    -1e17,
    745.0,
];

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let (x, y) = (wild(1), wild(2));
    let narrow = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
    let (x_narrow, y_narrow) = (narrow(&x), narrow(&y));
    let keys = |y: Vec<f64>| y.iter().map(|y| y.key()).collect::<Vec<_>>();
    let keys_narrow = |y: Vec<f32>| y.iter().map(|y| y.key()).collect::<Vec<_>>();
    let levels = [Level::Portable, Level::Avx2, Level::Avx512];
    for &function in Function::ALL {
        let [a, b, c] = levels.map(|level| at_level(level, || keys(function.f64(&x))));
        assert!(a == b && b == c, "{function:?}");
        let [a, b, c] = levels.map(|level| at_level(level, || keys_narrow(function.f32(&x_narrow))));
        assert!(a == b && b == c, "{function:?} in f32");
    }
    for &function in BinaryFunction::ALL {
        let [a, b, c] = levels.map(|level| at_level(level, || keys(function.f64(&x, &y))));
        assert!(a == b && b == c, "{function:?}");
        let [a, b, c] =
            levels.map(|level| at_level(level, || keys_narrow(function.f32(&x_narrow, &y_narrow))));
        assert!(a == b && b == c, "{function:?} in f32");
    }
}

#[test]
fn edges() {
    let pi = std::f64::consts::PI;
    let tiny = 5e-324;
    let rows: &[(Function, &[(f64, f64)])] = &[
        (Function::Abs, &[(-0.0, 0.0), (-INF, INF), (-tiny, tiny)]),
        (Function::Sign, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-tiny, -1.0)]),
        (Function::Floor, &[(-0.5, -1.0), (2.5, 2.0), (-0.0, -0.0), (-INF, -INF), (1e300, 1e300)]),
        (Function::Ceil, &[(-0.5, -0.0), (2.5, 3.0), (tiny, 1.0), (INF, INF)]),
        (Function::Round, &[(0.5, 0.0), (-0.5, -0.0), (1.5, 2.0), (2.5, 2.0), (-3.5, -4.0), (INF, INF)]),
        (Function::Rsqrt, &[(0.0, INF), (-0.0, -INF), (INF, 0.0), (4.0, 0.5), (-1.0, NAN), (-INF, NAN)]),
        (Function::Cbrt, &[(-0.0, -0.0), (INF, INF), (-INF, -INF), (-27.0, -3.0), (1e-300, 1e-100)]),
        (Function::Exp, &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e300, INF), (-1e300, 0.0)]),
        (Function::Exp, &[(tiny, 1.0), (710.0, INF), (-745.0, tiny), (-746.0, 0.0)]),
        (Function::Exp, &[(709.782_712_893_384, 1.797_693_134_862_273_2e308)]),
        (
            Function::Exp2,
            &[(10.0, 1024.0), (-1074.0, tiny), (-1076.0, 0.0), (1024.0, INF), (INF, INF), (-INF, 0.0)],
        ),
        (
            Function::Expm1,
            &[(-0.0, -0.0), (tiny, tiny), (INF, INF), (-INF, -1.0), (-50.0, -1.0), (710.0, INF)],
        ),
        (Function::Log, &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN)]),
        (Function::Log, &[(tiny, -744.440_071_921_381_2), (f64::MAX, 709.782_712_893_384)]),
        (Function::Log2, &[(8.0, 3.0), (tiny, -1074.0), (0.0, -INF), (INF, INF), (-1.0, NAN), (1.0, 0.0)]),
        (Function::Log1p, &[(-0.0, -0.0), (tiny, tiny), (-1.0, -INF), (-1.5, NAN), (INF, INF), (-INF, NAN)]),
        (Function::Sin, &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (tiny, tiny), (1e-300, 1e-300)]),
        (Function::Cos, &[(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (tiny, 1.0)]),
        (Function::Tan, &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (-tiny, -tiny)]),
        (
            Function::Asin,
            &[(-0.0, -0.0), (1.0, pi / 2.0), (-1.0, -pi / 2.0), (1.1, NAN), (-INF, NAN), (tiny, tiny)],
        ),
        (Function::Acos, &[(1.0, 0.0), (0.0, pi / 2.0), (-1.0, pi), (1.1, NAN), (-INF, NAN)]),
        (Function::Atan, &[(-0.0, -0.0), (1.0, pi / 4.0), (INF, pi / 2.0), (-INF, -pi / 2.0), (tiny, tiny)]),
        (Function::Sinh, &[(-0.0, -0.0), (INF, INF), (-INF, -INF), (-711.0, -INF), (tiny, tiny)]),
        (Function::Cosh, &[(-0.0, 1.0), (INF, INF), (-INF, INF), (-711.0, INF)]),
        (Function::Tanh, &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (300.0, 1.0), (-tiny, -tiny)]),
        (
            Function::Asinh,
            &[(-0.0, -0.0), (INF, INF), (-INF, -INF), (tiny, tiny), (f64::MAX, 710.475_860_073_944)],
        ),
        (
            Function::Acosh,
            &[(1.0, 0.0), (0.9, NAN), (-INF, NAN), (INF, INF), (f64::MAX, 710.475_860_073_944)],
        ),
        (Function::Atanh, &[(-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.1, NAN), (INF, NAN), (tiny, tiny)]),
        (Function::Logistic, &[(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e300, 1.0), (-745.0, tiny)]),
        (
            Function::Softplus,
            &[(INF, INF), (-INF, 0.0), (1e300, 1e300), (-745.0, tiny), (0.0, std::f64::consts::LN_2)],
        ),
        (Function::Erf, &[(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (7.0, 1.0), (tiny, tiny)]),
        (Function::Erfc, &[(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (28.0, 0.0), (-7.0, 2.0), (1e300, 0.0)]),
        (Function::ErfInv, &[(-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.1, NAN), (-INF, NAN), (tiny, tiny)]),
        (
            Function::Lgamma,
            &[(1.0, 0.0), (2.0, 0.0), (0.0, INF), (-0.0, INF), (-3.0, INF), (INF, INF), (-INF, INF)],
        ),
        (
            Function::Lgamma,
            &[(1e306, INF), (-1e300, INF), (3.0, std::f64::consts::LN_2), (tiny, 744.440_071_921_381_2)],
        ),
        (Function::Digamma, &[(0.0, -INF), (-0.0, INF), (-3.0, NAN), (INF, INF), (-INF, NAN), (tiny, -INF)]),
        (Function::Digamma, &[(1.0, -0.577_215_664_901_532_9)]),
        (Function::BesselI0e, &[(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 0.0)]),
        (Function::BesselI1e, &[(-0.0, -0.0), (INF, 0.0), (-INF, -0.0), (1e-300, 5e-301)]),
        (
            Function::LogBesselI0,
            &[(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, INF), (1e300, 1e300), (tiny, 0.0)],
        ),
    ];
    for (function, rows) in rows {
        for &(x, y) in *rows {
            assert_eq!(function.f64(&[x])[0].key(), y.key(), "{function:?} of {x:e}");
            let (x, y) = (x as f32, y as f32);
            // An f64 that is no f32 has another value there.
            if f64::from(x).abs() > 1e-44 && f64::from(x).abs() < 1e38 && y != 0.0 && y.is_finite() {
                let near = function.f32(&[x])[0];
                assert!((near - y).abs() <= 4e-7 * y.abs(), "{function:?} of {x:e} is {near:e}");
            }
        }
    }
    for &function in Function::ALL {
        assert!(function.f64(&[NAN])[0].is_nan() && function.f32(&[f32::NAN])[0].is_nan(), "{function:?}");
        assert!(rows.iter().any(|row| row.0 == function), "no row of {function:?}");
    }
    assert_eq!((exp_f32(-f32::INFINITY), exp_f32(89.0), tanh_f32(50.0)), (0.0, f32::INFINITY, 1.0));
    assert_eq!(
        (sin_f32(-0.0).to_bits(), tanh_f32(-0.0).to_bits()),
        ((-0.0_f32).to_bits(), (-0.0_f32).to_bits())
    );
    assert_eq!((log_f32(0.0), log_f32(1e-45).to_bits()), (-f32::INFINITY, (-103.278_93_f32).to_bits()));
}

/// The system's `pow` and `atan2` follow IEEE 754 wherever the result is no ordinary number.
#[test]
fn functions_of_two_keep_ieee_754_at_the_edges() {
    for x in SPECIAL {
        for y in SPECIAL {
            let (power, expected) = (pow_f64(x, y), x.powf(y));
            let ordinary = expected.is_finite() && expected != 0.0;
            let near = ordinary && (power - expected).abs() <= 4.0 * ulp(expected);
            assert!(
                near || power.key() == expected.key(),
                "pow({x:e}, {y:e}) is {power:e}, not {expected:e}"
            );

            let (angle, expected) = (atan2_f64(y, x), y.atan2(x));
            let near = expected != 0.0 && (angle - expected).abs() <= 4.0 * ulp(expected);
            assert!(
                near || angle.key() == expected.key(),
                "atan2({y:e}, {x:e}) is {angle:e}, not {expected:e}"
            );
        }
    }
    assert_eq!((powi_f64(-3.0, 3), powi_f64(-0.0, -3), powi_f32(2.0, -149)), (-27.0, -INF, 1e-45));
    assert_eq!((powi_f64(NAN, 0), powi_f64(INF, i32::MIN), powi_f64(-1.0, i32::MAX)), (1.0, 0.0, -1.0));
}

/// Between the largest negative numbers with a fraction, where only whole turns taken off exactly leave the right sine.
#[test]
fn reflection_holds_for_huge_arguments() {
    let rows = [
        (-2_251_799_813_685_248.5, -7.735_046_348_042_312e16, 35.350_506_208_557_21),
        (-2_251_799_813_685_249.5, -7.735_046_348_042_315e16, 35.350_506_208_557_21),
        (-1_125_899_906_842_624.2, -3.789_481_739_419_09e16, 37.798_951_681_587_056),
    ];
    for (x, lgamma, digamma) in rows {
        assert!((lgamma_f64(x) - lgamma).abs() <= 2.0 * ulp(lgamma), "lgamma({x:e}) is {:e}", lgamma_f64(x));
        assert!((digamma_f64(x) - digamma).abs() <= ulp(digamma), "digamma({x:e}) is {:e}", digamma_f64(x));
    }
}

#[test]
fn remainders_are_exact() {
    let (x, y) = (wild(3), wild(4));
    for &x in &x {
        for &y in &y {
            assert_eq!(rem_f64(x, y).key(), (x % y).key(), "{x:e} % {y:e}");
            let (x, y) = (x as f32, y as f32);
            assert_eq!(rem_f32(x, y).key(), (x % y).key(), "{x:e} % {y:e} in f32");
        }
    }
}

#[test]
fn the_smaller_and_the_clamped() {
    for x in SPECIAL {
        for y in SPECIAL {
            let zeros = x == 0.0 && y == 0.0;
            let expected =
                if zeros && (x.is_sign_negative() || y.is_sign_negative()) { -0.0 } else { x.min(y) };
            let expected = if x.is_nan() || y.is_nan() { NAN } else { expected };
            assert_eq!(min_f64(x, y).key(), expected.key(), "{x:e} and {y:e}");
            assert_eq!(min_f32(x as f32, y as f32).key(), (expected as f32).key(), "{x:e} and {y:e}");
        }
    }
    assert_eq!(
        (clamp_f64(3.0, 0.0, 1.0), clamp_f64(-3.0, 0.0, 1.0), clamp_f64(0.5, 0.0, 1.0)),
        (1.0, 0.0, 0.5)
    );
    assert_eq!((clamp_f64(0.0, 2.0, 1.0), clamp_f32(-INF as f32, -1.0, 1.0)), (1.0, -1.0));
    assert!(clamp_f64(NAN, 0.0, 1.0).is_nan() && clamp_f64(0.0, NAN, 1.0).is_nan());
}

/// A table continues its nearest piece rather than failing.
#[test]
fn tables_hold_for_any_argument() {
    for x in wild(5) {
        coefficients::ERFCX.at(x, 0.0);
        coefficients::I0_TAIL.at(x, 0.0);
    }
    assert_eq!(coefficients::ERF_SMALL.at(0.0, 0.0).value(), std::f64::consts::FRAC_2_SQRT_PI);
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

/// The common reduction sees rare angles, too; the bits of a NaN may be any multiple of a turn, the largest integer as well.
#[test]
fn a_nan_of_any_bits_has_no_sine() {
    let narrow: Vec<f32> = [0x7fff_ffff, 0xffff_ffff, 0x7fc0_0000].map(f32::from_bits).to_vec();
    let wide: Vec<f64> = [u64::MAX >> 1, u64::MAX, 0x7ff8 << 48].map(f64::from_bits).to_vec();
    for function in [Function::Sin, Function::Cos, Function::Tan] {
        assert!(function.f32(&narrow).iter().all(|y| y.is_nan()), "{function:?}");
        assert!(function.f64(&wide).iter().all(|y| y.is_nan()), "{function:?}");
    }
}
