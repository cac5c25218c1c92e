//! What the client library reports on the side: errors, statistics, log lines.

use super::status::SourceStatus;
use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use std::sync::Arc;

/// Receives them for one consumer.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    /// Set for the live consumer: its reports are the gateway's knowledge of Kafka.
    pub status: Option<Arc<SourceStatus>>,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let Some(status) = &self.status else { return };
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            status.broker_up();
        }
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|p| p.partition >= 0 && p.hi_offset >= 0) {
                status.high_watermark(partition.partition, partition.hi_offset);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(status) = &self.status {
            status.client_error(error.rdkafka_error_code(), reason);
        }
    }
}

impl ConsumerContext for Events {}
