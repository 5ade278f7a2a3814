//! What to train and how, as TOML.
//!
//! ```
//! use retrograde_train::Recipe;
//! let recipe = Recipe::parse("epochs = 5\n[model]\nhidden = [32, 32]\n", "wide.toml")?;
//! assert_eq!((recipe.epochs, recipe.model.hidden.len()), (5, 2));
//! let error = Recipe::parse("epoch = 5", "wide.toml").unwrap_err().to_string();
//! assert!(error.starts_with("wide.toml:1:1: unknown key `epoch`\n  help: did you mean `epochs`?"));
//! # Ok::<(), retrograde_train::RecipeError>(())
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What to train and how. Every key has a default; printing a recipe gives TOML that parses back to it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Recipe {
    /// The data to train on.
    pub data: Data,
    /// Passes over the training rows, at least 1.
    pub epochs: u32,
    /// Rows in a minibatch, at least 1.
    pub batch: u32,
    /// Size of a step before the schedule, above 0.
    pub learning_rate: f64,
    /// Share of the velocity kept from step to step, from 0 to below 1.
    pub momentum: f64,
    /// Coefficient of half the squared norm of the weights, at least 0.
    pub weight_decay: f64,
    /// How the learning rate changes during the run.
    pub schedule: Schedule,
    /// All chance in the run comes from this.
    pub seed: u64,
    /// The network.
    pub model: Model,
}

/// A multilayer perceptron.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Model {
    /// The widths of the hidden layers, each from 1 to 65,536.
    pub hidden: Vec<u32>,
    /// What stands after each hidden layer.
    pub activation: Activation,
}

/// Makes an enum whose variants have one name in recipes and reports.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
        pub enum $type { $($(#[$variant_doc])* #[serde(rename = $name)] $variant),* }
        impl Choice for $type {
            const ALL: &'static [$type] = &[$($type::$variant),*];
            fn name(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// The data sets.
    Data {
        /// The digits that come with the program.
        Digits = "digits",
    }
}
choice! {
    /// Functions between layers.
    Activation {
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// max(x, 0).
        Relu = "relu",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
    }
}
choice! {
    /// How the learning rate changes.
    Schedule {
        /// It does not.
        Constant = "constant",
        /// Half a cosine from the learning rate to 0. Source: Loshchilov and Hutter (2017), SGDR, equation 5, one cycle.
        Cosine = "cosine",
    }
}

trait Choice: Copy + 'static {
    const ALL: &'static [Self];
    fn name(self) -> &'static str;
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            data: Data::Digits,
            epochs: 30,
            batch: 32,
            learning_rate: 0.05,
            momentum: 0.9,
            weight_decay: 1e-4,
            schedule: Schedule::Cosine,
            seed: 0,
            model: Model::default(),
        }
    }
}

impl Default for Model {
    fn default() -> Model {
        Model { hidden: vec![64], activation: Activation::Tanh }
    }
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {}: {source}\n  help: `retrograde train --print-recipe` prints one to start from", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The text has mistakes: all of them, in the order of the text.
    #[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}

/// One mistake in a recipe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The file, as the user named it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { file, line, column, message, help } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        help.iter().try_for_each(|help| write!(f, "\n  help: {help}"))
    }
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// The file cannot be read; it has mistakes.
    pub fn load(path: &Path) -> Result<Recipe, RecipeError> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| RecipeError::Unreadable { path: path.into(), source })?;
        Recipe::parse(&text, &path.display().to_string())
    }

    /// Reads a recipe; keys that are not there have their defaults. `file_name` is for the errors.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn parse(text: &str, file_name: &str) -> Result<Recipe, RecipeError> {
        Recipe::default().amend(text, file_name)
    }

    /// The same recipe but for the keys in `text`, such as `seed = 7` or `model.hidden = [32]`. `file_name` is for the
    /// errors.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn amend(&self, text: &str, file_name: &str) -> Result<Recipe, RecipeError> {
        let mut recipe = self.clone();
        let mut reader = Reader { text, file: file_name, mistakes: vec![] };
        match DeTable::parse(text) {
            Ok(table) => reader.table(KEYS, &mut recipe, table.get_ref()),
            Err(error) => {
                let message = error.message().replace('\n', ", ");
                let span = error.span().unwrap_or(0..0);
                reader.mistake(span.start, format!("not TOML: {message}"), None);
            }
        }
        if reader.mistakes.is_empty() {
            return Ok(recipe);
        }
        reader.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        Err(RecipeError::Mistakes(reader.mistakes))
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipe { data, epochs, batch, learning_rate, momentum, weight_decay, schedule, seed, model } =
            self;
        let Model { hidden, activation } = model;
        writeln!(f, "data = \"{data}\"")?;
        writeln!(f, "epochs = {epochs}")?;
        writeln!(f, "batch = {batch}")?;
        writeln!(f, "learning_rate = {learning_rate:?}")?;
        writeln!(f, "momentum = {momentum:?}")?;
        writeln!(f, "weight_decay = {weight_decay:?}")?;
        writeln!(f, "schedule = \"{schedule}\"")?;
        writeln!(f, "seed = {seed}")?;
        writeln!(f, "\n[model]")?;
        writeln!(f, "hidden = {hidden:?}")?;
        writeln!(f, "activation = \"{activation}\"")
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A key and what reads its value.
struct Key<T> {
    name: &'static str,
    read: fn(&mut Reader<'_>, &mut T, &Value<'_>),
}

/// A layer of this width on one as wide has 16 GiB of weights in f32.
const MAX_WIDTH: u64 = 1 << 16;

const KEYS: &[Key<Recipe>] = &[
    Key { name: "data", read: |r, recipe, v| r.choice(&mut recipe.data, v) },
    Key { name: "epochs", read: |r, recipe, v| r.count(&mut recipe.epochs, u32::MAX.into(), v) },
    Key { name: "batch", read: |r, recipe, v| r.count(&mut recipe.batch, u32::MAX.into(), v) },
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
    Key { name: "seed", read: |r, recipe, v| r.integer(&mut recipe.seed, 0, u64::MAX, v) },
    Key {
        name: "model",
        read: |r, recipe, v| match v.get_ref() {
            DeValue::Table(table) => r.table(MODEL_KEYS, &mut recipe.model, table),
            other => r.wrong(v, other, "a table, such as { hidden = [64] }"),
        },
    },
];

const MODEL_KEYS: &[Key<Model>] = &[
    Key { name: "hidden", read: |r, model, v| r.widths(&mut model.hidden, v) },
    Key { name: "activation", read: |r, model, v| r.choice(&mut model.activation, v) },
];

/// Reads values and collects what is wrong with them.
struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn table<T>(&mut self, keys: &[Key<T>], into: &mut T, table: &DeTable<'_>) {
        for (name, value) in table {
            let found = name.get_ref().as_ref();
            if let Some(key) = keys.iter().find(|key| key.name == found) {
                (key.read)(self, into, value);
                continue;
            }
            let known = keys.iter().map(|key| key.name).collect::<Vec<_>>();
            let in_model = known.contains(&"model") && MODEL_KEYS.iter().any(|key| key.name == found);
            let help = if in_model {
                format!("`{found}` belongs under `[model]`")
            } else {
                suggest(found, &known, "the keys here are", '`')
            };
            self.mistake(name.span().start, format!("unknown key `{}`", short(found)), Some(help));
        }
    }

    fn choice<T: Choice>(&mut self, into: &mut T, value: &Value<'_>) {
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

    fn count(&mut self, into: &mut u32, max: u64, value: &Value<'_>) {
        let mut count = u64::from(*into);
        self.integer(&mut count, 1, max, value);
        *into = u32::try_from(count).unwrap_or(*into);
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

    fn number(&mut self, into: &mut f64, range: &str, legal: fn(f64) -> bool, value: &Value<'_>) {
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

    fn widths(&mut self, into: &mut Vec<u32>, value: &Value<'_>) {
        match value.get_ref() {
            DeValue::Array(widths) if widths.is_empty() => {
                self.mistake(value.span().start, "found no hidden layer".into(), Some("try [64]".into()));
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

    fn mistake(&mut self, offset: usize, message: String, help: Option<String>) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let before = String::from_utf8_lossy(before);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.mistakes.push(Mistake { file: self.file.into(), line, column, message, help });
    }
}

/// Names the near misses, then everything known.
fn suggest(found: &str, known: &[&'static str], lead: &str, quote: char) -> String {
    /// Below this the names share little; chosen so that one wrong, missing or swapped letter is found in every key.
    const NEAR: f64 = 0.8;
    let found = short(found);
    let mut near = known.iter().map(|name| (strsim::jaro_winkler(&found, name), *name)).collect::<Vec<_>>();
    near.retain(|(similarity, _)| *similarity >= NEAR);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near = near.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    let question =
        if near.is_empty() { String::new() } else { format!("did you mean {}? ", list(&near, quote)) };
    format!("{question}{lead} {}", list(known, quote))
}

fn list(names: &[&str], quote: char) -> String {
    names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ")
}

/// User text for one line of a message.
fn short(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut chars = text.chars();
    let start = chars.by_ref().take(MAX_CHARS).flat_map(char::escape_debug).collect::<String>();
    if chars.next().is_some() { start + "…" } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Recipe::parse(text, "r.toml").unwrap_err().to_string()
    }

    #[test]
    fn an_empty_recipe_is_the_default() {
        assert_eq!(Recipe::parse("", "r.toml").unwrap(), Recipe::default());
    }

    #[test]
    fn every_key_can_be_set_and_prints_back() {
        let text = "data = \"digits\"\nepochs = 3\nbatch = 7\nlearning_rate = 1\nmomentum = 0.0\nweight_decay = 1e-300\n\
                    schedule = \"constant\"\nseed = 18446744073709551615\nmodel = { hidden = [0x10, 1_000], activation = \"relu\" }\n";
        let recipe = Recipe::parse(text, "r.toml").unwrap();
        let expected = Recipe {
            data: Data::Digits,
            epochs: 3,
            batch: 7,
            learning_rate: 1.0,
            momentum: 0.0,
            weight_decay: 1e-300,
            schedule: Schedule::Constant,
            seed: u64::MAX,
            model: Model { hidden: vec![16, 1000], activation: Activation::Relu },
        };
        assert_eq!(recipe, expected);
        for recipe in [expected, Recipe::default()] {
            assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe);
        }
        for key in KEYS {
            assert!(Recipe::default().to_string().contains(key.name), "{} is not printed", key.name);
        }
        for key in MODEL_KEYS {
            assert!(Recipe::default().to_string().contains(key.name), "{} is not printed", key.name);
        }
    }

    #[test]
    fn odd_floats_print_back() {
        for bits in
            [1, 0x0010_0000_0000_0000, 0x3ff0_0000_0000_0001, 0x7fef_ffff_ffff_ffff, 0x4340_0000_0000_0001]
        {
            let recipe = Recipe { learning_rate: f64::from_bits(bits), ..Recipe::default() };
            assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe);
        }
    }

    #[test]
    fn amending_keeps_the_rest() {
        let base = Recipe::parse("epochs = 3\n[model]\nactivation = \"relu\"", "r.toml").unwrap();
        let amended = base.amend("seed = 7\nmodel.hidden = [8]", "--set").unwrap();
        assert_eq!((amended.epochs, amended.seed), (3, 7));
        assert_eq!(amended.model, Model { hidden: vec![8], activation: Activation::Relu });
        assert!(
            base.amend("seed = -7", "--seed").unwrap_err().to_string().starts_with("--seed:1:8: found -7, ")
        );
    }

    #[test]
    fn unknown_keys_name_place_near_misses_and_known_keys() {
        assert_eq!(
            error("epochs = 1\n  learning_rte = 0.1\n"),
            "r.toml:2:3: unknown key `learning_rte`\n  help: did you mean `learning_rate`? the keys here are `data`, \
             `epochs`, `batch`, `learning_rate`, `momentum`, `weight_decay`, `schedule`, `seed`, `model`"
        );
        assert_eq!(
            error("[model]\nwidth = 3\n"),
            "r.toml:2:1: unknown key `width`\n  help: the keys here are `hidden`, `activation`"
        );
        assert_eq!(
            error("hidden = [3]"),
            "r.toml:1:1: unknown key `hidden`\n  help: `hidden` belongs under `[model]`"
        );
    }

    #[test]
    fn a_slip_in_any_key_is_understood() {
        for key in KEYS.iter().map(|key| key.name) {
            for at in 1..key.len() {
                let missing = format!("{}{}", &key[..at], &key[at + 1..]);
                let mut swapped = key.as_bytes().to_vec();
                swapped.swap(at - 1, at);
                for slip in [missing, String::from_utf8(swapped).unwrap()] {
                    if slip != key {
                        let help = error(&format!("{slip} = 1"));
                        assert!(
                            help.contains("did you mean") && help.contains(&format!("`{key}`")),
                            "{help}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_values_say_what_was_found_and_expected() {
        let check = |text: &str, expected: &str| assert_eq!(error(text), format!("r.toml:1:{expected}"));
        check(
            "schedule = \"cosin\"",
            "12: unknown value \"cosin\"\n  help: did you mean \"cosine\"? the values here are \"constant\", \"cosine\"",
        );
        check("data = 3", "8: found 3, expected one of \"digits\"");
        check("epochs = 0", "10: found 0, expected an integer from 1 to 4294967295");
        check("epochs = 5000000000", "10: found 5000000000, expected an integer from 1 to 4294967295");
        check("batch = 1.5", "9: found 1.5, expected an integer from 1 to 4294967295");
        check("seed = -1", "8: found -1, expected an integer from 0 to 18446744073709551615");
        check("learning_rate = 0.0", "17: found 0.0, expected a finite number above 0");
        check("learning_rate = nan", "17: found nan, expected a finite number above 0");
        check("learning_rate = 1e999", "17: found 1e999, expected a finite number above 0");
        check("learning_rate = \"fast\"", "17: found \"fast\", expected a finite number above 0");
        check("momentum = 1", "12: found 1, expected a finite number from 0 to below 1");
        check("weight_decay = -1e-9", "16: found -1e-9, expected a finite number from 0");
        check("weight_decay = inf", "16: found inf, expected a finite number from 0");
        check("model = true", "9: found true, expected a table, such as { hidden = [64] }");
        check("model.hidden = []", "16: found no hidden layer\n  help: try [64]");
        check("model.hidden = 64", "16: found 64, expected an array of widths, such as [64]");
        check("model.hidden = [64, 0]", "21: found 0, expected an integer from 1 to 65536");
        check("model.hidden = [[64]]", "17: found an array, expected an integer from 1 to 65536");
    }

    #[test]
    fn all_mistakes_come_at_once_in_the_order_of_the_text() {
        let text = "seed = -1\nepochs = 0\n[model]\nactivation = \"tanhh\"\nhiden = 3\n";
        let RecipeError::Mistakes(mistakes) = Recipe::parse(text, "r.toml").unwrap_err() else {
            unreachable!()
        };
        assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2, 4, 5]);
    }

    #[test]
    fn text_that_is_not_toml_is_located() {
        let check = |text: &str, place: &str| {
            let error = error(text);
            assert!(error.starts_with(&format!("r.toml:{place}: not TOML: ")), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        };
        check("epochs = 1\nepochs = 2\n", "2:1");
        check("\u{e9}t\u{e9} = 1\n", "1:1");
        check("epochs = 1\nschedule = \"\u{e9}\u{e9}\" x\n", "2:17");
        check("epochs", "1:7");
    }

    #[test]
    fn a_missing_file_names_the_path_and_what_to_try() {
        let error = Recipe::load(Path::new("no/such/recipe.toml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the recipe no/such/recipe.toml: "), "{error}");
        assert!(error.contains("--print-recipe"), "{error}");
    }

    /// Cuts, drops, doubles and replaces pieces of recipes: an error or a recipe that prints back, never a panic.
    #[test]
    fn damaged_recipes_never_panic() {
        let texts = [
            Recipe::default().to_string(),
            "model = { hidden = [64, 0x10, 1_0], activation = \"t\\u0061nh\" }\nlearning_rate = 1e-3".into(),
            "[model]\nhidden = [[1], { a = 1979-05-27 }]\n\"\u{e9}\" = '''\n'''\n[[data]]\n[data.x]\n".into(),
        ];
        let pieces =
            ["", "\"", "[", "]", "{", "=", "\n", ".", "-", "0", "e999", "\u{e9}", "\0", "\r", "#", "'''"];
        let check = |text: &str| match Recipe::parse(text, "r.toml") {
            Ok(recipe) => assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe),
            Err(error) => assert!(error.to_string().starts_with("r.toml:")),
        };
        for text in texts {
            let cuts = text.char_indices().map(|(at, c)| (at, at + c.len_utf8())).collect::<Vec<_>>();
            for &(start, end) in &cuts {
                for piece in pieces {
                    check(&format!("{}{piece}{}", &text[..start], &text[end..]));
                    check(&format!("{}{piece}{}", &text[..start], &text[start..]));
                    check(&format!("{}{piece}", &text[..start]));
                }
            }
        }
        check(&"[".repeat(10_000));
        check(&format!("model.hidden = {}1{}", "[".repeat(5_000), "]".repeat(5_000)));
        check(&format!("{} = 1", "a".repeat(100_000)));
        check(&format!("{} = 1", vec!["a"; 10_000].join(".")));
        check(&format!("seed = {}", "9".repeat(10_000)));
    }
}
