//! `cargo xtask bench`: builds the gateway and the measuring program with optimisation, and runs the latter.
//!
//! It measures nothing itself: what is measured, and how, is in `tests/bench`.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Need};
use crate::{process, workspace};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// fanout, idle, frozen or kafka, with its options, and `-o json`; nothing runs all; `help` tells more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::ensure(&Need::BUILD)?;
    let packages = ["--package", "headgate-gateway", "--package", "headgate-tests"];
    let mut build = workspace::cargo(&["build", "--release", "--locked", "--bins"])?;
    process::shown(build.args(packages).args(["--features", "headgate-tests/bench"]))?;
    let mut bench = Command::new(workspace::target()?.join("release/headgate-bench"));
    process::shown(bench.args(&arguments.arguments))?;
    Ok(ExitCode::SUCCESS)
}
