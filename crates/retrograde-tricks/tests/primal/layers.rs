//! What each layer promises of its derivatives, as a number.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{grad, jit, value_and_grad};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::window::ConvConfig;
use retrograde_tricks::primal::activation::gelu_tanh;
use retrograde_tricks::primal::attention::{Mask, SelfAttention, attention};
use retrograde_tricks::primal::conv::Conv;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::layer_norm::LayerNorm;
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::primal::lstm::Lstm;
use retrograde_tricks::primal::softmax::softmax;

use crate::{draw, inner, values, weighed};

/// A loss of a layer's leaves, all made from this list.
type Loss = fn(Vec<Var>) -> Var;

#[test]
fn slopes_are_those_of_differences_under_every_policy() {
    let cases: [(&str, Loss, Vec<Array>); 6] = [
        ("softmax", |s| weighed(softmax(s[0], 1)), vec![draw(1, [2, 3, 2])]),
        ("gelu", |s| weighed(gelu_tanh(s[0])), vec![draw(1, [7])]),
        (
            "layer norm",
            |s| weighed(LayerNorm { scale: s[1], shift: s[2], epsilon: 1e-5 }.apply(s[0])),
            vec![draw(1, [2, 2, 5]), draw(2, [5]), draw(3, [5])],
        ),
        (
            "attention",
            |s| {
                let [inward, outward] =
                    [(s[1], s[2]), (s[3], s[4])].map(|(weight, bias)| Linear { weight, bias });
                weighed(SelfAttention { inward, outward, heads: 2, mask: Mask::Causal }.apply(s[0]))
            },
            vec![draw(1, [2, 3, 4]), draw(2, [4, 12]), draw(3, [12]), draw(4, [4, 4]), draw(5, [4])],
        ),
        (
            "lstm",
            |s| {
                let input = Linear { weight: s[1], bias: s[2] };
                let (hs, (_, c)) = Lstm { input, recurrent: s[3], tape: None }.apply(s[0]);
                weighed(hs) + weighed(c)
            },
            vec![draw(1, [9, 2, 3]), draw(2, [3, 8]), draw(3, [8]), draw(4, [2, 8])],
        ),
        (
            "conv",
            |s| {
                let config = ConvConfig::default().padding(1).strides(2);
                weighed(Conv { kernel: s[1], bias: s[2], config }.apply(s[0]))
            },
            vec![draw(1, [2, 2, 5, 4]), draw(2, [3, 2, 3, 3]), draw(3, [3])],
        ),
    ];
    for (name, loss, start) in cases {
        let door = value_and_grad(loss);
        let (_, slope) = door.call(&start).unwrap();
        for policy in [Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(2).into()] {
            let (_, other) = value_and_grad(loss).tape(policy).call(&start).unwrap();
            assert!(slope.iter().zip(&other).all(|(a, b)| a.bits_eq(b)), "{name} under {policy}");
        }
        for (at, leaf) in start.iter().enumerate() {
            let direction = normal(Key::from_seed(50 + at as u64), leaf.shape().clone());
            let value = |delta: f64| {
                let mut moved = start.clone();
                let entries = moved[at].make_mut::<f64>().unwrap();
                entries.iter_mut().zip(values(&direction)).for_each(|(x, d)| *x += delta * d);
                door.call(&moved).unwrap().0.item::<f64>().unwrap()
            };
            // Central differences of f64: the error is about δ² and 1e-16/δ.
            let difference = (value(1e-5) - value(-1e-5)) / 2e-5;
            let found = inner(&slope[at], &direction);
            assert!(
                (difference - found).abs() < 1e-7 * (1.0 + found.abs()),
                "{name} {at}: {difference} {found}"
            );
        }
    }
}

#[test]
fn softmax_of_far_logits_is_finite_and_its_slopes_sum_to_zero() {
    let x = array([[1e4, -1e4, 9_999.0], [f64::NEG_INFINITY, 0.0, 0.0]]);
    let y = jit(|x: Var| softmax(x, 1)).call(&x).unwrap();
    for row in values(&y).chunks(3) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-15 && row.iter().all(|y| *y >= 0.0));
    }
    let slope = grad(|x: Var| weighed(softmax(x, 1))).call(&x).unwrap();
    for row in values(&slope).chunks(3) {
        assert!(row.iter().all(|g| g.is_finite()) && row.iter().sum::<f64>().abs() < 1e-15, "{row:?}");
    }
}

/// Against the formula of the slope, flat ends included.
#[test]
fn gelu_has_the_slope_of_its_formula() {
    let x: Vec<f64> = (-1000..=1000).map(|k| f64::from(k) / 10.0).collect();
    let slope = grad(|x: Var| gelu_tanh(x).sum()).call(&array(x.clone())).unwrap();
    let c = (2.0 / std::f64::consts::PI).sqrt();
    for (x, found) in x.into_iter().zip(values(&slope)) {
        let t = (c * (x + 0.044715 * x * x * x)).tanh();
        let expected = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x);
        // 1 − t² is off by a unit in the last place of 1, and stands beside x³.
        assert!((found - expected).abs() <= 1e-15 * (1.0 + x.abs().powi(3)), "{x}: {found} {expected}");
    }
}

/// √d keeps the logits at variance 1.
#[test]
fn logits_have_the_variance_of_the_entries() {
    let (n, d) = (64, 32);
    let (q, k) = (draw(1, [n, d]), draw(2, [n, d]));
    let logits = jit(|q: Var, k: Var| q.dot(k.t()) / (d as f64).sqrt()).call((&q, &k)).unwrap();
    let squares: Vec<f64> = values(&logits).iter().map(|z| z * z).collect();
    let variance = squares.iter().sum::<f64>() / squares.len() as f64;
    // Pairs share queries and keys: the standard error is at most that of n independent rows, each of χ²-like spread 2 + 6/d.
    let error = ((2.0 + 6.0 / d as f64) / n as f64).sqrt();
    assert!((variance - 1.0).abs() < 3.0 * error, "{variance} ± {error}");
    // The layer divides by the same root: at zero logits apart, its weights are those of these logits.
    let v = Array::new(
        [1, 1, n, n],
        (0..n * n).map(|at| f64::from(u8::from(at % (n + 1) == 0))).collect::<Vec<_>>(),
    )
    .unwrap();
    let heads = |a: &Array| Array::new([1, 1, n, d], values(a)).unwrap();
    let weights = jit(|q: Var, k: Var, v: Var| attention(q, k, v, Mask::Full))
        .call((&heads(&q), &heads(&k), &v))
        .unwrap();
    let expected = jit(|z: Var| softmax(z, 1)).call(&logits).unwrap();
    assert!(values(&weights).iter().zip(values(&expected)).all(|(a, b)| (a - b).abs() < 1e-14));
}

/// A token does not depend on later ones: its slopes there are zeros, not small numbers.
#[test]
fn causal_attention_reads_nothing_later() {
    let layer = SelfAttention::xavier(Key::from_seed(1), 4, 2, Mask::Causal, DType::F64);
    let loss = |x: Var, layer: SelfAttention<Var>| layer.apply(x).slice(1, 0..2).sum();
    let slope = values(&grad(loss).call((&draw(2, [1, 5, 4]), &layer)).unwrap());
    assert!(slope[..8].iter().all(|g| *g != 0.0) && slope[8..].iter().all(|g| *g == 0.0), "{slope:?}");
}

/// He's variance keeps the mean square of values after a ReLU.
#[test]
fn rectified_channels_keep_their_mean_square() {
    let config = ConvConfig::default();
    let layer = Conv::he(Key::from_seed(1), 32, 64, &[3, 3], config, DType::F64);
    let second = Conv::he(Key::from_seed(2), 64, 64, &[3, 3], ConvConfig::default(), DType::F64);
    let f = jit(|layers: (Conv<Var>, Conv<Var>), x: Var| {
        let first = layers.0.apply(x);
        let second = layers.1.apply(first.max(0.0));
        ((first * first).mean(), (second * second).mean())
    });
    let (first, second) = f.call((&(layer, second), &draw(3, [2, 32, 7, 7]))).unwrap();
    let [first, second] = [first, second].map(|a| a.item::<f64>().unwrap());
    // Twice the mean square of the rectified input, which is half that of what is rectified. 64 channels, each of them a mean over
    // about 300 weights: 3 standard errors of √(2/64) are 0.53.
    assert!((first - 2.0).abs() < 2.0 * 0.53, "{first}");
    assert!((second / first - 1.0).abs() < 0.53, "{second} after {first}");
}

#[test]
fn norms_and_losses_keep_one_array_and_numbers_for_each_row() {
    let (rows, width) = (40, 24);
    let layer = LayerNorm::new(width, DType::F64);
    let of_norm = grad(move |x: Var| {
        let layer = LayerNorm { scale: constant(&layer.scale), shift: constant(&layer.shift), epsilon: 1e-5 };
        layer.apply(x.tanh()).sum()
    });
    let labels = Array::vector((0..rows as i64).map(|row| row % width as i64).collect());
    let of_loss = grad(move |x: Var| cross_entropy(x * 2.0, constant(&labels)));
    let x = draw(1, [rows, width]);
    of_norm.call(&x).unwrap();
    of_loss.call(&x).unwrap();
    let numbers = |bytes: usize| (bytes / 8).div_ceil(rows);
    let kept = [of_norm.last_tape(), of_loss.last_tape()].map(|tape| numbers(tape.tape_bytes()));
    // The rows before and their statistics; shares of classes before they are divided by their sum.
    assert_eq!(kept, [width + 2, width + 1], "{} {}", of_norm.last_tape(), of_loss.last_tape());
}
