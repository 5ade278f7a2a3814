//! States on a lattice, for loops that run backwards exactly and keep nothing.
//!
//! A [`Point`] is a whole number of grids with the float that it stands for. Adding a float rounds the increment to the grid and
//! adds whole numbers, so a loop of such updates runs backwards to the bit with no bit on the tape: `Tape::Reverse` keeps its
//! two end states. On a fine grid the trajectory is more accurate than that of plain floats, because whole numbers add without
//! rounding. A [`Remainder`] does the same for contraction by a constant (momentum, friction), for the log2(d/n) bits that
//! each multiplication destroys.
//!
//! A lattice is another primal: the program computes other numbers than with plain floats, by about one grid an update. So it is
//! a type in the program and no policy; no budget ever chooses it. Its derivative is declared: that of `x += d` at the point
//! reached, rounding passed through.
//!
//! ```
//! use retrograde_core::prim::Tape;
//! use retrograde_core::trace::{Var, control::scan, door::grad, lattice::Lattice};
//! use retrograde_array::array;
//! // A pendulum by leapfrog.
//! let swing = |x: Var, v: Var| {
//!     let lattice = Lattice { grid: 2f64.powi(-57), range: 64.0 };
//!     let (x, _) = scan(1000).repeat((lattice.at(x), lattice.at(v)), |(x, v)| {
//!         let x = x + 0.005 * v.value();
//!         let v = v - 0.01 * x.value().sin();
//!         (x + 0.005 * v.value(), v)
//!     });
//!     x.value()
//! };
//! let slope = grad(swing).tape(Tape::Reverse);
//! let (x, v) = (array(1.0), array(0.0));
//! assert_eq!(slope.call((&x, &v))?, grad(swing).call((&x, &v))?);
//! assert_eq!(slope.last_tape().stack_bits(), 0);
//! # Ok::<(), retrograde_core::trace::Error>(())
//! ```

use std::ops::{Add, Sub};
use std::sync::Arc;

use super::frame;
use super::tree::{Leaf, Tree, Visit, join};
use super::var::{Var, caller};
use crate::ir::{Diagnostic, Location, Type};
use crate::prim::bodies::build;
use crate::prim::{Rule, contract, custom_jvp::CustomJvp, full::Full, neg::Neg, stop_gradient::StopGradient};
use crate::prim::{lattice_add::LatticeAdd, lattice_point::LatticePoint, lattice_value::LatticeValue};
use crate::transform::Standard;
use retrograde_array::{DType, Scalar, lattice};

/// The multiples of `grid` below `range`.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, lattice::Lattice};
/// use retrograde_array::array;
/// let halves = Lattice { grid: 0.5, range: 8.0 };
/// let f = jit(|x: Var, d: Var| (halves.at(x) + d).value());
/// // 1.2 is nearest to 1, an increment of 0.3 to 0.5; both zeros are 0.
/// assert_eq!(f.call((&array([1.2, -0.0]), &array([0.3, -0.0])))?, array([1.5, 0.0]));
/// let error = f.call((&array([1.0, 7.0]), &array([0.0, 1.0]))).unwrap_err().to_string();
/// assert!(error.contains("entry 1 would be 8, expected |x| < 8, the range of this lattice of grid 2^-1; a range of 16 would do"));
/// let error = jit(|x: Var| Lattice { grid: 0.3, range: 8.0 }.at(x).value()).call(&array(1.0)).unwrap_err().to_string();
/// assert!(error.contains("found a grid of 3e-1, expected a power of two"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lattice {
    /// The distance of neighbours: a power of two from 2^-126 to 2^63.
    pub grid: f64,
    /// All values stay below it in magnitude, or the run ends with an error; at most 2^63 grids.
    pub range: f64,
}

impl Lattice {
    /// The nearest points to the entries of `x`, f64 or f32 of any shape.
    ///
    /// Its derivative is that of x. Costs about two array passes.
    ///
    /// # Errors
    /// At the front door, for a grid that is no power of two, a range of more than 2^63 grids, another dtype; when the program
    /// runs, for a value outside the range or not finite.
    #[track_caller]
    pub fn at(self, x: Var) -> Point {
        let location = caller();
        let lattice = self.checked(location);
        if !matches!(x.dtype(), DType::F64 | DType::F32) && !x.poisoned {
            frame::mistake(
                Diagnostic::new(
                    format!("Lattice::at: found {}, expected f64 or f32", x.ty()),
                    Some(location),
                )
                .help("convert first: `.convert(DType::F64)`"),
            );
            let value = frame::poisoned(&x.ty().with_dtype(DType::F64));
            return Point { point: frame::poisoned(&x.ty().with_dtype(DType::I64)), value, lattice };
        }
        let fixed = frame::record1(StopGradient, &[x], location);
        let point = frame::record1(LatticePoint { lattice }, &[fixed], location);
        Point { point, value: stands_for(lattice, point, &[x], &[1.0], location), lattice }
    }
    /// The lattice, or a stand-in after a mistake.
    fn checked(self, location: Location) -> lattice::Lattice {
        lattice::Lattice::new(self.grid, self.range).unwrap_or_else(|e| {
            frame::mistake(
                Diagnostic::new(format!("Lattice: {e}"), Some(location))
                    .help("for f64 states below 64, `Lattice { grid: 2f64.powi(-57), range: 64.0 }` keeps more than a float does"),
            );
            lattice::Lattice::from_parts(0, i64::MAX).expect("whole numbers are a lattice")
        })
    }
}

/// The value of a point, with the derivative of a weighted sum of floats.
fn stands_for(
    lattice: lattice::Lattice,
    point: Var,
    floats: &[Var],
    weights: &[f64],
    location: Location,
) -> Var {
    let dtype = floats[0].dtype();
    let inputs: Vec<Var> = [&[point], floats].concat();
    let types: Vec<Type> = inputs.iter().map(|v| v.ty()).collect();
    if inputs.iter().any(|v| v.poisoned) || types.iter().any(|ty| ty.shape != types[0].shape) {
        return frame::poisoned(&types[0].with_dtype(dtype));
    }
    let value = LatticeValue { lattice, dtype };
    let primal = build(&types, |b, p| vec![b.emit1(value.clone().into(), &p[..1])]);
    let rule = build(&[&types[..], &types[1..]].concat(), |b, p| {
        let x = b.emit1(value.into(), &p[..1]);
        let mut r = Rule { b, cx: &Standard };
        let terms = p[types.len()..].iter().zip(weights).map(|(&dot, &weight)| {
            let dot = r.convert(dot, dtype);
            if weight == 1.0 {
                return dot;
            }
            let weight = r.number(dot, weight);
            r.mul(dot, weight)
        });
        let terms: Vec<_> = terms.collect();
        let dot = terms[1..].iter().fold(terms[0], |sum, &term| r.add(sum, term));
        vec![x, dot]
    });
    let law = "inexact: rounding to the lattice is passed through".into();
    frame::record1(CustomJvp { primal: Arc::new(primal), rule: Arc::new(rule), law }, &inputs, location)
}

/// A point of a lattice, entry by entry: whole numbers, and the floats they stand for, which carry the derivative.
///
/// A tree of two leaves, to be carried by loops. `x + d` and `x - d` move it by floats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point<T = Var> {
    point: T,
    value: T,
    lattice: lattice::Lattice,
}

impl<T: Tree> Tree for Point<T> {
    type Leaf = T::Leaf;
    type With<U: Leaf> = Point<T::With<U>>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> Point<T::With<U>> {
        Point { point: self.point.map(f), value: self.value.map(f), lattice: self.lattice }
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        f(
            path,
            Visit::Fixed(format!(
                "lattice of grid 2^{}, limit {}",
                self.lattice.exponent(),
                self.lattice.limit()
            )),
        );
        self.point.visit(&join(path, "point"), f);
        self.value.visit(&join(path, "value"), f);
    }
}

/// ```
/// use retrograde_core::trace::{Var, door::{grad, jit}, lattice::{Contract, Lattice}};
/// use retrograde_array::array;
/// let lattice = Lattice { grid: 2f64.powi(-40), range: 1024.0 };
/// let f = |x: Var| {
///     let (half, rest) = lattice.at(x).contract(Contract { n: 1, d: 2 }.remainder(lattice.at(x)));
///     let (quarter, _) = half.contract(rest);
///     (quarter + 3.0 * x).value()
/// };
/// let (x, slope) = (jit(f).call(&array(4.0))?, grad(f).call(&array(4.0))?);
/// assert!((x.item::<f64>().unwrap() - 13.0).abs() < 1e-11);
/// assert_eq!(slope, array(3.25));
/// assert_eq!(jit(|x: Var| lattice.at(x).point()).call(&array(1.0))?, array(1_i64 << 40));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
impl Point {
    /// The floats that the points stand for, rounded to nearest.
    pub fn value(self) -> Var {
        self.value
    }
    /// The points in grids: i64, without derivative.
    pub fn point(self) -> Var {
        self.point
    }
    /// The points times n/d, and the remainder after it. Off by less than n + 1 grids; the derivative is n/d.
    ///
    /// # Errors
    /// At the front door, where the remainder is of another shape; when the program runs, for whole numbers that are no
    /// remainder.
    #[track_caller]
    pub fn contract(self, remainder: Remainder) -> (Point, Remainder) {
        let location = caller();
        let (n, d) = remainder.by.parts();
        let out =
            frame::record(contract::Contract { by: remainder.by }, &[self.point, remainder.rest], location);
        let [point, rest] = out[..] else { return (self, remainder) };
        let weight = f64::from(n) / f64::from(d);
        let value = stands_for(self.lattice, point, &[self.value], &[weight], location);
        (Point { point, value, ..self }, Remainder { rest, ..remainder })
    }
}

/// The points moved by `d`, rounded to the grid; `d` is of floats, of the shape of the points or a scalar.
///
/// Undone by subtracting `d`, to the bit. Its derivative is that of a sum of floats. Errors: at the front door, where shapes
/// differ; when the program runs, a sum outside the range and an increment that is not finite.
impl Add<Var> for Point {
    type Output = Point;
    #[track_caller]
    fn add(self, d: Var) -> Point {
        let (location, shape) = (caller(), self.point.shape());
        let d =
            if d.rank() == 0 && shape.rank() > 0 { frame::blame(location, || d.spread(shape)) } else { d };
        let fixed = frame::record1(StopGradient, &[d], location);
        let point = frame::record1(LatticeAdd { lattice: self.lattice }, &[self.point, fixed], location);
        let value = if d.dtype().is_float() {
            stands_for(self.lattice, point, &[self.value, d], &[1.0, 1.0], location)
        } else {
            frame::poisoned(&self.value.ty())
        };
        Point { point, value, ..self }
    }
}

/// The points moved by `-d`, see the sum.
impl Sub<Var> for Point {
    type Output = Point;
    #[track_caller]
    fn sub(self, d: Var) -> Point {
        // The grid is symmetric, so moving by the opposite is moving back, to the bit.
        Add::add(self, frame::record1(Neg, &[d], caller()))
    }
}

/// Multiplication by the rational n/d < 1, exactly reversible: momentum 0.9 is 9/10.
///
/// ```
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::scan, door::grad, lattice::{Contract, Lattice}};
/// use retrograde_array::array;
/// // Gradient descent with momentum on a quartic, differentiated through all its steps.
/// let end = |w: Var| {
///     let lattice = Lattice { grid: 2f64.powi(-57), range: 64.0 };
///     let (w, v) = (lattice.at(w), lattice.at(0.0 * w));
///     let (w, ..) = scan(500).repeat((w, v, Contract { n: 9, d: 10 }.remainder(v)), |(w, v, rest)| {
///         let (v, rest) = v.contract(rest);
///         let v = v - 0.1 * w.value() * w.value() * w.value();
///         (w + 0.05 * v.value(), v, rest)
///     });
///     w.value()
/// };
/// let slope = grad(end).tape(Tape::Reverse);
/// assert_eq!(slope.call(&array(1.0))?, grad(end).call(&array(1.0))?);
/// // log2(10/9) bits a step, less those that the remainder still holds.
/// assert!(slope.last_tape().stack_bits() <= 500 * 153 / 1000);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
///
/// Source: Maclaurin, Duvenaud, Adams, Gradient-based hyperparameter optimization through reversible learning (2015).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contract {
    /// The numerator, at least 1.
    pub n: u32,
    /// The denominator, above n and at most 32768.
    pub d: u32,
}

impl Contract {
    /// The remainder to start with, for points of this shape.
    ///
    /// # Errors
    /// At the front door, for a factor that is no contraction, and for a lattice with fewer than n · d points.
    #[track_caller]
    pub fn remainder(self, of: Point) -> Remainder {
        let location = caller();
        let refuse = |what: String, help: &str| {
            frame::mistake(Diagnostic::new(format!("Contract: {what}"), Some(location)).help(help));
        };
        let by = lattice::Contract::new(self.n, self.d).unwrap_or_else(|e| {
            refuse(e.to_string(), "0.9 is `Contract { n: 9, d: 10 }`");
            lattice::Contract::new(1, 2).expect("one half is a contraction")
        });
        let (n, d) = by.parts();
        if of.lattice.limit() < i64::from(n) * i64::from(d) {
            let found = format!(
                "found a lattice of {} points, expected at least n · d = {}",
                of.lattice.limit(),
                n * d
            );
            refuse(found, "contraction is exact to about n grids: take a finer grid");
        }
        let ty = of.point.ty();
        let rest = frame::record1(Full { ty, value: Scalar::I64(n.into()) }, &[], location);
        Remainder { rest, by }
    }
}

/// What contractions cut off so far: one whole number per point, to be carried along with it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Remainder<T = Var> {
    rest: T,
    by: lattice::Contract,
}

impl Remainder {
    /// The remainders R, i64; `log2(R / n)` bits each are not on the stack yet.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit, lattice::{Contract, Lattice}};
    /// use retrograde_array::array;
    /// let lattice = Lattice { grid: 0.5, range: 1e6 };
    /// let f = |x: Var| {
    ///     let x = lattice.at(x);
    ///     x.contract(Contract { n: 9, d: 10 }.remainder(x)).1.rest()
    /// };
    /// assert_eq!(jit(f).call(&array([8.5, 9.0]))?, array([10_i64, 10]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn rest(self) -> Var {
        self.rest
    }
}

impl<T: Tree> Tree for Remainder<T> {
    type Leaf = T::Leaf;
    type With<U: Leaf> = Remainder<T::With<U>>;
    fn map<U: Leaf>(&self, f: &mut dyn FnMut(&T::Leaf) -> U) -> Remainder<T::With<U>> {
        Remainder { rest: self.rest.map(f), by: self.by }
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Visit<'_, T::Leaf>)) {
        let (n, d) = self.by.parts();
        f(path, Visit::Fixed(format!("remainder of {n}/{d}")));
        self.rest.visit(&join(path, "rest"), f);
    }
}
