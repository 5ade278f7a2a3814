//! Arrays in files: the safetensors format.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use half::f16;

use crate::{Array, ArrayError, DType, Scalar, Shape, bf16};

/// Named arrays and text entries of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// The arrays, in name order when loaded.
    pub tensors: Vec<(String, Array)>,
    /// The text entries.
    pub metadata: BTreeMap<String, String>,
}

/// What can go wrong with a file of arrays.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// The file cannot be read or written.
    #[error("file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The contents are not a safetensors file, or cannot become one.
    #[error("safetensors file {path}: {source}")]
    Format {
        /// The file.
        path: String,
        /// The reason.
        source: safetensors::SafeTensorError,
    },
    /// Two arrays of one name.
    #[error("two arrays are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A dtype that arrays do not have.
    #[error("tensor `{name}` has dtype {dtype}, expected one of F64, F32, F16, BF16, I64, I32, U8, BOOL")]
    DType {
        /// The tensor.
        name: String,
        /// The dtype found.
        dtype: String,
    },
    /// A `bool` that is neither 0 nor 1.
    #[error("tensor `{name}` holds byte {byte} where a bool, 0 or 1, was expected")]
    Bool {
        /// The tensor.
        name: String,
        /// The byte found.
        byte: u8,
    },
    /// A tensor whose values do not fit its shape.
    #[error("tensor `{name}`: {source}")]
    Array {
        /// The tensor.
        name: String,
        /// The reason.
        source: ArrayError,
    },
}

/// Writes arrays and text entries to a safetensors file.
///
/// # Errors
/// [`IoError`] when the file cannot be written or two arrays share a name.
pub fn save_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
) -> Result<(), IoError> {
    let path = path.as_ref();
    let format = |source| IoError::Format { path: path.display().to_string(), source };
    let mut bytes = BTreeMap::new();
    for (name, array) in tensors {
        if bytes.insert(name.as_str(), (array, to_bytes(array))).is_some() {
            return Err(IoError::Duplicate { name: name.clone() });
        }
    }
    let views = bytes
        .iter()
        .map(|(name, (array, bytes))| {
            TensorView::new(file_dtype(array.dtype()), array.shape().to_vec(), bytes)
                .map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(format)?;
    let metadata = (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect());
    let contents = safetensors::serialize(views, metadata).map_err(format)?;
    std::fs::write(path, contents)
        .map_err(|source| IoError::File { path: path.display().to_string(), source })
}

/// Reads a safetensors file. `F16` becomes `f32`, which holds it exactly.
///
/// # Errors
/// [`IoError`] when the file cannot be read, is malformed, or holds a dtype that arrays do not have.
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Safetensors, IoError> {
    let path = path.as_ref();
    let format = |source| IoError::Format { path: path.display().to_string(), source };
    let contents =
        std::fs::read(path).map_err(|source| IoError::File { path: path.display().to_string(), source })?;
    let (_, header) = SafeTensors::read_metadata(&contents).map_err(format)?;
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let file = SafeTensors::deserialize(&contents).map_err(format)?;
    let mut tensors = file
        .iter()
        .map(|(name, view)| Ok((name.to_owned(), from_view(name, &view)?)))
        .collect::<Result<Vec<_>, IoError>>()?;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Safetensors { tensors, metadata })
}

fn file_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// The values as little-endian bytes, in row-major order.
fn to_bytes(array: &Array) -> Vec<u8> {
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

fn from_view(name: &str, view: &TensorView<'_>) -> Result<Array, IoError> {
    let shape = Shape::from(view.shape());
    let bytes = view.data();
    macro_rules! numbers {
        ($t:ty $(, $widen:path)?) => {{
            let (chunks, _) = bytes.as_chunks();
            let numbers = chunks.iter().map(|&chunk| <$t>::from_le_bytes(chunk));
            Array::new(shape, numbers$(.map($widen))?.collect::<Vec<_>>())
        }};
    }
    let array = match view.dtype() {
        Dtype::F64 => numbers!(f64),
        Dtype::F32 => numbers!(f32),
        Dtype::BF16 => numbers!(bf16),
        Dtype::F16 => numbers!(f16, f16::to_f32),
        Dtype::I64 => numbers!(i64),
        Dtype::I32 => numbers!(i32),
        Dtype::U8 => numbers!(u8),
        Dtype::BOOL => match bytes.iter().find(|&&byte| byte > 1) {
            Some(&byte) => return Err(IoError::Bool { name: name.to_owned(), byte }),
            None => Array::new(shape, bytes.iter().map(|&byte| byte == 1).collect::<Vec<_>>()),
        },
        dtype => return Err(IoError::DType { name: name.to_owned(), dtype: format!("{dtype:?}") }),
    };
    array.map_err(|source| IoError::Array { name: name.to_owned(), source })
}
