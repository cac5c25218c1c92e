//! Whether an object is already as it should be, so that nothing is written that changes nothing.
//!
//! Owns the comparison. Pure. What is wanted has to be *contained* in what exists: the API server adds defaults, and others
//! may add labels, annotations and entries of lists that have keys. What was wanted before and is not wanted any more
//! cannot be seen that way; the hash of the wanted object, kept in an annotation, shows it.

use super::quantity;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Lists whose entries server-side apply tells apart by these keys: entries of others stay, and are no difference.
/// A list of one of these names whose entries lack a key is another one, as the ports of a NetworkPolicy are.
const KEYED_LISTS: [(&str, &[&str]); 11] = [
    ("ownerReferences", &["uid"]),
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("imagePullSecrets", &["name"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("conditions", &["type"]),
    ("ports", &["containerPort", "protocol"]),
    ("ports", &["port", "protocol", "targetPort"]),
];

/// Fields whose members are amounts, which the API server writes in its own way.
const AMOUNTS: [&str; 3] = ["limits", "requests", "sizeLimit"];

/// Whether everything that is wanted is so already.
pub(super) fn contains(existing: &Value, wanted: &Value) -> bool {
    within(existing, wanted, "")
}

/// SHA-256 of the object, in hexadecimal.
pub(super) fn hash(object: &Value) -> String {
    let digest = Sha256::digest(object.to_string());
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `field` is the name of the field that holds both values, or, within a map of amounts, of the map.
fn within(existing: &Value, wanted: &Value, field: &str) -> bool {
    match (existing, wanted) {
        (Value::Object(existing), Value::Object(wanted)) => members(existing, wanted, field),
        (Value::Array(existing), Value::Array(wanted)) => entries(existing, wanted, field),
        (Value::String(existing), Value::String(wanted)) if AMOUNTS.contains(&field) => {
            quantity::same(existing, wanted)
        }
        _ => existing == wanted,
    }
}

fn members(existing: &Map<String, Value>, wanted: &Map<String, Value>, field: &str) -> bool {
    wanted.iter().all(|(name, wanted)| {
        let field = if AMOUNTS.contains(&field) { field } else { name };
        match existing.get(name) {
            Some(existing) => within(existing, wanted, field),
            // The API server leaves out what is empty.
            None => is_empty(wanted),
        }
    })
}

fn entries(existing: &[Value], wanted: &[Value], field: &str) -> bool {
    let has = |keys: &[&str]| wanted.iter().all(|entry| keys.iter().all(|key| entry.get(key).is_some()));
    if let Some((_, keys)) = KEYED_LISTS.iter().find(|(list, keys)| *list == field && has(keys)) {
        let same = |a: &Value, b: &Value| keys.iter().all(|key| a.get(key) == b.get(key));
        return wanted
            .iter()
            .all(|wanted| existing.iter().any(|existing| same(existing, wanted) && within(existing, wanted, "")));
    }
    existing.len() == wanted.len() && existing.iter().zip(wanted).all(|(existing, wanted)| within(existing, wanted, ""))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted() -> Value {
        json!({
            "metadata": {"name": "orders-gateway", "labels": {"app": "orders"}, "ownerReferences": [{"uid": "1"}]},
            "spec": {
                "replicas": 2,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "gateway",
                    "args": ["--config", "/etc/gateway.yaml"],
                    "ports": [{"containerPort": 8080}],
                    "resources": {"limits": {"memory": "1024Mi"}, "requests": {"cpu": "0.5"}},
                    "env": [],
                }],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
            },
        })
    }

    /// What an API server makes of it: defaults, its own way to write amounts, and what others have added.
    fn stored() -> Value {
        json!({
            "metadata": {
                "name": "orders-gateway", "uid": "2", "resourceVersion": "7",
                "labels": {"app": "orders", "team": "shop"},
                "ownerReferences": [{"uid": "9"}, {"uid": "1", "blockOwnerDeletion": true}],
            },
            "spec": {
                "replicas": 2,
                "automountServiceAccountToken": false,
                "restartPolicy": "Always",
                "containers": [
                    {
                        "name": "gateway",
                        "args": ["--config", "/etc/gateway.yaml"],
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                        "terminationMessagePath": "/dev/termination-log",
                    },
                    {"name": "sidecar"},
                ],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
            },
            "status": {"replicas": 2},
        })
    }

    #[test]
    fn defaults_amounts_and_what_others_have_added_are_no_difference() {
        assert!(contains(&stored(), &wanted()));
    }

    #[test]
    fn every_change_of_what_is_wanted_is_a_difference() {
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 10] = [
            ("replicas", |o| o["spec"]["replicas"] = json!(1)),
            ("switched on", |o| o["spec"]["automountServiceAccountToken"] = json!(true)),
            ("switched off by omission", |o| {
                o["spec"].as_object_mut().unwrap().remove("automountServiceAccountToken");
            }),
            ("label", |o| o["metadata"]["labels"]["app"] = json!("payments")),
            ("label removed", |o| o["metadata"]["labels"] = json!({})),
            ("owner removed", |o| o["metadata"]["ownerReferences"] = json!([{"uid": "9"}])),
            ("argument removed", |o| o["spec"]["containers"][0]["args"] = json!(["--config"])),
            ("amount", |o| o["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!("1G")),
            ("container renamed", |o| o["spec"]["containers"][0]["name"] = json!("other")),
            ("port", |o| o["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(80)),
        ];
        for (what, change) in changes {
            let mut stored = stored();
            change(&mut stored);
            assert!(!contains(&stored, &wanted()), "{what}");
        }
    }

    #[test]
    fn ports_of_others_are_no_difference_but_in_a_network_policy() {
        let service = |ports: &[u16]| {
            let port = |port: &u16| json!({"port": port, "protocol": "TCP", "targetPort": "stream"});
            json!({"spec": {"ports": ports.iter().map(port).collect::<Vec<_>>()}})
        };
        assert!(contains(&service(&[9, 8080]), &service(&[8080])));
        assert!(!contains(&service(&[9]), &service(&[8080])));
        let policy = |ports: &[u16]| {
            let port = |port: &u16| json!({"port": port, "protocol": "TCP"});
            json!({"spec": {"ingress": [{"ports": ports.iter().map(port).collect::<Vec<_>>()}]}})
        };
        assert!(!contains(&policy(&[8080, 22]), &policy(&[8080])));
    }

    #[test]
    fn text_that_looks_like_an_amount_is_compared_as_text_elsewhere() {
        assert!(!contains(&json!({"data": {"limit": "1000m"}}), &json!({"data": {"limit": "1"}})));
        assert!(contains(&json!({"emptyDir": {"sizeLimit": "1Gi"}}), &json!({"emptyDir": {"sizeLimit": "1024Mi"}})));
    }

    #[test]
    fn the_hash_changes_with_anything_that_is_not_wanted_any_more() {
        let mut less = wanted();
        less["metadata"]["labels"] = json!({});
        assert!(contains(&stored(), &less), "an omission cannot be seen");
        assert_ne!(hash(&less), hash(&wanted()));
        assert_eq!(hash(&wanted()).len(), 64);
    }
}
