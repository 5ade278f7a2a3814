//! Convolutions and their transposes.

use super::storage::{check, entries, stored};
use retrograde_array::ops::Window;
use retrograde_array::rng::Key;
use retrograde_array::{DType, Scratch};
use retrograde_core::prim::Prim;
use retrograde_core::prim::conv::{Conv, Form};
use retrograde_sample::Draws;

/// All three forms of a convolution over `n` examples, with `c` and `o` channels in a group.
fn check_all(
    draws: &mut Draws,
    [n, groups, c, o]: [usize; 4],
    lens: &[usize],
    window: &Window,
    dtype: DType,
    scratch: &mut Scratch,
) {
    let x = entries(draws, dtype, &[&[n, groups * c], lens].concat());
    let w = entries(draws, dtype, &[&[groups * o, c], &window.size[..]].concat());
    let y = entries(draws, dtype, &[&[n, groups * o], &window.places(lens)[..]].concat());
    for (form, a, b) in [(Form::Output, &x, &w), (Form::Input, &y, &w), (Form::Kernel, &x, &y)] {
        let conv = Conv { form, window: window.clone(), groups, lens: lens.to_vec() };
        let inputs = [stored(draws, a), stored(draws, b)];
        check(&Prim::from(conv), &inputs, scratch);
    }
}

#[test]
fn windows_of_many_kinds() {
    let mut draws = Draws::new(Key::from_seed(3));
    let mut scratch = Scratch::default();
    for _ in 0..150 {
        let rank = 1 + draws.below(3);
        let mut list = |all: &[usize]| (0..rank).map(|_| *draws.of(all)).collect::<Vec<usize>>();
        let (size, strides) = (list(&[1, 2, 3, 3]), list(&[1, 1, 2, 3]));
        let (low, high, dilation) = (list(&[0, 1, 2]), list(&[0, 1, 2]), list(&[1, 1, 2]));
        // The longest axes need several registers, the shortest are shorter than the window.
        let lens = list(&[1, 2, 5, 7, [40, 20, 9][rank - 1]]);
        let mut window = Window { size, strides, low, high, dilation };
        for axis in 0..rank {
            if window.places(&lens)[axis] == 0 {
                window.high[axis] += window.size[axis] * window.dilation[axis];
            }
        }
        let groups = *draws.of(&[1, 1, 2]);
        let counts = [1 + draws.below(3), groups, 1 + draws.below(4), 1 + draws.below(9)];
        let dtype = *draws.of(&[DType::F32, DType::F64, DType::I32]);
        check_all(&mut draws, counts, &lens, &window, dtype, &mut scratch);
    }
}

#[test]
fn as_many_as_a_network_has() {
    let mut draws = Draws::new(Key::from_seed(4));
    let mut scratch = Scratch::default();
    let same = |size: usize, stride: usize| Window {
        size: vec![size; 2],
        strides: vec![stride; 2],
        low: vec![size / 2; 2],
        high: vec![size / 2; 2],
        dilation: vec![1; 2],
    };
    for (counts, lens, window) in [
        ([3, 1, 32, 64], [14, 14], same(3, 1)),
        ([5, 1, 1, 32], [28, 28], same(3, 1)),
        ([1, 1, 3, 20], [65, 70], same(5, 2)),
        ([2, 3, 30, 5], [9, 17], same(1, 1)),
        ([2, 1, 2, 3], [200, 300], same(3, 1)),
    ] {
        for dtype in [DType::F32, DType::F64] {
            check_all(&mut draws, counts, &lens, &window, dtype, &mut scratch);
        }
    }
}

#[test]
fn nothing_at_all() {
    let mut draws = Draws::new(Key::from_seed(5));
    let mut scratch = Scratch::default();
    let window = |size: usize, low: usize| Window {
        size: vec![size],
        strides: vec![1],
        low: vec![low],
        high: vec![0],
        dilation: vec![1],
    };
    for counts in [[0, 1, 2, 3], [2, 1, 0, 3], [2, 1, 2, 0], [1, 2, 1, 1]] {
        for (len, window) in [(4, window(2, 0)), (0, window(2, 4)), (0, window(1, 1)), (1, window(1, 0))] {
            check_all(&mut draws, counts, &[len], &window, DType::F64, &mut scratch);
        }
    }
}
