//! What an operation says in a build without its cargo feature.

#[cfg(not(feature = "linalg"))]
#[test]
fn decompositions_name_their_feature() {
    let error = super::super::linalg::svd(&crate::array([[1.0, 2.0]])).unwrap_err().to_string();
    assert!(error.starts_with("svd: this build has no cargo feature `linalg`"), "{error}");
}

#[cfg(not(feature = "fft"))]
#[test]
fn fourier_transforms_name_their_feature() {
    let error = super::super::fourier::fft(&crate::array([[1.0, 2.0]]), false).unwrap_err().to_string();
    assert!(error.starts_with("fft: this build has no cargo feature `fft`"), "{error}");
}
