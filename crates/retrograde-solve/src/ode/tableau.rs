//! Explicit Runge–Kutta methods by their coefficients, alone or as embedded pairs.

use retrograde_core::trace::Var;

use super::method::{Facts, Field, Method, Step};

/// An explicit Runge–Kutta method: `k_i = f(y + h Σ_j a_ij k_j)`, then `y += h Σ_i b_i k_i`.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{Facts, FirstOrder, HEUN, Tableau};
/// // A method of one's own: Ralston's, the second-order one of two stages with the least error.
/// let facts = Facts { name: "ralston", cite: "A. Ralston, Mathematics of Computation 16 (1962) 431-437", ..HEUN.facts };
/// let ralston = Tableau { facts, a: &[&[], &[2.0 / 3.0]], b: &[0.25, 0.75] };
/// let decay = FirstOrder::new(ralston, |y: Var| -y).step(0.01);
/// let end = jit(|y: Var| decay.run(y, 100).end()).call(&array(1.0))?;
/// assert!((end.item::<f64>().unwrap() - (-1f64).exp()).abs() < 1e-5);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tableau {
    /// What it declares.
    pub facts: Facts,
    /// Row i has the i coefficients of stage i.
    pub a: &'static [&'static [f64]],
    /// The weight of each stage.
    pub b: &'static [f64],
}

impl Tableau {
    /// The rates k at all stages; `first` is the rate at y where it is known.
    pub(super) fn stages(
        &self,
        field: &Field<'_>,
        y: &[Var],
        first: Option<&[Var]>,
        h: Step,
    ) -> Vec<Vec<Var>> {
        let mut k: Vec<Vec<Var>> = first.map(<[Var]>::to_vec).into_iter().collect();
        for row in &self.a[k.len()..] {
            let at = moved(field, y, row, &k, h);
            k.push(field.at(&at));
        }
        k
    }
}

impl Method for Tableau {
    fn facts(&self) -> Facts {
        self.facts
    }
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        let h = Step::Given(h);
        let k = self.stages(field, &y, None, h);
        moved(field, &y, self.b, &k, h)
    }
}

/// y + h Σ_j w_j k_j
fn moved(field: &Field<'_>, y: &[Var], weights: &[f64], k: &[Vec<Var>], h: Step) -> Vec<Var> {
    let move_leaf = |i: usize| match weighted(weights, k, i, h) {
        Some(change) => y[i] + change,
        None => y[i],
    };
    field.own(|| (0..y.len()).map(move_leaf).collect())
}

/// h Σ_j w_j k_j for leaf i; zero weights cost nothing.
fn weighted(weights: &[f64], k: &[Vec<Var>], i: usize, h: Step) -> Option<Var> {
    let terms = weights.iter().zip(k).filter(|(w, _)| **w != 0.0);
    terms.map(|(&w, k)| h.times(w, k[i])).reduce(|sum, term| sum + term)
}

/// An explicit Runge–Kutta method whose last stage is the rate after the step, with an estimate of the error and an interpolant.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The method that goes on; the last row of `a` is `b`.
    pub tableau: Tableau,
    /// The estimate of the error is `h Σ_i e_i k_i`.
    pub error: &'static [f64],
    /// `y(θ) = y + h Σ_i b_i(θ) k_i` within a step, θ from 0 to 1.
    pub dense: Dense,
}

/// Interpolation within a step.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    /// The error at a point within one step falls like h to this power plus one.
    pub order: u32,
    /// Polynomials in θ without constant term, lowest power first.
    pub polynomials: &'static [&'static [f64]],
}

/// A step that may be taken.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The leaves after it.
    pub next: Vec<Var>,
    /// The rates there.
    pub rate: Vec<Var>,
    /// An estimate of its error.
    pub error: Vec<Var>,
    /// Within it, y(θ) = y + Σ_i p_i(θ) parts_i, with the polynomials of [`Embedded::dense`].
    pub parts: Vec<Vec<Var>>,
}

/// A method that estimates the error of its steps, so that they may be adaptive.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{BOSH3, Dense, Embedded, Facts, Field, FirstOrder, Method, Trial};
/// /// Bosh3 with an estimate ten times as large.
/// struct Careful;
/// impl Method for Careful {
///     fn facts(&self) -> Facts {
///         Facts { name: "careful", ..BOSH3.facts() }
///     }
///     fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
///         BOSH3.step(field, y, h)
///     }
/// }
/// impl Embedded for Careful {
///     fn error_order(&self) -> u32 {
///         BOSH3.error_order()
///     }
///     fn dense(&self) -> Dense {
///         BOSH3.dense()
///     }
///     fn trial(&self, field: &Field<'_>, y: &[Var], rate: &[Var], h: Var) -> Trial {
///         let trial = BOSH3.trial(field, y, rate, h);
///         let error = field.own(|| trial.error.iter().map(|error| 10.0 * *error).collect());
///         Trial { error, ..trial }
///     }
/// }
/// let decay = FirstOrder::new(Careful, |y: Var| -y).adaptive(1e-6, 1e-6);
/// let end = jit(|y: Var| decay.run(y, 1.0).end()).call(&array(1.0))?;
/// assert!((end.item::<f64>().unwrap() - (-1f64).exp()).abs() < 1e-6);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Embedded: Method {
    /// The order of the estimate: it falls like h to this power plus one.
    fn error_order(&self) -> u32;
    /// Interpolation within a step.
    fn dense(&self) -> Dense;
    /// A step of size `h` (`f64[]`) from leaves `y` where the rates are `rate`.
    fn trial(&self, field: &Field<'_>, y: &[Var], rate: &[Var], h: Var) -> Trial;
}

impl Method for Pair {
    fn facts(&self) -> Facts {
        self.tableau.facts
    }
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
        self.tableau.step(field, y, h)
    }
}

impl Embedded for Pair {
    fn error_order(&self) -> u32 {
        self.tableau.facts.order - 1
    }
    fn dense(&self) -> Dense {
        self.dense
    }
    fn trial(&self, field: &Field<'_>, y: &[Var], rate: &[Var], h: Var) -> Trial {
        let (t, h) = (&self.tableau, Step::Chosen(h));
        let k = t.stages(field, y, Some(rate), h);
        let next = moved(field, y, t.b, &k, h);
        let (error, parts) = field.own(|| {
            let error = (0..y.len()).map(|i| weighted(self.error, &k, i, h).unwrap_or(y[i])).collect();
            let parts = k.iter().map(|k| k.iter().map(|k| h.times(1.0, *k)).collect()).collect();
            (error, parts)
        });
        Trial { next, rate: k[k.len() - 1].clone(), error, parts }
    }
}
