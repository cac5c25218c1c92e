//! Clients stream while everything around them changes: by cursor, nothing is missing, nothing comes twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway::get;
use headgate_tests::tools;
use headgate_wire::endpoints::DEFAULT_ADMIN_PORT;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::follower::Follower;
use super::stage::{CHART, RELEASE, SYSTEM, Stage, helm};

const PARTITIONS: i32 = 3;
/// The fewest clients, and the most until each pod has one of them.
const CLIENTS: usize = 6;
const MAX_CLIENTS: usize = 60;
/// Records per batch, and the time between two batches: 200 records per second.
const BATCH: usize = 10;
const BATCH_EVERY: Duration = Duration::from_millis(50);
pub(crate) const GATEWAYS: &str = "headgate.dev/endpoint=orders";
const OPERATOR: &str = "app.kubernetes.io/name=headgate";

/// Runs `disturb` while clients stream, and counts what they got. Gives the connections that each of them needed.
#[expect(clippy::print_stdout, reason = "figures for whoever reads the log of the tests")]
pub(crate) async fn while_clients_stream(
    stage: &Stage,
    (namespace, replicas): (&str, i32),
    disturb: impl AsyncFnOnce() -> Result<()>,
) -> Result<Vec<u32>> {
    let topic = stage.topic(PARTITIONS).await?;
    stage.apply(namespace, &topic, json!({ "replicas": replicas })).await?;
    stage.ready(namespace).await?;
    stage.replicas(namespace, replicas).await?;
    let (url, key) = (stage.url(namespace).await?, stage.key(namespace, "default").await?);
    let mut followers = Vec::new();
    // Every pod has somebody to lose.
    while followers.len() < CLIENTS || !has_clients_everywhere(stage, namespace).await? {
        ensure!(followers.len() < MAX_CLIENTS, "some pod gets none of {MAX_CLIENTS} clients");
        followers.push(Follower::start(&url, &key).await?);
    }
    let clients = followers.len();
    let enough = Arc::new(AtomicBool::new(false));
    let producing = async {
        let mut produced = 0;
        while !enough.load(Ordering::Relaxed) {
            stage.produce(&topic, produced..produced + BATCH, PARTITIONS).await?;
            produced += BATCH;
            tokio::time::sleep(BATCH_EVERY).await;
        }
        Ok(produced)
    };
    let disturbing = async {
        let outcome = disturb().await;
        enough.store(true, Ordering::Relaxed);
        outcome
    };
    let (produced, disturbed): (Result<usize>, Result<()>) = tokio::join!(producing, disturbing);
    disturbed?;
    let produced = produced?;
    let mut connections = Vec::new();
    for (number, follower) in followers.into_iter().enumerate() {
        connections.push(follower.finish(produced).await.with_context(|| format!("client {number}"))?);
    }
    println!("{clients} clients got all of {produced} records over {connections:?} connections");
    Ok(connections)
}

/// Whether each gateway pod says that it has a client.
async fn has_clients_everywhere(stage: &Stage, namespace: &str) -> Result<bool> {
    let api: Api<Pod> = Api::namespaced(stage.client().await?, namespace);
    for pod in api.list(&ListParams::default().labels(GATEWAYS)).await?.items {
        let address = pod.status.and_then(|status| status.pod_ip).context("a gateway pod has no address")?;
        let admin = SocketAddr::new(address.parse()?, DEFAULT_ADMIN_PORT);
        let (_, body) = get(admin, "/status", &[]).await?;
        let status: Value = serde_json::from_str(&body)?;
        if status["streams"][0]["connections"].as_u64().unwrap_or(0) == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_down_and_up_loses_nothing() -> Result<()> {
    let stage = Stage::shared().await?;
    let work = async |stage: &Stage, namespace: &str| {
        let scale = async |replicas: i32| {
            let replicas_flag = format!("--replicas={replicas}");
            let scale = ["scale", "streamendpoint/orders", &replicas_flag, "--namespace", namespace];
            stage.cluster.kubectl(&scale).await?;
            stage.replicas(namespace, replicas).await
        };
        let connections = while_clients_stream(stage, (namespace, 3), async || {
            let before = stage.pods(namespace, GATEWAYS).await?;
            scale(1).await?;
            let after = stage.pods(namespace, GATEWAYS).await?;
            stage.gone(namespace, before.iter().filter(|pod| !after.contains(pod))).await?;
            scale(3).await
        });
        let connections = connections.await?;
        ensure!(connections.iter().any(|count| *count > 1), "no client was on a pod that went away");
        Ok(())
    };
    stage.with_namespace("scaled", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_restart_loses_nothing() -> Result<()> {
    let stage = Stage::shared().await?;
    let work = async |stage: &Stage, namespace: &str| {
        let connections = while_clients_stream(stage, (namespace, 2), async || {
            let before = stage.pods(namespace, GATEWAYS).await?;
            let deployment = ["deployment/orders-gateway", "--namespace", namespace];
            stage.cluster.kubectl(&[&["rollout", "restart"], &deployment[..]].concat()).await?;
            stage.cluster.kubectl(&[&["rollout", "status", "--timeout=3m"], &deployment[..]].concat()).await?;
            stage.gone(namespace, before.iter()).await
        });
        let connections = connections.await?;
        ensure!(connections.iter().all(|count| *count > 1), "every pod was replaced, and yet: {connections:?}");
        Ok(())
    };
    stage.with_namespace("restarted", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_operator_is_not_noticed_by_clients() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 1), async || {
            let pods = stage.pods(namespace, GATEWAYS).await?;
            let kill = ["delete", "pods", "--selector", OPERATOR, "--force", "--namespace", SYSTEM];
            stage.cluster.kubectl(&kill).await?;
            let status = ["rollout", "status", "deployment/headgate", "--timeout=3m", "--namespace", SYSTEM];
            stage.cluster.kubectl(&status).await?;
            // The new one works: it follows a change.
            let scale = ["scale", "streamendpoint/orders", "--replicas=2", "--namespace", namespace];
            stage.cluster.kubectl(&scale).await?;
            stage.replicas(namespace, 2).await?;
            let now = stage.pods(namespace, GATEWAYS).await?;
            ensure!(pods.iter().all(|pod| now.contains(pod)), "{pods:?} became {now:?}");
            Ok(())
        })
        .await
        .map(drop)
    };
    stage.with_namespace("killed", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_operator_restarts_no_gateway() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 1), async || {
            let (gateways, operators) = (stage.pods(namespace, GATEWAYS).await?, stage.pods(SYSTEM, OPERATOR).await?);
            let upgrade =
                ["upgrade", RELEASE, CHART, "--wait", "--timeout", "3m", "--set", "operator.resyncSeconds=299"];
            helm(&stage.cluster, &tools::helm3()?, &upgrade).await?;
            let now = stage.pods(SYSTEM, OPERATOR).await?;
            ensure!(operators.iter().all(|pod| !now.contains(pod)), "{operators:?} became {now:?}");
            stage.ready(namespace).await?;
            let now = stage.pods(namespace, GATEWAYS).await?;
            ensure!(gateways == now, "{gateways:?} became {now:?}");
            Ok(())
        })
        .await
        .map(drop)
    };
    stage.with_namespace("upgraded", work).await
}
