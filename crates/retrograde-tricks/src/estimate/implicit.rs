//! Implicit reparameterisation: the path of a draw whose distribution function is known and whose inverse is not.
//!
//! A draw z at the probability u satisfies F(z; φ) = u, so `dz/dφ = −(∂F/∂φ) / p(z; φ)`. Two steps of Newton's method from the draw
//! itself, `z − (F(z; φ) − u)/p(z; φ)`, change no bit of it, as F(z; φ) − u is zero, and have that derivative; after n steps all
//! derivatives up to order 2ⁿ − 1 are those of the solution, so here up to the third. Law: without bias.
//!
//! | distribution | how it is drawn | F |
//! |---|---|---|
//! | [`Gamma`] | rejection, Marsaglia and Tsang 2000 | series of the incomplete gamma function |
//! | [`Beta`] | ratio of two gamma draws | by theirs |
//! | [`VonMises`] | rejection, Best and Fisher 1979 | quadrature by Gauss and Legendre |
//!
//! Rejection takes the first that is accepted of a fixed number of proposals, so that a draw is a plain function of its key; that none is
//! has a probability below 10⁻¹⁵.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{fori, while_loop};
use retrograde_core::trace::var::{constant, full, select, uniform};

use super::distribution::Distribution;
use super::draw::{normal, open_uniform, split};
use crate::catalogue::{Law, Property, Source, Trick};

/// D4.
pub const IMPLICIT: Trick = Trick {
    id: "D4",
    name: "implicit reparameterisation: gamma, beta, von Mises",
    formula: "dz/dφ = −(∂F/∂φ) / p(z; φ)",
    law: Law::Inexact { what: "an estimate without bias, for continuous draws and costs" },
    cite: &[
        Source {
            authors: "D. J. Best and N. I. Fisher",
            title: "Efficient simulation of the von Mises distribution",
            venue: "Applied Statistics 28",
            year: 1979,
        },
        Source {
            authors: "G. Marsaglia and W. W. Tsang",
            title: "A simple method for generating gamma variables",
            venue: "ACM Transactions on Mathematical Software 26",
            year: 2000,
        },
        Source {
            authors: "M. Figurnov and S. Mohamed and A. Mnih",
            title: "Implicit reparameterization gradients",
            venue: "NeurIPS",
            year: 2018,
        },
    ],
    file: file!(),
    example: "implicit",
    property: Property {
        claim: "dz/dφ is that of JAX for gamma and of quadrature for von Mises; means of slopes and curvatures are those of the moments",
        test: "implicit_slopes_are_those_of_the_distribution_function",
        found: "gamma: 1e-9 of quadrature, 1e-7 of JAX; von Mises: 1e-9 up to κ = 100; E z²: slope within 1e-8, curvature within 1e-7; ln z: p 0.56 of 20 000 draws, power 1.00 against 5 %",
    },
};

/// Proposals of a gamma draw, of which each is accepted with a probability above 0.95: none with 0.05¹².
const GAMMA_PROPOSALS: usize = 12;

/// Proposals of a von Mises draw, of which each is accepted with a probability above 0.65: none with 0.35³⁶.
const VON_MISES_PROPOSALS: usize = 36;

/// Nodes of the quadrature: the distribution function is within 10⁻¹² up to a concentration of 100.
const NODES: usize = 64;

/// The series of the incomplete gamma function ends where its terms are below this part of the sum: a ten-thousandth of a rounding,
/// as the derivatives of terms fall more slowly.
const SERIES_TOLERANCE: f64 = 1e-20;

/// Terms of the continued fraction: beyond α + 1, its derivatives are then within 10⁻¹³ of themselves.
const FRACTION_TERMS: usize = 100;

/// The draw, with its path.   z: a draw, whose own derivative is not used; cdf, density: of z, and of parameters that they capture.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::implicit::implicit;
/// // An exponential variable of rate r: z = −ln(1 − u)/r, so that dz/dr = −z/r and d²z/dr² = 2 z/r².
/// let path = |r: Var, z: Var| implicit(z, |z| 1.0 - (-(r * z)).exp(), |z| r * (-(r * z)).exp());
/// let (r, z) = (array(2.0), array(0.75));
/// assert_eq!(jit(path).call((&r, &z))?, z);
/// let close = |found: retrograde_array::Array, expected: f64| (found.item::<f64>().unwrap() - expected).abs() < 1e-14;
/// assert!(close(grad(path).call((&r, &z))?, -0.375));
/// assert!(close(grad(|r: Var, z: Var| grad(path).at((r, z))).call((&r, &z))?, 0.375));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn implicit(z: Var, cdf: impl Fn(Var) -> Var, density: impl Fn(Var) -> Var) -> Var {
    let z = z.stop_gradient();
    let at_draw = cdf(z);
    let u = at_draw.stop_gradient();
    let once = z - (at_draw - u) / density(z);
    once - (cdf(once) - u) / density(once)
}

/// The first proposal that is accepted, along the leading axis.
fn first_accepted(proposals: Var, accepted: Var) -> Var {
    let first = accepted.convert(DType::I64).argmax(0);
    let shape = [&[1], &first.shape()[..]].concat();
    proposals.take_along(0, first.reshape(shape)).index(0, 0)
}

/// The parameter once for each proposal.
fn for_each(n: usize, parameter: Var) -> Var {
    let axes: Vec<usize> = (1..=parameter.rank()).collect();
    parameter.stop_gradient().convert(DType::F64).broadcast([&[n], &parameter.shape()[..]].concat(), &axes)
}

/// The gamma distribution of scale 1: density `z^(α − 1) e^−z / Γ(α)`.
///
/// The series takes about z + 10 √z terms, the continued fraction a hundred.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::{estimator::Estimator, implicit::Gamma, pathwise::pathwise};
/// // E z = α, so its slope is 1.
/// let loss = |alpha: Var, key: Var| pathwise(key, &Gamma { alpha });
/// Estimator::of_loss("gamma", Key::from_seed(1), array(1.7), loss).mean(array(1.0)).check(500)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gamma {
    /// α > 0
    pub alpha: Var,
}

impl Distribution for Gamma {
    fn name(&self) -> &'static str {
        "gamma"
    }
    fn sample(&self, key: Var) -> Var {
        // A draw of α + 1, times a uniform number to the power 1/α: Marsaglia and Tsang, section 6.
        let keys = split(key, 3);
        let alpha = for_each(GAMMA_PROPOSALS, self.alpha);
        let d = alpha + (1.0 - 1.0 / 3.0);
        let x = normal(keys[0], alpha.shape());
        let root = x / (9.0 * d).sqrt() + 1.0;
        let v = root * root * root;
        let positive = v.gt(0.0);
        let log_v = select(positive, v, v * 0.0 + 1.0).log();
        let bound = x * x * 0.5 + d * ((1.0 - v) + log_v);
        let accepted = positive & open_uniform(keys[1], alpha.shape()).log().lt(bound);
        let power = (open_uniform(keys[2], self.alpha.shape()).log() / alpha.index(0, 0)).exp();
        let drawn = first_accepted(d * v, accepted) * power;
        // Below the least number there is no logarithm.
        drawn.max(f64::MIN_POSITIVE).convert(self.alpha.dtype())
    }
    fn log_density(&self, z: Var) -> Var {
        (self.alpha - 1.0) * z.log() - z - self.alpha.lgamma()
    }
    fn path(&self, key: Var) -> Option<Var> {
        Some(self.through(self.sample(key)))
    }
}

impl Gamma {
    /// A draw that is given, with its path.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::estimate::implicit::Gamma;
    /// let z = jit(|alpha: Var| Gamma { alpha }.through(alpha * 0.0 + 0.7)).call(&array(1.5))?;
    /// assert_eq!(z, array(0.7));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn through(&self, z: Var) -> Var {
        // Beyond α + 1, less than the probability of more: near 1, F has no digits left for its slope.
        let is_large = z.gt(self.alpha + 1.0);
        let signed = |z: Var| {
            let small = select(is_large, z * 0.0 + 1.0, z);
            let large = select(is_large, z, self.alpha + 2.0);
            select(is_large, -self.exceeds(large), self.cdf(small))
        };
        implicit(z, signed, |z| self.log_density(z).exp())
    }

    /// The probability of more than z, for z > α + 1: `z^α e^−z / Γ(α)` times a continued fraction.
    ///
    /// Source: M. Abramowitz, I. A. Stegun, Handbook of mathematical functions (1964), 6.5.31, in its even form.
    fn exceeds(&self, z: Var) -> Var {
        let last = z + (2.0 * FRACTION_TERMS as f64 + 1.0) - self.alpha;
        let fraction = fori(0..FRACTION_TERMS, last, |i, below| {
            let k = (-i + FRACTION_TERMS as i64).convert(z.dtype());
            let spread = |x: Var| x.spread(z.shape());
            z + spread(k * 2.0 - 1.0) - self.alpha - spread(k) * (spread(k) - self.alpha) / below
        });
        (self.alpha * z.log() - z - self.alpha.lgamma()).exp() / fraction
    }

    /// The probability of at most z: `z^α e^−z / Γ(α + 1) · Σ zⁿ / ((α + 1) … (α + n))`.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::estimate::implicit::Gamma;
    /// let found = jit(|alpha: Var, z: Var| Gamma { alpha }.cdf(z)).call((&array(1.0), &array(2.0)))?;
    /// assert!((found.item::<f64>().unwrap() - (1.0 - (-2.0_f64).exp())).abs() < 1e-15);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn cdf(&self, z: Var) -> Var {
        let axes: Vec<usize> = (0..z.rank()).collect();
        let one = full(z.dtype(), z.shape(), 1.0);
        let (_, _, total) = while_loop(
            (self.alpha + 1.0, one, one),
            |(_, term, total)| term.gt(total * SERIES_TOLERANCE).any(&axes),
            |(next, term, total)| {
                let term = term * z / next;
                (next + 1.0, term, total + term)
            },
        );
        (self.alpha * z.log() - z - (self.alpha + 1.0).lgamma()).exp() * total
    }
}

/// The beta distribution: density `z^(a − 1) (1 − z)^(b − 1) / B(a, b)`.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::{estimator::Estimator, implicit::Beta, pathwise::pathwise};
/// // E z = a/(a + b): slopes b/(a + b)² and −a/(a + b)².
/// let loss = |(a, b): (Var, Var), key: Var| pathwise(key, &Beta { a, b });
/// let slopes = Estimator::of_loss("beta", Key::from_seed(1), (array(1.0), array(3.0)), loss);
/// slopes.mean((array(3.0 / 16.0), array(-1.0 / 16.0))).check(500)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Beta {
    /// a > 0
    pub a: Var,
    /// b > 0
    pub b: Var,
}

impl Distribution for Beta {
    fn name(&self) -> &'static str {
        "beta"
    }
    fn sample(&self, key: Var) -> Var {
        let keys = split(key, 2);
        let (x, y) = (Gamma { alpha: self.a }.sample(keys[0]), Gamma { alpha: self.b }.sample(keys[1]));
        x / (x + y)
    }
    fn log_density(&self, z: Var) -> Var {
        let log_beta = self.a.lgamma() + self.b.lgamma() - (self.a + self.b).lgamma();
        (self.a - 1.0) * z.log() + (self.b - 1.0) * (-z).log1p() - log_beta
    }
    fn path(&self, key: Var) -> Option<Var> {
        let keys = split(key, 2);
        let path = |alpha: Var, key: Var| {
            let gamma = Gamma { alpha };
            gamma.through(gamma.sample(key))
        };
        let (x, y) = (path(self.a, keys[0]), path(self.b, keys[1]));
        Some(x / (x + y))
    }
}

/// The von Mises distribution of an angle in radian: density `e^(κ cos(z − μ)) / 2π I₀(κ)` in (μ − π, μ + π].
///
/// Slopes by κ are within 10⁻⁹ up to κ = 100.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::{estimator::Estimator, implicit::VonMises, pathwise::pathwise};
/// // E sin z = sin μ · I₁(κ)/I₀(κ): for κ = 1 the ratio is 0.44639.
/// let loss = |mean: Var, key: Var| pathwise(key, &VonMises { mean, concentration: mean * 0.0 + 1.0 }).sin();
/// let slope = Estimator::of_loss("von Mises", Key::from_seed(1), array(0.0), loss);
/// slope.mean(array(0.4463899658965345)).check(500)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VonMises {
    /// μ, radian
    pub mean: Var,
    /// κ > 0
    pub concentration: Var,
}

impl VonMises {
    /// The probability between −π and z, for μ = 0.
    fn cdf(&self, z: Var) -> Var {
        let (points, weights) = gauss_legendre(NODES);
        let shape = [&[NODES], &z.shape()[..]].concat();
        let axes: Vec<usize> = (1..=z.rank()).collect();
        let over = |x: Var| x.broadcast(shape.clone(), &axes);
        let along = |values: Vec<f64>| {
            let values = constant(&retrograde_array::array(values)).convert(z.dtype());
            values.broadcast(shape.clone(), &[0])
        };
        let inner = (over(self.concentration) * ((over(z) * along(points)).cos() - 1.0)).exp();
        let area = z * (inner * along(weights)).sum_axes(&[0]);
        area / (self.concentration.bessel_i0e() * std::f64::consts::TAU) + 0.5
    }

    /// The density at an angle from the mean.
    fn density(&self, z: Var) -> Var {
        let scaled = (self.concentration * (z.cos() - 1.0)).exp();
        scaled / (self.concentration.bessel_i0e() * std::f64::consts::TAU)
    }

    /// An angle from the mean, drawn.
    fn centred(&self, key: Var) -> Var {
        let keys = split(key, 2);
        let kappa = for_each(VON_MISES_PROPOSALS, self.concentration);
        let units = uniform(keys[0], [&[2], &kappa.shape()[..]].concat());
        let tau = (kappa * kappa * 4.0 + 1.0).sqrt() + 1.0;
        let rho = (tau - (tau * 2.0).sqrt()) / (kappa * 2.0);
        // Below 10⁻⁵ the quotient cancels; its series begins with 1/κ + κ.
        let r = select(kappa.lt(1e-5), 1.0 / kappa + kappa, (rho * rho + 1.0) / (rho * 2.0));
        let cosine = (units.index(0, 0) * std::f64::consts::PI).cos();
        let f = (r * cosine + 1.0) / (r + cosine);
        let c = kappa * (r - f);
        let second = units.index(0, 1);
        let accepted = (c * (2.0 - c)).gt(second) | ((c / second).log() + 1.0 - c).ge(0.0);
        let angle = first_accepted(f.clamp(-1.0, 1.0).acos(), accepted);
        let sign = super::draw::rademacher(keys[1], self.concentration.shape());
        (angle * sign).convert(self.mean.dtype())
    }
}

impl Distribution for VonMises {
    fn name(&self) -> &'static str {
        "von Mises"
    }
    fn sample(&self, key: Var) -> Var {
        self.mean.stop_gradient() + self.centred(key)
    }
    fn log_density(&self, z: Var) -> Var {
        let kappa = self.concentration;
        kappa * (z - self.mean).cos() - kappa.log_bessel_i0() - std::f64::consts::TAU.ln()
    }
    fn path(&self, key: Var) -> Option<Var> {
        Some(self.through(self.centred(key)))
    }
}

impl VonMises {
    /// A draw at an angle from the mean that is given, with its path.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_tricks::estimate::implicit::VonMises;
    /// // More concentration draws an angle towards the mean.
    /// let z = |concentration: Var| VonMises { mean: concentration * 0.0, concentration }.through(concentration * 0.0 + 0.8);
    /// assert!(grad(z).call(&array(2.0))?.item::<f64>().unwrap() < -0.1);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn through(&self, angle: Var) -> Var {
        self.mean + implicit(angle, |z| self.cdf(z), |z| self.density(z))
    }
}

/// Nodes and weights of Gauss and Legendre on [0, 1], by Newton's method from the asymptotic places.
///
/// Source: W. H. Press, S. A. Teukolsky, W. T. Vetterling, B. P. Flannery, Numerical recipes, 3rd edition (2007), section 4.6.
fn gauss_legendre(n: usize) -> (Vec<f64>, Vec<f64>) {
    let node = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        // Six steps double the digits of a start that has three, with some to spare.
        for _ in 0..6 {
            let (mut before, mut here) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (before, here) = (here, ((2.0 * k - 1.0) * x * here - (k - 1.0) * before) / k);
            }
            slope = n as f64 * (x * here - before) / (x * x - 1.0);
            x -= here / slope;
        }
        (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).unzip()
}
