//! Runs down the mean loss over all training rows.

use super::*;
use crate::evaluate::{batch_of, targets_of};

/// Logistic regression on the digits: convex, with a penalty on all of its 650 parameters.
fn logistic(more: &str) -> Recipe {
    let recipe = Recipe::parse("epochs = 60\nweight_decay = 0.01\nmodel = \"linear\"", "logistic.toml");
    recipe.unwrap().amend(more, "more").unwrap()
}

fn update(name: &str) -> String {
    format!("[update]\nname = \"{name}\"\n")
}

const NAMES: [&str; 8] = [
    "stochastic-newton",
    "matrix-free-newton",
    "hessian-free",
    "lbfgs",
    "newton-cg",
    "lissa",
    "svrg",
    "saga",
];

/// Few rows of the digits, for what takes long where nothing is optimised.
fn few(n_train: usize) -> (Dataset, Fold) {
    let data = digits();
    let fold = first_fold(&data);
    let fold = Fold {
        train: fold.train[..n_train].to_vec(),
        validation: fold.train[n_train..][..60].to_vec(),
        ..fold
    };
    (data, fold)
}

fn numbers(network: &Network, name: &str) -> Vec<f64> {
    let (_, leaf) = network.arrays().into_iter().find(|(known, _)| known == name).unwrap();
    leaf.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// F of softmax regression and the length of its gradient, written out: `p − y` for each row and class.
fn by_hand(trained: &Trained, data: &Dataset, rows: &[usize], l2: f64) -> (f64, f64) {
    let (weight, bias) = (numbers(&trained.network, "head.weight"), numbers(&trained.network, "head.bias"));
    let (k, n) = (bias.len(), rows.len() as f64);
    let x = batch_of(&data.inputs, &trained.scaling, rows).to_vec::<f32>().unwrap();
    let labels = targets_of(&data.targets, &trained.scaling, rows).to_vec::<i64>().unwrap();
    let mut value = 0.0;
    let mut slope: Vec<f64> = weight.iter().chain(&bias).map(|w| l2 * w).collect();
    let (of_weight, of_bias) = slope.split_at_mut(weight.len());
    for (x, label) in x.chunks(weight.len() / k).zip(labels) {
        let logits: Vec<f64> = (0..k)
            .map(|c| {
                bias[c] + x.iter().enumerate().map(|(j, x)| f64::from(*x) * weight[j * k + c]).sum::<f64>()
            })
            .collect();
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        value += sum.ln() - logits[label as usize];
        for (c, z) in logits.iter().enumerate() {
            let error = (z.exp() / sum - f64::from(u8::from(c == label as usize))) / n;
            of_bias[c] += error;
            x.iter().enumerate().for_each(|(j, x)| of_weight[j * k + c] += error * f64::from(*x));
        }
    }
    let square: f64 = weight.iter().chain(&bias).map(|w| w * w).sum();
    (value / n + 0.5 * l2 * square, slope.iter().map(|g| g * g).sum::<f64>().sqrt())
}

/// The minimum of a strongly convex F is where its gradient is zero: F − min F ≤ |∇F|²/2λ.
#[test]
fn newton_comes_to_the_minimum_of_logistic_regression_where_lbfgs_comes_to() {
    let (data, fold) = (digits(), first_fold(&digits()));
    let least = |name: &str| {
        let recipe = logistic(&format!("epochs = 400\n{}tolerance = 1e-18\n", update(name)));
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let (trained, last) = (trained.unwrap(), records.last().unwrap().clone());
        assert_eq!(last.end, Some("tolerance"), "{name}");
        let (value, slope) = by_hand(&trained, &data, &fold.train, 0.01);
        // What is kept is rounded to f32; before that the gradient is smaller by far.
        assert!(slope < 3e-6 && last.gradient_norms[0] < 1e-8, "{name}: {slope:e} {:?}", last.gradient_norms);
        let bound = slope * slope / 0.02;
        assert!(bound < 1e-9, "{name}: {bound:e} above the minimum at most");
        (value, last)
    };
    let ((newton, of_newton), (lbfgs, of_lbfgs)) = (least("stochastic-newton"), least("lbfgs"));
    assert!((newton - lbfgs).abs() < 1e-8, "{newton} {lbfgs}");
    let far = of_newton.train_loss - of_lbfgs.train_loss;
    assert!(far.abs() < 1e-8, "{far:e}");
    assert!(of_newton.passes.unwrap() < 0.5 * of_lbfgs.passes.unwrap(), "{of_newton:?} {of_lbfgs:?}");
    // After a few passes of plain steps the gradient is not small: the check would notice.
    let recipe = Recipe::parse("epochs = 3\nweight_decay = 0.01\nmodel = \"linear\"", "sgd.toml").unwrap();
    let (value, slope) = by_hand(&run_on(&recipe, &data, &fold, 1).0.unwrap(), &data, &fold.train, 0.01);
    assert!(slope > 1e-3 && value - newton > 1e-5, "{slope:e} {value}");
}

/// Least squares have a closed form: the normal equations of three unknowns.
#[test]
fn a_plane_has_the_parameters_of_the_normal_equations() {
    let rows = || (0..100).map(|i| (f32::from(i as u8 % 10), f32::from(i as u8 / 10)));
    let layout = crate::Layout::Columns { names: vec!["a".into(), "b".into()], header: true };
    let data = Dataset {
        inputs: crate::Inputs {
            features: crate::Features::Numbers(rows().flat_map(|(a, b)| [a, b]).collect()),
            layout,
        },
        targets: Targets::Values(rows().map(|(a, b)| 3.0 * a - 2.0 * b + 0.1 * a * b).collect()),
        target_name: "y".into(),
        given_test_from: None,
    };
    let fold = Fold { train: (0..90).collect(), validation: vec![], test: (90..100).collect() };
    let recipe = logistic(&format!("{}tolerance = 1e-20\n", update("stochastic-newton")));
    let trained = run_on(&recipe, &data, &fold, 1).0.unwrap();
    // (XᵀX/n + λ/2) w = Xᵀy/n for the mean of squares and the penalty ½λ|w|².
    let x = batch_of(&data.inputs, &trained.scaling, &fold.train).to_vec::<f32>().unwrap();
    let y = targets_of(&data.targets, &trained.scaling, &fold.train).to_vec::<f32>().unwrap();
    let mut system = [[0.0_f64; 4]; 3];
    for (x, y) in x.chunks(2).zip(y) {
        let row = [f64::from(x[0]), f64::from(x[1]), 1.0, f64::from(y)];
        (0..3).for_each(|i| (0..4).for_each(|j| system[i][j] += row[i] * row[j] / 90.0));
    }
    (0..3).for_each(|i| system[i][i] += 0.005);
    for i in 0..3 {
        for r in (0..3).filter(|r| *r != i) {
            let factor = system[r][i] / system[i][i];
            (0..4).for_each(|j| system[r][j] -= factor * system[i][j]);
        }
    }
    let expected: Vec<f64> = (0..3).map(|i| system[i][3] / system[i][i]).collect();
    let found = [numbers(&trained.network, "head.weight"), numbers(&trained.network, "head.bias")].concat();
    assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?} {expected:?}");
    assert!(expected[0].abs() > 0.5);
}

#[test]
fn every_minimiser_trains_and_counts_its_passes() {
    let (data, fold) = few(200);
    let start = 10.0_f64.ln(); // zeros, ten classes
    for name in NAMES {
        let recipe = logistic(&format!("epochs = 25\n{}", update(name)));
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let trained = trained.unwrap();
        let last = records.last().unwrap();
        let (value, slope) = by_hand(&trained, &data, &fold.train, 0.01);
        assert!(last.train_loss < 0.4 * start && slope < 0.2, "{name}: {} {slope}", last.train_loss);
        assert!(value - last.train_loss > 1e-3, "{name}: the penalty is no part of the loss that is shown");
        let passes = last.passes.unwrap();
        assert!(passes > 1.0 && (last.end != Some("epochs") || passes >= 25.0), "{name}: {last:?}");
        assert_eq!((trained.n_epochs, trained.n_steps), (last.epoch, last.step), "{name}");
        assert!(f64::from(last.epoch) >= passes && f64::from(last.epoch) < passes + 1.0, "{name}: {last:?}");
        assert!(records.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].end.is_none()));
        assert_eq!(last.learning_rate.is_some(), ["lissa", "svrg", "saga"].contains(&name));
        // Early in a run the records say so.
        assert!(records[0].train_loss > last.train_loss, "{name}");
    }
}

#[test]
fn every_minimiser_is_resumed_after_every_step_to_the_same_bits() {
    let (data, fold) = few(150);
    for name in NAMES {
        // Conjugate gradients spend many passes on a step.
        let epochs = if name == "hessian-free" { 60 } else { 9 };
        let keys = format!("epochs = {epochs}\npatience = 3\nsplit.validation = 0.1\n{}", update(name));
        let recipe = logistic(&keys);
        let (straight, expected) = run_on(&recipe, &data, &fold, 3);
        let straight = straight.unwrap();
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(3) };
        let (resumed, records) = stopped_after_every_step(job);
        assert!(leaves(&resumed).iter().zip(&leaves(&straight)).all(|(a, b)| a.1.bits_eq(&b.1)), "{name}");
        assert_eq!(resumed.test_outputs, straight.test_outputs);
        assert_eq!(records, expected, "{name}");
        assert!(straight.n_steps > 1, "{name}");
        // Another seed goes another way, where there is chance.
        let other = run_on(&recipe, &data, &fold, 4).0.unwrap();
        let is_same = leaves(&other).iter().zip(&leaves(&straight)).all(|(a, b)| a.1.bits_eq(&b.1));
        assert_eq!(is_same, ["hessian-free", "lbfgs", "newton-cg"].contains(&name), "{name}");
    }
}

/// A network's loss is not convex: what is added to its curvature keeps the steps of few rows from going astray.
#[test]
fn networks_are_trained_and_the_damping_is_what_holds_newton() {
    let (data, fold) = few(300);
    let small = "model = { name = \"residual\", width = 8, hidden = 8, blocks = 2, dropout = 0 }";
    let loss = |model: &str, text: &str| {
        let recipe = format!("epochs = 20\nweight_decay = 1e-3\n{model}\n{text}");
        let recipe = Recipe::parse(&recipe, "r.toml").unwrap();
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        trained.unwrap();
        records.last().unwrap().train_loss
    };
    for name in ["stochastic-newton", "hessian-free", "lbfgs", "newton-cg", "svrg"] {
        let found = loss("model = { name = \"mlp\", hidden = [8] }", &update(name));
        assert!(found < 1.8, "{name}: {found}");
    }
    let (held, free) = (
        loss(small, &update("stochastic-newton")),
        loss(small, &format!("{}levenberg = 1e-300\n", update("stochastic-newton"))),
    );
    assert!(held < 0.5 && (free > 2.0 || free.is_nan()), "{held} {free}");
}

/// Ten classes and little weight decay: steps by a curvature that is not damped go ever further, to losses of thousands.
#[test]
fn newton_is_damped_where_the_weight_decay_is_small() {
    let (data, fold) = (digits(), first_fold(&digits()));
    let text = format!("epochs = 40\nmodel = \"linear\"\n{}", update("stochastic-newton"));
    let (trained, records) = run_on(&Recipe::parse(&text, "r.toml").unwrap(), &data, &fold, 1);
    trained.unwrap();
    let loss = records.last().unwrap().train_loss;
    assert!(loss < 0.045, "{loss}");
}

/// A rate far too large raises the sum in some steps. Those in between are the method's; the last one has no next one to be judged by.
#[test]
fn a_last_step_that_raises_the_sum_is_taken_back() {
    let (data, fold) = few(100);
    // Three passes for each step.
    let run = |n_steps: usize| {
        let text = format!("weight_decay = 0\nmodel = \"linear\"\n{}rate = 1\n", update("svrg"));
        let recipe = Recipe { epochs: 3 * n_steps as u32, ..Recipe::parse(&text, "r.toml").unwrap() };
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let (value, _) = by_hand(&trained.unwrap(), &data, &fold.train, 0.0);
        let losses: Vec<f64> = records.into_iter().map(|record| record.train_loss).collect();
        assert_eq!(losses.len(), n_steps);
        assert!((value - losses[n_steps - 1]).abs() < 1e-4 * value, "what is kept is what is shown");
        losses
    };
    let long = run(10);
    let rises = (1..9).find(|&step| long[step] > long[step - 1]).unwrap();
    let short = run(rises + 1);
    assert_eq!(short[..rises], long[..rises]);
    assert_eq!(short[rises], long[rises - 1], "{long:?}");
}

#[test]
fn early_stopping_keeps_the_best_epoch_and_says_so() {
    let (data, fold) = few(150);
    let text = format!("weight_decay = 0\npatience = 2\nsplit.validation = 0.1\n{}", update("lbfgs"));
    let recipe = Recipe { epochs: 400, ..Recipe::parse(&text, "r.toml").unwrap() };
    let (trained, records) = run_on(&recipe, &data, &fold, 1);
    let losses: Vec<f64> = records.iter().map(|record| record.validation.unwrap().loss()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(records.len() > 3 && losses[losses.len() - 3] == best, "{losses:?}");
    assert_eq!(records.last().unwrap().end, Some("patience"));
    let trained = trained.unwrap();
    let found = crate::evaluate::outputs(&trained.network, &data.inputs, &trained.scaling, &fold.validation);
    let score = crate::evaluate::score(&found.unwrap(), &data.targets, &trained.scaling, &fold.validation);
    assert_eq!(score.loss(), best);
}

/// All rows go through the network at once, so that fewer of them fit than of a minibatch.
#[test]
fn a_sum_that_no_memory_holds_is_refused_before_it_is_made() {
    let data = digits();
    let fold = Fold { train: (0..1700).collect(), validation: vec![], test: vec![1796] };
    let with =
        |update: &str| Recipe::parse(&format!("model.hidden = [65536, 300, 20000]\n{update}"), "r.toml");
    check_size(&with("").unwrap(), &data, &fold).unwrap();
    let error = check_size(&with(&update("svrg")).unwrap(), &data, &fold).unwrap_err().to_string();
    assert_eq!(
        error,
        "error: the network has 30140950 parameters and up to 146047000 values between layers for 1700 rows, expected at most \
         134217728 of each\n  --> `model.hidden` of the recipe\n  help: lower `model.hidden`, or use an update by minibatches, such as \
         \"adam\""
    );
}

#[test]
fn an_interrupt_says_how_many_passes_there_were() {
    let (data, fold) = few(100);
    let recipe = logistic(&update("svrg"));
    let mut n_saved = 0;
    let interrupt = AtomicBool::new(false);
    let mut listeners = Listeners {
        progress: &mut Silent,
        metrics: &mut |_| {
            interrupt.store(true, Ordering::Relaxed);
            Ok(())
        },
        checkpoint: &mut |_| {
            n_saved += 1;
            Ok(())
        },
        checkpoint_every: Duration::MAX,
        interrupt: &interrupt,
    };
    let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
    let error = train(job, None, &mut listeners).unwrap_err();
    // One for the rate, one for the snapshot, two of steps.
    assert_eq!(error.to_string(), "interrupted after 4.00 of 60 passes");
    assert!(error.is_interrupt() && error.network().is_some() && n_saved == 1);
}

#[test]
fn a_run_that_diverges_names_the_rate_and_keeps_finite_parameters() {
    let (data, fold) = few(60);
    let text = format!("epochs = 4000\nweight_decay = 0.1\n{}rate = 1e3\n", update("svrg"));
    let recipe = Recipe { model: logistic("").model, ..Recipe::parse(&text, "r.toml").unwrap() };
    let error = run_on(&recipe, &data, &fold, 1).0.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(" is not finite, expected finite numbers\n  --> training step "), "{text}");
    assert!(text.ends_with("\n  help: lower `update.rate` (it was 1e3)"), "{text}");
    let arrays = error.network().unwrap().arrays();
    assert!(arrays.iter().all(|(_, leaf)| leaf.to_vec::<f32>().unwrap().iter().all(|x| x.is_finite())));
}

/// A checkpoint of another method, or without what a method remembers, is refused: nothing begins again in silence.
#[test]
fn a_checkpoint_without_the_memory_of_the_method_is_refused() {
    let (data, fold) = few(100);
    for name in NAMES {
        let recipe = logistic(&update(name));
        let saved = std::cell::RefCell::new(None);
        let interrupt = AtomicBool::new(false);
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
        let mut listeners = Listeners {
            progress: &mut Silent,
            metrics: &mut |_| Ok(()),
            checkpoint: &mut |checkpoint| {
                interrupt.store(true, Ordering::Relaxed);
                saved.borrow_mut().get_or_insert_with(|| checkpoint.clone());
                Ok(())
            },
            checkpoint_every: Duration::ZERO,
            interrupt: &interrupt,
        };
        train(job, None, &mut listeners).unwrap_err();
        let whole = saved.into_inner().unwrap();
        for without in 0..whole.update.len() {
            let mut part = whole.clone();
            let (gone, _) = part.update.remove(without);
            let result = train(
                job,
                Some(part),
                &mut Listeners {
                    progress: &mut Silent,
                    metrics: &mut |_| Ok(()),
                    checkpoint: &mut |_| Ok(()),
                    checkpoint_every: Duration::MAX,
                    interrupt: &AtomicBool::new(true),
                },
            );
            let is_refused = matches!(result, Err(TrainError::OtherRun { what: "the update" }));
            // Before the first pair there are no secants, and a matrix with fewer rows than columns has two parts.
            let is_needless = gone.contains("secants.") || gone == "method.inverse.rows";
            assert!(is_refused || is_needless, "{name} without {gone}: {result:?}");
        }
    }
}
