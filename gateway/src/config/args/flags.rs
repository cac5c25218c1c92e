//! The command line: what may be typed, and its help. Owns no meaning beyond the form of each value.
//!
//! Every flag can also be set by an environment variable named after it: `--keys-file` is `HEADGATE_KEYS_FILE`. No flag
//! takes a secret, because every user of a machine can read its command lines.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser};
use headgate_process::telemetry::LogFormat;
use headgate_wire::config::{Format, Isolation, SaslMechanism, SlowClient, Start};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
The fields of the file of --config, with an example: docs/reference/gateway-configuration.md

Every flag can be set in the environment instead: --keys-file is HEADGATE_KEYS_FILE. Lists are separated by commas there.

Examples:
  headgate-gateway --config /etc/headgate/config/gateway.yaml
  headgate-gateway --kafka localhost:9092 --topic shop.orders --app orders --anonymous
  headgate-gateway --kafka kafka:9093 --topic orders --keys-file keys.json --allowed-origin https://shop.example.com
  headgate-gateway --kafka kafka:9093 --topic orders --keys-file keys.json --kafka-tls \\
      --kafka-sasl scram-sha-512 --kafka-username-file user --kafka-password-file password
  input=orders PORT=8000 AUTH_ENABLED=true AUTH_API_KEYS=<key>,<key> KAFKA__BOOTSTRAP_SERVERS=kafka:9092 headgate-gateway

Variables of older connectors: input (topic), PORT, AUTH_ENABLED (true or false), AUTH_API_KEYS (comma-separated; also
allows ?token=), KAFKA__BOOTSTRAP_SERVERS, KAFKA__PROPERTIES__A_B (librdkafka property a.b; the place for secret ones).
";

/// Streams a Kafka topic to WebSocket and SSE clients.
#[derive(Parser)]
#[command(name = "headgate-gateway", version = headgate_process::build_info::VERSION, after_long_help = EXAMPLES)]
pub(super) struct Flags {
    /// Configuration file, as the operator writes it; replaces every other flag except --log-format
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `text` for people, `json` for pods
    #[arg(long, value_name = "FORMAT", value_parser = log_format())]
    pub log_format: Option<LogFormat>,

    /// First path segment of the stream [default: the topic]
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Kafka topic to stream
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
    /// Address of the stream [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of probes, metrics and status; never expose it [default: 0.0.0.0:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Certificate chain of the stream's address, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    pub tls_certificate_file: Option<PathBuf>,
    /// Private key of --tls-certificate-file, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate_file")]
    pub tls_key_file: Option<PathBuf>,

    /// File with the digests of the API keys
    #[arg(long, value_name = "FILE")]
    pub keys_file: Option<PathBuf>,
    /// Anyone may read
    #[arg(long)]
    pub anonymous: bool,
    /// Browser origin that may connect, besides the gateway's own host; repeat for more
    #[arg(long, value_name = "ORIGIN")]
    pub allowed_origin: Vec<String>,
    /// Accept ?token= and ?api_key=, for clients that can do nothing else
    #[arg(long)]
    pub allow_query_credentials: bool,

    /// What a client that negotiates nothing gets
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Format>,
    /// Where a client without a cursor begins
    #[arg(long, value_name = "POSITION", value_parser = start())]
    pub start: Option<Start>,
    /// CloudEvents type of plain records
    #[arg(long, value_name = "TYPE")]
    pub event_type: Option<String>,
    /// What happens to a client that reads too slowly
    #[arg(long, value_name = "POLICY", value_parser = slow_client())]
    pub slow_client: Option<SlowClient>,
    /// Newest records kept in memory
    #[arg(long, value_name = "BYTES")]
    pub ring_bytes: Option<u64>,
    /// Connections of this gateway
    #[arg(long, value_name = "COUNT")]
    pub max_connections: Option<u32>,
    /// Connections of one API key
    #[arg(long, value_name = "COUNT")]
    pub max_connections_per_key: Option<u32>,
    /// Connections of one client address
    #[arg(long, value_name = "COUNT")]
    pub max_connections_per_address: Option<u32>,
    /// Seconds that a stopping gateway takes to send its clients elsewhere
    #[arg(long, value_name = "SECONDS")]
    pub drain_seconds: Option<u32>,

    #[command(flatten)]
    pub kafka: KafkaFlags,
    #[command(flatten)]
    pub refused: RefusedFlags,
}

#[derive(clap::Args)]
pub(super) struct KafkaFlags {
    /// Kafka bootstrap servers, `host:port`, separated by commas
    #[arg(long = "kafka", value_name = "SERVERS")]
    pub bootstrap_servers: Option<String>,
    /// librdkafka property that is not secret; repeat for more
    #[arg(long = "kafka-property", value_name = "NAME=VALUE")]
    pub properties: Vec<String>,
    /// TLS to the brokers, with the system's certificate authorities
    #[arg(long = "kafka-tls")]
    pub tls: bool,
    /// Certificate authority of the brokers, PEM; implies --kafka-tls
    #[arg(long = "kafka-ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Client certificate, PEM; implies --kafka-tls
    #[arg(long = "kafka-certificate-file", value_name = "FILE")]
    pub certificate_file: Option<PathBuf>,
    /// Key of the client certificate, PEM
    #[arg(long = "kafka-key-file", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// SASL mechanism
    #[arg(long = "kafka-sasl", value_name = "MECHANISM", value_parser = mechanism())]
    pub mechanism: Option<SaslMechanism>,
    /// File with the SASL user name
    #[arg(long = "kafka-username-file", value_name = "FILE")]
    pub username_file: Option<PathBuf>,
    /// File with the SASL password
    #[arg(long = "kafka-password-file", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Which records of transactions are seen
    #[arg(long = "kafka-isolation", value_name = "LEVEL", value_parser = isolation())]
    pub isolation: Option<Isolation>,
}

/// Flags that people try, and that get an answer of their own. Their values are dropped unread.
#[derive(clap::Args)]
pub(super) struct RefusedFlags {
    #[arg(long, alias = "kafka-sasl-password", alias = "password", hide = true, action = ArgAction::Append, value_parser = discard)]
    pub kafka_password: Vec<Discarded>,
    #[arg(long, alias = "api-keys", alias = "key", alias = "token", hide = true, action = ArgAction::Append, value_parser = discard)]
    pub api_key: Vec<Discarded>,
}

#[derive(Clone)]
pub(super) struct Discarded;

#[expect(clippy::unnecessary_wraps, reason = "the signature that clap wants")]
fn discard(_value: &str) -> Result<Discarded, Infallible> {
    Ok(Discarded)
}

/// A parser of the words of a table.
fn choice<T: Clone + Send + Sync + 'static>(table: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(word, _)| *word)).try_map(move |word| {
        table.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone()).ok_or("unknown word")
    })
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn format() -> impl TypedValueParser<Value = Format> {
    choice(&[("cloudevents", Format::CloudEvents), ("raw", Format::Raw), ("topic-payload", Format::TopicPayload)])
}

fn start() -> impl TypedValueParser<Value = Start> {
    choice(&[("latest", Start::Latest), ("earliest", Start::Earliest)])
}

fn slow_client() -> impl TypedValueParser<Value = SlowClient> {
    choice(&[
        ("disconnect", SlowClient::Disconnect),
        ("skip-with-gap", SlowClient::SkipWithGap),
        ("latest-only", SlowClient::LatestOnly),
    ])
}

fn isolation() -> impl TypedValueParser<Value = Isolation> {
    choice(&[("read-committed", Isolation::ReadCommitted), ("read-uncommitted", Isolation::ReadUncommitted)])
}

fn mechanism() -> impl TypedValueParser<Value = SaslMechanism> {
    choice(&[
        ("plain", SaslMechanism::Plain),
        ("scram-sha-256", SaslMechanism::ScramSha256),
        ("scram-sha-512", SaslMechanism::ScramSha512),
    ])
}
