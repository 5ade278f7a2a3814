//! Tables of numbers in CSV files, read in one pass.
//!
//! The separator is the one of `,` `;` and tab that the first line holds most of. The first line is a header when none of
//! its fields is a number. Numbers are as Rust reads them, with spaces around them.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use super::number::number;
use super::records::{Record, Records};
use super::target::TargetColumn;
use super::{DataError, MAX_VALUES, gzip, refuse_constants};
use crate::choice::choice;
use crate::diagnosis::{list, near_misses, short};

choice! {
    /// Whether the first line of a CSV file names the columns.
    Header {
        /// If none of its fields is a number.
        Auto = "auto",
        /// It does.
        Yes = "yes",
        /// It does not; the columns are named `1`, `2` and so on.
        No = "no",
    }
}

/// What stands for a missing value.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"];

/// Columns that are taken for the target when none is named.
const USUAL_TARGETS: [&str; 4] = ["label", "target", "class", "y"];

/// A place in a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub file: String,
    pub line: u64,
    /// The number, counted from 1, and the name.
    pub column: Option<(usize, String)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.column {
            Some((number, name)) if number.to_string() == *name => write!(f, ", column {number}"),
            Some((number, name)) => write!(f, ", column {number} (`{}`)", short(name)),
            None => Ok(()),
        }
    }
}

/// What a column is read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Feature(usize),
    Target,
    Ignored,
}

/// The columns that are wanted.
pub(crate) enum Wanted<'a> {
    /// All, one of them the target, by its name or its number; a usual one where it is not said.
    Training { target: Option<&'a str> },
    /// These, by name where there is a header; the target may be among them and is not looked at.
    Prediction { features: &'a [String], target: &'a str },
}

/// A table of numbers.
pub(crate) struct Table {
    /// Of the features.
    pub names: Vec<String>,
    pub header: bool,
    /// Row-major.
    pub features: Vec<f32>,
    /// Its name and the column itself, when training.
    pub target: Option<(String, TargetColumn)>,
}

/// Reads a table.
///
/// # Errors
/// No row; rows of other lengths than the first; values that are missing or no finite numbers; columns that are missing,
/// named twice or, when training, constant.
pub(crate) fn load(path: &Path, header: Header, wanted: &Wanted<'_>) -> Result<Table, DataError> {
    read(gzip::open(path)?, path, header, wanted)
}

pub(crate) fn read(
    mut source: impl BufRead,
    path: &Path,
    header: Header,
    wanted: &Wanted<'_>,
) -> Result<Table, DataError> {
    let file = path.display().to_string();
    let io = |error| DataError::io(path, &error);
    let delimiter = delimiter(source.fill_buf().map_err(io)?);
    let mark = b"\xef\xbb\xbf"; // the byte order mark that some spreadsheets write
    if source.fill_buf().map_err(io)?.starts_with(mark) {
        source.consume(mark.len());
    }
    let mut records = Records::new(source, delimiter);
    let mut record = Record::default();
    if !records.read(&mut record).map_err(io)? {
        return Err(DataError::new(
            "the file is empty",
            &file,
            "name a CSV file with one row for each example",
        ));
    }
    let has_header = is_header(&record, header, &file)?;
    let all = names(&record, has_header, &file)?;
    let (roles, names) = roles(&all, has_header, wanted, &file)?;
    let mut rows = Rows {
        file: &file,
        all: &all,
        roles: &roles,
        training: matches!(wanted, Wanted::Training { .. }),
        row: vec![0.0; names.len()],
        features: vec![],
        target: TargetColumn::default(),
        header_line: has_header.then_some(record.line),
    };
    if !has_header {
        rows.push(&record)?;
    }
    while records.read(&mut record).map_err(io)? {
        rows.push(&record)?;
    }
    if rows.features.is_empty() {
        let message = if has_header { "found a header and no row" } else { "found no row" };
        return Err(DataError::new(message, &file, "add one row for each example, or say `--header no`"));
    }
    if rows.training {
        refuse_constants(&rows.features, &names, &file)?;
    }
    let Rows { mut features, target, training, .. } = rows;
    features.shrink_to_fit();
    let target_idx = roles.iter().position(|role| *role == Role::Target).unwrap_or_default();
    let target = training.then(|| (all[target_idx].clone(), target));
    Ok(Table { names, header: has_header, features, target })
}

/// Rows as they are read.
struct Rows<'a> {
    file: &'a str,
    all: &'a [String],
    roles: &'a [Role],
    training: bool,
    row: Vec<f32>,
    features: Vec<f32>,
    target: TargetColumn,
    header_line: Option<u64>,
}

impl Rows<'_> {
    fn push(&mut self, record: &Record) -> Result<(), DataError> {
        let line = record.line;
        let place = |column: Option<usize>| Place {
            file: self.file.into(),
            line,
            column: column.map(|idx| (idx + 1, self.all[idx].clone())),
        };
        if record.len() != self.all.len() {
            let first =
                self.header_line.map_or("the first row".into(), |line| format!("the header in line {line}"));
            return Err(DataError::new(
                format!("found {} fields, expected {} as in {first}", record.len(), self.all.len()),
                place(None),
                "give every row one field for each column; text with separators in it needs quotes",
            ));
        }
        for (idx, (field, role)) in record.fields().zip(self.roles).enumerate() {
            if *role == Role::Ignored || (*role == Role::Target && !self.training) {
                continue;
            }
            let text = field.trim_ascii();
            let wrong = |message: String, help: &str| Err(DataError::new(message, place(Some(idx)), help));
            let number = number(text).filter(|number| number.is_finite());
            match (role, number) {
                (Role::Feature(position), Some(number)) => {
                    self.row[*position] = number;
                    continue;
                }
                (_, None) => {
                    let found = String::from_utf8_lossy(text);
                    if MISSING.contains(&&*found) {
                        let found = if found.is_empty() { "nothing".into() } else { format!("\"{found}\"") };
                        return wrong(
                            format!("a missing value: found {found}, expected a value in every field"),
                            "fill it in, or leave out the row or the column",
                        );
                    }
                    if std::str::from_utf8(text).is_err() || text.contains(&b'\n') {
                        return wrong(
                            format!("found the text \"{}\", expected UTF-8 on one line", short(&found)),
                            "look for a quote that is not closed, and save the file as UTF-8",
                        );
                    }
                    if *role != Role::Target {
                        let first = self.header_line.is_none() && self.features.is_empty();
                        return if found.parse::<f64>().is_ok() {
                            wrong(
                                format!(
                                    "found {}, expected a finite number that f32 can hold",
                                    short(&found)
                                ),
                                "scale the column, or correct the value",
                            )
                        } else if first {
                            wrong(
                                format!("found \"{}\" in the first row, expected a number", short(&found)),
                                "if the first line names the columns, say `--header yes`; otherwise write each \
                                 category as a number",
                            )
                        } else {
                            wrong(
                                format!("found \"{}\", expected a number", short(&found)),
                                "write each category as a number or as columns of 0 and 1, or leave out the column",
                            )
                        };
                    }
                }
                _ => {}
            }
            // The place is needed for the first text only; a copy of it for every row would cost more than the row.
            let place = if number.is_none() { place(Some(idx)) } else { Place::none() };
            self.target.push(text, number, &place);
        }
        if self.features.len() + self.row.len() > MAX_VALUES {
            return Err(DataError::new(
                format!("found more than {MAX_VALUES} values"),
                place(None),
                "divide the file, or leave out columns",
            ));
        }
        self.features.extend_from_slice(&self.row);
        Ok(())
    }
}

impl Place {
    fn none() -> Place {
        Place { file: String::new(), line: 0, column: None }
    }
}

fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    let mut best = b',';
    for delimiter in *b";\t" {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    best
}

fn is_number(field: &[u8]) -> bool {
    std::str::from_utf8(field.trim_ascii()).is_ok_and(|text| text.parse::<f64>().is_ok())
}

fn is_header(first: &Record, header: Header, file: &str) -> Result<bool, DataError> {
    match header {
        Header::Auto => Ok(!first.fields().any(is_number)),
        Header::No => Ok(false),
        Header::Yes if first.fields().all(is_number) => Err(DataError::new(
            "a header was asked for, and the first line holds nothing but numbers",
            format!("{file}:1"),
            "leave out `--header yes`, or add a line that names the columns",
        )),
        Header::Yes => Ok(true),
    }
}

fn names(first: &Record, has_header: bool, file: &str) -> Result<Vec<String>, DataError> {
    if !has_header {
        return Ok((1..=first.len()).map(|number| number.to_string()).collect());
    }
    let text = |field: &[u8]| String::from_utf8_lossy(field.trim_ascii()).into_owned();
    let names = first.fields().map(text).collect::<Vec<_>>();
    let line = first.line;
    let mut sorted = names.iter().enumerate().map(|(idx, name)| (name, idx)).collect::<Vec<_>>();
    sorted.sort();
    let twice = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).min_by_key(|pair| pair[1].1);
    let wrong = |message: String, idx: usize, help: &str| {
        let place = Place { file: file.into(), line, column: Some((idx + 1, names[idx].clone())) };
        Err(DataError::new(message, place, help))
    };
    if let Some(idx) = names.iter().position(String::is_empty) {
        return wrong(
            "a column without a name".into(),
            idx,
            "name it, or say `--header no` if the first line is a row",
        );
    }
    if let Some(pair) = twice {
        let (first, second) = (pair[0].1, pair[1].1);
        let message = format!("the name `{}` again, after column {}", short(&names[first]), first + 1);
        return wrong(message, second, "rename one of them");
    }
    Ok(names)
}

fn roles(
    all: &[String],
    has_header: bool,
    wanted: &Wanted<'_>,
    file: &str,
) -> Result<(Vec<Role>, Vec<String>), DataError> {
    let first_line = format!("{file}:1");
    match wanted {
        Wanted::Training { target } => {
            let target = target_of(all, has_header, *target, &first_line)?;
            let features = || (0..all.len()).filter(|&idx| idx != target);
            if all.len() < 2 {
                let what = format!(
                    "found one column, `{}`, expected a target and at least one other",
                    short(&all[0])
                );
                return Err(DataError::new(what, first_line, "separate columns by `,`, `;` or tab"));
            }
            let mut roles = vec![Role::Target; all.len()];
            features().enumerate().for_each(|(position, idx)| roles[idx] = Role::Feature(position));
            Ok((roles, features().map(|idx| all[idx].clone()).collect()))
        }
        Wanted::Prediction { features, target } => {
            let known = features.iter().map(String::as_str).collect::<Vec<_>>();
            if !has_header {
                // Columns by number: as when training, or those without the target.
                let with_target = all.len() == features.len() + 1 && target.parse::<usize>().is_ok();
                if all.len() != features.len() && !with_target {
                    return Err(DataError::new(
                        format!("found {} columns, expected {} as when training", all.len(), features.len()),
                        first_line,
                        "give the columns of the training data, in their order",
                    ));
                }
                let mut position = 0..;
                let role = |name: &String| match (with_target, name == target) {
                    (true, true) => Role::Target,
                    _ => position.next().map_or(Role::Ignored, Role::Feature),
                };
                return Ok((all.iter().map(role).collect(), features.to_vec()));
            }
            let mut roles = vec![];
            for (idx, name) in all.iter().enumerate() {
                match known.iter().position(|known| known == name) {
                    Some(position) => roles.push(Role::Feature(position)),
                    None if name == target => roles.push(Role::Target),
                    None => {
                        let place =
                            Place { file: file.into(), line: 1, column: Some((idx + 1, name.clone())) };
                        let near = near_misses(name, &known);
                        let help = match near.first() {
                            Some(near) => format!("did you mean `{}`? or leave the column out", short(near)),
                            None => format!("leave it out; the run was trained on {}", list(&known, '`')),
                        };
                        return Err(DataError::new("a column that the run was not trained on", place, help));
                    }
                }
            }
            let missing = known.iter().filter(|name| !all.iter().any(|found| found == *name)).copied();
            let missing = missing.collect::<Vec<_>>();
            if !missing.is_empty() {
                let message = format!("missing: {}, which the run was trained on", list(&missing, '`'));
                return Err(DataError::new(
                    message,
                    first_line,
                    "add the columns; their order does not matter",
                ));
            }
            Ok((roles, features.to_vec()))
        }
    }
}

/// The column of the target.
fn target_of(
    all: &[String],
    has_header: bool,
    target: Option<&str>,
    place: &str,
) -> Result<usize, DataError> {
    let known = all.iter().map(String::as_str).collect::<Vec<_>>();
    match target {
        Some(target) => known.iter().position(|name| *name == target).ok_or_else(|| {
            let near = near_misses(target, &known);
            let question =
                near.first().map(|near| format!("did you mean `{}`? ", short(near))).unwrap_or_default();
            let help = match has_header {
                true => format!("{question}the columns are {}", list(&known, '`')),
                false => format!("without a header, name it by its number, from 1 to {}", all.len()),
            };
            DataError::new(format!("there is no column `{}`", short(target)), place, help)
        }),
        None => {
            let usual = known
                .iter()
                .enumerate()
                .filter(|(_, name)| USUAL_TARGETS.contains(&name.to_ascii_lowercase().as_str()));
            let usual = usual.map(|(idx, _)| idx).collect::<Vec<_>>();
            match usual[..] {
                [only] => Ok(only),
                _ => {
                    let help = match has_header {
                        true => {
                            format!("name it with `--target COLUMN`; the columns are {}", list(&known, '`'))
                        }
                        false => format!(
                            "without a header, name it by its number, from 1 to {}, with `--target`",
                            all.len()
                        ),
                    };
                    Err(DataError::new("it is not clear which column is to be predicted", place, help))
                }
            }
        }
    }
}
