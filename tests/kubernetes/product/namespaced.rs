//! A release for one namespace, with that namespace's rights and no others.

use anyhow::{Result, ensure};
use headgate_tests::tools;
use serde_json::json;

use super::stage::{CHART, SYSTEM, Stage, helm_in};

const RELEASE: &str = "own";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_for_one_namespace_serves_it_and_may_not_touch_another() -> Result<()> {
    let stage = Stage::exclusive().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        // Two operators must never serve the same namespace.
        let scale = ["scale", "deployment/headgate", "--namespace", SYSTEM];
        stage.cluster.kubectl(&[&scale[..], &["--replicas=0"]].concat()).await?;
        let outcome =
            stage.with_namespace("foreign", async |stage, foreign| serve(stage, &topic, namespace, foreign).await);
        let outcome = outcome.await;
        let uninstalled = helm_in(&stage.cluster, &tools::helm3()?, namespace, &["uninstall", RELEASE, "--wait"]).await;
        stage.cluster.kubectl(&[&scale[..], &["--replicas=1"]].concat()).await?;
        let status = ["rollout", "status", "deployment/headgate", "--timeout=3m", "--namespace", SYSTEM];
        stage.cluster.kubectl(&status).await?;
        outcome?;
        uninstalled.map(drop)
    };
    Box::pin(stage.with_namespace("namespaced", work)).await
}

async fn serve(stage: &Stage, topic: &str, own: &str, foreign: &str) -> Result<()> {
    stage.apply(foreign, topic, json!({})).await?;
    let namespaces = format!("watchNamespaces={{{own}}}");
    let install = ["install", RELEASE, CHART, "--wait", "--timeout", "3m", "--set", &namespaces];
    let install = [&install[..], &["--set", "crds.enabled=false", "--set", "rbac.aggregate=false"]].concat();
    helm_in(&stage.cluster, &tools::helm3()?, own, &install).await?;
    stage.apply(own, topic, json!({})).await?;
    stage.ready(own).await?;
    let status = stage.endpoint(foreign).await?.status;
    ensure!(status.is_none(), "an endpoint of another namespace was touched: {status:?}");
    let operator = format!("--as=system:serviceaccount:{own}:{RELEASE}-headgate");
    for (kind, namespace) in
        [("secrets", SYSTEM), ("secrets", foreign), ("streamendpoints", foreign), ("pods", foreign)]
    {
        let outcome = stage.cluster.kubectl(&["get", kind, "--namespace", namespace, &operator]).await;
        let refused = outcome.as_ref().is_err_and(|error| format!("{error:#}").contains("forbidden"));
        ensure!(refused, "{kind} of {namespace}: {outcome:?}");
    }
    Ok(())
}
