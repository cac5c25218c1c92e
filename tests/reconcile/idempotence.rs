//! A second reconcile writes nothing, whatever the endpoint asks for.

use std::path::Path;

use headgate_crds::yaml;
use serde_json::{Value, json};

use crate::stage::{NAME, NAMESPACE, Stage, everything, text};

/// The operator's own cases, which its pure steps are tested with.
fn cases() -> Vec<(String, Vec<Value>)> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/tests/cases");
    let mut found = Vec::new();
    for folder in [cases.clone(), cases.join("children")] {
        for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
            let documents = yaml::documents(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
            found.push((file.path().display().to_string(), documents));
        }
    }
    found
}

/// The objects of a case in a cluster; `None` for those that an API server does not let in.
fn put(documents: &[Value]) -> Option<Stage> {
    let stage = Stage::empty();
    let (namespaces, others): (Vec<_>, Vec<_>) = documents.iter().partition(|document| document["kind"] == "Namespace");
    for object in documents {
        let namespace = text(&object["metadata"]["namespace"]);
        if !namespace.is_empty() && stage.server.get("Namespace", "", &namespace).is_none() {
            stage.server.namespace(&namespace, json!({}));
        }
    }
    for namespace in namespaces {
        stage.server.namespace(&text(&namespace["metadata"]["name"]), namespace["metadata"]["labels"].clone());
    }
    others.into_iter().all(|object| stage.server.put(object.clone()).is_ok()).then_some(stage)
}

#[tokio::test]
async fn a_second_run_of_every_case_of_the_operator_writes_nothing() {
    let mut run = 0;
    for (case, documents) in cases() {
        let Some(stage) = put(&documents) else { continue };
        if stage.get("StreamEndpoint", NAME).is_none() {
            continue;
        }
        run += 1;
        stage.reconcile().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let second = stage.logged().await;
        assert!(second.writes().is_empty(), "{case}:\n{:#?}", second.writes());
        assert!(stage.condition("Ready").is_some(), "{case}");
    }
    assert!(run > 30, "only {run} cases could be run");
}

#[tokio::test]
async fn an_endpoint_that_serves_is_left_alone() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    // The Gateway has to accept the route; nothing else is missing.
    assert_eq!(stage.condition("Available").unwrap().0, "True", "{:?}", stage.condition("Available"));
    assert_eq!(stage.condition("KafkaReady").unwrap().0, "True", "{:?}", stage.condition("KafkaReady"));
    assert_eq!(stage.condition("CredentialsReady").unwrap().0, "True", "{:?}", stage.condition("CredentialsReady"));
    stage.advance(3600);
    let log = stage.logged().await;
    assert!(log.writes().is_empty(), "{log}");
}

#[tokio::test]
async fn what_others_add_to_a_child_stays_and_causes_no_write() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    stage
        .server
        .edit("Deployment", NAMESPACE, "orders-gateway", |deployment| {
            deployment["metadata"]["annotations"]["team.example.com/note"] = "ours".into();
            let pod = &mut deployment["spec"]["template"]["spec"];
            pod["containers"].as_array_mut().unwrap().push(json!({"name": "sidecar", "image": "mesh:1"}));
            pod["containers"][0]["ports"].as_array_mut().unwrap().push(json!({"containerPort": 1234}));
        })
        .unwrap();
    stage
        .server
        .edit("Service", NAMESPACE, "orders-gateway", |service| {
            let port = json!({"name": "mesh", "port": 15_000, "protocol": "TCP"});
            service["spec"]["ports"].as_array_mut().unwrap().push(port);
        })
        .unwrap();
    // There is a rollout now, which the status tells.
    let log = stage.logged().await;
    assert!(log.writes().iter().all(|write| write.resource == "streamendpoints/status"), "{log}");
    let deployment = stage.get("Deployment", "orders-gateway").unwrap();
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2);
}
