//! `KafkaConnection`: a Kafka cluster, and who may use it for what.
//!
//! Owns the kind, which only the platform team writes: the one place where a Secret of a named namespace may be
//! referred to. Nothing is allowed that no entry allows.

use super::access::Exposure;
use super::kafka::SaslMechanism;
use super::reference::ca_crt;
use super::status::KafkaConnectionStatus;
use crate::types::{
    BootstrapServers, DataKey, HostnamePattern, NamespaceName, SecretName, SecretNameTemplate, TopicPattern,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the cluster is, how to log in, and who may use it for what.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "KafkaConnection",
    status = "KafkaConnectionStatus",
    derive = "PartialEq",
    shortname = "kconn",
    category = "streams",
    doc = "A Kafka cluster that the platform team offers, with the namespaces that may use it, for which topics, and within which guardrails.",
    printcolumn(
        name = "Servers",
        type_ = "string",
        json_path = ".spec.bootstrapServers",
        description = "Kafka brokers"
    ),
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = ".metadata.annotations.headgate\\.dev/default-connection",
        description = "Whether endpoints that name no connection use this one"
    ),
    printcolumn(
        name = "Endpoints",
        type_ = "integer",
        json_path = ".status.endpoints",
        description = "StreamEndpoints that use the connection"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether endpoints can use the connection now"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is ready or not",
        priority = 1
    ),
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must have at most 63 characters and no dots, because labels carry it; choose a shorter or simpler name")
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaConnectionSpec {
    /// Brokers as `host:port`, separated by commas.
    pub bootstrap_servers: BootstrapServers,
    /// Encrypts the connection to the cluster. `{}` trusts the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ConnectionTls>,
    /// Logs in to the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<ConnectionSasl>,
    /// Who may use the connection for what. Nothing is allowed that no entry allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub allowed: Vec<Allowed>,
}

/// TLS to the cluster.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTls {
    /// Secret with the certificates of the authority that signed the brokers' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<NamespacedCaSecretRef>,
    /// Secret with a client certificate: `tls.crt` and `tls.key`, or `user.crt` and `user.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret_ref: Option<NamespacedSecretRef>,
}

/// Log-in to the cluster.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSasl {
    /// How to log in: `Plain`, `ScramSha256`, `ScramSha512` or `OAuthBearer`.
    pub mechanism: SaslMechanism,
    /// Secret with `username` and `password`. Without `username`, the Secret's own name is the user, as Strimzi has it.
    /// For `OAuthBearer`: `clientId`, `clientSecret`, `tokenEndpoint` and, if needed, `scope`.
    pub credentials_secret_ref: NamespacedSecretRef,
}

/// A Secret.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedSecretRef {
    /// Namespace of the Secret.
    pub namespace: NamespaceName,
    /// Name of the Secret.
    pub name: SecretName,
}

/// One entry of a Secret: certificates in PEM.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedCaSecretRef {
    /// Namespace of the Secret.
    pub namespace: NamespaceName,
    /// Name of the Secret.
    pub name: SecretName,
    /// Entry with the certificates in PEM.
    #[serde(default = "ca_crt")]
    pub key: DataKey,
}

/// Who may use the connection for what.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// Namespaces that this entry is for.
    pub namespaces: NamespaceMatch,
    /// Topics that may be streamed. `*` and `?` are wildcards; `{namespace}` and `{app}` are filled in.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub topics: Vec<TopicPattern>,
    /// Topics that clients may publish to, written like `topics`. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub publish_topics: Vec<TopicPattern>,
    /// Secret with the credentials of that namespace's own Kafka user, of the same mechanism. Absent: those of the
    /// connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<NamespaceCredentialsRef>,
    /// What the endpoints of this entry may do. The defaults keep them within the cluster and closed.
    #[serde(default)]
    pub guardrails: Guardrails,
}

/// Which namespaces.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceMatch {
    /// Labels of the namespaces. `{}` is every namespace; `kubernetes.io/metadata.name` is a namespace's own name.
    pub selector: LabelSelector,
}

/// A Secret whose name is made from namespace and app.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceCredentialsRef {
    /// Namespace of the Secret.
    pub namespace: NamespaceName,
    /// Name of the Secret. `{namespace}` and `{app}` are filled in.
    pub name: SecretNameTemplate,
}

/// What endpoints may do.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default = "Guardrails::default")]
#[x_kube(validation = Rule::new("has(self.hostnames) || !self.exposures.exists(e, e in ['Gateway', 'Ingress'])")
    .message("exposures Gateway and Ingress need host names: list those that may be used in hostnames, or remove these exposures")
    .field_path(".hostnames"))]
pub struct Guardrails {
    /// StreamEndpoints that each namespace may have on this connection.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_endpoints: i32,
    /// Gateway pods that each StreamEndpoint may have.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas_per_endpoint: i32,
    /// Whether anonymous callers may read: `Forbidden` or `Allowed`.
    pub anonymous: AnonymousAccess,
    /// From where streams may be reached.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exposures: Vec<Exposure>,
    /// Host names that may be used. `*` stands for one label or part of it; `{namespace}` and `{app}` are filled in.
    /// Absent: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<HostnamePattern>,
}

impl Default for Guardrails {
    fn default() -> Self {
        Self {
            max_endpoints: 100,
            max_replicas_per_endpoint: 10,
            anonymous: AnonymousAccess::default(),
            exposures: vec![Exposure::ClusterLocal],
            hostnames: Vec::new(),
        }
    }
}

/// Whether anonymous callers may read.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AnonymousAccess {
    /// They may not.
    #[default]
    Forbidden,
    /// They may, where the endpoint says so.
    Allowed,
}
