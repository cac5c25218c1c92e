//! The command line: what may be typed, and its help. Owns no meaning beyond the form of each value.

use clap::{Parser, ValueEnum};
use headgate_crds::types::{NamespaceName, ObjectName, SecretName, Text};
use headgate_process::telemetry::LogFormat;
use std::net::SocketAddr;

const EXAMPLES: &str = "\
Lists are separated by commas. The chart sets all of it; by hand, with the cluster of the current kubectl context:

Examples:
  headgate-operator --gateway-image ghcr.io/headgate/gateway:0.1.0
  headgate-operator --gateway-image gateway:dev --namespace headgate --watch-namespaces shop,billing
  headgate-operator --gateway-image gateway:dev --namespace headgate --leader-election Disabled --admin 127.0.0.1:9090
  HEADGATE_KEY=hgk_… headgate-operator check-websocket ws://orders-gateway.shop.svc.cluster.local:8080/orders

SIGTERM lets reconciles under way end, gives the Lease back and exits with 0. RUST_LOG filters the log, for example
`info,headgate_operator=debug`. Exit codes: 1 for a lost Lease or another failure, 64 for a setting that cannot work.
";
/// Longest domain name (RFC 1035).
const MAX_DOMAIN: usize = 253;
/// Longest reference to an image that is accepted: a name of 255 characters, a tag and a digest.
const MAX_IMAGE: usize = 512;
/// Most seconds of `--pre-stop-seconds`: beyond it, a rollout would seem to hang.
const MAX_PRE_STOP_SECONDS: i64 = 300;
/// Fewest seconds of `--resync-seconds`: below it, nothing but resyncs would happen.
const MIN_RESYNC_SECONDS: i64 = 10;
/// Most seconds of `--resync-seconds`.
const MAX_RESYNC_SECONDS: i64 = 86_400;
/// Most endpoints at once.
const MAX_CONCURRENCY: i64 = 256;

/// Turns StreamEndpoints into running gateways.
#[derive(Debug, Parser)]
#[command(
    name = "headgate-operator",
    version = headgate_process::build_info::VERSION,
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true
)]
pub(super) struct Flags {
    #[command(subcommand)]
    pub command: Option<Subcommand>,

    /// Image of the gateway pods (required)
    #[arg(long, env = "HEADGATE_GATEWAY_IMAGE", value_name = "IMAGE", value_parser = image)]
    pub gateway_image: Option<String>,
    /// When that image is pulled
    #[arg(
        long,
        env = "HEADGATE_GATEWAY_IMAGE_PULL_POLICY",
        value_name = "POLICY",
        ignore_case = false,
        default_value = "IfNotPresent"
    )]
    pub gateway_image_pull_policy: PullPolicy,
    /// Secrets with which that image is pulled; each has to exist in the namespace of every StreamEndpoint
    #[arg(
        long,
        env = "HEADGATE_GATEWAY_IMAGE_PULL_SECRETS",
        value_name = "NAMES",
        value_parser = names::<SecretName>,
        default_value = "",
        hide_default_value = true
    )]
    pub gateway_image_pull_secrets: Names,

    /// Namespaces to look after [default: all]
    #[arg(
        long,
        env = "HEADGATE_WATCH_NAMESPACES",
        value_name = "NAMES",
        value_parser = names::<NamespaceName>,
        default_value = "",
        hide_default_value = true
    )]
    pub watch_namespaces: Names,
    /// Domain under which the cluster's Services have names
    #[arg(
        long,
        env = "HEADGATE_CLUSTER_DOMAIN",
        value_name = "DOMAIN",
        value_parser = domain,
        default_value = crate::settings::DEFAULT_CLUSTER_DOMAIN
    )]
    pub cluster_domain: String,
    /// Whether a NetworkPolicy protects the admin port of gateway pods
    #[arg(long, env = "HEADGATE_NETWORK_POLICY", value_name = "SWITCH", default_value = "Enabled")]
    pub network_policy: Switch,
    /// Namespaces besides the operator's that may reach that port, for example Prometheus'
    #[arg(
        long,
        env = "HEADGATE_ADMIN_NAMESPACES",
        value_name = "NAMES",
        value_parser = names::<NamespaceName>,
        default_value = "",
        hide_default_value = true
    )]
    pub admin_namespaces: Names,
    /// How long a gateway pod that has to stop goes on as before, until nothing sends it new clients
    #[arg(
        long,
        env = "HEADGATE_PRE_STOP_SECONDS",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(0..=MAX_PRE_STOP_SECONDS),
        default_value_t = crate::settings::DEFAULT_PRE_STOP_SECONDS
    )]
    pub pre_stop_seconds: u32,
    /// Longest time without looking at a StreamEndpoint, in case that a change was missed
    #[arg(
        long,
        env = "HEADGATE_RESYNC_SECONDS",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(MIN_RESYNC_SECONDS..=MAX_RESYNC_SECONDS),
        default_value_t = 300
    )]
    pub resync_seconds: u32,
    /// StreamEndpoints that are worked on at once
    #[arg(
        long,
        env = "HEADGATE_CONCURRENCY",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u16).range(1..=MAX_CONCURRENCY),
        default_value_t = 16
    )]
    pub concurrency: u16,

    /// Address of probes, metrics and status
    #[arg(long, env = "HEADGATE_ADMIN", value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    pub admin: SocketAddr,
    /// Whether replicas agree on one that works; switch it off only where there is never more than one
    #[arg(long, env = "HEADGATE_LEADER_ELECTION", value_name = "SWITCH", default_value = "Enabled")]
    pub leader_election: Switch,
    /// Lease by which they agree, in the operator's namespace
    #[arg(
        long,
        env = "HEADGATE_LEASE_NAME",
        value_name = "NAME",
        value_parser = name::<ObjectName>,
        default_value = "headgate-operator"
    )]
    pub lease_name: String,
    /// Namespace of the operator [default: the service account's, or the kubeconfig's]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", value_parser = name::<NamespaceName>)]
    pub namespace: Option<String>,
    /// Name of this replica [default: the host's]
    #[arg(long, env = "POD_NAME", value_name = "NAME", value_parser = name::<ObjectName>)]
    pub identity: Option<String>,
    /// `text` for people, `json` for pods [default: text on a terminal, else json]
    #[arg(long, env = "HEADGATE_LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

/// What the binary can do beside being the operator.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Subcommand {
    /// Opens one stream within the cluster and says whether it works; the key is read from HEADGATE_KEY
    CheckWebsocket {
        /// Address of the stream: ws://host:port/app
        address: String,
    },
}

/// Something that is made or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(super) enum Switch {
    Enabled,
    Disabled,
}

/// `imagePullPolicy` of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(super) enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// A list of names, each once, in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names(pub Vec<String>);

impl PullPolicy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

fn name<T: Text>(text: &str) -> Result<String, String> {
    T::new(text).map(|name| name.as_ref().to_owned()).map_err(|error| error.to_string())
}

fn names<T: Text>(text: &str) -> Result<Names, String> {
    let mut names = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let entry = name::<T>(entry)?;
        if !names.contains(&entry) {
            names.push(entry);
        }
    }
    Ok(Names(names))
}

fn image(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_IMAGE || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("write a name, a tag or a digest, for example ghcr.io/headgate/gateway:0.1.0".to_owned());
    }
    Ok(text.to_owned())
}

fn domain(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('.');
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if text.len() > MAX_DOMAIN || !text.split('.').all(label) {
        return Err("write a domain name in lower case, for example cluster.local".to_owned());
    }
    Ok(text.to_owned())
}
