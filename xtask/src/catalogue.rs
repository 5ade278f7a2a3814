//! The rules of the catalogue: a row for each trick, and each row held to the tree. Pure functions, as those of [`tidy`](crate::tidy).

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{SourceFile, Token, reads};
use crate::tidy::test_names;

/// What a row of the catalogue says.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// A letter and a number.
    pub id: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// In a line.
    pub formula: &'a str,
    /// How many sources it has that say author, title, venue and year.
    pub n_sources: usize,
    /// Where it lies.
    pub file: &'a str,
    /// The item there whose documentation shows it.
    pub example: &'a str,
    /// What is asserted of it.
    pub claim: &'a str,
    /// The test that does.
    pub test: &'a str,
    /// What the test finds.
    pub found: &'a str,
}

/// The folders of the groups.
const FOLDERS: [&str; 5] = ["primal", "adjoint", "estimate", "update", "scale"];

/// Each row is complete: it has an id of its own, a name, a formula, a source, an item that its file shows in an example, and a test
/// that asserts its property; `groups` are the rows as they are listed, group by group, where they stand in order. Rows in
/// `without_figure` need not say yet what their test finds, and must leave that list when they do.
pub fn rows_are_held_to_the_tree(
    groups: &[Vec<Row<'_>>],
    files: &[SourceFile],
    without_figure: &[&str],
) -> Vec<String> {
    let mut offences = vec![];
    let mut tests = BTreeSet::new();
    for file in files {
        match file.tokens() {
            Ok(tokens) => tests.extend(test_names(&tokens)),
            Err(error) => offences.push(error),
        }
    }
    let mut ids = BTreeSet::new();
    for group in groups {
        let numbers = group.iter().map(|row| number(row.id)).collect::<Vec<_>>();
        for (at, row) in group.iter().enumerate() {
            let mut offend = |what: String| offences.push(format!("{} {}: {what}", row.id, row.file));
            if numbers[at].is_none() {
                offend("the id is not a letter and a number".into());
            }
            if at > 0 && numbers[at] < numbers[at - 1] {
                offend(format!("stands behind {}", group[at - 1].id));
            }
            if !ids.insert(row.id) {
                offend("another row has this id".into());
            }
            for (what, text) in [("name", row.name), ("formula", row.formula), ("claim", row.claim)] {
                if text.trim().is_empty() {
                    offend(format!("has no {what}"));
                }
            }
            match (row.found.trim().is_empty(), without_figure.contains(&row.id)) {
                (true, false) => offend("has no figure".into()),
                (false, true) => offend("has a figure, take it off the list".into()),
                _ => {}
            }
            if row.n_sources == 0 {
                offend("has no citation".into());
            }
            if !tests.contains(row.test) {
                offend(format!("there is no test `{}`", row.test));
            }
            match files.iter().find(|file| file.path == row.file) {
                None => offend("there is no such file".into()),
                Some(file) if !has_item(file, row.example) => {
                    offend(format!("the file has no item `{}`", row.example))
                }
                Some(file) if !is_shown(file, row.example) => {
                    offend(format!("no example in the file shows `{}`", row.example))
                }
                Some(_) => {}
            }
        }
    }
    offences
}

/// The letter and the number of an id.
fn number(id: &str) -> Option<(char, u32)> {
    let letter = id.chars().next().filter(char::is_ascii_uppercase)?;
    Some((letter, id.get(1..)?.parse().ok()?))
}

/// The file has a function, a type, a trait or a constant of this name.
fn has_item(file: &SourceFile, name: &str) -> bool {
    let is_item = |code: &[Token], at: usize| {
        ["fn", "struct", "enum", "trait", "const", "type"].iter().any(|kind| reads(code, at, &[kind, name]))
    };
    file.code().is_ok_and(|code| (0..code.len()).any(|at| is_item(&code, at)))
}

/// A fenced example of the file's documentation has the word.
fn is_shown(file: &SourceFile, name: &str) -> bool {
    let mut fence = false;
    for line in file.text.lines().map(str::trim_start) {
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            fence = false;
            continue;
        };
        if doc.trim_start().starts_with("```") {
            fence = !fence;
        } else if fence && has_word(doc, name) {
            return true;
        }
    }
    false
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Each file of the groups' folders has a row or stands in `without_row`, and not both; and each row that a file declares, `const X: Trick`,
/// is in the catalogue.
pub fn folders_agree(
    groups: &[Vec<Row<'_>>],
    without_row: &[(&str, &str)],
    files: &[SourceFile],
) -> Vec<String> {
    let mut offences = vec![];
    let mut n_rows = BTreeMap::<&str, usize>::new();
    groups.iter().flatten().for_each(|row| *n_rows.entry(row.file).or_default() += 1);
    let reasons = without_row.iter().copied().collect::<BTreeMap<_, _>>();
    let in_groups = |file: &&SourceFile| {
        let inside = file.path.strip_prefix("crates/retrograde-tricks/src/");
        inside.is_some_and(|inside| FOLDERS.iter().any(|folder| inside.starts_with(&format!("{folder}/"))))
    };
    for file in files.iter().filter(in_groups) {
        let path = file.path.as_str();
        let code = match file.code() {
            Ok(code) => code,
            Err(error) => {
                offences.push(error);
                continue;
            }
        };
        let starts = |at: usize| code[at].text == "const" && reads(&code, at + 2, &[":", "Trick", "="]);
        let n_declared = (0..code.len()).filter(|at| starts(*at)).count();
        let n_listed = n_rows.get(path).copied().unwrap_or(0);
        // Rows of what another crate holds stand in a file without a row of its own.
        if n_declared > n_listed && !reasons.contains_key(path) {
            offences
                .push(format!("{path}: declares {n_declared} rows, of which the catalogue lists {n_listed}"));
        }
        if path.ends_with("/mod.rs") {
            continue;
        }
        match (n_listed, reasons.get(path).copied()) {
            (0, None) => {
                offences.push(format!("{path}: has no row in the catalogue and no reason in WITHOUT_ROW"))
            }
            (0, Some("")) => offences.push(format!("{path}: its reason in WITHOUT_ROW is empty")),
            (0, Some(_)) | (_, None) => {}
            (_, Some(_)) => offences.push(format!("{path}: has a row; take it out of WITHOUT_ROW")),
        }
    }
    let gone = without_row.iter().filter(|(path, _)| files.iter().all(|file| file.path != *path));
    offences.extend(gone.map(|(path, _)| format!("{path}: stands in WITHOUT_ROW and is not there")));
    offences
}

/// Every trick of the list, A1 to F10, has a row or stands in `not_built` with a reason, and not both; `waiting` are those that a group still
/// owes, which it must leave when they are there.
pub fn the_list_is_complete(
    groups: &[Vec<Row<'_>>],
    not_built: &[(&str, &str)],
    waiting: &[&str],
) -> Vec<String> {
    /// How many tricks each group of the list has.
    const SIZES: [(char, u32); 6] = [('A', 21), ('B', 22), ('C', 17), ('D', 20), ('E', 17), ('F', 10)];
    let mut offences = vec![];
    let rows = groups.iter().flatten().map(|row| row.id).collect::<BTreeSet<_>>();
    let reasons = not_built.iter().copied().collect::<BTreeMap<_, _>>();
    for (letter, size) in SIZES {
        for n in 1..=size {
            let id = format!("{letter}{n}");
            let (is_row, reason, waits) = (
                rows.contains(id.as_str()),
                reasons.get(id.as_str()).copied(),
                waiting.contains(&id.as_str()),
            );
            match (is_row, reason) {
                (true, Some(_)) => offences.push(format!("{id}: has a row and stands in NOT_BUILT")),
                (false, Some("")) => offences.push(format!("{id}: stands in NOT_BUILT without a reason")),
                (false, None) if !waits => {
                    offences.push(format!("{id}: has no row and no reason in NOT_BUILT"))
                }
                (true, None) | (false, Some(_)) if waits => {
                    offences.push(format!("{id}: is there, take it off the list"))
                }
                _ => {}
            }
        }
    }
    let is_known = |id: &str| {
        number(id)
            .is_some_and(|(letter, n)| SIZES.iter().any(|(l, size)| *l == letter && (1..=*size).contains(&n)))
    };
    let strange = rows.iter().chain(reasons.keys()).filter(|id| !is_known(id));
    offences.extend(strange.map(|id| format!("{id}: is not on the list")));
    offences
}
