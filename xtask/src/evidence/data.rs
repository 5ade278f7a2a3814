//! Memory and speed of the data readers, on files made from a fixed seed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use retrograde_array::rng::{Key, random_bits};
use serde_json::{Value, json};

use super::{at_least, at_most, last_object_of, number};

/// Fixed before the first run.
const SEED: u64 = 20_261_124;
/// What MNIST has: images to train on, images to test on, pixels in a row and in a column.
const MNIST: (u32, u32, u32) = (60_000, 10_000, 28);
/// Rows of the table, and readings of which the median counts.
const TABLE: (usize, usize) = (1_000_000, 5);

/// 10^9 bytes, in units of 2^20.
const MOST_MB: f64 = 1e9 / 1_048_576.0;

/// A folder for the files of a case, removed in the end: they are large.
struct Folder(PathBuf);

impl Folder {
    fn new(root: &Path, case: &str) -> Result<Folder, String> {
        let path = root.join("target/evidence").join(case);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn written(result: io::Result<()>) -> Result<(), String> {
    result.map_err(|error| format!("cannot write the data: {error}"))
}

/// Trains one epoch with the command; it says what the system counted of it (`VmHWM`).
pub(super) fn idx_memory(root: &Path) -> Result<Value, String> {
    let folder = Folder::new(root, "idx-memory")?;
    let (n_train, n_test, side) = MNIST;
    for (name, n) in [("train", n_train), ("t10k", n_test)] {
        written(idx_files(&folder.0, name, n, side))?;
    }
    let run = "run --release --quiet --package retrograde-cli -- train --data target/evidence/idx-memory \
               --out target/evidence/idx-memory/run --set epochs=1 --seed 0 --quiet --json";
    last_object_of(root, run)
}

/// Images whose row `label` is bright in noise, and their labels.
fn idx_files(folder: &Path, name: &str, n: u32, side: u32) -> io::Result<()> {
    let key = Key::from_seed(SEED).fold_in(u64::from(n));
    let mut images = BufWriter::new(File::create(folder.join(format!("{name}-images-idx3-ubyte")))?);
    let mut labels = BufWriter::new(File::create(folder.join(format!("{name}-labels-idx1-ubyte")))?);
    images.write_all(&[0, 0, 8, 3])?;
    [n, side, side].iter().try_for_each(|size| images.write_all(&size.to_be_bytes()))?;
    labels.write_all(&[0, 0, 8, 1])?;
    labels.write_all(&n.to_be_bytes())?;
    let n_pixels = (side * side) as usize;
    for image in 0..n {
        let words = random_bits(key.fold_in(u64::from(image)), n_pixels.div_ceil(8) + 1);
        let mut pixels = words[1..].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let label = (words[0] % 10) as u8;
        let row = usize::from(label) * side as usize;
        pixels[row..row + side as usize].fill(255);
        images.write_all(&pixels[..n_pixels])?;
        labels.write_all(&[label])?;
    }
    images.flush()?;
    labels.flush()
}

pub(super) fn idx_memory_holds(results: &Value) -> Result<(), String> {
    at_least(results, "n_train", f64::from(MNIST.0))?;
    at_least(results, "n_steps", 1.0)?;
    at_most(results, "peak_resident_mb", MOST_MB)
}

/// Reads a table in a process of its own.
pub(super) fn csv_speed(root: &Path) -> Result<Value, String> {
    let folder = Folder::new(root, "csv-speed")?;
    let (n_rows, n_readings) = TABLE;
    written(table(&folder.0.join("table.csv"), n_rows))?;
    let run = format!(
        "run --release --quiet --package retrograde-train --example read_table -- target/evidence/csv-speed/table.csv \
         target {n_readings}"
    );
    let mut results = last_object_of(root, &run)?;
    let megabytes = number(&results, "megabytes")?;
    for (list, rate) in [("seconds", "megabytes_per_second"), ("cpu_seconds", "megabytes_per_cpu_second")] {
        let median = median(&results[list])?;
        results[format!("median_{list}")] = json!(median);
        results[rate] = json!(megabytes / median);
    }
    Ok(results)
}

/// Eight columns of numbers as people write them, with two to seventeen digits, and a target.
fn table(path: &Path, n_rows: usize) -> io::Result<()> {
    let key = Key::from_seed(SEED);
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"a,b,c,d,e,f,g,h,target\n")?;
    let mut row = String::new();
    for row_idx in 0..n_rows {
        let words = random_bits(key.fold_in(row_idx as u64), 9);
        // From -1 to 1.
        let x = |i: usize| words[i] as i64 as f64 / -(i64::MIN as f64);
        row.clear();
        // Writing to a string cannot fail.
        let _ = writeln!(
            row,
            "{:.6},{:.4},{},{:.8},{:.3e},{:.2},{},{:.17},{:.3}",
            x(0),
            100.0 * x(1),
            words[2] % 1000,
            x(3),
            x(4),
            50.0 + 20.0 * x(5),
            words[6] % 2,
            x(7),
            50.0 * x(8)
        );
        file.write_all(row.as_bytes())?;
    }
    file.flush()
}

pub(super) fn csv_speed_holds(results: &Value) -> Result<(), String> {
    at_least(results, "rows", TABLE.0 as f64)?;
    let n_readings = results["seconds"].as_array().map_or(0, Vec::len);
    if n_readings != TABLE.1 {
        return Err(format!("found {n_readings} readings, expected {}", TABLE.1));
    }
    at_least(results, "megabytes_per_second", 100.0)
}

fn median(list: &Value) -> Result<f64, String> {
    let numbers = list.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let mut numbers = numbers.unwrap_or_default();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().ok_or_else(|| format!("found no numbers in {list}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_do_not_hold_are_refused() {
        let good = json!({ "rows": 1_000_000, "seconds": [1, 1, 1, 1, 1], "megabytes_per_second": 100.0 });
        assert_eq!(csv_speed_holds(&good), Ok(()));
        for (key, value) in [
            ("rows", json!(999_999)),
            ("seconds", json!([1, 1])),
            ("seconds", Value::Null),
            ("megabytes_per_second", json!(99.9)),
        ] {
            let mut broken = good.clone();
            broken[key] = value;
            assert!(csv_speed_holds(&broken).is_err(), "{key}");
        }
        let good = json!({ "n_train": 60_000, "n_steps": 1875, "peak_resident_mb": 953.6 });
        assert_eq!(idx_memory_holds(&good), Ok(()));
        for (key, value) in
            [("n_train", json!(48_000)), ("n_steps", json!(0)), ("peak_resident_mb", json!(953.7))]
        {
            let mut broken = good.clone();
            broken[key] = value;
            assert!(idx_memory_holds(&broken).is_err(), "{key}");
        }
        assert_eq!(median(&json!([3.0, 1.0, 2.0])), Ok(2.0));
        assert!(median(&json!([])).is_err());
    }

    /// The files are what the formats say, and the same every time.
    #[test]
    fn files_depend_on_the_seed_alone() {
        let path = std::env::temp_dir().join(format!("retrograde-evidence-{}", std::process::id()));
        let made = || {
            let folder = Folder::new(&path, "data").unwrap();
            idx_files(&folder.0, "train", 3, 28).unwrap();
            table(&folder.0.join("t.csv"), 4).unwrap();
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t.csv"]
                .map(|name| fs::read(folder.0.join(name)).unwrap())
        };
        let [images, labels, table] = made();
        assert_eq!((images.len(), labels.len()), (16 + 3 * 784, 8 + 3));
        assert_eq!(&labels[..8], [0, 0, 8, 1, 0, 0, 0, 3]);
        let text = String::from_utf8(table.clone()).unwrap();
        assert!(text.lines().count() == 5 && text.lines().all(|line| line.split(',').count() == 9));
        assert_eq!(made(), [images, labels, table]);
        assert!(!path.join("target/evidence/data").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
