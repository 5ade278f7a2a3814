//! Training and predicting on the user's own files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn retrograde(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retrograde")).current_dir(folder).args(args).output().unwrap()
}

fn succeed(folder: &Path, args: &[&str]) -> String {
    let output = retrograde(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

fn fail(folder: &Path, args: &[&str]) -> String {
    let output = retrograde(folder, args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(error.starts_with("error: ") && !error.contains("panicked"), "{args:?}: {error}");
    error
}

/// Two clouds, one around (100, 0.01), the other around (200, 0.03).
fn clouds() -> String {
    let row = |i: usize| {
        let (du, dv) = ((i * 37 % 41) as f64 - 20.0, (i * 53 % 43) as f64 * 1e-4);
        let class = i % 2;
        format!(
            "{},{},{}\n",
            100.0 + 100.0 * class as f64 + du,
            0.01 + 0.02 * class as f64 + dv,
            ["<b>", "c"][class]
        )
    };
    format!("u,v,kind\n{}", (0..120).map(row).collect::<String>())
}

#[test]
fn classes_of_a_table_are_learned_and_predicted() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("clouds.csv"), clouds()).unwrap();
    let train = ["train", "--data", "clouds.csv", "--target", "kind", "--set", "epochs=20", "--json"];
    let output = succeed(temp.path(), &train);
    let result: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&result["folder"], &result["test_accuracy"]),
        (&"runs/clouds-1".into(), &1.0.into()),
        "{output}"
    );
    let run = temp.path().join("runs/clouds-1");
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("&lt;b&gt;") && !report.contains("<b>"));

    // Other order, no target; the first is a `<b>`, the second a `c`.
    fs::write(temp.path().join("new.csv"), "v,u\n0.011,105\n0.031,195\n").unwrap();
    let output = succeed(temp.path(), &["predict", "runs/clouds-1", "--data", "new.csv"]);
    let lines = output.lines().map(|line| line.split(',').collect::<Vec<_>>()).collect::<Vec<_>>();
    assert_eq!(lines[0], ["row", "kind", "p(<b>)", "p(c)"]);
    assert_eq!((&lines[1][..2], &lines[2][..2]), (&["1", "<b>"][..], &["2", "c"][..]));
    let p = |line: usize, column: usize| lines[line][column].parse::<f64>().unwrap();
    assert!(p(1, 2) > 0.9 && p(2, 3) > 0.9 && (p(1, 2) + p(1, 3) - 1.0).abs() < 1e-5);

    let to_file = ["predict", "runs/clouds-1", "--data", "new.csv", "--out", "p.csv"];
    assert_eq!(succeed(temp.path(), &to_file), "2 predictions in p.csv\n");
    assert_eq!(fs::read_to_string(temp.path().join("p.csv")).unwrap(), output);
    assert!(fail(temp.path(), &to_file).contains("exists already"));
    fs::write(temp.path().join("wrong.csv"), "u,w\n1,2\n").unwrap();
    let error = fail(temp.path(), &["predict", "runs/clouds-1", "--data", "wrong.csv", "--out", "q.csv"]);
    assert!(
        error.starts_with(
            "error: a column that the run was not trained on\n  --> wrong.csv:1, column 2 (`w`)"
        ),
        "{error}"
    );
    assert!(!temp.path().join("q.csv").exists());
    assert!(
        fail(temp.path(), &["predict", "nothing", "--data", "new.csv"]).contains("--> nothing/data.json")
    );
    assert!(
        fail(temp.path(), &["predict", "runs/clouds-1", "--data", "new.csv", "--fold", "1"]).contains("none")
    );

    // Parameters of another network, and damaged ones.
    let recipe = fs::read_to_string(run.join("recipe.toml")).unwrap();
    fs::write(run.join("recipe.toml"), recipe.replace("hidden = [64]", "hidden = [63]")).unwrap();
    let error = fail(temp.path(), &["predict", "runs/clouds-1", "--data", "new.csv"]);
    assert!(
        error.contains("expected the 317 of the model \"mlp\" for 2 columns of numbers with 2 outputs"),
        "{error}"
    );
    fs::write(run.join("recipe.toml"), recipe).unwrap();
    let parameters = fs::read(run.join("parameters.safetensors")).unwrap();
    fs::write(run.join("parameters.safetensors"), &parameters[..parameters.len() / 2]).unwrap();
    let error = fail(temp.path(), &["predict", "runs/clouds-1", "--data", "new.csv"]);
    assert!(error.contains("the file is damaged"), "{error}");
}

#[test]
fn numbers_of_a_table_are_learned_and_predicted_in_their_unit() {
    let temp = tempfile::tempdir().unwrap();
    let row = |i: i32| {
        format!(
            "{},{},{}\n",
            i % 10,
            i / 10,
            1000.0 + 30.0 * f64::from(i % 10) - 20.0 * f64::from(i / 10) + 0.5
        )
    };
    fs::write(temp.path().join("plane.csv"), (0..100).map(row).collect::<String>()).unwrap();
    let args = [
        "train",
        "--data",
        "plane.csv",
        "--target",
        "3",
        "--set",
        "epochs=60",
        "--set",
        "learning_rate=0.02",
        "--out",
        "run",
        "--json",
    ];
    let output = succeed(temp.path(), &args);
    let result: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert!(
        result["test_rmse"].as_f64().unwrap() < 15.0 && result["test_r2"].as_f64().unwrap() > 0.97,
        "{result}"
    );
    fs::write(temp.path().join("new.csv"), "5,5\n").unwrap();
    let output = succeed(temp.path(), &["predict", "run", "--data", "new.csv"]);
    let value: f64 = output.lines().nth(1).unwrap().split_once(',').unwrap().1.parse().unwrap();
    assert!((value - 1050.5).abs() < 30.0, "{output}");
}

#[test]
fn images_with_a_test_part_are_tested_on_it() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("bars");
    fs::create_dir(&folder).unwrap();
    // A bright row or a bright column.
    let files = |n: u8, name: &str| {
        let image = |i: u8| {
            (0..16).map(move |p: u8| {
                if (if i.is_multiple_of(2) { p / 4 } else { p % 4 }) == i / 2 % 4 { 200 + i } else { p }
            })
        };
        let header = [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 4, 0, 0, 0, 4];
        let pixels = header.into_iter().chain((0..n).flat_map(image)).collect::<Vec<u8>>();
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
        let labels =
            [0, 0, 8, 1, 0, 0, 0, n].into_iter().chain((0..n).map(|i| 5 + i % 2)).collect::<Vec<u8>>();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    };
    files(48, "train");
    files(16, "t10k");
    let args = [
        "train",
        "--data",
        "bars",
        "--set",
        "epochs=60",
        "--set",
        "batch=4",
        "--set",
        "split.validation=0.2",
        "--set",
        "patience=20",
        "--out",
        "run",
        "--json",
    ];
    let output = succeed(temp.path(), &args);
    let result: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(
        (result["n_test"].as_u64(), result["test_accuracy"].as_f64()),
        (Some(16), Some(1.0)),
        "{result}"
    );
    let output = succeed(temp.path(), &["predict", "run", "--data", "bars/t10k-images-idx3-ubyte"]);
    let found = output.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect::<Vec<_>>();
    assert_eq!(found, ["5", "6"].repeat(8));
}

#[test]
fn bad_data_leave_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("t.csv"), "a,b,y\n1,2,x\n3,,z\n").unwrap();
    let error = fail(temp.path(), &["train", "--data", "t.csv", "--out", "run"]);
    assert!(error.starts_with("error: a missing value: found nothing, expected a value in every field\n  --> t.csv:3, column 2 (`b`)\n  help: "), "{error}");
    let error = fail(temp.path(), &["train", "--set", "patience=3", "--out", "run"]);
    assert!(error.contains("patience = 3 needs validation rows"), "{error}");
    fs::write(temp.path().join("t.csv"), "a,y\n1,0.5\n2,0.25\n3,0.75\n").unwrap();
    let error =
        fail(temp.path(), &["train", "--data", "t.csv", "--set", "loss=cross_entropy", "--out", "run"]);
    assert!(error.contains("cross-entropy is a loss for classes"), "{error}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

/// Two clouds that overlap, so that a logistic model has a best line and no row is certain.
fn overlapping() -> String {
    let row = |i: usize| {
        let (du, dv, class) = ((i * 37 % 41) as f64 - 20.0, (i * 53 % 43) as f64 - 21.0, (i / 2 + i) % 2);
        format!(
            "{},{},{}\n",
            du + 16.0 * class as f64,
            0.1 * (dv - 16.0 * class as f64),
            ["no", "yes"][class]
        )
    };
    format!("u,v,kind\n{}", (0..240).map(row).collect::<String>())
}

/// Every minimiser of the sum over all rows, on a table: the run folder is whole, predicts, explains and cites.
#[test]
fn a_table_is_fitted_by_newton_as_by_every_other_minimiser() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    fs::write(path.join("t.csv"), overlapping()).unwrap();
    fs::write(path.join("new.csv"), "u,v\n-15,1.5\n25,-2.5\n").unwrap();
    let mut loss_of_newton = None;
    for (name, source) in [
        ("stochastic-newton", "Sub-sampled Newton methods"),
        ("matrix-free-newton", "Sub-sampled Newton methods"),
        ("hessian-free", "Deep learning via Hessian-free optimization"),
        ("lbfgs", "On the limited memory BFGS method for large scale optimization"),
        ("newton-cg", "Inexact Newton methods"),
        ("lissa", "Second-order stochastic optimization for machine learning in linear time"),
        ("svrg", "Accelerating stochastic gradient descent using predictive variance reduction"),
        ("saga", "SAGA: a fast incremental gradient method"),
    ] {
        let update = format!("update={{name=\"{name}\", tolerance=1e-12}}");
        let sets =
            ["--set", &update, "--set", "model=linear", "--set", "weight_decay=0.01", "--set", "epochs=300"];
        let args =
            [&["train", "--data", "t.csv", "--target", "kind", "--out", name, "--json"], &sets[..]].concat();
        let output = succeed(path, &args);
        let result: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
        assert_eq!(result["n_parameters"], 6, "{result}");
        assert!(result["test_accuracy"].as_f64().unwrap() > 0.6, "{result}");
        let run = path.join(name);
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert_eq!(last["end"], "tolerance", "{name}: {last}");
        // All of them come to one minimum.
        let loss = last["train_loss"].as_f64().unwrap();
        let expected = *loss_of_newton.get_or_insert(loss);
        assert!((loss - expected).abs() < 1e-5 && last["passes"].as_f64().unwrap() < 300.0, "{name}: {last}");
        let report = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(
            report.contains(&format!("name = &quot;{name}&quot;")) && report.contains("finite_sum.rs"),
            "{name}"
        );
        assert!(report.contains("<dt>ended by</dt><dd>tolerance</dd>"), "{name}");
        assert!(run.join("checkpoint").is_file());
        let predicted = succeed(path, &["predict", name, "--data", "new.csv"]);
        let found = predicted.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect::<Vec<_>>();
        assert_eq!(found, ["no", "yes"], "{name}");
        let cited = succeed(path, &["tricks", "--cite", name]);
        assert!(
            cited.contains(&format!("% the update \"{name}\"\n")) && cited.contains(source),
            "{name}: {cited}"
        );
        assert_eq!(cited.matches(source).count(), 1, "{name}");
        // What it did not use is not cited.
        assert!(!cited.contains("% D1 ") && !cited.contains("% E9 "), "{cited}");
    }
    let found = succeed(path, &["influence", "stochastic-newton", "--test", "3", "--show", "2"]);
    assert!(
        found.contains("most helpful") && path.join("stochastic-newton/influence-3.html").is_file(),
        "{found}"
    );
    // The resolved recipe repeats the run.
    succeed(path, &["train", "--recipe", "saga/recipe.toml", "--out", "again"]);
    let parameters = |run: &str| fs::read(path.join(run).join("parameters.safetensors")).unwrap();
    assert_eq!(parameters("again"), parameters("saga"));
}

#[test]
fn mistakes_about_minimisers_leave_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    let error = fail(path, &["train", "--set", "update=stochastic-newtn", "--out", "run"]);
    assert!(error.starts_with("error: unknown update \"stochastic-newtn\"\n  --> --set:1:10\n  help: did you mean \"stochastic-newton\"?"), "{error}");
    let error = fail(path, &["train", "--set", "update=lbfgs", "--set", "batch=8", "--out", "run"]);
    assert!(
        error.starts_with("error: `batch` is for updates by minibatches, and \"lbfgs\" takes its own steps"),
        "{error}"
    );
    fs::write(path.join("r.toml"), "update = \"saga\"\n\n[model]\nname = \"cnn\"\n").unwrap();
    let error = fail(path, &["train", "--recipe", "r.toml", "--out", "run"]);
    assert!(
        error.contains("found a model whose batch norms mix") && error.contains("--> r.toml:4:8"),
        "{error}"
    );
    let printed =
        succeed(path, &["train", "--set", "update.name=svrg", "--set", "update.rate=0.5", "--print-recipe"]);
    assert!(
        printed.contains("[update]\nname = \"svrg\"  # sgd, ") && printed.contains("\nrate = 0.5  # 0: by"),
        "{printed}"
    );
    assert_eq!(fs::read_dir(path).unwrap().count(), 1);
}
