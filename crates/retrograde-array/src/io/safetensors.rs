//! The safetensors format: named arrays and text entries.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use half::f16;

use super::{IoError, check_rank, little_endian, read, replace};
use crate::{Array, DType, Shape, bf16};

/// Named arrays and text entries of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// The arrays, in name order when loaded.
    pub tensors: Vec<(String, Array)>,
    /// The text entries.
    pub metadata: BTreeMap<String, String>,
}

/// Writes arrays and text entries to a safetensors file, whole or not at all ([`durable`](super::durable)).
///
/// # Errors
/// [`IoError`] when the file cannot be written or two arrays share a name.
///
/// # Cost
/// A copy of the bytes in memory.
///
/// # Source
/// The safetensors format of Hugging Face, which other tools read.
///
/// ```
/// use retrograde_array::{array, io::{load_safetensors, save_safetensors}};
/// # let path = std::env::temp_dir().join(format!("retrograde-doc-{}.safetensors", std::process::id()));
/// let arrays = [("bias".to_owned(), array([0.5_f32, -1.0])), ("labels".to_owned(), array([3_i64]))];
/// let notes = [("made by".to_owned(), "an example".to_owned())].into();
/// save_safetensors(&path, &arrays, &notes)?;
/// let file = load_safetensors(&path)?;
/// assert_eq!((&file.tensors[..], &file.metadata), (&arrays[..], &notes));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), retrograde_array::io::IoError>(())
/// ```
pub fn save_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
) -> Result<(), IoError> {
    let path = path.as_ref();
    let format = |error: safetensors::SafeTensorError| IoError::Format {
        path: path.display().to_string(),
        source: error.into(),
    };
    let mut bytes = BTreeMap::new();
    for (name, array) in tensors {
        if bytes.insert(name.as_str(), (array, little_endian(array))).is_some() {
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
    replace(path, &contents)
}

/// Reads a safetensors file. `F16` becomes `f32`, which holds it exactly.
///
/// # Errors
/// [`IoError`] when the file cannot be read, is malformed, or holds a dtype that arrays do not have.
///
/// # Cost
/// The file and its arrays in memory at once.
///
/// ```
/// use retrograde_array::io::load_safetensors;
/// let error = load_safetensors("no/such.safetensors").unwrap_err().to_string();
/// assert!(error.starts_with("file no/such.safetensors: "), "{error}");
/// ```
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Safetensors, IoError> {
    let path = path.as_ref();
    parse(&read(path)?, path)
}

fn parse(contents: &[u8], path: &Path) -> Result<Safetensors, IoError> {
    let format = |error: safetensors::SafeTensorError| IoError::Format {
        path: path.display().to_string(),
        source: error.into(),
    };
    let (_, header) = SafeTensors::read_metadata(contents).map_err(format)?;
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let file = SafeTensors::deserialize(contents).map_err(format)?;
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

fn from_view(name: &str, view: &TensorView<'_>) -> Result<Array, IoError> {
    let shape = Shape::from(view.shape());
    check_rank(name, shape.rank())?;
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
        dtype => {
            return Err(IoError::DType {
                name: name.to_owned(),
                dtype: format!("{dtype:?}"),
                expected: "F64, F32, F16, BF16, I64, I32, U8, BOOL",
            });
        }
    };
    array.map_err(|source| IoError::Array { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::tests::{arrays, damaged};

    fn parsed(bytes: &[u8]) -> Result<Safetensors, IoError> {
        parse(bytes, Path::new("x.safetensors"))
    }

    fn bytes_of(tensors: &[(String, Array)]) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("retrograde-array-{}.safetensors", std::process::id()));
        let metadata = BTreeMap::from([("made by".to_owned(), "a test".to_owned())]);
        save_safetensors(&path, tensors, &metadata).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    }

    #[test]
    fn every_dtype_comes_back_and_damage_is_an_error() {
        let tensors = arrays(&DType::ALL);
        let bytes = bytes_of(&tensors);
        let found = parsed(&bytes).unwrap();
        assert_eq!(found.metadata["made by"], "a test");
        assert_eq!(found.tensors, tensors);
        damaged(&bytes, |bytes| parsed(bytes).is_ok());
    }

    #[test]
    fn halves_are_widened() {
        let values = [1.5, -0.0, 65504.0].map(f16::from_f32);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F16, vec![3], &bytes).unwrap();
        let bytes = safetensors::serialize([("x", view)], None).unwrap();
        assert_eq!(parsed(&bytes).unwrap().tensors[0].1, crate::array([1.5_f32, -0.0, 65504.0]));
    }

    #[test]
    fn headers_that_promise_too_much_are_errors() {
        let file = |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        for header in [
            r#"{"x":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}"#,
            r#"{"x":{"dtype":"F64","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}"#,
            r#"{"x":{"dtype":"F64","shape":[2],"data_offsets":[16,0]}}"#,
            r#"{"x":{"dtype":"C64","shape":[0],"data_offsets":[0,0]}}"#,
        ] {
            assert!(parsed(&file(header)).is_err(), "{header}");
        }
        let deep =
            format!(r#"{{"x":{{"dtype":"U8","shape":[{}0],"data_offsets":[0,0]}}}}"#, "1,".repeat(100_000));
        let error = parsed(&file(&deep)).unwrap_err().to_string();
        assert_eq!(error, "array `x`: found 100001 axes, expected at most 64");
        assert!(parsed(&[u64::MAX.to_le_bytes(), [b'{'; 8]].concat()).is_err());
    }
}
