//! What a method is: facts that tests measure, and a step on the leaves of a state.

use std::cell::Cell;

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::{Var, blame, mistake};

/// What a method declares of itself; the tests measure it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Its name, that of its function in [`crate::ode`].
    pub name: &'static str,
    /// The error after a fixed time falls like h to this power.
    pub order: u32,
    /// Evaluations of the field in each step (those that open or close a run not counted).
    pub evaluations: u32,
    /// A step of -h undoes a step of h, up to rounding.
    pub symmetric: bool,
    /// It keeps the area of phase space, so that the energy of a mechanical system stays near its first value.
    pub symplectic: bool,
    /// Infinitely stiff components decay in one step.
    pub l_stable: bool,
    /// Each line of a step updates one variable by the others, so that `Tape::Reverse` turns it round to the bit; of others
    /// it reverses whole steps, which takes more evaluations.
    pub reversible: bool,
    /// Where it comes from.
    pub cite: &'static str,
}

/// A way to take a step of fixed size, on the leaves of a state. Implement it for a method of your own and pass that to
/// [`crate::ode::FirstOrder::new`] or [`crate::ode::SecondOrder::new`].
///
/// What a run carries from step to step may differ from the state: `open` makes it before the first step, `close` reads
/// the state from it.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode::{EULER, Facts, Field, FirstOrder, Method};
/// struct Plain;
/// impl Method for Plain {
///     fn facts(&self) -> Facts {
///         Facts { name: "plain", ..EULER.facts }
///     }
///     fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var> {
///         let rates = field.at(&y);
///         field.own(|| y.iter().zip(rates).map(|(y, rate)| *y + h * rate).collect())
///     }
/// }
/// let decay = FirstOrder::new(Plain, |y: Var| -y).step(0.5);
/// assert_eq!(jit(|y: Var| decay.run(y, 2).end()).call(&array(1.0))?, array(0.25));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Method {
    /// What it declares.
    fn facts(&self) -> Facts;
    /// What is carried from step to step, from the leaves of the state: these themselves, unless a method says otherwise.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// use retrograde_solve::ode::{EULER, Facts, Field, FirstOrder, Method};
    /// /// Carries the rate at the end of each step along, which begins the next: y, then the rate.
    /// struct Last;
    /// impl Method for Last {
    ///     fn facts(&self) -> Facts {
    ///         Facts { name: "last", ..EULER.facts }
    ///     }
    ///     fn open(&self, field: &Field<'_>, y: Vec<Var>, _: f64) -> Vec<Var> {
    ///         let rates = field.at(&y);
    ///         [y, rates].concat()
    ///     }
    ///     fn step(&self, field: &Field<'_>, carry: Vec<Var>, h: f64) -> Vec<Var> {
    ///         let y = field.own(|| vec![carry[0] + h * carry[1]]);
    ///         self.open(field, y, h)
    ///     }
    ///     fn close(&self, _: &Field<'_>, carry: Vec<Var>, _: f64) -> Vec<Var> {
    ///         carry[..1].to_vec()
    ///     }
    /// }
    /// let decay = FirstOrder::new(Last, |y: Var| -y).step(0.5);
    /// assert_eq!(jit(|y: Var| decay.run(y, 2).end()).call(&array(1.0))?, array(0.25));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    fn open(&self, _: &Field<'_>, y: Vec<Var>, _: f64) -> Vec<Var> {
        y
    }
    /// One step of size `h`, in units of time.
    fn step(&self, field: &Field<'_>, y: Vec<Var>, h: f64) -> Vec<Var>;
    /// The leaves of the state, from what is carried.
    fn close(&self, _: &Field<'_>, y: Vec<Var>, _: f64) -> Vec<Var> {
        y
    }
}

/// The right-hand side of a system on the leaves of its state, and the line of the user that a run belongs to.
pub struct Field<'a> {
    method: &'static str,
    what: &'static str,
    rates: &'a Rates<'a>,
    location: Location,
    mistaken: Cell<bool>,
}

/// Rates of change by leaves.
pub(super) type Rates<'a> = dyn Fn(&[Var]) -> Vec<Var> + 'a;

impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} given to {} at {}", self.what, self.method, self.location)
    }
}

impl<'a> Field<'a> {
    pub(super) fn new(
        method: &'static str,
        what: &'static str,
        rates: &'a Rates<'a>,
        location: Location,
    ) -> Field<'a> {
        Field { method, what, rates, location, mistaken: Cell::new(false) }
    }
    /// Rates of change at these leaves, of the same types. Anything else is a mistake of the user, noted once.
    pub fn at(&self, y: &[Var]) -> Vec<Var> {
        let rates = (self.rates)(y);
        let types = |leaves: &[Var]| -> Vec<String> { leaves.iter().map(|v| v.ty().to_string()).collect() };
        let (found, expected) = (types(&rates), types(y));
        if found == expected {
            return rates;
        }
        if !self.mistaken.replace(true) {
            let message = format!(
                "{}: the {} returns {}, expected {}",
                self.method,
                self.what,
                found.join(", "),
                expected.join(", ")
            );
            mistake(
                Diagnostic::new(message, Some(self.location))
                    .help("a rate of change has the shape and dtype of what it changes"),
            );
        }
        y.to_vec()
    }
    /// Arithmetic of the method, reported at the user's line.
    pub fn own<R>(&self, arithmetic: impl FnOnce() -> R) -> R {
        blame(self.location, arithmetic)
    }
    /// Notes a mistake of the user, once for each run.
    pub(super) fn refuse(&self, message: &str, help: &str) {
        if !self.mistaken.replace(true) {
            let message = format!("{}: {message}", self.method);
            mistake(Diagnostic::new(message, Some(self.location)).help(help));
        }
    }
}

/// The size of a step: given by the user, or chosen while the program runs (`f64[]`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Given(f64),
    Chosen(Var),
}

impl Step {
    /// c h k
    pub(super) fn times(self, c: f64, k: Var) -> Var {
        match self {
            Step::Given(h) => (c * h) * k,
            Step::Chosen(h) => (c * h.convert(k.dtype())) * k,
        }
    }
    /// (c / h) k
    pub(super) fn over(self, c: f64, k: Var) -> Var {
        match self {
            Step::Given(h) => (c / h) * k,
            Step::Chosen(h) => (c / h.convert(k.dtype())) * k,
        }
    }
}
