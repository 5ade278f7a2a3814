//! The law of `Tape::Quantise` on a small network, and two ways to break it. Seeds were fixed before the first run.

use retrograde_core::tape::Tape;
use retrograde_sample::lossy::{LEVELS, Network, Size, Verdict, judge, network, reusing_draws, rounding_to_nearest};

/// Arrays of at most one block, for the sabotage: 4 · 16 gates by 4.
const SIZE: Size = Size { batch: 4, width: 16, steps: 6 };

fn of(bits: u8) -> Network {
    network(SIZE, Tape::Quantise { bits, seed: 0 }).unwrap()
}

fn judged(lossy: &Network, level: usize) -> Verdict {
    let exact = network(SIZE, Tape::Store).unwrap();
    let verdict = judge(&exact, lossy, LEVELS[level], 7).unwrap();
    eprintln!("{verdict:?}");
    verdict
}

/// By the noncentrality of a bias of 5 %, which the assertion states, 400 draws are enough for a power of 0.9.
#[test]
fn the_mean_is_the_gradient_and_the_variance_within_its_bound() {
    for bits in [2, 4, 8] {
        let verdict = judged(&of(bits), 0);
        assert!(verdict.accepts() && verdict.is_powerful() && verdict.is_within_bounds(), "{bits}: {verdict:?}");
        // The bound says something: a uniform place between two points has 2/3 of it.
        assert!(verdict.variances.iter().zip(&verdict.bounds).all(|(found, bound)| *bound < 3.0 * found));
    }
}

#[test]
fn rounding_to_the_nearest_is_refused() {
    assert!(!judged(&of(2).tampered(rounding_to_nearest), 0).accepts());
}

#[test]
fn a_draw_used_twice_in_a_product_is_refused() {
    assert!(!judged(&of(1).tampered(reusing_draws), 1).accepts());
    assert!(judged(&of(1), 1).accepts());
}
