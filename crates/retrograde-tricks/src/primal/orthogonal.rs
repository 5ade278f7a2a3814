//! Orthogonal initial weights: a layer that turns and mirrors, and changes no length in either direction.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};

use crate::catalogue::{Law, Property, Source, Trick};

/// Orthogonal and identity initialisation.
pub const ORTHOGONAL: Trick = Trick {
    id: "A7",
    name: "orthogonal and identity initial weights",
    formula: "w'w = I or ww' = I, uniformly drawn by Gram-Schmidt from normal vectors; or w = I",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "F. Mezzadri",
            title: "How to generate random matrices from the classical compact groups",
            venue: "Notices of the American Mathematical Society 54",
            year: 2007,
        },
        Source {
            authors: "A. M. Saxe and J. L. McClelland and S. Ganguli",
            title: "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
            venue: "International Conference on Learning Representations",
            year: 2014,
        },
        Source {
            authors: "Q. V. Le and N. Jaitly and G. E. Hinton",
            title: "A simple way to initialize recurrent networks of rectified linear units",
            venue: "arXiv:1504.00941",
            year: 2015,
        },
    ],
    file: file!(),
    example: "orthogonal",
    property: Property {
        claim: "all singular values of the Jacobian of a deep linear network are 1",
        test: "deep_linear_networks_have_singular_values_of_one",
        found: "|J'J - I| = 6.5e-15 for 30 layers of width 16; bound 1e-12",
    },
};

/// A matrix with orthonormal rows or columns, whichever are fewer, uniformly distributed.   → `[n_in, n_out]`.
///
/// Normal vectors, each made orthogonal to those before it. Rounding is undone by doing so twice.
///
/// # Cost
/// 4 n_in·n_out·min(n_in, n_out) operations.
/// # Source
/// [`ORTHOGONAL`]: Saxe, McClelland and Ganguli 2014, section 3. That such vectors are uniform: Mezzadri 2007, section 5. That twice
/// is enough: L. Giraud, J. Langou, M. Rozloznik, J. van den Eshof, Rounding error analysis of the classical Gram-Schmidt
/// orthogonalization process, Numerische Mathematik 101 (2005).
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::orthogonal::orthogonal;
/// let w = orthogonal(Key::from_seed(1), 3, 2, DType::F64);
/// let products = jit(|w: Var| w.t().dot(w)).call(&w)?.to_vec::<f64>().unwrap();
/// assert!(products.iter().zip([1.0, 0.0, 0.0, 1.0]).all(|(p, e)| (p - e).abs() < 1e-15));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn orthogonal(key: Key, n_in: usize, n_out: usize, dtype: DType) -> Array {
    let (most, least) = (n_in.max(n_out), n_in.min(n_out));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut rows: Vec<Vec<f64>> = vec![];
    let draws = normal(key, [least, most]).to_vec::<f64>().unwrap_or_default();
    for draw in draws.chunks(most.max(1)) {
        let mut row = draw.to_vec();
        for _ in 0..2 {
            let along: Vec<f64> = rows.iter().map(|other| dot(other, &row)).collect();
            for (other, along) in rows.iter().zip(along) {
                row.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
        }
        let size = dot(&row, &row).sqrt();
        rows.push(row.iter().map(|x| x / size).collect());
    }
    let wide = Array::new([least, most], rows.concat());
    let wide = wide.expect("as many as the shape says; this is a bug in retrograde");
    let w = if n_in < n_out { wide } else { ops::transpose(&wide, &[1, 0]).compact() };
    ops::convert(&w, dtype)
}

/// The identity: for weights from a state to itself, with a ReLU after them (IRNN).   → `[n, n]`.
///
/// # Source
/// [`ORTHOGONAL`]: Le, Jaitly and Hinton 2015, section 2.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_tricks::primal::orthogonal::identity;
/// assert_eq!(identity(2, DType::F64), array([[1.0, 0.0], [0.0, 1.0]]));
/// ```
pub fn identity(n: usize, dtype: DType) -> Array {
    let entries: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at % (n + 1) == 0))).collect();
    ops::convert(
        &Array::new([n, n], entries).expect("as many as the shape says; this is a bug in retrograde"),
        dtype,
    )
}
