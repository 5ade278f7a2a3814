//! What a run kept, value by value, in text and JSON.

use std::fmt;

use super::lower::Lowered;
use crate::prim::{Tape, Value};

/// What one value on the tape held.
#[derive(Clone, PartialEq, Debug)]
pub struct EntryBytes {
    /// Its type in the text form.
    pub ty: String,
    /// The operation that made it.
    pub op: &'static str,
    /// `file:line:column` of the user's code.
    pub place: Option<String>,
    /// The policy it belongs to.
    pub policy: Tape,
    /// Bytes, measured.
    pub bytes: usize,
    /// Bits on the stack, for reversal.
    pub bits: Option<usize>,
}

/// What a run kept and computed again.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, control::scan, door::grad};
/// use retrograde_core::tape::{Tape, TapeReport};
/// let orbit = |x: Var, v: Var| {
///     let step = |(x, v): (Var, Var)| {
///         let x = x + 0.1 * v;
///         (x, v - 0.1 * x.sin())
///     };
///     scan(1000).repeat((x, v), step).0
/// };
/// let slope = grad(orbit).tape(Tape::Reverse);
/// slope.call((&array(1.0), &array(0.0)))?;
/// let report: TapeReport = slope.last_tape();
/// assert_eq!(report.inverse_steps, 1000);
/// assert!(report.tape_bytes() < 1000 && report.stack_bits() > 0);
/// assert!(report.to_json().starts_with(&format!("{{\"tape_bytes\":{}", report.tape_bytes())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TapeReport {
    /// One entry per value.
    pub entries: Vec<EntryBytes>,
    /// Forward steps of loops that were computed again.
    pub recomputed_steps: u64,
    /// Steps that were run backwards.
    pub inverse_steps: u64,
    /// Evaluations of steps on guesses of the state before them, where whole steps are reversed: on the way forwards and
    /// back.
    pub inverse_evaluations: u64,
    /// Loops whose policy could not be followed, or by another mechanism than the first, and why.
    pub notes: Vec<String>,
}

impl TapeReport {
    /// From the lowered program and what its first part left.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::tape::TapeReport;
    /// use retrograde_core::trace::{Var, door::value_and_grad};
    /// let (f, x) = (value_and_grad(|x: Var| x.exp()), array(1.0));
    /// let (_, _, tape) = f.forward(&x)?;
    /// assert_eq!(TapeReport::new(&f.lowered(&x)?, &tape).tape_bytes(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(lowered: &Lowered, tape: &[Value]) -> TapeReport {
        let entries = lowered
            .tape
            .iter()
            .zip(tape)
            .map(|(entry, value)| EntryBytes {
                ty: entry.ty.to_string(),
                op: entry.op,
                place: entry.location.map(|l| l.to_string()),
                policy: entry.policy,
                bytes: value.size_bytes(),
                bits: if let Value::Bits(bits) = value { Some(bits.len_bits()) } else { None },
            })
            .collect();
        TapeReport { entries, notes: lowered.notes.clone(), ..TapeReport::default() }
    }
    /// Bytes of all entries.
    pub fn tape_bytes(&self) -> usize {
        self.entries.iter().map(|e| e.bytes).sum()
    }
    /// Bits on the stacks of reversed loops.
    pub fn stack_bits(&self) -> usize {
        self.entries.iter().filter_map(|e| e.bits).sum()
    }
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let quote = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""));
        let entries: Vec<String> = self
            .entries
            .iter()
            .map(|e| {
                let place = e.place.as_deref().map_or("null".into(), quote);
                let bits = e.bits.map_or("null".into(), |b| b.to_string());
                let (ty, op, policy) = (quote(&e.ty), quote(e.op), quote(&e.policy.to_string()));
                format!("{{\"type\":{ty},\"op\":{op},\"place\":{place},\"policy\":{policy},\"bytes\":{},\"bits\":{bits}}}", e.bytes)
            })
            .collect();
        let notes: Vec<String> = self.notes.iter().map(|n| quote(n)).collect();
        format!(
            "{{\"tape_bytes\":{},\"stack_bits\":{},\"recomputed_steps\":{},\"inverse_steps\":{},\"inverse_evaluations\":{},\"entries\":[{}],\"notes\":[{}]}}",
            self.tape_bytes(),
            self.stack_bits(),
            self.recomputed_steps,
            self.inverse_steps,
            self.inverse_evaluations,
            entries.join(","),
            notes.join(",")
        )
    }
}

impl fmt::Display for TapeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tape: {} bytes in {} values", self.tape_bytes(), self.entries.len())?;
        for e in &self.entries {
            let place = e.place.as_deref().unwrap_or("-");
            write!(f, "  {:>12} B  {:<18} {:<16} {:<12} {place}", e.bytes, e.policy.to_string(), e.ty, e.op)?;
            if let Some(bits) = e.bits {
                write!(f, " ({bits} bits)")?;
            }
            writeln!(f)?;
        }
        write!(f, "recomputed steps: {}, inverse steps: {}", self.recomputed_steps, self.inverse_steps)?;
        if self.inverse_evaluations > 0 {
            write!(f, ", evaluations of steps inside inverses: {}", self.inverse_evaluations)?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
