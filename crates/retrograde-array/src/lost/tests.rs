//! Exact reversal on random and adversarial values.

use super::*;
use crate::rng::{Key, random_bits};
use crate::{Array, array, bf16};

/// Values that meet ties, powers of two, zeros, subnormals and wide gaps, from random words.
fn adversarial(word: u64, near: f64) -> f64 {
    let small = (word >> 8) as u32 % 5;
    let sign = if word & 16 == 0 { 1.0 } else { -1.0 };
    let power = |range: i32| sign * 2.0_f64.powi((word >> 20) as i32 % range);
    match word % 16 {
        0 => sign * 0.0,
        1 => f64::from_bits((word >> 12) & 0xff | (word << 59) & (1 << 63)),
        2 => f64::from_bits(word >> 12 | (word << 59) & (1 << 63)),
        3 => power(40),
        4 => power(1000),
        5 => f64::from_bits(power(1000).to_bits() - u64::from(small)),
        6 => f64::from_bits(power(40).to_bits() + u64::from(small)),
        7 => near,
        8 => -near,
        9 => f64::from_bits(near.to_bits() ^ (word >> 60)),
        10 => near * (1.0 + f64::EPSILON * f64::from(small)) * 2.0_f64.powi(small as i32 - 54),
        11 => near * 0.5 + sign * near * f64::EPSILON * 0.25,
        12 => sign * f64::MAX * (1.0 - f64::from(small) * f64::EPSILON / 2.0),
        13 => near * 1e-3 * sign,
        14 => (word >> 40) as f64 * sign,
        _ => f64::from_bits(word),
    }
}

fn round_trip<T: Real>(x: T, step: Step<T>) -> Option<usize> {
    let y = step.apply(x);
    let mut stack = BitStack::default();
    match record(y, x, step, &mut stack) {
        Ok(()) => {
            let recorded = stack.clone();
            let kept = stack.len_bits();
            let back = restore(y, step, &mut stack).unwrap();
            assert_eq!(back.place(), x.place(), "{step:?} from {x:?} to {y:?}");
            assert!(stack.is_empty());
            flips_are_noticed(y, x, step, &recorded);
            Some(kept)
        }
        Err(error) => {
            assert_eq!(error, LostError::NotFinite);
            assert!(!(x.is_finite() && y.is_finite() && step.is_finite()));
            None
        }
    }
}

/// A wrong bit (one of them, by a hash of `y`) gives another value or an error; a missing one is an error.
fn flips_are_noticed<T: Real>(y: T, x: T, step: Step<T>, recorded: &BitStack) {
    let kept = recorded.len_bits();
    if kept == 0 {
        return;
    }
    let mut wrong = recorded.clone();
    wrong.flip((y.place().unsigned_abs() as usize).wrapping_mul(0x9e37_79b9) % kept);
    match restore(y, step, &mut wrong) {
        Ok(other) => assert_ne!(other.place(), x.place()),
        Err(error) => assert_eq!(error, LostError::Corrupt),
    }
    let mut short = BitStack::default();
    short.push(0, kept as u32 - 1);
    assert_eq!(restore(y, step, &mut short), Err(LostError::Exhausted));
}

#[test]
fn adversarial_values_come_back() {
    let mut reversed = 0;
    for seed in 0..40 {
        let words = random_bits(Key::from_seed(seed), 3 * 1000);
        for w in words.chunks_exact(3) {
            let x = adversarial(w[0], 1.5);
            let d = adversarial(w[1], x);
            let b = adversarial(w[2], if d == 0.0 { x } else { x / d });
            reversed += usize::from(round_trip(x, Step::Add(d)).is_some());
            reversed += usize::from(round_trip(x, Step::Fma(d, b)).is_some());
            reversed += usize::from(round_trip(x as f32, Step::Add(d as f32)).is_some());
            reversed += usize::from(round_trip(x as f32, Step::Fma(d as f32, b as f32)).is_some());
            let [x, d, b] = [x, d, b].map(bf16::from_f64);
            reversed += usize::from(round_trip(x, Step::Add(d)).is_some());
            reversed += usize::from(round_trip(x, Step::Fma(d, b)).is_some());
        }
    }
    assert!(reversed > 90_000, "only {reversed} were finite");
}

#[test]
fn small_floats_exhaustively() {
    // All pairs of a set that is dense around zero and around a power of two.
    let grid: Vec<f32> = (-20..20)
        .map(f32::from_place)
        .chain((-8..8).map(|i| f32::from_place(1.0_f32.place() + i)))
        .chain((-8..8).map(|i| f32::from_place((-1.0_f32).place() + i)))
        .chain((-8..8).map(|i| f32::from_place(f32::EPSILON.place() + i)))
        .collect();
    for &x in &grid {
        for &d in &grid {
            round_trip(x, Step::Add(d));
            round_trip(x, Step::Fma(d, 1.0));
            round_trip(x, Step::Fma(d, 0.75));
        }
    }
}

#[test]
fn every_bf16_comes_back() {
    // Steps of every size against every value.
    let steps = [0.0, -0.0, 1.0, -1.0, 1e-3, 0.3, 200.0, 1e-38, -1e-40, 3e38].map(bf16::from_f64);
    for x in (0..=u16::MAX).map(bf16::from_bits) {
        for d in steps {
            round_trip(x, Step::Add(d));
            round_trip(x, Step::Fma(d, bf16::from_f64(0.7)));
        }
    }
}

#[test]
fn preimages_are_all_of_them() {
    // Every f32 near x is asked where it leads; the interval must be exactly those that lead to y.
    for seed in 0..200 {
        let words = random_bits(Key::from_seed(1000 + seed), 2);
        let x = adversarial(words[0], 1.5) as f32;
        let step = Step::Add(adversarial(words[1], f64::from(x)) as f32);
        let y = step.apply(x);
        if !(x.is_finite() && y.is_finite() && step.is_finite()) {
            continue;
        }
        let (first, last) = step.preimages(y, step.candidate(y).0).unwrap();
        for place in (first - 3..=first + 100).chain(last - 100..=last + 3) {
            if (-1 - f32::LARGEST_PLACE..=f32::LARGEST_PLACE).contains(&place) {
                let leads = step.apply(f32::from_place(place)).place() == y.place();
                assert_eq!(leads, (first..=last).contains(&place));
            }
        }
        if step.candidate(y).1 {
            assert_eq!((first, last), (x.place(), x.place()));
        }
    }
}

#[test]
fn small_steps_cost_few_bits() {
    let n = 100_000;
    let x = crate::rng::normal(Key::from_seed(1), [n]);
    let d = crate::ops::binary(
        crate::ops::Binary::Mul,
        &crate::rng::normal(Key::from_seed(2), [n]),
        &array(1e-3),
    );
    let d = d.unwrap();
    let y = crate::ops::binary(crate::ops::Binary::Add, &x, &d).unwrap();
    let mut stack = BitStack::default();
    record_array(&y, &x, ArrayStep::Add(&d), &mut stack).unwrap();
    // A step of a thousandth of the value loses something in about 1 % of the additions.
    assert!(stack.len_bits() < n / 50, "{} bits", stack.len_bits());
    assert_eq!(restore_array(&y, ArrayStep::Add(&d), &mut stack), Ok(x));
    assert!(stack.is_empty());
}

#[test]
fn slices_are_recorded_forwards_and_restored_backwards() {
    for seed in 0..50 {
        let n = 100;
        let words = random_bits(Key::from_seed(seed), 3 * n);
        let finite = |x: f64| if x.abs() < 1e100 { x } else { 1.0 };
        let xs: Vec<f64> = words[..n].iter().map(|&w| finite(adversarial(w, 1.5))).collect();
        let a: Vec<f64> = (0..n).map(|i| finite(adversarial(words[n + i], xs[i]))).collect();
        let b: Vec<f64> = words[2 * n..].iter().map(|&w| finite(adversarial(w, 0.5))).collect();
        let mut stack = BitStack::default();
        let mut single = BitStack::default();
        let ys: Vec<f64> = (0..n).map(|i| xs[i] + a[i]).collect();
        let zs: Vec<f64> = (0..n).map(|i| a[i].mul_add(b[i], ys[i])).collect();
        record_slice(&ys, &xs, SliceStep::Add(&a), &mut stack).unwrap();
        record_slice(&zs, &ys, SliceStep::Fma(&a, &b), &mut stack).unwrap();
        for i in 0..n {
            record(ys[i], xs[i], Step::Add(a[i]), &mut single).unwrap();
        }
        for i in 0..n {
            record(zs[i], ys[i], Step::Fma(a[i], b[i]), &mut single).unwrap();
        }
        assert_eq!(stack, single);

        let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let mut portable = stack.clone();
        let back = restore_slice(&zs, SliceStep::Fma(&a, &b), &mut stack).unwrap();
        assert_eq!(bits(&back), bits(&ys));
        assert_eq!(bits(&restore_slice(&ys, SliceStep::Add(&a), &mut stack).unwrap()), bits(&xs));
        assert!(stack.is_empty());
        let again = crate::kernel::at_level(crate::kernel::Level::Portable, || {
            restore_slice(&zs, SliceStep::Fma(&a, &b), &mut portable).unwrap()
        });
        assert_eq!(bits(&again), bits(&ys));
    }
}

#[test]
fn a_flipped_bit_changes_the_array() {
    let x = crate::rng::normal(Key::from_seed(5), [200]);
    let d = crate::rng::normal(Key::from_seed(6), [200]);
    let y = crate::ops::binary(crate::ops::Binary::Add, &x, &d).unwrap();
    let mut stack = BitStack::default();
    record_array(&y, &x, ArrayStep::Add(&d), &mut stack).unwrap();
    assert!(stack.len_bits() > 20);
    for bit in 0..stack.len_bits() {
        let mut wrong = stack.clone();
        wrong.flip(bit);
        assert_ne!(restore_array(&y, ArrayStep::Add(&d), &mut wrong), Ok(x.clone()));
    }
}

#[test]
fn what_cannot_be_reversed_is_an_error() {
    let mut stack = BitStack::default();
    let inf = f64::INFINITY;
    assert_eq!(record(inf, f64::MAX, Step::Add(f64::MAX), &mut stack), Err(LostError::NotFinite));
    assert_eq!(record(f64::NAN, f64::NAN, Step::Add(1.0), &mut stack), Err(LostError::NotFinite));
    assert_eq!(record(inf, 1.0, Step::Fma(inf, 1.0), &mut stack), Err(LostError::NotFinite));
    assert_eq!(record(3.0, 1.0, Step::Add(1.0), &mut stack), Err(LostError::Mismatch));
    assert_eq!(record(0.0, 0.0, Step::Add(1e300), &mut stack), Err(LostError::Mismatch));
    assert_eq!(restore(inf, Step::Add(1.0), &mut stack), Err(LostError::NotFinite));
    assert_eq!(restore(f64::NAN, Step::Fma(1.0, 1.0), &mut stack), Err(LostError::NotFinite));
    assert_eq!(restore(1.0, Step::Add(1e300), &mut stack), Err(LostError::Corrupt));
    assert!(stack.is_empty());
    let ints = Array::vector(vec![1.0, inf]);
    let zero = array([0.0, 0.0]);
    assert_eq!(record_array(&ints, &ints, ArrayStep::Add(&zero), &mut stack), Err(LostError::NotFinite));
}

#[test]
fn zeros_keep_their_signs() {
    for x in [0.0_f64, -0.0] {
        for d in [0.0, -0.0, 1.0, -1.0, 5e-324, 1e308] {
            round_trip(x, Step::Add(d));
            round_trip(x, Step::Fma(d, 0.5));
            round_trip(x, Step::Fma(d, -0.0));
            round_trip(x, Step::Fma(d, 5e-324));
            round_trip(-d, Step::Add(d));
        }
    }
}

/// Products so large that nearly every float is a preimage: the search must end.
#[test]
fn preimages_that_span_half_of_all_floats_are_searched() {
    for i in 0..50 {
        let step = Step::Fma(1e9 + 1.0 / 3.0 + f64::from(i), 1e10 + 1.0 / 7.0);
        for x in [3.0, -3.0, 0.0, 1e-300, 1e18] {
            round_trip(x, step);
        }
    }
}
