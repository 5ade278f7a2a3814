//! What a run kept, value by value, loop by loop, in text and JSON.

use std::fmt;

use super::budget::Planned;
use super::lower::Lowered;
use crate::prim::{Tape, Value};

/// What one value on the tape held.
#[derive(Clone, PartialEq, Debug)]
pub struct EntryBytes {
    /// Its type in the text form.
    pub ty: String,
    /// The operation that made it; of what a loop leaves, the one inside its body.
    pub op: &'static str,
    /// `file:line:column` of the user's code.
    pub place: Option<String>,
    /// The policy it belongs to.
    pub policy: Tape,
    /// Bytes, measured.
    pub bytes: usize,
    /// Bits on the stack, for reversal.
    pub bits: Option<usize>,
    /// The loop that left it, an index into the loops of the report.
    pub loop_idx: Option<usize>,
    /// Of the grids of quantised coefficients: half the largest distance of points, which no standard deviation of an entry
    /// exceeds.
    pub largest_deviation: Option<f64>,
}

impl EntryBytes {
    /// `file:line` of the user's code; `-` where it is not known.
    pub fn line(&self) -> &str {
        let place = self.place.as_deref().unwrap_or("-");
        place.rsplit_once(':').map_or(place, |(line, _column)| line)
    }
}

/// What one loop left on the tape.
#[derive(Clone, PartialEq, Debug)]
pub struct LoopBytes {
    /// `file:line:column` of the user's code.
    pub place: Option<String>,
    /// Its policy.
    pub policy: Tape,
    /// Its steps, where they are known before running.
    pub n_steps: Option<usize>,
    /// Numbers in its state.
    pub n_values: usize,
    /// Bytes on the tape.
    pub bytes: usize,
    /// Bits on its stack, for reversal.
    pub bits: Option<usize>,
    /// Bytes of states that its sweep holds at once beside the tape, where they are known before running.
    pub replay_bytes: Option<usize>,
}

impl LoopBytes {
    /// Bits for each number of the state and step: those on the stack, which alone grow with a reversed loop, otherwise all.
    /// `None` where the length is not known, or nothing is carried.
    pub fn bits_per_value_step(&self) -> Option<f64> {
        let n_values = self.n_values as f64 * self.n_steps? as f64;
        (n_values > 0.0).then(|| self.bits.unwrap_or(8 * self.bytes) as f64 / n_values)
    }
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
/// // The loop, and the bits for each of its two numbers in a step.
/// assert_eq!((report.loops[0].n_steps, report.loops[0].n_values), (Some(1000), 2));
/// assert!(report.loops[0].bits_per_value_step().unwrap() < 1.0);
/// // Under `Store`, the values that the derivative of each step reads: the lines that made them.
/// let stored = grad(orbit);
/// stored.call((&array(1.0), &array(0.0)))?;
/// let entry = &stored.last_tape().entries[0];
/// assert_eq!((entry.op, entry.ty.as_str(), entry.bytes), ("cos", "f64[1000]", 8000));
/// assert!(entry.line().contains(".rs:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TapeReport {
    /// One entry per value.
    pub entries: Vec<EntryBytes>,
    /// The loops that left some of them.
    pub loops: Vec<LoopBytes>,
    /// Forward steps of loops that were computed again.
    pub recomputed_steps: u64,
    /// Steps that were run backwards.
    pub inverse_steps: u64,
    /// Evaluations of steps on guesses of the state before them, where whole steps are reversed: on the way forwards and
    /// back.
    pub inverse_evaluations: u64,
    /// Under `Quantise`: the most that the variance of the derivative along the direction asked for last can be, in the mean over
    /// draws (`variance_bound` of a front door).
    pub variance_bound: Option<f64>,
    /// Loops whose policy could not be followed, or by another mechanism than the first, and why.
    pub notes: Vec<String>,
    /// What was planned, under a budget.
    pub planned: Option<Planned>,
}

/// How much a value holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct HeldSize {
    bytes: usize,
    bits: Option<usize>,
    largest_deviation: Option<f64>,
}

impl HeldSize {
    /// That of `value`, kept by this policy.
    pub(crate) fn of(policy: Tape, value: &Value) -> HeldSize {
        let bits = if let Value::Bits(bits) = value { Some(bits.len_bits()) } else { None };
        HeldSize { bytes: value.size_bytes(), bits, largest_deviation: largest_deviation(policy, value) }
    }
    /// Those of the entries of a tape.
    pub(crate) fn of_tape<'a>(
        lowered: &'a Lowered,
        tape: &'a [Value],
    ) -> impl Iterator<Item = HeldSize> + 'a {
        lowered.tape.iter().zip(tape).map(|(entry, value)| HeldSize::of(entry.policy, value))
    }
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
        TapeReport::of_sizes(lowered, &HeldSize::of_tape(lowered, tape).collect::<Vec<_>>())
    }
    /// From the lowered program and the sizes of what its first part left.
    pub(crate) fn of_sizes(lowered: &Lowered, tape: &[HeldSize]) -> TapeReport {
        let (notes, planned) = (lowered.notes.clone(), lowered.planned.clone());
        let mut report = TapeReport { notes, planned, ..TapeReport::default() };
        let mut ids = vec![];
        for (entry, &HeldSize { bytes, bits, largest_deviation }) in lowered.tape.iter().zip(tape) {
            let loop_idx = entry.of_loop.as_ref().map(|size| {
                let idx = ids.iter().position(|id| *id == size.id).unwrap_or_else(|| {
                    ids.push(size.id);
                    report.loops.push(LoopBytes {
                        place: size.location.map(|l| l.to_string()),
                        policy: entry.policy,
                        n_steps: size.n_steps,
                        n_values: size.n_values,
                        bytes: 0,
                        bits: None,
                        replay_bytes: size.replay_bytes(),
                    });
                    ids.len() - 1
                });
                report.loops[idx].bytes += bytes;
                report.loops[idx].bits = report.loops[idx].bits.or(bits);
                idx
            });
            report.entries.push(EntryBytes {
                ty: entry.ty.to_string(),
                op: entry.op,
                place: entry.location.map(|l| l.to_string()),
                policy: entry.policy,
                bytes,
                bits,
                loop_idx,
                largest_deviation,
            });
        }
        report
    }
    /// Bytes of all entries.
    pub fn tape_bytes(&self) -> usize {
        self.entries.iter().map(|e| e.bytes).sum()
    }
    /// Most bytes at once of the tape and of the states that sweeps over loops recompute beside it; of loops whose length
    /// is not known before running, the tape alone. Sweeps come one after another, so the largest counts. Under a budget
    /// what was planned.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, control::scan, door::grad};
    /// use retrograde_core::tape::Checkpoint;
    /// // A hundred steps keep ten states, and ten at a time come back: one from the tape, nine beside it.
    /// let slope = grad(|x: Var| scan(100).repeat(x, |x| x + 0.1 * x.sin())).tape(Checkpoint::Sqrt);
    /// slope.call(&array(1.0))?;
    /// assert_eq!((slope.last_tape().tape_bytes(), slope.last_tape().peak_bytes()), (80, 80 + 72));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peak_bytes(&self) -> usize {
        if let Some(planned) = &self.planned {
            return planned.planned_bytes.max(self.tape_bytes());
        }
        self.tape_bytes() + self.loops.iter().filter_map(|l| l.replay_bytes).max().unwrap_or(0)
    }
    /// Bits on the stacks of reversed loops.
    pub fn stack_bits(&self) -> usize {
        self.entries.iter().filter_map(|e| e.bits).sum()
    }
    /// Bytes of each policy, the most first.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_core::tape::Tape;
    /// let slope = grad(|x: Var| x.sin().exp().sum());
    /// slope.call(&array([1.0, 2.0]))?;
    /// let report = slope.last_tape();
    /// assert_eq!(report.by_policy(), [(Tape::Store, 32)]);
    /// let by_line = report.by_line();
    /// assert_eq!((by_line.len(), &by_line[0].1), (1, &vec![(Tape::Store, 32)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_policy(&self) -> Vec<(Tape, usize)> {
        let mut totals = vec![];
        self.entries.iter().for_each(|e| *slot(&mut totals, e.policy) += e.bytes);
        totals.sort_by_key(|(_, bytes)| usize::MAX - bytes);
        totals
    }
    /// Bytes of each policy on each line of the user's code, `file:line`, the line with the most first.
    pub fn by_line(&self) -> Vec<(String, Vec<(Tape, usize)>)> {
        let mut lines: Vec<(String, Vec<(Tape, usize)>)> = vec![];
        for e in &self.entries {
            *slot(slot(&mut lines, e.line().to_owned()), e.policy) += e.bytes;
        }
        lines.sort_by_key(|(_, totals)| usize::MAX - totals.iter().map(|(_, bytes)| bytes).sum::<usize>());
        lines
    }
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let entries = list(&self.entries, |e| {
            let (place, bits, of_loop) = (text_or_null(&e.place), or_null(e.bits), or_null(e.loop_idx));
            let deviation = or_null(e.largest_deviation);
            let (ty, op, policy) = (quote(&e.ty), quote(e.op), quote(&e.policy.to_string()));
            format!(
                "{{\"type\":{ty},\"op\":{op},\"place\":{place},\"policy\":{policy},\"bytes\":{},\"bits\":{bits},\"loop\":{of_loop},\"largest_deviation\":{deviation}}}",
                e.bytes
            )
        });
        let loops = list(&self.loops, |l| {
            let (place, policy) = (text_or_null(&l.place), quote(&l.policy.to_string()));
            let (steps, per_value) = (or_null(l.n_steps), or_null(l.bits_per_value_step()));
            let (bits, replay) = (or_null(l.bits), or_null(l.replay_bytes));
            format!(
                "{{\"place\":{place},\"policy\":{policy},\"steps\":{steps},\"values\":{},\"bytes\":{},\"stack_bits\":{bits},\"bits_per_value_step\":{per_value},\"replay_bytes\":{replay}}}",
                l.n_values, l.bytes
            )
        });
        let budget = self.planned.as_ref().map_or("null".into(), |p| {
            format!(
                "{{\"bytes\":{},\"planned_bytes\":{},\"scratch_bytes\":{},\"repeated_equations\":{},\"choices\":{}}}",
                p.budget_bytes,
                p.planned_bytes,
                p.scratch_bytes,
                p.n_repeated,
                list(&p.choices, |choice| quote(choice))
            )
        });
        format!(
            "{{\"tape_bytes\":{},\"peak_bytes\":{},\"stack_bits\":{},\"recomputed_steps\":{},\"inverse_steps\":{},\"inverse_evaluations\":{},\"variance_bound\":{},\"by_policy\":{},\"by_line\":{},\"loops\":{loops},\"entries\":{entries},\"notes\":{},\"budget\":{budget}}}",
            self.tape_bytes(),
            self.peak_bytes(),
            self.stack_bits(),
            self.recomputed_steps,
            self.inverse_steps,
            self.inverse_evaluations,
            or_null(self.variance_bound),
            object(&self.by_policy()),
            list(&self.by_line(), |(line, totals)| format!(
                "{{\"line\":{},\"bytes\":{}}}",
                quote(line),
                object(totals)
            )),
            list(&self.notes, |note| quote(note)),
        )
    }
}

/// Half the largest distance of points, if `value` is grids.
fn largest_deviation(policy: Tape, value: &Value) -> Option<f64> {
    let Tape::Quantise { .. } = policy else { return None };
    let Value::Array(array) = value else { return None };
    let grids = array.to_vec::<f32>()?;
    Some(grids.chunks_exact(2).map(|grid| f64::from(grid[1])).fold(0.0, f64::max) / 2.0)
}

/// The value of a key, which is added where it is missing.
fn slot<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let idx = list.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
        list.push((key, V::default()));
        list.len() - 1
    });
    &mut list[idx].1
}

/// A JSON string.
fn quote(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn text_or_null(text: &Option<String>) -> String {
    text.as_deref().map_or("null".into(), quote)
}

fn or_null(value: Option<impl fmt::Display>) -> String {
    value.map_or("null".into(), |value| value.to_string())
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(","))
}

fn object(totals: &[(Tape, usize)]) -> String {
    let fields = totals.iter().map(|(policy, bytes)| format!("\"{policy}\":{bytes}"));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// `12 B reverse, 8 B store`
fn in_words(totals: &[(Tape, usize)]) -> String {
    totals.iter().map(|(policy, bytes)| format!("{bytes} B {policy}")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for TapeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, peak) = (self.tape_bytes(), self.peak_bytes());
        writeln!(
            f,
            "tape: {bytes} bytes in {} values, at most {peak} with recomputed states",
            self.entries.len()
        )?;
        if let Some(p) = &self.planned {
            writeln!(
                f,
                "budget: {} bytes, planned {} with what is computed again; cotangents take {} more",
                p.budget_bytes, p.planned_bytes, p.scratch_bytes
            )?;
            for choice in &p.choices {
                writeln!(f, "chosen: {choice}")?;
            }
        }
        for e in &self.entries {
            let place = e.place.as_deref().unwrap_or("-");
            write!(f, "  {:>12} B  {:<18} {:<16} {:<12} {place}", e.bytes, e.policy.to_string(), e.ty, e.op)?;
            if let Some(bits) = e.bits {
                write!(f, " ({bits} bits)")?;
            }
            if let Some(deviation) = e.largest_deviation {
                write!(f, " (standard deviation of an entry at most {deviation:.2e})")?;
            }
            writeln!(f)?;
        }
        if !self.entries.is_empty() {
            writeln!(f, "by policy: {}", in_words(&self.by_policy()))?;
        }
        for (line, totals) in self.by_line() {
            writeln!(f, "by line: {line}: {}", in_words(&totals))?;
        }
        for l in &self.loops {
            let place = l.place.as_deref().unwrap_or("-");
            let steps = l.n_steps.map_or("an unknown number of".into(), |n| n.to_string());
            write!(f, "loop at {place}: {steps} steps of {} values", l.n_values)?;
            if let Some(bits) = l.bits_per_value_step() {
                write!(f, ", {bits:.4} bits per value and step")?;
            }
            writeln!(f)?;
        }
        write!(f, "recomputed steps: {}, inverse steps: {}", self.recomputed_steps, self.inverse_steps)?;
        if self.inverse_evaluations > 0 {
            write!(f, ", evaluations of steps inside inverses: {}", self.inverse_evaluations)?;
        }
        writeln!(f)?;
        if let Some(bound) = self.variance_bound {
            writeln!(
                f,
                "variance of the derivative along the direction asked for: at most {bound:.3e} in the mean over draws"
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
