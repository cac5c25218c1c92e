//! The whole controller with its watches: it notices what happens, survives what breaks, and is quiet otherwise.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use headgate_operator::controller::{self, RunError};
use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::kubelet::{self, Health};
use headgate_tests::apiserver::request::Verb;
use headgate_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::{NAME, NAMESPACE, Stage, condition, endpoint, everything};

/// How long anything may take here: nothing does, but the machine may be busy.
const DEADLINE: Duration = Duration::from_mins(1);
const POD_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// The controller, running.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) fn start(stage: &Stage) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(controller::run(Arc::new(stage.context()), shutdown.clone()));
        Self { shutdown, task }
    }

    /// Lets it finish what it has begun.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Waits until a condition of an endpoint has this reason, while pods come and go.
pub(crate) async fn becomes(stage: &Stage, name: &str, kind: &str, reason: &str) {
    let waited = eventually(format!("{kind} of {name} to be {reason}"), DEADLINE, async || {
        kubelet::settle(&stage.server, POD_ADDRESS, Health::Ready).unwrap();
        let object = stage.get("StreamEndpoint", name);
        object.and_then(|object| condition(&object, kind)).is_some_and(|(_, now, _)| now == reason)
    });
    if let Err(error) = waited.await {
        let status = stage.get("StreamEndpoint", name).map(|object| object["status"].clone());
        panic!("{error}: {status:#?}\n{}", stage.server.take_log());
    }
}

async fn appears(stage: &Stage, kind: &str, name: &str) {
    eventually(format!("{kind} {name}"), DEADLINE, async || stage.get(kind, name).is_some()).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_becomes_ready_and_then_nothing_is_written_any_more() {
    let stage = Stage::with_endpoint(|_| {});
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    // Everything is listed and looked at again.
    for _ in 0..2 {
        stage.server.take_log();
        stage.server.expire_watches();
        let looked = async || !stage.server.log().about(Verb::Get, "deployments").is_empty();
        eventually("another look", DEADLINE, looked).await.unwrap();
    }
    running.stop().await;
    let log = stage.server.take_log();
    assert!(log.writes().is_empty(), "{:#?}", log.writes());
}

#[tokio::test]
async fn what_somebody_does_to_a_child_is_repaired_at_once() {
    let stage = Stage::with_endpoint(everything);
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Available", "ReplicasReady").await;
    for (kind, name) in stage.children() {
        stage.server.remove(&kind, NAMESPACE, &name);
        appears(&stage, &kind, &name).await;
    }
    let before = stage.get("Deployment", "orders-gateway").unwrap()["spec"]["replicas"].clone();
    stage
        .server
        .edit("Deployment", NAMESPACE, "orders-gateway", |object| object["spec"]["replicas"] = 9.into())
        .unwrap();
    let repaired =
        async || stage.get("Deployment", "orders-gateway").is_some_and(|now| now["spec"]["replicas"] == before);
    eventually("the number of replicas", DEADLINE, repaired).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn changes_around_an_endpoint_are_noticed() {
    let stage = Stage::with_endpoint(|_| {});
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    stage.server.namespace(NAMESPACE, json!({"streams": "disabled"}));
    becomes(&stage, NAME, "Ready", "TopicNotAllowed").await;
    stage.server.namespace(NAMESPACE, json!({"streams": "enabled"}));
    becomes(&stage, NAME, "Ready", "Serving").await;
    let forbid = |connection: &mut Value| connection["spec"]["allowed"] = json!([]);
    stage.server.edit("KafkaConnection", "", "platform", forbid).unwrap();
    becomes(&stage, NAME, "Ready", "TopicNotAllowed").await;
    running.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_was_in_the_way_makes_room_when_it_goes() {
    let stage = Stage::with_endpoint(|_| {});
    let mut second = endpoint("second");
    second["spec"]["app"] = NAME.into();
    second["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z".into();
    stage.server.put(second).unwrap();
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    becomes(&stage, "second", "Ready", "AppConflict").await;
    stage.server.remove("StreamEndpoint", NAMESPACE, NAME);
    stage.server.collect_garbage();
    becomes(&stage, "second", "Ready", "Serving").await;
    running.stop().await;
}

#[tokio::test]
async fn one_broken_object_harms_nobody() {
    let stage = Stage::with_endpoint(|_| {});
    let mut broken = endpoint("broken");
    broken["spec"]["limits"] = json!({"maxConnections": "many"});
    stage.server.put_unchecked(broken);
    let mut odd = crate::stage::connection();
    odd["metadata"] = json!({"name": "odd"});
    odd["spec"] = json!({"bootstrapServers": 7});
    stage.server.put_unchecked(odd);
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    becomes(&stage, "broken", "Ready", "InvalidSpec").await;
    running.stop().await;
}

#[tokio::test]
async fn watches_that_break_begin_anew() {
    let stage = Stage::with_endpoint(|_| {});
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    stage.server.close_watches();
    stage.server.send_bookmarks();
    stage.server.expire_watches();
    stage.server.put(endpoint("second")).unwrap();
    becomes(&stage, "second", "Ready", "Serving").await;
    running.stop().await;
}

#[tokio::test]
async fn an_object_whose_requests_hang_holds_up_no_other() {
    let stage = Stage::with_endpoint(|_| {});
    stage.server.fault(Fault::on(Verb::Patch, "deployments", Failure::Hang).named("orders-gateway"));
    let running = Running::start(&stage);
    appears(&stage, "Service", "orders-gateway").await;
    stage.server.put(endpoint("second")).unwrap();
    becomes(&stage, "second", "Ready", "Serving").await;
    assert!(stage.get("Deployment", "orders-gateway").is_none());
    // What hangs does not end with a shutdown either; the process cuts it off after its drain time.
    running.task.abort();
}

#[tokio::test]
async fn a_failure_is_tried_again_without_a_change() {
    let stage = Stage::with_endpoint(|_| {});
    stage.server.fault(Fault::on(Verb::Patch, "deployments", Failure::InternalError).only_the(1));
    let running = Running::start(&stage);
    becomes(&stage, NAME, "Ready", "Serving").await;
    running.stop().await;
}

#[tokio::test]
async fn a_connection_tells_how_many_use_it_and_what_is_wrong_with_it() {
    let stage = Stage::with_endpoint(|_| {});
    let running = Running::start(&stage);
    let connection = || stage.server.get("KafkaConnection", "", "platform").unwrap();
    let counted = async || connection()["status"]["endpoints"] == 1;
    eventually("the number of endpoints", DEADLINE, counted).await.unwrap();
    assert_eq!(condition(&connection(), "Ready").unwrap().0, "True");
    let log_in = |connection: &mut Value| {
        connection["spec"]["tls"] = json!({});
        connection["spec"]["sasl"] = json!({"mechanism": "ScramSha512",
            "credentialsSecretRef": {"namespace": "default", "name": "no-such-user"}});
    };
    stage.server.edit("KafkaConnection", "", "platform", log_in).unwrap();
    let noticed = async || condition(&connection(), "Ready").is_some_and(|(status, ..)| status == "False");
    eventually("the missing Secret", DEADLINE, noticed).await.unwrap();
    assert!(condition(&connection(), "Ready").unwrap().2.contains("no-such-user"));
    running.stop().await;
}
