//! Explanations as they are printed, from what an API server would answer.

use super::*;
use crate::cluster::fake::{self, ApiServer};
use jiff::Timestamp;
use serde_json::{Value, json};

const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const EVENTS: &str = "/api/v1/namespaces/shop/events";
const CONNECTIONS: &str = "/apis/headgate.dev/v1alpha1/kafkaconnections";

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T11:57:00Z" })
}

fn orders(conditions: &Value) -> Value {
    let mut value = fake::endpoint("shop", "orders");
    value["status"] = json!({ "observedGeneration": 1, "url": "wss://h/orders", "conditions": conditions });
    value
}

fn pod(name: &str, status: &Value) -> Value {
    json!({ "metadata": { "name": name }, "status": status })
}

fn event(object: (&str, &str), reason: &str, message: &str) -> Value {
    json!({ "metadata": { "name": reason }, "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": "2026-11-21T11:59:00Z",
        "involvedObject": { "kind": object.0, "name": object.1 } })
}

/// A cluster with this endpoint, and nothing else of it.
fn server(endpoint: Value) -> ApiServer {
    let server = ApiServer::new();
    server.then("GET", ENDPOINT, endpoint);
    for path in [PODS, EVENTS, CONNECTIONS] {
        server.list("GET", path, []);
    }
    server
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

async fn told(server: &ApiServer) -> String {
    let evidence = gather(&server.cluster("shop"), "orders").await.unwrap();
    render(&explain(&evidence, now()), now()).join("\n")
}

#[tokio::test]
async fn a_ready_endpoint_is_told_in_a_line_with_its_conditions() {
    let server = server(orders(&json!([condition("Ready", "True", "Serving", "clients can connect")])));
    let expected = "\
shop/orders is ready: wss://h/orders

CONDITION   STATUS   REASON    SINCE
Ready       True     Serving   3m";
    assert_eq!(told(&server).await, expected);
}

#[tokio::test]
async fn what_works_and_is_probably_not_meant_is_told_of_a_ready_endpoint_too() {
    let mut endpoint = orders(&json!([condition("Ready", "True", "Serving", "clients can connect")]));
    endpoint["spec"]["auth"] = json!({ "mode": "OIDC", "oidc": { "kubernetes": {}, "audiences": ["orders"] } });
    let told = told(&server(endpoint)).await;
    assert!(
        told.contains("\n\nwarning: spec.auth.oidc.kubernetes: every ServiceAccount of the cluster may read"),
        "{told}"
    );
}

#[tokio::test]
async fn the_first_failing_condition_comes_first_and_the_others_keep_their_words() {
    let message = "no broker of kafka:9092 answers";
    let server = server(orders(&json!([
        condition("Stalled", "True", "KafkaUnreachable", message),
        condition("Exposed", "False", "RoutePending", "the Ingress has no address"),
        condition("KafkaReady", "False", "KafkaUnreachable", message),
        condition("Available", "True", "ReplicasReady", ""),
        condition("Ready", "False", "KafkaUnreachable", message),
    ])));
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    server.list("GET", PODS, [pod("orders-gateway-1-a", &ready)]);
    let expected = "\
shop/orders is not ready: KafkaUnreachable
  no broker of kafka:9092 answers
  → Check the bootstrap servers, the network policies and the brokers.

CONDITION    STATUS   REASON             SINCE
Ready        False    KafkaUnreachable   3m
Available    True     ReplicasReady      3m
KafkaReady   False    KafkaUnreachable   3m
Exposed      False    RoutePending       3m
  the Ingress has no address
  → Wait; if it stays, check that the controller of the Gateway or Ingress class runs.
Stalled      True     KafkaUnreachable   3m

1 of 1 gateway pod(s) ready";
    assert_eq!(told(&server).await, expected);
}

#[tokio::test]
async fn pods_say_what_they_wait_for_and_events_of_others_stay_out() {
    let server = server(orders(&json!([condition("Ready", "False", "ReplicasUnavailable", "0 of 2 pods are ready")])));
    let waiting = |reason: &str, message: &str| {
        json!({ "name": "gateway", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": message } } })
    };
    let mut crashing = waiting("CrashLoopBackOff", "back-off 40s restarting failed container");
    crashing["restartCount"] = json!(4);
    crashing["lastState"] = json!({ "terminated": { "exitCode": 64, "reason": "Error", "message": "spec.kafka\n" } });
    let unscheduled = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory." }]);
    server.list(
        "GET",
        PODS,
        [
            pod("orders-gateway-1-a", &json!({ "phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff", "Back-off pulling image \"x\"")] })),
            pod("orders-gateway-1-b", &json!({ "phase": "Running", "containerStatuses": [crashing] })),
            pod("orders-gateway-1-c", &json!({ "phase": "Pending", "conditions": unscheduled })),
        ],
    );
    server.list(
        "GET",
        EVENTS,
        [
            event(("Pod", "orders-gateway-1-a"), "Failed", "Error: ImagePullBackOff"),
            event(("ReplicaSet", "orders-gateway-1"), "FailedCreate", "exceeded quota"),
            event(("Pod", "orders-gateway-gateway-1-a"), "Failed", "of the endpoint orders-gateway"),
            event(("ReplicaSet", "orders-gateway-gateway-1"), "Failed", "of the endpoint orders-gateway"),
            event(("StreamEndpoint", "sensors"), "Failed", "of another"),
        ],
    );
    let expected = "\
shop/orders is not ready: ReplicasUnavailable
  0 of 2 pods are ready
  → Look at the gateway pods' events and logs.

CONDITION   STATUS   REASON                SINCE
Ready       False    ReplicasUnavailable   3m

0 of 3 gateway pod(s) ready
  orders-gateway-1-a: ImagePullBackOff
    Back-off pulling image \"x\"
    → Ask the platform team to check the gateway image and its pull secrets in the Headgate installation.
  orders-gateway-1-b: CrashLoopBackOff, 4 restart(s)
    the last time it ended with code 64 (Error): spec.kafka
    → Read its last words: kubectl logs orders-gateway-1-b -n shop --previous
  orders-gateway-1-c: Unschedulable
    0/3 nodes are available: 3 Insufficient memory.
    → Ask for more nodes, or correct nodeSelector, tolerations, affinity and resources in spec.pod.

EVENT   TYPE      OBJECT                        REASON         MESSAGE
60s     Warning   Pod orders-gateway-1-a        Failed         Error: ImagePullBackOff
60s     Warning   ReplicaSet orders-gateway-1   FailedCreate   exceeded quota";
    assert_eq!(told(&server).await, expected);
}

#[tokio::test]
async fn a_silent_operator_is_not_taken_for_a_ready_endpoint() {
    let fresh = server(fake::endpoint("shop", "orders"));
    assert!(told(&fresh).await.starts_with(
        "shop/orders is not ready: NotObserved\n  the operator has not looked at the endpoint yet\n  → Wait a moment;"
    ));
    let mut changed = orders(&json!([condition("Ready", "True", "Serving", "")]));
    changed["metadata"]["generation"] = json!(2);
    let text = told(&server(changed)).await;
    assert!(text.contains("the spec is at generation 2, the status describes 1"), "{text}");
}

#[tokio::test]
async fn a_connection_that_is_not_ready_is_told_to_whoever_may_see_it() {
    let endpoint = || orders(&json!([condition("Ready", "False", "KafkaNotProbed", "")]));
    let connection = |name: &str, default: &str| {
        json!({ "metadata": { "name": name, "annotations": { "headgate.dev/default-connection": default } },
            "spec": { "bootstrapServers": "kafka:9092", "allowed": [] },
            "status": { "conditions": [condition("Ready", "False", "SecretNotFound", "kafka/ca is missing")] } })
    };
    let seen = server(endpoint());
    seen.list("GET", CONNECTIONS, [connection("other", "false"), connection("platform", "true")]);
    let text = told(&seen).await;
    assert!(
        text.contains("\nKafkaConnection platform is not ready: SecretNotFound\n  kafka/ca is missing\n"),
        "{text}"
    );
    let unseen = server(endpoint());
    unseen.refuse("GET", CONNECTIONS, 403, "forbidden");
    unseen.refuse("GET", EVENTS, 403, "events is forbidden");
    let text = told(&unseen).await;
    assert!(!text.contains("KafkaConnection"), "{text}");
    assert!(text.contains("\nNot looked at: not allowed to list the events of its namespace: events is forbidden"));
}

#[tokio::test]
async fn json_has_everything_that_the_text_has() {
    let server = server(orders(&json!([condition("Ready", "False", "TopicNotFound", "shop.orders does not exist")])));
    let evidence = gather(&server.cluster("shop"), "orders").await.unwrap();
    let value = serde_json::to_value(explain(&evidence, now())).unwrap();
    assert_eq!(value["ready"], false);
    assert_eq!(value["cause"]["reason"], "TopicNotFound");
    assert_eq!(value["conditions"][0]["type"], "Ready");
    assert_eq!(value["conditions"][0]["remedy"], "Create the topic, or correct spec.topic.");
}
