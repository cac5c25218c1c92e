//! The file that the operator writes and the gateway reads: everything that one gateway needs to know.
//!
//! It holds no secret: passwords and digests are paths of mounted files. Durations and sizes carry their unit in the
//! name. Unknown fields are refused, because a misspelt security setting must never be ignored.

pub mod bounds;
mod network;
mod oidc;

pub use network::{InvalidNetwork, network};
pub use oidc::{ClaimFilter, ClaimMatch, Oidc, SigningAlgorithm};

use crate::endpoints;
use crate::filter::Filter;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// One gateway: one app, one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConfig {
    /// First path segment of the stream.
    pub app: String,
    /// `namespace/name` of the StreamEndpoint; absent when the gateway runs alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Sockets.
    #[serde(default)]
    pub listeners: Listeners,
    /// Where the records come from.
    pub kafka: Kafka,
    /// What clients get.
    #[serde(default)]
    pub stream: Stream,
    /// Who may connect. There is no default: leaving it out is an error, not an open stream.
    pub auth: Auth,
    /// What is open to the public.
    #[serde(default)]
    pub public_access: PublicAccess,
    /// Bounds on what clients may use.
    #[serde(default)]
    pub limits: Limits,
    /// How long a stopping gateway takes to send its clients elsewhere.
    #[serde(default = "default_drain_seconds")]
    pub drain_seconds: u32,
}

/// Addresses and TLS of the two listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Listeners {
    /// Clients.
    pub stream: SocketAddr,
    /// Probes, metrics, status.
    pub admin: SocketAddr,
    /// TLS on the stream listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            stream: (Ipv4Addr::UNSPECIFIED, endpoints::DEFAULT_STREAM_PORT).into(),
            admin: (Ipv4Addr::UNSPECIFIED, endpoints::DEFAULT_ADMIN_PORT).into(),
            tls: None,
        }
    }
}

/// PEM files; read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerTls {
    /// Certificate chain, leaf first.
    pub certificate_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// The Kafka side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// The topic to stream.
    pub topic: String,
    /// TLS to the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// SASL to the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
    /// Which records of transactions are seen.
    #[serde(default)]
    pub isolation: Isolation,
    /// Passed through to librdkafka under their own names. Passwords have files, in `kafka.sasl`.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

/// TLS to the brokers. No file at all means the system's certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the fields are named as they are written")]
pub struct KafkaTls {
    /// PEM bundle of the brokers' certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// PEM client key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// SASL to the brokers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSasl {
    /// Mechanism.
    pub mechanism: SaslMechanism,
    /// File with the user name.
    pub username_file: PathBuf,
    /// File with the password.
    pub password_file: PathBuf,
}

/// SASL mechanisms that a gateway can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// Kafka's name of it.
    pub const fn kafka_name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Kafka's `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum Isolation {
    /// Only committed records.
    #[default]
    ReadCommitted,
    /// Everything, at once.
    ReadUncommitted,
}

/// librdkafka properties. Values may be secret, so `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl Properties {
    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a client that negotiates nothing gets, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Stream {
    /// Format.
    pub format: Format,
    /// Where a client without a cursor begins.
    pub start: Start,
    /// CloudEvents `type` given to plain records.
    pub event_type: String,
    /// Enforced for everybody; every entry must match.
    pub filters: Vec<Filter>,
    /// Resume.
    pub replay: Replay,
    /// What happens to a client whose position leaves the log.
    pub slow_client: SlowClient,
    /// How long records may wait to share a write.
    pub max_delay_milliseconds: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            format: Format::default(),
            start: Start::default(),
            event_type: endpoints::DEFAULT_EVENT_TYPE.to_owned(),
            filters: Vec::new(),
            replay: Replay::default(),
            slow_client: SlowClient::default(),
            max_delay_milliseconds: 5,
        }
    }
}

/// Formats of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum Format {
    /// Structured JSON CloudEvents 1.0.
    #[default]
    CloudEvents,
    /// The record's value as it is.
    Raw,
    /// `{"topic":…,"payload":…}`.
    TopicPayload,
}

/// Where a client without a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum Start {
    /// With the next record.
    #[default]
    Latest,
    /// With the oldest record that Kafka still has.
    Earliest,
}

/// Bounds of resuming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Replay {
    /// Newest records kept in memory, and most bytes that a slow client may be behind.
    pub ring_bytes: u64,
    /// Most consumers that read older records from Kafka at the same time.
    pub max_concurrent: u32,
}

impl Default for Replay {
    fn default() -> Self {
        Self { ring_bytes: 16 * 1024 * 1024, max_concurrent: 32 }
    }
}

/// What happens to a client whose position leaves the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum SlowClient {
    /// Close with 1013; it resumes with its cursor.
    #[default]
    Disconnect,
    /// Go on with the oldest record of the log, after a gap message.
    SkipWithGap,
    /// Go on with the newest record, after a gap message.
    LatestOnly,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// Kinds of credentials that are accepted; `None` needs `publicAccess.anonymous: true`.
    pub mode: AuthMode,
    /// File with the digests of the API keys, in JSON; needed in the modes that accept keys. Its directory is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<PathBuf>,
    /// Whose tokens are accepted; there exactly in the modes that accept tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// File with the secret by which the gateways of one endpoint recognise each other's tickets. Absent: each gateway
    /// makes its own, and a ticket is good at the gateway that issued it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_key_file: Option<PathBuf>,
}

impl Auth {
    /// A mode without tokens.
    pub fn keys(mode: AuthMode, keys_file: Option<PathBuf>) -> Self {
        Self { mode, keys_file, oidc: None, ticket_key_file: None }
    }
}

/// Kinds of credentials that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum AuthMode {
    /// API keys.
    ApiKey,
    /// JSON Web Tokens of an OpenID Connect provider.
    #[serde(rename = "OIDC")]
    Oidc,
    /// Either.
    #[serde(rename = "ApiKeyOrOIDC")]
    ApiKeyOrOidc,
    /// None: only with `publicAccess.anonymous`.
    None,
}

/// What is open to the public.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PublicAccess {
    /// Anyone may read.
    pub anonymous: bool,
    /// Browser origins besides the gateway's own host: scheme, host and port, compared exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    /// Whether credentials may stand in the URL.
    pub query_credentials: QueryCredentials,
    /// The host under which clients reach the gateway. With it, a browser page counts as the gateway's own only at this
    /// host (or at an address or `localhost`, which nobody else can make a name of); without it, at whatever host a request
    /// names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Networks (CIDR, RFC 4632) of proxies whose `X-Forwarded-For` is believed; from others it is ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
}

/// Whether credentials may stand in the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum QueryCredentials {
    /// `?token=` and `?api_key=` are refused.
    #[default]
    Denied,
    /// For clients that can do nothing else.
    Allowed,
}

/// Bounds on what clients may use; [`bounds`] says what each may be. Zero switches the age limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of one gateway.
    pub max_connections: u32,
    /// Connections of one API key or user.
    pub max_connections_per_key: u32,
    /// Connections of one client address.
    pub max_connections_per_address: u32,
    /// Bytes of one client message.
    pub max_inbound_bytes: u32,
    /// New connections in one second.
    pub handshakes_per_second: u32,
    /// Silence after which a client counts as gone.
    pub idle_timeout_seconds: u32,
    /// Time between two pings.
    pub ping_seconds: u32,
    /// Age at which a connection is asked to come back, so that load spreads; 0 = never.
    pub max_connection_age_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 2000,
            max_connections_per_key: 500,
            max_connections_per_address: 200,
            max_inbound_bytes: 65_536,
            handshakes_per_second: 500,
            idle_timeout_seconds: 60,
            ping_seconds: 25,
            max_connection_age_seconds: 0,
        }
    }
}

const fn default_drain_seconds() -> u32 {
    30
}

/// When something ends, as the verifier file and frames write it.
pub type Expiry = Timestamp;
