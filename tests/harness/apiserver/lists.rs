//! How lists are merged: by key, as a set, or as a whole.
//!
//! Owns the part of the built-in schemas that a patch depends on; for our own kinds the CRD says it.

use headgate_crds::codegen;
use serde_json::Value;

use super::kinds::Kind;

/// How one list is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Items with equal values of these fields are the same item.
    Keyed(Vec<String>),
    /// Every value is there once.
    Set,
    /// The list is replaced as a whole.
    Atomic,
}

/// How the list at this path of field names (items left out) is merged.
pub fn merge_of(kind: &Kind, path: &[&str]) -> List {
    match path {
        ["metadata", "ownerReferences"] => return keyed(&["uid"]),
        ["metadata", "finalizers"] => return List::Set,
        ["status", "conditions"] => return keyed(&["type"]),
        _ => {}
    }
    if kind.is_ours() {
        return of_crd(kind, path);
    }
    match (kind.name, path) {
        ("Service", ["spec", "ports"]) => keyed(&["port", "protocol"]),
        ("Deployment" | "ReplicaSet", ["spec", "template", "spec", rest @ ..]) | ("Pod", ["spec", rest @ ..]) => {
            of_pod_spec(rest)
        }
        _ => List::Atomic,
    }
}

/// The value that an item has for a key field which it leaves out.
pub fn default_of(field: &str) -> Option<Value> {
    (field == "protocol").then(|| Value::from("TCP"))
}

fn of_pod_spec(path: &[&str]) -> List {
    match path {
        ["containers" | "initContainers" | "volumes" | "imagePullSecrets"]
        | ["containers" | "initContainers", "env"] => keyed(&["name"]),
        ["containers" | "initContainers", "ports"] => keyed(&["containerPort", "protocol"]),
        ["containers" | "initContainers", "volumeMounts"] => keyed(&["mountPath"]),
        ["topologySpreadConstraints"] => keyed(&["topologyKey", "whenUnsatisfiable"]),
        ["hostAliases"] => keyed(&["ip"]),
        _ => List::Atomic,
    }
}

fn of_crd(kind: &Kind, path: &[&str]) -> List {
    let crd = if kind.namespaced { codegen::stream_endpoint_crd() } else { codegen::kafka_connection_crd() };
    let mut schema = codegen::schema(crd);
    for field in path {
        if schema["type"] == "array" {
            schema = &schema["items"];
        }
        schema = &schema["properties"][*field];
    }
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => List::Set,
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            List::Keyed(keys.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => List::Atomic,
    }
}

fn keyed(fields: &[&str]) -> List {
    List::Keyed(fields.iter().map(|field| (*field).to_owned()).collect())
}
