//! Runs by minibatches, from their first step to their last.

use retrograde_array::rng;
use retrograde_core::trace::tree;

use super::*;
use crate::evaluate::{outputs, score};
use crate::model::Model;
use crate::recipe::Rule;
use crate::train::minibatches::{Run, is_finite};

fn short() -> Recipe {
    Recipe::parse("epochs = 2\nbatch = 100\nmodel.hidden = [16]", "short.toml").unwrap()
}

/// The model of this name, so small that a step takes little even where nothing is optimised.
fn small(name: &str) -> String {
    let keys = match name {
        "residual" => "width = 8, hidden = 8, blocks = 2",
        "cnn" => "channels = [4], dense = 8",
        "lstm" => "hidden = 8",
        "transformer" => "width = 8, hidden = 8, heads = 2, patch = 4, blocks = 1",
        "revnet" => "channels = 2, blocks = 2",
        "linear" => return "{ name = \"linear\" }".into(),
        _ => "hidden = [8, 8]",
    };
    format!("{{ name = \"{name}\", {keys} }}")
}

#[test]
fn a_seed_fixes_every_bit_and_another_seed_changes_them() {
    let (first, records) = run(&short(), 1);
    let first = first.unwrap();
    let second = run(&short(), 1).0.unwrap();
    let equal = |a: &Trained, b: &Trained| leaves(a).iter().zip(&leaves(b)).all(|(a, b)| a.1.bits_eq(&b.1));
    assert!(equal(&first, &second));
    assert!(!equal(&first, &run(&short(), 2).0.unwrap()));
    // 1437 or 1438 rows: 14 whole batches and a smaller one, twice.
    assert_eq!(first.n_steps, 30);
    assert_eq!(
        records.iter().map(|record| (record.epoch, record.step)).collect::<Vec<_>>(),
        [(1, 15), (2, 30)]
    );
    assert_eq!(records[0].test_accuracy, None);
    let Score::Classes { accuracy, .. } = first.test else { panic!("{:?}", first.test) };
    assert_eq!(records[1].test_accuracy, Some(accuracy));
    assert!(records[1].gradient_norms.len() == 2 && records[1].gradient_norms.iter().all(|&norm| norm > 0.0));
    assert!(records[1].train_loss < records[0].train_loss);
}

/// Stops after every step and goes on from the encoded checkpoint: the parameters of the uninterrupted run.
#[test]
fn a_run_resumed_after_every_step_ends_with_the_same_bits() {
    let mut data = digits();
    let fold = first_fold(&data);
    let (train_rows, validation) = hold_out(&data.targets, &fold.train, 0.2, &mut |n| (0..n).collect());
    let fold = Fold { train: train_rows, validation, ..fold };
    let plain = [
        "batch = 500\nepochs = 3",
        "batch = 500\nepochs = 4\nupdate = \"adam\"\npatience = 1\nlearning_rate = 0.3",
        "batch = 500\nepochs = 4\naverage = \"swa\"\nmixup = 0.2\nmodel.dropout = 0.5",
    ];
    // Buffers, keys and the average come back for every kind of network, too.
    let each = Model::NAMES.iter().map(|name| {
        format!("batch = 600\nepochs = 1\naverage = \"ema\"\nshift = 1\nmodel = {}", small(name))
    });
    for text in plain.map(String::from).into_iter().chain(each) {
        let recipe = short().amend(&text, "test").unwrap();
        let (straight, expected) = run_on(&recipe, &data, &fold, 3);
        let straight = straight.unwrap();
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(3) };
        let (resumed, records) = stopped_after_every_step(job);
        assert!(leaves(&resumed).iter().zip(&leaves(&straight)).all(|(a, b)| a.1.bits_eq(&b.1)));
        assert_eq!(resumed.test_outputs, straight.test_outputs);
        assert_eq!(records, expected);
    }
    // A checkpoint of another job is refused.
    data.targets = Targets::Values((0..data.n_rows()).map(|row_idx| row_idx as f32).collect());
    let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(3) };
    let other = Run::start(job, Rule::Sgd, None).map(|run| run.checkpoint()).unwrap();
    let data = digits();
    let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(3) };
    assert!(matches!(
        Run::start(job, Rule::Sgd, Some(other.clone())),
        Err(TrainError::OtherRun { what: "the network" })
    ));
    let longer = short().amend("epochs = 9", "test").unwrap();
    let changed = Run::start(Job { recipe: &longer, ..job }, Rule::Sgd, Some(other.clone()));
    assert!(matches!(changed, Err(TrainError::OtherRun { what: "the recipe" })));
    let job = Job { key: Key::from_seed(4), ..job };
    assert!(matches!(
        Run::start(job, Rule::Sgd, Some(other)),
        Err(TrainError::OtherRun { what: "the seed" })
    ));
}

/// What no gradient changes: running moments go along, feedback stays; both are kept, and predict the same again.
#[test]
fn buffers_are_kept_with_the_network() {
    let data = digits();
    for (name, moves) in [("cnn", true), ("feedback_alignment", false)] {
        let text = format!("batch = 700\nepochs = 1\nmodel = {}", small(name));
        let recipe = short().amend(&text, "test").unwrap();
        let fold = first_fold(&data);
        let trained = run_on(&recipe, &data, &fold, 1).0.unwrap();
        let start = recipe.model.start(&Interface::of(&data), Key::from_seed(1).split(2)[0]);
        let (before, after) = (tree::leaves(&start.buffers), tree::leaves(&trained.network.buffers));
        assert!(!before.is_empty() && before.len() == after.len());
        assert!(before.iter().zip(&after).all(|(b, a)| b.1.bits_eq(&a.1) != moves), "{name}");
        let again = start.with(&trained.network.arrays()).unwrap();
        let found = outputs(&again, &data.inputs, &trained.scaling, &fold.test).unwrap();
        assert_eq!(found, trained.test_outputs, "{name}");
    }
}

/// The same gradient, to the bit, from a tape that does not grow with the couplings, and the page says which policy kept it.
#[test]
fn a_reversible_network_keeps_little_under_its_policy() {
    let data = digits();
    let fold = first_fold(&data);
    let run = |tape: &str, blocks: usize| {
        let text = format!(
            "batch = 700\nepochs = 1\ntape = \"{tape}\"\nmodel = {{ name = \"revnet\", channels = 2, blocks = {blocks} }}"
        );
        let recipe = short().amend(&text, "test").unwrap();
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let trained = trained.unwrap();
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
        let tape = step_tape(job, &trained).unwrap();
        let records: Vec<_> = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
        let page = crate::report::page(job, &trained, &tape, &records);
        (leaves(&trained), tape.report.tape_bytes(), page)
    };
    let ((stored, bytes_of_4, _), (_, bytes_of_8, _)) = (run("store", 4), run("store", 8));
    let ((reversed, few_bytes_of_4, page), (_, few_bytes_of_8, _)) = (run("reverse", 4), run("reverse", 8));
    assert!(stored.iter().zip(&reversed).all(|(a, b)| a.1.bits_eq(&b.1)));
    let (grown, grown_little) = (bytes_of_8 - bytes_of_4, few_bytes_of_8 - few_bytes_of_4);
    assert!(4 * grown_little < grown, "{grown_little} of {grown} bytes");
    assert!(page.contains(">reverse: ") && page.contains("revnet.rs:"), "{page}");
}

#[test]
fn early_stopping_keeps_the_best_epoch() {
    let data = digits();
    let fold = first_fold(&data);
    let (train_rows, validation) = hold_out(&data.targets, &fold.train, 0.2, &mut |n| (0..n).collect());
    let fold = Fold { train: train_rows, validation, ..fold };
    let text = "epochs = 50\npatience = 2\nlearning_rate = 0.5\nschedule = \"constant\"";
    let recipe = short().amend(text, "test").unwrap();
    let (trained, records) = run_on(&recipe, &data, &fold, 1);
    let trained = trained.unwrap();
    assert!(records.len() < 50 && trained.n_epochs as usize == records.len());
    let losses: Vec<f64> = records.iter().map(|record| record.validation.unwrap().loss()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[losses.len() - 3], best);
    let found = outputs(&trained.network, &data.inputs, &trained.scaling, &fold.validation).unwrap();
    assert_eq!(score(&found, &data.targets, &trained.scaling, &fold.validation).loss(), best);
}

/// `y = 3a − 2b + 1` on points of a grid.
#[test]
fn a_plane_is_learned_in_its_own_units() {
    let rows = || (0..100).map(|i| (f32::from(i as u8 % 10) * 100.0, f32::from(i as u8 / 10) * 0.01));
    let layout = crate::Layout::Columns { names: vec!["a".into(), "b".into()], header: true };
    let features = crate::Features::Numbers(rows().flat_map(|(a, b)| [a, b]).collect());
    let data = Dataset {
        inputs: crate::Inputs { features, layout },
        targets: Targets::Values(rows().map(|(a, b)| 3.0 * a - 2.0 * b + 1.0).collect()),
        target_name: "y".into(),
        given_test_from: None,
    };
    let (kept, test) = hold_out(&data.targets, &(0..100).collect::<Vec<_>>(), 0.2, &mut |n| {
        rng::permutation(Key::from_seed(1), n)
    });
    let fold = Fold { train: kept, validation: vec![], test };
    for rule in [Rule::Sgd, Rule::Adam] {
        let update = Update::Minibatch(rule);
        let recipe = Recipe { epochs: 60, batch: 10, update, learning_rate: 0.01, ..short() };
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let Score::Values { rmse, r2, .. } = trained.unwrap().test else { panic!("found classes") };
        // The targets spread by 860.
        assert!(rmse < 60.0 && r2 > 0.99, "{update}: {rmse} {r2}");
        assert_eq!(records[59].test_rmse, Some(rmse));
    }
}

#[test]
fn tape_bytes_by_layer_sum_to_the_report() {
    let recipe = short().amend("epochs = 1\nmodel.hidden = [16, 10, 16]", "test").unwrap();
    let data = digits();
    let fold = first_fold(&data);
    let trained = run(&recipe, 1).0.unwrap();
    let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
    let StepTape { report, by_layer, n_rows } = step_tape(job, &trained).unwrap();
    assert_eq!(n_rows, 100);
    let names: Vec<&str> = by_layer.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hidden.0", "hidden.1", "hidden.2", "loss"]);
    assert_eq!(by_layer.iter().map(|(_, bytes)| bytes).sum::<usize>(), report.tape_bytes());
    assert_eq!(by_layer[0].1, by_layer[2].1);
    assert_eq!(by_layer[0].1 * 10, by_layer[1].1 * 16);
    assert!(by_layer.iter().all(|(_, bytes)| *bytes > 0));
}

#[test]
fn a_loss_that_overflows_names_step_and_place_and_keeps_finite_parameters() {
    // The first update makes weights near 1e36, whose square no f32 holds.
    let text = "learning_rate = 1e37\nschedule = \"constant\"\nweight_decay = 0\nmodel.activation = \"relu\"";
    let recipe = short().amend(text, "test").unwrap();
    let error = run(&recipe, 1).0.unwrap_err();
    let TrainError::NotFinite(stop) = &error else { panic!("{error}") };
    assert_eq!((stop.step, stop.epoch, stop.what.as_str()), (2, 1, "the loss"));
    let place = stop.place.as_ref().unwrap();
    assert!(place.location.unwrap().to_string().contains("mlp.rs:"), "{place}");
    assert!(tree::leaves(&stop.last_good.layers).iter().all(|(_, leaf)| is_finite(leaf)));
    assert!(
        error
            .to_string()
            .starts_with("error: step 2 (epoch 1): the loss is not finite, expected finite numbers\n  --> first in dot_general: ")
    );
}

#[test]
fn an_update_that_overflows_names_the_parameter() {
    let recipe = short().amend("learning_rate = 1e300", "test").unwrap();
    let error = run(&recipe, 1).0.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(
            "error: step 1 (epoch 1): the update of `hidden.0.weight` is not finite, expected finite numbers\n  --> training \
             step 1\n  help: "
        ),
        "{text}"
    );
    assert!(tree::leaves(&error.network().unwrap().layers).iter().all(|(_, leaf)| is_finite(leaf)));
}

#[test]
fn an_interrupt_and_a_full_disk_stop_the_run() {
    let (data, fold) = (digits(), first_fold(&digits()));
    let run = |interrupt: bool| {
        let mut listeners = Listeners {
            progress: &mut Silent,
            metrics: &mut |_| Err(RunFolderError::Name { path: "run".into(), name: "full".into() }),
            checkpoint: &mut |_| Ok(()),
            checkpoint_every: Duration::MAX,
            interrupt: &AtomicBool::new(interrupt),
        };
        let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(1) };
        train(job, None, &mut listeners).unwrap_err()
    };
    assert_eq!(run(true).to_string(), "interrupted before step 1 of 30");
    assert!(matches!(run(false), TrainError::Metrics(_)));
}

#[test]
fn networks_too_large_are_refused_before_they_are_made() {
    let recipe = short().amend("model.hidden = [65536, 65536]", "test").unwrap();
    let text = run(&recipe, 1).0.unwrap_err().to_string();
    assert!(text.starts_with("error: the network has 4299948042 parameters"), "{text}");
    assert!(text.contains("\n  --> `model.hidden` of the recipe\n  help: lower `model.hidden`"));
    let (data, fold) = (digits(), Fold { train: vec![0], ..Fold::default() });
    let error = check_size(&short(), &data, &fold).unwrap_err().to_string();
    assert_eq!(
        error,
        "error: found 1 rows to train on and 0 to test on, expected at least one of each\n  --> `split` of the recipe\n  \
         help: bring more rows, or change the shares under `[split]`"
    );
    let targets = Targets::Classes { labels: vec![0, 1], names: vec!["1.5".into(), "2.5".into()] };
    let prices = Dataset { targets, target_name: "price".into(), ..data.clone() };
    let error = check_size(&short(), &prices, &fold).unwrap_err().to_string();
    assert_eq!(
        error,
        "error: found 2 classes in 2 rows, too few rows of each to test on\n  --> the target `price`\n  help: say `--task \
         regression` if it is a quantity, or bring more rows of each class"
    );
    let fold = Fold { test: vec![1], ..fold };
    let recipe = short().amend("patience = 2", "test").unwrap();
    let error = check_size(&recipe, &data, &fold).unwrap_err().to_string();
    assert_eq!(
        error,
        "error: found no row to validate on, expected at least one\n  --> `split.validation` of the recipe\n  help: raise \
         `split.validation`, or leave out `patience`"
    );
}
