//! Data files.

use std::io::{Cursor, Read, Write};

use flate2::{Compression, write::GzEncoder};

use super::{check, fuzz};
use crate::data::fuzz_targets::{csv, idx, npz, rows_to_predict, unpack};
use crate::{Layout, Task};

const TABLES: [&str; 6] = [
    "a,b,label\n1,2.5,x\n-3e-2,4,y\n1e3,0,x\n",
    "1;2;3\n4;5;6\n",
    "\u{feff}\"a, b\"\t\"c\"\"d\"\ty\r\n1\t2\t0\r\n3\t4\t1\r\n",
    "u,y\n0.5,1\n1.5,2\n,3\nNaN,4\n",
    "\n\n\"x\ny\",2\n",
    "x,label\r1,\"\"\"\"\r2.5e-7,\"b\"c\r99999999999999999999.0,\"\"\"\"\r",
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn tables() -> Vec<Vec<u8>> {
    TABLES.map(|text| text.as_bytes().to_vec()).to_vec()
}

#[test]
fn tables_never_panic() {
    fuzz("csv", &tables(), |input| {
        for task in [Task::Auto, Task::Classification, Task::Regression] {
            match csv(input, task) {
                Ok(data) => {
                    assert!(data.n_rows() > 1 && data.inputs.n_rows() == data.n_rows());
                    let Layout::Columns { names, header } = &data.inputs.layout else {
                        panic!("a table of images")
                    };
                    let again = rows_to_predict(input, names, *header, &data.target_name).unwrap();
                    assert_eq!(again, data.inputs.features);
                }
                Err(error) => check(&error.to_string()),
            }
        }
        let names = ["a", "b"].map(String::from);
        for header in [true, false] {
            let _ = rows_to_predict(input, &names, header, "y").map_err(|error| check(&error.to_string()));
        }
    });
}

#[test]
fn idx_files_never_panic() {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
    fuzz("idx", &[images, labels], |input| {
        for n_sizes in [1, 3] {
            match idx(input, n_sizes) {
                Ok((sizes, values)) => assert_eq!(sizes.iter().product::<usize>(), values.len()),
                Err(error) => check(&error.to_string()),
            }
        }
    });
}

#[test]
fn gzip_files_never_panic() {
    let files = tables().iter().map(|table| gzip(table)).collect::<Vec<_>>();
    fuzz("gzip", &files, |input| {
        let mut out = vec![];
        if let Ok(source) = unpack(Cursor::new(input.to_vec())) {
            let _ = source.take(1 << 20).read_to_end(&mut out);
        }
        let _ = csv(&gzip(input), Task::Auto).map_err(|error| check(&error.to_string()));
    });
}

/// An archive as `numpy.savez` writes it, values stored as they are or deflated.
fn archive(method: zip::CompressionMethod, images: bool) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let (x_type, x_shape, x) = if images {
        ("|u1", "(4, 1, 2)", vec![1_u8; 8])
    } else {
        ("<f4", "(4, 2)", (0..8_u8).flat_map(|v| f32::from(v).to_le_bytes()).collect())
    };
    let y = [1_i64, 0, 1, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (name, descr, shape, values) in [("x", x_type, x_shape, x), ("y", "<i8", "(4,)", y)] {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let start =
            [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        writer.write_all(&[start, values].concat()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn npz_files_never_panic() {
    let (stored, deflated) = (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
    let files = [archive(stored, false), archive(stored, true), archive(deflated, false)];
    for file in &files {
        let data = npz(file, Task::Auto).unwrap();
        assert_eq!((data.n_rows(), data.targets.labels()), (4, Some(&[1, 0, 1, 2][..])));
    }
    fuzz("npz", &files, |input| {
        for task in [Task::Auto, Task::Classification, Task::Regression] {
            match npz(input, task) {
                Ok(data) => assert_eq!(data.inputs.n_rows(), data.n_rows()),
                Err(error) => check(&error.to_string()),
            }
        }
    });
}
