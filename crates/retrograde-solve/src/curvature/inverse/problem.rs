//! The question in terms of vectors: parameters, data and curvature, traced with one flat vector of `f64` in the place of a tree.

use retrograde_array::{Array, DType};
use retrograde_core::trace::control::map;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::var::concat;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, jit, value_grad_hvp};

use super::ParametersAndBatch;
use super::preconditioner::{Applied, apply};
use crate::curvature::batch::{Batch, Source, draw_rows};
use crate::curvature::objective::{leaves, same};
use crate::curvature::product::arrays;
use crate::linear::flat::{Flattening, numbers};

/// What a curvature makes of parameters, a batch and a tangent.
pub(super) type Curve<'a, P, B> = dyn Fn(P, B, P) -> P + 'a;

/// Where the rows are.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// Nowhere: the loss has no batch.
    None,
    /// Leaves with a row for each example, drawn `size` at a time.
    Drawn { n_rows: usize, size: usize },
    /// Leaves with a leading axis of so many batches of `size` rows.
    Given { n_batches: usize, size: usize },
}

type FlatCurve<'a> = Box<dyn Fn(&[Var], &[Var], Var) -> Var + 'a>;
type FlatSlope<'a> = Box<dyn Fn(&[Var], &[Var]) -> Var + 'a>;
type FlatSweep<'a> = Box<dyn Fn(&[Var], &[Var], Var) -> (Var, Var) + 'a>;

/// The question.
pub(super) struct Problem<'a> {
    pub(super) flattening: Flattening,
    /// Leaves of the parameters.
    pub(super) parameters: Vec<Array>,
    /// Leaves of the data.
    pub(super) data: Vec<Array>,
    pub(super) rows: Rows,
    pub(super) damping: f64,
    pub(super) preconditioner: Applied,
    /// Leaves of parameters, leaves of a batch, x → curvature times x.
    curve: FlatCurve<'a>,
    slope: FlatSlope<'a>,
    /// Gradient and product.
    sweep: FlatSweep<'a>,
}

/// A tree flattened, in traced code.
fn flat<P: Traceable>(tree: &P) -> Var {
    let parts: Vec<Var> = leaves(tree)
        .into_iter()
        .map(|leaf| {
            let wide = if leaf.dtype() == DType::F64 { leaf } else { leaf.convert(DType::F64) };
            if wide.rank() == 1 { wide } else { wide.reshape([wide.shape().size()]) }
        })
        .collect();
    if let [only] = parts[..] { only } else { concat(&parts, 0) }
}

/// A tree like that of the parameters from a flat vector.
fn unflat<P: Traceable>(like: &P::Arrays, x: Var) -> P {
    let mut start = 0;
    P::from_arrays(like, &mut |leaf| {
        let (from, size) = (start, leaf.size());
        start += size;
        let part = if size == x.shape().size() { x } else { x.slice(0, from..from + size) };
        let part = if leaf.rank() == 1 { part } else { part.reshape(leaf.shape().clone()) };
        if leaf.dtype() == DType::F64 { part } else { part.convert(leaf.dtype()) }
    })
}

/// A tree of these leaves.
fn tree<P: Traceable>(like: &P::Arrays, leaves: &[Var]) -> P {
    let mut next = leaves.iter();
    P::from_arrays(like, &mut |_| *next.next().expect("one value per leaf; this is a bug in retrograde"))
}

impl<'a> Problem<'a> {
    pub(super) fn new<F, Args>(
        loss: &'a F,
        parameters: &'a <Args::Picked as Traceable>::Arrays,
        like: &'a <Args::Batch as Traceable>::Arrays,
        curve: Option<&'a Curve<'a, Args::Picked, Args::Batch>>,
        damping: f64,
    ) -> Problem<'a>
    where
        Args: ParametersAndBatch,
        F: Function<Args, Output = Var>,
    {
        let at = |p: Args::Picked, b: &Args::Batch| loss.apply(Args::join(p, same(b)));
        // The gradient that the sweep makes on the way is dropped where nobody asks for it.
        let sweep: FlatSweep<'a> = Box::new(move |p, b, x| {
            let (p, b) = (tree::<Args::Picked>(parameters, p), tree::<Args::Batch>(like, b));
            let v = unflat::<Args::Picked>(parameters, x);
            match curve {
                None => {
                    let (_, gradient, product) = value_grad_hvp(|p: Args::Picked| at(p, &b)).at(p, &v);
                    (flat(&gradient), flat(&product))
                }
                Some(curve) => {
                    let gradient = grad(|p: Args::Picked| at(p, &b)).at(same(&p));
                    (flat(&gradient), flat(&curve(p, b, v)))
                }
            }
        });
        let product: FlatCurve<'a> = Box::new(move |p, b, x| {
            let (p, b) = (tree::<Args::Picked>(parameters, p), tree::<Args::Batch>(like, b));
            let v = unflat::<Args::Picked>(parameters, x);
            match curve {
                None => flat(&value_grad_hvp(|p: Args::Picked| at(p, &b)).at(p, &v).2),
                Some(curve) => flat(&curve(p, b, v)),
            }
        });
        let slope: FlatSlope<'a> = Box::new(move |p, b| {
            let (p, b) = (tree::<Args::Picked>(parameters, p), tree::<Args::Batch>(like, b));
            flat(&grad(|p: Args::Picked| at(p, &b)).at(p))
        });
        Problem {
            flattening: Flattening::of(parameters),
            parameters: arrays(parameters),
            data: arrays(like),
            rows: Rows::None,
            damping,
            preconditioner: Applied::None,
            curve: product,
            slope,
            sweep,
        }
    }
    /// With the rows of a source.
    pub(super) fn with_rows<A: retrograde_core::trace::Tree<Leaf = Array>>(
        mut self,
        source: &Source<A>,
    ) -> Self {
        match source {
            Source::Rows { data, n_rows, size } => {
                self.data = arrays(data);
                self.rows = Rows::Drawn { n_rows: *n_rows, size: *size };
            }
            Source::Given(batches) => {
                let all: Vec<Vec<Array>> = batches.iter().map(arrays).collect();
                self.data = (0..all[0].len())
                    .map(|leaf| {
                        let of_leaf: Vec<Array> = all.iter().map(|batch| batch[leaf].clone()).collect();
                        Array::stack(&of_leaf).expect("batches have one shape")
                    })
                    .collect();
                let size = all[0].first().map_or(1, |leaf| leaf.shape()[0]);
                self.rows = Rows::Given { n_batches: batches.len(), size };
            }
        }
        self
    }
    /// How many numbers x has.
    pub(super) fn size(&self) -> usize {
        self.flattening.size()
    }
    /// What part of all examples a batch is.
    pub(super) fn pass(&self) -> f64 {
        match self.rows {
            Rows::None => 1.0,
            Rows::Drawn { n_rows, size } => size as f64 / n_rows as f64,
            Rows::Given { n_batches, .. } => 1.0 / n_batches as f64,
        }
    }
    /// How many rows are in a batch.
    pub(super) fn batch_size(&self) -> usize {
        match self.rows {
            Rows::None => 1,
            Rows::Drawn { size, .. } | Rows::Given { size, .. } => size,
        }
    }
    /// The arrays that programs take beside x: parameters, then the preconditioner's.
    pub(super) fn fixed(&self) -> Vec<Array> {
        [&self.parameters[..], &self.preconditioner.arrays()].concat()
    }
    fn of_parameters<'v>(&self, fixed: &'v [Var]) -> &'v [Var] {
        &fixed[..self.parameters.len()]
    }
    /// P x, in traced code.
    pub(super) fn preconditioned(&self, fixed: &[Var], x: Var) -> Var {
        apply(&self.preconditioner, &fixed[self.parameters.len()..], x)
    }
    /// Curvature of a batch times x, damped, in traced code.
    pub(super) fn curved(&self, fixed: &[Var], batch: Batch<Vec<Var>>, x: Var) -> Var {
        let product = (self.curve)(self.of_parameters(fixed), &batch.used(), x);
        self.damped(product, x)
    }
    /// Curvature of a batch times x without damping.
    pub(super) fn undamped(&self, fixed: &[Var], batch: Batch<Vec<Var>>, x: Var) -> Var {
        (self.curve)(self.of_parameters(fixed), &batch.used(), x)
    }
    /// The gradient on a batch.
    pub(super) fn slope(&self, fixed: &[Var], batch: Batch<Vec<Var>>) -> Var {
        (self.slope)(self.of_parameters(fixed), &batch.used())
    }
    /// Gradient and damped product from one sweep of one batch.
    pub(super) fn swept(&self, fixed: &[Var], batch: Batch<Vec<Var>>, x: Var) -> (Var, Var) {
        let (gradient, product) = (self.sweep)(self.of_parameters(fixed), &batch.used(), x);
        (gradient, self.damped(product, x))
    }
    fn damped(&self, product: Var, x: Var) -> Var {
        if self.damping == 0.0 { product } else { product + self.damping * x }
    }
    /// A batch drawn with a key, in traced code.
    pub(super) fn drawn(&self, data: &[Var], key: Var) -> Batch<Vec<Var>> {
        match self.rows {
            Rows::Drawn { n_rows, size } => draw_rows(&data.to_vec(), n_rows, size, key),
            // Given batches come with the steps.
            Rows::None | Rows::Given { .. } => Batch::new(data.to_vec()),
        }
    }
    /// Over all examples, in traced code: the mean over given batches.
    fn over_all(&self, data: &[Var], f: impl Fn(Vec<Var>) -> Var) -> Var {
        match self.rows {
            Rows::None | Rows::Drawn { .. } => f(data.to_vec()),
            Rows::Given { n_batches, .. } => {
                map(data.to_vec(), |batch: Vec<Var>| f(batch)).sum_axes(&[0]) * (1.0 / n_batches as f64)
            }
        }
    }
    /// Curvature of all examples times x, damped, in traced code.
    pub(super) fn curved_by_all(&self, fixed: &[Var], data: &[Var], x: Var) -> Var {
        let product = self.over_all(data, |batch| self.undamped(fixed, Batch::new(batch), x));
        self.damped(product, x)
    }
    /// Compiled: curvature of all examples times a vector, damped.
    pub(super) fn product(&self) -> impl Fn(&[f64]) -> Result<Vec<f64>, Error> + '_ {
        let run = jit(move |fixed: Vec<Var>, data: Vec<Var>, x: Var| self.curved_by_all(&fixed, &data, x));
        let (fixed, data) = (self.fixed(), self.data.clone());
        move |x| Ok(numbers(&run.call((&fixed, &data, &Array::vector(x.to_vec())))?))
    }
    /// Compiled: the preconditioner times a vector.
    pub(super) fn preconditioner(&self) -> impl Fn(&[f64]) -> Result<Vec<f64>, Error> + '_ {
        let run = jit(move |arrays: Vec<Var>, x: Var| apply(&self.preconditioner, &arrays, x));
        let arrays = self.preconditioner.arrays();
        move |x| match self.preconditioner {
            Applied::None => Ok(x.to_vec()),
            _ => Ok(numbers(&run.call((&arrays, &Array::vector(x.to_vec())))?)),
        }
    }
    /// The gradient over all examples.
    pub(super) fn gradient(&self) -> Result<Vec<f64>, Error> {
        let run = jit(|fixed: Vec<Var>, data: Vec<Var>| {
            self.over_all(&data, |batch| self.slope(&fixed, Batch::new(batch)))
        });
        Ok(numbers(&run.call((&self.fixed(), &self.data))?))
    }
}
