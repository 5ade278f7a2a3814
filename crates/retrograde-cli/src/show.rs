//! `retrograde show`: programs of the text form, before and after transforms.

use std::fs;
use std::io::Write;
use std::panic;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use retrograde::ir::{self, Kind, Location, Op, Type};
use retrograde::prim::{Program, Tape, bodies};
use retrograde::tape::{Lowered, TapeEntry, lower};
use retrograde::transform::{self, LinearProgram, jvp, linearize};

use crate::failure::Failure;

/// Values of the largest array that `vmap` makes here; no such program is meant to run.
const MAX_VALUES: usize = 1 << 40;

/// The flags of `retrograde show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// A program of the text form.
    file: PathBuf,
    /// Applies a transform: jvp, linearize, transpose, vmap=N, grad, simplify, lower; may be repeated.
    #[arg(long, value_name = "TRANSFORM")]
    after: Vec<Transform>,
    /// Lowers at the end under a policy: store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse,
    /// budget=N for N bytes, such as budget=64KiB, or quantise-B for B bits.
    #[arg(long, value_name = "POLICY")]
    policy: Option<Tape>,
    /// Prints where equations were written, as far as known.
    #[arg(long)]
    locations: bool,
}

/// A step of the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transform {
    /// The program with its tangents.
    Jvp,
    /// The program and its linear part, apart.
    Linearize,
    /// The linear part, backwards.
    Transpose,
    /// Over a new leading axis.
    Vmap(usize),
    /// The program of value and gradient.
    Grad,
    /// Without dead, repeated and constant equations.
    Simplify,
    /// In the two parts that run, with the tape between them.
    Lower,
}

impl FromStr for Transform {
    type Err = String;
    fn from_str(s: &str) -> Result<Transform, String> {
        Ok(match s {
            "jvp" => Transform::Jvp,
            "linearize" => Transform::Linearize,
            "transpose" => Transform::Transpose,
            "grad" => Transform::Grad,
            "simplify" => Transform::Simplify,
            "lower" => Transform::Lower,
            _ => {
                let n = s.strip_prefix("vmap=").and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                let expected = "expected one of jvp, linearize, transpose, vmap=N, grad, simplify, lower";
                Transform::Vmap(n.ok_or_else(|| format!("found {s:?}, {expected}"))?)
            }
        })
    }
}

impl std::fmt::Display for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Transform::Jvp => write!(f, "jvp"),
            Transform::Linearize => write!(f, "linearize"),
            Transform::Transpose => write!(f, "transpose"),
            Transform::Vmap(n) => write!(f, "vmap={n}"),
            Transform::Grad => write!(f, "grad"),
            Transform::Simplify => write!(f, "simplify"),
            Transform::Lower => write!(f, "lower"),
        }
    }
}

/// Where a pipeline stands.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// A program; the last `n_seeds` inputs are seeds, on which the first `n_outputs` results do not depend.
    One { program: Program, n_outputs: usize, n_seeds: usize },
    /// After `linearize`.
    Split { forward: Program, linear: Program, n_residuals: usize, is_transposed: bool },
    /// After `lower`.
    Lowered(Box<Lowered>),
}

/// Runs the command.
pub(crate) fn run(args: &ShowArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let path = &args.file;
    let text =
        fs::read_to_string(path).map_err(|source| Failure::Unreadable { path: path.clone(), source })?;
    let program = ir::parse(&text).map_err(|source| Failure::Parse { path: path.clone(), source })?;
    // Transforms promise not to panic on programs that people trace; a text may hold any program at all.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(|| pipeline(program, &args.after, args.policy));
    panic::set_hook(hook);
    let stage = result.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Failure::Bug(text.unwrap_or_else(|| "a transform gave up".into())))
    })?;
    write!(out, "{}", text_of(&stage, args.locations))?;
    Ok(())
}

/// Applies transforms one after the other; a policy lowers at the end.
pub(crate) fn pipeline(
    program: Program,
    after: &[Transform],
    policy: Option<Tape>,
) -> Result<Stage, Failure> {
    let n_outputs = program.outputs.len();
    let mut stage = Stage::One { program, n_outputs, n_seeds: 0 };
    for &transform in after {
        stage = apply(stage, transform, policy.unwrap_or_default())?;
    }
    if policy.is_some() && !matches!(stage, Stage::Lowered(_)) {
        stage = apply(stage, Transform::Lower, policy.unwrap_or_default())?;
    }
    Ok(stage)
}

fn apply(stage: Stage, transform: Transform, policy: Tape) -> Result<Stage, Failure> {
    match stage {
        Stage::One { program, n_outputs, n_seeds } => {
            apply_to_one(program, n_outputs, n_seeds, transform, policy)
        }
        Stage::Split { forward, linear, n_residuals, is_transposed } => match transform {
            Transform::Simplify => {
                let (forward, linear) = (ir::simplify(&forward), ir::simplify(&linear));
                Ok(Stage::Split { forward, linear, n_residuals, is_transposed })
            }
            Transform::Transpose => {
                let linear = transposed(linear, n_residuals)?;
                Ok(Stage::Split { forward, linear, n_residuals, is_transposed: !is_transposed })
            }
            _ => Err(refused(
                transform,
                "found two programs, expected one",
                "after `linearize` come only `transpose` and `simplify`; `grad` joins all three",
            )),
        },
        Stage::Lowered(_) => Err(refused(
            transform,
            "found a lowered program, expected one before lowering",
            "put `lower` last",
        )),
    }
}

fn apply_to_one(
    program: Program,
    n_outputs: usize,
    n_seeds: usize,
    transform: Transform,
    policy: Tape,
) -> Result<Stage, Failure> {
    if matches!(
        transform,
        Transform::Jvp | Transform::Linearize | Transform::Transpose | Transform::Grad | Transform::Vmap(_)
    ) && program.input_types().iter().chain(&program.output_types()).any(|ty| ty.kind != Kind::Array)
    {
        return Err(refused(
            transform,
            "found a list or a bit stack among inputs and results, expected arrays",
            "transform the program before it is lowered",
        ));
    }
    let active: Vec<bool> = program.input_types().iter().map(Type::is_float).collect();
    let force: Vec<bool> = program.output_types().iter().map(Type::is_float).collect();
    let whole = |program: Program| {
        let n_outputs = program.outputs.len();
        Stage::One { program, n_outputs, n_seeds: 0 }
    };
    Ok(match transform {
        Transform::Jvp => whole(jvp(&program, &active, &force).program),
        Transform::Linearize => {
            let lin = linearize(&program, &active, &force);
            Stage::Split {
                forward: lin.forward,
                linear: lin.linear,
                n_residuals: lin.n_residuals,
                is_transposed: false,
            }
        }
        Transform::Transpose => whole(transposed(program, 0)?),
        Transform::Vmap(n) => {
            let largest = largest(&program);
            if largest.checked_mul(n).is_none_or(|values| values > MAX_VALUES) {
                let message = format!(
                    "found an array of {largest} values, expected at most {MAX_VALUES} for all {n} lanes"
                );
                return Err(refused(transform, &message, "lower N"));
            }
            let every = vec![true; program.inputs.len()];
            let program = transform::vmap(&program, &every, &vec![true; program.outputs.len()], n).program;
            Stage::One { program, n_outputs, n_seeds }
        }
        Transform::Grad => {
            let program = gradient(&program, &active)?;
            Stage::One { program, n_outputs: 1, n_seeds: 1 }
        }
        Transform::Simplify => Stage::One { program: ir::simplify(&program), n_outputs, n_seeds },
        Transform::Lower => {
            let lowered = lower(&ir::simplify(&program), n_outputs, n_seeds, policy)
                .map_err(retrograde::Error::from)?;
            Stage::Lowered(Box::new(lowered))
        }
    })
}

fn refused(transform: Transform, message: &str, help: &str) -> Failure {
    Failure::Transform { transform: transform.to_string(), message: message.into(), help: help.into() }
}

fn transposed(program: Program, n_known: usize) -> Result<Program, Failure> {
    let linear = LinearProgram::new(program, n_known).map_err(|error| {
        let place = error.location.map(|at: Location| format!("\n  --> {at}")).unwrap_or_default();
        refused(Transform::Transpose, &format!("{error}{place}"), "put `linearize` before it")
    })?;
    Ok(transform::transpose(&linear))
}

/// (inputs.., seed -> value, cotangents of the floating-point inputs..)
fn gradient(program: &Program, active: &[bool]) -> Result<Program, Failure> {
    let types = program.output_types();
    let [ty] = &types[..] else {
        let message = format!("found {} results, expected one number", types.len());
        return Err(refused(Transform::Grad, &message, "return only the loss"));
    };
    if !ty.is_float() || ty.shape.rank() != 0 {
        let message = format!("the result is {ty}, expected one floating-point number");
        return Err(refused(Transform::Grad, &message, "reduce it first with `sum`"));
    }
    let lin = linearize(program, active, &[true]);
    let back = transposed(lin.linear, lin.n_residuals)?;
    let params: Vec<Type> = program.input_types().into_iter().chain([ty.clone()]).collect();
    Ok(bodies::build(&params, |b, p| {
        let (inputs, seed) = p.split_at(program.inputs.len());
        let forward = b.inline(&lin.forward, inputs);
        let (value, residuals) = forward.split_at(1);
        let cotangents = b.inline(&back, &[residuals, seed].concat());
        value.iter().copied().chain(cotangents).collect()
    }))
}

/// Values of the largest array in a program and its bodies.
fn largest(program: &Program) -> usize {
    let mut most = program.types.iter().map(|ty| ty.shape.size()).max().unwrap_or(0);
    for equation in &program.equations {
        equation.op.map_bodies(&mut |body| {
            most = most.max(largest(body));
            body.clone()
        });
    }
    most
}

fn text_of(stage: &Stage, locations: bool) -> String {
    let print = |program: &Program| {
        let text = if locations { ir::print_with_locations(program) } else { ir::print(program) };
        format!("{}\n", text.trim_end())
    };
    match stage {
        Stage::One { program, .. } => print(program),
        Stage::Split { forward, linear, n_residuals, is_transposed } => {
            let second = if *is_transposed {
                "residuals, cotangents -> cotangents"
            } else {
                "residuals, tangents -> tangents"
            };
            format!(
                "# forward: inputs -> results, residuals ({n_residuals})\n{}\n# linear: {second}\n{}",
                print(forward),
                print(linear)
            )
        }
        Stage::Lowered(lowered) => {
            let Lowered { forward, backward, n_outputs, tape, notes, planned, .. } = &**lowered;
            let known: usize = tape.iter().filter_map(|entry| entry.bytes).sum();
            let open = tape.iter().filter(|entry| entry.bytes.is_none()).count();
            let rest = if open == 0 {
                String::new()
            } else {
                format!(" and {open} values whose size is known after a run")
            };
            let mut text = format!(
                "# forward: inputs -> results ({n_outputs}), tape\n{}\n# backward: inputs, tape, seeds -> cotangents\n{}\n# tape: {known} bytes in {} values{rest}\n",
                print(forward),
                print(backward),
                tape.len()
            );
            tape.iter().for_each(|entry| text.push_str(&tape_line(entry)));
            if let Some(p) = planned {
                text.push_str(&format!(
                    "# budget: {} bytes, planned {}, cotangents {} more\n",
                    p.budget_bytes, p.planned_bytes, p.scratch_bytes
                ));
                p.choices.iter().for_each(|choice| text.push_str(&format!("# chosen: {choice}\n")));
            }
            notes.iter().for_each(|note| text.push_str(&format!("# note: {}\n", note.replace('\n', " "))));
            text
        }
    }
}

fn tape_line(entry: &TapeEntry) -> String {
    let TapeEntry { ty, op, policy, bytes, location, .. } = entry;
    let bytes = bytes.map_or("?".into(), |bytes| bytes.to_string());
    let place = location.map(|at| format!("  {at}")).unwrap_or_default();
    format!("#   {bytes:>12} B  {:<16} {:<18} {op}{place}\n", ty.to_string(), policy.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrograde::prelude::*;
    use retrograde::{ir, trace::Var};

    /// 0.5 Σ sin(x)², through a loop of three steps.
    fn sample() -> Program {
        let f = |x: Var| {
            let y = scan(3).repeat(x, |x| x + 0.1 * x.sin());
            0.5 * (y * y).sum()
        };
        jit(f).program(&array([1.0, 2.0])).unwrap()
    }

    fn text(after: &[Transform], policy: Option<Tape>) -> String {
        text_of(&pipeline(sample(), after, policy).unwrap(), false)
    }

    fn error(after: &[Transform], policy: Option<Tape>) -> String {
        pipeline(sample(), after, policy).unwrap_err().to_string()
    }

    fn parsed(text: &str) -> Program {
        ir::parse(text).unwrap()
    }

    #[test]
    fn every_transform_has_a_name_that_reads_back() {
        for name in ["jvp", "linearize", "transpose", "vmap=3", "grad", "simplify", "lower"] {
            assert_eq!(name.parse::<Transform>().unwrap().to_string(), name);
        }
        for name in ["vmap", "vmap=0", "vmap=-1", "vmap=99999999999999999999", "grads", ""] {
            assert!(name.parse::<Transform>().unwrap_err().contains("expected one of jvp"), "{name}");
        }
    }

    #[test]
    fn shown_programs_read_back() {
        for after in [
            &[][..],
            &[Transform::Jvp],
            &[Transform::Vmap(4)],
            &[Transform::Grad, Transform::Simplify],
            &[Transform::Grad, Transform::Jvp],
        ] {
            let text = text(after, None);
            assert_eq!(ir::print(&parsed(&text)).trim_end(), text.trim_end(), "{after:?}");
        }
        assert_eq!(parsed(&text(&[], None)), sample());
    }

    #[test]
    fn grad_then_run_is_the_gradient() {
        use retrograde::exec::{Executor, Interpreter};
        use retrograde::prim::Value;
        let program = parsed(&text(&[Transform::Grad], None));
        let x = array([1.0, 2.0]);
        let inputs = vec![Value::Array(x.clone()), Value::Array(array(1.0))];
        let (out, _) = Interpreter::default().run(&program, inputs).unwrap();
        let f = |x: Var| {
            let y = scan(3).repeat(x, |x| x + 0.1 * x.sin());
            0.5 * (y * y).sum()
        };
        assert!(out[1].array().bits_eq(&grad(f).call(&x).unwrap()));
    }

    #[test]
    fn linearize_prints_two_programs_and_transpose_turns_the_second() {
        let text = text(&[Transform::Linearize], None);
        assert!(text.starts_with("# forward: inputs -> results, residuals ("), "{text}");
        assert!(text.contains("\n# linear: residuals, tangents -> tangents\n"), "{text}");
        let Stage::Split { linear, .. } =
            pipeline(sample(), &[Transform::Linearize, Transform::Transpose], None).unwrap()
        else {
            panic!("expected two programs");
        };
        assert_eq!(linear.output_types(), sample().input_types());
    }

    #[test]
    fn policies_print_both_parts_and_the_tape() {
        let store = text(&[Transform::Grad], Some(Tape::Store));
        let kept = text(&[Transform::Grad, Transform::Lower], Some(Checkpoint::Sqrt.into()));
        for text in [&store, &kept] {
            assert!(
                text.contains("# forward: ") && text.contains("# backward: ") && text.contains("# tape: "),
                "{text}"
            );
        }
        assert_ne!(store, kept);
    }

    #[test]
    fn transforms_that_do_not_apply_say_what_to_try() {
        use Transform::{Grad, Linearize, Lower, Transpose, Vmap};
        let check = |after: &[Transform], expected: &str| {
            let found = error(after, None);
            assert!(found.starts_with(expected) && found.contains("\n  help: "), "{found}");
        };
        check(&[Linearize, Grad], "--after grad: found two programs, expected one");
        check(&[Lower, Grad], "--after grad: found a lowered program");
        check(&[Grad, Grad], "--after grad: found 2 results, expected one number");
        check(&[Transpose], "--after transpose: the program is not linear: ");
        check(&[Vmap(usize::MAX)], "--after vmap=");
        // A counter that is halved cannot be turned round.
        let halving = |x: Var| {
            let step = |(x, n): (Var, Var)| (x + x.sin() / n.convert(DType::F64), n / 2);
            scan(3).repeat((x, constant(&array(7_i64))), step).0.sum()
        };
        let program = jit(halving).program(&array([1.0, 2.0])).unwrap();
        let reverse = pipeline(program, &[Grad], Some(Tape::Reverse)).unwrap_err().to_string();
        assert!(reverse.contains("part 1 of the state") && reverse.contains("help: "), "{reverse}");
    }

    #[test]
    fn a_budget_says_what_it_chose() {
        let text = text(&[Transform::Grad], Some("budget=1KiB".parse().unwrap()));
        assert!(
            text.contains("# budget: 1024 bytes, planned ") && text.contains("# chosen: loop at "),
            "{text}"
        );
        let program = sample();
        let little = pipeline(program, &[Transform::Grad], Some(Tape::Budget(1))).unwrap_err().to_string();
        assert!(
            little.contains("a budget of 1 bytes") && little.contains("the least possible is"),
            "{little}"
        );
    }

    #[test]
    fn whole_steps_are_shown() {
        // x += f(x) has no inverse, so that its step is guessed and corrected.
        let text = text(&[Transform::Grad], Some(Tape::Reverse));
        assert!(text.contains("plan=reverse-step-8"), "{text}");
    }
}
