//! Whitening: data turned and scaled to covariance I, as gently as can be. Law: exact.
//!
//! Row in the catalogue: [`DATA`](super::label_smoothing::DATA).

use retrograde_array::Array;
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Var};
use retrograde_derive::Tree;
use retrograde_engine::jit;

use super::refuse::refuse;

/// `(x − mean) C^(−½)` with the moments of the data it was made from.   x: `[n, d]` → `[n, d]`.
///
/// Of all ways to whiten, that by the symmetric root moves the data least.
///
/// # Errors
/// Where the data are not `[n, d]`.
/// # Cost
/// To make: 2 n·d² and about 150 d³ operations. To use: 2 n·d².
/// # Source
/// LeCun et al. 1998, section 4.3, for the aim; the row in the catalogue has it in full. The root by coupled iteration: N. J. Higham,
/// Functions of matrices, SIAM 2008, eq. 6.35.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::whitening::Whitening;
/// // Scaled and mixed.
/// let x = jit(|x: Var, m: Var| x.dot(m)).call((&normal(Key::from_seed(1), [500, 2]), &array([[3.0, 1.0], [0.0, 0.5]])))?;
/// let made = Whitening::of(&x, 0.0)?;
/// let covariance = jit(|made: Whitening<Var>, x: Var| {
///     let y = made.apply(x);
///     y.t().dot(y) / 500.0
/// });
/// let found = covariance.call((&made, &x))?.to_vec::<f64>().unwrap();
/// assert!(found.iter().zip([1.0, 0.0, 0.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-10));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Whitening<T> {
    /// `[d]`
    pub mean: T,
    /// C^(−½): `[d, d]`, symmetric.
    pub root: T,
}

/// Steps of the iteration: it squares the distance to the root, from a condition number of 10⁸ in about 25.
const N_STEPS: usize = 40;

impl Whitening<Array> {
    /// From data `[n, d]`. ε is added to the variances, so that directions without any stay finite.
    ///
    /// # Errors
    /// Where the data are not `[n, d]`.
    pub fn of(x: &Array, epsilon: f64) -> Result<Whitening<Array>, Error> {
        let moments = jit(move |x: Var| {
            let shape = x.shape();
            if shape.rank() != 2 {
                refuse(
                    format!("whitening: found data {}, expected [n, d]", x.ty()),
                    "put one example in each row",
                );
                return Whitening { mean: x, root: x };
            }
            let (n, d) = (shape[0] as f64, shape[1]);
            let mean = x.sum_axes(&[0]) / n;
            let centred = x - mean.spread(shape);
            let eye = eye(x.dtype(), d);
            let covariance = centred.t().dot(centred) / n + eye * epsilon;
            Whitening { mean, root: inverse_root(covariance, eye) }
        });
        moments.call(x)
    }
}

impl Whitening<Var> {
    /// The whitened data.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let centred = x - self.mean.spread(x.shape());
        centred.dot(self.root)
    }
}

/// C^(−½) of a symmetric matrix with eigenvalues above 0.
fn inverse_root(c: Var, eye: Var) -> Var {
    // By the norm, so that all eigenvalues are within 0 and 1, where the iteration converges.
    let size = c.norm();
    let (mut y, mut z) = (c / size, eye);
    for _ in 0..N_STEPS {
        let step = (eye * 3.0 - z.dot(y)) * 0.5;
        (y, z) = (y.dot(step), step.dot(z));
    }
    z * (full(c.dtype(), [], 1.0) / size).sqrt()
}
