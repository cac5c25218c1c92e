//! Nodes that go away while clients stream from gateways on all of them: by cursor, nothing is missing, nothing comes twice.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use headgate_tests::wait::eventually_ok;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use super::no_loss::{GATEWAYS, while_clients_stream};
use super::stage::{PATIENCE, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_loses_nothing() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 3), async || {
            let nodes = nodes(stage, namespace).await?;
            ensure!(nodes.len() == 3, "the pods are not spread over the nodes but on {nodes:?}");
            let drain = ["drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=3m"];
            let drained = stage.cluster.kubectl(&drain).await;
            let settled = stage.replicas(namespace, 3).await;
            let nodes = self::nodes(stage, namespace).await;
            stage.cluster.kubectl(&["uncordon", "node2"]).await?;
            drained?;
            settled?;
            ensure!(!nodes?.contains("node2"), "there are pods on the drained node");
            Ok(())
        })
        .await
        .map(drop)
    };
    stage.with_namespace("drained", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_loses_nothing() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let work = async |stage: &Stage, namespace: &str| {
        while_clients_stream(stage, (namespace, 3), async || {
            stage.cluster.cut_node("node2").await?;
            let noticed = fewer_ready(stage, namespace, 3).await;
            stage.cluster.heal_node("node2").await?;
            noticed?;
            stage.replicas(namespace, 3).await
        })
        .await
        .map(drop)
    };
    stage.with_namespace("cut", work).await
}

/// Where the gateway pods are that are not being deleted.
async fn nodes(stage: &Stage, namespace: &str) -> Result<BTreeSet<String>> {
    let api: Api<Pod> = Api::namespaced(stage.client().await?, namespace);
    let pods = api.list(&ListParams::default().labels(GATEWAYS)).await?;
    let staying = pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(staying.filter_map(|pod| pod.spec?.node_name).collect())
}

async fn fewer_ready(stage: &Stage, namespace: &str, than: i32) -> Result<()> {
    eventually_ok("the operator to notice", PATIENCE, async || {
        let ready = stage.endpoint(namespace).await?.status.and_then(|status| status.ready_replicas);
        ensure!(ready.unwrap_or(0) < than, "{ready:?} are ready");
        Ok(())
    })
    .await
}
