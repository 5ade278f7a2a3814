//! Derivatives where a careless rule gives NaN or the wrong subgradient: untaken branches, ties, zeros, empty axes.

use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{associative_scan, fori, map, switch};
use retrograde_core::trace::door::{grad, hessian, hvp, jit, jvp, value_and_grad, vmap};
use retrograde_core::trace::place::iota;
use retrograde_core::trace::var::{constant, full, select};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Value, gradient and Hessian of the sum of `f` at `x`, entry by entry; both orders of modes for the last.
#[track_caller]
fn check(what: &str, f: impl Fn(Var) -> Var + Copy, x: &[f64], value: f64, slope: &[f64], curvature: &[f64]) {
    let (n, x) = (x.len(), array(x));
    let total = move |x: Var| f(x).sum();
    let (found, gradient) = value_and_grad(total).call(&x).unwrap();
    assert_eq!(found, array(value), "value of {what}");
    let without_sign =
        |a: &Array| array(a.to_vec::<f64>().unwrap().iter().map(|x| x + 0.0).collect::<Vec<_>>());
    assert_eq!(without_sign(&gradient), array(slope), "gradient of {what}");
    let mut expected = vec![0.0; n * n];
    (0..n).for_each(|i| expected[i * n + i] = curvature[i]);
    let found = hessian(total).call(&x).unwrap();
    assert_eq!(without_sign(&found.reshaped([n * n]).unwrap()), array(expected), "hessian of {what}");
    let ones = array(vec![1.0; n]);
    for found in [hvp(total).call(&x, &ones), hvp(total).reverse_over_forward().call(&x, &ones)] {
        assert_eq!(without_sign(&found.unwrap()), array(curvature), "hessian product of {what}");
    }
}

#[test]
fn an_untaken_branch_contributes_a_true_zero() {
    let positive = |x: Var, y: Var| select(x.gt(0.0), y, x * 0.0);
    // At 1: √x has slope 1/2 and curvature -1/4.
    check("sqrt", |x| positive(x, x.sqrt()), &[0.0, 1.0, -1.0], 1.0, &[0.0, 0.5, 0.0], &[0.0, -0.25, 0.0]);
    check("log", |x| positive(x, x.log()), &[0.0, 1.0, -1.0], 0.0, &[0.0, 1.0, 0.0], &[0.0, -1.0, 0.0]);
    check("1/x", |x| positive(x, 1.0 / x), &[0.0, 1.0], 1.0, &[0.0, -1.0], &[0.0, 2.0]);
    check("1/√x", |x| positive(x, 1.0 / x.sqrt()), &[0.0, 1.0], 1.0, &[0.0, -0.5], &[0.0, 0.75]);
    check("log √x", |x| positive(x, x.sqrt().log()), &[0.0, 1.0], 0.0, &[0.0, 0.5], &[0.0, -0.5]);
    check("x log x", |x| positive(x, x * x.log()), &[0.0, 1.0], 0.0, &[0.0, 1.0], &[0.0, 1.0]);
    let small = |x: Var, y: Var| select(x.lt(100.0), y, x * 0.0);
    check("exp", |x| small(x, x.exp()), &[1000.0, 0.0], 1.0, &[0.0, 1.0], &[0.0, 1.0]);
    check("sin ∞", |x| small(x, x.sin()), &[INF, 0.0], NAN, &[0.0, 1.0], &[0.0, 0.0]);
}

/// What, and the function.
type Named = (&'static str, fn(Var) -> Var);

/// Every function of one float, wherever its slope is infinite or NaN, on the side that is not taken.
#[test]
fn no_function_leaks_from_an_untaken_branch() {
    let functions: [Named; 44] = [
        ("sqrt", Var::sqrt),
        ("exp", Var::exp),
        ("log", Var::log),
        ("tanh", Var::tanh),
        ("sin", Var::sin),
        ("cos", Var::cos),
        ("expm1", Var::expm1),
        ("exp2", Var::exp2),
        ("log1p", Var::log1p),
        ("log2", Var::log2),
        ("rsqrt", Var::rsqrt),
        ("cbrt", Var::cbrt),
        ("tan", Var::tan),
        ("asin", Var::asin),
        ("acos", Var::acos),
        ("atan", Var::atan),
        ("sinh", Var::sinh),
        ("cosh", Var::cosh),
        ("asinh", Var::asinh),
        ("acosh", Var::acosh),
        ("atanh", Var::atanh),
        ("erf", Var::erf),
        ("erfc", Var::erfc),
        ("erf_inv", Var::erf_inv),
        ("lgamma", Var::lgamma),
        ("digamma", Var::digamma),
        ("bessel_i0e", Var::bessel_i0e),
        ("bessel_i1e", Var::bessel_i1e),
        ("log_bessel_i0", Var::log_bessel_i0),
        ("logistic", Var::logistic),
        ("softplus", Var::softplus),
        ("abs", Var::abs),
        ("norm", Var::norm),
        ("prod", Var::prod),
        ("x^½", |x| x.pow(0.5)),
        ("2^x", |x| full(DType::F64, [], 2.0).pow(x)),
        ("polygamma", |x| x.polygamma(1)),
        ("atan2", |x| x.atan2(x)),
        ("x mod x", |x| x % x),
        ("1 mod x", |x| full(DType::F64, [], 1.0) % x),
        ("fma", |x| x.fma(x, x)),
        ("1/x", |x| 1.0 / x),
        ("x/x", |x| x / x),
        ("logsumexp", |x| x.logsumexp(&[])),
    ];
    let mut leaks = vec![];
    for (what, f) in functions {
        for x in [0.0, -0.0, 1.0, -1.0, -3.0, 1e3, -1e3, 1e300, INF, -INF, NAN] {
            let untaken = move |x: Var| select(constant(&array(false)), f(x), x * 3.0);
            let (x, one) = (array(x), array(1.0));
            let first = grad(untaken).call(&x).unwrap();
            let second = [hvp(untaken).call(&x, &one), hvp(untaken).reverse_over_forward().call(&x, &one)];
            let third = grad(move |x: Var| grad(move |x: Var| grad(untaken).at(x)).at(x)).call(&x).unwrap();
            let all = [first, second[0].clone().unwrap(), second[1].clone().unwrap(), third];
            let without_sign = |a: Array| array(a.item::<f64>().unwrap() + 0.0);
            if all.clone().map(without_sign) != [3.0, 0.0, 0.0, 0.0].map(array) {
                leaks.push(format!("{what} at {x:?}: {all:?}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// The zeros of products that are summed inside one primitive are ordinary, as `select` says; choosing the entries before helps.
#[test]
fn infinite_factors_of_an_untaken_product_are_chosen_away() {
    let (x, w) = (array([0.0, 1.0]), array([2.0, 3.0]));
    let never = || constant(&array(false));
    let outside = |x: Var, w: Var| select(never(), x.log().dot(w), (w * w).sum());
    let inside = |x: Var, w: Var| select(never(), select(x.gt(0.0), x.log(), x * 0.0).dot(w), (w * w).sum());
    // FIXME: the first should be 4 too.
    assert_eq!(grad(outside).wrt::<1>().call((&x, &w)).unwrap(), array([NAN, 6.0]));
    assert_eq!(grad(inside).wrt::<1>().call((&x, &w)).unwrap(), array([4.0, 6.0]));
    // The root's slope is infinite, its value is not: nothing leaks.
    let rooted = |x: Var, w: Var| select(never(), x.sqrt().dot(w), (x * w).sum());
    assert_eq!(grad(rooted).call((&x, &w)).unwrap(), array([2.0, 3.0]));
}

#[test]
fn an_infinite_slope_on_a_taken_path_stays() {
    let slope = |x: f64| grad(|x: Var| x.sqrt()).call(&array(x)).unwrap();
    assert_eq!(slope(0.0), array(INF));
    assert_eq!(slope(-1.0), array(NAN));
    let (_, forward) = jvp(|x: Var| x.sqrt()).call(&array(0.0), &array(1.0)).unwrap();
    assert_eq!(forward, array(INF));
}

/// What, the function, where, and its slope there.
type Slope = (&'static str, fn(Var) -> Var, f64, f64);

#[test]
fn slopes_at_edges_are_those_that_the_primitives_state() {
    let slopes: [Slope; 36] = [
        ("abs", Var::abs, 0.0, 0.0),
        ("sign", Var::sign, 0.0, 0.0),
        ("floor", Var::floor, 1.0, 0.0),
        ("ceil", Var::ceil, 1.0, 0.0),
        ("round", Var::round, 0.5, 0.0),
        ("max", |x| x.max(0.0), 0.0, 0.5),
        ("min", |x| x.min(0.0), 0.0, 0.5),
        ("max of NaN", |x| x.max(0.0), NAN, 0.5),
        ("exp", Var::exp, 1000.0, INF),
        ("log", Var::log, 0.0, INF),
        ("log below", Var::log, -2.0, -0.5),
        ("log1p", Var::log1p, -1.0, INF),
        ("log2", Var::log2, 0.0, INF),
        ("rsqrt", Var::rsqrt, 0.0, -INF),
        ("cbrt", Var::cbrt, 0.0, INF),
        ("1/x", |x| 1.0 / x, 0.0, -INF),
        ("0/x", |x| 0.0 / x, 0.0, NAN),
        ("sin", Var::sin, INF, NAN),
        ("cos", Var::cos, INF, NAN),
        ("tan", Var::tan, INF, NAN),
        ("asin", Var::asin, 1.0, INF),
        ("acos", Var::acos, 1.0, -INF),
        ("acosh", Var::acosh, 1.0, INF),
        ("atanh", Var::atanh, -1.0, INF),
        ("erf_inv", Var::erf_inv, -1.0, INF),
        ("bessel_i0e", Var::bessel_i0e, 0.0, 0.0),
        ("bessel_i1e", Var::bessel_i1e, 0.0, 0.5),
        ("x^0", |x| x.pow(0.0), 0.0, 0.0),
        ("x^1", |x| x.pow(1.0), 0.0, 1.0),
        ("x^½", |x| x.pow(0.5), 0.0, INF),
        ("0^y", |y| full(DType::F64, [], 0.0).pow(y), 2.0, 0.0),
        ("(-1)^y", |y| full(DType::F64, [], -1.0).pow(y), 2.0, NAN),
        ("atan2 by y", |y| y.atan2(0.0), 0.0, NAN),
        ("atan2 by x", |x| full(DType::F64, [], 0.0).atan2(x), 0.0, NAN),
        ("atan2 far out", |y| y.atan2(1.0), 1e200, 0.0),
        ("remainder", |x| x % 2.0, 2.0, 1.0),
    ];
    for (what, f, x, expected) in slopes {
        let slope = grad(f).call(&array(x)).unwrap().item::<f64>().unwrap();
        assert_eq!(array(slope + 0.0), array(expected), "{what} at {x}");
    }
}

#[test]
fn the_norm_at_zero_is_flat() {
    let (value, slope) = value_and_grad(|x: Var| x.norm()).call(&array([0.0, 0.0])).unwrap();
    assert_eq!((value, slope), (array(0.0), array([0.0, 0.0])));
    assert_eq!(hessian(|x: Var| x.norm()).call(&array([0.0, 0.0])).unwrap(), array([[0.0, 0.0], [0.0, 0.0]]));
    assert_eq!(grad(|x: Var| x.norm()).call(&Array::zeros(DType::F64, [0])).unwrap().size(), 0);
    let rows = grad(|x: Var| x.norm_axes(&[1]).sum()).call(&array([[0.0, 0.0], [0.0, -2.0]])).unwrap();
    assert_eq!(rows, array([[0.0, 0.0], [0.0, -1.0]]));
}

#[test]
fn ties_share_equally_and_modes_agree() {
    let x = array([1.0, 3.0, 3.0, -2.0]);
    let of = |f: fn(Var) -> Var| grad(f).call(&x).unwrap();
    assert_eq!(of(|x| x.reduce_max(&[0])), array([0.0, 0.5, 0.5, 0.0]));
    assert_eq!(of(|x| x.reduce_min(&[0])), array([0.0, 0.0, 0.0, 1.0]));
    assert_eq!(of(|x| x.max(3.0).sum()), array([0.0, 0.5, 0.5, 0.0]));
    assert_eq!(of(|x| x.min(3.0).sum()), array([1.0, 0.5, 0.5, 1.0]));
    assert_eq!(
        grad(|x: Var| x.abs().sum()).call(&array([-2.0, -0.0, 0.0, 2.0])).unwrap(),
        array([-1.0, -0.0, 0.0, 1.0])
    );
    let dot = array([0.0, 1.0, 2.0, 4.0]);
    for (f, expected) in
        [(|x: Var| x.reduce_max(&[0])) as fn(Var) -> Var, |x| x.reduce_min(&[0])].into_iter().zip([1.5, 4.0])
    {
        assert_eq!(jvp(f).call(&x, &dot).unwrap().1, array(expected));
    }
    // The zeros of both signs are equal.
    assert_eq!(grad(|x: Var| x.reduce_max(&[0])).call(&array([0.0, -0.0])).unwrap(), array([0.5, 0.5]));
}

#[test]
fn products_with_zeros_have_their_derivatives() {
    let slope = |x: &[f64]| grad(|x: Var| x.prod()).call(&array(x)).unwrap();
    assert_eq!(slope(&[2.0, 0.0, 3.0]), array([0.0, 6.0, 0.0]));
    assert_eq!(slope(&[0.0, 0.0, 3.0]), array([0.0, 0.0, 0.0]));
    let second = hessian(|x: Var| x.prod()).call(&array([0.0, 0.0, 3.0])).unwrap();
    assert_eq!(second, array([[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]));
    let up_to = grad(|x: Var| x.cumprod(0).sum()).call(&array([2.0, 0.0, 3.0])).unwrap();
    // y = (x₀, x₀x₁, x₀x₁x₂)
    assert_eq!(up_to, array([1.0, 8.0, 0.0]));
}

#[test]
fn logsumexp_neither_overflows_nor_invents_slopes() {
    let of = |x: &[f64]| value_and_grad(|x: Var| x.logsumexp(&[0])).call(&array(x)).unwrap();
    assert_eq!(of(&[1000.0, -INF]), (array(1000.0), array([1.0, 0.0])));
    assert_eq!(of(&[-INF, -INF]), (array(-INF), array([0.0, 0.0])));
    assert_eq!(of(&[-1e300, -INF, -1e300]).1, array([0.5, 0.0, 0.5]));
    assert_eq!(of(&[INF, 0.0]).0, array(INF));
    assert_eq!(of(&[NAN, 0.0]), (array(NAN), array([NAN, NAN])));
    assert_eq!(of(&[]).0, array(-INF));
    let flat = hessian(|x: Var| x.logsumexp(&[0])).call(&array([-INF, -INF])).unwrap();
    assert_eq!(flat, array([[0.0, 0.0], [0.0, 0.0]]));
}

#[test]
fn sorting_is_stable_and_its_derivative_a_permutation() {
    let x = array([2.0, NAN, -0.0, 0.0, 2.0]);
    assert_eq!(jit(|x: Var| x.argsort(0)).call(&x).unwrap(), array([2_i64, 3, 0, 4, 1]));
    assert_eq!(jit(|x: Var| x.top_k(3, 0).1).call(&x).unwrap(), array([1_i64, 0, 4]));
    let weights = array([1.0, 10.0, 100.0]);
    let slope = grad(|x: Var| (x.sort(0) * constant(&weights)).sum()).call(&array([5.0, 5.0, -1.0])).unwrap();
    assert_eq!(slope, array([10.0, 100.0, 1.0]));
    let rows = jit(|x: Var| (x.sort(0), x.sort(1))).call(&array([[3.0, 1.0], [2.0, 4.0]])).unwrap();
    assert_eq!(rows, (array([[2.0, 1.0], [3.0, 4.0]]), array([[1.0, 3.0], [2.0, 4.0]])));
    let deep = array([[[3.0, 1.0], [2.0, 4.0]], [[0.0, 9.0], [5.0, 7.0]]]);
    let sorted = jit(|x: Var| x.sort(1)).call(&deep).unwrap();
    assert_eq!(sorted, array([[[2.0, 1.0], [3.0, 4.0]], [[0.0, 7.0], [5.0, 9.0]]]));
    assert_eq!(vmap_of_sort(), array([[1.0, 2.0], [0.0, 3.0]]));
}

fn vmap_of_sort() -> Array {
    jit(vmap(|x: Var| x.sort(0))).call(&array([[2.0, 1.0], [0.0, 3.0]])).unwrap()
}

#[test]
fn clamp_keeps_the_slope_on_its_edges() {
    let slope = |x: &[f64]| grad(|x: Var| x.clamp(-1.0, 1.0).sum()).call(&array(x)).unwrap();
    assert_eq!(slope(&[-2.0, -1.0, 0.0, 1.0, 2.0]), array([0.0, 1.0, 1.0, 1.0, 0.0]));
    // Crossed bounds: the upper one, everywhere.
    let crossed = |(x, low, high): (Var, Var, Var)| x.clamp(low, high);
    let at = (array(0.0), array(1.0), array(-1.0));
    assert_eq!(
        value_and_grad(crossed).call(&at).unwrap(),
        (array(-1.0), (array(0.0), array(0.0), array(1.0)))
    );
}

#[test]
fn remainders_have_the_slopes_of_their_piece() {
    let slopes = |x: f64, y: f64| grad(|(x, y): (Var, Var)| x % y).call(&(array(x), array(y))).unwrap();
    assert_eq!(slopes(7.5, 2.0), (array(1.0), array(-3.0)));
    assert_eq!(slopes(-7.5, 2.0), (array(1.0), array(3.0)));
    // 0.3 / 0.1 rounds to 3, but 0.3 holds 0.1 only twice.
    assert_eq!(slopes(0.3, 0.1), (array(1.0), array(-2.0)));
    assert_eq!(jit(|x: Var| x % 3).call(&array([-7_i64, 7])).unwrap(), array([-1_i64, 1]));
    assert!(jit(|x: Var| x % 0).call(&array([1_i64])).unwrap_err().to_string().contains("division by zero"));
}

#[test]
fn empty_arrays_pass_through() {
    let none = Array::zeros(DType::F64, [0]);
    let columns = Array::zeros(DType::F64, [0, 2]);
    assert_eq!(value_and_grad(|x: Var| x.prod()).call(&none).unwrap(), (array(1.0), none.clone()));
    assert_eq!(jit(|x: Var| x.sort(0)).call(&columns).unwrap(), columns);
    assert_eq!(grad(|x: Var| x.cumsum(0).sum()).call(&columns).unwrap(), columns);
    assert_eq!(grad(|x: Var| x.cumprod(0).sum()).call(&columns).unwrap(), columns);
    assert_eq!(jit(|x: Var| x.pad(&[(1, 1)], 2.0)).call(&none).unwrap(), array([2.0, 2.0]));
    assert_eq!(jit(|x: Var| x.gt(0.0).all(&[0])).call(&none).unwrap(), array(true));
    assert_eq!(jit(|x: Var| x.gt(0.0).any(&[0])).call(&columns).unwrap(), array([false, false]));
    assert_eq!(jit(|x: Var| associative_scan(x, &|a, b| a + b)).call(&none).unwrap(), none);
    for f in [(|x: Var| x.reduce_max(&[0])) as fn(Var) -> Var, |x| x.reduce_min(&[0]), |x| x.argmin(0)] {
        let refused = jit(f).call(&none).unwrap_err().to_string();
        assert!(refused.contains("found no entries, expected at least 1"), "{refused}");
    }
}

#[test]
fn rank_0_is_an_array_of_one_entry() {
    let x = array(-3.0);
    let of = |f: fn(Var) -> Var| value_and_grad(f).call(&x).unwrap();
    assert_eq!(of(|x| x.prod()), (array(-3.0), array(1.0)));
    assert_eq!(of(|x| x.reduce_max(&[])), (array(-3.0), array(1.0)));
    assert_eq!(of(|x| x.logsumexp(&[])), (array(-3.0), array(1.0)));
    assert_eq!(of(|x| x.norm()), (array(3.0), array(-1.0)));
    assert_eq!(of(|x| x.pad(&[], 1.0).reverse(&[])), (array(-3.0), array(1.0)));
    for f in
        [(|x: Var| x.sort(0)) as fn(Var) -> Var, |x| x.cumsum(0), |x| x.take_along(0, x), |x| x.top_k(1, 0).0]
    {
        let refused = jit(f).call(&x).unwrap_err().to_string();
        assert!(refused.contains("found axis 0, expected one of the 0 axes of f64[]"), "{refused}");
    }
}

#[test]
fn the_slope_of_the_largest_goes_where_they_were() {
    let f = |x: Var| (x.top_k(2, 1).0 * constant(&array([[1.0, 2.0], [3.0, 4.0]]))).sum();
    let slope = grad(f).call(&array([[5.0, 9.0, 1.0], [0.0, 0.0, 0.0]])).unwrap();
    assert_eq!(slope, array([[2.0, 1.0, 0.0], [3.0, 4.0, 0.0]]));
    let refused = jit(|x: Var| x.top_k(4, 0).0).call(&array([1.0, 2.0])).unwrap_err().to_string();
    assert!(refused.contains("found 0..4, expected a range within 0..2"), "{refused}");
}

#[test]
fn parts_outside_are_refused_when_the_program_runs() {
    let part = |(x, at): (Var, Var)| x.dynamic_slice(at, &[2]);
    let x = array([1.0, 2.0, 3.0]);
    assert_eq!(jit(part).call(&(x.clone(), array([1_i64]))).unwrap(), array([2.0, 3.0]));
    for start in [-1_i64, 2, i64::MAX, i64::MIN] {
        let refused = jit(part).call(&(x.clone(), array([start]))).unwrap_err().to_string();
        assert!(refused.contains("does not lie inside an axis of size 3"), "{refused}");
    }
    let replaced = |(x, at): (Var, Var)| x.dynamic_update(x.slice(0, 0..1), at);
    assert_eq!(jit(replaced).call(&(x, array([2_i64]))).unwrap(), array([1.0, 2.0, 1.0]));
}

#[test]
fn a_switch_runs_one_branch() {
    let f = |(i, x): (Var, Var)| {
        let a = x + 1.0;
        switch(i, &[&|x: Var| x.sin(), &|x| x * x, &|x| x * a, &|x| -x, &|x| x.sqrt()], x)
    };
    let slope = |i: i64, x: f64| {
        let of_x = |(i, x): (Var, Var)| grad(move |x: Var| f((i, x))).apply_one(x);
        jit(of_x).call(&(array(i), array(x))).unwrap()
    };
    assert_eq!(slope(0, 0.0), array(1.0));
    assert_eq!(slope(1, 3.0), array(6.0));
    assert_eq!(slope(2, 3.0), array(7.0));
    assert_eq!(slope(3, 3.0), array(-1.0));
    // The root's infinite slope at 0 stays in its own branch.
    assert_eq!(slope(1, 0.0), array(0.0));
    for i in [-1_i64, 5] {
        let refused = jit(f).call(&(array(i), array(1.0))).unwrap_err().to_string();
        assert!(refused.contains(&format!("index {i} is outside an axis of size 5")), "{refused}");
    }
    let lanes = jit(vmap(f)).call(&(array([3_i64, 1, 4]), array([1.0, 5.0, 9.0]))).unwrap();
    assert_eq!(lanes, array([-1.0, 25.0, 3.0]));
    let none = jit(|(i, x): (Var, Var)| switch::<Var, Var>(i, &[], x)).call(&(array(0_i64), array(1.0)));
    assert!(none.unwrap_err().to_string().contains("switch: found no branches, expected at least 1"));
}

trait ApplyOne {
    fn apply_one(&self, x: Var) -> Var;
}
impl<F: retrograde_core::trace::function::Function<(Var,), Output = Var>> ApplyOne for F {
    fn apply_one(&self, x: Var) -> Var {
        self.apply((x,))
    }
}

#[test]
fn loops_written_as_calls() {
    let power = |x: Var| fori(0..5, x, |_, y| y * x);
    assert_eq!(value_and_grad(power).call(&array(2.0)).unwrap(), (array(64.0), array(192.0)));
    assert_eq!(jit(|x: Var| fori(3..3, x, |_, y| y * x)).call(&array(2.0)).unwrap(), array(2.0));
    let squares = |x: Var| map((x, iota(DType::F64, [3], 0)), |(x, i)| x * x + i);
    assert_eq!(jit(squares).call(&array([1.0, 2.0, 3.0])).unwrap(), array([1.0, 5.0, 11.0]));
    assert_eq!(
        grad(|x: Var| squares(x).sum()).call(&array([1.0, 2.0, 3.0])).unwrap(),
        array([2.0, 4.0, 6.0])
    );
}

#[test]
fn associative_scans_are_cumulations() {
    for n in 1..=17_usize {
        let x = array((0..n).map(|i| (i % 5) as f64 - 1.0).collect::<Vec<_>>());
        let sums = |x: Var| associative_scan(x, &|a, b| a + b);
        assert_eq!(jit(sums).call(&x).unwrap(), jit(|x: Var| x.cumsum(0)).call(&x).unwrap(), "{n}");
        let weights = array((0..n).map(|i| i as f64).collect::<Vec<_>>());
        let both = [
            grad(|x: Var| (sums(x) * constant(&weights)).sum()).call(&x),
            grad(|x: Var| (x.cumsum(0) * constant(&weights)).sum()).call(&x),
        ];
        assert_eq!(both[0], both[1], "{n}");
    }
    // A linear recurrence: (a₁, b₁) then (a₂, b₂) is (a₁a₂, a₂b₁ + b₂). Not commutative.
    let pair = |(a, b): (Var, Var)| associative_scan((a, b), &|(a, b), (c, d)| (a * c, c * b + d)).1;
    let (a, b) = (array([[2.0], [3.0], [-1.0], [0.5]]), array([[1.0], [2.0], [3.0], [4.0]]));
    let expected = jit(|(a, b): (Var, Var)| a.recurrence(b, 0)).call(&(a.clone(), b.clone())).unwrap();
    assert_eq!(jit(pair).call(&(a, b)).unwrap(), expected);
    let wrong = jit(|x: Var| associative_scan(x, &|a, _| a.sum())).call(&array([1.0, 2.0]));
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("associative_scan: combine makes f64[] of f64[1]"), "{wrong}");
}

#[test]
fn truth_values_and_bits() {
    let f = |(x, y): (Var, Var)| ((x & y) | !x, x ^ y, (x << 2) >> y, x.shift_right_logical(60));
    let (x, y) = (array([6_i64, -1]), array([3_i64, 1]));
    let expected = (array([-5_i64, 1]), array([5_i64, -2]), array([3_i64, -2]), array([0_i64, 15]));
    assert_eq!(jit(f).call(&(x, y)).unwrap(), expected);
    let inside =
        jit(|x: Var| x.gt(0.0) & x.lt(1.0) & x.is_finite()).call(&array([0.5, 2.0, NAN, -INF])).unwrap();
    assert_eq!(inside, array([true, false, false, false]));
    let refused = jit(|x: Var| x & x).call(&array([0.5])).unwrap_err().to_string();
    assert!(refused.contains("logic: found f64[1], expected truth values or integers"), "{refused}");
}

#[test]
fn rows_of_ones_and_frames() {
    let rows = jit(|i: Var| i.one_hot(2, DType::F32)).call(&array([[1_i64, 0], [5, -1]])).unwrap();
    assert_eq!(rows, array([[[0.0_f32, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]));
    let scalar = jit(|i: Var| i.one_hot(3, DType::Bool)).call(&array(1_i64)).unwrap();
    assert_eq!(scalar, array([false, true, false]));
    let framed = |(x, v): (Var, Var)| (x.pad(&[(1, 1)], v) * constant(&array([1.0, 2.0, 4.0, 8.0]))).sum();
    let (dx, dv) = grad(framed).call(&(array([5.0, 6.0]), array(7.0))).unwrap();
    assert_eq!((dx, dv), (array([2.0, 4.0]), array(9.0)));
}

#[test]
fn a_result_without_cotangent_leaves_a_transpose_linear() {
    use retrograde_core::ir::Type;
    use retrograde_core::prim::{Program, add::Add, bodies::build, linear_call::LinearCall, mul::Mul};
    use retrograde_core::transform::{LinearProgram, transpose};
    use std::sync::Arc;
    let v = Type::array(DType::F64, [2]);
    let three = [v.clone(), v.clone(), v.clone()];
    // u = a x + y, v = a y; transposed a u, u + a v.
    let program = |transposed: bool| {
        Arc::new(build(&three, |b, p| {
            let [first, second] = [1, 2].map(|i| b.emit1(Mul.into(), &[p[i], p[0]]));
            if transposed {
                vec![first, b.emit1(Add.into(), &[p[1], second])]
            } else {
                vec![b.emit1(Add.into(), &[first, p[2]]), second]
            }
        }))
    };
    let call =
        LinearCall { n_known: 1, apply: Some(program(false)), transposed: program(true), is_apart: false };
    let only = |i: usize| build(&three, |b, p| vec![b.emit(call.clone().into(), p)[i]]);
    let run = |program: &Program, inputs: [[f64; 2]; 2]| {
        use retrograde_core::exec::{Executor, Interpreter};
        use retrograde_core::prim::Value;
        let inputs = inputs.iter().map(|x| Value::Array(array(*x))).collect();
        let (out, _) = Interpreter::default().run(program, inputs).unwrap();
        out.into_iter().map(|v| v.into_array().unwrap()).collect::<Vec<_>>()
    };
    let (a, ct) = ([2.0, 3.0], [5.0, 7.0]);
    for (i, expected) in [[[10.0, 21.0], [5.0, 7.0]], [[0.0, 0.0], [10.0, 21.0]]].into_iter().enumerate() {
        let back = transpose(&LinearProgram::new(only(i), 1).unwrap());
        assert_eq!(run(&back, [a, ct]), expected.map(array), "result {i}");
        let there = LinearProgram::new(back, 1).unwrap_or_else(|e| panic!("result {i}: {e}"));
        assert_eq!(transpose(&there).input_types().len(), 3, "result {i}");
    }
}
