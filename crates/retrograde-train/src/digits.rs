//! The digits that come with the program: 1,797 images of 8 × 8 pixels, each in [0, 1].
//!
//! Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998),
//! doi 10.24432/C50P49, CC BY 4.0, as distributed with scikit-learn. See `data/README.md`.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::data::{Dataset, Features, Inputs, Layout, Targets};

static DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");

const SIDE: usize = 8;
const N_PIXELS: usize = SIDE * SIDE;
const N_CLASSES: usize = 10;
/// Pixels count ink in a 4 × 4 block.
const FULL_INK: u8 = 16;
/// The file holds 264,712 bytes; nothing that unpacks to more is it.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Why the compressed digits cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DigitsError {
    /// The compressed file is damaged or cut short.
    #[error("cannot unpack the data: {0}")]
    Unpack(#[from] std::io::Error),
    /// It unpacks to more than any digits file.
    #[error("the data unpack to more than {MAX_TEXT_BYTES} bytes")]
    TooLong,
    /// It holds no row.
    #[error("the data hold no row")]
    Empty,
    /// A line has another number of fields.
    #[error("line {line}: found {found} fields, expected {N_PIXELS} pixels and a label")]
    Fields {
        /// Counted from 1.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// A field is not an integer of its range.
    #[error("line {line}, field {field}: found {found:?}, expected an integer from 0 to {max}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        field: usize,
        /// The text of the field.
        found: String,
        /// The largest legal value.
        max: u8,
    },
}

/// The digits: 1,797 × 64 features in [0, 1] (ink of a block over 16), labels 0 to 9.
///
/// ```
/// let digits = retrograde_train::digits();
/// assert_eq!((digits.n_rows(), digits.inputs.layout.n_features(), digits.targets.n_outputs()), (1797, 64, 10));
/// ```
pub fn digits() -> Dataset {
    decode(DIGITS).unwrap_or_else(|error| panic!("the embedded digits: {error}; this is a bug in retrograde"))
}

/// Reads gzipped lines of 64 pixels (0 to 16) and a label (0 to 9).
///
/// # Errors
/// Whatever is not such a file, with the line.
pub fn decode(gzipped: &[u8]) -> Result<Dataset, DigitsError> {
    let mut text = Vec::new();
    GzDecoder::new(gzipped).take(MAX_TEXT_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(DigitsError::TooLong);
    }
    let text = String::from_utf8_lossy(&text);
    let (mut values, mut labels) = (vec![], vec![]);
    for (line, row) in (1..).zip(text.lines()) {
        let fields = row.split(',').collect::<Vec<_>>();
        let Some((label, pixels)) = fields.split_last().filter(|(_, pixels)| pixels.len() == N_PIXELS) else {
            return Err(DigitsError::Fields { line, found: fields.len() });
        };
        for (field, text) in (1..).zip(pixels) {
            values.push(integer(text, FULL_INK, line, field)?);
        }
        labels.push(u32::from(integer(label, N_CLASSES as u8 - 1, line, N_PIXELS + 1)?));
    }
    if labels.is_empty() {
        return Err(DigitsError::Empty);
    }
    let layout = Layout::Images { height: SIDE, width: SIDE };
    let names = (0..N_CLASSES).map(|class| class.to_string()).collect();
    Ok(Dataset {
        inputs: Inputs { features: Features::Bytes { values, full: FULL_INK }, layout },
        targets: Targets::Classes { labels, names },
        target_name: "digit".into(),
        given_test_from: None,
    })
}

fn integer(text: &str, max: u8, line: usize, field: usize) -> Result<u8, DigitsError> {
    let value = text.parse().ok().filter(|&value: &u8| value <= max);
    value.ok_or_else(|| DigitsError::Value { line, field, found: text.chars().take(40).collect(), max })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn line(pixel: &str, label: &str) -> String {
        format!("{}{label}\n", format!("{pixel},").repeat(64))
    }

    /// The counts and the sum are those `sklearn.datasets.load_digits` reports.
    #[test]
    fn digits_are_those_of_scikit_learn() {
        let digits = digits();
        assert_eq!((digits.n_rows(), digits.inputs.n_rows()), (1797, 1797));
        let labels = digits.targets.labels().unwrap();
        let mut counts = [0; 10];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let ink: f64 =
            (0..1797).flat_map(|row_idx| digits.inputs.row(row_idx)).map(|x| f64::from(x) * 16.0).sum();
        assert_eq!(ink, 561_718.0);
        assert_eq!(digits.inputs.row(0)[..6], [0.0, 0.0, 0.3125, 0.8125, 0.5625, 0.0625]);
        assert_eq!(labels[1794..], [8, 9, 8]);
        assert!(DIGITS.len() < 100_000);
    }

    #[test]
    fn wrong_data_say_what_and_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(decode(&gzip(text)).unwrap_err().to_string(), expected);
        };
        check("", "the data hold no row");
        check("1,2\n", "line 1: found 2 fields, expected 64 pixels and a label");
        check(
            &(line("3", "1") + &line("17", "1")),
            "line 2, field 1: found \"17\", expected an integer from 0 to 16",
        );
        check(&line("3", "x"), "line 1, field 65: found \"x\", expected an integer from 0 to 9");
        check(&"1".repeat(2 << 20), "the data unpack to more than 1048576 bytes");
        assert!(decode(b"not gzip").unwrap_err().to_string().starts_with("cannot unpack the data: "));
    }

    /// Every prefix and every single damaged byte: an error or other data, never a panic.
    #[test]
    fn damaged_data_never_panic() {
        let file = gzip(&line("3", "1").repeat(3));
        for end in 0..file.len() {
            assert!(decode(&file[..end]).is_err());
        }
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                let _ = decode(&damaged);
            }
        }
    }
}
