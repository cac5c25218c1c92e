//! The arguments of `headgate dev`.

use super::{DEV_ADMIN_ADDRESS, DEV_STREAM_ADDRESS};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate dev                                two streams with sample events
  headgate dev -f endpoint.yaml --no-demo     without sample events
  headgate dev -f endpoint.yaml --kafka localhost:9092
  headgate dev --oidc                         log in at a test issuer
  headgate dev --oidc -f examples/oidc.yaml   people with the claims it asks for
  headgate dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 -o json   for scripts

The manifests pass the same validation as in a cluster. Nothing is left behind after Ctrl-C. \
The embedded Kafka cannot look up times: --from with a time begins with the next record.";

/// Where the test issuer listens, unless told otherwise.
const DEV_ISSUER_ADDRESS: &str = "127.0.0.1:8082";

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

    /// Run a test issuer, FOR DEVELOPMENT ONLY: endpoints that take tokens take those of people whom everybody can be
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = DEV_ISSUER_ADDRESS,
          value_parser = of_this_machine)]
    pub(crate) oidc: Option<SocketAddr>,

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

/// An issuer that asks for no password must not be reachable from elsewhere.
fn of_this_machine(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("the test issuer listens on this machine only: 127.0.0.1 or [::1], and a port".to_owned()),
        Err(_) => Err("write it as 127.0.0.1:PORT".to_owned()),
    }
}

/// What `headgate dev` prints when everything is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DevOutput {
    /// Addresses, keys and commands to try.
    Text,
    /// One line of JSON.
    Json,
}
