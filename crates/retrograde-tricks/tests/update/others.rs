//! Fifty steps of other libraries: `optimisers.txt`, made by `tools/optimisers.py`.

use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_tricks::update::accumulate::accumulate;
use retrograde_tricks::update::adafactor::adafactor;
use retrograde_tricks::update::adagrad::{adadelta, adagrad, centred_rmsprop, rmsprop};
use retrograde_tricks::update::adam::{Adam, adam, adamw, amsgrad, nadam, yogi};
use retrograde_tricks::update::averaging::{averaged, ema, lookahead};
use retrograde_tricks::update::clip::{clip, clip_by_global_norm};
use retrograde_tricks::update::curvature::lion;
use retrograde_tricks::update::map::{Given, Leaves, Rule, State, Update, chain};
use retrograde_tricks::update::matrix::muon;
use retrograde_tricks::update::momentum::{momentum, nesterov, sgd, velocity};
use retrograde_tricks::update::schedule::{Schedule, descend};
use retrograde_tricks::update::sharpness::sharpness_aware_gradient;
use retrograde_tricks::update::trust::{lamb, lars};
use retrograde_tricks::update::weight_decay::weight_decay;

use crate::{Parameters, distance, numbers, problem};

const REFERENCE: &str = include_str!("optimisers.txt");
const STEPS: [usize; 7] = [1, 2, 3, 5, 10, 20, 50];
const BOUND: f64 = 1e-12;

/// The rows of a case: library and numbers.
pub(crate) fn rows(case: &str) -> Vec<(&'static str, Vec<f64>)> {
    let lines = REFERENCE.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let of_case = lines.filter(|words| words[0] != "#" && words[1] == case);
    of_case.map(|words| (words[0], words[2..].iter().map(|word| word.parse().unwrap()).collect())).collect()
}

/// The parameters after the steps that the reference has.
fn run(update: &Update, read: impl Fn(&State<Array>, &Parameters) -> Parameters) -> Vec<f64> {
    let (mut p, slope) = problem();
    let (mut state, mut found) = (update.init(&p).unwrap(), vec![]);
    for step in 1..=50 {
        (p, state) = update.step(&slope(&p), state, p).unwrap();
        if STEPS.contains(&step) {
            let (w, b) = read(&state, &p);
            found.extend([numbers(&w), numbers(&b)].concat());
        }
    }
    found
}

fn iterates(update: &Update) -> Vec<f64> {
    run(update, |_, p| p.clone())
}

#[track_caller]
fn agrees(case: &str, libraries: &[&str], found: &[f64]) {
    let rows = rows(case);
    assert_eq!(rows.iter().map(|(library, _)| *library).collect::<Vec<_>>(), libraries, "{case}");
    for (library, expected) in rows {
        let off = distance(found, &expected);
        assert!(off <= BOUND, "{case}: {off:e} from {library}");
    }
}

#[test]
fn updates_are_those_of_optax_and_torch() {
    let (optax, torch, both) = (["optax"].as_slice(), ["torch"].as_slice(), ["optax", "torch"].as_slice());
    for (case, libraries, update) in [
        ("sgd", both, sgd(0.1)),
        ("momentum", both, momentum(0.1, 0.9)),
        ("nesterov", both, nesterov(0.1, 0.9)),
        ("decay", both, chain((weight_decay(0.1), momentum(0.1, 0.9)))),
        ("clip", optax, chain((clip(0.02), momentum(0.5, 0.9)))),
        ("clip_norm", optax, chain((clip_by_global_norm(0.05), momentum(0.5, 0.9)))),
        ("adam", both, adam(0.05)),
        ("adamw", both, adamw(0.05, 0.1)),
        ("amsgrad", torch, amsgrad(0.05)),
        ("nadam", both, nadam(0.05)),
        ("yogi", optax, yogi(0.05)),
        ("adagrad_0", optax, adagrad(0.1, 0.1, 0.0)),
        ("adagrad", torch, adagrad(0.1, 0.1, 1e-10)),
        ("rmsprop", both, rmsprop(0.01, 0.9)),
        ("rmsprop_centred", both, centred_rmsprop(0.01, 0.9, 1e-2)),
        ("rmsprop_momentum", both, chain((rmsprop(0.01, 0.9), velocity(0.9, false)))),
        ("adadelta", both, adadelta(1.0, 0.9, 1e-6)),
        ("adafactor", both, adafactor(0.01)),
        ("lion", optax, lion(0.01, 0.1)),
        ("lars", optax, lars(0.5, 0.01)),
        ("lamb", optax, lamb(0.05, 0.1)),
        ("schedule", optax, sgd(Schedule::cosine(0.2, 0.01, 40))),
        ("multi_steps", optax, accumulate(5, adam(0.05))),
        ("lookahead", optax, chain((sgd(0.1), lookahead(5, 0.5)))),
    ] {
        agrees(case, libraries, &iterates(&update));
    }
    agrees("ema", torch, &run(&chain((sgd(0.1), ema(0.9))), |state, p| averaged(state, p).unwrap()));
}

#[test]
fn muon_is_that_of_optax() {
    let ((mut w, b), slope) = problem();
    let update = muon(0.02, 0.95);
    let (mut state, mut found) = (update.init(&w).unwrap(), vec![]);
    for step in 1..=50 {
        let gradient = slope(&(w.clone(), b.clone())).0;
        (w, state) = update.step(&gradient, state, w).unwrap();
        if STEPS.contains(&step) {
            found.extend([numbers(&w), numbers(&b)].concat());
        }
    }
    agrees("muon", &["optax"], &found);
}

#[test]
fn sam_is_that_of_optax() {
    // The quadratic of the problem in normal form, so that it can be traced with its data as constants.
    let ((w, b), _) = problem();
    let x: Vec<f64> = (0..32).map(|at| f64::from((7 * (at / 4) + 3 * (at % 4)) % 11 - 5) / 8.0).collect();
    let y: Vec<f64> = (0..24).map(|at| f64::from((5 * (at / 3) + 2 * (at % 3)) % 7 - 3) / 4.0).collect();
    let data = (crate::shaped(&[8, 4], x), crate::shaped(&[8, 3], y));
    let loss = |(w, b): (Var, Var), (x, y): (Var, Var)| {
        let miss = x.dot(w) + b.broadcast(y.shape(), &[1]) - y;
        (miss * miss).sum() / 16.0
    };
    let slope = jit(|p: (Var, Var), data: (Var, Var)| sharpness_aware_gradient(loss, p, data, 0.05));
    let (mut p, update, mut found) = ((w, b), sgd(0.1), vec![]);
    let mut state = update.init(&p).unwrap();
    for step in 1..=50 {
        (p, state) = update.step(&slope.call((&p, &data)).unwrap(), state, p).unwrap();
        if STEPS.contains(&step) {
            found.extend([numbers(&p.0), numbers(&p.1)].concat());
        }
    }
    agrees("sam", &["optax"], &found);
}

/// In f32, the same to the precision of f32.
#[test]
fn updates_in_f32_are_those_in_f64_rounded() {
    let (p, slope) = problem();
    let narrow = |p: &Parameters| (ops::convert(&p.0, DType::F32), ops::convert(&p.1, DType::F32));
    let wide = |p: &Parameters| (ops::convert(&p.0, DType::F64), ops::convert(&p.1, DType::F64));
    for update in [momentum(0.1, 0.9), adam(0.05), adamw(0.05, 0.1), rmsprop(0.01, 0.9), lamb(0.05, 0.1)] {
        let (mut p64, mut p32) = (p.clone(), narrow(&p));
        let (mut s64, mut s32) = (update.init(&p64).unwrap(), update.init(&p32).unwrap());
        for _ in 0..20 {
            let (g64, g32) = (slope(&p64), narrow(&slope(&wide(&p32))));
            (p64, s64) = update.step(&g64, s64, p64).unwrap();
            (p32, s32) = update.step(&g32, s32, p32).unwrap();
            assert_eq!(p32.0.dtype(), DType::F32);
        }
        let off = distance(&numbers(&wide(&p32).0), &numbers(&p64.0));
        assert!(off < 2e-5, "{}: {off:e}", update.name());
    }
}

/// A wrong sign or a missing factor is far outside of the bound.
#[test]
fn broken_updates_are_found() {
    /// Adam whose means are not corrected for bias, and whose decay has the wrong sign.
    #[derive(Debug)]
    struct WithoutCorrection;
    impl Rule for WithoutCorrection {
        fn name(&self) -> String {
            "without correction".into()
        }
        fn init(&self, p: &Leaves<Var>) -> State<Var> {
            State::new("without correction").with("mean", p.zeros()).with("square", p.zeros())
        }
        fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
            let g = &given.gradient;
            let m = state.get("mean").unwrap().zip(g, |m, g| 0.9 * m + 0.1 * g);
            let v = state.get("square").unwrap().zip(g, |v, g| 0.999 * v + 0.001 * g * g);
            let step = m.zip(&v, |m, v| m / (v.sqrt() + 1e-8));
            (step, State::new("without correction").with("mean", m).with("square", v))
        }
    }
    let off = |case: &str, update: Update| distance(&iterates(&update), &rows(case)[0].1);
    assert!(off("adam", chain((Update::new(WithoutCorrection, vec![]), descend(0.05)))) > 1e-2);
    let direction = || Adam::default().direction();
    assert!(off("adamw", chain((direction(), descend(0.05)))) > 1e-2); // the decay is missing
    assert!(off("adamw", chain((direction(), weight_decay(0.11), descend(0.05)))) > 1e-4); // a tenth too much
    assert!(off("nesterov", momentum(0.1, 0.9)) > 1e-4);
    assert!(off("rmsprop", rmsprop(0.01, 0.91)) > 1e-4);
}
