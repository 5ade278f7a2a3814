//! Closures and front doors as functions of trees.

use super::tree::{Leaf, Part, Tree};
use super::{Error, Var, tree};
use crate::ir::{Location, Type};
use retrograde_array::Array;

/// A function of traced values: a closure of one, two or three trees, or a front door.
///
/// ```
/// use retrograde_core::trace::{Var, door::{grad, jit}, function::Function};
/// use retrograde_array::array;
/// fn twice(f: &impl Function<(Var,), Output = Var>, x: Var) -> Var {
///     f.apply((f.apply((x,)),))
/// }
/// let cube = |x: Var| x * x * x;
/// assert_eq!(jit(|x: Var| twice(&cube, x)).call(&array(2.0))?, array(512.0));
/// assert_eq!(jit(|x: Var| twice(&grad(cube), x)).call(&array(1.0))?, array(27.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Function<Args> {
    /// What it returns.
    type Output;
    /// Calls it on traced values.
    fn apply(&self, args: Args) -> Self::Output;
}

impl<F: Fn(A) -> R, A, R> Function<(A,)> for F {
    type Output = R;
    fn apply(&self, (a,): (A,)) -> R {
        self(a)
    }
}
impl<F: Fn(A, B) -> R, A, B, R> Function<(A, B)> for F {
    type Output = R;
    fn apply(&self, (a, b): (A, B)) -> R {
        self(a, b)
    }
}
impl<F: Fn(A, B, C) -> R, A, B, C, R> Function<(A, B, C)> for F {
    type Output = R;
    fn apply(&self, (a, b, c): (A, B, C)) -> R {
        self(a, b, c)
    }
}

/// A tree of traced values and the same tree of arrays.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, function::Traceable, var::{constant, full}};
/// use retrograde_array::{Array, array};
/// type Pair = (Var, Vec<Var>);
/// let f = |pair: Pair| {
///     let types = pair.types();
///     assert_eq!(types.0.to_string(), "f64[]");
///     let zeros = Pair::to_arrays(&types, &mut |ty| Array::zeros(ty.dtype, ty.shape.clone()));
///     let tens = Pair::map_arrays(&zeros, &mut |_| array(10.0));
///     let tens = Pair::from_arrays(&tens, &mut |tens| constant(tens));
///     let ones = Pair::from_types(&types, &mut |ty| full(ty.dtype, ty.shape.clone(), 1.0));
///     pair.map_vars(&mut |x| *x * tens.0 + ones.0)
/// };
/// let found = jit(f).call(&(array(2.0), vec![array(3.0)]))?;
/// assert_eq!(found, (array(21.0), vec![array(31.0)]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Traceable: Tree<Leaf = Var> + 'static {
    /// The same tree of arrays.
    type Arrays: Tree<Leaf = Array> + 'static;
    /// The same tree of types.
    type Types: Tree<Leaf = Type> + Clone + Send + Sync + 'static;
    /// The same structure, traced.
    fn from_arrays(arrays: &Self::Arrays, f: &mut dyn FnMut(&Array) -> Var) -> Self;
    /// The types of the leaves.
    fn types(&self) -> Self::Types;
    /// The same structure, of arrays.
    fn to_arrays(types: &Self::Types, f: &mut dyn FnMut(&Type) -> Array) -> Self::Arrays;
    /// The same structure of other arrays.
    fn map_arrays(arrays: &Self::Arrays, f: &mut dyn FnMut(&Array) -> Array) -> Self::Arrays;
    /// The same structure of other traced values.
    fn map_vars(&self, f: &mut dyn FnMut(&Var) -> Var) -> Self;
    /// The same structure, traced, from types.
    fn from_types(types: &Self::Types, f: &mut dyn FnMut(&Type) -> Var) -> Self;
}

impl<T> Traceable for T
where
    T: Tree<Leaf = Var, With<Var> = T> + 'static,
    T::With<Array>: Tree<Leaf = Array, With<Var> = T, With<Array> = T::With<Array>> + 'static,
    T::With<Type>:
        Tree<Leaf = Type, With<Array> = T::With<Array>, With<Var> = T> + Clone + Send + Sync + 'static,
{
    type Arrays = T::With<Array>;
    type Types = T::With<Type>;
    fn from_arrays(arrays: &Self::Arrays, f: &mut dyn FnMut(&Array) -> Var) -> T {
        arrays.map(f)
    }
    fn types(&self) -> Self::Types {
        self.map(&mut |v| v.ty())
    }
    fn to_arrays(types: &Self::Types, f: &mut dyn FnMut(&Type) -> Array) -> Self::Arrays {
        types.map(f)
    }
    fn map_arrays(arrays: &Self::Arrays, f: &mut dyn FnMut(&Array) -> Array) -> Self::Arrays {
        arrays.map(f)
    }
    fn map_vars(&self, f: &mut dyn FnMut(&Var) -> Var) -> T {
        self.map(f)
    }
    fn from_types(types: &Self::Types, f: &mut dyn FnMut(&Type) -> Var) -> T {
        types.map(f)
    }
}

/// The arguments of a function: one, two or three trees.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, function::Arguments, var::constant};
/// use retrograde_array::array;
/// type Two = (Var, Var);
/// let (x, y) = (array(2.0), array(3.0));
/// assert_eq!(Two::leaves((&x, &y))[1], [(String::new(), y.clone())]);
/// assert_eq!(Two::structure((&x, &y)), vec![vec![""], vec![""]]);
/// let mut n_leaves = 0;
/// Two::walk(Two::refs(&(x.clone(), y.clone())), &mut |_| n_leaves += 1);
/// assert_eq!(n_leaves, 2);
/// let f = |z: Var| {
///     let args = Two::trace((&x, &y), &mut |array| constant(array));
///     let tens = Two::from_vars((z, z)).map_vars(&mut |z| *z * 10.0);
///     args.vars()[0][0] + tens.vars()[1][0]
/// };
/// assert_eq!(jit(f).call(&array(1.0))?, array(12.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Arguments: Sized {
    /// How the caller passes arrays: `&a`, `(&a, &b)`, `(&a, &b, &c)`.
    type Refs<'a>: Copy;
    /// How the caller gives arrays up: `a`, `(a, b)`, `(a, b, c)`.
    type Given;
    /// How traced code passes values: `a`, `(a, b)`, `(a, b, c)`.
    type Vars;
    /// How many arguments there are.
    const COUNT: usize;
    /// What is given, as it is passed.
    fn refs(given: &Self::Given) -> Self::Refs<'_>;
    /// See [`Tree::walk`].
    fn walk(refs: Self::Refs<'_>, f: &mut dyn FnMut(Part<'_, Array>));
    /// The leaves, with paths, argument by argument.
    fn leaves(refs: Self::Refs<'_>) -> Vec<Vec<(String, Array)>>;
    /// The structures, argument by argument.
    fn structure(refs: Self::Refs<'_>) -> Vec<Vec<String>>;
    /// The arguments with traced leaves.
    fn trace(refs: Self::Refs<'_>, f: &mut dyn FnMut(&Array) -> Var) -> Self;
    /// From what traced code passes.
    fn from_vars(vars: Self::Vars) -> Self;
    /// The traced leaves, argument by argument.
    fn vars(&self) -> Vec<Vec<Var>>;
    /// The same arguments with other leaves.
    fn map_vars(&self, f: &mut dyn FnMut(&Var) -> Var) -> Self;
}

macro_rules! arguments {
    ($n:literal, ($($name:ident $i:tt),*), $refs:ty, $given:ty, $vars:ty, |$g:ident| $lent:expr, |$r:ident| ($($get:expr),*), |$v:ident| $own:expr) => {
        impl<$($name: Traceable),*> Arguments for ($($name,)*) {
            type Refs<'a> = $refs;
            type Given = $given;
            type Vars = $vars;
            const COUNT: usize = $n;
            fn refs($g: &Self::Given) -> Self::Refs<'_> {
                $lent
            }
            fn walk($r: Self::Refs<'_>, f: &mut dyn FnMut(Part<'_, Array>)) {
                $($get.walk(f);)*
            }
            fn leaves($r: Self::Refs<'_>) -> Vec<Vec<(String, Array)>> {
                vec![$(tree::leaves($get)),*]
            }
            fn structure($r: Self::Refs<'_>) -> Vec<Vec<String>> {
                vec![$(tree::structure($get)),*]
            }
            fn trace($r: Self::Refs<'_>, f: &mut dyn FnMut(&Array) -> Var) -> Self {
                ($($name::from_arrays($get, f),)*)
            }
            fn from_vars($v: Self::Vars) -> Self {
                $own
            }
            fn vars(&self) -> Vec<Vec<Var>> {
                vec![$(tree::leaves(&self.$i).into_iter().map(|(_, v)| v).collect()),*]
            }
            fn map_vars(&self, f: &mut dyn FnMut(&Var) -> Var) -> Self {
                ($(self.$i.map_vars(f),)*)
            }
        }
    };
}
arguments!(1, (A 0), &'a A::Arrays, A::Arrays, A, |g| g, |r| (r), |v| (v,));
arguments!(
    2, (A 0, B 1), (&'a A::Arrays, &'a B::Arrays), (A::Arrays, B::Arrays), (A, B),
    |g| (&g.0, &g.1), |r| (r.0, r.1), |v| v
);
arguments!(
    3, (A 0, B 1, C 2), (&'a A::Arrays, &'a B::Arrays, &'a C::Arrays), (A::Arrays, B::Arrays, C::Arrays), (A, B, C),
    |g| (&g.0, &g.1, &g.2), |r| (r.0, r.1, r.2), |v| v
);

/// Argument number `I`, which a derivative is taken with respect to.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, function::Pick};
/// use retrograde_array::array;
/// type Two = (Var, Var);
/// let (x, y) = (array(2.0), array(3.0));
/// assert_eq!(<Two as Pick<1>>::pick((&x, &y)), &y);
/// let second = |x: Var, y: Var| *Pick::<1>::pick_vars(&(x, y));
/// assert_eq!(jit(second).call((&x, &y))?, y);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Pick<const I: usize>: Arguments {
    /// Its tree.
    type Picked: Traceable;
    /// Its arrays.
    fn pick(refs: Self::Refs<'_>) -> &<Self::Picked as Traceable>::Arrays;
    /// Its traced values.
    fn pick_vars(&self) -> &Self::Picked;
}

macro_rules! pick {
    ($i:tt, ($($name:ident),*), $picked:ident, |$r:ident| $get:expr) => {
        impl<$($name: Traceable),*> Pick<$i> for ($($name,)*) {
            type Picked = $picked;
            fn pick($r: Self::Refs<'_>) -> &$picked::Arrays {
                $get
            }
            fn pick_vars(&self) -> &$picked {
                &self.$i
            }
        }
    };
}
pick!(0, (A), A, |r| r);
pick!(0, (A, B), A, |r| r.0);
pick!(1, (A, B), B, |r| r.1);
pick!(0, (A, B, C), A, |r| r.0);
pick!(1, (A, B, C), B, |r| r.1);
pick!(2, (A, B, C), C, |r| r.2);

/// Checks that two trees of arrays have one structure and leaves of the same types; `what` and `of` are for the message:
/// the direction, of the argument.
///
/// # Errors
/// Names the first leaf that differs.
///
/// ```
/// use retrograde_core::trace::function::expect_like;
/// use retrograde_array::array;
/// let here = retrograde_core::ir::Location(std::panic::Location::caller());
/// assert!(expect_like("direction", &array(1.0), "argument", &array(2.0), here).is_ok());
/// let error = expect_like("direction", &array(1.0), "argument", &array([2.0]), here).unwrap_err();
/// assert!(error.to_string().starts_with("error: direction: the value is f64[], expected f64[1]"));
/// ```
pub fn expect_like<T: Tree<Leaf = Array>>(
    what: &str,
    found: &T,
    of: &str,
    like: &T,
    location: Location,
) -> Result<Vec<Array>, Error> {
    let (found, like) = (tree::leaves(found), tree::leaves(like));
    let differ = found.iter().zip(&like).find(|(f, l)| f.0 != l.0 || Type::of(&f.1) != Type::of(&l.1));
    let at = |path: &str| if path.is_empty() { "the value".to_string() } else { format!("leaf `{path}`") };
    let message = match differ {
        Some((f, l)) if f.0 == l.0 => {
            format!("{what}: {} is {}, expected {}", at(&f.0), Type::of(&f.1), Type::of(&l.1))
        }
        Some((f, l)) => format!("{what}: found {}, expected {}", at(&f.0), at(&l.0)),
        None if found.len() > like.len() => {
            format!("{what}: found {}, which the {of} does not have", at(&found[like.len()].0))
        }
        None if found.len() < like.len() => format!(
            "{what}: {} is missing, expected all {} of the {of}",
            at(&like[found.len()].0),
            like.len()
        ),
        None => return Ok(found.into_iter().map(|(_, a)| a).collect()),
    };
    let help = format!("the {what} has the structure, shapes and dtypes of the {of}");
    Err(Error::Input { message, location, help })
}

/// Makes a tree from values in leaf order.
pub(super) fn rebuild<L: Leaf>(values: Vec<L>) -> impl FnMut() -> L {
    let mut values = values.into_iter();
    move || values.next().expect("one value per leaf; this is a bug in retrograde")
}
