//! Tokens: what they are checked with reaches running pods, and the key of tickets is made once.

use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::log::Log;
use headgate_tests::apiserver::request::Verb;
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, Stage, entry, secret};

const KEY_SET: &str = "/openid/v1/jwks";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\ncm9vdA==\n-----END CERTIFICATE-----\n";

/// An endpoint that takes the tokens of the cluster's ServiceAccounts and nothing else.
fn of_the_cluster() -> Stage {
    Stage::with_endpoint(|spec| {
        spec["auth"] = json!({"mode": "OIDC", "oidc": {"kubernetes": {}, "audiences": ["orders"]}});
    })
}

/// One that takes those of a provider with a certificate of its own authority.
fn of_a_provider() -> Stage {
    Stage::with_endpoint(|spec| {
        let oidc = json!({"issuerURL": "https://id.example.com", "audiences": ["orders"],
            "caSecretRef": {"name": "id-ca"}});
        spec["auth"] = json!({"mode": "OIDC", "oidc": oidc});
    })
}

/// The platform team lets endpoints be open to everybody.
fn may_be_open(stage: &Stage) {
    let allow = |connection: &mut Value| {
        connection["spec"]["allowed"][0]["guardrails"]["anonymous"] = "Allowed".into();
    };
    stage.server.edit("KafkaConnection", "", "platform", allow).unwrap();
}

/// A file that gateways check tokens with.
fn mounted(stage: &Stage, file: &str) -> String {
    entry(&stage.get("Secret", "orders-verifier").unwrap(), file)
}

/// Running pods are told to look again, and none is replaced.
fn reloads(log: &Log) {
    let told = log.about(Verb::Patch, "pods");
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].body["metadata"]["annotations"]["headgate.dev/reload-hash"].is_string());
    assert!(log.about(Verb::Patch, "deployments").is_empty(), "a reload is no rollout:\n{log}");
}

#[tokio::test]
async fn an_endpoint_that_takes_tokens_only_needs_no_key_to_be_ready() {
    let stage = of_the_cluster();
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
    let (status, reason, _) = stage.condition("CredentialsReady").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "KeysNotUsed"));
    assert_eq!(stage.keys(), [].into());
    let config = stage.get("ConfigMap", "orders-gateway").unwrap()["data"]["gateway.yaml"].to_string();
    assert!(config.contains("https://kubernetes.default.svc.cluster.local"), "{config}");
}

#[tokio::test]
async fn new_keys_of_the_api_server_reach_running_pods() {
    let stage = of_the_cluster();
    stage.settle().await;
    assert!(mounted(&stage, "jwks.json").contains(r#""kid":"one""#));
    stage.server.documents(|documents| documents.sign_with(&["two", "one"]));
    reloads(&stage.logged().await);
    assert!(mounted(&stage, "jwks.json").contains(r#""kid":"two""#));
    stage.server.documents(|documents| documents.sign_with(&["one", "two"]));
    let log = stage.logged().await;
    assert!(log.writes().is_empty(), "another order is no other set:\n{log}");
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_takes_no_keys_away() {
    let stage = of_the_cluster();
    stage.settle().await;
    let before = mounted(&stage, "jwks.json");
    for failure in [Failure::InternalError, Failure::Unavailable, Failure::Forbidden("no".to_owned())] {
        stage.server.fault(Fault::on(Verb::Get, KEY_SET, failure.clone()));
        let error = stage.reconcile().await.unwrap_err();
        assert!(error.retry(), "{failure:?}: {error}");
        stage.server.no_faults();
        assert_eq!(mounted(&stage, "jwks.json"), before, "{failure:?}");
    }
    assert_eq!(stage.reason(), "Serving");
}

#[tokio::test]
async fn an_api_server_that_does_not_say_who_issues_its_tokens_is_named_as_the_reason() {
    let stage = of_the_cluster();
    stage.server.documents(headgate_tests::apiserver::documents::Documents::remove);
    stage.settle().await;
    assert_eq!(stage.reason(), "ClusterTokensUnusable");
    assert!(stage.get("Deployment", "orders-gateway").is_none());
    stage.server.documents(|documents| *documents = headgate_tests::apiserver::documents::Documents::default());
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
}

#[tokio::test]
async fn only_an_endpoint_that_takes_the_clusters_tokens_asks_about_them() {
    let stage = Stage::with_endpoint(|_| {});
    let log = stage.logged().await;
    assert!(log.about(Verb::Get, KEY_SET).is_empty(), "{log}");
}

#[tokio::test]
async fn a_rule_for_tokens_reaches_running_pods() {
    let stage = of_the_cluster();
    may_be_open(&stage);
    stage.settle().await;
    for change in [
        |spec: &mut Value| spec["auth"]["oidc"]["required"] = json!([{"claim": "sub", "values": ["somebody"]}]),
        |spec: &mut Value| spec["publicAccess"]["trustedProxies"] = json!(["10.0.0.0/8"]),
        |spec: &mut Value| spec["publicAccess"]["anonymous"] = true.into(),
    ] {
        stage.change(change);
        let log = stage.logged().await;
        assert_eq!(log.about(Verb::Patch, "configmaps").len(), 1, "{log}");
        reloads(&log);
        stage.settle().await;
    }
}

#[tokio::test]
async fn the_authority_of_a_provider_is_asked_for_mounted_and_renewed() {
    let stage = of_a_provider();
    stage.settle().await;
    let (_, reason, message) = stage.condition("Ready").unwrap();
    assert_eq!(reason, "SecretNotFound");
    assert!(message.contains("id-ca"), "{message}");
    stage.server.put(secret(NAMESPACE, "id-ca", json!({"ca.crt": CERTIFICATE}))).unwrap();
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
    assert_eq!(mounted(&stage, "oidc-ca.crt"), CERTIFICATE);
    let renewed = CERTIFICATE.replace("cm9vdA==", "cmVuZXdlZA==");
    stage.server.put(secret(NAMESPACE, "id-ca", json!({"ca.crt": renewed}))).unwrap();
    reloads(&stage.logged().await);
    assert_eq!(mounted(&stage, "oidc-ca.crt"), renewed);
}

#[tokio::test]
async fn the_key_of_tickets_comes_with_the_first_pods_and_outlives_every_rotation() {
    let stage = Stage::with_endpoint(|_| {});
    let log = stage.logged().await;
    let at = |verb: Verb, name: &str| log.0.iter().position(|request| request.verb == verb && request.name == name);
    let deployed = log.0.iter().position(|request| request.resource == "deployments" && request.verb.writes());
    assert!(at(Verb::Create, "orders-tickets").unwrap() < deployed.unwrap(), "{log}");
    let key = stage.ticket_key();
    assert!(key.is_some());
    stage.annotate(headgate_crds::names::ANNOTATION_ROTATE, "1");
    stage.advance(1_000_000);
    stage.settle().await;
    assert_eq!(stage.ticket_key(), key);
}

#[tokio::test]
async fn a_deleted_key_of_tickets_is_another_one_with_which_all_pods_start_anew() {
    let stage = Stage::with_endpoint(|_| {});
    stage.settle().await;
    let before = stage.ticket_key();
    stage.server.remove("Secret", NAMESPACE, "orders-tickets");
    let log = stage.logged().await;
    assert_ne!(stage.ticket_key(), before);
    // Gateways read it at their start only, and have to agree.
    assert_eq!(log.about(Verb::Patch, "deployments").len(), 1, "{log}");
}

#[tokio::test]
async fn an_endpoint_without_credentials_has_no_key_of_tickets() {
    let stage = Stage::with_endpoint(|_| {});
    may_be_open(&stage);
    stage.settle().await;
    stage.change(|spec| {
        spec["auth"] = json!({"mode": "None"});
        spec["publicAccess"] = json!({"anonymous": true});
    });
    let log = stage.logged().await;
    let deleted = log.0.iter().position(|request| request.verb == Verb::Delete && request.name == "orders-tickets");
    let deployed = log.0.iter().position(|request| request.resource == "deployments" && request.verb.writes());
    assert!(deployed.unwrap() < deleted.unwrap(), "pods must not wait for what is gone:\n{log}");
    assert_eq!(stage.ticket_key(), None);
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
}
