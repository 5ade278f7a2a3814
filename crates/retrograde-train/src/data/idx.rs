//! IDX files, the format of MNIST: a magic number, the sizes, the values.
//!
//! Two zero bytes, one for the type of the values (only 8, unsigned bytes, here), one for the number of dimensions; each
//! dimension as a big-endian `u32`; then the values in row-major order.
//!
//! Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, section "File formats".

use std::io::{BufRead, Read};
use std::path::Path;

use super::{DataError, MAX_BYTES, gzip};

/// Values of an IDX file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Idx {
    /// The sizes, first the number of rows.
    pub sizes: Vec<usize>,
    /// Row-major.
    pub values: Vec<u8>,
}

/// Reads `n_sizes`-dimensional bytes.
///
/// # Errors
/// Another magic number, type or number of dimensions; fewer or more bytes than the sizes say; no row.
///
/// # Cost
/// Memory grows with the bytes that arrive, not with the sizes that the header claims.
pub(crate) fn load(path: &Path, n_sizes: usize) -> Result<Idx, DataError> {
    read(gzip::open(path)?, path, n_sizes)
}

pub(crate) fn read(mut source: impl BufRead, path: &Path, n_sizes: usize) -> Result<Idx, DataError> {
    let wrong = |message: String, help: &str| Err(DataError::new(message, path.display(), help));
    let io = |error| DataError::io(path, &error);
    let mut header = vec![];
    source.by_ref().take(4 + 4 * n_sizes as u64).read_to_end(&mut header).map_err(io)?;
    let (kind, layout) = match n_sizes {
        3 => ("images", "[rows, height, width]"),
        _ => ("labels", "[rows]"),
    };
    match header[..] {
        [] => return wrong("the file is empty".into(), "name an IDX file"),
        [0, 0, 8, n, ..] if usize::from(n) == n_sizes => {}
        [0, 0, 8, n, ..] => {
            return wrong(
                format!("found {n} dimensions, expected {n_sizes}: {kind} are {layout}"),
                "images and labels are two files; perhaps they were exchanged",
            );
        }
        [0, 0, code @ (9 | 11 | 12 | 13 | 14), _, ..] => {
            let found = match code {
                9 => "i8",
                11 => "i16",
                12 => "i32",
                13 => "f32",
                _ => "f64",
            };
            return wrong(
                format!("found values of type {found}, expected u8"),
                "write the values as unsigned bytes, or as CSV or npz",
            );
        }
        _ => {
            let found = header.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            return wrong(
                format!("the file starts with {found}, expected the magic number 00 00 08 {n_sizes:02x}"),
                "name an IDX file, such as train-images-idx3-ubyte.gz of MNIST",
            );
        }
    }
    let (chunks, _) = header[4..].as_chunks();
    let sizes = chunks.iter().map(|&size| u32::from_be_bytes(size) as usize).collect::<Vec<_>>();
    if sizes.len() < n_sizes {
        return wrong(
            format!("the header is cut short: found {} bytes", header.len()),
            "copy the file again",
        );
    }
    if let Some(zero) = sizes.iter().position(|&size| size == 0) {
        let what = ["rows", "height", "width"][zero];
        return wrong(format!("{kind} of sizes {sizes:?}: no {what}"), "name a file that holds data");
    }
    let expected = sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size as u64));
    let Some(expected) = expected.filter(|&bytes| bytes <= MAX_BYTES) else {
        return wrong(
            format!("the header claims {kind} of sizes {sizes:?}, more than {MAX_BYTES} bytes"),
            "check that this is an IDX file; divide larger data into several",
        );
    };
    let mut values = vec![];
    source.by_ref().take(expected).read_to_end(&mut values).map_err(io)?;
    if (values.len() as u64) < expected {
        return wrong(
            format!(
                "found {} bytes of values, expected {expected} for {kind} of sizes {sizes:?}",
                values.len()
            ),
            "the file is cut short: copy it again",
        );
    }
    if !source.fill_buf().map_err(io)?.is_empty() {
        return wrong(
            format!("found more than the {expected} bytes of values of {kind} of sizes {sizes:?}"),
            "the header and the values disagree: write the file again",
        );
    }
    values.shrink_to_fit();
    Ok(Idx { sizes, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8], n_sizes: usize) -> String {
        let error = read(bytes, Path::new("x.idx"), n_sizes).unwrap_err();
        assert_eq!(error.0.place, "x.idx");
        error.0.message
    }

    #[test]
    fn images_and_labels_read_and_mistakes_are_named() {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
        let idx = read(&images[..], Path::new("x"), 3).unwrap();
        assert_eq!((idx.sizes, idx.values), (vec![2, 1, 2], vec![1, 2, 3, 4]));
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
        assert_eq!(read(&labels[..], Path::new("x"), 1).unwrap().values, [7, 9]);
        assert_eq!(error(&labels, 3), "found 1 dimensions, expected 3: images are [rows, height, width]");
        assert_eq!(error(&images, 1), "found 3 dimensions, expected 1: labels are [rows]");
        assert_eq!(error(&[], 1), "the file is empty");
        assert_eq!(
            error(b"a,b\n1,2\n", 1),
            "the file starts with 61 2c 62 0a, expected the magic number 00 00 08 01"
        );
        assert_eq!(error(&[0, 0, 13, 3, 0], 3), "found values of type f32, expected u8");
        assert_eq!(error(&images[..9], 3), "the header is cut short: found 9 bytes");
        assert_eq!(
            error(&images[..19], 3),
            "found 3 bytes of values, expected 4 for images of sizes [2, 1, 2]"
        );
        let long = [&images[..], &[5]].concat();
        assert_eq!(error(&long, 3), "found more than the 4 bytes of values of images of sizes [2, 1, 2]");
        assert_eq!(error(&[0, 0, 8, 1, 0, 0, 0, 0], 1), "labels of sizes [0]: no rows");
    }

    /// Sizes that claim 2^96 or 2^32 values: an error, with no memory taken for them.
    #[test]
    fn sizes_that_lie_take_no_memory() {
        let all = [&[0, 0, 8, 3][..], &[255; 12], &[1, 2, 3]].concat();
        assert!(error(&all, 3).starts_with("the header claims images of sizes [4294967295, "));
        let many = [&[0, 0, 8, 1][..], &[255; 4], &[1, 2, 3]].concat();
        assert!(error(&many, 1).starts_with("found 3 bytes of values, expected 4294967295"));
    }
}
