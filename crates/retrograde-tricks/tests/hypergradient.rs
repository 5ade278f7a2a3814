//! Gradients with respect to hyperparameters through a whole training run: right, the same to the bit when the run is reversed, small.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::prim::{Checkpoint, Tape, Value};
use retrograde_core::trace::door::{grad, jit, value_and_grad, vmap};
use retrograde_core::trace::lattice::{Contract, Lattice};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Var, tree};
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::update::reversible_momentum::{Hyper, ReversibleMomentum, layers};

const BATCH: usize = 8;

/// A smooth function of two numbers, with noise: `n` batches of points, and their values.
fn points(seed: u64, n: usize, dtype: DType) -> (Array, Array) {
    let x = normal(Key::from_seed(seed), [n, BATCH, 2]);
    let noise = normal(Key::from_seed(seed + 100), [n, BATCH, 1]).to_vec::<f64>().unwrap();
    let y = x.to_vec::<f64>().unwrap();
    let y = y.chunks(2).zip(noise).map(|(x, noise)| (x[0] + 0.5 * x[1]).sin() + 0.1 * noise).collect();
    let convert = |a: Array| ops::convert(&a, dtype);
    (convert(x), convert(Array::new([n, BATCH, 1], y).unwrap()))
}

fn squared(network: Mlp<Var>, (x, y): (Var, Var)) -> Var {
    let miss = network.apply(x) - y;
    (miss * miss).mean()
}

/// The loss on other points after training, as a function of hyperparameters and first weights.
fn validation(
    momentum: ReversibleMomentum,
    n_steps: usize,
    dtype: DType,
) -> impl Fn(Hyper<Var>, Mlp<Var>) -> Var + Clone {
    let (train, other) = (points(1, n_steps, dtype), points(2, 1, dtype));
    move |hyper, network| {
        let batches = (constant(&train.0), constant(&train.1));
        let trained = momentum.train(squared, network, batches, hyper);
        squared(trained, (constant(&other.0).index(0, 0), constant(&other.1).index(0, 0)))
    }
}

fn network(dtype: DType) -> Mlp<Array> {
    Mlp::xavier(Key::from_seed(7), 2, &[6], 1, Activation::Tanh, dtype)
}

fn hyper() -> Hyper<Array> {
    Hyper { log_rates: array([-0.7, -1.6]), log_penalties: array([-4.0, -6.0]) }
}

fn same(a: &Hyper<Array>, b: &Hyper<Array>) -> bool {
    a.log_rates.bits_eq(&b.log_rates) && a.log_penalties.bits_eq(&b.log_penalties)
}

/// The declared derivative is that of the run without roundings, which on a lattice of 2⁻⁵⁰ the run differs from by less than
/// 10⁻¹²; fourth-order differences with a step of 10⁻³ are then right to about 10⁻⁹.
#[test]
fn hypergradients_are_the_slopes_of_whole_training_runs() {
    let f = validation(ReversibleMomentum::default(), 60, DType::F64);
    let network = network(DType::F64);
    let slope = grad(f.clone()).tape(Tape::Reverse).call((&hyper(), &network)).unwrap();
    let door = jit(f);
    let value = |layer: usize, of_rates: bool, by: f64| {
        let mut moved = hyper();
        let which = if of_rates { &mut moved.log_rates } else { &mut moved.log_penalties };
        which.make_mut::<f64>().unwrap()[layer] += by;
        door.call((&moved, &network)).unwrap().item::<f64>().unwrap()
    };
    let by = 1e-3;
    for of_rates in [true, false] {
        let found = if of_rates { &slope.log_rates } else { &slope.log_penalties };
        for (layer, found) in found.to_vec::<f64>().unwrap().into_iter().enumerate() {
            let at = |by| value(layer, of_rates, by);
            let expected = (8.0 * (at(by) - at(-by)) - (at(2.0 * by) - at(-2.0 * by))) / (12.0 * by);
            assert!(found.abs() > 1e-6, "{layer} {of_rates}: {found}");
            assert!((found - expected).abs() < 1e-8, "{layer} {of_rates}: {found} {expected}");
        }
    }
}

#[test]
fn hypergradients_have_the_same_bits_and_keep_what_contraction_destroys() {
    let n_steps = 400;
    for (gamma, dtype) in [
        (Contract { n: 9, d: 10 }, DType::F64),
        (Contract { n: 49, d: 50 }, DType::F64),
        (Contract { n: 9, d: 10 }, DType::F32),
    ] {
        let momentum = ReversibleMomentum { gamma, ..ReversibleMomentum::default() };
        let (f, network) = (validation(momentum, n_steps, dtype), network(dtype));
        let store = value_and_grad(f.clone());
        let (value, expected) = store.call((&hyper(), &network)).unwrap();
        for policy in [Checkpoint::Sqrt.into(), Tape::Recompute, Checkpoint::Slots(5).into()] {
            let other = grad(f.clone()).tape(policy).call((&hyper(), &network)).unwrap();
            assert!(same(&other, &expected), "{policy}");
        }
        let reverse = value_and_grad(f).tape(Tape::Reverse);
        let (reversed_value, found) = reverse.call((&hyper(), &network)).unwrap();
        assert!(reversed_value.bits_eq(&value) && same(&found, &expected), "{gamma:?} {dtype}");
        let (report, stored) = (reverse.last_tape(), store.last_tape());
        assert_eq!((report.inverse_steps, report.recomputed_steps), (n_steps as u64, 0));
        assert!(report.notes.is_empty(), "{report}");
        let n_values: usize = tree::leaves(&network).iter().map(|(_, leaf)| leaf.size()).sum();
        let destroyed = (f64::from(gamma.d) / f64::from(gamma.n)).log2() * (n_values * n_steps) as f64;
        assert!(report.stack_bits() as f64 <= destroyed, "{report}");
        assert!(20 * report.tape_bytes() < stored.tape_bytes(), "{report}\n{stored}");
    }
}

#[test]
fn a_flipped_bit_of_a_training_run_is_refused() {
    let f = validation(ReversibleMomentum::default(), 400, DType::F64);
    let door = value_and_grad(f).tape(Tape::Reverse);
    let (hyper, network) = (hyper(), network(DType::F64));
    let (_, report, tape) = door.forward((&hyper, &network)).unwrap();
    assert!(door.backward((&hyper, &network), tape.clone()).is_ok());
    let n_bits = report.stack_bits();
    assert!(n_bits > 0);
    for flip in (0..n_bits).step_by(n_bits / 10) {
        let mut broken = tape.clone();
        for value in &mut broken {
            if let Value::Bits(bits) = value {
                bits.flip(flip);
            }
        }
        assert!(door.backward((&hyper, &network), broken).is_err(), "bit {flip} of {n_bits}");
    }
}

/// Several hyperparameters at once.
#[test]
fn lanes_of_hypergradients_are_those_of_runs_of_their_own() {
    let f = validation(ReversibleMomentum::default(), 50, DType::F64);
    let network = network(DType::F64);
    let start = network.clone();
    let of = move |hyper: Hyper<Var>| {
        use retrograde_core::trace::Tree;
        f(hyper, start.map(&mut |leaf| constant(leaf)))
    };
    let (slow, fast) = ([-0.7, -1.6], [-0.2, -0.9]);
    let penalties = [-4.0, -6.0];
    let batch = Hyper { log_rates: array([slow, fast]), log_penalties: array([penalties, penalties]) };
    let lanes = jit(vmap(grad(of.clone()))).tape(Tape::Reverse).call(&batch).unwrap();
    for (lane, rates) in [slow, fast].into_iter().enumerate() {
        let hyper = Hyper { log_rates: array(rates), log_penalties: array(penalties) };
        let alone = grad(of.clone()).call(&hyper).unwrap();
        assert!(lanes.log_rates.row(lane).bits_eq(&alone.log_rates), "lane {lane}");
    }
}

#[test]
fn mistakes_of_hyperparameters_are_named() {
    let f = validation(ReversibleMomentum::default(), 3, DType::F64);
    let network = network(DType::F64);
    assert_eq!(layers(&network), ["hidden.0", "head"]);
    let few = Hyper { log_rates: array([-1.0]), ..hyper() };
    let error = grad(f).call((&few, &network)).unwrap_err().to_string();
    assert!(error.contains("found log_rates f64[1], expected floats [2], one for each layer"), "{error}");
    assert!(error.contains("hidden.0, head") && error.contains("hypergradient.rs:"), "{error}");
    // A run that explodes names what would do, and where.
    let small = ReversibleMomentum {
        lattice: Lattice { grid: 2f64.powi(-40), range: 4.0 },
        ..ReversibleMomentum::default()
    };
    let f = validation(small, 100, DType::F64);
    let wild = Hyper { log_rates: array([4.0, 4.0]), ..hyper() };
    let error = grad(f).tape(Tape::Reverse).call((&wild, &network)).unwrap_err().to_string();
    assert!(error.contains("the range of this lattice of grid 2^-40; a range of "), "{error}");
    assert!(error.contains("of the loop, counted from 0"), "{error}");
}

/// At convergence a run forgets its rates, and the slope by its penalties is that of the minimum, which the implicit function
/// theorem has from the last weights alone.
#[test]
fn a_run_that_converges_has_the_hypergradient_of_its_minimum() {
    use retrograde_solve::linear::{LinearError, cg};
    use retrograde_solve::uses::hypergradient;

    type Line = (Var, Var);
    let data = |seed: u64| {
        let x = normal(Key::from_seed(seed), [20, 2]);
        let noise = normal(Key::from_seed(seed + 100), [20]).to_vec::<f64>().unwrap();
        let y = x.to_vec::<f64>().unwrap();
        let y = y.chunks(2).zip(noise).map(|(x, noise)| x[0] - 0.5 * x[1] + 0.3 + 0.5 * noise);
        (x.clone(), array(y.collect::<Vec<f64>>()))
    };
    let miss = |(slopes, height): Line, (x, y): &(Array, Array)| {
        let found = constant(x).dot(slopes);
        let miss = found + height.spread(found.shape()) - constant(y);
        (miss * miss).mean()
    };
    let (train, other) = (data(31), data(32));
    let (of_train, of_other) = (train.clone(), other.clone());
    let run = move |hyper: Hyper<Var>, start: Line| {
        let steps = constant(&array(vec![0.0; 800]));
        let squared = |line: Line, _: Var| miss(line, &of_train);
        ReversibleMomentum::default().train(squared, start, steps, hyper)
    };
    let last = run.clone();
    let hyper = Hyper { log_rates: array([-0.7, -0.4]), log_penalties: array([-1.0, -2.0]) };
    let start = (array([0.0, 0.0]), array(0.0));
    let reversed = grad(move |hyper: Hyper<Var>, start: Line| miss(run(hyper, start), &of_other));
    let reversed = reversed.tape(Tape::Reverse).call((&hyper, &start)).unwrap();
    let fitted = jit(last).call((&hyper, &start)).unwrap();

    let inner = move |line: Line, penalties: Var| {
        let penalty = |k: usize, squares: Var| 0.5 * penalties.index(0, k).exp() * squares;
        let (slopes, height) = line;
        miss(line, &train) + penalty(0, (slopes * slopes).sum()) + penalty(1, height * height)
    };
    let implicit = hypergradient(inner, move |line: Line, _: Var| miss(line, &other));
    let at = (&fitted, &hyper.log_penalties);
    let found = implicit
        .call(at, |g| {
            let found = cg(|v| implicit.curvature(at, v), g).tolerance(1e-13).solve()?;
            Ok::<_, LinearError>((found.x, found.stop))
        })
        .unwrap();
    assert!(found.gradient_norm < 1e-12, "{}", found.gradient_norm);
    let numbers = |a: &Array| a.to_vec::<f64>().unwrap();
    for (by_run, by_minimum) in numbers(&reversed.log_penalties).into_iter().zip(numbers(&found.slope)) {
        // Far above what the two may differ by.
        assert!(by_minimum.abs() > 1e-4, "{by_minimum}");
        assert!((by_run - by_minimum).abs() < 1e-10, "{by_run} {by_minimum}");
    }
    assert!(numbers(&reversed.log_rates).iter().all(|slope| slope.abs() < 1e-10));
}
