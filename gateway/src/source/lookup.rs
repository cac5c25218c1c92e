//! Questions to the brokers on behalf of clients: where a topic begins and ends, and where a time is.
//!
//! One consumer on a thread of its own answers them in turn, so that no question holds up the stream. It also notices
//! when a topic gets more partitions.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::live::Control;
use super::{SourceError, SourceSettings};
use crate::position::Position;
use rdkafka::client::ClientContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Questions that may wait; more are refused with "try again".
const WAITING_QUESTIONS: usize = 256;
/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks at the number of partitions.
const PARTITION_CHECK: Duration = Duration::from_secs(10);

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Too many wait already.
    #[error("too many clients ask for positions at once")]
    Busy,
    /// The brokers do not answer.
    #[error("Kafka does not answer")]
    Unavailable,
}

#[derive(Debug)]
enum Question {
    Watermarks(oneshot::Sender<Result<Watermarks, LookupError>>),
    At(i64, oneshot::Sender<Result<Position, LookupError>>),
    Stop,
}

/// Oldest and next offset of every partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermarks {
    /// Oldest offsets that Kafka still has.
    pub low: Position,
    /// Offsets that the next records will get.
    pub high: Position,
}

/// Asks the brokers.
#[derive(Debug, Clone)]
pub struct Lookup {
    questions: SyncSender<Question>,
}

impl Lookup {
    pub(super) fn spawn(settings: &SourceSettings, live: SyncSender<Control>) -> Result<Self, SourceError> {
        let (questions, asked) = sync_channel(WAITING_QUESTIONS);
        let thread = LookupThread {
            consumer: client_config::consumer(settings, Purpose::Lookup, Events::default())?,
            topic: settings.kafka.topic.clone(),
            asked,
            live,
        };
        std::thread::Builder::new().name("kafka-lookup".to_owned()).spawn(move || thread.run())?;
        Ok(Self { questions })
    }

    /// Oldest and next offset of every partition.
    pub async fn watermarks(&self) -> Result<Watermarks, LookupError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::Watermarks(reply))?;
        answer.await.unwrap_or(Err(LookupError::Unavailable))
    }

    /// The first record of every partition whose time is at or after `time_ms` (milliseconds since 1970).
    pub async fn at_time(&self, time_ms: i64) -> Result<Position, LookupError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::At(time_ms, reply))?;
        answer.await.unwrap_or(Err(LookupError::Unavailable))
    }

    pub(super) fn stop(&self) {
        // A full queue ends with its senders anyway.
        let _ = self.questions.try_send(Question::Stop);
    }

    fn ask(&self, question: Question) -> Result<(), LookupError> {
        self.questions.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => LookupError::Busy,
            TrySendError::Disconnected(_) => LookupError::Unavailable,
        })
    }
}

struct LookupThread {
    consumer: BaseConsumer<Events>,
    topic: String,
    asked: Receiver<Question>,
    live: SyncSender<Control>,
}

impl LookupThread {
    fn run(self) {
        loop {
            match self.asked.recv_timeout(PARTITION_CHECK) {
                Ok(Question::Watermarks(reply)) => {
                    // A client that has left does not read its answer.
                    let _ = reply.send(self.watermarks().map_err(|error| self.unavailable(&error)));
                }
                Ok(Question::At(time_ms, reply)) => {
                    let _ = reply.send(self.at(time_ms).map_err(|error| self.unavailable(&error)));
                }
                Err(RecvTimeoutError::Timeout) => self.check_partitions(),
                Ok(Question::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn unavailable(&self, error: &KafkaError) -> LookupError {
        self.consumer.context().log(rdkafka::config::RDKafkaLogLevel::Warning, "LOOKUP", &error.to_string());
        LookupError::Unavailable
    }

    fn watermarks(&self) -> KafkaResult<Watermarks> {
        let partitions = partition_count(&self.consumer, &self.topic, TIMEOUT)?;
        let marks: Vec<(i64, i64)> = (0..partitions)
            .map(|partition| self.consumer.fetch_watermarks(&self.topic, partition, TIMEOUT))
            .collect::<KafkaResult<_>>()?;
        Ok(Watermarks {
            low: Position::new(marks.iter().map(|(low, _)| *low).collect()),
            high: Position::new(marks.iter().map(|(_, high)| *high).collect()),
        })
    }

    fn at(&self, time_ms: i64) -> KafkaResult<Position> {
        let watermarks = self.watermarks()?;
        let mut times = TopicPartitionList::new();
        for (partition, _) in watermarks.high.iter() {
            times.add_partition_offset(&self.topic, partition, Offset::Offset(time_ms.max(0)))?;
        }
        let mut position = watermarks.high;
        for found in self.consumer.offsets_for_times(times, TIMEOUT)?.elements() {
            if let Offset::Offset(offset) = found.offset() {
                position.set(found.partition(), offset);
            }
        }
        Ok(position)
    }

    fn check_partitions(&self) {
        if let Ok(partitions) = partition_count(&self.consumer, &self.topic, TIMEOUT) {
            // If the live consumer is busy for so long, the next look will do.
            let _ = self.live.try_send(Control::Partitions(partitions));
        }
    }
}

/// Number of partitions of a topic; the topic's own error if there is none.
pub(super) fn partition_count<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.map(|found| (found.error(), found.partitions().len())) {
        Some((None, partitions)) if partitions > 0 => Ok(partitions as i32),
        Some((Some(error), _)) => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::from(error))),
        _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
    }
}
