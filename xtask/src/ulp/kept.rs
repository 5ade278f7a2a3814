//! Rows of the table that were measured before, so that hours of measuring can be interrupted: they are kept in `target/ulp` and hold
//! for as long as the sources that they depend on are the same.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::source::files;

const FOLDER: &str = "target/ulp";
/// What a row depends on: the functions, their arithmetic, and what measures them.
const SOURCES: [&str; 3] =
    ["crates/retrograde-array/src/map", "crates/retrograde-array/src/kernel", "xtask/src/ulp"];

/// Where rows are kept, and the sources as they are now.
pub(super) struct Kept {
    folder: PathBuf,
    sources: String,
}

impl Kept {
    pub(super) fn new(root: &Path) -> Kept {
        let mut hasher = DefaultHasher::new();
        for file in SOURCES.iter().flat_map(|folder| files(root, folder, &["rs"])) {
            (file.path, file.text).hash(&mut hasher);
        }
        Kept { folder: root.join(FOLDER), sources: format!("{:016x}", hasher.finish()) }
    }

    /// The row of this name, measured now if it is not kept.
    pub(super) fn row(&self, name: &str, measure: impl FnOnce() -> Value) -> Value {
        let path = self.folder.join(format!("{name}.json"));
        let text = fs::read_to_string(&path).ok();
        let kept = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept["sources"] == self.sources.as_str()) {
            println!("  {name:<14} as measured before");
            return kept["row"].clone();
        }
        let row = measure();
        let text = json!({ "sources": self.sources, "row": row }).to_string();
        // What cannot be kept is measured again: that costs time only.
        fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, text)).ok();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_measured_once_for_the_same_sources() {
        let root = std::env::temp_dir().join(format!("retrograde-kept-{}", std::process::id()));
        let source = root.join(SOURCES[0]).join("a.rs");
        fs::create_dir_all(source.parent().unwrap()).unwrap();
        let mut n_measured = 0;
        let mut row = |text: &str| {
            fs::write(&source, text).unwrap();
            let row = Kept::new(&root).row("sin", || {
                n_measured += 1;
                json!(n_measured)
            });
            row.as_u64().unwrap()
        };
        assert_eq!([row("fn f() {}"), row("fn f() {}"), row("fn g() {}"), row("fn g() {}")], [1, 1, 2, 2]);
        fs::remove_dir_all(root).unwrap();
    }
}
