//! `F(w) = (1/n) Σᵢ ℓ(m(w, xᵢ), xᵢ) + (λ/2)|w|²` as values, gradients and products with its curvature.

use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;

use retrograde_array::rng::{Key, random_bits};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::ir::{Location, Type};
use retrograde_core::tape::TapeReport;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{HvpDoor, Jit, ValueAndGrad};
use retrograde_core::trace::function::{Traceable, expect_like};
use retrograde_core::trace::tree;
use retrograde_engine::{hvp, jit, value_and_grad};

use super::preconditioner::curvature_bound;
use super::run::{Limits, Minimum, Progress, Stop};
use super::traced::{OfExample, Traced, unflattened};
use super::{FiniteSumError, Method};

/// The leaves of some examples: each with one entry per example along its first axis.
pub(super) type Examples = Vec<Array>;

type Summed = Box<dyn Fn(Var, Vec<Var>) -> Var>;
type WithVector = Box<dyn Fn(Var, Vec<Var>, Var) -> Var>;
type WithMore = Box<dyn Fn(Var, Vec<Var>, Vec<Var>) -> Var>;

/// How wide the parts of a linear recursion are; see [`Problem::recursion`].
#[derive(Clone, Debug)]
pub(super) struct Recursion<'a> {
    /// Rows of examples, one batch for each step.
    pub(super) batches: &'a [Vec<usize>],
    /// What each iterate counts in the mean.
    pub(super) weights: Vec<f64>,
    pub(super) eta: f64,
    pub(super) beta: f64,
    /// P = base I + D diag(gains) Dᵀ.
    pub(super) base: f64,
    /// `[d, r]`.
    pub(super) directions: &'a Array,
    pub(super) gains: &'a [f64],
}

/// A finite sum over flat parameters, with its compiled programs: what methods see.
///
/// Parameters are a vector w of d numbers, `f64`; examples are numbered from 0 to n − 1.
pub struct Problem {
    n: usize,
    d: usize,
    l2: f64,
    data: Examples,
    traced: Rc<Traced>,
    gradient: ValueAndGrad<Summed, (Var, Vec<Var>)>,
    product: HvpDoor<Summed, (Var, Vec<Var>)>,
    gauss_newton: Jit<WithVector, (Var, Vec<Var>, Var)>,
    loss_curvature: Jit<Summed, (Var, Vec<Var>)>,
    pulled_back: Jit<WithVector, (Var, Vec<Var>, Var)>,
    gradients: Jit<Summed, (Var, Vec<Var>)>,
    hessian: Jit<Summed, (Var, Vec<Var>)>,
    recursion: Jit<WithMore, (Var, Vec<Var>, Vec<Var>)>,
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem").field("n", &self.n).field("d", &self.d).field("l2", &self.l2).finish()
    }
}

impl Problem {
    fn new(traced: Traced, data: Examples, n: usize, d: usize) -> Problem {
        let traced = Rc::new(traced);
        let with = |f: fn(&Traced, Var, Vec<Var>) -> Var| {
            let traced = traced.clone();
            Box::new(move |w: Var, x: Vec<Var>| f(&traced, w, x)) as Summed
        };
        let with_vector = |f: fn(&Traced, Var, Vec<Var>, Var) -> Var| {
            let traced = traced.clone();
            Box::new(move |w: Var, x: Vec<Var>, v: Var| f(&traced, w, x, v)) as WithVector
        };
        let loop_of = traced.clone();
        let looped =
            Box::new(move |w: Var, x: Vec<Var>, more: Vec<Var>| loop_of.recursion(w, x, more)) as WithMore;
        Problem {
            n,
            d,
            l2: 0.0,
            data,
            gradient: value_and_grad(with(Traced::sum)),
            product: hvp(with(Traced::sum)),
            gauss_newton: jit(with_vector(Traced::gauss_newton)),
            loss_curvature: jit(with(Traced::loss_curvature)),
            pulled_back: jit(with_vector(Traced::pulled_back)),
            gradients: jit(with(Traced::gradients)),
            hessian: jit(with(Traced::hessian)),
            recursion: jit(looped),
            traced,
        }
    }

    /// n.
    pub fn n_examples(&self) -> usize {
        self.n
    }
    /// d.
    pub fn n_parameters(&self) -> usize {
        self.d
    }
    /// λ.
    pub fn l2(&self) -> f64 {
        self.l2
    }
    pub(super) fn data(&self) -> &Examples {
        &self.data
    }
    pub(super) fn traced(&self) -> Rc<Traced> {
        self.traced.clone()
    }
    /// Some examples, in this order.
    pub(super) fn rows(&self, places: &[usize]) -> Result<Examples, FiniteSumError> {
        let places = positions(places);
        self.data.iter().map(|leaf| Ok(ops::gather(leaf, &places, 0, 0)?)).collect()
    }
    /// Σ ℓ and Σ ∇ℓ over some examples, without the penalty.
    pub(super) fn sums(&self, w: &Array, examples: &Examples) -> Result<(f64, Vec<f64>), FiniteSumError> {
        let (value, slope) = self.gradient.call((w, examples))?;
        Ok((value.item::<f64>().unwrap_or(f64::NAN), numbers(&slope)))
    }
    /// Σ ∇²ℓ v, without the penalty.
    pub(super) fn product(&self, w: &Array, examples: &Examples, v: &Array) -> Result<Array, FiniteSumError> {
        Ok(self.product.call((w, examples), v)?)
    }
    /// Σ Jᵀ ∇²ℓ J v, without the penalty; the Hessian's where the loss was given in one piece.
    pub(super) fn gauss_newton(
        &self,
        w: &Array,
        examples: &Examples,
        v: &Array,
    ) -> Result<Array, FiniteSumError> {
        Ok(self.gauss_newton.call((w, examples, v))?)
    }
    /// Each example's ∇ℓ, `[b, d]`, without the penalty.
    pub(super) fn gradients(&self, w: &Array, examples: &Examples) -> Result<Array, FiniteSumError> {
        Ok(self.gradients.call((w, examples))?)
    }
    /// The mean curvature of some examples without the penalty, and what it costs in gradients of an example.
    ///
    /// With a model: rows A with E AᵀA = Σ Jᵀ ∇²ℓ J, one for each example; where ∇²ℓ is one number they are its root times J, and
    /// nothing is random. Else the matrix itself, for d products.
    pub(super) fn curvature(
        &self,
        w: &Array,
        examples: &Examples,
        key: Key,
    ) -> Result<(Curvature, usize), FiniteSumError> {
        let b = examples[0].shape()[0];
        if !self.traced.split {
            let matrix = self.hessian.call((w, examples))?;
            return Ok((Curvature::Matrix { sum: matrix, n_examples: b }, b * self.d));
        }
        let curvature = self.loss_curvature.call((w, examples))?;
        let k = curvature.shape()[1];
        let roots = roots(&numbers(&curvature), b, k, key);
        let u = Array::new([b, k], roots).expect("a root for each output");
        Ok((Curvature::Rows(self.pulled_back.call((w, examples, &u))?), b))
    }
    /// K steps towards (H + λ)⁻¹ g by products over batches, with a preconditioner of low rank.
    pub(super) fn recursion(
        &self,
        w: &Array,
        g: &[f64],
        steps: &Recursion<'_>,
    ) -> Result<Vec<f64>, FiniteSumError> {
        let (n_steps, b) = (steps.batches.len(), steps.batches[0].len());
        let flat: Vec<usize> = steps.batches.iter().flatten().copied().collect();
        let batches = positions(&flat).reshaped([n_steps, b])?;
        let vector = |v: &[f64]| Array::vector(v.to_vec());
        let more = vec![
            batches,
            vector(&steps.weights),
            vector(g),
            array(steps.eta),
            array(steps.beta),
            array(self.l2),
            array(steps.base),
            steps.directions.clone(),
            vector(steps.gains),
        ];
        Ok(numbers(&self.recursion.call((w, &self.data, &more))?))
    }
}

/// The curvature of a batch of examples, without the penalty.
#[derive(Clone, Debug)]
pub(super) enum Curvature {
    /// A of AᵀA, one row for each example.
    Rows(Array),
    /// The matrix, summed.
    Matrix { sum: Array, n_examples: usize },
}

/// For each k × k matrix C a vector u with E uuᵀ = C: its Cholesky factor times random signs, where C is not negative.
///
/// A pivot that is not positive counts as zero, so that matrices of less than full rank such as that of a softmax have a factor.
fn roots(matrices: &[f64], b: usize, k: usize, key: Key) -> Vec<f64> {
    if k == 1 {
        return matrices.iter().map(|c| c.max(0.0).sqrt()).collect();
    }
    let signs = random_bits(key, b * k);
    let mut all = Vec::with_capacity(b * k);
    for (i, matrix) in matrices.chunks(k * k).enumerate() {
        let (mut rest, mut u) = (matrix.to_vec(), vec![0.0; k]);
        let largest = (0..k).map(|j| matrix[j * k + j]).fold(0.0, f64::max);
        for j in 0..k {
            let pivot = rest[j * k + j];
            // What rounding leaves of a pivot that is zero is no root.
            if pivot <= k as f64 * f64::EPSILON * largest {
                continue;
            }
            let column: Vec<f64> = (0..k).map(|r| rest[r * k + j] / pivot.sqrt()).collect();
            let sign = if signs[i * k + j] & 1 == 0 { 1.0 } else { -1.0 };
            for r in 0..k {
                u[r] += sign * if r < j { 0.0 } else { column[r] };
                for c in 0..k {
                    rest[r * k + c] -= column[r] * column[c];
                }
            }
        }
        all.extend(u);
    }
    all
}

pub(super) fn positions(places: &[usize]) -> Array {
    Array::vector(places.iter().map(|&i| i as i64).collect::<Vec<_>>())
}

pub(super) fn numbers(array: &Array) -> Vec<f64> {
    array.to_vec::<f64>().expect("vectors of a problem are f64; this is a bug in retrograde")
}

/// A mean of losses over examples and a penalty on the parameters, `F(w) = (1/n) Σᵢ ℓ(m(w, xᵢ), xᵢ) + (λ/2)|w|²`.
///
/// `P` is any tree of floating-point parameters, the data any tree whose arrays have one entry per example along the first axis.
/// The functions see one example. Where the model m and the loss ℓ are given apart, curvature is that of Gauss and Newton,
/// Jᵀ ∇²ℓ J, which is not negative where ℓ is convex, and costs one gradient per example; else it is the Hessian, at d products.
///
/// Programs are compiled at their first use, for each number of examples that occurs, and kept: a second run of the same
/// method compiles nothing.
///
/// ```
/// use std::ops::ControlFlow;
/// use retrograde_array::{Array, array, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, var::constant};
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Stop, StochasticNewton};
/// // Logistic regression; labels are -1 and 1.
/// let pixels = normal(Key::from_seed(1), [200, 3]);
/// let labels = Array::vector((0..200).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect::<Vec<_>>());
/// let model = |w: Var, (x, _): (Var, Var)| x.dot(w);
/// let loss = |z: Var, (_, label): (Var, Var)| (-(label * z)).exp().log1p();
/// let problem = FiniteSum::new(array([0.0, 0.0, 0.0]), (pixels, labels), model, loss)?.l2(1e-3)?;
/// assert_eq!((problem.problem().n_examples(), problem.problem().n_parameters(), problem.problem().l2()), (200, 3, 1e-3));
/// let limits = Limits { tolerance: 1e-10, ..Limits::default() };
/// let found = problem.minimise(&StochasticNewton::default(), limits)?;
/// assert_eq!(found.stop, Stop::Tolerance);
/// // The gradient is zero there.
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.to_vec::<f64>().unwrap().iter().all(|g| g.abs() < 1e-5));
/// // From there, watched, it is at the goal at once; and a run ends where the watcher says so.
/// let stopped = problem.observe(&StochasticNewton::default(), limits, &found.parameters, &mut |progress| {
///     assert!(progress.passes > 0.0 && progress.w.len() == 3);
///     ControlFlow::Break(())
/// })?;
/// assert_eq!((stopped.stop, stopped.n_steps), (Stop::Observer, 1));
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
pub struct FiniteSum<P: Traceable> {
    start: P::Arrays,
    types: Vec<Type>,
    problem: Problem,
    location: Location,
}

impl<P: Traceable> fmt::Debug for FiniteSum<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FiniteSum").field("problem", &self.problem).finish()
    }
}

impl<P: Traceable> FiniteSum<P> {
    /// With a model m and a loss ℓ of its outputs. `start` is where methods begin.
    ///
    /// # Errors
    /// Data without examples or of unequal lengths; parameters that are not floating-point.
    #[track_caller]
    pub fn new<X: Traceable>(
        start: P::Arrays,
        data: X::Arrays,
        model: impl Fn(P, X) -> Var + 'static,
        loss: impl Fn(Var, X) -> Var + 'static,
    ) -> Result<Self, FiniteSumError> {
        Self::of_parts::<X>(start, data, model, Some(loss))
    }

    /// With a loss of parameters and example in one piece.
    ///
    /// # Errors
    /// See [`FiniteSum::new`].
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, NewtonCg};
    /// let squared = |w: Var, x: Var| (w - x) * (w - x);
    /// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), squared)?;
    /// let found = problem.minimise(&NewtonCg::default(), Limits::default())?;
    /// assert!((found.parameters.item::<f64>().unwrap() - 3.0).abs() < 1e-9); // the mean
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    #[track_caller]
    pub fn of_loss<X: Traceable>(
        start: P::Arrays,
        data: X::Arrays,
        loss: impl Fn(P, X) -> Var + 'static,
    ) -> Result<Self, FiniteSumError> {
        Self::of_parts::<X>(start, data, loss, None::<fn(Var, X) -> Var>)
    }

    #[track_caller]
    fn of_parts<X: Traceable>(
        start: P::Arrays,
        data: X::Arrays,
        model: impl Fn(P, X) -> Var + 'static,
        loss: Option<impl Fn(Var, X) -> Var + 'static>,
    ) -> Result<Self, FiniteSumError> {
        let location = Location(std::panic::Location::caller());
        let (leaves, examples) = (tree::leaves(&start), tree::leaves(&data));
        if let Some((path, leaf)) = leaves.iter().find(|(_, leaf)| !leaf.dtype().is_float()) {
            let (path, found) = (path.clone(), Type::of(leaf).to_string());
            return Err(FiniteSumError::NotFloating { path, found });
        }
        let types: Vec<Type> = leaves.iter().map(|(_, leaf)| Type::of(leaf)).collect();
        let d = types.iter().map(|ty| ty.shape.size()).sum();
        let Some(n) = examples.first().map(|(_, leaf)| leaf.shape().first().copied().unwrap_or(0)) else {
            return Err(FiniteSumError::Empty { what: "data" });
        };
        if let Some((path, leaf)) = examples.iter().find(|(_, leaf)| leaf.shape().first() != Some(&n)) {
            let (path, found) = (path.clone(), Type::of(leaf).to_string());
            return Err(FiniteSumError::UnequalLengths { path, found, expected: n });
        }
        if n == 0 || d == 0 {
            return Err(FiniteSumError::Empty { what: if n == 0 { "data" } else { "parameters" } });
        }
        // One example, for the structure of its tree alone.
        let like = Rc::new(X::map_arrays(&data, &mut |leaf| leaf.row(0)));
        let tree_of_example = move |x: &[Var]| {
            let mut next = x.iter();
            X::from_arrays(&like, &mut |_| {
                *next.next().expect("one value per leaf; this is a bug in retrograde")
            })
        };
        let tree_of_example = Rc::new(tree_of_example);
        let parameters = Rc::new(P::map_arrays(&start, &mut Array::clone));
        let of_example = tree_of_example.clone();
        let outputs: OfExample =
            Box::new(move |w: Var, x: &[Var]| model(unflattened::<P>(&parameters, w), of_example(x)));
        let split = loss.is_some();
        let loss: OfExample = match loss {
            Some(loss) => Box::new(move |z: Var, x: &[Var]| loss(z, tree_of_example(x))),
            None => Box::new(|z: Var, _: &[Var]| z),
        };
        let traced = Traced { outputs, loss, split, location };
        let data = examples.into_iter().map(|(_, leaf)| leaf).collect();
        Ok(FiniteSum { start, types, problem: Problem::new(traced, data, n, d), location })
    }

    /// With the penalty (λ/2)|w|², over all parameters; 0 until said otherwise.
    ///
    /// # Errors
    /// A λ that is negative or not finite.
    pub fn l2(mut self, lambda: f64) -> Result<Self, FiniteSumError> {
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return Err(FiniteSumError::Setting {
                setting: "l2",
                found: lambda,
                expected: "a finite number that is not negative".into(),
            });
        }
        self.problem.l2 = lambda;
        Ok(self)
    }

    /// The sum over flat parameters: what methods work on.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// F and its gradient over all examples.
    ///
    /// # Errors
    /// Mistakes in the functions; a tree unlike the start.
    #[track_caller]
    pub fn value_and_gradient(&self, parameters: &P::Arrays) -> Result<(f64, P::Arrays), FiniteSumError> {
        let w = self.flat(parameters)?;
        let (value, mut slope) = self.problem.sums(&Array::vector(w.clone()), &self.problem.data)?;
        let (n, l2) = (self.problem.n as f64, self.problem.l2);
        slope.iter_mut().zip(&w).for_each(|(g, w)| *g = *g / n + l2 * w);
        let square: f64 = w.iter().map(|w| w * w).sum();
        Ok((value / n + 0.5 * l2 * square, self.tree(&slope)))
    }

    /// Each example's gradient, without the penalty, in one program: `[n, d]` with the parameters in the order of their leaves.
    ///
    /// # Errors
    /// See [`FiniteSum::value_and_gradient`].
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::FiniteSum;
    /// let problem = FiniteSum::of_loss(array(1.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
    /// assert_eq!(problem.example_gradients(&array(1.0))?, array([[0.0], [-1.0], [-5.0]]));
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    #[track_caller]
    pub fn example_gradients(&self, parameters: &P::Arrays) -> Result<Array, FiniteSumError> {
        self.problem.gradients(&Array::vector(self.flat(parameters)?), &self.problem.data)
    }

    /// Runs a method from the start.
    ///
    /// # Errors
    /// Mistakes in the functions; values that are not finite; settings that do not fit the data.
    #[track_caller]
    pub fn minimise(
        &self,
        method: &dyn Method,
        limits: Limits,
    ) -> Result<Minimum<P::Arrays>, FiniteSumError> {
        self.observe(method, limits, &self.start, &mut |_| ControlFlow::Continue(()))
    }

    /// Runs a method from some parameters; `observer` sees each of its steps and may end it.
    ///
    /// # Errors
    /// See [`FiniteSum::minimise`]; a tree unlike the start.
    #[track_caller]
    pub fn observe(
        &self,
        method: &dyn Method,
        limits: Limits,
        from: &P::Arrays,
        observer: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Minimum<P::Arrays>, FiniteSumError> {
        let mut descent = self.begin(method, limits, from)?;
        loop {
            let n_before = descent.progress().n_steps;
            let mut stop = descent.step()?;
            let Progress { n_steps, passes, w } = descent.progress();
            if n_steps > n_before && observer(&descent.progress()).is_break() {
                stop = Some(Stop::Observer);
            }
            if let Some(stop) = stop {
                return Ok(Minimum { parameters: self.tree(w), passes, n_steps, stop });
            }
        }
    }

    /// The largest trace of the curvature of one example, by which rates of steps by single examples are chosen: none is larger than one
    /// over it. Of several outputs a draw of that mean; of a loss in one piece the mean trace.
    ///
    /// # Errors
    /// See [`FiniteSum::value_and_gradient`].
    /// # Cost
    /// A gradient of each example, d for a loss in one piece.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::FiniteSum;
    /// let model = |w: Var, x: Var| w * x;
    /// let squared = |z: Var, _: Var| 0.5 * (z - 1.0) * (z - 1.0);
    /// let problem = FiniteSum::new(array(0.0), array([1.0, 3.0, -2.0]), model, squared)?;
    /// assert_eq!(problem.largest_curvature(&array(0.0))?, 9.0); // x²
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    #[track_caller]
    pub fn largest_curvature(&self, parameters: &P::Arrays) -> Result<f64, FiniteSumError> {
        /// Rows that are held at once, and numbers in them: 128 MiB.
        const AT_ONCE: (usize, usize) = (256, 1 << 24);
        let at_once = (AT_ONCE.1 / self.problem.d).clamp(1, AT_ONCE.0);
        let w = Array::vector(self.flat(parameters)?);
        let mut largest: f64 = 0.0;
        for start in (0..self.problem.n).step_by(at_once) {
            let end = (start + at_once).min(self.problem.n);
            let examples = super::part(&self.problem.data, start..end);
            let (curvature, _) = self.problem.curvature(&w, &examples, Key::from_seed(start as u64))?;
            largest = largest.max(curvature_bound(&curvature));
        }
        Ok(largest)
    }

    /// What the tape of the last gradient over some examples held.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::FiniteSum;
    /// let problem = FiniteSum::of_loss(array(1.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| (w - x).sin())?;
    /// problem.value_and_gradient(&array(1.0))?;
    /// assert!(problem.last_tape().tape_bytes() >= 24); // three numbers
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn last_tape(&self) -> TapeReport {
        self.problem.gradient.last_tape()
    }

    /// The parameters of a vector as [`Progress::w`] gives it.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::update::finite_sum::FiniteSum;
    /// let line = |(slope, height): (Var, Var), (x, y): (Var, Var)| (slope * x + height - y).powi(2);
    /// let problem = FiniteSum::of_loss((array(0.0), array(0.0)), (array([1.0, 2.0]), array([3.0, 5.0])), line)?;
    /// assert_eq!(problem.tree(&[2.0, 1.0]), (array(2.0), array(1.0)));
    /// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
    /// ```
    pub fn tree(&self, w: &[f64]) -> P::Arrays {
        let (mut rest, mut types) = (w, self.types.iter());
        P::map_arrays(&self.start, &mut |_| {
            let ty = types.next().expect("one type per leaf; this is a bug in retrograde");
            let (own, after) = rest.split_at(ty.shape.size());
            rest = after;
            let leaf = Array::new(ty.shape.clone(), own.to_vec()).expect("as many numbers as entries");
            if ty.dtype == DType::F64 { leaf } else { ops::convert(&leaf, ty.dtype) }
        })
    }

    #[track_caller]
    pub(super) fn flat(&self, parameters: &P::Arrays) -> Result<Vec<f64>, FiniteSumError> {
        let leaves = expect_like("parameters", parameters, "start", &self.start, self.location)?;
        Ok(leaves.iter().flat_map(|leaf| numbers(&ops::convert(leaf, DType::F64))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::finite_sum::preconditioner::{LowRankInverse, SubsampledInverse};
    use crate::update::finite_sum::run::vector;
    use crate::update::finite_sum::test_problem::logistic;
    use retrograde_array::rng::normal;
    use retrograde_core::trace::var::{constant, stack};
    use retrograde_engine::{hessian, jacobian};
    use retrograde_solve::hotelling::hotelling;

    fn far(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    /// Two outputs of three parameters, and a loss that couples them.
    fn outputs(w: Var, x: Var) -> Var {
        stack(&[(w * x).sum().tanh(), (w * w * x).sum()])
    }
    fn loss(z: Var, x: Var) -> Var {
        z.logsumexp(&[0]) + 0.1 * z.index(0, 0) * x.index(0, 0)
    }

    #[test]
    fn products_of_gauss_and_newton_are_those_of_jacobians() {
        let data = normal(Key::from_seed(3), [5, 3]);
        let problem = FiniteSum::new(array([0.2, -0.4, 0.7]), data.clone(), outputs, loss).unwrap();
        let (w, v) = (array([0.2, -0.4, 0.7]), [0.5, 1.0, -1.5]);
        let found = numbers(&problem.problem().gauss_newton(&w, &vec![data.clone()], &array(v)).unwrap());
        let (mut expected, mut full) = (vec![0.0; 3], vec![0.0; 3]);
        for i in 0..5 {
            let x = data.row(i);
            let (of_w, of_z) = (x.clone(), x.clone());
            let j = numbers(&jacobian(move |w: Var| outputs(w, constant(&of_w))).call(&w).unwrap());
            let z = retrograde_engine::jit(|w: Var, x: Var| outputs(w, x)).call((&w, &x)).unwrap();
            let h = numbers(&hessian(move |z: Var| loss(z, constant(&of_z))).call(&z).unwrap());
            let jv: Vec<f64> = (0..2).map(|k| (0..3).map(|c| j[k * 3 + c] * v[c]).sum()).collect();
            let hjv: Vec<f64> = (0..2).map(|k| h[2 * k] * jv[0] + h[2 * k + 1] * jv[1]).collect();
            (0..3).for_each(|c| expected[c] += j[c] * hjv[0] + j[3 + c] * hjv[1]);
            let all = hvp(|w: Var, x: Var| loss(outputs(w, x), x)).call((&w, &x), &array(v)).unwrap();
            full.iter_mut().zip(numbers(&all)).for_each(|(a, b)| *a += b);
        }
        assert!(far(&found, &expected) < 1e-14, "{found:?} {expected:?}");
        // The Hessian has the curvature of the model too.
        assert!(far(&full, &expected) > 1e-3);
        let hessian = numbers(&problem.problem().product(&w, &vec![data], &array(v)).unwrap());
        assert!(far(&hessian, &full) < 1e-13);
    }

    #[test]
    fn rows_of_curvature_have_the_mean_of_gauss_and_newton() {
        // A softmax has a curvature of less than full rank.
        let p = [0.2, 0.3, 0.5];
        let c: Vec<f64> =
            (0..9).map(|at| if at % 4 == 0 { p[at / 4] } else { 0.0 } - p[at / 3] * p[at % 3]).collect();
        let n_draws = 4000;
        let squares = |u: &[f64]| -> Vec<Vec<f64>> {
            u.chunks(3).map(|u| vec![u[0] * u[0], u[0] * u[1], u[1] * u[1], u[1] * u[2]]).collect()
        };
        let draws = roots(&c.repeat(n_draws), n_draws, 3, Key::from_seed(8));
        let mean = [c[0], c[1], c[4], c[5]];
        let test = hotelling(&squares(&draws), &mean).unwrap();
        assert!(test.p > 0.01, "{test:?}");
        // A bias of 5 % would be seen.
        assert!(hotelling(&squares(&draws), &mean.map(|m| 1.05 * m)).unwrap().p < 0.01);
        // One output has its root, and no draw: AᵀA is the matrix.
        let sum = logistic(20, 3, 0.0);
        let problem = sum.problem();
        let w = array([0.3, 0.1, -0.2]);
        let (curvature, cost) = problem.curvature(&w, problem.data(), Key::from_seed(1)).unwrap();
        let Curvature::Rows(rows) = &curvature else { panic!("expected rows") };
        assert_eq!(cost, 20);
        let v = [0.4, -0.3, 1.0];
        let along: Vec<f64> =
            numbers(rows).chunks(3).map(|a| a.iter().zip(v).map(|(a, v)| a * v).sum()).collect();
        let found: Vec<f64> =
            (0..3).map(|j| numbers(rows).chunks(3).zip(&along).map(|(a, s)| a[j] * s).sum()).collect();
        let expected = numbers(&problem.product(&w, problem.data(), &array(v)).unwrap());
        assert!(far(&found, &expected) < 1e-14);
    }

    #[test]
    fn inverses_of_a_subsample_invert_it_for_more_and_for_fewer_examples_than_parameters() {
        for (n, d) in [(30, 4), (4, 9)] {
            let sum = logistic(n, d, 0.0);
            let problem = sum.problem();
            let w = Array::zeros(DType::F64, [d]);
            let (curvature, _) = problem.curvature(&w, problem.data(), Key::from_seed(1)).unwrap();
            let inverse = SubsampledInverse::new(&curvature, 0.3).unwrap();
            assert_eq!(matches!(inverse, SubsampledInverse::Rows { .. }), n < d);
            let v = numbers(&normal(Key::from_seed(2), [d]));
            let x = inverse.apply(&v).unwrap();
            let mut back = numbers(&problem.product(&w, problem.data(), &vector(&x)).unwrap());
            back.iter_mut().zip(&x).for_each(|(b, x)| *b = *b / n as f64 + 0.3 * x);
            assert!(far(&back, &v) < 1e-13);
            // Nyström of full rank is the inverse with the smallest eigenvalue added once more, up to its shift.
            let full = LowRankInverse::nystrom(&curvature, d, 0.3, Key::from_seed(4)).unwrap();
            let smallest = 0.5 * (1.0 / full.base - 0.3);
            let r = full.gains.len();
            let columns = numbers(&full.directions);
            let along = |k: usize| (0..d).map(|j| columns[j * r + k] * v[j]).sum::<f64>();
            let gained =
                |j: usize| (0..r).map(|k| columns[j * r + k] * full.gains[k] * along(k)).sum::<f64>();
            let x: Vec<f64> = (0..d).map(|j| full.base * v[j] + gained(j)).collect();
            let mut back = numbers(&problem.product(&w, problem.data(), &vector(&x)).unwrap());
            back.iter_mut().zip(&x).for_each(|(b, x)| *b = *b / n as f64 + (0.3 + smallest) * x);
            assert!(far(&back, &v) < 1e-7, "{back:?} {v:?}");
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_gets_more_of_a_shift() {
        let sum = Array::new([2, 2], vec![1.0, 0.0, 0.0, -4.0]).unwrap();
        let inverse = SubsampledInverse::new(&Curvature::Matrix { sum, n_examples: 1 }, 0.5).unwrap();
        // 0.5 is too little, 5 is not.
        assert!(far(&inverse.apply(&[6.0, 1.0]).unwrap(), &[1.0, 1.0]) < 1e-14);
    }
}
