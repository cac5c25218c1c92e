//! What a `StreamEndpoint` points at, as data: whoever has a client reads it, and validation judges it.
//!
//! Must never read anything itself, and must never leave something out because it is forbidden: that decision is
//! [`validate`](crate::validate())'s, so that it is made in one place.

use crate::cluster_tokens::{ClusterTokens, Unusable};
use crate::credentials::Secrets;
use headgate_crds::StreamEndpoint;
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::types::{BootstrapServers, HostnamePattern, Text, TopicPattern};
use headgate_crds::v1alpha1::{
    Allowed, AnonymousAccess, Exposure, Guardrails, KafkaConnection, KafkaConnectionSpec, NamespaceMatch,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use std::collections::BTreeMap;

/// Name of the connection of an endpoint that names none, where everything is allowed.
const UNRESTRICTED_CONNECTION: &str = "unrestricted";

/// Everything outside the endpoint on which its validity depends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct References {
    /// Labels of the endpoint's namespace, with `kubernetes.io/metadata.name`, which the API server adds.
    pub namespace_labels: BTreeMap<String, String>,
    /// At least the connection that the endpoint names, or else all that are marked as default. More do no harm.
    pub connections: Vec<KafkaConnection>,
    /// The Secrets that [`wanted_secrets`](crate::validate::wanted_secrets) names; absent = nobody looked, as in dev mode,
    /// and then their presence is not judged.
    pub secrets: Option<Secrets>,
    /// Who issues the tokens of the cluster's own ServiceAccounts, or why they cannot be checked; absent = nobody looked,
    /// because the endpoint takes none, or in dev mode, and then it is not judged.
    pub cluster_tokens: Option<Result<ClusterTokens, Unusable>>,
    /// Every endpoint that came before this one, in any namespace: an older one keeps its place, its app and its host
    /// name.
    pub earlier: Vec<Neighbour>,
}

/// What another endpoint has taken, so that this one cannot have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its app.
    pub app: String,
    /// DNS name of its stream, if it has one.
    pub hostname: Option<String>,
    /// From where its stream can be reached.
    pub exposure: Exposure,
    /// The `KafkaConnection` that it names.
    pub connection: Option<String>,
    /// Whether it brings a cluster of its own, and so uses no connection.
    pub own_cluster: bool,
    /// Whether its own status says that the platform team does not allow it: then it has no claim to app and host name,
    /// or anybody could keep others from theirs by an endpoint that never runs.
    pub refused: bool,
}

impl References {
    /// For somebody who is app team and platform team at once, as in dev mode: the connection that the endpoint asks for
    /// is there, in clear and without log-in, and allows it whatever it wants.
    pub fn unrestricted(endpoint: &StreamEndpoint, bootstrap_servers: BootstrapServers) -> Self {
        let everything = || vec![TopicPattern::unchecked("*".to_owned())];
        let hostname = endpoint.spec.public_access.hostname.as_deref();
        let allowed = Allowed {
            namespaces: NamespaceMatch { selector: LabelSelector::default() },
            topics: everything(),
            publish_topics: everything(),
            credentials_secret_ref: None,
            guardrails: Guardrails {
                max_endpoints: i32::MAX,
                max_replicas_per_endpoint: i32::MAX,
                anonymous: AnonymousAccess::Allowed,
                exposures: vec![Exposure::ClusterLocal, Exposure::Gateway, Exposure::Ingress, Exposure::LoadBalancer],
                // A wildcard stands for one label only, so that no pattern fits every host name.
                hostnames: hostname.map(|name| HostnamePattern::unchecked(name.to_owned())).into_iter().collect(),
            },
        };
        let spec = KafkaConnectionSpec { bootstrap_servers, tls: None, sasl: None, allowed: vec![allowed] };
        let name = endpoint.spec.kafka.connection_ref.as_ref().map_or(UNRESTRICTED_CONNECTION, |c| c.name.as_str());
        let mut connection = KafkaConnection::new(name, spec);
        connection.metadata.annotations =
            Some(BTreeMap::from([(ANNOTATION_DEFAULT_CONNECTION.to_owned(), "true".to_owned())]));
        Self { namespace_labels: BTreeMap::new(), connections: vec![connection], ..Self::default() }
    }
}

/// The endpoints among `all` that came before this one: by creation, then by name. One that is being deleted counts until
/// it is gone, because its children do.
pub fn neighbours(endpoint: &StreamEndpoint, all: &[StreamEndpoint]) -> Vec<Neighbour> {
    let own = age(endpoint);
    all.iter().filter(|other| age(other) < own).map(neighbour).collect()
}

/// Sorts the older before the younger. An object that no API server has stored is the youngest.
fn age(endpoint: &StreamEndpoint) -> (bool, Option<&Time>, Option<&str>, Option<&str>) {
    let metadata = &endpoint.metadata;
    let created = metadata.creation_timestamp.as_ref();
    (created.is_none(), created, metadata.namespace.as_deref(), metadata.name.as_deref())
}

fn neighbour(endpoint: &StreamEndpoint) -> Neighbour {
    let spec = &endpoint.spec;
    Neighbour {
        namespace: endpoint.metadata.namespace.clone().unwrap_or_default(),
        name: endpoint.metadata.name.clone().unwrap_or_default(),
        app: spec.app.to_string(),
        hostname: spec.public_access.hostname.as_ref().map(ToString::to_string),
        exposure: spec.public_access.exposure,
        connection: spec.kafka.connection_ref.as_ref().map(|connection| connection.name.to_string()),
        own_cluster: spec.kafka.bootstrap_servers.is_some(),
        refused: refused(endpoint),
    }
}

fn refused(endpoint: &StreamEndpoint) -> bool {
    let conditions = endpoint.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == ConditionType::Ready.as_str());
    ready.any(|condition| Reason::parse(&condition.reason).is_some_and(Reason::withdraws))
}

#[cfg(test)]
mod tests;
