//! The figures of a run, the same for every case.

use std::rc::Rc;
use std::time::Instant;

use retrograde::prelude::*;
use retrograde::prim::schedule;
use retrograde::tape::TapeReport;
use retrograde::trace::door::ValueAndGrad;
use serde::Serialize;
use serde_json::{Map, Value};

use super::case::Loss;
use super::reference::{Reference, hex, reference};
use super::timing::numbers;
use super::{Problem, Task};
use crate::ALLOCATOR;
use crate::failure::Failure;
use crate::memory;

/// What a run measured. Fields that do not apply are `null`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) tool: &'static str,
    pub(super) task: String,
    pub(super) steps: usize,
    pub(super) threads: usize,
    pub(super) policy: String,
    /// `exact`: the bits of the reference are promised; `inexact`: its mean is.
    pub(super) law: &'static str,
    /// Of the loss alone.
    pub(super) primal_s: f64,
    /// Of the forward part of its gradient: with what the policy does on the way.
    pub(super) forward_s: f64,
    pub(super) gradient_s: f64,
    pub(super) ratio: f64,
    /// The loss, and the squared norm of its gradient.
    pub(super) value: f64,
    pub(super) gnorm2: f64,
    /// Live bytes that the forward run left, counted by the allocator.
    pub(super) tape_bytes: usize,
    /// With the states that the sweep computes again beside them, as the report bounds them.
    pub(super) peak_tape_bytes: usize,
    /// Per number of the loop's state and step: of the stack and the remainders under `reverse`, otherwise of all bytes.
    pub(super) bits_per_value_step: f64,
    /// Under `reverse` on a lattice: log2 of the remainders of contractions, which are in the last state and not on the stack.
    pub(super) remainder_bits: Option<f64>,
    /// What the same loop in plain floats, where the case is not of plain floats, keeps under the same policy.
    pub(super) plain_tape_bytes: Option<usize>,
    /// As `bits_per_value_step`, of that loop.
    pub(super) plain_bits_per_value_step: Option<f64>,
    pub(super) recomputed_steps: u64,
    pub(super) inverse_steps: u64,
    /// See [`Figures::ABOUT_FORWARD_STEPS`].
    pub(super) forward_steps: Option<u64>,
    pub(super) least_forward_steps: Option<u64>,
    /// The largest part of this process that was in memory at any time, in units of 2^20 bytes.
    pub(super) peak_rss_mb: Option<f64>,
    /// Whether the gradient equals that of another process in every bit.
    pub(super) bit_identical: bool,
    /// The policy of that process.
    pub(super) reference_policy: String,
    /// Where that is not `store`: the length at which `store` confirmed that policy, in processes of their own.
    pub(super) confirmed_steps: Option<usize>,
    /// Under `reverse`, where the run fails unless it arrives at the recorded start; else `null`.
    pub(super) start_recovered: Option<bool>,
}

impl Figures {
    /// What two of the figures count.
    pub(super) const ABOUT_FORWARD_STEPS: &str = "forward_steps: the loop's own steps but the last, which no state is needed after, and the recomputed ones;\nleast_forward_steps: the least of any schedule with as many slots (Griewank and Walther 2000).";

    /// Names and values, in order.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Failure> {
        match serde_json::to_value(self)? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}

/// A compiled gradient.
pub(super) type Door<F> = ValueAndGrad<F, (Vec<Var>,)>;

/// The gradient of a problem under a policy.
pub(super) fn gradient(problem: &Problem, policy: Tape) -> Door<impl Fn(Vec<Var>) -> Var + use<>> {
    let loss = problem.loss.clone();
    value_and_grad(move |s: Vec<Var>| loss(&s)).tape(policy)
}

/// Measures a task and compares it with its reference.
pub(super) fn measure(task: Task, repeats: usize, threads: usize) -> Result<(Figures, TapeReport), Failure> {
    let problem = task.problem();
    let door = gradient(&problem, task.policy);
    let start = &problem.start;
    expect_memory(task.policy, known_bytes(&door, start)?)?;

    let loss = problem.loss.clone();
    let primal = jit(move |s: Vec<Var>| loss(&s));
    primal.call(start)?;
    let primal_s = median(repeats, || primal.call(start))?;
    // The first call compiles.
    let (value, slope) = door.call(start)?;
    let squares = |array: &Array| numbers(array).iter().map(|x| x * x).sum::<f64>();
    let (value, gnorm2) = (numbers(&value).iter().sum(), slope.iter().map(squares).sum());
    let gradient_s = median(repeats, || door.call(start))?;
    let report = door.last_tape();
    door.forward(start)?;
    let forward_s = median(repeats, || door.forward(start))?;

    // What a door keeps from call to call goes with it: what stays is the tape.
    let before = live_bytes();
    let own = gradient(&problem, task.policy);
    let (of_own, summary, tape) = own.forward(start)?;
    drop((summary, own));
    let tape_bytes = live_bytes().saturating_sub(before + of_own.size_bytes());
    drop(tape);

    let n_value_steps = problem.n_values as f64 * task.n_steps as f64;
    let remainders = problem.beside.as_ref().and_then(|beside| beside.remainders.as_ref());
    let remainder_bits = match remainders {
        Some(remainders) if task.policy == Tape::Reverse => Some(log2_of_all(remainders, start)?),
        _ => None,
    };
    let n_bits = remainder_bits.unwrap_or(0.0) + kept_bits(task.policy, &report, tape_bytes);
    let plain = match &problem.beside {
        Some(beside) => {
            let loss = beside.plain.clone();
            let plain = value_and_grad(move |s: Vec<Var>| loss(&s)).tape(task.policy);
            let (_, report, _) = plain.forward(start)?;
            Some((report.tape_bytes(), kept_bits(task.policy, &report, report.tape_bytes())))
        }
        None => None,
    };
    let slots = match task.policy {
        Tape::Checkpoint(Checkpoint::Slots(slots)) => Some(slots),
        _ => None,
    };
    let peak_rss_mb = memory::peak_resident_mb();
    let Reference { bits, policy: reference_policy, confirmed_steps } = reference(task, &problem)?;
    let figures = Figures {
        tool: "retrograde",
        task: problem.task,
        steps: task.n_steps,
        threads,
        policy: task.policy.to_string(),
        law: if matches!(task.policy, Tape::Quantise { .. }) { "inexact" } else { "exact" },
        primal_s,
        forward_s,
        gradient_s,
        ratio: gradient_s / primal_s,
        value,
        gnorm2,
        tape_bytes,
        peak_tape_bytes: tape_bytes + (report.peak_bytes() - report.tape_bytes()),
        bits_per_value_step: n_bits / n_value_steps,
        remainder_bits,
        plain_tape_bytes: plain.map(|(bytes, _)| bytes),
        plain_bits_per_value_step: plain.map(|(_, bits)| bits / n_value_steps),
        recomputed_steps: report.recomputed_steps,
        inverse_steps: report.inverse_steps,
        forward_steps: slots.map(|_| task.n_steps as u64 - 1 + report.recomputed_steps),
        least_forward_steps: slots
            .and_then(|slots| schedule::forward_steps(task.n_steps, slots).try_into().ok()),
        peak_rss_mb,
        bit_identical: hex(&slope) == bits,
        reference_policy: reference_policy.to_string(),
        confirmed_steps,
        start_recovered: (task.policy == Tape::Reverse).then_some(true),
    };
    Ok((figures, report))
}

/// What `bits_per_value_step` counts of a tape.
fn kept_bits(policy: Tape, report: &TapeReport, tape_bytes: usize) -> f64 {
    (if policy == Tape::Reverse { report.stack_bits() } else { 8 * tape_bytes }) as f64
}

/// The sum of log2 of whole numbers, the result of `f`.
fn log2_of_all(f: &Rc<Loss>, start: &Vec<Array>) -> Result<f64, Failure> {
    let f = f.clone();
    let found = jit(move |s: Vec<Var>| f(&s)).call(start)?;
    Ok(found.to_vec::<i64>().unwrap_or_default().into_iter().map(|n| (n as f64).log2()).sum())
}

/// Runs `f` several times; the median of its seconds.
fn median<R>(repeats: usize, f: impl Fn() -> Result<R, Error>) -> Result<f64, Failure> {
    let mut seconds = vec![];
    for _ in 0..repeats {
        let start = Instant::now();
        let result = f()?;
        seconds.push(start.elapsed().as_secs_f64());
        drop(result);
    }
    seconds.sort_by(f64::total_cmp);
    let (low, high) = (seconds[(repeats - 1) / 2], seconds[repeats / 2]);
    Ok(0.5 * (low + high))
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Bytes of the tape, as far as they are known before a run.
pub(super) fn known_bytes<F: Fn(Vec<Var>) -> Var>(
    door: &Door<F>,
    start: &Vec<Array>,
) -> Result<usize, Failure> {
    let tape = door.lowered(start)?.tape;
    Ok(tape.iter().filter_map(|entry| entry.bytes).fold(0, usize::saturating_add))
}

/// Refuses what this machine cannot hold, instead of being killed for it.
pub(super) fn expect_memory(policy: Tape, needed: usize) -> Result<(), Failure> {
    match memory::available_bytes() {
        Some(free) if needed as u64 > free => Err(Failure::Memory {
            policy: policy.to_string(),
            needed_mb: needed as u64 >> 20,
            available_mb: free >> 20,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let ok = || Ok::<_, Error>(());
        assert!(median(1, ok).unwrap() >= 0.0 && median(4, ok).unwrap() >= 0.0);
    }
}
