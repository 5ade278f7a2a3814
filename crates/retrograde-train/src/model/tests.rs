//! What holds of every kind of network, and what each promises.

use retrograde_array::{Array, array, rng};
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::function::Function;
use retrograde_engine::{grad, jit};

use super::*;
use crate::loss::Batch;
use crate::recipe::Recipe;

fn interface() -> Interface {
    Interface { layout: Layout::Images { height: 8, width: 8 }, n_outputs: 10 }
}

fn model(text: &str) -> Model {
    Recipe::parse(&format!("model = {{ {text} }}"), "test").unwrap().model
}

fn start(model: &Model) -> Network {
    model.check(&interface()).unwrap();
    model.start(&interface(), Key::from_seed(1))
}

fn images(n: usize) -> Array {
    retrograde_array::ops::convert(&rng::uniform(Key::from_seed(2), [n, 64]), DTYPE)
}

type Inputs = (Layers<Var>, Buffers<Var>, Var);

fn evaluate() -> Jit<impl Function<Inputs, Output = Var>, Inputs> {
    jit(|layers: Layers<Var>, buffers: Buffers<Var>, x: Var| layers.forward(x, &buffers, Pass::Evaluation).0)
}

/// The gradient of the loss of a batch whose labels are all `label`.
fn gradient(network: &Network, x: Array, label: i64) -> Layers<Array> {
    let data = crate::digits();
    let loss = Loss::new(&Recipe::default(), &data);
    let targets = Array::vector(vec![label; x.shape()[0]]);
    let batch = Batch { x, goal: Goal { targets, mix: None }, key: Key::from_seed(3).to_array() };
    let door = grad(move |layers: Layers<Var>, buffers: Buffers<Var>, batch: Batch<Var>| {
        loss.of(&layers, &buffers, &batch).0
    });
    door.wrt::<0>().call((&network.layers, &network.buffers, &batch)).unwrap()
}

fn leaf(layers: &Layers<Array>, path: &str) -> Vec<f32> {
    let found = tree::leaves(layers).into_iter().find(|(name, _)| name == path);
    found.unwrap_or_else(|| panic!("no {path}")).1.to_vec().unwrap()
}

#[test]
fn sizes_are_those_of_the_parameters_and_names_bring_them_back() {
    for name in Model::NAMES {
        let model = Model::named(name).unwrap();
        let network = start(&model);
        let n: usize = tree::leaves(&network.layers).iter().map(|(_, leaf)| leaf.size()).sum();
        assert_eq!(model.size(&interface()).parameters, n as u64, "{name}");
        let n_layers = network.layer_names().len();
        assert!(if *name == "linear" { n_layers == 1 } else { n_layers >= 2 }, "{name}");
        let other = model.start(&interface(), Key::from_seed(9));
        let back = other.with(&network.arrays()).unwrap();
        let pairs = || network.arrays().into_iter().zip(back.arrays());
        assert!(pairs().all(|(a, b)| a.0 == b.0 && a.1.bits_eq(&b.1)), "{name}");
        assert!(other.with(&network.arrays()[1..]).is_none(), "{name}");
    }
}

/// Rows are predicted one by one as in a batch: nothing of the others enters, and nothing is left out.
#[test]
fn predictions_are_those_of_each_row() {
    for name in Model::NAMES {
        let network = start(&Model::named(name).unwrap());
        let door = evaluate();
        let x = images(3);
        let outputs =
            |x: &Array| door.call((&network.layers, &network.buffers, x)).unwrap().to_vec::<f32>().unwrap();
        let all = outputs(&x);
        let values = x.to_vec::<f32>().unwrap();
        for row in 0..3 {
            let one = outputs(&Array::new([1, 64], values[64 * row..][..64].to_vec()).unwrap());
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(one.len() == 10 && one.iter().zip(&all[10 * row..]).all(close), "{name}");
        }
    }
}

#[test]
fn binary_weights_are_plus_or_minus_one_scale() {
    let network = start(&model("name = \"binary\", hidden = [5]"));
    let binary = jit(|layers: Layers<Var>| match layers {
        Layers::Binary(layers) => layers.head.binary(),
        _ => panic!("another model"),
    });
    let weights = binary.call(&network.layers).unwrap().to_vec::<f32>().unwrap();
    // 5 to 10 values: Xavier's bound.
    let scale = (6.0_f64 / 15.0).sqrt() as f32;
    let real = leaf(&network.layers, "head.weight");
    assert!(weights.iter().zip(&real).all(|(w, r)| *w == scale.copysign(*r)), "{weights:?}");
    assert!(weights.iter().any(|w| *w > 0.0) && weights.iter().any(|w| *w < 0.0));
}

/// Below the cut nothing depends on the targets: a prediction of zeros moves nothing, and another one moves all labels alike.
#[test]
fn below_a_cut_the_prediction_alone_is_learnt_from() {
    let network = start(&model("name = \"synthetic_gradients\", hidden = [6, 5]"));
    let x = images(7);
    let below = |network: &Network, label| leaf(&gradient(network, x.clone(), label), "below.0.weight");
    assert!(below(&network, 0).iter().all(|g| *g == 0.0));
    let arrays = network.arrays().into_iter().map(|(name, leaf)| {
        let is_bias = name == "prediction.bias";
        (name, if is_bias { array([1.0_f32, -1.0, 0.5, 2.0, -0.25, 1.5]) } else { leaf })
    });
    let predicting = network.with(&arrays.collect::<Vec<_>>()).unwrap();
    let (zero, one) = (gradient(&predicting, x.clone(), 0), gradient(&predicting, x.clone(), 1));
    assert_eq!(leaf(&zero, "below.0.weight"), leaf(&one, "below.0.weight"));
    assert!(leaf(&zero, "below.0.weight").iter().any(|g| *g != 0.0));
    // Above the cut the gradient is the true one, and the prediction learns from it.
    assert_ne!(leaf(&zero, "head.weight"), leaf(&one, "head.weight"));
    assert_ne!(leaf(&zero, "prediction.weight"), leaf(&one, "prediction.weight"));
}

/// A prediction of the true cotangent gives the gradient of the whole network.
#[test]
fn a_true_prediction_is_the_gradient_of_the_network() {
    // One row, so the bias alone can predict: its target is the slope of half its squared error at zero, with the sign turned.
    let network = start(&model("name = \"synthetic_gradients\", hidden = [6, 5]"));
    let x = images(1);
    let error = leaf(&gradient(&network, x.clone(), 3), "prediction.bias");
    let truth = Array::vector(error.iter().map(|g| -g).collect());
    let arrays = network.arrays().into_iter().map(|(name, leaf)| {
        let is_bias = name == "prediction.bias";
        (name, if is_bias { truth.clone() } else { leaf })
    });
    let predicting = network.with(&arrays.collect::<Vec<_>>()).unwrap();
    let found = gradient(&predicting, x.clone(), 3);
    // The same network without a cut.
    let mlp = start(&model("name = \"mlp\", hidden = [6, 5]"));
    let renamed = network.arrays().into_iter().filter(|(name, _)| !name.starts_with("prediction"));
    let renamed = renamed.map(|(name, leaf)| {
        let name = name.replace("below.0", "hidden.0").replace("above.0", "hidden.1");
        (name, leaf)
    });
    let whole = gradient(&mlp.with(&renamed.collect::<Vec<_>>()).unwrap(), x, 3);
    let (found, expected) = (leaf(&found, "below.0.weight"), leaf(&whole, "hidden.0.weight"));
    assert!(expected.iter().any(|g| g.abs() > 1e-3));
    assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5 * e.abs().max(1e-2)), "{found:?}");
}

/// Feedback is not the transposed weight: the first layer has another gradient than in the plain network, the last one the same.
#[test]
fn feedback_alignment_changes_the_gradients_below_the_head() {
    for feedback in ["layers", "direct"] {
        let aligned = start(&model(&format!(
            "name = \"feedback_alignment\", hidden = [6, 5], feedback = \"{feedback}\""
        )));
        let layers = aligned.arrays().into_iter().filter(|(name, _)| !name.starts_with(BUFFERS));
        let plain =
            start(&model("name = \"mlp\", hidden = [6, 5]")).with(&layers.collect::<Vec<_>>()).unwrap();
        let (found, truth) = (gradient(&aligned, images(4), 2), gradient(&plain, images(4), 2));
        assert_eq!(leaf(&found, "head.weight"), leaf(&truth, "head.weight"));
        assert_ne!(leaf(&found, "hidden.0.weight"), leaf(&truth, "hidden.0.weight"));
    }
}

/// Adjoints within the bound give the gradient of the plain loop. Where none passes to earlier steps, what is left is the last step's
/// own, whatever the bound.
#[test]
fn clipped_adjoints_change_the_gradient_only_beyond_their_bound() {
    let of = |clip: &str| {
        let network = start(&model(&format!("name = \"lstm\", hidden = 6, clip = {clip}, dropout = 0")));
        leaf(&gradient(&network, images(4), 2), "cell.recurrent")
    };
    let (free, wide, tight, tighter) = (of("1e6"), of("1e3"), of("1e-6"), of("1e-9"));
    assert_eq!(free, wide);
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart(&free, &tight) > 1e-2 && apart(&tight, &tighter) < 1e-4);
    assert!(tighter.iter().any(|g| g.abs() > 1e-3));
}

#[test]
fn tokens_are_rows_or_patches() {
    let pixels = Array::new([1, 64], (0..64).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
    for (patch, n_tokens, second) in [(0, 8, vec![8.0, 9.0]), (4, 4, vec![4.0, 5.0])] {
        let network =
            start(&model(&format!("name = \"transformer\", patch = {patch}, width = 8, heads = 2")));
        let tokens = jit(|layers: Layers<Var>, x: Var| match layers {
            Layers::Transformer(layers) => layers.tokens(x),
            _ => panic!("another model"),
        });
        let tokens = tokens.call((&network.layers, &pixels)).unwrap();
        assert_eq!(tokens.shape()[1], n_tokens);
        let per_token = 64 / n_tokens;
        assert_eq!(tokens.to_vec::<f32>().unwrap()[per_token..][..2], second[..]);
    }
}
