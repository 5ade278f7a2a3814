//! The loss of a small LSTM with diagonal weights that predicts the next letter, and its gradient, in the form of ADBench, f64.
//!
//! What comes before the loop and after it, for all letters, is done for all at once.
//!
//! Source: see [`super::instance`].

use std::path::Path;

use retrograde::prelude::*;

use super::instance::Words;
use super::workload::{TimedCase, Workload};
use crate::failure::Failure;

pub(super) const CASE: TimedCase = TimedCase {
    name: "lstm-adbench",
    about: "an LSTM that predicts the next letter (ADBench): loss and gradient",
    path: Some("a network in the form of ADBench, such as lstm_l2_c1024.txt"),
    workload: |path, policy| Ok(workload(&read(path)?, policy)),
};

/// A network, where it begins, and what it reads.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// `[layers, 2, 4, width]`: weights and biases of the forget, input, output and change gate.
    main: Array,
    /// `[3, width]`: the weights of the input and of the output, the bias of the output.
    extra: Array,
    /// `[layers, 2, width]`: hidden and cell values.
    start: Array,
    /// `[letters, width]`
    letters: Array,
}

fn read(path: &Path) -> Result<Network, Failure> {
    let mut words = Words::read(path, &[])?;
    let layers: usize = words.next("the number of layers")?;
    let n: usize = words.next("the number of letters")?;
    let width: usize = words.next("the number of different letters")?;
    if n < 2 {
        return Err(words.refuse(format!("{n} letters"), "at least two, of which the second is predicted"));
    }
    let network = Network {
        main: words.array(&[layers, 2, 4, width], "a weight of a layer")?,
        extra: words.array(&[3, width], "a weight of the ends")?,
        start: words.array(&[layers, 2, width], "an entry of the first state")?,
        letters: words.array(&[n, width], "an entry of a letter")?,
    };
    words.end()?;
    Ok(network)
}

/// Added to the sum of exponentials, as ADBench has it.
const BESIDES: f64 = 2.0;

pub(super) fn workload(network: &Network, policy: Tape) -> Workload {
    let Network { main, extra, start, letters } = network.clone();
    let (layers, n, width) = (main.shape()[0], letters.shape()[0], letters.shape()[1]);
    // The logistic function is (1 + tanh(x/2)) / 2, so the four gates of a layer are one tanh.
    let gates = [2, 2, width];
    let [slope, offset] = [[0.5, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 0.0]].map(|of_gates: [f64; 4]| {
        let each = of_gates.into_iter().flat_map(|x| std::iter::repeat_n(x, width)).collect();
        Array::new(gates, each).expect("as many as gates times entries; this is a bug in retrograde")
    });
    let loss = move |wrt: &[Var], data: &[Var]| {
        let (main, extra, start, letters) = (wrt[0], wrt[1], data[0], data[1]);
        let (read, expected) = (letters.slice(0, 0..n - 1), letters.slice(0, 1..n));
        let all = [n - 1, width];
        let (slope, offset) = (constant(&slope), constant(&offset));
        let rows = main.reshape([layers * 2, 2, 2, width]);
        let layers: Vec<(Var, Var)> = (0..layers)
            .map(|layer| (rows.index(0, 2 * layer) * slope, rows.index(0, 2 * layer + 1) * slope))
            .collect();
        let first = start.reshape([2 * layers.len(), width]);
        let state: Vec<(Var, Var)> = (0..layers.len())
            .map(|layer| (first.index(0, 2 * layer), first.index(0, 2 * layer + 1)))
            .collect();
        let step = |state: Vec<(Var, Var)>, input: Var| {
            let mut below = input;
            let mut after = vec![];
            for ((h, c), &(weight, bias)) in state.into_iter().zip(&layers) {
                // Forget and output gate read what is below, input and change gate the hidden values.
                let read = stack(&[below, h]).broadcast(gates, &[1, 2]);
                let gate = (read * weight + bias).tanh() * slope + offset;
                let [forget, take, show, change] =
                    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| gate.index(0, i).index(0, j));
                let c = forget * c + take * change;
                let shown = show * c.tanh();
                after.push((shown, c));
                below = shown;
            }
            (after, below)
        };
        let (_, top) = scan_over().run(state, read * extra.index(0, 0).spread(all), step);
        let logits = top * extra.index(0, 1).spread(all) + extra.index(0, 2).spread(all);
        let log_sum = (logits.exp().sum_axes(&[1]) + BESIDES).log();
        let fit = (expected * (logits - log_sum.broadcast(all, &[0]))).sum();
        -fit / (width * (n - 1)) as f64
    };
    let task = format!("lstm_l{layers}_c{n}");
    Workload::objective(task, vec![main, extra], vec![start, letters], policy, loss)
}

/// A random network.
#[cfg(test)]
pub(super) fn random(layers: usize, n: usize, width: usize) -> Network {
    let draw = |seed, shape: &[usize]| retrograde::rng::normal(Key::from_seed(seed), shape);
    Network {
        main: draw(1, &[layers, 2, 4, width]),
        extra: draw(2, &[3, width]),
        start: draw(3, &[layers, 2, width]),
        letters: draw(4, &[n, width]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letter by letter in plain numbers.
    #[test]
    fn the_loss_is_that_of_the_definition() {
        let (layers, n, width) = (2, 9, 3);
        let network = random(layers, n, width);
        let values = |a: &Array| a.to_vec::<f64>().unwrap();
        let (main, extra) = (values(&network.main), values(&network.extra));
        let (mut state, letters) = (values(&network.start), values(&network.letters));
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut fit = 0.0;
        for t in 0..n - 1 {
            let mut below: Vec<f64> = (0..width).map(|j| letters[t * width + j] * extra[j]).collect();
            for layer in 0..layers {
                for j in 0..width {
                    let of = |x: f64, gate: usize| {
                        let at = |part: usize| main[((layer * 2 + part) * 4 + gate) * width + j];
                        x * at(0) + at(1)
                    };
                    let (h, c) = (state[layer * 2 * width + j], state[(layer * 2 + 1) * width + j]);
                    let next = c * sigma(of(below[j], 0)) + sigma(of(h, 1)) * of(h, 3).tanh();
                    let shown = sigma(of(below[j], 2)) * next.tanh();
                    state[layer * 2 * width + j] = shown;
                    state[(layer * 2 + 1) * width + j] = next;
                    below[j] = shown;
                }
            }
            let logits: Vec<f64> =
                (0..width).map(|j| below[j] * extra[width + j] + extra[2 * width + j]).collect();
            let log_sum = (logits.iter().map(|y| y.exp()).sum::<f64>() + 2.0).ln();
            fit += (0..width).map(|j| letters[(t + 1) * width + j] * (logits[j] - log_sum)).sum::<f64>();
        }
        let expected = -fit / (width * (n - 1)) as f64;
        let workload = workload(&network, Tape::Store);
        let loss = workload.loss.unwrap();
        let found = jit(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data))
            .call((&workload.wrt, &workload.data))
            .unwrap();
        let found = found.item::<f64>().unwrap();
        assert!((found - expected).abs() < 1e-13, "{found} {expected}");
    }

    #[test]
    fn a_file_is_read_and_a_single_letter_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("network.txt");
        std::fs::write(&path, "1 2 1\n\n1 2 3 4\n5 6 7 8\n\n0.1 0.2 0.3\n\n9 10\n\n1\n0\n").unwrap();
        let network = read(&path).unwrap();
        assert_eq!(network.main, array([[[[1.0], [2.0], [3.0], [4.0]], [[5.0], [6.0], [7.0], [8.0]]]]));
        assert_eq!((network.start, network.letters), (array([[[9.0], [10.0]]]), array([[1.0], [0.0]])));
        std::fs::write(&path, "1 1 1\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("found 1 letters, expected at least two"), "{error}");
    }
}
