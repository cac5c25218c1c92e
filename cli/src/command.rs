//! The commands, and the exit codes that they share.

mod dev;
mod lint;
mod publish;
mod stream;

use crate::args::{Cli, Command};
use crate::output;
use crate::stream::{Failure, FailureKind};
use std::process::ExitCode;

/// Exit code for wrong usage and for every failure without a code of its own.
pub(crate) const EXIT_FAILURE: u8 = 1;

/// Runs the command to its end.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Stream(args) => stream::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Dev(args) => dev::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(format_args!("{error:#}"));
            ExitCode::from(error.downcast_ref::<Failure>().map_or(EXIT_FAILURE, |failure| exit_code(failure.kind)))
        }
    }
}

/// The exit codes that `headgate stream --help` promises.
const fn exit_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Usage => EXIT_FAILURE,
        FailureKind::Refused => 2,
        FailureKind::NotConnected => 3,
        FailureKind::Gap => 4,
        FailureKind::Closed => 5,
    }
}
