//! What the status says when Kafka is the trouble, and that it recovers by itself.

use anyhow::{Result, ensure};
use headgate_tests::kafka::{Listener, RealKafka, SUPER_USER, unique};
use serde_json::json;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_named_and_works_once_it_is_there() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = unique("e2e-missing");
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, &topic, json!({})).await?;
        let message = stage.condition(namespace, "KafkaReady", "False", "TopicNotFound").await?;
        ensure!(message.contains(&topic), "{message}");
        stage.condition(namespace, "Ready", "False", "TopicNotFound").await?;
        stage.kafka.create_topic(&topic, 1, &[]).await?;
        stage.ready(namespace).await
    };
    stage.with_namespace("topic", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_and_a_corrected_secret_is_enough() -> Result<()> {
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let work = async |stage: &Stage, namespace: &str| {
        let secret = |password: &str| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "kafka-user", "namespace": namespace },
                "stringData": { "username": SUPER_USER.name, "password": password },
            })
        };
        let kafka = json!({ "kafka": {
            "bootstrapServers": stage.kafka.address(Listener::SaslPlaintext),
            "sasl": { "mechanism": "ScramSha512", "credentialsSecretRef": { "name": "kafka-user" } },
        }});
        stage.apply(namespace, &topic, kafka).await?;
        let message = stage.condition(namespace, "Ready", "False", "SecretNotFound").await?;
        ensure!(message.contains("kafka-user"), "{message}");
        stage.cluster.apply(&secret("not-the-password").to_string()).await?;
        stage.condition(namespace, "Ready", "False", "AuthenticationFailed").await?;
        stage.cluster.apply(&secret(SUPER_USER.password).to_string()).await?;
        stage.ready(namespace).await?;
        let status = serde_json::to_string(&stage.endpoint(namespace).await?)?;
        ensure!(!status.contains(SUPER_USER.password) && !status.contains("not-the-password"), "{status}");
        Ok(())
    };
    stage.with_namespace("password", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_reported_and_comes_back() -> Result<()> {
    let stage = Stage::shared().await?;
    let mut kafka = RealKafka::start_at(stage.cluster.host().await?, &[]).await?;
    kafka.create_topic("outage", 1, &[]).await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, "outage", json!({ "kafka": { "bootstrapServers": kafka.bootstrap() } })).await?;
        stage.ready(namespace).await?;
        kafka.stop().await?;
        stage.condition(namespace, "KafkaReady", "False", "KafkaUnreachable").await?;
        kafka.start_again().await?;
        stage.ready(namespace).await
    };
    stage.with_namespace("outage", work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_connection_does_not_allow_gets_no_pods() -> Result<()> {
    let stage = Stage::shared().await?;
    let work = async |stage: &Stage, namespace: &str| {
        stage.apply(namespace, "somebody-elses", json!({})).await?;
        stage.condition(namespace, "Ready", "False", "TopicNotAllowed").await?;
        ensure!(stage.pods(namespace, "headgate.dev/endpoint=orders").await?.is_empty(), "there are pods");
        Ok(())
    };
    stage.with_namespace("forbidden", work).await
}
