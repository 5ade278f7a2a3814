//! The Hessian of the network of `mlp` times a direction, forward mode over reverse mode, alone and together with the gradient.
//!
//! Source: B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).

use std::rc::Rc;

use retrograde::prelude::*;

use super::mlp::{self, network, rows};
use super::workload::{Function, Loss, TimedCall, TimedCase, Workload, leaves, normal_f32, value_and_slopes};

pub(super) const CASE: TimedCase = TimedCase {
    name: "hvp",
    about: "the Hessian of that network's loss times a direction, and with the gradient",
    path: None,
    workload: |_, policy| Ok(workload(&mlp::SIZES, mlp::BATCH, policy)),
};

/// The direction follows the rows in the data.
const ROWS: usize = 2;

pub(super) fn workload(sizes: &[usize], batch: usize, policy: Tape) -> Workload {
    let keys = Key::from_seed(1).split(3);
    let network = network(keys[0], sizes);
    let wrt = leaves(&network);
    let mut data = rows(keys[1], sizes, batch);
    let directions = keys[2].split(wrt.len());
    data.extend(wrt.iter().zip(directions).map(|(leaf, key)| normal_f32(key, leaf.shape(), 1.0)));
    let loss: Rc<Loss> = Rc::new(mlp::loss(&network));

    let gradient = value_and_slopes(&loss, policy);
    let of_loss = {
        let loss = loss.clone();
        hvp(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data)).tape(policy)
    };
    let product = move |wrt: &[Var], data: &[Var]| {
        let (rows, direction) = data.split_at(ROWS);
        of_loss.at((wrt.to_vec(), rows.to_vec()), &direction.to_vec())
    };
    let of_both = {
        let loss = loss.clone();
        value_grad_hvp(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data)).tape(policy)
    };
    let both = move |wrt: &[Var], data: &[Var]| {
        let (rows, direction) = data.split_at(ROWS);
        let (value, slopes, product) = of_both.at((wrt.to_vec(), rows.to_vec()), &direction.to_vec());
        [vec![value], slopes, product].concat()
    };
    let [gradient, product, both]: [Rc<Function>; 3] =
        [Rc::new(move |wrt, data| gradient(wrt, &data[..ROWS])), Rc::new(product), Rc::new(both)];
    let call = |figure, function: &Rc<Function>| TimedCall {
        figure,
        function: function.clone(),
        instead: None,
        feeds_back: false,
    };
    let calls = vec![call("step_s", &product), call("both_s", &both), call("gradient_s", &gradient)];
    let workload = Workload::new("hvp", wrt, data, policy, calls, loss);
    let flop_ratios = vec![("flop_ratio", gradient.clone(), product), ("both_flop_ratio", gradient, both)];
    Workload { flop_ratios, ..workload }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against differences of gradients; and the pair is the gradient and the product.
    #[test]
    fn products_are_slopes_of_gradients() {
        let workload = workload(&[5, 4, 4, 3], 6, Tape::Store);
        let run = |figure: &str, wrt: &Vec<Array>| {
            let call = workload.calls.iter().find(|call| call.figure == figure).unwrap();
            let function = call.function.clone();
            let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| function(&wrt, &data));
            let results = door.call((wrt, &workload.data)).unwrap();
            results.iter().map(|a| a.to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        };
        let product = run("step_s", &workload.wrt);
        let both = run("both_s", &workload.wrt);
        let gradient = run("gradient_s", &workload.wrt);
        assert_eq!(both[..7], gradient);
        assert_eq!(both[7..], product);
        // Small enough not to cross a kink, large enough for f32.
        let moved = |delta: f32| {
            let mut wrt = workload.wrt.clone();
            for (leaf, direction) in wrt.iter_mut().zip(&workload.data[ROWS..]) {
                let direction = direction.to_vec::<f32>().unwrap();
                let entries = leaf.make_mut::<f32>().unwrap();
                entries.iter_mut().zip(direction).for_each(|(x, d)| *x += delta * d);
            }
            run("gradient_s", &wrt)
        };
        let (up, down) = (moved(1e-3), moved(-1e-3));
        for (leaf, product) in product.iter().enumerate() {
            for (at, product) in product.iter().enumerate() {
                let slope = (up[leaf + 1][at] - down[leaf + 1][at]) / 2e-3;
                assert!(
                    (slope - product).abs() < 3e-3 * (1.0 + product.abs()),
                    "{leaf} {at}: {slope} {product}"
                );
            }
        }
    }
}
