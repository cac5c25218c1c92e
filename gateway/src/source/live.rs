//! The live source: one consumer on a thread of its own reads every partition and tells every shard.
//!
//! It starts a little before the end of the topic, so that clients of a gateway that was just replaced continue from
//! memory; it recovers by itself from everything that brokers do; and what it cannot read any more it calls a gap.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::status::{self, KafkaState, SourceStatus};
use super::{SourceError, SourceSettings, record, repair};
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::feed::{Feed, FeedSender};
use crate::stream::position::Position;
use headgate_wire::message::GapReason;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records of each partition that are read into memory before the first client is served.
const WARM_UP_RECORDS: i64 = 1_000;
/// Longest time that reading them may delay readiness.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// Records handed to the shards together, at most.
const BATCH_RECORDS: usize = 1024;
/// Bytes of records handed to the shards together, at most; a single larger record goes alone.
const BATCH_BYTES: usize = 128 * 1024;
/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// How long a question to the brokers may take.
const ASK: Duration = Duration::from_secs(5);
/// Pause after a question that failed.
const RETRY: Duration = Duration::from_millis(500);
/// Callbacks served after a question that failed; more come while it waits for its answer.
const CALLBACKS: usize = 64;
/// Commands that may wait.
const CONTROL_CAPACITY: usize = 16;

/// What the live consumer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// The topic has this many partitions.
    Partitions(i32),
    /// The brokers say that there is no such topic.
    TopicMissing,
    /// End.
    Stop,
}

/// Starts the thread.
pub(super) fn spawn(
    settings: &SourceSettings,
    feeds: Vec<FeedSender>,
    status: Arc<SourceStatus>,
) -> Result<(SyncSender<Control>, JoinHandle<()>), SourceError> {
    let (sender, control) = sync_channel(CONTROL_CAPACITY);
    let events = Events { status: Some(status.clone()) };
    let live = Live {
        consumer: client_config::consumer(settings, Purpose::Live, events)?,
        topic: settings.kafka.topic.clone(),
        max_record_bytes: settings.max_record_bytes,
        feeds,
        status,
        control,
        position: Position::default(),
        batch: Vec::new(),
        batch_bytes: 0,
        needs_repair: false,
    };
    let thread = std::thread::Builder::new().name("kafka-live".to_owned()).spawn(move || live.run())?;
    Ok((sender, thread))
}

struct Live {
    consumer: BaseConsumer<Events>,
    topic: String,
    max_record_bytes: usize,
    feeds: Vec<FeedSender>,
    status: Arc<SourceStatus>,
    control: Receiver<Control>,
    position: Position,
    batch: Vec<Entry>,
    batch_bytes: usize,
    needs_repair: bool,
}

/// `Break` ends the thread.
type Step<T = ()> = ControlFlow<(), T>;

impl Live {
    fn run(mut self) {
        // `Break` only says that the source was told to stop.
        if self.start().is_continue() {
            let _ = self.read_on();
        }
    }

    /// Finds the partitions and their ends, and reads up to there.
    fn start(&mut self) -> Step {
        let watermarks = self.watermarks()?;
        let high: Vec<i64> = watermarks.iter().map(|(_, high)| *high).collect();
        let begin = watermarks.iter().map(|(low, high)| (high - WARM_UP_RECORDS).max(*low)).collect();
        self.position = Position::new(begin);
        self.restart(Arc::from([]));
        self.assign();
        self.warm_up(&Position::new(high))?;
        self.status.started();
        ControlFlow::Continue(())
    }

    /// Reads until every partition has reached `ends`, so that "latest" means after it.
    fn warm_up(&mut self, ends: &Position) -> Step {
        let deadline = Instant::now() + WARM_UP_TIMEOUT;
        let mut reached = self.position.clone();
        while !reached.reaches(ends) && Instant::now() < deadline {
            self.obey()?;
            self.poll_batch(&mut |partition| reached.advance(partition, ends.next(partition)));
            for (partition, next) in self.position.iter() {
                reached.advance(partition, next);
            }
            self.repair_if_needed()?;
        }
        ControlFlow::Continue(())
    }

    fn read_on(&mut self) -> Step {
        loop {
            self.obey()?;
            self.poll_batch(&mut |_| ());
            // A new topic may be empty, so that no record shows it.
            self.needs_repair |= self.status.is_replaced();
            self.repair_if_needed()?;
        }
    }

    /// Takes everything that is there, up to a batch, and hands it to the shards.
    fn poll_batch(&mut self, at_end: &mut dyn FnMut(i32)) {
        let consumer = &self.consumer;
        let mut next = consumer.poll(POLL);
        while let Some(polled) = next {
            Self::take(
                polled,
                &mut Taking {
                    position: &mut self.position,
                    batch: &mut self.batch,
                    batch_bytes: &mut self.batch_bytes,
                    needs_repair: &mut self.needs_repair,
                    status: &self.status,
                    max_record_bytes: self.max_record_bytes,
                },
                at_end,
            );
            if self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES || self.needs_repair {
                break;
            }
            next = consumer.poll(Duration::ZERO);
        }
        self.hand_over();
    }

    fn take(polled: KafkaResult<BorrowedMessage<'_>>, to: &mut Taking<'_>, at_end: &mut dyn FnMut(i32)) {
        use rdkafka::Message as _;
        match polled {
            Ok(message) => {
                if to.status.is_replaced() {
                    // It would be taken for a later record of the topic that was.
                    *to.needs_repair = true;
                    return;
                }
                if !to.position.wants(message.partition(), message.offset()) {
                    return;
                }
                let record = record::record(&message, to.max_record_bytes);
                to.position.advance(record.partition, record.offset + 1);
                *to.batch_bytes += message.payload_len();
                to.status.metrics().record_bytes.inc_by(message.payload_len() as u64);
                to.batch.push(Entry::Record(Arc::new(record)));
            }
            Err(KafkaError::PartitionEOF(partition)) => at_end(partition),
            Err(error) => {
                let code = error.rdkafka_error_code();
                *to.needs_repair |= matches!(
                    code,
                    Some(
                        RDKafkaErrorCode::OffsetOutOfRange
                            | RDKafkaErrorCode::AutoOffsetReset
                            | RDKafkaErrorCode::NoOffset
                            | RDKafkaErrorCode::UnknownTopic
                            | RDKafkaErrorCode::UnknownTopicOrPartition
                            | RDKafkaErrorCode::UnknownPartition
                            | RDKafkaErrorCode::TopicAuthorizationFailed
                    )
                );
                to.status.client_error(code, &error.to_string());
            }
        }
    }

    fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.status.metrics().records.inc_by(self.batch.len() as u64);
        self.batch_bytes = 0;
        let entries: Arc<[Entry]> = std::mem::take(&mut self.batch).into();
        self.status.set_position(&self.position);
        self.status.receiving();
        self.tell(&Feed::Entries(entries));
    }

    /// Counted before any shard hears of it: whoever begins at the new position waits for its shard to get there.
    fn restart(&self, gaps: Arc<[Gap]>) {
        self.status.restarted(&self.position);
        self.tell(&Feed::Restart(self.position.clone(), gaps));
    }

    fn tell(&self, feed: &Feed) {
        self.status.set_position(&self.position);
        for shard in &self.feeds {
            // A shard always takes what is there, so this waits for moments only; without shards the process is ending.
            let _ = shard.send_blocking(feed.clone());
        }
    }

    /// Finds out where the log begins and ends now, and goes on from there.
    fn repair_if_needed(&mut self) -> Step {
        if !std::mem::take(&mut self.needs_repair) {
            return ControlFlow::Continue(());
        }
        let watermarks = self.watermarks()?;
        let (position, gaps) = repair::continuation(&self.position, &watermarks, self.status.take_replaced());
        self.position = position;
        if !gaps.is_empty() {
            tracing::warn!(?gaps, "the topic no longer has what would come next; going on with what it has");
        }
        if gaps.iter().any(|gap| gap.reason == GapReason::TopicReset) {
            self.restart(gaps.into());
        } else if !gaps.is_empty() {
            self.tell(&Feed::Entries(gaps.into_iter().map(Entry::Gap).collect()));
        }
        self.assign();
        self.status.receiving();
        // Whatever is wrong for longer than that shows again.
        self.pause()
    }

    /// Lets a moment pass, so that nothing is tried without end.
    fn pause(&self) -> Step {
        match self.control.recv_timeout(RETRY) {
            Ok(Control::Stop) | Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
            Ok(_) | Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
        }
    }

    fn assign(&mut self) {
        let mut partitions = TopicPartitionList::with_capacity(self.position.partitions());
        for (partition, next) in self.position.iter() {
            if let Err(error) = partitions.add_partition_offset(&self.topic, partition, Offset::Offset(next)) {
                tracing::error!(partition, %error, "the Kafka client refuses a position");
            }
        }
        if let Err(error) = self.consumer.assign(&partitions) {
            self.status.client_error(error.rdkafka_error_code(), &error.to_string());
            self.needs_repair = true;
        }
    }

    /// Oldest and next offset of every partition; asks until it knows.
    fn watermarks(&mut self) -> Step<Vec<(i64, i64)>> {
        loop {
            match self.ask_watermarks() {
                Ok(watermarks) if !watermarks.is_empty() => return ControlFlow::Continue(watermarks),
                Ok(_) => {
                    self.status.set(KafkaState::TopicNotFound, Some(format!("topic {} does not exist", self.topic)));
                }
                Err(error) => {
                    let state = status::state_of_error(&error);
                    self.status.problem(state, error.to_string());
                }
            }
            // Serves the library's callbacks, which know more about why. Records among them are read again.
            for _ in 0..CALLBACKS {
                let _ = self.consumer.poll(Duration::ZERO);
            }
            self.pause()?;
        }
    }

    fn ask_watermarks(&self) -> KafkaResult<Vec<(i64, i64)>> {
        let partitions = super::lookup::partition_count(&self.consumer, &self.topic, ASK)?;
        (0..partitions).map(|partition| self.consumer.fetch_watermarks(&self.topic, partition, ASK)).collect()
    }

    /// Does what the process asks for.
    fn obey(&mut self) -> Step {
        loop {
            match self.control.try_recv() {
                Ok(Control::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return ControlFlow::Break(()),
                Err(std::sync::mpsc::TryRecvError::Empty) => return ControlFlow::Continue(()),
                Ok(Control::TopicMissing) => self.needs_repair = true,
                Ok(Control::Partitions(partitions)) => {
                    if partitions as usize > self.position.partitions() {
                        tracing::info!(
                            partitions,
                            "the topic has more partitions; reading the new ones from their start"
                        );
                        self.position.set(partitions - 1, 0);
                        self.assign();
                    }
                }
            }
        }
    }
}

/// Where one poll goes.
struct Taking<'a> {
    position: &'a mut Position,
    batch: &'a mut Vec<Entry>,
    batch_bytes: &'a mut usize,
    needs_repair: &'a mut bool,
    status: &'a SourceStatus,
    max_record_bytes: usize,
}
