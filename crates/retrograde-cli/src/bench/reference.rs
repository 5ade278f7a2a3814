//! The gradient of the same task in another process, where nothing is shared but the program.

use std::process::Command;

use retrograde::prelude::*;

use super::measure::{expect_memory, gradient, known_bytes};
use super::{Problem, Task};
use crate::failure::Failure;
use crate::memory;

/// A reference that keeps more than this runs under checkpoints instead.
const MAX_BYTES: usize = 2_000_000_000;
/// Part of that at which checkpoints are compared with `store`: it costs a fraction of the reference.
const CONFIRMED_SHARE: usize = 8;

/// What the other process found.
pub(super) struct Reference {
    /// All bits of its gradient.
    pub(super) bits: String,
    /// Its policy.
    pub(super) policy: Tape,
    /// See `Figures::confirmed_steps`.
    pub(super) confirmed_steps: Option<usize>,
}

/// All bits of the gradient, in this process.
pub(super) fn bits(task: Task) -> Result<String, Failure> {
    let problem = task.problem();
    let door = gradient(&problem, task.policy);
    expect_memory(task.policy, known_bytes(&door, &problem.start)?)?;
    Ok(hex(&door.call(&problem.start)?.1))
}

/// The gradient under `store` or, where that does not fit, under √T checkpoints, which `store` has to confirm at a length where
/// it fits.
pub(super) fn reference(task: Task, problem: &Problem) -> Result<Reference, Failure> {
    let needed = known_bytes(&gradient(problem, Tape::Store), &problem.start)?;
    let fits = |bytes: usize| {
        bytes <= MAX_BYTES && memory::available_bytes().is_none_or(|free| (bytes as u64) < free / 2)
    };
    if fits(needed) {
        let policy = Tape::Store;
        return Ok(Reference { bits: elsewhere(task, policy)?, policy, confirmed_steps: None });
    }
    let n_steps = confirmed_steps(task.n_steps, needed);
    let short = Task { n_steps, ..task };
    if elsewhere(short, Tape::Store)? != elsewhere(short, Checkpoint::Sqrt.into())? {
        return Err(Failure::Reference(format!(
            "checkpoint-sqrt and store differ after {n_steps} steps; this is a bug in retrograde"
        )));
    }
    let policy = Checkpoint::Sqrt.into();
    Ok(Reference { bits: elsewhere(task, policy)?, policy, confirmed_steps: Some(n_steps) })
}

/// How many steps fit well, when all of them need this many bytes.
fn confirmed_steps(n_steps: usize, needed: usize) -> usize {
    let share = (MAX_BYTES / CONFIRMED_SHARE) as f64 / needed as f64;
    ((n_steps as f64 * share) as usize).clamp(1, n_steps)
}

fn elsewhere(task: Task, policy: Tape) -> Result<String, Failure> {
    let failed = |what: String| Failure::Reference(what);
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let (steps, policy) = (task.n_steps.to_string(), policy.to_string());
    let mut command = Command::new(program);
    command.args(["bench", task.case.name, "--gradient-bits", "--steps", &steps, "--tape", &policy]);
    if [super::nbody::CASE.name, super::lattice::CASE.name].contains(&task.case.name) {
        command.args(["--bodies", &task.bodies.to_string()]);
    }
    if task.case.name == super::momentum::CASE.name {
        command.args(["--gamma", &format!("{}/{}", task.gamma.n, task.gamma.d)]);
    }
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// All bits of a gradient.
pub(super) fn hex(leaves: &[Array]) -> String {
    let mut text = String::new();
    for leaf in leaves {
        match leaf.dtype() {
            DType::F32 => leaf
                .to_vec::<f32>()
                .unwrap_or_default()
                .iter()
                .for_each(|x| text += &format!("{:08x}", x.to_bits())),
            _ => leaf
                .to_vec::<f64>()
                .unwrap_or_default()
                .iter()
                .for_each(|x| text += &format!("{:016x}", x.to_bits())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confirmed_fits() {
        for (n_steps, needed) in [(1_000_000, 10 * MAX_BYTES), (3, usize::MAX), (100, MAX_BYTES + 1)] {
            let confirmed = confirmed_steps(n_steps, needed);
            assert!(confirmed >= 1 && confirmed <= n_steps);
            assert!(
                confirmed == 1 || confirmed as f64 / n_steps as f64 * needed as f64 <= MAX_BYTES as f64 / 8.0
            );
        }
    }
}
