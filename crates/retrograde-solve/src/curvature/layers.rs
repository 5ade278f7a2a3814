//! Where a program multiplies a parameter with activations: what ghost norms and Kronecker factors are made of.
//!
//! A parameter W that is used once, as the weight of a product z = a W or of a convolution, has the gradient Σₜ aₜ ⊗ z̄ₜ over the
//! rows (or places) t. The activations a stand in the program; z̄ is the cotangent of a zero added to z. So neither needs the
//! gradient itself, and the user's model needs no layers of ours: what is looked at is the traced program.

use retrograde_core::ir::{Equation, Type, ValueId};
use retrograde_core::prim::conv::{Conv, Form};
use retrograde_core::prim::dot_general::DotGeneral;
use retrograde_core::prim::{Builder, Prim, Program, Rule, Transforms, bodies};
use retrograde_core::transform::{Standard, linearize};

/// How a parameter is used.
#[derive(Clone, Debug)]
pub(super) enum Weight {
    /// `z = a W`, the weight on the right or on the left.
    Dense(DotGeneral, Side),
    /// `z = a ∗ W`.
    Conv(Conv),
}

/// Which factor of a product a weight is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Left,
    Right,
}

/// A parameter that is the weight of one layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Which leaf of the parameters.
    pub(super) leaf: usize,
    pub(super) weight: Weight,
    /// The leaf that is added to the layer's output, repeated over rows: its bias.
    pub(super) bias: Option<usize>,
    activations: ValueId,
    output: ValueId,
}

/// Where else a weight may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Elsewhere {
    /// Nowhere: the layer has all of its gradient.
    No,
    /// Wherever no other activations meet it, such as in a penalty.
    Yes,
}

/// The layers of a program whose first `n_leaves` inputs are parameters.
pub(super) fn layers(program: &Program, n_leaves: usize, elsewhere: Elsewhere) -> Vec<Layer> {
    let users = |v: ValueId| program.equations.iter().filter(move |e| e.inputs.contains(&v));
    let only_user = |v: ValueId| {
        let once = users(v).count() == 1 && !program.outputs.contains(&v);
        users(v).next().filter(|e| once && e.inputs.iter().filter(|i| **i == v).count() == 1)
    };
    let mut found = vec![];
    for leaf in 0..n_leaves {
        let parameter = program.inputs[leaf];
        let multiplies = |e: &&Equation<Prim>| matches!(e.op, Prim::DotGeneral(_) | Prim::Conv(_));
        let of_products = || users(parameter).filter(multiplies);
        let equation = match elsewhere {
            Elsewhere::No => only_user(parameter),
            Elsewhere::Yes => of_products().next().filter(|_| of_products().count() == 1),
        };
        let Some(equation) = equation else { continue };
        let (weight, activations) = match (&equation.op, &equation.inputs[..]) {
            (Prim::DotGeneral(dot), &[left, right]) if dot.dims.lhs_batch.is_empty() => {
                let side = if right == parameter { Side::Right } else { Side::Left };
                let other = if side == Side::Right { left } else { right };
                (Weight::Dense(dot.clone(), side), other)
            }
            (Prim::Conv(conv), &[x, kernel]) if conv.form == Form::Output && kernel == parameter => {
                (Weight::Conv(conv.clone()), x)
            }
            _ => continue,
        };
        // A product of two parameters has no activations.
        if !program.ty(parameter).is_float() || program.inputs[..n_leaves].contains(&activations) {
            continue;
        }
        found.push(Layer { leaf, weight, bias: None, activations, output: equation.outputs[0] });
    }
    for bias in 0..n_leaves {
        let Some(repeated) = only_user(program.inputs[bias]) else { continue };
        if !matches!(repeated.op, Prim::Broadcast(_)) {
            continue;
        }
        let Some(sum) = only_user(repeated.outputs[0]).filter(|e| matches!(e.op, Prim::Add(_))) else {
            continue;
        };
        let layer =
            found.iter_mut().find(|l| sum.inputs.contains(&l.output) && only_user(l.output).is_some());
        if let Some(layer) = layer {
            layer.bias = Some(bias);
        }
    }
    found
}

/// What is known of a layer after a sweep forth and back: activations and cotangents of the output.
pub(super) struct Sides {
    pub(super) activations: ValueId,
    pub(super) cotangents: ValueId,
}

/// Emits a sweep forth and back of `program` (inputs.. → loss) at these inputs: both sides of each layer, and the gradients of the
/// other parameters that are asked for.
pub(super) fn sweep(
    b: &mut Builder,
    program: &Program,
    layers: &[Layer],
    others: &[usize],
    inputs: &[ValueId],
) -> (Vec<Sides>, Vec<ValueId>) {
    let tapped = tapped(program, layers);
    let n_inputs = program.inputs.len();
    let mut active = vec![false; tapped.inputs.len()];
    others.iter().for_each(|&leaf| active[leaf] = true);
    active[n_inputs..].iter_mut().for_each(|tap| *tap = true);
    let mut force = vec![false; tapped.outputs.len()];
    force[0] = true;
    let lin = linearize(&tapped, &active, &force);
    // Activations depend on the taps before them; only the loss is differentiated.
    let of_loss =
        bodies::restrict(&lin.linear, &vec![true; lin.linear.inputs.len()], &lin.linear.outputs[..1]);
    let transposed = Standard.transpose(&of_loss, lin.n_residuals);
    let mut operands = inputs.to_vec();
    for layer in layers {
        let ty = program.ty(layer.output).clone();
        operands.push(Rule { b, cx: &Standard }.zeros(&ty));
    }
    let mut forward = b.inline(&lin.forward, &operands);
    let residuals = forward.split_off(tapped.outputs.len());
    let seed_type = program.output_types()[0].clone();
    let seed = Rule { b, cx: &Standard }.full(&seed_type, 1.0);
    let cotangents = b.inline(&transposed, &[&residuals[..], &[seed]].concat());
    // Active inputs come in order: the other parameters, ascending, then the taps.
    let (of_others, of_taps) = cotangents.split_at(others.len());
    let sides = forward[1..]
        .iter()
        .zip(of_taps)
        .map(|(&activations, &cotangents)| Sides { activations, cotangents })
        .collect();
    (sides, of_others.to_vec())
}

/// (inputs.., one zero for each layer.. → loss, activations of each layer..).
fn tapped(program: &Program, layers: &[Layer]) -> Program {
    let mut types = program.input_types();
    types.extend(layers.iter().map(|layer| program.ty(layer.output).clone()));
    bodies::build(&types, |b, inputs| {
        let mut value = vec![ValueId(0); program.types.len()];
        let (own, taps) = inputs.split_at(program.inputs.len());
        program.inputs.iter().zip(own).for_each(|(v, &new)| value[v.index()] = new);
        for equation in &program.equations {
            b.location = equation.location;
            let operands: Vec<ValueId> = equation.inputs.iter().map(|v| value[v.index()]).collect();
            let outputs = b.emit(equation.op.clone(), &operands);
            equation.outputs.iter().zip(outputs).for_each(|(v, new)| value[v.index()] = new);
            for (layer, &tap) in layers.iter().zip(taps) {
                if equation.outputs.contains(&layer.output) {
                    let at = &mut value[layer.output.index()];
                    *at = Rule { b, cx: &Standard }.add(*at, tap);
                }
            }
        }
        let loss = value[program.outputs[0].index()];
        [loss].into_iter().chain(layers.iter().map(|layer| value[layer.activations.index()])).collect()
    })
}

/// Both sides of a dense layer as matrices: `[t, k]` activations and `[t, m]` cotangents, k and m in the order of the weight.
pub(super) fn rows_of_dense(
    r: &mut Rule<'_>,
    dot: &DotGeneral,
    side: Side,
    sides: &Sides,
) -> (ValueId, ValueId) {
    let dims = &dot.dims;
    let contracted = if side == Side::Right { &dims.lhs_contract } else { &dims.rhs_contract };
    let of_weight = if side == Side::Right { &dims.rhs_contract } else { &dims.lhs_contract };
    let a = r.ty(sides.activations);
    let free: Vec<usize> = (0..a.shape.rank()).filter(|axis| !contracted.contains(axis)).collect();
    // Contracted axes in the order in which the weight has them.
    let mut pairs: Vec<(usize, usize)> = of_weight.iter().copied().zip(contracted.iter().copied()).collect();
    pairs.sort_unstable();
    let inner: Vec<usize> = pairs.into_iter().map(|(_, axis)| axis).collect();
    let t: usize = free.iter().map(|&axis| a.shape[axis]).product();
    let k: usize = inner.iter().map(|&axis| a.shape[axis]).product();
    let a_rows = r.transpose(sides.activations, &[free.clone(), inner].concat());
    let a_rows = r.reshape(a_rows, &[t, k]);
    let z = r.ty(sides.cotangents);
    let n_outer = z.shape.rank() - free.len();
    let z_rows = match side {
        Side::Right => sides.cotangents,
        // Free axes of the weight come first.
        Side::Left => {
            let perm: Vec<usize> = (n_outer..z.shape.rank()).chain(0..n_outer).collect();
            r.transpose(sides.cotangents, &perm)
        }
    };
    let m = z.shape.size() / t.max(1);
    (a_rows, r.reshape(z_rows, &[t, m]))
}

/// The type of a number like `ty`.
pub(super) fn number_like(ty: &Type) -> Type {
    ty.with_shape([])
}

#[cfg(test)]
mod tests {
    use retrograde_array::{Array, DType};
    use retrograde_core::ir::simplify;
    use retrograde_core::trace::Var;
    use retrograde_core::trace::control::scan;
    use retrograde_core::trace::window::{ConvConfig, conv};
    use retrograde_engine::jit;

    use super::*;

    /// The leaves that are weights, and their biases.
    fn found(
        f: impl Fn(Vec<Var>, Var) -> Var,
        shapes: &[Vec<usize>],
        x: &[usize],
        elsewhere: Elsewhere,
    ) -> Vec<(usize, Option<usize>)> {
        let zeros = |shape: &Vec<usize>| Array::zeros(DType::F64, shape.clone());
        let parameters: Vec<Array> = shapes.iter().map(zeros).collect();
        let program = jit(f).program((&parameters, &zeros(&x.to_vec()))).unwrap();
        layers(&simplify(&program), shapes.len(), elsewhere).iter().map(|l| (l.leaf, l.bias)).collect()
    }

    #[test]
    fn weights_are_found_where_they_multiply_activations() {
        use Elsewhere::{No, Yes};
        let dense = |p: Vec<Var>, x: Var| {
            let z = x.dot(p[0]);
            (z + p[1].spread(z.shape())).tanh().dot(p[2]).sum()
        };
        let shapes = [vec![3, 4], vec![4], vec![4, 2]];
        assert_eq!(found(dense, &shapes, &[1, 3], No), [(0, Some(1)), (2, None)]);
        let left = |p: Vec<Var>, x: Var| p[0].dot(x.t()).sum();
        assert_eq!(found(left, &[vec![4, 3]], &[1, 3], No), [(0, None)]);
        let window = |p: Vec<Var>, x: Var| conv(x, p[0], &ConvConfig::default()).sum();
        assert_eq!(found(window, &[vec![2, 1, 3]], &[1, 1, 9], No), [(0, None)]);
        // Twice, in a loop, in a penalty, with another parameter.
        let tied = |p: Vec<Var>, x: Var| x.dot(p[0]).tanh().dot(p[0]).sum();
        let looped = |p: Vec<Var>, x: Var| scan(3).repeat(x, |x: Var| x.dot(p[0]).tanh()).sum();
        let penalty = |p: Vec<Var>, x: Var| x.dot(p[0]).sum() + (p[0] * p[0]).sum();
        let both = |p: Vec<Var>, x: Var| x.sum() * p[0].dot(p[1]).sum();
        let square = [vec![3, 3]];
        assert_eq!(found(tied, &square, &[1, 3], Yes), []);
        assert_eq!(found(looped, &square, &[1, 3], Yes), []);
        assert_eq!(found(penalty, &square, &[1, 3], No), []);
        assert_eq!(found(penalty, &square, &[1, 3], Yes), [(0, None)]);
        assert_eq!(found(both, &[vec![3, 3], vec![3, 3]], &[1, 3], Yes), []);
    }
}
