//! Eligibility traces (e-prop): a recurrent layer whose derivative goes through each unit's own memory, and not from unit to unit.
//!
//! ```text
//! vₜ = α vₜ₋₁ + xₜ W + zₜ₋₁ R,   zₜ = φ(vₜ),   L = Σ l(zₜ, ..)
//! e-prop: the edge zₜ₋₁ → vₜ is cut.   εₜ = α εₜ₋₁ + (xₜ, zₜ₋₁),   ḡ = Σ εₜ ⊗ (∂l/∂zₜ φ'(vₜ))
//! ```
//!
//! Law: inexact, and equal to the gradient of the graph without those edges. A trace is a number for each input of the layer, carried
//! forward; a learning signal is what one step's loss says of one unit. No step is remembered.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_derive::Tree;
use retrograde_engine::{grad, value_and_grad};

use crate::adjoint::map::{declared, leaves, made_on_the_way, with_leaves};
use crate::adjoint::stop::stop;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Leaky::eligibility`].
pub const ELIGIBILITY: Trick = Trick {
    id: "C13",
    name: "eligibility traces (e-prop)",
    formula: "εₜ = α εₜ₋₁ + (xₜ, zₜ₋₁), ḡ = Σ εₜ ⊗ (∂l/∂zₜ φ'(vₜ))",
    law: Law::Inexact {
        what: "the edges from unit to unit are cut: each unit's own memory alone carries the derivative",
    },
    cite: &[Source {
        authors: "G. Bellec and F. Scherr and A. Subramoney and E. Hajek and D. Salaj and R. Legenstein and W. Maass",
        title: "A solution to the learning dilemma for recurrent networks of spiking neurons",
        venue: "Nature Communications 11",
        year: 2020,
    }],
    file: file!(),
    example: "Leaky",
    property: Property {
        claim: "equal to the gradient of the graph with the named edges cut; bytes independent of T",
        test: "eligibility_traces_are_the_gradient_without_the_cut_edges",
        found: "1e-13; a tape of the size of the parameters for T of 10 and 100",
    },
};

/// A layer of leaky units.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::tape::eprop::Leaky;
/// // One unit without feedback: nothing is cut, and the gradient is the true one.
/// let layer = Leaky { input: array([[1.0]]), recurrent: array([[0.0]]), decay: 0.5 };
/// let loss = |layer: Leaky<Var>, xs: Var| layer.eligibility(xs, Var::tanh, Vec::<Var>::new(), |_, z, _| z.sum(), xs);
/// let slope = grad(loss).call((&layer, &array([[0.0], [0.0]])))?;
/// assert_eq!(slope.input, array([[0.0]]));
/// let slope = grad(loss).call((&layer, &array([[1.0], [0.0]])))?.input.get(0).unwrap().to_string();
/// let by_hand = 1.0 - 1f64.tanh().powi(2) + 0.5 * (1.0 - 0.5f64.tanh().powi(2));
/// assert!((slope.parse::<f64>().unwrap() - by_hand).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Leaky<T> {
    /// W: `[in, n]`
    pub input: T,
    /// R: `[n, n]`
    pub recurrent: T,
    /// α, what a unit remembers from step to step.
    pub decay: f64,
}

impl Leaky<Var> {
    /// (v, z) after one step.   v, z: `[n]`; x: `[in]`. `heard` is z as the units hear it: cut it to cut the edge.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_engine::jit;
    /// use retrograde_tricks::tape::eprop::Leaky;
    /// let layer = Leaky { input: array([[1.0]]), recurrent: array([[10.0]]), decay: 0.5 };
    /// let step = jit(|layer: Leaky<Var>, v: Var, x: Var| layer.step(v, v, x, |v| v));
    /// assert_eq!(step.call((&layer, &array([2.0]), &array([3.0])))?, (array([24.0]), array([24.0])));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn step(&self, v: Var, heard: Var, x: Var, activation: impl Fn(Var) -> Var) -> (Var, Var) {
        let v = self.decay * v + x.dot(self.input) + heard.dot(self.recurrent);
        (v, activation(v))
    }

    /// The loss of all steps from a state of zeros, whose gradient is made by eligibility traces.   xs: `[steps, in]`; activation: entry
    /// by entry; readout: a tree, with its own gradient; loss: (readout, z, target) → number; targets: a tree with a leading axis of
    /// steps, held fixed as xs are.
    ///
    /// # Errors
    /// At the front door, for shapes that do not fit, and functions that use traced values from outside.
    /// # Cost
    /// As many numbers are carried as there are parameters, and in + 3n. A step takes as many multiplications.
    #[track_caller]
    pub fn eligibility<Q: Traceable, Y: Traceable>(
        &self,
        xs: Var,
        activation: impl Fn(Var) -> Var,
        readout: Q,
        loss: impl Fn(&Q, Var, Y) -> Var,
        targets: Y,
    ) -> Var {
        let location = Location(std::panic::Location::caller());
        let (of_input, of_units) = (self.input.shape(), self.recurrent.shape());
        let n = of_units.first().copied().unwrap_or(0);
        let fits = xs.rank() == 2 && of_input[..] == [xs.shape()[1], n] && of_units[..] == [n, n];
        if !fits {
            let (w, r) = (self.input.ty(), self.recurrent.ty());
            let found = format!("e-prop: found inputs {}, weights {w} and recurrent weights {r}", xs.ty());
            let help = "inputs are [steps, in], weights [in, n] and recurrent weights [n, n]";
            mistake(Diagnostic::new(found, Some(location)).help(help));
            return full(xs.dtype(), [], 0.0);
        }
        let (of_readout, of_targets) = (leaves(&readout), leaves(&targets));
        let flat_loss =
            |q: Vec<Var>, z: Var, y: Vec<Var>| loss(&with_leaves(&readout, &q), z, with_leaves(&targets, &y));
        let run = |parameters: &[Var], others: &[Var]| {
            let layer = Leaky { input: parameters[0], recurrent: parameters[1], decay: self.decay };
            let readout = parameters[2..].to_vec();
            let (xs, targets) = (others[0], others[1..].to_vec());
            let zeros = |shape: &[usize]| full(xs.dtype(), shape.to_vec(), 0.0);
            type Carried = ((Var, Var), (Var, Var), (Vec<Var>, Var));
            let body = |((v, z), (of_x, of_z), (total, lost)): Carried, (x, y): (Var, Vec<Var>)| {
                let (of_x, of_z) = (self.decay * of_x + x, self.decay * of_z + z);
                let (v, z) = layer.step(v, z, x, &activation);
                let own = |(q, z): (Vec<Var>, Var), y: Vec<Var>| flat_loss(q, z, y);
                let (loss, (of_readout, signal)) = value_and_grad(own).at(((readout.clone(), z), y));
                // ∂l/∂zₜ φ'(vₜ): back through the activation alone.
                let signal = grad(|v: Var, signal: Var| (activation(v) * signal).sum()).at((v, signal));
                let outer = |trace: Var| {
                    let shape = [trace.shape()[0], n];
                    trace.broadcast(shape, &[0]) * signal.broadcast(shape, &[1])
                };
                let added = [vec![outer(of_x), outer(of_z)], of_readout].concat();
                let total: Vec<Var> = total.iter().zip(added).map(|(total, added)| *total + added).collect();
                (((v, z), (of_x, of_z), (total, lost + loss)), Vec::<Var>::new())
            };
            let none = |v: &Var| full(v.dtype(), v.shape(), 0.0);
            let start = zeros(&[n]);
            let init = (
                (start, start),
                (zeros(&[xs.shape()[1]]), start),
                (parameters.iter().map(none).collect(), zeros(&[])),
            );
            let (_, _, (gradient, loss)) = scan_over().run(init, (xs, targets), body).0;
            (vec![loss], gradient)
        };
        blame(location, || {
            let parameters = [vec![self.input, self.recurrent], of_readout].concat();
            made_on_the_way(&declared(&ELIGIBILITY), parameters, stop([vec![xs], of_targets].concat()), run)
                [0]
        })
    }
}
