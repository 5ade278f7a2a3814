//! Tape policies as small values. They change bytes and seconds, never the mathematics; `tape` gives them their meaning.

use std::fmt;
use std::str::FromStr;

/// What is remembered between a program and its derivative.
///
/// ```
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::scan, door::grad};
/// use retrograde_array::array;
/// // A pendulum, a thousand steps of symplectic Euler.
/// let f = |(q, p): (Var, Var)| {
///     let step = |(q, p): (Var, Var)| { let p = p - 0.01 * q.sin(); (q + 0.01 * p, p) };
///     scan(1000).repeat((q, p), step).0
/// };
/// let (start, stored, reversed) = ((array(1.0), array(0.0)), grad(f), grad(f).tape(Tape::Reverse));
/// assert_eq!(reversed.call(&start)?, stored.call(&start)?); // the same bits
/// assert!(reversed.last_tape().tape_bytes() < stored.last_tape().tape_bytes() / 20);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
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
    /// What is best within this many bytes for the tape and for what is computed again beside it: `tape::budget`. Of a loop
    /// with a budget of its own, for the states that it keeps.
    Budget(usize),
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
    /// `Reverse`, and these checkpoints for each loop whose step it would refuse; the report's notes say which and why. Made by
    /// [`Tape::or`].
    ReverseOr(Checkpoint),
}

impl Tape {
    /// Whether the residuals of a loop are stored, as they are or in fewer bits.
    pub(crate) fn stores(self) -> bool {
        matches!(self, Tape::Store | Tape::Quantise { .. })
    }
    /// Falls back to checkpoints where a loop cannot be reversed; other policies refuse no loop and stay what they are.
    ///
    /// ```
    /// use retrograde_core::prim::{Checkpoint, Tape};
    /// use retrograde_core::trace::{Var, control::scan, door::grad, var::constant};
    /// use retrograde_array::{DType, array};
    /// // A number that is halved loses a bit in each step, which no inverse brings back.
    /// let f = |x: Var| {
    ///     let step = |(i, x): (Var, Var)| (i / 2, x + 0.001 * i.convert(DType::F64) * x.sin());
    ///     scan(9).repeat((constant(&array(1000_i64)), x), step).1
    /// };
    /// assert!(grad(f).tape(Tape::Reverse).call(&array(0.5)).is_err());
    /// let slope = grad(f).tape(Tape::Reverse.or(Checkpoint::Sqrt));
    /// assert_eq!(slope.call(&array(0.5))?, grad(f).call(&array(0.5))?);
    /// assert!(slope.last_tape().notes[0].contains("checkpoint-sqrt instead of reverse"));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn or(self, checkpoint: Checkpoint) -> Tape {
        match self {
            Tape::Reverse | Tape::ReverseOr(_) => Tape::ReverseOr(checkpoint),
            other => other,
        }
    }
}

/// Which states a checkpointed loop keeps.
///
/// ```
/// use retrograde_core::prim::{Checkpoint, schedule::forward_steps};
/// use retrograde_core::trace::{Var, control::scan, door::grad};
/// use retrograde_array::array;
/// let f = |x: Var| scan(100).repeat(x, |x| x + 0.01 * x.sin());
/// let (stored, in_slots) = (grad(f), grad(f).tape(Checkpoint::Slots(5)));
/// assert_eq!(in_slots.call(&array(0.5))?, stored.call(&array(0.5))?); // the same bits
/// assert_eq!(forward_steps(100, 5), 316); // C(5 + 4, 5) ≥ 100: 4 · 100 − C(5 + 4, 3)
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Checkpoint {
    /// About √T of T, and about √T within a segment: each step runs at most twice before its derivative.
    Sqrt,
    /// At most this many, at least 1, the one at the start among them and the one at work not counted: of a loop of known length those of the binomial
    /// schedule, with which no more steps run again than must; of a `while` every k-th, k growing as it goes on. Cost and
    /// source: `prim::schedule`.
    Slots(usize),
}

/// 2^10 bytes.
pub const KIB: usize = 1 << 10;
/// 2^20 bytes.
pub const MIB: usize = 1 << 20;
/// 2^30 bytes.
pub const GIB: usize = 1 << 30;

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
            Tape::Budget(bytes) => write!(f, "budget-{bytes}"),
            Tape::Quantise { bits, seed: 0 } => write!(f, "quantise-{bits}"),
            Tape::Quantise { bits, seed } => write!(f, "quantise-{bits}-seed-{seed}"),
            Tape::ReverseOr(checkpoint) => write!(f, "reverse-or-{}", Tape::from(*checkpoint)),
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
            _ if s.starts_with("reverse-or-") => match s["reverse-or-".len()..].parse() {
                Ok(Tape::Checkpoint(checkpoint)) => Ok(Tape::ReverseOr(checkpoint)),
                _ => Err(format!(
                    "found policy `{s}`, expected a checkpoint after `reverse-or-`, as in reverse-or-checkpoint-sqrt"
                )),
            },
            _ => match (
                s.strip_prefix("checkpoint-").and_then(|n| n.parse().ok()),
                budget_bytes(s),
                quantise(s),
            ) {
                (Some(n), _, _) if n > 0 => Ok(Tape::Checkpoint(Checkpoint::Slots(n))),
                (_, Some(bytes), _) => Ok(Tape::Budget(bytes)),
                (_, _, Some(policy)) => Ok(policy),
                _ => Err(format!(
                    "found policy `{s}`, expected one of store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse, \
                     budget-N for N bytes, such as budget-64KiB, quantise-B for B bits from 1 to 8, quantise-B-seed-N, reverse-or-checkpoint-sqrt, \
                     reverse-or-checkpoint-N"
                )),
            },
        }
    }
}

/// The bytes of `budget-4096`, also with `=` or `:` and in units, as in `budget=4KiB`.
fn budget_bytes(s: &str) -> Option<usize> {
    let amount = s.strip_prefix("budget")?.strip_prefix(['-', '=', ':'])?;
    let units = [("KiB", KIB), ("MiB", MIB), ("GiB", GIB)];
    let unit = units.iter().find_map(|(name, bytes)| Some((amount.strip_suffix(name)?, *bytes)));
    let (number, unit) = unit.unwrap_or((amount, 1));
    // The standard parser takes a sign.
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| number.parse::<usize>().ok()?.checked_mul(unit))?
}

/// The policy of `quantise-4` or `quantise-4-seed-7`.
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
        for checkpoint in [Checkpoint::Sqrt, Checkpoint::Slots(16)] {
            let policy = Tape::Reverse.or(checkpoint);
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(Tape::Store.or(checkpoint), Tape::Store);
        }
        for wrong in ["reverse-or-", "reverse-or-store", "reverse-or-checkpoint-0"] {
            assert!(
                wrong.parse::<Tape>().unwrap_err().contains("as in reverse-or-checkpoint-sqrt"),
                "{wrong}"
            );
        }
        for (text, bytes) in
            [("budget-7", 7), ("budget=4KiB", 4096), ("budget:200MiB", 200 * MIB), ("budget-1GiB", GIB)]
        {
            assert_eq!(text.parse(), Ok(Tape::Budget(bytes)));
            assert_eq!(Tape::Budget(bytes).to_string().parse(), Ok(Tape::Budget(bytes)));
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
            "budget",
            "budget-",
            "budget-+1",
            "budget-1kB",
            "budget 1",
        ] {
            assert!(wrong.parse::<Tape>().unwrap_err().contains("expected one of"), "{wrong}");
        }
    }
}
