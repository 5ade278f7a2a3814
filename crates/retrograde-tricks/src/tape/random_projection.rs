//! Randomised differentiation: of what a product keeps, a random projection is kept.
//!
//! ```text
//! y = x W,   x̄ = ȳ Wᵀ,   W̄ = xᵀ ȳ ≈ (S x)ᵀ (S ȳ),   S: [k, n] of random signs over √k, so that E SᵀS = 1
//! ```
//!
//! Law: inexact; the mean is xᵀȳ. S is known from its key, a bit for each sign, so of x only k of its n rows' worth is kept. The total
//! variance of W̄ is `(‖x‖²‖ȳ‖² + ‖xᵀȳ‖² − 2 Σ ‖xᵢ‖²‖ȳᵢ‖²)/k`, norms over all entries, i over rows.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom::custom_vjp;
use retrograde_core::trace::var::{full, random_bits, select};
use retrograde_core::trace::{Var, blame, mistake};

use crate::adjoint::map::declared;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`product_with_projection`].
pub const RANDOM_PROJECTION: Trick = Trick {
    id: "C14",
    name: "randomised differentiation",
    formula: "W̄ = (S x)ᵀ (S ȳ) with E SᵀS = 1; S x is kept, not x",
    law: Law::Inexact {
        what: "the weights' cotangent is estimated from a random projection of the rows; its mean is the cotangent",
    },
    cite: &[
        Source {
            authors: "D. Oktay and N. McGreivy and J. Aduol and A. Beatson and R. P. Adams",
            title: "Randomized Automatic Differentiation",
            venue: "ICLR",
            year: 2021,
        },
        Source {
            authors: "M. Adelman and K. Y. Levy and I. Hakimi and M. Silberstein",
            title: "Faster Neural Network Training with Approximate Tensor Operations",
            venue: "NeurIPS",
            year: 2021,
        },
    ],
    file: file!(),
    example: "product_with_projection",
    property: Property {
        claim: "the mean is the gradient, the variance that of the formula, and k/n of the bytes are kept",
        test: "a_projected_product_is_right_on_average_and_keeps_k_of_n",
        found: "p = 0.14 for the mean of 4000 draws; variance within 4 standard errors; 224 bytes instead of 3072 for 4 of 64 rows",
    },
};

/// `x W`, of whose x a projection of k rows is kept for the cotangent of W.   x: `[n, in]`, weight: `[in, out]`, key: `i64[2]` → `[n, out]`.
///
/// # Errors
/// At the front door, for other shapes, and for k of 0 or more than n.
/// # Cost
/// Keeps k·in numbers and k·n bits instead of the n·in numbers of x, for 2·k·n (in + out) operations more.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::tape::random_projection::product_with_projection;
/// let f = |w: Var, x: Var, key: Var| product_with_projection(x, w, key, 1).sum();
/// let (w, x, key) = (array([[1.0], [1.0]]), array([[2.0, 0.0], [0.0, 3.0]]), Key::from_seed(1).to_array());
/// // Signs s: (s₁ 2, s₂ 3) times s₁ + s₂, which is ±2 or 0. The mean is (2, 3).
/// let slope = grad(f).call((&w, &x, &key))?;
/// assert!(slope == array([[4.0], [6.0]]) || slope == array([[0.0], [0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn product_with_projection(x: Var, weight: Var, key: Var, k: usize) -> Var {
    let location = Location(std::panic::Location::caller());
    let n = x.shape().first().copied().unwrap_or(0);
    let fits = x.rank() == 2 && weight.rank() == 2 && x.shape()[1] == weight.shape()[0];
    let wrong = match fits {
        false => Some((
            format!("found x {} and weights {}", x.ty(), weight.ty()),
            "x is [n, in] and the weights are [in, out]",
        )),
        true if k == 0 || k > n => Some((
            format!("found k = {k} for {n} rows, expected 1 to {n}"),
            "k is how many rows' worth of x are kept",
        )),
        true => None,
    };
    if let Some((found, help)) = wrong {
        let found = format!("randomised differentiation: {found}");
        mistake(Diagnostic::new(found, Some(location)).help(help));
        return blame(location, || x.dot(weight));
    }
    blame(location, || {
        // Made of truth values, which are a bit each if it is cheaper to keep than to draw them again.
        let signs = |key: Var| {
            let of = |value: f64| full(x.dtype(), [k, n], value / (k as f64).sqrt());
            select(random_bits(key, [k, n], 1).eq(1), of(1.0), of(-1.0))
        };
        custom_vjp(
            &declared(&RANDOM_PROJECTION),
            (x, weight, key),
            |(x, weight, _): (Var, Var, Var)| x.dot(weight),
            |(x, weight, key): (Var, Var, Var)| (x.dot(weight), (signs(key).dot(x), weight, key)),
            |(projected, weight, key): (Var, Var, Var), y_bar: Var| {
                let w_bar = projected.t().dot(signs(key).dot(y_bar));
                (y_bar.dot(weight.t()), w_bar, full(key.dtype(), key.shape(), 0.0))
            },
        )
    })
}
