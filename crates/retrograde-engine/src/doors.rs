//! The front doors of `retrograde_core::trace::door`, told to run on an [`Engine`].

use retrograde_core::trace::Var;
use retrograde_core::trace::door::{
    self, Grad, HvpDoor, Jacobian, Jit, Jvp, ValueAndGrad, ValueGradHvp, Vjp, Vmap,
};
use retrograde_core::trace::function::{Arguments, Function, Pick, Traceable};

use crate::Engine;

/// The gradient of a function with one number as its result. See [`door::grad`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// assert_eq!(grad(|x: Var| (x * x).sum()).call(&array([1.0, 3.0]))?, array([2.0, 6.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn grad<F: Function<Args>, Args: Arguments>(f: F) -> Grad<F, Args>
where
    F::Output: Traceable,
{
    door::grad(f).executor(Engine::default())
}

/// The value and the gradient, in one sweep. See [`door::value_and_grad`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::value_and_grad;
/// let (value, slope) = value_and_grad(|x: Var| (x * x).sum()).call(&array([1.0, 3.0]))?;
/// assert_eq!((value, slope), (array(10.0), array([2.0, 6.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn value_and_grad<F: Function<Args>, Args: Arguments>(f: F) -> ValueAndGrad<F, Args>
where
    F::Output: Traceable,
{
    door::value_and_grad(f).executor(Engine::default())
}

/// The value and the pullback. See [`door::vjp`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::vjp;
/// let x = array([1.0, 2.0]);
/// let (value, pullback) = vjp(|x: Var| x * x).call(&x)?;
/// assert_eq!((value, pullback.call(&array([1.0, 10.0]))?), (array([1.0, 4.0]), array([2.0, 40.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn vjp<F: Function<Args>, Args: Arguments>(f: F) -> Vjp<F, Args>
where
    F::Output: Traceable,
{
    door::vjp(f).executor(Engine::default())
}

/// Hessian times vector. See [`door::hvp`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// let product = hvp(|x: Var| (x * x * x).sum()).call(&array([1.0, 2.0]), &array([1.0, 0.5]))?;
/// assert_eq!(product, array([6.0, 6.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn hvp<F: Function<Args>, Args: Pick<0>>(f: F) -> HvpDoor<F, Args>
where
    F::Output: Traceable,
{
    door::hvp(f).executor(Engine::default())
}

/// The value, the gradient and the Hessian times a vector, in one sweep. See [`door::value_grad_hvp`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::value_grad_hvp;
/// let (x, v) = (array([1.0, 2.0]), array([1.0, 0.5]));
/// let (_, slope, product) = value_grad_hvp(|x: Var| (x * x * x).sum()).call(&x, &v)?;
/// assert_eq!((slope, product), (array([3.0, 12.0]), array([6.0, 6.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn value_grad_hvp<F: Function<Args>, Args: Arguments>(f: F) -> ValueGradHvp<F, Args>
where
    F::Output: Traceable,
{
    door::value_grad_hvp(f).executor(Engine::default())
}

/// The value and its derivative along a direction. See [`door::jvp`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jvp;
/// assert_eq!(jvp(|x: Var| x * x).call(&array(3.0), &array(10.0))?, (array(9.0), array(60.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jvp<F: Function<(A,)>, A: Traceable>(f: F) -> Jvp<F, (A,)>
where
    F::Output: Traceable,
{
    door::jvp(f).executor(Engine::default())
}

/// The function itself, compiled once per structure and types of its inputs. See [`door::jit`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// let f = jit(|x: Var, y: Var| (x + y, x * y));
/// assert_eq!(f.call((&array(3.0), &array(4.0)))?, (array(7.0), array(12.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jit<F: Function<Args>, Args: Arguments>(f: F) -> Jit<F, Args>
where
    F::Output: Traceable,
{
    door::jit(f).executor(Engine::default())
}

/// The function over a new leading axis of all its arguments. See [`door::vmap`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{grad, jit, vmap};
/// let slopes = jit(vmap(grad(|x: Var| (x * x).sum()))).call(&array([[1.0, 2.0], [3.0, 4.0]]))?;
/// assert_eq!(slopes, array([[2.0, 4.0], [6.0, 8.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn vmap<F>(f: F) -> Vmap<F> {
    door::vmap(f).executor(Engine::default())
}

/// All derivatives of an array-valued function of one array. See [`door::jacobian`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{hessian, jacobian};
/// let x = array([2.0, 3.0]);
/// assert_eq!(jacobian(|x: Var| x.index(0, 0) * x).call(&x)?, array([[4.0, 0.0], [3.0, 2.0]]));
/// assert_eq!(hessian(|x: Var| (x * x * x).sum()).call(&x)?, array([[12.0, 0.0], [0.0, 18.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jacobian<F: Function<(Var,), Output = Var>>(f: F) -> Jacobian<F> {
    door::jacobian(f).executor(Engine::default())
}

/// The second derivatives of a number-valued function of one array. See [`door::hessian`].
#[track_caller]
pub fn hessian<F: Function<(Var,), Output = Var>>(f: F) -> Jacobian<Grad<F, (Var,)>> {
    door::hessian(f).executor(Engine::default())
}
