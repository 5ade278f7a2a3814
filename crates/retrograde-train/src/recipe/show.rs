//! A recipe as TOML that parses back to it, with notes for those who read it.

use std::fmt;

use super::{Average, Loss, Recipe, Schedule, Standardise, Update};
use crate::choice::Choice;
use crate::data::{Header, Task};
use crate::model::{KeysVisitor, Kind, Model};

/// Keys that only steps by minibatches go by.
pub(super) const OF_MINIBATCHES: &[&str] = &[
    "batch",
    "learning_rate",
    "momentum",
    "schedule",
    "decay_every",
    "decay_factor",
    "warmup",
    "beta_2",
    "clip_norm",
    "average",
    "average_decay",
    "mixup",
    "shift",
    "tape",
];

impl Recipe {
    /// The lines of the keys outside of tables, each after its key.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Recipe { data, target, task, header, labels, standardise, loss, epochs, batch, update, .. } =
            self;
        let Recipe { learning_rate, momentum, weight_decay, schedule, decay_every, decay_factor, .. } = self;
        let Recipe { patience, seed, warmup, beta_2, clip_norm, average, .. } = self;
        let Recipe { average_decay, label_smoothing, mixup, shift, tape, .. } = self;
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        let optional = |name: &str, value: &Option<String>, note: &str| match value {
            Some(value) => format!("{name} = {}", quoted(value)),
            None => format!("# {name} = \"…\"  # {note}"),
        };
        let data = quoted(&data.to_string());
        vec![
            (
                "data",
                format!(
                    "data = {data}  # or a CSV file, an npz file, an IDX file of images, a folder of IDX files"
                ),
            ),
            (
                "target",
                optional("target", target, "the column to predict; its number where there is no header"),
            ),
            ("task", format!("task = \"{task}\"  # {}", names::<Task>())),
            ("header", format!("header = \"{header}\"  # {}", names::<Header>())),
            (
                "labels",
                optional("labels", labels, "the file of labels, if it does not lie beside the images"),
            ),
            ("standardise", format!("standardise = \"{standardise}\"  # {}", names::<Standardise>())),
            ("loss", format!("loss = \"{loss}\"  # {}", names::<Loss>())),
            ("epochs", format!("epochs = {epochs}")),
            ("batch", format!("batch = {batch}")),
            ("update", format!("update = \"{update}\"  # {}", or(&Update::names()))),
            ("learning_rate", format!("learning_rate = {learning_rate:?}")),
            ("momentum", format!("momentum = {momentum:?}")),
            ("weight_decay", format!("weight_decay = {weight_decay:?}")),
            ("schedule", format!("schedule = \"{schedule}\"  # {}", names::<Schedule>())),
            ("decay_every", format!("decay_every = {decay_every}  # epochs, for the schedule \"step\"")),
            ("decay_factor", format!("decay_factor = {decay_factor:?}")),
            ("warmup", format!("warmup = {warmup}  # epochs")),
            ("beta_2", format!("beta_2 = {beta_2:?}  # for updates with a mean of squares")),
            ("clip_norm", format!("clip_norm = {clip_norm:?}  # 0: no clipping")),
            ("average", format!("average = \"{average}\"  # {}", names::<Average>())),
            ("average_decay", format!("average_decay = {average_decay:?}  # for \"ema\"")),
            ("label_smoothing", format!("label_smoothing = {label_smoothing:?}")),
            ("mixup", format!("mixup = {mixup:?}  # 0: rows are not mixed")),
            ("shift", format!("shift = {shift}  # pixels, for images")),
            ("tape", format!("tape = \"{tape}\"  # store, recompute, checkpoint-sqrt, reverse, ...")),
            (
                "patience",
                format!("patience = {patience}  # epochs without a better validation loss; 0: no early stop"),
            ),
            ("seed", format!("seed = {seed}")),
        ]
    }

    /// Those that the update goes by; and those of other updates that differ from what they are when nobody says anything.
    pub(super) fn own_lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = self.lines();
        if let Update::FiniteSum(_) = self.update {
            let unsaid = Recipe::default().lines();
            lines.retain(|line| {
                line.0 != "update" && !(OF_MINIBATCHES.contains(&line.0) && unsaid.contains(line))
            });
            for (key, line) in &mut lines {
                *line += match *key {
                    "epochs" => {
                        "  # passes over the rows, at most; a product with the curvature counts as one"
                    }
                    "weight_decay" => "  # of all parameters, biases too",
                    _ => "",
                };
            }
        }
        lines
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipe { split, update, model, .. } = self;
        for (_, line) in self.own_lines() {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n[split]")?;
        writeln!(f, "test = {:?}  # share of all rows", split.test)?;
        writeln!(f, "validation = {:?}  # share of the others", split.validation)?;
        if let Update::FiniteSum(minimiser) = update {
            writeln!(f, "\n[update]")?;
            writeln!(f, "name = \"{update}\"  # {}", or(&Update::names()))?;
            for key in update.keys() {
                writeln!(f, "{} = {}  # {}", key.name, key.show(minimiser), key.note)?;
            }
        }
        writeln!(f, "\n[model]")?;
        writeln!(f, "name = \"{}\"  # {}", model.name(), or(Model::NAMES))?;
        f.write_str(&model.clone().with_keys(ShowKeys))
    }
}

/// Prints the keys of a model, of whatever kind.
struct ShowKeys;

impl KeysVisitor for ShowKeys {
    type Result = String;
    fn visit<K: Kind>(self, keys: &mut K) -> String {
        K::KEYS.iter().map(|setting| format!("{} = {}\n", setting.name, (setting.show)(keys))).collect()
    }
}

/// `auto, yes or no`
pub(crate) fn names<T: Choice>() -> String {
    or(&T::ALL.iter().map(|choice| choice.name()).collect::<Vec<_>>())
}

fn or(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.join(""),
    }
}
