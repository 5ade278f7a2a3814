//! Equations that run as one operation on whole arrays: products, convolutions, stand-alone reductions, moves of entries.
//!
//! [`resolve`] decides once per equation how it runs; [`Direct::run`] then writes its result into an array that is there
//! already and takes memory only where a buffer of the [`Scratch`] must grow. The bits are those of `Prim::eval`, for any
//! strides of the operands and any number of threads.

mod threads;

pub use threads::Threads;

use retrograde_array::ops::{Convolution, ConvolutionForm, Product};
use retrograde_array::{Array, ArrayError, DType, Scratch};
use retrograde_core::ir::Type;
use retrograde_core::prim::{Prim, conv};

/// How an equation runs. See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Direct {
    /// A product of two arrays.
    Product(Product),
    /// A convolution or one of its transposes.
    Convolution(Convolution),
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
    match (prim, inputs) {
        (Prim::DotGeneral(dot), [a, b]) if !matches!(a.dtype, DType::BF16 | DType::Bool) => {
            Some(Direct::Product(Product::new(&a.shape, &b.shape, &dot.dims)))
        }
        (Prim::Conv(conv), [a, b]) if !matches!(a.dtype, DType::BF16 | DType::Bool) => {
            let form = match conv.form {
                conv::Form::Output => ConvolutionForm::Output,
                conv::Form::Input => ConvolutionForm::Input,
                conv::Form::Kernel => ConvolutionForm::Kernel,
            };
            let shapes = [&a.shape, &b.shape];
            Some(Direct::Convolution(Convolution::new(form, shapes, &conv.window, conv.groups, &conv.lens)))
        }
        _ => None,
    }
}

impl Direct {
    /// Computes the result into `out`, an array of its type that shares memory with no other, on at most `n_threads` threads of
    /// the pool that the caller runs in.
    ///
    /// # Errors
    /// What the entries do not allow: an index outside its axis.
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
            _ => panic!("{} operands of {self:?}; this is a bug in retrograde", inputs.len()),
        }
        Ok(())
    }
}
