//! A page about one prediction: the row, and the training rows that helped and harmed it most.

use std::fmt::Write;

use super::chart::number;
use super::html::escape;
use super::{head, picture};
use crate::Predictor;
use crate::data::{Dataset, Layout, Targets};
use crate::influence::Attribution;

/// The page; `n` rows of each kind.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_train::report::influence_page;
/// use retrograde_train::model::Interface;
/// use retrograde_train::{About, Fold, Predictor, Recipe, Scaling, digits, influence::attribute};
/// let data = digits();
/// let recipe = Recipe::parse("[model]\nhidden = [8]\n", "small.toml").unwrap();
/// let network = recipe.model.start(&Interface::of(&data), Key::from_seed(1));
/// let predictor = Predictor { network, scaling: Scaling::default(), about: About::of(&data, None) };
/// let fold = Fold { train: (0..30).collect(), validation: vec![], test: vec![30] };
/// let found = attribute(&predictor, &data, &fold, 30, 0.1)?;
/// let page = influence_page(&predictor, &data, &found, 4);
/// assert!(page.contains("(G + 0.1 I)⁻¹ g") && page.matches("<img src=\"data:image/png;base64,").count() == 9);
/// # Ok::<(), retrograde_train::influence::AttributionError>(())
/// ```
pub fn influence_page(predictor: &Predictor, data: &Dataset, found: &Attribution, n: usize) -> String {
    let mut out = head(&format!("What the prediction for row {} rests on", found.row));
    out += "<dl class=\"facts\">\n";
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    };
    fact(&data.target_name, name_of(data, found.row));
    fact("loss", number(found.loss));
    fact("training rows", found.rows.len().to_string());
    fact("damping", found.damping.to_string());
    out += "</dl>\n<ul class=\"pictures\">\n";
    out += &item(data, found.row, &name_of(data, found.row));
    out += "</ul>\n";
    for (title, note, rows) in [
        ("Most helpful", "Without one of these rows the loss would rise by", found.helpful(n)),
        ("Most harmful", "Without one of these rows the loss would change by", found.harmful(n)),
    ] {
        let _ = writeln!(out, "<h2>{title}</h2>\n<p class=\"note\">{note} the number below it.</p>");
        out += "<ul class=\"pictures\">\n";
        for (row, change) in rows {
            out += &item(data, row, &format!("{}: {change:+.2e}", name_of(data, row)));
        }
        out += "</ul>\n";
    }
    let scaled = if predictor.scaling.inputs.is_some() { " Inputs were standardised." } else { "" };
    let _ = write!(
        out,
        "<h2>How good the numbers are</h2>\n<p class=\"note\">First order in one over the number of rows, at the parameters as they are, with the Gauss–Newton matrix.{scaled}</p>\n<pre>{}</pre>\n</main>\n</body>\n</html>\n",
        escape(&found.scores.certificate.to_string())
    );
    out
}

/// The class of a row, or its number.
///
/// ```
/// let digits = retrograde_train::digits();
/// assert_eq!(retrograde_train::report::name_of(&digits, 0), "0");
/// ```
pub fn name_of(data: &Dataset, row: usize) -> String {
    match &data.targets {
        Targets::Classes { labels, names } => names[labels[row] as usize].clone(),
        Targets::Values(values) => values[row].to_string(),
    }
}

fn item(data: &Dataset, row: usize, text: &str) -> String {
    let text = escape(text);
    match data.inputs.layout {
        Layout::Images { height, width } => {
            let address = picture::of_row(&data.inputs, (height, width), row);
            format!("<li><img src=\"{address}\" alt=\"row {row}: {text}\"/>row {row}, {text}</li>\n")
        }
        Layout::Columns { .. } => format!("<li>row {row}, {text}</li>\n"),
    }
}
