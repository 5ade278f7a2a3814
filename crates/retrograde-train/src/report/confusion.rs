//! Which classes are taken for which.

use std::fmt::Write;

use super::html::escape;

/// More classes than this do not fit a table that is read.
const MAX_CLASSES: usize = 20;
/// Lines in the list that stands in its place.
const MAX_LINES: usize = 20;

/// Counts, rows by the true class and columns by the predicted one.
pub(crate) fn matrix(n_classes: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; n_classes]; n_classes];
    pairs.for_each(|(expected, found)| counts[expected][found] += 1);
    counts
}

/// The table or, for many classes, the most frequent confusions.
pub(crate) fn section(names: &[String], counts: &[Vec<usize>]) -> String {
    if names.len() > MAX_CLASSES { list(names, counts) } else { table(names, counts) }
}

fn table(names: &[String], counts: &[Vec<usize>]) -> String {
    let mut out = String::from("<div class=\"wide matrix\"><table><thead><tr><th></th>");
    names.iter().for_each(|name| {
        let name = escape(name);
        let _ = write!(out, "<th title=\"{name}\">{name}</th>");
    });
    out += "<th>right</th></tr></thead>\n<tbody>";
    for (class, row) in counts.iter().enumerate() {
        let sum: usize = row.iter().sum();
        let name = escape(&names[class]);
        let _ = write!(out, "<tr><th title=\"{name}\">{name}</th>");
        for &count in row {
            let _ = match count {
                0 => write!(out, "<td class=\"zero\">0</td>"),
                // From 0.12, so that a single mistake is seen.
                _ => {
                    let shade = 0.12 + 0.5 * count as f64 / sum as f64;
                    write!(out, "<td style=\"background:rgba(var(--cell),{shade:.2})\">{count}</td>")
                }
            };
        }
        let share =
            if sum == 0 { "–".into() } else { format!("{:.1} %", 100.0 * row[class] as f64 / sum as f64) };
        let _ = writeln!(out, "<td>{share}</td></tr>");
    }
    out + "</tbody></table></div>\n"
}

fn list(names: &[String], counts: &[Vec<usize>]) -> String {
    let cells = counts.iter().enumerate().flat_map(|(expected, row)| {
        row.iter().enumerate().map(move |(found, &count)| (count, expected, found))
    });
    let mut wrong =
        cells.filter(|(count, expected, found)| *count > 0 && expected != found).collect::<Vec<_>>();
    wrong.sort_by_key(|&(count, expected, found)| (usize::MAX - count, expected, found));
    let mut out = format!(
        "<p class=\"note\">The most frequent of {} confusions between {} classes.</p>\n<div class=\"wide\"><table><thead><tr><th>true</th><th>predicted</th><th>rows</th></tr></thead>\n<tbody>",
        wrong.len(),
        names.len()
    );
    for (count, expected, found) in wrong.into_iter().take(MAX_LINES) {
        let (expected, found) = (escape(&names[expected]), escape(&names[found]));
        let _ = writeln!(out, "<tr><th>{expected}</th><td>{found}</td><td>{count}</td></tr>");
    }
    out + "</tbody></table></div>\n"
}
