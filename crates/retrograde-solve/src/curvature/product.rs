//! Products of a curvature with a vector, compiled once for inputs of a kind.

use std::sync::Arc;

use retrograde_array::Array;
use retrograde_core::exec::Executor;
use retrograde_core::ir::Location;
use retrograde_core::prim::Tape;
use retrograde_core::tape::TapeReport;
use retrograde_core::trace::Error;
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::function::{Function, Traceable, expect_like};
use retrograde_engine::jit;

use super::batch::Batch;

/// A product of parameters, batch and vector: `.call((&parameters, &batch), &v)`.
///
/// # Errors
/// Mistakes in the traced functions; a vector of another tree than the parameters.
#[derive(Debug)]
pub struct Product<F, P, B> {
    f: Arc<F>,
    run: Jit<Shared<F>, (P, B, P)>,
}

/// The function of a door that is also called inside traced code.
#[derive(Clone, Debug)]
struct Shared<F>(Arc<F>);

impl<F: Function<(P, B, P), Output = P>, P, B> Function<(P, B, P)> for Shared<F> {
    type Output = P;
    fn apply(&self, args: (P, B, P)) -> P {
        self.0.apply(args)
    }
}

impl<F: Function<(P, B, P), Output = P>, P: Traceable, B: Traceable> Product<F, P, B> {
    #[track_caller]
    pub(super) fn new(f: F) -> Self {
        let f = Arc::new(f);
        Product { run: jit(Shared(f.clone())), f }
    }
    /// The product.
    ///
    /// # Errors
    /// See [`Product`].
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::gauss_newton_vp;
    /// let line = |slope: Var, (x, _): (Var, Var)| slope.spread(x.shape()) * x;
    /// let squares = |found: Var, (_, y): (Var, Var)| ((found - y) * (found - y)).mean();
    /// let batch = (array([1.0, 2.0]), array([2.0, 4.0]));
    /// // Jᵀ (2/n) J v = (1 + 4) v.
    /// assert_eq!(gauss_newton_vp(line, squares).call((&array(1.0), &batch), &array(10.0))?, array(50.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn call(
        &self,
        (parameters, batch): (&P::Arrays, &B::Arrays),
        v: &P::Arrays,
    ) -> Result<P::Arrays, Error> {
        let location = Location(std::panic::Location::caller());
        expect_like("direction", v, "argument", parameters, location)?;
        if arrays(batch).iter().any(|leaf| leaf.shape().first() == Some(&0)) {
            return Err(Error::Input {
                message: "curvature: found a batch of no rows, expected at least one".into(),
                location,
                help: "the mean over no examples is not a number; leave the batch out".into(),
            });
        }
        self.run.call((parameters, batch, v))
    }
    /// The product on a batch that no other product has used; it is used up by this one.
    ///
    /// # Errors
    /// See [`Product`].
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, hessian_vp};
    /// let batches = Batches::of(&array([2.0, 2.0, 2.0]), 4).unwrap();
    /// let product = hessian_vp(|p: Var, x: Var| (p * p).spread(x.shape()).mean() * x.mean());
    /// let batch = batches.draw(Key::from_seed(1));
    /// assert_eq!(product.on(&array(1.0), batch, &array(3.0))?, array(12.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn on(
        &self,
        parameters: &P::Arrays,
        batch: Batch<B::Arrays>,
        v: &P::Arrays,
    ) -> Result<P::Arrays, Error> {
        self.call((parameters, &batch.used()), v)
    }
    /// The product inside traced code.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_solve::curvature::hessian_vp;
    /// let product = hessian_vp(|p: Var, x: Var| (p * p * p * x).sum());
    /// let bend = |p: Var, x: Var| (product.at(p, x, p) * p).sum();
    /// assert_eq!(jit(bend).call((&array([1.0, 2.0]), &array([1.0, 1.0])))?, array(54.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn at(&self, parameters: P, batch: B, v: P) -> P {
        self.f.apply((parameters, batch, v))
    }
    /// How loops are remembered that do not say so themselves. Changes bytes and seconds, no bit of the product.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::prim::Checkpoint;
    /// use retrograde_core::trace::{Var, control::scan};
    /// use retrograde_solve::curvature::gauss_newton_vp;
    /// let model = |p: Var, x: Var| scan(64).repeat(x, |y| y + (p.spread(y.shape()) * y).sin() * 0.1);
    /// let loss = |y: Var, _: Var| (y * y).mean();
    /// let (p, x, v) = (array(0.5), array([1.0, 2.0]), array(1.0));
    /// let stored = gauss_newton_vp(model, loss).call((&p, &x), &v)?;
    /// assert!(stored.bits_eq(&gauss_newton_vp(model, loss).tape(Checkpoint::Sqrt).call((&p, &x), &v)?));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        Product { run: self.run.tape(policy), f: self.f }
    }
    /// What runs the compiled programs.
    pub fn executor(self, executor: impl Executor + 'static) -> Self {
        Product { run: self.run.executor(executor), f: self.f }
    }
    /// What the last call kept.
    pub fn last_tape(&self) -> TapeReport {
        self.run.last_tape()
    }
}

/// The leaves of a tree of arrays, as owned arrays.
pub(crate) fn arrays<T: retrograde_core::trace::Tree<Leaf = Array>>(tree: &T) -> Vec<Array> {
    let mut all = vec![];
    tree.walk(&mut |part| {
        if let retrograde_core::trace::tree::Part::Leaf(array) = part {
            all.push(array.clone());
        }
    });
    all
}
