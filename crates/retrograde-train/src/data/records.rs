//! The records of a CSV file: lines, separators, quotes.
//!
//! A record ends at `\n`, `\r\n` or `\r`, or at the end of the file; empty lines are none. A field that starts with `"` goes on
//! to the closing quote, over separators and ends of lines; `""` in it stands for one quote. A quote elsewhere is an ordinary
//! character.
//!
//! Lines without quotes, nearly all there are, are found and divided whole; the rest goes byte by byte.
//!
//! Source: RFC 4180, section 2; where it is silent, as the crate `csv` reads, with which the tests compare.

use std::io::{self, BufRead};

use memchr::{memchr, memchr2};

/// One record. Its fields are kept in one piece of memory, which the next record uses again.
#[derive(Default)]
pub(super) struct Record {
    /// The fields, a separator after each.
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
    /// The line that it starts in, counted from 1.
    pub line: u64,
}

impl Record {
    /// The number of fields, at least one.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let field = &self.bytes[start..end];
            start = end + 1;
            field
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_field(&mut self, delimiter: u8) {
        self.ends.push(self.bytes.len());
        self.bytes.push(delimiter);
    }

    /// Takes a line that has no quotes.
    fn divide(&mut self, line: &[u8], delimiter: u8) {
        self.bytes.extend_from_slice(line);
        for (at, &byte) in line.iter().enumerate() {
            if byte == delimiter {
                self.ends.push(at);
            }
        }
        self.end_field(delimiter);
    }
}

/// Where a byte stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    InField,
    Quoted,
    /// After a quote in a quoted field: the end of the quoted part, or the first half of `""`.
    Quote,
}

/// A source of records.
pub(super) struct Records<R> {
    source: R,
    delimiter: u8,
    /// The line of the next byte.
    line: u64,
    /// The byte before was `\r`: a `\n` belongs to it.
    after_return: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Records<R> {
        Records { source, delimiter, line: 1, after_return: false }
    }

    /// Reads the next record; false at the end.
    ///
    /// # Errors
    /// Those of the source.
    pub(super) fn read(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        loop {
            let buffer = self.source.fill_buf()?;
            let Some(&first) = buffer.first() else { return Ok(false) };
            // The ends of lines before the record.
            if first == b'\n' || first == b'\r' {
                self.line += u64::from(!(first == b'\n' && self.after_return));
                self.after_return = first == b'\r';
                self.source.consume(1);
                continue;
            }
            self.after_return = false;
            record.line = self.line;
            let line = memchr2(b'\n', b'\r', buffer).map(|end| &buffer[..end]);
            let Some(line) = line.filter(|line| memchr(b'"', line).is_none()) else {
                return self.read_bytewise(record).map(|()| true);
            };
            record.divide(line, self.delimiter);
            // The end of the line stays for the next call.
            let n_bytes = line.len();
            self.source.consume(n_bytes);
            return Ok(true);
        }
    }

    /// Reads a record with quotes, or one that the buffer does not hold.
    fn read_bytewise(&mut self, record: &mut Record) -> io::Result<()> {
        let mut state = State::FieldStart;
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                record.end_field(self.delimiter);
                return Ok(());
            }
            let n_bytes = buffer.len();
            for (at, &byte) in buffer.iter().enumerate() {
                state = match (state, byte) {
                    (State::Quoted, b'"') => State::Quote,
                    (State::Quoted, _) => {
                        self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_return));
                        record.bytes.push(byte);
                        State::Quoted
                    }
                    (State::Quote, b'"') => {
                        record.bytes.push(byte);
                        State::Quoted
                    }
                    (_, b'\n' | b'\r') => {
                        record.end_field(self.delimiter);
                        self.after_return = false;
                        self.source.consume(at);
                        return Ok(());
                    }
                    (_, byte) if byte == self.delimiter => {
                        record.end_field(self.delimiter);
                        State::FieldStart
                    }
                    (State::FieldStart, b'"') => State::Quoted,
                    (_, byte) => {
                        record.bytes.push(byte);
                        State::InField
                    }
                };
                self.after_return = byte == b'\r';
            }
            self.source.consume(n_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use retrograde_array::rng::{Key, random_bits};

    use super::*;

    type Found = Vec<(u64, Vec<Vec<u8>>)>;

    fn records(bytes: &[u8], buffer_bytes: usize) -> Found {
        let mut records = Records::new(BufReader::with_capacity(buffer_bytes, bytes), b',');
        let (mut record, mut all) = (Record::default(), vec![]);
        while records.read(&mut record).unwrap() {
            assert_eq!(record.len(), record.fields().count());
            all.push((record.line, record.fields().map(<[u8]>::to_vec).collect()));
        }
        all
    }

    #[test]
    fn lines_are_counted_and_quotes_are_taken_off() {
        let text = b"a,\"b \"\"c\"\"\",\r\n\r\n\"two\r\nlines\",x\"y\n\"q\"r\rlast";
        let fields = |fields: &[&str]| fields.iter().map(|field| field.as_bytes().to_vec()).collect();
        let expected: Found = vec![
            (1, fields(&["a", "b \"c\"", ""])),
            (3, fields(&["two\r\nlines", "x\"y"])),
            (5, fields(&["qr"])),
            (6, fields(&["last"])),
        ];
        for buffer_bytes in [1, 2, 3, 7, 100] {
            assert_eq!(records(text, buffer_bytes), expected, "{buffer_bytes}");
        }
        assert_eq!(records(b"", 8), []);
        assert_eq!(records(b"\n\r\n\r", 8), []);
        assert_eq!(records(b"1,\"2", 8), [(1, fields(&["1", "2"]))]);
    }

    /// On random text over the characters that matter, and for buffers of any size.
    #[test]
    fn the_crate_csv_reads_the_same_fields() {
        for trial in 0..4000 {
            let words = random_bits(Key::from_seed(7).fold_in(trial), 40);
            let bytes: Vec<u8> =
                words[1..].iter().map(|word| b"ab12,,,\"\"\r\n\n"[(word % 12) as usize]).collect();
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[..]);
            let expected = reader
                .byte_records()
                .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            let expected = expected.collect::<Vec<_>>();
            let found = records(&bytes, 1 + (words[0] % 50) as usize);
            let fields = found.iter().map(|(_, fields)| fields.clone()).collect::<Vec<_>>();
            assert_eq!(fields, expected, "{:?}", String::from_utf8_lossy(&bytes));
            let whole = records(&bytes, 1000);
            assert_eq!(found, whole);
        }
    }
}
