//! Clients stream while everything around them changes: by cursor, nothing is missing, nothing comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::tools;
use headgate_tests::wait::eventually_ok;
use serde_json::json;

use super::follower::Follower;
use super::stage::{CHART, PATIENCE, RELEASE, SYSTEM, Stage, helm};

const PARTITIONS: i32 = 3;
const CLIENTS: usize = 6;
/// Records per batch, and the time between two batches: 200 records per second.
const BATCH: usize = 10;
const BATCH_EVERY: Duration = Duration::from_millis(50);
const GATEWAYS: &str = "headgate.dev/endpoint=orders";
const OPERATOR: &str = "app.kubernetes.io/name=headgate";

/// Runs `disturb` while clients stream, and counts what they got. Gives the connections that each of them needed.
#[expect(clippy::print_stdout, reason = "figures for whoever reads the log of the tests")]
async fn while_clients_stream(
    stage: &Stage,
    (namespace, replicas): (&str, i32),
    disturb: impl AsyncFnOnce() -> Result<()>,
) -> Result<Vec<u32>> {
    let topic = stage.topic(PARTITIONS).await?;
    // One pod per node, so that every node has clients to lose.
    let neighbours = json!({ "labelSelector": { "matchLabels": { "headgate.dev/endpoint": "orders" } },
                             "topologyKey": "kubernetes.io/hostname" });
    let apart = json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
        { "weight": 100, "podAffinityTerm": neighbours },
    ] } });
    stage.apply(namespace, &topic, json!({ "replicas": replicas, "pod": { "affinity": apart } })).await?;
    stage.ready(namespace).await?;
    stage.replicas(namespace, replicas).await?;
    let (url, key) = (stage.url(namespace).await?, stage.key(namespace, "default").await?);
    let mut followers = Vec::new();
    for _ in 0..CLIENTS {
        followers.push(Follower::start(&url, &key).await?);
    }
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
    println!("{CLIENTS} clients got all of {produced} records over {connections:?} connections");
    Ok(connections)
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
async fn a_drained_node_loses_nothing() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 2), async || {
            let drain = ["drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=3m"];
            let drained = stage.cluster.kubectl(&drain).await;
            let back = stage.cluster.kubectl(&["uncordon", "node2"]).await;
            drained.and(back)?;
            stage.replicas(namespace, 2).await
        })
        .await
        .map(drop)
    };
    stage.with_namespace("drained", work).await
}

#[cfg(feature = "nodes")]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_loses_nothing() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 2), async || {
            stage.cluster.cut_node("node2").await?;
            let noticed = fewer_ready(stage, namespace, 2).await;
            stage.cluster.heal_node("node2").await?;
            noticed?;
            stage.replicas(namespace, 2).await
        })
        .await
        .map(drop)
    };
    stage.with_namespace("cut", work).await
}

#[cfg(feature = "nodes")]
async fn fewer_ready(stage: &Stage, namespace: &str, than: i32) -> Result<()> {
    eventually_ok("the operator to notice", PATIENCE, async || {
        let ready = stage.endpoint(namespace).await?.status.and_then(|status| status.ready_replicas);
        ensure!(ready.unwrap_or(0) < than, "{ready:?} are ready");
        Ok(())
    })
    .await
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
