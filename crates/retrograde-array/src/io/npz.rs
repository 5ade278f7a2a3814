//! The npz format of numpy: a zip archive of npy files, stored or deflated.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{self, MAX_BYTES, read_npy};
use super::{IoError, file_error, replace, shown};
use crate::Array;

/// Reads the arrays of an npz file, in the order of the archive.
///
/// # Errors
/// [`IoError`] when the file cannot be read or is malformed, a checksum is wrong, or an entry is not an npy file that
/// [`load_npy`](super::load_npy) reads.
///
/// ```
/// use retrograde_array::{array, io};
/// # let path = std::env::temp_dir().join(format!("retrograde-doc-{}.npz", std::process::id()));
/// let arrays = vec![("x".to_owned(), array([1.0, 2.0])), ("n".to_owned(), array(3_i64))];
/// io::save_npz(&path, &arrays)?;
/// assert_eq!(io::load_npz(&path)?, arrays);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), io::IoError>(())
/// ```
pub fn load_npz(path: impl AsRef<Path>) -> Result<Vec<(String, Array)>, IoError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    Npz::open(file, &path.display().to_string())?.read_all(MAX_BYTES)
}

/// An npz archive whose arrays are read one by one.
///
/// ```
/// use retrograde_array::{array, io::{self, Npz}};
/// # let path = std::env::temp_dir().join(format!("retrograde-doc-npz-{}.npz", std::process::id()));
/// io::save_npz(&path, &[("x".to_owned(), array([1.0, 2.0])), ("n".to_owned(), array(3_i64))])?;
/// let mut npz = Npz::open(std::fs::File::open(&path).unwrap(), "an example")?;
/// assert_eq!(npz.names(), ["x", "n"]);
/// assert_eq!(npz.read("n", 1 << 20)?, Some(array(3_i64)));
/// assert_eq!(npz.read("y", 1 << 20)?, None);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), io::IoError>(())
/// ```
pub struct Npz<R> {
    archive: ZipArchive<R>,
    path: String,
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the directory of an archive; `path` names it in errors.
    ///
    /// # Errors
    /// The source is no zip archive, or is cut short.
    pub fn open(source: R, path: &str) -> Result<Npz<R>, IoError> {
        let path = path.to_owned();
        match ZipArchive::new(source) {
            Ok(archive) => Ok(Npz { archive, path }),
            Err(error) => Err(IoError::Zip { path, source: error.into() }),
        }
    }

    /// The names of the arrays, in the order of the archive.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        names.filter_map(|name| Some(name.strip_suffix(".npy")?.to_owned())).collect()
    }

    /// Reads one array and no other; `None` when none has this name.
    ///
    /// # Errors
    /// It is malformed, its checksum is wrong, or its header claims more than `limit_bytes`.
    ///
    /// # Cost
    /// Memory grows with the bytes that arrive, whatever archive and header claim.
    pub fn read(&mut self, name: &str, limit_bytes: u64) -> Result<Option<Array>, IoError> {
        let place = format!("{}, array `{name}`", self.path);
        match self.archive.by_name(&format!("{name}.npy")) {
            Ok(entry) => read_npy(entry, &place, limit_bytes).map(Some),
            Err(ZipError::FileNotFound) => Ok(None),
            Err(error) => Err(IoError::Zip { path: place, source: error.into() }),
        }
    }

    fn read_all(&mut self, limit_bytes: u64) -> Result<Vec<(String, Array)>, IoError> {
        let zip_error = |error: ZipError| IoError::Zip { path: self.path.clone(), source: error.into() };
        let mut arrays = Vec::new();
        for entry_idx in 0..self.archive.len() {
            let entry = self.archive.by_index(entry_idx).map_err(zip_error)?;
            let file_name = entry.name().map_err(zip_error)?.into_owned();
            let place = format!("{}, array `{file_name}`", self.path);
            let Some(name) = file_name.strip_suffix(".npy") else {
                let expected = "names that end in .npy".to_owned();
                return Err(IoError::Npy {
                    path: place,
                    found: format!("entry `{}`", shown(&file_name)),
                    expected,
                });
            };
            arrays.push((name.to_owned(), read_npy(entry, &place, limit_bytes)?));
        }
        Ok(arrays)
    }
}

/// Writes arrays to an npz file, not compressed. The same arrays give the same bytes.
///
/// # Errors
/// [`IoError`] when the file cannot be written, two arrays share a name, or a dtype is `bf16`, which numpy does not have.
pub fn save_npz(path: impl AsRef<Path>, arrays: &[(String, Array)]) -> Result<(), IoError> {
    let path = path.as_ref();
    replace(path, &bytes(arrays, path)?)
}

fn bytes(arrays: &[(String, Array)], path: &Path) -> Result<Vec<u8>, IoError> {
    let zip_error = |error: ZipError| IoError::Zip { path: path.display().to_string(), source: error.into() };
    let mut names = BTreeSet::new();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        if !names.insert(name) {
            return Err(IoError::Duplicate { name: name.clone() });
        }
        let contents = npy::bytes(array, &format!("{}, array `{name}`", path.display()))?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(u32::try_from(contents.len()).is_err());
        archive.start_file(format!("{name}.npy"), options).map_err(zip_error)?;
        archive.write_all(&contents).map_err(|source| file_error(path, source))?;
    }
    Ok(archive.finish().map_err(zip_error)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::tests::{arrays, damaged};
    use crate::{DType, array};

    fn parsed(bytes: &[u8]) -> Result<Vec<(String, Array)>, IoError> {
        Npz::open(Cursor::new(bytes), "x.npz")?.read_all(MAX_BYTES)
    }

    #[test]
    fn arrays_come_back_and_damage_is_an_error() {
        let arrays = arrays(&[DType::F32, DType::U8]);
        let contents = bytes(&arrays, Path::new("x.npz")).unwrap();
        assert_eq!(parsed(&contents).unwrap(), arrays);
        assert_eq!(contents, bytes(&arrays, Path::new("x.npz")).unwrap());
        damaged(&contents, |bytes| parsed(bytes).is_ok());
        assert!(parsed(&bytes(&[], Path::new("x.npz")).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn deflated_entries_are_read() {
        let x = array(vec![1.0_f32; 5000]);
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file("x.npy", options).unwrap();
        archive.write_all(&npy::bytes(&x, "x").unwrap()).unwrap();
        let contents = archive.finish().unwrap().into_inner();
        assert!(contents.len() < 1000);
        assert_eq!(parsed(&contents).unwrap(), [("x".to_owned(), x)]);
        damaged(&contents, |bytes| parsed(bytes).is_ok());
    }

    #[test]
    fn names_that_a_terminal_would_obey_are_escaped() {
        let contents = bytes(&[("\u{1b}[2J\n".to_owned(), array(1.0))], Path::new("x.npz")).unwrap();
        let mut npz = Npz::open(Cursor::new(contents), "x.npz").unwrap();
        let error = npz.read(&npz.names()[0], 1).unwrap_err().to_string();
        assert!(error.starts_with("array `x.npz, array `\\u{1b}[2J\\n``: found the shape [] "), "{error}");
    }

    #[test]
    fn other_entries_and_equal_names_are_errors() {
        let twice = [("x".to_owned(), array(1.0)), ("x".to_owned(), array(2.0))];
        assert_eq!(bytes(&twice, Path::new("x.npz")).unwrap_err().to_string(), "two arrays are named `x`");
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive
            .start_file(
                "notes.txt",
                SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
            )
            .unwrap();
        let contents = archive.finish().unwrap().into_inner();
        let error = parsed(&contents).unwrap_err().to_string();
        assert!(error.ends_with("found entry `notes.txt`, expected names that end in .npy"), "{error}");
    }
}
