//! The `retrograde` command.
//!
//! - [`train`]: trains a network by a recipe
//! - [`predict`]: predicts with a trained network
//! - [`influence`]: says which training rows a prediction rests on
//! - [`show`]: prints programs, before and after transforms
//! - [`bench`]: measures gradients through long loops
//! - [`tricks`]: prints the catalogue of tricks
//! - [`bar`]: the progress bar
//! - [`failure`]: every way to fail, with what to try
//! - [`memory`]: what the system says of memory
#![forbid(unsafe_code)]

mod bar;
mod bench;
mod failure;
mod influence;
mod memory;
mod predict;
mod show;
mod train;
mod tricks;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts bytes, so that tape sizes are what the system was asked for.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Automatic differentiation with the tricks of deep learning.
#[derive(Parser, Debug)]
#[command(name = "retrograde", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train a network: on your data, or on the handwritten digits that come with the program.
    Train(Box<train::TrainArgs>),
    /// Predict the target of rows with a trained network.
    Predict(predict::PredictArgs),
    /// Say which training rows helped and harmed the prediction for a row, and draw them.
    Influence(influence::InfluenceArgs),
    /// Print a program of the text form, as it is or after transforms.
    Show(show::ShowArgs),
    /// Measure a gradient: seconds, tape bytes, bits, and whether another process finds the same.
    Bench(bench::BenchArgs),
    /// List the tricks, each with its formula, law, sources, example and what was measured.
    Tricks(tricks::TricksArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not failures. A closed pipe leaves nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let out = &mut io::stdout().lock();
    let result = match cli.command {
        Command::Train(args) => train::run(&args, out),
        Command::Predict(args) => predict::run(&args, out),
        Command::Influence(args) => influence::run(&args, out),
        Command::Show(args) => show::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Tricks(args) => tricks::run(&args, out),
    };
    match result.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            let lead = if text.starts_with("error: ") { "" } else { "error: " };
            let _ = writeln!(io::stderr(), "{lead}{text}");
            ExitCode::FAILURE
        }
    }
}
