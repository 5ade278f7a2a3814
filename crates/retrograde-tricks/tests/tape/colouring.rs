//! C16.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::concat;
use retrograde_engine::jacobian;
use retrograde_tricks::tape::colouring::{ColouringError, Pattern, coloured_jacobian};

use crate::{draw, values};

fn n_colours(pattern: &Pattern) -> usize {
    pattern.colours().iter().max().unwrap() + 1
}

/// xᵢ₋₁ xᵢ + sin xᵢ₊₁, with zeros beyond the ends.
fn chain(x: Var) -> Var {
    let n = x.shape()[0];
    let zero = x.slice(0, 0..1) * 0.0;
    let (before, after) = (concat(&[zero, x.slice(0, 0..n - 1)], 0), concat(&[x.slice(0, 1..n), zero], 0));
    before * x + after.sin() + x.exp()
}

/// On a grid of 7 by 6, each value by itself and its four neighbours.
fn grid(x: Var) -> Var {
    let x = x.reshape([7, 6]);
    let padded = x.pad(&[(1, 1), (1, 1)], 0.0);
    let shifted = |i: usize, j: usize| padded.slice(0, i..i + 7).slice(1, j..j + 6);
    let around = shifted(0, 1) + shifted(2, 1) + shifted(1, 0) + shifted(1, 2);
    (around * x - 4.0 * x * x * x).reshape([42])
}

/// The first entry with all others, both ways.
fn arrow(x: Var) -> Var {
    let first = x.index(0, 0);
    x * first + x * x
}

/// A name, a function, entries of its argument, colours that do.
type Case = (&'static str, fn(Var) -> Var, usize, usize);

#[test]
fn a_jacobian_from_few_colours_is_that_of_all_directions() {
    let cases: [Case; 3] = [("chain", chain, 40, 3), ("grid", grid, 42, 5), ("arrow", arrow, 20, 2)];
    for (name, f, n, most) in cases {
        let pattern = Pattern::of(&f, &[draw(1, [n]), draw(2, [n])]).unwrap();
        let colours = n_colours(&pattern);
        // Of the grid, the greedy order may need a few more than the five of a perfect one.
        assert!(colours >= most && colours <= most + 2 * usize::from(name == "grid"), "{name}: {colours}");
        // No two columns of a colour share a row.
        let of = pattern.colours();
        for row in &pattern.rows {
            let mut seen: Vec<usize> = row.iter().map(|&i| of[i]).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), row.len(), "{name}");
        }
        // At another point than those the pattern was found at.
        let x = draw(3, [n]);
        let found = coloured_jacobian(&f, &pattern, &x).unwrap();
        let expected = jacobian(f).forward().call(&x).unwrap();
        // The same numbers, to the bit but for the signs of zeros.
        assert_eq!(values(&found), values(&expected), "{name}");
    }
}

#[test]
fn an_entry_that_the_pattern_misses_is_found() {
    let n = 12;
    let f = |x: Var| chain(x);
    let whole = Pattern::of(&f, &[draw(1, [n])]).unwrap();
    for row in 0..n {
        for place in 0..whole.rows[row].len() {
            let mut broken = whole.clone();
            broken.rows[row].remove(place);
            match coloured_jacobian(&f, &broken, &draw(2, [n])) {
                Err(ColouringError::Missed { .. }) => {}
                other => panic!("row {row}, place {place}: {other:?}"),
            }
        }
    }
    // More entries than there are change nothing but the colours.
    let mut wide = whole.clone();
    wide.rows.iter_mut().for_each(|row| *row = (0..n).collect());
    let x = draw(3, [n]);
    assert!(coloured_jacobian(&f, &wide, &x).unwrap().bits_eq(&coloured_jacobian(&f, &whole, &x).unwrap()));
    assert_eq!(n_colours(&wide), n);
    // A pattern of another function.
    let error = coloured_jacobian(&f, &whole, &draw(1, [n + 1])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pattern has 12 rows and 12 columns, but the function takes 13 numbers to 12"
    );
}
