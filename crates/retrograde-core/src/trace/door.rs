//! The front doors: what turns a function into its derivatives.
//!
//! A door owns its closure and a cache of compiled programs, keyed by the structure and types of the inputs. `call`
//! takes arrays and runs; inside traced code a door is a function like any other (`grad(grad(f))`, or `.at(x)`).
//!
//! All doors can be told how loops are remembered and asked what that cost; most can be told the argument:
//!
//! ```
//! use retrograde_core::exec::{Interpreter, RunConfig};
//! use retrograde_core::prim::Checkpoint;
//! use retrograde_core::trace::{Var, control::scan, door::grad};
//! use retrograde_array::array;
//! let f = |x: Var, a: Var| scan(1000).repeat(x, |x| x + 0.001 * (a * x).sin());
//! let (store, checkpoint) = (grad(f).wrt::<1>(), grad(f).wrt::<1>().tape(Checkpoint::Sqrt));
//! let (x, a) = (array(1.0), array(2.0));
//! assert_eq!(store.call((&x, &a))?, checkpoint.call((&x, &a))?); // the same bits
//! assert!(checkpoint.last_tape().tape_bytes() < store.last_tape().tape_bytes() / 5);
//! assert!(checkpoint.warnings().is_empty());
//! let watched = RunConfig { look_for_non_finite: true }; // the errors name the equation that made a NaN or an infinity
//! let careful = grad(f).wrt::<1>().executor(Interpreter { config: watched });
//! assert_eq!(careful.call((&x, &a))?, store.call((&x, &a))?);
//! let within = grad(f).wrt::<1>().budget(8 * 1024);
//! assert_eq!(within.call((&x, &a))?, store.call((&x, &a))?);
//! let error = grad(f).wrt::<1>().budget(8).call((&x, &a)).unwrap_err();
//! assert!(error.to_string().contains("the least possible is"));
//! # Ok::<(), retrograde_core::trace::Error>(())
//! ```

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frame::{self, Traced};
use super::function::{Arguments, Function, Pick, Traceable, expect_like, rebuild};
use super::tree::{self, Likeness, Part};
use super::var::caller;
use super::{Error, Var};
use crate::exec::{self, Counters, Executor, Interpreter, verify};
use crate::ir::{Diagnostic, Diagnostics, Location, Type, simplify};
use crate::prim::{Program, Tape, Value, bodies};
use crate::tape::{
    HeldSize, Lowered, TapeReport, annotate, audit, lower, reseeded, variance_bound, without_inverse,
};
use crate::transform::{self, Standard, linearize};
use retrograde_array::{Array, Scalar};

/// What a door does to the traced function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Jit,
    Vjp,
    /// [`Kind::Vjp`] of one number.
    Grad,
    Jvp,
    Hvp {
        reverse_over_forward: bool,
    },
    /// [`Kind::Hvp`] with the gradient it makes on the way.
    ValueGradHvp,
}

/// A compiled call.
#[derive(Debug)]
struct Compiled {
    lowered: Arc<Lowered>,
    /// The two halves, ready to run.
    forward: Arc<dyn exec::Compiled>,
    backward: Arc<dyn exec::Compiled>,
    /// Seeds of one.
    ones: Vec<Array>,
}

/// A compiled entry; its type depends on the result of the closure.
type AnyEntry = Arc<dyn std::any::Any + Send + Sync>;

/// What was compiled for inputs that look so, the one in use first.
type Cache = Mutex<Vec<(Likeness, AnyEntry)>>;

/// What the last run had to say, kept as it came: most runs are not asked.
#[derive(Debug, Default)]
struct LastRun {
    lowered: Option<Arc<Lowered>>,
    tape: Vec<HeldSize>,
    counters: Counters,
    variance_bound: Option<f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closure, policy and cache of a door.
#[derive(Debug)]
struct Core<F, Args> {
    f: F,
    /// `None` until the user says one: then loops of an outer program keep theirs.
    policy: Option<Tape>,
    executor: Arc<dyn Executor>,
    /// Of the draws of `Tape::Quantise`, in place of the policy's.
    seed: Mutex<Option<u64>>,
    location: Location,
    cache: Cache,
    last: Mutex<LastRun>,
    warnings: Mutex<Vec<Diagnostic>>,
    args: PhantomData<fn(Args)>,
}

/// Compiled program and structure of the result.
struct Entry<R: Traceable> {
    compiled: Compiled,
    result: R::Types,
}

impl<F: Function<Args>, Args: Arguments> Core<F, Args>
where
    F::Output: Traceable,
{
    #[track_caller]
    fn new(f: F) -> Self {
        Core {
            f,
            policy: None,
            executor: Arc::new(Interpreter::default()),
            seed: Mutex::default(),
            location: caller(),
            cache: Mutex::default(),
            last: Mutex::default(),
            warnings: Mutex::default(),
            args: PhantomData,
        }
    }

    /// Traces the function on inputs like these.
    fn program(
        &self,
        refs: Args::Refs<'_>,
    ) -> Result<(Program, <F::Output as Traceable>::Types), Diagnostics> {
        let types: Vec<Type> = Args::leaves(refs).iter().flatten().map(|(_, a)| Type::of(a)).collect();
        frame::take_warnings();
        let traced = frame::root(&types, self.location, |params| {
            let mut next = rebuild(params.to_vec());
            let args = Args::trace(refs, &mut |_| next());
            let out = self.f.apply(args);
            let vars = tree::leaves(&out).into_iter().map(|(_, v)| v).collect();
            (vars, out.types())
        });
        *lock(&self.warnings) = frame::take_warnings();
        traced
    }

    /// The compiled program for inputs like these, made on the first call.
    fn compiled(
        &self,
        refs: Args::Refs<'_>,
        wrt: Option<usize>,
        kind: Kind,
    ) -> Result<Arc<Entry<F::Output>>, Error> {
        {
            let mut cache = lock(&self.cache);
            let known = cache.iter().position(|(like, _)| like.fits(|f| Args::walk(refs, f)));
            if let Some(known) = known {
                cache.swap(0, known);
                if let Ok(entry) = cache[0].1.clone().downcast::<Entry<F::Output>>() {
                    return Ok(entry);
                }
            }
        }
        let leaves = Args::leaves(refs);
        let (program, result) = self.program(refs)?;
        let program = simplify(&program);
        let active = self.active(&leaves, wrt)?;
        let (joint, n_outputs, seeds) = derive(&program, &active, kind, self.location)?;
        let joint = if kind == Kind::Jit { joint } else { simplify(&joint) };
        let lowered = self.lowered_and_verified(joint, n_outputs, seeds.len())?;
        let [forward, backward] =
            [&lowered.forward, &lowered.backward].map(|half| self.executor.compile(half));
        let compiled = Compiled { lowered: Arc::new(lowered), forward, backward, ones: ones(&seeds) };
        let entry = Arc::new(Entry { compiled, result });
        lock(&self.cache).push((Likeness::of(|f| Args::walk(refs, f)), entry.clone()));
        Ok(entry)
    }

    /// Lowers a program; where an inverse that the user declared proves wrong, and the loop may do without, it does.
    fn lowered_and_verified(
        &self,
        mut joint: Program,
        n_outputs: usize,
        n_seeds: usize,
    ) -> Result<Lowered, Error> {
        let mut notes = vec![];
        loop {
            let lowered = lower(&joint, n_outputs, n_seeds, self.policy.unwrap_or_default());
            let mut lowered = lowered.map_err(|e| Error::from(e.at(self.location)))?;
            let has_policies = lowered.n_recorded > 0 || lowered.planned.is_some() || lowered.quantises();
            if cfg!(debug_assertions) && has_policies {
                audit(&joint, &lowered, n_seeds)?;
            }
            let wrong = lowered.reversals.iter().find_map(|r| Some((r.falls_back, verify(r).err()?)));
            match wrong {
                None => {
                    lowered.notes.extend(notes);
                    return Ok(lowered);
                }
                Some((true, e)) if e.is_declared => {
                    notes.push(format!("{e}: not used"));
                    joint = without_inverse(&joint, e.location);
                }
                Some((_, e)) => return Err(e.into()),
            }
        }
    }

    fn active(&self, leaves: &[Vec<(String, Array)>], wrt: Option<usize>) -> Result<Vec<bool>, Error> {
        let mut active = vec![];
        for (i, argument) in leaves.iter().enumerate() {
            for (path, array) in argument {
                let asked = wrt.is_none_or(|w| w == i);
                if asked && wrt.is_some() && !array.dtype().is_float() {
                    let leaf = if path.is_empty() {
                        format!("argument {i}")
                    } else {
                        format!("argument {i}, leaf `{path}`")
                    };
                    return Err(Diagnostic::new(format!("grad: {leaf} is {}, which has no derivative", Type::of(array)), Some(self.location))
                        .help("differentiate another argument with `.wrt::<N>()`, or pass floating-point numbers (`1.0`, not `1`)")
                        .into());
                }
                active.push(asked && array.dtype().is_float());
            }
        }
        Ok(active)
    }

    fn arrays(refs: Args::Refs<'_>) -> Vec<Array> {
        let mut arrays = vec![];
        Args::walk(refs, &mut |part| {
            if let Part::Leaf(array) = part {
                arrays.push(array.clone());
            }
        });
        arrays
    }

    /// The primal half: outputs and the tape.
    fn forward(
        &self,
        entry: &Entry<F::Output>,
        inputs: Vec<Array>,
    ) -> Result<(Vec<Array>, Vec<Value>, Counters), Error> {
        let Compiled { lowered, forward, .. } = &entry.compiled;
        let seed = *lock(&self.seed);
        let (mut out, counters) = match seed.filter(|_| lowered.quantises()) {
            Some(seed) => self.executor.run(&reseeded(&lowered.forward, seed), values(inputs))?,
            None => forward.run(values(inputs))?,
        };
        let tape = out.split_off(lowered.n_outputs);
        Ok((arrays(out), tape, counters))
    }

    /// A program that has only the first half.
    fn primal(&self, entry: &Entry<F::Output>, inputs: Vec<Array>) -> Result<Vec<Array>, Error> {
        let (out, tape, counters) = self.forward(entry, inputs)?;
        self.note(entry, HeldSize::of_tape(&entry.compiled.lowered, &tape), &[counters]);
        Ok(out)
    }

    /// Both halves, with seeds of one.
    fn run(&self, entry: &Entry<F::Output>, inputs: Vec<Array>) -> Result<(Vec<Array>, Vec<Array>), Error> {
        let (out, tape, forward) = self.forward(entry, inputs.clone())?;
        let sizes: Vec<HeldSize> = HeldSize::of_tape(&entry.compiled.lowered, &tape).collect();
        let (rest, back) = backward(&entry.compiled, inputs, tape, entry.compiled.ones.clone())?;
        self.note(entry, sizes.into_iter(), &[forward, back]);
        Ok((out, rest))
    }

    /// See `variance_bound` of the doors.
    fn variance_bound(
        &self,
        entry: &Entry<F::Output>,
        inputs: &[Array],
        weights: Vec<Array>,
    ) -> Result<Option<f64>, Error> {
        let compiled = &entry.compiled;
        let Some(program) = variance_bound(&compiled.lowered) else { return Ok(None) };
        let (_, tape, _) = self.forward(entry, inputs.to_vec())?;
        let operands =
            [values(inputs.to_vec()), tape.clone(), values(compiled.ones.clone()), values(weights)];
        let (out, _) = self.executor.run(&program, operands.concat())?;
        let bound = out[0].array().item::<f64>();
        self.note(entry, HeldSize::of_tape(&compiled.lowered, &tape), &[]);
        lock(&self.last).variance_bound = bound;
        Ok(bound)
    }

    /// Keeps what a run had to say.
    fn note(&self, entry: &Entry<F::Output>, tape: impl Iterator<Item = HeldSize>, runs: &[Counters]) {
        let mut last = lock(&self.last);
        last.lowered = Some(entry.compiled.lowered.clone());
        last.variance_bound = None;
        last.tape.clear();
        last.tape.extend(tape);
        last.counters = Counters {
            recomputed_steps: runs.iter().map(|c| c.recomputed_steps).sum(),
            inverse_steps: runs.iter().map(|c| c.inverse_steps).sum(),
            inverse_evaluations: runs.iter().map(|c| c.inverse_evaluations).sum(),
        };
    }

    /// The derivative inside traced code: results, then what the kind adds.
    fn inlined(
        &self,
        args: &Args,
        wrt: Option<usize>,
        extra: &[Var],
        kind: Kind,
        location: Location,
    ) -> (Vec<Var>, F::Output) {
        let vars: Vec<Vec<Var>> = args.vars();
        let flat: Vec<Var> = vars.iter().flatten().copied().collect();
        let types: Vec<Type> = flat.iter().map(|v| v.ty()).collect();
        let (traced, out) = frame::body(&types, false, |params| {
            let mut next = rebuild(params.to_vec());
            let out = self.f.apply(args.map_vars(&mut |_| next()));
            (tree::leaves(&out).into_iter().map(|(_, v)| v).collect(), out)
        });
        let Traced { program, captures, .. } = traced;
        let program = self.policy.map_or_else(|| program.clone(), |policy| annotate(&program, policy));
        let mut active: Vec<bool> = vars
            .iter()
            .enumerate()
            .flat_map(|(i, vs)| vs.iter().map(move |v| wrt.is_none_or(|w| w == i) && v.ty().is_float()))
            .collect();
        active.resize(flat.len() + captures.len(), false);
        let inputs: Vec<Var> = flat.iter().chain(&captures).copied().collect();
        // A mistake inside is noted already; the loss that stands in for it has nothing to say.
        let noted = tree::leaves(&out).iter().any(|(_, v)| v.poisoned)
            && matches!(kind, Kind::Grad | Kind::Hvp { .. } | Kind::ValueGradHvp);
        let derived =
            if noted { Err(Diagnostics::default()) } else { derive(&program, &active, kind, location) };
        match derived {
            Ok((joint, _, seeds)) => {
                let seeds: Vec<Var> =
                    seeds.iter().map(|ty| super::var::full(ty.dtype, ty.shape.clone(), 1.0)).collect();
                let operands: Vec<Var> = inputs.iter().chain(extra).chain(&seeds).copied().collect();
                (frame::inline(&joint, &operands, location), out)
            }
            Err(diagnostics) => {
                diagnostics.0.into_iter().for_each(frame::mistake);
                let n_active = active.iter().filter(|a| **a).count();
                let mut results: Vec<Var> = program.output_types().iter().map(frame::poisoned).collect();
                let of_inputs: Vec<Var> =
                    (0..flat.len()).filter(|&i| active[i]).map(|i| frame::poisoned(&types[i])).collect();
                debug_assert_eq!(of_inputs.len(), n_active);
                results.extend(of_inputs);
                (results, out)
            }
        }
    }

    fn report(&self) -> TapeReport {
        let last = lock(&self.last);
        let Some(lowered) = &last.lowered else { return TapeReport::default() };
        TapeReport {
            recomputed_steps: last.counters.recomputed_steps,
            inverse_steps: last.counters.inverse_steps,
            inverse_evaluations: last.counters.inverse_evaluations,
            variance_bound: last.variance_bound,
            ..TapeReport::of_sizes(lowered, &last.tape)
        }
    }
}

fn ones(seeds: &[Type]) -> Vec<Array> {
    seeds
        .iter()
        .map(|ty| Array::full(ty.dtype, ty.shape.clone(), Scalar::from_f64(ty.dtype, 1.0).expect("one fits")))
        .collect()
}

fn values(arrays: Vec<Array>) -> Vec<Value> {
    arrays.into_iter().map(Value::Array).collect()
}

fn arrays(values: Vec<Value>) -> Vec<Array> {
    values
        .into_iter()
        .map(|v| v.into_array().expect("results are arrays; this is a bug in retrograde"))
        .collect()
}

fn backward(
    compiled: &Compiled,
    inputs: Vec<Array>,
    tape: Vec<Value>,
    seeds: Vec<Array>,
) -> Result<(Vec<Array>, Counters), Error> {
    let mut operands = Vec::with_capacity(inputs.len() + tape.len() + seeds.len());
    operands.extend(inputs.into_iter().map(Value::Array));
    operands.extend(tape);
    operands.extend(seeds.into_iter().map(Value::Array));
    let (out, counters) = compiled.backward.run(operands)?;
    Ok((arrays(out), counters))
}

/// The program of a door: (inputs.., extra.., seeds.. -> outputs.., rest..), how many outputs, and the seeds.
fn derive(
    program: &Program,
    active: &[bool],
    kind: Kind,
    location: Location,
) -> Result<(Program, usize, Vec<Type>), Diagnostics> {
    match kind {
        Kind::Jit => Ok((program.clone(), program.outputs.len(), vec![])),
        Kind::Vjp | Kind::Grad => {
            if kind == Kind::Grad {
                expect_scalar_loss(program, location)?;
            }
            let (joint, seeds) = vjp_program(program, active);
            Ok((joint, program.outputs.len(), seeds))
        }
        Kind::Jvp => {
            let force: Vec<bool> = program.output_types().iter().map(Type::is_float).collect();
            let jvp = transform::jvp(program, active, &force);
            let n = jvp.program.outputs.len();
            Ok((jvp.program, n, vec![]))
        }
        Kind::Hvp { reverse_over_forward } => {
            expect_scalar_loss(program, location)?;
            let products = if reverse_over_forward {
                reverse_over_forward_program(program, active)
            } else {
                hvp_program(program, active, false)
            };
            Ok(products)
        }
        Kind::ValueGradHvp => {
            expect_scalar_loss(program, location)?;
            Ok(hvp_program(program, active, true))
        }
    }
}

/// Refuses a loss that is not one floating-point number.
fn expect_scalar_loss(program: &Program, location: Location) -> Result<(), Diagnostics> {
    let types = program.output_types();
    let [ty] = &types[..] else {
        return Err(Diagnostic::new(
            format!("the function has {} results, expected one number, the loss", types.len()),
            Some(location),
        )
        .help("return only the loss; `vjp` takes functions with several results")
        .into());
    };
    let at = program
        .equations
        .iter()
        .rev()
        .find(|e| e.outputs.contains(&program.outputs[0]))
        .and_then(|e| e.location)
        .or(Some(location));
    if !ty.is_float() {
        return Err(Diagnostic::new(format!("the loss is {ty}, expected one floating-point number"), at)
            .help("counts, positions and truth values have no derivative; return a smooth loss, such as `cross_entropy` instead of the number of errors")
            .into());
    }
    if ty.shape.rank() != 0 {
        return Err(Diagnostic::new(format!("the loss is {ty}, expected one number (rank 0)"), at)
            .help("reduce it first with `.sum()` or `.mean()`; `jacobian` differentiates functions with many results")
            .into());
    }
    Ok(())
}

/// (inputs.., seeds.. -> outputs.., cotangents of the active inputs..) and the types of the seeds, one for each
/// floating-point output.
fn vjp_program(program: &Program, active: &[bool]) -> (Program, Vec<Type>) {
    let out_types = program.output_types();
    let force: Vec<bool> = out_types.iter().map(Type::is_float).collect();
    let lin = linearize(program, active, &force);
    let transposed = crate::prim::Transforms::transpose(&Standard, &lin.linear, lin.n_residuals);
    let seeds: Vec<Type> = bodies::marked(&out_types, &lin.active);
    let params: Vec<Type> = program.input_types().into_iter().chain(seeds.iter().cloned()).collect();
    let joint = bodies::build(&params, |b, p| {
        let (inputs, seeds) = p.split_at(program.inputs.len());
        let forward = b.inline(&lin.forward, inputs);
        let (outputs, residuals) = forward.split_at(out_types.len());
        let cotangents = b.inline(&transposed, &[residuals, seeds].concat());
        outputs.iter().copied().chain(cotangents).collect()
    });
    (joint, seeds)
}

/// (inputs.., tangents of the active inputs.., seed -> gradient times tangents, Hessian times tangents..).
fn reverse_over_forward_program(program: &Program, active: &[bool]) -> (Program, usize, Vec<Type>) {
    let n_all = program.inputs.len() + active.iter().filter(|active| **active).count();
    let jvp = transform::jvp(program, active, &[true]).program;
    let directional = bodies::restrict(&jvp, &vec![true; n_all], &jvp.outputs[1..]);
    let mut wrt = active.to_vec();
    wrt.resize(n_all, false);
    let (joint, seeds) = vjp_program(&directional, &wrt);
    (joint, 1, seeds)
}

/// (inputs.., tangents of the active inputs.., seed -> loss, gradient.. if asked for, Hessian times tangents..).
fn hvp_program(program: &Program, active: &[bool], with_gradient: bool) -> (Program, usize, Vec<Type>) {
    let types = program.input_types();
    let dots = bodies::marked(&types, active);
    let (n_in, n_dot) = (types.len(), dots.len());
    let (gradient, seeds) = vjp_program(program, active);
    let mut wrt = active.to_vec();
    wrt.resize(n_in + seeds.len(), false);
    let n_out = gradient.outputs.len();
    let mut force = vec![true; n_out];
    force[0] = false;
    let jvp = transform::jvp(&gradient, &wrt, &force);
    let first_dot = n_out + usize::from(jvp.active[0]);
    let params: Vec<Type> = types.iter().chain(&dots).chain(&seeds).cloned().collect();
    let joint = bodies::build(&params, |b, p| {
        let ([inputs, dots], seeds) = bodies::parts(p, [n_in, n_dot]);
        let out = b.inline(&jvp.program, &[inputs, seeds, dots].concat());
        let n_kept = if with_gradient { n_out } else { 1 };
        [&out[..n_kept], &out[first_dot..]].concat()
    });
    (joint, 1, seeds)
}

/// What every door can be told and asked.
macro_rules! settings {
    () => {
        /// How loops are remembered that do not say so themselves. Changes bytes and seconds, no bit of the result.
        pub fn tape(mut self, policy: impl Into<Tape>) -> Self {
            self.core.policy = Some(policy.into());
            self.core.cache = Mutex::default();
            self
        }
        /// What runs the compiled programs, here the reference interpreter where nothing is said. Changes seconds, no bit.
        pub fn executor(mut self, executor: impl Executor + 'static) -> Self {
            self.core.executor = Arc::new(executor);
            self.core.cache = Mutex::default();
            self
        }
        /// Holds at most this many bytes for the reverse sweep: the tape, and what is computed again beside it. The planner
        /// chooses how; `last_tape()` says what. Inputs, outputs and cotangents come on top (`retrograde_core::tape`). Changes no
        /// bit of the result; a budget that is too small is an error that says the least possible one.
        pub fn budget(self, bytes: usize) -> Self {
            self.tape(Tape::Budget(bytes))
        }
        /// Draws from another seed from now on, under [`Tape::Quantise`], without tracing or lowering again: for each step of a
        /// training run.
        ///
        /// ```
        /// use retrograde_core::prim::Tape;
        /// use retrograde_core::trace::{Var, door::grad};
        /// use retrograde_array::{Array, array};
        /// let slope = grad(|x: Var| x.sin().exp().sum()).tape(Tape::Quantise { bits: 2, seed: 0 });
        /// let x = Array::vector((0..100).map(f64::from).collect::<Vec<_>>());
        /// let first = slope.call(&x)?;
        /// assert!(first.bits_eq(&slope.call(&x)?)); // the same seed, the same bits
        /// slope.reseed(1);
        /// assert!(!first.bits_eq(&slope.call(&x)?));
        /// # Ok::<(), retrograde_core::trace::Error>(())
        /// ```
        pub fn reseed(&self, seed: u64) {
            *lock(&self.core.seed) = Some(seed);
        }
        /// What deserves a look in the function traced last, such as large captured arrays.
        pub fn warnings(&self) -> Vec<Diagnostic> {
            lock(&self.core.warnings).clone()
        }
        /// What the last call kept: bytes by value, policy, recomputed steps.
        pub fn last_tape(&self) -> TapeReport {
            self.core.report()
        }
    };
}

macro_rules! door {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<F, Args, const I: usize = 0> {
            core: Core<F, Args>,
        }
        impl<F: Function<Args>, Args: Arguments, const I: usize> $name<F, Args, I>
        where
            F::Output: Traceable,
        {
            settings!();
            /// Differentiates argument number `N` (counted from 0); the others may be integers or keys.
            pub fn wrt<const N: usize>(self) -> $name<F, Args, N> {
                // What was compiled is for another argument.
                $name { core: Core { cache: Mutex::default(), ..self.core } }
            }
        }
    };
}
door!(
    /// See [`grad`].
    Grad
);
door!(
    /// See [`value_and_grad`].
    ValueAndGrad
);
door!(
    /// See [`vjp`].
    Vjp
);
door!(
    /// See [`hvp`].
    Hvp
);
door!(
    /// See [`value_grad_hvp`].
    ValueGradHvp
);

/// The gradient of a function with one number as its result.
///
/// `.call(&x)` gives the tree of `x` with cotangents for leaves. Costs at most 3–4 times the function. Errors: mistakes
/// in the traced function, each with its line; a result that is not one floating-point number.
///
/// ```
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_array::array;
/// let f = |x: Var| (x * x.sin()).sum();
/// let slope = grad(f).call(&array([1.0, 2.0, 3.0]))?;
/// assert!((slope.to_vec::<f64>().unwrap()[0] - (1f64.sin() + 1f64.cos())).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn grad<F: Function<Args>, Args: Arguments>(f: F) -> Grad<F, Args>
where
    F::Output: Traceable,
{
    Grad { core: Core::new(f) }
}

/// The value and the gradient, in one sweep. See [`grad`].
///
/// ```
/// use retrograde_core::trace::{Var, door::value_and_grad};
/// use retrograde_array::array;
/// let (value, slope) = value_and_grad(|x: Var| (x * x).sum()).call(&array([1.0, 3.0]))?;
/// assert_eq!((value, slope), (array(10.0), array([2.0, 6.0])));
/// let error = value_and_grad(|x: Var| x * x).call(&array([1.0, 3.0])).unwrap_err();
/// assert!(error.to_string().starts_with("error: the loss is f64[2], expected one number (rank 0)"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn value_and_grad<F: Function<Args>, Args: Arguments>(f: F) -> ValueAndGrad<F, Args>
where
    F::Output: Traceable,
{
    ValueAndGrad { core: Core::new(f) }
}

/// The value and the pullback, which maps cotangents of the result to cotangents of the argument.
///
/// # Cost
/// At most 3–4 times the function in all, whatever the number of entries of the argument.
///
/// ```
/// use retrograde_core::trace::{Var, door::vjp};
/// use retrograde_array::array;
/// let x = array([1.0, 2.0]);
/// let (value, pullback) = vjp(|x: Var| (x * x, x.sum())).call(&x)?;
/// assert_eq!(value, (array([1.0, 4.0]), array(3.0)));
/// assert_eq!(pullback.call(&(array([1.0, 0.0]), array(10.0)))?, array([12.0, 10.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn vjp<F: Function<Args>, Args: Arguments>(f: F) -> Vjp<F, Args>
where
    F::Output: Traceable,
{
    Vjp { core: Core::new(f) }
}

/// Hessian times vector, forward mode over reverse mode (or `.reverse_over_forward()`).
///
/// # Cost
/// A small multiple of the gradient, however many entries the argument has.
///
/// # Source
/// Pearlmutter 1994, Fast exact multiplication by the Hessian.
///
/// ```
/// use retrograde_core::trace::{Var, door::{hvp, jit}};
/// use retrograde_array::array;
/// use retrograde_core::prim::Checkpoint;
/// let f = |x: Var| (x * x * x).sum();
/// let (x, v) = (array([1.0, 2.0]), array([1.0, 0.5]));
/// assert_eq!(hvp(f).call(&x, &v)?, array([6.0, 6.0]));
/// assert_eq!(hvp(f).reverse_over_forward().call(&x, &v)?, array([6.0, 6.0]));
/// let of_second = hvp(|a: Var, x: Var| (a * x * x).sum()).wrt::<1>().tape(Checkpoint::Sqrt);
/// assert_eq!(of_second.call((&array(2.0), &x), &v)?, array([4.0, 2.0]));
/// assert_eq!(of_second.last_tape().recomputed_steps, 0); // there is no loop
/// assert_eq!(jit(|x: Var| hvp(f).at(x, &x)).call(&x)?, array([6.0, 24.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn hvp<F: Function<Args>, Args: Arguments>(f: F) -> HvpDoor<F, Args>
where
    F::Output: Traceable,
{
    HvpDoor { door: Hvp { core: Core::new(f) }, reverse_over_forward: false }
}

/// The value, the gradient and the Hessian times a vector, in one sweep. See [`hvp`].
///
/// # Cost
/// That of [`hvp`]: forward mode over reverse mode makes the gradient on the way.
///
/// ```
/// use retrograde_core::trace::{Var, door::{jit, value_grad_hvp}};
/// use retrograde_array::array;
/// let f = |x: Var| (x * x * x).sum();
/// let (x, v) = (array([1.0, 2.0]), array([1.0, 0.5]));
/// let (value, slope, product) = value_grad_hvp(f).call(&x, &v)?;
/// assert_eq!((value, slope, product), (array(9.0), array([3.0, 12.0]), array([6.0, 6.0])));
/// let inside = |x: Var, v: Var| value_grad_hvp(f).at(x, &v).2;
/// assert_eq!(jit(inside).call((&x, &v))?, array([6.0, 6.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn value_grad_hvp<F: Function<Args>, Args: Arguments>(f: F) -> ValueGradHvp<F, Args>
where
    F::Output: Traceable,
{
    ValueGradHvp { core: Core::new(f) }
}

type Arrays<Args, const I: usize> = <<Args as Pick<I>>::Picked as Traceable>::Arrays;

/// Puts gradients back into the tree of the argument.
fn like_argument<Args: Pick<I>, const I: usize>(
    refs: Args::Refs<'_>,
    gradients: Vec<Array>,
) -> Arrays<Args, I> {
    let mut next = rebuild(gradients);
    Args::Picked::map_arrays(Args::pick(refs), &mut |_| next())
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> ValueAndGrad<F, Args, I>
where
    F::Output: Traceable,
{
    /// (value, gradient)
    ///
    /// # Errors
    /// See [`grad`].
    pub fn call(&self, inputs: Args::Refs<'_>) -> Result<(Array, Arrays<Args, I>), Error> {
        let entry = self.entry(inputs)?;
        let (mut out, gradients) = self.core.run(&entry, Core::<F, Args>::arrays(inputs))?;
        Ok((out.remove(0), like_argument::<Args, I>(inputs, gradients)))
    }
    fn entry(&self, inputs: Args::Refs<'_>) -> Result<Arc<Entry<F::Output>>, Error> {
        scalar_entry(&self.core, inputs, I)
    }
    /// The lowered program for inputs like these: what would run, as text.
    ///
    /// # Errors
    /// See [`grad`].
    pub fn lowered(&self, inputs: Args::Refs<'_>) -> Result<Lowered, Error> {
        Ok((*self.entry(inputs)?.compiled.lowered).clone())
    }
    /// The value and the tape, to be looked at or sent elsewhere before the reverse sweep.
    ///
    /// # Errors
    /// See [`grad`].
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::value_and_grad};
    /// use retrograde_array::array;
    /// let (f, x) = (value_and_grad(|x: Var| x.exp()), array(0.0));
    /// let (value, report, tape) = f.forward(&x)?;
    /// assert_eq!((value, report.tape_bytes()), (array(1.0), 8));
    /// assert_eq!(f.backward(&x, tape)?.0, array(1.0));
    /// assert!(retrograde_core::ir::print(&f.lowered(&x)?.forward).contains("exp"));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn forward(&self, inputs: Args::Refs<'_>) -> Result<(Array, TapeReport, Vec<Value>), Error> {
        let entry = self.entry(inputs)?;
        let (mut out, tape, counters) = self.core.forward(&entry, Core::<F, Args>::arrays(inputs))?;
        let mut report = TapeReport::new(&entry.compiled.lowered, &tape);
        report.recomputed_steps = counters.recomputed_steps;
        report.inverse_evaluations = counters.inverse_evaluations;
        Ok((out.remove(0), report, tape))
    }
    /// The reverse sweep over a tape from [`ValueAndGrad::forward`] on the same inputs.
    ///
    /// # Errors
    /// A tape that does not lead back to the start, under `Tape::Reverse`.
    pub fn backward(
        &self,
        inputs: Args::Refs<'_>,
        tape: Vec<Value>,
    ) -> Result<(Arrays<Args, I>, Counters), Error> {
        let entry = self.entry(inputs)?;
        let seeds = entry.compiled.ones.clone();
        let (gradients, counters) = backward(&entry.compiled, Core::<F, Args>::arrays(inputs), tape, seeds)?;
        Ok((like_argument::<Args, I>(inputs, gradients), counters))
    }
    /// The most that the variance of the gradient along `direction` (its inner product with that) can be under
    /// [`Tape::Quantise`], in the mean over draws; evaluated at the draws of the seed at hand, and noted in the tape report.
    /// `None` where nothing is drawn, or some loop computes its states again. What it rests on: [`variance_bound`].
    ///
    /// # Errors
    /// See [`grad`].
    ///
    /// ```
    /// use retrograde_core::prim::Tape;
    /// use retrograde_core::trace::{Var, door::value_and_grad};
    /// use retrograde_array::{Array, array};
    /// let loss = value_and_grad(|x: Var| x.sin().exp().sum()).tape(Tape::Quantise { bits: 8, seed: 0 });
    /// let x = Array::vector((0..100).map(f64::from).collect::<Vec<_>>());
    /// let ones = Array::vector(vec![1.0; 100]);
    /// let bound = loss.variance_bound(&x, &ones)?.unwrap();
    /// // A hundred entries, each with a deviation of about half a hundredth.
    /// assert!(bound > 0.0 && bound < 100.0 * 0.02 * 0.02);
    /// assert_eq!(loss.last_tape().variance_bound, Some(bound));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn variance_bound(
        &self,
        inputs: Args::Refs<'_>,
        direction: &Arrays<Args, I>,
    ) -> Result<Option<f64>, Error> {
        let weights = expect_like("direction", direction, "argument", Args::pick(inputs), caller())?;
        let weights = weights.into_iter().filter(|a| a.dtype().is_float()).collect();
        let entry = self.entry(inputs)?;
        self.core.variance_bound(&entry, &Core::<F, Args>::arrays(inputs), weights)
    }
    /// Inside traced code.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{jit, value_and_grad}};
    /// use retrograde_array::array;
    /// let f = |x: Var| {
    ///     let (value, slope) = value_and_grad(|x: Var| x * x * x).at(x);
    ///     value + slope
    /// };
    /// assert_eq!(jit(f).call(&array(2.0))?, array(20.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn at(&self, vars: Args::Vars) -> (Var, Args::Picked) {
        self.traced(&Args::from_vars(vars), caller())
    }
    fn traced(&self, args: &Args, location: Location) -> (Var, Args::Picked) {
        let (mut out, result) = self.core.inlined(args, Some(I), &[], Kind::Grad, location);
        let gradients = out.split_off(tree::leaves(&result).len());
        let mut next = rebuild(gradients);
        (out.swap_remove(0), args.pick_vars().map_vars(&mut |_| next()))
    }
}

fn scalar_entry<F: Function<Args>, Args: Arguments>(
    core: &Core<F, Args>,
    inputs: Args::Refs<'_>,
    wrt: usize,
) -> Result<Arc<Entry<F::Output>>, Error>
where
    F::Output: Traceable,
{
    core.compiled(inputs, Some(wrt), Kind::Grad)
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> Grad<F, Args, I>
where
    F::Output: Traceable,
{
    /// The gradient.
    ///
    /// # Errors
    /// See [`grad`].
    pub fn call(&self, inputs: Args::Refs<'_>) -> Result<Arrays<Args, I>, Error> {
        let entry = scalar_entry(&self.core, inputs, I)?;
        let (_, gradients) = self.core.run(&entry, Core::<F, Args>::arrays(inputs))?;
        Ok(like_argument::<Args, I>(inputs, gradients))
    }
    /// The lowered program for inputs like these: what would run, as text.
    ///
    /// # Errors
    /// See [`grad`].
    pub fn lowered(&self, inputs: Args::Refs<'_>) -> Result<Lowered, Error> {
        Ok((*scalar_entry(&self.core, inputs, I)?.compiled.lowered).clone())
    }
    /// Inside traced code.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// // The inner function may use values of the outer one: the slope of x (2x) is 4x.
    /// let f = |x: Var| x * grad(|y: Var| y * y).at(x);
    /// assert_eq!(grad(f).call(&array(3.0))?, array(12.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn at(&self, vars: Args::Vars) -> Args::Picked {
        self.apply(Args::from_vars(vars))
    }
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> Function<Args> for Grad<F, Args, I>
where
    F::Output: Traceable,
{
    type Output = Args::Picked;
    fn apply(&self, args: Args) -> Args::Picked {
        let location = self.core.location;
        let (mut out, result) = self.core.inlined(&args, Some(I), &[], Kind::Grad, location);
        let mut next = rebuild(out.split_off(tree::leaves(&result).len()));
        args.pick_vars().map_vars(&mut |_| next())
    }
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> Function<Args> for ValueAndGrad<F, Args, I>
where
    F::Output: Traceable,
{
    type Output = (Var, Args::Picked);
    fn apply(&self, args: Args) -> (Var, Args::Picked) {
        self.traced(&args, self.core.location)
    }
}

/// The reverse half of a vjp, with its tape.
pub struct Pullback<'a, F: Function<Args>, Args: Pick<I>, const I: usize>
where
    F::Output: Traceable,
{
    entry: Arc<Entry<F::Output>>,
    inputs: Vec<Array>,
    refs: Args::Refs<'a>,
    tape: Vec<Value>,
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> Pullback<'_, F, Args, I>
where
    F::Output: Traceable,
{
    /// Cotangents of the argument from cotangents of the result (whose leaves must all be floating-point).
    ///
    /// # Errors
    /// A tree of another structure or other types than the result.
    #[track_caller]
    pub fn call(&self, cotangents: &<F::Output as Traceable>::Arrays) -> Result<Arrays<Args, I>, Error> {
        let like =
            F::Output::to_arrays(&self.entry.result, &mut |ty| Array::zeros(ty.dtype, ty.shape.clone()));
        let found = expect_like("cotangent", cotangents, "result", &like, caller())?;
        let seeds = found.into_iter().filter(|a| a.dtype().is_float()).collect();
        let (gradients, _) = backward(&self.entry.compiled, self.inputs.clone(), self.tape.clone(), seeds)?;
        Ok(like_argument::<Args, I>(self.refs, gradients))
    }
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> Vjp<F, Args, I>
where
    F::Output: Traceable,
{
    /// (value, pullback)
    ///
    /// # Errors
    /// Mistakes in the traced function.
    #[expect(clippy::type_complexity, reason = "the pair is the standard answer of vjp")]
    pub fn call<'a>(
        &self,
        inputs: Args::Refs<'a>,
    ) -> Result<(<F::Output as Traceable>::Arrays, Pullback<'a, F, Args, I>), Error> {
        let entry = self.core.compiled(inputs, Some(I), Kind::Vjp)?;
        let arrays = Core::<F, Args>::arrays(inputs);
        let (out, tape, _) = self.core.forward(&entry, arrays.clone())?;
        let mut next = rebuild(out);
        let value = F::Output::to_arrays(&entry.result, &mut |_| next());
        Ok((value, Pullback { entry, inputs: arrays, refs: inputs, tape }))
    }
}

/// See [`hvp`].
#[derive(Debug)]
pub struct HvpDoor<F, Args, const I: usize = 0> {
    door: Hvp<F, Args, I>,
    reverse_over_forward: bool,
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> HvpDoor<F, Args, I>
where
    F::Output: Traceable,
{
    /// Takes reverse mode over forward mode instead.
    pub fn reverse_over_forward(mut self) -> Self {
        self.reverse_over_forward = true;
        self
    }
    /// See [`Grad::tape`].
    pub fn tape(self, policy: impl Into<Tape>) -> Self {
        HvpDoor { door: self.door.tape(policy), ..self }
    }
    /// See [`Grad::executor`].
    pub fn executor(self, executor: impl Executor + 'static) -> Self {
        HvpDoor { door: self.door.executor(executor), ..self }
    }
    /// See [`Grad::budget`].
    pub fn budget(self, bytes: usize) -> Self {
        self.tape(Tape::Budget(bytes))
    }
    /// See [`Grad::wrt`].
    pub fn wrt<const N: usize>(self) -> HvpDoor<F, Args, N> {
        HvpDoor { door: self.door.wrt::<N>(), reverse_over_forward: self.reverse_over_forward }
    }
    /// What the last call kept.
    pub fn last_tape(&self) -> TapeReport {
        self.door.last_tape()
    }
    fn kind(&self) -> Kind {
        Kind::Hvp { reverse_over_forward: self.reverse_over_forward }
    }
    /// Hessian times `v`.
    ///
    /// # Errors
    /// See [`grad`]; a `v` of another structure than the argument.
    #[track_caller]
    pub fn call(&self, inputs: Args::Refs<'_>, v: &Arrays<Args, I>) -> Result<Arrays<Args, I>, Error> {
        let tangents = expect_like("direction", v, "argument", Args::pick(inputs), caller())?;
        let entry = self.door.core.compiled(inputs, Some(I), self.kind())?;
        let mut arrays = Core::<F, Args>::arrays(inputs);
        arrays.extend(tangents);
        let (_, products) = self.door.core.run(&entry, arrays)?;
        Ok(like_argument::<Args, I>(inputs, products))
    }
    /// Inside traced code.
    #[track_caller]
    pub fn at(&self, vars: Args::Vars, v: &Args::Picked) -> Args::Picked {
        let args = Args::from_vars(vars);
        let extra: Vec<Var> = tree::leaves(v).into_iter().map(|(_, v)| v).collect();
        let (mut out, _) = self.door.core.inlined(&args, Some(I), &extra, self.kind(), caller());
        let mut next = rebuild(out.split_off(1));
        args.pick_vars().map_vars(&mut |_| next())
    }
}

impl<F: Function<Args>, Args: Pick<I>, const I: usize> ValueGradHvp<F, Args, I>
where
    F::Output: Traceable,
{
    /// (value, gradient, Hessian times `v`)
    ///
    /// # Errors
    /// See [`grad`]; a `v` of another structure than the argument.
    #[track_caller]
    pub fn call(
        &self,
        inputs: Args::Refs<'_>,
        v: &Arrays<Args, I>,
    ) -> Result<(Array, Arrays<Args, I>, Arrays<Args, I>), Error> {
        let tangents = expect_like("direction", v, "argument", Args::pick(inputs), caller())?;
        let entry = self.core.compiled(inputs, Some(I), Kind::ValueGradHvp)?;
        let mut arrays = Core::<F, Args>::arrays(inputs);
        arrays.extend(tangents);
        let (mut out, mut gradients) = self.core.run(&entry, arrays)?;
        let products = gradients.split_off(gradients.len() / 2);
        let tree = |leaves| like_argument::<Args, I>(inputs, leaves);
        Ok((out.remove(0), tree(gradients), tree(products)))
    }
    /// Inside traced code.
    #[track_caller]
    pub fn at(&self, vars: Args::Vars, v: &Args::Picked) -> (Var, Args::Picked, Args::Picked) {
        let args = Args::from_vars(vars);
        let extra: Vec<Var> = tree::leaves(v).into_iter().map(|(_, v)| v).collect();
        let (mut out, _) = self.core.inlined(&args, Some(I), &extra, Kind::ValueGradHvp, caller());
        let mut gradients = out.split_off(1);
        // After a mistake stand-ins of the gradient alone come back.
        let products = if gradients.len() < 2 * extra.len() {
            gradients.clone()
        } else {
            gradients.split_off(extra.len())
        };
        let tree = |leaves| args.pick_vars().map_vars(&mut rebuild_as(leaves));
        (out[0], tree(gradients), tree(products))
    }
}

/// Puts values in the places of others.
fn rebuild_as(values: Vec<Var>) -> impl FnMut(&Var) -> Var {
    let mut next = rebuild(values);
    move |_| next()
}

/// See [`jvp`].
#[derive(Debug)]
pub struct Jvp<F, Args> {
    core: Core<F, Args>,
}

/// The value and its derivative along a direction (forward mode), of a function of one argument.
///
/// # Cost
/// At most 2–3 times the function; nothing is kept.
///
/// ```
/// use retrograde_core::trace::{Var, door::{jit, jvp}};
/// use retrograde_array::array;
/// let (value, slope) = jvp(|x: Var| x * x).call(&array([1.0, 3.0]), &array([1.0, 10.0]))?;
/// assert_eq!((value, slope), (array([1.0, 9.0]), array([2.0, 60.0])));
/// let f = |x: Var| jvp(|x: Var| x * x).at(x, &x).1[0];
/// assert_eq!(jit(f).call(&array(3.0))?, array(18.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jvp<F: Function<(A,)>, A: Traceable>(f: F) -> Jvp<F, (A,)>
where
    F::Output: Traceable,
{
    Jvp { core: Core::new(f) }
}

type Pair<R> = (<R as Traceable>::Arrays, <R as Traceable>::Arrays);

impl<F: Function<(A,)>, A: Traceable> Jvp<F, (A,)>
where
    F::Output: Traceable,
{
    settings!();
    /// (value, tangent); integer results have tangent zero.
    ///
    /// # Errors
    /// Mistakes in the traced function; a direction of another structure than the argument.
    #[track_caller]
    pub fn call(&self, x: &A::Arrays, x_dot: &A::Arrays) -> Result<Pair<F::Output>, Error> {
        let tangents = expect_like("direction", x_dot, "argument", x, caller())?;
        let entry = self.core.compiled(x, None, Kind::Jvp)?;
        let mut arrays = Core::<F, (A,)>::arrays(x);
        arrays.extend(tangents.into_iter().filter(|t| t.dtype().is_float()));
        let out = self.core.primal(&entry, arrays)?;
        let n_out = tree::leaves(&entry.result).len();
        let (mut value, mut dot) = (rebuild(out[..n_out].to_vec()), rebuild(out[n_out..].to_vec()));
        let tangent = F::Output::to_arrays(&entry.result, &mut |ty| {
            if ty.is_float() { dot() } else { Array::zeros(ty.dtype, ty.shape.clone()) }
        });
        Ok((F::Output::to_arrays(&entry.result, &mut |_| value()), tangent))
    }
    /// Inside traced code: the value and the tangents of its floating-point leaves, in order.
    #[track_caller]
    pub fn at(&self, x: A, x_dot: &A) -> (F::Output, Vec<Var>) {
        let dots: Vec<Var> =
            tree::leaves(x_dot).into_iter().map(|(_, v)| v).filter(|v| v.ty().is_float()).collect();
        let (mut out, result) = self.core.inlined(&(x,), None, &dots, Kind::Jvp, caller());
        let tangents = out.split_off(tree::leaves(&result).len());
        let mut next = rebuild(out);
        (result.map_vars(&mut |_| next()), tangents)
    }
}

/// See [`jit`].
#[derive(Debug)]
pub struct Jit<F, Args> {
    core: Core<F, Args>,
}

/// The function itself, traced and compiled once per structure and types of its inputs.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// let f = jit(|x: Var, y: Var| (x + y, x * y));
/// let (x, y) = (array(3.0), array(4.0));
/// assert_eq!(f.call((&x, &y))?, (array(7.0), array(12.0)));
/// let text = retrograde_core::ir::print(&f.program((&x, &y))?);
/// assert_eq!(text, retrograde_core::ir::print(&f.lowered((&x, &y))?.forward));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jit<F: Function<Args>, Args: Arguments>(f: F) -> Jit<F, Args>
where
    F::Output: Traceable,
{
    Jit { core: Core::new(f) }
}

impl<F: Function<Args>, Args: Arguments> Jit<F, Args>
where
    F::Output: Traceable,
{
    /// The value.
    ///
    /// # Errors
    /// Mistakes in the traced function; errors while running.
    pub fn call(&self, inputs: Args::Refs<'_>) -> Result<<F::Output as Traceable>::Arrays, Error> {
        let entry = self.core.compiled(inputs, None, Kind::Jit)?;
        self.results(&entry, Core::<F, Args>::arrays(inputs))
    }
    /// [`Jit::call`] on arrays that the caller gives up: where nobody else holds them, an executor may write results into their
    /// memory, of this call or the next. The bits are the same.
    ///
    /// # Errors
    /// As [`Jit::call`].
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let step = jit(|x: Var, v: Var| (x + 0.1 * v, v));
    /// let mut state = (array([0.0, 1.0]), array([1.0, 1.0]));
    /// for _ in 0..3 {
    ///     state = step.call_donating(state)?;
    /// }
    /// assert_eq!(state.0, array([0.1 + 0.1 + 0.1, 1.0 + 0.1 + 0.1 + 0.1]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    pub fn call_donating(&self, inputs: Args::Given) -> Result<<F::Output as Traceable>::Arrays, Error> {
        let refs = Args::refs(&inputs);
        let entry = self.core.compiled(refs, None, Kind::Jit)?;
        let arrays = Core::<F, Args>::arrays(refs);
        drop(inputs);
        self.results(&entry, arrays)
    }
    fn results(
        &self,
        entry: &Entry<F::Output>,
        inputs: Vec<Array>,
    ) -> Result<<F::Output as Traceable>::Arrays, Error> {
        let mut next = rebuild(self.core.primal(entry, inputs)?);
        Ok(F::Output::to_arrays(&entry.result, &mut |_| next()))
    }
    settings!();
    /// The lowered program for inputs like these.
    ///
    /// # Errors
    /// Mistakes in the traced function.
    pub fn lowered(&self, inputs: Args::Refs<'_>) -> Result<Lowered, Error> {
        Ok((*self.core.compiled(inputs, None, Kind::Jit)?.compiled.lowered).clone())
    }
    /// The traced program for inputs like these.
    ///
    /// # Errors
    /// Mistakes in the traced function.
    pub fn program(&self, inputs: Args::Refs<'_>) -> Result<Program, Error> {
        Ok(self.core.program(inputs)?.0)
    }
}

/// See [`vmap`].
#[derive(Debug)]
pub struct Vmap<F> {
    f: F,
    executor: Arc<dyn Executor>,
    location: Location,
}

/// The function over a new leading axis of all its arguments (captured values are shared by all lanes).
///
/// It is itself a function of traced values: `jit(vmap(f)).call(..)` runs it, `grad(vmap(f))`, `vmap(grad(f))` nest.
///
/// # Errors
/// At the front door, where arguments have no leading axis or leading axes of different lengths.
///
/// # Cost
/// That of n calls, in one program whose size does not depend on n.
///
/// ```
/// use retrograde_core::trace::{Var, door::{grad, jit, vmap}};
/// use retrograde_array::array;
/// // The gradient of each example's loss.
/// let loss = |x: Var| (x * x).sum();
/// let slopes = jit(vmap(grad(loss))).call(&array([[1.0, 2.0], [3.0, 4.0]]))?;
/// assert_eq!(slopes, array([[2.0, 4.0], [6.0, 8.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn vmap<F>(f: F) -> Vmap<F> {
    Vmap { f, executor: Arc::new(Interpreter::default()), location: caller() }
}

impl<F: Function<Args>, Args: Arguments> Function<Args> for Vmap<F>
where
    F::Output: Traceable,
{
    type Output = F::Output;
    fn apply(&self, args: Args) -> F::Output {
        let flat: Vec<Var> = args.vars().into_iter().flatten().collect();
        let n = flat.first().and_then(|v| v.shape().first().copied());
        let fits = |v: &Var| v.shape().first().copied() == n && n.is_some();
        if let Some(v) = flat.iter().find(|v| !fits(v)) {
            let want = n.map_or("a leading axis".into(), |n| format!("a leading axis of {n}"));
            frame::mistake(
                Diagnostic::new(
                    format!("vmap: found an argument of type {}, expected {want}", v.ty()),
                    Some(self.location),
                )
                .help("give every mapped argument the same leading axis; capture what all lanes share"),
            );
        }
        let n = n.unwrap_or(1);
        let types: Vec<Type> = flat
            .iter()
            .map(|v| {
                let t = v.ty();
                if fits(v) { t.unstacked() } else { t }
            })
            .collect();
        let (traced, out) = frame::body(&types, false, |params| {
            let mut next = rebuild(params.to_vec());
            let out = self.f.apply(args.map_vars(&mut |_| next()));
            (tree::leaves(&out).into_iter().map(|(_, v)| v).collect(), out)
        });
        let mut batched: Vec<bool> = flat.iter().map(fits).collect();
        batched.resize(flat.len() + traced.captures.len(), false);
        let force = vec![true; traced.program.outputs.len()];
        let program = transform::vmap(&traced.program, &batched, &force, n).program;
        let inputs: Vec<Var> = flat.iter().chain(&traced.captures).copied().collect();
        let mut next = rebuild(frame::inline(&program, &inputs, self.location));
        out.map_vars(&mut |_| next())
    }
}

impl<F> Vmap<F> {
    /// See [`Grad::executor`].
    pub fn executor(self, executor: impl Executor + 'static) -> Self {
        Vmap { executor: Arc::new(executor), ..self }
    }
    /// Runs it (compiled anew each time; `jit(vmap(f))` keeps the program).
    ///
    /// # Errors
    /// Mistakes in the traced function; errors while running.
    #[track_caller]
    pub fn call<Args: Arguments>(
        &self,
        inputs: Args::Refs<'_>,
    ) -> Result<<F::Output as Traceable>::Arrays, Error>
    where
        F: Function<Args>,
        F::Output: Traceable,
        for<'x> &'x Vmap<F>: Function<Args, Output = F::Output>,
    {
        jit(self).executor(self.executor.clone()).call(inputs)
    }
}

impl<F, Args> Function<Args> for &Vmap<F>
where
    Vmap<F>: Function<Args>,
{
    type Output = <Vmap<F> as Function<Args>>::Output;
    fn apply(&self, args: Args) -> Self::Output {
        (*self).apply(args)
    }
}

/// See [`jacobian`].
#[derive(Debug)]
pub struct Jacobian<F> {
    f: F,
    executor: Arc<dyn Executor>,
    forward: bool,
    location: Location,
}

/// All derivatives of an array-valued function of one array: shape of the result, then shape of the argument.
///
/// Reverse mode, one sweep per entry of the result (`.forward()`: one per entry of the argument).
///
/// ```
/// use retrograde_core::trace::{Var, door::{hessian, jacobian}};
/// use retrograde_array::array;
/// let f = |x: Var| x.index(0, 0) * x;
/// let x = array([2.0, 3.0]);
/// assert_eq!(jacobian(f).call(&x)?, array([[4.0, 0.0], [3.0, 2.0]]));
/// assert_eq!(jacobian(f).forward().call(&x)?, jacobian(f).call(&x)?);
/// assert_eq!(hessian(|x: Var| (x * x * x).sum()).call(&x)?, array([[12.0, 0.0], [0.0, 18.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn jacobian<F: Function<(Var,), Output = Var>>(f: F) -> Jacobian<F> {
    Jacobian { f, executor: Arc::new(Interpreter::default()), forward: false, location: caller() }
}

/// The second derivatives of a number-valued function of one array: shape of the argument twice (forward over reverse).
#[track_caller]
pub fn hessian<F: Function<(Var,), Output = Var>>(f: F) -> Jacobian<Grad<F, (Var,)>> {
    jacobian(grad(f)).forward()
}

impl<F: Function<(Var,), Output = Var>> Jacobian<F> {
    /// Takes forward mode: cheaper where the argument has fewer entries than the result.
    pub fn forward(mut self) -> Self {
        self.forward = true;
        self
    }
    /// See [`Grad::executor`].
    pub fn executor(self, executor: impl Executor + 'static) -> Self {
        Jacobian { executor: Arc::new(executor), ..self }
    }
    /// Runs it.
    ///
    /// # Errors
    /// Mistakes in the traced function; errors while running.
    pub fn call(&self, x: &Array) -> Result<Array, Error> {
        jit(|x: Var| self.apply((x,))).executor(self.executor.clone()).call(x)
    }
}

impl<F: Function<(Var,), Output = Var>> Function<(Var,)> for Jacobian<F> {
    type Output = Var;
    fn apply(&self, (x,): (Var,)) -> Var {
        let x_type = x.ty();
        let (traced, ()) = frame::body(std::slice::from_ref(&x_type), false, |p| {
            let y = self.f.apply((p[0],));
            (vec![y], ())
        });
        let y_type = traced.program.output_types()[0].clone();
        if !x_type.is_float() || !y_type.is_float() {
            let what = format!(
                "jacobian: found a function from {x_type} to {y_type}, expected floating-point arrays"
            );
            frame::mistake(
                Diagnostic::new(what, Some(self.location))
                    .help("convert the argument with `.convert(DType::F64)`"),
            );
            return frame::poisoned(
                &x_type.with_shape([y_type.shape.to_vec(), x_type.shape.to_vec()].concat()),
            );
        }
        let mut active = vec![true];
        active.resize(1 + traced.captures.len(), false);
        let n_captures = traced.captures.len();
        let (m, n) = (y_type.shape.size(), x_type.shape.size());
        let (directions, ty) = if self.forward { (n, &x_type) } else { (m, &y_type) };
        let product = if self.forward {
            let jvp = transform::jvp(&traced.program, &active, &[true]).program;
            bodies::restrict(&jvp, &vec![true; jvp.inputs.len()], &jvp.outputs[1..])
        } else {
            let joint = vjp_program(&traced.program, &active).0;
            bodies::restrict(&joint, &vec![true; joint.inputs.len()], &joint.outputs[1..])
        };
        // Parameters: x, captures, direction.
        let mut batched = vec![false; 1 + n_captures];
        batched.push(true);
        let mapped = transform::vmap(&product, &batched, &[true], directions).program;
        let basis = identity(directions, ty);
        let basis = super::var::constant(&basis);
        let inputs: Vec<Var> = [x].iter().chain(&traced.captures).chain([&basis]).copied().collect();
        let rows = frame::inline(&mapped, &inputs, self.location)[0];
        let matrix = if self.forward {
            // [n, result..] -> [result.., n]
            let mut perm: Vec<usize> = (1..=y_type.shape.rank()).collect();
            perm.push(0);
            rows.transpose(&perm)
        } else {
            rows
        };
        matrix.reshape([y_type.shape.to_vec(), x_type.shape.to_vec()].concat())
    }
}

/// The unit directions of a type, stacked.
fn identity(n: usize, ty: &Type) -> Array {
    let mut entries = vec![0.0f64; n * n];
    (0..n).for_each(|i| entries[i * n + i] = 1.0);
    let shape = ty.stacked(n).shape;
    let eye = Array::new(shape, entries).expect("n rows of n entries");
    retrograde_array::ops::convert(&eye, ty.dtype)
}
