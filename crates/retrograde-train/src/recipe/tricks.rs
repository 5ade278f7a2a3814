//! Which tricks a recipe uses: one table from its keys and their values to rows of the catalogue.
//!
//! A new layer, update or key that is a trick gets its rows here: the key as the resolved recipe prints it, with the table before it
//! (`model.dropout`), for which values, and the ids.

use super::Recipe;
use crate::data::Layout;
use crate::model::About;

/// For which values of a key a row of the table counts.
enum When {
    /// This one.
    Is(&'static str),
    /// Those that begin so.
    Begins(&'static str),
    /// Numbers above 0.
    Positive,
    /// Whatever it is, as long as the key is there.
    Set,
}
use When::{Begins, Is, Positive, Set};

/// The keys, the values for which tricks are used, and the tricks.
const TABLE: &[(&str, When, &[&str])] = &[
    ("batch", Set, &["D1"]),
    ("standardise", Is("yes"), &["A21"]),
    ("loss", Is("cross_entropy"), &["A13"]),
    ("momentum", Positive, &["E1"]),
    ("update", Is("nesterov"), &["E1"]),
    ("update", Begins("ada"), &["E2"]),
    ("update", Is("amsgrad"), &["E2"]),
    ("update", Is("nadam"), &["E2"]),
    ("update", Is("yogi"), &["E2"]),
    ("update", Is("rmsprop"), &["E2"]),
    ("update", Is("lion"), &["E3"]),
    ("update", Is("muon"), &["E4"]),
    ("update", Is("shampoo"), &["E4"]),
    ("update", Is("stochastic-newton"), &["E16"]),
    ("update", Is("matrix-free-newton"), &["E16"]),
    ("update", Is("hessian-free"), &["E5"]),
    ("update", Is("svrg"), &["D16"]),
    ("update", Is("saga"), &["D16"]),
    ("update", Is("lars"), &["E8"]),
    ("update", Is("lamb"), &["E8"]),
    ("weight_decay", Positive, &["E13"]),
    ("patience", Positive, &["E13"]),
    ("schedule", Is("cosine"), &["E9"]),
    ("schedule", Is("step"), &["E9"]),
    ("schedule", Is("linear"), &["E9"]),
    ("schedule", Is("one_cycle"), &["E9"]),
    ("warmup", Positive, &["E9"]),
    ("clip_norm", Positive, &["B2"]),
    ("average", Is("ema"), &["E10"]),
    ("average", Is("swa"), &["E10"]),
    ("average", Is("lookahead"), &["E10"]),
    ("label_smoothing", Positive, &["A21"]),
    ("mixup", Positive, &["A21"]),
    ("shift", Positive, &["A21"]),
    ("tape", Is("recompute"), &["C2"]),
    ("tape", Is("checkpoint-sqrt"), &["C2"]),
    ("tape", Begins("checkpoint-"), &["C1"]),
    ("tape", Begins("reverse"), &["C4"]),
    ("tape", Begins("budget"), &["C10"]),
    ("tape", Begins("quantise"), &["C7"]),
    ("model.activation", Is("relu"), &["A1"]),
    ("model.dropout", Positive, &["D2"]),
    ("model.clip", Positive, &["B4"]),
    ("model.start", Set, &["A8"]),
    ("model.pool", Set, &["A15"]),
    ("model.cut", Set, &["B14"]),
    ("model.feedback", Set, &["B12"]),
    ("model.name", Is("mlp"), &["A6"]),
    ("model.name", Is("residual"), &["A8", "A6"]),
    ("model.name", Is("cnn"), &["A11", "A6"]),
    ("model.name", Is("lstm"), &["A9"]),
    ("model.name", Is("transformer"), &["A16", "A11", "A5"]),
    ("model.name", Is("revnet"), &["C5"]),
    ("model.name", Is("binary"), &["B9", "A11"]),
];

/// The ids of the tricks that a run uses, each once, in the order of the table: by its recipe, and by its data where that leaves a choice
/// to them.
///
/// ```
/// use retrograde_train::{About, Recipe, digits, recipe::tricks_used};
/// let recipe = Recipe::parse("update = \"adam\"\nmomentum = 0.9\nweight_decay = 0.0\nschedule = \"constant\"\n", "a.toml")?;
/// let used = tricks_used(&recipe, &About::of(&digits(), None));
/// assert!(used.contains(&"E2") && !used.contains(&"E9") && !used.contains(&"E13"));
/// assert!(used.contains(&"A13")); // digits are classes, so the loss is the cross entropy
/// # Ok::<(), retrograde_train::RecipeError>(())
/// ```
pub fn tricks_used(recipe: &Recipe, about: &About) -> Vec<&'static str> {
    let mut resolved = recipe.to_string().parse::<toml::Table>().unwrap_or_default();
    let loss = if about.classes.is_some() { "cross_entropy" } else { "squared_error" };
    let standardise = if matches!(about.layout, Layout::Columns { .. }) { "yes" } else { "no" };
    for (key, chosen) in [("loss", loss), ("standardise", standardise)] {
        if let Some(value) = resolved.get_mut(key).filter(|value| value.as_str() == Some("auto")) {
            *value = chosen.into();
        }
    }
    used_by(&resolved)
}

fn used_by(resolved: &toml::Table) -> Vec<&'static str> {
    let mut used = vec![];
    for (key, when, ids) in TABLE {
        let Some(value) = look_up(resolved, key) else { continue };
        if !counts(when, value) || is_of_another(key, when, value, resolved) {
            continue;
        }
        for id in *ids {
            if !used.contains(id) {
                used.push(id);
            }
        }
    }
    used
}

fn look_up<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        Some((outer, inner)) => table.get(outer)?.as_table()?.get(inner),
        // An update with keys of its own is a table.
        None => table.get(key).map(|value| value.get("name").filter(|_| key == "update").unwrap_or(value)),
    }
}

fn counts(when: &When, value: &toml::Value) -> bool {
    match when {
        Is(expected) => value.as_str() == Some(expected),
        Begins(start) => value.as_str().is_some_and(|text| text.starts_with(start)),
        Positive => value.as_float().or(value.as_integer().map(|n| n as f64)).is_some_and(|n| n > 0.0),
        Set => true,
    }
}

/// A key whose value means something else: `momentum` is β₁ with every update but the plain one, and √T segments are no slots.
fn is_of_another(key: &str, when: &When, value: &toml::Value, resolved: &toml::Table) -> bool {
    match (key, when) {
        ("momentum", _) => look_up(resolved, "update").and_then(toml::Value::as_str) != Some("sgd"),
        ("tape", Begins("checkpoint-")) => value.as_str() == Some("checkpoint-sqrt"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Vec<&'static str> {
        tricks_used(&Recipe::parse(text, "a.toml").unwrap(), &About::of(&crate::digits(), None))
    }

    #[test]
    fn a_recipe_uses_what_it_says_and_nothing_else() {
        let plain = "momentum = 0.0\nweight_decay = 0.0\nschedule = \"constant\"\npatience = 0\n";
        let of = |more: &str| used(&format!("{plain}{more}"));
        let bare = of("");
        let more = |text: &str| of(text).into_iter().filter(|id| !bare.contains(id)).collect::<Vec<_>>();
        assert!(!bare.iter().any(|id| ["E1", "E2", "E9", "E13", "C1", "C2", "C4"].contains(id)), "{bare:?}");
        assert_eq!(more("update = \"adam\"\n"), ["E2"]);
        let of_key = |text: &str| used_by(&text.parse().unwrap());
        assert_eq!(of_key("tape = \"reverse\""), ["C4"]);
        assert_eq!(of_key("tape = \"checkpoint-sqrt\""), ["C2"]);
        assert_eq!(of_key("tape = \"checkpoint-7\""), ["C1"]);
        assert_eq!(of_key("[model]\nname = \"revnet\"\ndropout = 0.0"), ["C5"]);
        assert_eq!(of_key("[model]\ndropout = 0.5"), ["D2"]);
        let of = |text: &str| used(text);
        let with = of("momentum = 0.9\nweight_decay = 0.1\nschedule = \"cosine\"\n");
        assert!(["E1", "E9", "E13"].iter().all(|id| with.contains(id)), "{with:?}");
        // β₁ of Adam is no momentum of its own.
        assert!(!of("update = \"adam\"\nmomentum = 0.9\n").contains(&"E1"));
        // A minimiser has its own steps and no minibatches.
        let newton = of("update = \"stochastic-newton\"\nmodel = \"linear\"\n");
        assert!(newton.contains(&"E16") && newton.contains(&"A13"), "{newton:?}");
        assert!(!["D1", "E1", "E2", "E9"].iter().any(|id| newton.contains(id)), "{newton:?}");
        assert!(of("[update]\nname = \"hessian-free\"\ndamping = 1\n").contains(&"E5"));
        assert!(of("update = \"saga\"").contains(&"D16") && !of("update = \"lbfgs\"").contains(&"E16"));
        let relu = of("[model]\nactivation = \"relu\"\n");
        assert!(relu.contains(&"A1") && !of("[model]\nactivation = \"tanh\"\n").contains(&"A1"));
    }
}
