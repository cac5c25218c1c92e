//! Replays: a bounded pool of consumers that read older records for clients that are behind.
//!
//! A worker serves one request at a time and keeps its consumer, so that the next request costs no new connection. It
//! reads only as fast as its readers take, and stops when they have enough.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::watermarks::{self, Watermarks};
use super::{SourceSettings, record};
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use crate::stream::replay::{ReplayBatch, ReplayRequest, ReplayStep, Replays};
use headgate_wire::message::GapReason;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Steps of one batch, at most.
const BATCH_STEPS: usize = 1024;
/// Bytes of records, keys and headers in one batch, at most; a single larger record goes alone.
const BATCH_BYTES: usize = 256 * 1024;
/// How long a batch may wait to be filled.
const BATCH_DELAY: Duration = Duration::from_millis(20);
/// A worker without work gives its consumer back after this long.
const IDLE: Duration = Duration::from_secs(20);
/// How often a partition without a leader is asked for again.
const ABSENT_RETRY: Duration = Duration::from_secs(2);
/// Questions that may fail before a replay is given up, and its readers get another one.
const TRIES: usize = 10;
/// Pause after a question that failed, in which a request can still be withdrawn.
const RETRY: Duration = Duration::from_millis(500);

/// A request and where its batches go. However it ends, its shard is told.
#[derive(Debug)]
struct Job {
    request: ReplayRequest,
    batches: mpsc::Sender<ReplayBatch>,
}

impl Job {
    /// Gives a batch to the shard; `None` if the shard has ended.
    fn send(&self, steps: Vec<ReplayStep>) -> Option<()> {
        self.batches.blocking_send(ReplayBatch { id: self.request.id, steps, ended: false }).ok()
    }

    /// Nothing follows.
    fn end(self) {
        // A shard that has ended need not know, and one that has withdrawn its request ignores it.
        let _ = self.batches.blocking_send(ReplayBatch { id: self.request.id, steps: Vec::new(), ended: true });
    }
}

/// Workers of one stream.
#[derive(Debug, Clone)]
pub struct ReplayPool {
    settings: Arc<SourceSettings>,
    workers: Arc<Mutex<Workers>>,
}

#[derive(Debug, Default)]
struct Workers {
    /// Workers that wait for a job, each with the way to it.
    idle: Vec<(u64, SyncSender<Job>)>,
    running: usize,
    next_id: u64,
    stopped: bool,
}

impl ReplayPool {
    /// No worker yet; the first request starts one.
    pub fn new(settings: SourceSettings) -> Self {
        Self { settings: Arc::new(settings), workers: Arc::default() }
    }

    /// What one shard uses of the pool.
    pub fn for_shard(&self, batches: mpsc::Sender<ReplayBatch>) -> Box<dyn Replays> {
        Box::new(ShardReplays { pool: self.clone(), batches })
    }

    /// Ends idle workers; busy ones end with their request.
    pub(super) fn stop(&self) {
        let mut workers = self.lock();
        workers.stopped = true;
        workers.idle.clear();
    }

    /// Gives the job to a worker. It is the worker that reads files and creates the consumer: the caller has clients.
    fn start(&self, job: Job) -> Result<(), Job> {
        let mut workers = self.lock();
        let mut job = job;
        while let Some((_, worker)) = workers.idle.pop() {
            match worker.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back,
            }
        }
        if workers.stopped || workers.running >= self.settings.max_replays {
            return Err(job);
        }
        workers.running += 1;
        workers.next_id += 1;
        let place = Place { id: workers.next_id, pool: self.clone() };
        drop(workers);
        let (hand, taken) = sync_channel(1);
        let spawned = std::thread::Builder::new().name("kafka-replay".to_owned()).spawn(move || {
            if let Ok(job) = taken.recv() {
                work(&place, job);
            }
        });
        match spawned {
            // The thread waits for it.
            Ok(_) => hand.send(job).map_err(|back| back.0),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for a replay");
                Err(job)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct ShardReplays {
    pool: ReplayPool,
    batches: mpsc::Sender<ReplayBatch>,
}

impl Replays for ShardReplays {
    fn start(&self, request: ReplayRequest) -> Result<(), ReplayRequest> {
        self.pool.start(Job { request, batches: self.batches.clone() }).map_err(|job| job.request)
    }
}

/// A worker's place in the pool, which it gives back however it ends.
struct Place {
    id: u64,
    pool: ReplayPool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.lock().running -= 1;
    }
}

/// A worker from its first job to its last.
fn work(place: &Place, first: Job) {
    let settings = place.pool.settings.clone();
    let consumer = match client_config::consumer(&settings, Purpose::Replay, Events::default()) {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::warn!(%error, "cannot read older records");
            return first.end();
        }
    };
    let mut job = Some(first);
    while let Some(current) = job.take() {
        if !replay(&consumer, &settings, current) {
            break;
        }
        if let Err(error) = consumer.unassign() {
            tracing::warn!(%error, "a replay's consumer does not let go; it is given back");
            break;
        }
        job = place.wait_for_job();
    }
}

/// Serves one job, until nobody reads it any more; false if the consumer should serve no other one.
fn replay(consumer: &BaseConsumer<Events>, settings: &SourceSettings, job: Job) -> bool {
    let position = job.request.start.clone();
    let mut replay = Replay {
        consumer,
        settings,
        position,
        absent: BTreeSet::new(),
        next_look: Instant::now(),
        job,
        steps: Vec::new(),
        bytes: 0,
        is_stuck: false,
    };
    let ended =
        std::panic::catch_unwind(AssertUnwindSafe(
            || {
                while replay.begin().and_then(|()| replay.read_on()).is_some() {}
            },
        ));
    if ended.is_err() {
        tracing::error!("a replay ended by a panic; its readers get another one");
    }
    let is_usable = ended.is_ok() && !replay.is_stuck;
    replay.job.end();
    is_usable
}

impl Place {
    /// Offers itself for a while.
    fn wait_for_job(&self) -> Option<Job> {
        let (offer, jobs) = sync_channel(1);
        {
            let mut workers = self.pool.lock();
            if workers.stopped {
                return None;
            }
            workers.idle.push((self.id, offer));
        }
        match jobs.recv_timeout(IDLE) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.pool.lock().idle.retain(|(id, _)| *id != self.id);
                // A job may have been handed over in the last moment.
                jobs.try_recv().ok()
            }
        }
    }
}

struct Replay<'w> {
    consumer: &'w BaseConsumer<Events>,
    settings: &'w SourceSettings,
    position: Position,
    /// Partitions that nobody answers for, which are read when somebody does.
    absent: BTreeSet<i32>,
    next_look: Instant,
    job: Job,
    steps: Vec<ReplayStep>,
    bytes: usize,
    /// It could not begin.
    is_stuck: bool,
}

impl Replay<'_> {
    /// Goes to the position, or as near to it as retention allows. `None` if the request was withdrawn.
    fn begin(&mut self) -> Option<()> {
        for _ in 0..TRIES {
            match self.try_begin() {
                Ok(()) => return Some(()),
                Err(error) => tracing::debug!(%error, "a replay waits for Kafka"),
            }
            self.pause()?;
        }
        // Another consumer knows nothing of leaders that the brokers may have forgotten.
        self.is_stuck = true;
        None
    }

    /// Lets a moment pass; `None` as soon as the request is withdrawn. Credits are only counted, so that shows when all of
    /// them are taken; the shard gives them again.
    fn pause(&self) -> Option<()> {
        let deadline = Instant::now() + RETRY;
        match self.job.request.credits.recv_timeout(RETRY) {
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => Some(()),
            // An empty batch gives the credit back, at the end of the pause.
            Ok(()) => {
                std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
                self.job.send(Vec::new())
            }
        }
    }

    /// Begins every partition that somebody answers for. A gap where retention has taken something is told once.
    fn try_begin(&mut self) -> KafkaResult<()> {
        let topic = &self.settings.kafka.topic;
        let watermarks = watermarks::ask(self.consumer, topic)?;
        let mut assignment = TopicPartitionList::with_capacity(watermarks.len());
        self.absent.clear();
        for (partition, marks) in watermarks.iter().enumerate() {
            let partition = partition as i32;
            let Some(marks) = marks else {
                self.absent.insert(partition);
                continue;
            };
            let next = self.enter(partition, *marks);
            assignment.add_partition_offset(topic, partition, Offset::Offset(next))?;
        }
        self.next_look = Instant::now() + ABSENT_RETRY;
        self.consumer.assign(&assignment)
    }

    /// Where a partition is read from: its position, or what retention has left.
    fn enter(&mut self, partition: i32, marks: Watermarks) -> i64 {
        let next = self.position.next(partition);
        if next < marks.low {
            let gap = Gap { partition, from: next, to: marks.low, reason: GapReason::Retention };
            self.steps.push(ReplayStep::Entry(Entry::Gap(gap)));
            self.position.set(partition, marks.low);
        }
        self.position.next(partition)
    }

    /// Begins partitions that nobody answered for before.
    fn look_for_absent(&mut self) -> KafkaResult<()> {
        if self.absent.is_empty() || Instant::now() < self.next_look {
            return Ok(());
        }
        self.next_look = Instant::now() + ABSENT_RETRY;
        let topic = self.settings.kafka.topic.clone();
        let watermarks = watermarks::ask(self.consumer, &topic)?;
        let mut appeared = TopicPartitionList::new();
        for partition in std::mem::take(&mut self.absent) {
            match watermarks.get(partition as usize).copied().flatten() {
                Some(marks) => {
                    let next = self.enter(partition, marks);
                    appeared.add_partition_offset(&topic, partition, Offset::Offset(next))?;
                }
                None => {
                    self.absent.insert(partition);
                }
            }
        }
        if appeared.count() > 0 { self.consumer.incremental_assign(&appeared) } else { Ok(()) }
    }

    /// Reads until the request is withdrawn (`None`), or the position must be found again (`Some`).
    fn read_on(&mut self) -> Option<()> {
        loop {
            let find_again = self.fill() || self.look_for_absent().is_err();
            if !self.steps.is_empty() {
                self.job.request.credits.recv().ok()?;
                let steps = std::mem::take(&mut self.steps);
                self.bytes = 0;
                self.job.send(steps)?;
            } else if self.is_withdrawn() {
                return None;
            }
            if find_again {
                // Whatever is wrong for longer than that shows again.
                return self.pause();
            }
        }
    }

    /// True if nobody reads any more. Takes a credit to find out, and gives it back.
    fn is_withdrawn(&self) -> bool {
        match self.job.request.credits.try_recv() {
            Err(TryRecvError::Disconnected) => true,
            Ok(()) => self.job.send(Vec::new()).is_none(),
            Err(TryRecvError::Empty) => false,
        }
    }

    /// Collects a batch; true if the position has left the log.
    fn fill(&mut self) -> bool {
        let deadline = Instant::now() + BATCH_DELAY;
        while self.steps.len() < BATCH_STEPS && self.bytes < BATCH_BYTES {
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    if self.position.wants(message.partition(), message.offset()) {
                        self.position.advance(message.partition(), message.offset() + 1);
                        let record = record::record(&message, self.settings.max_record_bytes);
                        self.bytes += record.memory_bytes();
                        self.steps.push(ReplayStep::Entry(Entry::Record(Arc::new(record))));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.steps.push(ReplayStep::CaughtUp(partition)),
                Some(Err(error)) => {
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(
                            RDKafkaErrorCode::OffsetOutOfRange
                                | RDKafkaErrorCode::AutoOffsetReset
                                | RDKafkaErrorCode::LogTruncation
                        )
                    ) {
                        return true;
                    }
                }
            }
        }
        false
    }
}
