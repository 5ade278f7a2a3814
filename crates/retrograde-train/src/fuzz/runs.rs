//! Recipes, checkpoints, run folders, folds.

use std::fs;
use std::path::Path;

use retrograde_array::rng::{self, Key};

use super::{check, fuzz, plain};
use crate::checkpoint::tests::sample;
use crate::model::{About, Interface, Predictor, file_name};
use crate::standardise::Scaling;
use crate::{
    Checkpoint, Dataset, Features, Inputs, Layout, Recipe, RunFolder, Targets, checkpoint, stratified_folds,
};

const RECIPES: [&str; 5] = [
    "mixup = 0.2\ntape = \"reverse\"\n[model]\nname = \"transformer\"\npatch = 0\nheads = 4\n",
    "data = \"t.csv\"\ntarget = \"y\"\nepochs = 3\n[model]\nhidden = [8, 0x10]\nactivation = \"relu\"\n",
    "split = { test = 0.25, validation = 1e-1 }\nschedule = \"step\"\ndecay_every = 2\npatience = 4\n",
    "epochs = 9\nmodel = \"linear\"\n[update]\nname = \"stochastic-newton\"\nmemory = 3\ndamping = 1e-2\n",
    "[split]\ntest = 0.5\n[[model]]\n\"\u{e9}\" = 1979-05-27\nseed = 18446744073709551615\n",
];

#[test]
fn recipes_never_panic() {
    fuzz("recipe", &RECIPES.map(|text| text.as_bytes().to_vec()), |input| {
        let text = String::from_utf8_lossy(input);
        match Recipe::parse(&text, "r.toml") {
            Ok(recipe) => assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe),
            Err(error) => {
                assert!(error.to_string().starts_with("error: "), "{error}");
                plain(&error.to_string());
            }
        }
    });
}

/// Also with the length and the checksum put right, so that damage reaches the header.
#[test]
fn checkpoints_never_panic() {
    let file = sample().encode();
    let start = b"retrograde checkpoint 2\n".len();
    fuzz("checkpoint", &[file], |input| {
        let _ = Checkpoint::decode(input);
        let Some(rest) = input.get(start + 8..) else { return };
        let body = &rest[..rest.len().saturating_sub(4)];
        let mut sealed = [&input[..start], &(body.len() as u64).to_le_bytes(), body].concat();
        sealed.extend(crc32fast::hash(&sealed).to_le_bytes());
        if let Ok(checkpoint) = Checkpoint::decode(&sealed) {
            Checkpoint::decode(&checkpoint.encode()).unwrap();
        }
    });
}

/// The files of a run folder that are read again.
const FILES: [&str; 5] =
    ["data.json", "recipe.toml", "parameters.safetensors", "metrics.jsonl", "checkpoint"];

/// A run on two columns and three classes.
fn run_folder(path: &Path) -> Dataset {
    let layout = Layout::Columns { names: vec!["a".into(), "b\n".into()], header: true };
    let data = Dataset {
        inputs: Inputs { features: Features::Numbers(vec![0.0, 1.0, 2.0, 1.5, -1.0, 0.0]), layout },
        targets: Targets::Classes {
            labels: vec![0, 1, 2],
            names: ["x", "y", "z"].map(String::from).to_vec(),
        },
        target_name: "kind".into(),
        given_test_from: None,
    };
    let recipe = Recipe::parse("epochs = 3\n[model]\nhidden = [4]\n", "recipe.toml").unwrap();
    let folder = RunFolder::create(path).unwrap();
    let network = recipe.model.start(&Interface::of(&data), Key::from_seed(1));
    let scaling = Scaling::of(&data.inputs, &data.targets, &[0, 1, 2], recipe.standardise);
    folder.write(FILES[0], &serde_json::to_vec(&About::of(&data, None)).unwrap()).unwrap();
    folder.write(FILES[1], recipe.to_string().as_bytes()).unwrap();
    folder.write_arrays(&file_name(None), &[network.arrays(), scaling.arrays()].concat()).unwrap();
    folder.write(FILES[3], b"{\"epoch\":1,\"train_loss\":0.5}\n{\"epoch\":2}\n").unwrap();
    checkpoint::save(&folder, FILES[4], &sample()).unwrap();
    data
}

/// One file of the folder at a time is damaged: the first byte of an input says which.
#[test]
fn run_folders_never_panic() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run");
    let data = run_folder(&path);
    let good = FILES.map(|file| fs::read(path.join(file)).unwrap());
    let mut corpus =
        (0_u8..).zip(&good).map(|(file, bytes)| [&[file], &bytes[..]].concat()).collect::<Vec<_>>();
    // A key that a terminal would obey.
    corpus.push(b"\0{\"\\u001b[2J\\n\":1}".to_vec());
    let n_models = std::cell::Cell::new(0);
    fuzz("run folder", &corpus, |input| {
        let Some((&file, bytes)) = input.split_first() else { return };
        let file = usize::from(file) % FILES.len();
        fs::write(path.join(FILES[file]), bytes).unwrap();
        let folder = RunFolder::open(&path).unwrap();
        for (_, record) in folder.records().unwrap() {
            let _ = record["epoch"].as_u64();
        }
        let _ = checkpoint::load(&folder, FILES[4]).map_err(|error| check(&error.to_string()));
        match Recipe::load(&path.join(FILES[1])) {
            Err(error) => {
                assert!(error.to_string().starts_with("error: "), "{error}");
                plain(&error.to_string());
            }
            Ok(recipe) => match Predictor::load(&path, &recipe, None) {
                Err(error) => check(&error.to_string()),
                Ok(predictor) if predictor.about.layout.n_features() == 2 => {
                    predictor.predict(&data.inputs).unwrap();
                    n_models.set(n_models.get() + 1);
                }
                Ok(_) => {}
            },
        }
        fs::write(path.join(FILES[file]), &good[file]).unwrap();
    });
    assert!(n_models.get() > 3, "{} models were read", n_models.get());
}

/// The first byte is the number of folds, each of the others the class of a row.
#[test]
fn splits_never_panic() {
    let corpus = [vec![2, 0, 1, 0, 1, 1], vec![5; 40], (0..=255).collect::<Vec<u8>>(), vec![1], vec![0, 1]];
    fuzz("split", &corpus, |input| {
        let Some((&n_folds, rows)) = input.split_first() else { return };
        let labels = rows.iter().map(|&row| u32::from(row)).collect::<Vec<_>>();
        let names = (0..256).map(|class| class.to_string()).collect();
        let numbers = Targets::Values(labels.iter().map(|&label| label as f32).collect());
        for targets in [Targets::Classes { labels, names }, numbers] {
            let mut permute = |n| rng::permutation(Key::from_seed(1), n);
            match stratified_folds(&targets, n_folds.into(), &mut permute) {
                Err(error) => check(&error.to_string()),
                Ok(folds) => {
                    let mut tested = folds.iter().flat_map(|fold| fold.test.clone()).collect::<Vec<_>>();
                    tested.sort_unstable();
                    assert!(tested.into_iter().eq(0..rows.len()));
                    assert!(folds.iter().all(|fold| fold.train.len() + fold.test.len() == rows.len()));
                }
            }
        }
    });
}
