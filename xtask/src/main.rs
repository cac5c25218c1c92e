//! The commands of the developers: `cargo xtask <command>`. One file per command.
//!
//! Nothing of the product may depend on this package, and this package never depends on the product.

mod bench;
mod cache;
mod generate;
mod images;
mod process;
mod progress;
mod setup;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The commands of the developers of Headgate")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every check and every test, after setting up the servers that they need
    Test(test::Arguments),
    /// Only set up the servers of the tests, and print the variables that name them: eval "$(cargo xtask setup)"
    Setup,
    /// Write the images of the operator and the gateway to target/images, for kind or containerd
    Images,
    /// Measure the gateway beside what the machine could do at best (Linux, two cores, about ten minutes)
    Bench(bench::Arguments),
    /// Write the generated files anew: CRDs, their reference pages and copies in the chart, deploy/install.yaml
    Gen,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            progress::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Test(arguments) => test::run(arguments),
        Command::Setup => setup::run(),
        Command::Images => images::run(),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Gen => generate::run(),
    }
}
