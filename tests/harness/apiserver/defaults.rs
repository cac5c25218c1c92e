//! What a server makes of an object before it stores it: defaults, canonical forms, nothing empty.
//!
//! Owns the differences between what is sent and what is stored, because a difference detection that does not know them
//! would write for ever. Must never refuse anything.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use headgate_crds::lint;
use serde_json::{Map, Value, json};

use super::kinds::{GATEWAY_API, Kind};
use super::quantity::canonical;

/// Where an empty object is kept: Go writes a struct, or a pointer to one, even if nothing is in it.
const KEPT_IF_EMPTY: &[&str] = &[
    "emptyDir",
    "loadBalancer",
    "metadata",
    "namespaceSelector",
    "podSelector",
    "resources",
    "running",
    "securityContext",
    "spec",
    "status",
    "strategy",
    "template",
    "selector",
];

/// Fields which Go leaves out while they are zero or false.
const LEFT_OUT_IF_ZERO: &[&str] = &[
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "initialDelaySeconds",
    "minReadySeconds",
    "paused",
    "publishNotReadyAddresses",
    "stdin",
    "stdinOnce",
    "tty",
];

/// The object as it is stored. `address` makes a cluster IP if the object needs one.
pub fn stored(kind: &Kind, object: &mut Value, address: impl FnOnce() -> String) {
    if kind.is_ours() {
        // The CRD's defaults; an object that is not valid is refused later.
        if let Ok(complete) = lint::with_defaults(object) {
            *object = complete;
        }
        return;
    }
    if kind.group != GATEWAY_API {
        without_empty("", object);
    }
    match kind.name {
        "Secret" => secret(object),
        "Service" => service(object, address),
        "Deployment" | "ReplicaSet" => deployment(&mut object["spec"]),
        "Pod" => pod_spec(&mut object["spec"]),
        "NetworkPolicy" => network_policy(&mut object["spec"]),
        "HTTPRoute" => http_route(&mut object["spec"]),
        "Namespace" => default(object, "status", json!({"phase": "Active"})),
        _ => {}
    }
}

fn default(value: &mut Value, name: &str, default: Value) {
    if value[name].is_null() {
        value[name] = default;
    }
}

fn each(list: &mut Value, mut change: impl FnMut(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(&mut change);
}

fn if_there(value: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    if let Some(member) = value.get_mut(name) {
        change(member);
    }
}

/// Whether Go would leave a member with this name and value out.
fn left_out(parent: &str, name: &str, value: &Value) -> bool {
    // The entries of these are the user's own.
    let free = matches!(parent, "data" | "stringData" | "labels" | "annotations" | "matchLabels");
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty() && !KEPT_IF_EMPTY.contains(&name),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty() && !free && !matches!(name, "value" | "group"),
        Value::Bool(false) => LEFT_OUT_IF_ZERO.contains(&name) || (parent == "volumeMounts" && name == "readOnly"),
        Value::Number(number) => number.as_i64() == Some(0) && LEFT_OUT_IF_ZERO.contains(&name),
        Value::Bool(true) => false,
    }
}

fn without_empty(name: &str, value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, member)| without_empty(name, member));
            members.retain(|member, value| !left_out(name, member, value));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_empty(name, item)),
        _ => {}
    }
}

fn secret(object: &mut Value) {
    default(object, "type", "Opaque".into());
    if let Some(Value::Object(texts)) = object.as_object_mut().and_then(|members| members.remove("stringData")) {
        for (name, text) in texts {
            object["data"][name] = BASE64_STANDARD.encode(text.as_str().unwrap_or_default()).into();
        }
    }
}

fn service(object: &mut Value, address: impl FnOnce() -> String) {
    let spec = &mut object["spec"];
    default(spec, "type", "ClusterIP".into());
    default(spec, "sessionAffinity", "None".into());
    default(spec, "internalTrafficPolicy", "Cluster".into());
    default(spec, "ipFamilies", json!(["IPv4"]));
    default(spec, "ipFamilyPolicy", "SingleStack".into());
    if spec["clusterIP"].is_null() {
        spec["clusterIP"] = address().into();
    }
    let address = spec["clusterIP"].clone();
    default(spec, "clusterIPs", json!([address]));
    let balanced = spec["type"] == "LoadBalancer";
    if balanced {
        default(spec, "externalTrafficPolicy", "Cluster".into());
        default(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    each(&mut spec["ports"], |port| {
        default(port, "protocol", "TCP".into());
        let number = port["port"].clone();
        default(port, "targetPort", number.clone());
        if balanced {
            default(port, "nodePort", json!(30_000 + number.as_i64().unwrap_or_default() % 2_768));
        }
    });
    default(object, "status", json!({"loadBalancer": {}}));
}

fn deployment(spec: &mut Value) {
    default(spec, "replicas", 1.into());
    default(spec, "revisionHistoryLimit", 10.into());
    default(spec, "progressDeadlineSeconds", 600.into());
    default(spec, "strategy", json!({}));
    default(&mut spec["strategy"], "type", "RollingUpdate".into());
    if spec["strategy"]["type"] == "RollingUpdate" {
        let rolling = &mut spec["strategy"]["rollingUpdate"];
        default(rolling, "maxSurge", "25%".into());
        default(rolling, "maxUnavailable", "25%".into());
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", "Always".into());
    default(spec, "dnsPolicy", "ClusterFirst".into());
    default(spec, "schedulerName", "default-scheduler".into());
    default(spec, "terminationGracePeriodSeconds", 30.into());
    default(spec, "securityContext", json!({}));
    // The older name of the same field.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec["serviceAccount"] = account;
    }
    if_there(spec, "containers", |containers| each(containers, container));
    if_there(spec, "initContainers", |containers| each(containers, container));
    if_there(spec, "volumes", |volumes| {
        each(volumes, |volume| {
            for source in ["secret", "configMap", "projected", "downwardAPI"] {
                if_there(volume, source, |source| default(source, "defaultMode", 0o644.into()));
            }
        });
    });
}

fn container(container: &mut Value) {
    default(container, "terminationMessagePath", "/dev/termination-log".into());
    default(container, "terminationMessagePolicy", "File".into());
    default(container, "resources", json!({}));
    let image = container["image"].as_str().unwrap_or_default();
    let newest = !image.contains('@')
        && image.rsplit('/').next().is_some_and(|name| !name.contains(':') || name.ends_with(":latest"));
    default(container, "imagePullPolicy", if newest { "Always" } else { "IfNotPresent" }.into());
    if_there(container, "ports", |ports| each(ports, |port| default(port, "protocol", "TCP".into())));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if_there(container, probe, |probe| {
            default(probe, "timeoutSeconds", 1.into());
            default(probe, "periodSeconds", 10.into());
            default(probe, "successThreshold", 1.into());
            default(probe, "failureThreshold", 3.into());
            if_there(probe, "httpGet", |get| default(get, "scheme", "HTTP".into()));
        });
    }
    if_there(container, "env", |env| {
        each(env, |entry| {
            if_there(entry, "valueFrom", |source| {
                if_there(source, "fieldRef", |field| default(field, "apiVersion", "v1".into()));
            });
        });
    });
    resources(&mut container["resources"]);
}

fn resources(resources: &mut Value) {
    for part in ["limits", "requests"] {
        for (_, amount) in resources.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
            let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
            *amount = canonical(&text).into();
        }
    }
    // What is limited and not requested is requested as far as it is limited.
    let limits: Map<String, Value> = resources["limits"].as_object().cloned().unwrap_or_default();
    for (name, amount) in limits {
        default(&mut resources["requests"], &name, amount);
    }
    without_empty("", resources);
}

fn network_policy(spec: &mut Value) {
    let egress = !spec["egress"].is_null();
    default(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for direction in ["ingress", "egress"] {
        if_there(spec, direction, |rules| {
            each(rules, |rule| {
                if_there(rule, "ports", |ports| each(ports, |port| default(port, "protocol", "TCP".into())));
            });
        });
    }
    without_empty("", spec);
}

fn http_route(spec: &mut Value) {
    if_there(spec, "parentRefs", |parents| {
        each(parents, |parent| {
            default(parent, "group", GATEWAY_API.into());
            default(parent, "kind", "Gateway".into());
        });
    });
    if_there(spec, "rules", |rules| {
        each(rules, |rule| {
            default(rule, "matches", json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
            each(&mut rule["matches"], |one| {
                default(one, "path", json!({}));
                default(&mut one["path"], "type", "PathPrefix".into());
                default(&mut one["path"], "value", "/".into());
            });
            if_there(rule, "backendRefs", |backends| {
                each(backends, |backend| {
                    default(backend, "group", "".into());
                    default(backend, "kind", "Service".into());
                    default(backend, "weight", 1.into());
                });
            });
        });
    });
}
