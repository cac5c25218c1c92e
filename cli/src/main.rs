//! The `headgate` command: dev mode, streaming, publishing, linting, logging in, and a cluster's StreamEndpoints and keys.
//! Parses, runs one command, returns its exit code.

mod args;
mod cluster;
mod command;
mod dev;
mod endpoint;
mod interruption;
mod kafka;
mod login;
mod manifest;
mod output;
mod publish;
mod stream;
mod table;
mod why;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::Cli::from_words(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => command::run(cli),
        Err(error) => {
            // clap's own code for wrong usage is 2, which means "refused" here.
            let code = if error.use_stderr() { command::EXIT_FAILURE } else { 0 };
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}
