//! Records into the broker and out of it.
//!
//! It knows nothing of streams or frames: bytes go in, the same bytes come out.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode::GroupAuthorizationFailed;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::AsyncRuntime;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::RealKafka;
use super::properties::Listener;

/// A producer that tells each record's offset.
pub type Producer = FutureProducer<DefaultClientContext, Tokio>;

/// Enough for every test that fills a topic in one go; the default is 100,000.
const QUEUED_RECORDS: &str = "1000000";
/// How long a record may wait for room in the client's queue.
const QUEUE: Duration = Duration::from_mins(1);
/// How long one look for a record may take before the deadline is looked at.
const POLL: Duration = Duration::from_millis(100);

/// A record to produce.
#[derive(Clone, Debug, Default)]
pub struct Record {
    topic: String,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    timestamp: Option<i64>,
}

impl Record {
    /// A record for partition 0, without a key.
    pub fn new(topic: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.to_owned(), value: Some(value.into()), ..Self::default() }
    }

    /// A record without a value.
    pub fn tombstone(topic: &str, key: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.to_owned(), key: Some(key.into()), ..Self::default() }
    }

    /// Another partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = partition;
        self
    }

    /// A key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A time other than now, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it is in its partition.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl RealKafka {
    /// Produces one record and gives its offset once the broker has it.
    pub async fn produce(&self, record: Record) -> Result<i64> {
        let delivery = self.producer.send(future_record(&record), QUEUE).await;
        delivery.map(|delivery| delivery.offset).map_err(|(error, _)| anyhow!("cannot produce: {error}"))
    }

    /// Produces many records, pipelined and in order, and gives their offsets once the broker has them all.
    pub async fn produce_many(&self, records: impl IntoIterator<Item = Record>) -> Result<Vec<i64>> {
        produce_many(&self.producer, records).await
    }

    /// Reads `count` records of a partition from `offset` on.
    pub async fn read(&self, topic: &str, partition: i32, offset: i64, count: usize) -> Result<Vec<Received>> {
        read_as(self.client(Listener::Plaintext), (topic, partition, offset), count, QUEUE).await
    }
}

/// Produces many records, pipelined and in order, and gives their offsets once the broker has them all.
pub async fn produce_many(producer: &Producer, records: impl IntoIterator<Item = Record>) -> Result<Vec<i64>> {
    let mut pending = Vec::new();
    for record in records {
        let delivery = producer.send_result(future_record(&record));
        pending.push(delivery.map_err(|(error, _)| anyhow!("cannot produce: {error}"))?);
    }
    let mut offsets = Vec::with_capacity(pending.len());
    for delivery in pending {
        let delivery = delivery.await.context("the producer is gone")?;
        offsets.push(delivery.map_err(|(error, _)| anyhow!("cannot produce: {error}"))?.offset);
    }
    Ok(offsets)
}

/// A producer that sends at once instead of waiting for company.
pub fn producer(mut config: ClientConfig) -> Result<Producer> {
    config.set("linger.ms", "0").set("queue.buffering.max.messages", QUEUED_RECORDS);
    Ok(config.create()?)
}

/// Reads `count` records from `(topic, partition, offset)` on with the settings of any client.
pub async fn read_as(
    mut config: ClientConfig,
    (topic, partition, offset): (&str, i32, i64),
    count: usize,
    deadline: Duration,
) -> Result<Vec<Received>> {
    config.set("group.id", "headgate-tests-reader").set("enable.auto.commit", "false");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        consumer.assign(&assignment)?;
        let end = std::time::Instant::now() + deadline;
        let mut received = Vec::new();
        while received.len() < count {
            anyhow::ensure!(std::time::Instant::now() < end, "only {} of {count} records came", received.len());
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => received.push(Received::from(&message)),
                // librdkafka wants a group's name and looks for its coordinator, though nothing here needs one.
                Some(Err(error)) if error.rdkafka_error_code() == Some(GroupAuthorizationFailed) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(received)
    })
    .await?
}

impl From<&BorrowedMessage<'_>> for Received {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| headers.iter()).into_iter().flatten();
        Self {
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect(),
        }
    }
}

fn future_record(record: &Record) -> FutureRecord<'_, Vec<u8>, Vec<u8>> {
    let mut future = FutureRecord::to(&record.topic).partition(record.partition);
    if !record.headers.is_empty() {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        future = future.headers(headers);
    }
    future.key = record.key.as_ref();
    future.payload = record.value.as_ref();
    future.timestamp = record.timestamp;
    future
}

/// What the producer's retries wait with. Ours, because rdkafka's own would turn a feature on for the whole workspace.
#[derive(Debug)]
pub struct Tokio;

impl AsyncRuntime for Tokio {
    type Delay = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn spawn<T: Future<Output = ()> + Send + 'static>(task: T) {
        tokio::spawn(task);
    }

    fn delay_for(duration: Duration) -> Self::Delay {
        Box::pin(tokio::time::sleep(duration))
    }
}
