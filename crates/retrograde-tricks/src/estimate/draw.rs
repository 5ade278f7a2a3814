//! Draws inside traced code: functions of a key (`i64[2]`), the same numbers on every run and in every derivative.
//!
//! A key is used for one purpose: one draw, or one [`split`]. Draws have no derivative; what depends on parameters is made of them
//! in the open, so that the derivative is that of ordinary arithmetic.

use retrograde_array::{DType, Shape};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{random_bits, uniform};

/// Bits of each of the two words of a key that [`split`] makes: as many as a traced draw has.
const KEY_BITS: u8 = 63;

/// `n` new keys.   key: `i64[2]` → n of `i64[2]`. Key `i` does not depend on `n`.
///
/// # Errors
/// At the front door, for a key of another type.
/// # Source
/// Words of the generator as keys: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit, var::uniform};
/// use retrograde_tricks::estimate::draw::split;
/// let draw = jit(|key: Var| split(key, 2).into_iter().map(|key| uniform(key, [3])).collect::<Vec<Var>>());
/// let drawn = draw.call(&Key::from_seed(7).to_array())?;
/// assert_ne!(drawn[0], drawn[1]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn split(key: Var, n: usize) -> Vec<Var> {
    let words = random_bits(key, [n, 2], KEY_BITS);
    let mut keys = vec![];
    for i in 0..n {
        keys.push(words.index(0, i));
    }
    keys
}

/// Standard normal numbers, f64.
///
/// # Source
/// G. E. P. Box, M. E. Muller, A note on the generation of random normal deviates, Ann. Math. Statist. 29 (1958); one of each pair.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::draw::normal;
/// let squares = jit(|key: Var| { let z = normal(key, [4000]); (z * z).mean() });
/// let found = squares.call(&Key::from_seed(7).to_array())?.item::<f64>().unwrap();
/// assert!((found - 1.0).abs() < 0.09, "{found}"); // four standard errors, 4 √(2/4000)
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn normal(key: Var, shape: impl Into<Shape>) -> Var {
    let pairs = uniform(key, [&[2], &shape.into()[..]].concat());
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let radius = ((1.0 - pairs.index(0, 0)).log() * -2.0).sqrt();
    radius * (pairs.index(0, 1) * std::f64::consts::TAU).cos()
}

/// −1 and 1, each with probability ½, f64.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::draw::rademacher;
/// let signs = jit(|key: Var| rademacher(key, [50])).call(&Key::from_seed(7).to_array())?;
/// assert!(signs.to_vec::<f64>().unwrap().iter().all(|sign| sign.abs() == 1.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn rademacher(key: Var, shape: impl Into<Shape>) -> Var {
    random_bits(key, shape, 1).convert(DType::F64) * 2.0 - 1.0
}

/// Numbers in (0, 1), never an end, f64: 52 random bits and a half.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::draw::open_uniform;
/// let drawn = jit(|key: Var| open_uniform(key, [50])).call(&Key::from_seed(7).to_array())?;
/// assert!(drawn.to_vec::<f64>().unwrap().iter().all(|u| 0.0 < *u && *u < 1.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn open_uniform(key: Var, shape: impl Into<Shape>) -> Var {
    const BITS: u8 = 52;
    (random_bits(key, shape, BITS).convert(DType::F64) + 0.5) * 0.5_f64.powi(i32::from(BITS))
}

/// True with probability `p` each.   p: `[..]` float → bool of the same shape.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::draw::bernoulli;
/// let drawn = jit(|key: Var, p: Var| bernoulli(key, p)).call((&Key::from_seed(7).to_array(), &array([0.0, 1.0])))?;
/// assert_eq!(drawn, array([false, true]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn bernoulli(key: Var, p: Var) -> Var {
    uniform(key, p.shape()).lt(p.stop_gradient().convert(DType::F64))
}

/// Standard Gumbel numbers, −log(−log u), f64.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::draw::gumbel;
/// let mean = jit(|key: Var| gumbel(key, [4000]).mean()).call(&Key::from_seed(7).to_array())?;
/// let found = mean.item::<f64>().unwrap();
/// assert!((found - 0.5772156649).abs() < 0.082); // Euler's constant; four standard errors, 4 π/√(6·4000)
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gumbel(key: Var, shape: impl Into<Shape>) -> Var {
    -(-open_uniform(key, shape).log()).log()
}
