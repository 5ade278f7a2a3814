//! What a user reads after a likely mistake: each message is a golden file, `tests/golden/mistakes/NAME.txt`.
//!
//! Each names the line of the mistake in this file and what to do about it. `UPDATE_EXPECT=1 cargo test --test mistakes`
//! rewrites the golden files; new lines go to the end of this one, so that the others keep their numbers.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use retrograde::prelude::*;
use retrograde_train::Recipe;

/// Compares the message of a mistake in this file with its golden file.
#[track_caller]
fn check<T>(name: &str, result: Result<T, impl Display>) {
    check_in("crates/retrograde/tests/mistakes.rs:", name, result);
}

/// Compares the message of a mistake in some file with its golden file.
#[track_caller]
fn check_in<T>(place: &str, name: &str, result: Result<T, impl Display>) {
    let Err(error) = result else { panic!("{name}: found a result, expected an error") };
    let message = format!("{error}\n");
    assert!(message.contains(place), "{name}: does not name the place:\n{message}");
    assert!(message.contains("\n  help: "), "{name}: names no remedy:\n{message}");
    let path = golden().join(name).with_extension("txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, message).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(message == expected, "{}: expected\n{expected}\nfound\n{message}", path.display());
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mistakes")
}

#[test]
fn every_golden_file_has_its_test() {
    let here = include_str!("mistakes.rs");
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(here.contains(&format!("\"{name}\", ")), "{} has no test", path.display());
    }
}

fn vector() -> Array {
    array([1.0, 2.0, 3.0])
}

#[test]
fn shape_mismatch() {
    let f = |x: Var| {
        let weights = constant(&array([0.5, 0.5]));
        (x * weights).sum()
    };
    check("shape_mismatch", grad(f).call(&vector()));
}

#[test]
fn product_of_the_wrong_lengths() {
    let f = |x: Var, w: Var| x.dot(w).sum();
    let (x, w) = (Array::zeros(DType::F64, [4, 64]), Array::zeros(DType::F64, [10, 64]));
    check("product_of_the_wrong_lengths", grad(f).call((&x, &w)));
}

#[test]
fn wrong_dtype() {
    let f = |x: Var, counts: Var| (x / counts).sum();
    check("wrong_dtype", grad(f).call((&vector(), &array([1i64, 2, 3]))));
}

#[test]
fn literal_that_does_not_fit() {
    let f = |counts: Var| counts * 0.5;
    check("literal_that_does_not_fit", jit(f).call(&array([1i64, 2, 3])));
}

#[test]
fn forgotten_reduction() {
    let residual = |x: Var| {
        let miss = x - 1.0;
        miss * miss
    };
    check("forgotten_reduction", grad(residual).call(&vector()));
}

#[test]
fn escaped_from_a_loop() {
    let f = |x: Var| {
        let mut speed = x;
        let end = scan(10).repeat(x, |x| {
            speed = x.sin();
            x + 0.1 * speed
        });
        (end * speed).sum()
    };
    check("escaped_from_a_loop", grad(f).call(&vector()));
}

#[test]
fn escaped_from_a_trace() {
    let kept = std::cell::Cell::new(None);
    let first = |x: Var| {
        kept.set(Some(x));
        x.sum()
    };
    grad(first).call(&vector()).unwrap();
    let second = |x: Var| (x * kept.get().unwrap()).sum();
    check("escaped_from_a_trace", grad(second).call(&vector()));
}

#[test]
fn loss_of_several_results() {
    let f = |x: Var| (x.sum(), x.mean());
    check("loss_of_several_results", grad(f).call(&vector()));
}

#[test]
fn loss_that_counts() {
    let f = |logits: Var| logits.argmax(0);
    check("loss_that_counts", grad(f).call(&vector()));
}

#[derive(Tree, Clone, Debug)]
struct Line<T> {
    slope: T,
    offsets: Vec<T>,
}

fn line(n_offsets: usize) -> Line<Array> {
    Line { slope: array(2.0), offsets: vec![array(1.0); n_offsets] }
}

#[test]
fn direction_of_another_structure() {
    let f = |line: Line<Var>| line.offsets.iter().map(|b| line.slope * line.slope * *b).sum::<Var>();
    check("direction_of_another_structure", hvp(f).call(&line(2), &line(1)));
}

#[test]
fn direction_of_another_shape() {
    let f = |x: Var| (x * x * x).sum();
    check("direction_of_another_shape", hvp(f).call(&vector(), &array([1.0, 0.0])));
}

#[test]
fn cotangent_of_another_shape() {
    let f = |x: Var| x.sin();
    let door = vjp(f);
    let x = vector();
    let (_, pullback) = door.call(&x).unwrap();
    check("cotangent_of_another_shape", pullback.call(&array(1.0)));
}

#[test]
fn state_that_changes_its_shape() {
    let f = |x: Var| scan(3).repeat(x, |x| x.sum());
    check("state_that_changes_its_shape", grad(f).call(&vector()));
}

#[test]
fn integer_gradient() {
    let f = |x: Var, n: Var| (x * n.convert(DType::F64)).sum();
    check("integer_gradient", grad(f).wrt::<1>().call((&vector(), &array([1i64, 2, 3]))));
}

#[test]
fn irreversible_update() {
    let f = |x: Var| {
        let step = |(x, n): (Var, Var)| (x + x.sin() / n.convert(DType::F64), n / 2 + 50);
        scan(100).tape(Tape::Reverse).repeat((x, constant(&array(7i64))), step).0.sum()
    };
    check("irreversible_update", grad(f).call(&vector()));
}

#[test]
fn two_mistakes() {
    let f = |x: Var| {
        let a = x + constant(&array([1.0, 2.0]));
        let b = x.reshape([2, 2]);
        (a * a).sum() + b.sum()
    };
    check("two_mistakes", grad(f).call(&vector()));
}

#[test]
fn a_panic_after_a_mistake() {
    let f = |x: Var| {
        let pairs = x.reshape([2, 2]);
        assert_eq!(pairs.dot(x).rank(), 7, "a consequence of the mistake above");
        pairs.sum()
    };
    check("a_panic_after_a_mistake", grad(f).call(&vector()));
}

#[test]
fn a_named_region() {
    let f = |x: Var| scope("encoder", || scope("layer 2", || x.dot(x.reshape([1, 3])))).sum();
    check("a_named_region", grad(f).call(&vector()));
}

#[test]
fn inside_an_iterator() {
    let f = |x: Var| [x, x.sum(), x.slice(0, 0..2)].into_iter().sum::<Var>().sum();
    check("inside_an_iterator", grad(f).call(&vector()));
}

#[test]
fn mistake_in_a_loop_body() {
    let f = |x: Var, w: Var| scan(3).repeat(x, |x| w.dot(x).tanh()).sum();
    check("mistake_in_a_loop_body", grad(f).call((&vector(), &Array::zeros(DType::F64, [3, 2]))));
}

#[test]
fn entry_out_of_range() {
    let f = |x: Var| x.index(0, 3);
    check("entry_out_of_range", grad(f).call(&vector()));
}

#[test]
fn missing_file() {
    check_in("recipes/diigts.toml", "missing_file", Recipe::load(Path::new("recipes/diigts.toml")));
}

#[test]
fn unknown_recipe_key() {
    let text = "epochs = 20\nlearning_rte = 0.1\n\n[model]\nhiden = [64]\n";
    check_in("my-recipe.toml:2:1", "unknown_recipe_key", Recipe::parse(text, "my-recipe.toml"));
}

#[test]
fn used_outside_of_everything() {
    let kept = std::cell::Cell::new(None);
    let f = |x: Var| {
        kept.set(Some(x));
        x.sum()
    };
    grad(f).call(&vector()).unwrap();
    let leftover = kept.get().unwrap();
    let message = |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<String>().unwrap();
    // There is no front door that could return it.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| leftover * 2.0)).map_err(message);
    check("used_outside_of_everything", result);
}

#[test]
fn a_door_called_inside_traced_code() {
    let f = |x: Var| {
        let inner = grad(|y: Var| (x * y).sum()).call(&vector()).unwrap_or_else(|e| panic!("{e}"));
        x.sum() * &inner
    };
    let error =
        std::panic::catch_unwind(|| grad(f).call(&vector())).map_err(|p| *p.downcast::<String>().unwrap());
    check("a_door_called_inside_traced_code", error);
}

#[test]
fn a_function_pointer() {
    let f = |x: Var, n: Var| [x, n].map(Var::sin).into_iter().sum::<Var>().sum();
    check("a_function_pointer", grad(f).call((&vector(), &array([1i64, 2, 3]))));
}

#[test]
fn integers_for_numbers() {
    let f = |x: Var| (x * x).sum();
    check("integers_for_numbers", grad(f).call(&array([1, 2, 3])));
}

#[test]
fn images_of_another_width() {
    let network = Mlp::xavier(Key::from_seed(0), 64, &[16], 10, Activation::Tanh, DType::F64);
    let loss = |network: Mlp<Var>, images: Var, labels: Var| {
        let logits = network.apply(images);
        cross_entropy(logits, labels)
    };
    let (images, labels) = (Array::zeros(DType::F64, [5, 63]), Array::zeros(DType::I64, [5]));
    check("images_of_another_width", grad(loss).call((&network, &images, &labels)));
}

#[test]
fn labels_of_another_length() {
    let loss = |logits: Var, labels: Var| cross_entropy(logits, labels);
    let (logits, labels) = (Array::zeros(DType::F64, [5, 10]), Array::zeros(DType::I64, [4]));
    check("labels_of_another_length", grad(loss).call((&logits, &labels)));
}

#[test]
fn lanes_of_another_length() {
    let f = |x: Var, y: Var| (x * y).sum();
    let (x, y) = (Array::zeros(DType::F64, [4, 3]), Array::zeros(DType::F64, [3]));
    check("lanes_of_another_length", vmap(f).call((&x, &y)));
}

#[test]
fn branches_of_another_shape() {
    let f = |x: Var| cond(x.sum().gt(0.0), |x: Var| x, |x: Var| x.sum(), x).sum();
    check("branches_of_another_shape", grad(f).call(&vector()));
}

#[test]
fn a_simulation_with_masses_in_its_state() {
    let orbit = ode::leapfrog(|q: Var| -q).step(0.01);
    let f = |q: Var, v: Var, m: Var| orbit.run((q, v, m), 100).distance_to(0.0);
    check("a_simulation_with_masses_in_its_state", grad(f).call((&vector(), &vector(), &vector())));
}

#[test]
fn an_acceleration_of_another_shape() {
    let orbit = ode::leapfrog(|q: Var| -q.slice(0, 0..2)).step(0.01);
    let f = |q: Var, v: Var| orbit.run((q, v), 100).distance_to(0.0);
    check("an_acceleration_of_another_shape", grad(f).call((&vector(), &vector())));
}

#[test]
fn a_comparison_of_two_shapes() {
    let f = |x: Var| select(x.gt(x.slice(0, 0..2)), x, x * 0.0).sum();
    check("a_comparison_of_two_shapes", grad(f).call(&vector()));
}
