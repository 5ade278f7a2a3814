//! What a tape held, drawn: a bar for each source line, in the colours of the policies.

use std::fmt::Write;

use retrograde_core::tape::{Tape, TapeReport};

use super::html::escape;

/// In units of the drawing, whose font is 11 units: readable at the width of a phone.
const WIDTH: f64 = 360.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = 8.0;
/// A line of text and a bar.
const ROW: f64 = 32.0;
const BAR: f64 = 10.0;
/// A line of the legend.
const KEY: f64 = 16.0;
/// Lines with a bar of their own; the others share one.
const MAX_ROWS: usize = 20;
/// Letters that fit beside the bytes, at 6 units each.
const MAX_LETTERS: usize = 44;

/// Colours of `style.css`, under names that cannot meet those of a page around the drawing.
const STYLE: &str = "<style>
.tape { --paper: #fff; --ink: #1a1a1a; --soft: #5c5c5c; --store: #0072b2; --recompute: #009e73; --checkpoint: #d55e00; --reverse: #b5569a; --quantise: #8a7300; }
@media (prefers-color-scheme: dark) {
  .tape { --paper: #15171a; --ink: #e8e8e6; --soft: #a3a6aa; --store: #56b4e9; --recompute: #2fc79a; --checkpoint: #f08a3c; --reverse: #dd8fc3; --quantise: #e3c84a; }
}
.tape text { font: 11px system-ui, sans-serif; fill: var(--ink); }
.tape .tape-bytes { fill: var(--soft); }
.tape-paper { fill: var(--paper); }
.tape-store { fill: var(--store); } .tape-recompute { fill: var(--recompute); }
.tape-checkpoint { fill: var(--checkpoint); } .tape-reverse { fill: var(--reverse); } .tape-quantise { fill: var(--quantise); }
</style>
";

/// The drawing as a file of its own: one SVG that loads nothing, 360 units wide, for light and dark surroundings.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_train::report::tape_svg;
/// let slope = grad(|x: Var| x.sin().sum());
/// slope.call(&array([1.0, 2.0]))?;
/// let svg = tape_svg(&slope.last_tape());
/// assert!(svg.starts_with("<svg xmlns=") && svg.contains("class=\"tape-store\"") && svg.contains("16 B"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn tape_svg(report: &TapeReport) -> String {
    draw(report, " xmlns=\"http://www.w3.org/2000/svg\"")
}

/// The drawing inside a page.
pub(super) fn figure(report: &TapeReport) -> String {
    format!("<figure><figcaption>Tape by source line</figcaption>\n{}</figure>\n", draw(report, ""))
}

/// A line of source.
struct Row {
    /// In full.
    line: String,
    /// File name and line, and the operations there.
    label: String,
    totals: Vec<(Tape, usize)>,
}

impl Row {
    fn bytes(&self) -> usize {
        self.totals.iter().map(|(_, bytes)| bytes).sum()
    }
}

fn rows(report: &TapeReport) -> Vec<Row> {
    let mut rows: Vec<Row> = report
        .by_line()
        .into_iter()
        .map(|(line, totals)| {
            let mut label = line.rsplit(['/', '\\']).next().unwrap_or(&line).to_owned();
            let mut ops: Vec<&str> =
                report.entries.iter().filter(|e| e.line() == line).map(|e| e.op).collect();
            ops.sort_unstable();
            ops.dedup();
            let _ = write!(label, " {}", ops.join(", "));
            Row { line, label, totals }
        })
        .collect();
    if rows.len() > MAX_ROWS {
        let others = rows.split_off(MAX_ROWS - 1);
        let label = format!("{} other lines", others.len());
        let mut totals: Vec<(Tape, usize)> = vec![];
        for (policy, bytes) in others.into_iter().flat_map(|row| row.totals) {
            match totals.iter_mut().find(|(p, _)| *p == policy) {
                Some((_, sum)) => *sum += bytes,
                None => totals.push((policy, bytes)),
            }
        }
        rows.push(Row { line: label.clone(), label, totals });
    }
    rows
}

fn draw(report: &TapeReport, attributes: &str) -> String {
    let (rows, policies) = (rows(report), report.by_policy());
    let most = rows.iter().map(Row::bytes).max().unwrap_or(0).max(1);
    let height = ROW * rows.len() as f64 + KEY * policies.len().max(1) as f64 + 12.0;
    let title = format!("Tape by source line, {}", bytes(report.tape_bytes()));
    let mut out = format!(
        "<svg{attributes} class=\"tape\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n{STYLE}<rect class=\"tape-paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    for (idx, row) in rows.iter().enumerate() {
        let top = ROW * idx as f64;
        let _ = writeln!(
            out,
            "<g><title>{}: {} bytes</title><text x=\"{LEFT}\" y=\"{}\">{}</text><text class=\"tape-bytes\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            escape(&row.line),
            row.bytes(),
            top + 12.0,
            escape(&shortened(&row.label)),
            WIDTH - RIGHT,
            top + 12.0,
            bytes(row.bytes())
        );
        let mut x = LEFT;
        for (policy, part) in &row.totals {
            let width = (WIDTH - LEFT - RIGHT) * *part as f64 / most as f64;
            let _ = writeln!(
                out,
                "<rect class=\"{}\" x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{BAR}\"/>",
                class(*policy),
                top + 17.0,
                // A thin line where there is anything at all.
                width.max(if *part > 0 { 1.0 } else { 0.0 })
            );
            x += width;
        }
        out += "</g>\n";
    }
    let top = ROW * rows.len() as f64 + 6.0;
    if policies.is_empty() {
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">nothing is kept</text>", top + 9.0);
    }
    for (idx, (policy, sum)) in policies.iter().enumerate() {
        let y = top + KEY * idx as f64;
        let _ = writeln!(
            out,
            "<rect class=\"{}\" x=\"{LEFT}\" y=\"{y}\" width=\"10\" height=\"10\"/><text x=\"{}\" y=\"{}\">{policy}: {}</text>",
            class(*policy),
            LEFT + 16.0,
            y + 9.0,
            bytes(*sum)
        );
    }
    out + "</svg>\n"
}

/// Checkpoints of every kind have one colour; the legend names them.
fn class(policy: Tape) -> &'static str {
    match policy {
        Tape::Store => "tape-store",
        Tape::Recompute => "tape-recompute",
        // A budget becomes one of the others.
        Tape::Checkpoint(_) | Tape::Budget(_) => "tape-checkpoint",
        Tape::Reverse | Tape::ReverseOr(_) => "tape-reverse",
        Tape::Quantise { .. } => "tape-quantise",
    }
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= MAX_LETTERS {
        return label.to_owned();
    }
    label.chars().take(MAX_LETTERS - 1).chain(['…']).collect()
}

/// A number of bytes in few letters.
fn bytes(n: usize) -> String {
    let size = n as f64;
    let (value, unit) = match n {
        0..1_000 => return format!("{n} B"),
        1_000..1_000_000 => (size / 1e3, "kB"),
        1_000_000..1_000_000_000 => (size / 1e6, "MB"),
        _ => (size / 1e9, "GB"),
    };
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use retrograde_core::tape::{Checkpoint, EntryBytes};

    use super::*;

    fn entry(line: usize, policy: Tape, bytes: usize) -> EntryBytes {
        let place = Some(format!("/a/long<path>/of/\"x\"&.rs:{line}:9"));
        EntryBytes {
            ty: "f64[2]".into(),
            op: "sin",
            place,
            policy,
            bytes,
            bits: None,
            loop_idx: None,
            largest_deviation: None,
        }
    }

    fn report(entries: Vec<EntryBytes>) -> TapeReport {
        TapeReport { entries, ..TapeReport::default() }
    }

    fn widths(svg: &str) -> Vec<f64> {
        let bars = svg.split("<rect class=\"tape-").skip(2);
        let width = |bar: &str| bar.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        bars.filter(|bar| bar.contains("height=\"10\"")).filter_map(width).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_bytes() {
        let svg = tape_svg(&report(vec![
            entry(7, Tape::Store, 1000),
            entry(7, Tape::Reverse, 3000),
            entry(8, Checkpoint::Slots(3).into(), 2000),
            entry(9, Tape::Store, 0),
        ]));
        // Two parts, one bar of half their length, nothing; then four squares of the legend.
        assert_eq!(widths(&svg)[..4], [86.0, 258.0, 172.0, 0.0]);
        assert!(svg.contains("x&quot;&amp;.rs:7 sin") && svg.contains(">4.0 kB<"), "{svg}");
        assert!(svg.contains("checkpoint-3: 2.0 kB") && svg.contains("/a/long&lt;path&gt;/of/"), "{svg}");
    }

    #[test]
    fn many_lines_share_the_last_bar() {
        let svg = tape_svg(&report((0..50).map(|line| entry(line, Tape::Store, 100 - line)).collect()));
        assert!(svg.contains("31 other lines") && svg.matches("<g>").count() == MAX_ROWS);
        let rest: usize = (19..50).map(|line| 100 - line).sum();
        assert!(svg.contains(&format!("31 other lines: {rest} bytes")), "{svg}");
        assert!(tape_svg(&report(vec![])).contains("nothing is kept"));
    }

    #[test]
    fn bytes_in_few_letters() {
        let texts = [0, 999, 1_000, 9_960, 123_456, 7_340_000, 2_000_000_000].map(bytes);
        assert_eq!(texts, ["0 B", "999 B", "1.0 kB", "10 kB", "123 kB", "7.3 MB", "2.0 GB"]);
        assert_eq!(shortened(&"é".repeat(60)).chars().count(), MAX_LETTERS);
    }
}
