//! What every field of the CRDs has to have.

use super::walk;
use headgate_crds::codegen::{kafka_connection_crd, schema, stream_endpoint_crd};
use headgate_crds::v1alpha1::{KafkaConnection, StreamEndpoint, StreamEndpointSpec};
use headgate_crds::{lint, yaml};
use kube::core::cel::{compile_schema, estimate_rule_cost};
use serde_json::{Value, json};

fn crds() -> [&'static Value; 2] {
    [stream_endpoint_crd(), kafka_connection_crd()]
}

/// Paths of nodes for which `wrong` says so.
fn wrong_nodes(wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for crd in crds() {
        walk(schema(crd), "", &mut |path, node| {
            if wrong(path, node) {
                found.push(format!("{}{path}", crd["spec"]["names"]["kind"].as_str().unwrap()));
            }
        });
    }
    found
}

#[test]
fn nothing_is_nullable() {
    for crd in crds() {
        let text = yaml::to_string(crd).unwrap();
        assert!(!text.contains("nullable"));
        assert!(!text.contains("null\n"));
    }
}

#[test]
fn every_field_has_a_description() {
    let missing = wrong_nodes(|path, node| {
        let is_field = !path.ends_with("[]") && !path.ends_with(".*");
        is_field && node["description"].as_str().is_none_or(|text| text.len() < 10)
    });
    assert!(missing.is_empty(), "without a description: {missing:#?}");
}

#[test]
fn every_text_list_and_map_is_bounded() {
    let unbounded = wrong_nodes(|_, node| match node["type"].as_str() {
        Some("string") => node["enum"].is_null() && node["maxLength"].is_null(),
        Some("array") => node["maxItems"].is_null(),
        Some("object") => node["additionalProperties"].is_object() && node["maxProperties"].is_null(),
        _ => false,
    });
    assert!(unbounded.is_empty(), "without a bound: {unbounded:#?}");
}

#[test]
fn every_number_of_ours_is_bounded() {
    let unbounded = wrong_nodes(|path, node| {
        let ours = path.starts_with(".spec") && !path.contains(".affinity.") && !path.contains(".tolerations[]");
        ours && node["type"] == "integer" && (node["minimum"].is_null() || node["maximum"].is_null())
    });
    assert!(unbounded.is_empty(), "without a bound: {unbounded:#?}");
}

#[test]
fn no_reference_of_an_endpoint_names_the_namespace_of_a_secret() {
    let found = wrong_nodes(|path, node| {
        path.starts_with(".spec") && path.ends_with("ecretRef") && !node["properties"]["namespace"].is_null()
    });
    assert!(found.iter().all(|path| path.starts_with("KafkaConnection")), "{found:#?}");
}

#[test]
fn printer_columns_are_those_of_the_manual() {
    let columns = |crd: &Value| -> Vec<String> {
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        let name = |column: &Value| column["name"].as_str().unwrap().to_uppercase();
        let wide = |column: &Value| if column["priority"].is_null() { "" } else { " (wide)" };
        columns.iter().map(|column| format!("{}{}", name(column), wide(column))).collect()
    };
    let endpoint = ["APP", "TOPIC", "AUTH", "URL", "READY", "AGE", "REPLICAS (wide)", "KEYS (wide)", "REASON (wide)"];
    assert_eq!(columns(stream_endpoint_crd()), endpoint);
    let connection = ["SERVERS", "DEFAULT", "ENDPOINTS", "READY", "AGE", "REASON (wide)"];
    assert_eq!(columns(kafka_connection_crd()), connection);
}

#[test]
fn endpoints_can_be_scaled_and_selected() {
    let version = &stream_endpoint_crd()["spec"]["versions"][0];
    assert_eq!(
        version["subresources"],
        json!({
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        })
    );
    assert_eq!(version["selectableFields"], json!([{"jsonPath": ".spec.app"}, {"jsonPath": ".spec.topic"}]));
    assert_eq!(stream_endpoint_crd()["spec"]["names"]["shortNames"], json!(["sep"]));
    assert_eq!(kafka_connection_crd()["spec"]["names"]["shortNames"], json!(["kconn"]));
}

#[test]
fn lists_that_several_may_edit_merge_by_key() {
    let node = |path: &str| schema(stream_endpoint_crd()).pointer(path).unwrap();
    for (path, key) in [
        ("/properties/spec/properties/auth/properties/apiKeys", "name"),
        ("/properties/spec/properties/auth/properties/oidc/properties/filters", "attribute"),
        ("/properties/status/properties/conditions", "type"),
        ("/properties/status/properties/keys", "name"),
    ] {
        assert_eq!(node(path)["x-kubernetes-list-type"], "map", "{path}");
        assert_eq!(node(path)["x-kubernetes-list-map-keys"], json!([key]), "{path}");
    }
    for set in ["publicAccess/properties/allowedOrigins", "publicAccess/properties/trustedProxies"] {
        assert_eq!(node(&format!("/properties/spec/properties/{set}"))["x-kubernetes-list-type"], "set", "{set}");
    }
}

#[test]
fn rules_compile_and_stay_cheap() {
    for crd in crds() {
        walk(schema(crd), "", &mut |path, node| {
            let rules: Vec<&Value> = node["x-kubernetes-validations"].as_array().into_iter().flatten().collect();
            if rules.is_empty() {
                return;
            }
            let compiled = compile_schema(node);
            assert!(!compiled.has_errors(), "{path}: {:?}", compiled.compilation_errors());
            for rule in rules {
                let warnings = estimate_rule_cost(rule["rule"].as_str().unwrap(), &compiled);
                assert!(warnings.is_empty(), "{path}: {warnings:?}");
                let message = rule["message"].as_str().unwrap();
                assert!(message.contains([':', ';']), "{path}: \"{message}\" does not say what to do");
            }
        });
    }
}

/// The API server tries the rules of a node on its default, without the defaults of its members.
#[test]
fn defaults_beside_rules_are_complete() {
    let incomplete = wrong_nodes(|_, node| {
        let Some(default) = node["default"].as_object().filter(|_| node["x-kubernetes-validations"].is_array()) else {
            return false;
        };
        let mut members = node["properties"].as_object().into_iter().flatten();
        members.any(|(name, member)| !member["default"].is_null() && !default.contains_key(name))
    });
    assert!(incomplete.is_empty(), "{incomplete:#?}");
}

#[test]
fn rust_and_the_api_server_have_the_same_defaults() {
    let manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders"},
        "spec": {
            "app": "orders",
            "topic": "shop.orders",
            "auth": {
                "mode": "ApiKeyOrOIDC",
                "apiKeys": [{"name": "web"}],
                "rotation": {"afterSeconds": 90_000},
                "oidc": {"issuerURL": "https://id.example.com", "audiences": ["orders"]},
            },
            "kafka": {"bootstrapServers": "kafka:9093", "tls": {"caSecretRef": {"name": "ca"}}},
        },
    });
    let by_rust: StreamEndpoint = serde_json::from_value(manifest.clone()).unwrap();
    assert_eq!(serde_json::to_value(by_rust).unwrap(), lint::with_defaults(&manifest).unwrap());

    let manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "KafkaConnection",
        "metadata": {"name": "platform"},
        "spec": {
            "bootstrapServers": "kafka:9092",
            "allowed": [{"namespaces": {"selector": {}}, "topics": ["*"]}],
        },
    });
    let by_rust: KafkaConnection = serde_json::from_value(manifest.clone()).unwrap();
    assert_eq!(serde_json::to_value(by_rust).unwrap(), lint::with_defaults(&manifest).unwrap());
}

#[test]
fn the_defaults_are_safe() {
    let manifest = json!({"app": "orders", "topic": "shop.orders", "auth": {"mode": "ApiKey"}});
    let spec: StreamEndpointSpec = serde_json::from_value(manifest).unwrap();
    assert!(!spec.public_access.anonymous);
    assert_eq!(spec.public_access.exposure.as_str(), "ClusterLocal");
    assert!(spec.stream.publish.is_none());
    assert_eq!(spec.replicas, 1);
    assert!(spec.limits.ping_seconds < spec.limits.idle_timeout_seconds);
}
