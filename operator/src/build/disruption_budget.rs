//! The PodDisruptionBudget: pods leave one after the other when nodes are drained.

use super::metadata;
use crate::model::Endpoint;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The budget, if there is more than one pod: with one, it could only keep a node from ever being drained, or allow what
/// is allowed anyway. Pods that are not ready never keep a node from being drained.
pub(super) fn disruption_budget(endpoint: &Endpoint) -> Option<PodDisruptionBudget> {
    (endpoint.replicas > 1).then(|| PodDisruptionBudget {
        metadata: metadata::gateway(endpoint),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            min_available: None,
            selector: Some(metadata::selector(endpoint)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    })
}
