//! The commands, and the exit codes that they share.

mod dev;
mod keys;
mod lint;
mod list;
mod login;
mod publish;
mod stream;
mod url;
mod why;

use crate::args::{Cli, Command};
use crate::output;
use crate::stream::{Failure, FailureKind, install_provider};
use std::future::Future;
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
        Command::Login(args) => login::run(args),
        Command::Logout(args) => login::logout(&args),
        Command::Token(args) => login::token(&args),
        Command::List(args) => list::run(&args),
        Command::Url(args) => url::run(&args),
        Command::Keys(args) => keys::run(&args.command),
        Command::Why(args) => why::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(format_args!("{error:#}"));
            ExitCode::from(error.downcast_ref::<Failure>().map_or(EXIT_FAILURE, |failure| exit_code(failure.kind)))
        }
    }
}

/// Runs a command against a cluster to its end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    install_provider();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
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
