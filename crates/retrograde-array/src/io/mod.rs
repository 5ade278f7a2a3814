//! Arrays in files: safetensors, npy and, with the feature `npz`, npz.
//!
//! A reader believes no number in a file before it has seen as many bytes: damaged and hostile files are errors, never a panic
//! or an allocation. A writer puts a complete file in place of the old one, or leaves the old one alone ([`durable`]).

pub mod durable;
mod npy;
#[cfg(feature = "npz")]
mod npz;
mod safetensors;

pub use self::safetensors::{Safetensors, load_safetensors, save_safetensors};
pub use npy::{load_npy, read_npy, save_npy};
#[cfg(feature = "npz")]
pub use npz::{Npz, load_npz, save_npz};

use std::path::Path;

use crate::{Array, ArrayError, Scalar, Shape};

/// What can go wrong with a file of arrays.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// The file cannot be read or written.
    #[error("file {}: {}", shown(path), shown(&source.to_string()))]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The contents are not a safetensors file, or cannot become one.
    #[error("safetensors file {}: {}", shown(path), shown(&source.to_string()))]
    Format {
        /// The file.
        path: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The contents are not an npy file, or cannot become one.
    #[error("npy file {}: found {found}, expected {expected}", shown(path))]
    Npy {
        /// The file, and the array in it where there are several.
        path: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The contents are not a zip archive, or cannot become one.
    #[cfg(feature = "npz")]
    #[error("npz file {}: {}", shown(path), shown(&source.to_string()))]
    Zip {
        /// The file.
        path: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two arrays of one name.
    #[error("two arrays are named `{}`", shown(name))]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A dtype that arrays do not have.
    #[error("array `{}` has dtype {dtype}, expected one of {expected}", shown(name))]
    DType {
        /// The array.
        name: String,
        /// The dtype found.
        dtype: String,
        /// Those that the format has and arrays can hold.
        expected: &'static str,
    },
    /// A header that promises more than may be read.
    #[error(
        "array `{}`: found the shape {shape} in the header, expected at most {limit_bytes} bytes",
        shown(name)
    )]
    TooLarge {
        /// The array.
        name: String,
        /// The shape that the header claims.
        shape: Shape,
        /// The most bytes that may be read.
        limit_bytes: u64,
    },
    /// A `bool` that is neither 0 nor 1.
    #[error("array `{}` holds byte {byte} where a bool, 0 or 1, was expected", shown(name))]
    Bool {
        /// The array.
        name: String,
        /// The byte found.
        byte: u8,
    },
    /// More axes than any array in use.
    #[error("array `{}`: found {rank} axes, expected at most {MAX_RANK}", shown(name))]
    Rank {
        /// The array.
        name: String,
        /// Its number of axes.
        rank: usize,
    },
    /// Values that do not fit their shape.
    #[error("array `{}`: {source}", shown(name))]
    Array {
        /// The array.
        name: String,
        /// The reason.
        source: ArrayError,
    },
}

/// The most axes that are read: as many as numpy knows.
const MAX_RANK: usize = 64;

fn check_rank(name: &str, rank: usize) -> Result<(), IoError> {
    if rank > MAX_RANK { Err(IoError::Rank { name: name.to_owned(), rank }) } else { Ok(()) }
}

/// Text of a file for one line of a message: escaped, lest a terminal obeys it, and cut where it is long.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if chars.next().is_some() { start + "…" } else { start }
}

fn file_error(path: &Path, source: std::io::Error) -> IoError {
    IoError::File { path: path.display().to_string(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, IoError> {
    std::fs::read(path).map_err(|source| file_error(path, source))
}

fn replace(path: &Path, contents: &[u8]) -> Result<(), IoError> {
    durable::replace(path, contents).map_err(|source| file_error(path, source))
}

/// The values as little-endian bytes, in row-major order.
fn little_endian(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(array.size_bytes());
    for value in array.scalars() {
        match value {
            Scalar::F64(x) => bytes.extend(x.to_le_bytes()),
            Scalar::F32(x) => bytes.extend(x.to_le_bytes()),
            Scalar::BF16(x) => bytes.extend(x.to_le_bytes()),
            Scalar::I64(x) => bytes.extend(x.to_le_bytes()),
            Scalar::I32(x) => bytes.extend(x.to_le_bytes()),
            Scalar::U8(x) => bytes.push(x),
            Scalar::Bool(x) => bytes.push(u8::from(x)),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use crate::rng::{Key, normal, random_bits};
    use crate::{Array, DType, ops};

    /// Arrays of each dtype, of several shapes, one of them a view.
    pub(super) fn arrays(dtypes: &[DType]) -> Vec<(String, Array)> {
        let mut all = Vec::new();
        for &dtype in dtypes {
            let array = |shape: &[usize]| ops::convert(&normal(Key::from_seed(1), shape), dtype);
            all.push((format!("{dtype} matrix"), array(&[3, 4])));
            all.push((format!("{dtype} nothing"), array(&[2, 0])));
            all.push((format!("{dtype} one"), array(&[])));
            all.push((format!("{dtype} view"), ops::transpose(&array(&[20, 15]), &[1, 0])));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Reads every beginning of a file, and the file with bytes changed: `is_read` must return. A beginning is no file.
    #[track_caller]
    pub(super) fn damaged(bytes: &[u8], is_read: impl Fn(&[u8]) -> bool) {
        assert!(is_read(bytes));
        for len in 0..bytes.len() {
            assert!(!is_read(&bytes[..len]), "the first {len} of {} bytes are read as a whole", bytes.len());
        }
        let mut refused = 0;
        for word in random_bits(Key::from_seed(2), 5000) {
            let mut bytes = bytes.to_vec();
            // Mostly the head, where the numbers are that a reader might trust.
            let end = if word & 0x300 == 0 { bytes.len() } else { bytes.len().min(128) };
            let at = (word >> 32) as usize % end;
            bytes[at] = match word & 3 {
                0 => 0xff,
                1 => b'9',
                _ => word as u8 >> 2,
            };
            refused += usize::from(!is_read(&bytes));
        }
        assert!(refused > 100, "of 5000 damaged files {refused} were refused");
    }
}
