//! What a user reads about data that cannot be used: each message is a golden file, `tests/golden/NAME.txt`.
//!
//! `UPDATE_EXPECT=1 cargo test --package retrograde-train --test data_mistakes` rewrites the golden files.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use retrograde_train::data::{load, load_inputs};
use retrograde_train::{Header, Layout, Reading, Task};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares a message with its golden file; the folder of the data is left out.
fn check_text(name: &str, folder: &Path, message: &str) {
    let message = message.replace(&format!("{}/", folder.display()), "") + "\n";
    let has_shape =
        message.starts_with("error: ") && message.contains("\n  --> ") && message.contains("\n  help: ");
    assert!(has_shape, "{name}:\n{message}");
    let path = golden().join(name).with_extension("txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, message).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(message == expected, "{}: expected\n{expected}\nfound\n{message}", path.display());
}

/// The message about a file, and that of the same file gzipped, which must not differ.
fn check(name: &str, file: &str, bytes: &[u8], reading: &Reading) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(file);
    for bytes in [bytes.to_vec(), gzip(bytes)] {
        fs::write(&path, bytes).unwrap();
        check_text(name, temp.path(), &load(&path, reading).unwrap_err().to_string());
    }
}

fn table(name: &str, text: &str) {
    check(name, "t.csv", text.as_bytes(), &Reading::default());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images(n: u8, height: u8, width: u8) -> Vec<u8> {
    let pixels = (0..u32::from(n) * u32::from(height) * u32::from(width)).map(|i| i as u8);
    [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, height, 0, 0, 0, width].into_iter().chain(pixels).collect()
}

fn labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8][..], labels].concat()
}

/// The message about a folder of files.
fn folder(name: &str, files: &[(&str, Vec<u8>)]) {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    fs::create_dir(&data).unwrap();
    files.iter().for_each(|(file, bytes)| fs::write(data.join(file), bytes).unwrap());
    check_text(name, temp.path(), &load(&data, &Reading::default()).unwrap_err().to_string());
}

const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

#[test]
fn every_golden_file_has_its_test() {
    let here = include_str!("data_mistakes.rs");
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(here.contains(&format!("\"{name}\"")), "{} has no test", path.display());
    }
}

#[test]
fn tables() {
    table("empty_file", "");
    table("header_alone", "a,b,label\n");
    table("one_row", "a,b,label\n1,2,x\n");
    table("unequal_rows", "a,b,label\n1,2,x\n3,4,y\n5,6\n");
    table("missing_value", "width,height,label\n1,2,x\n3,,y\n");
    table("missing_value_in_words", "width,height,label\n1,2,x\nNA,4,y\n");
    table("missing_target", "width,height,label\n1,2,x\n3,4,\n");
    table("text_for_a_number", "width,height,label\n1,2,x\n3,tall,y\n");
    table("infinite_value", "width,height,label\n1,2,x\n3,inf,y\n");
    table("number_too_large", "width,height,label\n1,2,x\n3,1e60,y\n");
    table("constant_column", "a,b,c,label\n1,7,1,x\n2,7,2,y\n3,7,1,x\n");
    table("constant_columns", "a,b,c,label\n1,7,1,x\n2,7,1,y\n3,7,1,x\n");
    table("one_class", "a,label\n1,x\n2,x\n");
    table("constant_target", "a,y\n1,0.5\n2,0.5\n");
    table("classes_or_quantities", "a,y\n1,3\n2,4\n3,5\n4,6\n");
    table("name_twice", "a,b,a,label\n1,2,3,x\n");
    table("name_missing", "a,,label\n1,2,x\n");
    table("no_usual_target", "a,b,c\n1,2,3\n4,5,6\n");
    table("no_header_and_no_target", "1,2,3\n4,5,6\n");
    table("no_header_and_text", "5.1,setosa,3\n4.9,virginica,2\n");
    table("one_column", "label\n1\n2\n");
    table("open_quote", "a,b,label\n1,2,\"x\n3,4,y\n5,6,x\n");
    check("not_utf_8", "t.csv", b"a,b,label\n1,2,x\n3,4,\xff\xfe\n", &Reading::default());
}

#[test]
fn what_was_said_of_a_table() {
    let with = |name: &str, text: &str, reading: Reading| check(name, "t.csv", text.as_bytes(), &reading);
    let target = |name: &str| Reading { target: Some(name.into()), ..Reading::default() };
    with("unknown_target", "width,height,kind\n1,2,x\n", target("knid"));
    with("unknown_target_number", "1,2,3\n4,5,6\n", target("4"));
    with("header_said_and_absent", "1,2,3\n4,5,6\n", Reading { header: Header::Yes, ..target("3") });
    with("header_denied_and_present", "a,b,c\n4,5,6\n", Reading { header: Header::No, ..target("3") });
    with("regression_on_text", "a,y\n1,0.5\n2,low\n", Reading { task: Task::Regression, ..target("y") });
    with("labels_with_a_table", "a,y\n1,0.5\n", Reading { labels: Some("l.idx".into()), ..target("y") });
    let many = (0..5000).map(|i| format!("{i},id-{i}\n")).collect::<String>();
    with("too_many_classes", &format!("a,y\n{many}"), target("y"));
}

#[test]
fn images_and_labels() {
    let good = images(3, 2, 2);
    let three = || labels(&[1, 2, 3]);
    folder("empty_folder", &[]);
    folder("labels_missing", &[(TRAIN[0], good.clone())]);
    folder("fewer_labels_than_images", &[(TRAIN[0], good.clone()), (TRAIN[1], labels(&[1, 2]))]);
    folder("one_label_only", &[(TRAIN[0], good.clone()), (TRAIN[1], labels(&[4, 4, 4]))]);
    folder("images_cut_short", &[(TRAIN[0], good[..20].to_vec()), (TRAIN[1], three())]);
    folder("images_and_labels_exchanged", &[(TRAIN[1], good.clone()), (TRAIN[0], three())]);
    let packed = gzip(&good);
    folder("gzip_cut_short", &[(TRAIN[0], packed[..packed.len() - 9].to_vec()), (TRAIN[1], three())]);
    let with = |name: &str, test: Vec<u8>, of: &[u8]| {
        let files = [(TRAIN[0], good.clone()), (TRAIN[1], three()), (TEST[0], test), (TEST[1], labels(of))];
        folder(name, &files);
    };
    with("images_of_two_sizes", images(1, 3, 2), &[1]);
    with("label_never_trained_on", images(1, 2, 2), &[9]);
    let as_table = Reading { target: Some("y".into()), ..Reading::default() };
    check("target_of_images", "a-images-idx3-ubyte", &good, &as_table);
    check("labels_of_a_file_missing", "a-images-idx3-ubyte", &good, &Reading::default());
}

/// An archive as `numpy.savez` writes it: arrays with their type, shape and values.
fn npz(arrays: &[(&str, &str, &str, Vec<u8>)]) -> Vec<u8> {
    npz_in("False", arrays)
}

/// The same, column by column where `fortran_order` is `True`.
fn npz_in(fortran_order: &str, arrays: &[(&str, &str, &str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, descr, shape, values) in arrays {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let start = [b"\x93NUMPY\x01\0", &length[..], header.as_bytes()].concat();
        writer.write_all(&[&start[..], values].concat()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn arrays() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.npz");
    let check = |name: &str, bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        check_text(name, temp.path(), &load(&path, &Reading::default()).unwrap_err().to_string());
    };
    let x = || ("x", "<f8", "(3, 2)", f64s(&[1.0, 2.0, 3.0, 5.0, 4.0, 4.0]));
    let y = |values: &[i64]| ("y", "<i8", "(3,)", i64s(values));
    let good = npz(&[x(), y(&[0, 1, 0])]);
    check("npz_cut_short", good[..good.len() - 30].to_vec());
    check("npz_without_targets", npz(&[x(), ("z", "<i8", "(3,)", i64s(&[0, 1, 0]))]));
    check("npz_of_unequal_lengths", npz(&[x(), ("y", "<i8", "(2,)", i64s(&[0, 1]))]));
    check("npz_negative_class", npz(&[x(), y(&[0, -1, 0])]));
    check("npz_one_class", npz(&[x(), y(&[3, 3, 3])]));
    check("npz_missing_value", npz(&[("x", "<f8", "(3, 1)", f64s(&[1.0, f64::NAN, 2.0])), y(&[0, 1, 0])]));
    check("npz_other_type", npz(&[("x", "<c8", "(3, 1)", vec![0; 24]), y(&[0, 1, 0])]));
    check("npz_fewer_values_than_claimed", npz(&[("x", "<f8", "(3, 4000)", vec![0; 24]), y(&[0, 1, 0])]));
    check("npz_shape_too_large", npz(&[("x", "<f8", "(99999999999, 2)", vec![0; 8]), y(&[0, 1, 0])]));
    check("npz_one_hot", npz(&[x(), ("y", "<i8", "(3, 2)", i64s(&[0, 1, 0, 1, 1, 0]))]));
    check("npz_too_large_a_number", npz(&[("x", "<f8", "(3, 1)", f64s(&[1.0, 1e60, 2.0])), y(&[0, 1, 0])]));
    check("npz_no_bool", npz(&[("x", "|b1", "(3, 1)", vec![0, 1, 2]), y(&[0, 1, 0])]));
    check("npz_of_no_arrays", npz(&[]));
    check("npz_header_damaged", npz(&[("x", "<f8'\u{1b}", "(3, 1)", f64s(&[1.0, 3.0, 2.0])), y(&[0, 1, 0])]));
    check("npz_values_damaged", {
        let mut bytes = good.clone();
        bytes[60] ^= 0xff;
        bytes
    });
    check("npz_gzipped", gzip(&good));
    check("npz_constant_column", npz(&[("x", "<f8", "(3, 1)", f64s(&[7.0; 3])), y(&[0, 1, 0])]));

    // Columns one after another, as numpy keeps transposed arrays.
    let columns = ("x", "<f8", "(3, 2)", f64s(&[1.0, 3.0, 4.0, 2.0, 5.0, 4.0]));
    fs::write(&path, npz_in("True", &[columns, y(&[0, 1, 0])])).unwrap();
    let transposed = load(&path, &Reading::default()).unwrap();

    fs::write(&path, &good).unwrap();
    let data = load(&path, &Reading::default()).unwrap();
    assert_eq!(data, transposed);
    assert_eq!((data.inputs.row(1), data.targets.labels()), (vec![3.0, 5.0], Some(&[0, 1, 0][..])));
    assert_eq!(load_inputs(&path, &data.inputs.layout, "y").unwrap(), data.inputs);
    let images = ("x_train", "|u1", "(2, 2, 1)", vec![0, 51, 102, 255]);
    let test = ("x_test", "|u1", "(1, 2, 1)", vec![255, 0]);
    let bytes = |name, shape, values: &[u8]| (name, "|u1", shape, values.to_vec());
    fs::write(&path, npz(&[images, test, bytes("y_train", "(2,)", &[4, 9]), bytes("y_test", "(1,)", &[9])]))
        .unwrap();
    let data = load(&path, &Reading::default()).unwrap();
    assert_eq!((data.n_rows(), data.given_test_from, data.inputs.row(2)), (3, Some(2), vec![1.0, 0.0]));
    assert_eq!(data.targets.labels(), Some(&[0, 1, 1][..]));
}

#[test]
fn files_that_are_not_there_or_cut() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("nothing.csv");
    check_text("no_such_file", temp.path(), &load(&path, &Reading::default()).unwrap_err().to_string());
    let file = gzip("a,label\n1,x\n2,y\n".repeat(50).as_bytes());
    fs::write(&path, &file[..file.len() / 2]).unwrap();
    check_text(
        "table_gzip_cut_short",
        temp.path(),
        &load(&path, &Reading::default()).unwrap_err().to_string(),
    );
}

#[test]
fn rows_to_predict() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("new.csv");
    let columns = |header| Layout::Columns { names: ["width", "height"].map(String::from).to_vec(), header };
    let check = |name: &str, bytes: &[u8], layout: &Layout| {
        fs::write(&path, bytes).unwrap();
        let error = load_inputs(&path, layout, "kind").unwrap_err().to_string();
        check_text(name, temp.path(), &error);
    };
    check("predict_missing_column", b"width,kind\n1,x\n", &columns(true));
    check("predict_unknown_column", b"width,heigth\n1,2\n", &columns(true));
    check("predict_wrong_number_of_columns", b"1,2,3\n", &columns(false));
    check("predict_header_alone", b"width,height\n", &columns(true));
    check("predict_images_for_a_table", &images(1, 2, 2), &columns(true));
    let layout = Layout::Images { height: 2, width: 3 };
    check("predict_images_of_another_size", &images(1, 2, 2), &layout);
    check("predict_table_for_images", b"a,b\n1,2\n", &layout);
    // The order does not matter, and the target is not looked at.
    fs::write(&path, "kind,height,width\n?,1,2\n,3,4\n").unwrap();
    let inputs = load_inputs(&path, &columns(true), "kind").unwrap();
    assert_eq!((inputs.row(0), inputs.row(1)), (vec![2.0, 1.0], vec![4.0, 3.0]));
    fs::write(&path, "1,2,9\n3,4,9\n").unwrap();
    assert_eq!(load_inputs(&path, &columns(false), "3").unwrap().row(1), [3.0, 4.0]);
}

#[test]
fn good_files_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("t.csv.gz");
    fs::write(&path, gzip(b"\xef\xbb\xbf\"a b\"; c ;label\r\n 1 ;-2.5e-1;\"x;y\"\r\n3;4;z\r\n")).unwrap();
    let data = load(&path, &Reading::default()).unwrap();
    assert_eq!((data.inputs.row(0), data.inputs.row(1)), (vec![1.0, -0.25], vec![3.0, 4.0]));
    let names = ["a b", "c"].map(String::from).to_vec();
    assert_eq!(data.inputs.layout, Layout::Columns { names, header: true });
    assert_eq!((data.targets.labels(), data.target_name.as_str()), (Some(&[0, 1][..]), "label"));

    let folder = temp.path().join("images");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(format!("{}.gz", TRAIN[0])), gzip(&images(3, 2, 2))).unwrap();
    fs::write(folder.join(TRAIN[1]), labels(&[7, 1, 7])).unwrap();
    fs::write(folder.join(TEST[0]), images(2, 2, 2)).unwrap();
    fs::write(folder.join(format!("{}.gz", TEST[1])), gzip(&labels(&[1, 7]))).unwrap();
    let data = load(&folder, &Reading::default()).unwrap();
    assert_eq!((data.n_rows(), data.given_test_from), (5, Some(3)));
    assert_eq!(data.targets.labels(), Some(&[1, 0, 1, 0, 1][..]));
    assert_eq!(data.inputs.row(4), [4.0, 5.0, 6.0, 7.0].map(|pixel| pixel / 255.0));
}
