//! The loop of methods that take one step for each batch of a pass: `(w, memories) ← rule(w, memories, ∇_B F(w), t)`.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door::{Jit, grad};
use retrograde_engine::jit;

use super::linear_recursion::batches;
use super::memory::{Memory, Remembered, rows};
use super::problem::{numbers, positions};
use super::run::{Run, Stop, vector};
use super::traced::at_rows;
use super::{FiniteSumError, Iteration, check_batch};

/// A step by the gradient of a batch.
pub(super) trait Rule: Copy + 'static {
    /// How many vectors it remembers; they begin at zero.
    fn n_memories(&self) -> usize;
    /// The next w and memories; t counts the steps from 1.
    fn step(&self, w: Var, memories: &[Var], slope: Var, t: Var, n: f64) -> (Var, Vec<Var>);
}

type Pass = Jit<Box<dyn Fn(Vec<Var>, Vec<Var>, Var) -> Vec<Var>>, (Vec<Var>, Vec<Var>, Var)>;

/// A run between two passes.
struct State {
    batch: usize,
    pass: Pass,
    draws: Key,
    /// w, t, and the memories.
    values: Vec<Array>,
}

/// Ready for a pass, the first or the next one.
pub(super) fn begin(
    rule: impl Rule,
    batch: usize,
    decay: f64,
    run: &mut Run<'_>,
    memory: Option<Remembered<'_>>,
) -> Result<Box<dyn Iteration>, FiniteSumError> {
    let problem = run.problem();
    let (n, d) = (problem.n_examples(), problem.n_parameters());
    check_batch("batch", batch, n)?;
    if !(decay >= 0.0 && decay.is_finite()) {
        let expected = "a finite number that is not negative".into();
        return Err(FiniteSumError::Setting { setting: "decay", found: decay, expected });
    }
    let (traced, l2) = (problem.traced(), problem.l2());
    let pass: Pass = jit(Box::new(move |state: Vec<Var>, data: Vec<Var>, batches: Var| {
        let step = |state: Vec<Var>, places: Var| {
            let (w, t) = (state[0], state[1] + 1.0);
            let rows = at_rows(&data, places);
            let slope = grad(|w: Var, x: Vec<Var>| traced.sum(w, x)).at((w, rows)) / batch as f64 + l2 * w;
            let (w, memories) = rule.step(w, &state[2..], slope, t, n as f64);
            ([vec![w, t], memories].concat(), Vec::<Var>::new())
        };
        scan_over().run(state, batches, step).0
    }));
    let (t, memories) = match memory {
        Some(memory) => (memory.number("t")?, memory.rows("memories", d)?),
        None => (0.0, vec![vec![0.0; d]; rule.n_memories()]),
    };
    let mut values = vec![vector(run.w()), array(t)];
    values.extend(memories.iter().map(|memory| vector(memory)));
    Ok(Box::new(State { batch, pass, draws: run.key(0), values }))
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let (problem, batch) = (run.problem(), self.batch);
        let n = problem.n_examples();
        let key = self.draws.fold_in(run.n_steps() as u64);
        let drawn: Vec<usize> = batches(key, n / batch, batch, n).into_iter().flatten().collect();
        let places = positions(&drawn).reshaped([n / batch, batch])?;
        self.values = self.pass.call((&self.values, problem.data(), &places))?;
        run.charge(drawn.len());
        run.moved(&numbers(&self.values[0]))
    }

    fn memory(&self) -> Memory {
        let memories: Vec<Vec<f64>> = self.values[2..].iter().map(numbers).collect();
        let d = self.values[0].size();
        vec![("t".into(), self.values[1].clone()), rows("memories", d, memories.iter())]
    }
}
