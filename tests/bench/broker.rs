//! A mock Kafka with a producer beside it, in a process of its own.

use crate::order::Order;
use crate::payload;
use crate::server::Announcement;
use crate::shards::QUIET_TOPIC;
use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// The topic that gets the records.
pub const TOPIC: &str = "bench";
/// Records that may wait in the producer.
const QUEUED_RECORDS: &str = "1000000";
/// How long the producer waits for more records of a batch, in milliseconds.
const LINGER_MS: &str = "1";
/// How long a full queue is waited for at once.
const WAIT: Duration = Duration::from_millis(5);
/// How long Kafka may take to have everything.
const FLUSH: Duration = Duration::from_mins(1);

/// Serves until nobody gives orders any more.
pub fn serve(size: usize, partitions: u32) -> Result<()> {
    let cluster = MockCluster::new(1)?;
    let partitions = i32::try_from(partitions)?;
    cluster.create_topic(TOPIC, partitions, 1)?;
    cluster.create_topic(QUIET_TOPIC, 1, 1)?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", cluster.bootstrap_servers());
    client.set("linger.ms", LINGER_MS).set("queue.buffering.max.messages", QUEUED_RECORDS);
    let producer: BaseProducer = client.create()?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let bootstrap = Some(cluster.bootstrap_servers());
    Announcement { control: Some(control.local_addr()?), bootstrap, ..Announcement::default() }.make()?;
    let (mut orders, _) = control.accept()?;
    let mut partition = 0;
    while let Some(order) = Order::read(&mut orders)? {
        let value = payload::event(size, order.stamp)?;
        for _ in 0..order.records {
            produce(&producer, partition, &value)?;
            partition = (partition + 1) % partitions;
        }
        if order.acknowledge {
            producer.flush(FLUSH)?;
            orders.write_all(&[1])?;
        }
        producer.poll(Duration::ZERO);
    }
    Ok(())
}

fn produce(producer: &BaseProducer, partition: i32, value: &[u8]) -> Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                producer.poll(WAIT);
                record = refused;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
