//! Memory that is read and written everywhere at once, by weights: the neural Turing machine. Law: exact.
//!
//! Row in the catalogue: [`RELAXATIONS`](super::soft_sort::RELAXATIONS).

use retrograde_core::trace::Var;
use retrograde_core::trace::var::{concat, stack};

use super::guarded::divide_or_zero;
use super::refuse::{positive, refuse};
use super::softmax::softmax;

/// `softmax(β cos(key, Mᵢ))` over the rows of the memory.   memory: `[rows, d]`, key: `[d]` → `[rows]`.
///
/// # Errors
/// At the front door: a sharpness that is not above 0, widths that do not fit.
/// # Source
/// Graves, Wayne and Danihelka 2014, eqs. 5 and 6; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::memory::{by_content, read, rotate, sharpen, write};
/// let (memory, key) = (array([[1.0, 0.0], [0.0, 5.0]]), array([0.0, 1.0]));
/// let at = jit(|m: Var, k: Var| by_content(m, k, 1e3)).call((&memory, &key))?;
/// assert_eq!(at, array([0.0, 1.0]));
/// assert_eq!(jit(|m: Var, w: Var| read(m, w)).call((&memory, &at))?, array([0.0, 5.0]));
/// // Half of the second row is erased, and as much added.
/// let f = jit(|[m, w, e, a]: [Var; 4]| write(m, w, e, a));
/// let written = f.call(&[memory.clone(), at.clone(), array([0.5, 0.5]), array([7.0, 0.0])])?;
/// assert_eq!(written, array([[1.0, 0.0], [7.0, 2.5]]));
/// // One place on, in a circle.
/// let on = jit(|w: Var, s: Var| sharpen(rotate(w, s), 2.0)).call((&at, &array([0.0, 1.0])))?;
/// assert_eq!(on, array([1.0, 0.0]));
/// let error = jit(|m: Var, k: Var| by_content(m, k, 0.0)).call((&memory, &key)).unwrap_err();
/// assert!(error.to_string().starts_with("error: by_content: found a sharpness of 0, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn by_content(memory: Var, key: Var, sharpness: f64) -> Var {
    let (shape, of_key) = (memory.shape(), key.shape());
    if !positive("by_content", "sharpness", sharpness, "the larger, the nearer to reading one row") {
        return memory.sum_axes(&[1]);
    }
    if shape.rank() != 2 || of_key[..] != shape[1..] {
        refuse(
            format!("by_content: found memory {} and key {}", memory.ty(), key.ty()),
            "memory is [rows, d] and the key [d]",
        );
        return memory.sum_axes(&[1]);
    }
    let lengths = memory.norm_axes(&[1]) * key.norm();
    softmax(divide_or_zero(memory.dot(key), lengths) * sharpness, 0)
}

/// `Σ wᵢ Mᵢ`.   memory: `[rows, d]`, weights: `[rows]` → `[d]`.
#[track_caller]
pub fn read(memory: Var, weights: Var) -> Var {
    weights.dot(memory)
}

/// `Mᵢ (1 − wᵢ e) + wᵢ a`.   memory: `[rows, d]`, weights: `[rows]`, erase and add: `[d]` → `[rows, d]`.
///
/// # Source
/// Graves, Wayne and Danihelka 2014, eqs. 3 and 4.
#[track_caller]
pub fn write(memory: Var, weights: Var, erase: Var, add: Var) -> Var {
    let shape = memory.shape();
    let weights = weights.broadcast(shape.clone(), &[0]);
    memory * (1.0 - weights * erase.broadcast(shape.clone(), &[1])) + weights * add.broadcast(shape, &[1])
}

/// `Σⱼ wⱼ s₍ᵢ₋ⱼ₎` in a circle: weights moved on by as many places as s has mass at.   weights, shifts: `[rows]` → `[rows]`.
///
/// # Source
/// Graves, Wayne and Danihelka 2014, eq. 8.
#[track_caller]
pub fn rotate(weights: Var, shifts: Var) -> Var {
    let n = weights.shape().size();
    // Row j of the circulant holds the shifts from place j on.
    let mut moved = vec![];
    for j in 0..n {
        let (head, tail) = (shifts.slice(0, 0..n - j), shifts.slice(0, n - j..n));
        moved.push(concat(&[tail, head], 0));
    }
    weights.dot(stack(&moved))
}

/// `wᵢ^γ / Σ w^γ`.   weights: `[rows]`, at least 0 → `[rows]`.
///
/// # Errors
/// At the front door, for a power that is not above 0.
/// # Source
/// Graves, Wayne and Danihelka 2014, eq. 9, with γ of at least 1.
#[track_caller]
pub fn sharpen(weights: Var, power: f64) -> Var {
    if !positive("sharpen", "power", power, "1 changes nothing, more sharpens") {
        return weights;
    }
    let raised = weights.pow(power);
    raised / raised.sum()
}
