//! The arguments of `headgate dev`.

use super::{DEV_ADMIN_ADDRESS, DEV_STREAM_ADDRESS};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate dev                                    two example streams with sample events
  headgate dev -f endpoint.yaml --no-demo         your manifest; send events with `headgate publish`
  headgate dev -f endpoint.yaml --kafka localhost:9092
  headgate dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 -o json      for scripts: free ports, one line when ready

The manifests pass the same validation as in a cluster. Nothing is left behind after Ctrl-C.
The embedded Kafka cannot look up times: --from with a time begins with the next record.";

/// Arguments of `headgate dev`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevArgs {
    /// StreamEndpoint manifests; absent = two built-in examples
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Use this Kafka (host:port,…) instead of the embedded one; missing topics are created there, sample events are not
    /// written
    #[arg(long, value_name = "BOOTSTRAP")]
    pub(crate) kafka: Option<String>,

    /// Where clients connect; port 0 = any free one
    #[arg(long, value_name = "ADDRESS", default_value = DEV_STREAM_ADDRESS)]
    pub(crate) listen: SocketAddr,

    /// Where probes and metrics are served; port 0 = any free one
    #[arg(long, value_name = "ADDRESS", default_value = DEV_ADMIN_ADDRESS)]
    pub(crate) admin: SocketAddr,

    /// Produce no sample events
    #[arg(long)]
    pub(crate) no_demo: bool,

    /// Sample events per second and stream
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) demo_rate: u32,

    /// What to print when everything is ready
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub(crate) output: DevOutput,
}

/// What `headgate dev` prints when everything is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DevOutput {
    /// Addresses, keys and commands to try.
    Text,
    /// One line of JSON.
    Json,
}
