//! Questions to the brokers on behalf of clients: where a topic begins and ends, and where a time is.
//!
//! One consumer on a thread of its own answers them in turn, so that no question holds up the stream. It also notices
//! when a topic gets more partitions.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::live::Control;
use super::{SourceError, SourceSettings};
use crate::stream::position::Position;
use rdkafka::client::ClientContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Questions that may wait; more are refused with "try again".
const WAITING_QUESTIONS: usize = 256;
/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client waits for an answer, with the questions before its own.
const PATIENCE: Duration = Duration::from_secs(10);
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
        in_time(answer).await
    }

    /// The first record of every partition whose time is at or after `time_ms` (milliseconds since 1970).
    pub async fn at_time(&self, time_ms: i64) -> Result<Position, LookupError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::At(time_ms, reply))?;
        in_time(answer).await
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

/// Waits for an answer, but not as long as all questions before it may take.
async fn in_time<T>(answer: oneshot::Receiver<Result<T, LookupError>>) -> Result<T, LookupError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(LookupError::Unavailable),
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
        let mut next_check = Instant::now() + PARTITION_CHECK;
        loop {
            match self.asked.recv_timeout(next_check.saturating_duration_since(Instant::now())) {
                // Nobody waits any more.
                Ok(Question::Watermarks(reply)) if reply.is_closed() => {}
                Ok(Question::At(_, reply)) if reply.is_closed() => {}
                Ok(Question::Watermarks(reply)) => {
                    // A client that has left does not read its answer.
                    let _ = reply.send(self.watermarks().map_err(|error| self.unavailable(&error)));
                }
                Ok(Question::At(time_ms, reply)) => {
                    let _ = reply.send(self.at(time_ms).map_err(|error| self.unavailable(&error)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Question::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            // Questions that never end must not put it off.
            if Instant::now() >= next_check {
                self.check_partitions();
                next_check = Instant::now() + PARTITION_CHECK;
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
        let seen = match partition_count(&self.consumer, &self.topic, TIMEOUT) {
            Ok(partitions) => Control::Partitions(partitions),
            // The live consumer would wait for half a minute before it says so.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                Control::TopicMissing
            }
            Err(_) => return,
        };
        // If the live consumer is busy for so long, the next look will do.
        let _ = self.live.try_send(seen);
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
