//! Equations that run as one operation on whole arrays: products, convolutions, stand-alone reductions, moves of entries.
//!
//! [`resolve`] decides once per equation how it runs; [`Direct::run`] then writes its result into an array that is there
//! already and takes memory only where a buffer of the [`Scratch`] must grow. The bits are those of `Prim::eval`, for any
//! strides of the operands and any number of threads.

use retrograde_array::ops::{
    self, Convolution, ConvolutionForm, Cumulation, Fold, Product, Reduction, WindowArgmax,
};
use retrograde_array::{Array, ArrayError, DType, Scratch, Threads};
use retrograde_core::ir::Type;
use retrograde_core::prim::{Prim, conv};

/// How an equation runs. See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Direct {
    /// A product of two arrays.
    Product(Product),
    /// A convolution or one of its transposes.
    Convolution(Convolution),
    /// A sum, product, largest or smallest entry over axes.
    Reduction(Reduction),
    /// A sum, product or recurrence along an axis.
    Cumulation {
        /// Which.
        cumulation: Cumulation,
        /// Along which axis.
        axis: usize,
        /// Whether from the end.
        reverse: bool,
    },
    /// The position of the largest entry along an axis.
    Argmax {
        /// Which axis.
        axis: usize,
    },
    /// The position of the smallest entry along an axis.
    Argmin {
        /// Which axis.
        axis: usize,
    },
    /// The logarithm of a sum of exponentials.
    Logsumexp {
        /// Over which axes.
        axes: Vec<usize>,
    },
    /// A part at computed places.
    DynamicSlice {
        /// Its shape.
        lens: Vec<usize>,
        /// Shared leading axes.
        batch_dims: usize,
    },
    /// An array with another part at computed places.
    DynamicUpdate {
        /// Shared leading axes.
        batch_dims: usize,
    },
    /// The position of the largest entry under a window.
    WindowArgmax(WindowArgmax),
    /// Entries at given positions.
    Gather {
        /// The axis that is indexed.
        axis: usize,
        /// Shared leading axes.
        batch_dims: usize,
    },
    /// Entries added at given positions.
    ScatterAdd {
        /// The axis that is indexed.
        axis: usize,
        /// Shared leading axes.
        batch_dims: usize,
    },
    /// Arrays one after another.
    Concat {
        /// Along which axis.
        axis: usize,
    },
    /// An array within a larger one, of which the rest is zero or the second operand.
    Pad {
        /// Where the first entry goes along each axis.
        starts: Vec<usize>,
        /// How far apart neighbours go.
        strides: Vec<usize>,
    },
}

/// How an equation with operands of these types runs, `None` where only `Prim::eval` knows.
///
/// ```
/// use retrograde_array::{Array, DType, DotDims, Scratch, array};
/// use retrograde_core::{ir::Type, prim::{Prim, dot_general::DotGeneral}};
/// use retrograde_engine::direct::resolve;
/// let product = Prim::from(DotGeneral { dims: DotDims::matmul() });
/// let direct = resolve(&product, &[Type::array(DType::F64, [1, 2]), Type::array(DType::F64, [2, 1])]).unwrap();
/// let mut out = Array::zeros(DType::F64, [1, 1]);
/// direct.run(&[&array([[1.0, 2.0]]), &array([[3.0], [4.0]])], &mut out, 1, &mut Scratch::default())?;
/// assert_eq!(out, array([[11.0]]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn resolve(prim: &Prim, inputs: &[Type]) -> Option<Direct> {
    // What is computed in another type and rounded has its own way.
    let is_plain = |ty: &Type| !matches!(ty.dtype, DType::BF16 | DType::Bool);
    let reduction = |fold: Fold, axes: &[usize]| {
        let [x] = inputs else { return None };
        is_plain(x).then(|| Direct::Reduction(Reduction::new(fold, &x.shape, axes)))
    };
    let cumulation = |cumulation: Cumulation, axis: usize, reverse: bool| {
        is_plain(&inputs[0]).then_some(Direct::Cumulation { cumulation, axis, reverse })
    };
    match (prim, inputs) {
        (Prim::DotGeneral(dot), [a, b]) if is_plain(a) => {
            Some(Direct::Product(Product::new(&a.shape, &b.shape, &dot.dims)))
        }
        (Prim::Conv(conv), [a, b]) if is_plain(a) => {
            let form = match conv.form {
                conv::Form::Output => ConvolutionForm::Output,
                conv::Form::Input => ConvolutionForm::Input,
                conv::Form::Kernel => ConvolutionForm::Kernel,
            };
            let shapes = [&a.shape, &b.shape];
            Some(Direct::Convolution(Convolution::new(form, shapes, &conv.window, conv.groups, &conv.lens)))
        }
        (Prim::Sum(sum), _) => reduction(Fold::Sum, &sum.axes),
        (Prim::Prod(prod), _) => reduction(Fold::Product, &prod.axes),
        (Prim::ReduceMax(max), _) => reduction(Fold::Largest, &max.axes),
        (Prim::ReduceMin(min), _) => reduction(Fold::Smallest, &min.axes),
        (Prim::Cumsum(sum), _) => cumulation(Cumulation::Sum, sum.axis, sum.reverse),
        (Prim::Cumprod(prod), _) => cumulation(Cumulation::Product, prod.axis, prod.reverse),
        (Prim::Recurrence(r), _) => cumulation(Cumulation::Recurrence, r.axis, r.reverse),
        (Prim::Argmax(argmax), [x]) if is_plain(x) => Some(Direct::Argmax { axis: argmax.axis }),
        (Prim::Argmin(argmin), [x]) if is_plain(x) => Some(Direct::Argmin { axis: argmin.axis }),
        (Prim::Logsumexp(sum), [x]) if is_plain(x) => Some(Direct::Logsumexp { axes: sum.axes.clone() }),
        (Prim::DynamicSlice(part), _) => {
            Some(Direct::DynamicSlice { lens: part.lens.clone(), batch_dims: part.batch_dims })
        }
        (Prim::DynamicUpdate(part), _) => Some(Direct::DynamicUpdate { batch_dims: part.batch_dims }),
        (Prim::WindowArgmax(argmax), [x]) if is_plain(x) => {
            Some(Direct::WindowArgmax(WindowArgmax::new(&x.shape, &argmax.window)))
        }
        (Prim::Gather(gather), _) => {
            Some(Direct::Gather { axis: gather.axis, batch_dims: gather.batch_dims })
        }
        (Prim::ScatterAdd(scatter), [_, updates]) if is_plain(updates) => {
            Some(Direct::ScatterAdd { axis: scatter.axis, batch_dims: scatter.batch_dims })
        }
        (Prim::Concat(concat), _) => Some(Direct::Concat { axis: concat.axis }),
        (Prim::Pad(pad), [x, _]) => {
            Some(Direct::Pad { starts: pad.low.clone(), strides: steps(&pad.strides, x) })
        }
        (Prim::Unslice(unslice), [x]) => {
            Some(Direct::Pad { starts: unslice.starts.clone(), strides: steps(&unslice.strides, x) })
        }
        _ => None,
    }
}

/// The strides, but 1 along axes of one entry, where a stride means nothing and may be too large for an address.
fn steps(strides: &[usize], x: &Type) -> Vec<usize> {
    strides.iter().zip(x.shape.iter()).map(|(&stride, &len)| if len < 2 { 1 } else { stride }).collect()
}

impl Direct {
    /// Computes the result into `out`, an array of its type that shares memory with no other, on at most `n_threads` threads.
    ///
    /// # Errors
    /// What the entries do not allow: an index or a part outside its axis.
    ///
    /// # Panics
    /// When operands or result have other types than those given to [`resolve`].
    pub fn run(
        &self,
        inputs: &[&Array],
        out: &mut Array,
        n_threads: usize,
        scratch: &mut Scratch,
    ) -> Result<(), ArrayError> {
        let workers = &Threads(n_threads);
        match (self, inputs) {
            (Direct::Product(product), [a, b]) => product.run(a, b, out, workers, scratch),
            (Direct::Convolution(convolution), [a, b]) => convolution.run(a, b, out, workers, scratch),
            (Direct::Reduction(reduction), [x]) => reduction.run(x, out, workers, scratch),
            (&Direct::Cumulation { cumulation, axis, reverse }, _) => {
                cumulation.run(inputs, axis, reverse, out);
            }
            (&Direct::Argmax { axis }, [x]) => ops::argmax_into(x, axis, out),
            (&Direct::Argmin { axis }, [x]) => ops::argmin_into(x, axis, out),
            (Direct::Logsumexp { axes }, [x]) => ops::logsumexp_into(x, axes, out, workers, scratch),
            (Direct::DynamicSlice { lens, batch_dims }, [x, starts]) => {
                return ops::dynamic_slice_into(x, starts, lens, *batch_dims, out);
            }
            (&Direct::DynamicUpdate { batch_dims }, [x, update, starts]) => {
                return ops::dynamic_update_into(x, update, starts, batch_dims, out);
            }
            (Direct::WindowArgmax(argmax), [x]) => argmax.run(x, out, workers),
            (&Direct::Gather { axis, batch_dims }, [x, indices]) => {
                return ops::gather_into(x, indices, axis, batch_dims, out, workers);
            }
            (&Direct::ScatterAdd { axis, batch_dims }, [indices, updates]) => {
                return ops::scatter_add_into(indices, updates, axis, batch_dims, out, workers);
            }
            (&Direct::Concat { axis }, _) => ops::concat_into(inputs, axis, out),
            (Direct::Pad { starts, strides }, [x]) => ops::pad_into(x, None, out, starts, strides),
            (Direct::Pad { starts, strides }, [x, value]) => {
                ops::pad_into(x, Some(value), out, starts, strides)
            }
            _ => panic!("{} operands of {self:?}; this is a bug in retrograde", inputs.len()),
        }
        Ok(())
    }
}
