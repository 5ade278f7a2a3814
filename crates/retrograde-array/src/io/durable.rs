//! Files that are whole or as they were, whatever is killed and whenever the power fails.
//!
//! A file is written beside its place and flushed to the disk, then renamed into its place, then its folder is flushed, as a
//! rename is on the disk only when the folder is. Readers see the old file or the new one, never a part.
//!
//! # Source
//! POSIX.1-2017, `rename` and `fsync`; the Linux manual's `fsync(2)` on folders.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes a whole file in place of the old one, if there is one.
///
/// # Errors
/// The system refuses; then the old file stays as it was and nothing else is left behind.
///
/// # Cost
/// Waits for the disk twice: milliseconds, however small the file.
///
/// ```
/// use retrograde_array::io::durable;
/// # let path = std::env::temp_dir().join(format!("retrograde-doc-{}.txt", std::process::id()));
/// durable::replace(&path, b"one")?;
/// durable::replace(&path, b"two")?;
/// assert_eq!(std::fs::read(&path)?, b"two");
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    install(path, contents, || Ok(()))
}

/// As [`replace`]; the old file, where there is one, is kept under another name in the same folder. At every moment one of
/// the two names has a whole file.
///
/// # Errors
/// The system refuses; then the old file stays whole under one of the two names.
///
/// # Cost
/// As [`replace`].
///
/// ```
/// use retrograde_array::io::durable;
/// # let folder = std::env::temp_dir().join(format!("retrograde-doc-keeping-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let (path, previous) = (folder.join("state"), folder.join("state.previous"));
/// durable::replace_keeping(&path, &previous, b"one")?;
/// durable::replace_keeping(&path, &previous, b"two")?;
/// assert_eq!((std::fs::read(&path)?, std::fs::read(&previous)?), (b"two".to_vec(), b"one".to_vec()));
/// durable::rename(&previous, &path)?;
/// assert_eq!(std::fs::read(&path)?, b"one");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn replace_keeping(path: &Path, previous: &Path, contents: &[u8]) -> io::Result<()> {
    install(path, contents, || match fs::rename(path, previous) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Gives a file another name in the same folder; a file of that name gives way.
///
/// # Errors
/// The system refuses.
///
/// # Cost
/// Waits for the disk once.
pub fn rename(path: &Path, to: &Path) -> io::Result<()> {
    fs::rename(path, to)?;
    sync_folder(path)
}

/// Writes beside `path`, makes way, moves into place.
fn install(path: &Path, contents: &[u8], make_way: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (part, file) = create_part(path)?;
    let written =
        write_synced(file, contents).and_then(|()| make_way()).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // What is left of the attempt is of no use; that it cannot be removed says no more than the error itself.
        let _ = fs::remove_file(&part);
    }
    written?;
    sync_folder(path)
}

/// A new file beside `path` that is this call's alone: other threads and processes, and parts that a killed process left,
/// have other names.
fn create_part(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidInput, "found a path without a file name, expected one")
    })?;
    for attempt in 0_u32.. {
        let mut part = std::ffi::OsString::from(".");
        part.push(name);
        part.push(format!(".part-{}-{attempt}", std::process::id()));
        let part = path.with_file_name(part);
        match File::create_new(&part) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (part, file)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn write_synced(mut file: File, contents: &[u8]) -> io::Result<()> {
    file.write_all(contents)?;
    file.sync_all()
}

/// Flushes the folder of a file, where the system can: not every file system flushes folders, and a folder that may be
/// written to need not be one that may be read.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty folder, removed when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("retrograde-durable-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Folder(path)
        }
        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_replaced_or_left_alone() {
        let folder = Folder::new("replace");
        let path = folder.0.join("x");
        replace(&path, b"a long first version").unwrap();
        replace(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        // A folder is in the way: nothing changes and no part stays.
        fs::create_dir(folder.0.join("taken")).unwrap();
        assert!(replace(&folder.0.join("taken"), b"y").is_err());
        assert!(replace(&folder.0.join("absent/x"), b"y").is_err());
        assert!(replace(Path::new("/"), b"y").is_err());
        assert_eq!(folder.names(), ["taken", "x"]);
    }

    #[test]
    fn the_one_before_is_kept() {
        let folder = Folder::new("keep");
        let (path, previous) = (folder.0.join("x"), folder.0.join("x.previous"));
        let both = || (fs::read(&path).ok(), fs::read(&previous).ok());
        replace_keeping(&path, &previous, b"1").unwrap();
        assert_eq!(both(), (Some(b"1".to_vec()), None));
        replace_keeping(&path, &previous, b"2").unwrap();
        replace_keeping(&path, &previous, b"3").unwrap();
        assert_eq!(both(), (Some(b"3".to_vec()), Some(b"2".to_vec())));
        rename(&previous, &folder.0.join("y")).unwrap();
        assert_eq!(folder.names(), ["x", "y"]);
        assert!(rename(&previous, &path).is_err());
    }

    /// Of two writers at one moment each has a part of its own; a part that a killed process left is in nobody's way.
    #[test]
    fn writers_at_one_moment_leave_one_whole_file() {
        let folder = Folder::new("race");
        let path = folder.0.join("x");
        let left = format!(".x.part-{}-0", std::process::id());
        fs::write(folder.0.join(&left), "left behind").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..20_u8 {
                        replace(path, &vec![writer; 4000 + usize::from(round)]).unwrap();
                    }
                });
            }
        });
        let contents = fs::read(&path).unwrap();
        assert!(contents.len() >= 4000 && contents.iter().all(|&byte| byte == contents[0]));
        assert_eq!(folder.names(), [left, "x".into()]);
    }
}
