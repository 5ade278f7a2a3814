//! `retrograde bench CASE`: what a gradient costs and keeps under each policy, and whether it has the right bits.
//!
//! - [`case`]: what a case is, and the table of them
//! - [`measure`]: the figures, the same for every case
//! - [`reference`](mod@reference): the same gradient in another process
//! - one file for each case

mod binomial;
mod case;
mod lattice;
mod lorenz;
mod measure;
mod momentum;
mod nbody;
mod neural_ode;
mod reference;
mod revnet;
mod vanderpol;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use retrograde::prelude::{Contract, Tape};
use retrograde_train::report::tape_page;

use crate::failure::Failure;
use case::{CASES, Case, Problem, find};
use measure::{Figures, measure};

/// Bodies of the largest simulation; pairs of bodies take n² values.
const MAX_BODIES: usize = 2048;
const MAX_STEPS: usize = 1 << 32;

/// The flags of `retrograde bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// What to differentiate.
    #[arg(value_name = "CASE", value_parser = names())]
    case: &'static Case,
    /// Steps; each case has its own default.
    #[arg(long, value_name = "N", value_parser = in_range(1, MAX_STEPS))]
    steps: Option<usize>,
    /// What the gradient remembers: store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse.
    #[arg(long, value_name = "POLICY")]
    tape: Option<Tape>,
    /// Bodies of `nbody` and `lattice`, the sun included [default: 8].
    #[arg(long, value_name = "N", value_parser = in_range(1, MAX_BODIES))]
    bodies: Option<usize>,
    /// What is left of the velocity in each step of `momentum`, as a fraction of whole numbers [default: 9/10].
    #[arg(long, value_name = "N/D", value_parser = fraction)]
    gamma: Option<Contract>,
    /// Threads; the interpreter has one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = one_thread)]
    threads: usize,
    /// Times each part this often and takes the median.
    #[arg(long, value_name = "R", default_value_t = 3, value_parser = in_range(1, 10_000))]
    repeats: usize,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Writes a page with the figures and the tape by source line.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Prints the bits of the gradient and nothing else: the reference of another run.
    #[arg(long, hide = true)]
    gradient_bits: bool,
}

fn names() -> impl TypedValueParser<Value = &'static Case> {
    let known = CASES.iter().map(|case| PossibleValue::new(case.name).help(case.about));
    PossibleValuesParser::new(known).try_map(|name| find(&name).ok_or("there is no such case"))
}

fn in_range(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let n = text.parse().ok().filter(|n| (min..=max).contains(n));
        n.ok_or_else(|| format!("found {text:?}, expected an integer from {min} to {max}"))
    }
}

fn fraction(text: &str) -> Result<Contract, String> {
    // A denominator of 2^15 at most: `Contract` says why.
    let message = || format!("found {text:?}, expected N/D with 1 <= N < D <= 32768, for example 99/100");
    let (n, d) = text.split_once('/').ok_or_else(message)?;
    let parsed = n.parse().ok().zip(d.parse().ok()).map(|(n, d)| Contract { n, d });
    parsed.filter(|by| (1..by.d).contains(&by.n) && by.d <= 1 << 15).ok_or_else(message)
}

fn one_thread(text: &str) -> Result<usize, String> {
    let message = || format!("found {text:?}, expected 1: the reference interpreter runs on one thread");
    text.parse().ok().filter(|n| *n == 1).ok_or_else(message)
}

/// A case with its numbers.
#[derive(Clone, Copy, Debug)]
struct Task {
    case: &'static Case,
    bodies: usize,
    gamma: Contract,
    n_steps: usize,
    policy: Tape,
}

impl Task {
    /// From what was asked for, checked against what the case knows.
    fn new(args: &BenchArgs) -> Result<Task, Failure> {
        let case = args.case;
        let of_bodies = [nbody::CASE.name, lattice::CASE.name];
        let foreign = match (args.bodies, args.gamma) {
            (Some(_), _) if !of_bodies.contains(&case.name) => Some(("--bodies", nbody::CASE.name)),
            (_, Some(_)) if case.name != momentum::CASE.name => Some(("--gamma", momentum::CASE.name)),
            _ => None,
        };
        if let Some((flag, belongs_to)) = foreign {
            return Err(Failure::ForeignFlag { flag, belongs_to, case: case.name });
        }
        let n_steps = args.steps.unwrap_or(case.n_steps);
        if n_steps > case.max_steps {
            return Err(Failure::TooManySteps { case: case.name, found: n_steps, most: case.max_steps });
        }
        let policy = args.tape.unwrap_or(case.policy);
        let (bodies, gamma) = (args.bodies.unwrap_or(nbody::BODIES), args.gamma.unwrap_or(momentum::GAMMA));
        Ok(Task { case, bodies, gamma, n_steps, policy })
    }

    fn problem(self) -> Problem {
        (self.case.problem)(self)
    }
}

/// Runs the command.
pub(crate) fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let task = Task::new(args)?;
    if args.gradient_bits {
        writeln!(out, "{}", reference::bits(task)?)?;
        return Ok(());
    }
    // Before the work, so that it is not lost to a name that is taken.
    let mut page = args.report.as_ref().map(|path| Page::create(path.clone())).transpose()?;
    let (figures, report) = measure(task, args.repeats, args.threads).inspect_err(|_| {
        page.as_ref().into_iter().for_each(Page::remove);
    })?;
    if let Some(page) = &mut page {
        let fields = figures.fields()?;
        let title = format!("The gradient of {} under {}", figures.task, figures.policy);
        let measured = fields.iter().filter(|(_, value)| !value.is_null());
        let measured: Vec<(&str, String)> =
            measured.map(|(name, value)| (name.as_str(), plain(value))).collect();
        page.write(&tape_page(&title, &measured, &report))?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&figures)?)?;
        return Ok(());
    }
    for (name, value) in figures.fields()? {
        writeln!(out, "{name:<20} {value}")?;
    }
    if figures.forward_steps.is_some() {
        writeln!(out, "\n{}", Figures::ABOUT_FORWARD_STEPS)?;
    }
    write!(out, "\n{report}")?;
    Ok(())
}

/// A figure for readers.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        serde_json::Value::Number(n) if n.is_f64() => format!("{:.4}", n.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

/// A page that is being made; what exists is never overwritten.
struct Page {
    path: PathBuf,
    file: std::fs::File,
}

impl Page {
    fn create(path: PathBuf) -> Result<Page, Failure> {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Page { path, file }),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::ReportExists { path })
            }
            Err(source) => Err(Failure::ReportUnwritable { path, source }),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| Failure::ReportUnwritable { path: self.path.clone(), source })
    }

    /// Takes an empty page away again.
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
