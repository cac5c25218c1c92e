//! `cargo xtask test`: every check and every test, one after the other, with one closing line.
//!
//! It decides what runs and what counts; how the servers come here is the matter of `setup`.

mod checks;
mod tally;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::tally::Tally;
use crate::setup::{self, Need, Servers};
use crate::{process, progress, workspace};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Run one part instead of all
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Succeed even if tests were skipped, for example because a server cannot be had on this machine
    #[arg(long)]
    allow_skipped: bool,
    /// Names of tests to run, and options of the test programs such as --nocapture
    #[arg(last = true)]
    filter: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The formatting of the sources
    Fmt,
    /// Clippy, every warning an error
    Clippy,
    /// The documentation, every warning an error
    Docs,
    /// Licences, sources and versions of the dependencies
    Deny,
    /// The tests, with the real servers
    Test,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    setup::ensure(if wanted(Part::Test) { &Need::ALL } else { &Need::BUILD })?;
    let mut tally = Tally::default();
    for check in &checks::ALL {
        if wanted(check.part) {
            tally.check(step(check.title, check.run));
        }
    }
    if wanted(Part::Test) {
        let servers = Servers::set_up();
        for name in servers.missing() {
            progress::warn(&format!("skipped: every test that needs {name}"));
            tally.skip();
        }
        tally.check(step("build of the programs", build));
        let went_well = step("tests", || test(&servers, &arguments.filter, &mut tally));
        tally.check(went_well);
    }
    progress::result(&tally);
    Ok(if tally.is_good(arguments.allow_skipped) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one step between two headlines and says whether it went well.
fn step(title: &str, work: impl FnOnce() -> Result<()>) -> bool {
    let started = Instant::now();
    progress::headline(title);
    let outcome = work();
    if let Err(error) = &outcome {
        progress::error(error);
    }
    progress::verdict(title, if outcome.is_ok() { "ok" } else { "FAILED" }, started);
    outcome.is_ok()
}

/// The programs that tests start as processes; a test package does not build the binaries of another one.
fn build() -> Result<()> {
    process::shown(&mut workspace::cargo(&["build", "--workspace", "--bins", "--locked"])?)
}

fn test(servers: &Servers, filter: &[String], tally: &mut Tally) -> Result<()> {
    let mut cargo = workspace::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])?;
    let features = servers.features();
    if !features.is_empty() {
        cargo.args(["--features", &features.join(",")]);
    }
    cargo.arg("--").args(filter);
    cargo.env("HEADGATE_BIN_DIR", workspace::target()?.join("debug"));
    cargo.env("RUST_BACKTRACE", backtraces(std::env::var("RUST_BACKTRACE").ok().as_deref()));
    servers.tell(&mut cargo);
    count(&mut cargo, tally)
}

/// Backtraces only for those who ask for `full` ones: many machines set 1 for everything, and then the frames of a test's
/// own functions push what it has to say out of records of a run that keep a number of lines.
fn backtraces(asked: Option<&str>) -> &'static str {
    if asked == Some("full") { "full" } else { "0" }
}

/// Passes the output on line by line and adds up the results in it.
fn count(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let stdout = child.stdout.take().context("stdout is a pipe")?;
    let failed_before = tally.failed();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        tally.read(&line);
        progress::result(&line);
    }
    let status = child.wait()?;
    // With failed tests counted, the step itself is no further failure.
    if !status.success() && tally.failed() == failed_before {
        bail!("cargo test failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_comes_only_to_those_who_ask_for_a_full_one() {
        assert_eq!([None, Some("0"), Some("1"), Some("full")].map(backtraces), ["0", "0", "0", "full"]);
    }
}
