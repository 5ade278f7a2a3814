//! Every reader on damaged input, for as long as `RETROGRADE_FUZZ_SECONDS` says (a fraction of a second by default).
//!
//! Input `i` of a target depends on the seed and `i` only, so a failure names the input and any machine repeats it.
//! Coverage-guided fuzzing (`cargo-fuzz`) would find rarer inputs; it needs a nightly compiler, and what needs one is not
//! run by everybody.

use std::io::{Cursor, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use retrograde_array::rng::{Key, random_bits};

use crate::checkpoint::{Checkpoint, tests::sample};
use crate::data::fuzz_targets::{csv, idx, npz, unpack};
use crate::{Recipe, Task};

/// Fixed before the first run.
const SEED: u64 = 20_261_123;
/// A reader that takes longer for one small input hangs.
const LONGEST: Duration = Duration::from_secs(10);

const TABLES: [&str; 5] = [
    "a,b,label\n1,2.5,x\n-3e-2,4,y\n1e3,0,x\n",
    "1;2;3\n4;5;6\n",
    "\u{feff}\"a, b\"\t\"c\"\"d\"\ty\r\n1\t2\t0\r\n3\t4\t1\r\n",
    "u,y\n0.5,1\n1.5,2\n,3\nNaN,4\n",
    "\n\n\"x\ny\",2\n",
];
const RECIPES: [&str; 3] = [
    "data = \"t.csv\"\ntarget = \"y\"\nepochs = 3\n[model]\nhidden = [8, 0x10]\nactivation = \"relu\"\n",
    "split = { test = 0.25, validation = 1e-1 }\nschedule = \"step\"\ndecay_every = 2\npatience = 4\n",
    "[split]\ntest = 0.5\n[[model]]\n\"\u{e9}\" = 1979-05-27\nseed = 18446744073709551615\n",
];

fn budget() -> Duration {
    let seconds = std::env::var("RETROGRADE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tables() -> Vec<Vec<u8>> {
    TABLES.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// What a message must be, whatever the input.
fn check(message: &str) {
    assert!(
        message.starts_with("error: ") && message.contains("\n  --> ") && message.contains("\n  help: "),
        "{message}"
    );
    assert!(message.lines().count() == 3 && !message.contains(['\0', '\u{1b}']), "{message:?}");
}

#[test]
fn tables_never_panic() {
    fuzz("csv", &tables(), |input| {
        for task in [Task::Auto, Task::Classification, Task::Regression] {
            match csv(input, task) {
                Ok(data) => assert!(data.n_rows() > 1 && data.inputs.n_rows() == data.n_rows()),
                Err(error) => check(&error.to_string()),
            }
        }
    });
}

#[test]
fn idx_files_never_panic() {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
    fuzz("idx", &[images, labels], |input| {
        for n_sizes in [1, 3] {
            match idx(input, n_sizes) {
                Ok((sizes, values)) => assert_eq!(sizes.iter().product::<usize>(), values.len()),
                Err(error) => check(&error.to_string()),
            }
        }
    });
}

#[test]
fn gzip_files_never_panic() {
    let files = tables().iter().map(|table| gzip(table)).collect::<Vec<_>>();
    fuzz("gzip", &files, |input| {
        let mut out = vec![];
        if let Ok(source) = unpack(Cursor::new(input.to_vec())) {
            let _ = source.take(1 << 20).read_to_end(&mut out);
        }
        let _ = csv(&gzip(input), Task::Auto).map_err(|error| check(&error.to_string()));
    });
}

/// An archive as `numpy.savez` writes it, values stored as they are or deflated.
fn archive(method: zip::CompressionMethod, images: bool) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let (x_type, x_shape, x) = if images {
        ("|u1", "(4, 1, 2)", vec![1_u8; 8])
    } else {
        ("<f4", "(4, 2)", (0..8_u8).flat_map(|v| f32::from(v).to_le_bytes()).collect())
    };
    let y = [1_i64, 0, 1, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (name, descr, shape, values) in [("x", x_type, x_shape, x), ("y", "<i8", "(4,)", y)] {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let start =
            [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        writer.write_all(&[start, values].concat()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn npz_files_never_panic() {
    let (stored, deflated) = (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
    let files = [archive(stored, false), archive(stored, true), archive(deflated, false)];
    for file in &files {
        let data = npz(file, Task::Auto).unwrap();
        assert_eq!((data.n_rows(), data.targets.labels()), (4, Some(&[1, 0, 1, 2][..])));
    }
    fuzz("npz", &files, |input| {
        for task in [Task::Auto, Task::Classification, Task::Regression] {
            match npz(input, task) {
                Ok(data) => assert_eq!(data.inputs.n_rows(), data.n_rows()),
                Err(error) => check(&error.to_string()),
            }
        }
    });
}

#[test]
fn recipes_never_panic() {
    fuzz("recipe", &RECIPES.map(|text| text.as_bytes().to_vec()), |input| {
        let text = String::from_utf8_lossy(input);
        match Recipe::parse(&text, "r.toml") {
            Ok(recipe) => assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe),
            Err(error) => assert!(error.to_string().starts_with("error: "), "{error}"),
        }
    });
}

/// Also with the length and the checksum put right, so that damage reaches the header.
#[test]
fn checkpoints_never_panic() {
    let file = sample().encode();
    let start = b"retrograde checkpoint 1\n".len();
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

/// The machinery finds what it is made to find.
#[test]
#[should_panic(expected = "target planted")]
fn a_planted_panic_is_found() {
    fuzz("planted", &[b"abc".to_vec()], |input| assert!(!input.contains(&0xff), "planted"));
}

#[test]
fn an_input_depends_on_the_seed_and_its_number_only() {
    let corpus = tables();
    let inputs =
        |seed| (0..50).map(|i| damaged(&corpus, Key::from_seed(seed).fold_in(i))).collect::<Vec<_>>();
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}
