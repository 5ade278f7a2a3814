//! Ids, types, equations and programs.

use std::fmt;
use std::sync::Arc;

use retrograde_array::{Array, DType, Shape};

/// Names one value of one program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId(pub u32);

/// Names one equation of one program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EqnId(pub u32);

impl ValueId {
    /// The position in the program's table of types.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a value is, besides its dtype and shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// An array of the given shape.
    Array,
    /// As many arrays of the given shape as a `while` loop made; at run time one array with a leading axis.
    List,
    /// A last-in-first-out stack of bits (`dtype` and `shape` carry no meaning).
    Bits,
}

/// The type of a value: element type and shape.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::ir::Type;
/// let ty = Type::array(DType::F32, [2, 3]);
/// assert_eq!((ty.to_string(), ty.size_bytes(), ty.is_float()), ("f32[2,3]".into(), 24, true));
/// assert_eq!((ty.stacked(5).to_string(), ty.unstacked().to_string()), ("f32[5,2,3]".into(), "f32[3]".into()));
/// assert_eq!((ty.list().to_string(), ty.list().unstacked()), ("*f32[2,3]".into(), ty.clone()));
/// assert_eq!(ty.with_dtype(DType::F64).with_shape([]), Type::of(&array(1.0)));
/// assert!(!Type::bits().is_float());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Type {
    /// Array, list of arrays, or bit stack.
    pub kind: Kind,
    /// Element type.
    pub dtype: DType,
    /// Shape of the array (of each array of a list).
    pub shape: Shape,
}

impl Type {
    /// An array type.
    pub fn array(dtype: DType, shape: impl Into<Shape>) -> Type {
        Type { kind: Kind::Array, dtype, shape: shape.into() }
    }
    /// The type of the bit stack.
    pub fn bits() -> Type {
        Type { kind: Kind::Bits, dtype: DType::I64, shape: Shape::default() }
    }
    /// The type of `array`.
    pub fn of(array: &Array) -> Type {
        Type::array(array.dtype(), array.shape().clone())
    }
    /// The same shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> Type {
        Type { dtype, ..self.clone() }
    }
    /// The same element type with another shape.
    pub fn with_shape(&self, shape: impl Into<Shape>) -> Type {
        Type { shape: shape.into(), ..self.clone() }
    }
    /// The list of such arrays.
    pub fn list(&self) -> Type {
        Type { kind: Kind::List, ..self.clone() }
    }
    /// With a new leading axis of length `n`.
    pub fn stacked(&self, n: usize) -> Type {
        let mut dims = vec![n];
        dims.extend_from_slice(&self.shape);
        Type { shape: dims.into(), ..self.clone() }
    }
    /// Without the leading axis (of a list: its arrays).
    pub fn unstacked(&self) -> Type {
        match self.kind {
            Kind::List => Type { kind: Kind::Array, ..self.clone() },
            _ => self.with_shape(&self.shape[1..]),
        }
    }
    /// Whether values of this type have derivatives.
    pub fn is_float(&self) -> bool {
        self.kind != Kind::Bits && self.dtype.is_float()
    }
    /// Bytes of one value (of one array of a list; 0 for bits).
    pub fn size_bytes(&self) -> usize {
        if self.kind == Kind::Bits { 0 } else { self.shape.size() * self.dtype.size_bytes() }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Bits => write!(f, "bits"),
            Kind::List => write!(f, "*{}{}", self.dtype, self.shape),
            Kind::Array => write!(f, "{}{}", self.dtype, self.shape),
        }
    }
}

/// Where in the user's code an equation was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Location(pub &'static std::panic::Location<'static>);

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0.file(), self.0.line(), self.0.column())
    }
}

/// Why an operation refuses its operands: what was found, what was expected, what to try.
///
/// ```
/// use retrograde_core::ir::Mismatch;
/// let ty = retrograde_core::ir::Type::bits();
/// let refusal = Mismatch::new("found f64[2], expected f64[3]").help("reshape it").guess(&ty);
/// assert_eq!((refusal.help.as_deref(), refusal.guess), (Some("reshape it"), vec![ty]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// What was found and expected, lower case.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
    /// The best guess of the result types, so that later mistakes can still be found.
    pub guess: Vec<Type>,
}

impl Mismatch {
    /// A refusal without a remedy or a guess.
    pub fn new(message: impl Into<String>) -> Mismatch {
        Mismatch { message: message.into(), help: None, guess: vec![] }
    }
    /// Adds the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Mismatch {
        self.help = Some(help.into());
        self
    }
    /// Adds the best guess of the result type.
    pub fn guess(mut self, ty: &Type) -> Mismatch {
        self.guess = vec![ty.clone()];
        self
    }
}

/// One parameter of an operation, as it stands in the text form.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Field<O: Op> {
    /// `reverse=true`
    Bool(bool),
    /// `axis=1`
    Int(i64),
    /// `axes=[0,1]`
    Ints(Vec<usize>),
    /// `policy=store`: a word of letters, digits, `_`, `-` and `.`
    Word(String),
    /// `name="layer 1"`
    Text(String),
    /// `dtype=f64`, `type=f64[3]`
    Type(Type),
    /// `value=f64[2]{1.0,2.0}`: every element, so that it parses back to the same bits
    Array(Array),
    /// `body=program(..) {..}`
    Program(Arc<Program<O>>),
    /// `branches=[program.., program..]`
    Programs(Vec<Arc<Program<O>>>),
}

/// The parameters of an operation, in order.
pub type Fields<O> = Vec<(&'static str, Field<O>)>;

/// An operation, as far as this floor needs to know it.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::{ir::{Op, Type}, prim::{Prim, transpose::Transpose}};
/// let neg = Prim::from_fields("neg", vec![])?;
/// assert_eq!((neg.name(), neg.fields().len(), neg.mergeable()), ("neg", 0, true));
/// let ty = Type::array(DType::F64, [2, 3]);
/// assert_eq!((neg.infer(std::slice::from_ref(&ty)).ok(), neg.infer(&[]).is_err()), (Some(vec![ty.clone()]), true));
/// assert_eq!(neg.fold(&[array(2.0)]), Some(vec![array(-2.0)]));
/// assert_eq!(Prim::constant(array(2.0)).as_constant(), Some(array(2.0)));
/// let turn = Prim::from(Transpose { perm: vec![1, 0] });
/// assert!(turn.after(&turn).is_some_and(|both| both.is_identity(&ty)));
/// // Without bodies or results to drop:
/// assert_eq!((neg.map_bodies(&mut |body| body.clone()), neg.prune(&[true])), (neg.clone(), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Op: Clone + PartialEq + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static {
    /// Its name in the text form.
    fn name(&self) -> &'static str;
    /// Its parameters in the text form.
    fn fields(&self) -> Fields<Self>;
    /// The operation of that name with those parameters.
    ///
    /// # Errors
    /// A message when there is no such operation or a parameter is missing, unknown or of another kind.
    fn from_fields(name: &str, fields: Vec<(String, Field<Self>)>) -> Result<Self, String>;
    /// Result types from operand types.
    ///
    /// # Errors
    /// Why the operands do not fit.
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch>;
    /// The operation that makes this constant.
    fn constant(array: Array) -> Self;
    /// The constant that this operation makes, if it is one and small enough to compute with while compiling.
    fn as_constant(&self) -> Option<Array>;
    /// The results for constant operands, or `None` where that is not known or would be an error.
    fn fold(&self, inputs: &[Array]) -> Option<Vec<Array>>;
    /// An equal operation without the unused results: (operation, kept inputs, kept outputs).
    fn prune(&self, _used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        None
    }
    /// The operation that gives what `inner` and then this one give, to the bit, where there is one. Both have one
    /// operand and one result.
    fn after(&self, _inner: &Self) -> Option<Self> {
        None
    }
    /// Whether the result is the operand (of this type), to the bit. Asked of operations with one operand and one result.
    fn is_identity(&self, _operand: &Type) -> bool {
        false
    }
    /// Whether two equations of this operation on the same operands may become one. Results always agree; what is not
    /// linear in its cotangents (a clipped adjoint) must see those of each use apart.
    fn mergeable(&self) -> bool {
        true
    }
    /// Bodies rewritten by `f`; operations without bodies return themselves.
    fn map_bodies(&self, _f: &mut dyn FnMut(&Program<Self>) -> Program<Self>) -> Self {
        self.clone()
    }
}

/// `outputs = op inputs`.
#[derive(Clone, Debug)]
pub struct Equation<O: Op> {
    /// The operation with its parameters.
    pub op: O,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// Results, each defined here and nowhere else.
    pub outputs: Vec<ValueId>,
    /// Where the user wrote it.
    pub location: Option<Location>,
}

/// Locations are remarks: equal equations may come from different lines.
impl<O: Op> PartialEq for Equation<O> {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.inputs == other.inputs && self.outputs == other.outputs
    }
}
impl<O: Op> Eq for Equation<O> {}
impl<O: Op> std::hash::Hash for Equation<O> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.op, &self.inputs, &self.outputs).hash(state);
    }
}

/// A flat list of equations in single-assignment form. Values are numbered in the order of their definition:
/// inputs first, then the results of each equation, so equal programs compare equal.
///
/// ```
/// use retrograde_core::{ir::parse, prim::Prim};
/// let program = parse::<Prim>("program(a:f64[2]) {\n  b:i64[] = argmax[axis=0] a\n  return a, b\n}")?;
/// assert_eq!((program.input_types()[0].to_string(), program.size()), ("f64[2]".into(), 1));
/// assert_eq!(program.output_types()[1], *program.ty(program.outputs[1]));
/// assert_eq!(program.outputs[1].index(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Program<O: Op> {
    /// Parameters.
    pub inputs: Vec<ValueId>,
    /// Equations in an order in which they can run.
    pub equations: Vec<Equation<O>>,
    /// Results; a value may occur twice and may be an input.
    pub outputs: Vec<ValueId>,
    /// The type of every value.
    pub types: Vec<Type>,
}

impl<O: Op> Program<O> {
    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        &self.types[value.index()]
    }
    /// The types of the parameters.
    pub fn input_types(&self) -> Vec<Type> {
        self.inputs.iter().map(|&v| self.ty(v).clone()).collect()
    }
    /// The types of the results.
    pub fn output_types(&self) -> Vec<Type> {
        self.outputs.iter().map(|&v| self.ty(v).clone()).collect()
    }
    /// Equations of this program and of all bodies in it.
    pub fn size(&self) -> usize {
        let mut n = self.equations.len();
        for equation in &self.equations {
            equation.op.map_bodies(&mut |body| {
                n += body.size();
                body.clone()
            });
        }
        n
    }
}
