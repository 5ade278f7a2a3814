//! The loop of methods that take one step for each batch of a pass: `(w, memories) ← rule(w, memories, ∇_B F(w), t)`.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door::grad;
use retrograde_engine::jit;

use super::linear_recursion::batches;
use super::problem::{at_rows, numbers, positions};
use super::run::{Run, Stop, vector};
use super::{FiniteSumError, check_batch};

/// A step by the gradient of a batch.
pub(super) trait Rule: Copy + 'static {
    /// How many vectors it remembers; they begin at zero.
    fn n_memories(&self) -> usize;
    /// The next w and memories; t counts the steps from 1.
    fn step(&self, w: Var, memories: &[Var], slope: Var, t: Var, n: f64) -> (Var, Vec<Var>);
}

/// Pass after pass, until the run ends.
pub(super) fn minimise(
    rule: impl Rule,
    batch: usize,
    decay: f64,
    run: &mut Run<'_>,
) -> Result<Stop, FiniteSumError> {
    let problem = run.problem();
    let n = problem.n_examples();
    check_batch("batch", batch, n)?;
    if !(decay >= 0.0 && decay.is_finite()) {
        let expected = "a finite number that is not negative".into();
        return Err(FiniteSumError::Setting { setting: "decay", found: decay, expected });
    }
    let (traced, l2) = (problem.traced(), problem.l2());
    let pass = jit(move |state: Vec<Var>, data: Vec<Var>, batches: Var| {
        let step = |state: Vec<Var>, places: Var| {
            let (w, t) = (state[0], state[1] + 1.0);
            let rows = at_rows(&data, places);
            let slope = grad(|w: Var, x: Vec<Var>| traced.sum(w, x)).at((w, rows)) / batch as f64 + l2 * w;
            let (w, memories) = rule.step(w, &state[2..], slope, t, n as f64);
            ([vec![w, t], memories].concat(), Vec::<Var>::new())
        };
        scan_over().run(state, batches, step).0
    });
    let draws = run.key(0);
    let mut state = vec![vector(run.w()), array(0.0)];
    state.resize(2 + rule.n_memories(), Array::zeros(retrograde_array::DType::F64, [problem.n_parameters()]));
    for epoch in 0.. {
        let drawn: Vec<usize> =
            batches(draws.fold_in(epoch), n / batch, batch, n).into_iter().flatten().collect();
        let places = positions(&drawn).reshaped([n / batch, batch])?;
        state = pass.call((&state, problem.data(), &places))?;
        run.charge(drawn.len());
        if let Some(stop) = run.moved(&numbers(&state[0]))? {
            return Ok(stop);
        }
    }
    unreachable!("the passes end by themselves")
}
