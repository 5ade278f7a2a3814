//! C14.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_engine::{grad, jit, vmap};
use retrograde_solve::hotelling::{hotelling, power};
use retrograde_tricks::tape::random_projection::product_with_projection;

use crate::{apart, draw, values};

const N: usize = 4000;

#[test]
fn a_projected_product_is_right_on_average_and_keeps_k_of_n() {
    let (n, k) = (12, 3);
    let (x, w, y_bar) = (draw(1, [n, 3]), draw(2, [3, 2]), draw(3, [n, 2]));
    let against =
        move |(x, w): (Var, Var), y_bar: Var, key: Var| (product_with_projection(x, w, key, k) * y_bar).sum();
    let exact = grad(|(x, w): (Var, Var), y_bar: Var| (x.dot(w) * y_bar).sum());
    let exact = exact.call((&(x.clone(), w.clone()), &y_bar)).unwrap();
    let draws = |reuse: bool, factor: f64| -> Vec<Vec<f64>> {
        let root = Key::from_seed(4);
        let keys = root.split(N).into_iter().map(|key| if reuse { root } else { key }.to_array());
        let keys = Array::stack(&keys.collect::<Vec<_>>()).unwrap();
        let all = jit(move |p: (Var, Var), y_bar: Var, keys: Var| {
            vmap(|key: Var| factor * grad(against).at((p, y_bar, key)).1).apply((keys,))
        });
        let all = all.call((&(x.clone(), w.clone()), &y_bar, &keys)).unwrap();
        values(&all).chunks(6).map(<[f64]>::to_vec).collect()
    };
    let (mean, found) = (values(&exact.1), draws(false, 1.0));
    let test = hotelling(&found, &mean).unwrap();
    assert!(test.p > 0.01, "{test:?}");
    // The total variance, by its formula; its own standard error from the draws.
    let squares: Vec<f64> =
        found.iter().map(|row| row.iter().zip(&mean).map(|(a, b)| (a - b).powi(2)).sum()).collect();
    let variance = squares.iter().sum::<f64>() / N as f64;
    let error =
        (squares.iter().map(|s| (s - variance).powi(2)).sum::<f64>() / N as f64).sqrt() / (N as f64).sqrt();
    let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
    let (xs, ys) = (values(&x), values(&y_bar));
    let own: f64 = xs.chunks(3).zip(ys.chunks(2)).map(|(x, y)| square(x) * square(y)).sum();
    let expected = (square(&xs) * square(&ys) + square(&mean) - 2.0 * own) / k as f64;
    assert!((variance - expected).abs() < 4.0 * error, "{variance} ± {error}, expected {expected}");
    // A gradient that is off by a tenth is refused; so are a missing factor and one key for all draws.
    let average: Vec<f64> = (0..6).map(|j| found.iter().map(|row| row[j]).sum::<f64>() / N as f64).collect();
    let off: Vec<f64> = average.iter().zip(&mean).map(|(a, g)| a + 0.1 * g).collect();
    let strength = power(hotelling(&found, &off).unwrap().t2, test.rank, N, 0.01);
    assert!(strength > 0.9, "{strength}");
    assert!(hotelling(&draws(false, 0.8), &mean).unwrap().p < 1e-6);
    assert!(hotelling(&draws(true, 1.0), &mean).unwrap().p < 1e-6);
    // The other cotangent is the true one.
    let one = grad(against).call((&(x, w), &y_bar, &Key::from_seed(5).to_array())).unwrap();
    assert!(apart(&one.0, &exact.0) < 1e-15);
}

/// A product between two others: what it keeps of its argument is k rows instead of n.
#[test]
fn a_projection_is_what_is_kept() {
    let (n, k) = (64, 4);
    let weights = (draw(1, [5, 6]), draw(2, [6, 7]));
    let (x, key) = (draw(3, [n, 5]), Key::from_seed(4).to_array());
    let bytes = |projected: bool| {
        let f = move |(u, w): (Var, Var), x: Var, key: Var| {
            let h = x.dot(u);
            let y = if projected { product_with_projection(h, w, key, k) } else { h.dot(w) };
            y.sum()
        };
        let door = grad(f);
        door.call((&weights, &x, &key)).unwrap();
        door.last_tape().tape_bytes()
    };
    // The projection, and a bit for each sign.
    assert_eq!((bytes(false), bytes(true)), (n * 6 * 8, k * 6 * 8 + k * n / 8));
}
