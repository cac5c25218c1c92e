//! Two replicas: one works, the other takes over, and nothing is done twice.

use std::sync::Arc;
use std::time::Duration;

use headgate_operator::controller;
use headgate_operator::leader::{self, Elector, ElectorSettings, Leadership, TermError, Timing};
use headgate_tests::wait::eventually;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::{NAME, Stage, text};
use crate::watching::becomes;

const DEADLINE: Duration = Duration::from_mins(1);
const DRAIN: Duration = Duration::from_secs(5);
/// Namespace of the operator.
const OWN: &str = "headgate-system";

struct Replica {
    shutdown: CancellationToken,
    leadership: watch::Receiver<Leadership>,
    task: JoinHandle<Result<(), TermError>>,
}

impl Replica {
    fn start(stage: &Stage, identity: &str) -> Self {
        let settings = ElectorSettings {
            namespace: OWN.to_owned(),
            lease: "headgate-operator".to_owned(),
            identity: identity.to_owned(),
            timing: Timing {
                lease: Duration::from_secs(15),
                deadline: Duration::from_secs(10),
                retry: Duration::from_millis(200),
                request: Duration::from_secs(5),
            },
        };
        let (elector, leadership) = Elector::new(stage.server.client(), settings).unwrap();
        let context = Arc::new(stage.context());
        let shutdown = CancellationToken::new();
        let (token, election) = (shutdown.clone(), Some((elector, leadership.clone())));
        let task = tokio::spawn(async move {
            leader::lead(election, &token, DRAIN, |stop| async move { drop(controller::run(context, stop).await) })
                .await
        });
        Self { shutdown, leadership, task }
    }

    fn leads(&self) -> bool {
        *self.leadership.borrow() == Leadership::Leading
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn holder(stage: &Stage) -> String {
    let lease = stage.server.get("Lease", OWN, "headgate-operator").unwrap_or_default();
    text(&lease["spec"]["holderIdentity"])
}

#[tokio::test]
async fn one_of_two_replicas_works_and_the_other_takes_over_without_writing_anything_anew() {
    let stage = Stage::with_endpoint(|_| {});
    stage.server.namespace(OWN, Value::Object(serde_json::Map::new()));
    let first = Replica::start(&stage, "first");
    eventually("the first to lead", DEADLINE, async || first.leads()).await.unwrap();
    let second = Replica::start(&stage, "second");
    becomes(&stage, NAME, "Ready", "Serving").await;
    assert!(!second.leads() && holder(&stage).starts_with("first"));
    let watches = stage.server.watches();
    first.stop().await;
    assert_eq!(holder(&stage), "", "the Lease is given back");
    stage.server.take_log();
    eventually("the second to lead", DEADLINE, async || second.leads()).await.unwrap();
    eventually("its watches", DEADLINE, async || stage.server.watches() >= watches).await.unwrap();
    stage.change(|spec| spec["replicas"] = 2.into());
    let scaled = async || stage.get("Deployment", "orders-gateway").is_some_and(|now| now["spec"]["replicas"] == 2);
    eventually("the change", DEADLINE, scaled).await.unwrap();
    second.stop().await;
    let log = stage.server.take_log();
    let again: Vec<_> = log.writes().into_iter().filter(|write| write.resource == "configmaps").collect();
    assert!(again.is_empty(), "{again:#?}");
}
