//! The target column of a table: classes or numbers, whichever the column makes clear.

use std::collections::HashMap;

use super::{DataError, Targets, Task, csv::Place};
use crate::diagnosis::short;

/// More classes than this are a mistake: a column of text, or of numbers that are no classes.
const MAX_CLASSES: usize = 1 << 12;
/// With no more distinct integers than this, and [`ROWS_PER_CLASS`] rows for each, they are taken as classes.
const FEW: usize = 20;
/// With more distinct integers than this they are taken as numbers.
const MANY: usize = 200;
/// See [`FEW`].
const ROWS_PER_CLASS: usize = 5;

/// A column as it is read.
#[derive(Default)]
pub(crate) struct TargetColumn {
    distinct: HashMap<Vec<u8>, u32>,
    /// The distinct texts by number; no longer kept once there are more than [`MAX_CLASSES`].
    ids: Vec<u32>,
    too_many: bool,
    /// As long as each text is a number.
    values: Vec<f32>,
    n_rows: usize,
    /// The first text that is no number.
    text: Option<(String, Place)>,
    /// The first number that is no integer.
    fraction: bool,
}

impl TargetColumn {
    /// Adds the target of the next row; `number` is what its text stands for, if it does for a number.
    pub(crate) fn push(&mut self, text: &[u8], number: Option<f32>, place: &Place) {
        self.n_rows += 1;
        match number {
            Some(number) => {
                self.fraction |= number.fract() != 0.0;
                if self.text.is_none() {
                    self.values.push(number);
                }
            }
            None if self.text.is_none() => {
                self.text = Some((short(&String::from_utf8_lossy(text)), place.clone()));
                self.values = vec![];
            }
            None => {}
        }
        if self.too_many {
            return;
        }
        if let Some(&id) = self.distinct.get(text) {
            return self.ids.push(id);
        }
        let id = self.distinct.len();
        if id == MAX_CLASSES {
            self.too_many = true;
            (self.ids, self.distinct) = (vec![], HashMap::new());
        } else {
            self.distinct.insert(text.to_vec(), id as u32);
            self.ids.push(id as u32);
        }
    }

    /// The column as targets of the task, or of the task that is clear.
    ///
    /// # Errors
    /// Text where numbers are asked for; one class, or far too many; a constant; integers that may be either.
    pub(crate) fn finish(self, task: Task, file: &str, name: &str) -> Result<Targets, DataError> {
        let column = format!("column `{}`", short(name));
        let wrong = |message: String, help: &str| Err(DataError::new(message, file, help));
        let is_class = match task {
            Task::Classification => true,
            Task::Regression => false,
            Task::Auto if self.text.is_some() => true,
            Task::Auto if self.fraction || self.too_many => false,
            Task::Auto => {
                let n_distinct = n_values(&self.distinct);
                let few = n_distinct <= FEW && self.n_rows >= ROWS_PER_CLASS * n_distinct;
                if !few && n_distinct <= MANY {
                    return wrong(
                        format!(
                            "{column} holds {n_distinct} different integers in {} rows: classes or quantities?",
                            self.n_rows
                        ),
                        "say `--task classification` or `--task regression`",
                    );
                }
                few
            }
        };
        if !is_class {
            if let Some((text, place)) = self.text {
                return Err(DataError::new(
                    format!("found the target \"{text}\", expected a number"),
                    place,
                    "correct the value, or say `--task classification`",
                ));
            }
            if self.values.iter().all(|&value| value == self.values[0]) {
                return wrong(
                    format!("{column} is {} in every row: there is nothing to learn", self.values[0]),
                    "name another column with `--target`",
                );
            }
            return Ok(Targets::Values(self.values));
        }
        if self.too_many {
            return wrong(
                format!("{column} holds more than {MAX_CLASSES} different classes"),
                "name another column with `--target`, or say `--task regression` if it holds quantities",
            );
        }
        let (labels, names) = classes(&self.ids, self.distinct, self.text.is_none());
        if names.len() < 2 {
            return wrong(
                format!("{column} holds one class, \"{}\": there is nothing to learn", short(&names[0])),
                "name another column with `--target`",
            );
        }
        Ok(Targets::Classes { labels, names })
    }
}

/// Different numbers among texts: `1` and `1.0` are one.
fn n_values(distinct: &HashMap<Vec<u8>, u32>) -> usize {
    let number = |text: &Vec<u8>| std::str::from_utf8(text).ok()?.parse::<f32>().ok();
    let mut numbers = distinct.keys().filter_map(number).collect::<Vec<_>>();
    numbers.sort_by(f32::total_cmp);
    numbers.dedup();
    numbers.len()
}

/// Numbers the classes in the order of their names, or of the numbers that they are.
fn classes(ids: &[u32], distinct: HashMap<Vec<u8>, u32>, are_numbers: bool) -> (Vec<u32>, Vec<String>) {
    let mut texts = vec![String::new(); distinct.len()];
    // The order of the map does not matter: each text goes to its own place.
    #[allow(clippy::iter_over_hash_type, reason = "each entry goes to its own place")]
    for (text, id) in distinct {
        texts[id as usize] = String::from_utf8_lossy(&text).into_owned();
    }
    let number = |text: &str| text.parse::<f32>().unwrap_or(f32::NAN);
    let mut order: Vec<usize> = (0..texts.len()).collect();
    if are_numbers {
        order.sort_by(|&a, &b| number(&texts[a]).total_cmp(&(number(&texts[b]))).then(a.cmp(&b)));
    } else {
        order.sort_by(|&a, &b| texts[a].cmp(&texts[b]));
    }
    let mut names = Vec::<String>::new();
    let mut label_of = vec![0; texts.len()];
    for id in order {
        // `1`, `1.0` and `01` are one class.
        let same = |name: &String| are_numbers && number(name) == number(&texts[id]);
        if !names.last().is_some_and(same) {
            names.push(texts[id].clone());
        }
        label_of[id] = names.len() as u32 - 1;
    }
    (ids.iter().map(|&id| label_of[id as usize]).collect(), names)
}

/// Labels that are integers already, as classes in ascending order.
///
/// # Errors
/// One class only.
pub(crate) fn byte_classes(bytes: &[u8], file: &str) -> Result<Targets, DataError> {
    let mut present = [false; 256];
    bytes.iter().for_each(|&label| present[usize::from(label)] = true);
    let mut label_of = [0; 256];
    let mut names = vec![];
    for label in (0..256).filter(|&label| present[label]) {
        label_of[label] = names.len() as u32;
        names.push(label.to_string());
    }
    if names.len() < 2 {
        return Err(DataError::new(
            format!("every label is {}: there is nothing to learn", names.join("")),
            file,
            "name a file of labels with at least two classes",
        ));
    }
    Ok(Targets::Classes { labels: bytes.iter().map(|&label| label_of[usize::from(label)]).collect(), names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(texts: &[&str], task: Task) -> Result<Targets, DataError> {
        let mut column = TargetColumn::default();
        for (line, text) in (2..).zip(texts) {
            let place = Place { file: "t.csv".into(), line, column: None };
            column.push(text.as_bytes(), text.parse().ok(), &place);
        }
        column.finish(task, "t.csv", "y")
    }

    fn classes_of(texts: &[&str], task: Task) -> (Vec<u32>, Vec<String>) {
        match finish(texts, task) {
            Ok(Targets::Classes { labels, names }) => (labels, names),
            other => panic!("found {other:?}, expected classes"),
        }
    }

    #[test]
    fn the_column_makes_the_task_clear() {
        assert_eq!(classes_of(&["b", "a", "b"], Task::Auto).0, [1, 0, 1]);
        let (labels, names) =
            classes_of(&["10", "9", "10", "9.0", "9", "10", "9", "9", "10", "10"], Task::Auto);
        assert_eq!((names, &labels[..4]), (vec!["9".into(), "10".into()], &[1, 0, 1, 0][..]));
        assert_eq!(finish(&["1.5", "2"], Task::Auto).unwrap(), Targets::Values(vec![1.5, 2.0]));
        let many = (0..300).map(|i| i.to_string()).collect::<Vec<_>>();
        let many = many.iter().map(String::as_str).collect::<Vec<_>>();
        assert!(matches!(finish(&many, Task::Auto), Ok(Targets::Values(_))));
        assert!(matches!(finish(&many[..100], Task::Regression), Ok(Targets::Values(_))));
        assert_eq!(classes_of(&many[..100], Task::Classification).1.len(), 100);
    }

    #[test]
    fn columns_that_cannot_be_learned_say_why() {
        let check = |texts: &[&str], task, expected: &str| {
            assert_eq!(finish(texts, task).unwrap_err().0.message, expected);
        };
        check(
            &["1", "2"],
            Task::Auto,
            "column `y` holds 2 different integers in 2 rows: classes or quantities?",
        );
        check(&["1", "x"], Task::Regression, "found the target \"x\", expected a number");
        check(&["1.5", "1.5"], Task::Auto, "column `y` is 1.5 in every row: there is nothing to learn");
        check(&["x", "x"], Task::Auto, "column `y` holds one class, \"x\": there is nothing to learn");
        let many = (0..5000).map(|i| format!("id-{i}")).collect::<Vec<_>>();
        let many = many.iter().map(String::as_str).collect::<Vec<_>>();
        check(&many, Task::Auto, "column `y` holds more than 4096 different classes");
    }
}
