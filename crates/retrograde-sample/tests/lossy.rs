//! The law of `Tape::Quantise` on a small network, and two ways to break it. Seeds were fixed before the first run.

use retrograde_core::tape::Tape;
use retrograde_sample::lossy::{
    LEVELS, Network, Size, Verdict, judge, network, reusing_draws, rounding_to_nearest,
};

/// Arrays of at most one block of 256, for the sabotage.
const SIZE: Size = Size { batch: 4, width: 16, steps: 6 };

fn of(bits: u8) -> Network {
    network(SIZE, Tape::Quantise { bits, seed: 0 }, None).unwrap()
}

/// By as many draws as `LEVELS` says at this place.
fn judged(lossy: &Network, level: usize) -> Verdict {
    let exact = network(SIZE, Tape::Store, None).unwrap();
    judge(&exact, lossy, LEVELS[level], 7).unwrap()
}

/// How many draws a power of 0.9 takes is part of the verdict, from the covariance that was found: 400 for 4 bits and more.
#[test]
fn the_mean_is_the_gradient_and_the_variance_within_its_bound() {
    for bits in [4, 8] {
        let verdict = judged(&of(bits), 0);
        assert!(
            verdict.accepts() && verdict.is_powerful() && verdict.is_within_bounds(),
            "{bits}: {verdict:?}"
        );
        // The bound says something: a value that may be anywhere between two points has 2/3 of it.
        assert!(verdict.variances.iter().zip(&verdict.bounds).all(|(found, bound)| *bound < 3.0 * found));
    }
}

#[test]
fn rounding_to_the_nearest_is_refused() {
    let verdict = judged(&of(4).tampered(rounding_to_nearest), 0);
    assert!(!verdict.accepts(), "{verdict:?}");
}

/// The gates alone are lossy, so that the one that a product has twice is not lost in the noise of the rest.
#[test]
fn a_draw_used_twice_in_a_product_is_refused() {
    let lossy = network(SIZE, Tape::Store, Some(Tape::Quantise { bits: 1, seed: 0 })).unwrap();
    let sound = judged(&lossy, 1);
    assert!(sound.accepts() && sound.is_within_bounds(), "{sound:?}");
    let broken = judged(&lossy.tampered(reusing_draws), 1);
    assert!(!broken.accepts(), "{broken:?}");
}
