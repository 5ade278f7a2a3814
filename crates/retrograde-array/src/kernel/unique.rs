//! Buffers that nobody else holds.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// The buffer for writing, `None` where somebody else holds it.
///
/// `Arc::get_mut` says the same with an exchange that locks out weak references; buffers of arrays have none, and the exchange is a
/// good part of what a step on a small array takes.
#[inline]
pub(crate) fn unique<T>(buffer: &mut Arc<Vec<T>>) -> Option<&mut Vec<T>> {
    if !is_unique(buffer) {
        return None;
    }
    // SAFETY: the only holder is borrowed here for as long as the result, and holders are only made from holders: nothing in this
    // crate makes weak references to a buffer, and a buffer leaves or enters an array nowhere. The fence orders what a holder
    // on another thread did before it let go.
    Some(unsafe { &mut *Arc::as_ptr(buffer).cast_mut() })
}

/// Whether nobody else holds the buffer, which the caller holds for itself.
#[inline]
pub(crate) fn is_unique<T>(buffer: &mut Arc<Vec<T>>) -> bool {
    let is_unique = Arc::strong_count(buffer) == 1;
    fence(Ordering::Acquire);
    is_unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_holds_is_not_for_writing() {
        let mut x = Arc::new(vec![1, 2]);
        let y = x.clone();
        assert_eq!(unique(&mut x), None);
        std::thread::spawn(move || assert_eq!(y[1], 2)).join().unwrap();
        unique(&mut x).unwrap()[1] = 3;
        assert_eq!(*x, [1, 3]);
    }
}
