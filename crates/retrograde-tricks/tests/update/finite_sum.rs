//! Methods on finite sums: closed forms, one meaning for one sum however it is given, and mistakes.

use std::ops::ControlFlow;

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::Var;
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::update::finite_sum::{
    Adam, FiniteSum, FiniteSumError, HessianFree, Lbfgs, Limits, Lissa, MatrixFreeNewton, Method, NewtonCg,
    Saga, Sgd, StochasticNewton, Stop, Svrg,
};

fn numbers(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap()
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// n rows of d numbers, and targets.
fn rows(n: usize, d: usize) -> (Array, Array) {
    let targets = numbers(&normal(Key::from_seed(2), [n]));
    let labels = targets.iter().map(|t| if *t > 0.3 { 1.0 } else { -1.0 }).collect();
    (normal(Key::from_seed(1), [n, d]), Array::vector(labels))
}

fn line(w: Var, (x, _): (Var, Var)) -> Var {
    x.dot(w)
}
fn logistic(z: Var, (_, y): (Var, Var)) -> Var {
    (-(y * z)).softplus()
}
fn squared(z: Var, (_, y): (Var, Var)) -> Var {
    0.5 * (z - y) * (z - y)
}

fn every_method() -> Vec<Box<dyn Method>> {
    vec![
        Box::new(StochasticNewton::default()),
        Box::new(StochasticNewton { levenberg: 1.0, ..StochasticNewton::default() }),
        Box::new(MatrixFreeNewton::default()),
        Box::new(HessianFree::default()),
        Box::new(HessianFree { preconditioned: true, ..HessianFree::default() }),
        Box::new(NewtonCg::default()),
        Box::new(Lbfgs::default()),
        Box::new(Lissa { eta: 0.1, depth: 1.0 }),
        Box::new(Svrg { rate: 0.05, ..Svrg::default() }),
        Box::new(Saga { rate: 0.1 }),
        Box::new(Sgd { rate: 0.5, decay: 1.0, batch: 8 }),
        Box::new(Adam { rate: 0.03, decay: 0.05, batch: 16 }),
    ]
}

#[test]
fn every_method_comes_to_the_same_minimum_and_counts_its_passes() {
    let start = Array::zeros(DType::F64, [3]);
    let problem = FiniteSum::new(start, rows(160, 3), line, logistic).unwrap().l2(0.05).unwrap();
    let limits = Limits { passes: 200.0, tolerance: 1e-14, seed: 3 };
    let exact = problem.minimise(&NewtonCg { forcing: 1e-10 }, limits).unwrap();
    let (least, _) = problem.value_and_gradient(&exact.parameters).unwrap();
    for method in every_method() {
        let found = problem.minimise(method.as_ref(), limits).unwrap();
        let (value, _) = problem.value_and_gradient(&found.parameters).unwrap();
        // Steps that vanish like 1/t come near; the others are there.
        let near = if ["sgd", "adam"].contains(&method.name()) { 1e-2 } else { 1e-9 };
        assert!(value - least < near, "{method:?}: {:e} after {} passes", value - least, found.passes);
        assert!(found.passes > 0.0 && found.passes < 200.0 + 3.0, "{method:?}: {}", found.passes);
        // The same seed gives the same bits.
        assert_eq!(problem.minimise(method.as_ref(), limits).unwrap(), found, "{method:?}");
    }
}

/// Put away after each step and taken up again in a new run, with a new sum: the bits of the run that went straight on.
#[test]
fn every_method_is_resumed_after_each_step_to_the_same_bits() {
    let problem = || {
        let start = Array::zeros(DType::F64, [3]);
        FiniteSum::new(start, rows(160, 3), line, logistic).unwrap().l2(0.05).unwrap()
    };
    let (limits, start) = (Limits { passes: 30.0, tolerance: 1e-14, seed: 3 }, Array::zeros(DType::F64, [3]));
    for method in every_method() {
        let (one, other) = (problem(), problem());
        let mut straight = one.begin(method.as_ref(), limits, &start).unwrap();
        let mut memory = other.begin(method.as_ref(), limits, &start).unwrap().memory();
        let mut anew = None;
        loop {
            let mut resumed = other.resume(method.as_ref(), limits, &memory).unwrap();
            if resumed.progress().n_steps == 2 {
                // Begun, not resumed, where the run is after two steps.
                let w = Array::vector(resumed.progress().w.to_vec());
                let mut begun = other.begin(method.as_ref(), limits, &w).unwrap();
                begun.step().unwrap();
                anew = Some(begun.progress().w.to_vec());
            }
            let stop = straight.step().unwrap();
            assert_eq!(resumed.step().unwrap(), stop, "{method:?}");
            memory = resumed.memory();
            let expected = straight.memory();
            assert!(memory.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && a.1.bits_eq(&b.1)), "{method:?}");
            assert_eq!(memory.len(), expected.len());
            if resumed.progress().n_steps == 3 {
                // What is remembered matters, but to one method that knows only where it is, and one that begins with plain gradients.
                let same = anew.take().is_some_and(|w| w == resumed.progress().w);
                assert_eq!(same, ["newton-cg", "lissa"].contains(&method.name()), "{method:?}");
            }
            if stop.is_some() {
                break;
            }
        }
        assert!(straight.progress().n_steps >= 2, "{method:?}");
    }
}

#[test]
fn memory_that_does_not_fit_is_refused_with_what_was_found() {
    let problem = FiniteSum::new(Array::zeros(DType::F64, [2]), rows(5, 2), line, logistic).unwrap();
    let begun = |method: &dyn Method| {
        let start = Array::zeros(DType::F64, [2]);
        problem.begin(method, Limits::default(), &start).unwrap().memory()
    };
    let resumed = |method: &dyn Method, memory: &[(String, Array)]| {
        message(problem.resume(method, Limits::default(), memory))
    };
    let found = resumed(&Saga::default(), &begun(&Lbfgs::default()));
    let start = "finite sum: found nothing under `table` in the memory of a run, expected f64[5,2]: resume with the method and the sum";
    assert!(found.starts_with(start), "{found}");
    let mut memory = begun(&Lbfgs::default());
    memory[0].1 = array([1.0, 2.0, 3.0]);
    let found = resumed(&Lbfgs::default(), &memory);
    assert!(found.contains("found f64[3] under `w`") && found.contains("expected f64[2]"), "{found}");
    memory[0].1 = array([1.0, f64::NAN]);
    let found = resumed(&Lbfgs::default(), &memory);
    assert!(found.contains("the parameters is not finite"), "{found}");
    let mut memory = begun(&Lbfgs::default());
    memory[1].1 = array(-1_i64);
    let found = resumed(&Lbfgs::default(), &memory);
    assert!(found.contains("found a negative count under `spent`"), "{found}");
    // Nothing may be missing; before the first pair there is none to be read.
    for at in 0..memory.len() - 2 {
        let mut less = begun(&Lbfgs::default());
        let (name, _) = less.remove(at);
        let found = resumed(&Lbfgs::default(), &less);
        let expected = format!("found nothing under `{}`", name.trim_start_matches("method."));
        assert!(found.contains(&expected), "{found}");
    }
}

#[test]
fn newton_with_all_examples_solves_a_quadratic_in_one_step() {
    let problem =
        FiniteSum::new(Array::vector(vec![0.3; 4]), rows(50, 4), line, squared).unwrap().l2(0.1).unwrap();
    let whole = StochasticNewton { subsample: Some(50), damping: Some(0.0), ..StochasticNewton::default() };
    let methods: [&dyn Method; 2] = [&NewtonCg { forcing: 1e-14 }, &whole];
    for method in methods {
        let start = array([0.3, 0.3, 0.3, 0.3]);
        let limits = Limits { tolerance: 0.0, passes: 100.0, seed: 0 };
        let once = problem.observe(method, limits, &start, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!((once.stop, once.n_steps), (Stop::Observer, 1));
        let (_, slope) = problem.value_and_gradient(&once.parameters).unwrap();
        assert!(far(&numbers(&slope), &[0.0; 4]) < 1e-13, "{}: {slope:?}", method.name());
    }
    // One product too few for conjugate gradients, or examples too few for the curvature, and the step misses.
    let half = StochasticNewton { subsample: Some(25), damping: Some(0.0), ..StochasticNewton::default() };
    let limits = Limits { tolerance: 0.0, ..Limits::default() };
    let once = problem.observe(&half, limits, &array([0.3; 4]), &mut |_| ControlFlow::Break(())).unwrap();
    let (_, slope) = problem.value_and_gradient(&once.parameters).unwrap();
    assert!(far(&numbers(&slope), &[0.0; 4]) > 1e-3);
}

#[test]
fn a_loss_in_one_piece_is_the_same_sum() {
    let start = || Array::zeros(DType::F64, [3]);
    let split = FiniteSum::new(start(), rows(120, 3), line, logistic).unwrap().l2(0.01).unwrap();
    let whole = FiniteSum::of_loss(start(), rows(120, 3), |w: Var, x: (Var, Var)| logistic(line(w, x), x));
    let whole = whole.unwrap().l2(0.01).unwrap();
    let w = array([0.3, -0.2, 0.5]);
    let (a, b) = (split.value_and_gradient(&w).unwrap(), whole.value_and_gradient(&w).unwrap());
    assert_eq!(a.0, b.0);
    assert!(far(&numbers(&a.1), &numbers(&b.1)) < 1e-15);
    // The mean of the examples' gradients is the gradient without the penalty.
    let each = numbers(&split.example_gradients(&w).unwrap());
    let mean: Vec<f64> = (0..3).map(|j| each.iter().skip(j).step_by(3).sum::<f64>() / 120.0).collect();
    let penalty: Vec<f64> = numbers(&w).iter().map(|w| 0.01 * w).collect();
    let total: Vec<f64> = mean.iter().zip(&penalty).map(|(a, b)| a + b).collect();
    assert!(far(&total, &numbers(&a.1)) < 1e-15);
    // The curvature of a linear predictor is its Hessian, so that Newton's steps are the same; what the matrix costs is not.
    let newton = StochasticNewton { subsample: Some(60), damping: Some(0.0), ..StochasticNewton::default() };
    let limits = Limits { tolerance: 1e-10, ..Limits::default() };
    let (a, b) = (split.minimise(&newton, limits).unwrap(), whole.minimise(&newton, limits).unwrap());
    assert!(far(&numbers(&a.parameters), &numbers(&b.parameters)) < 1e-12);
    assert_eq!(a.n_steps, b.n_steps);
    assert!(b.passes > a.passes);
}

#[test]
fn a_network_with_several_outputs_is_trained_to_a_point_without_slope() {
    let network = Mlp::xavier(Key::from_seed(4), 2, &[4], 3, Activation::Tanh, DType::F32);
    let inputs = ops::convert(&normal(Key::from_seed(5), [90, 2]), DType::F32);
    let labels: Vec<i64> = (0..90).map(|i| i % 3).collect();
    let outputs = |network: Mlp<Var>, (x, _): (Var, Var)| {
        let logits = network.apply(x.reshape([1, 2]));
        logits.reshape([3])
    };
    let loss = |z: Var, (_, label): (Var, Var)| cross_entropy(z.reshape([1, 3]), label.reshape([1]));
    let problem =
        FiniteSum::new(network.clone(), (inputs, array(labels)), outputs, loss).unwrap().l2(1e-2).unwrap();
    let (before, _) = problem.value_and_gradient(&network).unwrap();
    let limits = Limits { tolerance: 1e-6, passes: 400.0, seed: 1 };
    let damped = StochasticNewton { levenberg: 1.0, ..StochasticNewton::default() };
    for method in [&StochasticNewton::default() as &dyn Method, &damped, &HessianFree::default()] {
        let found = problem.minimise(method, limits).unwrap();
        let (after, slope) = problem.value_and_gradient(&found.parameters).unwrap();
        let size: f64 = retrograde_core::trace::tree::leaves(&slope)
            .iter()
            .flat_map(|(_, leaf)| leaf.to_vec::<f32>().unwrap())
            .map(|g| f64::from(g * g))
            .sum();
        assert!(
            after < before && size.sqrt() < 3e-3,
            "{}: {before} to {after}, {}",
            method.name(),
            size.sqrt()
        );
    }
}

fn message<T: std::fmt::Debug>(result: Result<T, FiniteSumError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_cannot_be_summed_is_refused_with_what_was_found() {
    let start = || Array::zeros(DType::F64, [2]);
    let none = (Array::zeros(DType::F64, [0, 2]), Array::zeros(DType::F64, [0]));
    let found = message(FiniteSum::new(start(), none, line, logistic));
    assert!(found.starts_with("finite sum: found data without entries, expected at least one"), "{found}");
    let unequal = (Array::zeros(DType::F64, [5, 2]), Array::zeros(DType::F64, [4]));
    let found = message(FiniteSum::new(start(), unequal, line, logistic));
    assert!(found.starts_with("finite sum: leaf `1` of the data is f64[4], expected 5 entries"), "{found}");
    let whole = Array::zeros(DType::I64, [2]);
    let found = message(FiniteSum::new(whole, rows(5, 2), line, logistic));
    assert!(found.contains("of the parameters is i64[2], expected floating-point numbers"), "{found}");
    let nothing = Array::zeros(DType::F64, [0]);
    let found = message(FiniteSum::new(nothing, rows(5, 2), line, logistic));
    assert!(found.starts_with("finite sum: found parameters without entries"), "{found}");
    let found = message(FiniteSum::new(start(), rows(5, 2), line, logistic).unwrap().l2(-1.0));
    assert_eq!(found, "finite sum: found l2 = -1, expected a finite number that is not negative");
}

#[test]
fn a_tree_unlike_the_start_is_refused() {
    let problem = FiniteSum::new(Array::zeros(DType::F64, [2]), rows(5, 2), line, logistic).unwrap();
    let found = message(problem.value_and_gradient(&array([1.0, 2.0, 3.0])));
    assert!(found.contains("the value is f64[3], expected f64[2]"), "{found}");
    let other = array([1.0_f32, 2.0]);
    let found = message(
        problem.observe(&Lbfgs::default(), Limits::default(), &other, &mut |_| ControlFlow::Continue(())),
    );
    assert!(found.contains("the value is f32[2], expected f64[2]"), "{found}");
}

#[test]
fn a_loss_that_is_no_number_is_a_mistake_with_its_line() {
    let start = Array::zeros(DType::F64, [2]);
    let problem = FiniteSum::of_loss(start, rows(5, 2), |w: Var, (x, _): (Var, Var)| x * w).unwrap();
    let found = message(problem.minimise(&Lbfgs::default(), Limits::default()));
    assert!(found.contains("the loss of an example is f64[2], expected one number (rank 0)"), "{found}");
    assert!(found.contains("finite_sum.rs:"), "{found}");
}

#[test]
fn settings_that_do_not_fit_the_data_are_refused() {
    let problem = FiniteSum::new(Array::zeros(DType::F64, [2]), rows(5, 2), line, logistic).unwrap();
    let refused = |method: &dyn Method| message(problem.minimise(method, Limits::default()));
    let too_large = "found batch = 6, expected from 1 to 5, the number of examples";
    for method in [
        &Sgd { batch: 6, ..Sgd::default() } as &dyn Method,
        &Adam { batch: 6, ..Adam::default() },
        &Svrg { batch: 6, ..Svrg::default() },
        &MatrixFreeNewton { batch: 6, ..MatrixFreeNewton::default() },
    ] {
        assert!(refused(method).contains(too_large), "{method:?}: {}", refused(method));
    }
    let found = refused(&StochasticNewton { subsample: Some(6), ..StochasticNewton::default() });
    assert!(found.contains("found subsample = 6, expected from 1 to 5"), "{found}");
    let found = refused(&StochasticNewton { refresh_every: 0, ..StochasticNewton::default() });
    assert!(found.contains("found refresh_every = 0, expected at least 1"), "{found}");
    let found = refused(&StochasticNewton { damping: Some(-1.0), ..StochasticNewton::default() });
    assert!(found.contains("found damping = -1, expected a finite number that is not negative"), "{found}");
    let found = refused(&StochasticNewton { levenberg: f64::NAN, ..StochasticNewton::default() });
    assert!(
        found.contains("found levenberg = NaN, expected a finite number that is not negative"),
        "{found}"
    );
    for (method, what) in [
        (&Saga { rate: 0.0 } as &dyn Method, "rate = 0"),
        (&Svrg { epoch: f64::NAN, ..Svrg::default() }, "epoch = NaN"),
        (&Lissa { eta: -1.0, depth: 1.0 }, "eta = -1"),
        (&HessianFree { damping: 0.0, ..HessianFree::default() }, "damping = 0"),
        (&NewtonCg { forcing: f64::INFINITY }, "forcing = inf"),
    ] {
        let found = refused(method);
        assert!(found.contains(&format!("found {what}, expected a finite number above zero")), "{found}");
    }
    let found = refused(&Lbfgs { memory: 0 });
    assert!(found.contains("found memory = 0, expected at least 1"), "{found}");
    let limits = Limits { tolerance: f64::NAN, ..Limits::default() };
    let found = message(problem.minimise(&Lbfgs::default(), limits));
    assert!(found.contains("found tolerance = NaN"), "{found}");
}

#[test]
fn values_that_are_not_finite_end_a_run_with_where_it_was() {
    let root = |w: Var, x: Var| (w - x).sqrt(); // NaN for x > w
    let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0]), root).unwrap();
    for method in every_method() {
        // Batches larger than the data are refused before.
        if ["sgd", "adam", "matrix-free-newton"].contains(&method.name()) {
            continue;
        }
        let found = message(problem.minimise(method.as_ref(), Limits::default()));
        assert!(found.contains("is not finite after 0 steps"), "{method:?}: {found}");
        assert!(found.contains("take a smaller rate or more damping"), "{found}");
    }
    let problem = FiniteSum::new(Array::zeros(DType::F64, [3]), rows(40, 3), line, squared).unwrap();
    let limits = Limits { tolerance: 0.0, passes: 2000.0, seed: 0 };
    let found = message(problem.minimise(&Svrg { rate: 10.0, ..Svrg::default() }, limits));
    assert!(found.contains("is not finite after"), "{found}");
}
