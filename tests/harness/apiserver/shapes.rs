//! What a manifest may contain, by kind: fields that a real server does not know are a mistake here.
//!
//! Owns the check of structure and of names. The built-in kinds are checked by their types, ours by the CRDs' rules, and
//! the Gateway API by the part of its schema that matters here.

use std::collections::BTreeSet;

use headgate_crds::lint;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kinds::Kind;

/// Longest value of a label.
const MAX_LABEL_LENGTH: usize = 63;

/// Fields of a manifest that its kind does not have, or values of the wrong type.
pub fn unknown_fields(kind: &Kind, manifest: &Value) -> Result<(), String> {
    match kind.name {
        "ConfigMap" => typed::<ConfigMap>(manifest),
        "Secret" => typed::<Secret>(manifest),
        "Service" => typed::<Service>(manifest),
        "ServiceAccount" => typed::<ServiceAccount>(manifest),
        "Pod" => typed::<Pod>(manifest),
        "Namespace" => typed::<Namespace>(manifest),
        "Deployment" => typed::<Deployment>(manifest),
        "ReplicaSet" => typed::<ReplicaSet>(manifest),
        "PodDisruptionBudget" => typed::<PodDisruptionBudget>(manifest),
        "NetworkPolicy" => typed::<NetworkPolicy>(manifest),
        "Ingress" => typed::<Ingress>(manifest),
        "Lease" => typed::<Lease>(manifest),
        "Event" => typed::<Event>(manifest),
        "HTTPRoute" => covered("spec", &manifest["spec"], &http_route()),
        _ => Ok(()),
    }
}

/// What is wrong with a whole object, as the server would say it (422).
pub fn invalid(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut problems = labels(object);
    if kind.is_ours() {
        let mut wrong = lint::check_manifest(object, old);
        if let (false, Some(old)) = (wrong.is_empty(), old) {
            // What was wrong already and is not changed may stay, as with every server since 1.33.
            let known = lint::check_manifest(old, None);
            wrong.retain(|problem| !known.contains(problem));
        }
        problems.extend(wrong.iter().map(ToString::to_string));
    }
    let immutable: &[&str] = match kind.name {
        "Deployment" => &["/spec/selector"],
        "Secret" => &["/type"],
        "Service" => &["/spec/clusterIP"],
        _ => &[],
    };
    for path in immutable {
        if old.is_some_and(|old| old.pointer(path) != object.pointer(path)) {
            problems.push(format!("{}: field is immutable", path[1..].replace('/', ".")));
        }
    }
    if kind.name == "Service" {
        problems.extend(repeated_port_names(object));
    }
    if kind.name == "Deployment" {
        problems.extend(selector_mismatch(object));
    }
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    if owners.filter(|owner| owner["controller"] == true).count() > 1 {
        problems.push("metadata.ownerReferences: only one reference can have controller set to true".to_owned());
    }
    problems
}

fn typed<T: DeserializeOwned + Serialize>(manifest: &Value) -> Result<(), String> {
    let object = T::deserialize(manifest).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(object).map_err(|error| error.to_string())?;
    covered("", manifest, &known)
}

/// Whether every field that is sent is also known.
fn covered(path: &str, sent: &Value, known: &Value) -> Result<(), String> {
    match (sent, known) {
        (Value::Object(_), Value::Object(known)) if known.contains_key("*") => Ok(()),
        (Value::Object(sent), Value::Object(known)) => {
            sent.iter().try_for_each(|(name, value)| match known.get(name) {
                Some(known) => covered(&format!("{path}.{name}"), value, known),
                None if value.is_null() || ["apiVersion", "kind"].contains(&name.as_str()) => Ok(()),
                None => Err(format!("unknown field \"{path}.{name}\"")),
            })
        }
        (Value::Array(sent), Value::Array(known)) if known.len() == 1 => {
            sent.iter().try_for_each(|item| covered(&format!("{path}[]"), item, &known[0]))
        }
        (Value::Array(sent), Value::Array(known)) => {
            sent.iter().zip(known).try_for_each(|(item, known)| covered(&format!("{path}[]"), item, known))
        }
        _ => Ok(()),
    }
}

fn http_route() -> Value {
    let any = json!({"*": 0});
    json!({
        "parentRefs": [{"group": 0, "kind": 0, "namespace": 0, "name": 0, "sectionName": 0, "port": 0}],
        "hostnames": [0],
        "rules": [{
            "name": 0,
            "matches": [{"path": {"type": 0, "value": 0}, "headers": [any], "queryParams": [any], "method": 0}],
            "filters": [any],
            "backendRefs": [{"group": 0, "kind": 0, "name": 0, "namespace": 0, "port": 0, "weight": 0, "filters": [any]}],
            "timeouts": {"request": 0, "backendRequest": 0},
        }],
    })
}

fn repeated_port_names(object: &Value) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = object["spec"]["ports"].as_array().into_iter().flatten().map(|port| port["name"].to_string());
    names.filter(|name| !seen.insert(name.clone())).map(|name| format!("spec.ports: Duplicate value: {name}")).collect()
}

fn labels(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for path in ["/metadata/labels", "/spec/template/metadata/labels", "/spec/selector/matchLabels"] {
        for (name, value) in object.pointer(path).and_then(Value::as_object).into_iter().flatten() {
            if !value.as_str().is_some_and(is_label_value) {
                problems.push(format!("{path}: {name}: {value} is not a valid value of a label"));
            }
        }
    }
    problems
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    value.len() <= MAX_LABEL_LENGTH
        && value.chars().all(|c| edge(c) || "-_.".contains(c))
        && (value.is_empty() || (value.starts_with(edge) && value.ends_with(edge)))
}

fn selector_mismatch(object: &Value) -> Option<String> {
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let mut selected = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let matches = selected.all(|(name, value)| labels.get(name) == Some(value));
    (!matches).then(|| "spec.template.metadata.labels: selector does not match template labels".to_owned())
}
