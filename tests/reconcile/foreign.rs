//! What belongs to somebody else is never touched, and the endpoint says so.

use serde_json::{Value, json};

use crate::stage::{NAME, NAMESPACE, Stage, everything};

/// The smallest object of a kind that an API server takes, without an owner.
fn somebody_elses(kind: &str, name: &str) -> Value {
    let metadata = json!({"name": name, "namespace": NAMESPACE});
    let selector = json!({"matchLabels": {"theirs": "yes"}});
    match kind {
        "Deployment" => json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {
            "selector": selector,
            "template": {"metadata": {"labels": {"theirs": "yes"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        }}),
        "Service" => json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"ports": [{"port": 1}]}}),
        "PodDisruptionBudget" => {
            json!({"apiVersion": "policy/v1", "kind": kind, "metadata": metadata, "spec": {"selector": selector}})
        }
        "NetworkPolicy" => {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": {"podSelector": {}}})
        }
        "HTTPRoute" => {
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": {}})
        }
        kind => json!({"apiVersion": "v1", "kind": kind, "metadata": metadata}),
    }
}

async fn children_of_everything() -> Vec<(String, String)> {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    stage.children()
}

#[tokio::test]
async fn an_object_of_somebody_else_with_a_childs_name_stays_as_it_is() {
    for (kind, name) in children_of_everything().await {
        let stage = Stage::with_endpoint(everything);
        let before = stage.server.put(somebody_elses(&kind, &name)).unwrap();
        // It stays so with every attempt.
        for _ in 0..2 {
            let outcome = stage.reconcile().await;
            assert!(outcome.as_ref().err().is_none_or(|error| !error.retry()), "{kind} {name}: {outcome:?}");
        }
        assert_eq!(stage.get(&kind, &name).unwrap(), before, "{kind} {name}");
        // One key that cannot be issued stops neither the others nor the pods.
        let condition = if name.contains("-key-") { "CredentialsReady" } else { "Ready" };
        let (status, reason, message) = stage.condition(condition).unwrap();
        let expected = if kind == "Secret" { "SecretConflict" } else { "ChildConflict" };
        assert_eq!((status.as_str(), reason.as_str()), ("False", expected), "{kind} {name}: {message}");
        assert!(message.contains(&name), "{message}");
    }
}

#[tokio::test]
async fn an_object_of_somebody_else_outlives_the_endpoint_and_its_withdrawal() {
    for (kind, name) in children_of_everything().await {
        let stage = Stage::with_endpoint(everything);
        let before = stage.server.put(somebody_elses(&kind, &name)).unwrap();
        let forbid = |connection: &mut Value| connection["spec"]["allowed"] = json!([]);
        stage.server.edit("KafkaConnection", "", "platform", forbid).unwrap();
        stage.reconcile().await.unwrap();
        stage.server.remove("StreamEndpoint", NAMESPACE, NAME);
        stage.server.collect_garbage();
        assert_eq!(stage.get(&kind, &name).unwrap(), before, "{kind} {name}");
    }
}

#[tokio::test]
async fn children_of_an_earlier_endpoint_of_that_name_are_waited_for() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let endpoint = stage.get("StreamEndpoint", NAME).unwrap();
    stage.server.remove("StreamEndpoint", NAMESPACE, NAME);
    let mut again = endpoint;
    for field in ["uid", "resourceVersion", "managedFields", "generation"] {
        again["metadata"].as_object_mut().unwrap().remove(field);
    }
    again.as_object_mut().unwrap().remove("status");
    stage.server.put(again).unwrap();
    let error = stage.reconcile().await.unwrap_err();
    assert!(error.retry(), "{error}");
    stage.server.collect_garbage();
    stage.settle().await;
    assert_eq!(stage.condition("Available").unwrap().0, "True");
}
