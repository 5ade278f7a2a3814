//! Derivatives of digamma.

use super::double::Double;

/// From here on the asymptotic series is used, plus the order.
const ASYMPTOTIC: f64 = 18.0;
/// Below it the recurrence would take too many steps.
const LOWEST: f64 = -1000.0;

/// `B_2k`, the Bernoulli numbers, k from 1.
const BERNOULLI: [f64; 12] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174_611.0 / 330.0,
    854_513.0 / 138.0,
    -236_364_091.0 / 2730.0,
];

/// The derivative of order `n >= 1` of digamma, to a few ulp for positive `x` (relative to the largest term of the recurrence
/// for negative ones) where the order is at most 20. Infinite at zero and negative integers where both sides agree (odd `n`), NaN there for
/// even `n`, for `x < -1000` and for `n` above 100.
///
/// # Source
/// Recurrence and asymptotic series: Abramowitz and Stegun 1964, 6.4.6 and 6.4.11.
///
/// ```
/// use retrograde_array::map::polygamma_f64;
/// let trigamma = polygamma_f64(1, 1.0); // π²/6
/// assert!((trigamma - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
/// assert!(polygamma_f64(0, 1.0).is_nan());
/// ```
pub fn polygamma_f64(n: u32, x: f64) -> f64 {
    if x.is_nan() || !(1..=100).contains(&n) || x < LOWEST {
        return f64::NAN;
    }
    if x <= 0.0 && x == x.floor() {
        return if n % 2 == 1 { f64::INFINITY } else { f64::NAN };
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    // (-1)^(n+1) n! Σ 1/(x+i)^(n+1) until x is large.
    let power = |x: f64| (0..=n).fold(1.0, |y, _| y / x);
    let mut shifted = x;
    let mut sum = Double { hi: 0.0, lo: 0.0 };
    while shifted < ASYMPTOTIC + f64::from(n) {
        let (hi, lo) = super::two_sum(sum.hi, power(shifted));
        sum = Double { hi, lo: sum.lo + lo };
        shifted += 1.0;
    }
    // (n-1)!/x^n + n!/(2 x^(n+1)) + Σ B_2k (2k+n-1)! / ((2k)! x^(2k+n)), over n!.
    let first = power(shifted);
    let mut tail = 0.0;
    // (2k+n-1)! / ((2k)! n!) / x^(2k-1)
    let mut factor = 0.5 * (f64::from(n) + 1.0) / shifted;
    for (k, b) in (1..).zip(BERNOULLI) {
        tail += b * factor;
        let (two_k, n) = (2.0 * f64::from(k), f64::from(n));
        factor *= (two_k + n) * (two_k + n + 1.0) / ((two_k + 1.0) * (two_k + 2.0)) / (shifted * shifted);
    }
    let series = first * (shifted / f64::from(n) + 0.5 + tail);
    let sum = sum.hi + (sum.lo + series);
    let factorial: f64 = (1..=n).map(f64::from).product();
    let magnitude = factorial * sum;
    if n % 2 == 1 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::polygamma_f64;

    #[test]
    fn known_values() {
        let pi = std::f64::consts::PI;
        let zeta3 = 1.202_056_903_159_594_3;
        for (n, x, y) in [
            (1, 1.0, pi * pi / 6.0),
            (1, 0.5, pi * pi / 2.0),
            (1, -0.5, pi * pi / 2.0 + 4.0),
            (2, 1.0, -2.0 * zeta3),
            (2, 0.5, -14.0 * zeta3),
            (3, 1.0, pi.powi(4) / 15.0),
            (3, 0.5, pi.powi(4)),
            (5, 1.0, 8.0 * pi.powi(6) / 63.0),
            (1, 1e-3, 1_000_001.642_533_195_1),
            (1, 1e10, 1.000_000_000_05e-10),
        ] {
            let found = polygamma_f64(n, x);
            assert!((found - y).abs() <= 4e-15 * y.abs(), "{n} {x}: {found:e}, expected {y:e}");
        }
        assert_eq!(polygamma_f64(1, -3.0), f64::INFINITY);
        assert_eq!(polygamma_f64(1, f64::INFINITY), 0.0);
        assert!(
            polygamma_f64(2, 0.0).is_nan()
                && polygamma_f64(1, -1e9).is_nan()
                && polygamma_f64(0, 1.0).is_nan()
        );
    }

    #[test]
    fn each_is_the_derivative_of_the_one_before() {
        for n in 1..8 {
            for i in 1..40 {
                let (x, h) = (0.3 * f64::from(i), 1e-4);
                let slope = (polygamma_f64(n, x + h) - polygamma_f64(n, x - h)) / (2.0 * h);
                let exact = polygamma_f64(n + 1, x);
                assert!((slope - exact).abs() <= 2e-4 * exact.abs(), "{n} {x}: {slope} and {exact}");
            }
        }
    }
}
