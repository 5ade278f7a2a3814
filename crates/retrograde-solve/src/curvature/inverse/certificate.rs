//! What an answer is worth: its predicted bias, its standard deviation, what it cost, and a test of it.

use super::Curvature;
use crate::curvature::Spectrum;
use crate::hotelling::Hotelling;

/// What a Hessian product costs in gradients. Forward over reverse mode doubles each operation of the gradient at most
/// (A. Griewank, A. Walther, Evaluating Derivatives, 2008, section 4.5); measured it is less.
pub(super) const PRODUCT_IN_GRADIENTS: f64 = 2.0;

/// What was spent, in passes over all examples: a product on b of n examples is b/n.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Cost {
    /// Gradients.
    pub gradients: f64,
    /// Products with curvature for the answer; those of one sweep with a gradient count here alone.
    pub products: f64,
    /// Products with curvature for the prediction: spectrum, preconditioner, growth of the second moment.
    pub measuring: f64,
}

impl Cost {
    /// In gradients, of which a product costs at most two.
    ///
    /// ```
    /// use retrograde_solve::curvature::Cost;
    /// assert_eq!(Cost { gradients: 1.0, products: 2.5, measuring: 20.0 }.in_gradients(), 46.0);
    /// ```
    pub fn in_gradients(&self) -> f64 {
        self.gradients + PRODUCT_IN_GRADIENTS * (self.products + self.measuring)
    }
}

/// What comes back with an answer.
///
/// Lengths are Euclidean and relative to the predicted limit, so that they do not depend on units of the loss.
#[derive(Clone, PartialEq, Debug)]
pub struct Certificate {
    /// What was solved, such as `(H + 0.01 I)⁻¹ g`. Damping is part of the question; no other setting is.
    pub question: String,
    /// Of what.
    pub curvature: Curvature,
    /// How, with its settings.
    pub method: String,
    /// ‖E x − x*‖ / ‖x*‖ predicted from the measured spectrum, at most; zero for a roulette.
    pub predicted_bias: f64,
    /// √(Σ Var xᵢ) / ‖x*‖ of the answer, the mean of independent chains; zero without draws, NaN for a single chain.
    pub standard_deviation: f64,
    /// The same of one chain.
    pub standard_deviation_of_a_chain: f64,
    /// What was spent.
    pub cost: Cost,
    /// The step size, in units of one over curvature; NaN where there is none.
    pub eta: f64,
    /// Steps of a chain; the mean number for a roulette.
    pub n_steps: f64,
    /// How many independent chains.
    pub n_chains: usize,
    /// Curvature along g, preconditioned and damped as it was solved; none for conjugate gradients, which measure it as they go.
    pub spectrum: Option<Spectrum>,
    /// Growth of the second moment in a step, for a roulette: estimated from norms.
    pub rho2: Option<f64>,
    /// Residuals of a solver.
    pub residuals: Vec<f64>,
    /// Whether the chains of a second run have the same mean, if asked for: the test says with which probability a difference
    /// like this one comes from chance.
    pub check: Option<Hotelling>,
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |x: f64| if x.is_nan() { "unknown".to_string() } else { format!("{:.2} %", 100.0 * x) };
        writeln!(f, "{} by {}", self.question, self.method)?;
        writeln!(f, "  predicted bias      {}", percent(self.predicted_bias))?;
        writeln!(f, "  standard deviation  {}", percent(self.standard_deviation))?;
        write!(f, "  cost                {:.1} gradients", self.cost.in_gradients())?;
        if let Some(check) = &self.check {
            write!(f, "\n  second run          p = {:.3}", check.p)?;
        }
        Ok(())
    }
}
