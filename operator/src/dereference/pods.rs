//! The gateway pods of an endpoint: as the API server has them, and as they describe themselves.
//!
//! Owns which pods are asked. Must never take a pod for ours because of its labels, which anybody in the namespace can set.

use super::Own;
use crate::api_server::RequestError;
use crate::controller::Context;
use crate::probe::{GatewayPod, PodReport};
use futures_util::{StreamExt as _, stream};
use headgate_crds::names;
use headgate_wire::endpoints::DEFAULT_ADMIN_PORT;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::ResourceExt as _;
use kube::api::ListParams;
use std::net::{IpAddr, SocketAddr};

/// Pods of one endpoint that are asked at once.
pub(crate) const MAX_ASKED: usize = 16;
/// Label that the Deployment gives the pods of one template.
const LABEL_TEMPLATE_HASH: &str = "pod-template-hash";
/// See the annotation's name.
const ANNOTATION_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Reads the pods and asks each of them.
pub(super) async fn read(own: &Own<'_>) -> Result<Vec<GatewayPod>, RequestError> {
    let selector = ListParams::default().labels(&names::selector_text(&own.name));
    let read = own.api::<Pod>().list(&selector).await.map_err(|error| RequestError::new("list", "Pods", &error))?;
    let gateway = names::gateway(&own.name);
    let pods = read.items.into_iter().filter(|pod| is_of(pod, &gateway)).map(|pod| gateway_pod(&pod));
    let app = own.endpoint.spec.app.as_str();
    let asked = stream::iter(pods.collect::<Vec<_>>()).map(async |pod: GatewayPod| {
        let report = match pod.admin {
            Some(address) => ask(own.context, address, app).await,
            None => None,
        };
        GatewayPod { report, ..pod }
    });
    Ok(asked.buffered(MAX_ASKED).collect().await)
}

/// What the pod at this address says; `None` if it says nothing.
pub(crate) async fn ask(context: &Context, address: SocketAddr, app: &str) -> Option<PodReport> {
    match context.probe.ask(address, app).await {
        Ok(report) => Some(report),
        Err(error) => {
            tracing::debug!(%error, "a gateway pod did not tell its state");
            context.metrics.probe_failed(error.failure());
            None
        }
    }
}

/// Whether the pod was made for the Deployment: its controller is one of the ReplicaSets that a Deployment names.
fn is_of(pod: &Pod, deployment: &str) -> bool {
    let mut owners = pod.owner_references().iter();
    owners.any(|owner| {
        let template = owner.name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
        owner.controller == Some(true) && owner.kind == "ReplicaSet" && template.is_some_and(|t| !t.contains('-'))
    })
}

fn gateway_pod(pod: &Pod) -> GatewayPod {
    let annotation = |name: &str| pod.annotations().get(name).cloned();
    let status = pod.status.as_ref();
    GatewayPod {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        ready: status.is_some_and(is_ready),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        template_hash: pod.labels().get(LABEL_TEMPLATE_HASH).cloned(),
        config_hash: annotation(names::ANNOTATION_CONFIG_HASH),
        reload_hash: annotation(names::ANNOTATION_RELOAD_HASH),
        deletion_cost: annotation(ANNOTATION_DELETION_COST),
        waiting: status.and_then(waiting),
        admin: status.and_then(admin),
        report: None,
    }
}

fn is_ready(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why its container does not run. Without a container yet, why it has no node.
fn waiting(status: &PodStatus) -> Option<String> {
    let reason = |container: &ContainerStatus| container.state.as_ref()?.waiting.as_ref()?.reason.clone();
    let scheduled = || {
        let mut conditions = status.conditions.iter().flatten();
        conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?.reason.clone()
    };
    status.container_statuses.iter().flatten().find_map(reason).or_else(scheduled)
}

/// Where the pod can be asked, while it runs.
fn admin(status: &PodStatus) -> Option<SocketAddr> {
    let address: IpAddr = status.pod_ip.as_ref()?.parse().ok()?;
    let runs = status
        .container_statuses
        .iter()
        .flatten()
        .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()));
    runs.then_some(SocketAddr::new(address, DEFAULT_ADMIN_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> serde_json::Value {
        json!({
            "metadata": {
                "name": "orders-gateway-5d9c-x7", "uid": "1",
                "labels": {"pod-template-hash": "5d9c"},
                "annotations": {names::ANNOTATION_RELOAD_HASH: "r", names::ANNOTATION_CONFIG_HASH: "c"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "orders-gateway-5d9c", "uid": "2",
                    "controller": true,
                }],
            },
            "status": {
                "podIP": "10.0.0.7",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{
                    "name": "gateway", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"running": {}},
                }],
            },
        })
    }

    fn read(pod: serde_json::Value) -> Pod {
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn only_pods_of_the_endpoints_deployment_are_gateway_pods() {
        assert!(is_of(&read(pod()), "orders-gateway"));
        assert!(!is_of(&read(pod()), "orders"), "another Deployment, whose name is the beginning of ours");
        for (field, value) in [("kind", json!("Job")), ("name", json!("other-5d9c")), ("controller", json!(false))] {
            let mut pod = pod();
            pod["metadata"]["ownerReferences"][0][field] = value;
            assert!(!is_of(&read(pod), "orders-gateway"), "{field}");
        }
    }

    #[test]
    fn a_running_pod_is_asked_at_its_admin_port() {
        let pod = gateway_pod(&read(pod()));
        assert_eq!(pod.admin, Some(([10, 0, 0, 7], DEFAULT_ADMIN_PORT).into()));
        assert!(pod.ready && !pod.terminating && pod.waiting.is_none());
        assert_eq!((pod.reload_hash.as_deref(), pod.template_hash.as_deref()), (Some("r"), Some("5d9c")));
    }

    #[test]
    fn a_pod_that_does_not_run_is_not_asked_and_says_why() {
        let mut pod = pod();
        pod["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": "ImagePullBackOff"}});
        let pod = gateway_pod(&read(pod));
        assert_eq!((pod.admin, pod.waiting.as_deref()), (None, Some("ImagePullBackOff")));
    }
}
