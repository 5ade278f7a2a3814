//! `retrograde bench CASE`: what a gradient costs and keeps under each policy, and whether it has the right bits.
//!
//! - [`case`]: what a case is, and the table of them
//! - [`measure`]: the figures, the same for every case
//! - [`reference`](mod@reference): the same gradient in another process
//! - [`workload`]: what a timed case is, and the table of them
//! - [`timing`]: the figures of those
//! - [`instance`]: files of numbers that some are made from
//! - one file for each case

mod ba;
mod binomial;
mod case;
mod cnn;
mod fused;
mod gmm;
mod hand;
mod hvp;
mod instance;
mod lattice;
mod lorenz;
mod lstm;
mod lstm_adbench;
mod measure;
mod mlp;
mod momentum;
mod nbody;
mod neural_ode;
mod reference;
mod revnet;
mod timing;
mod tiny;
mod transformer;
mod vanderpol;
mod workload;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use retrograde::prelude::{Contract, Tape};
use retrograde::tape::TapeReport;
use retrograde_train::report::tape_page;

use crate::failure::Failure;
use crate::memory;
use case::{CASES, Case, Problem};
use measure::{Figures, measure};
use workload::{TIMED, TimedCase};

/// Bodies of the largest simulation; pairs of bodies take n² values.
const MAX_BODIES: usize = 2048;
const MAX_STEPS: usize = 1 << 32;
const MAX_THREADS: usize = 1024;
/// Times each part of a long loop this often, where nothing is said.
const REPEATS: usize = 3;
/// What the engine reads.
const THREADS: &str = "RETROGRADE_THREADS";

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// A gradient through a long loop.
    Loop(&'static Case),
    /// Functions that are timed.
    Timed(&'static TimedCase),
}

impl Entry {
    fn all() -> impl Iterator<Item = Entry> {
        CASES.into_iter().map(Entry::Loop).chain(TIMED.into_iter().map(Entry::Timed))
    }
    fn name(self) -> &'static str {
        match self {
            Entry::Loop(case) => case.name,
            Entry::Timed(case) => case.name,
        }
    }
    fn about(self) -> &'static str {
        match self {
            Entry::Loop(case) => case.about,
            Entry::Timed(case) => case.about,
        }
    }
}

/// The flags of `retrograde bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// What to differentiate.
    #[arg(value_name = "CASE", value_parser = names())]
    case: Entry,
    /// What the case is made from: a file, or a folder for `hand`.
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Steps of a loop; each case has its own default.
    #[arg(long, value_name = "N", value_parser = in_range(1, MAX_STEPS))]
    steps: Option<usize>,
    /// What the gradient remembers: store, recompute, checkpoint-sqrt, checkpoint-N for N states, reverse,
    /// budget-N for N bytes, such as budget-64KiB, or quantise-B for B bits.
    #[arg(long, value_name = "POLICY")]
    tape: Option<Tape>,
    /// Bodies of `nbody` and `lattice`, the sun included [default: 8].
    #[arg(long, value_name = "N", value_parser = in_range(1, MAX_BODIES))]
    bodies: Option<usize>,
    /// What is left of the velocity in each step of `momentum`, as a fraction of whole numbers [default: 9/10].
    #[arg(long, value_name = "N/D", value_parser = fraction)]
    gamma: Option<Contract>,
    /// Threads that the engine may use.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, MAX_THREADS))]
    threads: usize,
    /// Times each part this often and takes the median [default: 3 for loops, two seconds' worth for the others].
    #[arg(long, value_name = "R", value_parser = in_range(1, 10_000))]
    repeats: Option<usize>,
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

fn names() -> impl TypedValueParser<Value = Entry> {
    let known = Entry::all().map(|entry| PossibleValue::new(entry.name()).help(entry.about()));
    PossibleValuesParser::new(known)
        .try_map(|name| Entry::all().find(|entry| entry.name() == name).ok_or("there is no such case"))
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
    fn new(case: &'static Case, args: &BenchArgs) -> Result<Task, Failure> {
        if args.path.is_some() {
            return Err(Failure::NeedlessPath { case: case.name });
        }
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
    match args.case {
        Entry::Loop(case) => run_loop(case, args, out),
        Entry::Timed(case) => run_timed(case, args, out),
    }
}

fn run_loop(case: &'static Case, args: &BenchArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let task = Task::new(case, args)?;
    if args.gradient_bits {
        writeln!(out, "{}", reference::bits(task)?)?;
        return Ok(());
    }
    if !has_threads(args.threads) {
        return with_threads(args.threads, out);
    }
    // Before the work, so that it is not lost to a name that is taken.
    let page = Page::asked_for(args)?;
    let measured = measure(task, args.repeats.unwrap_or(REPEATS), args.threads);
    let (figures, report) = measured.inspect_err(|_| {
        page.iter().for_each(Page::remove);
    })?;
    let title = format!("The gradient of {} under {}", figures.task, figures.policy);
    publish(args, page, &title, &figures.fields()?, &report, out)?;
    if !args.json {
        if figures.forward_steps.is_some() {
            writeln!(out, "\n{}", Figures::ABOUT_FORWARD_STEPS)?;
        }
        write!(out, "\n{report}")?;
    }
    Ok(())
}

fn run_timed(case: &'static TimedCase, args: &BenchArgs, out: &mut dyn Write) -> Result<(), Failure> {
    for (flag, given, belongs_to) in
        [("--bodies", args.bodies.is_some(), nbody::CASE.name), ("--steps", args.steps.is_some(), "lorenz")]
    {
        if given {
            return Err(Failure::ForeignFlag { flag, belongs_to, case: case.name });
        }
    }
    let path = match (case.path, &args.path) {
        (None, Some(_)) => return Err(Failure::NeedlessPath { case: case.name }),
        (Some(what), None) => return Err(Failure::NoPath { case: case.name, what }),
        (_, path) => path.as_deref().unwrap_or(Path::new("")),
    };
    if !has_threads(args.threads) {
        return with_threads(args.threads, out);
    }
    let base_mb = memory::peak_resident_mb();
    let page = Page::asked_for(args)?;
    let policy = args.tape.unwrap_or_default();
    let make = || (case.workload)(path, policy);
    let timed = timing::time(make, policy, args.repeats, args.threads, base_mb);
    let (figures, report) = timed.inspect_err(|_| {
        page.iter().for_each(Page::remove);
    })?;
    publish(args, page, &format!("What {} takes and keeps", case.name), &figures, &report, out)?;
    if !args.json && !figures["tape_bytes"].is_null() {
        write!(out, "\n{report}")?;
    }
    Ok(())
}

/// Whether this process was started with as many threads: the engine reads their number from its surroundings, once.
fn has_threads(threads: usize) -> bool {
    std::env::var(THREADS).ok().and_then(|n| n.parse().ok()) == Some(threads)
}

/// The same command, with as many threads.
fn with_threads(threads: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    let output = command.args(std::env::args_os().skip(1)).env(THREADS, threads.to_string()).output()?;
    out.write_all(&output.stdout)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Again(text.strip_prefix("error: ").map_or(text.clone(), str::to_owned)))
}

/// Writes figures where they were asked for.
fn publish(
    args: &BenchArgs,
    page: Option<Page>,
    title: &str,
    figures: &serde_json::Map<String, serde_json::Value>,
    report: &TapeReport,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(mut page) = page {
        let measured = figures.iter().filter(|(_, value)| !value.is_null());
        let measured: Vec<(&str, String)> =
            measured.map(|(name, value)| (name.as_str(), plain(value))).collect();
        page.write(&tape_page(title, &measured, report))?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(figures)?)?;
        return Ok(());
    }
    for (name, value) in figures {
        writeln!(out, "{name:<20} {value}")?;
    }
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
    fn asked_for(args: &BenchArgs) -> Result<Option<Page>, Failure> {
        args.report.as_ref().map(|path| Page::create(path.clone())).transpose()
    }

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
