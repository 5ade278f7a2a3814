//! Data files. Whatever is wrong with one is an error that names file, line and column; nothing half-read is kept, and no
//! memory is taken on the word of a header.

mod csv;
mod dataset;
mod error;
mod gzip;
mod idx;
mod images;
mod npz;
mod number;
mod records;
mod target;

use std::fs::File;
use std::path::Path;

pub use self::csv::Header;
pub use dataset::{Dataset, Features, Inputs, Layout, Targets, Task};
pub use error::DataError;

/// Bytes of the largest IDX file.
pub(crate) const MAX_BYTES: u64 = 1 << 33;
/// Values of the largest table: 4 GiB in `f32`.
pub(crate) const MAX_VALUES: usize = 1 << 30;

/// How data files are to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The column to be predicted: its name or, without a header, its number.
    pub target: Option<String>,
    /// Whether the first line names the columns.
    pub header: Header,
    /// What is learned.
    pub task: Task,
    /// The file of labels for a file of images, where it cannot be found by its name.
    pub labels: Option<String>,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading { target: None, header: Header::Auto, task: Task::Auto, labels: None }
    }
}

/// Reads the data to train on: a CSV file; a file of IDX images, whose labels lie beside it; a folder of IDX files; or an npz
/// file. All but the last may be gzipped.
///
/// ```
/// use retrograde_train::{Reading, data::load};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("flowers.csv");
/// std::fs::write(&path, "width,height,label\n1,2,rose\n2,1.5,lily\n")?;
/// let data = load(&path, &Reading::default())?;
/// assert_eq!((data.n_rows(), data.inputs.row(1)), (2, vec![2.0, 1.5]));
/// assert_eq!(data.targets.labels(), Some(&[1, 0][..])); // lily, rose
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See the module.
///
/// # Cost
/// One pass, well above 100 MB of CSV a second; 4 bytes for each value of a table, 1 for each pixel.
pub fn load(path: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    match kind(path)? {
        Kind::Idx => {
            refuse_for_images(path, reading)?;
            images::load(path, reading.labels.as_deref().map(Path::new))
        }
        Kind::Npz => npz::read(archive(path)?, path, reading),
        Kind::Csv => {
            if let Some(labels) = &reading.labels {
                return Err(DataError::new(
                    format!("`labels = \"{labels}\"` with a table, expected it with IDX images only"),
                    path.display(),
                    "name the column of the table with `--target COLUMN`",
                ));
            }
            table(path, reading)
        }
    }
}

/// Reads rows like those that a run was trained on; a target among them is not looked at.
///
/// # Errors
/// See the module; columns or sizes of images that are not those of the run.
pub fn load_inputs(path: &Path, layout: &Layout, target_name: &str) -> Result<Inputs, DataError> {
    match (kind(path)?, layout) {
        (Kind::Csv, Layout::Columns { names, header }) => {
            let wanted = csv::Wanted::Prediction { features: names, target: target_name };
            let header = if *header { Header::Yes } else { Header::No };
            let table = csv::load(path, header, &wanted)?;
            Ok(Inputs { features: Features::Numbers(table.features), layout: layout.clone() })
        }
        (Kind::Npz, _) => same_layout(npz::read_inputs(archive(path)?, path)?, layout, path),
        (Kind::Idx, Layout::Images { .. }) => same_layout(images::load_inputs(path)?, layout, path),
        (Kind::Csv, _) => Err(DataError::new(
            format!("found a table, expected {layout} as when training"),
            path.display(),
            "name an IDX file of images",
        )),
        (Kind::Idx, _) => Err(DataError::new(
            format!("found images, expected {layout} as when training"),
            path.display(),
            "name a CSV file",
        )),
    }
}

fn same_layout(inputs: Inputs, layout: &Layout, path: &Path) -> Result<Inputs, DataError> {
    if inputs.layout.to_string() == layout.to_string() {
        return Ok(inputs);
    }
    Err(DataError::new(
        format!("found {}, expected {layout} as when training", inputs.layout),
        path.display(),
        "bring the rows to the form of the training rows",
    ))
}

/// A zip archive is read from its end, which a gzipped one does not have.
fn archive(path: &Path) -> Result<File, DataError> {
    if gzip::is_packed(path)? {
        return Err(DataError::new(
            "found a gzipped npz file, expected the npz file itself",
            path.display(),
            "unpack it with `gunzip`; npz files can be compressed themselves, by `numpy.savez_compressed`",
        ));
    }
    File::open(path).map_err(|error| DataError::io(path, &error))
}

enum Kind {
    Csv,
    Idx,
    Npz,
}

/// Folders hold IDX files; IDX files start with two zero bytes, which no text does; npz files are zip archives; the rest is
/// text.
fn kind(path: &Path) -> Result<Kind, DataError> {
    if path.is_dir() {
        return Ok(Kind::Idx);
    }
    let mut source = gzip::open(path)?;
    let start = source.fill_buf().map_err(|error| DataError::io(path, &error))?;
    Ok(match start {
        [0, 0, ..] => Kind::Idx,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Npz,
        _ => Kind::Csv,
    })
}

fn table(path: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let wanted = csv::Wanted::Training { target: reading.target.as_deref() };
    dataset_of(csv::load(path, reading.header, &wanted)?, path, reading.task)
}

fn dataset_of(table: csv::Table, path: &Path, task: Task) -> Result<Dataset, DataError> {
    let csv::Table { names, header, features, target } = table;
    let Some((target_name, column)) = target else {
        panic!("a table to train on without a target; this is a bug in retrograde");
    };
    let targets = column.finish(task, &path.display().to_string(), &target_name)?;
    let inputs = Inputs { features: Features::Numbers(features), layout: Layout::Columns { names, header } };
    Ok(Dataset { inputs, targets, target_name, given_test_from: None })
}

/// A column that holds one value tells nothing. Stops at the row where every column has varied.
fn refuse_constants(features: &[f32], names: &[String], file: &str) -> Result<(), DataError> {
    let mut rows = features.chunks(names.len().max(1));
    let n_rows = rows.len();
    let Some(first) = rows.next() else { return Ok(()) };
    if n_rows == 1 {
        return Err(DataError::new("found one row, expected several", file, "add rows to learn from"));
    }
    let mut constant = (0..names.len()).collect::<Vec<_>>();
    for row in rows {
        constant.retain(|&column| row[column] == first[column]);
        if constant.is_empty() {
            return Ok(());
        }
    }
    let all = constant.iter().map(|&column| names[column].as_str()).collect::<Vec<_>>();
    let all = crate::diagnosis::list(&all, '`');
    let message = match constant[..] {
        [only] => format!("column {all} is {} in all {n_rows} rows", first[only]),
        _ => format!("{} columns hold one value in all {n_rows} rows: {all}", constant.len()),
    };
    Err(DataError::new(message, file, "leave constant columns out: nothing can be learned from them"))
}

/// What only tables have.
fn refuse_for_images(path: &Path, reading: &Reading) -> Result<(), DataError> {
    let wrong = |what: &str, help: &str| Err(DataError::new(what, path.display(), help));
    if reading.target.is_some() {
        return wrong("a target column was named, and the data are images", "leave out `--target`");
    }
    if reading.task == Task::Regression {
        return wrong("regression was asked for, and IDX labels are classes", "leave out `--task`");
    }
    Ok(())
}

/// The readers on bytes in memory.
#[cfg(test)]
pub(crate) mod fuzz_targets {
    use std::io::Cursor;

    use super::*;

    pub(crate) use super::gzip::unpack;

    /// A table, gzipped or not, whose target has a usual name or is its second column.
    pub(crate) fn csv(bytes: &[u8], task: Task) -> Result<Dataset, DataError> {
        let path = Path::new("fuzz.csv");
        let read = |target| {
            let source = unpack(Cursor::new(bytes.to_vec())).map_err(|error| DataError::io(path, &error))?;
            let table = csv::read(source, path, Header::Auto, &csv::Wanted::Training { target })?;
            dataset_of(table, path, task)
        };
        read(None).or_else(|_| read(Some("2")))
    }

    /// A table of rows to predict.
    pub(crate) fn rows_to_predict(
        bytes: &[u8],
        names: &[String],
        has_header: bool,
        target: &str,
    ) -> Result<Features, DataError> {
        let path = Path::new("fuzz.csv");
        let source = unpack(Cursor::new(bytes.to_vec())).map_err(|error| DataError::io(path, &error))?;
        let header = if has_header { Header::Yes } else { Header::No };
        let wanted = csv::Wanted::Prediction { features: names, target };
        Ok(Features::Numbers(csv::read(source, path, header, &wanted)?.features))
    }

    /// An npz file.
    pub(crate) fn npz(bytes: &[u8], task: Task) -> Result<Dataset, DataError> {
        npz::read(Cursor::new(bytes), Path::new("fuzz.npz"), &Reading { task, ..Reading::default() })
    }

    /// The sizes and the values.
    pub(crate) fn idx(bytes: &[u8], n_sizes: usize) -> Result<(Vec<usize>, Vec<u8>), DataError> {
        idx::read(bytes, Path::new("fuzz.idx"), n_sizes).map(|idx| (idx.sizes, idx.values))
    }
}
