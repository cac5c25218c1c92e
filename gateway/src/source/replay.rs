//! Replays: a bounded pool of consumers that read older records for clients that are behind.
//!
//! A worker serves one request at a time and keeps its consumer, so that the next request costs no new connection. It
//! reads only as fast as its readers take, and stops when they have enough.

use super::client_config::{self, Purpose};
use super::events::Events;
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
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Steps of one batch, at most.
const BATCH_STEPS: usize = 1024;
/// Bytes of records in one batch, at most; a single larger record goes alone.
const BATCH_BYTES: usize = 256 * 1024;
/// How long a batch may wait to be filled.
const BATCH_DELAY: Duration = Duration::from_millis(20);
/// A worker without work gives its consumer back after this long.
const IDLE: Duration = Duration::from_secs(20);
/// How long a question to the brokers may take.
const ASK: Duration = Duration::from_secs(5);
/// Pause after a question that failed, in which a request can still be withdrawn.
const RETRY: Duration = Duration::from_millis(500);

/// A request and where its batches go.
#[derive(Debug)]
struct Job {
    request: ReplayRequest,
    batches: mpsc::Sender<ReplayBatch>,
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
        let Ok(consumer) = client_config::consumer(&self.settings, Purpose::Replay, Events::default()) else {
            return Err(job);
        };
        workers.running += 1;
        workers.next_id += 1;
        let worker = Worker { id: workers.next_id, pool: self.clone(), consumer };
        let spawned = std::thread::Builder::new().name("kafka-replay".to_owned()).spawn(move || worker.run(job));
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start a replay; its clients are closed by their deadline");
            workers.running -= 1;
        }
        Ok(())
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

struct Worker {
    id: u64,
    pool: ReplayPool,
    consumer: BaseConsumer<Events>,
}

impl Worker {
    fn run(self, first: Job) {
        let mut job = Some(first);
        while let Some(current) = job.take() {
            self.replay(current);
            if let Err(error) = self.consumer.unassign() {
                tracing::warn!(%error, "a replay's consumer does not let go; it is given back");
                break;
            }
            job = self.wait_for_job();
        }
        self.pool.lock().running -= 1;
    }

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

    fn replay(&self, job: Job) {
        let Job { request, batches } = job;
        let mut replay = Replay {
            id: request.id,
            consumer: &self.consumer,
            settings: &self.pool.settings,
            position: request.start,
            credits: request.credits,
            batches,
            steps: Vec::new(),
            bytes: 0,
        };
        // It ends when nobody reads it any more.
        while replay.begin().and_then(|()| replay.read_on()).is_some() {}
    }
}

struct Replay<'w> {
    id: u64,
    consumer: &'w BaseConsumer<Events>,
    settings: &'w SourceSettings,
    position: Position,
    credits: Receiver<()>,
    batches: mpsc::Sender<ReplayBatch>,
    steps: Vec<ReplayStep>,
    bytes: usize,
}

impl Replay<'_> {
    /// Goes to the position, or as near to it as retention allows. `None` if the request was withdrawn.
    fn begin(&mut self) -> Option<()> {
        loop {
            match self.try_begin() {
                Ok(()) => return Some(()),
                Err(error) => tracing::debug!(%error, "a replay waits for Kafka"),
            }
            // Credits are only counted, so a withdrawn request shows when they are all taken.
            match self.credits.recv_timeout(RETRY) {
                Err(RecvTimeoutError::Disconnected) => return None,
                Ok(()) => self.return_credit(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// An empty batch gives a credit back.
    fn return_credit(&self) {
        let _ = self.batches.blocking_send(ReplayBatch { id: self.id, steps: Vec::new() });
    }

    fn try_begin(&mut self) -> KafkaResult<()> {
        let topic = &self.settings.kafka.topic;
        let partitions = super::lookup::partition_count(self.consumer, topic, ASK)?;
        let mut assignment = TopicPartitionList::with_capacity(partitions as usize);
        for partition in 0..partitions {
            let (low, _) = self.consumer.fetch_watermarks(topic, partition, ASK)?;
            let next = self.position.next(partition);
            if next < low {
                let gap = Gap { partition, from: next, to: low, reason: GapReason::Retention };
                self.steps.push(ReplayStep::Entry(Entry::Gap(gap)));
                self.position.set(partition, low);
            }
            assignment.add_partition_offset(topic, partition, Offset::Offset(self.position.next(partition)))?;
        }
        self.consumer.assign(&assignment)
    }

    /// Reads until the request is withdrawn (`None`), or the position must be found again (`Some`).
    fn read_on(&mut self) -> Option<()> {
        loop {
            let find_again = self.fill();
            if !self.steps.is_empty() {
                self.credits.recv().ok()?;
                let steps = std::mem::take(&mut self.steps);
                self.bytes = 0;
                self.batches.blocking_send(ReplayBatch { id: self.id, steps }).ok()?;
            } else if self.is_withdrawn() {
                return None;
            }
            if find_again {
                return Some(());
            }
        }
    }

    /// True if nobody reads any more. Takes a credit to find out, and gives it back.
    fn is_withdrawn(&self) -> bool {
        match self.credits.try_recv() {
            Err(TryRecvError::Disconnected) => true,
            Ok(()) => {
                self.return_credit();
                false
            }
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
                        self.bytes += message.payload_len();
                        let record = record::record(&message, self.settings.max_record_bytes);
                        self.steps.push(ReplayStep::Entry(Entry::Record(Arc::new(record))));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.steps.push(ReplayStep::CaughtUp(partition)),
                Some(Err(error)) => {
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset)
                    ) {
                        return true;
                    }
                }
            }
        }
        false
    }
}
