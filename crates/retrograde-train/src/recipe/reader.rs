//! Reading a recipe: each key with what reads its value, and every mistake with its place.

use retrograde_core::prim::Tape;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::update::{self, Minimiser, Update};
use super::{Data, Mistake, Recipe, Shares};
use crate::choice::Choice;
use crate::diagnosis::{Diagnosis, list, near_misses, short};
use crate::model::{KeysVisitor, Kind, Model};

pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// A key and what reads its value.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    read: fn(&mut Reader<'_>, &mut T, &Value<'_>),
}

/// A layer of this width on one as wide has 16 GiB of weights in f32.
pub(crate) const MAX_WIDTH: u64 = 1 << 16;
/// A thousand layers one after another are as deep as networks were ever trained.
pub(crate) const MAX_DEPTH: u64 = 1 << 10;

/// A key of a model: what reads its value, and how it prints.
pub(crate) struct Setting<K> {
    pub(crate) name: &'static str,
    pub(crate) read: fn(&mut Reader<'_>, &mut K, &Value<'_>),
    pub(crate) show: fn(&K) -> String,
}

/// A key of a model by the kind of its value: `width`, `depth` and `count` are integers, `widths` lists of them, `share` numbers from
/// 0 to below 1, `positive` numbers above 0, `choice` one of a few names.
macro_rules! setting {
    (@plain $field:ident, |$r:ident, $keys:ident, $v:ident| $read:expr) => {
        setting!(@shown $field, |$r, $keys, $v| $read, |$keys| format!("{:?}", $keys.$field))
    };
    (@shown $field:ident, |$r:ident, $keys:ident, $v:ident| $read:expr, |$shown:ident| $show:expr) => {
        $crate::recipe::Setting { name: stringify!($field), read: |$r, $keys, $v| $read, show: |$shown| $show }
    };
    (width $field:ident) => {
        setting!(@plain $field, |r, keys, v| r.count(&mut keys.$field, $crate::recipe::MAX_WIDTH, v))
    };
    (depth $field:ident) => {
        setting!(@plain $field, |r, keys, v| r.count(&mut keys.$field, $crate::recipe::MAX_DEPTH, v))
    };
    (count $field:ident) => {
        setting!(@plain $field, |r, keys, v| r.integer_u32(&mut keys.$field, v))
    };
    (widths $field:ident) => {
        setting!(@plain $field, |r, keys, v| r.widths(&mut keys.$field, v))
    };
    (share $field:ident) => {
        setting!(@plain $field, |r, keys, v| {
            r.number(&mut keys.$field, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v)
        })
    };
    (positive $field:ident) => {
        setting!(@plain $field, |r, keys, v| r.number(&mut keys.$field, "above 0", |x| x > 0.0, v))
    };
    (choice $field:ident: $choice:ty) => {
        setting!(
            @shown $field,
            |r, keys, v| r.choice(&mut keys.$field, v),
            |keys| format!("\"{}\"  # {}", keys.$field, $crate::recipe::names::<$choice>())
        )
    };
}
pub(crate) use setting;

pub(super) const KEYS: &[Key<Recipe>] = &[
    Key { name: "data", read: |r, recipe, v| r.data(&mut recipe.data, v) },
    Key { name: "target", read: |r, recipe, v| r.text(&mut recipe.target, "the name of a column", v) },
    Key { name: "task", read: |r, recipe, v| r.choice(&mut recipe.task, v) },
    Key { name: "header", read: |r, recipe, v| r.choice(&mut recipe.header, v) },
    Key { name: "labels", read: |r, recipe, v| r.text(&mut recipe.labels, "the name of a file", v) },
    Key { name: "standardise", read: |r, recipe, v| r.choice(&mut recipe.standardise, v) },
    Key { name: "loss", read: |r, recipe, v| r.choice(&mut recipe.loss, v) },
    Key { name: "epochs", read: |r, recipe, v| r.count(&mut recipe.epochs, u32::MAX.into(), v) },
    Key { name: "batch", read: |r, recipe, v| r.count(&mut recipe.batch, u32::MAX.into(), v) },
    Key {
        name: "update",
        read: |r, recipe, v| match v.get_ref() {
            DeValue::Table(table) => r.update(&mut recipe.update, table),
            DeValue::String(_) => r.update_name(&mut recipe.update, v),
            other => r.wrong(
                v,
                other,
                "the name of an update, or a table, such as { name = \"lbfgs\", memory = 10 }",
            ),
        },
    },
    Key {
        name: "learning_rate",
        read: |r, recipe, v| r.number(&mut recipe.learning_rate, "above 0", |x| x > 0.0, v),
    },
    Key {
        name: "momentum",
        read: |r, recipe, v| {
            r.number(&mut recipe.momentum, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v)
        },
    },
    Key {
        name: "weight_decay",
        read: |r, recipe, v| r.number(&mut recipe.weight_decay, "from 0", |x| x >= 0.0, v),
    },
    Key { name: "schedule", read: |r, recipe, v| r.choice(&mut recipe.schedule, v) },
    Key { name: "decay_every", read: |r, recipe, v| r.count(&mut recipe.decay_every, u32::MAX.into(), v) },
    Key {
        name: "decay_factor",
        read: |r, recipe, v| {
            r.number(&mut recipe.decay_factor, "above 0 and at most 1", |x| x > 0.0 && x <= 1.0, v)
        },
    },
    Key { name: "warmup", read: |r, recipe, v| r.integer_u32(&mut recipe.warmup, v) },
    Key {
        name: "beta_2",
        read: |r, recipe, v| {
            r.number(&mut recipe.beta_2, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v);
        },
    },
    Key {
        name: "clip_norm",
        read: |r, recipe, v| r.number(&mut recipe.clip_norm, "from 0", |x| x >= 0.0, v),
    },
    Key { name: "average", read: |r, recipe, v| r.choice(&mut recipe.average, v) },
    Key {
        name: "average_decay",
        read: |r, recipe, v| {
            r.number(&mut recipe.average_decay, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v);
        },
    },
    Key {
        name: "label_smoothing",
        read: |r, recipe, v| {
            r.number(&mut recipe.label_smoothing, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v);
        },
    },
    Key { name: "mixup", read: |r, recipe, v| r.number(&mut recipe.mixup, "from 0", |x| x >= 0.0, v) },
    Key { name: "shift", read: |r, recipe, v| r.integer_u32(&mut recipe.shift, v) },
    Key { name: "tape", read: |r, recipe, v| r.tape(&mut recipe.tape, v) },
    Key { name: "patience", read: |r, recipe, v| r.integer_u32(&mut recipe.patience, v) },
    Key { name: "seed", read: |r, recipe, v| r.integer(&mut recipe.seed, 0, u64::MAX, v) },
    Key {
        name: "split",
        read: |r, recipe, v| match v.get_ref() {
            DeValue::Table(table) => r.table(SPLIT_KEYS, &mut recipe.split, table),
            other => r.wrong(v, other, "a table, such as { test = 0.2 }"),
        },
    },
    Key {
        name: "model",
        read: |r, recipe, v| match v.get_ref() {
            DeValue::Table(table) => r.model(&mut recipe.model, table),
            DeValue::String(_) => r.model_name(&mut recipe.model, v),
            other => r.wrong(
                v,
                other,
                "the name of a model, or a table, such as { name = \"mlp\", hidden = [64] }",
            ),
        },
    },
];

const SPLIT_KEYS: &[Key<Shares>] = &[
    Key {
        name: "test",
        read: |r, shares, v| {
            r.number(&mut shares.test, "above 0 and below 1", |x| x > 0.0 && x < 1.0, v);
        },
    },
    Key {
        name: "validation",
        read: |r, shares, v| {
            r.number(&mut shares.validation, "from 0 to below 1", |x| (0.0..1.0).contains(&x), v);
        },
    },
];

/// Reads values and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
    pub(super) mistakes: Vec<Mistake>,
    /// Keys that were read, such as `model.heads`, each with its place.
    pub(super) places: Vec<(String, String)>,
}

/// Reads the keys of a model, of whatever kind.
struct ReadKeys<'r, 'a, 't>(&'r mut Reader<'a>, &'t DeTable<'t>);

impl KeysVisitor for ReadKeys<'_, '_, '_> {
    type Result = ();
    fn visit<K: Kind>(self, keys: &mut K) {
        let ReadKeys(reader, table) = self;
        for (name, value) in table {
            let found = name.get_ref().as_ref();
            if found == "name" {
                continue;
            }
            if let Some(setting) = K::KEYS.iter().find(|setting| setting.name == found) {
                reader.note(&format!("model.{found}"), value);
                (setting.read)(reader, keys, value);
                continue;
            }
            let known = std::iter::once("name").chain(K::KEYS.iter().map(|setting| setting.name));
            reader.unknown(found, name.span().start, &known.collect::<Vec<_>>());
        }
    }
}

impl Reader<'_> {
    pub(super) fn table<T>(&mut self, keys: &[Key<T>], into: &mut T, table: &DeTable<'_>) {
        for (name, value) in table {
            let found = name.get_ref().as_ref();
            if let Some(key) = keys.iter().find(|key| key.name == found) {
                self.note(found, value);
                (key.read)(self, into, value);
                continue;
            }
            self.unknown(found, name.span().start, &keys.iter().map(|key| key.name).collect::<Vec<_>>());
        }
    }

    fn unknown(&mut self, found: &str, offset: usize, known: &[&'static str]) {
        let elsewhere = known.contains(&"model").then(|| table_of(found)).flatten();
        let help = match elsewhere {
            Some(table) => format!("`{found}` belongs under `[{table}]`"),
            None => suggest(found, known, "the keys here are", '`'),
        };
        self.mistake(offset, format!("unknown key `{}`", short(found)), Some(help));
    }

    /// Remembers where a key was set.
    fn note(&mut self, key: &str, value: &Value<'_>) {
        let (line, column) = self.line_and_column(value.span().start);
        self.places.push((key.into(), format!("{}:{line}:{column}", self.file)));
    }

    /// The name first, wherever it stands, for the other keys are its own.
    fn model(&mut self, into: &mut Model, table: &DeTable<'_>) {
        if let Some(name) = table.get("name") {
            self.model_name(into, name);
        }
        into.with_keys(ReadKeys(self, table));
    }

    /// Another kind begins with the keys of its own; the same one keeps what was said of it.
    fn model_name(&mut self, into: &mut Model, value: &Value<'_>) {
        self.note("model.name", value);
        let DeValue::String(found) = value.get_ref() else {
            let expected = format!("one of {}", list(Model::NAMES, '"'));
            return self.wrong(value, value.get_ref(), &expected);
        };
        match Model::named(found) {
            Some(model) if model.name() == into.name() => {}
            Some(model) => *into = model,
            None => {
                let help = suggest(found, Model::NAMES, "the models are", '"');
                self.mistake(value.span().start, format!("unknown model \"{}\"", short(found)), Some(help));
            }
        }
    }

    /// The name first, as that of a model.
    fn update(&mut self, into: &mut Update, table: &DeTable<'_>) {
        if let Some(name) = table.get("name") {
            self.update_name(into, name);
        }
        let keys = into.keys();
        for (name, value) in table.iter().filter(|(name, _)| name.get_ref() != "name") {
            let found = name.get_ref().as_ref();
            let key = keys.iter().find(|key| key.name == found);
            match (key, &mut *into) {
                (Some(key), Update::FiniteSum(minimiser)) => {
                    self.note(&format!("update.{found}"), value);
                    self.value_of(key, minimiser, value);
                }
                _ => {
                    let known = std::iter::once("name").chain(keys.iter().map(|key| key.name));
                    self.unknown(found, name.span().start, &known.collect::<Vec<_>>());
                }
            }
        }
    }

    fn value_of(&mut self, key: &update::Key, into: &mut Minimiser, value: &Value<'_>) {
        match key.kind {
            update::Kind::Count(least) => {
                let mut count = (key.get)(into) as u64;
                self.integer(&mut count, least.into(), u32::MAX.into(), value);
                (key.set)(into, count as f64);
            }
            update::Kind::Number(range, legal) => {
                let mut number = (key.get)(into);
                self.number(&mut number, range, legal, value);
                (key.set)(into, number);
            }
        }
    }

    /// Another update begins with keys of its own; the same one keeps what was said of it.
    fn update_name(&mut self, into: &mut Update, value: &Value<'_>) {
        self.note("update.name", value);
        let known = Update::names();
        let DeValue::String(found) = value.get_ref() else {
            return self.wrong(value, value.get_ref(), &format!("one of {}", list(&known, '"')));
        };
        match Update::named(found) {
            Some(update) if update.name() == into.name() => {}
            Some(update) => *into = update,
            None => {
                let help = suggest(found, &known, "the updates are", '"');
                self.mistake(value.span().start, format!("unknown update \"{}\"", short(found)), Some(help));
            }
        }
    }

    fn tape(&mut self, into: &mut Tape, value: &Value<'_>) {
        let DeValue::String(found) = value.get_ref() else {
            return self.wrong(value, value.get_ref(), "a policy, such as \"store\" or \"reverse\"");
        };
        match found.parse() {
            Ok(tape) => *into = tape,
            Err(_) => {
                let known = ["store", "recompute", "checkpoint-sqrt", "reverse"];
                let help = suggest(found, &known, "the policies here are", '"');
                let help =
                    format!("{help}, checkpoint-N for N states, budget-N for N bytes, quantise-B for B bits");
                self.mistake(value.span().start, format!("unknown policy \"{}\"", short(found)), Some(help));
            }
        }
    }

    fn data(&mut self, into: &mut Data, value: &Value<'_>) {
        let mut name = None;
        self.text(&mut name, "\"digits\" or the name of a file or folder", value);
        if let Some(name) = name {
            *into = Data::named(&name);
        }
    }

    fn text(&mut self, into: &mut Option<String>, expected: &str, value: &Value<'_>) {
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => *into = Some(text.to_string()),
            other => self.wrong(value, other, expected),
        }
    }

    pub(crate) fn choice<T: Choice>(&mut self, into: &mut T, value: &Value<'_>) {
        let known = T::ALL.iter().map(|choice| choice.name()).collect::<Vec<_>>();
        let DeValue::String(found) = value.get_ref() else {
            return self.wrong(value, value.get_ref(), &format!("one of {}", list(&known, '"')));
        };
        match T::ALL.iter().find(|choice| choice.name() == found) {
            Some(choice) => *into = *choice,
            None => {
                let help = suggest(found, &known, "the values here are", '"');
                self.mistake(value.span().start, format!("unknown value \"{}\"", short(found)), Some(help));
            }
        }
    }

    pub(crate) fn count(&mut self, into: &mut u32, max: u64, value: &Value<'_>) {
        let mut count = u64::from(*into);
        self.integer(&mut count, 1, max, value);
        *into = u32::try_from(count).unwrap_or(*into);
    }

    pub(crate) fn integer_u32(&mut self, into: &mut u32, value: &Value<'_>) {
        let mut integer = u64::from(*into);
        self.integer(&mut integer, 0, u32::MAX.into(), value);
        *into = u32::try_from(integer).unwrap_or(*into);
    }

    fn integer(&mut self, into: &mut u64, min: u64, max: u64, value: &Value<'_>) {
        let integer = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        match integer.filter(|integer| (min..=max).contains(integer)) {
            Some(integer) => *into = integer,
            None => self.wrong(value, value.get_ref(), &format!("an integer from {min} to {max}")),
        }
    }

    pub(crate) fn number(&mut self, into: &mut f64, range: &str, legal: fn(f64) -> bool, value: &Value<'_>) {
        let number = match value.get_ref() {
            DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
            DeValue::Integer(digits) => {
                i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|x| x as f64)
            }
            _ => None,
        };
        match number.filter(|&number| number.is_finite() && legal(number)) {
            Some(number) => *into = number,
            None => self.wrong(value, value.get_ref(), &format!("a finite number {range}")),
        }
    }

    pub(crate) fn widths(&mut self, into: &mut Vec<u32>, value: &Value<'_>) {
        match value.get_ref() {
            DeValue::Array(widths) if widths.is_empty() => {
                self.mistake(
                    value.span().start,
                    "found no hidden layer".into(),
                    Some("try [64], or the model \"linear\"".into()),
                );
            }
            DeValue::Array(widths) => {
                *into = vec![1; widths.len()];
                for (width, value) in into.iter_mut().zip(widths) {
                    self.count(width, MAX_WIDTH, value);
                }
            }
            other => self.wrong(value, other, "an array of widths, such as [64]"),
        }
    }

    fn wrong(&mut self, at: &Value<'_>, found: &DeValue<'_>, expected: &str) {
        let found = match found {
            DeValue::String(text) => format!("\"{}\"", short(text)),
            DeValue::Integer(digits) => short(&digits.to_string()),
            DeValue::Float(digits) => short(digits.as_str()),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(_) => "a date".into(),
            DeValue::Array(_) => "an array".into(),
            DeValue::Table(_) => "a table".into(),
        };
        self.mistake(at.span().start, format!("found {found}, expected {expected}"), None);
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let before = String::from_utf8_lossy(before);
        let line = before.matches('\n').count() + 1;
        (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    }

    pub(super) fn mistake(&mut self, offset: usize, message: String, help: Option<String>) {
        let (line, column) = self.line_and_column(offset);
        let place = format!("{}:{line}:{column}", self.file);
        self.mistakes.push(Mistake { line, column, diagnosis: Diagnosis { message, place, help } });
    }
}

/// The table that a key belongs in.
fn table_of(key: &str) -> Option<&'static str> {
    if Model::all_keys().contains(&key) {
        return Some("model");
    }
    if Update::all_keys().any(|known| known == key) {
        return Some("update");
    }
    SPLIT_KEYS.iter().any(|known| known.name == key).then_some("split")
}

/// Names the near misses, then everything known.
fn suggest(found: &str, known: &[&'static str], lead: &str, quote: char) -> String {
    let near = near_misses(&short(found), known);
    let question =
        if near.is_empty() { String::new() } else { format!("did you mean {}? ", list(&near, quote)) };
    format!("{question}{lead} {}", list(known, quote))
}
