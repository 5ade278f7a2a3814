//! A run that is taken step by step, put away between two of them, and taken up again to the same bits.

use retrograde_array::Array;
use retrograde_core::trace::function::Traceable;

use super::memory::{Memory, Remembered, count, list};
use super::run::{Limits, Progress, Run, Stop};
use super::{FiniteSum, FiniteSumError, Iteration, Method};

/// What the names of a method's own arrays begin with.
const OF_METHOD: &str = "method.";

/// A run between two steps.
pub struct Descent<'a> {
    run: Run<'a>,
    iteration: Box<dyn Iteration>,
}

impl std::fmt::Debug for Descent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Descent").field("run", &self.run).finish()
    }
}

impl Descent<'_> {
    /// Takes a step; says whether it was the last, and why.
    ///
    /// # Errors
    /// See [`FiniteSum::minimise`].
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, Lbfgs, Limits, Stop};
    /// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// let mut descent = problem.begin(&Lbfgs::default(), Limits::default(), &array(0.0))?;
    /// let stop = loop {
    ///     if let Some(stop) = descent.step()? {
    ///         break stop;
    ///     }
    /// };
    /// assert_eq!((stop, descent.progress().w), (Stop::Tolerance, &[3.0][..])); // the mean
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn step(&mut self) -> Result<Option<Stop>, FiniteSumError> {
        self.iteration.step(&mut self.run)
    }

    /// Counts gradients of an example that were spent beside the steps, such as on finding a rate.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Svrg};
    /// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// let mut descent = problem.begin(&Svrg::default(), Limits::default(), &array(0.0))?;
    /// descent.charge(3);
    /// assert_eq!(descent.progress().passes, 1.0);
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn charge(&mut self, n_gradients: usize) {
        self.run.charge(n_gradients);
    }

    /// Where the run is.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, Lbfgs, Limits};
    /// let problem = FiniteSum::of_loss(array(0.5), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// let descent = problem.begin(&Lbfgs::default(), Limits::default(), &array(0.5))?;
    /// let progress = descent.progress();
    /// assert_eq!((progress.n_steps, progress.passes, progress.w), (0, 1.0, &[0.5][..])); // the first gradient
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn progress(&self) -> Progress<'_> {
        self.run.progress()
    }

    /// What the next steps depend on, beside the sum, the method and the limits: with it [`FiniteSum::resume`] goes on to the same bits.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, HessianFree, Limits};
    /// let problem = FiniteSum::of_loss(array(0.5), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// let memory = problem.begin(&HessianFree::default(), Limits::default(), &array(0.5))?.memory();
    /// let names: Vec<&str> = memory.iter().map(|(name, _)| name.as_str()).collect();
    /// assert_eq!(names, ["w", "spent", "n_steps", "method.damping", "method.value", "method.g"]);
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn memory(&self) -> Memory {
        let Progress { n_steps, w, .. } = self.progress();
        let mut memory = vec![list("w", w), count("spent", self.run.spent()), count("n_steps", n_steps)];
        let own = self.iteration.memory().into_iter();
        memory.extend(own.map(|(name, array)| (format!("{OF_METHOD}{name}"), array)));
        memory
    }
}

impl<P: Traceable> FiniteSum<P> {
    /// A run of a method from some parameters, to be taken step by step.
    ///
    /// # Errors
    /// See [`FiniteSum::minimise`]; a tree unlike the start.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, rng::{Key, normal}};
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, StochasticNewton};
    /// let (x, start) = (normal(Key::from_seed(1), [90, 3]), Array::zeros(DType::F64, [3]));
    /// let model = |w: Var, x: Var| (x * w).sum();
    /// let problem = FiniteSum::new(start.clone(), x, model, |z: Var, _: Var| (z.exp() - 0.5 * z))?.l2(1e-3)?;
    /// let (method, limits) = (StochasticNewton::default(), Limits::default());
    /// let mut straight = problem.begin(&method, limits, &start)?;
    /// straight.step()?;
    /// // Put away after the first step, and taken up again: the second goes to the same place.
    /// let mut resumed = problem.resume(&method, limits, &straight.memory())?;
    /// straight.step()?;
    /// resumed.step()?;
    /// assert_eq!(resumed.progress(), straight.progress());
    /// assert_eq!(resumed.progress().n_steps, 2);
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    #[track_caller]
    pub fn begin(
        &self,
        method: &dyn Method,
        limits: Limits,
        from: &P::Arrays,
    ) -> Result<Descent<'_>, FiniteSumError> {
        let mut run = Run::new(self.problem(), self.flat(from)?, limits)?;
        let iteration = method.begin(&mut run, None)?;
        Ok(Descent { run, iteration })
    }

    /// A run where it was when [`Descent::memory`] was taken. The sum, the method and the limits must be those that it began with.
    ///
    /// # Errors
    /// Memory of another method or of another sum, as far as names and shapes tell.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, HessianFree, Limits, Svrg};
    /// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// let of_svrg = problem.begin(&Svrg::default(), Limits::default(), &array(0.0))?.memory();
    /// assert!(problem.resume(&Svrg::default(), Limits::default(), &of_svrg).is_ok());
    /// let error = problem.resume(&HessianFree::default(), Limits::default(), &of_svrg).unwrap_err();
    /// assert!(error.to_string().starts_with("finite sum: found nothing under `damping` in the memory of a run"));
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn resume(
        &self,
        method: &dyn Method,
        limits: Limits,
        memory: &[(String, Array)],
    ) -> Result<Descent<'_>, FiniteSumError> {
        let remembered = Remembered(memory);
        let w = remembered.list("w", self.problem().n_parameters())?;
        let (spent, n_steps) = (remembered.count("spent")?, remembered.count("n_steps")?);
        let mut run = Run::resumed(self.problem(), w, limits, spent, n_steps)?;
        let own = memory.iter().filter_map(|(name, array)| Some((name.strip_prefix(OF_METHOD)?, array)));
        let own: Memory = own.map(|(name, array)| (name.to_owned(), array.clone())).collect();
        let iteration = method.begin(&mut run, Some(Remembered(&own)))?;
        Ok(Descent { run, iteration })
    }
}
