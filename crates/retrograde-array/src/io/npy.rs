//! The npy format of numpy: one array.
//!
//! Written are `f64`, `f32`, `i64`, `i32`, `u8` and `bool`, little-endian, in row-major order. Read are these in either byte and
//! axis order, and besides, widened to the first dtype that holds them exactly: `f16` (f32), `i8`, `i16`, `u16` (i32), `u32`
//! (i64).
//!
//! # Source
//! numpy, NEP 1 (a simple file format for numpy arrays), versions 1.0 to 3.0. Not the crate `npyz`: it allocates and multiplies
//! what the header says before it has seen the data.

use std::path::Path;

use half::f16;

use super::{IoError, check_rank, little_endian, read, replace};
use crate::{Array, DType, Element, Shape, ops};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads an npy file.
///
/// # Errors
/// [`IoError`] when the file cannot be read, is malformed, or holds a dtype that arrays cannot hold.
///
/// ```
/// use retrograde_array::{array, io};
/// # let path = std::env::temp_dir().join(format!("retrograde-doc-{}.npy", std::process::id()));
/// let x = array([[1.0, 2.0], [3.0, 4.0]]);
/// io::save_npy(&path, &x)?;
/// assert_eq!(io::load_npy(&path)?, x);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), io::IoError>(())
/// ```
pub fn load_npy(path: impl AsRef<Path>) -> Result<Array, IoError> {
    let path = path.as_ref();
    parse(&read(path)?, &path.display().to_string())
}

/// Writes an npy file.
///
/// # Errors
/// [`IoError`] when the file cannot be written, or the dtype is `bf16`, which numpy does not have.
pub fn save_npy(path: impl AsRef<Path>, array: &Array) -> Result<(), IoError> {
    let path = path.as_ref();
    replace(path, &bytes(array, &path.display().to_string())?)
}

/// The contents of an npy file; `place` is for errors.
pub(super) fn bytes(array: &Array, place: &str) -> Result<Vec<u8>, IoError> {
    let descr = match array.dtype() {
        DType::F64 => "<f8",
        DType::F32 => "<f4",
        DType::I64 => "<i8",
        DType::I32 => "<i4",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
        DType::BF16 => {
            return Err(IoError::Npy {
                path: place.to_owned(),
                found: "a bf16 array".to_owned(),
                expected: "a dtype that numpy has: convert to f32, which holds every bf16".to_owned(),
            });
        }
    };
    check_rank(place, array.rank())?;
    let lens: String = array.shape().iter().map(|len| format!("{len}, ")).collect();
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", lens.trim_end());
    // The data starts at a multiple of 64 bytes. With at most 64 axes the text is far shorter than 65535 bytes.
    let n_before = MAGIC.len() + 4;
    let padding = 63 - (n_before + text.len()) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend(little_endian(array));
    Ok(out)
}

/// The array in the contents of an npy file; `place` is for errors.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Array, IoError> {
    let wrong = |found: String, expected: &str| IoError::Npy {
        path: place.to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let (text, data) = split(bytes).map_err(|(found, expected)| wrong(found, expected))?;
    let header = Header::parse(text)
        .map_err(|(at, found, expected)| wrong(format!("{found} at byte {at} of the header"), expected))?;
    check_rank(place, header.lens.len())?;
    let Some((is_little, kind)) = kind(header.descr) else {
        let expected = "one of f8, f4, f2, i8, i4, i2, i1, u4, u2, u1, b1";
        return Err(wrong(format!("dtype `{}`", header.descr), expected));
    };
    let shape = Shape::from(header.lens);
    let expected = shape.checked_size().and_then(|n| n.checked_mul(kind.size_bytes()));
    if expected != Some(data.len()) {
        let bytes = expected.map_or("more bytes than memory has".to_owned(), |n| format!("{n} bytes"));
        return Err(wrong(format!("{} bytes of data", data.len()), &format!("{bytes} for shape {shape}")));
    }
    // Column-major is row-major with the axes in opposite order.
    let stored = if header.is_fortran { shape.iter().rev().copied().collect() } else { shape };
    let array = kind.array(stored, data, is_little, place)?;
    let axes: Vec<usize> = (0..array.rank()).rev().collect();
    Ok(if header.is_fortran { ops::transpose(&array, &axes) } else { array })
}

/// What is wrong with the bytes, and what to try.
type Malformed = (String, &'static str);

/// Header text and data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| {
        (format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(6)])), "\\x93NUMPY")
    })?;
    let (len, rest) = match *rest {
        [1, 0, l0, l1, ref rest @ ..] => (u32::from(u16::from_le_bytes([l0, l1])), rest),
        [2 | 3, 0, l0, l1, l2, l3, ref rest @ ..] => (u32::from_le_bytes([l0, l1, l2, l3]), rest),
        [major, minor, _, _, ..] => {
            return Err((format!("version {major}.{minor}"), "version 1.0, 2.0 or 3.0"));
        }
        _ => return Err((format!("{} bytes", bytes.len()), "a header")),
    };
    rest.split_at_checked(len as usize)
        .ok_or_else(|| (format!("{} bytes after a header length of {len}", rest.len()), "the whole header"))
}

/// What the header says.
struct Header<'a> {
    descr: &'a str,
    is_fortran: bool,
    lens: Vec<usize>,
}

/// A byte position, what is there and what should be.
type Wrong = (usize, String, &'static str);

impl<'a> Header<'a> {
    /// A Python dictionary of exactly the three keys, each once, in any order.
    fn parse(text: &'a [u8]) -> Result<Header<'a>, Wrong> {
        let text =
            str::from_utf8(text).map_err(|e| (e.valid_up_to(), "no text".to_owned(), "text in UTF-8"))?;
        let mut cursor = Cursor { text, at: 0 };
        let (mut descr, mut is_fortran, mut lens) = (None, None, None);
        cursor.expect('{', "`{`")?;
        while !cursor.eat('}') {
            let start = cursor.at;
            let key = cursor.quoted("a key in quotes, or `}`")?;
            cursor.expect(':', "`:`")?;
            let is_new = match key {
                "descr" => descr
                    .replace(cursor.quoted("a dtype such as '<f8'; records are not supported")?)
                    .is_none(),
                "fortran_order" => is_fortran.replace(cursor.truth()?).is_none(),
                "shape" => lens.replace(cursor.lens()?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err((start, format!("key `{key}`"), "descr, fortran_order and shape, once each"));
            }
            if !cursor.eat(',') {
                cursor.expect('}', "`,` or `}`")?;
                break;
            }
        }
        cursor.space();
        let (Some(descr), Some(is_fortran), Some(lens)) = (descr, is_fortran, lens) else {
            return Err((cursor.at, "the end".to_owned(), "the keys descr, fortran_order and shape"));
        };
        if cursor.at < text.len() {
            Err(cursor.wrong("the end"))
        } else {
            Ok(Header { descr, is_fortran, lens })
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn wrong(&self, expected: &'static str) -> Wrong {
        let found = self.text[self.at..].chars().next().map_or("the end".to_owned(), |c| format!("{c:?}"));
        (self.at, found, expected)
    }

    /// What comes next, as far as `is_part` holds.
    fn run(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let run = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += run.len();
        run
    }

    fn space(&mut self) {
        self.run(|c| c.is_ascii_whitespace());
    }

    fn eat(&mut self, c: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, c: char, expected: &'static str) -> Result<(), Wrong> {
        if self.eat(c) { Ok(()) } else { Err(self.wrong(expected)) }
    }

    fn quoted(&mut self, expected: &'static str) -> Result<&'a str, Wrong> {
        for quote in ['\'', '"'] {
            if self.eat(quote) {
                let text = self.run(|c| c != quote && c != '\\');
                self.expect(quote, "a closing quote")?;
                return Ok(text);
            }
        }
        Err(self.wrong(expected))
    }

    fn truth(&mut self) -> Result<bool, Wrong> {
        self.space();
        let start = self.at;
        match self.run(char::is_alphanumeric) {
            "True" => Ok(true),
            "False" => Ok(false),
            word => Err((start, format!("`{word}`"), "True or False")),
        }
    }

    /// `()`, `(3,)`, `(3, 4)`.
    fn lens(&mut self) -> Result<Vec<usize>, Wrong> {
        let mut lens = Vec::new();
        self.expect('(', "a shape such as (3, 4)")?;
        while !self.eat(')') {
            self.space();
            let start = self.at;
            let digits = self.run(|c| c.is_ascii_digit());
            let len = digits.parse().map_err(|_| (start, format!("`{digits}`"), "the length of an axis"))?;
            lens.push(len);
            if !self.eat(',') {
                self.expect(')', "`,` or `)`")?;
                break;
            }
        }
        Ok(lens)
    }
}

/// A number type in a file.
#[derive(Clone, Copy)]
enum Kind {
    F64,
    F32,
    F16,
    I64,
    I32,
    I16,
    I8,
    U32,
    U16,
    U8,
    Bool,
}

/// Whether little-endian, and the number type, of text such as `<f8`.
fn kind(descr: &str) -> Option<(bool, Kind)> {
    let kind = match descr.get(1..)? {
        "f8" => Kind::F64,
        "f4" => Kind::F32,
        "f2" => Kind::F16,
        "i8" => Kind::I64,
        "i4" => Kind::I32,
        "i2" => Kind::I16,
        "i1" => Kind::I8,
        "u4" => Kind::U32,
        "u2" => Kind::U16,
        "u1" => Kind::U8,
        "b1" => Kind::Bool,
        _ => return None,
    };
    match descr.as_bytes()[0] {
        b'<' => Some((true, kind)),
        b'>' => Some((false, kind)),
        b'|' if kind.size_bytes() == 1 => Some((true, kind)),
        _ => None,
    }
}

impl Kind {
    fn size_bytes(self) -> usize {
        match self {
            Kind::F64 | Kind::I64 => 8,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            Kind::F16 | Kind::I16 | Kind::U16 => 2,
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
        }
    }

    fn array(self, shape: Shape, data: &[u8], is_little: bool, place: &str) -> Result<Array, IoError> {
        macro_rules! numbers {
            ($t:ty, $widen:expr) => {
                decode(shape, data, |bytes| {
                    $widen(if is_little { <$t>::from_le_bytes(bytes) } else { <$t>::from_be_bytes(bytes) })
                })
            };
        }
        if let (Kind::Bool, Some(&byte)) = (self, data.iter().find(|&&byte| byte > 1)) {
            return Err(IoError::Bool { name: place.to_owned(), byte });
        }
        let array = match self {
            Kind::F64 => numbers!(f64, f64::from),
            Kind::F32 => numbers!(f32, f32::from),
            Kind::F16 => numbers!(f16, f16::to_f32),
            Kind::I64 => numbers!(i64, i64::from),
            Kind::I32 => numbers!(i32, i32::from),
            Kind::I16 => numbers!(i16, i32::from),
            Kind::I8 => numbers!(i8, i32::from),
            Kind::U32 => numbers!(u32, i64::from),
            Kind::U16 => numbers!(u16, i32::from),
            Kind::U8 => numbers!(u8, u8::from),
            Kind::Bool => decode(shape, data, |[byte]| byte == 1),
        };
        array.map_err(|source| IoError::Array { name: place.to_owned(), source })
    }
}

fn decode<T: Element, const N: usize>(
    shape: Shape,
    data: &[u8],
    value: impl Fn([u8; N]) -> T,
) -> Result<Array, crate::ArrayError> {
    let (values, _) = data.as_chunks::<N>();
    Array::new(shape, values.iter().map(|&bytes| value(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array;
    use crate::io::tests::{arrays, damaged};

    const DTYPES: [DType; 6] = [DType::F64, DType::F32, DType::I64, DType::I32, DType::U8, DType::Bool];

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn error(bytes: &[u8]) -> String {
        parse(bytes, "x.npy").unwrap_err().to_string()
    }

    #[test]
    fn every_dtype_comes_back_and_damage_is_an_error() {
        for (name, array) in arrays(&DTYPES) {
            let bytes = bytes(&array, "x.npy").unwrap();
            assert_eq!(parse(&bytes, "x.npy").unwrap(), array, "{name}");
            assert_eq!((bytes.len() - array.size_bytes()) % 64, 0);
            damaged(&bytes, |bytes| parse(bytes, "x.npy").is_ok());
        }
        assert!(
            bytes(&Array::zeros(DType::BF16, [1]), "x.npy")
                .unwrap_err()
                .to_string()
                .contains("convert to f32")
        );
    }

    #[test]
    fn what_numpy_writes() {
        // The header of numpy.save for numpy.array([[1, 2, 3], [4, 5, 6]], "<i4", order="F"), without its padding.
        let header = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }  \n";
        let data: Vec<u8> = [1_i32, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(parse(&file(header, &data), "x").unwrap(), array([[1, 2, 3], [4, 5, 6]]));
        let one = |descr: &str, data: &[u8]| {
            parse(&file(&format!("{{\"shape\":(),'descr':'{descr}','fortran_order':False}}"), data), "x")
                .unwrap()
        };
        assert_eq!(one(">f8", &1.5_f64.to_be_bytes()), array(1.5));
        assert_eq!(one("<f2", &f16::from_f32(-2.5).to_le_bytes()), array(-2.5_f32));
        assert_eq!(one(">u4", &u32::MAX.to_be_bytes()), array(i64::from(u32::MAX)));
        assert_eq!(one("|i1", &[0xff]), array(-1_i32));
        assert_eq!(one("<u2", &[0xff, 0xff]), array(65535_i32));
        assert_eq!(one("<i2", &[0xff, 0xff]), array(-1_i32));
        let long = [
            MAGIC,
            &[2, 0, 58, 0, 0, 0],
            b"{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }\n",
            &[1, 0],
        ];
        assert_eq!(parse(&long.concat(), "x").unwrap(), array([true, false]));
    }

    #[test]
    fn wrong_files_say_what_is_wrong() {
        let header = |descr: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
        };
        let f8 = |shape: &str, data: &[u8]| error(&file(&header("'<f8'", shape), data));
        assert_eq!(error(b"PK"), "npy file x.npy: found \"PK\", expected \\x93NUMPY");
        assert_eq!(
            f8("(2,)", &[0; 15]),
            "npy file x.npy: found 15 bytes of data, expected 16 bytes for shape [2]"
        );
        assert_eq!(
            f8("(9999999999, 9999999999)", &[0; 8]),
            "npy file x.npy: found 8 bytes of data, expected more bytes than memory has for shape [9999999999,9999999999]"
        );
        assert_eq!(
            f8("(99999999999999999999,)", &[]),
            "npy file x.npy: found `99999999999999999999` at byte 51 of the header, expected the length of an axis"
        );
        assert_eq!(
            f8(&format!("({})", "1,".repeat(100)), &[0; 8]),
            "array `x.npy`: found 100 axes, expected at most 64"
        );
        for descr in ["'<c16'", "'|O'", "'<u8'", "'=f8'", "'|f8'", "''", "'é'"] {
            assert!(error(&file(&header(descr, "()"), &[0; 8])).contains("expected one of f8"), "{descr}");
        }
        assert!(error(&file(&header("[('a', '<f8')]", "()"), &[0; 8])).contains("records are not supported"));
        assert!(error(&file(&header("'|b1'", "()"), &[2])).contains("byte 2 where a bool"));
        for header in [
            "",
            "{",
            "{}",
            "{'shape': (), 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': 1, 'shape': ()}",
            "(((((((((",
        ] {
            assert!(error(&file(header, &[])).contains("of the header"), "{header}");
        }
        assert!(error(&[MAGIC, &[4, 0, 0, 0]].concat()).contains("version 4.0"));
        assert!(error(&[MAGIC, &[2, 0, 255, 255, 255, 255, b'{']].concat()).contains("the whole header"));
    }

    #[test]
    fn a_file_is_replaced_or_left_alone() {
        let folder = std::env::temp_dir().join(format!("retrograde-array-npy-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("x.npy");
        save_npy(&path, &array([1.0])).unwrap();
        save_npy(&path, &array([2.0, 3.0])).unwrap();
        assert!(save_npy(&path, &Array::zeros(DType::BF16, [1])).is_err());
        assert_eq!(load_npy(&path).unwrap(), array([2.0, 3.0]));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(load_npy(&path).unwrap_err().to_string().starts_with("file "));
    }
}
