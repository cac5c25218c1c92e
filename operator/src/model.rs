//! An endpoint that has been validated: what builders may trust.
//!
//! Owns the shape. Every value is within its limits, every default is filled in, every reference is resolved; a section
//! that the gateway takes as it is has the gateway's own type. Only [`validate`](crate::validate()) makes one.

use crate::credentials::KafkaFiles;
use headgate_crds::types::{
    AppName, BootstrapServers, DataKey, EndpointName, Hostname, KeyName, NamespaceName, ObjectName, SecretName,
    TopicName,
};
use headgate_crds::v1alpha1::{ParentRef, Pod};
use headgate_wire::Filter;
use headgate_wire::config::{Expiry, Isolation, Limits, Oidc, PublicAccess, SaslMechanism, Stream};
use headgate_wire::key::{KeyDigest, Permission};
use std::collections::BTreeSet;
use std::fmt;

/// The live stream of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Name, from which the names of all children can be made.
    pub name: EndpointName,
    /// Namespace of the endpoint and of all its children.
    pub namespace: NamespaceName,
    /// `metadata.uid`, by which children say whose they are; empty outside a cluster.
    pub uid: String,
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
    /// Certificate that gateway pods present to clients; absent where something before them does, or nothing.
    pub certificate: Option<Certificate>,
    /// From where the stream can be reached.
    pub exposure: Exposure,
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// How long a stopping gateway takes to send its clients elsewhere.
    pub drain_seconds: u32,
    /// Number of gateway pods; 0 while stopped.
    pub replicas: u32,
    /// Whether the endpoint is stopped on purpose.
    pub stopped: bool,
    /// What is added to the gateway pods.
    pub pod: Pod,
    /// When keys that Headgate issues are replaced; absent = only when it is asked for.
    pub rotation: Option<Rotation>,
}

/// From where the stream can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Within the cluster.
    ClusterLocal,
    /// Through an HTTPRoute of the Gateway API.
    Gateway {
        /// DNS name of the stream.
        hostname: Hostname,
        /// Gateways, or listeners of them, without repetitions: at least one.
        parents: Vec<ParentRef>,
    },
    /// Through an Ingress.
    Ingress {
        /// DNS name of the stream.
        hostname: Hostname,
        /// Class of the Ingress; absent = the cluster's default.
        class: Option<ObjectName>,
        /// Secret with the certificate that the Ingress presents; absent = in clear.
        tls_secret: Option<SecretName>,
    },
    /// Through a Service of type LoadBalancer.
    LoadBalancer {
        /// DNS name of the stream, if it has one.
        hostname: Option<Hostname>,
    },
}

/// A certificate that gateway pods present to clients, in the endpoint's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Secret with `tls.crt` and `tls.key`.
    pub secret: SecretName,
    /// Digest of the certificate, without its key, so that a renewal can be told; absent where nobody read the Secret.
    pub digest: Option<String>,
}

/// When keys that Headgate issues are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Age at which a key is replaced.
    pub after_seconds: u32,
    /// How long the previous key is accepted beside the new one; less than `after_seconds`.
    pub overlap_seconds: u32,
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
    /// What gateway pods log in with; empty where nobody read Secrets, or where there is no log-in.
    pub files: KafkaFiles,
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
    /// Secret with user and password.
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
    /// With a token.
    Tokens(Tokens),
    /// With one of these keys, of which there is at least one, or with a token.
    ApiKeysOrTokens(Vec<Key>, Tokens),
    /// Not at all; then everybody may read.
    Anonymous,
}

impl Authentication {
    /// The keys; none where no key is accepted.
    pub fn keys(&self) -> &[Key] {
        match self {
            Self::ApiKeys(keys) | Self::ApiKeysOrTokens(keys, _) => keys,
            Self::Tokens(_) | Self::Anonymous => &[],
        }
    }

    /// What is known of tokens, where they are accepted.
    pub fn tokens(&self) -> Option<&Tokens> {
        match self {
            Self::Tokens(tokens) | Self::ApiKeysOrTokens(_, tokens) => Some(tokens),
            Self::ApiKeys(_) | Self::Anonymous => None,
        }
    }

    /// Whether gateways issue tickets: where nobody has credentials, there is nothing to exchange for one.
    pub fn has_tickets(&self) -> bool {
        !matches!(self, Self::Anonymous)
    }
}

/// Whose tokens are accepted, and what they are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The rules, as gateways read them, but for the files: builders place those.
    pub rules: Oidc,
    /// Where the issuer's keys come from.
    pub keys: TokenKeys,
    /// Certificates of the provider's authority; absent = the public authorities, or nobody read the Secret.
    pub authority: Option<Certificates>,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKeys {
    /// Gateways ask the provider (OpenID Connect Discovery 1.0).
    Discovered,
    /// The cluster's own API server issues the tokens: its JSON Web Key Set, absent where nobody asked for it.
    Cluster(Option<String>),
}

impl TokenKeys {
    /// Whether the cluster itself issues the tokens.
    pub const fn is_a_clusters(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// Certificates in PEM. They are public, but what else somebody has put beside them need not be.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates(pub Vec<u8>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(…)")
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
    /// What limits its holders, besides the filters of the stream.
    pub filters: Vec<Filter>,
}
