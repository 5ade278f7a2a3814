//! `retrograde tricks`: the catalogue as a table, one trick in full, JSON, and BibTeX of a run.

mod sources;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use retrograde::tricks::catalogue::{self, Group, Law, NOT_BUILT, Source, Trick};
use retrograde_train::recipe::tricks_used;
use retrograde_train::{About, Recipe, Update};
use serde_json::{Value, json};

use crate::failure::Failure;
use sources::SOURCES;

/// The flags of `retrograde tricks`.
#[derive(Args, Debug)]
pub(crate) struct TricksArgs {
    /// Shows one in full: an id, such as B12.
    #[arg(conflicts_with_all = ["group", "since", "search", "cite"])]
    id: Option<String>,
    /// Those of one group: A primal, B adjoint, C tape, D estimate, E update, F scale.
    #[arg(long, value_name = "LETTER")]
    group: Option<String>,
    /// Those that were published first in this year or later.
    #[arg(long, value_name = "YEAR")]
    since: Option<u16>,
    /// Those whose name, formula, claim or sources contain a text, in letters of either case.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Prints a list of objects: id, name, group, formula, law, cite, file, example, property.
    #[arg(long)]
    json: bool,
    /// Prints BibTeX for exactly the tricks that a run used: a folder that `retrograde train` made.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["group", "since", "search", "json"])]
    cite: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &TricksArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(run) = &args.cite {
        let recipe = Recipe::load(&run.join("recipe.toml"))?;
        let tricks = tricks_used(&recipe, &About::load(run)?);
        let minimiser = match &recipe.update {
            Update::FiniteSum(minimiser) => Some((minimiser.name(), minimiser.cite())),
            Update::Minibatch(_) => None,
        };
        return Ok(write!(out, "{}", bibtex(&tricks, minimiser))?);
    }
    if let Some(id) = &args.id {
        return one(id, args.json, out);
    }
    let group = args.group.as_deref().map(group).transpose()?;
    let chosen = chosen(group, args.since, args.search.as_deref());
    if args.json {
        let list = chosen.iter().map(|trick| object(trick)).collect::<Vec<_>>();
        return Ok(writeln!(out, "{:#}", Value::Array(list))?);
    }
    write!(out, "{}", table(&chosen))?;
    let is_whole = args.since.is_none() && args.search.is_none();
    let missing =
        NOT_BUILT.iter().filter(|trick| is_whole && group.is_none_or(|g| Group::of(trick.id) == Some(g)));
    for (at, trick) in missing.enumerate() {
        if at == 0 {
            writeln!(out, "\nnot built:")?;
        }
        writeln!(out, "{:<4} {}: {}", trick.id, trick.name, trick.reason)?;
    }
    Ok(())
}

/// The group of a letter, of either case.
fn group(letter: &str) -> Result<Group, Failure> {
    let upper = letter.to_uppercase();
    let found = Group::ALL.into_iter().find(|group| upper == group.letter().to_string());
    found.ok_or_else(|| Failure::UnknownGroup { found: letter.into() })
}

fn chosen(group: Option<Group>, since: Option<u16>, search: Option<&str>) -> Vec<&'static Trick> {
    let text = search.map(str::to_lowercase);
    let all = catalogue::all();
    all.filter(|trick| {
        group.is_none_or(|group| trick.group() == group)
            && since.is_none_or(|since| trick.year() >= since)
            && text.as_ref().is_none_or(|text| said_of(trick).to_lowercase().contains(text.as_str()))
    })
    .collect()
}

/// All that is searched.
fn said_of(trick: &Trick) -> String {
    let sources =
        trick.cite.iter().map(|source| format!("{} {} {}", source.authors, source.title, source.venue));
    let own = [trick.id, trick.name, trick.formula, &law(trick.law), trick.property.claim].join("\n");
    own + "\n" + &sources.collect::<Vec<_>>().join("\n")
}

fn law(law: Law) -> String {
    match law {
        Law::Exact => "exact".into(),
        Law::Rounding { bound } => format!("rounding: {bound}"),
        Law::Inexact { what } => format!("inexact: {what}"),
    }
}

/// A line for each: id, year, law, name, formula.
fn table(tricks: &[&Trick]) -> String {
    let width = tricks.iter().map(|trick| trick.name.chars().count()).max().unwrap_or(0).min(48);
    let mut text = String::new();
    for trick in tricks {
        let kind = match trick.law {
            Law::Exact => "exact",
            Law::Rounding { .. } => "rounding",
            Law::Inexact { .. } => "inexact",
        };
        let name = cut(trick.name, width);
        text += &format!("{:<4} {} {kind:<8} {name:<width$}  {}\n", trick.id, trick.year(), trick.formula);
    }
    text
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// One trick in full; what is not built, with its reason; an unknown id, with those like it.
fn one(id: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(trick) = catalogue::find(id) {
        match as_json {
            true => writeln!(out, "{:#}", Value::Array(vec![object(trick)]))?,
            false => write!(out, "{}", page(trick))?,
        }
        return Ok(());
    }
    match NOT_BUILT.iter().find(|trick| trick.id.eq_ignore_ascii_case(id)) {
        Some(_) if as_json => Ok(writeln!(out, "[]")?),
        Some(trick) => Ok(writeln!(out, "{} {}\n\nnot built: {}", trick.id, trick.name, trick.reason)?),
        None => Err(Failure::UnknownTrick { found: id.into(), near: near(id) }),
    }
}

/// The ids, or the names, that are most like what was asked for.
fn near(found: &str) -> Vec<String> {
    /// Below this they share little.
    const NEAR: f64 = 0.75;
    let lower = found.to_lowercase();
    let likeness = |trick: &Trick| {
        let id = strsim::jaro_winkler(&lower, &trick.id.to_lowercase());
        let words = trick.name.to_lowercase();
        let words =
            words.split(|c: char| !c.is_alphanumeric()).map(|word| strsim::jaro_winkler(&lower, word));
        words.fold(id, f64::max)
    };
    let mut near = catalogue::all().map(|trick| (likeness(trick), trick)).collect::<Vec<_>>();
    near.retain(|(likeness, _)| *likeness >= NEAR);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, trick)| format!("`{}` ({})", trick.id, trick.name)).collect()
}

fn page(trick: &Trick) -> String {
    let mut text = format!("{} {}\n\n", trick.id, trick.name);
    let group = format!("{:?}", trick.group()).to_lowercase();
    for (what, said) in [
        ("group", format!("{} ({group})", trick.group().letter())),
        ("formula", trick.formula.into()),
        ("law", law(trick.law)),
        ("claim", trick.property.claim.into()),
        ("measured", trick.property.found.into()),
        ("test", trick.property.test.into()),
        ("file", trick.file.into()),
    ] {
        text += &format!("{what:<9} {said}\n");
    }
    text += "\nsources\n";
    for Source { authors, title, venue, year } in trick.cite {
        text += &format!("  {}: {title}. {venue}, {year}\n", authors.replace(" and ", ", "));
    }
    text += &format!("\nexample (`{}`)\n", trick.example);
    for line in example(trick).unwrap_or_default().lines() {
        text += &(if line.is_empty() { "\n".into() } else { format!("  {line}\n") });
    }
    text
}

fn object(trick: &Trick) -> Value {
    let source = |source: &Source| json!({ "authors": source.authors, "title": source.title, "venue": source.venue, "year": source.year });
    let (kind, more) = match trick.law {
        Law::Exact => ("exact", None),
        Law::Rounding { bound } => ("rounding", Some(bound)),
        Law::Inexact { what } => ("inexact", Some(what)),
    };
    json!({
        "id": trick.id,
        "name": trick.name,
        "group": trick.group().letter().to_string(),
        "formula": trick.formula,
        "law": { "kind": kind, "says": more },
        "cite": trick.cite.iter().map(source).collect::<Vec<_>>(),
        "file": trick.file,
        "example": example(trick),
        "property": { "claim": trick.property.claim, "test": trick.property.test, "found": trick.property.found },
    })
}

/// The runnable example of a trick: the first of its item's documentation, else the first of its file that shows the item; without the
/// lines that documentation hides.
fn example(trick: &Trick) -> Option<String> {
    let (_, text) = SOURCES.iter().find(|(path, _)| *path == trick.file)?;
    let lines = text.lines().map(str::trim_start).collect::<Vec<_>>();
    let is_item = |line: &str| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect::<Vec<_>>();
        let kinds = ["fn", "struct", "enum", "trait", "const", "type"];
        words.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == trick.example)
    };
    let item = lines.iter().position(|line| !line.starts_with("//") && is_item(line))?;
    let belongs = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    let n_before = lines[..item].iter().rev().take_while(belongs).count();
    let own = fenced(&lines[item - n_before..item]).into_iter().next();
    own.or_else(|| fenced(&lines).into_iter().find(|code| shows(code, trick.example)))
}

fn shows(code: &str, name: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// The fenced blocks of documentation among these lines.
fn fenced(lines: &[&str]) -> Vec<String> {
    let (mut blocks, mut open) = (vec![], None::<String>);
    for line in lines {
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            open = None;
            continue;
        };
        let doc = doc.strip_prefix(' ').unwrap_or(doc);
        if doc.trim_start().starts_with("```") {
            let is_code = matches!(doc.trim(), "```" | "```rust" | "```no_run");
            match open.take() {
                Some(code) => blocks.push(code),
                None if is_code => open = Some(String::new()),
                None => {}
            }
        } else if let Some(code) = &mut open
            && doc != "#"
            && !doc.starts_with("# ")
        {
            *code += doc;
            code.push('\n');
        }
    }
    blocks
}

/// BibTeX of the sources of these tricks, and of a method by name: a comment with those that cite it, and each source once.
fn bibtex(ids: &[&str], method: Option<(&'static str, &'static [Source])>) -> String {
    let tricks = ids.iter().filter_map(|id| catalogue::find(id)).collect::<Vec<_>>();
    let mut sources = Vec::<(&Source, Vec<&str>)>::new();
    for (id, cite) in tricks.iter().map(|trick| (trick.id, trick.cite)).chain(method) {
        for source in cite {
            match sources.iter_mut().find(|(known, _)| known.key() == source.key()) {
                Some((_, by)) => by.push(id),
                None => sources.push((source, vec![id])),
            }
        }
    }
    let mut names = tricks.iter().map(|trick| format!("% {} {}\n", trick.id, trick.name)).collect::<String>();
    if let Some((name, _)) = method {
        names += &format!("% the update \"{name}\"\n");
    }
    let entries = sources.iter().map(|(source, by)| format!("\n% {}\n{}", by.join(", "), source.bibtex()));
    names + &entries.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trick_has_its_example() {
        for trick in catalogue::all() {
            let code = example(trick).unwrap_or_default();
            assert!(
                shows(&code, trick.example) || code.contains("assert"),
                "{} {} `{}`: {code:?}",
                trick.id,
                trick.file,
                trick.example
            );
            assert!(!code.lines().any(|line| line.starts_with("# ")), "{}", trick.id);
        }
        for (path, _) in SOURCES {
            assert!(catalogue::all().any(|trick| trick.file == *path), "{path} holds no trick");
        }
    }

    #[test]
    fn keys_of_bibtex_are_unique() {
        let sources = catalogue::all().flat_map(|trick| trick.cite);
        let mut known = Vec::<&Source>::new();
        for source in sources {
            match known.iter().find(|other| other.key() == source.key()) {
                Some(other) => assert_eq!(other.year, source.year, "{source:?} {other:?}"),
                None => known.push(source),
            }
        }
        assert!(known.len() > 20);
    }
}
