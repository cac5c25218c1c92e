//! `headgate-bench`: measures the gateway against what the machine could do at best. `cargo xtask bench` builds and runs it.
//!
//! One process of each kind, each on a core of its own: the server that is measured, and the clients (this process, with
//! the mock Kafka beside it). Numbers of one run are comparable with each other only: every measurement has its yardstick
//! in the same run. Linux only.

mod arguments;
mod bare;
mod broker;
mod clients;
mod fanout;
mod frozen;
mod idle;
mod kafka;
mod order;
mod payload;
mod placement;
mod proc;
mod report;
mod rows;
mod server;
mod shards;
mod statistics;

use anyhow::Result;
use arguments::{Arguments, Command, Measurement, Serve};
use clap::Parser as _;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Some(Command::Serve(serve)) => match serve {
            Serve::Bare { size } => bare::serve(size),
            Serve::Shards(settings) => shards::serve(&settings),
            Serve::Broker { size, partitions } => broker::serve(size, partitions),
        },
        Some(Command::Pinned { core, program }) => placement::become_program(core, &program),
        Some(Command::Measure(measurement)) => measure(&[measurement], arguments.output),
        None => measure(&Measurement::all()?, arguments.output),
    }
}

fn measure(measurements: &[Measurement], output: report::Form) -> Result<()> {
    placement::prepare()?;
    let mut report = Report::new();
    for measurement in measurements {
        match measurement {
            Measurement::Fanout(settings) => report.fanout = Some(fanout::measure(settings)?),
            Measurement::Idle(settings) => report.idle = Some(idle::measure(settings)?),
            Measurement::Frozen(settings) => report.frozen = Some(frozen::measure(settings)?),
            Measurement::Rows(settings) => report.rows = Some(rows::measure(settings)?),
            Measurement::Kafka(settings) => report.kafka = Some(kafka::measure(settings)?),
        }
    }
    report.print(output)
}
