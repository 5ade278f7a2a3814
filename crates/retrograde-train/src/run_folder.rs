//! Where a run keeps its files. A folder is made once and never overwritten; a file in it is complete or absent.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use retrograde_array::Array;
use retrograde_array::io::{IoError, durable, save_safetensors};
use serde::Serialize;

/// Why a run cannot keep its files.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The folder is there already.
    #[error("error: the run folder exists already and is never overwritten\n  --> {}\n  help: name another folder with `--out`, or move this one away", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run in the folder.
    #[error("error: there is no run here: found no {missing}\n  --> {}\n  help: name a folder that `retrograde train` made", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        missing: &'static str,
    },
    /// Another process is at work in the folder.
    #[error("error: another process is at work on this run\n  --> {}\n  help: wait until it ends, or stop it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The name is not that of a file in the folder.
    #[error("error: found the file name {name:?}, expected letters, digits, `_`, `-` and `.`, the first no `.`\n  --> {}\n  help: name a file in the folder itself", path.display())]
    Name {
        /// The folder.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// The record cannot be a line of the metrics.
    #[error("error: found {found} as a record of the metrics, expected a JSON object\n  --> {}\n  help: append a structure or a map", path.display())]
    Record {
        /// The file of the metrics.
        path: PathBuf,
        /// What it came out as, or why it did not.
        found: String,
    },
    /// The arrays cannot be written.
    #[error("error: cannot write the arrays: {source}\n  --> {}\n  help: {}", path.display(), remedy(source))]
    Arrays {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: IoError,
    },
    /// The system refused.
    #[error("error: cannot {verb} it: {source}\n  --> {}\n  help: {}", path.display(), remedy_of(source))]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// What to try when the system refuses.
fn remedy_of(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room on the disk, then `retrograde train --resume RUN` goes on: what was written before is whole"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "name a folder that may be written to with `--out`, or change the permissions"
        }
        ErrorKind::NotFound => "do not move or remove the folder of a run while it is at work",
        _ => "look for something in the way and check the disk; what was written before is whole",
    }
}

fn remedy(error: &IoError) -> &'static str {
    match error {
        IoError::File { source, .. } => remedy_of(source),
        _ => "give the arrays different names",
    }
}

/// The folder of one run. It is this process's alone until dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held for its lock, which the system takes back even from a process that is killed.
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder `path`, and those above it where they are missing.
    ///
    /// # Errors
    /// The folder (or a file of that name) exists already; the system refuses.
    pub fn create(path: impl Into<PathBuf>) -> Result<RunFolder, RunFolderError> {
        let path = path.into();
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|source| refused("make the folder", parent, source))?;
        }
        match fs::create_dir(&path) {
            Ok(()) => RunFolder::locked(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(RunFolderError::Exists { path }),
            Err(source) => Err(refused("make the folder", &path, source)),
        }
    }

    /// Opens the folder of an earlier run, to go on with it.
    ///
    /// # Errors
    /// There is no run; another process is at work on it.
    pub fn open(path: impl Into<PathBuf>) -> Result<RunFolder, RunFolderError> {
        let path = path.into();
        for missing in ["recipe.toml", "data.json"] {
            if !path.join(missing).is_file() {
                return Err(RunFolderError::NoRun { path, missing });
            }
        }
        RunFolder::locked(path)
    }

    fn locked(path: PathBuf) -> Result<RunFolder, RunFolderError> {
        let lock = path.join(".lock");
        let file = OpenOptions::new().create(true).append(true).open(&lock);
        let file = file.map_err(|source| refused("open", &lock, source))?;
        match file.try_lock() {
            Ok(()) => Ok(RunFolder { path, _lock: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(RunFolderError::Busy { path }),
            // A file system without locks: go on without one.
            Err(TryLockError::Error(_)) => Ok(RunFolder { path, _lock: None }),
        }
    }

    /// Makes `parent/name-n`, with n one above the largest there, so that names follow time. Of two runs that start at
    /// the same moment each gets its own. Whatever in `name` is not a letter, a digit, `_`, `-` or `.` becomes `-`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create_next(parent: &Path, name: &str) -> Result<RunFolder, RunFolderError> {
        let stem = plain(name);
        let mut n = next_number(parent, &stem)?;
        loop {
            match RunFolder::create(parent.join(format!("{stem}-{n}"))) {
                Err(RunFolderError::Exists { .. }) => n = n.saturating_add(1),
                result => return result,
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a whole file: first beside its place, then, once it is on the disk, renamed into it. Readers, and a crash, see
    /// the old file or the new one, never a part.
    ///
    /// # Errors
    /// The name is not plain; the system refuses, and then the old file stays.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunFolderError> {
        let path = self.file(name)?;
        durable::replace(&path, bytes).map_err(|source| refused("write", &path, source))
    }

    /// As [`RunFolder::write`]; the old file, where there is one, is kept under the other name. At every moment one of the
    /// two names has a whole file.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub fn write_keeping_previous(
        &self,
        name: &str,
        previous: &str,
        bytes: &[u8],
    ) -> Result<(), RunFolderError> {
        let (path, previous) = (self.file(name)?, self.file(previous)?);
        durable::replace_keeping(&path, &previous, bytes).map_err(|source| refused("write", &path, source))
    }

    /// Writes named arrays as safetensors, whole or not at all like [`RunFolder::write`].
    ///
    /// # Errors
    /// The name is not plain; two arrays share a name; the system refuses.
    pub fn write_arrays(&self, name: &str, arrays: &[(String, Array)]) -> Result<(), RunFolderError> {
        let path = self.file(name)?;
        save_safetensors(&path, arrays, &BTreeMap::new())
            .map_err(|source| RunFolderError::Arrays { path, source })
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// A name is not plain; the system refuses.
    pub fn rename(&self, name: &str, to: &str) -> Result<(), RunFolderError> {
        let (path, to) = (self.file(name)?, self.file(to)?);
        durable::rename(&path, &to).map_err(|source| refused("rename", &path, source))
    }

    /// Takes back what was recorded after a checkpoint: keeps the whole lines of `metrics.jsonl` that `keep` accepts.
    ///
    /// # Errors
    /// The system refuses, and then the file stays as it was.
    pub fn rewind_metrics(&self, keep: impl Fn(&serde_json::Value) -> bool) -> Result<(), RunFolderError> {
        let mut kept = String::new();
        for (line, record) in self.records()? {
            if keep(&record) {
                kept += &line;
                kept.push('\n');
            }
        }
        self.write("metrics.jsonl", kept.as_bytes())
    }

    /// The lines of `metrics.jsonl` that are whole, each with what it says.
    ///
    /// # Errors
    /// The system refuses.
    pub fn records(&self) -> Result<Vec<(String, serde_json::Value)>, RunFolderError> {
        let path = self.file("metrics.jsonl")?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(source) => return Err(refused("read", &path, source)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let whole = |line: &str| Some((line.to_owned(), serde_json::from_str(line).ok()?));
        Ok(text.lines().filter_map(whole).collect())
    }

    /// Opens `metrics.jsonl` for appending.
    ///
    /// # Errors
    /// The system refuses.
    pub fn metrics(&self) -> Result<Metrics, RunFolderError> {
        let path = self.file("metrics.jsonl")?;
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|source| refused("open", &path, source))?;
        Ok(Metrics { file, path })
    }

    fn file(&self, name: &str) -> Result<PathBuf, RunFolderError> {
        if plain(name) == name && !name.starts_with('.') {
            Ok(self.path.join(name))
        } else {
            Err(RunFolderError::Name { path: self.path.clone(), name: name.into() })
        }
    }
}

/// `metrics.jsonl`: one JSON object on each line.
#[derive(Debug)]
pub struct Metrics {
    file: File,
    path: PathBuf,
}

impl Metrics {
    /// Appends one record, which must serialise as an object; a number that is not finite becomes `null`. The line goes
    /// out in one write, so a program that follows the file sees whole lines.
    ///
    /// # Errors
    /// The record is no object; the system refuses.
    pub fn append(&mut self, record: &impl Serialize) -> Result<(), RunFolderError> {
        let line = serde_json::to_string(record);
        let no_object = |found| RunFolderError::Record { path: self.path.clone(), found };
        let mut line = line.map_err(|error| no_object(error.to_string()))?;
        if !line.starts_with('{') {
            return Err(no_object(line));
        }
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|source| refused("append to", &self.path, source))
    }
}

fn refused(verb: &'static str, path: &Path, source: io::Error) -> RunFolderError {
    RunFolderError::Io { verb, path: path.into(), source }
}

fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '-' };
    let name = name.chars().map(keep).collect::<String>();
    if name.is_empty() || name.starts_with('.') { format!("run{name}") } else { name }
}

fn next_number(parent: &Path, stem: &str) -> Result<u64, RunFolderError> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(1),
        Err(source) => return Err(refused("read the folder", parent, source)),
    };
    let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
    let number = |name: String| name.strip_prefix(stem)?.strip_prefix('-')?.parse::<u64>().ok();
    Ok(names.filter_map(number).max().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let names =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names = names.filter(|name| name != ".lock").collect::<Vec<_>>();
        names.sort();
        names
    }

    #[test]
    fn an_existing_folder_is_never_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        RunFolder::create(&path).unwrap().write("recipe.toml", b"seed = 1").unwrap();
        let error = RunFolder::create(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "error: the run folder exists already and is never overwritten\n  --> {}\n  help: name another folder with `--out`, or move this one away",
                path.display()
            )
        );
        assert_eq!(fs::read(path.join("recipe.toml")).unwrap(), b"seed = 1");
        // A file in the place counts too.
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(matches!(RunFolder::create(temp.path().join("file")), Err(RunFolderError::Exists { .. })));
    }

    #[test]
    fn numbers_follow_the_largest() {
        let temp = tempfile::tempdir().unwrap();
        let runs = temp.path().join("runs");
        let next = |name: &str| {
            let folder = RunFolder::create_next(&runs, name).unwrap();
            folder.path().file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(next("digits"), "digits-1");
        assert_eq!(next("digits"), "digits-2");
        fs::create_dir(runs.join("digits-9")).unwrap();
        fs::create_dir(runs.join("digits-wide-40")).unwrap();
        assert_eq!(next("digits"), "digits-10");
        assert_eq!(next("../mine: x"), "run..-mine--x-1");
        assert_eq!(next(""), "run-1");
    }

    #[test]
    fn runs_that_start_together_get_folders_of_their_own() {
        let temp = tempfile::tempdir().unwrap();
        let start = || RunFolder::create_next(temp.path(), "digits").unwrap();
        std::thread::scope(|scope| {
            let handles = (0..8).map(|_| scope.spawn(start)).collect::<Vec<_>>();
            handles.into_iter().for_each(|handle| drop(handle.join().unwrap()));
        });
        assert_eq!(names(temp.path()).len(), 8);
    }

    #[test]
    fn writing_replaces_whole_files_and_leaves_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(temp.path().join("run")).unwrap();
        folder.write("report.json", b"a long first version").unwrap();
        folder.write("report.json", b"short").unwrap();
        assert_eq!(fs::read(folder.path().join("report.json")).unwrap(), b"short");
        // Renaming onto a folder fails: the error names the file, and no part stays behind.
        fs::create_dir(folder.path().join("taken")).unwrap();
        let error = folder.write("taken", b"x").unwrap_err().to_string();
        let start = format!(
            "\n  --> {}\n  help: look for something in the way",
            folder.path().join("taken").display()
        );
        assert!(error.starts_with("error: cannot write it: ") && error.contains(&start), "{error}");
        let twice = [("x".to_owned(), Array::scalar(1.0)), ("x".to_owned(), Array::scalar(2.0))];
        let error = folder.write_arrays("taken", &twice).unwrap_err().to_string();
        assert!(
            error.starts_with("error: cannot write the arrays: two arrays are named `x`\n  --> "),
            "{error}"
        );
        assert!(error.ends_with("\n  help: give the arrays different names"), "{error}");
        assert_eq!(names(folder.path()), ["report.json", "taken"]);
        for name in ["../escape", "a/b", "", ".", "..", ".hidden"] {
            let error = folder.write(name, b"").unwrap_err();
            assert!(matches!(error, RunFolderError::Name { .. }), "{name:?}");
            assert!(
                error.to_string().starts_with(&format!("error: found the file name {name:?}, expected "))
            );
        }
    }

    #[test]
    fn a_run_is_opened_by_one_process_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run");
        let folder = RunFolder::create(&path).unwrap();
        let error = RunFolder::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("error: there is no run here: found no recipe.toml"), "{error}");
        folder.write("recipe.toml", b"").unwrap();
        folder.write("data.json", b"").unwrap();
        assert!(matches!(RunFolder::open(&path), Err(RunFolderError::Busy { .. })));
        drop(folder);
        RunFolder::open(&path).unwrap();
    }

    #[test]
    fn records_are_taken_back_and_half_a_line_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(temp.path().join("run")).unwrap();
        folder.rewind_metrics(|_| true).unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, "{\"epoch\":1}\n{\"epoch\":2}\n{\"epo").unwrap();
        folder.rewind_metrics(|record| record["epoch"] == 1).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"epoch\":1}\n");
    }

    #[test]
    fn metrics_are_one_object_a_line() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(temp.path().join("run")).unwrap();
        let mut metrics = folder.metrics().unwrap();
        metrics.append(&json!({ "epoch": 1, "note": "two\nlines" })).unwrap();
        metrics.append(&json!({ "epoch": 2, "loss": f64::NAN })).unwrap();
        folder.metrics().unwrap().append(&json!({ "epoch": 3 })).unwrap();
        let error = metrics.append(&[1, 2]).unwrap_err().to_string();
        let place = folder.path().join("metrics.jsonl");
        let expected = "error: found [1,2] as a record of the metrics, expected a JSON object\n  --> ";
        assert_eq!(error, format!("{expected}{}\n  help: append a structure or a map", place.display()));
        let text = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let lines = text.lines().map(parse).collect::<Vec<_>>();
        assert_eq!(lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(lines[1]["loss"].is_null());
    }
}
