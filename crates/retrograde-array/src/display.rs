//! Arrays as text, in the manner of numpy: nested brackets, long axes elided.

use std::fmt;

use crate::Array;

/// Arrays with more elements than this are elided.
const ELIDE_ABOVE: usize = 1000;
/// Entries kept at each end of an elided axis.
const EDGE: usize = 3;

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_axis(self, f, 0, 0)
    }
}

fn write_axis(array: &Array, f: &mut fmt::Formatter<'_>, axis: usize, offset: usize) -> fmt::Result {
    if axis == array.rank() {
        return match array.get(offset) {
            Some(value) => write!(f, "{value}"),
            None => Ok(()),
        };
    }
    let len = array.shape()[axis];
    let stride: usize = array.shape()[axis + 1..].iter().product();
    let elide = array.size() > ELIDE_ABOVE && len > 2 * EDGE;
    let last = axis + 1 == array.rank();
    f.write_str("[")?;
    let mut i = 0;
    while i < len {
        if i > 0 {
            if last {
                f.write_str(", ")?;
            } else {
                write!(f, ",\n{:1$}", "", axis + 1)?;
            }
        }
        if elide && i == EDGE {
            f.write_str("...")?;
            i = len - EDGE;
            continue;
        }
        write_axis(array, f, axis + 1, offset + i * stride)?;
        i += 1;
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests {
    use crate::{Array, DType, array};

    #[test]
    fn prints_like_numpy() {
        assert_eq!(array(1.0).to_string(), "1.0");
        assert_eq!(array([1.0, -0.0, 2.5]).to_string(), "[1.0, -0.0, 2.5]");
        assert_eq!(array([[1, 2], [3, 4]]).to_string(), "[[1, 2],\n [3, 4]]");
        assert_eq!(Array::zeros(DType::I32, [0]).to_string(), "[]");
        assert_eq!(Array::zeros(DType::I32, [2000]).to_string(), "[0, 0, 0, ..., 0, 0, 0]");
    }
}
