//! The `headgate` command: dev mode, streaming, publishing, linting. Parses, runs one command, returns its exit code.

mod args;
mod command;
mod dev;
mod endpoint;
mod interruption;
mod kafka;
mod manifest;
mod output;
mod publish;
mod stream;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => command::run(cli),
        Err(error) => {
            // clap's own code for wrong usage is 2, which means "refused" here.
            let code = if error.use_stderr() { command::EXIT_FAILURE } else { 0 };
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}
