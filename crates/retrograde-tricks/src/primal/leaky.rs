//! Rectifiers that let something through below 0, as much as a number or a parameter says. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::select;

use super::refuse::refuse;
use crate::catalogue::{Law, Property, Source, Trick};

/// Leaky and parametric rectification.
pub const LEAKY: Trick = Trick {
    id: "A2",
    name: "leaky ReLU, PReLU",
    formula: "y = x if x > 0 else a x; da = sum ybar min(x, 0)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "A. L. Maas and A. Y. Hannun and A. Y. Ng",
            title: "Rectifier nonlinearities improve neural network acoustic models",
            venue: "ICML Workshop on Deep Learning for Audio, Speech and Language Processing",
            year: 2013,
        },
        Source {
            authors: "K. He and X. Zhang and S. Ren and J. Sun",
            title: "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
            venue: "IEEE International Conference on Computer Vision",
            year: 2015,
        },
    ],
    file: file!(),
    example: "prelu",
    property: Property {
        claim: "the slope by a is sum ybar min(x, 0), and for a = 1 the Jacobian is the identity",
        test: "the_slope_of_a_leak_is_what_leaks",
        found: "within 1e-14 of the sum; for a = 1 the cotangent comes back in every bit",
    },
};

/// `x` above 0 and `a x` elsewhere.   x: `[..]` float → the same shape. The slope at 0 is a.
///
/// # Source
/// [`LEAKY`]: Maas, Hannun and Ng 2013, eq. 3, with a = 0.01.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::leaky::leaky_relu;
/// let slope = grad(|x: Var| leaky_relu(x, 0.25).sum()).call(&array([-4.0, 0.0, 4.0]))?;
/// assert_eq!(slope, array([0.25, 0.25, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn leaky_relu(x: Var, a: f64) -> Var {
    select(x.gt(0.0), x, x * a)
}

/// [`leaky_relu`] with a parameter: one for all, `[]`, or one for each channel, `[channels]`.   x: `[n, channels, ..]` → the same.
///
/// # Errors
/// At the front door, for another number of parameters than channels.
/// # Cost
/// One product an entry; the derivative keeps x.
/// # Source
/// [`LEAKY`]: He et al. 2015, eqs. 1 and 2; they start from a = 0.25.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::leaky::prelu;
/// let f = |a: Var, x: Var| prelu(x, a);
/// let (a, x) = (array([0.5, 0.25]), array([[-4.0, -4.0], [2.0, -8.0]]));
/// assert_eq!(jit(f).call((&a, &x))?, array([[-2.0, -1.0], [2.0, -2.0]]));
/// // The sums of what is below 0.
/// assert_eq!(grad(|a: Var, x: Var| f(a, x).sum()).call((&a, &x))?, array([-4.0, -12.0]));
/// let error = jit(f).call((&array([0.5, 0.5, 0.5]), &x)).unwrap_err();
/// assert!(error.to_string().starts_with("error: prelu: found f64[2,2] of x and f64[3] of slopes"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn prelu(x: Var, a: Var) -> Var {
    let shape = x.shape();
    let below = match a.rank() {
        0 => x * a,
        1 if shape.get(1) == Some(&a.shape()[0]) => x * a.broadcast(shape, &[1]),
        _ => {
            refuse(
                format!("prelu: found {} of x and {} of slopes", x.ty(), a.ty()),
                "pass one slope for all, [], or one for each channel, which stand on axis 1",
            );
            return x;
        }
    };
    select(x.gt(0.0), x, below)
}
