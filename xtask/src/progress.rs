//! What the developer sees: headlines, a spinner on a terminal or plain lines elsewhere, timings, the closing line.
//!
//! The only module that prints. Everything goes to stderr, but for results that a script may read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this module is for")]

use std::fmt::Display;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

/// A piece of work that writes nothing itself.
#[derive(Debug)]
pub(crate) struct Task {
    title: String,
    started: Instant,
    spinner: Option<ProgressBar>,
}

impl Task {
    pub(crate) fn start(title: &str) -> Self {
        let spinner = stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner().with_message(title.to_owned());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(TICK);
            spinner
        });
        if spinner.is_none() {
            eprintln!("   {title} …");
        }
        Self { title: title.to_owned(), started: Instant::now(), spinner }
    }

    pub(crate) fn end(self, went_well: bool) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        let word = if went_well { "done in" } else { "FAILED after" };
        eprintln!("   {}: {word} {}", self.title, seconds(self.started.elapsed()));
    }
}

/// The beginning of a step.
pub(crate) fn headline(text: &str) {
    eprintln!("\n== {text}");
}

/// The end of a step.
pub(crate) fn verdict(text: &str, word: &str, started: Instant) {
    eprintln!("== {text}: {word} ({})", seconds(started.elapsed()));
}

/// Something that the developer should know.
pub(crate) fn note(text: &str) {
    eprintln!("   {text}");
}

/// Something that must not be overlooked.
pub(crate) fn warn(text: &str) {
    eprintln!("!! {text}");
}

/// Why something failed.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// A line of a result.
pub(crate) fn result(line: &dyn Display) {
    println!("{line}");
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
