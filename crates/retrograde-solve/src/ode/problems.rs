//! Problems that the field compares integrators on: fields, starts, and what they conserve.
//!
//! First-order ones are fields `y → y'` for vectors; second-order ones are accelerations `q → q''`. Units are each problem's own.
//!
//! ```
//! use retrograde_core::trace::{Var, door::jit};
//! use retrograde_array::array;
//! use retrograde_solve::ode::{self, problems::{henon_heiles, henon_heiles_energy}};
//! let star = ode::yoshida6(henon_heiles).step(0.1);
//! let change = |q: Var, v: Var| {
//!     let (q1, v1) = star.run((q, v), 100).end();
//!     henon_heiles_energy(q1, v1) - henon_heiles_energy(q, v)
//! };
//! let change = jit(change).call((&array([0.3, -0.2]), &array([0.1, 0.25])))?;
//! assert!(change.item::<f64>().unwrap().abs() < 1e-7);
//! // Pointwise: the acceleration at (1, 0), and the energy of rest there.
//! assert_eq!(jit(|q: Var| henon_heiles(q)).call(&array([1.0, 0.0]))?, array([-1.0, -1.0]));
//! # Ok::<(), retrograde_core::trace::Error>(())
//! ```

use retrograde_array::{Array, array, map};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, stack};

/// The field of Lorenz's convection with σ = 10, ρ = 28, β = 8/3: chaotic (a small error grows like exp(0.9 t)) and contracting
/// (volumes shrink like exp(-13.7 t)).   y: `[3]` → `[3]`
///
/// Source: E. N. Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20 (1963) 130-141. Usual start: (1, 1, 1).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{self, problems::lorenz63};
/// let run = jit(|y: Var| ode::rk4(lorenz63).step(0.01).run(y, 100).end());
/// assert!(run.call(&array([1.0, 1.0, 1.0]))?.to_vec::<f64>().unwrap()[2] < 50.0);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn lorenz63(y: Var) -> Var {
    let [x, y, z] = [0, 1, 2].map(|i| y.index(0, i));
    stack(&[10.0 * (y - x), x * (28.0 - z) - y, x * y - (8.0 / 3.0) * z])
}

/// The field of Van der Pol's oscillator x'' = μ (1 - x²) x' - x, stiff for large μ.   y = (x, x'): `[2]` → `[2]`
///
/// Source: B. van der Pol, On relaxation-oscillations, Philosophical Magazine 2 (1926) 978-992. Usual start: (2, 0).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{self, problems::van_der_pol};
/// assert_eq!(jit(|y: Var| van_der_pol(5.0)(y)).call(&array([2.0, 1.0]))?, array([1.0, -17.0]));
/// let stiff = ode::rodas3(van_der_pol(1e3)).adaptive(1e-6, 1e-6);
/// let end = jit(|y: Var| stiff.run(y, 1.0).end()).call(&array([2.0, 0.0]))?;
/// assert!(end.to_vec::<f64>().unwrap()[0] > 1.99);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn van_der_pol(mu: f64) -> impl Fn(Var) -> Var + Copy {
    move |y| {
        let (x, v) = (y.index(0, 0), y.index(0, 1));
        stack(&[v, mu * (1.0 - x * x) * v - x])
    }
}

/// The field of Lotka and Volterra's prey x and predators y: x' = x (1 - y), y' = y (x - 1).   `[2]` → `[2]`
///
/// Conserves [`lotka_volterra_invariant`]. Source: A. J. Lotka, Analytical note on certain rhythmic relations in organic systems,
/// Proceedings of the National Academy of Sciences 6 (1920) 410-415.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{self, problems::{lotka_volterra, lotka_volterra_invariant}};
/// let herd = ode::rk4(lotka_volterra).step(0.01);
/// let change = |y: Var| lotka_volterra_invariant(herd.run(y, 500).end()) - lotka_volterra_invariant(y);
/// assert!(jit(change).call(&array([1.5, 0.8]))?.item::<f64>().unwrap().abs() < 1e-8);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn lotka_volterra(y: Var) -> Var {
    let (prey, predators) = (y.index(0, 0), y.index(0, 1));
    stack(&[prey * (1.0 - predators), predators * (prey - 1.0)])
}

/// x - ln x + y - ln y, which [`lotka_volterra`] conserves.   `[2]` → `[]`
#[track_caller]
pub fn lotka_volterra_invariant(y: Var) -> Var {
    (y - y.log()).sum()
}

/// The acceleration of oscillators of frequency 1 radian per unit of time: q'' = -q. The solution is q cos t + v sin t.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{self, problems::{harmonic_energy, harmonic_oscillator}};
/// let spring = ode::leapfrog(harmonic_oscillator).step(0.01);
/// let energy = |q: Var, v: Var| {
///     let (q, v) = spring.run((q, v), 10_000).end();
///     harmonic_energy(q, v)
/// };
/// let found = jit(energy).call((&array([1.0]), &array([0.0])))?.item::<f64>().unwrap();
/// assert!((found - 0.5).abs() < 1e-4, "{found}");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn harmonic_oscillator(q: Var) -> Var {
    -q
}

/// ½ Σ (v² + q²), the energy of [`harmonic_oscillator`].
#[track_caller]
pub fn harmonic_energy(q: Var, v: Var) -> Var {
    0.5 * (q * q + v * v).sum()
}

/// The acceleration of Hénon and Heiles' star in a galaxy; chaotic above an energy of about 1/8, unbound above 1/6.   q: `[2]` → `[2]`
///
/// Source: M. Hénon, C. Heiles, The applicability of the third integral of motion, Astronomical Journal 69 (1964) 73-79.
#[track_caller]
pub fn henon_heiles(q: Var) -> Var {
    let (x, y) = (q.index(0, 0), q.index(0, 1));
    stack(&[-x - 2.0 * x * y, -y - x * x + y * y])
}

/// ½ (v² + q²) + x² y - y³/3, the energy of [`henon_heiles`].   q, v: `[2]` → `[]`
#[track_caller]
pub fn henon_heiles_energy(q: Var, v: Var) -> Var {
    let (x, y) = (q.index(0, 0), q.index(0, 1));
    0.5 * (q * q + v * v).sum() + x * x * y - y * y * y / 3.0
}

/// Bodies that attract each other, at their start.
#[derive(Clone, Debug)]
pub struct Disc {
    /// `[3, n]`, the distance of the first planet is 1.
    pub positions: Array,
    /// `[3, n]`, a circular orbit at distance 1 takes 2π.
    pub velocities: Array,
    /// `[n]`, the sun has 1.
    pub masses: Array,
}

/// The square of the distance below which [`gravity`] weakens.
pub const SOFTENING_SQUARED: f64 = 1e-4;

/// A sun and n - 1 light planets on circles, a little out of the plane.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_solve::ode::{self, problems};
/// let disc = problems::planetary_disc(8);
/// let year = ode::leapfrog(problems::gravity(&disc.masses)).step(0.01);
/// let (x, _) = jit(|s: (Var, Var)| year.run(s, 628).end()).call(&(disc.positions, disc.velocities))?;
/// assert_eq!(x.shape()[..], [3, 8]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn planetary_disc(n: usize) -> Disc {
    let (mass, spacing) = if n <= 8 { (1e-6, 0.35) } else { (1e-9, 0.05) };
    let golden_angle = 2.399_963_229_728_653;
    let (mut x, mut v, mut m) = (vec![0.0; 3 * n], vec![0.0; 3 * n], vec![1.0; n]);
    for i in 1..n {
        let (radius, angle) = (1.0 + spacing * i as f64, golden_angle * i as f64);
        let (sin, cos, speed) = (map::sin_f64(angle), map::cos_f64(angle), (1.0 / radius).sqrt());
        (x[i], x[n + i], x[2 * n + i]) = (radius * cos, radius * sin, 0.01 * map::sin_f64(i as f64));
        (v[i], v[n + i]) = (-speed * sin, speed * cos);
        m[i] = mass * (1 + i % 3) as f64;
    }
    let matrix = |entries: Vec<f64>| {
        Array::new([3, n], entries).expect("3 n entries for 3 rows of n; this is a bug in retrograde")
    };
    Disc { positions: matrix(x), velocities: matrix(v), masses: array(m) }
}

/// The acceleration of bodies of these masses (`[n]`): Σⱼ mⱼ (xⱼ - xᵢ) / (|xⱼ - xᵢ|² + ε²)^(3/2).   x: `[3, n]` → `[3, n]`
pub fn gravity(masses: &Array) -> impl Fn(Var) -> Var + use<> {
    let masses = masses.clone();
    move |x| pull(x, constant(&masses))
}

/// [`gravity`] with masses that may be differentiated.   x: `[3, n]`, m: `[n]` → `[3, n]`
///
/// ```
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// use retrograde_solve::ode::problems::pull;
/// // Two bodies at distance 2: the first is pulled along x by m/4, so that is what a unit of the second mass adds.
/// let along_x = |x: Var, m: Var| pull(x, m).index(0, 0).index(0, 0);
/// let x = array([[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]);
/// let slope = grad(along_x).wrt::<1>().call((&x, &array([1.0, 3.0])))?.to_vec::<f64>().unwrap();
/// assert!(slope[0] == 0.0 && (slope[1] - 0.25).abs() < 1e-4);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn pull(x: Var, m: Var) -> Var {
    let n = m.shape().size();
    let pairs = [3, n, n];
    let d = x.broadcast(pairs, &[0, 2]) - x.broadcast(pairs, &[0, 1]);
    // One is added where i = j: there the distance is zero, and 1/ε³ would only add rounding errors to derivatives.
    let r2 = (d * d).sum_axes(&[0]) + SOFTENING_SQUARED + retrograde_core::trace::linalg::eye(x.dtype(), n);
    let pull = m.broadcast([n, n], &[1]) * (1.0 / (r2 * r2.sqrt()));
    (d * pull.broadcast(pairs, &[1, 2])).sum_axes(&[2])
}
