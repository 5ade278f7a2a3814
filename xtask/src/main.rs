//! `cargo xtask gate | tidy | weight | fuzz | bench | evidence CASE | reference`
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "chores report to the terminal")]

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  gate           format, lints, tests: what must pass before a change goes in
  tidy           the rules of the source tree alone
  weight         counts the third-party crates of the library against their bounds (--build also times a clean build)
  fuzz --seconds N
                 each reader of data, arrays, runs and programs on damaged input, N seconds long
  bench [CASES]  runs ours and other programs on the same tasks, alternately, and prints ratios
  evidence CASE  measures, checks what is claimed and writes evidence/CASE.json; without CASE, lists the cases
                 (evidence --check CASE writes nothing; evidence --page CASE makes its page again, of bench or mechanisms;
                 evidence ulp FUNCTION.. measures these functions again)
  reference      writes the true values that the tests of the array functions compare with";

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let root = xtask::source::root();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["gate"] => xtask::gate::run(&root, xtask::gate::GATE),
        ["tidy"] => xtask::gate::run(&root, xtask::gate::TIDY),
        ["weight"] => xtask::weight::run(&root, false),
        ["weight", "--build"] => xtask::weight::run(&root, true),
        ["reference"] => xtask::ulp::reference(&root),
        ["fuzz", "--seconds", seconds] => xtask::fuzz::run(&root, seconds),
        ["bench", ..] => xtask::bench::run(&root, &args[1..]),
        ["evidence"] => Err(xtask::evidence::list()),
        ["evidence", "--check", case] => xtask::evidence::check(&root, case),
        ["evidence", "--page", case] => xtask::evidence::page(&root, case),
        ["evidence", case] => xtask::evidence::run(&root, case),
        ["evidence", "ulp", ref functions @ ..] => xtask::evidence::functions_again(&root, functions),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
