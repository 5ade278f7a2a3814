//! Tape policies as small values. They change bytes and seconds, never the mathematics; `tape` gives them their meaning.

use std::fmt;
use std::str::FromStr;

/// What is remembered between a program and its derivative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Tape {
    /// Every residual: the reference.
    #[default]
    Store,
    /// The state before each step of a loop, and of straight-line programs nothing: everything but loops is computed again.
    Recompute,
    /// Some states of a loop; the rest is computed again.
    Checkpoint(Checkpoint),
    /// The last state and the bits that rounding destroyed; earlier states are reconstructed exactly.
    Reverse,
}

/// Which states a checkpointed loop keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Checkpoint {
    /// About √T of T, and about √T within a segment: each step runs at most twice before its derivative.
    Sqrt,
}

impl From<Checkpoint> for Tape {
    fn from(checkpoint: Checkpoint) -> Tape {
        Tape::Checkpoint(checkpoint)
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tape::Store => "store",
            Tape::Recompute => "recompute",
            Tape::Checkpoint(Checkpoint::Sqrt) => "checkpoint-sqrt",
            Tape::Reverse => "reverse",
        })
    }
}

impl FromStr for Tape {
    type Err = String;
    fn from_str(s: &str) -> Result<Tape, String> {
        match s {
            "store" => Ok(Tape::Store),
            "recompute" => Ok(Tape::Recompute),
            "checkpoint-sqrt" => Ok(Tape::Checkpoint(Checkpoint::Sqrt)),
            "reverse" => Ok(Tape::Reverse),
            _ => {
                Err(format!("found policy `{s}`, expected one of store, recompute, checkpoint-sqrt, reverse"))
            }
        }
    }
}
