//! Augmentation: images moved, cropped and mirrored, each by its own draw from a key. Law: exact.
//!
//! Row in the catalogue: [`DATA`](super::label_smoothing::DATA). Draws have no derivative; images have.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::vmap;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{random_bits, select, stack, uniform};

use super::refuse::refuse;

/// Whether x is `[n, channels, height, width]`; notes it where it is not.
#[track_caller]
fn are_images(what: &str, x: Var) -> bool {
    if x.rank() != 4 {
        let found = format!("{what}: found {} of x, expected [n, channels, height, width]", x.ty());
        refuse(found, "reshape rows of pixels to images first");
    }
    x.rank() == 4
}

/// For each of n images, two whole numbers from 0 to `most[0]` and to `most[1]`, each as likely: i64 `[n, 2]`.
#[track_caller]
fn offsets(key: Var, n: usize, most: [usize; 2]) -> Var {
    let draws = uniform(key, [n, 2]);
    let one = |axis: usize| (draws.index(1, axis) * (most[axis] + 1) as f64).floor().convert(DType::I64);
    stack(&[one(0), one(1)]).t()
}

/// A part of each image at a place of its own.   x: `[n, channels, height, width]`, key: i64 `[2]` → `[n, channels, size[0], size[1]]`.
///
/// # Errors
/// At the front door, for a part larger than the images.
/// # Source
/// Krizhevsky, Sutskever and Hinton 2012, section 4.1; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::augment::crop;
/// let f = |size: [usize; 2]| jit(move |x: Var, key: Var| crop(x, key, size));
/// let x = array([[[[1.0, 2.0, 3.0]]]]);
/// let part = f([1, 2]).call((&x, &Key::from_seed(1).to_array()))?;
/// assert!(part == array([[[[1.0, 2.0]]]]) || part == array([[[[2.0, 3.0]]]]));
/// let error = f([2, 2]).call((&x, &Key::from_seed(1).to_array())).unwrap_err();
/// assert!(error.to_string().starts_with("error: crop: found parts of 2 by 2 of images f64[1,1,1,3]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn crop(x: Var, key: Var, size: [usize; 2]) -> Var {
    if !are_images("crop", x) {
        return x;
    }
    let shape = x.shape();
    if size[0] > shape[2] || size[1] > shape[3] {
        let found = format!("crop: found parts of {} by {} of images {}", size[0], size[1], x.ty());
        refuse(found, "choose a part that is at most as large as an image");
        return x;
    }
    let places = offsets(key, shape[0], [shape[2] - size[0], shape[3] - size[1]]);
    let channels = shape[1];
    let part = vmap(move |image: Var, place: Var| {
        let starts = place.pad(&[(1, 0)], 0_i64);
        image.dynamic_slice(starts, &[channels, size[0], size[1]])
    });
    part.apply((x, places))
}

/// Each image moved by up to `most` pixels along both axes, all moves as likely; what comes in is 0.   x: `[n, channels, height, width]`,
/// key: i64 `[2]` → the same shape.
///
/// # Errors
/// At the front door, where x is not a batch of images.
/// # Source
/// As [`crop`]: a crop of the padded image.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::augment::shift;
/// let f = jit(|x: Var, key: Var| shift(x, key, 1));
/// let x = array([[[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]]);
/// let moved = f.call((&x, &Key::from_seed(3).to_array()))?;
/// // The pixel stays within the image, wherever it went.
/// assert_eq!(moved.to_vec::<f64>().unwrap().iter().sum::<f64>(), 1.0);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn shift(x: Var, key: Var, most: usize) -> Var {
    if !are_images("shift", x) {
        return x;
    }
    let shape = x.shape();
    let framed = x.pad(&[(0, 0), (0, 0), (most, most), (most, most)], 0.0);
    crop(framed, key, [shape[2], shape[3]])
}

/// Each image mirrored left to right, or not, by a fair coin.   x: `[n, channels, height, width]`, key: i64 `[2]` → the same shape.
///
/// # Errors
/// At the front door, where x is not a batch of images.
/// # Source
/// As [`crop`].
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::augment::flip;
/// let f = jit(|x: Var, key: Var| flip(x, key));
/// let (x, mirrored) = (array([[[[1.0, 2.0]]]]), array([[[[2.0, 1.0]]]]));
/// let found = f.call((&x, &Key::from_seed(1).to_array()))?;
/// assert!(found == x || found == mirrored);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn flip(x: Var, key: Var) -> Var {
    if !are_images("flip", x) {
        return x;
    }
    let shape = x.shape();
    let coin = random_bits(key, [shape[0]], 1).eq(1_i64);
    select(coin.broadcast(shape, &[0]), x.reverse(&[3]), x)
}
