//! Images and their labels: pairs of IDX files, found by the names that MNIST and its relatives use.
//!
//! `NAME-images-idx3-ubyte` goes with `NAME-labels-idx1-ubyte`, with `.gz` or without. In a folder, the pair whose name
//! starts with `t10k` or holds `test` is the test part.

use std::fs;
use std::path::{Path, PathBuf};

use super::{DataError, Dataset, Features, Inputs, Layout, idx, target};

/// What divides a pixel: 255 stands for 1.
const FULL: u8 = 255;

/// Reads the images of a file or folder with their labels.
///
/// # Errors
/// No pair of files; as many labels as images are missing; images of two sizes; one class.
pub(crate) fn load(path: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let (train, test) = if path.is_dir() {
        if labels.is_some() {
            return Err(DataError::new(
                "a file of labels was named, and the data are a folder",
                path.display(),
                "name the file of images, or leave out `labels`",
            ));
        }
        pairs(path)?
    } else {
        let labels = labels.map_or_else(|| labels_of(path), |labels| Ok(labels.into()))?;
        ((path.into(), labels), None)
    };
    let (mut inputs, mut labels) = pair(&train)?;
    let mut given_test_from = None;
    if let Some(test) = test {
        let (more, more_labels) = pair(&test)?;
        if more.layout != inputs.layout {
            return Err(DataError::new(
                format!("found {}, and {} in {}", more.layout, inputs.layout, train.0.display()),
                test.0.display(),
                "bring all images to one size",
            ));
        }
        if let (Features::Bytes { values, .. }, Features::Bytes { values: more, .. }) =
            (&mut inputs.features, more.features)
        {
            values.extend(more);
        }
        let unseen = more_labels.iter().find(|label| !labels.contains(label));
        if let Some(unseen) = unseen {
            return Err(DataError::new(
                format!("found the label {unseen}, which no training image has"),
                test.1.display(),
                "train on every class that is tested",
            ));
        }
        given_test_from = Some(labels.len());
        labels.extend(more_labels);
    }
    let targets = target::byte_classes(&labels, &train.1.display().to_string())?;
    Ok(Dataset { inputs, targets, target_name: "label".into(), given_test_from })
}

/// Reads images alone.
///
/// # Errors
/// See [`idx::load`].
pub(crate) fn load_inputs(path: &Path) -> Result<Inputs, DataError> {
    let images = idx::load(path, 3)?;
    let layout = Layout::Images { height: images.sizes[1], width: images.sizes[2] };
    Ok(Inputs { features: Features::Bytes { values: images.values, full: FULL }, layout })
}

fn pair((images, labels): &(PathBuf, PathBuf)) -> Result<(Inputs, Vec<u8>), DataError> {
    let inputs = load_inputs(images)?;
    let labels_read = idx::load(labels, 1)?.values;
    if labels_read.len() != inputs.n_rows() {
        return Err(DataError::new(
            format!(
                "found {} labels, expected {} as there are images in {}",
                labels_read.len(),
                inputs.n_rows(),
                images.display()
            ),
            labels.display(),
            "name the labels that belong to the images",
        ));
    }
    Ok((inputs, labels_read))
}

type Pair = (PathBuf, PathBuf);

/// The training pair of a folder and, where there is one, the test pair.
fn pairs(folder: &Path) -> Result<(Pair, Option<Pair>), DataError> {
    let entries = fs::read_dir(folder).map_err(|error| DataError::io(folder, &error))?;
    let mut images = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| name(path).contains("images") && name(path).contains("idx") && path.is_file())
        .collect::<Vec<_>>();
    images.sort();
    // A file and its gzipped copy are one.
    images.dedup_by(|b, a| name(b).strip_suffix(".gz") == Some(&name(a)));
    let (test, train) = images
        .into_iter()
        .partition::<Vec<_>, _>(|path| name(path).starts_with("t10k") || name(path).contains("test"));
    match (&train[..], &test[..]) {
        ([train], []) => Ok(((train.clone(), labels_of(train)?), None)),
        ([train], [test]) => Ok(((train.clone(), labels_of(train)?), Some((test.clone(), labels_of(test)?)))),
        (train, test) => Err(DataError::new(
            format!(
                "found {} files of training images and {} of test images, expected one and at most one",
                train.len(),
                test.len()
            ),
            folder.display(),
            "name a folder with train-images-idx3-ubyte and train-labels-idx1-ubyte (and t10k-… to test on), or name \
             the file of images",
        )),
    }
}

/// The file of labels that lies beside a file of images.
fn labels_of(images: &Path) -> Result<PathBuf, DataError> {
    let label_name = name(images).replace("images", "labels").replace("idx3", "idx1");
    let stem = label_name.strip_suffix(".gz").unwrap_or(&label_name);
    let candidates = [label_name.clone(), stem.into(), format!("{stem}.gz")];
    let beside = candidates.iter().map(|candidate| images.with_file_name(candidate));
    let found = beside.into_iter().find(|path| path != images && path.is_file());
    found.ok_or_else(|| {
        DataError::new(
            format!("the labels of these images are missing: found no {stem} beside them"),
            images.display(),
            "name the file of labels with `--set labels=FILE`",
        )
    })
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
