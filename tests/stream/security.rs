//! Credentials for the broker: good ones from files, wrong ones, and ones without rights.

use crate::broker::numbered;
use crate::reader::Reader;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{Listener, Operation, RealKafka, STRANGER, SUPER_USER, User, unique};
use headgate_tests::wait::eventually_ok;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{KafkaSasl, KafkaTls, SaslMechanism};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const NOTICED: Duration = Duration::from_mins(1);

/// A configuration with the credentials of `user` in files, as a pod would have them mounted.
fn config(kafka: &RealKafka, topic: &str, listener: Listener, user: User) -> Result<(GatewayConfig, TempDir)> {
    config_with(kafka, topic, listener, (SaslMechanism::ScramSha512, user))
}

fn config_with(
    kafka: &RealKafka,
    topic: &str,
    listener: Listener,
    (mechanism, user): (SaslMechanism, User),
) -> Result<(GatewayConfig, TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut config = gateway::config(&kafka.address(listener), topic);
    let (username_file, password_file) = (folder.path().join("user"), folder.path().join("password"));
    // Editors end a file with a line break, which is no part of the password.
    fs::write(&username_file, format!("{}\n", user.name))?;
    fs::write(&password_file, format!("{}\n", user.password))?;
    config.kafka.sasl = Some(KafkaSasl { mechanism, username_file, password_file });
    if listener == Listener::SaslSsl {
        config.kafka.tls = Some(KafkaTls { ca_file: Some(kafka.authority_file()), ..KafkaTls::default() });
    }
    Ok((config, folder))
}

async fn reads(kafka: &RealKafka, topic: &str, gateway: &Gateway) -> Result<()> {
    // Older records too: replays and questions log in by themselves.
    let mut reader = Reader::open(&gateway.url("/orders?from=earliest")).await?;
    kafka.produce_many(numbered(topic, 1, 2000..2010)).await?;
    reader.events(2010).await
}

async fn filled_topic(kafka: &RealKafka) -> Result<String> {
    let topic = unique("secured");
    kafka.create_topic(&topic, 1, &[]).await?;
    // More than a gateway reads into memory when it starts.
    kafka.produce_many(numbered(&topic, 1, 0..2000)).await?;
    Ok(topic)
}

async fn state_becomes(gateway: &Gateway, state: &str) -> Result<()> {
    eventually_ok(format!("/status to say {state}"), NOTICED, async || {
        let status = gateway.status().await?["streams"][0]["kafka"].clone();
        ensure!(status["state"] == state, "{status}");
        ensure!(state == "Reading" || status["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{status}");
        Ok(())
    })
    .await
}

/// W16: with everything that needs a connection of its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_sasl_mechanism_over_tls_with_credentials_from_files_reads_the_stream() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let topic = filled_topic(kafka).await?;
        let (config, _folder) = config_with(kafka, &topic, Listener::SaslSsl, (mechanism, SUPER_USER))?;
        let gateway = Gateway::start(config).await?;
        reads(kafka, &topic, &gateway).await.with_context(|| format!("{mechanism:?}"))?;
        gateway.stop().await?;
    }
    Ok(())
}

/// W16: mutual TLS, where the certificate is the user.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_from_files_reads_the_stream() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = filled_topic(kafka).await?;
    kafka.allow(User { name: "certified", password: "" }, Operation::ReadTopic, &topic).await?;
    let (certificate, key) = kafka.client_certificate_files();
    let mut config = gateway::config(&kafka.address(Listener::Ssl), &topic);
    config.kafka.tls = Some(KafkaTls {
        ca_file: Some(kafka.authority_file()),
        certificate_file: Some(certificate),
        key_file: Some(key),
    });
    let gateway = Gateway::start(config).await?;
    reads(kafka, &topic, &gateway).await?;
    gateway.stop().await
}

/// W17: the reason that `/status` gives is the one that helps.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_as_such_and_the_gateway_is_not_ready() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("refused");
    kafka.create_topic(&topic, 1, &[]).await?;
    let wrong = User { password: "not-the-password", ..SUPER_USER };
    for listener in [Listener::SaslSsl, Listener::SaslPlaintext] {
        let (config, _folder) = config(kafka, &topic, listener, wrong)?;
        let gateway = Gateway::start_unready(config, Vec::new()).await?;
        state_becomes(&gateway, "AuthenticationFailed").await?;
        assert_eq!(gateway.admin_get("/readyz").await?.0, 503);
        assert!(!gateway.status().await?.to_string().contains(wrong.password));
        gateway.stop().await?;
    }
    Ok(())
}

/// W17: a grant that comes later is enough; nobody has to restart anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_grant_is_reported_as_such_and_works_as_soon_as_it_is_there() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = filled_topic(kafka).await?;
    let (config, _folder) = config(kafka, &topic, Listener::SaslPlaintext, STRANGER)?;
    let gateway = Gateway::start_unready(config, Vec::new()).await?;
    state_becomes(&gateway, "AuthorizationFailed").await?;
    assert_eq!(gateway.admin_get("/readyz").await?.0, 503);
    kafka.allow(STRANGER, Operation::ReadTopic, &topic).await?;
    gateway.ready().await?;
    state_becomes(&gateway, "Reading").await?;
    reads(kafka, &topic, &gateway).await?;
    // It never needs a right on a group.
    state_becomes(&gateway, "Reading").await?;
    gateway.stop().await
}
