//! What a `StreamEndpoint` points at, as data: whoever has a client reads it, and validation judges it.
//!
//! Must never read anything itself, and must never leave something out because it is forbidden: that decision is
//! [`validate`](crate::validate())'s, so that it is made in one place.

use headgate_crds::StreamEndpoint;
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::types::{BootstrapServers, HostnamePattern, Text, TopicPattern};
use headgate_crds::v1alpha1::{
    Allowed, AnonymousAccess, Exposure, Guardrails, KafkaConnection, KafkaConnectionSpec, NamespaceMatch,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
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
    /// StreamEndpoints of the same namespace that use the same connection and were there before this one: the guardrail
    /// `maxEndpoints` counts them, so that a new endpoint never takes the place of an older one.
    pub earlier_endpoints: u32,
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
        Self { namespace_labels: BTreeMap::new(), connections: vec![connection], earlier_endpoints: 0 }
    }
}
