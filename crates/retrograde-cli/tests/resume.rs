//! A run that is stopped at any moment goes on to the same bits.
#![cfg(unix)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use retrograde::prelude::Key;
use retrograde::rng::random_bits;
use retrograde_train::Checkpoint;

/// Steps of a fiftieth of a second or so in a debug build, a checkpoint after each.
const RUN: [&str; 13] = [
    "train",
    "--set",
    "epochs=4",
    "--set",
    "batch=300",
    "--set",
    "model.hidden=[24]",
    "--set",
    "update=adam",
    "--set",
    "split.validation=0.1",
    "--seed",
    "5",
];
const EVERY_STEP: [&str; 2] = ["--checkpoint-seconds", "0"];

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retrograde"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    command
}

fn succeed(folder: &Path, args: &[&str]) -> Output {
    let output = command(folder, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Files that must not depend on how often a run was stopped.
fn files(run: &Path) -> Vec<(&'static str, Vec<u8>)> {
    ["parameters.safetensors", "metrics.jsonl", "checkpoint", "report.html"]
        .map(|name| (name, fs::read(run.join(name)).unwrap()))
        .to_vec()
}

/// Steps taken, as the newest checkpoint says; none of them is ever damaged.
fn last_step(run: &Path) -> u64 {
    let bytes = fs::read(run.join("checkpoint")).or_else(|_| fs::read(run.join("checkpoint.previous")));
    bytes.map_or(0, |bytes| Checkpoint::decode(&bytes).unwrap().position.step)
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn twenty_kills_change_no_bit() {
    let temp = tempfile::tempdir().unwrap();
    // Three times the steps that the kills wait for, as a run that ends before its last kill shows less.
    let long = [&RUN[..], &["--set", "epochs=120"], &EVERY_STEP].concat();
    succeed(temp.path(), &[&long[..], &["--out", "straight"]].concat());
    let expected = files(&temp.path().join("straight"));

    let run = temp.path().join("killed");
    let mut steps = vec![0];
    for (i, draws) in random_bits(Key::from_seed(20), 40).chunks(2).enumerate() {
        let args = if i == 0 {
            [&long[..], &["--out", "killed"]].concat()
        } else {
            [&["train", "--resume", "killed"], &EVERY_STEP[..]].concat()
        };
        let mut child =
            command(temp.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        if i == 0 {
            // Before this there is no run to go on with.
            wait_for(&run.join("recipe.toml"));
        }
        // Every fourth kill meets the start of the process; the others follow some steps, and then some microseconds.
        if i % 4 == 3 {
            sleep(Duration::from_micros(draws[0] % 60_000));
        } else {
            let target = steps[steps.len() - 1] + draws[0] % 22;
            let start = Instant::now();
            while last_step(&run) < target && start.elapsed() < Duration::from_secs(60) {
                sleep(Duration::from_micros(500));
            }
            sleep(Duration::from_micros(draws[1] % 8_000));
        }
        // SIGKILL: nothing of the process can answer.
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "the run ended before kill {i}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains("error") && !error.contains("warning"), "{error}");
        steps.push(last_step(&run));
    }
    // The kills met the run at many places: otherwise this shows little.
    assert!(steps.is_sorted(), "{steps:?}");
    steps.dedup();
    assert!(steps.len() >= 12, "{steps:?}");
    succeed(temp.path(), &["train", "--resume", "killed"]);
    for ((name, found), (_, expected)) in files(&run).into_iter().zip(expected) {
        assert!(found == expected, "{name} differs");
    }
}

/// A minimiser of the sum over all rows remembers differences, curvatures and dampings: killed at some steps and interrupted at one, it
/// goes on to the same bits.
#[test]
fn a_newton_run_is_killed_and_interrupted_without_changing_a_bit() {
    let temp = tempfile::tempdir().unwrap();
    let long =
        ["train", "--set", "update=stochastic-newton", "--set", "epochs=30", "--set", "split.test=0.8"];
    let more = ["--set", "model.hidden=[8]", "--set", "weight_decay=0.001", "--seed", "5"];
    let run_of = |name| [&long[..], &more, &EVERY_STEP, &["--out", name]].concat();
    succeed(temp.path(), &run_of("straight"));
    let expected = files(&temp.path().join("straight"));
    let run = temp.path().join("killed");
    for (i, target) in [2, 5, 9, 14].into_iter().enumerate() {
        let args = match i {
            0 => run_of("killed"),
            _ => [&["train", "--resume", "killed"], &EVERY_STEP[..]].concat(),
        };
        let mut child =
            command(temp.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        if i == 0 {
            wait_for(&run.join("recipe.toml"));
        }
        let start = Instant::now();
        while last_step(&run) < target && start.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(1));
        }
        if i == 3 {
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
            let output = child.wait_with_output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                error.starts_with("error: interrupted after ") && error.contains(" of 30 passes\n"),
                "{error}"
            );
            assert!(error.contains("help: `retrograde train --resume killed` goes on"), "{error}");
        } else {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.signal(), Some(9), "the run ended before kill {i}");
        }
    }
    succeed(temp.path(), &["train", "--resume", "killed"]);
    for ((name, found), (_, expected)) in files(&run).into_iter().zip(expected) {
        assert!(found == expected, "{name} differs");
    }
}

#[test]
fn the_interrupt_key_saves_and_a_damaged_checkpoint_gives_way_to_the_one_before() {
    let temp = tempfile::tempdir().unwrap();
    succeed(temp.path(), &[&RUN[..], &["--out", "straight"]].concat());
    let expected = files(&temp.path().join("straight"));
    let run = temp.path().join("run");
    let child = command(temp.path(), &[&RUN[..], &EVERY_STEP, &["--out", "run"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&run.join("checkpoint.previous"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.starts_with("error: interrupted before step "), "{error}");
    assert!(error.contains("help: `retrograde train --resume run` goes on"), "{error}");
    assert!(run.join("parameters.safetensors").exists());

    // One flipped bit; then half a file.
    let newest = run.join("checkpoint");
    for damage in [0, 1] {
        let mut bytes = fs::read(&newest).unwrap();
        let half = bytes.len() / 2;
        if damage == 0 {
            bytes[half] ^= 1
        } else {
            bytes.truncate(half)
        }
        fs::write(&newest, bytes).unwrap();
        let args = ["train", "--resume", "run"];
        let child = command(temp.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let reason = ["its checksum is ", "it is cut short "][damage];
        assert!(error.starts_with(&format!("warning: the checkpoint is damaged: {reason}")), "{error}");
        assert!(error.contains("--> run/checkpoint\n  help: using the one before it"), "{error}");
        for ((name, found), (_, expected)) in files(&run).into_iter().zip(&expected) {
            assert!(found == *expected, "{name} differs");
        }
    }
}

#[test]
fn a_run_is_resumed_on_its_own_data_only() {
    let temp = tempfile::tempdir().unwrap();
    let rows = |last: &str| {
        let rows = (0..30).map(|i| format!("{},{},{}\n", i % 7, i % 5, ["a", "b"][i % 2]));
        format!("u,v,label\n{}3,4,{last}\n", rows.collect::<String>())
    };
    fs::write(temp.path().join("t.csv"), rows("a")).unwrap();
    succeed(temp.path(), &["train", "--data", "t.csv", "--set", "epochs=2", "--out", "run"]);
    succeed(temp.path(), &["train", "--resume", "run"]);
    fs::write(temp.path().join("t.csv"), rows("b")).unwrap();
    let output = command(temp.path(), &["train", "--resume", "run"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.starts_with("error: the data are not those that the run began with\n  --> run\n"),
        "{error}"
    );
    fs::write(temp.path().join("t.csv"), rows("a")).unwrap();
    let recipe = temp.path().join("run/recipe.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, text.replace("epochs = 2", "epochs = 3")).unwrap();
    let output = command(temp.path(), &["train", "--resume", "run"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: the checkpoint belongs to another run: the recipe differs"), "{error}");
    let output = command(temp.path(), &["train", "--resume", "nothing"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.starts_with("error: there is no run here: found no recipe.toml\n  --> nothing\n"),
        "{error}"
    );
}
