//! ⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩: forward and reverse mode are one derivative, for every trick of the group.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array, ops};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::custom::{Law as Promise, custom_vjp};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::window::{ConvConfig, PoolConfig};
use retrograde_engine::{jit, jvp, vjp};
use retrograde_solve::ode;
use retrograde_tricks::catalogue::Law;
use retrograde_tricks::primal::attention::{Mask, SelfAttention, attention, tiled_attention};
use retrograde_tricks::primal::batch_norm::BatchNorm;
use retrograde_tricks::primal::concat_skip::{beside, part};
use retrograde_tricks::primal::conv::Conv;
use retrograde_tricks::primal::dense::{Activation, Linear, Mlp};
use retrograde_tricks::primal::embedding::{Embedding, add_places};
use retrograde_tricks::primal::group_norm::{GroupNorm, RmsNorm};
use retrograde_tricks::primal::gru::Gru;
use retrograde_tricks::primal::guarded::{binary_cross_entropy, divide_or_zero, sqrt_or_zero};
use retrograde_tricks::primal::highway::Highway;
use retrograde_tricks::primal::implicit::{FixedPoint, fixed_point};
use retrograde_tricks::primal::label_smoothing::smoothed_cross_entropy;
use retrograde_tricks::primal::layer_norm::{LayerNorm, normalise};
use retrograde_tricks::primal::leaky::{leaky_relu, prelu};
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::primal::lstm::Lstm;
use retrograde_tricks::primal::mixup::mixup;
use retrograde_tricks::primal::neural_ode::NeuralOde;
use retrograde_tricks::primal::pool::{Pool, global_average, smooth_max, soft_argmax};
use retrograde_tricks::primal::relu::{AtZero, relu};
use retrograde_tricks::primal::residual::Residual;
use retrograde_tricks::primal::reversible::couple;
use retrograde_tricks::primal::selu::selu;
use retrograde_tricks::primal::sinkhorn::sinkhorn;
use retrograde_tricks::primal::soft_cap::{normalised_attention, soft_cap, z_loss};
use retrograde_tricks::primal::soft_rasteriser::coverage;
use retrograde_tricks::primal::soft_sort::soft_sort;
use retrograde_tricks::primal::spectral_norm::Vectors;
use retrograde_tricks::primal::weight_norm::WeightNorm;
use retrograde_tricks::primal::whitening::Whitening;
use retrograde_tricks::primal::{TRICKS, activation, augment, elu, memory};

use crate::{Check, draw, hold, inner, values};

/// A function of a list of leaves to a list of results.
type F = fn(Vec<Var>) -> Vec<Var>;

fn sum(a: &[Array], b: &[Array]) -> f64 {
    a.iter().zip(b).map(|(a, b)| inner(a, b)).sum()
}

/// Directions like these leaves.
fn directions(seed: u64, like: &[Array]) -> Vec<Array> {
    like.iter().enumerate().map(|(i, x)| draw(seed + i as u64, x.shape().clone())).collect()
}

/// In random directions, up to rounding: forward mode of one function and reverse mode of another, which is the same but where the
/// check itself is checked.
fn adjoint(name: &str, forward: F, reverse: F, at: &[Array]) -> Check {
    let (at, x_dot) = (at.to_vec(), directions(700, at));
    let (y, y_dot) = jvp(forward).call(&at, &x_dot).map_err(|e| format!("{name}: {e}"))?;
    let y_bar = directions(800, &y);
    let door = vjp(reverse);
    let (_, pullback) = door.call(&at).map_err(|e| format!("{name}: {e}"))?;
    let x_bar = pullback.call(&y_bar).map_err(|e| format!("{name}: {e}"))?;
    let size = |a: &[Array]| sum(a, a).sqrt();
    let (there, back) = (sum(&y_bar, &y_dot), sum(&x_bar, &x_dot));
    // Of the sizes of what is multiplied, so that a sum that cancels does not matter.
    let scale = size(&y_bar) * size(&y_dot) + size(&x_bar) * size(&x_dot);
    hold(scale > 1e-6 && (there - back).abs() <= 1e-13 * scale, || {
        format!("{name}: {there} {back} of {scale}")
    })
}

/// Forward mode against central differences, off by about δ² and 1e-16/δ.
fn slope(name: &str, f: F, at: &[Array]) -> Check {
    let (at, x_dot) = (at.to_vec(), directions(700, at));
    let (y, y_dot) = jvp(f).call(&at, &x_dot).map_err(|e| format!("{name}: {e}"))?;
    let y_bar = directions(800, &y);
    let run = jit(f);
    let moved = |delta: f64| {
        let step = |(x, d): (&Array, &Array)| {
            let mut x = x.compact();
            x.make_mut::<f64>().unwrap().iter_mut().zip(values(d)).for_each(|(x, d)| *x += delta * d);
            x
        };
        sum(&y_bar, &run.call(&at.iter().zip(&x_dot).map(step).collect()).unwrap())
    };
    let (found, expected) = (sum(&y_bar, &y_dot), (moved(1e-5) - moved(-1e-5)) / 2e-5);
    hold((found - expected).abs() < 1e-7 * (1.0 + found.abs()), || {
        format!("{name}: {found}, differences {expected}")
    })
}

fn linear(s: &[Var]) -> Linear<Var> {
    Linear { weight: s[0], bias: s[1] }
}

fn labels() -> Var {
    constant(&array([2_i64, 0]))
}

/// Row of the catalogue, what it is, the function, where.
fn rows() -> Vec<(&'static str, &'static str, F, Vec<Array>)> {
    let x = || vec![draw(1, [4, 3])];
    let positive = |seed, n: usize| ops::function(retrograde_array::map::Function::Exp, &draw(seed, [n]));
    let images = || vec![draw(1, [2, 4, 4, 5])];
    vec![
        (
            "A1",
            "relu",
            |s| vec![relu(s[0], AtZero::Zero), relu(s[0], AtZero::Half), relu(s[0], AtZero::One)],
            x(),
        ),
        ("A1", "relu at 0", |s| vec![relu(s[0], AtZero::Half)], vec![array([0.0, 1.0, -1.0])]),
        (
            "A2",
            "leaky",
            |s| vec![leaky_relu(s[0], 0.1), prelu(s[0], s[1])],
            vec![draw(1, [4, 3]), draw(2, [3])],
        ),
        ("A3", "elu", |s| vec![elu::elu(s[0], 1.5)], x()),
        ("A4", "selu", |s| vec![selu(s[0])], x()),
        (
            "A5",
            "smooth",
            |s| vec![activation::softplus(s[0]), activation::gelu(s[0]), activation::gelu_tanh(s[0])],
            x(),
        ),
        ("A5", "smooth", |s| vec![activation::silu(s[0]), activation::mish(s[0])], x()),
        (
            "A6",
            "dense",
            |s| vec![linear(&s[1..]).apply(s[0])],
            vec![draw(1, [4, 3]), draw(2, [3, 5]), draw(3, [5])],
        ),
        ("A7", "deep linear", |s| vec![s[0].dot(s[1]).dot(s[1])], vec![draw(1, [4, 3]), draw(2, [3, 3])]),
        (
            "A8",
            "residual",
            |s| vec![Residual { inner: linear(&s[1..3]), outer: linear(&s[3..5]), a: s[5] }.apply(s[0])],
            vec![draw(1, [4, 3]), draw(2, [3, 6]), draw(3, [6]), draw(4, [6, 3]), draw(5, [3]), array(0.0)],
        ),
        (
            "A8",
            "coupling",
            |s| {
                let (a, b) = couple((s[0], s[1]), |x| x.sin(), |x| x.exp());
                vec![a, b]
            },
            vec![draw(1, [3]), draw(2, [3])],
        ),
        (
            "A9",
            "highway",
            |s| vec![Highway { layer: linear(&s[1..3]), gate: linear(&s[3..5]) }.apply(s[0])],
            vec![draw(1, [4, 3]), draw(2, [3, 3]), draw(3, [3]), draw(4, [3, 3]), draw(5, [3])],
        ),
        (
            "A9",
            "lstm",
            |s| {
                let (hs, (_, c)) = Lstm { input: linear(&s[1..3]), recurrent: s[3], tape: None }.apply(s[0]);
                vec![hs, c]
            },
            vec![draw(1, [5, 2, 3]), draw(2, [3, 8]), draw(3, [8]), draw(4, [2, 8])],
        ),
        (
            "A9",
            "gru",
            |s| {
                let gru = Gru { input: linear(&s[1..3]), gates: s[3], candidate: s[4], tape: None };
                vec![gru.apply(s[0]).0]
            },
            vec![draw(1, [5, 2, 3]), draw(2, [3, 6]), draw(3, [6]), draw(4, [2, 4]), draw(5, [2, 2])],
        ),
        ("A10", "concat", |s| part(beside(s[0], 1, |x| x.sin()), 1, &[2, 4]), x()),
        (
            "A11",
            "batch norm",
            |s| {
                let (y, moments) = BatchNorm { scale: s[1], shift: s[2], epsilon: 1e-5 }.by_batch(s[0]);
                vec![y, moments.mean, moments.variance]
            },
            vec![draw(1, [5, 3, 2]), draw(2, [3]), draw(3, [3])],
        ),
        (
            "A11",
            "layer, RMS and group norm",
            |s| {
                let (scale, shift, epsilon) = (s[1], s[2], 1e-5);
                vec![
                    LayerNorm { scale, shift, epsilon }.apply(s[0]),
                    RmsNorm { scale, epsilon }.apply(s[0]),
                    GroupNorm { scale, shift, groups: 2, epsilon }.apply(s[0]),
                ]
            },
            vec![draw(1, [3, 4]), draw(2, [4]), draw(3, [4])],
        ),
        (
            "A11",
            "weight norm",
            |s| vec![WeightNorm { v: s[1], g: s[2], bias: s[3] }.apply(s[0])],
            vec![draw(1, [4, 3]), draw(2, [3, 5]), draw(3, [5]), draw(4, [5])],
        ),
        (
            "A12",
            "spectral norm",
            |s| {
                let start = Vectors { left: s[1], right: s[2] };
                vec![start.follow(s[0], 2).normalise(s[0])]
            },
            vec![draw(1, [4, 3]), draw(2, [4]), draw(3, [3])],
        ),
        ("A13", "cross-entropy", |s| vec![cross_entropy(s[0], labels())], vec![draw(1, [2, 3])]),
        (
            "A14",
            "guarded",
            |s| {
                vec![
                    binary_cross_entropy(s[0], s[1].logistic()),
                    sqrt_or_zero(s[0]),
                    divide_or_zero(s[0], s[1]),
                ]
            },
            vec![draw(1, [4]), draw(2, [4])],
        ),
        (
            "A15",
            "pooling",
            |s| {
                let config = PoolConfig::new([2, 2]);
                let soft = Pool::LogSumExp { temperature: 0.5 };
                let pooled = [Pool::Max, Pool::Average, soft].map(|pool| pool.apply(s[0], &config));
                let rest = [global_average(s[0]), smooth_max(s[0], 3, 0.5), soft_argmax(s[0], 3, 0.5)];
                [&pooled[..], &rest].concat()
            },
            images(),
        ),
        (
            "A16",
            "attention",
            |s| {
                vec![
                    attention(s[0], s[1], s[2], Mask::Causal),
                    tiled_attention(s[0], s[1], s[2], Mask::Causal, 2),
                    tiled_attention(s[0], s[1], s[2], Mask::Full, 3),
                ]
            },
            vec![draw(1, [1, 2, 6, 3]), draw(2, [1, 2, 6, 3]), draw(3, [1, 2, 6, 4])],
        ),
        (
            "A16",
            "self-attention",
            |s| {
                let (inward, outward) = (linear(&s[1..3]), linear(&s[3..5]));
                vec![SelfAttention { inward, outward, heads: 2, mask: Mask::Full }.apply(s[0])]
            },
            vec![draw(1, [2, 3, 4]), draw(2, [4, 12]), draw(3, [12]), draw(4, [4, 4]), draw(5, [4])],
        ),
        ("A17", "soft sort", |s| vec![soft_sort(s[0], 0.7)], vec![draw(1, [5])]),
        (
            "A17",
            "sinkhorn",
            |s| vec![sinkhorn(s[0], s[1], s[2], 0.5, 8)],
            vec![draw(1, [3, 4]), positive(2, 3), positive(3, 4)],
        ),
        ("A17", "rasteriser", |s| vec![coverage(s[0], s[1], 0.3)], vec![draw(1, [2, 3, 2]), draw(2, [6, 2])]),
        (
            "A17",
            "memory",
            |s| {
                let at = memory::by_content(s[0], s[1], 2.0);
                let at = memory::sharpen(memory::rotate(at, s[2]), 1.5);
                vec![memory::read(s[0], at), memory::write(s[0], at, s[1], s[1])]
            },
            vec![draw(1, [4, 3]), draw(2, [3]), positive(3, 4)],
        ),
        (
            "A18",
            "fixed point",
            |s| {
                let step = |p: Vec<Var>, z: Var| (z.dot(p[1]) * 0.3 + p[0]).tanh();
                vec![fixed_point(step, s.clone(), s[0] * 0.0, FixedPoint::default())]
            },
            vec![draw(1, [3]), draw(2, [3, 3])],
        ),
        (
            "A19",
            "neural ODE",
            |s| {
                let field = Mlp {
                    hidden: vec![linear(&s[1..3])],
                    head: linear(&s[3..5]),
                    activation: Activation::Tanh,
                };
                vec![
                    NeuralOde { field, method: ode::RK4, step_s: 0.1, n_steps: 5, tape: None::<Tape> }
                        .apply(s[0]),
                ]
            },
            vec![draw(1, [4, 3]), draw(2, [3, 6]), draw(3, [6]), draw(4, [6, 3]), draw(5, [3])],
        ),
        (
            "A20",
            "caps",
            |s| {
                let (q, k, v, g) = (s[0], s[1], s[2], s[3]);
                vec![
                    soft_cap(q, 2.0),
                    normalised_attention(q, k, v, g, Mask::Full),
                    z_loss(q.reshape([12, 3]), 0.1),
                ]
            },
            vec![draw(1, [1, 2, 6, 3]), draw(2, [1, 2, 6, 3]), draw(3, [1, 2, 6, 4]), array(1.5)],
        ),
        (
            "A21",
            "data",
            |s| {
                let key = constant(&Key::from_seed(5).to_array());
                let moved = [
                    augment::crop(s[0], key, [2, 3]),
                    augment::shift(s[0], key, 1),
                    augment::flip(s[0], key),
                ];
                let mixed = mixup(s[0], constant(&array([1_i64, 0])), s[1].logistic());
                [&moved[..], &[mixed, smoothed_cross_entropy(s[2], labels(), 0.1)]].concat()
            },
            vec![draw(1, [2, 4, 4, 5]), draw(2, []), draw(3, [2, 3])],
        ),
        (
            "A21",
            "whitening",
            |s| vec![Whitening { mean: s[1], root: s[2] }.apply(s[0])],
            vec![draw(1, [4, 3]), draw(2, [3]), draw(3, [3, 3])],
        ),
        (
            "",
            "convolution and tables",
            |s| {
                let conv = Conv { kernel: s[1], bias: s[2], config: ConvConfig::default().padding(1) };
                let ids = constant(&array([[1_i64, 0, 1], [2, 2, 0]]));
                let tokens = Embedding { table: s[3] }.apply(ids);
                vec![conv.apply(s[0]), add_places(tokens, s[3])]
            },
            vec![draw(1, [2, 2, 5]), draw(2, [3, 2, 3]), draw(3, [3]), draw(4, [3, 2])],
        ),
    ]
}

#[test]
fn forward_and_reverse_mode_are_one_derivative() {
    let rows = rows();
    let missed: Vec<String> =
        rows.iter().filter_map(|(_, name, f, at)| adjoint(name, *f, *f, at).err()).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    for trick in TRICKS {
        assert!(rows.iter().any(|(id, ..)| *id == trick.id), "{} has no row", trick.id);
    }
}

/// What is exact is the slope; what is declared inexact is not where it has not converged.
#[test]
fn exact_tricks_have_the_slope_of_differences() {
    let inexact: Vec<&str> =
        TRICKS.iter().filter(|t| matches!(t.law, Law::Inexact { .. })).map(|t| t.id).collect();
    assert_eq!(inexact, ["A12", "A18"]);
    for (id, name, f, at) in rows() {
        let found = slope(name, f, &at);
        // The fixed point has converged.
        assert_eq!(found.is_ok(), id != "A12", "{name}: {found:?}");
    }
    let early: F = |s| {
        let config = FixedPoint { tolerance: 0.5, ..FixedPoint::default() };
        let step = |p: Vec<Var>, z: Var| (z.dot(p[1]) * 0.3 + p[0]).tanh();
        vec![fixed_point(step, s.clone(), s[0] * 0.0, config)]
    };
    assert!(slope("a fixed point that is none yet", early, &[draw(1, [3]), draw(2, [3, 3])]).is_err());
}

/// One mode with a wrong sign, without a factor, or without a term, must not pass.
#[test]
fn broken_derivatives_are_refused() {
    let sine: F = |s| vec![s[0].sin()];
    let broken: [(&str, F, F, Vec<Array>); 3] = [
        (
            "wrong sign",
            sine,
            |s| {
                let law = Promise::Inexact("the sign is wrong".into());
                vec![custom_vjp(
                    &law,
                    s[0],
                    |x: Var| x.sin(),
                    |x| (x.sin(), x),
                    |x, y_bar: Var| -(y_bar * x.cos()),
                )]
            },
            vec![draw(1, [4])],
        ),
        (
            "missing factor",
            |s| vec![selu(s[0])],
            |s| {
                let y = elu::elu(s[0], 1.6732632423543772);
                vec![y + (y * 0.0507009873554805).stop_gradient()]
            },
            vec![draw(1, [4])],
        ),
        (
            "missing term: the variance as a constant",
            |s| vec![normalise(s[0], 1e-5)],
            |s| {
                let centred = s[0] - s[0].mean();
                let variance = (centred * centred).mean() + 1e-5;
                vec![centred * variance.rsqrt().stop_gradient()]
            },
            vec![draw(1, [4])],
        ),
    ];
    for (name, forward, reverse, at) in broken {
        assert_eq!(adjoint(name, forward, forward, &at), Ok(()));
        assert!(adjoint(name, forward, reverse, &at).is_err(), "{name}");
    }
}
