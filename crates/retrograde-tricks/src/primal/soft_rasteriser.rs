//! Soft rasteriser: how far pixels are covered by triangles, as a smooth function of the corners. Law: exact.
//!
//! Row in the catalogue: [`RELAXATIONS`](super::soft_sort::RELAXATIONS).

use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::refuse::{positive, refuse};

/// `1 − Π (1 − σ(dⱼ/T))` over the triangles j, d the distance of a pixel to the nearest edge, below 0 outside.   corners:
/// `[triangles, 3, 2]`, pixels: `[pixels, 2]` → `[pixels]`, from 0 to 1.
///
/// Outside, d is the distance to the edge's line, which beyond a corner is less than that to the corner.
///
/// # Errors
/// At the front door: a temperature that is not above 0, shapes that do not fit.
/// # Cost
/// About 40 operations for each pixel and triangle.
/// # Source
/// Liu et al. 2019, eqs. 1 and 4, with signed distances instead of their squares; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::soft_rasteriser::coverage;
/// let corners = array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]);
/// let pixels = array([[0.2, 0.2], [0.9, 0.9], [0.5, 0.0]]);
/// let f = |t: f64| jit(move |c: Var, p: Var| coverage(c, p, t)).call((&corners, &pixels));
/// // Inside, outside, on an edge.
/// assert_eq!(f(1e-4)?, array([1.0, 0.0, 0.5]));
/// let error = f(-1.0).unwrap_err().to_string();
/// assert!(error.starts_with("error: coverage: found a temperature of -1, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn coverage(corners: Var, pixels: Var, temperature: f64) -> Var {
    let (of_corners, of_pixels) = (corners.shape(), pixels.shape());
    let nothing = || full(corners.dtype(), [of_pixels.first().copied().unwrap_or(0)], 0.0);
    if !positive(
        "coverage",
        "temperature",
        temperature,
        "it is the width of an edge, in the units of the corners",
    ) {
        return nothing();
    }
    if of_corners.get(1..) != Some(&[3, 2]) || of_pixels.get(1..) != Some(&[2]) {
        refuse(
            format!("coverage: found corners {} and pixels {}", corners.ty(), pixels.ty()),
            "corners are [triangles, 3, 2] and pixels [pixels, 2]",
        );
        return nothing();
    }
    let shape = [of_pixels[0], of_corners[0]];
    let corner = |at: usize, axis: usize| corners.index(1, at).index(1, axis).broadcast(shape, &[1]);
    let [px, py] = [0, 1].map(|axis| pixels.index(1, axis).broadcast(shape, &[0]));
    // Twice the area, below 0 where corners go round clockwise.
    let area = (corner(1, 0) - corner(0, 0)) * (corner(2, 1) - corner(0, 1))
        - (corner(1, 1) - corner(0, 1)) * (corner(2, 0) - corner(0, 0));
    let side = area.sign();
    let distance = |from: usize, to: usize| {
        let (ex, ey) = (corner(to, 0) - corner(from, 0), corner(to, 1) - corner(from, 1));
        let cross = ex * (py - corner(from, 1)) - ey * (px - corner(from, 0));
        side * cross * (ex * ex + ey * ey).rsqrt()
    };
    let nearest = distance(0, 1).min(distance(1, 2)).min(distance(2, 0));
    // 1 − σ(z) is σ(−z).
    1.0 - (nearest * (-1.0 / temperature)).logistic().prod_axes(&[1])
}
