//! The command line. Owns defaults; every measurement has its own.

use crate::report::Form;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;

#[derive(Debug, Parser)]
#[command(name = "headgate-bench", about = "Measures the gateway; without a measurement, all of them", long_about = None)]
pub struct Arguments {
    /// How the results are written
    #[arg(short, long, value_enum, default_value_t, global = true)]
    pub output: Form,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Measure(Measurement),
    /// Be a server of a measurement
    #[command(subcommand, hide = true)]
    Serve(Serve),
    /// Run a program on one core
    #[command(hide = true)]
    Pinned {
        #[arg(long)]
        core: usize,
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
}

impl Command {
    fn measurement(command: Option<Self>) -> Option<Measurement> {
        match command {
            Some(Self::Measure(measurement)) => Some(measurement),
            _ => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Measurement {
    /// Deliveries per second and CPU time per delivery, beside a bare write loop
    Fanout(Fanout),
    /// Resident memory of a connection that does nothing
    Idle(Idle),
    /// Latency of healthy clients, beside clients that never read
    Frozen(Frozen),
    /// Clients that see rows of their own, beside as many that see everything
    Rows(Rows),
    /// Records per second through the consumer
    Kafka(Kafka),
}

impl Measurement {
    /// Each with its defaults.
    pub fn all() -> Result<Vec<Self>, clap::Error> {
        let parse = |name| Ok(Arguments::try_parse_from(["headgate-bench", name])?.command);
        let commands = ["fanout", "idle", "frozen", "rows", "kafka"].into_iter().map(parse);
        commands.filter_map(|command| command.map(Command::measurement).transpose()).collect()
    }
}

#[derive(Debug, Clone, Args)]
pub struct Fanout {
    /// Connected clients
    #[arg(long, default_value_t = 1000)]
    pub clients: usize,
    /// Bytes of one record's value
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// Records published at once; each client gets them in one write
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub batch: Vec<u32>,
    /// What clients ask for
    #[arg(long, value_enum, value_delimiter = ',', default_value = "raw,cloudevents")]
    pub format: Vec<Format>,
    /// Times that each server has its turn
    #[arg(long, default_value_t = 40)]
    pub rounds: usize,
    /// Seconds of each turn: short ones in quick succession meet the same machine
    #[arg(long, default_value_t = 0.2)]
    pub seconds: f64,
    /// Leaves out the run through Kafka
    #[arg(long)]
    pub no_kafka: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Idle {
    /// Connections
    #[arg(long, default_value_t = 10_000)]
    pub clients: usize,
    /// What clients ask for
    #[arg(long, value_enum, value_delimiter = ',', default_value = "headgate,cloudevents,raw")]
    pub format: Vec<Format>,
}

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_field_names, reason = "the fields are named as they are typed")]
pub struct Frozen {
    /// Connected clients
    #[arg(long, default_value_t = 1000)]
    pub clients: usize,
    /// Clients among them that never read
    #[arg(long, default_value_t = 50)]
    pub frozen: usize,
    /// Records per second
    #[arg(long, default_value_t = 2000)]
    pub rate: u32,
    /// Bytes of one record's value
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// Times that each variant is measured
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 6.0)]
    pub seconds: f64,
}

#[derive(Debug, Clone, Args)]
pub struct Rows {
    /// Connected clients, each with a value of its own
    #[arg(long, default_value_t = 5000)]
    pub clients: usize,
    /// Bytes of one record's value
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// Times that each variant has its turn
    #[arg(long, default_value_t = 10)]
    pub rounds: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 0.5)]
    pub seconds: f64,
}

#[derive(Debug, Clone, Args)]
pub struct Kafka {
    /// Records that wait for the gateway
    #[arg(long, default_value_t = 900_000)]
    pub records: u32,
    /// Bytes of one record's value
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// Partitions of the topic
    #[arg(long, default_value_t = 48)]
    pub partitions: u32,
    /// Times that it is measured
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The value as it is
    Raw,
    /// Structured CloudEvents
    Cloudevents,
    /// CloudEvents in the envelope of headgate.v1, with a cursor
    Headgate,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Cloudevents => "cloudevents",
            Self::Headgate => "headgate.v1",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Serve {
    /// Nothing but a non-blocking write loop over the sockets
    Bare {
        #[arg(long)]
        size: usize,
    },
    /// The gateway in this process, fed without Kafka
    Shards(Shards),
    /// A mock Kafka and its producer
    Broker {
        #[arg(long)]
        size: usize,
        #[arg(long)]
        partitions: u32,
    },
}

#[derive(Debug, Clone, Args)]
pub struct Shards {
    #[arg(long)]
    pub size: usize,
    /// The broker that it connects to, so that it is a whole gateway
    #[arg(long)]
    pub bootstrap: String,
    /// Ring, in bytes
    #[arg(long)]
    pub ring_bytes: Option<u64>,
    /// Slow clients are moved ahead instead of closed
    #[arg(long)]
    pub skip: bool,
    /// Different subjects that its records have in turn; 0 = none
    #[arg(long, default_value_t = 0)]
    pub rows: u32,
    /// Milliseconds that records may wait to share a write
    #[arg(long, default_value_t = 0)]
    pub max_delay: u32,
}
