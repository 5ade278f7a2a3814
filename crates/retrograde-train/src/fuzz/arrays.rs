//! Files of arrays.

use std::io::Cursor;

use retrograde_array::io::{self, Npz, load_safetensors, read_npy, save_npy, save_npz, save_safetensors};
use retrograde_array::{Array, array};

use super::{fuzz, plain};

/// Files as the writers make them, each after a byte that says which reader is meant.
fn files() -> Vec<Vec<u8>> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x");
    let (x, y) = (array([[1.5, -2.0], [0.0, 4.0]]), array([1_i64, 2, 3]));
    let named = [("x".to_owned(), x.clone()), ("y".to_owned(), y.clone())];
    let mut files = vec![];
    let mut keep = |reader: u8| files.push([&[reader], &std::fs::read(&path).unwrap()[..]].concat());
    for array in [x, y, array(true), array([7_u8; 3])] {
        save_npy(&path, &array).unwrap();
        keep(0);
    }
    save_npz(&path, &named).unwrap();
    keep(1);
    save_safetensors(&path, &named, &[("made by".to_owned(), "a test".to_owned())].into()).unwrap();
    keep(2);
    // Names that a terminal would obey.
    save_npz(&path, &[("\u{1b}[2J\n".to_owned(), array(1.0))]).unwrap();
    keep(1);
    let fortran = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
    let start = [b"\0\x93NUMPY\x03\0", &(fortran.len() as u32).to_le_bytes()[..], fortran.as_bytes()];
    files.push([&start.concat()[..], &[0; 12]].concat());
    files
}

fn one_line(error: &io::IoError) {
    let message = error.to_string();
    assert!(message.lines().count() == 1, "{message:?}");
    plain(&message);
}

#[test]
fn array_files_never_panic() {
    const LIMIT: u64 = 1 << 24;
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x");
    fuzz("arrays", &files(), |input| {
        let Some((reader, bytes)) = input.split_first() else { return };
        match reader % 3 {
            0 => match read_npy(bytes, "x", LIMIT) {
                // In memory, as writing to the disk takes longer than all else.
                Ok(array) => assert!(array.size_bytes() as u64 <= 2 * LIMIT),
                Err(error) => one_line(&error),
            },
            1 => match Npz::open(Cursor::new(bytes), "x") {
                Ok(mut npz) => {
                    for name in npz.names() {
                        let _: Option<Option<Array>> =
                            npz.read(&name, LIMIT).map_err(|error| one_line(&error)).ok();
                    }
                }
                Err(error) => one_line(&error),
            },
            _ => {
                std::fs::write(&path, bytes).unwrap();
                let _ = load_safetensors(&path).map_err(|error| one_line(&error));
            }
        }
    });
}
