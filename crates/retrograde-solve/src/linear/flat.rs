//! Trees of arrays as one vector of `f64`, in the order of their leaves.

use retrograde_array::{Array, DType, ops};
use retrograde_core::ir::{Location, Type};
use retrograde_core::trace::function::expect_like;
use retrograde_core::trace::tree::Part;
use retrograde_core::trace::{Error, Tree};

/// How the leaves of a tree lie in a vector.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Flattening {
    pub(crate) types: Vec<Type>,
}

impl Flattening {
    pub(crate) fn of<T: Tree<Leaf = Array>>(tree: &T) -> Flattening {
        let mut types = vec![];
        tree.walk(&mut |part| {
            if let Part::Leaf(array) = part {
                types.push(Type::of(array));
            }
        });
        Flattening { types }
    }
    /// How many numbers there are.
    pub(crate) fn size(&self) -> usize {
        self.types.iter().map(|ty| ty.shape.size()).sum()
    }
    /// The numbers of a tree, whatever their dtype.
    pub(crate) fn flatten<T: Tree<Leaf = Array>>(&self, tree: &T) -> Vec<f64> {
        let mut flat = Vec::with_capacity(self.size());
        tree.walk(&mut |part| {
            if let Part::Leaf(array) = part {
                flat.extend(numbers(array));
            }
        });
        flat
    }
    /// The leaves of a vector, rounded to their dtypes.
    pub(crate) fn leaves(&self, flat: &[f64]) -> Vec<Array> {
        let mut rest = flat;
        let cut = |ty: &Type| {
            let (own, after) = rest.split_at(ty.shape.size());
            rest = after;
            let leaf = Array::new(ty.shape.clone(), own.to_vec()).expect("as many numbers as entries");
            if ty.dtype == DType::F64 { leaf } else { ops::convert(&leaf, ty.dtype) }
        };
        self.types.iter().map(cut).collect()
    }
}

/// Vectors of numbers in the place of trees like one that is given.
pub(crate) struct Trees<'a, T> {
    pub(crate) like: &'a T,
    pub(crate) flattening: Flattening,
    /// Where the user gave it.
    pub(crate) location: Location,
}

impl<'a, T: Tree<Leaf = Array, With<Array> = T>> Trees<'a, T> {
    pub(crate) fn new(like: &'a T, location: Location) -> Self {
        Trees { like, flattening: Flattening::of(like), location }
    }
    pub(crate) fn tree(&self, flat: &[f64]) -> T {
        let mut leaves = self.flattening.leaves(flat).into_iter();
        self.like.map(&mut |_| leaves.next().expect("one array per leaf; this is a bug in retrograde"))
    }
    /// What an operator on trees makes of a vector; `what` it is and what it must be like, for the message.
    pub(crate) fn through(
        &self,
        operator: &mut dyn FnMut(&T) -> Result<T, Error>,
        what: &str,
        of: &str,
        v: &[f64],
    ) -> Result<Vec<f64>, Error> {
        let result = operator(&self.tree(v))?;
        expect_like(what, &result, of, self.like, self.location)?;
        Ok(self.flattening.flatten(&result))
    }
}

/// The entries of an array as `f64`.
pub(crate) fn numbers(array: &Array) -> Vec<f64> {
    let wide = if array.dtype() == DType::F64 { array.clone() } else { ops::convert(array, DType::F64) };
    wide.to_vec::<f64>().expect("converted to f64")
}

/// Σ a b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The Euclidean length.
pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// y ← y + s x.
pub(crate) fn add_scaled(y: &mut [f64], s: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += s * x);
}

/// s x.
pub(crate) fn scaled(s: f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| s * x).collect()
}

/// a − b.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
