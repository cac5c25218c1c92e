//! Users, certificates and grants, as librdkafka meets them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use headgate_tests::kafka::{
    Listener, Mechanism, Operation, RealKafka, Record, STRANGER, SUPER_USER, User, read_as, unique,
};
use headgate_tests::wait::eventually;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, ClientContext};

const READ: Duration = Duration::from_mins(1);

async fn topic_with_one_record(kafka: &RealKafka) -> Result<String> {
    let topic = unique("orders");
    kafka.create_topic(&topic, 1, &[]).await?;
    kafka.produce(Record::new(&topic, "value")).await?;
    Ok(topic)
}

#[tokio::test]
async fn every_listener_and_mechanism_lets_the_super_user_read() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic_with_one_record(kafka).await?;
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
            let config = kafka.client_as(listener, mechanism, SUPER_USER);
            assert_eq!(read_as(config, (&topic, 0, 0), 1, READ).await?.len(), 1, "{listener:?} {mechanism:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_a_user_without_rights_of_its_own() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic_with_one_record(kafka).await?;
    assert_eq!(topic_error(kafka.client(Listener::Ssl), &topic)?, Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    let certified = User { name: "certified", password: "" };
    kafka.allow(certified, Operation::ReadTopic, &topic).await?;
    assert_eq!(read_as(kafka.client(Listener::Ssl), (&topic, 0, 0), 1, READ).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stranger_reads_only_what_was_granted() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let (granted, other) = (topic_with_one_record(kafka).await?, topic_with_one_record(kafka).await?);
    kafka.allow(STRANGER, Operation::ReadTopic, &granted).await?;
    let config = kafka.client_as(Listener::SaslPlaintext, Mechanism::ScramSha512, STRANGER);
    assert_eq!(read_as(config.clone(), (&granted, 0, 0), 1, READ).await?.len(), 1);
    // Reading it would only wait: librdkafka says it in the metadata and nowhere else.
    assert_eq!(topic_error(config, &other)?, Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_an_authentication_error() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let wrong = User { password: "wrong", ..SUPER_USER };
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha512] {
        let errors = errors_of(kafka.client_as(Listener::SaslPlaintext, mechanism, wrong))?;
        eventually("an authentication error", READ, async || {
            errors.poll(Duration::from_millis(50));
            let seen = errors.context().0.lock().unwrap();
            seen.contains(&RDKafkaErrorCode::Authentication)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let mut config = kafka.client_as(Listener::SaslSsl, Mechanism::Plain, SUPER_USER);
    let stranger = headgate_tests::certificates::Authority::new("Somebody else")?;
    config.remove("ssl.ca.location");
    let errors = errors_of(config.set("ssl.ca.pem", stranger.certificate()).clone())?;
    eventually("a TLS error", READ, async || {
        errors.poll(Duration::from_millis(50));
        let seen = errors.context().0.lock().unwrap();
        seen.contains(&RDKafkaErrorCode::SSL)
    })
    .await
}

fn topic_error(config: ClientConfig, topic: &str) -> Result<Option<RDKafkaErrorCode>> {
    let metadata = errors_of(config)?.fetch_metadata(Some(topic), READ)?;
    Ok(metadata.topics().first().and_then(MetadataTopic::error).map(RDKafkaErrorCode::from))
}

/// Remembers what librdkafka reports outside of any call.
struct Errors(Mutex<Vec<RDKafkaErrorCode>>);

impl ClientContext for Errors {
    fn error(&self, error: KafkaError, _reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(error.rdkafka_error_code());
    }
}

impl ConsumerContext for Errors {}

fn errors_of(mut config: ClientConfig) -> Result<BaseConsumer<Errors>> {
    config.set("group.id", "unused");
    Ok(config.create_with_context(Errors(Mutex::default()))?)
}
