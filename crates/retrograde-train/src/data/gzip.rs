//! Files that may be gzipped. Whether one is decides its first two bytes, not its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// Enough to make system calls rare.
const BUFFER_BYTES: usize = 1 << 17;
/// RFC 1952, section 2.3.1.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a file and unpacks it as it is read. A damaged or cut gzip file is an error of the reads.
///
/// # Errors
/// The file is missing, is a folder, or cannot be read.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>, DataError> {
    let io = |error| DataError::io(path, &error);
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(DataError::new("found a folder, expected a file", path.display(), "name a file in it"));
    }
    unpack(file).map_err(io)
}

/// Whether a file is gzipped.
///
/// # Errors
/// It is missing or cannot be read.
pub(crate) fn is_packed(path: &Path) -> Result<bool, DataError> {
    let mut start = vec![];
    let io = |error| DataError::io(path, &error);
    File::open(path).map_err(io)?.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(io)?;
    Ok(start == MAGIC)
}

/// The bytes of a reader, unpacked if they are gzipped.
pub(crate) fn unpack(source: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
    if source.fill_buf()?.starts_with(&MAGIC) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(source))))
    } else {
        Ok(Box::new(source))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, ErrorKind, Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = vec![];
        unpack(Cursor::new(bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn plain_and_gzipped_bytes_read_alike_and_every_cut_is_found() {
        let text = b"one,two\n".repeat(100);
        let mut encoder = GzEncoder::new(vec![], Compression::best());
        encoder.write_all(&text).unwrap();
        let file = encoder.finish().unwrap();
        assert_eq!(read(text.clone()).unwrap(), text);
        assert_eq!(read(file.clone()).unwrap(), text);
        // Two members are one file: RFC 1952, section 2.2.
        assert_eq!(read([file.clone(), file.clone()].concat()).unwrap(), text.repeat(2));
        for end in 2..file.len() {
            assert_eq!(read(file[..end].to_vec()).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{end}");
        }
        let mut flipped = file;
        let sum = flipped.len() - 6; // within the checksum, RFC 1952
        flipped[sum] ^= 1;
        assert!(read(flipped).is_err());
    }
}
