//! The arguments of `headgate stream`.

use super::{ClusterArgs, name_and_value};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate stream orders                                with its key
  headgate stream orders -N shop --key-name web -n 10   ten events, then exit
  headgate stream orders --local --key hgk_…            an app of `headgate dev`
  headgate stream https://streams.example.com/orders --from earliest -o json
  headgate stream https://streams.example.com/orders --issuer https://id.example.com
  headgate stream orders --channel eu --type com.example.order.created
  headgate stream orders --filter subject.prefix=eu/ --device till-3
  headgate stream orders --from -100 -o raw | jq .total

Where NAME is looked for:
  --server or HEADGATE_SERVER: an app of that gateway
  --local: an app of the gateway on 127.0.0.1:8080
  --namespace, --context, --kubeconfig, --key-name or --port-forward: a StreamEndpoint of that cluster
  none of them: the gateway on 127.0.0.1:8080 if one runs there and has that app (it says so), else a \
StreamEndpoint of the current kubectl context

A StreamEndpoint that takes tokens gets that of `headgate login`, if somebody is logged in at its provider. Else the \
key is taken from its Secret, unless --key, --token, --anonymous, HEADGATE_KEY or HEADGATE_TOKEN says otherwise. An \
endpoint that is only reachable within the cluster is reached by port-forwarding through the API server, from one \
gateway pod to the next.

Exit codes:
  0  done: -n reached, Ctrl-C, or the reader of the pipe went away
  1  wrong usage, or the gateway did not understand the request (400)
  2  refused: 401, 403, 404, no Headgate stream at that address, or the cluster has no such endpoint or does \
not let you
  3  no first connection within --connect-timeout, or no cluster
  4  records are missing and --fail-on-gap was given
  5  closed for good: connecting again would end the same way (say, the key was revoked)

Once connected, a broken connection is opened again with the cursor of the last event, for as long as it takes: no event \
is lost or shown twice. What Kafka no longer has is reported as a gap on the standard error output.";

/// Arguments of `headgate stream`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StreamArgs {
    /// Name of a StreamEndpoint or of an app, or the whole address of a stream; absent = the only one there
    #[arg(value_name = "NAME|URL")]
    pub(crate) target: Option<String>,

    /// Exit after this many events were shown
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = count)]
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

    /// Address of a gateway, where only an app is named
    #[arg(long, value_name = "URL", env = "HEADGATE_SERVER")]
    pub(crate) server: Option<String>,

    /// The gateway on this machine, at 127.0.0.1:8080, as `headgate dev` starts it
    #[arg(long)]
    pub(crate) local: bool,

    /// How to connect and as whom.
    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// How to show events; raw is the data alone
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "pretty")]
    pub(crate) output: StreamOutput,

    /// Exit with code 4 as soon as records are missing
    #[arg(long)]
    pub(crate) fail_on_gap: bool,

    /// Which of the StreamEndpoint's keys to use; absent = the first that may read
    #[arg(long, value_name = "KEY", conflicts_with_all = ["key", "token", "issuer", "anonymous", "local"], help_heading = "Cluster")]
    pub(crate) key_name: Option<String>,

    /// Connect through the API server, even if the URL can be reached from here
    #[arg(long, conflicts_with = "local", help_heading = "Cluster")]
    pub(crate) port_forward: bool,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// A number of events; a word is probably kubectl's `-n`.
fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("-n is a number of events here; the namespace is -N or --namespace".to_owned()),
    }
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

    /// Connect as whom `headgate login` logged in at this issuer; renewed while the stream goes on
    #[arg(long, value_name = "URL", conflicts_with_all = ["key", "token", "anonymous"])]
    pub(crate) issuer: Option<String>,

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
