//! The rules of the source tree. Each is a pure function from text to offences, `path:line: what is wrong`;
//! `tests/tidy.rs` applies them to the tree, and to a sample that breaks each.

use std::collections::BTreeSet;

use crate::source::{SourceFile, Token, after_group, reads};

/// The modules of `retrograde-core`, lowest first: none imports from one after it.
pub const CORE_FLOORS: &[&str] = &["ir", "prim", "transform", "tape", "exec", "trace"];

/// The floor of each crate: each depends only on crates of lower ones.
pub const CRATE_FLOORS: &[(&str, u32)] = &[
    ("retrograde-array", 0),
    ("retrograde-derive", 0),
    ("retrograde-core", 1),
    ("retrograde-engine", 2),
    ("retrograde-sample", 2),
    ("retrograde-solve", 3),
    ("retrograde-tricks", 4),
    ("retrograde-train", 5),
    ("retrograde", 6),
    ("retrograde-cli", 7),
];

/// The floor of what is not one of our crates.
const CHORES_FLOOR: u32 = 1;

/// Where `unsafe` may stand.
pub const UNSAFE_ALLOWED: &[&str] = &["crates/retrograde-array/src/kernel/"];

/// Where printing is the job.
pub const PRINTING_ALLOWED: &[&str] = &["crates/retrograde-cli/", "xtask/"];

/// What a program that depends on `retrograde` is built from.
pub const LIBRARY: &[&str] = &[
    "retrograde-array",
    "retrograde-derive",
    "retrograde-core",
    "retrograde-engine",
    "retrograde-solve",
    "retrograde-tricks",
    "retrograde",
];

/// Where every public function is shown in an example.
pub const SHOWN: &[&str] = &[
    "crates/retrograde-array/src/",
    "crates/retrograde-core/src/exec/",
    "crates/retrograde-core/src/ir/",
    "crates/retrograde-core/src/tape/",
    "crates/retrograde-core/src/trace/",
    "crates/retrograde-core/src/transform/",
    "crates/retrograde-solve/src/",
    "crates/retrograde-tricks/src/",
];

/// Inside `retrograde-core`, a module imports only from those before it in [`CORE_FLOORS`].
pub fn floors_inside_core(files: &[SourceFile]) -> Vec<String> {
    let floor_of = |name: &str| CORE_FLOORS.iter().position(|floor| *floor == name);
    each(files, |file, offences| {
        let Some(inside) = file.path.strip_prefix("crates/retrograde-core/src/") else { return Ok(()) };
        let mut modules = inside.trim_end_matches(".rs").split('/').collect::<Vec<_>>();
        modules.retain(|part| *part != "mod");
        let Some(own) = floor_of(modules[0]) else { return Ok(()) };
        for (name, line) in root_paths(&file.code()?, modules.len()) {
            if floor_of(&name).is_some_and(|floor| floor > own) {
                offences.push(format!(
                    "{}:{line}: `{}` imports from `{name}`, a higher floor",
                    file.path, modules[0]
                ));
            }
        }
        Ok(())
    })
}

/// The first words of the paths from the root of the crate: `crate::X`, `retrograde_core::X`, `super::…::X`, and each
/// element of a braced list there. `file_depth` is the number of modules around the file.
fn root_paths(code: &[Token], file_depth: usize) -> Vec<(String, usize)> {
    let mut found = vec![];
    // The bracket depths of the inline modules around the current token.
    let mut inline = Vec::<usize>::new();
    let mut at = 0;
    while at < code.len() {
        while inline.last().is_some_and(|&depth| code[at].depth <= depth && code[at].text == "}") {
            inline.pop();
        }
        if code[at].text == "mod" && reads(code, at + 2, &["{"]) {
            inline.push(code[at + 2].depth);
            at += 3;
            continue;
        }
        let mut end = at;
        if matches!(code[at].text.as_str(), "crate" | "retrograde_core") && reads(code, at + 1, &[":", ":"]) {
            end = at + 3;
        } else {
            while reads(code, end, &["super", ":", ":"]) {
                end += 3;
            }
            if (end - at) / 3 != file_depth + inline.len() {
                at = end.max(at + 1);
                continue;
            }
        }
        if let Some(token) = code.get(end) {
            found.extend(first_words(code, end).into_iter().map(|word| (word, token.line)));
        }
        at = end;
    }
    found
}

fn first_words(code: &[Token], at: usize) -> Vec<String> {
    if code[at].text != "{" {
        return vec![code[at].text.clone()];
    }
    let list = &code[at + 1..after_group(code, at).saturating_sub(1)];
    let starts = |i: &usize| list[*i].depth == code[at].depth + 1 && (*i == 0 || list[*i - 1].text == ",");
    (0..list.len()).filter(starts).map(|i| list[i].text.clone()).collect()
}

/// A crate depends only on crates of lower floors; dependencies of tests alone are free. Every crate has a floor.
pub fn floors_of_crates(manifests: &[SourceFile]) -> Vec<String> {
    let floor_of =
        |name: &str| CRATE_FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor);
    each(manifests, |file, offences| {
        let manifest = file.text.parse::<toml::Table>().map_err(|error| format!("{}: {error}", file.path))?;
        let Some(package) = manifest.get("package") else { return Ok(()) };
        let name = package.get("name").and_then(toml::Value::as_str).unwrap_or_default();
        let is_ours = |name: &str| name == "retrograde" || name.starts_with("retrograde-");
        let own = if is_ours(name) {
            match floor_of(name) {
                Some(floor) => floor,
                None => return Err(format!("{}: `{name}` has no floor in CRATE_FLOORS", file.path)),
            }
        } else {
            // Chores and samples stand beside the crates: they may use the arrays, to measure them.
            CHORES_FLOOR
        };
        let targets = manifest.get("target").and_then(toml::Value::as_table);
        let tables =
            [&manifest].into_iter().chain(targets.into_iter().flatten().filter_map(|(_, t)| t.as_table()));
        for table in tables {
            for kind in ["dependencies", "build-dependencies"] {
                let dependencies = table.get(kind).and_then(toml::Value::as_table);
                for (key, value) in dependencies.into_iter().flatten() {
                    let dependency = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                    if is_ours(dependency) && floor_of(dependency).is_none_or(|floor| floor >= own) {
                        offences.push(format!(
                            "{}: `{name}` depends on `{dependency}`, which is not on a lower floor",
                            file.path
                        ));
                    }
                }
            }
        }
        Ok(())
    })
}

/// No public signature of the library names another project's type or trait: functions, fields, variants, aliases, exports
/// and the heads of implementations. What a crate depends on only for a feature, it can name only behind that feature.
pub fn foreign_types(manifests: &[SourceFile], files: &[SourceFile]) -> Vec<String> {
    each(manifests, |manifest, offences| {
        let table = manifest.text.parse::<toml::Table>();
        let table = table.map_err(|error| format!("{}: {error}", manifest.path))?;
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        if !LIBRARY.iter().any(|name| folder == format!("crates/{name}/")) {
            return Ok(());
        }
        let always = |value: &toml::Value| value.get("optional").and_then(toml::Value::as_bool) != Some(true);
        let dependencies = table.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
        let foreign = dependencies.filter(|(name, value)| !name.starts_with("retrograde") && always(value));
        let foreign = foreign.map(|(name, _)| name.replace('-', "_")).collect::<Vec<_>>();
        for file in files.iter().filter(|file| file.path.starts_with(&format!("{folder}src/"))) {
            let code = file.code()?;
            let names = names_from(&code, &foreign);
            for signature in public_signatures(&code) {
                let is_path = |i: &usize| {
                    let starts = *i < 2 || !reads(&code, i - 2, &[":", ":"]);
                    starts && foreign.contains(&code[*i].text) && reads(&code, i + 1, &[":", ":"])
                };
                let found = signature.filter(|i| names.contains(&code[*i].text) || is_path(i));
                offences.extend(found.map(|i| {
                    format!("{}:{}: `{}` in a public signature", file.path, code[i].line, code[i].text)
                }));
            }
        }
        Ok(())
    })
}

/// The names that a file imports from these crates.
fn names_from(code: &[Token], crates: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for at in 0..code.len() {
        let imports =
            code[at].text == "use" && code.get(at + 1).is_some_and(|name| crates.contains(&name.text));
        if imports && reads(code, at + 2, &[":", ":"]) {
            let words = code[at + 4..].iter().take_while(|token| token.text != ";");
            let is_name = |text: &&String| text.starts_with(char::is_alphabetic) && *text != "as";
            names.extend(words.map(|token| &token.text).filter(is_name).cloned());
        }
    }
    names
}

/// Where the tokens of public signatures stand: without the bodies of functions and without private fields.
fn public_signatures(code: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut found = vec![];
    for at in 0..code.len() {
        let depth = code[at].depth;
        let until = |ends: &[&str]| {
            let end = |i: &usize| {
                code[*i].depth < depth || (code[*i].depth == depth && ends.contains(&code[*i].text.as_str()))
            };
            (at + 1..code.len()).find(end).unwrap_or(code.len())
        };
        let is_item = at == 0 || matches!(code[at - 1].text.as_str(), "{" | "}" | ";" | "]" | "unsafe");
        match (code[at].text.as_str(), code.get(at + 1).map(|next| next.text.as_str())) {
            ("pub", Some("("))
                if code
                    .get(at + 2)
                    .is_some_and(|word| matches!(word.text.as_str(), "crate" | "super" | "in")) => {}
            ("pub", Some("enum" | "trait")) => {
                let open = until(&["{", ";"]);
                found.push(at..if open < code.len() { after_group(code, open) } else { open });
            }
            ("pub", Some("struct")) => found.push(at..until(&["{", "(", ";"])),
            ("pub", Some("use" | "type")) => found.push(at..until(&[";"])),
            ("pub", Some("fn" | "async")) => found.push(at..until(&["{", ";"])),
            ("pub", Some("const" | "static")) => found.push(at..until(&["{", ";", "="])),
            // A field.
            ("pub", Some(_)) => found.push(at..until(&[",", ";", "{"])),
            ("impl", _) if is_item => found.push(at..until(&["{"])),
            _ => {}
        }
    }
    found
}

/// Nothing below the command prints: no `print!` and its like outside tests and examples.
pub fn printing(files: &[SourceFile]) -> Vec<String> {
    each(files, |file, offences| {
        let exempt = PRINTING_ALLOWED.iter().any(|prefix| file.path.starts_with(prefix));
        if exempt || file.path.split('/').any(|part| part == "examples") {
            return Ok(());
        }
        for pair in file.code()?.windows(2) {
            let prints = matches!(pair[0].text.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg");
            if prints && pair[1].text == "!" {
                offences
                    .push(format!("{}:{}: `{}!` below the command", file.path, pair[0].line, pair[0].text));
            }
        }
        Ok(())
    })
}

/// `unsafe` stands only under [`UNSAFE_ALLOWED`], tests included.
pub fn unsafe_code(files: &[SourceFile]) -> Vec<String> {
    each(files, |file, offences| {
        if UNSAFE_ALLOWED.iter().any(|prefix| file.path.starts_with(prefix)) {
            return Ok(());
        }
        let tokens = file.tokens()?;
        let unsafes = tokens.iter().filter(|token| token.text == "unsafe");
        offences.extend(
            unsafes.map(|token| format!("{}:{}: `unsafe` outside the kernels", file.path, token.line)),
        );
        Ok(())
    })
}

/// Every crate root says `#![forbid(unsafe_code)]` or `#![deny(unsafe_code)]`.
pub fn crate_roots(files: &[SourceFile]) -> Vec<String> {
    each(files, |file, offences| {
        let parts = file.path.rsplit('/').collect::<Vec<_>>();
        let is_root = matches!(parts[..], ["lib.rs" | "main.rs", "src", ..] | [_, "bin", "src", ..]);
        let tokens = file.tokens()?;
        let says = |level: &str, at: usize| {
            let start = ["#", "!", "[", level, "("];
            reads(&tokens, at, &start)
                && tokens[at..after_group(&tokens, at + 4)].iter().any(|token| token.text == "unsafe_code")
        };
        if is_root && !(0..tokens.len()).any(|at| says("forbid", at) || says("deny", at)) {
            offences.push(format!("{}:1: no `#![forbid(unsafe_code)]`", file.path));
        }
        Ok(())
    })
}

/// Each `- Absent:` line of ARCHITECTURE.md ends with the name of the test that watches over it, in backticks, and
/// that test exists.
pub fn absences_are_tested(architecture: &str, files: &[SourceFile]) -> Vec<String> {
    let mut tests = BTreeSet::new();
    let mut offences = each(files, |file, _| {
        tests.extend(test_names(&file.tokens()?));
        Ok(())
    });
    for (line, text) in bullets(architecture) {
        if !text.starts_with("- Absent:") {
            continue;
        }
        let parts = text.split('`').collect::<Vec<_>>();
        let named = if parts.len() >= 3 && parts.len() % 2 == 1 { parts[parts.len() - 2] } else { "" };
        // A test may be named with its path, `tidy::unsafe_code`.
        let name = named.rsplit("::").next().unwrap_or_default();
        if name.is_empty() {
            offences.push(format!("ARCHITECTURE.md:{line}: names no test"));
        } else if !tests.contains(name) {
            offences.push(format!("ARCHITECTURE.md:{line}: there is no test `{name}`"));
        }
    }
    offences
}

/// The lines that start with `- `, each with its number and with the indented lines that continue it.
fn bullets(text: &str) -> Vec<(usize, String)> {
    let mut bullets = Vec::<(usize, String)>::new();
    let mut open = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("- ") {
            bullets.push((line, text.into()));
            open = true;
        } else if open && text.starts_with(' ') {
            let bullet = &mut bullets.last_mut().expect("a bullet is open").1;
            *bullet = format!("{bullet} {}", text.trim());
        } else {
            open = false;
        }
    }
    bullets
}

pub(crate) fn test_names(tokens: &[Token]) -> Vec<String> {
    let mut names = vec![];
    for at in 0..tokens.len() {
        if reads(tokens, at, &["#", "[", "test", "]"]) {
            let name = (at..tokens.len()).find(|&i| tokens[i].text == "fn").and_then(|i| tokens.get(i + 1));
            names.extend(name.map(|name| name.text.clone()));
        }
    }
    names
}

/// Each file beside `table` (`prim/mod.rs`) is used: one with an `impl Rules for` is a row `name::Type` of
/// `primitives! { … }`, any other is declared `mod name`.
pub fn primitives_are_registered(table: &SourceFile, files: &[SourceFile]) -> Vec<String> {
    let (mut rows, mut modules) = (BTreeSet::new(), BTreeSet::new());
    let mut offences = each(std::slice::from_ref(table), |file, _| {
        let tokens = file.tokens()?;
        for at in 0..tokens.len() {
            if reads(&tokens, at, &["mod"]) && reads(&tokens, at + 2, &[";"]) {
                modules.insert(tokens[at + 1].text.clone());
            }
            if reads(&tokens, at, &["primitives", "!", "{"]) {
                let row = |i: &usize| reads(&tokens, *i + 1, &[":", ":"]);
                let range = at + 3..after_group(&tokens, at + 2);
                rows.extend(range.filter(row).map(|i| tokens[i].text.clone()));
            }
        }
        Ok(())
    });
    offences.extend(each(files, |file, offences| {
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let code = file.code()?;
        let has_rules = (0..code.len()).any(|at| reads(&code, at, &["impl", "Rules", "for"]));
        if has_rules && !rows.contains(name) {
            offences.push(format!("{}: is no row of `primitives!` in {}", file.path, table.path));
        } else if !rows.contains(name) && !modules.contains(name) && name != "mod" {
            offences.push(format!("{}: is not declared in {}", file.path, table.path));
        }
        Ok(())
    }));
    offences
}

/// Every public function under [`SHOWN`], methods of public traits included, is shown in a fenced example: in its own
/// documentation, or by a call or path in another example of its file. A macro that makes public functions has the example
/// in its text, or each of its documented rows counts as the function that is named after the documentation. Paths that
/// begin with an entry of `missing` are not there yet; an entry that is no longer needed is an offence.
pub fn functions_are_shown(files: &[SourceFile], missing: &[&str]) -> Vec<String> {
    let files = files.iter().filter(|file| SHOWN.iter().any(|prefix| file.path.starts_with(prefix)));
    let files = files.cloned().collect::<Vec<_>>();
    let codes = files.iter().filter_map(|file| file.code().ok());
    let makers = codes.flat_map(|code| macros_of_functions(&code)).collect::<BTreeSet<_>>();
    let offences = each(&files, |file, offences| {
        let code = file.code()?;
        let shown = shown_names(&docs(&code, 0..code.len()));
        for (name_at, item_at) in public_functions(&code, &makers) {
            let (name, own) = (&code[name_at].text, docs_before(&code, item_at));
            let by_rows = name == "$" && own.is_empty();
            if !(shown.contains(name) || own.contains("```") || by_rows) {
                offences.push(format!("{}:{}: no example shows `{name}`", file.path, code[name_at].line));
            }
        }
        Ok(())
    });
    let (waiting, mut offences): (Vec<_>, Vec<_>) =
        offences.into_iter().partition(|offence| missing.iter().any(|entry| offence.starts_with(entry)));
    let is_stale = |entry: &&&str| !waiting.iter().any(|offence| offence.starts_with(**entry));
    let stale = missing.iter().filter(is_stale);
    offences.extend(stale.map(|entry| format!("{entry}: everything is shown, take it off the list")));
    offences
}

/// The macros with a `pub fn $name` that has no example of its own.
fn macros_of_functions(code: &[Token]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut last = None;
    for at in 0..code.len() {
        if reads(code, at, &["macro_rules", "!"]) {
            last = code.get(at + 2).map(|name| name.text.clone());
        }
        if reads(code, at, &["pub", "fn", "$"]) && !docs_before(code, at).contains("```") {
            names.extend(last.clone());
        }
    }
    names
}

/// The public functions, methods of public traits and documented rows of `makers`: where the name stands, and where the item
/// begins. A name that a macro fills in is `$`.
fn public_functions(code: &[Token], makers: &BTreeSet<String>) -> Vec<(usize, usize)> {
    let mut found = vec![];
    for at in 0..code.len() {
        let in_group = |open: usize| open + 1..after_group(code, open).saturating_sub(1);
        if reads(code, at, &["pub", "fn"]) || reads(code, at, &["pub", "const", "fn"]) {
            let name_at = if code[at + 1].text == "fn" { at + 2 } else { at + 3 };
            found.push((name_at, at));
        } else if reads(code, at, &["pub", "trait"]) {
            let body = (at..code.len()).find(|&i| code[i].text == "{" && code[i].depth == code[at].depth);
            let of_body = |i: &usize| code[*i].text == "fn" && code[*i].depth == code[at].depth + 1;
            found.extend(body.into_iter().flat_map(in_group).filter(of_body).map(|i| (i + 1, i)));
        } else if makers.contains(&code[at].text) && reads(code, at + 1, &["!"]) {
            let row = |i: &usize| {
                let starts = code[*i].depth == code[at].depth + 1 && code[*i].text != "#";
                starts && !docs_before(code, *i).is_empty()
            };
            found.extend(in_group(at + 2).filter(row).map(|i| (i, i)));
        }
    }
    found
}

/// The lines of the doc comments among these tokens.
fn docs(code: &[Token], range: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for at in range {
        if reads(code, at, &["[", "doc", "="]) {
            let literals =
                code[at + 3..after_group(code, at)].iter().filter(|token| token.text.starts_with('"'));
            literals.for_each(|literal| text += &literal.text.trim_matches('"').replace("\\n", "\n"));
            text.push('\n');
        }
    }
    text
}

/// The doc comments right before a token, other attributes between them.
fn docs_before(code: &[Token], at: usize) -> String {
    let mut start = at;
    while start > 0 && code[start - 1].text == "]" {
        let depth = code[start - 1].depth;
        let open = code[..start - 1].iter().rposition(|token| token.depth == depth);
        match open {
            Some(open) if open > 0 && code[open - 1].text == "#" => start = open - 1,
            _ => break,
        }
    }
    docs(code, start..at)
}

/// The names that the fenced examples of a documentation call, `name(` and `name::<`, or reach by a path, `Type::name`.
fn shown_names(docs: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut fence = None;
    for line in docs.lines().map(str::trim) {
        if let Some(info) = line.strip_prefix("```") {
            let is_example = matches!(info, "" | "rust" | "no_run" | "should_panic");
            fence = if fence.is_none() { Some(is_example) } else { None };
            continue;
        }
        let code = line.strip_prefix("# ").unwrap_or(line);
        if fence != Some(true) || code.starts_with("use ") {
            continue;
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut rest = code;
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
            if before.ends_with("::") || after.starts_with('(') || after.starts_with("::<") {
                names.insert(word.to_owned());
            }
            rest = after;
        }
    }
    names
}

/// Each file gives the README's test command word for word.
pub fn test_command(files: &[SourceFile]) -> Vec<String> {
    let without = files.iter().filter(|file| !file.text.lines().any(|line| line.trim() == crate::gate::TEST));
    without.map(|file| format!("{}: no line `{}`", file.path, crate::gate::TEST)).collect()
}

/// Runs a rule over files; a file that cannot be read as what it is counts as an offence.
fn each(
    files: &[SourceFile],
    mut rule: impl FnMut(&SourceFile, &mut Vec<String>) -> Result<(), String>,
) -> Vec<String> {
    let mut offences = vec![];
    for file in files {
        if let Err(error) = rule(file, &mut offences) {
            offences.push(error);
        }
    }
    offences
}
