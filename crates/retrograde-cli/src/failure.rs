//! Every way to fail: what was found, what was expected, where, what to try.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use retrograde::Error;
use retrograde::ir::ParseError;
use retrograde_train::influence::AttributionError;
use retrograde_train::{
    DataError, ModelError, NoCheckpoint, RecipeError, RunFolderError, SplitError, TrainError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The recipe has mistakes.
    #[error("{0}")]
    Recipe(#[from] RecipeError),
    /// `--set` without a value.
    #[error(
        "error: found {found:?}, expected `key=value`\n  --> --set\n  help: for example `--set epochs=5` or `--set model.hidden=[32,32]`"
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
    /// The data cannot be used.
    #[error("{0}")]
    Data(#[from] DataError),
    /// A run folder holds no model.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// A run cannot be resumed.
    #[error("{0}")]
    NoCheckpoint(#[from] NoCheckpoint),
    /// A run cannot be resumed on other data.
    #[error("error: the data are not those that the run began with\n  --> {}\n  help: restore {data}, or train again on the new data", path.display())]
    OtherData {
        /// The run.
        path: PathBuf,
        /// The data.
        data: String,
    },
    /// Which training rows a prediction rests on.
    #[error("{0}")]
    Attribution(#[from] AttributionError),
    /// Which network is to predict.
    #[error("error: found {}, expected {}\n  --> {}\n  help: {}",
        found.map_or("no `--fold`".into(), |n| format!("`--fold {n}`")),
        n_folds.map_or("none: the run has one network".into(), |n| format!("a number from 1 to {n}")),
        run.display(),
        n_folds.map_or("leave out `--fold`", |_| "say `--fold 1`, or train without `--folds`"))]
    Fold {
        /// The run.
        run: PathBuf,
        /// What was asked for.
        found: Option<usize>,
        /// What there is.
        n_folds: Option<usize>,
    },
    /// Predictions never overwrite a file.
    #[error("error: the file exists already and is never overwritten\n  --> {}\n  help: name another file with `--out`", path.display())]
    OutExists {
        /// The file.
        path: PathBuf,
    },
    /// Predictions cannot be written.
    #[error("error: cannot write the predictions: {source}\n  --> {}\n  help: name another file with `--out`", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No trick has this id.
    #[error("error: there is no trick `{found}`\n  help: {}", match &near[..] {
        [] => "`retrograde tricks` lists all; ids look like B12".to_string(),
        near => format!("did you mean {}?", near.join(", ")),
    })]
    UnknownTrick {
        /// What was asked for.
        found: String,
        /// Ids like it, with their names.
        near: Vec<String>,
    },
    /// No group has this letter.
    #[error(
        "error: there is no group `{found}`, expected a letter from A to F\n  help: A primal, B adjoint, C tape, D estimate, E update, F scale"
    )]
    UnknownGroup {
        /// What was asked for.
        found: String,
    },
    /// Training cannot start.
    #[error("{0}")]
    Start(#[from] TrainError),
    /// Training stopped.
    #[error("{source}{}{}",
        saved.as_ref().map(|path| format!("\n  the last good parameters are in {}", path.display())).unwrap_or_default(),
        resume.as_ref().map(|path| format!("\n  help: `retrograde train --resume {}` goes on", path.display())).unwrap_or_default())]
    Train {
        /// Why.
        source: Box<TrainError>,
        /// Where the last good parameters are, when there are any.
        saved: Option<PathBuf>,
        /// The run that can be resumed.
        resume: Option<PathBuf>,
    },
    /// A program file cannot be read.
    #[error("error: cannot read the program: {source}\n  --> {}\n  help: name a text file with a program, such as the output of `retrograde show`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program file is not a program.
    #[error("error: found {}, expected {}\n  --> {}:{}:{}\n  help: the text form is what `retrograde show` prints: `program(a:f64[3]) {{ … }}`", source.found, source.expected, path.display(), source.line, source.column)]
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
    /// A flag of another benchmark.
    #[error(
        "found {flag} for the case `{case}`, expected it for `{belongs_to}`\n  help: leave it out, or run `retrograde bench {belongs_to}`"
    )]
    ForeignFlag {
        /// The flag.
        flag: &'static str,
        /// The case that has it.
        belongs_to: &'static str,
        /// The case that was asked for.
        case: &'static str,
    },
    /// A path for a benchmark that reads none.
    #[error("found a path for the case `{case}`, which reads none\n  help: leave it out")]
    NeedlessPath {
        /// The case.
        case: &'static str,
    },
    /// A benchmark without the path it reads.
    #[error("found no path for the case `{case}`, expected {what}\n  help: `retrograde bench {case} PATH`")]
    NoPath {
        /// The case.
        case: &'static str,
        /// What lies at the path.
        what: &'static str,
    },
    /// A file of numbers cannot be read.
    #[error("error: cannot read the instance: {source}\n  --> {}\n  help: name a file or folder in the form of ADBench (github.com/microsoft/ADBench, data)", path.display())]
    InstanceUnreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file of numbers is none.
    #[error("error: the instance is not as expected\n  --> {}:{line}: found {found}, expected {expected}\n  help: the form is that of ADBench (github.com/microsoft/ADBench, data)", path.display())]
    Instance {
        /// The file.
        path: PathBuf,
        /// The line of the last word that was read.
        line: usize,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// The same command in another process failed.
    #[error("{0}")]
    Again(String),
    /// A benchmark longer than it can be.
    #[error(
        "found {found} steps, expected at most {most} for the case `{case}`\n  help: try `--steps {most}`"
    )]
    TooManySteps {
        /// The case.
        case: &'static str,
        /// What was asked for.
        found: usize,
        /// What there may be.
        most: usize,
    },
    /// A report never overwrites a file.
    #[error("error: the file exists already and is never overwritten\n  --> {}\n  help: name another file with `--report`", path.display())]
    ReportExists {
        /// The file.
        path: PathBuf,
    },
    /// A report cannot be written.
    #[error("error: cannot write the report: {source}\n  --> {}\n  help: name another file with `--report`", path.display())]
    ReportUnwritable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
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
