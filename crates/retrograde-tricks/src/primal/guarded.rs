//! Losses, roots and quotients without NaN: formulas that neither overflow nor cancel, and derivatives that are true zeros where a
//! function is not taken. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::{full, select};

use super::refuse::refuse;
use crate::catalogue::{Law, Property, Source, Trick};

/// Guarded formulas.
pub const GUARDED: Trick = Trick {
    id: "A14",
    name: "stable binary cross-entropy, log1p, expm1, safe root, norm and quotient",
    formula: "t ln(1 + exp(-z)) + (1 - t) ln(1 + exp(z)); where(x > 0, sqrt(x), 0) with slope 0 at 0",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "N. J. Higham",
            title: "Accuracy and stability of numerical algorithms, 2nd edition",
            venue: "SIAM",
            year: 2002,
        },
        Source {
            authors: "J. Bradbury and R. Frostig and P. Hawkins and M. J. Johnson and C. Leary and D. Maclaurin and G. Necula and A. Paszke and J. VanderPlas and S. Wanderman-Milne and Q. Zhang",
            title: "JAX: composable transformations of Python+NumPy programs; frequently asked questions, gradients contain NaN where using where",
            venue: "http://github.com/jax-ml/jax",
            year: 2018,
        },
    ],
    file: file!(),
    example: "sqrt_or_zero",
    property: Property {
        claim: "the gradient of where(x > 0, sqrt(x), 0) at 0 is 0; losses are finite for logits of +-1e4 and keep their digits",
        test: "guarded_functions_have_no_nan",
        found: "0 in both modes and in the second derivative; exp(-40) kept to 1e-15 of it",
    },
};

/// Mean over all entries of `−t ln σ(z) − (1 − t) ln σ(−z)`.   z: `[..]` float, t: the same type, from 0 to 1 → number.
///
/// The derivative with respect to z is (σ(z) − t)/n, and for t = 0 or 1 without the cancellation of that difference.
///
/// # Errors
/// At the front door, where the types differ.
/// # Cost
/// Two ln(1 + eˣ) an entry; the derivative keeps z and t.
/// # Source
/// [`GUARDED`]: Higham 2002, section 1.14.1, for the logarithm of 1 + x.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{jit, value_and_grad}};
/// use retrograde_tricks::primal::guarded::binary_cross_entropy;
/// let loss = |z: Var, t: Var| binary_cross_entropy(z, t);
/// let (value, slope) = value_and_grad(loss).call((&array([1e4, -1e4]), &array([1.0, 1.0])))?;
/// assert_eq!((value, slope), (array(5e3), array([0.0, -0.5])));
/// let error = jit(loss).call((&array([1.0]), &array([1_i64]))).unwrap_err();
/// assert!(error.to_string().starts_with("error: binary_cross_entropy: found logits f64[1] and targets i64[1]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn binary_cross_entropy(z: Var, t: Var) -> Var {
    if z.ty() != t.ty() {
        refuse(
            format!("binary_cross_entropy: found logits {} and targets {}", z.ty(), t.ty()),
            "targets are probabilities, one for each logit; convert labels: `.convert(DType::F64)`",
        );
        return full(z.dtype(), [], 0.0);
    }
    (t * (-z).softplus() + (1.0 - t) * z.softplus()).mean()
}

/// `√x` above 0 and 0 elsewhere, with a derivative of 0 there.   x: `[..]` float → the same shape.
///
/// For the length of a vector there is [`Var::norm`], which is guarded in the same way.
///
/// # Source
/// [`GUARDED`]: the frequently asked questions of JAX describe the NaN that this avoids: 0 · ∞ in the derivative of the side not taken.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::guarded::sqrt_or_zero;
/// let slope = grad(|x: Var| sqrt_or_zero(x).sum());
/// assert_eq!(slope.call(&array([-1.0, 0.0, 4.0]))?, array([0.0, 0.0, 0.25]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sqrt_or_zero(x: Var) -> Var {
    select(x.gt(0.0), x.sqrt(), full(x.dtype(), x.shape(), 0.0))
}

/// `a/b`, and 0 where b is 0, with derivatives of 0 there.   a, b: one type → that type.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::guarded::divide_or_zero;
/// let slope = grad(|b: Var| divide_or_zero(b * 0.0 + 1.0, b).sum());
/// assert_eq!(slope.call(&array([0.0, 2.0]))?, array([0.0, -0.25]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn divide_or_zero(a: Var, b: Var) -> Var {
    select(b.ne(0.0), a / b, full(a.dtype(), a.shape(), 0.0))
}
