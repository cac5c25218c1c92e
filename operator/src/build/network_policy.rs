//! The NetworkPolicy: clients reach the stream port, and only the operator and who the installation names the admin port.
//!
//! Must never restrict what pods connect to: where Kafka's brokers are is not known here.

use super::metadata;
use crate::model::Endpoint;
use crate::settings::{NetworkPolicySettings, Settings};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

/// Label that the API server puts on every namespace: its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The policy, if the installation has policies.
pub(super) fn network_policy(endpoint: &Endpoint, settings: &Settings) -> Option<NetworkPolicy> {
    let policy = settings.network_policy.as_ref()?;
    let clients = NetworkPolicyIngressRule { from: None, ports: Some(vec![port(settings.stream.port())]) };
    let admin = NetworkPolicyIngressRule {
        from: Some(vec![admin_namespaces(policy)]),
        ports: Some(vec![port(settings.admin.port())]),
    };
    Some(NetworkPolicy {
        metadata: metadata::gateway(endpoint),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(metadata::selector(endpoint)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![clients, admin]),
            egress: None,
        }),
    })
}

fn port(number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(IntOrString::Int(number.into())), end_port: None, protocol: Some("TCP".to_owned()) }
}

fn admin_namespaces(policy: &NetworkPolicySettings) -> NetworkPolicyPeer {
    let names: BTreeSet<&String> = policy.admin_namespaces.iter().chain([&policy.operator_namespace]).collect();
    let requirement = LabelSelectorRequirement {
        key: NAMESPACE_NAME.to_owned(),
        operator: "In".to_owned(),
        values: Some(names.into_iter().filter(|name| !name.is_empty()).cloned().collect()),
    };
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: None, match_expressions: Some(vec![requirement]) }),
        ..NetworkPolicyPeer::default()
    }
}
