//! The stack of traces of a thread: one frame per function body that is being recorded.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Var;
use crate::ir::{Diagnostic, Diagnostics, EqnId, Location, Mismatch, Op, Type, ValueId, print};
use crate::prim::{Builder, Prim, Program, full::Full};
use retrograde_array::Scalar;

struct Frame {
    id: u64,
    builder: Builder,
    /// Whether handles of the frames below may be used here.
    closed: bool,
    captures: Vec<(Var, ValueId)>,
    /// Stand-ins for what mistakes would have made.
    poisons: Vec<ValueId>,
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(vec![]) };
    static MISTAKES: RefCell<Vec<Diagnostic>> = const { RefCell::new(vec![]) };
    static WARNINGS: RefCell<Vec<Diagnostic>> = const { RefCell::new(vec![]) };
    static NEXT_ID: Cell<u64> = const { Cell::new(1) };
    static SCOPES: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
    /// Where the front door whose function is being traced was opened.
    static DOOR: Cell<Option<Location>> = const { Cell::new(None) };
    static BLAMED: Cell<Option<Location>> = const { Cell::new(None) };
}

/// A recorded function body.
#[derive(Clone, Debug)]
pub struct Traced {
    /// (parameters.., captures..) -> results
    pub program: Program,
    /// How many parameters there are.
    pub n_params: usize,
    /// Outer handles it uses.
    pub captures: Vec<Var>,
}

/// Records the body `f` with parameters of these types. `closed` bodies capture nothing.
pub(super) fn body<R>(types: &[Type], closed: bool, f: impl FnOnce(&[Var]) -> (Vec<Var>, R)) -> (Traced, R) {
    let id = NEXT_ID.replace(NEXT_ID.get() + 1);
    let params = FRAMES.with_borrow_mut(|frames| {
        let mut builder = Builder::new();
        let depth = frames.len() as u32;
        let params: Vec<Var> =
            types.iter().map(|ty| Var::new(id, depth, builder.input(ty.clone()), false)).collect();
        frames.push(Frame { id, builder, closed, captures: vec![], poisons: vec![] });
        params
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let (outputs, rest) = f(&params);
        let outputs: Vec<ValueId> = outputs.iter().map(|v| here(*v, None)).collect();
        (outputs, rest)
    }));
    let frame = FRAMES.with_borrow_mut(|frames| {
        let at =
            frames.iter().position(|f| f.id == id).expect("a frame stays on the stack while its body runs");
        frames.drain(at..).next().expect("the frame just found")
    });
    match result {
        Ok((outputs, rest)) => {
            let captures = frame.captures.iter().map(|(v, _)| *v).collect();
            (Traced { program: frame.builder.finish(outputs), n_params: types.len(), captures }, rest)
        }
        Err(panic) => resume_unwind(panic),
    }
}

/// Records `f` as a program of its own.
///
/// # Errors
/// Every independent mistake. A panic after a recorded mistake counts as its consequence.
pub(super) fn root<R>(
    types: &[Type],
    door: Location,
    f: impl FnOnce(&[Var]) -> (Vec<Var>, R),
) -> Result<(Program, R), Diagnostics> {
    let outer = MISTAKES.take();
    let outer_door = DOOR.replace(Some(door));
    let depth = FRAMES.with_borrow(Vec::len);
    let result = catch_unwind(AssertUnwindSafe(|| body(types, true, f)));
    DOOR.set(outer_door);
    let mistakes = MISTAKES.replace(outer);
    match result {
        Ok((traced, rest)) if mistakes.is_empty() => Ok((traced.program, rest)),
        Err(panic) if mistakes.is_empty() => resume_unwind(panic),
        _ => {
            FRAMES.with_borrow_mut(|frames| frames.truncate(depth));
            Err(Diagnostics(mistakes))
        }
    }
}

/// Notes a mistake of the user, which the front door will return; tracing goes on.
///
/// For libraries whose own functions can be called wrongly.
///
/// ```
/// use retrograde_core::ir::{Diagnostic, Location};
/// use retrograde_core::trace::{Var, blame, door::jit, mistake};
/// use retrograde_array::array;
/// #[track_caller]
/// fn area(sides: Var) -> Var {
///     let location = Location(std::panic::Location::caller());
///     if sides.shape()[..] != [2] {
///         let found = format!("area: found sides of type {}, expected f64[2]", sides.ty());
///         mistake(Diagnostic::new(found, Some(location)).help("pass width and height"));
///         return sides.sum();
///     }
///     blame(location, || sides.index(0, 0) * sides.index(0, 1))
/// }
/// assert_eq!(jit(|x: Var| area(x)).call(&array([2.0, 3.0]))?, array(6.0));
/// let error = jit(|x: Var| area(x)).call(&array([2.0])).unwrap_err();
/// assert!(error.to_string().starts_with("error: area: found sides of type f64[1], expected f64[2]"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn mistake(mut diagnostic: Diagnostic) {
    if let Some(location) = diagnostic.location {
        let shown = visible(location);
        if shown != location {
            diagnostic.location = Some(shown);
            diagnostic.remark = Some(
                "inside an iterator or function pointer of the function given to this front door".into(),
            );
        }
    }
    let scopes = SCOPES.with_borrow(|s| s.join(" / "));
    if !scopes.is_empty() {
        diagnostic.message = format!("{} (in {scopes})", diagnostic.message);
    }
    MISTAKES.with_borrow_mut(|m| {
        if m.len() < 50 {
            m.push(diagnostic);
        }
    });
}

/// Notes something that is no mistake but deserves a look.
pub(super) fn warn(diagnostic: Diagnostic) {
    WARNINGS.with_borrow_mut(|w| {
        if w.len() < 50 && !w.contains(&diagnostic) {
            w.push(diagnostic);
        }
    });
}

/// The warnings since the last call.
pub(super) fn take_warnings() -> Vec<Diagnostic> {
    WARNINGS.take()
}

/// Names a region for errors while `f` runs.
pub(super) fn scoped<R>(name: &str, f: impl FnOnce() -> R) -> R {
    SCOPES.with_borrow_mut(|s| s.push(name.to_string()));
    let result = catch_unwind(AssertUnwindSafe(f));
    SCOPES.with_borrow_mut(Vec::pop);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Reports what `f` does as done at `location`: for libraries, whose own lines mean nothing to their users.
pub fn blame<R>(location: Location, f: impl FnOnce() -> R) -> R {
    let outer = BLAMED.replace(Some(location));
    let result = catch_unwind(AssertUnwindSafe(f));
    BLAMED.set(outer);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The location set by [`blame`].
pub(super) fn blamed() -> Option<Location> {
    BLAMED.get()
}

/// The location itself, or that of the front door where it is not the user's: operations called by the standard library,
/// as in `iter.map(Var::sin)`, do not know who asked.
fn visible(location: Location) -> Location {
    let file = location.0.file();
    let foreign = file.contains("/rustc/") || file.contains("/rustlib/src/") || file == super::var::FILE;
    DOOR.get().filter(|_| foreign).unwrap_or(location)
}

/// The value of a handle in the innermost frame: captured where it belongs to an outer one.
pub(super) fn here(var: Var, location: Option<Location>) -> ValueId {
    let found = FRAMES.with_borrow_mut(|frames| {
        let home = var.depth as usize;
        if frames.get(home).is_none_or(|f| f.id != var.trace) || frames[home + 1..].iter().any(|f| f.closed) {
            return None;
        }
        let ty = frames[home].builder.ty(var.id).clone();
        let mut outer = var;
        for (depth, frame) in frames.iter_mut().enumerate().skip(home + 1) {
            let id = match frame.captures.iter().find(|(v, _)| v.same(&outer)) {
                Some((_, id)) => *id,
                None => {
                    let id = frame.builder.input(ty.clone());
                    frame.captures.push((outer, id));
                    id
                }
            };
            outer = Var::new(frame.id, depth as u32, id, var.poisoned);
        }
        Some(outer.id)
    });
    found.unwrap_or_else(|| {
        let (message, help) = escape(var);
        let diagnostic = Diagnostic::new(message, location).help(help);
        mistake(diagnostic);
        poison(&type_of(var).unwrap_or_else(|| Type::array(retrograde_array::DType::F64, [])))
    })
}

/// What is wrong with a handle that is not of the innermost frame or one around it, and what to do.
fn escape(var: Var) -> (&'static str, &'static str) {
    FRAMES.with_borrow(|frames| {
        // Ids grow: whatever is older than the innermost front door belongs to another one.
        let door = frames.iter().rposition(|f| f.closed);
        let older = door.is_none_or(|door| var.trace < frames[door].id);
        if frames.iter().any(|f| f.id == var.trace) {
            (
                "a traced value is used in the function of another front door",
                "inside traced code a front door takes traced values: `.at(x)` instead of `.call(&x)`",
            )
        } else if older {
            (
                "a traced value is used after the function that it belongs to has ended",
                "return it from that function: the front door gives its result as an array, which can be an argument here",
            )
        } else {
            (
                "a traced value is used outside of the body that it belongs to",
                "return it from the body: the results of `scan`, `cond` and `while_loop` are values out here",
            )
        }
    })
}

/// The type of a handle.
pub(super) fn type_of(var: Var) -> Option<Type> {
    FRAMES.with_borrow(|frames| {
        let frame = frames.get(var.depth as usize).filter(|f| f.id == var.trace)?;
        Some(frame.builder.ty(var.id).clone())
    })
}

/// A stand-in of the given type, so that tracing can go on after a mistake.
fn poison(ty: &Type) -> ValueId {
    let value = Scalar::from_f64(ty.dtype, 0.0).expect("zero fits every dtype");
    let id = with_builder(|b| b.emit1(Full { ty: ty.clone(), value }.into(), &[]));
    FRAMES.with_borrow_mut(|frames| frames.last_mut().into_iter().for_each(|f| f.poisons.push(id)));
    id
}

/// The innermost builder.
///
/// # Panics
/// When nothing is being traced.
pub(super) fn with_builder<R>(f: impl FnOnce(&mut Builder) -> R) -> R {
    FRAMES.with_borrow_mut(|frames| {
        let frame = frames.last_mut().expect("a trace is running; this is a bug in retrograde");
        f(&mut frame.builder)
    })
}

fn handle(id: ValueId, poisoned: bool) -> Var {
    FRAMES.with_borrow(|frames| {
        let frame = frames.last().expect("a trace is running");
        Var::new(frame.id, frames.len() as u32 - 1, id, poisoned)
    })
}

/// Adds an equation for the user at `location`; a mistake becomes a diagnostic and a poisoned value.
pub(super) fn record(op: impl Into<Prim>, inputs: &[Var], location: Location) -> Vec<Var> {
    let op = op.into();
    record_as(op.name(), op, inputs, location)
}

/// [`record`] of what the user called `name`, as the message of a mistake does; the program has the primitive's own name.
fn record_as(name: &str, op: Prim, inputs: &[Var], location: Location) -> Vec<Var> {
    if FRAMES.with_borrow(Vec::is_empty) {
        // There is no front door to return the mistake from.
        let help = "call the function through a front door such as `jit` or `grad`, and return from it what you need outside";
        panic!(
            "{}",
            Diagnostic::new("a traced value is used while nothing is being traced", Some(location))
                .help(help)
        );
    }
    let n_mistakes = MISTAKES.with_borrow(Vec::len);
    let ids: Vec<ValueId> = inputs.iter().map(|v| here(*v, Some(location))).collect();
    let poisoned = inputs.iter().any(|v| v.poisoned) || MISTAKES.with_borrow(Vec::len) > n_mistakes;
    let primitive = op.name();
    let result = with_builder(|b| {
        b.location = Some(visible(location));
        let result = b.try_emit(op, &ids);
        b.location = None;
        result
    });
    match result {
        Ok(outputs) => outputs.into_iter().map(|id| handle(id, poisoned)).collect(),
        Err(e) => vec![refuse((name, primitive), e, inputs, &ids, poisoned, location)],
    }
}

/// [`record`] for an operation with one result.
pub(super) fn record1(op: impl Into<Prim>, inputs: &[Var], location: Location) -> Var {
    record(op, inputs, location)[0]
}

/// [`record1`] of what the user called `name`.
pub(super) fn record1_as(name: &str, op: impl Into<Prim>, inputs: &[Var], location: Location) -> Var {
    record_as(name, op.into(), inputs, location)[0]
}

/// Notes that an operation was refused and returns a value of the best-guess type.
fn refuse(
    (name, primitive): (&str, &str),
    e: Mismatch,
    inputs: &[Var],
    ids: &[ValueId],
    poisoned: bool,
    location: Location,
) -> Var {
    let guess = e.guess.first().cloned().or_else(|| inputs.first().and_then(|v| type_of(*v)));
    let guess = guess.unwrap_or_else(|| Type::array(retrograde_array::DType::F64, []));
    if !poisoned {
        let mut diagnostic = Diagnostic::new(format!("{name}: {}", e.message), Some(location));
        diagnostic.help = e.help;
        diagnostic.window = FRAMES.with_borrow(|frames| {
            let frame = frames.last().expect("a trace is running");
            let program = frame.builder.program();
            let n = program.equations.len();
            let mut window = if n == 0 { vec![] } else { print::window(program, EqnId(n as u32 - 1), 1) };
            for line in &mut window {
                if let Some(rest) = line.strip_prefix('>') {
                    *line = rest.trim_start().to_string();
                }
                // What stands in for an earlier mistake is nothing that the user wrote.
                let stands_in =
                    |id: &&ValueId| line.trim_start().starts_with(&format!("{}:", print::value_name(**id)));
                if let Some(id) = frame.poisons.iter().find(stands_in) {
                    *line = format!("{}:? = the mistake above", print::value_name(*id));
                }
            }
            let operands: Vec<String> = ids.iter().map(|v| print::value_name(*v)).collect();
            window.push(format!(
                ">{}:? = {primitive} {}",
                print::value_name(ValueId(program.types.len() as u32)),
                operands.join(" ")
            ));
            window
        });
        mistake(diagnostic);
    }
    handle(poison(&guess), true)
}

/// Copies a body's equations into the innermost frame.
pub(super) fn inline(program: &Program, inputs: &[Var], location: Location) -> Vec<Var> {
    let ids: Vec<ValueId> = inputs.iter().map(|v| here(*v, Some(location))).collect();
    let poisoned = inputs.iter().any(|v| v.poisoned);
    let outputs = with_builder(|b| b.inline(program, &ids));
    outputs.into_iter().map(|id| handle(id, poisoned)).collect()
}

/// A stand-in for the result of a front door that could not do its work.
pub(super) fn poisoned(ty: &Type) -> Var {
    handle(poison(ty), true)
}
