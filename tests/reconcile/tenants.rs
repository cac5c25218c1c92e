//! What somebody who may only write StreamEndpoints in one namespace cannot get.

use headgate_operator::controller::{Context, Installation};
use headgate_operator::keys::LABEL_BRINGS_KEY_FOR;
use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::request::Verb;
use serde_json::{Value, json};

use crate::stage::{NAME, NAMESPACE, Stage, connection, secret};

const PASSWORD: &str = "of-another-team-31337";

/// A cluster with another team's namespace and the platform's, each with a Secret.
fn stage(change: impl FnOnce(&mut Value)) -> Stage {
    let stage = Stage::with_endpoint(change);
    for namespace in ["other", "kafka"] {
        stage.server.namespace(namespace, json!({"streams": "enabled"}));
        stage.server.put(secret(namespace, "kafka-user", json!({"username": "u", "password": PASSWORD}))).unwrap();
    }
    stage
}

/// Namespaces of the Secrets that were read.
fn read(log: &headgate_tests::apiserver::log::Log) -> Vec<String> {
    let reads = log.about(Verb::Get, "secrets").into_iter().chain(log.about(Verb::List, "secrets"));
    let mut namespaces: Vec<String> = reads.map(|request| request.namespace.clone()).collect();
    namespaces.sort();
    namespaces.dedup();
    namespaces
}

#[tokio::test]
async fn a_secret_of_another_namespace_is_neither_read_nor_told_from_one_that_is_missing() {
    let own_cluster = |secret: &str| {
        json!({"bootstrapServers": "kafka.shop:9093", "tls": {},
        "sasl": {"mechanism": "ScramSha512", "credentialsSecretRef": {"name": secret}}})
    };
    let mut messages = Vec::new();
    for name in ["kafka-user", "no-such-user"] {
        let stage = stage(|spec| spec["kafka"] = own_cluster(name));
        let log = stage.logged().await;
        assert_eq!(read(&log), [NAMESPACE], "{log}");
        let (_, reason, message) = stage.condition("Ready").unwrap();
        assert_eq!(reason, "SecretNotFound");
        messages.push(message.replace(name, "…"));
    }
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn a_connection_that_forbids_and_one_that_is_missing_say_the_same() {
    let forbidden: [(&str, Option<Value>); 4] = [
        ("missing", None),
        ("topic", Some(json!([{"namespaces": {"selector": {}}, "topics": ["other.*"]}]))),
        ("namespace", Some(json!([{"namespaces": {"selector": {"matchLabels": {"team": "other"}}}, "topics": ["*"]}]))),
        ("nobody", Some(json!([]))),
    ];
    let mut messages = Vec::new();
    for (what, allowed) in forbidden {
        let stage = stage(|spec| spec["kafka"] = json!({"connectionRef": {"name": "hidden"}}));
        if let Some(allowed) = allowed {
            let mut hidden = connection();
            hidden["metadata"]["name"] = "hidden".into();
            hidden["spec"]["allowed"] = allowed;
            hidden["spec"]["tls"] = json!({});
            hidden["spec"]["sasl"] = json!({"mechanism": "ScramSha512",
                "credentialsSecretRef": {"namespace": "kafka", "name": "kafka-user"}});
            stage.server.put(hidden).unwrap();
        }
        let log = stage.logged().await;
        assert!(!read(&log).contains(&"kafka".to_owned()), "{what}: a credential was read that is not granted");
        assert!(stage.get("Secret", "orders-kafka").is_none(), "{what}");
        let (_, reason, message) = stage.condition("Ready").unwrap();
        assert_eq!(reason, "TopicNotAllowed", "{what}: {message}");
        messages.push(message);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:#?}");
}

/// The connection with credentials in the namespace of the platform team.
fn log_in(connection: &mut Value) {
    connection["spec"]["tls"] = json!({});
    connection["spec"]["sasl"] = json!({"mechanism": "ScramSha512",
        "credentialsSecretRef": {"namespace": "kafka", "name": "kafka-user"}});
}

#[tokio::test]
async fn credentials_that_are_granted_arrive_and_leave_with_the_grant() {
    let stage = stage(|_| {});
    stage.server.edit("KafkaConnection", "", "platform", log_in).unwrap();
    stage.settle().await;
    assert!(stage.get("Secret", "orders-kafka").is_some());
    stage.server.namespace(NAMESPACE, json!({"streams": "disabled"}));
    stage.settle().await;
    assert!(stage.get("Secret", "orders-kafka").is_none() && stage.get("Deployment", "orders-gateway").is_none());
}

#[tokio::test]
async fn renewed_credentials_restart_the_pods_and_unchanged_ones_do_not() {
    let stage = stage(|_| {});
    stage.server.edit("KafkaConnection", "", "platform", log_in).unwrap();
    stage.settle().await;
    let template = || stage.get("Deployment", "orders-gateway").unwrap()["spec"]["template"]["metadata"].clone();
    let before = template();
    stage.settle().await;
    assert_eq!(template(), before);
    stage.server.put(secret("kafka", "kafka-user", json!({"username": "u", "password": "renewed"}))).unwrap();
    stage.settle().await;
    assert_ne!(template(), before);
}

#[tokio::test]
async fn a_key_brought_in_another_namespace_opens_nothing() {
    let stage = stage(|_| {});
    let mut brought = secret("other", "brought", json!({"api-key": "brought-by-another-team"}));
    brought["metadata"]["labels"] = json!({LABEL_BRINGS_KEY_FOR: NAME, "headgate.dev/key": "default"});
    stage.server.put(brought).unwrap();
    stage.settle().await;
    let log = stage.logged().await;
    assert_eq!(read(&log), [NAMESPACE], "{log}");
    let verifier = stage.get("Secret", "orders-verifier").unwrap();
    let digest = headgate_wire::key::KeyDigest::of("brought-by-another-team").to_string();
    let accepted: String =
        verifier["data"].as_object().unwrap().keys().map(|name| crate::stage::entry(&verifier, name)).collect();
    assert!(!accepted.contains(digest.trim_start_matches("sha256:")));
}

fn of_one_namespace(stage: &Stage) -> Context {
    stage.context_of(Installation { watch_namespaces: vec![NAMESPACE.to_owned()], ..Installation::default() })
}

#[tokio::test]
async fn an_operator_of_one_namespace_asks_about_no_other() {
    let stage = stage(|_| {});
    stage.server.take_log();
    stage.reconcile_with(NAME, of_one_namespace(&stage)).await.unwrap();
    let log = stage.server.take_log();
    assert!(stage.get("Deployment", "orders-gateway").is_some(), "the labels of the namespace allow it");
    for request in log.0 {
        let own_namespace = request.verb == Verb::Get
            && (request.resource.as_str(), request.name.as_str()) == ("namespaces", NAMESPACE);
        let of_the_cluster = request.resource == "kafkaconnections" && !request.verb.writes();
        assert!(own_namespace || of_the_cluster || request.namespace == NAMESPACE, "{request}");
    }
}

#[tokio::test]
async fn an_operator_that_may_not_read_its_namespace_knows_its_name_and_allows_nothing_more() {
    let stage = stage(|_| {});
    stage.server.fault(Fault::on(Verb::Get, "namespaces", Failure::Forbidden("no".to_owned())));
    stage.reconcile_with(NAME, of_one_namespace(&stage)).await.unwrap();
    assert_eq!(stage.reason(), "TopicNotAllowed");
    let by_name = |connection: &mut Value| {
        connection["spec"]["allowed"][0]["namespaces"] =
            json!({"selector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}});
    };
    stage.server.edit("KafkaConnection", "", "platform", by_name).unwrap();
    stage.reconcile_with(NAME, of_one_namespace(&stage)).await.unwrap();
    assert!(stage.get("Deployment", "orders-gateway").is_some());
}
