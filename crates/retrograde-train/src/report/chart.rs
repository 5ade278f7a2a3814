//! Line charts and scatter plots as inline SVG.

use std::fmt::Write;

use super::html::escape;

/// Colours in the style sheet; further series differ by dashes.
const N_COLOURS: usize = 6;
/// In units of the drawing, whose font is 11 units: readable at the width of a phone.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;

/// A line and its name.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Series {
    pub name: String,
    /// x and y; what is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

/// How numbers become heights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    Linear,
    /// Values that are not above 0 are left out.
    Logarithmic,
}

/// Lines over a common x, with a legend; a line of text when there is nothing to draw.
pub(crate) fn lines(title: &str, x_name: &str, series: &[Series], scale: Scale) -> String {
    draw(title, x_name, series, scale, |line, out, style, x, y| {
        let place = |(px, py): &(f64, f64)| format!("{:.1},{:.1}", x.at(*px), y.at(*py));
        let _ = match line {
            [(px, py)] => {
                writeln!(
                    out,
                    "<circle class=\"{style}\" r=\"2.5\" cx=\"{:.1}\" cy=\"{:.1}\"/>",
                    x.at(*px),
                    y.at(*py)
                )
            }
            points => {
                let places = points.iter().map(place).collect::<Vec<_>>().join(" ");
                writeln!(out, "<polyline class=\"{style}\" points=\"{places}\"/>")
            }
        };
    })
}

/// Points, with the diagonal `y = x`.
pub(crate) fn scatter(title: &str, x_name: &str, points: Vec<(f64, f64)>) -> String {
    let ends = |f: fn(f64, f64) -> f64, start: f64| {
        points.iter().flat_map(|&(x, y)| [x, y]).filter(|value| value.is_finite()).fold(start, f)
    };
    let (low, high) = (ends(f64::min, f64::INFINITY), ends(f64::max, f64::NEG_INFINITY));
    let diagonal = Series { name: "exact".into(), points: vec![(low, low), (high, high)] };
    let points = Series { name: "test row".into(), points };
    draw(title, x_name, &[diagonal, points], Scale::Linear, |line, out, style, x, y| {
        let _ = if style.starts_with("s0") {
            let (a, b) = (line[0], line[line.len() - 1]);
            let (x1, y1, x2, y2) = (x.at(a.0), y.at(a.1), x.at(b.0), y.at(b.1));
            writeln!(out, "<polyline class=\"{style}\" points=\"{x1:.1},{y1:.1} {x2:.1},{y2:.1}\"/>")
        } else {
            line.iter().try_for_each(|&(px, py)| {
                writeln!(
                    out,
                    "<circle class=\"{style}\" r=\"1.8\" cx=\"{:.1}\" cy=\"{:.1}\"/>",
                    x.at(px),
                    y.at(py)
                )
            })
        };
    })
}

fn draw(
    title: &str,
    x_name: &str,
    series: &[Series],
    scale: Scale,
    mark: impl Fn(&[(f64, f64)], &mut String, &str, &Axis, &Axis),
) -> String {
    let is_shown =
        |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && (scale == Scale::Linear || y > 0.0);
    let shown: Vec<Vec<(f64, f64)>> =
        series.iter().map(|line| line.points.iter().copied().filter(is_shown).collect()).collect();
    let title = escape(title);
    if shown.iter().all(Vec::is_empty) {
        return format!("<figure><figcaption>{title}</figcaption><p>nothing to draw</p></figure>\n");
    }
    let all = || shown.iter().flatten();
    let x = Axis::of(all().map(|point| point.0), LEFT, WIDTH - RIGHT, Scale::Linear);
    let y = Axis::of(all().map(|point| point.1), HEIGHT - BOTTOM, TOP, scale);
    let mut out = format!(
        "<figure><figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
    );
    let floor = HEIGHT - BOTTOM;
    for tick in y.ticks() {
        let (at, text) = (y.at(tick), number(tick));
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{text}</text>",
            WIDTH - RIGHT,
            LEFT - 5.0,
            at + 3.5
        );
    }
    for tick in x.ticks() {
        let (at, text) = (x.at(tick), number(tick));
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{floor}\" y2=\"{}\"/><text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{}\">{text}</text>",
            floor + 3.0,
            floor + 15.0
        );
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = writeln!(
        out,
        "<text text-anchor=\"middle\" x=\"{middle}\" y=\"{}\">{}</text>",
        HEIGHT - 4.0,
        escape(x_name)
    );
    for (idx, line) in shown.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        mark(line, &mut out, &style(idx), &x, &y);
    }
    out += "</svg>\n<ul class=\"legend\">";
    for (idx, line) in series.iter().enumerate() {
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 22 8\" class=\"key\" aria-hidden=\"true\"><polyline class=\"{}\" points=\"1,4 21,4\"/></svg>{}</li>",
            style(idx),
            escape(&line.name)
        );
    }
    out + "</ul></figure>\n"
}

fn style(idx: usize) -> String {
    let dash = ["", " dash1", " dash2", " dash3"][(idx / N_COLOURS) % 4];
    format!("s{}{dash}", idx % N_COLOURS)
}

/// Numbers along an edge of the drawing.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    scale: Scale,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64, scale: Scale) -> Axis {
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = match scale {
            Scale::Logarithmic => (low.log10().floor(), high.log10().ceil()),
            // Heights of positive values start at 0 unless that would flatten the line.
            Scale::Linear if low >= 0.0 && low < 0.5 * high && to < from => (0.0, high),
            Scale::Linear => (low, high),
        };
        let pad = if high > low { 0.0 } else { high.abs().max(1.0) * 0.5 };
        Axis { low: low - pad, high: high + pad, from, to, scale }
    }

    fn at(&self, value: f64) -> f64 {
        let value = if self.scale == Scale::Logarithmic { value.log10() } else { value };
        // Halves, so that the difference of two huge numbers does not overflow.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + share * (self.to - self.from)
    }

    /// Round values, about five.
    fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Logarithmic {
            let every = ((self.high - self.low) / 5.0).ceil().max(1.0);
            let exponents =
                (0..=((self.high - self.low) / every) as i32).map(|i| self.low + every * f64::from(i));
            return exponents.map(|exponent| 10_f64.powf(exponent)).collect();
        }
        let rough = (self.high / 5.0) - (self.low / 5.0);
        let unit = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * unit);
        let step = steps.into_iter().find(|&step| step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil();
        (0..12)
            .map(|i| (first + f64::from(i)) * step)
            .filter(|tick| *tick <= self.high + 1e-9 * step)
            .collect()
    }
}

/// A number in few letters.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.0e}")
    } else {
        let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::of([0.3, 1.9].into_iter(), 200.0, 0.0, Scale::Linear);
        assert_eq!(
            axis.ticks().iter().map(|&tick| number(tick)).collect::<Vec<_>>(),
            ["0", "0.5", "1", "1.5"]
        );
        assert_eq!((axis.at(0.0), axis.at(1.9)), (200.0, 0.0));
        let axis = Axis::of([0.02, 30.0].into_iter(), 200.0, 0.0, Scale::Logarithmic);
        assert_eq!(
            axis.ticks().iter().map(|&tick| number(tick)).collect::<Vec<_>>(),
            ["0.01", "0.1", "1", "10", "100"]
        );
        for values in [[0.0, 0.0], [-f64::MAX, f64::MAX], [5.0, 5.0], [1e-300, 2e-300]] {
            let axis = Axis::of(values.into_iter(), 200.0, 0.0, Scale::Linear);
            assert!(
                axis.ticks().len() <= 12 && values.iter().all(|&value| axis.at(value).is_finite()),
                "{values:?}"
            );
        }
    }

    #[test]
    fn numbers_in_few_letters() {
        let texts = [0.0, 1.0, 0.25, 1234.0, 0.001, 1e-9, 250_000.0, -3.5].map(number);
        assert_eq!(texts, ["0", "1", "0.25", "1234", "0.001", "1e-9", "2e5", "-3.5"]);
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let points = vec![(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, -1.0), (4.0, 0.0)];
        let series = [Series { name: "a".into(), points }];
        assert!(lines("t", "x", &series, Scale::Logarithmic).contains("nothing to draw"));
        assert!(!lines("t", "x", &series, Scale::Linear).contains("NaN"));
        assert!(scatter("t", "x", vec![]).contains("nothing to draw"));
    }
}
