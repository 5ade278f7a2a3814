//! Every reader on damaged input, for as long as `RETROGRADE_FUZZ_SECONDS` says (a fraction of a second by default).
//!
//! | what is read | target | what must hold of what is accepted |
//! |---|---|---|
//! | CSV, to train on and to predict | `tables_never_panic` | as many targets as rows; read again it is the same |
//! | IDX | `idx_files_never_panic` | as many values as the sizes say |
//! | npz, as data | `npz_files_never_panic` | as many targets as rows |
//! | gzip | `gzip_files_never_panic` | it is read as CSV |
//! | npy, npz, safetensors, as arrays | `array_files_never_panic` | written and read again they are the same |
//! | recipes | `recipes_never_panic` | printed and read again they are the same |
//! | checkpoints | `checkpoints_never_panic` | encoded and decoded again they are the same |
//! | run folders: data, recipe, parameters, metrics | `run_folders_never_panic` | they predict |
//! | targets, divided into folds | `splits_never_panic` | every row is tested once |
//! | the text form of programs | `programs_never_panic` | printed and parsed again they are the same |
//!
//! A message must have its shape and no character that a terminal obeys. Input `i` of a target depends on the seed and `i`
//! only, so a failure names the input and any machine repeats it. The targets run in a build that checks arithmetic.
//! Coverage-guided fuzzing (`cargo-fuzz`) would find rarer inputs; it needs a nightly compiler, and what needs one is not
//! run by everybody.

mod arrays;
mod data;
mod programs;
mod runs;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use retrograde_array::rng::{Key, random_bits};

/// Fixed before the first run.
const SEED: u64 = 20_261_123;
/// A reader that takes longer for one small input hangs.
const LONGEST: Duration = Duration::from_secs(10);
const SECONDS: &str = "RETROGRADE_FUZZ_SECONDS";

fn budget() -> Duration {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    seconds.map_or(Duration::from_millis(300), Duration::from_secs)
}

/// Runs a target on the corpus and then on damaged copies of it until the time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    let (start, budget) = (Instant::now(), budget());
    let key = Key::from_seed(SEED);
    let mut n_inputs = 0;
    loop {
        let input = match corpus.get(n_inputs) {
            Some(input) => input.clone(),
            None => damaged(corpus, key.fold_in(n_inputs as u64)),
        };
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input)));
        assert!(
            result.is_ok() && began.elapsed() < LONGEST,
            "target {name}, input {n_inputs}, after {:?}: {:?}",
            began.elapsed(),
            String::from_utf8_lossy(&input)
        );
        n_inputs += 1;
        if n_inputs > corpus.len() + 100 && start.elapsed() > budget {
            break;
        }
    }
    if std::env::var_os(SECONDS).is_some() {
        let _ = writeln!(std::io::stdout(), "{name}: {n_inputs} inputs");
    }
}

/// One to four pieces of an input changed.
fn damaged(corpus: &[Vec<u8>], key: Key) -> Vec<u8> {
    const BYTES: [u8; 12] = [0, 1, 9, b'\n', b'"', b',', b'0', b'9', 0x7f, 0x80, 0xc3, 0xff];
    const PIECES: [&[u8]; 8] =
        [b"\"", b"1e999", b"-", b"NaN", b"\r\n", b"99999999999999999999", b"\xff\xff\xff\xff", b"[[["];
    let words = random_bits(key, 32);
    let mut draws = words.into_iter().cycle();
    let mut below = |n: usize| (draws.next().unwrap_or(0) % n.max(1) as u64) as usize;
    let mut input = corpus[below(corpus.len())].clone();
    for _ in 0..=below(4) {
        let at = below(input.len() + 1);
        let end = (at + below(16)).min(input.len());
        match below(8) {
            0 if at < input.len() => input[at] ^= 1 << below(8),
            1 if at < input.len() => input[at] = BYTES[below(BYTES.len())],
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                (0..=below(40)).for_each(|_| drop(input.splice(at..at, copy.iter().copied())));
            }
            5 => {
                let other = &corpus[below(corpus.len())];
                let from = below(other.len());
                drop(input.splice(at..end, other[from..].iter().copied()));
            }
            _ => drop(input.splice(at..end, PIECES[below(PIECES.len())].iter().copied())),
        }
    }
    input
}

/// No character that a terminal obeys, but for the ends of lines.
fn plain(message: &str) {
    assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{message:?}");
}

/// What a message must be, whatever the input.
fn check(message: &str) {
    assert!(
        message.starts_with("error: ") && message.contains("\n  --> ") && message.contains("\n  help: "),
        "{message}"
    );
    assert!(message.lines().count() == 3, "{message:?}");
    plain(message);
}

/// The machinery finds what it is made to find.
#[test]
#[should_panic(expected = "target planted")]
fn a_planted_panic_is_found() {
    fuzz("planted", &[b"abc".to_vec()], |input| assert!(!input.contains(&0xff), "planted"));
}

#[test]
fn an_input_depends_on_the_seed_and_its_number_only() {
    let corpus = data::tables();
    let inputs =
        |seed| (0..50).map(|i| damaged(&corpus, Key::from_seed(seed).fold_in(i))).collect::<Vec<_>>();
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}
