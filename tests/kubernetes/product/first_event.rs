//! What everybody does first.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use headgate_tests::client::{Client, Seen};
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use serde_json::json;

use super::stage::Stage;

/// From `kubectl apply` to the first event, with the images on the nodes.
const FIRST_EVENT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn from_apply_to_the_first_event_it_takes_less_than_twenty_seconds() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        let begin = Instant::now();
        stage.apply(namespace, &topic, json!({})).await?;
        let wait = ["wait", "--for=condition=Ready", "streamendpoint/orders", "--timeout=2m", "--namespace", namespace];
        stage.cluster.kubectl(&wait).await?;
        let ready = begin.elapsed();
        let key = stage.key(namespace, "default").await?;
        let authorization = format!("Bearer {key}");
        let headers = [("sec-websocket-protocol", SUBPROTOCOL_HEADGATE), ("authorization", authorization.as_str())];
        let mut client = Client::connect_with(&stage.url(namespace).await?, &headers).await?;
        let mut seen = Seen::default();
        client.ready().await?;
        stage.produce(&topic, 0..1, 1).await?;
        seen.until(&mut client, 1).await?;
        let took = begin.elapsed();
        println!("apply → Ready {ready:.1?}, apply → first event {took:.1?}");
        ensure!(took < FIRST_EVENT, "it took {took:?}");
        Ok(())
    };
    stage.with_namespace("first", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_connects_without_a_key() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, json!({})).await?;
        stage.ready(namespace).await?;
        let url = stage.url(namespace).await?;
        for headers in [&[][..], &[("authorization", "Bearer hgk_wrong")]] {
            let answer = Client::try_connect(&url, headers).await?;
            ensure!(answer.as_ref().is_err_and(|(status, _)| *status == 401), "{answer:?}");
        }
        Ok(())
    };
    stage.with_namespace("closed", work).await
}
