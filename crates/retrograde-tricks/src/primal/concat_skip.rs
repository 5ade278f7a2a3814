//! Connections that set side by side instead of adding: what was is kept beside what is made of it. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::concat;

use super::refuse::refuse;
use crate::catalogue::{Law, Property, Source, Trick};

/// Dense blocks and U-nets.
pub const CONCAT: Trick = Trick {
    id: "A10",
    name: "DenseNet and U-net connections",
    formula: "y = [x, F(x)] along the channels",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "O. Ronneberger and P. Fischer and T. Brox",
            title: "U-Net: convolutional networks for biomedical image segmentation",
            venue: "Medical Image Computing and Computer-Assisted Intervention",
            year: 2015,
        },
        Source {
            authors: "G. Huang and Z. Liu and L. van der Maaten and K. Q. Weinberger",
            title: "Densely connected convolutional networks",
            venue: "IEEE Conference on Computer Vision and Pattern Recognition",
            year: 2017,
        },
    ],
    file: file!(),
    example: "beside",
    property: Property {
        claim: "joining and parting undo each other to the bit, for values and for cotangents",
        test: "joining_and_parting_undo_each_other",
        found: "every bit, values and cotangents, both ways round",
    },
};

/// `[x, F(x)]` along `axis`: all later layers read x as it is.
///
/// # Errors
/// At the front door, where x and F(x) differ on another axis.
/// # Source
/// [`CONCAT`]: Huang et al. 2017, eq. 2; Ronneberger, Fischer and Brox 2015, figure 1, with an F that goes down and comes up again.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::concat_skip::{beside, part};
/// let block = |x: Var| beside(x, 1, |x| x.sum_axes(&[1]).reshape([1, 1]));
/// let y = jit(move |x: Var| block(block(x))).call(&array([[1.0, 2.0]]))?;
/// assert_eq!(y, array([[1.0, 2.0, 3.0, 6.0]]));
/// let parts = jit(|y: Var| part(y, 1, &[2, 2])).call(&y)?;
/// assert_eq!(parts, vec![array([[1.0, 2.0]]), array([[3.0, 6.0]])]);
/// let error = jit(|y: Var| part(y, 1, &[2, 3])).call(&y).unwrap_err();
/// assert!(error.to_string().starts_with("error: part: found widths of 5 in all for axis 1 of f64[1,4]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn beside(x: Var, axis: usize, f: impl FnOnce(Var) -> Var) -> Var {
    let y = f(x);
    concat(&[x, y], axis)
}

/// The parts of `y` along `axis`, of these widths.
///
/// # Errors
/// At the front door, where the widths are not those of y in all.
#[track_caller]
pub fn part(y: Var, axis: usize, widths: &[usize]) -> Vec<Var> {
    let total: usize = widths.iter().sum();
    if y.shape().get(axis) != Some(&total) {
        refuse(
            format!("part: found widths of {total} in all for axis {axis} of {}", y.ty()),
            "name the width of every part",
        );
        return widths.iter().map(|_| y).collect();
    }
    let mut parts = vec![];
    let mut start = 0;
    for width in widths {
        parts.push(y.slice(axis, start..start + width));
        start += width;
    }
    parts
}
