//! C15.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::ir::Op;
use retrograde_core::prim::Program;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_engine::{jit, value_and_grad};
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::tape::gradient_release::update_in_reverse;

use crate::draw;

const LAYERS: usize = 7;

fn layer(layer: &Linear<Var>, h: Var) -> Var {
    layer.apply(h).tanh() + h
}

fn head(h: Var) -> Var {
    (h * h).mean()
}

fn update(theta: Linear<Var>, bar: Linear<Var>) -> Linear<Var> {
    Linear { weight: theta.weight - 0.1 * bar.weight, bias: theta.bias - 0.1 * bar.bias }
}

fn released(layers: Linear<Var>, x: Var) -> (Var, Linear<Var>) {
    update_in_reverse(layers, x, layer, head, update)
}

fn two_phases(layers: Linear<Var>, x: Var) -> (Var, Linear<Var>) {
    let loss = |layers: Linear<Var>, x: Var| {
        let step = |h: Var, theta: Linear<Var>| (layer(&theta, h), Vec::<Var>::new());
        head(scan_over().run(x, layers, step).0)
    };
    let (value, slope) = value_and_grad(loss).at((layers.clone(), x));
    (value, update(layers, slope))
}

/// How many values of a program have the size of all layers' weights.
fn n_whole(program: &Program, size: usize) -> usize {
    let of = |equation: &retrograde_core::ir::Equation<retrograde_core::prim::Prim>| {
        let mut n = equation.outputs.iter().filter(|v| program.ty(**v).shape.size() == size).count();
        equation.op.map_bodies(&mut |body| {
            n += n_whole(body, size);
            body.clone()
        });
        n
    };
    program.equations.iter().map(of).sum()
}

#[test]
fn an_update_in_the_reverse_pass_is_that_of_two_phases() {
    for dtype in [DType::F64, DType::F32] {
        let all: Vec<Linear<Array>> =
            Key::from_seed(1).split(LAYERS).into_iter().map(|key| Linear::xavier(key, 6, 6, dtype)).collect();
        let stack = |part: fn(&Linear<Array>) -> Array| {
            Array::stack(&all.iter().map(part).collect::<Vec<_>>()).unwrap()
        };
        let layers = Linear { weight: stack(|l| l.weight.clone()), bias: stack(|l| l.bias.clone()) };
        let x = retrograde_array::ops::convert(&draw(2, [5, 6]), dtype);
        let (value, expected) = jit(two_phases).call((&layers, &x)).unwrap();
        let (same, found) = jit(released).call((&layers, &x)).unwrap();
        assert!(same.bits_eq(&value));
        assert!(found.weight.bits_eq(&expected.weight) && found.bias.bits_eq(&expected.bias), "{dtype}");
        assert!(!found.weight.bits_eq(&layers.weight));
        // Values of the size of all weights: the new weights alone; in two phases the gradient too, and what is made of it.
        let size = LAYERS * 6 * 6;
        let of_release = n_whole(&jit(released).lowered((&layers, &x)).unwrap().forward, size);
        let of_phases = n_whole(&jit(two_phases).lowered((&layers, &x)).unwrap().forward, size);
        assert_eq!((of_release, of_phases > 1), (1, true), "{of_phases}");
    }
}
