//! An endpoint's life: paused, stopped, scaled, withdrawn, deleted.

use headgate_crds::names::ANNOTATION_PAUSE;
use headgate_tests::apiserver::request::Verb;
use serde_json::{Value, json};

use crate::stage::{NAME, NAMESPACE, Stage, comparable, everything};

#[tokio::test]
async fn a_paused_endpoint_has_its_status_and_nothing_else_written() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    stage.annotate(ANNOTATION_PAUSE, "true");
    stage.change(|spec| spec["replicas"] = 5.into());
    stage.server.remove("ConfigMap", NAMESPACE, "orders-gateway");
    let log = stage.logged().await;
    assert!(log.writes().iter().all(|write| write.resource == "streamendpoints/status"), "{log}");
    assert_eq!(stage.condition("ReconciliationPaused").unwrap().0, "True");
    assert!(stage.get("ConfigMap", "orders-gateway").is_none());
    assert!(stage.logged().await.writes().is_empty());
    stage.annotate(ANNOTATION_PAUSE, "false");
    stage.settle().await;
    assert!(stage.condition("ReconciliationPaused").is_none());
    assert_eq!(stage.get("Deployment", "orders-gateway").unwrap()["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_stopped_endpoint_has_no_pods_and_keeps_keys_and_names() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let (keys, service) = (stage.keys(), stage.get("Service", "orders-gateway").unwrap());
    stage.change(|spec| spec["stopped"] = true.into());
    stage.settle().await;
    assert!(stage.server.list("Pod", NAMESPACE).is_empty());
    assert_eq!(stage.reason(), "Stopped");
    assert_eq!(stage.keys(), keys);
    assert_eq!(stage.get("Service", "orders-gateway").unwrap()["spec"], service["spec"]);
    stage.change(|spec| spec["stopped"] = false.into());
    stage.settle().await;
    assert_eq!(stage.server.list("Pod", NAMESPACE).len(), 2);
    assert_eq!(stage.condition("Available").unwrap().0, "True");
}

#[tokio::test]
async fn the_number_of_pods_follows_the_spec_and_shows_in_the_status() {
    let stage = Stage::with_endpoint(|_| {});
    for replicas in [1, 3, 1] {
        stage.change(|spec| spec["replicas"] = replicas.into());
        stage.settle().await;
        let endpoint = stage.get("StreamEndpoint", NAME).unwrap();
        assert_eq!(endpoint["status"]["replicas"], replicas);
        assert_eq!(endpoint["status"]["readyReplicas"], replicas);
        assert_eq!(stage.get("PodDisruptionBudget", "orders-gateway").is_some(), replicas > 1);
    }
}

#[tokio::test]
async fn a_topic_that_is_no_longer_allowed_ends_the_pods_and_keeps_the_keys() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let (before, keys) = (comparable(&stage.server), stage.keys());
    let allow = |topics: Value| move |connection: &mut Value| connection["spec"]["allowed"][0]["topics"] = topics;
    stage.server.edit("KafkaConnection", "", "platform", allow(json!(["other.*"]))).unwrap();
    stage.settle().await;
    assert_eq!(stage.reason(), "TopicNotAllowed");
    for (kind, name) in [("Deployment", "orders-gateway"), ("HTTPRoute", "orders-gateway"), ("Secret", "orders-kafka")]
    {
        assert!(stage.get(kind, name).is_none(), "{kind} {name}");
    }
    assert_eq!(stage.keys(), keys);
    stage.server.edit("KafkaConnection", "", "platform", allow(json!(["{namespace}.*"]))).unwrap();
    stage.settle().await;
    let after = comparable(&stage.server);
    let named = |objects: &[Value]| objects.iter().map(|object| object["metadata"]["name"].clone()).collect::<Vec<_>>();
    assert_eq!(named(&after), named(&before));
    assert_eq!(stage.keys(), keys);
}

#[tokio::test]
async fn a_mistake_in_the_spec_leaves_running_pods_alone() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let deployment = stage.get("Deployment", "orders-gateway").unwrap();
    stage.server.remove("KafkaConnection", "", "platform");
    stage.server.put(crate::stage::connection()).unwrap();
    stage.change(|spec| {
        spec["kafka"] = json!({"bootstrapServers": "kafka.shop:9093",
            "sasl": {"mechanism": "Plain", "credentialsSecretRef": {"name": "missing"}}});
    });
    stage.settle().await;
    assert_eq!(stage.reason(), "SecretNotFound");
    assert_eq!(stage.get("Deployment", "orders-gateway").unwrap()["spec"], deployment["spec"]);
}

#[tokio::test]
async fn what_an_endpoint_made_goes_with_it() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let children = stage.children();
    assert!(!stage.server.list("Pod", NAMESPACE).is_empty());
    stage.server.remove("StreamEndpoint", NAMESPACE, NAME);
    stage.server.collect_garbage();
    for (kind, name) in children {
        assert!(stage.get(&kind, &name).is_none(), "{kind} {name} stays");
    }
    assert!(stage.server.list("Pod", NAMESPACE).is_empty());
}

#[tokio::test]
async fn a_gateway_that_does_not_reach_kafka_shows_and_recovers() {
    let stage = Stage::with_endpoint(|_| {});
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
    for (state, reason) in [
        ("TopicNotFound", "TopicNotFound"),
        ("Unreachable", "KafkaUnreachable"),
        ("AuthenticationFailed", "AuthenticationFailed"),
        ("AuthorizationFailed", "AuthorizationFailed"),
    ] {
        stage.pods.say(state, 0);
        stage.settle().await;
        assert_eq!(stage.reason(), reason);
    }
    stage.pods.say("Reading", 3);
    stage.settle().await;
    assert_eq!(stage.reason(), "Serving");
}

#[tokio::test]
async fn pods_are_told_how_many_clients_they_have_only_while_there_are_several() {
    let cost = "controller.kubernetes.io/pod-deletion-cost";
    let stage = Stage::with_endpoint(|spec| spec["replicas"] = 2.into());
    stage.settle().await;
    stage.pods.say("Reading", 100);
    stage.settle().await;
    let costs = |stage: &Stage| -> Vec<Value> {
        let pods = stage.server.list("Pod", NAMESPACE);
        pods.iter().map(|pod| pod["metadata"]["annotations"][cost].clone()).collect()
    };
    assert!(costs(&stage).iter().all(Value::is_string), "{:?}", costs(&stage));
    stage.pods.say("Reading", 101);
    let log = stage.logged().await;
    assert!(log.about(Verb::Patch, "pods").is_empty(), "a client more or less is no reason to write");
}
