//! The settings of every Kafka consumer: the gateway's own, the connection's, then the user's.

use super::{SourceError, SourceSettings};
use headgate_wire::config::{Isolation, Kafka};
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use std::path::Path;

/// Settings on which resuming depends; a user may not change them.
const RESERVED: [&str; 6] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
];

/// Bytes that the live consumer may hold before the gateway takes them.
const LIVE_QUEUE_KIB: u32 = 16 * 1024;
/// Bytes that one replay may hold.
const REPLAY_QUEUE_KIB: u32 = 2 * 1024;

/// What a consumer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Live,
    Replay,
    Lookup,
}

/// Creates a consumer; it connects in the background.
pub(super) fn consumer<C: ConsumerContext>(
    settings: &SourceSettings,
    purpose: Purpose,
    context: C,
) -> Result<BaseConsumer<C>, SourceError> {
    let config = client_config(settings, purpose)?;
    BaseConsumer::from_config_and_context(&config, context).map_err(|error| match error {
        KafkaError::ClientConfig(_, _, name, _) => SourceError::Property(name),
        other => SourceError::Consumer(other.to_string()),
    })
}

fn client_config(settings: &SourceSettings, purpose: Purpose) -> Result<ClientConfig, SourceError> {
    let kafka = &settings.kafka;
    let mut config = ClientConfig::new();
    let queue = if purpose == Purpose::Live { LIVE_QUEUE_KIB } else { REPLAY_QUEUE_KIB };
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", &settings.client_id)
        // Never joined and never committed to: librdkafka wants a name even for plain assignment.
        .set("group.id", &settings.client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // A position outside the log is ours to judge: a gap, never a silent reset.
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("queued.max.messages.kbytes", queue.to_string())
        // The default of one second stops the stream for that long after every burst.
        .set("fetch.queue.backoff.ms", "2")
        .set("fetch.error.backoff.ms", "100")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("statistics.interval.ms", if purpose == Purpose::Live { "1000" } else { "0" })
        .set(
            "isolation.level",
            match kafka.isolation {
                Isolation::ReadCommitted => "read_committed",
                Isolation::ReadUncommitted => "read_uncommitted",
            },
        );
    security(&mut config, kafka)?;
    for (name, value) in &kafka.properties.0 {
        if RESERVED.contains(&name.as_str()) {
            return Err(SourceError::Reserved(name.clone()));
        }
        config.set(name, value);
    }
    if purpose == Purpose::Live {
        // `Events` needs to see when the topic is replaced.
        let debug = kafka.properties.0.get("debug").map_or_else(String::new, |wanted| format!("{wanted},"));
        config.set("debug", format!("{debug}topic")).set_log_level(RDKafkaLogLevel::Debug);
    }
    Ok(config)
}

fn security(config: &mut ClientConfig, kafka: &Kafka) -> Result<(), SourceError> {
    match (&kafka.tls, &kafka.sasl) {
        (None, None) => {}
        (Some(_), None) => {
            config.set("security.protocol", "ssl");
        }
        (None, Some(_)) => {
            config.set("security.protocol", "sasl_plaintext");
        }
        (Some(_), Some(_)) => {
            config.set("security.protocol", "sasl_ssl");
        }
    }
    if let Some(tls) = &kafka.tls {
        match &tls.ca_file {
            Some(file) => config.set("ssl.ca.pem", read(file)?),
            // OpenSSL is built in and knows no directory; this finds the system's certificates.
            None => config.set("ssl.ca.location", "probe"),
        };
        if let Some(file) = &tls.certificate_file {
            config.set("ssl.certificate.pem", read(file)?);
        }
        if let Some(file) = &tls.key_file {
            config.set("ssl.key.pem", read(file)?);
        }
    }
    if let Some(sasl) = &kafka.sasl {
        config
            .set("sasl.mechanisms", sasl.mechanism.kafka_name())
            .set("sasl.username", read(&sasl.username_file)?.trim_end_matches(['\r', '\n']))
            .set("sasl.password", read(&sasl.password_file)?.trim_end_matches(['\r', '\n']));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path).map_err(|error| SourceError::File { path: path.display().to_string(), error })
}
