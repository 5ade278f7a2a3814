//! `report.html`: what a run did, on one page that needs nothing else. Curves, which classes are taken for which, wrong
//! examples, gradient norms and tape bytes by layer and by source line. Whatever comes from data or recipes is escaped.

mod chart;
mod confusion;
mod html;
mod influence;
mod picture;
mod tape;

use std::fmt::Write;

use chart::{Scale, Series, lines, number, scatter};
use html::escape;
use retrograde_core::tape::TapeReport;
use serde_json::Value;

use crate::data::{Inputs, Layout, Targets};
use crate::evaluate::{Score, largest};
use crate::model::probabilities;
use crate::train::{Job, StepTape, Trained};

pub use influence::{influence_page, name_of};
pub use tape::tape_svg;

const STYLE: &str = include_str!("style.css");
/// Pictures of wrong examples, the surest first.
const MAX_PICTURES: usize = 24;
/// Points of a scatter plot.
const MAX_POINTS: usize = 500;

/// The page of a run. `records` are the lines of its metrics.
pub fn page(job: Job<'_>, trained: &Trained, tape: &StepTape, records: &[Value]) -> String {
    let title = format!("Training on {}", job.recipe.data);
    let mut out = head(&title);
    out += &facts(job, trained, records);
    out += "<h2>Curves</h2>\n";
    out += &curves(records, &trained.network.layer_names());
    out += &mistakes(job, trained);
    out += &tape_table(tape);
    out += &tape::figure(&tape.report);
    let _ = write!(
        out,
        "<h2>Recipe</h2>\n<pre>{}</pre>\n</main>\n</body>\n</html>\n",
        escape(&job.recipe.to_string())
    );
    out
}

/// A page about one gradient: what was measured, and its tape by source line.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_train::report::tape_page;
/// let slope = grad(|x: Var| x.sin().sum());
/// slope.call(&array([1.0, 2.0]))?;
/// let page = tape_page("A sine", &[("steps", "1".into())], &slope.last_tape());
/// assert!(page.contains("<h1>A sine</h1>") && page.contains("<dt>steps</dt><dd>1</dd>") && page.contains("<svg"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn tape_page(title: &str, measured: &[(&str, String)], report: &TapeReport) -> String {
    let mut out = head(title) + "<dl class=\"facts\">\n";
    for (name, value) in measured {
        let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    out += "</dl>\n<h2>Tape</h2>\n";
    out += &tape::figure(report);
    let _ = write!(
        out,
        "<h2>Value by value</h2>\n<pre>{}</pre>\n</main>\n</body>\n</html>\n",
        escape(&report.to_string())
    );
    out
}

/// A page up to its title.
fn head(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
        escape(title)
    )
}

fn facts(job: Job<'_>, trained: &Trained, records: &[Value]) -> String {
    let mut out = String::from("<dl class=\"facts\">\n");
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    };
    match trained.test {
        Score::Classes { accuracy, loss } => {
            fact("test accuracy", format!("{:.2} %", 100.0 * accuracy));
            fact("test loss", number(loss));
        }
        Score::Values { rmse, r2, .. } => {
            fact("test error (root mean square)", number(rmse));
            fact("explained variance R²", format!("{r2:.3}"));
        }
    }
    fact("inputs", job.data.inputs.layout.to_string());
    fact(
        "predicted",
        match &job.data.targets {
            Targets::Classes { names, .. } => format!("{}, {} classes", job.data.target_name, names.len()),
            Targets::Values(_) => job.data.target_name.clone(),
        },
    );
    fact("rows to train on", job.fold.train.len().to_string());
    if !job.fold.validation.is_empty() {
        fact("rows to validate on", job.fold.validation.len().to_string());
    }
    fact("rows to test on", job.fold.test.len().to_string());
    fact("epochs", trained.n_epochs.to_string());
    fact("steps", trained.n_steps.to_string());
    // Of a minimiser of the sum over all rows.
    let last = records.iter().rev().find(|record| record["passes"].is_number());
    if let Some(last) = last {
        fact("passes over the rows", number(last["passes"].as_f64().unwrap_or(f64::NAN)));
        fact("ended by", last["end"].as_str().unwrap_or("an interrupt").into());
    }
    out + "</dl>\n"
}

fn curves(records: &[Value], layers: &[String]) -> String {
    let curve = |name: &str, value: &dyn Fn(&Value) -> Option<f64>| {
        let point = |record: &Value| Some((record["epoch"].as_f64()?, value(record)?));
        Series { name: name.into(), points: records.iter().filter_map(point).collect() }
    };
    let some =
        |series: Vec<Series>| series.into_iter().filter(|line| !line.points.is_empty()).collect::<Vec<_>>();
    let score = |part: &'static str, key: &'static str| move |record: &Value| record[part][key].as_f64();
    let loss = some(vec![
        curve("training, while it learns", &|record| record["train_loss"].as_f64()),
        curve("validation", &score("validation", "loss")),
    ]);
    let accuracy = some(vec![
        curve("training (at most 512 rows)", &score("train", "accuracy")),
        curve("validation", &score("validation", "accuracy")),
    ]);
    let rmse = some(vec![
        curve("training (at most 512 rows)", &score("train", "rmse")),
        curve("validation", &score("validation", "rmse")),
    ]);
    let norms = layers.iter().enumerate();
    let norms = norms.map(|(idx, layer)| curve(layer, &|record| record["gradient_norms"][idx].as_f64()));
    let norms = some(norms.collect());
    let rate = some(vec![curve("learning rate", &|record| record["learning_rate"].as_f64())]);
    let mut out = String::from("<div class=\"charts\">\n");
    out += &lines("Loss", "epoch", &loss, Scale::Linear);
    if accuracy.is_empty() {
        out += &lines("Root mean squared error", "epoch", &rmse, Scale::Linear);
    } else {
        out += &lines("Accuracy", "epoch", &accuracy, Scale::Linear);
    }
    let is_of_sum = records.iter().any(|record| record["passes"].is_number());
    let of_what = if is_of_sum { "after the epoch" } else { "mean of the epoch" };
    out += &lines(&format!("Gradient norm by layer, {of_what}"), "epoch", &norms, Scale::Logarithmic);
    if !rate.is_empty() {
        out += &lines("Learning rate at the end of the epoch", "epoch", &rate, Scale::Linear);
    }
    out + "</div>\n"
}

/// Where the predictions for the test rows are wrong.
fn mistakes(job: Job<'_>, trained: &Trained) -> String {
    let test = &job.fold.test;
    match &job.data.targets {
        Targets::Values(values) => {
            let every = test.len().div_ceil(MAX_POINTS).max(1);
            let points = test.iter().zip(&trained.test_outputs).step_by(every);
            let points = points.map(|(&row_idx, &found)| (f64::from(values[row_idx]), f64::from(found)));
            let name = format!("true {}", job.data.target_name);
            format!(
                "<h2>Predictions</h2>\n<div class=\"charts\">{}</div>\n",
                scatter("Predicted against true", &name, points.collect())
            )
        }
        Targets::Classes { labels, names } => {
            let found = trained.test_outputs.chunks(names.len()).map(largest).collect::<Vec<_>>();
            let pairs =
                || test.iter().zip(&found).map(|(&row_idx, &found)| (labels[row_idx] as usize, found));
            let counts = confusion::matrix(names.len(), pairs());
            let n_wrong = pairs().filter(|(expected, found)| expected != found).count();
            let mut out = format!(
                "<h2>Confusion matrix</h2>\n<p class=\"note\">{n_wrong} of {} test rows are classified wrongly. A line for each true class, a column for each predicted one.</p>\n{}",
                test.len(),
                confusion::section(names, &counts)
            );
            if let Layout::Images { height, width } = job.data.inputs.layout {
                out += &pictures(&job.data.inputs, (height, width), test, labels, names, trained);
            }
            out
        }
    }
}

fn pictures(
    inputs: &Inputs,
    size: (usize, usize),
    test: &[usize],
    labels: &[u32],
    names: &[String],
    trained: &Trained,
) -> String {
    let rows = test.iter().zip(trained.test_outputs.chunks(names.len()));
    let mut wrong = rows
        .map(|(&row_idx, logits)| (row_idx, largest(logits), probabilities(logits)[largest(logits)]))
        .filter(|(row_idx, found, _)| *found != labels[*row_idx] as usize)
        .collect::<Vec<_>>();
    if wrong.is_empty() {
        return String::new();
    }
    wrong.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let n_wrong = wrong.len();
    wrong.truncate(MAX_PICTURES);
    let mut out = format!(
        "<h2>Wrong examples</h2>\n<p class=\"note\">{} of {n_wrong}, those the network is surest of first: true → predicted, with its probability.</p>\n<ul class=\"pictures\">\n",
        wrong.len()
    );
    for (row_idx, found, probability) in wrong {
        let (expected, found) = (escape(&names[labels[row_idx] as usize]), escape(&names[found]));
        let address = picture::of_row(inputs, size, row_idx);
        let _ = writeln!(
            out,
            "<li><img src=\"{address}\" alt=\"row {row_idx}: {expected}, predicted {found}\"/>{expected} → {found}, {:.0} %</li>",
            100.0 * probability
        );
    }
    out + "</ul>\n"
}

fn tape_table(tape: &StepTape) -> String {
    let total = tape.report.tape_bytes();
    let largest = tape.by_layer.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).max(1);
    let mut out = format!(
        "<h2>Tape by layer</h2>\n<p class=\"note\">What the gradient of {} rows keeps for its reverse sweep: {total} bytes in {} values.</p>\n<div class=\"wide\"><table><thead><tr><th>layer</th><th>bytes</th><th></th></tr></thead>\n<tbody>",
        tape.n_rows,
        tape.report.entries.len()
    );
    for (layer, bytes) in &tape.by_layer {
        let share = 100.0 * *bytes as f64 / largest as f64;
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{bytes}</td><td class=\"bars\"><div class=\"bar\" style=\"width:{share:.1}%\"></div></td></tr>",
            escape(layer)
        );
    }
    out + "</tbody></table></div>\n"
}

#[cfg(test)]
mod tests {
    use retrograde_array::rng::Key;
    use serde_json::json;

    use super::*;
    use crate::train::step_tape;
    use crate::{Dataset, Features, Fold, Recipe, Scaling};

    const NASTY: &str = "</td><script>alert('x & \"y\"')</script>";

    /// A run that was not trained, on data whose names are markup.
    fn sample(targets: Targets, layout: Layout) -> String {
        let n_features = layout.n_features();
        let n_rows = targets.len();
        let values = (0..n_rows * n_features).map(|i| (i % 7) as f32 / 6.0).collect();
        let data = Dataset {
            inputs: Inputs { features: Features::Numbers(values), layout },
            targets,
            target_name: NASTY.into(),
            given_test_from: None,
        };
        let recipe = Recipe { data: crate::Data::named(NASTY), batch: 3, ..Recipe::default() };
        let fold = Fold { train: (0..n_rows).collect(), validation: vec![], test: (0..n_rows).collect() };
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
        let network = recipe.model.start(&crate::model::Interface::of(&data), Key::from_seed(1));
        let scaling = Scaling::of(&data.inputs, &data.targets, &fold.train, recipe.standardise);
        let test_outputs = crate::evaluate::outputs(&network, &data.inputs, &scaling, &fold.test).unwrap();
        let test = crate::evaluate::score(&test_outputs, &data.targets, &scaling, &fold.test);
        let trained = Trained { network, scaling, test, test_outputs, n_steps: 4, n_epochs: 2 };
        let tape = step_tape(job, &trained).unwrap();
        let record = |epoch: u32| {
            json!({"epoch": epoch, "train_loss": 1.0 / f64::from(epoch), "learning_rate": 0.1,
                   "gradient_norms": [0.5, 2.0], "train": {"accuracy": 0.5, "loss": 1.0}})
        };
        page(job, &trained, &tape, &[record(1), record(2), json!({"stopped": NASTY}), json!(3)])
    }

    fn classes(n_rows: u32, n_classes: u32) -> Targets {
        let labels = (0..n_rows).map(|row| row % n_classes).collect();
        Targets::Classes { labels, names: (0..n_classes).map(|class| format!("{NASTY}{class}")).collect() }
    }

    fn pages() -> Vec<String> {
        let columns = Layout::Columns { names: vec![NASTY.into(), "b".into()], header: true };
        vec![
            sample(classes(40, 4), Layout::Images { height: 3, width: 2 }),
            sample(classes(90, 30), columns.clone()),
            sample(Targets::Values((0..50).map(|i| i as f32).collect()), columns),
            tape_page(NASTY, &[(NASTY, NASTY.into())], &TapeReport::default()),
        ]
    }

    #[test]
    fn a_page_loads_nothing() {
        for page in pages() {
            for word in ["http:", "https:", "url(", "@import", "<script", "<link", "<iframe", "srcset"] {
                assert!(!page.contains(word), "the page holds `{word}`");
            }
            for (at, _) in page.match_indices("src=\"") {
                assert!(page[at..].starts_with("src=\"data:image/png;base64,"));
            }
            assert!(!page.contains("href="));
        }
        assert!(pages()[0].contains("src=\"data:"), "no wrong example has a picture");
    }

    /// Every element is closed, in order; no stray `<` or `&` from the data.
    #[test]
    fn a_page_is_well_formed() {
        for page in pages() {
            assert!(well_formed(&page), "not well-formed");
            assert!(
                !well_formed(&page.replacen("</dl>", "", 1)) && !well_formed(&page.replacen("&lt;", "<", 1))
            );
            assert!(page.contains("&lt;script&gt;alert(&#39;x &amp; &quot;y&quot;&#39;)"));
        }
    }

    fn well_formed(page: &str) -> bool {
        let Some(body) = page.strip_prefix("<!DOCTYPE html>\n") else { return false };
        let mut open = Vec::<&str>::new();
        let mut rest = body;
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            let entities = ["&lt;", "&gt;", "&amp;", "&quot;", "&#39;"];
            let is_style = open.last() == Some(&"style");
            let plain = |(at, _): (usize, &str)| entities.iter().any(|entity| text[at..].starts_with(entity));
            if !is_style && (text.contains('>') || !text.match_indices('&').all(plain)) {
                return false;
            }
            let Some(end) = rest[start..].find('>') else { return false };
            let tag = &rest[start + 1..start + end];
            rest = &rest[start + end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return false;
                }
                continue;
            }
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            let known = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            if !known || tag.matches('"').count() % 2 != 0 || tag.contains('<') {
                return false;
            }
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        open.is_empty()
    }
}
