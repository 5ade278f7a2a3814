//! The errors of front doors.

use crate::exec::{NotAnInverse, RunError};
use crate::ir::{Diagnostic, Diagnostics, Location};
use crate::tape::{AuditError, LowerError};

/// What a front door returns when it fails.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The traced function has mistakes; all independent ones, each with its line.
    #[error("{0}")]
    Trace(#[from] Diagnostics),
    /// The program failed while running.
    #[error("error: {0}")]
    Run(#[from] RunError),
    /// The inputs do not fit together.
    #[error("error: {message}\n  --> {location}\n  help: {help}")]
    Input {
        /// What was found and expected.
        message: String,
        /// The line that gave them.
        location: Location,
        /// What to try.
        help: String,
    },
    /// A lowered program does not compute what the plain one does: a bug in retrograde, found before running.
    #[error("the tape audit failed: {0}; this is a bug in retrograde")]
    Audit(String),
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// [`Error::Trace`]
    Trace,
    /// [`Error::Run`]
    Run,
    /// [`Error::Input`]
    Input,
    /// [`Error::Audit`]
    Audit,
}

impl Error {
    /// Which kind it is.
    ///
    /// ```
    /// use retrograde_core::trace::{ErrorKind, Var, door::jit};
    /// use retrograde_array::array;
    /// let f = jit(|x: Var, at: Var| x.gather(0, at));
    /// let error = f.call((&array([1.0]), &array([0.5]))).unwrap_err(); // positions are integers
    /// assert_eq!(error.kind(), ErrorKind::Trace);
    /// let error = f.call((&array([1.0]), &array([5_i64]))).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Run);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Trace(_) => ErrorKind::Trace,
            Error::Run(_) => ErrorKind::Run,
            Error::Input { .. } => ErrorKind::Input,
            Error::Audit(_) => ErrorKind::Audit,
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Error {
        Error::Trace(diagnostic.into())
    }
}

impl From<NotAnInverse> for Error {
    fn from(e: NotAnInverse) -> Error {
        if !e.is_declared {
            return Error::Audit(e.to_string());
        }
        let place = e.location;
        // The place stands below the message.
        let e = NotAnInverse { location: None, ..e };
        Diagnostic::new(format!("reversible: {e}"), place)
            .help(
                "an inverse gives every bit back, also of zeros of either sign, of subnormal numbers and of huge beside tiny ones; \
                 rounded steps have none: leave it out and they are reversed as a whole, or say \
                 `.tape(Tape::Reverse.or(Checkpoint::Sqrt))`",
            )
            .into()
    }
}

impl From<AuditError> for Error {
    fn from(e: AuditError) -> Error {
        Error::Audit(e.to_string())
    }
}

impl From<LowerError> for Error {
    fn from(e: LowerError) -> Error {
        let message = e.to_string();
        let (location, help) = match e {
            LowerError::NotReversible(refusal, of_loop) => (
                refusal.location.or(of_loop),
                "change parts of the state that are no floats only by what can be undone, as in `n + 1`, \
                 or say `.tape(Checkpoint::Sqrt)` for this loop, \
                 or `.tape(Tape::Reverse.or(Checkpoint::Sqrt))` where only some loops are like that"
                    .into(),
            ),
            LowerError::Bits { location, .. } => {
                (location, "write `Tape::Quantise { bits: 8, seed }`".into())
            }
            LowerError::Budget { least, location, .. } => (
                location,
                format!("say `.budget({least})` or more; smaller arrays, or fewer at a time, need less"),
            ),
            LowerError::Unbounded { location } => (
                location,
                "say `.tape(Checkpoint::Slots(n))` for this loop, which bounds what it keeps".into(),
            ),
        };
        Diagnostic::new(message, location).help(help).into()
    }
}
