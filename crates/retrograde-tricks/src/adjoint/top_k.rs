//! meProp: of every row of cotangents, the k largest; the others are zero. Law: inexact; the norm of what is dropped is known.
//!
//! ```text
//! x̄ = top_k(ȳ),     y = x W:  x̄ = top_k(ȳ) Wᵀ,  W̄ = xᵀ top_k(ȳ)
//! ```

use retrograde_array::ops::DotDims;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom::{self, custom_rules};
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_engine::grad;

use super::map::{AdjointMap, Wrong, declared, each_float};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`TopK`] and [`product_with_top_k`].
pub const TOP_K: Trick = Trick {
    id: "B16",
    name: "meProp",
    formula: "x̄ = top_k(ȳ): of every row the k entries of largest magnitude",
    law: Law::Inexact { what: "all but the k largest entries of every row are dropped" },
    cite: &[Source {
        authors: "X. Sun and X. Ren and S. Ma and H. Wang",
        title: "meProp: Sparsified Back Propagation for Accelerated Deep Learning with Reduced Overfitting",
        venue: "ICML",
        year: 2017,
    }],
    file: file!(),
    example: "TopK",
    property: Property {
        claim: "k = n is the identity to the bit; what is dropped has the reported norm; a product costs O(k)",
        test: "what_top_k_drops_is_reported_and_all_of_n_is_the_identity",
        found: "equal bits; ‖dropped‖² + ‖kept‖² = ‖ȳ‖² to 1e-14; 3 n·k·in multiplications backwards",
    },
};

/// The k entries of largest magnitude along the last axis; of equals, the first. A number is a row of 1.
///
/// # Errors
/// At the front door, for k of 0 or more than a row has.
/// # Cost
/// A sort of every row. [`product_with_top_k`] makes use of the zeros.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{map::AdjointMap, top_k::TopK};
/// let g = array([[1.0, -3.0, 2.0], [0.5, 0.5, 0.1]]);
/// assert_eq!(jit(|g: Var| TopK { k: 1 }.on(g)).call(&g)?, array([[0.0, -3.0, 0.0], [0.5, 0.0, 0.0]]));
/// let error = jit(|g: Var| TopK { k: 4 }.on(g)).call(&g).unwrap_err().to_string();
/// assert!(error.contains("meProp: found k = 4 for rows of 3 entries, expected 1 to 3"), "{error}");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopK {
    /// How many entries stay.
    pub k: usize,
}

fn wrong_k(k: usize, row: usize) -> Option<Wrong> {
    (k == 0 || k > row).then(|| {
        (
            format!("meProp: found k = {k} for rows of {row} entries, expected 1 to {row}"),
            "k is how many entries of each row stay",
        )
    })
}

impl AdjointMap for TopK {
    fn law(&self) -> custom::Law {
        declared(&TOP_K)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong_for(&self, x_bar: &[Var]) -> Option<Wrong> {
        x_bar.iter().find_map(|g| wrong_k(self.k, g.shape().last().copied().unwrap_or(1)))
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        each_float(&x_bar, |g| kept_and_dropped(g, self.k).0)
    }
}

/// The k largest entries of every row, and the norm of all others together.   g: `[.., n]`, 1 ≤ k ≤ n → (same, number).
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::top_k::kept_and_dropped;
/// let found = jit(|g: Var| kept_and_dropped(g, 1)).call(&array([[3.0, 9.0], [4.0, -5.0]]))?;
/// assert_eq!(found, (array([[0.0, 9.0], [0.0, -5.0]]), array(5.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn kept_and_dropped(g: Var, k: usize) -> (Var, Var) {
    let Some(axis) = g.rank().checked_sub(1) else { return (g, full(g.dtype(), [], 0.0)) };
    // The place of each entry among its row, the largest first.
    let order = (-g.abs().stop_gradient()).argsort(axis);
    let stays = order.argsort(axis).lt(k as i64);
    let zero = full(g.dtype(), g.shape(), 0.0);
    (select(stays, g, zero), select(stays, zero, g).norm())
}

/// `x W`, whose cotangents use the k largest entries of every row of ȳ.   x: `[n, in]`, weight: `[in, out]` → `[n, out]`.
///
/// # Errors
/// At the front door, for other shapes, and for k of 0 or more than out.
/// # Cost
/// Of the backward pass 3 n·k·in multiplications instead of 2 n·out·in, and the sort.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::top_k::product_with_top_k;
/// let f = |x: Var, w: Var| (product_with_top_k(x, w, 1) * &array([[1.0, 5.0]])).sum();
/// let (x, w) = (array([[2.0]]), array([[10.0, 100.0]]));
/// assert_eq!(grad(f).call((&x, &w))?, array([[500.0]]));
/// assert_eq!(grad(f).wrt::<1>().call((&x, &w))?, array([[0.0, 10.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn product_with_top_k(x: Var, weight: Var, k: usize) -> Var {
    let location = Location(std::panic::Location::caller());
    let n_out = weight.shape().last().copied().unwrap_or(0);
    let fits = x.rank() == 2 && weight.rank() == 2 && x.shape()[1] == weight.shape()[0];
    let wrong = match fits {
        true => wrong_k(k, n_out),
        false => Some((
            format!("meProp: found x {} and weights {}", x.ty(), weight.ty()),
            "x is [n, in] and the weights are [in, out]",
        )),
    };
    if let Some((found, help)) = wrong {
        mistake(Diagnostic::new(found, Some(location)).help(help));
        return blame(location, || x.dot(weight));
    }
    blame(location, || {
        custom_rules(
            &declared(&TOP_K),
            (x, weight),
            |(x, weight)| x.dot(weight),
            |(x, weight), (x_dot, w_dot)| x_dot.dot(weight) + x.dot(w_dot),
            |(x, weight)| (x.dot(weight), (x, weight)),
            move |(x, weight), y_bar: Var| {
                // Positions in ascending order, so that sums run as those of the whole product do.
                let (_, largest) = y_bar.abs().top_k(k, 1);
                let at = largest.sort(1);
                let kept = y_bar.take_along(1, at);
                let rows = weight.t().gather(0, at);
                let dims = |lhs: usize, rhs: usize| DotDims {
                    lhs_contract: vec![lhs],
                    rhs_contract: vec![rhs],
                    lhs_batch: vec![0],
                    rhs_batch: vec![0],
                };
                let x_bar = kept.dot_general(rows, dims(1, 1));
                // What reading rows of Wᵀ adds up in its own reverse: terms of k rows for each row of x.
                let terms = kept.broadcast(rows.shape(), &[0, 1]) * x.broadcast(rows.shape(), &[0, 2]);
                let read = |turned: Var, (at, terms): (Var, Var)| (turned.gather(0, at) * terms).sum();
                let w_bar = grad(read).at((weight.t(), (at, terms))).t();
                (x_bar, w_bar)
            },
        )
    })
}
