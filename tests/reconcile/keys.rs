//! Keys through their life: revoked before they are deleted, replaced with an overlap, made again only when asked for.

use headgate_crds::names::ANNOTATION_ROTATE;
use headgate_operator::keys::LABEL_BRINGS_KEY_FOR;
use headgate_tests::apiserver::request::Verb;
use headgate_wire::key::KeyDigest;
use serde_json::{Value, json};

use crate::stage::{NAME, NAMESPACE, Stage, entry, secret};

fn with_keys() -> Stage {
    Stage::with_endpoint(|spec| spec["auth"]["apiKeys"] = json!([{"name": "web"}, {"name": "etl"}]))
}

/// Everything that gateways accept, as text.
fn verifier(stage: &Stage) -> String {
    let secret = stage.get("Secret", "orders-verifier").unwrap();
    secret["data"].as_object().unwrap().keys().map(|name| entry(&secret, name)).collect()
}

fn accepted(stage: &Stage, key: &str) -> bool {
    let digest = KeyDigest::of(key).to_string();
    let digest = digest.trim_start_matches("sha256:");
    verifier(stage).contains(digest)
}

fn state(stage: &Stage, key: &str) -> String {
    let endpoint = stage.get("StreamEndpoint", NAME).unwrap();
    let keys = endpoint["status"]["keys"].as_array().cloned().unwrap_or_default();
    let key = keys.into_iter().find(|status| status["name"] == key).unwrap_or_default();
    key["state"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_key_is_revoked_before_its_secret_goes_and_before_anything_else_could_fail() {
    let stage = with_keys();
    stage.settle().await;
    let key = stage.keys()["orders-key-etl"].clone();
    assert!(accepted(&stage, &key));
    stage.change(|spec| {
        spec["auth"]["apiKeys"] = json!([{"name": "web"}]);
        spec["replicas"] = 3.into();
    });
    let log = stage.logged().await;
    let at = |verb: Verb, name: &str| log.0.iter().position(|request| request.verb == verb && request.name == name);
    let revoked = at(Verb::Patch, "orders-verifier").unwrap();
    assert!(revoked < at(Verb::Delete, "orders-key-etl").unwrap(), "{log}");
    assert!(
        revoked < log.0.iter().position(|request| request.resource == "deployments" && request.verb.writes()).unwrap()
    );
    assert!(!accepted(&stage, &key) && stage.get("Secret", "orders-key-etl").is_none());
    assert!(accepted(&stage, &stage.keys()["orders-key-web"]));
}

#[tokio::test]
async fn running_pods_are_told_that_a_key_is_gone() {
    let stage = with_keys();
    stage.settle().await;
    stage.change(|spec| spec["auth"]["apiKeys"] = json!([{"name": "web"}]));
    let log = stage.logged().await;
    let told = log.about(Verb::Patch, "pods");
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].body["metadata"]["annotations"]["headgate.dev/reload-hash"].is_string());
    assert!(log.about(Verb::Patch, "deployments").is_empty(), "a revocation is no rollout:\n{log}");
}

#[tokio::test]
async fn a_deleted_secret_is_a_new_key() {
    let stage = with_keys();
    stage.settle().await;
    let before = stage.keys();
    stage.server.remove("Secret", NAMESPACE, "orders-key-web");
    stage.settle().await;
    let after = stage.keys();
    assert_ne!(after["orders-key-web"], before["orders-key-web"]);
    assert_eq!(after["orders-key-etl"], before["orders-key-etl"]);
    assert!(accepted(&stage, &after["orders-key-web"]) && !accepted(&stage, &before["orders-key-web"]));
}

#[tokio::test]
async fn a_key_that_is_old_enough_is_replaced_and_the_old_one_ends_after_the_overlap() {
    let stage = Stage::with_endpoint(|spec| {
        spec["auth"]["apiKeys"] = json!([{"name": "web"}]);
        spec["auth"]["rotation"] = json!({"afterSeconds": 7200, "overlapSeconds": 600});
    });
    stage.settle().await;
    let old = stage.keys()["orders-key-web"].clone();
    stage.advance(7199);
    stage.settle().await;
    assert_eq!(stage.keys()["orders-key-web"], old);
    stage.advance(1);
    stage.settle().await;
    let new = stage.keys()["orders-key-web"].clone();
    assert_ne!(new, old);
    assert!(accepted(&stage, &old) && accepted(&stage, &new));
    assert_eq!(state(&stage, "web"), "Rotating");
    stage.advance(599);
    stage.settle().await;
    assert!(accepted(&stage, &old));
    stage.advance(1);
    stage.settle().await;
    assert!(!accepted(&stage, &old) && accepted(&stage, &new));
    assert_eq!((state(&stage, "web").as_str(), &stage.keys()["orders-key-web"]), ("Active", &new));
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_happens_once() {
    let stage = with_keys();
    stage.settle().await;
    let before = stage.keys();
    stage.annotate(ANNOTATION_ROTATE, "1");
    stage.settle().await;
    let after = stage.keys();
    assert!(before.iter().all(|(name, key)| after[name] != *key));
    stage.settle().await;
    assert_eq!(stage.keys(), after);
    stage.annotate(ANNOTATION_ROTATE, "2");
    stage.settle().await;
    assert_ne!(stage.keys(), after);
}

#[tokio::test]
async fn a_key_ends_when_it_says_so() {
    let stage = Stage::with_endpoint(|spec| {
        spec["auth"]["apiKeys"] = json!([{"name": "web", "expiresAt": "2026-11-01T01:00:00Z"}, {"name": "etl"}]);
    });
    stage.settle().await;
    let key = stage.keys()["orders-key-web"].clone();
    assert_eq!(state(&stage, "web"), "Active");
    stage.advance(3601);
    stage.settle().await;
    assert_eq!(state(&stage, "web"), "Expired");
    assert_eq!(stage.keys().get("orders-key-web"), Some(&key), "an expired key may be prolonged");
}

#[tokio::test]
async fn a_brought_key_is_accepted_only_where_the_spec_lists_its_name() {
    let stage = with_keys();
    stage.settle().await;
    let bring = |name: &str, key: &str| {
        let mut secret = secret(NAMESPACE, &format!("brought-{name}"), json!({"api-key": key}));
        secret["metadata"]["labels"] = json!({LABEL_BRINGS_KEY_FOR: NAME, "headgate.dev/key": name});
        secret
    };
    stage.server.put(bring("web", "brought-by-the-team-1")).unwrap();
    stage.server.put(bring("other", "brought-by-the-team-2")).unwrap();
    stage.settle().await;
    assert!(accepted(&stage, "brought-by-the-team-1"));
    assert!(!accepted(&stage, "brought-by-the-team-2"));
    assert_eq!(stage.get("Secret", "brought-web").unwrap()["metadata"].get("ownerReferences"), None::<&Value>);
    stage.server.remove("Secret", NAMESPACE, "brought-web");
    stage.settle().await;
    assert!(!accepted(&stage, "brought-by-the-team-1"));
}

#[tokio::test]
async fn a_key_secret_that_somebody_spoiled_is_never_accepted() {
    let stage = with_keys();
    stage.settle().await;
    let spoil = |secret: &mut Value| secret["data"]["api-key"] = "c2hvcnQ=".into();
    stage.server.edit("Secret", NAMESPACE, "orders-key-web", spoil).unwrap();
    stage.settle().await;
    assert!(!accepted(&stage, "short"));
    assert!(accepted(&stage, &stage.keys()["orders-key-etl"]));
}
