//! `spec.kafka`: which cluster, and how to log in.
//!
//! Owns the section. Must never name another namespace: every Secret here is in the endpoint's own.

use super::reference::{CaSecretRef, ConnectionRef, SecretRef};
use crate::types::BootstrapServers;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where Kafka is, and how to log in.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default = "Kafka::default")]
#[x_kube(
    validation = Rule::new("!has(self.connectionRef) || !has(self.bootstrapServers)")
        .message("connectionRef and bootstrapServers name two clusters: keep one of them"),
    validation = Rule::new("!has(self.tls) || has(self.bootstrapServers)")
        .message("tls belongs to a cluster of your own: set bootstrapServers too, or remove tls, because a KafkaConnection brings its own")
        .field_path(".tls"),
    validation = Rule::new("!has(self.sasl) || has(self.bootstrapServers)")
        .message("sasl belongs to a cluster of your own: set bootstrapServers too, or remove sasl, because a KafkaConnection brings its own")
        .field_path(".sasl")
)]
pub struct Kafka {
    /// KafkaConnection of the platform team. Absent, and without `bootstrapServers`: the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_ref: Option<ConnectionRef>,
    /// Brokers of a cluster of your own, as `host:port`, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers: Option<BootstrapServers>,
    /// Encrypts the connection to `bootstrapServers`. `{}` trusts the public authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// Logs in to `bootstrapServers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,
    /// Whether records of transactions that are still open or were aborted are streamed: `ReadCommitted` or
    /// `ReadUncommitted`.
    pub isolation: Isolation,
}

/// Which records of transactions are read.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Isolation {
    /// Only records of committed transactions.
    #[default]
    ReadCommitted,
    /// Every record.
    ReadUncommitted,
}

/// TLS to a cluster of the endpoint's own.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Secret with the certificates of the authority that signed the brokers' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
    /// Secret with a client certificate: `tls.crt` and `tls.key`, or `user.crt` and `user.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret_ref: Option<SecretRef>,
}

/// Log-in to a cluster of the endpoint's own.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSasl {
    /// How to log in: `Plain`, `ScramSha256`, `ScramSha512` or `OAuthBearer`.
    pub mechanism: SaslMechanism,
    /// Secret with `username` and `password`. Without `username`, the Secret's own name is the user, as Strimzi has it.
    /// For `OAuthBearer`: `clientId`, `clientSecret`, `tokenEndpoint` and, if needed, `scope`.
    pub credentials_secret_ref: SecretRef,
}

/// A SASL mechanism.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// User and password as they are.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
    /// A token from an OAuth 2 server, fetched with client credentials.
    OAuthBearer,
}

impl SaslMechanism {
    /// The name that Kafka uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}
