//! The npy format of numpy: one array.
//!
//! Written are `f64`, `f32`, `i64`, `i32`, `u8` and `bool`, little-endian, in row-major order. Read are these in either byte and
//! axis order, and besides, widened to the first dtype that holds them exactly: `f16` (f32), `i8`, `i16`, `u16` (i32), `u32`
//! (i64).
//!
//! # Source
//! numpy, NEP 1 (a simple file format for numpy arrays), versions 1.0 to 3.0. Not the crate `npyz`: it allocates and multiplies
//! what the header says before it has seen the data.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use half::f16;

use super::{IoError, check_rank, file_error, little_endian, replace, shown};
use crate::{Array, DType, Element, Shape, ops};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header text that is read; that of an array of 64 axes has less than 2000 bytes.
const MAX_HEADER: usize = 1 << 16;
/// The most bytes that any array may have.
pub(super) const MAX_BYTES: u64 = isize::MAX as u64;

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
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    read_npy(file, &path.display().to_string(), MAX_BYTES)
}

/// Reads an array in npy format from any source, to its end; `name` names it in errors.
///
/// # Errors
/// See [`load_npy`]; a header that claims more than `limit_bytes`; bytes after the last value.
///
/// # Cost
/// Memory grows with the bytes that arrive, whatever the header claims.
///
/// ```
/// use retrograde_array::{array, io::read_npy};
/// let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }";
/// let file = [b"\x93NUMPY\x01\0", &[57, 0][..], header.as_bytes(), &[7, 0, 0, 0, 9, 0, 0, 0]].concat();
/// assert_eq!(read_npy(&file[..], "x", 1 << 20)?, array([7, 9]));
/// assert!(read_npy(&file[..], "x", 4).unwrap_err().to_string().ends_with("expected at most 4 bytes"));
/// # Ok::<(), retrograde_array::io::IoError>(())
/// ```
pub fn read_npy(mut source: impl Read, name: &str, limit_bytes: u64) -> Result<Array, IoError> {
    read(&mut source, name, limit_bytes)
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

/// See [`read_npy`].
fn read(source: &mut dyn Read, name: &str, limit_bytes: u64) -> Result<Array, IoError> {
    let wrong = |found: String, expected: &str| IoError::Npy {
        path: name.to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let io = |source| IoError::File { path: name.to_owned(), source };
    let text = header_text(source).map_err(|fault| match fault {
        Fault::Malformed(found, expected) => wrong(found, expected),
        Fault::Io(error) => io(error),
    })?;
    let header = Header::parse(&text)
        .map_err(|(at, found, expected)| wrong(format!("{found} at byte {at} of the header"), expected))?;
    check_rank(name, header.lens.len())?;
    let Some((is_little, kind)) = kind(header.descr) else {
        return Err(IoError::DType {
            name: name.to_owned(),
            dtype: format!("`{}`", shown(header.descr)),
            expected: "f8, f4, f2, i8, i4, i2, i1, u4, u2, u1, b1",
        });
    };
    let shape = Shape::from(header.lens);
    let n_bytes = shape.checked_size().and_then(|n| n.checked_mul(kind.size_bytes()));
    let Some(n_bytes) = n_bytes.filter(|&n_bytes| n_bytes as u64 <= limit_bytes.min(MAX_BYTES)) else {
        let limit_bytes = limit_bytes.min(MAX_BYTES);
        return Err(IoError::TooLarge { name: name.to_owned(), shape, limit_bytes });
    };
    // Column-major is row-major with the axes in opposite order.
    let stored = if header.is_fortran { shape.iter().rev().copied().collect() } else { shape.clone() };
    let array = kind.array(stored, source, is_little, name)?;
    let array = array.map_err(|found| {
        wrong(format!("{found} bytes of data"), &format!("{n_bytes} bytes for shape {shape}"))
    })?;
    if fill(source, &mut [0]).map_err(io)? > 0 {
        let found = format!("more than {n_bytes} bytes of data");
        return Err(wrong(found, &format!("{n_bytes} bytes for shape {shape}")));
    }
    let axes: Vec<usize> = (0..array.rank()).rev().collect();
    Ok(if header.is_fortran { ops::transpose(&array, &axes) } else { array })
}

/// What is wrong with the start of a file.
enum Fault {
    /// What is there, and what should be.
    Malformed(String, &'static str),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// Reads magic, version, and the text between these and the data.
fn header_text(source: &mut dyn Read) -> Result<Vec<u8>, Fault> {
    let malformed = |found: String, expected| Err(Fault::Malformed(found, expected));
    let mut start = [0; 8];
    let n = fill(source, &mut start)?;
    if !start[..n].starts_with(MAGIC) {
        return malformed(format!("{:?}", String::from_utf8_lossy(&start[..n.min(6)])), "\\x93NUMPY");
    }
    if n < start.len() {
        return malformed(format!("{n} bytes"), "a header");
    }
    let mut len = [0; 4];
    let n_len = match start[6..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        [major, minor, ..] => {
            return malformed(format!("version {major}.{minor}"), "version 1.0, 2.0 or 3.0");
        }
        _ => return malformed("no version".to_owned(), "version 1.0, 2.0 or 3.0"),
    };
    let n = fill(source, &mut len[..n_len])?;
    if n < n_len {
        return malformed(format!("{} bytes", start.len() + n), "a header");
    }
    let len = u32::from_le_bytes(len);
    let mut text = Vec::new();
    source.take(u64::from(len).min(MAX_HEADER as u64 + 1)).read_to_end(&mut text)?;
    if text.len() > MAX_HEADER {
        return malformed(format!("a header of {len} bytes"), "one of at most 65536 bytes");
    }
    if text.len() < len as usize {
        return malformed(format!("{} bytes after a header length of {len}", text.len()), "the whole header");
    }
    Ok(text)
}

/// Reads until the bytes are full or the source ends; how many there are.
fn fill(source: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < bytes.len() {
        match source.read(&mut bytes[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
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
                return Err((
                    start,
                    format!("key `{}`", shown(key)),
                    "descr, fortran_order and shape, once each",
                ));
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
            word => Err((start, format!("`{}`", shown(word)), "True or False")),
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
            let len = digits
                .parse()
                .map_err(|_| (start, format!("`{}`", shown(digits)), "the length of an axis"))?;
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

    /// Reads an array, or the number of bytes that there are where they are too few.
    fn array(
        self,
        shape: Shape,
        source: &mut dyn Read,
        is_little: bool,
        name: &str,
    ) -> Result<Result<Array, u64>, IoError> {
        macro_rules! numbers {
            ($t:ty, $widen:expr) => {
                array_of(shape, source, name, |bytes| {
                    $widen(if is_little { <$t>::from_le_bytes(bytes) } else { <$t>::from_be_bytes(bytes) })
                })
            };
        }
        match self {
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
            Kind::Bool => {
                let bytes = numbers!(u8, u8::from)?;
                let wrong = bytes.as_ref().ok().and_then(|bytes| {
                    bytes.as_slice::<u8>().unwrap_or_default().iter().copied().find(|&byte| byte > 1)
                });
                match wrong {
                    Some(byte) => Err(IoError::Bool { name: name.to_owned(), byte }),
                    None => Ok(bytes.map(|bytes| ops::convert(&bytes, DType::Bool))),
                }
            }
        }
    }
}

/// Reads as many values as the shape has in blocks, so that memory grows with the bytes that arrive; or the number of bytes
/// that there are. The caller knows that the size in bytes does not overflow.
fn array_of<T: Element, const N: usize>(
    shape: Shape,
    source: &mut dyn Read,
    name: &str,
    value: impl Fn([u8; N]) -> T,
) -> Result<Result<Array, u64>, IoError> {
    const BLOCK_VALUES: usize = 1 << 13;
    let n = shape.checked_size().unwrap_or_default();
    let mut block = vec![0; n.min(BLOCK_VALUES) * N];
    let mut values = Vec::with_capacity(n.min(BLOCK_VALUES));
    while values.len() < n {
        let n_wanted = (n - values.len()).min(BLOCK_VALUES) * N;
        let n_found = fill(source, &mut block[..n_wanted])
            .map_err(|source| IoError::File { path: name.to_owned(), source })?;
        if n_found < n_wanted {
            return Ok(Err((values.len() * N + n_found) as u64));
        }
        values.extend(block[..n_wanted].as_chunks::<N>().0.iter().map(|&bytes| value(bytes)));
    }
    values.shrink_to_fit();
    let array = Array::new(shape, values);
    array.map(Ok).map_err(|source| IoError::Array { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array;
    use crate::io::tests::{arrays, damaged};

    const DTYPES: [DType; 6] = [DType::F64, DType::F32, DType::I64, DType::I32, DType::U8, DType::Bool];

    fn parse(bytes: &[u8], name: &str) -> Result<Array, IoError> {
        read_npy(bytes, name, MAX_BYTES)
    }

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
            "array `x.npy`: found the shape [9999999999,9999999999] in the header, expected at most 9223372036854775807 bytes"
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
        let key = error(&file(&format!("{{'\u{1b}{}': ", "x".repeat(1000)), &[]));
        assert!(key.len() < 400 && key.contains("\\u{1b}xxx"), "{key}");
        assert!(error(&[MAGIC, &[4, 0, 0, 0]].concat()).contains("version 4.0"));
        assert!(error(&[MAGIC, &[2, 0, 255, 255, 255, 255, b'{']].concat()).contains("the whole header"));
        let long = [MAGIC, &[2, 0, 0, 0, 2, 0], &[b' '; 1 << 17]].concat();
        assert!(
            error(&long).ends_with("found a header of 131072 bytes, expected one of at most 65536 bytes")
        );
    }

    #[test]
    fn a_file_stays_when_it_cannot_be_replaced() {
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

    /// A source that gives a byte at a time and, at its end, an error.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Err(ErrorKind::BrokenPipe.into()) };
            self.0 = rest;
            bytes[..1].fill(*first);
            Ok(1)
        }
    }

    #[test]
    fn any_source_is_read_and_its_errors_are_kept() {
        let x = array((0..20_000).map(f64::from).collect::<Vec<_>>());
        let bytes = bytes(&x, "x").unwrap();
        assert_eq!(read_npy(Trickle(&bytes).take(bytes.len() as u64), "x", MAX_BYTES).unwrap(), x);
        // The end is looked for, and there is the error.
        let error = read_npy(Trickle(&bytes), "x", MAX_BYTES).unwrap_err();
        assert!(matches!(&error, IoError::File { path, .. } if path == "x"), "{error}");
        let limit = x.size_bytes() as u64;
        assert_eq!(read_npy(&bytes[..], "x", limit).unwrap(), x);
        assert_eq!(
            read_npy(&bytes[..], "x", limit - 1).unwrap_err().to_string(),
            "array `x`: found the shape [20000] in the header, expected at most 159999 bytes"
        );
        let error = read_npy(&[&bytes[..], &[0]].concat()[..], "x", limit).unwrap_err().to_string();
        assert_eq!(
            error,
            "npy file x: found more than 160000 bytes of data, expected 160000 bytes for shape [20000]"
        );
    }
}
