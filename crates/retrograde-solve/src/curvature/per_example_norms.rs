//! Ghost norms: the length of each example's gradient without the gradient.
//!
//! For a weight W of a product z = a W, used once, the gradient of an example is G = Σₜ aₜ z̄ₜᵀ over its rows t, and
//!
//! ```text
//! ‖G‖² = Σₜ Σₛ (aₜ·aₛ)(z̄ₜ·z̄ₛ),          ‖a‖² ‖z̄‖² for one row
//! ```
//!
//! A convolution is a product with the patches under its window. Where an example has so many rows that G is cheaper than the
//! two tables of products, t k m ≤ t² (k + m), its norm is taken from G, which is dropped. Other parameters (biases, gains, tied
//! weights, weights inside loops) have their gradients taken example by example in the same program.
//!
//! Source: I. Goodfellow, Efficient per-example gradient computations, arXiv:1510.01799 (2015); X. Li, F. Tramèr, P. Liang,
//! T. Hashimoto, Large language models can be strong differentially private learners, ICLR 2022 (rows); Z. Bu, J. Mao, S. Xu, Scalable
//! and efficient training of large convolutional neural networks with differential privacy, NeurIPS 2022 (convolutions, and which way).

use std::sync::{Arc, Mutex, PoisonError};

use retrograde_array::Array;
use retrograde_core::exec::{Compiled, Executor};
use retrograde_core::ir::{Diagnostic, Location, ValueId, simplify};
use retrograde_core::prim::constant::Constant;
use retrograde_core::prim::conv::{Conv, Form};
use retrograde_core::prim::dot_general::DotGeneral;
use retrograde_core::prim::sqrt::Sqrt;
use retrograde_core::prim::{Program, Rule, Value, bodies};
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::tree::{Likeness, Tree};
use retrograde_core::trace::{Error, Var};
use retrograde_core::transform::{Standard, vmap};
use retrograde_engine::{Engine, jit};

use super::fisher::alone;
use super::layers::{Elsewhere, Layer, Sides, Weight, layers, number_like, rows_of_dense, sweep};
use super::per_example::n_rows;
use super::product::arrays;

use retrograde_array::DotDims;
use std::marker::PhantomData;

/// See [`per_example_norms`].
pub struct PerExampleNorms<F, P, B> {
    loss: F,
    location: Location,
    cache: Mutex<Vec<(Likeness, Arc<dyn Compiled>)>>,
    arguments: PhantomData<fn(P, B)>,
}

impl<F, P, B> std::fmt::Debug for PerExampleNorms<F, P, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerExampleNorms").field("location", &self.location).finish_non_exhaustive()
    }
}

/// The Euclidean length of each example's gradient.   p: a tree, batch: n rows → `[n]`
///
/// What [`per_example_gradients`](super::per_example_gradients()) would give the norms of, over all parameters together. The loss of an example is
/// `loss(p, batch)` of a batch of this one row.
///
/// # Errors
/// Mistakes in the loss; leaves of the batch without a common leading axis; an empty batch; parameters that are not floating-point.
/// # Cost
/// For weights of products and convolutions that of one gradient of the batch and of norms of activations and cotangents; no
/// gradient is kept.
/// # Source
/// Goodfellow 2015; Bu, Mao, Xu 2022.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::per_example_norms;
/// let loss = |w: Var, x: Var| { let z = x.dot(w); (z * z).mean() };
/// let (w, x) = (array([[1.0], [1.0]]), array([[3.0, 4.0], [0.0, 1.0]]));
/// assert_eq!(per_example_norms(loss).call((&w, &x))?, array([70.0, 2.0])); // 2 z ‖x‖
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn per_example_norms<F, P: Traceable, B: Traceable>(loss: F) -> PerExampleNorms<F, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    PerExampleNorms {
        loss,
        location: Location(std::panic::Location::caller()),
        cache: Mutex::default(),
        arguments: PhantomData,
    }
}

impl<F, P: Traceable, B: Traceable> PerExampleNorms<F, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    /// The norms.
    ///
    /// # Errors
    /// See [`per_example_norms`].
    pub fn call(&self, (p, batch): (&P::Arrays, &B::Arrays)) -> Result<Array, Error> {
        let n = n_rows::<B::Arrays>(batch);
        let rows = arrays(batch);
        if n == 0 || rows.iter().any(|leaf| leaf.shape().first() != Some(&n)) {
            let found: Vec<String> = rows.iter().map(|leaf| leaf.shape().to_string()).collect();
            let message = format!(
                "per_example_norms: found a batch of shapes {}, expected a common leading axis of at least one row",
                found.join(", ")
            );
            return Err(Diagnostic::new(message, Some(self.location))
                .help("every leaf of the batch has one row for each example")
                .into());
        }
        let compiled = self.compiled(p, batch, n)?;
        let operands = arrays(p).into_iter().chain(rows).map(Value::Array).collect();
        let (mut out, _) = compiled.run(operands)?;
        Ok(out.swap_remove(0).into_array().expect("a result is an array; this is a bug in retrograde"))
    }
    fn compiled(&self, p: &P::Arrays, batch: &B::Arrays, n: usize) -> Result<Arc<dyn Compiled>, Error> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.iter().find(|(like, _)| {
            like.fits(|f| {
                p.walk(f);
                batch.walk(f);
            })
        });
        if let Some((_, compiled)) = known {
            return Ok(compiled.clone());
        }
        let row = B::map_arrays(batch, &mut |leaf| leaf.row(0));
        let of_row = jit(|p: P, row: B| self.loss.apply((p, alone(&row)))).program((p, &row))?;
        let n_leaves = arrays(p).len();
        let program = square(&simplify(&of_row), n_leaves);
        let mut batched = vec![false; n_leaves];
        batched.resize(program.inputs.len(), true);
        let compiled = Engine::default().compile(&simplify(&vmap(&program, &batched, &[true], n).program));
        let like = Likeness::of(|f| {
            p.walk(f);
            batch.walk(f);
        });
        cache.push((like, compiled.clone()));
        Ok(compiled)
    }
}

/// (inputs.. → ‖gradient‖) of a program of one example.
fn square(program: &Program, n_leaves: usize) -> Program {
    let layers = layers(program, n_leaves, Elsewhere::No);
    let is_layer = |leaf: &usize| layers.iter().any(|layer| layer.leaf == *leaf);
    let is_float = |leaf: &usize| program.ty(program.inputs[*leaf]).is_float();
    let others: Vec<usize> = (0..n_leaves).filter(|leaf| !is_layer(leaf) && is_float(leaf)).collect();
    bodies::build(&program.input_types(), |b, inputs| {
        let (sides, gradients) = sweep(b, program, &layers, &others, inputs);
        let mut r = Rule { b, cx: &Standard };
        let number = number_like(&program.output_types()[0]);
        let mut total = r.zeros(&number);
        let of_layers = layers.iter().zip(&sides).map(|(layer, sides)| Part::Layer(layer, sides));
        for part in of_layers.chain(gradients.into_iter().map(Part::Gradient)) {
            let square = part.square(&mut r);
            let square = r.convert(square, number.dtype);
            total = r.add(total, square);
        }
        vec![r.emit(Sqrt, &[total])]
    })
}

/// What a parameter adds to the norm.
enum Part<'a> {
    Layer(&'a Layer, &'a Sides),
    Gradient(ValueId),
}

impl Part<'_> {
    fn square(&self, r: &mut Rule<'_>) -> ValueId {
        match self {
            Part::Gradient(g) => sum_of_squares(r, *g),
            Part::Layer(layer, sides) => match &layer.weight {
                Weight::Dense(dot, side) => {
                    let (a, z) = rows_of_dense(r, dot, *side, sides);
                    let gradient =
                        DotDims { lhs_contract: vec![0], rhs_contract: vec![0], ..DotDims::default() };
                    of_rows(r, a, z, |r| r.emit(DotGeneral { dims: gradient }, &[a, z]))
                }
                Weight::Conv(conv) => of_conv(r, conv, sides),
            },
        }
    }
}

/// ‖Σₜ aₜ zₜᵀ‖² by whichever way is cheaper.   a: `[t, k]`, z: `[t, m]`
fn of_rows(
    r: &mut Rule<'_>,
    a: ValueId,
    z: ValueId,
    gradient: impl FnOnce(&mut Rule<'_>) -> ValueId,
) -> ValueId {
    let (t, k, m) = (r.ty(a).shape[0], r.ty(a).shape[1], r.ty(z).shape[1]);
    if !ghosts_are_cheaper(t, k, m) {
        let gradient = gradient(r);
        return sum_of_squares(r, gradient);
    }
    if t == 1 {
        let (a, z) = (sum_of_squares(r, a), sum_of_squares(r, z));
        return r.mul(a, z);
    }
    let products = DotDims { lhs_contract: vec![1], rhs_contract: vec![1], ..DotDims::default() };
    let of_a = r.emit(DotGeneral { dims: products.clone() }, &[a, a]);
    let of_z = r.emit(DotGeneral { dims: products }, &[z, z]);
    let both = r.mul(of_a, of_z);
    r.sum(both, &[0, 1])
}

/// Two tables of products against the gradient, in multiply-adds.
fn ghosts_are_cheaper(t: usize, k: usize, m: usize) -> bool {
    t == 1 || t * (k + m) < k * m
}

fn of_conv(r: &mut Rule<'_>, conv: &Conv, sides: &Sides) -> ValueId {
    let z = r.ty(sides.cotangents);
    let x = r.ty(sides.activations);
    let (outputs, channels) = (z.shape[1], x.shape[1]);
    let t: usize = z.shape.size() / outputs.max(1);
    let size: usize = conv.window.size.iter().product();
    let k = channels * size;
    let kernel = Conv { form: Form::Kernel, ..conv.clone() };
    if conv.groups != 1 || !ghosts_are_cheaper(t, k, outputs) {
        let gradient = r.emit(kernel, &[sides.activations, sides.cotangents]);
        return sum_of_squares(r, gradient);
    }
    // The patches under the window, as the convolution with one kernel for each of its entries.
    let eye: Vec<f64> = (0..k * k).map(|i| f64::from(u8::from(i / k == i % k))).collect();
    let shape = [&[k, channels][..], &conv.window.size].concat();
    let eye = Array::new(shape, eye).expect("k rows of k entries");
    let eye = retrograde_array::ops::convert(&eye, x.dtype);
    let eye = r.emit(Constant { value: eye }, &[]);
    let patches = r.emit(conv.clone(), &[sides.activations, eye]);
    // [examples, k, places..] → [t, k]
    let as_rows = |r: &mut Rule<'_>, v: ValueId, width: usize| {
        let ty = r.ty(v);
        let n = ty.shape[0];
        let places = t / n.max(1);
        let flat = r.reshape(v, &[n, width, places]);
        let turned = r.transpose(flat, &[0, 2, 1]);
        r.reshape(turned, &[t, width])
    };
    let a = as_rows(r, patches, k);
    let z = as_rows(r, sides.cotangents, outputs);
    of_rows(r, a, z, |_| unreachable!("the products are cheaper; this is a bug in retrograde"))
}

fn sum_of_squares(r: &mut Rule<'_>, v: ValueId) -> ValueId {
    let axes: Vec<usize> = (0..r.ty(v).shape.rank()).collect();
    let square = r.mul(v, v);
    r.sum(square, &axes)
}
