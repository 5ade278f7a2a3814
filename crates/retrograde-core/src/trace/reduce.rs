//! Reductions, cumulations and orders along axes: methods of [`Var`].

use super::frame;
use super::var::{Var, caller, literal};
use crate::ir::{Location, Type};
use crate::prim::{
    any, argmin, argsort, compare, cumprod, cumsum, gather, logsumexp, mul, not, prod, recurrence,
    reduce_max, reduce_min, select, slice, sqrt, sum, transpose,
};
use retrograde_array::ops::Comparison;

/// All axes.
fn all_axes(x: Var) -> Vec<usize> {
    (0..x.rank()).collect()
}

impl Var {
    /// The product of all entries; its derivative is right where entries are zero.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// assert_eq!(grad(|x: Var| x.prod()).call(&array([0.0, 2.0, 3.0]))?, array([6.0, 0.0, 0.0]));
    /// assert_eq!(jit(|x: Var| x.prod_axes(&[0])).call(&array([[1.0, 2.0], [3.0, 4.0]]))?, array([3.0, 8.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn prod(self) -> Var {
        frame::record1(prod::Prod { axes: all_axes(self) }, &[self], caller())
    }
    /// Products over some axes.
    #[track_caller]
    pub fn prod_axes(self, axes: &[usize]) -> Var {
        frame::record1(prod::Prod { axes: axes.to_vec() }, &[self], caller())
    }
    /// The largest entry over some axes; the derivative is shared equally at ties.
    ///
    /// # Errors
    /// At the front door, for no entries.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let x = array([1.0, 3.0, 3.0]);
    /// assert_eq!(grad(|x: Var| x.reduce_max(&[0])).call(&x)?, array([0.0, 0.5, 0.5]));
    /// assert_eq!(grad(|x: Var| x.reduce_min(&[0])).call(&x)?, array([1.0, 0.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn reduce_max(self, axes: &[usize]) -> Var {
        frame::record1(reduce_max::ReduceMax { axes: axes.to_vec() }, &[self], caller())
    }
    /// The smallest entry over some axes; the derivative is shared equally at ties.
    #[track_caller]
    pub fn reduce_min(self, axes: &[usize]) -> Var {
        frame::record1(reduce_min::ReduceMin { axes: axes.to_vec() }, &[self], caller())
    }
    /// The position of the smallest entry along an axis (`i64`; the first of equals).
    ///
    /// # Errors
    /// At the front door, for an axis outside the shape or of length 0.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// assert_eq!(jit(|x: Var| x.argmin(0)).call(&array([2.0, 1.0, 1.0]))?, array(1_i64));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn argmin(self, axis: usize) -> Var {
        frame::record1(argmin::Argmin { axis }, &[self], caller())
    }
    /// Whether one entry over some axes is true.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let f = |x: Var| (x.gt(0.0).any(&[0]), x.gt(0.0).all(&[0]));
    /// assert_eq!(jit(f).call(&array([-1.0, 1.0]))?, (array(true), array(false)));
    /// assert_eq!(jit(f).call(&array([0.0; 0]))?, (array(false), array(true)));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn any(self, axes: &[usize]) -> Var {
        frame::record1(any::Any { axes: axes.to_vec() }, &[self], caller())
    }
    /// Whether all entries over some axes are true.
    #[track_caller]
    pub fn all(self, axes: &[usize]) -> Var {
        let location = caller();
        let none = frame::record1_as("all", not::Not, &[self], location);
        let some = frame::record1_as("all", any::Any { axes: axes.to_vec() }, &[none], location);
        frame::record1(not::Not, &[some], location)
    }
    /// log Σ exp over some axes, without overflow; -∞, with a derivative of zeros, where all entries are -∞.
    ///
    /// # Source
    /// Blanchard, Higham and Higham 2021, Accurately computing the log-sum-exp and softmax functions.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let slope = grad(|x: Var| x.logsumexp(&[0])); // the softmax
    /// assert_eq!(slope.call(&array([1000.0, 1000.0]))?, array([0.5, 0.5]));
    /// assert_eq!(slope.call(&array([f64::NEG_INFINITY, f64::NEG_INFINITY]))?, array([0.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn logsumexp(self, axes: &[usize]) -> Var {
        frame::record1(logsumexp::Logsumexp { axes: axes.to_vec() }, &[self], caller())
    }
    /// √Σx² over all entries. At zero it is 0 with a derivative of zeros, at every order (one of its subgradients; there is no
    /// gradient). Squares below 1e-308 underflow, those above 1e308 give ∞.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let slope = grad(|x: Var| x.norm());
    /// assert_eq!(slope.call(&array([3.0, 4.0]))?, array([0.6000000000000001, 0.8]));
    /// assert_eq!(slope.call(&array([0.0, 0.0]))?, array([0.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn norm(self) -> Var {
        norm("norm", self, all_axes(self), caller())
    }
    /// √Σx² over some axes, as [`Var::norm`].
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// assert_eq!(jit(|x: Var| x.norm_axes(&[1])).call(&array([[3.0, 4.0], [0.0, 0.0]]))?, array([5.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn norm_axes(self, axes: &[usize]) -> Var {
        norm("norm_axes", self, axes.to_vec(), caller())
    }
    /// Along an axis, the sum of all entries up to each.
    ///
    /// # Cost
    /// One addition for each entry, one after another along a lane; [`associative_scan`](super::control::associative_scan) takes
    /// few rounds of many.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let x = array([1.0, 2.0, 4.0]);
    /// assert_eq!(jit(|x: Var| (x.cumsum(0), x.cumprod(0))).call(&x)?, (array([1.0, 3.0, 7.0]), array([1.0, 2.0, 8.0])));
    /// assert_eq!(grad(|x: Var| x.cumsum(0).sum()).call(&x)?, array([3.0, 2.0, 1.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn cumsum(self, axis: usize) -> Var {
        frame::record1(cumsum::Cumsum { axis, reverse: false }, &[self], caller())
    }
    /// Along an axis, the product of all entries up to each; its derivative is right where entries are zero.
    #[track_caller]
    pub fn cumprod(self, axis: usize) -> Var {
        frame::record1(cumprod::Cumprod { axis, reverse: false }, &[self], caller())
    }
    /// Along an axis, h with hᵢ = aᵢ hᵢ₋₁ + bᵢ, where `self` is a, and h₀ = b₀.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let (a, b) = (array([9.0, 2.0, 3.0]), array([1.0, 1.0, 1.0]));
    /// assert_eq!(jit(|a: Var, b: Var| a.recurrence(b, 0)).call((&a, &b))?, array([1.0, 3.0, 10.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn recurrence(self, b: Var, axis: usize) -> Var {
        frame::record1(recurrence::Recurrence { axis, reverse: false }, &[self, b], caller())
    }
    /// Positions (`i64`) of the entries along an axis, the smallest first; equal entries keep their order, NaN comes last.
    ///
    /// # Cost
    /// About n log₂ n comparisons for each lane of n entries.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let x = array([2.0, f64::NAN, 1.0, 2.0]);
    /// assert_eq!(jit(|x: Var| x.argsort(0)).call(&x)?, array([2_i64, 0, 3, 1]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(self, axis: usize) -> Var {
        frame::record1(argsort::Argsort { axis, descending: false }, &[self], caller())
    }
    /// The entries along an axis, the smallest first; equal entries keep their order, NaN comes last. The derivative is that
    /// permutation.
    ///
    /// # Cost
    /// As [`Var::argsort`].
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// // Each entry gets the weight of its rank.
    /// let f = |x: Var| (x.sort(0) * &array([1.0, 10.0, 100.0])).sum();
    /// assert_eq!(grad(f).call(&array([5.0, 7.0, 2.0]))?, array([10.0, 100.0, 1.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(self, axis: usize) -> Var {
        let location = caller();
        let order =
            frame::record1_as("sort", argsort::Argsort { axis, descending: false }, &[self], location);
        take_along("sort", self, axis, order, location)
    }
    /// The `k` largest entries along an axis, the largest first, and their positions (`i64`). Sorts all.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let best = jit(|x: Var| x.top_k(2, 0)).call(&array([3.0, 9.0, 5.0]))?;
    /// assert_eq!(best, (array([9.0, 5.0]), array([1_i64, 2])));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn top_k(self, k: usize, axis: usize) -> (Var, Var) {
        let location = caller();
        let order =
            frame::record1_as("top_k", argsort::Argsort { axis, descending: true }, &[self], location);
        let mut limits = order.shape().to_vec();
        if let Some(limit) = limits.get_mut(axis) {
            *limit = k;
        }
        let rank = limits.len();
        let first = slice::Slice { starts: vec![0; rank], limits, strides: vec![1; rank] };
        let order = frame::record1_as("top_k", first, &[order], location);
        (take_along("top_k", self, axis, order, location), order)
    }
    /// The entries along `axis` at positions of their own for each lane: `positions` (`i64`) has the shape of `self` but for
    /// the length of `axis`.
    ///
    /// # Errors
    /// At the front door, where the shapes do not fit; when the program runs, for a position outside the axis.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let (x, at) = (array([[1, 2, 3], [4, 5, 6]]), array([[2_i64], [0]]));
    /// assert_eq!(jit(|x: Var, at: Var| x.take_along(1, at)).call((&x, &at))?, array([[3], [4]]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn take_along(self, axis: usize, positions: Var) -> Var {
        take_along("take_along", self, axis, positions, caller())
    }
}

fn norm(name: &str, x: Var, axes: Vec<usize>, location: Location) -> Var {
    let squares = frame::record1_as(name, mul::Mul, &[x, x], location);
    let total = frame::record1_as(name, sum::Sum { axes }, &[squares], location);
    let of = |value: f64, ty: &Type| literal(value, ty, location);
    let (zero, one) = (of(0.0, &total.ty()), of(1.0, &total.ty()));
    let nothing = frame::record1(compare::Compare { comparison: Comparison::Eq }, &[total, zero], location);
    // The root of 1 where the sum is zero: its slope is finite, and the other side of both choices.
    let safe = frame::record1(select::Select, &[nothing, one, total], location);
    let root = frame::record1(sqrt::Sqrt, &[safe], location);
    frame::record1(select::Select, &[nothing, zero, root], location)
}

fn take_along(name: &str, x: Var, axis: usize, positions: Var, location: Location) -> Var {
    let rank = x.rank();
    if axis >= rank {
        return frame::record1_as(name, gather::Gather { axis, batch_dims: 0 }, &[x, positions], location);
    }
    // The axis last, all others shared, and back.
    let last = rank - 1;
    let there: Vec<usize> = (0..rank).filter(|&i| i != axis).chain([axis]).collect();
    let back: Vec<usize> = (0..axis).chain([last]).chain(axis..last).collect();
    let permuted = |v: Var, perm: &[usize]| {
        if axis == last {
            return v;
        }
        frame::record1_as(name, transpose::Transpose { perm: perm.to_vec() }, &[v], location)
    };
    let (x, positions) = (permuted(x, &there), permuted(positions, &there));
    let gather = gather::Gather { axis: last, batch_dims: last };
    let taken = frame::record1_as(name, gather, &[x, positions], location);
    permuted(taken, &back)
}
