//! Every way to fail: what was found, what was expected, where, what to try.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use retrograde::Error;
use retrograde::ir::ParseError;
use retrograde_train::{RecipeError, RunFolderError, SplitError, TrainError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The recipe has mistakes.
    #[error("{0}")]
    Recipe(#[from] RecipeError),
    /// `--set` without a value.
    #[error(
        "--set: found {found:?}, expected `key=value`\n  help: for example `--set epochs=5` or `--set model.hidden=[32,32]`"
    )]
    Set {
        /// The argument.
        found: String,
    },
    /// The run folder refuses.
    #[error("{0}")]
    RunFolder(#[from] RunFolderError),
    /// The rows cannot be divided.
    #[error("{0}")]
    Split(#[from] SplitError),
    /// Training stopped.
    #[error("{source}{}", saved.as_ref().map(|path| format!("\n  the last good parameters are in {}", path.display())).unwrap_or_default())]
    Train {
        /// Why.
        source: TrainError,
        /// Where the last good parameters are, when there are any.
        saved: Option<PathBuf>,
    },
    /// A program file cannot be read.
    #[error("cannot read the program {}: {source}\n  help: name a text file with a program, such as the output of `retrograde show`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program file is not a program.
    #[error("{}:{}:{}: found {}, expected {}\n  help: the text form is what `retrograde show` prints: `program(a:f64[3]) {{ … }}`", path.display(), source.line, source.column, source.found, source.expected)]
    Parse {
        /// The file.
        path: PathBuf,
        /// The first mistake.
        source: ParseError,
    },
    /// A transform does not apply.
    #[error("--after {transform}: {message}\n  help: {help}")]
    Transform {
        /// The transform.
        transform: String,
        /// What was found and expected.
        message: String,
        /// What to try.
        help: String,
    },
    /// The simulation does not fit this machine.
    #[error(
        "tape {policy} would keep {needed_mb} MB, found {available_mb} MB of free memory\n  help: try `--tape reverse`, `--tape checkpoint-sqrt` or fewer steps"
    )]
    Memory {
        /// The policy.
        policy: String,
        /// What it keeps.
        needed_mb: u64,
        /// What there is.
        available_mb: u64,
    },
    /// The reference of a benchmark did not run.
    #[error(
        "the reference run in another process failed: {0}\n  help: run the same command again with `--tape checkpoint-sqrt`"
    )]
    Reference(String),
    /// A gradient failed.
    #[error("{0}")]
    Gradient(#[from] Error),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// A result is no JSON.
    #[error("cannot write the result as JSON: {0}; this is a bug in retrograde")]
    Json(#[from] serde_json::Error),
    /// A panic.
    #[error("{0}\n  help: this is a bug in retrograde; please report it with the command and its input")]
    Bug(String),
}

impl Failure {
    /// Whether the reader of the output has gone, as in `retrograde show … | head`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }
}
