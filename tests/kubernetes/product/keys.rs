//! Keys of an endpoint that runs: revoked, deleted, rotated.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use headgate_tests::client::Client;
use headgate_tests::wait::eventually_ok;
use serde_json::json;

use super::stage::{PATIENCE, Stage};

/// From the change of the endpoint to the end of the socket.
const REVOKED: Duration = Duration::from_secs(10);

async fn connect(url: &str, key: &str) -> Result<Result<Client, (u16, String)>> {
    Client::try_connect(url, &[("authorization", &format!("Bearer {key}"))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_removed_closes_its_sockets_within_seconds_and_no_others() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        let keys = |names: &[&str]| {
            let keys: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
            json!({ "auth": { "mode": "ApiKey", "apiKeys": keys } })
        };
        stage.apply(namespace, &topic, keys(&["web", "etl"])).await?;
        stage.ready(namespace).await?;
        let url = stage.url(namespace).await?;
        let (web, etl) = (stage.key(namespace, "web").await?, stage.key(namespace, "etl").await?);
        let (Ok(mut going), Ok(mut staying)) = (connect(&url, &web).await?, connect(&url, &etl).await?) else {
            anyhow::bail!("a key of the endpoint was refused");
        };
        let begin = Instant::now();
        stage.apply(namespace, &topic, keys(&["etl"])).await?;
        let closed = going.closed().await?;
        let took = begin.elapsed();
        println!("key removed → socket closed in {took:.2?}");
        ensure!((closed.code, closed.reason.as_str()) == (1008, "key revoked"), "{closed:?}");
        ensure!(took < REVOKED, "it took {took:?}");
        ensure!(connect(&url, &web).await?.is_err_and(|(status, _)| status == 401), "the key still opens the stream");
        stage.produce(&topic, 0..1, 1).await?;
        ensure!(staying.text().await?.is_ok(), "the other key's socket was closed too");
        Ok(())
    };
    Box::pin(stage.with_namespace("revoked", work)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_secret_is_a_request_for_a_new_key() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, json!({})).await?;
        stage.ready(namespace).await?;
        let (url, old) = (stage.url(namespace).await?, stage.key(namespace, "default").await?);
        stage.cluster.kubectl(&["delete", "secret", "orders-key-default", "--namespace", namespace]).await?;
        let new = eventually_ok("another key", PATIENCE, async || {
            let new = stage.key(namespace, "default").await?;
            ensure!(new != old, "it is still the old one");
            Ok(new)
        });
        let new = new.await?;
        eventually_ok("the gateways to know it", PATIENCE, async || {
            ensure!(connect(&url, &new).await?.is_ok(), "the new key is refused");
            ensure!(connect(&url, &old).await?.is_err(), "the old key is accepted");
            Ok(())
        })
        .await
    };
    stage.with_namespace("reissued", work).await
}
