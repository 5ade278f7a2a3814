//! The rows of two estimators that live with the products they are made of, in [`retrograde_solve::curvature`].
//!
//! - D15: [`hutchinson_trace`](retrograde_solve::curvature::hutchinson_trace),
//!   [`hutchinson_diagonal`](retrograde_solve::curvature::hutchinson_diagonal),
//!   [`hutch_plus_plus`](retrograde_solve::curvature::hutch_plus_plus)
//! - D20: [`inverse_hvp`](retrograde_solve::curvature::inverse_hvp) with batches
//!
//! Their draws are held to mean and variance by [`check_draws`](super::estimator::check_draws).

use crate::catalogue::{Law, Property, Source, Trick};

/// D15.
pub const TRACE: Trick = Trick {
    id: "D15",
    name: "Hutchinson's trace and diagonal, Hutch++",
    formula: "tr A = E zᵀ A z, diag A = E z ⊙ A z, zᵢ = ±1; variance of the trace 2 Σ_{i≠j} A_ij²",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "M. F. Hutchinson",
            title: "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines",
            venue: "Communications in Statistics: Simulation and Computation 18",
            year: 1989,
        },
        Source {
            authors: "C. Bekas and E. Kokiopoulou and Y. Saad",
            title: "An estimator for the diagonal of a matrix",
            venue: "Applied Numerical Mathematics 57",
            year: 2007,
        },
        Source {
            authors: "R. A. Meyer and C. Musco and C. Musco and D. P. Woodruff",
            title: "Hutch++: optimal stochastic trace estimation",
            venue: "SOSA",
            year: 2021,
        },
    ],
    file: "crates/retrograde-solve/src/curvature/hutchinson.rs",
    example: "hutchinson_trace",
    property: Property {
        claim: "mean and variance by the formulas, for products with the Hessian of a function; Hutch++ has the same mean",
        test: "traces_and_diagonals_have_their_mean_and_variance",
        found: "3000 probes: p of mean and variance 0.71 and 0.15 (trace), 0.011 and 0.031 (diagonal), 0.82 (mean of Hutch++), held to 0.01; power 0.72 against a bias of 5 % of the trace",
    },
};

/// D20.
pub const INVERSE: Trick = Trick {
    id: "D20",
    name: "the inverse of a Hessian times a vector from independent batches",
    formula: "x ← x + η (ĝ − Ĥ x), E x_K = (I − (I − η H)ᴷ) H⁻¹ g",
    law: Law::Inexact { what: "mean (I − (I − η H)ᴷ) H⁻¹ g, without bias by roulette" },
    cite: &[
        Source {
            authors: "A. G. Baydin and B. A. Pearlmutter and J. M. Siskind",
            title: "Tricks from deep learning",
            venue: "arXiv:1611.03777",
            year: 2016,
        },
        Source {
            authors: "N. Agarwal and B. Bullins and E. Hazan",
            title: "Second-order stochastic optimization for machine learning in linear time",
            venue: "Journal of Machine Learning Research 18",
            year: 2017,
        },
    ],
    file: "crates/retrograde-solve/src/curvature/inverse/mod.rs",
    example: "inverse_hvp",
    property: Property {
        claim: "the mean of independent chains is the predicted one, not H⁻¹ g; that of one batch in all factors is not",
        test: "chains_have_the_predicted_mean_and_a_batch_used_again_has_not",
        found: "4000 chains: p 0.52, held to 0.01, power 1.00 against a bias of 5 %; H⁻¹ g and one batch in all factors are refused",
    },
};
