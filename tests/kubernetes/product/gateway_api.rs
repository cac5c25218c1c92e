//! A stream behind the Gateway API: its real definitions, and this test in the place of a Gateway's controller.

use std::path::Path;

use anyhow::{Result, ensure};
use headgate_tests::tools;
use serde_json::{Value, json};

use super::stage::Stage;

const DEFINITIONS: [&str; 2] = ["httproutes", "gateways"];

#[tokio::test(flavor = "multi_thread")]
async fn a_route_waits_for_the_gateway_api_and_then_for_its_gateway_and_says_so() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        let hostname = format!("{namespace}.streams.test");
        let gateway = json!({ "parentRefs": [{ "name": "public", "namespace": "gateways" }] });
        let access = json!({ "exposure": "Gateway", "hostname": hostname, "gateway": gateway });
        stage.apply(namespace, &topic, json!({ "publicAccess": access })).await?;
        // An existing cluster may have them already; then they are not ours to replace.
        if stage.cluster.kubectl(&["get", "crd/httproutes.gateway.networking.k8s.io"]).await.is_err() {
            stage.condition(namespace, "Exposed", "False", "GatewayApiMissing").await?;
            define(stage).await?;
        }
        let message = stage.condition(namespace, "Ready", "False", "RoutePending").await?;
        ensure!(message.contains("gateways/public"), "{message}");
        let route = ["get", "httproute/orders-gateway", "--namespace", namespace, "--output=json"];
        let route: Value = serde_json::from_str(&stage.cluster.kubectl(&route).await?)?;
        ensure!(route["spec"]["hostnames"] == json!([hostname]), "{route}");

        answer(stage, namespace, ("False", "NotAllowedByListeners")).await?;
        stage.condition(namespace, "Ready", "False", "RefNotPermitted").await?;
        answer(stage, namespace, ("True", "Accepted")).await?;
        stage.ready(namespace).await?;
        let url = stage.endpoint(namespace).await?.status.and_then(|status| status.url);
        ensure!(url == Some(format!("wss://{hostname}/orders")), "{url:?}");
        Ok(())
    };
    Box::pin(stage.with_namespace("routed", work)).await
}

async fn define(stage: &Stage) -> Result<()> {
    for plural in DEFINITIONS {
        let file = format!("standard/gateway.networking.k8s.io_{plural}.yaml");
        stage.cluster.apply(&std::fs::read_to_string(Path::new(&tools::gateway_api()?).join(file))?).await?;
    }
    Ok(())
}

/// What the controller of the Gateway writes into the route's status.
async fn answer(stage: &Stage, namespace: &str, (accepted, reason): (&str, &str)) -> Result<()> {
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let parent =
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways" });
    let conditions = [condition("Accepted", accepted, reason), condition("ResolvedRefs", "True", "ResolvedRefs")];
    let status = json!({ "status": { "parents": [
        { "parentRef": parent, "controllerName": "headgate.invalid/tests", "conditions": conditions },
    ] } });
    let patch = ["patch", "httproute/orders-gateway", "--subresource=status", "--type=merge", "--namespace", namespace];
    stage.cluster.kubectl(&[&patch[..], &["--patch", &status.to_string()]].concat()).await.map(drop)
}
