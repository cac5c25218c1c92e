//! What makes pods of Deployments: their controller, the scheduler and the kubelet in one, at one instant.
//!
//! Owns ReplicaSets, pods and the status of Deployments. Must never act by itself: tests say when, and how well the pods
//! do. A real rollout takes time in steps; this one is done or stuck.

use std::net::Ipv4Addr;

use anyhow::Result;
use serde_json::{Value, json};

use super::ApiServer;

/// How the pods do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// They are ready.
    Ready,
    /// They run and are not ready.
    NotReady,
}

/// Brings pods and status of every Deployment to what their specs ask for. The pods have this address.
pub fn settle(server: &ApiServer, address: Ipv4Addr, health: Health) -> Result<()> {
    server.collect_garbage();
    for deployment in server.list("Deployment", "") {
        settle_one(server, &deployment, address, health)?;
    }
    Ok(())
}

fn settle_one(server: &ApiServer, deployment: &Value, address: Ipv4Addr, health: Health) -> Result<()> {
    let (name, namespace) = (text(deployment, "name"), text(deployment, "namespace"));
    let template = &deployment["spec"]["template"];
    let set = replica_set(server, deployment)?;
    let hash = text(&set, "name").trim_start_matches(&format!("{name}-")).to_owned();
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    for pod in server.list("Pod", &namespace) {
        let of_us = pod["metadata"]["labels"]["pod-template-hash"].is_string()
            && text(&pod, "name").starts_with(&format!("{name}-"));
        let kept = (0..wanted).any(|index| text(&pod, "name") == format!("{name}-{hash}-{index}"));
        if of_us && !kept {
            server.remove("Pod", &namespace, &text(&pod, "name"));
        }
    }
    for index in 0..wanted {
        let pod_name = format!("{name}-{hash}-{index}");
        let mut pod = match server.get("Pod", &namespace, &pod_name) {
            Some(pod) => pod,
            None => new_pod(template, &set, &namespace, &pod_name),
        };
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove("managedFields"));
        pod["status"] = pod_status(address, health);
        server.put(pod)?;
    }
    let status = deployment_status(deployment, wanted, health);
    server.edit("Deployment", &namespace, &name, |deployment| deployment["status"] = status)?;
    Ok(())
}

fn replica_set(server: &ApiServer, deployment: &Value) -> Result<Value> {
    let (name, namespace) = (text(deployment, "name"), text(deployment, "namespace"));
    let mut template = deployment["spec"]["template"].clone();
    let hash = hash_of(&template);
    if let Some(set) = server.get("ReplicaSet", &namespace, &format!("{name}-{hash}")) {
        return Ok(set);
    }
    template["metadata"]["labels"]["pod-template-hash"] = hash.clone().into();
    let owner = owner_reference(deployment);
    server.put(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{name}-{hash}"), "namespace": namespace, "ownerReferences": [owner]},
        "spec": {"selector": deployment["spec"]["selector"], "template": template},
    }))
}

fn new_pod(template: &Value, set: &Value, namespace: &str, name: &str) -> Value {
    let mut metadata = template["metadata"].clone();
    metadata["labels"]["pod-template-hash"] =
        set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"].clone();
    metadata["name"] = name.into();
    metadata["namespace"] = namespace.into();
    metadata["ownerReferences"] = json!([owner_reference(set)]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn pod_status(address: Ipv4Addr, health: Health) -> Value {
    let ready = if health == Health::Ready { "True" } else { "False" };
    let address = address.to_string();
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    let container = json!({
        "name": "gateway", "image": "", "imageID": "", "ready": health == Health::Ready, "started": true, "restartCount": 0,
        "state": {"running": {}},
    });
    json!({
        "containerStatuses": [container],
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "192.0.2.1",
        "conditions": [condition("PodScheduled", "True"), condition("ContainersReady", ready), condition("Ready", ready)],
    })
}

fn deployment_status(deployment: &Value, wanted: i64, health: Health) -> Value {
    let ready = if health == Health::Ready { wanted } else { 0 };
    let available = if ready == wanted { "True" } else { "False" };
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"})
    };
    let progressing = if ready == wanted { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
        "unavailableReplicas": wanted - ready,
        "conditions": [
            condition("Available", available, "MinimumReplicasAvailable"),
            condition("Progressing", "True", progressing),
        ],
    });
    if let Some(members) = status.as_object_mut() {
        // Go leaves zeros out.
        members.retain(|_, value| *value != 0);
    }
    status
}

fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or_default().to_owned()
}

/// Another template, another hash: FNV-1a over its JSON, in the letters that a name may have.
fn hash_of(template: &Value) -> String {
    let bytes = template.to_string().into_bytes();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
