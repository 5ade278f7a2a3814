//! What a case is: a loss after a loop, and where it starts.

use std::rc::Rc;

use retrograde::prelude::*;

use super::{Task, binomial, lattice, lorenz, momentum, nbody, neural_ode, revnet, vanderpol};

/// Something worth differentiating.
#[derive(Debug)]
pub(super) struct Case {
    /// How it is asked for.
    pub(super) name: &'static str,
    /// One line of help.
    pub(super) about: &'static str,
    /// Steps, where nothing is said.
    pub(super) n_steps: usize,
    /// More would not fit any machine.
    pub(super) max_steps: usize,
    /// The policy, where nothing is said.
    pub(super) policy: Tape,
    /// Makes it.
    pub(super) problem: fn(Task) -> Problem,
}

/// Every case.
pub(super) const CASES: [&Case; 8] = [
    &nbody::CASE,
    &lattice::CASE,
    &lorenz::CASE,
    &vanderpol::CASE,
    &neural_ode::CASE,
    &revnet::CASE,
    &binomial::CASE,
    &momentum::CASE,
];

/// A number, as a function of arrays.
pub(super) type Loss = dyn Fn(&[Var]) -> Var;

/// A number after many steps, as a function of arrays.
pub(super) struct Problem {
    /// Names the case with its sizes.
    pub(super) task: String,
    /// What the gradient is with respect to.
    pub(super) start: Vec<Array>,
    /// Numbers in the state that the loop carries.
    pub(super) n_values: usize,
    /// The number.
    pub(super) loss: Rc<Loss>,
    /// What else to measure.
    pub(super) beside: Option<Beside>,
}

/// What is measured beside the gradient of a loop on a lattice.
pub(super) struct Beside {
    /// The remainders of contractions at the end, where there are any, whole numbers: information in them is not on the stack yet.
    pub(super) remainders: Option<Rc<Loss>>,
    /// The same number, computed in plain floats.
    pub(super) plain: Rc<Loss>,
}

impl Problem {
    /// Without sizes in the name.
    pub(super) fn new(
        task: impl Into<String>,
        start: Vec<Array>,
        n_values: usize,
        loss: impl Fn(&[Var]) -> Var + 'static,
    ) -> Problem {
        Problem { task: task.into(), start, n_values, loss: Rc::new(loss), beside: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reference::hex;

    /// Short, and with several blocks of checkpoints.
    const STEPS: usize = 23;

    fn task(case: &'static Case, policy: Tape) -> Task {
        Task { case, bodies: 3, gamma: momentum::GAMMA, n_steps: STEPS, policy }
    }

    #[test]
    fn every_case_has_one_gradient_under_every_policy_that_applies() {
        for case in CASES {
            let store = crate::bench::reference::bits(task(case, Tape::Store)).unwrap();
            assert!(!store.is_empty() && !store.chars().all(|c| c == '0'), "{}", case.name);
            for policy in [
                Tape::Recompute,
                Checkpoint::Sqrt.into(),
                Checkpoint::Slots(3).into(),
                Tape::Reverse,
                Tape::Budget(MIB),
            ] {
                match crate::bench::reference::bits(task(case, policy)) {
                    Ok(bits) => assert_eq!(bits, store, "{} under {policy}", case.name),
                    // A step that cannot be turned round says so, with its place.
                    Err(failure) => {
                        let text = failure.to_string();
                        assert!(
                            policy == Tape::Reverse && text.contains("--> "),
                            "{} under {policy}: {text}",
                            case.name
                        );
                        assert!(
                            !["nbody", "lattice", "revnet", "binomial", "momentum"].contains(&case.name),
                            "{}: {text}",
                            case.name
                        );
                    }
                }
            }
        }
    }

    /// Central differences along one entry of each array, in the precision of the case.
    #[test]
    fn every_gradient_is_the_slope() {
        for case in CASES {
            let Problem { start, loss, .. } = task(case, Tape::Store).problem();
            let door = value_and_grad(move |s: Vec<Var>| loss(&s));
            let (_, gradient) = door.call(&start).unwrap();
            for (at, leaf) in start.iter().enumerate() {
                let (delta, close) = if leaf.dtype() == DType::F64 { (1e-6, 1e-6) } else { (1e-2, 2e-2) };
                let value = |delta: f64| {
                    let mut moved = start.clone();
                    match leaf.dtype() {
                        DType::F64 => moved[at].make_mut::<f64>().unwrap()[0] += delta,
                        _ => moved[at].make_mut::<f32>().unwrap()[0] += delta as f32,
                    }
                    let value = door.call(&moved).unwrap().0;
                    value.item::<f64>().or(value.item::<f32>().map(f64::from)).unwrap()
                };
                let slope = (value(delta) - value(-delta)) / (2.0 * delta);
                let entry = &gradient[at];
                let found = match entry.dtype() {
                    DType::F64 => entry.to_vec::<f64>().unwrap()[0],
                    _ => f64::from(entry.to_vec::<f32>().unwrap()[0]),
                };
                let size = 1.0 + found.abs();
                assert!((slope - found).abs() < close * size, "{} {at}: {slope} {found}", case.name);
            }
        }
    }

    #[test]
    fn a_flipped_bit_of_a_gradient_shows_in_its_text() {
        let (a, b) = (array([1.0, 2.0]), array([1.0_f32, -0.0]));
        let text = hex(&[a.clone(), b.clone()]);
        assert_eq!(text.len(), 2 * 16 + 2 * 8);
        assert_ne!(text, hex(&[a, array([1.0_f32, 0.0])]));
        assert_ne!(text, hex(&[array([1.0, 2.0_f64.next_up()]), b]));
    }
}
