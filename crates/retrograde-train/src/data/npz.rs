//! `.npz` files: arrays that numpy saved, in a zip archive.
//!
//! The inputs are called `images`, `x` or `x_train`, the targets `labels`, `y` or `y_train`; `x_test` and `y_test` are the test
//! part. Bytes `[n, height, width]` are images, of which 255 stands for 1; numbers `[n, columns]` are a table.
//!
//! Source: numpy.lib.format, version 1.0 to 3.0 of the `.npy` format, NumPy Enhancement Proposal 1 (2007).

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use super::{
    DataError, Dataset, Features, Inputs, Layout, MAX_BYTES, Reading, Targets, Task, refuse_constants,
};

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
struct Npy {
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

fn open<S: Read + Seek>(source: S, path: &Path) -> Result<ZipArchive<S>, DataError> {
    ZipArchive::new(source).map_err(|error| {
        DataError::new(
            format!("the npz file is damaged or cut short: {error}"),
            path.display(),
            "save it again with `numpy.savez`",
        )
    })
}

fn find(archive: &mut ZipArchive<impl Read + Seek>, names: &[&str], path: &Path) -> Result<Npy, DataError> {
    for name in names {
        if let Some(found) = array(archive, name, path)? {
            return Ok(found);
        }
    }
    let held =
        archive.file_names().filter_map(Result::ok).map(|name| name.trim_end_matches(".npy").to_owned());
    let held = held.collect::<Vec<_>>();
    let held = held.iter().map(String::as_str).collect::<Vec<_>>();
    let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    Err(DataError::new(
        format!("found the arrays {}, expected {known} among them", crate::diagnosis::list(&held, '`')),
        path.display(),
        "save with `numpy.savez(FILE, x=…, y=…)`",
    ))
}

fn array(
    archive: &mut ZipArchive<impl Read + Seek>,
    name: &str,
    path: &Path,
) -> Result<Option<Npy>, DataError> {
    let Ok(file) = archive.by_name(&format!("{name}.npy")) else { return Ok(None) };
    npy(file, name, path).map(Some)
}

/// Reads one `.npy`: memory grows with the bytes that arrive.
fn npy(mut source: impl Read, name: &str, path: &Path) -> Result<Npy, DataError> {
    let wrong =
        |what: String, help: &str| DataError::new(format!("array `{name}`: {what}"), path.display(), help);
    let damaged = |what: &str| wrong(what.into(), "save the file again with `numpy.savez`");
    let mut take = |n_bytes: u64| {
        let mut bytes = vec![];
        source.by_ref().take(n_bytes).read_to_end(&mut bytes).map(|_| bytes)
    };
    let mut read = |n_bytes: u64| match take(n_bytes) {
        Ok(bytes) if bytes.len() as u64 == n_bytes => Ok(bytes),
        Ok(bytes) => Err(damaged(&format!("found {} bytes, expected {n_bytes}", bytes.len()))),
        Err(error) => Err(damaged(&format!("cannot unpack it: {error}"))),
    };
    let start = read(8)?;
    let length = match start[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => {
            read(2)?.try_into().map(|bytes| u64::from(u16::from_le_bytes(bytes)))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => {
            read(4)?.try_into().map(|bytes| u64::from(u32::from_le_bytes(bytes)))
        }
        _ => return Err(damaged("it does not start as an npy file")),
    };
    let length =
        length.ok().filter(|&length| length <= 1 << 16).ok_or_else(|| damaged("its header is too long"))?;
    let header = read(length)?;
    let header = String::from_utf8_lossy(&header);
    let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let quoted = |rest: &str| rest.strip_prefix('\'')?.split_once('\'').map(|(text, _)| text.to_owned());
    let descr = value("descr").and_then(quoted).ok_or_else(|| damaged("its header names no simple type"))?;
    if !value("fortran_order").is_some_and(|rest| rest.starts_with("False")) {
        return Err(wrong("it is in Fortran order".into(), "save `numpy.ascontiguousarray(…)` of it"));
    }
    let shape =
        value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).and_then(|(sizes, _)| {
            let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
            sizes.map(|size| size.parse::<usize>().ok()).collect::<Option<Vec<_>>>()
        });
    let shape = shape.ok_or_else(|| damaged("its header has no shape"))?;
    let width = match descr.as_str() {
        "|u1" | "|b1" => 1,
        "<i4" | "<f4" => 4,
        "<i8" | "<f8" => 8,
        _ => {
            return Err(wrong(
                format!(
                    "found the type {}, expected u1, i4, i8, f4 or f8, little-endian",
                    crate::diagnosis::short(&descr)
                ),
                "convert it with `.astype(…)`",
            ));
        }
    };
    let n_bytes = shape.iter().try_fold(width, |product: u64, &size| product.checked_mul(size as u64));
    let n_bytes = n_bytes.filter(|&bytes| bytes <= MAX_BYTES).ok_or_else(|| {
        wrong(
            format!("the header claims the shape {shape:?}, more than {MAX_BYTES} bytes"),
            "divide the data",
        )
    })?;
    let bytes = read(n_bytes)?;
    let values = match descr.as_str() {
        "<i4" => {
            Values::Integers(bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect())
        }
        "<i8" => Values::Integers(bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()),
        "<f4" => Values::Numbers(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        "<f8" => Values::Numbers(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()),
        _ => Values::Bytes(bytes),
    };
    if let Values::Numbers(values) = &values
        && let Some(at) = values.iter().position(|value| !value.is_finite())
    {
        let n_columns = shape.iter().skip(1).product::<usize>().max(1);
        return Err(wrong(
            format!(
                "row {}, column {}: found {}, expected a finite f32",
                at / n_columns + 1,
                at % n_columns + 1,
                values[at]
            ),
            "fill in or leave out what is missing",
        ));
    }
    Ok(Npy { name: name.into(), shape, values })
}

fn inputs(array: Npy, path: &Path) -> Result<Inputs, DataError> {
    let Npy { name, shape, values } = array;
    let wrong = |message: String, help: &str| Err(DataError::new(message, path.display(), help));
    let layout = match shape[..] {
        [n, height, width] | [n, height, width, 1] if n * height * width > 0 => {
            Layout::Images { height, width }
        }
        [n, columns] if n * columns > 0 => {
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
fn targets_of(array: Npy, task: Task, path: &Path) -> Result<Targets, DataError> {
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
