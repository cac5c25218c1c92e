//! Every reference that `dereference` follows, the other way round.
//!
//! Owns the examples of both directions: who has to be woken, and who must be left alone. Must never need a watch: what is
//! tested is pure.

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn endpoint(namespace: &str, name: &str, spec: &Value, reason: &str) -> Arc<Endpoint> {
    let mut whole = json!({"app": name, "topic": "t", "auth": {"mode": "ApiKey"}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let condition = json!({"type": "Ready", "status": "False", "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let object = json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
        "metadata": {"namespace": namespace, "name": name, "uid": format!("{namespace}/{name}")},
        "spec": whole,
        "status": {"conditions": [condition], "keys": [{"name": "web", "state": "Active",
            "secretRef": {"name": format!("brought-to-{name}")}}]},
    });
    let endpoint: Endpoint = serde_json::from_value(object).unwrap();
    assert!(endpoint.0.is_ok(), "{endpoint:?}");
    Arc::new(endpoint)
}

fn connection(name: &str, spec: &Value) -> Arc<Connection> {
    let mut whole = json!({"bootstrapServers": "kafka:9092"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let object = json!({"apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection", "metadata": {"name": name},
        "spec": whole});
    let connection: Connection = serde_json::from_value(object).unwrap();
    assert!(connection.0.is_ok(), "{connection:?}");
    Arc::new(connection)
}

/// Own cluster; the connection `platform`; the default connection.
fn endpoints() -> Vec<Arc<Endpoint>> {
    let own = json!({"kafka": {
        "bootstrapServers": "kafka:9093",
        "tls": {"caSecretRef": {"name": "ca"}, "clientCertSecretRef": {"name": "client"}},
        "sasl": {"mechanism": "ScramSha512", "credentialsSecretRef": {"name": "user"}},
    }, "auth": {"mode": "OIDC", "oidc": {"issuerURL": "https://id.example.com", "audiences": ["orders"],
        "caSecretRef": {"name": "provider"}}},
    "publicAccess": {"exposure": "LoadBalancer", "tls": {"secretRef": {"name": "certificate"}}}});
    vec![
        endpoint("shop", "own", &own, "Serving"),
        endpoint("shop", "named", &json!({"kafka": {"connectionRef": {"name": "platform"}}}), "Serving"),
        endpoint("bank", "default", &json!({}), "Serving"),
    ]
}

fn connections() -> Vec<Arc<Connection>> {
    let allowed = json!([{
        "namespaces": {"selector": {}}, "topics": ["*"],
        "credentialsSecretRef": {"namespace": "kafka", "name": "user-{namespace}"},
    }]);
    let spec = json!({
        "tls": {"caSecretRef": {"namespace": "kafka", "name": "ca"}},
        "sasl": {"mechanism": "ScramSha512", "credentialsSecretRef": {"namespace": "kafka", "name": "everybody"}},
        "allowed": allowed,
    });
    vec![connection("platform", &spec), connection("other", &json!({}))]
}

fn secret(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn names(mut references: Vec<ObjectRef<Endpoint>>) -> Vec<String> {
    references.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let namespace = |reference: &ObjectRef<Endpoint>| reference.namespace.clone().unwrap_or_default();
    references.iter().map(|reference| format!("{}/{}", namespace(reference), reference.name)).collect()
}

fn concerned(secret: &ObjectMeta) -> Vec<String> {
    names(of_secret(secret, &endpoints(), &connections()))
}

#[test]
fn a_secret_concerns_the_endpoints_of_its_namespace_that_name_it() {
    for name in ["ca", "client", "user", "certificate", "provider"] {
        assert_eq!(concerned(&secret("shop", name)), ["shop/own"], "{name}");
        assert_eq!(concerned(&secret("bank", name)), [""; 0], "{name}");
    }
}

#[test]
fn a_secret_of_a_connection_concerns_all_who_may_use_it() {
    for name in ["ca", "everybody"] {
        assert_eq!(concerned(&secret("kafka", name)), ["bank/default", "shop/named"], "{name}");
    }
    assert_eq!(concerned(&secret("kafka", "unrelated")), [""; 0]);
}

#[test]
fn a_namespaces_own_credentials_concern_that_namespace_only() {
    assert_eq!(concerned(&secret("kafka", "user-shop")), ["shop/named"]);
    assert_eq!(concerned(&secret("kafka", "user-bank")), ["bank/default"]);
    assert_eq!(concerned(&secret("elsewhere", "user-shop")), [""; 0]);
}

#[test]
fn a_secret_that_brings_a_key_concerns_its_endpoint_even_after_it_lost_its_label() {
    let labelled = |label: &str| ObjectMeta {
        labels: Some(BTreeMap::from([(label.to_owned(), "named".to_owned())])),
        ..secret("shop", "x")
    };
    assert_eq!(concerned(&labelled(LABEL_BRINGS_KEY_FOR)), ["shop/named"]);
    assert_eq!(concerned(&labelled(names::LABEL_ENDPOINT)), ["shop/named"]);
    assert_eq!(concerned(&secret("shop", "brought-to-named")), ["shop/named"]);
    assert_eq!(concerned(&secret("bank", "brought-to-named")), [""; 0]);
}

#[test]
fn a_child_concerns_its_owner_only() {
    let owner = |kind: &str| {
        let reference = json!({"apiVersion": "v1", "kind": kind, "name": "own", "uid": "1"});
        ObjectMeta {
            owner_references: serde_json::from_value(json!([reference])).unwrap(),
            ..secret("shop", "own-gateway")
        }
    };
    assert_eq!(names(of_child(&owner("StreamEndpoint"))), ["shop/own"]);
    assert_eq!(names(of_child(&owner("ReplicaSet"))), [""; 0]);
}

#[test]
fn a_connection_concerns_those_who_name_it_and_those_who_name_none() {
    let [platform, other] = &connections()[..] else { panic!("two connections") };
    assert_eq!(names(of_connection(platform, &endpoints())), ["bank/default", "shop/named"]);
    assert_eq!(names(of_connection(other, &endpoints())), ["bank/default"]);
}

#[test]
fn labels_of_a_namespace_concern_those_who_depend_on_a_connection() {
    assert_eq!(names(of_namespace("shop", &endpoints())), ["shop/named"]);
    assert_eq!(names(of_namespace("bank", &endpoints())), ["bank/default"]);
}

#[test]
fn an_endpoint_that_changes_lets_those_try_again_who_wait_for_what_it_has() {
    let waiting = |namespace, name, reason| endpoint(namespace, name, &json!({}), reason);
    let all = [
        waiting("shop", "first", "Serving"),
        waiting("shop", "app", "AppConflict"),
        waiting("bank", "hostname", "HostnameConflict"),
        waiting("shop", "room", "GuardrailExceeded"),
        waiting("bank", "room", "GuardrailExceeded"),
        waiting("shop", "wrong", "InvalidSpec"),
    ];
    assert_eq!(names(of_endpoint(&all[0], &all)), ["bank/hostname", "shop/app", "shop/room"]);
    assert_eq!(names(of_endpoint(&all[1], &all[1..2])), [""; 0], "nobody waits for itself");
    let rival = [endpoint("shop", "second", &json!({"app": "first"}), "Progressing")];
    assert_eq!(names(of_endpoint(&all[0], &rival)), ["shop/second"]);
}

#[test]
fn connections_are_looked_at_when_their_secrets_or_users_change() {
    let names = |connections: Vec<ObjectRef<Connection>>| connections.into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(names(connections_of_secret(&secret("kafka", "anything"), &connections())), ["platform"]);
    assert_eq!(names(connections_of_secret(&secret("shop", "anything"), &connections())), [""; 0]);
    let [own, named, default] = &endpoints()[..] else { panic!("three endpoints") };
    assert_eq!(names(connections_of_endpoint(own, &connections())), [""; 0]);
    assert_eq!(names(connections_of_endpoint(named, &connections())), ["platform"]);
    assert_eq!(names(connections_of_endpoint(default, &connections())), ["platform", "other"]);
}
