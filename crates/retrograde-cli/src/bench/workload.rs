//! What a timed case is: functions of arrays that are run again and again, and what they compute.

use std::path::Path;
use std::rc::Rc;

use retrograde::prelude::*;
use retrograde::rng::{normal, random_bits};
use retrograde::tree::{self, Tree};

use super::{ba, cnn, fused, gmm, hand, hvp, lstm, lstm_adbench, mlp, tiny, transformer};
use crate::failure::Failure;

/// Something worth timing.
#[derive(Debug)]
pub(super) struct TimedCase {
    /// How it is asked for.
    pub(super) name: &'static str,
    /// One line of help.
    pub(super) about: &'static str,
    /// What is read from a path, where the case needs one.
    pub(super) path: Option<&'static str>,
    /// Makes it, from that path.
    pub(super) workload: fn(&Path, Tape) -> Result<Workload, Failure>,
}

/// Every timed case.
pub(super) const TIMED: [&TimedCase; 11] = [
    &fused::CASE,
    &mlp::CASE,
    &cnn::CASE,
    &lstm::CASE,
    &transformer::CASE,
    &hvp::CASE,
    &tiny::CASE,
    &gmm::CASE,
    &lstm_adbench::CASE,
    &ba::CASE,
    &hand::CASE,
];

/// Arrays from arrays to differentiate with respect to, and from data.
pub(super) type Function = dyn Fn(&[Var], &[Var]) -> Vec<Var>;
/// A number from the same.
pub(super) type Loss = dyn Fn(&[Var], &[Var]) -> Var;
/// What is no program of ours.
pub(super) type ByHand = Box<dyn FnMut()>;

/// A compiled call that is timed.
pub(super) struct TimedCall {
    /// The name of its figure, in seconds.
    pub(super) figure: &'static str,
    /// What it computes.
    pub(super) function: Rc<Function>,
    /// Its first arguments, where they are not those of the workload.
    pub(super) instead: Option<Vec<Array>>,
    /// Whether its results are its next first arguments, as those of a training step are.
    pub(super) feeds_back: bool,
}

/// Functions to time on the same arguments.
pub(super) struct Workload {
    /// Names the case with its sizes.
    pub(super) task: String,
    /// What derivatives are with respect to.
    pub(super) wrt: Vec<Array>,
    /// What else the functions are given.
    pub(super) data: Vec<Array>,
    /// What is timed, in order.
    pub(super) calls: Vec<TimedCall>,
    /// The number whose gradient is taken; `None` where the derivative is a Jacobian.
    pub(super) loss: Option<Rc<Loss>>,
    /// The value and the derivative, whose squares are summed for comparison with others.
    pub(super) outcome: Rc<Function>,
    /// A function and another, by the name of the figure that tells how many more operations the second takes.
    pub(super) flop_ratios: Vec<(&'static str, Rc<Function>, Rc<Function>)>,
    /// Loops written by hand that are timed beside the calls, by the name of the figure.
    pub(super) by_hand: Vec<(&'static str, ByHand)>,
}

/// The gradient of a loss, inside traced code: the value, then a slope for each array.
pub(super) fn value_and_slopes(loss: &Rc<Loss>, policy: Tape) -> impl Fn(&[Var], &[Var]) -> Vec<Var> + use<> {
    let loss = loss.clone();
    let door = value_and_grad(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data)).tape(policy);
    move |wrt: &[Var], data: &[Var]| {
        let (value, slopes) = door.at((wrt.to_vec(), data.to_vec()));
        [vec![value], slopes].concat()
    }
}

/// Learning rate of the training steps, as the peers have it.
const RATE: f64 = 0.01;

impl Workload {
    /// Plain gradient descent: one step, loss, gradient and update, is one call.
    pub(super) fn descent(
        task: impl Into<String>,
        wrt: Vec<Array>,
        data: Vec<Array>,
        policy: Tape,
        loss: impl Fn(&[Var], &[Var]) -> Var + 'static,
    ) -> Workload {
        let loss: Rc<Loss> = Rc::new(loss);
        let gradient = value_and_slopes(&loss, policy);
        let step = move |wrt: &[Var], data: &[Var]| {
            let slopes = gradient(wrt, data);
            wrt.iter().zip(&slopes[1..]).map(|(w, slope)| *w - RATE * *slope).collect()
        };
        let calls = vec![TimedCall::new("step_s", step).feeding_back()];
        Workload::new(task, wrt, data, policy, calls, loss)
    }

    /// A function and its gradient.
    pub(super) fn objective(
        task: impl Into<String>,
        wrt: Vec<Array>,
        data: Vec<Array>,
        policy: Tape,
        loss: impl Fn(&[Var], &[Var]) -> Var + 'static,
    ) -> Workload {
        let loss: Rc<Loss> = Rc::new(loss);
        let (objective, gradient) = (loss.clone(), value_and_slopes(&loss, policy));
        let calls = vec![
            TimedCall::new("objective_s", move |wrt, data| vec![objective(wrt, data)]),
            TimedCall::new("gradient_s", gradient),
        ];
        Workload::new(task, wrt, data, policy, calls, loss)
    }

    /// Calls of which each has to do with one loss.
    pub(super) fn new(
        task: impl Into<String>,
        wrt: Vec<Array>,
        data: Vec<Array>,
        policy: Tape,
        calls: Vec<TimedCall>,
        loss: Rc<Loss>,
    ) -> Workload {
        let outcome = Rc::new(value_and_slopes(&loss, policy));
        Workload {
            task: task.into(),
            wrt,
            data,
            calls,
            loss: Some(loss),
            outcome,
            flop_ratios: vec![],
            by_hand: vec![],
        }
    }
}

impl TimedCall {
    /// On the arguments of the workload.
    pub(super) fn new(
        figure: &'static str,
        function: impl Fn(&[Var], &[Var]) -> Vec<Var> + 'static,
    ) -> TimedCall {
        TimedCall { figure, function: Rc::new(function), instead: None, feeds_back: false }
    }

    fn feeding_back(self) -> TimedCall {
        TimedCall { feeds_back: true, ..self }
    }
}

/// The leaves of a model, in order.
pub(super) fn leaves<T: Tree<Leaf = Array>>(model: &T) -> Vec<Array> {
    tree::leaves(model).into_iter().map(|(_, leaf)| leaf).collect()
}

/// The model without its numbers, for functions that are given them: so nothing holds the first ones.
pub(super) fn outline<T: Tree<Leaf = Array>>(model: &T) -> T::With<Array> {
    model.map(&mut |_| Array::scalar(0.0_f32))
}

/// The model with other leaves.
pub(super) fn filled<T: Tree<Leaf = Array>>(model: &T, leaves: &[Var]) -> T::With<Var> {
    let mut next = leaves.iter();
    model.map(&mut |_| *next.next().expect("as many as leaves; this is a bug in retrograde"))
}

/// Normal f32 numbers of a standard deviation.
pub(super) fn normal_f32(key: Key, shape: &[usize], deviation: f64) -> Array {
    let values = normal(key, shape);
    let values = values.as_slice::<f64>().unwrap_or_default();
    let scaled = values.iter().map(|x| (x * deviation) as f32).collect();
    Array::new(shape, scaled).expect("as many as drawn; this is a bug in retrograde")
}

/// A dense layer as the peers begin: deviation 1/√in, no bias.
pub(super) fn dense_f32(key: Key, n_in: usize, n_out: usize) -> Linear<Array> {
    let weight = normal_f32(key, &[n_in, n_out], (n_in as f64).powf(-0.5));
    Linear { weight, bias: Array::zeros(DType::F32, [n_out]) }
}

/// Whole numbers from 0 to below `n`.
pub(super) fn whole_numbers(key: Key, shape: &[usize], n: u64) -> Array {
    let size = shape.iter().product();
    let values = random_bits(key, size).into_iter().map(|word| (word % n) as i64).collect();
    Array::new(shape, values).expect("as many as drawn; this is a bug in retrograde")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reference::hex;
    use crate::bench::timing::numbers;
    use retrograde::arrays::ops;

    /// Each case, small.
    fn small(name: &str, policy: Tape) -> Workload {
        match name {
            "fused" => fused::workload(50, policy),
            "mlp" => mlp::workload(&[5, 4, 4, 3], 6, policy),
            "cnn" => cnn::workload([2, 3], 8, 2, policy),
            "lstm" => lstm::workload(3, 4, 7, 2, policy),
            "transformer" => {
                let sizes = transformer::Sizes {
                    layers: 2,
                    width: 4,
                    heads: 2,
                    inner: 6,
                    tokens: 5,
                    n: 2,
                    vocabulary: 7,
                };
                transformer::workload(sizes, policy)
            }
            "hvp" => hvp::workload(&[5, 4, 4, 3], 6, policy),
            "tiny" => tiny::workload(policy),
            "gmm" => gmm::workload(&gmm::random(3, 4, 20), policy),
            "lstm-adbench" => lstm_adbench::workload(&lstm_adbench::random(2, 15, 4), policy),
            "ba" => ba::workload(&ba::random(3, 5, 11)),
            "hand" => hand::workload(&hand::random(true)),
            _ => panic!("{name} has no small form"),
        }
    }

    fn gradient(workload: &Workload, policy: Tape) -> Result<Vec<Array>, Error> {
        let loss = workload.loss.clone().unwrap();
        let door = value_and_grad(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data)).tape(policy);
        Ok(door.call((&workload.wrt, &workload.data))?.1)
    }

    #[test]
    fn every_timed_case_has_one_gradient_under_every_policy_that_applies() {
        for case in TIMED {
            let workload = small(case.name, Tape::Store);
            if workload.loss.is_none() {
                continue;
            }
            let store = hex(&gradient(&workload, Tape::Store).unwrap());
            assert!(!store.is_empty() && !store.chars().all(|c| c == '0'), "{}", case.name);
            for policy in
                [Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(3).into(), Tape::Reverse]
            {
                match gradient(&workload, policy) {
                    Ok(other) => assert_eq!(hex(&other), store, "{} under {policy}", case.name),
                    // A step that cannot be turned round says so, with its place.
                    Err(error) => assert!(
                        policy == Tape::Reverse && error.to_string().contains("--> "),
                        "{} under {policy}: {error}",
                        case.name
                    ),
                }
            }
        }
    }

    /// In f64, central differences along a random direction; and the gradient in the precision of the case is near that one.
    #[test]
    fn every_timed_gradient_is_the_slope() {
        let wide = |arrays: &[Array]| -> Vec<Array> {
            let convert =
                |a: &Array| if a.dtype().is_float() { ops::convert(a, DType::F64) } else { a.clone() };
            arrays.iter().map(convert).collect()
        };
        for case in TIMED {
            let narrow = small(case.name, Tape::Store);
            let Some(loss) = narrow.loss.clone() else { continue };
            let of_case = gradient(&narrow, Tape::Store).unwrap();
            let workload = Workload { wrt: wide(&narrow.wrt), data: wide(&narrow.data), ..narrow };
            let slopes = gradient(&workload, Tape::Store).unwrap();
            let value = jit(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data));
            for (at, leaf) in workload.wrt.iter().enumerate() {
                let direction =
                    normal(Key::from_seed(at as u64), leaf.shape().clone()).to_vec::<f64>().unwrap();
                let at_distance = |delta: f64| {
                    let mut moved = workload.wrt.clone();
                    let entries = moved[at].make_mut::<f64>().unwrap();
                    entries.iter_mut().zip(&direction).for_each(|(x, d)| *x += delta * d);
                    numbers(&value.call((&moved, &workload.data)).unwrap())[0]
                };
                let slope = (at_distance(1e-6) - at_distance(-1e-6)) / 2e-6;
                let found: f64 = numbers(&slopes[at]).iter().zip(&direction).map(|(g, d)| g * d).sum();
                let size = 1.0 + found.abs();
                assert!((slope - found).abs() < 1e-6 * size, "{} {at}: {slope} {found}", case.name);
                let (of_case, slopes) = (numbers(&of_case[at]), numbers(&slopes[at]));
                let miss: f64 = of_case.iter().zip(&slopes).map(|(a, b)| (a - b) * (a - b)).sum();
                let size: f64 = slopes.iter().map(|g| g * g).sum();
                // f32 rounds to 6e-8; a few hundred roundings.
                assert!(miss.sqrt() <= 1e-5 * (1.0 + size.sqrt()), "{} {at}: {miss} of {size}", case.name);
            }
        }
    }

    /// A step is the parameters less the rate times the gradient.
    #[test]
    fn every_step_descends() {
        for case in TIMED {
            let workload = small(case.name, Tape::Store);
            let Some(step) = workload.calls.iter().find(|call| call.feeds_back) else { continue };
            let function = step.function.clone();
            let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| function(&wrt, &data));
            let after = door.call((&workload.wrt, &workload.data)).unwrap();
            let slopes = gradient(&workload, Tape::Store).unwrap();
            assert_eq!(after.len(), workload.wrt.len(), "{}", case.name);
            for ((w, slope), after) in workload.wrt.iter().zip(&slopes).zip(&after) {
                assert_eq!((w.dtype(), w.shape()), (after.dtype(), after.shape()));
                for ((w, slope), after) in numbers(w).iter().zip(numbers(slope)).zip(numbers(after)) {
                    assert_eq!((*w as f32 - RATE as f32 * slope as f32), after as f32, "{}", case.name);
                }
            }
        }
    }
}
