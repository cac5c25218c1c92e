//! The chart's own life on a cluster with running streams: Helm's test, both Helms, an upgrade, the end and a new beginning.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use headgate_tests::client::Client;
use headgate_tests::tools;
use headgate_tests::wait::eventually_ok;
use serde_json::json;

use super::stage::{CHART, PATIENCE, RELEASE, SYSTEM, Stage, helm};

const GATEWAYS: &str = "headgate.dev/endpoint=orders";
const WAIT: [&str; 3] = ["--wait", "--timeout", "3m"];

#[tokio::test(flavor = "multi_thread")]
async fn helm_test_opens_a_stream_through_its_service() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let topic = stage.topic(1).await?;
    for program in [tools::helm3()?, tools::helm4()?] {
        let topic = format!("test.topic={topic}");
        let upgrade = [&["upgrade", RELEASE, CHART, "--set", &topic], &WAIT[..]].concat();
        helm(&stage.cluster, &program, &upgrade).await?;
        helm(&stage.cluster, &program, &["test", RELEASE, "--timeout", "3m"]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstalled_operator_leaves_streams_running_and_a_new_one_takes_them_over() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, json!({})).await?;
        stage.ready(namespace).await?;
        let (url, key) = (stage.url(namespace).await?, stage.key(namespace, "default").await?);
        let before = stage.pods(namespace, GATEWAYS).await?;
        helm(&stage.cluster, &tools::helm3()?, &["uninstall", RELEASE, "--wait"]).await?;
        let outcome = uninstalled(stage, &url, &key).await;
        // The other tests need it again, whatever came of this one.
        let install = [&["install", RELEASE, CHART], &WAIT[..]].concat();
        helm(&stage.cluster, &tools::helm4()?, &install).await?;
        outcome?;
        stage.ready(namespace).await?;
        ensure!(before == stage.pods(namespace, GATEWAYS).await?, "the gateways were restarted");
        ensure!(key == stage.key(namespace, "default").await?, "the key was issued anew");
        Ok(())
    };
    Box::pin(stage.with_namespace("uninstalled", work)).await
}

async fn uninstalled(stage: &Stage, url: &str, key: &str) -> Result<()> {
    let _open = Client::connect_with(url, &[("authorization", &format!("Bearer {key}"))]).await?;
    for kept in ["crd/streamendpoints.headgate.dev", "crd/kafkaconnections.headgate.dev", "kafkaconnection/tests"] {
        stage.cluster.kubectl(&["get", kept]).await?;
    }
    let ours =
        ["get", "clusterroles,clusterrolebindings", "--selector=app.kubernetes.io/instance=headgate", "--output=name"];
    let left = stage.cluster.kubectl(&ours).await?;
    ensure!(left.is_empty(), "left behind: {left}");
    let left =
        stage.cluster.kubectl(&["get", "deployments,services,roles", "--namespace", SYSTEM, "--output=name"]).await?;
    ensure!(left.is_empty(), "left behind: {left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_the_chart_of_the_previous_commit_keeps_streams_and_keys() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let topic = stage.topic(1).await?;
    let folder = tempfile::tempdir()?;
    let previous = previous_chart(folder.path())?;
    let work = async |stage: &Stage, namespace: &str| {
        let previous = previous.to_string_lossy();
        helm(&stage.cluster, &tools::helm3()?, &[&["upgrade", RELEASE, &previous], &WAIT[..]].concat()).await?;
        stage.apply(namespace, &topic, json!({})).await?;
        stage.ready(namespace).await?;
        let key = stage.key(namespace, "default").await?;
        for program in [tools::helm3()?, tools::helm4()?] {
            helm(&stage.cluster, &program, &[&["upgrade", RELEASE, CHART], &WAIT[..]].concat()).await?;
        }
        stage.ready(namespace).await?;
        ensure!(key == stage.key(namespace, "default").await?, "the key was issued anew");
        Ok(())
    };
    Box::pin(stage.with_namespace("previous", work)).await
}

/// The chart as the commit before this one has it, whether or not this one changes it.
fn previous_chart(folder: &Path) -> Result<PathBuf> {
    let root = format!("{CHART}/../..");
    let archive = Command::new("git").args(["-C", &root, "archive", "HEAD^", "charts/headgate"]).output()?;
    ensure!(
        archive.status.success(),
        "the chart of the previous commit is not there, as in a shallow clone (`git fetch --deepen=1` gets it): {}",
        String::from_utf8_lossy(&archive.stderr)
    );
    let file = folder.join("chart.tar");
    std::fs::write(&file, &archive.stdout)?;
    let unpacked = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(folder).status()?;
    ensure!(unpacked.success(), "tar failed ({unpacked})");
    Ok(folder.join("charts/headgate"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_endpoint_takes_everything_of_it_away() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, json!({ "replicas": 2 })).await?;
        stage.ready(namespace).await?;
        stage.cluster.kubectl(&["delete", "streamendpoint", "orders", "--namespace", namespace]).await?;
        eventually_ok("garbage collection", PATIENCE, async || {
            let kinds = "pods,deployments,services,secrets,poddisruptionbudgets,networkpolicies";
            let labelled = ["get", kinds, "--selector", GATEWAYS, "--output=name", "--namespace", namespace];
            let left = stage.cluster.kubectl(&labelled).await?;
            ensure!(left.is_empty(), "left behind: {left}");
            Ok(())
        })
        .await
    };
    stage.with_namespace("deleted", work).await
}
