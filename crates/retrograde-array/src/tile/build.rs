//! Values of code under construction.

use super::pair::paired;
use super::plan::{Plan, far};
use super::scalarise::scalarised;
use super::{Op, Reduction, View};
use crate::kernel::Level;
use crate::kernel::tile::{Code, Parts, Stream, Where, has_product, has_reduction};
use crate::{Array, DType, Scalar};

/// Entries of a tile: a dozen registers of eight-byte numbers stay in the first cache, and the cost of a step for each
/// tile is small beside its work.
pub const TILE: usize = 512;

/// Entries of a tile that is one pass: what a tile costs beside it, some 20 ns, does not count.
const LONG_TILE: usize = 8 * TILE;

/// Bytes that a tile may use of the first cache, which has 32 KiB or more.
const CACHE: usize = 24 * 1024;

/// Names one input of code under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Input(usize);

/// Names one value of code under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(pub(super) usize);

/// How a value comes about.
pub(super) enum Source {
    Read { array: Where, view: View },
    Constant(Scalar),
    Op { op: Op, operands: Vec<Value> },
    View { of: Value, view: View },
    Reduce { reduction: Reduction, of: Value, lengths: [usize; 3] },
    Assemble { fill: Value, parts: Vec<(Value, View)> },
    Product { a: Value, b: Value, lengths: [i32; 10] },
}

impl Source {
    /// Calls `f` with each operand.
    pub(super) fn operands(&mut self, mut f: impl FnMut(&mut Value)) {
        match self {
            Source::Read { .. } | Source::Constant(_) => {}
            Source::Op { operands, .. } => operands.iter_mut().for_each(f),
            Source::View { of, .. } | Source::Reduce { of, .. } => f(of),
            Source::Assemble { fill, parts } => {
                f(fill);
                parts.iter_mut().for_each(|(part, _)| f(part));
            }
            Source::Product { a, b, .. } => [a, b].into_iter().for_each(f),
        }
    }
}

pub(super) struct Definition {
    pub(super) source: Source,
    pub(super) dtype: DType,
    pub(super) size: usize,
}

/// Code under construction; see [`tile`](super).
pub struct Builder {
    /// The shape of all values, but in small code.
    shape: Option<Vec<usize>>,
    pub(super) inputs: Vec<(DType, usize)>,
    pub(super) kept: Vec<Array>,
    pub(super) values: Vec<Definition>,
    pub(super) outputs: Vec<Value>,
}

#[cold]
#[track_caller]
pub(super) fn bug(what: &str) -> ! {
    panic!("tile code: {what}; this is a bug in retrograde")
}

impl Builder {
    /// Code whose values all have one shape, of at least one entry.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, ops::Unary, tile::{Builder, Level, Op, Scratch, View}};
    /// let mut b = Builder::nest(&[2]);
    /// let x = b.input(DType::F64, 2);
    /// let x = b.read(x, &View::whole(&[2]).reversed(&[0]));
    /// let y = b.op(Op::Unary(Unary::Neg), &[x]);
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [2])];
    /// b.finish(Level::best()).run(&[&array([1.0, 2.0])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([-2.0, -1.0]));
    /// ```
    pub fn nest(shape: &[usize]) -> Builder {
        Builder { shape: Some(shape.to_vec()), inputs: vec![], kept: vec![], values: vec![], outputs: vec![] }
    }

    /// Code whose values have any shapes, of at least one entry each, and stay in registers as wholes.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Reduction, Scratch, View}};
    /// // The sums of the columns, repeated.
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 4);
    /// let x = b.read(x, &View::whole(&[2, 2]));
    /// let sums = b.reduce(Reduction::Sum, x, [1, 2, 2]);
    /// let twice = b.view(sums, &View::whole(&[2]).broadcast(&[2, 2], &[1]));
    /// let factor = b.kept(array([[1.0, 2.0], [3.0, 4.0]]), &View::whole(&[2, 2]));
    /// let y = b.op(retrograde_array::tile::Op::StrongMul, &[twice, factor]);
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [2, 2])];
    /// b.finish(Level::best()).run(&[&array([[1.0, 2.0], [3.0, 4.0]])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([[4.0, 12.0], [12.0, 24.0]]));
    /// ```
    pub fn small() -> Builder {
        Builder { shape: None, inputs: vec![], kept: vec![], values: vec![], outputs: vec![] }
    }

    fn define(&mut self, source: Source, dtype: DType, size: usize) -> Value {
        let expected = self.shape.as_ref().map(|shape| shape.iter().product::<usize>());
        let is_reduced = matches!(source, Source::Reduce { .. });
        if size == 0 || (!is_reduced && expected.is_some_and(|expected| expected != size)) {
            bug(&format!("a value of {size} entries"));
        }
        self.values.push(Definition { source, dtype, size });
        Value(self.values.len() - 1)
    }

    /// A further input: an array of that dtype and size.
    pub fn input(&mut self, dtype: DType, size: usize) -> Input {
        self.inputs.push((dtype, size));
        Input(self.inputs.len() - 1)
    }

    /// Entries of an input.
    pub fn read(&mut self, input: Input, view: &View) -> Value {
        let (dtype, _) = self.inputs[input.0];
        self.define(Source::Read { array: Where::Input(input.0), view: view.clone() }, dtype, view.size())
    }

    /// Entries of an array that the code keeps.
    pub fn kept(&mut self, array: Array, view: &View) -> Value {
        let (dtype, at) = (array.dtype(), self.kept.len());
        self.kept.push(array.compact());
        self.define(Source::Read { array: Where::Kept(at), view: view.clone() }, dtype, view.size())
    }

    /// The same value everywhere.
    pub fn constant(&mut self, value: Scalar, shape: &[usize]) -> Value {
        self.define(Source::Constant(value), value.dtype(), shape.iter().product())
    }

    /// An operation on every entry of operands of one size.
    ///
    /// # Panics
    /// When the dtypes have no such operation ([`Op::dtype`]) or sizes differ: internal misuse.
    pub fn op(&mut self, op: Op, operands: &[Value]) -> Value {
        let dtypes: Vec<DType> = operands.iter().map(|v| self.values[v.0].dtype).collect();
        let Some(dtype) = op.dtype(&dtypes) else { bug(&format!("{op:?} of {dtypes:?}")) };
        let size = self.values[operands[0].0].size;
        let is_reduced =
            |v: &Value| self.shape.is_some() && matches!(self.values[v.0].source, Source::Reduce { .. });
        if operands.iter().any(|v| self.values[v.0].size != size || is_reduced(v)) {
            bug("operands of different sizes");
        }
        self.define(Source::Op { op, operands: operands.to_vec() }, dtype, size)
    }

    /// Entries of a value of small code.
    pub fn view(&mut self, of: Value, view: &View) -> Value {
        let Definition { dtype, size, .. } = self.values[of.0];
        if self.shape.is_some() || view.places().any(|place| place >= size) {
            bug("a view of a value");
        }
        self.define(Source::View { of, view: view.clone() }, dtype, view.size())
    }

    /// A value of small code of that many entries: those of the parts, each at the places of a view of the whole, and else the
    /// only entry of `fill`.
    ///
    /// # Panics
    /// When views leave the whole, or sizes or dtypes differ: internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Scratch, View}};
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 2);
    /// let (x, zero) = (b.read(x, &View::whole(&[2])), b.constant(0.0.into(), &[]));
    /// let y = b.assemble(5, zero, &[(x, View::whole(&[5]).sliced(&[1], &[4], &[2]))]);
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [5])];
    /// b.finish(Level::best()).run(&[&array([1.0, 2.0])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([0.0, 1.0, 0.0, 2.0, 0.0]));
    /// ```
    pub fn assemble(&mut self, size: usize, fill: Value, parts: &[(Value, View)]) -> Value {
        let Definition { dtype, size: n, .. } = self.values[fill.0];
        let fits = parts.iter().all(|(v, view)| {
            let value = &self.values[v.0];
            value.dtype == dtype && value.size == view.size() && view.places().all(|place| place < size)
        });
        if self.shape.is_some() || n != 1 || !fits {
            bug("parts of a value");
        }
        self.define(Source::Assemble { fill, parts: parts.to_vec() }, dtype, size)
    }

    /// The products of matrices in small code, in the order of [`ops::dot_general`](crate::ops::dot_general): of the value `a` seen through a
    /// view of shape `[batch, m, k]` and `b` through one of shape `[batch, k, n]`.
    ///
    /// # Panics
    /// When shapes or dtypes do not fit, or a view goes backwards: internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Scratch, View}};
    /// // The product of a matrix and its transpose.
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 4);
    /// let (x, view) = (b.read(x, &View::whole(&[1, 2, 2])), View::whole(&[1, 2, 2]));
    /// let y = b.product((x, &view), (x, &view.transposed(&[0, 2, 1])));
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [2, 2])];
    /// b.finish(Level::best()).run(&[&array([[1.0, 2.0], [3.0, 4.0]])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([[5.0, 11.0], [11.0, 25.0]]));
    /// ```
    pub fn product(&mut self, a: (Value, &View), b: (Value, &View)) -> Value {
        let ([a, b], [a_view, b_view]) = ([a.0, b.0], [a.1, b.1]);
        let dtype = self.values[a.0].dtype;
        let inside = |v: Value, view: &View| view.places().all(|place| place < self.values[v.0].size);
        let forwards = |view: &View| view.offset() == 0 && view.strides().iter().all(|&stride| stride >= 0);
        let (&[batch, m, k], &[batch_b, k_b, n]) = (a_view.shape(), b_view.shape()) else {
            bug("matrices of other axes")
        };
        let fits = batch == batch_b && k == k_b && k > 0 && dtype == self.values[b.0].dtype;
        let views = inside(a, a_view) && inside(b, b_view) && forwards(a_view) && forwards(b_view);
        if self.shape.is_some() || !fits || !views || !has_product(dtype) {
            bug("a product of values");
        }
        let strides = a_view.strides().iter().chain(b_view.strides()).map(|&stride| far(stride));
        let all: Vec<i32> = [batch, m, k, n].iter().map(|&n| far(n as isize)).chain(strides).collect();
        let Ok(lengths) = all.try_into() else { bug("matrices of other axes") };
        self.define(Source::Product { a, b, lengths }, dtype, batch * m * n)
    }

    /// The reduction of a value of `[outer, n, inner]` entries over the middle axis.
    ///
    /// In a nest: all reductions have the same lengths, for which [`Builder::reduces`] holds, and what is reduced can only be
    /// written.
    ///
    /// # Panics
    /// When the value has another size, its dtype no such reduction, or a nest cannot have it: internal misuse.
    pub fn reduce(&mut self, reduction: Reduction, of: Value, lengths: [usize; 3]) -> Value {
        let Definition { dtype, size, .. } = self.values[of.0];
        let [outer, n, inner] = lengths;
        let fits = match &self.shape {
            Some(shape) => {
                Builder::reduces(shape, lengths) && self.lengths().is_none_or(|own| own == lengths)
            }
            None => true,
        };
        if !fits || outer * n * inner != size || !has_reduction(reduction, dtype) {
            bug("a reduction of a value");
        }
        self.define(Source::Reduce { reduction, of, lengths }, dtype, outer * inner)
    }

    /// Code over one shape, with longer tiles where they fit into the first cache: the cost of a step for each tile is spread further.
    fn nest_parts(&self, shape: &[usize]) -> Parts {
        let parts = Plan::nest(self, shape, TILE).parts(self);
        if self.lengths().is_some() {
            return parts;
        }
        let of = |stream: &Stream| match stream.array {
            Where::Input(i) => self.inputs[i].0.size_bytes(),
            Where::Kept(i) => self.kept[i].dtype().size_bytes(),
            Where::Output(i) => self.values[self.outputs[i].0].dtype.size_bytes(),
        };
        let streams: usize = parts.streams.iter().map(of).sum();
        let used = parts.registers + parts.constants.bytes() + streams * TILE;
        match CACHE / used.max(1) {
            0 | 1 => parts,
            2 | 3 => Plan::nest(self, shape, 2 * TILE).parts(self),
            _ => Plan::nest(self, shape, 4 * TILE).parts(self),
        }
    }

    /// Whether a nest of that shape can reduce `[outer, n, inner]` entries over the middle axis: a tile holds whole
    /// results, or the middle axis is the last and the tiles of a result come one after another.
    ///
    /// ```
    /// use retrograde_array::tile::Builder;
    /// assert!(Builder::reduces(&[90, 8, 3], [90, 8, 3]) && Builder::reduces(&[9, 5000], [9, 5000, 1]));
    /// assert!(!Builder::reduces(&[5000, 9], [1, 5000, 9]));
    /// ```
    pub fn reduces(shape: &[usize], [outer, n, inner]: [usize; 3]) -> bool {
        outer * n * inner == shape.iter().product::<usize>() && n > 0 && (inner == 1 || n * inner <= TILE)
    }

    /// The lengths of the reductions, if there are any.
    pub(super) fn lengths(&self) -> Option<[usize; 3]> {
        self.values.iter().find_map(|value| match value.source {
            Source::Reduce { lengths, .. } => Some(lengths),
            _ => None,
        })
    }

    /// Writes a value to a further output: an array of its dtype and size. Each value once.
    pub fn output(&mut self, value: Value) {
        if self.outputs.contains(&value) {
            bug("a value that is written twice");
        }
        self.outputs.push(value);
    }

    /// The code, for at most the given instruction set.
    pub fn finish(mut self, level: Level) -> Code {
        paired(&mut self);
        let Some(shape) = &self.shape else {
            let parts = Plan::small(&self).parts(&self);
            let scalar = scalarised(&self, parts.steps.len(), level);
            return Code::new(parts, scalar, level);
        };
        let code = Code::new(self.nest_parts(shape), None, level);
        if shape.iter().product::<usize>() < 16 * LONG_TILE || !code.is_one_loop() {
            return code;
        }
        // Nothing stays in the first cache from one step to the next, as there is only one.
        Code::new(Plan::nest(&self, shape, LONG_TILE).parts(&self), None, level)
    }
}
