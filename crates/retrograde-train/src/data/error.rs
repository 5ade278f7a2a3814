//! What is wrong with a data file.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::diagnosis::Diagnosis;

/// Why data cannot be used. Nothing of them is kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DataError(pub Box<Diagnosis>);

impl DataError {
    /// A mistake at a place.
    pub(crate) fn new(
        message: impl Into<String>,
        place: impl fmt::Display,
        help: impl Into<String>,
    ) -> DataError {
        DataError(Box::new(Diagnosis {
            message: message.into(),
            place: place.to_string(),
            help: Some(help.into()),
        }))
    }

    /// The system, or the unpacking of a gzip file, refused.
    pub(crate) fn io(file: &Path, error: &io::Error) -> DataError {
        let file_name = file.display();
        match error.kind() {
            ErrorKind::NotFound => DataError::new(
                "there is no such file",
                file_name,
                "name a CSV file, an npz file, an IDX file, a folder of IDX files, or \"digits\", the data that come \
                 with the program",
            ),
            ErrorKind::UnexpectedEof => DataError::new(
                "the gzip file is cut short",
                file_name,
                "copy or download it again; `gzip --test` checks a file",
            ),
            ErrorKind::InvalidData | ErrorKind::InvalidInput => DataError::new(
                format!("the gzip file is damaged: {error}"),
                file_name,
                "copy or download it again; `gzip --test` checks a file",
            ),
            _ => DataError::new(
                format!("cannot read the file: {error}"),
                file_name,
                "check its name and permissions",
            ),
        }
    }
}
