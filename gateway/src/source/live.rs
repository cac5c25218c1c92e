//! The live source: one consumer on a thread of its own reads every partition and tells every shard.
//!
//! It starts a little before the end of the topic, so that clients of a gateway that was just replaced continue from
//! memory; it recovers by itself from everything that brokers do; and what it cannot read any more it calls a gap.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::status::{self, SourceStatus};
use super::watermarks::{self, TopicWatermarks, Watermarks};
use super::{SourceError, SourceSettings, evidence, record, repair};
use crate::stream::continuity::Evidence;
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::feed::{Feed, FeedSender};
use crate::stream::position::Position;
use crate::supervision::Alive;
use headgate_wire::message::GapReason;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
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
/// Records of all partitions together that are read into memory before the first client is served, at most.
const WARM_UP_TOTAL: i64 = 100_000;
/// How often a partition without a leader is asked for again.
const ABSENT_RETRY: Duration = Duration::from_secs(2);
/// A partition that appears late is read from what was produced this long before the stream began, in milliseconds: the
/// clocks of producers are not ours.
const CLOCK_MARGIN_MS: i64 = 10_000;
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
    alive: Alive,
) -> Result<(SyncSender<Control>, JoinHandle<()>), SourceError> {
    let (sender, control) = sync_channel(CONTROL_CAPACITY);
    let live = Live {
        consumer: consumer(settings, &status)?,
        settings: settings.clone(),
        feeds,
        status,
        control,
        position: Position::default(),
        batch: Vec::new(),
        batch_bytes: 0,
        needs_repair: false,
        absent: BTreeSet::new(),
        next_look: Instant::now(),
        began_ms: 0,
    };
    let thread = std::thread::Builder::new().name("kafka-live".to_owned()).spawn(move || {
        let _alive = alive;
        live.run();
    })?;
    Ok((sender, thread))
}

fn consumer(settings: &SourceSettings, status: &Arc<SourceStatus>) -> Result<BaseConsumer<Events>, SourceError> {
    client_config::consumer(
        settings,
        Purpose::Live,
        Events { status: Some(status.clone()), isolation: settings.kafka.isolation },
    )
}

struct Live {
    consumer: BaseConsumer<Events>,
    settings: SourceSettings,
    feeds: Vec<FeedSender>,
    status: Arc<SourceStatus>,
    control: Receiver<Control>,
    position: Position,
    batch: Vec<Entry>,
    batch_bytes: usize,
    needs_repair: bool,
    /// Partitions that nobody has answered for since the stream began.
    absent: BTreeSet<i32>,
    /// When they are asked for again.
    next_look: Instant,
    /// When the stream began, in milliseconds since 1970.
    began_ms: i64,
}

/// How far the stream is read before the first client is served.
struct WarmUp<'a> {
    ends: &'a Position,
    deadline: Instant,
}

/// How much was read at once.
struct Batch {
    records: usize,
    bytes: usize,
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

    /// Finds the partitions and their ends, and reads up to there. A partition without a leader comes later.
    fn start(&mut self) -> Step {
        let watermarks = self.watermarks()?;
        self.began_ms = jiff::Timestamp::now().as_millisecond();
        self.absent = absent(&watermarks).collect();
        let ends = Position::new(watermarks.iter().map(|marks| marks.map_or(0, |marks| marks.high)).collect());
        let partitions = watermarks.len().max(1);
        let deadline = Instant::now() + WARM_UP_TIMEOUT;
        let mut records = (WARM_UP_TOTAL / partitions as i64).clamp(1, WARM_UP_RECORDS);
        loop {
            let begin = |marks: &Option<Watermarks>| marks.map_or(0, |marks| (marks.high - records).max(marks.low));
            self.position = Position::new(watermarks.iter().map(begin).collect());
            self.position.topic = self.status.topic();
            self.restart(Arc::from([]));
            self.assign();
            let warm_up = WarmUp { ends: &ends, deadline };
            match self.warm_up(&warm_up)? {
                None => break,
                Some(record_bytes) => records = (self.settings.warm_up_bytes / 2 / record_bytes / partitions) as i64,
            }
        }
        self.status.started();
        ControlFlow::Continue(())
    }

    /// Reads until every partition has reached its end, so that "latest" means after it. If that is more than stays in
    /// memory, gives the mean bytes of a record, from which fewer can be chosen; none if there is no time.
    fn warm_up(&mut self, to: &WarmUp<'_>) -> Step<Option<usize>> {
        let mut reached = self.position.clone();
        let (mut bytes, mut records) = (0, 0);
        while !reached.reaches(to.ends) {
            if Instant::now() >= to.deadline {
                return ControlFlow::Continue(Some(self.settings.warm_up_bytes.max(1)));
            }
            if bytes > self.settings.warm_up_bytes {
                return ControlFlow::Continue(Some((bytes / records.max(1)).max(1)));
            }
            self.obey()?;
            let read = self.poll_batch(&mut |partition| reached.advance(partition, to.ends.next(partition)));
            bytes += read.bytes;
            records += read.records;
            for (partition, next) in self.position.iter() {
                reached.advance(partition, next);
            }
            self.repair_if_needed()?;
        }
        ControlFlow::Continue(None)
    }

    /// Asks for partitions that nobody has answered for, and reads those that appear.
    fn look_for_absent(&mut self) {
        if self.absent.is_empty() || Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + ABSENT_RETRY;
        let since = self.began_ms - CLOCK_MARGIN_MS;
        let Ok(watermarks) = watermarks::ask(&self.consumer, &self.settings.kafka.topic) else { return };
        let Ok(times) = watermarks::at_times(&self.consumer, &self.settings.kafka.topic, |_| Some(since)) else {
            return;
        };
        let mut appeared = Vec::new();
        for partition in &self.absent {
            if let Some(Some(marks)) = watermarks.get(*partition as usize) {
                // Nothing older was promised to anybody, and nothing newer may be missed.
                let begin = times.get(*partition as usize).copied().flatten().unwrap_or(marks.high);
                appeared.push((*partition, begin.max(marks.low)));
            }
        }
        if appeared.is_empty() {
            return;
        }
        tracing::info!(partitions = appeared.len(), "partitions that had no leader are being read now");
        for (partition, begin) in appeared {
            self.absent.remove(&partition);
            self.position.set(partition, begin);
        }
        self.restart(Arc::from([]));
        self.assign();
    }

    fn read_on(&mut self) -> Step {
        loop {
            self.obey()?;
            self.poll_batch(&mut |_| ());
            // A new topic may be empty, so that no record shows it.
            self.needs_repair |= self.status.is_replaced();
            if self.status.take_refusing_leaders() {
                self.start_over();
            }
            self.repair_if_needed()?;
            self.look_for_absent();
        }
    }

    /// Takes another consumer, which knows nothing of what this one has heard from the brokers.
    fn start_over(&mut self) {
        tracing::warn!("the brokers have forgotten their latest leaders, as after a restore; connecting anew");
        match consumer(&self.settings, &self.status) {
            Ok(consumer) => self.consumer = consumer,
            Err(error) => tracing::warn!(%error, "cannot connect anew"),
        }
        self.needs_repair = true;
    }

    /// Takes everything that is there, up to a batch, and hands it to the shards.
    fn poll_batch(&mut self, at_end: &mut dyn FnMut(i32)) -> Batch {
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
                    max_record_bytes: self.settings.max_record_bytes,
                },
                at_end,
            );
            if self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES || self.needs_repair {
                break;
            }
            next = consumer.poll(Duration::ZERO);
        }
        let read = Batch { records: self.batch.len(), bytes: self.batch_bytes };
        self.hand_over();
        read
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
                *to.batch_bytes += record.memory_bytes();
                to.status.metrics().record_bytes.inc_by(message.payload_len() as u64);
                let entry = Entry::Record(Arc::new(record));
                entry.advance(to.position);
                to.batch.push(entry);
            }
            Err(KafkaError::PartitionEOF(partition)) => at_end(partition),
            Err(error) => {
                let code = error.rdkafka_error_code();
                *to.needs_repair |= matches!(
                    code,
                    Some(
                        RDKafkaErrorCode::OffsetOutOfRange
                            | RDKafkaErrorCode::AutoOffsetReset
                            | RDKafkaErrorCode::LogTruncation
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
        self.status.receiving();
        self.pass(entries);
    }

    /// Counted before any shard hears of it: whoever begins at the new position waits for its shard to get there.
    fn restart(&self, gaps: Arc<[Gap]>) {
        self.status.restarted(&self.position);
        self.tell(&Feed::Restart(self.position.clone(), gaps));
    }

    fn pass(&self, entries: Arc<[Entry]>) {
        self.status.pass(&entries, &self.position);
        self.tell(&Feed::Entries(entries));
    }

    fn tell(&self, feed: &Feed) {
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
        // What it goes on with knows the id of the topic that it belongs to.
        self.status.take_replaced();
        let logs = self.evidence()?;
        let (position, gaps) = repair::continuation(&self.position, &logs, self.status.topic());
        self.position = position;
        if !gaps.is_empty() {
            tracing::warn!(?gaps, "the topic no longer has what would come next; going on with what it has");
        }
        if gaps.iter().any(|gap| gap.reason == GapReason::TopicReset) {
            self.restart(gaps.into());
        } else if !gaps.is_empty() {
            self.pass(gaps.into_iter().map(Entry::Gap).collect());
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
        for (partition, next) in self.position.iter().filter(|(partition, _)| !self.absent.contains(partition)) {
            if let Err(error) =
                partitions.add_partition_offset(&self.settings.kafka.topic, partition, Offset::Offset(next))
            {
                tracing::error!(partition, %error, "the Kafka client refuses a position");
            }
        }
        if let Err(error) = self.consumer.assign(&partitions) {
            self.status.client_error(error.rdkafka_error_code(), &error.to_string());
            self.needs_repair = true;
        }
    }

    /// Oldest and next offset of every partition, as far as somebody answers.
    fn watermarks(&mut self) -> Step<TopicWatermarks> {
        self.until_answered(|live| watermarks::ask(&live.consumer, &live.settings.kafka.topic))
    }

    /// What the logs hold where this stands.
    fn evidence(&mut self) -> Step<Vec<Option<Evidence>>> {
        self.until_answered(|live| evidence::read(&live.consumer, &live.settings, &live.position))
    }

    /// Asks until anybody answers.
    fn until_answered<T>(&mut self, ask: impl Fn(&Self) -> KafkaResult<T>) -> Step<T> {
        loop {
            match ask(self) {
                Ok(answer) => return ControlFlow::Continue(answer),
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

/// Partitions that nobody answers for.
fn absent(watermarks: &[Option<Watermarks>]) -> impl Iterator<Item = i32> + '_ {
    watermarks.iter().enumerate().filter(|(_, marks)| marks.is_none()).map(|(partition, _)| partition as i32)
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
