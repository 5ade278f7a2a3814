//! The progress bar: on the terminal's error stream, or nowhere.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use retrograde_train::Progress;

/// A bar with step, loss and remaining time.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar, visible where the error stream is a terminal and `quiet` is false.
    pub(crate) fn new(label: &str, quiet: bool) -> Bar {
        let visible = !quiet && io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = "{prefix} {wide_bar} {pos}/{len} loss {msg}, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target).with_style(style).with_prefix(label.to_owned());
        Bar { bar }
    }
}

impl Progress for Bar {
    fn begin(&mut self, total_steps: u64) {
        self.bar.set_length(total_steps);
    }
    fn step(&mut self, step: u64, loss: f64) {
        self.bar.set_position(step);
        self.bar.set_message(format!("{loss:.4}"));
    }
    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
