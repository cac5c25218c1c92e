//! The embedded Kafka: librdkafka's mock cluster, one broker on a free port of this machine.
//!
//! With `crate::kafka` the only module that names rdkafka. It keeps at most 5 MiB or 100,000 records per partition, in memory.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of every topic of dev mode: more than one, so that nobody relies on a total order.
pub(crate) const PARTITIONS: i32 = 3;
/// Property that the gateway needs here: the mock answers an empty fetch only after the whole wait, in milliseconds.
pub(crate) const FETCH_WAIT: (&str, &str) = ("fetch.wait.max.ms", "5");

/// A running broker; it ends when this is dropped.
pub(crate) struct MockKafka(MockCluster<'static, DefaultProducerContext>);

impl MockKafka {
    /// Starts a broker with these topics.
    pub(crate) fn start(topics: &[String]) -> Result<Self, KafkaError> {
        let cluster = MockCluster::new(1)?;
        for topic in topics {
            cluster.create_topic(topic, PARTITIONS, 1)?;
        }
        Ok(Self(cluster))
    }

    /// Where clients find it: host:port.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{Producer, Record};

    #[tokio::test]
    async fn a_record_is_stored_and_its_key_decides_the_partition() {
        let kafka = MockKafka::start(&["t".to_owned()]).unwrap();
        let producer = Producer::new(&kafka.bootstrap_servers(), &[]).unwrap();
        let record = Record {
            topic: "t".to_owned(),
            key: Some("till-3".to_owned()),
            headers: vec![("a".to_owned(), "b".to_owned())],
            value: b"{}".to_vec(),
        };
        let first = producer.send(&record).unwrap().stored().await.unwrap();
        let second = producer.send(&record).unwrap().stored().await.unwrap();
        assert_eq!((second.partition, second.offset), (first.partition, first.offset + 1));
    }
}
