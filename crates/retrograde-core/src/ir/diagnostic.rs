//! Errors that point at the user's line.

use std::fmt;

use super::program::Location;

/// One mistake of the user.
///
/// ```
/// use retrograde_core::ir::Diagnostic;
/// let diagnostic = Diagnostic::new("add: found f64[2] and f64[3]", None).help("reshape one of them");
/// assert_eq!(diagnostic.to_string(), "error: add: found f64[2] and f64[3]\n  help: reshape one of them");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// What was found and what was expected.
    pub message: String,
    /// The line that made it.
    pub location: Option<Location>,
    /// A remark on the location, such as "inside an iterator or function pointer at front door".
    pub remark: Option<String>,
    /// The equations around it, in the text form; the offending line starts with `>`.
    pub window: Vec<String>,
    /// What to try.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at a location.
    pub fn new(message: impl Into<String>, location: Option<Location>) -> Diagnostic {
        Diagnostic { message: message.into(), location, remark: None, window: vec![], help: None }
    }
    /// Adds the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(location) = self.location {
            write!(f, "\n  --> {location}")?;
            if let Some(remark) = &self.remark {
                write!(f, " ({remark})")?;
            }
        }
        for line in &self.window {
            let (mark, text) = line.strip_prefix('>').map_or((' ', line.as_str()), |t| ('>', t));
            write!(f, "\n    {mark} {text}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// All independent mistakes of one trace, in the order they were made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}
