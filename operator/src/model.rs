//! An endpoint that has been validated: what builders may trust.
//!
//! Owns the shape. Every value is within its limits, every default is filled in, every reference is resolved; a section
//! that the gateway takes as it is has the gateway's own type. Only [`validate`](crate::validate()) makes one.

use headgate_crds::types::{
    AppName, BootstrapServers, DataKey, EndpointName, KeyName, NamespaceName, SecretName, TopicName,
};
use headgate_wire::config::{Expiry, Isolation, Limits, PublicAccess, SaslMechanism, Stream};
use headgate_wire::key::{KeyDigest, Permission};
use std::collections::BTreeSet;

/// The live stream of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Name, from which the names of all children can be made.
    pub name: EndpointName,
    /// Namespace of the endpoint and of all its children.
    pub namespace: NamespaceName,
    /// First path segment of the stream.
    pub app: AppName,
    /// Where the records come from.
    pub kafka: Kafka,
    /// What clients get.
    pub stream: Stream,
    /// Who may connect.
    pub auth: Authentication,
    /// What is open to the public.
    pub public_access: PublicAccess,
    /// Secret with the certificate that gateway pods present to clients; absent where something before them does.
    pub certificate: Option<SecretName>,
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// How long a stopping gateway takes to send its clients elsewhere.
    pub drain_seconds: u32,
}

/// The cluster and the topic, whoever named them: the endpoint itself or a `KafkaConnection`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers.
    pub bootstrap_servers: BootstrapServers,
    /// The topic to stream.
    pub topic: TopicName,
    /// TLS to the brokers; absent = in clear.
    pub tls: Option<KafkaTls>,
    /// Log-in to the brokers; absent = none, or by client certificate.
    pub sasl: Option<KafkaSasl>,
    /// Which records of transactions are seen.
    pub isolation: Isolation,
}

/// TLS to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTls {
    /// Certificates of the brokers' authority; absent = the public authorities.
    pub authority: Option<SecretEntry>,
    /// Client certificate.
    pub client_certificate: Option<SecretLocation>,
}

/// SASL to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    /// Mechanism.
    pub mechanism: SaslMechanism,
    /// Secret with `password` and perhaps `username`.
    pub credentials: SecretLocation,
}

/// A Secret: in the endpoint's own namespace, or where a `KafkaConnection` says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretLocation {
    /// Namespace of the Secret.
    pub namespace: NamespaceName,
    /// Name of the Secret.
    pub name: SecretName,
}

/// One entry of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEntry {
    /// The Secret.
    pub secret: SecretLocation,
    /// The entry.
    pub key: DataKey,
}

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Authentication {
    /// With one of these keys, of which there is at least one.
    ApiKeys(Vec<Key>),
    /// Not at all; then everybody may read.
    Anonymous,
}

impl Authentication {
    /// The keys; none where everybody is anonymous.
    pub fn keys(&self) -> &[Key] {
        match self {
            Self::ApiKeys(keys) => keys,
            Self::Anonymous => &[],
        }
    }
}

/// One API key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Name within the endpoint.
    pub name: KeyName,
    /// What the key allows; at least one.
    pub permissions: BTreeSet<Permission>,
    /// End of its life.
    pub expires_at: Option<Expiry>,
    /// Digest of a key that its owner made; absent = Headgate issues the key.
    pub digest: Option<KeyDigest>,
}
