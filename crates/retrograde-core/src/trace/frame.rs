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
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(vec![]) };
    static MISTAKES: RefCell<Vec<Diagnostic>> = const { RefCell::new(vec![]) };
    static WARNINGS: RefCell<Vec<Diagnostic>> = const { RefCell::new(vec![]) };
    static NEXT_ID: Cell<u64> = const { Cell::new(1) };
    static SCOPES: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
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
        let params: Vec<Var> = types.iter().map(|ty| Var::new(id, depth, builder.input(ty.clone()), false)).collect();
        frames.push(Frame { id, builder, closed, captures: vec![] });
        params
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let (outputs, rest) = f(&params);
        let outputs: Vec<ValueId> = outputs.iter().map(|v| here(*v, None)).collect();
        (outputs, rest)
    }));
    let frame = FRAMES.with_borrow_mut(|frames| {
        let at = frames.iter().position(|f| f.id == id).expect("a frame stays on the stack while its body runs");
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
pub(super) fn root<R>(types: &[Type], f: impl FnOnce(&[Var]) -> (Vec<Var>, R)) -> Result<(Program, R), Diagnostics> {
    let outer = MISTAKES.take();
    let depth = FRAMES.with_borrow(Vec::len);
    let result = catch_unwind(AssertUnwindSafe(|| body(types, true, f)));
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

/// Notes a mistake.
pub(super) fn mistake(mut diagnostic: Diagnostic) {
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

/// The value of a handle in the innermost frame: captured where it belongs to an outer one.
pub(super) fn here(var: Var, location: Option<Location>) -> ValueId {
    let found = FRAMES.with_borrow_mut(|frames| {
        let home = var.depth as usize;
        if frames.get(home).is_none_or(|f| f.id != var.trace) || frames[home + 1..].iter().any(|f| f.closed) {
            return None;
        }
        let ty = frames[home].builder.ty(var.id).clone();
        let mut outer = var;
        for depth in home + 1..frames.len() {
            let frame = &mut frames[depth];
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
        let (message, help) = if FRAMES.with_borrow(Vec::is_empty) {
            ("a traced value is used outside of the function that it belongs to", "use it inside the closure given to the front door")
        } else {
            (
                "a traced value is used outside of the body that it belongs to",
                "return it from the body: the results of `scan`, `cond` and `while_loop` are values out here",
            )
        };
        mistake(Diagnostic::new(message, location).help(help));
        poison(&Type::array(retrograde_array::DType::F64, []))
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
    with_builder(|b| {
        let value = Scalar::from_f64(ty.dtype, 0.0).expect("zero fits every dtype");
        b.emit1(Full { ty: ty.clone(), value }.into(), &[])
    })
}

/// The innermost builder.
///
/// # Panics
/// When nothing is being traced: the user's closure was called outside of a front door.
pub(super) fn with_builder<R>(f: impl FnOnce(&mut Builder) -> R) -> R {
    FRAMES.with_borrow_mut(|frames| {
        let frame = frames.last_mut().expect(
            "a traced value was used while nothing is being traced: call the function through a front door such as `jit` or `grad`",
        );
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
    let ids: Vec<ValueId> = inputs.iter().map(|v| here(*v, Some(location))).collect();
    let poisoned = inputs.iter().any(|v| v.poisoned);
    let name = op.name();
    let result = with_builder(|b| {
        b.location = Some(location);
        let result = b.try_emit(op, &ids);
        b.location = None;
        result
    });
    match result {
        Ok(outputs) => outputs.into_iter().map(|id| handle(id, poisoned)).collect(),
        Err(e) => vec![refuse(name, e, inputs, &ids, location)],
    }
}

/// [`record`] for an operation with one result.
pub(super) fn record1(op: impl Into<Prim>, inputs: &[Var], location: Location) -> Var {
    record(op, inputs, location)[0]
}

/// Notes that an operation was refused and returns a value of the best-guess type.
fn refuse(name: &str, e: Mismatch, inputs: &[Var], ids: &[ValueId], location: Location) -> Var {
    let guess = e.guess.first().cloned().or_else(|| inputs.first().and_then(|v| type_of(*v)));
    let guess = guess.unwrap_or_else(|| Type::array(retrograde_array::DType::F64, []));
    if !inputs.iter().any(|v| v.poisoned) {
        let mut diagnostic = Diagnostic::new(format!("{name}: {}", e.message), Some(location));
        diagnostic.help = e.help;
        // A location inside the standard library is that of an iterator or a function pointer, not of the user.
        if location.0.file().contains("/rustc/") || location.0.file().contains("/library/") {
            diagnostic.remark = Some("inside an iterator or function pointer".into());
        }
        diagnostic.window = with_builder(|b| {
            let program = b.program();
            let n = program.equations.len();
            let mut window = if n == 0 { vec![] } else { print::window(program, EqnId(n as u32 - 1), 1) };
            for line in &mut window {
                if let Some(rest) = line.strip_prefix('>') {
                    *line = rest.trim_start().to_string();
                }
            }
            let operands: Vec<String> = ids.iter().map(|v| print::value_name(*v)).collect();
            window.push(format!(">{}:? = {name} {}", print::value_name(ValueId(program.types.len() as u32)), operands.join(" ")));
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
