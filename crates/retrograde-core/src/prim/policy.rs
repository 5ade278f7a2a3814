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
    /// The last state and the bits that rounding destroyed; earlier states are reconstructed exactly. Where the updates of a
    /// step cannot be undone one by one, the whole step is undone by iteration, at up to nine evaluations each way, and what
    /// that misses is kept, or a state for 64 steps where that is less: `prim::whole_step`.
    Reverse,
    /// Everything, but most coefficients, by which cotangents are multiplied, in `bits` bits (1 to 8) an entry and a quarter of a bit for
    /// the grid, rounded at random: a tape smaller by about 32 / bits for f32. A first derivative by reverse mode keeps its
    /// mean and gets a variance, for which `trace::door` has a bound. Loops of known length keep coefficients of each step
    /// so; what is not a coefficient, and all that one path of products would meet twice, stays exact. Draws belong to the
    /// seed: the same seed, the same bits, so each training step needs a seed of its own.
    Quantise {
        /// Of an entry.
        bits: u8,
        /// Of the draws.
        seed: u64,
    },
}

impl Tape {
    /// Whether the residuals of a loop are stored, as they are or in fewer bits.
    pub(crate) fn stores(self) -> bool {
        matches!(self, Tape::Store | Tape::Quantise { .. })
    }
}

/// Which states a checkpointed loop keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Checkpoint {
    /// About √T of T, and about √T within a segment: each step runs at most twice before its derivative.
    Sqrt,
    /// At most this many, at least 1, the one at the start among them and the one at work not counted: of a loop of known length those of the binomial
    /// schedule, with which no more steps run again than must; of a `while` every k-th, k growing as it goes on. Cost and
    /// source: `prim::schedule`.
    Slots(usize),
}

impl From<Checkpoint> for Tape {
    fn from(checkpoint: Checkpoint) -> Tape {
        Tape::Checkpoint(checkpoint)
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tape::Store => f.write_str("store"),
            Tape::Recompute => f.write_str("recompute"),
            Tape::Checkpoint(Checkpoint::Sqrt) => f.write_str("checkpoint-sqrt"),
            Tape::Checkpoint(Checkpoint::Slots(n)) => write!(f, "checkpoint-{n}"),
            Tape::Reverse => f.write_str("reverse"),
            Tape::Quantise { bits, seed: 0 } => write!(f, "quantise-{bits}"),
            Tape::Quantise { bits, seed } => write!(f, "quantise-{bits}-seed-{seed}"),
        }
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
            _ => match (s.strip_prefix("checkpoint-").and_then(|n| n.parse().ok()), quantise(s)) {
                (Some(n), _) if n > 0 => Ok(Tape::Checkpoint(Checkpoint::Slots(n))),
                (_, Some(policy)) => Ok(policy),
                _ => Err(format!(
                    "found policy `{s}`, expected one of store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse, \
                     quantise-B for B bits from 1 to 8, quantise-B-seed-N"
                )),
            },
        }
    }
}

fn quantise(s: &str) -> Option<Tape> {
    let rest = s.strip_prefix("quantise-")?;
    let (bits, seed) = rest.split_once("-seed-").unwrap_or((rest, "0"));
    let (bits, seed) = (bits.parse().ok()?, seed.parse().ok()?);
    (1..=8).contains(&bits).then_some(Tape::Quantise { bits, seed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_parse() {
        let checkpoints =
            [Checkpoint::Sqrt, Checkpoint::Slots(1), Checkpoint::Slots(16)].map(Tape::Checkpoint);
        let quantise = [(1, 0), (8, u64::MAX)].map(|(bits, seed)| Tape::Quantise { bits, seed });
        let others = checkpoints.into_iter().chain(quantise);
        for policy in [Tape::Store, Tape::Recompute, Tape::Reverse].into_iter().chain(others) {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        for wrong in [
            "checkpoint-0",
            "checkpoint-",
            "checkpoint--1",
            "quantise-0",
            "quantise-9",
            "quantise-",
            "Store",
            "",
        ] {
            assert!(wrong.parse::<Tape>().unwrap_err().contains("expected one of"), "{wrong}");
        }
    }
}
