//! Windows and convolutions against loops over all index vectors.

use super::*;
use crate::ops::{Convolution, ConvolutionForm, Window};

fn window(size: &[usize], strides: &[usize], low: &[usize], high: &[usize], dilation: &[usize]) -> Window {
    let [size, strides, low, high, dilation] = [size, strides, low, high, dilation].map(<[usize]>::to_vec);
    Window { size, strides, low, high, dilation }
}

/// The position in the input under entry `k` of the window at place `o`, unless that is padding.
fn under(window: &Window, lens: &[usize], o: &[usize], k: &[usize]) -> Option<Vec<usize>> {
    (0..lens.len())
        .map(|i| {
            let at = o[i] * window.strides[i] + k[i] * window.dilation[i];
            at.checked_sub(window.low[i]).filter(|&at| at < lens[i])
        })
        .collect()
}

fn cases() -> Vec<(Window, Vec<usize>)> {
    vec![
        (window(&[3], &[1], &[0], &[0], &[1]), vec![5]),
        (window(&[3], &[2], &[1], &[2], &[2]), vec![7]),
        (window(&[2, 3], &[2, 1], &[1, 0], &[0, 2], &[1, 2]), vec![4, 6]),
        (window(&[2, 1, 2], &[1, 2, 2], &[1, 0, 0], &[1, 0, 1], &[1, 1, 1]), vec![2, 3, 4]),
        (window(&[3], &[1], &[0], &[0], &[1]), vec![2]),
    ]
}

#[test]
fn windows_and_their_transpose() {
    for (window, lens) in cases() {
        let x = random(DType::F64, &[&[2], &lens[..]].concat(), 1);
        let places = window.places(&lens);
        let d = lens.len();
        let y = ops::windows(&x, &window);
        let shape = [&[2], &places[..], &window.size].concat();
        let plain = build(DType::F64, &shape, |i| match under(&window, &lens, &i[1..=d], &i[1 + d..]) {
            Some(from) => at(&x, &[&[i[0]], &from[..]].concat()),
            None => Scalar::F64(0.0),
        });
        assert!(y.bits_eq(&plain), "{window:?}");

        let y = random(DType::F64, &shape, 2);
        let mut sums = vec![0.0; x.size()];
        for i in indices(&shape) {
            if let Some(from) = under(&window, &lens, &i[1..=d], &i[1 + d..]) {
                let Scalar::F64(entry) = at(&y, &i) else { unreachable!() };
                sums[position(x.shape(), &[&[i[0]], &from[..]].concat())] += entry;
            }
        }
        assert!(ops::add_windows(&y, &window, &lens).bits_eq(&Array::new(x.shape().clone(), sums).unwrap()));
    }
}

#[test]
fn convolutions_are_sums_over_windows() {
    let real = |x: Scalar| x.to_f64();
    for (window, lens) in cases() {
        for groups in [1, 2] {
            let (n, c, o, d) = (2, 3, 2, lens.len());
            let places = window.places(&lens);
            let x = random(DType::F64, &[&[n, groups * c], &lens[..]].concat(), 1);
            let w = random(DType::F64, &[&[groups * o, c], &window.size[..]].concat(), 2);
            let y = random(DType::F64, &[&[n, groups * o], &places[..]].concat(), 3);
            // The three functions, entry by entry from the one form.
            let mut sums = [vec![0.0; y.size()], vec![0.0; x.size()], vec![0.0; w.size()]];
            for i in indices(y.shape()) {
                for k in indices(&[&[c], &window.size[..]].concat()) {
                    let Some(from) = under(&window, &lens, &i[2..], &k[1..]) else { continue };
                    let at_x = [&[i[0], i[1] / o * c + k[0]], &from[..]].concat();
                    let at_w = [&[i[1]], &k[..]].concat();
                    let (xe, we, ye) = (real(at(&x, &at_x)), real(at(&w, &at_w)), real(at(&y, &i)));
                    sums[0][position(y.shape(), &i)] += xe * we;
                    sums[1][position(x.shape(), &at_x)] += ye * we;
                    sums[2][position(w.shape(), &at_w)] += xe * ye;
                }
            }
            let found = [
                ops::conv(&x, &w, &window, groups),
                ops::conv_input(&y, &w, &window, groups, &lens),
                ops::conv_kernel(&x, &y, &window, groups),
            ];
            for ((found, like), sums) in found.iter().zip([&y, &x, &w]).zip(&sums) {
                assert_eq!(found.shape(), like.shape());
                let close =
                    found.scalars().zip(sums).all(|(a, b)| (real(a) - b).abs() <= 1e-12 * (1.0 + b.abs()));
                assert!(close, "{window:?} over {lens:?} in {groups} groups, {d} axes");
            }
        }
    }
}

#[test]
fn the_largest_entry_under_a_window() {
    let w = window(&[2, 2], &[2, 2], &[0, 1], &[0, 0], &[1, 1]);
    let x = crate::array([[1.0, 5.0, f64::NAN, 2.0, 2.0], [1.0, 0.0, 7.0, 2.0, 2.0]]);
    // Columns: padding and 0, then 1 and 2, then 3 and 4.
    assert_eq!(ops::window_argmax(&x, &w), crate::array([[0_i64, 2, 3]]));
}

#[test]
fn convolutions_of_windows_that_are_never_whole() {
    let window = Window {
        size: vec![3, 2],
        strides: vec![1, 2],
        low: vec![1, 2],
        high: vec![2, 0],
        dilation: vec![1, 2],
    };
    let lens = [9, 21];
    for dtype in [DType::F64, DType::F32, DType::I64] {
        let x = random(dtype, &[&[2, 6], &lens[..]].concat(), 1);
        let w = random(dtype, &[10, 3, 3, 2], 2);
        let y = random(dtype, &[&[2, 10], &window.places(&lens)[..]].concat(), 3);
        let expected = [
            (ConvolutionForm::Output, &x, &w, crate::ops::conv(&x, &w, &window, 2)),
            (ConvolutionForm::Input, &y, &w, crate::ops::conv_input(&y, &w, &window, 2, &lens)),
            (ConvolutionForm::Kernel, &x, &y, crate::ops::conv_kernel(&x, &y, &window, 2)),
        ];
        for (form, a, b, expected) in expected {
            let convolution = Convolution::new(form, [a.shape(), b.shape()], &window, 2, &lens);
            let found = everywhere(|| {
                let mut out = Array::zeros(dtype, convolution.shape().clone());
                convolution.run(a, b, &mut out, &crate::Alone, &mut crate::Scratch::default());
                out
            });
            assert_eq!(found, expected, "{form:?} {dtype}");
        }
    }
}
