//! `.npz` files: arrays that numpy saved, in a zip archive.
//!
//! The inputs are called `images`, `x` or `x_train`, the targets `labels`, `y` or `y_train`; `x_test` and `y_test` are the test
//! part. Bytes `[n, height, width]` are images, of which 255 stands for 1; numbers `[n, columns]` are a table.
//!
//! Archive and arrays are read by [`retrograde_array::io::Npz`], each array alone.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::Path;

use retrograde_array::io::{IoError, Npz};
use retrograde_array::{Array, DType, Element, Scalar, ops};

use super::{
    DataError, Dataset, Features, Inputs, Layout, MAX_BYTES, Reading, Targets, Task, refuse_constants,
};
use crate::diagnosis::{list, one_line, short};

const INPUTS: [&str; 3] = ["images", "x", "x_train"];
const TARGETS: [&str; 3] = ["labels", "y", "y_train"];
/// More classes than this are no classes.
const MAX_CLASSES: usize = 1 << 12;

/// Reads inputs and targets.
///
/// # Errors
/// No archive; arrays that are missing, of unequal lengths, of other types or shapes; values that are not finite.
pub(crate) fn read(source: impl Read + Seek, path: &Path, reading: &Reading) -> Result<Dataset, DataError> {
    let mut archive = open(source, path)?;
    let wrong = |message: String, help: &str| Err(DataError::new(message, path.display(), help));
    if reading.target.is_some() || reading.labels.is_some() {
        return wrong(
            "a target was named, and the data are arrays".into(),
            "leave out `target` and `labels`: the targets are the array `labels`, `y` or `y_train`",
        );
    }
    let mut inputs = inputs(find(&mut archive, &INPUTS, path)?, path)?;
    let mut targets = find(&mut archive, &TARGETS, path)?;
    let mut given_test_from = None;
    if let Some(x_test) = array(&mut archive, "x_test", path)? {
        let more = self::inputs(x_test, path)?;
        let more_targets = find(&mut archive, &["y_test"], path)?;
        if more.layout != inputs.layout || more_targets.values.kind() != targets.values.kind() {
            return wrong(
                format!("the test part has {}, the training part {}", more.layout, inputs.layout),
                "save both with one shape and type",
            );
        }
        given_test_from = Some(inputs.n_rows());
        match (&mut inputs.features, more.features) {
            (Features::Bytes { values, .. }, Features::Bytes { values: more, .. }) => values.extend(more),
            (Features::Numbers(values), Features::Numbers(more)) => values.extend(more),
            _ => {
                return wrong(
                    "the test part has another type than the training part".into(),
                    "save both with one type",
                );
            }
        }
        if more_targets.shape.len() != targets.shape.len() {
            return wrong(
                "`y_test` has another rank than the training targets".into(),
                "save both as [rows]",
            );
        }
        targets.shape[0] += more_targets.shape[0];
        targets.values.extend(more_targets.values);
    }
    if !matches!(targets.shape[..], [_] | [_, 1]) {
        return wrong(
            format!("`{}` has the shape {:?}, expected [rows]", targets.name, targets.shape),
            "save one target for each row; classes as numbers, not one-hot",
        );
    }
    if targets.shape[0] != inputs.n_rows() {
        return wrong(
            format!("found {} targets and {} rows, expected as many", targets.shape[0], inputs.n_rows()),
            "save one target for each row",
        );
    }
    if let (Features::Numbers(values), Layout::Columns { names, .. }) = (&inputs.features, &inputs.layout) {
        refuse_constants(values, names, &path.display().to_string())?;
    }
    let target_name = targets.name.clone();
    let targets = targets_of(targets, reading.task, path)?;
    Ok(Dataset { inputs, targets, target_name, given_test_from })
}

/// Reads inputs alone.
///
/// # Errors
/// See [`read`].
pub(crate) fn read_inputs(source: impl Read + Seek, path: &Path) -> Result<Inputs, DataError> {
    let mut archive = open(source, path)?;
    inputs(find(&mut archive, &["images", "x", "x_train", "x_test"], path)?, path)
}

/// One array of an archive.
struct Named {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    Bytes(Vec<u8>),
    Integers(Vec<i64>),
    Numbers(Vec<f32>),
}

impl Values {
    fn kind(&self) -> u8 {
        match self {
            Values::Bytes(_) => 0,
            Values::Integers(_) => 1,
            Values::Numbers(_) => 2,
        }
    }
    /// Panics for nothing: another kind is left out, and the caller compared them.
    fn extend(&mut self, more: Values) {
        match (self, more) {
            (Values::Bytes(values), Values::Bytes(more)) => values.extend(more),
            (Values::Integers(values), Values::Integers(more)) => values.extend(more),
            (Values::Numbers(values), Values::Numbers(more)) => values.extend(more),
            _ => {}
        }
    }
}

fn open<S: Read + Seek>(source: S, path: &Path) -> Result<Npz<S>, DataError> {
    Npz::open(source, &path.display().to_string()).map_err(|error| {
        let cause = match error {
            IoError::Zip { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        let message = format!("the npz file is damaged or cut short: {}", one_line(&cause));
        DataError::new(message, path.display(), SAVE_AGAIN)
    })
}

const SAVE_AGAIN: &str = "save it again with `numpy.savez`";

fn find(archive: &mut Npz<impl Read + Seek>, names: &[&str], path: &Path) -> Result<Named, DataError> {
    for name in names {
        if let Some(found) = array(archive, name, path)? {
            return Ok(found);
        }
    }
    let held = archive.names();
    let held = held.iter().map(String::as_str).collect::<Vec<_>>();
    let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let found = match held[..] {
        [] => "no array".into(),
        _ => format!("the arrays {}", list(&held, '`')),
    };
    Err(DataError::new(
        format!("found {found}, expected {known} among them"),
        path.display(),
        "save with `numpy.savez(FILE, x=…, y=…)`",
    ))
}

fn array(archive: &mut Npz<impl Read + Seek>, name: &str, path: &Path) -> Result<Option<Named>, DataError> {
    match archive.read(name, MAX_BYTES) {
        Ok(None) => Ok(None),
        Ok(Some(array)) => named(name, &array, path).map(Some),
        Err(error) => Err(unreadable(name, error, path)),
    }
}

/// What is wrong with an array, in the words of a data file.
fn unreadable(name: &str, error: IoError, path: &Path) -> DataError {
    let (what, help) = match error {
        IoError::Npy { found, expected, .. } => (format!("found {found}, expected {expected}"), SAVE_AGAIN),
        IoError::DType { dtype, expected, .. } => (
            format!("found the dtype {}, expected one of {expected}", short(&dtype)),
            "convert it with `.astype(…)`",
        ),
        IoError::TooLarge { shape, limit_bytes, .. } => (
            format!("the header claims the shape {:?}, more than {limit_bytes} bytes", shape.to_vec()),
            "divide the data",
        ),
        IoError::Bool { byte, .. } => {
            (format!("found the byte {byte} for a bool, expected 0 or 1"), SAVE_AGAIN)
        }
        IoError::Rank { rank, .. } => (
            format!("found {rank} axes, expected [rows, columns], [rows, height, width] or [rows]"),
            "reshape it, one row for each example",
        ),
        IoError::File { source, .. } => {
            (format!("cannot unpack it: {}", one_line(&source.to_string())), SAVE_AGAIN)
        }
        IoError::Zip { source, .. } => {
            (format!("cannot unpack it: {}", one_line(&source.to_string())), SAVE_AGAIN)
        }
        other => (one_line(&other.to_string()), SAVE_AGAIN),
    };
    DataError::new(format!("array `{name}`: {what}"), path.display(), help)
}

/// # Errors
/// A number that is not finite, or too large for `f32`.
fn named(name: &str, array: &Array, path: &Path) -> Result<Named, DataError> {
    let shape = array.shape().to_vec();
    let values = match array.dtype() {
        DType::U8 | DType::Bool => Values::Bytes(values(array, DType::U8)),
        DType::I64 | DType::I32 => Values::Integers(values(array, DType::I64)),
        _ => Values::Numbers(values(array, DType::F32)),
    };
    if let Values::Numbers(numbers) = &values
        && let Some(at) = numbers.iter().position(|value| !value.is_finite())
    {
        let n_columns = shape.iter().skip(1).product::<usize>().max(1);
        let found = array.get(at).map_or(f64::NAN, Scalar::to_f64);
        return Err(DataError::new(
            format!(
                "array `{name}`: row {}, column {}: found {found:?}, expected a finite number that f32 can hold",
                at / n_columns + 1,
                at % n_columns + 1,
            ),
            path.display(),
            "fill in or leave out what is missing, and scale what is too large",
        ));
    }
    Ok(Named { name: name.into(), shape, values })
}

/// The values in row-major order, converted to a type that holds them.
fn values<T: Element>(array: &Array, dtype: DType) -> Vec<T> {
    let values = if array.dtype() == dtype { array.to_vec() } else { ops::convert(array, dtype).to_vec() };
    values.unwrap_or_else(|| panic!("an array of {dtype} holds no such values; this is a bug in retrograde"))
}

fn inputs(array: Named, path: &Path) -> Result<Inputs, DataError> {
    let Named { name, shape, values } = array;
    let wrong = |message: String, help: &str| Err(DataError::new(message, path.display(), help));
    let layout = match shape[..] {
        [n, height, width] | [n, height, width, 1] if n > 0 && height > 0 && width > 0 => {
            Layout::Images { height, width }
        }
        [n, columns] if n > 0 && columns > 0 => {
            let names = (1..=columns).map(|column| column.to_string()).collect();
            Layout::Columns { names, header: false }
        }
        _ => {
            return wrong(
                format!(
                    "array `{name}` has the shape {shape:?}, expected [rows, columns] or [rows, height, width]"
                ),
                "reshape it, one row for each example",
            );
        }
    };
    let features = match (values, &layout) {
        (Values::Bytes(values), Layout::Images { .. }) => Features::Bytes { values, full: 255 },
        (Values::Bytes(values), _) => Features::Numbers(values.into_iter().map(f32::from).collect()),
        (Values::Integers(values), _) => {
            Features::Numbers(values.into_iter().map(|value| value as f32).collect())
        }
        (Values::Numbers(values), _) => Features::Numbers(values),
    };
    Ok(Inputs { features, layout })
}

/// Integers are classes unless numbers are asked for, and numbers are numbers unless classes are.
fn targets_of(array: Named, task: Task, path: &Path) -> Result<Targets, DataError> {
    let wrong = |message: String, help: &str| Err(DataError::new(message, path.display(), help));
    let name = array.name;
    let numbers = match (array.values, task) {
        (Values::Numbers(values), Task::Auto | Task::Regression) => values,
        (Values::Bytes(values), Task::Regression) => values.into_iter().map(f32::from).collect(),
        (Values::Integers(values), Task::Regression) => {
            values.into_iter().map(|value| value as f32).collect()
        }
        (values, _) => {
            let labels: Vec<i64> = match values {
                Values::Bytes(values) => values.into_iter().map(i64::from).collect(),
                Values::Integers(values) => values,
                Values::Numbers(values) => {
                    if let Some(fraction) = values.iter().find(|value| value.fract() != 0.0) {
                        return wrong(
                            format!("array `{name}`: found the class {fraction}, expected an integer"),
                            "save classes as integers, or say `--task regression`",
                        );
                    }
                    values.into_iter().map(|value| value as i64).collect()
                }
            };
            if let Some(row) = labels.iter().position(|&label| label < 0) {
                return wrong(
                    format!(
                        "array `{name}`, row {}: found the class {}, expected 0 or above",
                        row + 1,
                        labels[row]
                    ),
                    "count classes from 0, or say `--task regression`",
                );
            }
            let classes = labels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
            if !(2..=MAX_CLASSES).contains(&classes.len()) {
                return wrong(
                    format!(
                        "array `{name}`: found {} classes, expected from 2 to {MAX_CLASSES}",
                        classes.len()
                    ),
                    "save class numbers, or say `--task regression` for quantities",
                );
            }
            let label = |label: &i64| classes.binary_search(label).unwrap_or_default() as u32;
            let labels = labels.iter().map(label).collect();
            return Ok(Targets::Classes { labels, names: classes.iter().map(i64::to_string).collect() });
        }
    };
    if numbers.iter().all(|&value| value == numbers[0]) {
        return wrong(
            format!("array `{name}` is {} in every row: there is nothing to learn", numbers[0]),
            "save the quantity that is to be predicted",
        );
    }
    Ok(Targets::Values(numbers))
}
