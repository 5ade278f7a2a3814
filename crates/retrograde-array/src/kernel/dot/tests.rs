//! Products and convolutions of few entries, in every way in which factors are copied and tiles are cut.

use crate::kernel::{Level, at_level};
use crate::ops::{self, Convolution, ConvolutionForm, DotDims, Product, Window};
use crate::{Alone, Array, DType, Scratch, Threads, Workers};

/// Numbers without a pattern, of both signs.
fn scattered(dtype: DType, shape: &[usize]) -> Array {
    let number = |i: usize| ((i + 1) as f64 * 0.618_034).fract() * 8.0 - 4.0;
    let numbers = (0..shape.iter().product()).map(number).collect();
    ops::convert(&Array::new(shape, numbers).unwrap(), dtype)
}

/// Whether every level and number of threads, two where it `is_shared`, gives this array.
fn everywhere(
    expected: &Array,
    is_shared: bool,
    run: &dyn Fn(&mut Array, &dyn Workers, &mut Scratch),
    what: &str,
) {
    for level in Level::available() {
        for workers in [&Alone as &dyn Workers, &Threads(3)].into_iter().take(1 + usize::from(is_shared)) {
            let mut out = Array::zeros(expected.dtype(), expected.shape().clone());
            at_level(level, || run(&mut out, workers, &mut Scratch::default()));
            assert_eq!(&out, expected, "{what} at {level:?} with {} threads", workers.count());
        }
    }
}

/// Chains of 256 terms, added one after the other: Note [canonical product].
fn canonical(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Array {
    let entry = |i: usize, j: usize| {
        let terms: Vec<usize> = (0..k).collect();
        let chain =
            |block: &[usize]| block.iter().fold(0.0, |sum, &t| a[i * k + t].mul_add(b[t * n + j], sum));
        terms.chunks(256).map(chain).reduce(|total, chain| total + chain).unwrap_or(0.0)
    };
    Array::new([m, n], (0..m * n).map(|at| entry(at / n, at % n)).collect()).unwrap()
}

#[test]
fn products_in_every_layout_touch_their_entries_and_no_others() {
    let all = [
        // Tiles of every height, of one to three registers, the last of them in part.
        [7, 2, 5],
        [3, 2, 13],
        [3, 2, 21],
        // One column; two blocks of terms.
        [5, 3, 1],
        [1, 257, 2],
        // More columns than are copied at a time; more rows than are.
        [1, 2, 200],
        [129, 2, 25],
        // So many rows that the right factor is copied, so many columns that the left one is, and large enough to be shared.
        if cfg!(miri) { [17, 2, 25] } else { [70, 260, 70] },
    ];
    for [m, k, n] in all {
        let (a, b) = (scattered(DType::F64, &[m, k]), scattered(DType::F64, &[k, n]));
        let is_shared = !cfg!(miri) || m == 17;
        let expected = canonical(&a.to_vec().unwrap(), &b.to_vec().unwrap(), [m, k, n]);
        let (across_a, across_b) =
            (ops::transpose(&a, &[1, 0]).compact(), ops::transpose(&b, &[1, 0]).compact());
        for (i, (a, a_contract)) in [(&a, 1), (&across_a, 0)].into_iter().enumerate() {
            for (j, (b, b_contract)) in [(&b, 0), (&across_b, 1)].into_iter().enumerate() {
                // These two copy all that is ever copied.
                if cfg!(miri) && i != j {
                    continue;
                }
                let dims = DotDims {
                    lhs_contract: vec![a_contract],
                    rhs_contract: vec![b_contract],
                    ..DotDims::default()
                };
                let product = Product::new(a.shape(), b.shape(), &dims);
                let what = format!("{:?} by {:?}", a.shape(), b.shape());
                everywhere(
                    &expected,
                    is_shared,
                    &|out, workers, scratch| product.run(a, b, out, workers, scratch),
                    &what,
                );
            }
        }
    }
}

#[test]
fn convolutions_touch_their_entries_and_no_others() {
    let window = |size: &[usize], strides: &[usize], low: &[usize], high: &[usize], dilation: &[usize]| {
        let [size, strides, low, high, dilation] =
            [size, strides, low, high, dilation].map(<[usize]>::to_vec);
        Window { size, strides, low, high, dilation }
    };
    // Lengths, examples, groups, channels and outputs of each: rows longer than a register, places in pieces and with gaps, and more
    // windows than are copied at a time.
    let cases = [
        (window(&[3], &[1], &[1], &[1], &[1]), vec![11], [2, 1, 2, 3]),
        (window(&[2, 2], &[1, 2], &[1, 1], &[0, 2], &[1, 2]), vec![3, 9], [1, 2, 1, 2]),
        (window(&[2, 1, 2], &[1, 2, 1], &[1, 0, 0], &[1, 0, 1], &[1, 1, 1]), vec![2, 3, 4], [1, 1, 2, 1]),
        (window(&[3], &[1], &[0], &[0], &[1]), vec![2], [1, 1, 1, 1]),
        (window(&[10], &[1], &[0], &[0], &[1]), vec![12], [1, 1, 52, 1]),
    ];
    for (window, lens, [n, groups, c, o]) in cases.into_iter().take(if cfg!(miri) { 4 } else { 5 }) {
        let is_shared = !cfg!(miri) || groups > 1;
        for dtype in if cfg!(miri) { &[DType::F32][..] } else { &[DType::F32, DType::F64, DType::I64] } {
            let places = window.places(&lens);
            let x = scattered(*dtype, &[&[n, groups * c], &lens[..]].concat());
            let w = scattered(*dtype, &[&[groups * o, c], &window.size[..]].concat());
            let y = scattered(*dtype, &[&[n, groups * o], &places[..]].concat());
            let forms = [
                (ConvolutionForm::Output, &x, &w, ops::conv(&x, &w, &window, groups)),
                (ConvolutionForm::Input, &y, &w, ops::conv_input(&y, &w, &window, groups, &lens)),
                (ConvolutionForm::Kernel, &x, &y, ops::conv_kernel(&x, &y, &window, groups)),
            ];
            for (form, a, b, expected) in forms {
                let convolution = Convolution::new(form, [a.shape(), b.shape()], &window, groups, &lens);
                let what = format!("{form:?} of {dtype} with {window:?}");
                everywhere(
                    &expected,
                    is_shared,
                    &|out, workers, scratch| convolution.run(a, b, out, workers, scratch),
                    &what,
                );
            }
        }
    }
}
