//! What the client library reports on the side: errors, statistics, log lines.

use super::status::{Ends, SourceStatus};
use headgate_wire::config::Isolation;
use rdkafka::ClientContext;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Broker;
use std::sync::Arc;
use std::time::Duration;

/// A broker that owes answers and sends nothing for this long does not answer. Longer than any fetch may wait.
const SILENT: Duration = Duration::from_secs(6);

/// Receives them for one consumer.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    /// Set for the live consumer: its reports are the gateway's knowledge of Kafka.
    pub status: Option<Arc<SourceStatus>>,
    /// What the consumer may read.
    pub isolation: Isolation,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(status) = &self.status
            && message.contains(REFUSED_LEADER)
        {
            status.refused_leader();
        }
        if let Some(status) = &self.status
            && let Some((before, id)) = change_of_id(message)
        {
            status.set_topic(id);
            if before != UNKNOWN_ID {
                status.replaced();
            }
        }
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
        let silences = statistics.brokers.values().filter(|broker| broker.nodeid >= 0).filter_map(silence);
        match silences.min() {
            Some(silence) if silence < SILENT => status.broker_up(),
            Some(silence) => status.silent(silence),
            None => {}
        }
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|p| p.partition >= 0 && p.hi_offset >= 0) {
                let high = partition.hi_offset;
                // Behind the last stable offset, a transaction is open.
                let readable = if self.isolation == Isolation::ReadCommitted && partition.ls_offset >= 0 {
                    partition.ls_offset.min(high)
                } else {
                    high
                };
                status.ends(partition.partition, &Ends { readable, high, read: partition.eof_offset });
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

/// How long a connected broker has owed an answer; zero if it owes none.
fn silence(broker: &Broker) -> Option<Duration> {
    let owes = broker.waitresp_cnt > 0;
    let idle = Duration::from_micros(u64::try_from(broker.rxidle).unwrap_or(0));
    (broker.state == "UP").then_some(if owes { idle } else { Duration::ZERO })
}

/// What the library logs for `debug=topic` when it keeps to a leader of a later epoch than the one that the brokers name.
const REFUSED_LEADER: &str = "ignoring outdated metadata update with leader epoch";
/// Base64 of the id of a topic that is not known yet: all zero.
const UNKNOWN_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The id that the topic had and the one that it has, if the library has noticed that it became known, or that the topic
/// was deleted and made again. It goes on at the old offset nevertheless, and has no other way to say so than its log for
/// `debug=topic`.
fn change_of_id(message: &str) -> Option<(&str, &str)> {
    let (_, ids) = message.split_once(" changed id from ")?;
    let (before, after) = ids.split_once(" to ")?;
    Some((before, after.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_topic_is_told_when_it_becomes_known_and_when_it_changes() {
        let changed = "[thrd:main]: Topic orders changed id from";
        let known = format!("{changed} AAAAAAAAAAAAAAAAAAAAAA to Xq2lDVqGSYyuUMm5UyjXVg");
        assert_eq!(change_of_id(&known), Some((UNKNOWN_ID, "Xq2lDVqGSYyuUMm5UyjXVg")));
        let replaced = format!("{changed} Xq2lDVqGSYyuUMm5UyjXVg to 9Zb0kq2LQ7-1mYb5wqXJfg");
        assert_eq!(change_of_id(&replaced), Some(("Xq2lDVqGSYyuUMm5UyjXVg", "9Zb0kq2LQ7-1mYb5wqXJfg")));
        assert_eq!(change_of_id("[thrd:main]: Topic orders partition 0 Leader 1 Epoch 0"), None);
    }
}
