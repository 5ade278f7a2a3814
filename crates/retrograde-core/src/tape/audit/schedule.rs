//! Which states checkpoints keep, and that a sweep over them visits every step, last to first.

use std::fmt;

use crate::prim::replay::Plan;

/// Which states of a loop the tape holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kept {
    /// Before every so many steps.
    Every(usize),
    /// About √T of an unknown number T: thinned out on the way.
    Online,
    /// Those of the binomial schedule in so many slots.
    Binomial(usize),
    /// At most so many of an unknown number: thinned out on the way.
    OnlineIn(usize),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Every(k) => write!(f, "every {k} steps"),
            Kept::Online => f.write_str("every growing number of steps"),
            Kept::Binomial(slots) => write!(f, "by the binomial schedule for {slots} slots"),
            Kept::OnlineIn(slots) => write!(f, "every growing number of steps in {slots} slots"),
        }
    }
}

impl Kept {
    pub(super) fn of(plan: Plan, is_known: bool) -> Kept {
        match (plan, is_known) {
            (Plan::Slots(slots), true) => Kept::Binomial(slots),
            (Plan::Slots(slots), false) => Kept::OnlineIn(slots),
            (Plan::Every(k), true) => Kept::Every(k),
            _ => Kept::Online,
        }
    }
    pub(super) fn n_states(self, n_steps: usize) -> usize {
        match self {
            Kept::Binomial(slots) => binomial_states(n_steps, slots).len(),
            Kept::Every(k) => n_steps.div_ceil(k.max(1)),
            Kept::Online | Kept::OnlineIn(_) => 0,
        }
    }
    pub(super) fn visits_every_step(self, length: Option<usize>) -> Result<(), String> {
        match (self, length) {
            (Kept::Every(k), Some(n)) => schedule(n, k),
            (Kept::Binomial(slots), Some(n)) => visits_in_slots(n, slots, &binomial_states(n, slots)),
            (Kept::OnlineIn(slots), _) => (0..200).try_for_each(|n_steps| {
                let mut saved: Vec<usize> = vec![];
                let mut stride = 1;
                for step in 0..n_steps {
                    if step % stride == 0 {
                        saved.push(step);
                    }
                    while saved.len() > slots {
                        saved = saved.into_iter().step_by(2).collect();
                        stride *= 2;
                    }
                }
                visits_in_slots(n_steps, slots, &saved)
            }),
            _ => online_schedule(),
        }
    }
}

/// C(c + r, c) by Pascal's rule, up to a bound.
fn pascal(c: usize, r: usize, bound: usize) -> usize {
    let mut row = vec![1usize; r + 1];
    for _ in 0..c {
        for j in 1..=r {
            row[j] = row[j].saturating_add(row[j - 1]).min(bound);
        }
        if row[r] == bound {
            break;
        }
    }
    row[r]
}

/// Where the next state is put, of `n_steps` steps in `slots` slots.
fn binomial_split(n_steps: usize, slots: usize) -> usize {
    let bound = n_steps + 1;
    let r = (1..).find(|&r| pascal(slots, r, bound) >= n_steps).unwrap_or(1);
    let far = if r >= 2 { pascal(slots, r - 2, bound) } else { 1 };
    far.max(n_steps.saturating_sub(pascal(slots - 1, r, bound))).max(1).min(n_steps - 1)
}

fn binomial_states(n_steps: usize, slots: usize) -> Vec<usize> {
    let mut at: Vec<usize> = if n_steps > 0 { vec![0] } else { vec![] };
    while let Some(&last) = at.last() {
        if at.len() >= slots || n_steps - last < 2 {
            break;
        }
        at.push(last + binomial_split(n_steps - last, slots + 1 - at.len()));
    }
    if at.last().is_some_and(|last| last + 1 < n_steps) {
        at.push(n_steps - 1);
    }
    at
}

/// Follows a sweep that never holds more than `slots` states and the one it is at: each step must be visited once, last to first. Long loops
/// are followed step by step, without running them.
fn visits_in_slots(n_steps: usize, slots: usize, saved: &[usize]) -> Result<(), String> {
    let mut kept = saved.to_vec();
    let (mut end, mut n_visits) = (n_steps, 0);
    while let Some(&start) = kept.last() {
        if kept.len() > slots + usize::from(end - start.min(end) == 1) {
            return Err(format!("{} states are held, expected at most {slots}", kept.len()));
        }
        if start >= end {
            return Err(format!("step {end} of {n_steps}: the state before step {start} comes too late"));
        }
        let free = (slots + 1).saturating_sub(kept.len()).max(1);
        match end - start {
            1 => {
                kept.pop();
                (end, n_visits) = (start, n_visits + 1);
            }
            _ if free == 1 => (end, n_visits) = (end - 1, n_visits + 1),
            n => kept.push(start + binomial_split(n, free)),
        }
    }
    if end == 0 && n_visits == n_steps {
        Ok(())
    } else {
        Err(format!("steps 0..{end} of {n_steps} are never visited"))
    }
}

/// Follows the schedule of `n_steps` steps with a state every `stride` steps: each step must be visited once, last to
/// first, with its own state. Long loops are shortened to their first two segments and the last.
fn schedule(n_steps: usize, stride: usize) -> Result<(), String> {
    if stride == 0 {
        return Err("checkpoints 0 steps apart".into());
    }
    let short = if n_steps > 2000 { n_steps.min(2 * stride + (n_steps - 1) % stride + 1) } else { n_steps };
    let saved: Vec<usize> = (0..short).filter(|step| step % stride == 0).collect();
    visits(short, stride, &saved)
}

/// The same where the number of steps is found out on the way: states are thinned out as the loop goes on.
fn online_schedule() -> Result<(), String> {
    for n_steps in 0..200_usize {
        let (mut saved, mut stride) = (vec![], 1);
        for step in 0..n_steps {
            if step % stride == 0 {
                saved.push(step);
            }
            if saved.len() > 2 * stride {
                saved = saved.into_iter().step_by(2).collect();
                stride *= 2;
            }
        }
        let expected = (0..).map(|i| 1_usize << i).find(|k| n_steps.div_ceil(*k) <= 2 * k);
        if expected != Some(stride) {
            return Err(format!(
                "after {n_steps} steps: found a distance of {stride}, expected {expected:?}"
            ));
        }
        visits(n_steps, stride, &saved)?;
    }
    Ok(())
}

fn visits(n_steps: usize, stride: usize, saved: &[usize]) -> Result<(), String> {
    let mut next = n_steps;
    for (segment, &start) in saved.iter().enumerate().rev() {
        let first = segment * stride;
        let end = n_steps.min(first + stride);
        // states[i] is the state before step first + i
        let states: Vec<usize> = (start..).take(end.saturating_sub(first)).collect();
        for (step, state) in (first..end).zip(states).rev() {
            next = next.wrapping_sub(1);
            if (step, state) != (next, next) {
                return Err(format!(
                    "step {next} of {n_steps}: visits step {step} with the state before step {state}"
                ));
            }
        }
    }
    if next == 0 { Ok(()) } else { Err(format!("steps 0..{next} of {n_steps} are never visited")) }
}
