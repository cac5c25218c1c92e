//! The arguments of `headgate stream`.

use super::{DEFAULT_SERVER, name_and_value};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate stream orders --key hgk_…                    the app `orders` of a local `headgate dev`
  HEADGATE_KEY=hgk_… headgate stream orders -n 10       ten events, then exit; the key stays out of the process list
  headgate stream https://streams.example.com/orders --from earliest -o json
  headgate stream orders --channel eu --type com.example.order.created
  headgate stream orders --filter subject.prefix=eu/ --device till-3
  headgate stream orders --from -100 -o raw | jq .total

Exit codes:
  0  done: -n reached, Ctrl-C, or the reader of the pipe went away
  1  wrong usage, or the gateway did not understand the request (400)
  2  refused: 401, 403, 404, or no Headgate stream at that address
  3  no first connection within --connect-timeout
  4  records are missing and --fail-on-gap was given
  5  closed for good: connecting again would end the same way (say, the key was revoked)

Once connected, a broken connection is opened again with the cursor of the last event, for as long as it takes: no event
is lost or shown twice. What Kafka no longer has is reported as a gap on the standard error output.";

/// Arguments of `headgate stream`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StreamArgs {
    /// Name of an app on --server, or the whole address of a stream; absent = the server's only app
    #[arg(value_name = "APP|URL")]
    pub(crate) target: Option<String>,

    /// Exit after this many events were shown
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Only events of this channel (CloudEvents `subject`)
    #[arg(long, value_name = "C")]
    pub(crate) channel: Option<String>,

    /// Only events of this device (CloudEvents extension `device`)
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<String>,

    /// Only events of this CloudEvents `type`
    #[arg(long = "type", value_name = "T")]
    pub(crate) event_type: Option<String>,

    /// Only events whose attribute or extension equals the value; ATTRIBUTE.prefix and ATTRIBUTE.suffix compare an end
    #[arg(long = "filter", value_name = "ATTRIBUTE=VALUE", value_parser = name_and_value)]
    pub(crate) filters: Vec<(String, String)>,

    /// Where to begin: latest, earliest, a cursor, an RFC 3339 time, or -N for the last N records of every partition
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,

    /// Add partition, offset, time and key of the Kafka record to every event
    #[arg(long)]
    pub(crate) metadata: bool,

    /// Address of the gateway, where only an app is named
    #[arg(long, value_name = "URL", env = "HEADGATE_SERVER", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,

    /// How to connect and as whom.
    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// How to show events; raw is the data alone
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "pretty")]
    pub(crate) output: StreamOutput,

    /// Exit with code 4 as soon as records are missing
    #[arg(long)]
    pub(crate) fail_on_gap: bool,
}

/// Credentials, trust and patience.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// API key; better in HEADGATE_KEY, where other users of this machine cannot see it
    #[arg(long, value_name = "KEY", conflicts_with_all = ["token", "anonymous"])]
    pub(crate) key: Option<String>,

    /// JSON Web Token; better in HEADGATE_TOKEN
    #[arg(long, value_name = "JWT", conflicts_with = "anonymous")]
    pub(crate) token: Option<String>,

    /// Send no credentials, whatever the environment says
    #[arg(long)]
    pub(crate) anonymous: bool,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// How long to try until the first connection
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) connect_timeout: u32,
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamOutput {
    /// Time, type, subject and data, for people.
    Pretty,
    /// One JSON event per line.
    Json,
    /// The data alone.
    Raw,
}
