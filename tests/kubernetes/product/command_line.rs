//! `headgate` against a real cluster: what a team types once its endpoint is there, and when it is not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::certificates::Authority;
use headgate_tests::client::Client;
use headgate_tests::process::Process;
use headgate_tests::wait::eventually_ok;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage};

/// How long a replaced key goes on in these tests, in seconds: time enough to connect with it.
const OVERLAP: u64 = 15;

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the command line with these arguments, in a namespace.
async fn headgate(stage: &Stage, namespace: &str, arguments: &[&str]) -> Result<Ended> {
    let mut headgate = Process::command("headgate")?;
    headgate.env("KUBECONFIG", stage.cluster.kubeconfig()).args(arguments).args(["--namespace", namespace]);
    let output = tokio::task::spawn_blocking(move || headgate.output()).await??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().with_context(|| format!("{arguments:?} was killed"))?;
    Ok(Ended { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The same for a command that must succeed.
async fn done(stage: &Stage, namespace: &str, arguments: &[&str]) -> Result<String> {
    let ended = headgate(stage, namespace, arguments).await?;
    ensure!(ended.code == 0, "headgate {arguments:?}: {ended:?}");
    Ok(ended.stdout)
}

async fn key(stage: &Stage, namespace: &str, key: &str) -> Result<String> {
    Ok(done(stage, namespace, &["keys", "show", "orders", key]).await?.trim().to_owned())
}

async fn connect(url: &str, key: &str) -> Result<Result<Client, (u16, String)>> {
    Client::try_connect(url, &[("authorization", &format!("Bearer {key}"))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_issued_rotated_with_an_overlap_and_revoked() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        let rotation = json!({ "afterSeconds": 3600, "overlapSeconds": OVERLAP });
        stage.apply(namespace, &topic, json!({ "auth": { "mode": "ApiKey", "rotation": rotation } })).await?;
        stage.ready(namespace).await?;
        let url = stage.url(namespace).await?;
        done(stage, namespace, &["keys", "issue", "orders", "etl"]).await?;
        let etl = key(stage, namespace, "etl").await?;
        accepted(&url, &etl).await.context("a key that was issued")?;

        let old = key(stage, namespace, "default").await?;
        let mut streaming = connect(&url, &old).await?.ok().context("the key is refused before its rotation")?;
        done(stage, namespace, &["keys", "rotate", "orders", "default"]).await?;
        let new = key(stage, namespace, "default").await?;
        ensure!(old != new, "it is the same key");
        accepted(&url, &new).await.context("the new key")?;
        ensure!(connect(&url, &old).await?.is_ok(), "the old key is refused during the overlap");
        let keys: Value =
            serde_json::from_str(&done(stage, namespace, &["keys", "list", "orders", "-o", "json"]).await?)?;
        let row = |name: &str| keys.as_array().into_iter().flatten().find(|row| row["name"] == name).cloned();
        let rotating = row("default").context("no row of the key default")?;
        ensure!(rotating["state"] == "Rotating" && rotating["previousUntil"].is_string(), "{keys}");
        ensure!(!keys.to_string().contains("hgk_") && row("etl").is_some(), "{keys}");
        let closed = streaming.closed().await?;
        ensure!(closed.code == 1008, "the old key's socket ends with {closed:?}");
        ensure!(connect(&url, &old).await?.is_err(), "the old key is accepted after the overlap");

        let mut etl_streaming =
            connect(&url, &etl).await?.ok().context("the rotation of another key ended this one")?;
        done(stage, namespace, &["keys", "revoke", "orders", "etl"]).await?;
        ensure!(etl_streaming.closed().await?.code == 1008, "a revoked key streams on");
        ensure!(connect(&url, &etl).await?.is_err() && connect(&url, &new).await?.is_ok(), "another key was revoked");
        Ok(())
    };
    Box::pin(stage.with_namespace("rotated", work)).await
}

/// Waits until the gateways know a key.
async fn accepted(url: &str, key: &str) -> Result<()> {
    eventually_ok("the key to be accepted", Duration::from_secs(OVERLAP / 2), async || {
        ensure!(connect(url, key).await?.is_ok(), "it is refused");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_certificate_of_its_own_is_followed_through_the_api_server() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let folder = tempfile::tempdir()?;
    let work = async |stage: &Stage, namespace: &str| {
        let tls = json!({ "publicAccess": { "tls": { "secretRef": { "name": "orders-tls" } } } });
        stage.apply(namespace, &topic, tls).await?;
        stage.condition(namespace, "Exposed", "False", "CertificatePending").await?;
        let first = certify(stage, namespace, folder.path()).await?;
        stage.ready(namespace).await?;
        let url = done(stage, namespace, &["url", "orders"]).await?;
        ensure!(url.trim() == format!("wss://orders-gateway.{namespace}.svc.cluster.local:8080/orders"), "{url}");

        stage.produce(&topic, 0..1, 1).await?;
        let stream = ["stream", "orders", "--from=earliest", "--count=1", "-o", "raw", "--ca-cert"];
        let shown = done(stage, namespace, &[&stream[..], &[&first]].concat()).await?;
        ensure!(shown.trim() == r#"{"number":0}"#, "{shown}");
        let public = headgate(stage, namespace, &[&stream[..6], &["--connect-timeout=3"]].concat()).await?;
        ensure!(public.code != 0 && public.stderr.contains("certificate"), "trusted without being told to: {public:?}");

        // Renewed: no pod restarts, and the next connection gets the new one.
        let pods = stage.pods(namespace, "headgate.dev/endpoint=orders").await?;
        let second = certify(stage, namespace, folder.path()).await?;
        eventually_ok("the renewed certificate", PATIENCE, async || {
            let arguments = [&stream[..], &[&second, "--connect-timeout=3"]].concat();
            done(stage, namespace, &arguments).await.map(drop)
        })
        .await?;
        ensure!(pods == stage.pods(namespace, "headgate.dev/endpoint=orders").await?, "the pods were replaced");
        Ok(())
    };
    Box::pin(stage.with_namespace("certified", work)).await
}

/// Writes the Secret with a new certificate for the endpoint's own name, and a file with the new authority behind it.
async fn certify(stage: &Stage, namespace: &str, folder: &Path) -> Result<String> {
    let authority = Authority::new("tests")?;
    let issued = authority.server(&[&format!("orders-gateway.{namespace}.svc.cluster.local")])?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": "orders-tls", "namespace": namespace },
        "stringData": { "tls.crt": issued.certificate, "tls.key": issued.key },
    });
    stage.cluster.apply(&secret.to_string()).await?;
    let file = folder.join(headgate_tests::kafka::unique("authority"));
    std::fs::write(&file, authority.certificate())?;
    Ok(file.to_string_lossy().into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_listed_explained_and_found_before_it_is_applied() -> Result<()> {
    let stage = Stage::shared().await?;
    let folder = tempfile::tempdir()?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, "somebody-elses", json!({})).await?;
        stage.condition(namespace, "Ready", "False", "TopicNotAllowed").await?;
        let rows: Value = serde_json::from_str(&done(stage, namespace, &["list", "-o", "json"]).await?)?;
        ensure!(rows[0]["name"] == "orders" && rows[0]["reason"] == "TopicNotAllowed", "{rows}");
        ensure!(rows.as_array().is_some_and(|rows| rows.len() == 1), "another namespace is listed: {rows}");
        let why = headgate(stage, namespace, &["why", "orders"]).await?;
        ensure!(why.code == 1 && why.stdout.contains("TopicNotAllowed") && why.stdout.contains('→'), "{why:?}");
        let misspelt = headgate(stage, namespace, &["url", "order"]).await?;
        ensure!(misspelt.code == 1 && misspelt.stderr.contains("did you mean orders"), "{misspelt:?}");

        let file = folder.path().join("endpoint.yaml");
        let mut manifest = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint", "metadata": { "name": "orders" },
            "spec": { "app": "orders", "topic": "another", "auth": { "mode": "ApiKey" } },
        });
        let lint = ["lint", "--cluster", &file.to_string_lossy()];
        std::fs::write(&file, manifest.to_string())?;
        let changed = headgate(stage, namespace, &lint).await?;
        ensure!(changed.code == 1 && changed.stdout.contains("topic cannot be changed"), "{changed:?}");
        manifest["metadata"]["name"] = json!("another");
        std::fs::write(&file, manifest.to_string())?;
        done(stage, namespace, &lint).await?;
        let stored = stage.cluster.kubectl(&["get", "streamendpoints", "-o=name", "--namespace", namespace]).await?;
        ensure!(!stored.contains("another"), "a dry run has stored {stored}");
        Ok(())
    };
    Box::pin(stage.with_namespace("explained", work)).await
}
