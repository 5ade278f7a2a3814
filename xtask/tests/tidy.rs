//! The rules of the source tree, applied to the tree and to a sample that breaks each.

use std::fs;

use xtask::catalogue::{self, Row};
use xtask::source::{SourceFile, files, root};
use xtask::tidy;

fn rust_files() -> Vec<SourceFile> {
    [files(&root(), "crates", &["rs"]), files(&root(), "xtask", &["rs"])].concat()
}

fn manifests() -> Vec<SourceFile> {
    let all = [files(&root(), "crates", &["toml"]), files(&root(), "xtask", &["toml"])].concat();
    all.into_iter().filter(|file| file.path.ends_with("/Cargo.toml")).collect()
}

fn existing(path: &str) -> Option<SourceFile> {
    fs::read_to_string(root().join(path)).ok().map(|text| SourceFile::new(path, &text))
}

#[track_caller]
fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[track_caller]
fn are(offences: Vec<String>, expected: &[&str]) {
    assert_eq!(offences, expected);
}

fn sample(path: &str, text: &str) -> [SourceFile; 1] {
    [SourceFile::new(path, text)]
}

#[test]
fn the_tree_is_seen() {
    let paths = rust_files().into_iter().map(|file| file.path).collect::<Vec<_>>();
    for path in ["crates/retrograde-core/src/lib.rs", "xtask/tests/tidy.rs"] {
        assert!(paths.contains(&path.to_owned()), "{path} is missing");
    }
    assert!(manifests().len() >= 9);
}

#[test]
fn no_core_module_imports_from_a_higher_floor() {
    none(tidy::floors_inside_core(&rust_files()));
}

#[test]
fn a_climbing_import_is_found() {
    let core = "crates/retrograde-core/src";
    let check = |file: &str, text: &str, expected: &[&str]| {
        are(tidy::floors_inside_core(&sample(&format!("{core}/{file}"), text)), expected);
    };
    let prim = |line: u32, file: &str, to: &str| {
        format!("{core}/{file}:{line}: `prim` imports from `{to}`, a higher floor")
    };
    check(
        "prim/sin.rs",
        "use crate::ir::Type;\nuse crate::transform::jvp;",
        &[&prim(2, "prim/sin.rs", "transform")],
    );
    check("prim/sin.rs", "fn f() { let t = crate::tape::new(); }", &[&prim(1, "prim/sin.rs", "tape")]);
    check(
        "prim/sin.rs",
        "use crate::{ir::{Type, tape}, exec, trace as t};",
        &[&prim(1, "prim/sin.rs", "exec"), &prim(1, "prim/sin.rs", "trace")],
    );
    check("prim/sin.rs", "use super::super::tape::Tape;", &[&prim(1, "prim/sin.rs", "tape")]);
    check("prim/mod.rs", "use super::tape::Tape;", &[&prim(1, "prim/mod.rs", "tape")]);
    check("prim/mod.rs", "use super::{ir, tape};", &[&prim(1, "prim/mod.rs", "tape")]);
    check(
        "prim/mod.rs",
        "mod inner { use super::tape; } use super::tape;",
        &[&prim(1, "prim/mod.rs", "tape")],
    );
    check("prim.rs", "use retrograde_core::trace::Var;", &[&prim(1, "prim.rs", "trace")]);
    check(
        "prim/sin.rs",
        "macro_rules! m { () => { $crate::exec::run() } }",
        &[&prim(1, "prim/sin.rs", "exec")],
    );
    // Downward, sideways, in tests, in comments, and a module of one's own with that name.
    check("trace/var.rs", "use crate::{ir, prim, transform, tape, exec};", &[]);
    check("prim/sin.rs", "use super::tape; use crate::prim::tape;", &[]);
    check(
        "prim/sin.rs",
        "#[cfg(test)] mod tests { use crate::exec; }\n// crate::exec\n/// crate::exec\nfn f() {}",
        &[],
    );
    check("lib.rs", "use crate::trace::Var;", &[]);
}

#[test]
fn crates_depend_on_lower_floors_only() {
    none(tidy::floors_of_crates(&manifests()));
}

#[test]
fn a_climbing_dependency_is_found() {
    let check = |name: &str, rest: &str, expected: &[&str]| {
        let manifest = format!("[package]\nname = \"{name}\"\n{rest}");
        are(tidy::floors_of_crates(&sample("Cargo.toml", &manifest)), expected);
    };
    let wrong = |name: &str, on: &str| {
        format!("Cargo.toml: `{name}` depends on `{on}`, which is not on a lower floor")
    };
    check(
        "retrograde-core",
        "[dependencies]\nretrograde-array.workspace = true\nretrograde-train.workspace = true",
        &[&wrong("retrograde-core", "retrograde-train")],
    );
    check(
        "retrograde-solve",
        "[build-dependencies]\nretrograde-tricks = { path = \"x\" }",
        &[&wrong("retrograde-solve", "retrograde-tricks")],
    );
    check(
        "retrograde-array",
        "[target.'cfg(unix)'.dependencies]\nrenamed = { package = \"retrograde\" }",
        &[&wrong("retrograde-array", "retrograde")],
    );
    check("xtask", "[dependencies]\nretrograde = \"1\"", &[&wrong("xtask", "retrograde")]);
    check("retrograde-new", "", &["Cargo.toml: `retrograde-new` has no floor in CRATE_FLOORS"]);
    check("retrograde-core", "[dev-dependencies]\nretrograde = \"1\"\n[dependencies]\nserde = \"1\"", &[]);
    assert_eq!(tidy::floors_of_crates(&sample("Cargo.toml", "[")).len(), 1);
}

#[test]
fn no_public_signature_names_a_foreign_type() {
    none(tidy::foreign_types(&manifests(), &rust_files()));
}

#[test]
fn a_foreign_type_is_found() {
    let manifest =
        "[dependencies]\nhalf = \"2\"\nfaer = { version = \"1\", optional = true }\nretrograde-core = \"1\"";
    let manifest = sample("crates/retrograde-array/Cargo.toml", manifest);
    let check = |text: &str, expected: &[&str]| {
        let file = sample("crates/retrograde-array/src/a.rs", text);
        let expected =
            expected.iter().map(|name| format!("{}:1: `{name}` in a public signature", file[0].path));
        assert_eq!(tidy::foreign_types(&manifest, &file), expected.collect::<Vec<_>>(), "{text}");
    };
    check("pub fn f(x: half::f16) {}", &["half"]);
    check("use half::f16; pub fn f() -> Vec<f16> { g() }", &["f16"]);
    check("use half::{bf16 as narrow}; pub const fn f(x: &narrow) {}", &["narrow"]);
    check("use half::f16; pub struct S { pub x: f16, y: f16 }", &["f16"]);
    check("use half::f16; pub struct S(pub f16);", &["f16"]);
    check("use half::f16; pub enum E { A(f16) } pub type T = f16;", &["f16", "f16"]);
    check("use half::f16; pub trait T { fn f(x: f16); } impl From<f16> for S { fn g() {} }", &["f16", "f16"]);
    check("pub use half::f16;", &["half", "f16"]);
    // Private things, bodies, our own crates, and what only a feature brings.
    check(
        "use half::f16; fn f(x: f16) {} pub(crate) fn g(x: f16) {} struct S(f16); pub struct P { x: f16 }",
        &[],
    );
    check(
        "use half::f16; pub fn f(x: f32) -> f32 { f16::from_f32(x).to_f32() } impl S { fn g(x: f16) {} }",
        &[],
    );
    check("pub fn f(x: retrograde_core::Var, y: faer::Mat) {}", &[]);
    let command = sample("crates/retrograde-cli/Cargo.toml", "[dependencies]\nclap = \"4\"");
    are(
        tidy::foreign_types(&command, &sample("crates/retrograde-cli/src/a.rs", "pub fn f(x: clap::Arg) {}")),
        &[],
    );
}

#[test]
fn nothing_below_the_command_prints() {
    none(tidy::printing(&rust_files()));
}

#[test]
fn a_print_is_found() {
    let check =
        |path: &str, text: &str, expected: &[&str]| are(tidy::printing(&sample(path, text)), expected);
    let lib = "crates/retrograde-core/src/lib.rs";
    check(
        lib,
        "fn f() {\n println!(); std::eprintln!(\"\") }",
        &[
            &format!("{lib}:2: `println!` below the command"),
            &format!("{lib}:2: `eprintln!` below the command"),
        ],
    );
    check(
        lib,
        "/// println!()\n#[test] fn t() { println!() } const S: &str = \"print!\"; fn print() {}",
        &[],
    );
    check("crates/retrograde-cli/src/main.rs", "fn f() { println!() }", &[]);
    check("crates/retrograde/examples/demo.rs", "fn f() { println!() }", &[]);
}

#[test]
fn unsafe_stands_only_in_the_kernels() {
    none(tidy::unsafe_code(&rust_files()));
}

#[test]
fn an_unsafe_block_is_found() {
    let check = |path: &str, expected: &[&str]| {
        let text = "// unsafe\nfn f() { unsafe { g() } }";
        are(tidy::unsafe_code(&sample(path, text)), expected);
    };
    check(
        "crates/retrograde-core/src/lib.rs",
        &["crates/retrograde-core/src/lib.rs:2: `unsafe` outside the kernels"],
    );
    check("crates/retrograde-array/src/kernel/map.rs", &[]);
    check(
        "crates/retrograde-array/src/kernel_not.rs",
        &["crates/retrograde-array/src/kernel_not.rs:2: `unsafe` outside the kernels"],
    );
}

#[test]
fn every_crate_root_refuses_unsafe_code() {
    none(tidy::crate_roots(&rust_files()));
}

#[test]
fn a_crate_root_that_allows_unsafe_code_is_found() {
    let check =
        |path: &str, text: &str, expected: &[&str]| are(tidy::crate_roots(&sample(path, text)), expected);
    let lib = "crates/retrograde-core/src/lib.rs";
    let offence = format!("{lib}:1: no `#![forbid(unsafe_code)]`");
    check(lib, "//! #![forbid(unsafe_code)]\nmod a;", &[&offence]);
    check(lib, "#![warn(unsafe_code)]", &[&offence]);
    check(lib, "#![forbid(missing_docs)] #[allow(unsafe_code)] mod a;", &[&offence]);
    check(lib, "#![forbid(unsafe_code)]", &[]);
    check(lib, "#![deny(missing_docs, unsafe_code)]", &[]);
    check("crates/retrograde-core/src/ir/mod.rs", "", &[]);
    assert_eq!(tidy::crate_roots(&sample("crates/retrograde-cli/src/bin/x.rs", "")).len(), 1);
}

#[test]
fn every_absence_names_a_test_that_exists() {
    let Some(architecture) = existing("ARCHITECTURE.md") else { return };
    none(tidy::absences_are_tested(&architecture.text, &rust_files()));
}

#[test]
fn an_untested_absence_is_found() {
    let tests = sample("xtask/tests/tidy.rs", "#[test]\n#[ignore]\nfn rule() {}\nfn plain() {}");
    let check = |text: &str, expected: &[&str]| are(tidy::absences_are_tested(text, &tests), expected);
    check(
        "- Absent: `prim` never imports `transform`, `gone`\n",
        &["ARCHITECTURE.md:1: there is no test `gone`"],
    );
    check("\n- Absent: printing below the command\n", &["ARCHITECTURE.md:2: names no test"]);
    check("- Absent: x, `plain`\n", &["ARCHITECTURE.md:1: there is no test `plain`"]);
    check("- Absent: `prim` in `ir`,\n  `rule`\n- other `gone`\n- Absent: y, `tidy::rule`.\n", &[]);
}

#[test]
fn every_file_of_primitives_is_registered() {
    let folder = files(&root(), "crates/retrograde-core/src/prim", &["rs"]);
    let Some(table) = existing("crates/retrograde-core/src/prim/mod.rs") else { return };
    none(tidy::primitives_are_registered(&table, &folder));
}

#[test]
fn an_unregistered_primitive_is_found() {
    let table = SourceFile::new("prim/mod.rs", "pub mod args;\nmod cos;\nprimitives! { add::Add, sin::Sin }");
    let check = |path: &str, text: &str, expected: &[&str]| {
        are(tidy::primitives_are_registered(&table, &sample(path, text)), expected);
    };
    check(
        "prim/cos.rs",
        "impl Rules for Cos {}",
        &["prim/cos.rs: is no row of `primitives!` in prim/mod.rs"],
    );
    check("prim/left.rs", "fn f() {}", &["prim/left.rs: is not declared in prim/mod.rs"]);
    check("prim/sin.rs", "impl Rules for Sin {}", &[]);
    check("prim/args.rs", "#[cfg(test)] mod tests { impl Rules for Toy {} }", &[]);
    check("prim/mod.rs", "", &[]);
}

/// Where not every function is shown yet: this list only becomes shorter.
const NOT_SHOWN_YET: &[&str] = &[];

#[test]
fn every_public_function_is_shown_in_an_example() {
    none(tidy::functions_are_shown(&rust_files(), NOT_SHOWN_YET));
}

#[test]
fn a_function_without_example_is_found() {
    let path = "crates/retrograde-array/src/a.rs";
    let check = |text: &str, expected: &[(usize, &str)]| {
        let offence = |(line, name): &(usize, &str)| format!("{path}:{line}: no example shows `{name}`");
        let expected = expected.iter().map(offence).collect::<Vec<_>>();
        assert_eq!(tidy::functions_are_shown(&sample(path, text), &[]), expected, "{text}");
    };
    check("/// Adds.\npub fn add() {}\npub const fn sub() {}", &[(2, "add"), (3, "sub")]);
    check("pub(crate) fn add() {} fn sub() {} #[cfg(test)] pub fn mul() {}", &[]);
    // An example of its own, whatever attributes follow; a block of other text is none.
    check("/// ```\n/// assert!(f(1));\n/// ```\n#[inline]\npub fn add() {}", &[]);
    check("/// ```\n/// assert!(f(1));\n/// ```\nfn other() {}\npub fn add() {}", &[(5, "add")]);
    check("//! ```text\n//! add(1)\n//! ```\npub fn add() {}", &[(4, "add")]);
    // By name in another example of the file: called or reached by a path, not only imported or mentioned.
    let shown =
        |line: &str| format!("/// ```\n/// {line}\n/// ```\nstruct S;\nimpl S {{ pub fn add() {{}} }}");
    check(&shown("assert_eq!(s.add(1), 2);"), &[]);
    check(&shown("assert_eq!(s.add::<f64>(1), 2);"), &[]);
    check(&shown("assert_eq!(of(S::add), 2);"), &[]);
    check(&shown("use a::{add, sub};"), &[(5, "add")]);
    check(&shown("let add = madd(1);"), &[(5, "add")]);
    // Methods of public traits, and functions made by macros, which stand in documented rows.
    check("pub trait T { fn add(); }\ntrait U { fn sub(); }", &[(1, "add")]);
    let made = "macro_rules! make { ($($(#[$d:meta])* $f:ident;)*) => { $($(#[$d])* pub fn $f() {})* } }\n";
    let rows =
        "make! {\n/// Adds.\nadd;\n/// Subtracts.\nsub;\n}\n/// ```\n/// assert!(sub());\n/// ```\nfn a() {}";
    check(&format!("{made}{rows}"), &[(4, "add")]);
    let own_docs = "macro_rules! make { ($f:ident) => { #[doc = \"Adds.\"] pub fn $f() {} } }";
    check(own_docs, &[(1, "$")]);
    check(&own_docs.replace("Adds.", "```\\nf();\\n```"), &[]);

    let file = sample(path, "pub fn add() {}");
    are(tidy::functions_are_shown(&file, &["crates/retrograde-array/src/a.rs"]), &[]);
    let stale = ["crates/retrograde-core/: everything is shown, take it off the list"];
    are(tidy::functions_are_shown(&file, &["crates/retrograde-array/", "crates/retrograde-core/"]), &stale);
    are(tidy::functions_are_shown(&sample("crates/retrograde-cli/src/a.rs", "pub fn add() {}"), &[]), &[]);
}

#[test]
fn one_test_command_everywhere() {
    let files = [".ci/run", "README.md"].into_iter().filter_map(existing).collect::<Vec<_>>();
    none(tidy::test_command(&files));
}

#[test]
fn another_test_command_is_found() {
    let offence = ["README.md: no line `cargo test --workspace`"];
    are(tidy::test_command(&sample("README.md", "cargo test --workspace --release\n")), &offence);
    are(tidy::test_command(&sample("README.md", "```\ncargo test --workspace\n```\n")), &[]);
}

/// The rows of the catalogue, group by group.
fn rows_of_the_catalogue() -> Vec<Vec<Row<'static>>> {
    let complete = |source: &&retrograde_tricks::catalogue::Source| {
        let texts = [source.authors, source.title, source.venue];
        texts.iter().all(|text| !text.is_empty()) && (1600..2100).contains(&source.year)
    };
    let row = |trick: &'static retrograde_tricks::catalogue::Trick| Row {
        id: trick.id,
        name: trick.name,
        formula: trick.formula,
        n_sources: if trick.cite.iter().all(|source| complete(&source)) { trick.cite.len() } else { 0 },
        file: trick.file,
        example: trick.example,
        claim: trick.property.claim,
        test: trick.property.test,
        found: trick.property.found,
    };
    retrograde_tricks::catalogue::ALL.iter().map(|rows| rows.iter().map(row).collect()).collect()
}

/// Tricks that are on their way.
const WAITING: &[&str] = &[];

/// Rows that do not say yet what their test finds.
const WITHOUT_FIGURE: &[&str] = &[];

#[test]
fn every_trick_is_held_to_the_tree() {
    none(catalogue::rows_are_held_to_the_tree(&rows_of_the_catalogue(), &rust_files(), WITHOUT_FIGURE));
}

#[test]
fn the_catalogue_and_the_folders_agree() {
    none(catalogue::folders_agree(
        &rows_of_the_catalogue(),
        retrograde_tricks::catalogue::WITHOUT_ROW,
        &rust_files(),
    ));
}

#[test]
fn every_trick_of_the_list_is_there_or_has_a_reason() {
    let reasons = retrograde_tricks::catalogue::NOT_BUILT.iter().map(|trick| (trick.id, trick.reason));
    none(catalogue::the_list_is_complete(&rows_of_the_catalogue(), &reasons.collect::<Vec<_>>(), WAITING));
}

#[test]
fn a_row_that_the_tree_does_not_bear_out_is_found() {
    let path = "crates/retrograde-tricks/src/update/a.rs";
    let text = "/// Adds.\n/// ```\n/// assert_eq!(add(1), 2);\n/// ```\npub fn add() {}\npub fn sub() {}\n#[test]\nfn adds() {}";
    let good = Row {
        id: "E1",
        name: "n",
        formula: "f",
        n_sources: 1,
        file: path,
        example: "add",
        claim: "c",
        test: "adds",
        found: "x",
    };
    let check = |row: Row<'_>, expected: &[&str]| {
        let expected =
            expected.iter().map(|what| format!("{} {}: {what}", row.id, row.file)).collect::<Vec<_>>();
        assert_eq!(catalogue::rows_are_held_to_the_tree(&[vec![row]], &sample(path, text), &[]), expected);
    };
    check(good.clone(), &[]);
    check(Row { id: "e1", ..good.clone() }, &["the id is not a letter and a number"]);
    check(Row { id: "E", ..good.clone() }, &["the id is not a letter and a number"]);
    check(Row { name: "", ..good.clone() }, &["has no name"]);
    check(Row { formula: " ", ..good.clone() }, &["has no formula"]);
    check(Row { n_sources: 0, ..good.clone() }, &["has no citation"]);
    check(Row { claim: "", found: "", ..good.clone() }, &["has no claim", "has no figure"]);
    check(Row { test: "add", ..good.clone() }, &["there is no test `add`"]);
    check(Row { file: "gone.rs", ..good.clone() }, &["there is no such file"]);
    check(Row { example: "mul", ..good.clone() }, &["the file has no item `mul`"]);
    check(Row { example: "sub", ..good.clone() }, &["no example in the file shows `sub`"]);
    let waits = |found| {
        let rows = vec![Row { found, ..good.clone() }];
        catalogue::rows_are_held_to_the_tree(&[rows], &sample(path, text), &["E1"])
    };
    are(waits(""), &[]);
    are(waits("x"), &[&format!("E1 {path}: has a figure, take it off the list")]);
    let two = |first: &'static str, second: &'static str| {
        let rows = vec![Row { id: first, ..good.clone() }, Row { id: second, ..good.clone() }];
        catalogue::rows_are_held_to_the_tree(&[rows], &sample(path, text), &[])
    };
    are(two("E1", "E2"), &[]);
    are(two("E10", "E9"), &[&format!("E9 {path}: stands behind E10")]);
    are(two("E1", "E1"), &[&format!("E1 {path}: another row has this id")]);
}

#[test]
fn a_folder_that_disagrees_with_the_catalogue_is_found() {
    let path = "crates/retrograde-tricks/src/update/a.rs";
    let row = Row {
        id: "E1",
        name: "",
        formula: "",
        n_sources: 0,
        file: path,
        example: "",
        claim: "",
        test: "",
        found: "",
    };
    let one = [vec![row]];
    let check = |rows: &[Vec<Row<'_>>], without: &[(&str, &str)], text: &str, expected: &[&str]| {
        are(catalogue::folders_agree(rows, without, &sample(path, text)), expected);
    };
    check(&one, &[], "pub const A: Trick = Trick {};", &[]);
    check(&[], &[(path, "shared")], "", &[]);
    check(&[], &[], "", &[&format!("{path}: has no row in the catalogue and no reason in WITHOUT_ROW")]);
    check(&[], &[(path, "")], "", &[&format!("{path}: its reason in WITHOUT_ROW is empty")]);
    check(&one, &[(path, "shared")], "", &[&format!("{path}: has a row; take it out of WITHOUT_ROW")]);
    let two = "pub const A: Trick = Trick {}; pub const B: Trick = Trick {};";
    check(&one, &[], two, &[&format!("{path}: declares 2 rows, of which the catalogue lists 1")]);
    check(&one, &[("gone.rs", "x")], "", &["gone.rs: stands in WITHOUT_ROW and is not there"]);
    are(catalogue::folders_agree(&[], &[], &sample("crates/retrograde-tricks/src/update/mod.rs", "")), &[]);
}

#[test]
fn a_trick_that_is_missing_from_the_list_is_found() {
    let row = |id| Row {
        id,
        name: "",
        formula: "",
        n_sources: 0,
        file: "",
        example: "",
        claim: "",
        test: "",
        found: "",
    };
    let all = |letters: &[(char, u32)]| {
        let ids = letters.iter().flat_map(|(letter, n)| (1..=*n).map(move |n| format!("{letter}{n}")));
        ids.map(|id| row(&*id.leak())).collect::<Vec<_>>()
    };
    let built = [all(&[('A', 21), ('B', 22), ('C', 17), ('D', 20), ('E', 17)])];
    let scale = (1..=10).map(|n| (&*format!("F{n}").leak(), "later")).collect::<Vec<(&str, &str)>>();
    let check = |rows: &[Vec<Row<'_>>], reasons: &[(&str, &str)], waiting: &[&str], expected: &[&str]| {
        are(catalogue::the_list_is_complete(rows, reasons, waiting), expected);
    };
    check(&built, &scale, &[], &[]);
    check(&built, &scale[1..], &[], &["F1: has no row and no reason in NOT_BUILT"]);
    check(&built, &scale[1..], &["F1"], &[]);
    check(&built, &scale, &["A1"], &["A1: is there, take it off the list"]);
    let with = |extra: (&'static str, &'static str)| [&scale[..], &[extra]].concat();
    check(&built, &with(("C3", "patent")), &[], &["C3: has a row and stands in NOT_BUILT"]);
    check(&built, &with(("G1", "?")), &[], &["G1: is not on the list"]);
    check(&built, &[&scale[1..], &[("F1", "")]].concat(), &[], &["F1: stands in NOT_BUILT without a reason"]);
}
