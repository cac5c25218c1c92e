//! The chart grants exactly what the operator uses. That it never needs more, every test here proves: the server remembers
//! a right that is missing as a mistake.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headgate_crds::names::ANNOTATION_ROTATE;
use headgate_crds::yaml;
use headgate_operator::connection;
use headgate_operator::leader::{Elector, ElectorSettings, Leadership, Timing};
use headgate_tests::apiserver::kinds::PATHS;
use headgate_tests::apiserver::log::Right;
use headgate_tests::wait::eventually;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::stage::{NAME, NAMESPACE, Stage, everything, secret};
use crate::watching::{Running, becomes};

const DEADLINE: Duration = Duration::from_mins(1);
/// Parts of the rules that are for the operator, in an installation for the whole cluster.
const PARTS: [&str; 5] =
    ["cluster", "allNamespaces", "watchedNamespaces", "connectionSecretNamespaces", "operatorNamespace"];
/// Granted for an admission plugin, which asks for it instead of the operator.
const NOT_REQUESTED: [(&str, &str, &str); 1] = [("headgate.dev", "streamendpoints/finalizers", "update")];

/// What the chart grants.
pub(crate) fn granted() -> BTreeSet<Right> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/headgate/files/rules.yaml");
    let rules = yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in PARTS.iter().flat_map(|part| rules[part].as_array().unwrap_or_else(|| panic!("no {part}"))) {
        // A rule about paths stands for a group of its own, as in the server's log.
        let (groups, resources) = match rule.get("nonResourceURLs") {
            Some(paths) => (vec![PATHS.to_owned()], texts(paths)),
            None => (texts(&rule["apiGroups"]), texts(&rule["resources"])),
        };
        for group in &groups {
            for resource in &resources {
                let verbs = rule["verbs"].as_object().unwrap().keys();
                rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    rights
}

/// Everything that the operator ever does, with watches.
async fn live(stage: &Stage) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    let running = Running::start(stage);
    becomes(stage, NAME, "Available", "ReplicasReady").await;
    stage.pods.say("Reading", 64);
    stage.annotate(ANNOTATION_ROTATE, "1");
    for public in [
        json!({"exposure": "Ingress", "hostname": "orders.example.com", "ingress": {"className": "nginx"}}),
        json!({"exposure": "LoadBalancer", "hostname": "orders.example.com"}),
        json!({}),
    ] {
        let wanted = public["exposure"].as_str().map(str::to_owned);
        stage.change(|spec| spec["publicAccess"] = public);
        let switched = async || {
            let there = |kind: &str, name: &str| stage.get(kind, name).is_some();
            let (ingress, balancer) = (there("Ingress", "orders-gateway"), there("Service", "orders-public"));
            match wanted.as_deref() {
                Some("Ingress") => ingress && !there("HTTPRoute", "orders-gateway"),
                Some(_) => balancer && !ingress,
                None => !balancer,
            }
        };
        eventually("the way in to change", DEADLINE, switched).await.unwrap();
    }
    stage.change(|spec| {
        spec["replicas"] = 1.into();
        spec["auth"]["apiKeys"] = json!([{"name": "web"}]);
    });
    let fewer = async || {
        stage.get("Secret", "orders-key-etl").is_none() && stage.get("PodDisruptionBudget", "orders-gateway").is_none()
    };
    eventually("fewer children", DEADLINE, fewer).await.unwrap();
    let forbid = |connection: &mut Value| connection["spec"]["allowed"] = json!([]);
    stage.server.edit("KafkaConnection", "", "platform", forbid).unwrap();
    becomes(stage, NAME, "Ready", "TopicNotAllowed").await;
    running.stop().await;
    used.extend(stage.server.take_log().rights());
    used
}

/// What only an operator without network policies, or one that repeats itself, does.
async fn rarely(stage: &Stage) {
    let allow =
        |connection: &mut Value| connection["spec"]["allowed"] = crate::stage::connection()["spec"]["allowed"].clone();
    stage.server.edit("KafkaConnection", "", "platform", allow).unwrap();
    stage.reconcile().await.unwrap();
    stage.reconcile_with(NAME, stage.context_without_network_policy()).await.unwrap();
    assert!(stage.get("NetworkPolicy", "orders-gateway").is_none());
    let context = Arc::new(stage.context());
    for state in ["Unreachable", "Reading", "Unreachable"] {
        headgate_tests::apiserver::kubelet::settle(
            &stage.server,
            std::net::Ipv4Addr::new(192, 0, 2, 7),
            headgate_tests::apiserver::kubelet::Health::Ready,
        )
        .unwrap();
        stage.pods.say(state, 0);
        stage.reconcile_shared(Arc::clone(&context)).await.unwrap();
    }
    let broken = json!({"apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
        "metadata": {"name": "broken", "namespace": NAMESPACE}, "spec": 7});
    stage.server.put_unchecked(broken);
    stage.reconcile_with("broken", stage.context()).await.unwrap();
    stage.change(|spec| spec["kafka"] = json!({"connectionRef": {"name": "platform"}}));
    stage.reconcile().await.unwrap();
    let object = stage.server.get("KafkaConnection", "", "platform").unwrap();
    let object: DeserializeGuard<headgate_crds::KafkaConnection> = serde_json::from_value(object).unwrap();
    connection::reconcile(Arc::new(object), context).await.unwrap();
}

async fn elect(stage: &Stage) {
    stage.server.namespace("headgate-system", json!({}));
    let timing = Timing {
        lease: Duration::from_secs(15),
        deadline: Duration::from_secs(10),
        retry: Duration::from_millis(100),
        request: Duration::from_secs(5),
    };
    let settings = ElectorSettings {
        namespace: "headgate-system".to_owned(),
        lease: "headgate-operator".to_owned(),
        identity: "one".to_owned(),
        timing,
    };
    let (elector, mut leadership) = Elector::new(stage.server.client(), settings).unwrap();
    let resign = CancellationToken::new();
    let task = tokio::spawn(elector.run(resign.clone()));
    tokio::time::timeout(DEADLINE, leadership.wait_for(|now| *now == Leadership::Leading)).await.unwrap().unwrap();
    resign.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn the_rights_that_the_chart_grants_are_those_that_the_operator_uses() {
    let stage = Stage::with_endpoint(everything);
    stage.server.namespace("kafka", json!({}));
    stage.server.put(secret("kafka", "headgate", json!({"username": "headgate", "password": "p"}))).unwrap();
    let log_in = |connection: &mut Value| {
        connection["spec"]["tls"] = json!({});
        connection["spec"]["sasl"] = json!({"mechanism": "ScramSha512",
            "credentialsSecretRef": {"namespace": "kafka", "name": "headgate"}});
    };
    stage.server.edit("KafkaConnection", "", "platform", log_in).unwrap();
    let mut used = live(&stage).await;
    rarely(&stage).await;
    elect(&stage).await;
    used.extend(stage.server.take_log().rights());
    let not_requested = NOT_REQUESTED.map(|(group, resource, verb)| (group.into(), resource.into(), verb.into()));
    let unused: Vec<Right> =
        granted().difference(&used).filter(|right| !not_requested.contains(right)).cloned().collect();
    assert!(unused.is_empty(), "granted and not used: {unused:#?}");
    let beyond: Vec<&Right> = used.iter().filter(|right| !granted().contains(right)).collect();
    assert!(beyond.is_empty(), "used and not granted: {beyond:#?}");
    assert!(stage.server.get("StreamEndpoint", NAMESPACE, NAME).is_some());
}
