//! The primitives: one file each holds its whole truth, and one table registers them.
//!
//! A rule never sees a transform; what it needs of them for its bodies comes through [`Transforms`], declared here and
//! implemented one floor up. The name of a file is that of the primitive in program text:
//!
//! ```
//! use retrograde_core::exec::{Executor, Interpreter};
//! use retrograde_core::ir::{parse, print};
//! use retrograde_core::prim::{Prim, Program, Value};
//! use retrograde_core::transform::{LinearProgram, jvp, linearize, transpose};
//! use retrograde_array::array;
//! let sine = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  return b\n}\n")?;
//! let run = |program: &Program, inputs: &[f64]| {
//!     let inputs = inputs.iter().map(|x| Value::Array(array(*x))).collect();
//!     Interpreter::default().run(program, inputs).map(|(results, _)| results)
//! };
//! let number = |x: f64| Value::Array(array(x));
//! // Forward: (x, ẋ) to (sin x, ẋ cos x).
//! assert_eq!(run(&jvp(&sine, &[true], &[true]).program, &[0.0, 3.0])?, [number(0.0), number(3.0)]);
//! // Reverse: what it keeps, cos x, is a second result of the forward half.
//! let halves = linearize(&sine, &[true], &[true]);
//! assert_eq!(run(&halves.forward, &[0.0])?, [number(0.0), number(1.0)]);
//! let back = transpose(&LinearProgram::new(halves.linear, halves.n_residuals)?);
//! assert_eq!(print(&back), "program(a:f64[], b:f64[]) {\n  c:f64[] = strong_mul b a\n  return c\n}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod args;
pub mod bodies;
pub mod body;
pub mod matrix;
pub mod policy;
pub mod rule;
pub mod rules;
pub mod schedule;
pub mod structure;
pub mod value;
pub mod whole_step;

pub use args::Args;
pub use body::{Body, Feeds};
pub use policy::{Checkpoint, GIB, KIB, MIB, Tape};
pub use rule::{Jvp, Linearized, Operand, Rule, Transforms, Vmapped};
pub use rules::{Row, Rules};
pub use value::{EvalError, Evaluate, Value};

use crate::ir::{self, Field, Mismatch, Op, Type};
use retrograde_array::Array;

/// A program over the primitives.
pub type Program = ir::Program<Prim>;
/// A program over the primitives under construction.
pub type Builder = ir::Builder<Prim>;

/// Makes the closed set of primitives and its dispatch: a row without a file does not compile.
macro_rules! primitives {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(pub mod $module;)*
        /// Every primitive.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Prim { $(
            #[doc = concat!("See [`", stringify!($module), "`](mod@", stringify!($module), ").")]
            $name($module::$name),
        )* }
        /// Runs the rule of whichever primitive it is.
        macro_rules! dispatch {
            ($prim:expr, $p:ident => $e:expr) => { match $prim { $(Prim::$name($p) => $e,)* } };
        }
        $(impl From<$module::$name> for Prim { fn from(p: $module::$name) -> Prim { Prim::$name(p) } })*
        impl Prim {
            /// The names of all primitives, in the order of the table.
            pub const ALL: &'static [&'static str] = &[$(<$module::$name as Rules>::NAME),*];
            /// The test rows of every primitive, by name.
            pub fn rows() -> Vec<(&'static str, Vec<Row>)> {
                vec![$((<$module::$name as Rules>::NAME, <$module::$name as Rules>::rows())),*]
            }
            fn parse(name: &str, args: &mut Args) -> Option<Result<Prim, String>> {
                $(if name == <$module::$name as Rules>::NAME {
                    return Some(<$module::$name as Rules>::parse(args).map(Prim::$name));
                })*
                None
            }
        }
    };
}

primitives! {
    add::Add, sub::Sub, mul::Mul, div::Div, strong_mul::StrongMul, strong_div::StrongDiv, neg::Neg, fma::Fma,
    sqrt::Sqrt, exp::Exp, log::Log, tanh::Tanh, sin::Sin, cos::Cos,
    expm1::Expm1, exp2::Exp2, log1p::Log1p, log2::Log2, rsqrt::Rsqrt, cbrt::Cbrt, tan::Tan, asin::Asin, acos::Acos, atan::Atan, sinh::Sinh, cosh::Cosh, asinh::Asinh, acosh::Acosh, atanh::Atanh, erf::Erf, erfc::Erfc, erf_inv::ErfInv, lgamma::Lgamma, digamma::Digamma, bessel_i0e::BesselI0e, bessel_i1e::BesselI1e, log_bessel_i0::LogBesselI0, logistic::Logistic, softplus::Softplus,
    polygamma::Polygamma, pow::Pow, atan2::Atan2,
    max::Max, min::Min, rem::Rem, abs::Abs, sign::Sign, floor::Floor, ceil::Ceil, round::Round, clamp::Clamp,
    logic::Logic, not::Not, shift::Shift, is_finite::IsFinite,
    select::Select, compare::Compare, convert::Convert, stop_gradient::StopGradient,
    full::Full, constant::Constant, random_bits::RandomBits,
    broadcast::Broadcast, reshape::Reshape, transpose::Transpose, slice::Slice, unslice::Unslice, concat::Concat,
    pad::Pad, reverse::Reverse, iota::Iota, dynamic_slice::DynamicSlice, dynamic_update::DynamicUpdate,
    gather::Gather, scatter_add::ScatterAdd,
    sum::Sum, prod::Prod, reduce_max::ReduceMax, reduce_min::ReduceMin, any::Any, logsumexp::Logsumexp,
    argmax::Argmax, argmin::Argmin, argsort::Argsort, cumsum::Cumsum, cumprod::Cumprod, recurrence::Recurrence,
    dot_general::DotGeneral, conv::Conv, window_argmax::WindowArgmax,
    triangle::Triangle, triangular_solve::TriangularSolve, solve::Solve, logdet::Logdet, cholesky::Cholesky,
    qr::Qr, eigh::Eigh, svd::Svd, fft::Fft,
    call::Call, scan::Scan, while_loop::While, cond::Cond,
    custom_jvp::CustomJvp, custom_vjp::CustomVjp, linear_call::LinearCall,
    lattice_point::LatticePoint, lattice_value::LatticeValue, lattice_add::LatticeAdd, contract::Contract,
    agree::Agree, spill::Spill, expand::Expand, retain::Retain, restore::Restore, record::Record, replay::Replay, pack_bits::PackBits, unpack_bits::UnpackBits,
    quantise::Quantise, dequantise::Dequantise,
}

impl Prim {
    /// See [`Rules::eval`].
    ///
    /// # Errors
    /// What the primitive's file says.
    pub fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        dispatch!(self, p => p.eval(cx, inputs))
    }
    /// See [`Rules::jvp`].
    pub fn jvp(
        &self,
        r: &mut Rule<'_>,
        inputs: &[ir::ValueId],
        tangents: &[Option<ir::ValueId>],
        split: bool,
    ) -> (Vec<ir::ValueId>, Vec<Option<ir::ValueId>>) {
        dispatch!(self, p => p.jvp(r, inputs, tangents, split))
    }
    /// See [`Rules::transpose`].
    pub fn transpose(
        &self,
        r: &mut Rule<'_>,
        inputs: &[Operand],
        cts: &[Option<ir::ValueId>],
    ) -> Vec<Option<ir::ValueId>> {
        dispatch!(self, p => p.transpose(r, inputs, cts))
    }
    /// See [`Rules::batch`].
    pub fn batch(
        &self,
        r: &mut Rule<'_>,
        inputs: &[ir::ValueId],
        batched: &[bool],
        n: usize,
    ) -> (Vec<ir::ValueId>, Vec<bool>) {
        dispatch!(self, p => p.batch(r, inputs, batched, n))
    }
    /// See [`Rules::linear_in`].
    pub fn linear_in(&self, linear: &[bool]) -> bool {
        dispatch!(self, p => p.linear_in(linear))
    }
    /// See [`Rules::invert`].
    pub fn invert(
        &self,
        r: &mut Rule<'_>,
        known: &[Option<ir::ValueId>],
        outputs: &[Option<ir::ValueId>],
        unknown: &Type,
        bits: ir::ValueId,
    ) -> Option<(ir::ValueId, ir::ValueId)> {
        dispatch!(self, p => p.invert(r, known, outputs, unknown, bits))
    }
    /// See [`Rules::invert_whole`].
    pub fn invert_whole(
        &self,
        r: &mut Rule<'_>,
        inputs: &[Option<ir::ValueId>],
        outputs: &[Option<ir::ValueId>],
        bits: ir::ValueId,
    ) -> Option<(Vec<ir::ValueId>, ir::ValueId)> {
        dispatch!(self, p => p.invert_whole(r, inputs, outputs, bits))
    }
}

impl Op for Prim {
    fn name(&self) -> &'static str {
        fn name<P: Rules>(_: &P) -> &'static str {
            P::NAME
        }
        dispatch!(self, p => name(p))
    }
    fn fields(&self) -> ir::Fields<Prim> {
        dispatch!(self, p => p.fields())
    }
    fn from_fields(name: &str, fields: Vec<(String, Field<Prim>)>) -> Result<Prim, String> {
        let mut args = Args::new(fields);
        let prim =
            Prim::parse(name, &mut args).ok_or_else(|| format!("there is no primitive named `{name}`"))??;
        args.finish()?;
        Ok(prim)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        dispatch!(self, p => p.infer(inputs))
    }
    fn constant(array: Array) -> Prim {
        constant::Constant { value: array }.into()
    }
    fn as_constant(&self) -> Option<Array> {
        match self {
            Prim::Full(full) if full.ty.shape.size() <= 64 => full.array(),
            Prim::Constant(constant) if constant.value.size() <= 64 => Some(constant.value.clone()),
            _ => None,
        }
    }
    fn fold(&self, inputs: &[Array]) -> Option<Vec<Array>> {
        // Reading a result through an evaluator without bodies keeps folding to plain array operations.
        // What is asserted stays to be seen: a constant that agrees is not an assertion any more.
        if inputs.is_empty() || self.has_bodies() || matches!(self, Prim::Agree(_)) {
            return None;
        }
        let values = inputs.iter().map(|a| Value::Array(a.clone())).collect();
        let outputs = self.eval(&mut value::NoBodies, values).ok()?;
        outputs.into_iter().map(|v| v.into_array().ok()).collect()
    }
    fn prune(&self, used: &[bool]) -> Option<(Prim, Vec<usize>, Vec<usize>)> {
        dispatch!(self, p => p.prune(used).map(|(op, i, o)| (op.into(), i, o)))
    }
    fn after(&self, inner: &Prim) -> Option<Prim> {
        dispatch!(self, p => p.after(inner))
    }
    fn is_identity(&self, operand: &Type) -> bool {
        dispatch!(self, p => p.is_identity(operand))
    }
    fn mergeable(&self) -> bool {
        match self {
            Prim::CustomVjp(custom) if custom.law != "exact" => false,
            Prim::LinearCall(call) if call.apply.is_none() || call.is_apart => false,
            _ => {
                let mut all = true;
                self.map_bodies(&mut |body| {
                    all &= body.equations.iter().all(|e| e.op.mergeable());
                    body.clone()
                });
                all
            }
        }
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Prim {
        dispatch!(self, p => p.map_bodies(f).into())
    }
}

impl Prim {
    /// Whether the primitive carries sub-programs.
    pub fn has_bodies(&self) -> bool {
        let mut any = false;
        self.map_bodies(&mut |body| {
            any = true;
            body.clone()
        });
        any
    }
}
