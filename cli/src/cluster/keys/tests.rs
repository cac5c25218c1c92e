//! What exactly is written when a key is issued, rotated or revoked.

use super::*;
use crate::cluster::fake::{self, ApiServer, Sent};

const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";
const SECRET: &str = "/api/v1/namespaces/shop/secrets/orders-key-default";

fn orders(keys: Option<Value>) -> Value {
    let mut value = fake::endpoint("shop", "orders");
    if let Some(keys) = keys {
        value["spec"]["auth"]["apiKeys"] = keys;
    }
    let state = |name: &str| {
        let secret = json!({ "name": format!("orders-key-{name}") });
        json!({ "name": name, "id": "k1", "state": "Active", "secretRef": secret })
    };
    value["status"] = json!({ "observedGeneration": 1, "keys": [state("default"), state("web")] });
    value
}

fn two_keys() -> Value {
    json!([{ "name": "default" }, { "name": "web", "permissions": ["Read"] }])
}

fn metadata(owner: &str) -> Value {
    let owner = json!({ "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint", "name": "orders",
        "uid": owner, "controller": true });
    let metadata =
        json!({ "name": "orders-key-default", "uid": "s-1", "resourceVersion": "9", "ownerReferences": [owner] });
    json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata })
}

fn new(name: &str) -> NewKey {
    NewKey { name: KeyName::new(name).unwrap(), permissions: vec!["Read"], expires_at: None, digest: None }
}

fn patch(path: &str, body: Value) -> Sent {
    Sent { line: format!("PATCH {path}?&fieldManager=headgate-cli"), body }
}

#[tokio::test]
async fn issuing_a_key_adds_one_entry_at_the_version_that_was_read() {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, orders(None));
    server.then("PATCH", ENDPOINT, orders(None));
    server.cluster("shop").issue_key("orders", &new("etl")).await.unwrap();
    let keys = json!([{ "name": "default", "permissions": ["Read"] }, { "name": "etl", "permissions": ["Read"] }]);
    let body = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "auth": { "apiKeys": keys } } });
    assert_eq!(server.writes(), [patch(ENDPOINT, body)]);
}

#[tokio::test]
async fn somebody_elses_change_is_read_before_the_next_attempt() {
    let server = ApiServer::new();
    let mut changed = orders(Some(two_keys()));
    changed["metadata"]["resourceVersion"] = json!("8");
    // Each attempt reads twice: as an endpoint, and as it is stored.
    for version in [orders(None), orders(None), changed.clone(), changed] {
        server.then("GET", ENDPOINT, version);
    }
    server.refuse("PATCH", ENDPOINT, 409, "the object has been modified");
    server.then("PATCH", ENDPOINT, orders(None));
    server.cluster("shop").issue_key("orders", &new("etl")).await.unwrap();
    let writes = server.writes();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[1].body["metadata"]["resourceVersion"], "8");
    assert_eq!(writes[1].body["spec"]["auth"]["apiKeys"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_in_its_words() {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, orders(None));
    server.refuse("PATCH", ENDPOINT, 422, "spec.auth.apiKeys: the stream is read-only");
    let error = server.cluster("shop").issue_key("orders", &new("etl")).await.unwrap_err().to_string();
    assert!(error.ends_with("in namespace shop: spec.auth.apiKeys: the stream is read-only"), "{error}");
}

#[tokio::test]
async fn rotating_one_key_annotates_its_secret_and_rotating_all_the_endpoint() {
    let server = ApiServer::new();
    server.then("PATCH", SECRET, metadata("u-1"));
    server.then("PATCH", ENDPOINT, metadata("u-1"));
    let endpoint = serde_json::from_value(orders(None)).unwrap();
    server.cluster("shop").rotate_key(&endpoint, "default", "n1").await.unwrap();
    server.cluster("shop").rotate_keys("orders", "n2").await.unwrap();
    let body = |nonce: &str| json!({ "metadata": { "annotations": { "headgate.dev/rotate": nonce } } });
    assert_eq!(server.writes(), [patch(SECRET, body("n1")), patch(ENDPOINT, body("n2"))]);
}

#[tokio::test]
async fn revoking_one_of_several_keys_removes_its_entry_only() {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, orders(Some(two_keys())));
    server.then("PATCH", ENDPOINT, orders(None));
    assert_eq!(server.cluster("shop").revoke_key("orders", "web").await.unwrap(), Revoked::Removed);
    let keys = json!([{ "name": "default" }]);
    let body = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "auth": { "apiKeys": keys } } });
    assert_eq!(server.writes(), [patch(ENDPOINT, body)]);
}

#[tokio::test]
async fn revoking_the_only_key_deletes_the_secret_that_was_seen() {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, orders(None));
    server.then("GET", SECRET, metadata("u-1"));
    server.then("DELETE", SECRET, json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }));
    let revoked = server.cluster("shop").revoke_key("orders", "default").await.unwrap();
    assert_eq!(revoked, Revoked::Replaced { id: Some("k1".to_owned()) });
    let body = json!({ "preconditions": { "uid": "s-1", "resourceVersion": "9" } });
    assert_eq!(server.writes(), [Sent { line: format!("DELETE {SECRET}?"), body }]);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_neither_deleted_nor_annotated() {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, orders(None));
    server.then("GET", SECRET, metadata("another"));
    let error = server.cluster("shop").revoke_key("orders", "default").await.unwrap_err();
    assert!(matches!(error, KeyError::NotOurs { .. }), "{error}");
    let mut brought = orders(None);
    brought["status"]["keys"][0]["secretRef"]["name"] = json!("made-by-vault");
    let endpoint = serde_json::from_value(brought).unwrap();
    let error = server.cluster("shop").rotate_key(&endpoint, "default", "n").await.unwrap_err().to_string();
    assert!(error.contains("Secret made-by-vault, which is not Headgate's"), "{error}");
    assert_eq!(server.writes(), []);
}
