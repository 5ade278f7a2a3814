//! Smooth activations, whose values and slopes hold far out. Law: exact.
//!
//! Slopes have rules of their own: that of a composition as it stands loses digits in the tails, where an argument such as −x²/2 is
//! rounded before it is exponentiated, and makes NaN of 0 · ∞.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::custom::{Law as Promise, custom_jvp};
use retrograde_core::trace::var::select;

use crate::catalogue::{Law, Property, Source, Trick};

/// Smooth activations.
pub const SMOOTH: Trick = Trick {
    id: "A5",
    name: "softplus, GELU, SiLU, Mish",
    formula: "ln(1 + exp(x)); x Phi(x); x s(x); x tanh(ln(1 + exp(x)))",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "C. Dugas and Y. Bengio and F. Belisle and C. Nadeau and R. Garcia",
            title: "Incorporating second-order functional knowledge for better option pricing",
            venue: "Advances in Neural Information Processing Systems 13",
            year: 2001,
        },
        Source {
            authors: "D. Hendrycks and K. Gimpel",
            title: "Gaussian error linear units (GELUs)",
            venue: "arXiv:1606.08415",
            year: 2016,
        },
        Source {
            authors: "S. Elfwing and E. Uchibe and K. Doya",
            title: "Sigmoid-weighted linear units for neural network function approximation in reinforcement learning",
            venue: "Neural Networks 107",
            year: 2018,
        },
        Source {
            authors: "D. Misra",
            title: "Mish: a self regularized non-monotonic activation function",
            venue: "British Machine Vision Conference",
            year: 2020,
        },
    ],
    file: file!(),
    example: "gelu",
    property: Property {
        claim: "slopes for |x| <= 100 are within 2 ulp, where two terms cancel of the larger of them; that of softplus is the logistic",
        test: "slopes_of_smooth_activations_hold_far_out",
        found: "largest error of a slope in ulp: softplus 0.50, GELU 2.0, SiLU 1.3, Mish 1.5; bound 2",
    },
};

/// `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`, entry by entry: [`gelu`] but for 5·10⁻⁴.
///
/// # Cost
/// One tanh an entry. The derivative keeps x and the tanh; under `taped(Tape::Recompute, ..)` x alone, for a tanh more.
/// # Source
/// [`SMOOTH`]: Hendrycks and Gimpel 2016, section 2, which fitted the coefficient of x³.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::taped, door::{grad, jit}};
/// use retrograde_tricks::primal::activation::gelu_tanh;
/// let x = array([-100.0, 0.0, 100.0]);
/// assert_eq!(jit(gelu_tanh).call(&x)?, array([-0.0, 0.0, 100.0]));
/// let (kept, again) = (
///     grad(|x: Var| gelu_tanh(x).sum()),
///     grad(|x: Var| taped(Tape::Recompute, gelu_tanh, x).sum()),
/// );
/// assert_eq!(kept.call(&x)?, array([0.0, 0.5, 1.0]));
/// assert_eq!(again.call(&x)?, array([0.0, 0.5, 1.0]));
/// // The argument is an input: of the second nothing at all is kept, of the first the tanh.
/// assert_eq!((kept.last_tape().tape_bytes(), again.last_tape().tape_bytes()), (3 * 8, 0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gelu_tanh(x: Var) -> Var {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * (x * x * x));
    0.5 * x * (1.0 + inner.tanh())
}

/// `ln(1 + eˣ)`, entry by entry; its slope is `1/(1 + e⁻ˣ)`.   x: `[..]` float → the same shape.
///
/// # Source
/// [`SMOOTH`]: Dugas et al. 2001, section 3.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::value_and_grad};
/// use retrograde_tricks::primal::activation::softplus;
/// let (value, slope) = value_and_grad(softplus).call(&array(1e4))?;
/// assert_eq!((value, slope), (array(1e4), array(1.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn softplus(x: Var) -> Var {
    x.softplus()
}

/// `x Φ(x)`, Φ the normal distribution, entry by entry; slope `Φ(x) + x φ(x)`.   x: `[..]` float → the same shape.
///
/// # Cost
/// One erfc and one exponential an entry, and for the derivative one more of the latter; it keeps x.
/// # Source
/// [`SMOOTH`]: Hendrycks and Gimpel 2016, section 2.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::activation::gelu;
/// let x = array([-1e300, -100.0, 0.0, 100.0, 1e300]);
/// assert_eq!(jit(gelu).call(&x)?, array([-0.0, -0.0, 0.0, 100.0, 1e300]));
/// assert_eq!(grad(|x: Var| gelu(x).sum()).call(&x)?, array([0.0, 0.0, 0.5, 1.0, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gelu(x: Var) -> Var {
    custom_jvp(
        &Promise::Exact,
        x,
        |x| x * normal_distribution(x).0,
        |x, x_dot| {
            let (below, density) = normal_distribution(x);
            (x * below, x_dot * x.clamp(-EDGE, EDGE).fma(density, below))
        },
    )
}

/// Beyond ±40 the normal distribution is 0 or 1 and its density is 0, in f64 as in f32: e⁻⁸⁰⁰ is below the least number.
const EDGE: f64 = 40.0;

/// Φ(x) and φ(x), with what is lost in rounding their arguments put back, to first order.
#[track_caller]
fn normal_distribution(x: Var) -> (Var, Var) {
    let x = x.clamp(-EDGE, EDGE);
    // 1/√2 in two parts: what the type holds, and the rest.
    let root = std::f64::consts::FRAC_1_SQRT_2;
    let rest = match x.dtype() {
        DType::F64 => -4.833646656726457e-17,
        DType::F32 => root - f64::from(root as f32),
        _ => 0.0,
    };
    let z = x * -root;
    let lost = x.fma(-root, -z) - x * rest;
    // erfc' = −2/√π e^(−z²)
    let below = 0.5 * (z.erfc() - std::f64::consts::FRAC_2_SQRT_PI * (-(z * z)).exp() * lost);
    let square = x * x;
    let lost = x.fma(x, -square);
    let scale = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
    let density = (square * -0.5).exp() * (lost * (-0.5 * scale) + scale);
    (below, density)
}

/// `x/(1 + e⁻ˣ)`, entry by entry; also called swish.   x: `[..]` float → the same shape.
///
/// # Cost
/// One logistic an entry, and two for the derivative, which keeps x.
/// # Source
/// [`SMOOTH`]: Elfwing, Uchibe and Doya 2018, eqs. 6 and 7.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::activation::silu;
/// let x = array([-1e3, 0.0, 1e3]);
/// assert_eq!(jit(silu).call(&x)?, array([-0.0, 0.0, 1e3]));
/// assert_eq!(grad(|x: Var| silu(x).sum()).call(&x)?, array([-0.0, 0.5, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn silu(x: Var) -> Var {
    let value = |x: Var| x * x.logistic();
    custom_jvp(&Promise::Exact, x, value, |x, x_dot| {
        // s (1 + x (1 − s)), 1 − s without cancellation.
        (value(x), x_dot * (x.logistic() * x.fma((-x).logistic(), 1.0)))
    })
}

/// `x tanh(ln(1 + eˣ))`, entry by entry.   x: `[..]` float → the same shape.
///
/// # Cost
/// One exponential and one quotient an entry, and the same for the derivative, which keeps x.
/// # Source
/// [`SMOOTH`]: Misra 2020, eq. 1.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::activation::mish;
/// let x = array([-1e3, 0.0, 1e3]);
/// assert_eq!(jit(mish).call(&x)?, array([-0.0, 0.0, 1e3]));
/// assert_eq!(grad(|x: Var| mish(x).sum()).call(&x)?, array([0.0, 0.6, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn mish(x: Var) -> Var {
    custom_jvp(
        &Promise::Exact,
        x,
        |x| x * tanh_of_softplus(x).0,
        |x, x_dot| {
            let (t, slope) = tanh_of_softplus(x);
            (x * t, x_dot * slope)
        },
    )
}

/// t = tanh(ln(1 + eˣ)) and t + x t', both in w = e^−|x|, which neither overflows nor cancels.
///
/// Below 0, with n = w (w + 2): t = n/(n + 2) and t' = 4 w (w + 1)/(n + 2)². Above, with d = 1 + 2w + 2w²: t = (1 + 2w)/d and
/// t' = 4 w² (w + 1)/d².
#[track_caller]
fn tanh_of_softplus(x: Var) -> (Var, Var) {
    let negative = x.lt(0.0);
    let w = (-x.max(-x)).exp();
    let n = w * (w + 2.0);
    let d = 1.0 + w * (2.0 + 2.0 * w);
    let below = n / (n + 2.0);
    let above = (1.0 + 2.0 * w) / d;
    let four = 4.0 * (w + 1.0);
    let slope_below = x.min(0.0).fma(four * w / ((n + 2.0) * (n + 2.0)), below);
    // Where w is 0, x may be infinite: its product with w comes first.
    let slope_above = above + (x * w) * w * four / (d * d);
    (select(negative, below, above), select(negative, slope_below, slope_above))
}
