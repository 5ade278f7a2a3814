//! Sizes in a header are not believed: memory grows with the bytes that arrive. Alone in its process, as it counts bytes.

use std::fs;

use retrograde_train::{Reading, data::load};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

#[test]
fn headers_that_lie_take_no_memory() {
    let temp = tempfile::tempdir().unwrap();
    let images = temp.path().join("a-images-idx3-ubyte");
    // 4 GiB of pixels are claimed, 3 are there.
    fs::write(&images, [&[0, 0, 8, 3, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0][..], &[1, 2, 3]].concat()).unwrap();
    fs::write(temp.path().join("a-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 1, 0, 0, 1]).unwrap();
    let region = Region::new(ALLOCATOR);
    let error = load(&images, &Reading::default()).unwrap_err().to_string();
    assert!(error.starts_with("error: found 3 bytes of values, expected 4294967296 "), "{error}");
    let taken = region.change().bytes_allocated;
    assert!(taken < 2 << 20, "{taken} bytes for a file of 19");
}
