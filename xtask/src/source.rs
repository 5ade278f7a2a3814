//! The tree and its Rust files as tokens: comments and strings hide nothing and fake nothing.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The root of the project.
pub fn root() -> PathBuf {
    // Of the tree that cargo runs in: a program that was built in another one and copied would look there.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = xtask.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    xtask.parent().expect("xtask lies in the project").into()
}

/// A text file of the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFile {
    /// From the root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl SourceFile {
    /// For samples in tests.
    pub fn new(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }
    /// The tokens of the file.
    ///
    /// # Errors
    /// It is not Rust.
    pub fn tokens(&self) -> Result<Vec<Token>, String> {
        let stream = self.text.parse::<TokenStream>();
        let stream = stream.map_err(|error| format!("{}: not Rust: {error}", self.path))?;
        let mut tokens = vec![];
        flatten(stream, 0, &mut tokens);
        Ok(tokens)
    }
    /// The tokens of the file without items under `#[cfg(test)]` or `#[test]`; none for a file of tests.
    ///
    /// # Errors
    /// It is not Rust.
    pub fn code(&self) -> Result<Vec<Token>, String> {
        let is_test = |part: &str| matches!(part, "tests" | "tests.rs" | "benches");
        if self.path.split('/').any(is_test) { Ok(vec![]) } else { Ok(without_tests(&self.tokens()?)) }
    }
}

/// All files below `root/folder` with one of the extensions, sorted by path; none where there is no such folder.
/// Build outputs and hidden folders are left out.
pub fn files(root: &Path, folder: &str, extensions: &[&str]) -> Vec<SourceFile> {
    let mut found = vec![];
    walk(&root.join(folder), &mut |path| {
        let wanted =
            path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known));
        let Some(text) = wanted.then(|| fs::read_to_string(path).ok()).flatten() else { return };
        let parts = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy());
        found.push(SourceFile { path: parts.collect::<Vec<_>>().join("/"), text });
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_file() {
            visit(&path);
        } else if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            walk(&path, visit);
        }
    }
}

/// A token: a word, a literal, one punctuation character, or a bracket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// As written. String literals keep their quotes, so no word equals one.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
    /// How many brackets are open around it; an opening and a closing bracket have that of their surroundings.
    pub depth: usize,
}

fn flatten(stream: TokenStream, depth: usize, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(&group);
                tokens.push(Token { text: open.into(), line, depth });
                flatten(group.stream(), depth + 1, tokens);
                tokens.push(Token { text: close.into(), line: group.span_close().start().line, depth });
            }
            leaf => tokens.push(Token { text: leaf.to_string(), line, depth }),
        }
    }
}

fn brackets(group: &Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// The index after the bracket that closes the one at `open`.
pub fn after_group(tokens: &[Token], open: usize) -> usize {
    let depth = tokens[open].depth;
    let close = tokens[open + 1..].iter().position(|token| token.depth == depth);
    close.map_or(tokens.len(), |offset| open + 1 + offset + 1)
}

/// Whether the tokens from `at` on read as these.
pub fn reads(tokens: &[Token], at: usize, expected: &[&str]) -> bool {
    tokens.len() >= at + expected.len()
        && tokens[at..].iter().zip(expected).all(|(token, expected)| token.text == *expected)
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = vec![];
    let mut at = 0;
    while at < tokens.len() {
        let inner = reads(tokens, at, &["#", "!", "["]);
        if inner || reads(tokens, at, &["#", "["]) {
            let open = at + 1 + usize::from(inner);
            let end = after_group(tokens, open);
            if is_for_tests(&tokens[open + 1..end]) {
                if inner {
                    return vec![];
                }
                at = after_item(tokens, end, tokens[at].depth);
                continue;
            }
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let has = |word| attribute.iter().any(|token| token.text == word);
    match attribute.first().map(|token| token.text.as_str()) {
        Some("test") => true,
        Some("cfg") => has("test") && !has("not") && !has("any"),
        _ => false,
    }
}

/// An item ends at its braces or at a semicolon, whichever comes first; a list element or match arm at its comma.
fn after_item(tokens: &[Token], start: usize, depth: usize) -> usize {
    let mut at = start;
    while at < tokens.len() && tokens[at].depth >= depth {
        match tokens[at].text.as_str() {
            "{" if tokens[at].depth == depth => return after_group(tokens, at),
            ";" | "," if tokens[at].depth == depth => return at + 1,
            "}" | ")" | "]" if tokens[at].depth < depth => return at,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let code = SourceFile::new("src/a.rs", text).code().unwrap();
        code.into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn test_items_vanish_and_nothing_else() {
        assert_eq!(
            words("fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}"),
            "fn a ( ) { } fn c ( ) { }"
        );
        assert_eq!(words("#[cfg(test)] mod tests; fn c() {}"), "fn c ( ) { }");
        assert_eq!(words("mod m { #[test] #[ignore] fn t(a: u8) { b } struct S; }"), "mod m { struct S ; }");
        assert_eq!(words("#[cfg(not(test))] fn a() {}"), "# [ cfg ( not ( test ) ) ] fn a ( ) { }");
        assert_eq!(words("struct S { #[cfg(test)] a: u8, b: u8 }"), "struct S { b : u8 }");
        assert_eq!(words("struct S { #[cfg(test)] a: u8 } fn f() {}"), "struct S { } fn f ( ) { }");
        assert_eq!(words("#![cfg(test)] fn a() {}"), "");
        assert_eq!(words("// unsafe\nconst A: &str = \"unsafe\";"), "const A : & str = \"unsafe\" ;");
    }

    #[test]
    fn tokens_know_their_lines() {
        let tokens = SourceFile::new("a.rs", "a\n\n{ b\n}").tokens().unwrap();
        assert_eq!(tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 3, 3, 4]);
        assert_eq!(tokens.iter().map(|token| token.depth).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert!(SourceFile::new("a.rs", "{").tokens().is_err());
    }
}
