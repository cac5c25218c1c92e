//! What running gateway pods are told through their annotations.
//!
//! Owns which annotations a pod needs. Pure. A change of any annotation makes the kubelet refresh the pod's volumes at
//! once instead of within a minute, so that a revoked key ends within seconds.

use crate::probe::GatewayPod;
use serde_json::{Map, Value};

/// Annotation of the running pods: hash of what they reload; a new value makes the kubelet refresh their volumes.
pub(super) use headgate_crds::names::ANNOTATION_RELOAD_HASH as RELOAD_HASH;
/// Annotation by which the ReplicaSet chooses the pod to delete: the cheapest first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The annotations that this pod lacks; `None` if it has them all.
pub(super) fn wanted(pod: &GatewayPod, reload_hash: &str, replicas: i32) -> Option<Value> {
    if pod.terminating {
        return None;
    }
    let mut annotations = Map::new();
    if pod.reload_hash.as_deref() != Some(reload_hash) {
        annotations.insert(RELOAD_HASH.to_owned(), reload_hash.into());
    }
    // With one pod there is nothing to choose, except while it is being replaced, when the old one goes anyway.
    if let Some(report) = pod.report.as_ref().filter(|_| replicas > 1) {
        let cost = cost(report.connections).to_string();
        if pod.deletion_cost.as_deref().unwrap_or("0") != cost {
            annotations.insert(DELETION_COST.to_owned(), cost.into());
        }
    }
    (!annotations.is_empty()).then_some(Value::Object(annotations))
}

/// Connections, rounded up to a power of two, so that not every client that comes or goes is a write.
fn cost(connections: u64) -> i32 {
    let rounded = if connections == 0 { 0 } else { connections.checked_next_power_of_two().unwrap_or(u64::MAX) };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::PodReport;
    use serde_json::json;

    fn pod(connections: u64) -> GatewayPod {
        let report =
            PodReport { kafka_state: "Reading".to_owned(), kafka_reason: None, provider_problem: None, connections };
        GatewayPod {
            name: "orders-gateway-1".to_owned(),
            uid: "1".to_owned(),
            ready: true,
            terminating: false,
            template_hash: None,
            config_hash: None,
            reload_hash: Some("new".to_owned()),
            deletion_cost: None,
            waiting: None,
            admin: None,
            report: Some(report),
        }
    }

    #[test]
    fn a_pod_that_knows_everything_is_left_alone() {
        assert_eq!(wanted(&pod(0), "new", 3), None);
        assert_eq!(wanted(&GatewayPod { deletion_cost: Some("8".to_owned()), ..pod(5) }, "new", 3), None);
    }

    #[test]
    fn new_content_reaches_every_pod_that_is_not_going_away() {
        for old in [None, Some("old".to_owned())] {
            let pod = GatewayPod { reload_hash: old, ..pod(0) };
            assert_eq!(wanted(&pod, "new", 1), Some(json!({RELOAD_HASH: "new"})));
            assert_eq!(wanted(&GatewayPod { terminating: true, ..pod }, "new", 1), None);
        }
    }

    #[test]
    fn a_pod_costs_its_connections_where_another_could_go_instead() {
        assert_eq!(wanted(&pod(5), "new", 2), Some(json!({DELETION_COST: "8"})));
        assert_eq!(wanted(&pod(5), "new", 1), None);
        assert_eq!(wanted(&GatewayPod { report: None, ..pod(5) }, "new", 2), None);
        assert_eq!(cost(u64::MAX), i32::MAX);
    }
}
