//! Every child of an endpoint: as golden files, and what holds for all of them.

use crate::case::{case, check_golden, cluster_tokens, files};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use headgate_crds::yaml;
use headgate_operator::keys::{self, Entropy, KeyInputs, KeyPlan};
use headgate_operator::model::Endpoint;
use headgate_operator::resources::{Prepared, Resources};
use headgate_operator::settings::{NetworkPolicySettings, PodSettings};
use headgate_operator::{References, Settings, build, validate};
use k8s_openapi::api::core::v1::PodSpec;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CASES: &str = "operator/tests/cases/children/*.yaml";
/// Password of every user of the cases.
const PASSWORD: &str = "planted-31337";

/// What an installation could have set, with repetitions that must not reach an object.
fn settings() -> Settings {
    Settings {
        pods: PodSettings {
            image: "registry.example.com/headgate/gateway:1.2.3".to_owned(),
            image_pull_secrets: ["registry", "registry", ""].map(str::to_owned).into(),
            ..PodSettings::default()
        },
        network_policy: Some(NetworkPolicySettings {
            operator_namespace: "headgate-system".to_owned(),
            admin_namespaces: ["monitoring", "headgate-system", "monitoring", ""].map(str::to_owned).into(),
        }),
        ..Settings::default()
    }
}

fn model(text: &str) -> Endpoint {
    let (endpoint, references) = case(text);
    validate(&endpoint, &references).unwrap()
}

/// The keys of an endpoint that had none before; `seed` stands for the randomness of the system.
fn plan(endpoint: &Endpoint, seed: u8) -> KeyPlan {
    let inputs = KeyInputs { secrets: &[], brought: &[], tickets: None, rotate: None, url: None };
    let mut entropy = || Entropy { id: seed.into(), secret: [seed; 32] };
    keys::plan(endpoint, &inputs, "2026-11-01T00:00:00Z".parse().unwrap(), &mut entropy)
}

fn built(endpoint: &Endpoint) -> Resources<Prepared> {
    build(endpoint, &plan(endpoint, 1), &settings())
}

fn children(resources: &Resources<Prepared>) -> Vec<Value> {
    fn json(child: impl Serialize) -> Value {
        serde_json::to_value(child).unwrap()
    }
    let all = [
        Some(json(&resources.service_account)),
        Some(json(&resources.config_map)),
        Some(json(&resources.verifier)),
        resources.kafka.as_ref().map(json),
        Some(json(&resources.service)),
        resources.network_policy.as_ref().map(json),
        resources.disruption_budget.as_ref().map(json),
        Some(json(&resources.deployment)),
        resources.http_route.as_ref().map(json),
        resources.ingress.as_ref().map(json),
        resources.public_service.as_ref().map(json),
    ];
    all.into_iter().flatten().collect()
}

/// A child with the entries of a Secret as text.
fn readable(mut child: Value) -> Value {
    if child["kind"] == "Secret" {
        for entry in child["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
            let bytes = BASE64_STANDARD.decode(entry.as_str().unwrap()).unwrap();
            *entry = String::from_utf8(bytes).unwrap().into();
        }
    }
    child
}

/// Every case with its children.
fn cases() -> Vec<(String, Endpoint, Resources<Prepared>)> {
    let built = |(name, text): (String, String)| {
        let model = model(&text);
        let resources = built(&model);
        (name, model, resources)
    };
    files(CASES).into_iter().map(built).collect()
}

fn pod(resources: &Resources<Prepared>) -> &PodSpec {
    resources.deployment.spec.template.spec.as_ref().unwrap()
}

#[test]
fn every_child_is_its_golden_document() {
    for (name, _, resources) in cases() {
        let children = children(&resources).into_iter().map(readable);
        let documents: Vec<_> = children.map(|child| yaml::to_string(&child).unwrap()).collect();
        let text = format!("# reload-hash: {}\n{}", resources.reload_hash, documents.join("---\n"));
        check_golden(&format!("children/{name}"), &text);
    }
}

#[test]
fn every_child_is_the_endpoints_and_has_its_labels_and_one_name_per_kind() {
    for (name, endpoint, resources) in cases() {
        let mut seen = BTreeSet::new();
        for child in children(&resources) {
            let metadata = &child["metadata"];
            assert_eq!(metadata["namespace"], endpoint.namespace.as_str(), "{name}");
            let owner = json!([{"apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
                                "name": endpoint.name, "uid": endpoint.uid,
                                "controller": true, "blockOwnerDeletion": true}]);
            assert_eq!(metadata["ownerReferences"], owner, "{name}");
            assert_eq!(metadata["labels"]["headgate.dev/endpoint"], endpoint.name.as_str(), "{name}");
            assert!(seen.insert((child["kind"].to_string(), metadata["name"].to_string())), "{name}: {metadata}");
        }
    }
}

/// Server-side apply refuses a null where a value belongs, and entries with the same key.
#[test]
fn no_child_has_a_null_or_repeats_an_entry_of_a_list() {
    fn check(path: &str, value: &Value) {
        match value {
            Value::Null => panic!("{path} is null"),
            Value::Object(members) => {
                for (name, member) in members {
                    check(&format!("{path}.{name}"), member);
                }
            }
            Value::Array(entries) => {
                let keys = ["mountPath", "containerPort", "name"];
                for entry in entries {
                    let key = keys.iter().find_map(|key| entry.get(key)).unwrap_or(entry);
                    let same = |other: &&Value| keys.iter().find_map(|key| other.get(key)).unwrap_or(other) == key;
                    let is_parent = path.ends_with(".parentRefs");
                    assert!(is_parent || entries.iter().filter(same).count() == 1, "{path} repeats {key}");
                    check(path, entry);
                }
            }
            _ => {}
        }
    }
    for (name, _, resources) in cases() {
        for child in children(&resources) {
            check(&format!("{name}: {}", child["kind"]), &child);
        }
    }
}

#[test]
fn a_route_names_no_parent_twice() {
    let (_, _, resources) = cases().into_iter().find(|(name, ..)| name == "gateway.yaml").unwrap();
    let parents = resources.http_route.unwrap().spec.parent_refs;
    assert_eq!(parents.iter().collect::<BTreeSet<_>>().len(), parents.len());
    assert_eq!(parents.len(), 2);
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
#[test]
fn every_pod_passes_the_standard_restricted() {
    for (name, _, resources) in cases() {
        let pod = serde_json::to_value(pod(&resources)).unwrap();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"] {
            assert!(pod.get(forbidden).is_none(), "{name}: {forbidden}");
        }
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
            assert!(context.get("privileged").is_none() && context.get("runAsUser").is_none(), "{name}");
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume.get("configMap").or(volume.get("secret")).is_some(), "{name}: {volume}");
        }
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
    }
}

#[test]
fn no_service_or_route_reaches_the_admin_port() {
    for (name, _, resources) in cases() {
        for child in children(&resources) {
            if ["Service", "HTTPRoute", "Ingress"].contains(&child["kind"].as_str().unwrap()) {
                let text = child.to_string();
                assert!(!text.contains("9090") && !text.contains("\"admin\""), "{name}: {text}");
            }
        }
    }
}

#[test]
fn only_the_secret_for_kafka_has_the_password() {
    let mut found = 0;
    for (name, _, resources) in cases() {
        for child in children(&resources).into_iter().map(readable) {
            if child.to_string().contains(PASSWORD) {
                assert_eq!(child["metadata"]["name"], "orders-kafka", "{name}");
                found += 1;
            }
        }
    }
    assert!(found >= 3, "only {found} cases have a password");
}

#[test]
fn another_key_restarts_no_pod_and_is_reloaded() {
    for (name, endpoint, resources) in cases() {
        if endpoint.auth.keys().is_empty() {
            continue;
        }
        let other = KeyPlan { tickets: plan(&endpoint, 1).tickets, ..plan(&endpoint, 2) };
        let other = build(&endpoint, &other, &settings());
        assert_eq!(other.deployment, resources.deployment, "{name}");
        assert_ne!(other.reload_hash, resources.reload_hash, "{name}");
        assert_ne!(other.verifier, resources.verifier, "{name}");
    }
}

#[test]
fn what_a_gateway_cannot_reload_restarts_its_pods_and_only_that() {
    let (_, text) = files(CASES).into_iter().find(|(name, _)| name == "own-cluster-knative.yaml").unwrap();
    let template = |text: &str| built(&model(text)).deployment.spec.template;
    let before = template(&text);
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        template(&text.replace(from, to)) != before
    };
    assert!(!changed(PASSWORD, "another-password"), "whoever sees pods could try passwords");
    assert!(changed("bootstrapServers: kafka:9093", "bootstrapServers: kafka:9094"));
    assert!(!changed("stopped: false", "stopped: true"));
    assert!(!changed("replicas: 1", "replicas: 2"));
}

#[test]
fn a_renewed_certificate_is_reloaded() {
    let (_, text) = files(CASES).into_iter().find(|(name, _)| name == "own-certificate.yaml").unwrap();
    let renewed = text.replace("Y2VydGlmaWNhdGU=", "cmVuZXdlZA==");
    assert_ne!(renewed, text);
    let (before, after) = (built(&model(&text)), built(&model(&renewed)));
    assert_eq!(before.deployment, after.deployment);
    assert_ne!(before.reload_hash, after.reload_hash);
}

/// What a gateway takes from its configuration while it runs must not end anybody's stream.
#[test]
fn a_rule_about_callers_is_reloaded_and_restarts_no_pod() {
    let (_, text) = files(CASES).into_iter().find(|(name, _)| name == "oidc.yaml").unwrap();
    let before = built(&model(&text));
    let after = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        built(&model(&text.replace(from, to)))
    };
    for (from, to) in [
        ("issuerURL: https://id.example.com", "issuerURL: https://id.example.org"),
        ("audiences: [orders]", "audiences: [orders, other]"),
        ("audiences: [orders]", "audiences: [orders]\n      algorithms: [RS256]"),
        ("audiences: [orders]", "audiences: [orders]\n      usernameClaim: sub"),
        ("audiences: [orders]", "audiences: [orders]\n      rolesClaim: roles"),
        ("audiences: [orders]", "audiences: [orders]\n      organizationClaim: org"),
        ("audiences: [orders]", "audiences: [orders]\n      publish: [{claim: a, values: [b]}]"),
        ("audiences: [orders]", "audiences: [orders]\n      filters: [{attribute: a, claim: b}]"),
        ("values: [shop]", "values: [shop, iot]"),
        ("publicAccess:", "publicAccess:\n    anonymous: true"),
        ("publicAccess:", "publicAccess:\n    queryCredentials: Allowed"),
        ("https://shop.example.com", "https://www.example.com"),
        ("10.0.0.0/8", "192.0.2.0/24"),
        ("cm9vdA==", "cmVuZXdlZA=="),
    ] {
        let after = after(from, to);
        assert_eq!(after.deployment, before.deployment, "{to}");
        assert_ne!(after.reload_hash, before.reload_hash, "{to}");
    }
    for (from, to) in [
        ("mode: OIDC", "mode: ApiKeyOrOIDC"),
        ("      caSecretRef: {name: id-ca, key: root.pem}\n", ""),
        (
            "issuerURL: https://id.example.com\n      audiences: [orders]\n      caSecretRef: {name: id-ca, key: root.pem}",
            "kubernetes: {}\n      audiences: [orders]",
        ),
    ] {
        assert_ne!(after(from, to).deployment, before.deployment, "{to}");
    }
}

#[test]
fn new_keys_of_the_cluster_are_reloaded_and_restart_no_pod() {
    let (_, text) = files(CASES).into_iter().find(|(name, _)| name == "kubernetes-tokens.yaml").unwrap();
    let (endpoint, references) = case(&text);
    let with = |key: &str| {
        let references = References { cluster_tokens: Some(cluster_tokens(key)), ..references.clone() };
        built(&validate(&endpoint, &references).unwrap())
    };
    let (before, after) = (with("one"), with("two"));
    assert_eq!((&before.deployment, &before.config_map), (&after.deployment, &after.config_map));
    assert_ne!(before.verifier, after.verifier);
    assert_ne!(before.reload_hash, after.reload_hash);
}

#[test]
fn another_key_of_tickets_replaces_pods_and_no_child_has_it() {
    for (name, endpoint, resources) in cases() {
        let other = KeyPlan { tickets: plan(&endpoint, 2).tickets, ..plan(&endpoint, 1) };
        let after = build(&endpoint, &other, &settings());
        assert_eq!(after.deployment != resources.deployment, endpoint.auth.has_tickets(), "{name}");
        assert_eq!(after.reload_hash, resources.reload_hash, "{name}");
        let Some(change) = &other.tickets.change else { continue };
        let key = BASE64_STANDARD.encode(&change.secret().data.as_ref().unwrap()["key"].0);
        assert!(!children(&after).iter().any(|child| child.to_string().contains(&key)), "{name}");
    }
}

#[test]
fn an_installation_without_network_policies_has_none() {
    let (_, text) = files(CASES).into_iter().find(|(name, _)| name == "minimal.yaml").unwrap();
    let endpoint = model(&text);
    let settings = Settings { network_policy: None, ..settings() };
    assert_eq!(build(&endpoint, &plan(&endpoint, 1), &settings).network_policy, None);
}

#[test]
fn pods_outlive_their_drain() {
    for (name, endpoint, resources) in cases() {
        let pod = pod(&resources);
        let sleep = pod.containers[0].lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap().sleep.as_ref().unwrap();
        let needed = sleep.seconds + i64::from(endpoint.drain_seconds);
        assert!(pod.termination_grace_period_seconds.unwrap() > needed, "{name}");
    }
}
