//! The shape of every message about a user's file: what was found and expected, where, what to try.
//!
//! ```text
//! error: found 3 fields, expected 4 as in line 1
//!   --> flowers.csv:7
//!   help: write the missing field, or put text with commas in quotes
//! ```

use std::fmt;

/// One message in that shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// What was found and what was expected.
    pub message: String,
    /// The file, with line and column where there are any.
    pub place: String,
    /// What to try.
    pub help: Option<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  --> {}", self.message, self.place)?;
        self.help.iter().try_for_each(|help| write!(f, "\n  help: {help}"))
    }
}

/// User text for one line of a message: escaped, and cut where it is long.
pub(crate) fn short(text: &str) -> String {
    cut(text, 40)
}

/// What another library says of a file, in which there may be text of the file: escaped, and cut where it is very long.
pub(crate) fn one_line(text: &str) -> String {
    cut(text, 300)
}

fn cut(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars();
    let start = chars.by_ref().take(max_chars).flat_map(char::escape_debug).collect::<String>();
    if chars.next().is_some() { start + "…" } else { start }
}

/// The known names in the order of their likeness to `found`, those that share little left out.
pub(crate) fn near_misses<'a>(found: &str, known: &[&'a str]) -> Vec<&'a str> {
    /// Below this the names share little; chosen so that one wrong, missing or swapped letter is found in every key.
    const NEAR: f64 = 0.8;
    let mut near = known.iter().map(|name| (strsim::jaro_winkler(found, name), *name)).collect::<Vec<_>>();
    near.retain(|(similarity, _)| *similarity >= NEAR);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().map(|(_, name)| name).collect()
}

/// The names in quotes, with commas; only the first few of many.
pub(crate) fn list(names: &[&str], quote: char) -> String {
    const MAX_NAMES: usize = 20;
    let shown = names.iter().take(MAX_NAMES).map(|name| format!("{quote}{}{quote}", short(name)));
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES {
        shown += &format!(" and {} more", names.len() - MAX_NAMES);
    }
    shown
}
