//! The command as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SHORT: [&str; 6] = ["--set", "epochs=1", "--set", "batch=100", "--set", "model.hidden=[16]"];

/// A program with a loop, in the text form that `show` prints.
const PROGRAM: &str = "tests/programs/loop.retro";

fn retrograde(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retrograde")).current_dir(folder).args(args).output().unwrap()
}

/// The output of a command that succeeds.
fn succeed(folder: &Path, args: &[&str]) -> String {
    let output = retrograde(folder, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {error}");
    assert_eq!(error, "", "a bar where there is no terminal");
    String::from_utf8(output.stdout).unwrap()
}

/// The error of a command that fails as it should: code 1, one message, no panic.
fn fail(folder: &Path, args: &[&str]) -> String {
    let output = retrograde(folder, args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(error.starts_with("error: ") && !error.contains("panicked"), "{args:?}: {error}");
    error
}

fn last_json(output: &str) -> Value {
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train"], &SHORT[..], more].concat()
}

#[test]
fn a_seed_fixes_the_parameters_and_the_run_folder_is_complete() {
    let temp = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: &str| {
        let output = succeed(temp.path(), &train(&["--out", name, "--seed", seed, "--json"]));
        (last_json(&output), fs::read(temp.path().join(name).join("parameters.safetensors")).unwrap())
    };
    let (first, parameters) = run("a", "3");
    let (second, again) = run("b", "3");
    assert_eq!(parameters, again);
    assert_eq!(first["test_accuracy"], second["test_accuracy"]);
    assert_ne!(parameters, run("c", "4").1);
    let metrics = fs::read_to_string(temp.path().join("a/metrics.jsonl")).unwrap();
    assert_eq!(last_json(&metrics)["test_accuracy"], first["test_accuracy"]);
    assert!(last_json(&metrics)["train_loss"].as_f64().unwrap() > 0.0);
    // The resolved recipe repeats the run.
    let recipe = ["train", "--recipe", "a/recipe.toml", "--out", "d"];
    succeed(temp.path(), &recipe);
    assert_eq!(fs::read(temp.path().join("d/parameters.safetensors")).unwrap(), parameters);
}

#[test]
fn folds_give_each_accuracy_and_the_mean() {
    let temp = tempfile::tempdir().unwrap();
    let output = succeed(temp.path(), &train(&["--folds", "2", "--json"]));
    let result = last_json(&output);
    let each: Vec<f64> =
        result["fold_test_accuracies"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(each.len(), 2);
    assert_eq!(result["test_accuracy"].as_f64().unwrap(), (each[0] + each[1]) / 2.0);
    let folder = temp.path().join(result["folder"].as_str().unwrap());
    assert!(folder.ends_with("runs/digits-1"));
    assert!(
        folder.join("parameters-1.safetensors").exists() && folder.join("parameters-2.safetensors").exists()
    );
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert_eq!(last_json(&metrics)["test_accuracy"], result["test_accuracy"]);
    assert!(output.contains("fold 1: test accuracy ") && output.contains("mean of 2 folds"));
}

#[test]
fn an_existing_run_folder_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("mine")).unwrap();
    let error = fail(temp.path(), &train(&["--out", "mine"]));
    assert_eq!(
        error,
        "error: the run folder exists already and is never overwritten\n  --> mine\n  help: name another folder with `--out`, or move this one away\n"
    );
    assert_eq!(fs::read_dir(temp.path().join("mine")).unwrap().count(), 0);
}

#[test]
fn mistakes_in_recipes_name_near_misses() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("r.toml"), "epochs = 2\nlearning_rat = 0.1\n").unwrap();
    let error = fail(temp.path(), &["train", "--recipe", "r.toml"]);
    assert!(
        error.starts_with(
            "error: unknown key `learning_rat`\n  --> r.toml:2:1\n  help: did you mean `learning_rate`?"
        ),
        "{error}"
    );
    let error = fail(temp.path(), &["train", "--set", "epoch=2"]);
    assert!(error.contains("unknown key `epoch`") && error.contains("did you mean `epochs`?"), "{error}");
    let error = fail(temp.path(), &["train", "--set", "epochs"]);
    assert!(error.contains("expected `key=value`"), "{error}");
    let error = fail(temp.path(), &["train", "--recipe", "nothing.toml"]);
    assert!(
        error.contains("cannot read the recipe: ")
            && error.contains("--> nothing.toml")
            && error.contains("--print-recipe"),
        "{error}"
    );
    let error = fail(temp.path(), &["train", "--folds", "1"]);
    assert!(error.contains("found 1 folds, expected at least 2"), "{error}");
    let error = fail(temp.path(), &["train", "--set", "model.hidden=[65536,65536]", "--out", "big"]);
    assert!(error.contains("expected at most 134217728 of each"), "{error}");
    for folder in ["runs", "big"] {
        assert!(!temp.path().join(folder).exists(), "a run folder was made for a recipe that cannot run");
    }
    fail(temp.path(), &["train", "--seed", "-1"]);
    fail(temp.path(), &["trane"]);
}

#[test]
fn a_printed_recipe_reads_back() {
    let temp = tempfile::tempdir().unwrap();
    let printed =
        succeed(temp.path(), &["train", "--set", "schedule=constant", "--seed", "9", "--print-recipe"]);
    assert!(printed.contains("schedule = \"constant\"") && printed.contains("seed = 9"));
    fs::write(temp.path().join("r.toml"), &printed).unwrap();
    assert_eq!(succeed(temp.path(), &["train", "--recipe", "r.toml", "--print-recipe"]), printed);
    assert!(!temp.path().join("runs").exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_with_step_place_and_parameters() {
    let temp = tempfile::tempdir().unwrap();
    let args = [
        "--set",
        "learning_rate=1e37",
        "--set",
        "weight_decay=0",
        "--set",
        "model.activation=relu",
        "--out",
        "run",
    ];
    let error = fail(temp.path(), &train(&args));
    assert!(
        error.starts_with(
            "error: step 2 (epoch 1): the loss is not finite, expected finite numbers\n  --> first in dot_general: "
        ),
        "{error}"
    );
    assert!(error.contains("mlp.rs:") && error.contains("help: lower `learning_rate`"), "{error}");
    assert!(error.contains("the last good parameters are in run/parameters.safetensors"), "{error}");
    assert!(fs::metadata(temp.path().join("run/parameters.safetensors")).unwrap().len() > 1000);
    let metrics = fs::read_to_string(temp.path().join("run/metrics.jsonl")).unwrap();
    assert!(last_json(&metrics)["stopped"].as_str().unwrap().starts_with("step 2 "));
    let error = fail(temp.path(), &train(&["--set", "learning_rate=1e30", "--out", "other"]));
    assert!(error.contains(" is not finite") && error.contains("other/parameters.safetensors"), "{error}");
}

#[test]
fn show_reads_what_it_prints() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let temp = tempfile::tempdir().unwrap();
    let source = here.join(PROGRAM);
    let file = source.to_str().unwrap();
    let plain = succeed(temp.path(), &["show", file]);
    for (name, after) in [
        ("a", &[][..]),
        ("b", &["--after", "jvp"]),
        ("c", &["--after", "grad", "--after", "simplify"]),
        ("d", &["--after", "vmap=3"]),
    ] {
        let text = succeed(temp.path(), &[&["show", file], after].concat());
        assert_eq!(text == plain, after.is_empty());
        fs::write(temp.path().join(name), &text).unwrap();
        assert_eq!(succeed(temp.path(), &["show", name]), text);
    }
    let two = succeed(temp.path(), &["show", file, "--after", "linearize"]);
    assert!(two.contains("# forward: ") && two.contains("# linear: "), "{two}");
    for policy in ["store", "checkpoint-sqrt", "reverse", "quantise-8"] {
        let text = succeed(temp.path(), &["show", file, "--after", "grad", "--policy", policy]);
        assert!(text.contains("# backward: ") && text.contains("# tape: "), "{text}");
        assert_eq!(policy == "quantise-8", text.contains("quantise[bits=8, seed=0, draw=0]"), "{text}");
    }
}

#[test]
fn show_explains_files_and_transforms_that_do_not_fit() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error = fail(here, &["show", "nothing.retro"]);
    assert!(
        error.contains("cannot read the program: ") && error.contains("--> nothing.retro\n  help: "),
        "{error}"
    );
    let error = fail(here, &["show", "Cargo.toml"]);
    assert!(error.starts_with("error: found ") && error.contains("--> Cargo.toml:1:1\n  help: "), "{error}");
    let error = fail(here, &["show", PROGRAM, "--after", "gradient"]);
    assert!(error.contains("expected one of jvp, linearize"), "{error}");
    let error = fail(here, &["show", PROGRAM, "--policy", "keep"]);
    assert!(
        error.contains(
            "expected one of store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse"
        ),
        "{error}"
    );
    let error = fail(here, &["show", PROGRAM, "--after", "transpose"]);
    assert!(error.contains("the program is not linear"), "{error}");
    // Not UTF-8.
    fail(here, &["show", env!("CARGO_BIN_EXE_retrograde")]);
}

#[test]
fn bench_nbody_is_exact_under_every_policy() {
    let temp = tempfile::tempdir().unwrap();
    for policy in ["store", "checkpoint-sqrt", "reverse"] {
        let args = [
            "bench",
            "nbody",
            "--bodies",
            "8",
            "--steps",
            "2000",
            "--tape",
            policy,
            "--repeats",
            "1",
            "--json",
        ];
        let figures = last_json(&succeed(temp.path(), &args));
        assert_eq!(figures["bit_identical"], true, "{figures}");
        assert_eq!(figures["law"], "exact", "{figures}");
        assert_eq!(
            figures["start_recovered"],
            if policy == "reverse" { Value::Bool(true) } else { Value::Null }
        );
        let names = "tool task steps primal_s forward_s gradient_s ratio value gnorm2 tape_bytes bits_per_value_step recomputed_steps peak_rss_mb";
        assert!(names.split(' ').all(|name| !figures[name].is_null()), "{figures}");
        // 0.024 after 10,000 steps; the start is dearer, as zeros become small numbers.
        let bits = figures["bits_per_value_step"].as_f64().unwrap();
        assert!(if policy == "reverse" { bits < 0.04 } else { bits > 0.04 }, "{figures}");
    }
    let lossy = ["bench", "neural-ode", "--steps", "10", "--tape", "quantise-8", "--repeats", "1", "--json"];
    let figures = last_json(&succeed(temp.path(), &lossy));
    assert_eq!((&figures["law"], &figures["bit_identical"]), (&Value::from("inexact"), &Value::Bool(false)));
    let table = succeed(temp.path(), &["bench", "nbody", "--bodies", "3", "--steps", "10", "--repeats", "1"]);
    assert!(table.contains("bit_identical        true") && table.contains("\ntape: "), "{table}");
    for wrong in [
        ["--bodies", "0", "--steps", "10"],
        ["--bodies", "3", "--steps", "-1"],
        ["--bodies", "3", "--steps", "99999999999999999999"],
    ] {
        fail(temp.path(), &[&["bench", "nbody"], &wrong[..]].concat());
    }
    let error =
        fail(temp.path(), &["bench", "nbody", "--bodies", "64", "--steps", "100000000", "--tape", "store"]);
    assert!(error.contains("tape store would keep ") && error.contains("--tape reverse"), "{error}");
}

#[test]
fn every_case_of_the_bench_has_the_same_fields() {
    let temp = tempfile::tempdir().unwrap();
    let names = |figures: &Value| figures.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut fields = None;
    for (case, steps) in [
        ("nbody", "20"),
        ("lorenz", "50"),
        ("vanderpol", "50"),
        ("neural-ode", "3"),
        ("revnet", "5"),
        ("binomial", "300"),
        ("momentum", "50"),
        ("lattice", "20"),
    ] {
        let args = ["bench", case, "--steps", steps, "--repeats", "1", "--json"];
        let figures = last_json(&succeed(temp.path(), &args));
        assert_eq!(figures["bit_identical"], true, "{figures}");
        assert_eq!(figures["steps"].to_string(), steps);
        assert_eq!(
            (&figures["reference_policy"], &figures["threads"]),
            (&Value::from("store"), &Value::from(1))
        );
        assert!(figures["peak_tape_bytes"].as_u64() >= figures["tape_bytes"].as_u64(), "{figures}");
        let bits = figures["bits_per_value_step"].as_f64().unwrap();
        assert!(if case == "lattice" { bits == 0.0 } else { bits > 0.0 }, "{figures}");
        let expected = fields.get_or_insert_with(|| names(&figures));
        assert_eq!(&names(&figures), expected, "{case}");
    }
}

/// The information that a contraction by γ destroys is log2(1/γ) bits: 0.1520 and 0.0145. The bounds leave room for the remainders,
/// which start with log2 of γ's numerator.
#[test]
fn bench_momentum_keeps_what_contraction_destroys() {
    let temp = tempfile::tempdir().unwrap();
    for (gamma, bound) in [("9/10", 0.155), ("99/100", 0.016)] {
        let args = ["bench", "momentum", "--steps", "5000", "--gamma", gamma, "--repeats", "1", "--json"];
        let figures = last_json(&succeed(temp.path(), &args));
        assert_eq!((&figures["bit_identical"], &figures["start_recovered"]), (&true.into(), &true.into()));
        let bits = |name: &str| figures[name].as_f64().unwrap();
        assert!(bits("bits_per_value_step") <= bound && bits("remainder_bits") > 0.0, "{figures}");
        assert!(bits("plain_bits_per_value_step") > 2.0 * bound, "{figures}");
    }
}

/// The count comes from inside the steps, the optimum from the formula of the schedule.
#[test]
fn bench_binomial_takes_as_few_steps_as_can_be() {
    let temp = tempfile::tempdir().unwrap();
    for (steps, policy, least) in
        [("1000", "checkpoint-4", 7_998), ("2000", "checkpoint-16", 6_860), ("1", "checkpoint-2", 0)]
    {
        let args = ["bench", "binomial", "--steps", steps, "--tape", policy, "--repeats", "1", "--json"];
        let figures = last_json(&succeed(temp.path(), &args));
        assert_eq!(
            (&figures["forward_steps"], &figures["least_forward_steps"]),
            (&Value::from(least), &Value::from(least))
        );
    }
    let table = succeed(temp.path(), &["bench", "binomial", "--steps", "10", "--repeats", "1"]);
    assert!(table.contains("forward_steps: the loop's own steps but the last"), "{table}");
}

#[test]
fn bench_writes_a_page_and_never_over_another() {
    let temp = tempfile::tempdir().unwrap();
    let args = ["bench", "revnet", "--steps", "4", "--repeats", "1", "--report", "page.html"];
    succeed(temp.path(), &args);
    let page = fs::read_to_string(temp.path().join("page.html")).unwrap();
    assert!(
        page.contains("<h1>The gradient of revnet under reverse</h1>")
            && page.contains("class=\"tape-reverse\"")
    );
    let error = fail(temp.path(), &args);
    assert!(error.contains("the file exists already") && error.contains("--> page.html"), "{error}");
    assert_eq!(fs::read_to_string(temp.path().join("page.html")).unwrap(), page);
    let error = fail(temp.path(), &["bench", "revnet", "--report", "no/page.html"]);
    assert!(error.contains("cannot write the report: ") && error.contains("--report"), "{error}");
}

#[test]
fn bench_explains_mistakes() {
    let temp = tempfile::tempdir().unwrap();
    let error = fail(temp.path(), &["bench", "nbdy"]);
    assert!(error.contains("'nbody'") && error.contains("neural-ode"), "{error}");
    let error = fail(temp.path(), &["bench", "lorenz", "--tape", "revers"]);
    assert!(error.contains("expected one of store, recompute"), "{error}");
    let error = fail(temp.path(), &["bench", "lorenz", "--bodies", "3"]);
    assert!(error.contains("found --bodies for the case `lorenz`") && error.contains("help: "), "{error}");
    let error = fail(temp.path(), &["bench", "nbody", "--gamma", "9/10"]);
    assert!(error.contains("found --gamma for the case `nbody`"), "{error}");
    for wrong in ["0.9", "10/9", "1/1", "0/2", "9/", "1/32769"] {
        let error = fail(temp.path(), &["bench", "momentum", "--gamma", wrong]);
        assert!(error.contains("expected N/D with 1 <= N < D <= 32768"), "{error}");
    }
    let error = fail(temp.path(), &["bench", "revnet", "--steps", "1000000"]);
    assert!(error.contains("expected at most 20000") && error.contains("help: "), "{error}");
    // A page that was not finished is not left behind.
    let refused =
        ["bench", "nbody", "--bodies", "64", "--steps", "100000000", "--tape", "store", "--report", "p.html"];
    fail(temp.path(), &refused);
    assert!(!temp.path().join("p.html").exists());
}

/// What the allocator counts is what the report lists, but for the few words around each array.
#[test]
fn the_allocator_agrees_with_the_report() {
    let temp = tempfile::tempdir().unwrap();
    let check = |args: &[&str]| {
        let text = succeed(temp.path(), &[&["bench"], args, &["--repeats", "1"]].concat());
        let number = |lead: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(lead)).expect(lead);
            line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        };
        let (counted, reported) = (number("tape_bytes "), number("tape: "));
        assert!(counted.abs_diff(reported) <= 4096 + reported / 50, "{args:?}: {counted} off {reported}");
    };
    for policy in ["store", "checkpoint-sqrt", "reverse"] {
        check(&["nbody", "--bodies", "8", "--steps", "1000", "--tape", policy]);
    }
    check(&["mlp"]);
    check(&["tiny"]);
}

/// In the fields of the scripts that time others.
#[test]
fn timed_cases_have_the_fields_of_their_peers() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("mixture.txt"), "1 2 1\n0.5 0.25\n1 2\n0.1 0.2\n5\n1.5 0\n").unwrap();
    let common = "tool task threads policy executor peak_mem work_mem value gnorm2 tape_bytes";
    for (args, figures) in [
        (&["tiny", "--threads", "2"][..], "step_s step_best_s step_spread step_first_s step_n"),
        (&["gmm", "mixture.txt"], "objective_s gradient_s"),
    ] {
        let found =
            last_json(&succeed(temp.path(), &[&["bench"], args, &["--repeats", "2", "--json"]].concat()));
        assert!(
            common.split(' ').chain(figures.split(' ')).all(|name| !found[name].is_null()),
            "{args:?}: {found}"
        );
        assert_eq!(found["threads"], if args.contains(&"2") { 2 } else { 1 });
    }
    let table = succeed(temp.path(), &["bench", "tiny", "--repeats", "1", "--report", "page.html"]);
    assert!(table.contains("step_s") && table.contains("\ntape: "), "{table}");
    assert!(fs::read_to_string(temp.path().join("page.html")).unwrap().contains("What tiny takes and keeps"));
}

#[test]
fn timed_cases_explain_mistakes() {
    let temp = tempfile::tempdir().unwrap();
    for (args, found) in [
        (&["gmm"][..], "found no path for the case `gmm`, expected a mixture in the form of ADBench"),
        (&["mlp", "a.txt"], "found a path for the case `mlp`, which reads none"),
        (&["lorenz", "a.txt"], "found a path for the case `lorenz`, which reads none"),
        (&["lstm", "--steps", "3"], "found --steps for the case `lstm`"),
        (&["ba", "no.txt"], "cannot read the instance: "),
        (&["hand", "no"], "cannot read the instance: "),
        (&["mlp", "--threads", "0"], "expected an integer from 1"),
    ] {
        let error = fail(temp.path(), &[&["bench"], args].concat());
        assert!(error.contains(found), "{args:?}: {error}");
        assert!(error.contains("help: ") || error.contains("--threads"), "{args:?}: {error}");
    }
}

#[test]
fn tricks_are_listed_filtered_and_shown() {
    let temp = tempfile::tempdir().unwrap();
    let list = |args: &[&str]| succeed(temp.path(), &[&["tricks"], args].concat());
    let ids = |text: &str| {
        let lines = text.lines().take_while(|line| !line.is_empty());
        lines.map(|line| line.split(' ').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    let all = list(&[]);
    assert!(["C1", "C10", "E1", "E17"].iter().all(|id| ids(&all).contains(&(*id).to_string())), "{all}");
    assert!(all.contains("C3   divide-and-conquer checkpointing of arbitrary programs: patented"), "{all}");
    let updates = list(&["--group", "e"]);
    assert!(ids(&updates).iter().all(|id| id.starts_with('E')) && ids(&updates).len() > 10);
    assert_eq!(ids(&list(&["--group", "E", "--search", "LARS and"])), ["E8"]);
    let recent = list(&["--since", "2017", "--group", "E"]);
    assert!(ids(&recent).contains(&"E8".to_string()) && !ids(&recent).contains(&"E1".to_string()));

    let page = list(&["e1"]);
    for part in [
        "E1 momentum and Nesterov",
        "formula   v = b v + g",
        "Polyak",
        "update.step(",
        "measured  ",
        "test      ",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("# Ok::<"), "{page}");
    assert!(list(&["F2"]).contains("not built: "));

    let objects: Value = serde_json::from_str(&list(&["--group", "E", "--json"])).unwrap();
    for object in objects.as_array().unwrap() {
        let mut keys = object.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        keys.sort_unstable();
        assert_eq!(keys, ["cite", "example", "file", "formula", "group", "id", "law", "name", "property"]);
        assert!(object["example"].as_str().unwrap().contains("assert"));
    }

    let error = fail(temp.path(), &["tricks", "E99"]);
    assert!(error.starts_with("error: there is no trick `E99`\n  help: did you mean `E9` ("), "{error}");
    let error = fail(temp.path(), &["tricks", "momentun"]);
    assert!(error.contains("`E1` (momentum"), "{error}");
    let error = fail(temp.path(), &["tricks", "--group", "X"]);
    assert!(error.starts_with("error: there is no group `X`, expected a letter from A to F"), "{error}");
}

#[test]
fn a_run_is_cited_by_the_tricks_it_used() {
    let temp = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        succeed(temp.path(), &train(&[&["--out", name], more].concat()));
        succeed(temp.path(), &["tricks", "--cite", name])
    };
    let constant = ["--set", "schedule=constant", "--set", "weight_decay=0.0"];
    let plain = run("plain", &[&constant[..], &["--set", "momentum=0.0"]].concat());
    let adam =
        run("adam", &[&["--set", "update=adam", "--set", "learning_rate=0.001"], &constant[..]].concat());
    assert!(!plain.contains("kingma2015adam") && !plain.contains("polyak1964some"), "{plain}");
    assert!(adam.contains("% E2\n@misc{kingma2015adam,\n  author = {D. P. Kingma and J. Ba},\n"), "{adam}");
    assert!(
        !adam.contains("loshchilov2017sgdr")
            && run("cosine", &["--set", "schedule=cosine"]).contains("loshchilov2017sgdr")
    );
    let error = fail(temp.path(), &["tricks", "--cite", "nowhere"]);
    assert!(error.contains("nowhere"), "{error}");
}

/// The recipes of the project's folder, cut short: each trains, reports, and predicts what it was trained on.
#[test]
fn every_recipe_of_the_folder_trains_and_predicts() {
    let temp = tempfile::tempdir().unwrap();
    // Three images of zeros in the format that IDX files have: u8, three axes.
    let images = [&[0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 8][..], &[0; 3 * 64]].concat();
    fs::write(temp.path().join("images.idx"), images).unwrap();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut names: Vec<_> = fs::read_dir(recipes).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 8);
    for path in names {
        let run = path.file_stem().unwrap().to_str().unwrap();
        let recipe = path.to_str().unwrap();
        let short =
            ["--set", "epochs=1", "--set", "warmup=0", "--set", "batch=1000", "--set", "split.test=0.9"];
        succeed(temp.path(), &[&["train", "--recipe", recipe, "--out", run], &short[..]].concat());
        let page = fs::read_to_string(temp.path().join(run).join("report.html")).unwrap();
        assert!(page.contains("Tape by layer"), "{run}");
        assert_eq!(page.contains(">reverse: "), run == "revnet", "{run}");
        let csv = succeed(temp.path(), &["predict", run, "--data", "images.idx"]);
        let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 3, "{run}: {csv}");
        // The same image is predicted the same: nothing is left out, and no batch enters.
        assert!(rows.iter().all(|row| row.len() == 12 && row[1..] == rows[0][1..]), "{run}: {csv}");
        let printed = succeed(temp.path(), &["train", "--recipe", recipe, "--print-recipe"]);
        assert!(printed.contains("\n[model]\nname = \""), "{printed}");
    }
}

#[test]
fn models_that_do_not_fit_name_the_line() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("r.toml"), "[model]\nname = \"cnn\"\nchannels = [8, 8, 8, 8, 8]\n").unwrap();
    let error = fail(temp.path(), &["train", "--recipe", "r.toml"]);
    assert_eq!(
        error,
        "error: found 5 stages, each of which halves an image, for images of 8×8 pixels, expected at most 3\n  --> r.toml:3:12\n  \
         help: name fewer channels\n"
    );
    let error = fail(temp.path(), &["train", "--set", "model=transformer", "--set", "model.heads=5"]);
    assert!(error.contains("found 5 heads for a width of 64") && error.contains("--> --set:1:"), "{error}");
    let error = fail(temp.path(), &["train", "--set", "model=revnett"]);
    assert!(
        error.contains("unknown model \"revnett\"") && error.contains("did you mean \"revnet\"?"),
        "{error}"
    );
    assert!(!temp.path().join("runs").exists());
}

#[test]
fn influence_names_training_rows_and_draws_them() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    succeed(path, &train(&["--out", "run"]));
    let output = succeed(path, &["influence", "run", "--test", "7", "--show", "3", "--json"]);
    let found = last_json(&output);
    let changes = |kind: &str| -> Vec<f64> {
        found[kind].as_array().unwrap().iter().map(|row| row["change"].as_f64().unwrap()).collect()
    };
    let (helpful, harmful) = (changes("helpful"), changes("harmful"));
    assert!(helpful.len() == 3 && helpful.is_sorted_by(|a, b| a >= b) && helpful[2] > 0.0, "{output}");
    assert!(harmful.len() == 3 && harmful.is_sorted() && harmful[2] < 0.0, "{output}");
    assert!(
        found["residual"].as_f64().unwrap() <= 1e-6 && found["question"] == "(G + 0.01 I)⁻¹ g",
        "{output}"
    );
    assert!(output.contains("damping 0.01 (--damping)") && output.contains("most harmful"), "{output}");
    let page = fs::read_to_string(path.join("run/influence-7.html")).unwrap();
    assert_eq!(page.matches("<img src=\"data:image/png;base64,").count(), 7);
    // More damping, smaller steps.
    let held = last_json(&succeed(path, &["influence", "run", "--test", "7", "--damping", "10", "--json"]));
    assert!(held["helpful"][0]["change"].as_f64().unwrap() < 0.1 * helpful[0]);
    let error = fail(path, &["influence", "run", "--test", "1797"]);
    assert!(error.contains("found row 1797, expected one from 0 to 1796\n  --> --test 1797"), "{error}");
    let error = fail(path, &["influence", "run", "--test", "7", "--damping", "0"]);
    assert!(
        error.contains("found a damping of 0, expected a positive number")
            && error.contains("an inverse exists")
    );
    let error = fail(path, &["influence", "run", "--test", "7", "--fold", "1"]);
    assert!(error.contains("the run has one network"), "{error}");
    let error = fail(path, &["influence", "nowhere", "--test", "7"]);
    assert!(error.contains("there is no run here"), "{error}");
}
