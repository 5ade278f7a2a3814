//! Tables of vectors: one for each symbol, and one for each place. Law: exact.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

use super::initial::scaled;
use super::refuse::refuse;

/// Where the waves come from.
pub const CITE: &str = "A. Vaswani et al., Attention is all you need, NIPS 2017, section 3.5";

/// A vector for each symbol.   ids: i64 `[..]` → `[.., d]`.
///
/// The derivative adds cotangents of equal symbols; symbols that do not occur get zeros.
///
/// # Errors
/// When the program runs, for a symbol outside the table.
/// # Cost
/// One copy of d numbers for each symbol; the derivative keeps ids alone.
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::embedding::Embedding;
/// let layer = Embedding { table: array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) };
/// let f = |layer: Embedding<Var>, ids: Var| layer.apply(ids);
/// let ids = array([2_i64, 0, 2]);
/// assert_eq!(jit(f).call((&layer, &ids))?, array([[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]));
/// let slope = grad(|layer: Embedding<Var>, ids: Var| layer.apply(ids).sum()).call((&layer, &ids))?;
/// assert_eq!(slope.table, array([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]));
/// assert_eq!(Embedding::new(Key::from_seed(1), 10, 4, DType::F32).table.shape().to_string(), "[10,4]");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Embedding<T> {
    /// `[symbols, d]`
    pub table: T,
}

impl Embedding<Var> {
    /// The vectors of these symbols.
    #[track_caller]
    pub fn apply(&self, ids: Var) -> Var {
        let ids = if ids.dtype() == DType::I64 { ids } else { ids.convert(DType::I64) };
        self.table.gather(0, ids)
    }
}

impl Embedding<Array> {
    /// Normal entries of variance 1/d: vectors of mean square length 1.
    pub fn new(key: Key, symbols: usize, width: usize, dtype: DType) -> Embedding<Array> {
        let deviation = 1.0 / (width.max(1) as f64).sqrt();
        Embedding { table: ops::convert(&scaled(&normal(key, [symbols, width]), deviation), dtype) }
    }
}

/// Tokens with a vector for each place added.   x: `[n, tokens, d]`, places: `[at least tokens, d]` → the shape of x.
///
/// # Errors
/// At the front door, for more tokens than places and for another width.
///
/// ```
/// use retrograde_array::{Array, DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::embedding::{add_places, waves};
/// let places = waves(8, 2, DType::F64);
/// let f = jit(|x: Var, places: Var| add_places(x, places));
/// let x = Array::zeros(DType::F64, [1, 2, 2]);
/// assert_eq!(f.call((&x, &places))?, array([[[0.0, 1.0], [1f64.sin(), 1f64.cos()]]]));
/// let error = f.call((&Array::zeros(DType::F64, [1, 9, 2]), &places)).unwrap_err();
/// assert!(error.to_string().starts_with("error: add_places: found f64[1,9,2] of x and f64[8,2] of places"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn add_places(x: Var, places: Var) -> Var {
    let (shape, table) = (x.shape(), places.shape());
    if shape.rank() != 3 || table.rank() != 2 || table[0] < shape[1] || table[1] != shape[2] {
        let found = format!("add_places: found {} of x and {} of places", x.ty(), places.ty());
        refuse(found, "x is [n, tokens, d], places [at least tokens, d]");
        return x;
    }
    x + places.slice(0, 0..shape[1]).spread(shape)
}

/// Places as waves: `sin(t / 10000^(2i/d))` in entry 2i and the cosine after it.   → `[tokens, d]`.
///
/// # Source
/// [`CITE`].
///
/// ```
/// use retrograde_array::DType;
/// use retrograde_tricks::primal::embedding::waves;
/// let table = waves(100, 6, DType::F64).to_vec::<f64>().unwrap();
/// // Each pair lies on the unit circle.
/// assert!(table.chunks(2).all(|pair| (pair[0].hypot(pair[1]) - 1.0).abs() < 1e-15));
/// ```
pub fn waves(tokens: usize, width: usize, dtype: DType) -> Array {
    let entry = |t: usize, i: usize| {
        let angle = t as f64 / 10_000f64.powf((i - i % 2) as f64 / width as f64);
        if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    let entries: Vec<f64> = (0..tokens).flat_map(|t| (0..width).map(move |i| entry(t, i))).collect();
    let table = Array::new([tokens, width], entries);
    ops::convert(&table.expect("as many as the shape says; this is a bug in retrograde"), dtype)
}
