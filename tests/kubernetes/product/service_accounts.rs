//! Pods of the cluster as clients: with the tokens of their own ServiceAccounts, and nothing to hand over.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use headgate_tests::client::{Client, Seen};
use headgate_tests::wait::eventually_ok;
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use serde_json::{Value, json};

use super::stage::{PATIENCE, Stage};

/// Audience of the endpoint.
const AUDIENCE: &str = "orders";
/// From the change of a rule to the end of the socket.
const WITHDRAWN: Duration = Duration::from_secs(10);

/// Takes tokens of this namespace's ServiceAccounts.
fn of_namespace(namespace: &str) -> Value {
    let required = json!([{ "claim": "kubernetes.io.namespace", "values": [namespace] }]);
    json!({ "auth": { "mode": "OIDC", "oidc": { "kubernetes": {}, "audiences": [AUDIENCE], "required": required } } })
}

/// A token of the namespace's default ServiceAccount, as a projected volume has it.
async fn token(stage: &Stage, namespace: &str, audience: &str) -> Result<String> {
    let audience = format!("--audience={audience}");
    let arguments = ["create", "token", "default", "--namespace", namespace, audience.as_str()];
    // A controller makes the ServiceAccount of a new namespace.
    eventually_ok("a token", PATIENCE, async || stage.cluster.kubectl(&arguments).await).await
}

async fn connect(url: &str, token: &str) -> Result<Result<Client, (u16, String)>> {
    let authorization = format!("Bearer {}", token.trim());
    let headers = [("sec-websocket-protocol", SUBPROTOCOL_HEADGATE), ("authorization", authorization.as_str())];
    Client::try_connect(url, &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_service_account_opens_the_stream_for_as_long_as_the_rules_allow_it() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, of_namespace(namespace)).await?;
        stage.ready(namespace).await?;
        let url = stage.url(namespace).await?;
        for (namespace, audience, status) in [(namespace, "other", 401), ("default", AUDIENCE, 403)] {
            let answer = connect(&url, &token(stage, namespace, audience).await?).await?;
            ensure!(answer.as_ref().is_err_and(|(answer, _)| *answer == status), "{namespace} {audience}: {answer:?}");
        }
        let token = token(stage, namespace, AUDIENCE).await?;
        let mut client = match connect(&url, &token).await? {
            Ok(client) => client,
            Err(refusal) => anyhow::bail!("the token was refused: {refusal:?}"),
        };
        client.ready().await?;
        stage.produce(&topic, 0..1, 1).await?;
        Seen::default().until(&mut client, 1).await?;
        let pods = stage.pods(namespace, "app.kubernetes.io/name=headgate-gateway").await?;
        let begin = Instant::now();
        stage.apply(namespace, &topic, of_namespace("another")).await?;
        let closed = client.closed().await?;
        let took = begin.elapsed();
        println!("rule changed → socket closed in {took:.2?}");
        // Whoever still may comes back at once; the others are refused then.
        ensure!((closed.code, closed.reason.as_str()) == (1012, "access changed; connect again"), "{closed:?}");
        ensure!(took < WITHDRAWN, "it took {took:?}");
        ensure!(
            connect(&url, &token).await?.is_err_and(|(status, _)| status == 403),
            "the token still opens the stream"
        );
        ensure!(stage.pods(namespace, "app.kubernetes.io/name=headgate-gateway").await? == pods, "pods were replaced");
        Ok(())
    };
    Box::pin(stage.with_namespace("accounts", work)).await
}
