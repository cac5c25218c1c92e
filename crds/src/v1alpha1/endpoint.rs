//! `StreamEndpoint`: the live stream of one app.
//!
//! Owns the kind, what kubectl shows of it, and the rules that cross its sections. Rules within a section are with the
//! section.

use super::{Auth, Kafka, Limits, Pod, PublicAccess, Stream, StreamEndpointStatus};
use crate::types::{AppName, TopicName};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What the stream is: which topic, who may read it, and from where.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "StreamEndpoint",
    namespaced,
    status = "StreamEndpointStatus",
    derive = "PartialEq",
    shortname = "sep",
    category = "streams",
    doc = "The live stream of one app: gateway pods that stream a Kafka topic to browsers, devices and services over WebSocket.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.app",
    selectable = ".spec.topic",
    printcolumn(name = "App", type_ = "string", json_path = ".spec.app", description = "Name of the app"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.topic", description = "Kafka topic that is streamed"),
    printcolumn(name = "Auth", type_ = "string", json_path = ".spec.auth.mode", description = "How clients prove who they are"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", description = "Where clients connect"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether a client can connect now"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.replicas",
        description = "Gateway pods",
        priority = 1
    ),
    printcolumn(
        name = "Keys",
        type_ = "integer",
        json_path = ".status.activeKeys",
        description = "API keys that are accepted now",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is ready or not",
        priority = 1
    ),
    validation = Rule::new("self.metadata.name.size() <= 38")
        .message("metadata.name must have at most 38 characters, so that the names of its pods are never cut; choose a shorter name"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must begin with a letter and contain only lower-case letters, digits and '-', because a Service is named after it; dots are not possible"),
    validation = Rule::new("!self.metadata.name.contains('-key-') && !self.metadata.name.endsWith('-key')")
        .message("metadata.name must not contain '-key-' or end in '-key', which mark the Secrets of keys; choose another name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.auth.mode != 'None' || self.publicAccess.anonymous")
        .message("auth.mode None lets everybody read: confirm it with publicAccess.anonymous: true, or choose ApiKey or OIDC")
        .field_path(".auth.mode"),
    validation = Rule::new("self.auth.mode != 'None' || !has(self.stream.publish)")
        .message("anonymous callers never publish, so that nobody could: choose an auth.mode with credentials, or remove stream.publish")
        .field_path(".stream.publish"),
    validation = Rule::new("has(self.stream.publish) || !has(self.auth.apiKeys) || self.auth.apiKeys.all(k, !('Publish' in k.permissions))")
        .message("a key has the permission Publish, but the stream is read-only: remove the permission, or set stream.publish.topic where gateways offer it")
        .field_path(".auth.apiKeys"),
    validation = Rule::new("!self.publicAccess.anonymous || !has(self.auth.oidc) || !has(self.auth.oidc.filters)")
        .message("auth.oidc.filters limit what a caller sees, but anonymous callers would see everything: set publicAccess.anonymous: false, or remove the filters")
        .field_path(".publicAccess.anonymous"),
    validation = Rule::new("!self.publicAccess.anonymous || !has(self.auth.apiKeys) || self.auth.apiKeys.all(k, !has(k.filters))")
        .message("a key has filters, which limit what its holder sees, but anonymous callers would see everything: set publicAccess.anonymous: false, or remove the filters of the keys")
        .field_path(".publicAccess.anonymous")
)]
pub struct StreamEndpointSpec {
    /// Name of the app, and path of its stream: `orders` is served at `/orders`. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("app cannot be changed, because clients and keys belong to it: create another StreamEndpoint"))]
    pub app: AppName,
    /// Kafka topic that is streamed. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("topic cannot be changed, because the positions of clients belong to it: create another StreamEndpoint"))]
    pub topic: TopicName,
    /// Where Kafka is. Nothing here means the KafkaConnection that is marked as default.
    #[serde(default)]
    pub kafka: Kafka,
    /// What clients get, and from where on.
    #[serde(default)]
    pub stream: Stream,
    /// How clients prove who they are.
    pub auth: Auth,
    /// From where the stream can be reached, and what needs no credentials.
    #[serde(default)]
    pub public_access: PublicAccess,
    /// Limits of each gateway pod.
    #[serde(default)]
    pub limits: Limits,
    /// Number of gateway pods. An autoscaler targets the StreamEndpoint, never its Deployment.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// How long a gateway pod that has to stop takes to close its connections, spread evenly, so that clients do not all
    /// reconnect at once.
    #[serde(default = "thirty")]
    #[schemars(range(min = 1, max = 900))]
    pub drain_seconds: i32,
    /// Stops all gateway pods and keeps everything else: keys, names and routes.
    #[serde(default)]
    pub stopped: bool,
    /// What is added to the gateway pods.
    #[serde(default)]
    pub pod: Pod,
}

fn one() -> i32 {
    1
}

fn thirty() -> i32 {
    30
}
