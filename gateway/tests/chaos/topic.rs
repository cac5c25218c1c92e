//! A topic in memory that retention shortens and that is made anew, and replays of it: slow, limited, sometimes waiting.

use super::random::Random;
use bytes::Bytes;
use headgate_gateway::stream::entry::{Entry, Gap};
use headgate_gateway::stream::position::Position;
use headgate_gateway::stream::record::{Header, Record, RecordParts};
use headgate_gateway::stream::replay::{ReplayBatch, ReplayRequest, ReplayStep, Replays};
use headgate_wire::message::GapReason;
use std::collections::VecDeque;
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex};

pub const PARTITIONS: usize = 3;
/// Records with this subject pass the filter of these tests.
pub const WANTED: &str = "wanted";
/// Records that a partition keeps at most; older ones fall to retention.
const KEPT_RECORDS: usize = 1500;
/// Steps of one batch of a replay, at most.
const BATCH_STEPS: usize = 40;

/// Shared between the world and its replays. A topic that is made anew is another one.
#[derive(Debug, Clone)]
pub struct Topic(Arc<Mutex<Vec<Log>>>);

#[derive(Debug, Default)]
struct Log {
    low: i64,
    records: VecDeque<Arc<Record>>,
}

impl Log {
    fn end(&self) -> i64 {
        self.low + self.records.len() as i64
    }

    fn retain(&mut self, records: usize) {
        while self.records.len() > records {
            self.records.pop_front();
            self.low += 1;
        }
    }
}

impl Topic {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new((0..PARTITIONS).map(|_| Log::default()).collect())))
    }

    pub fn produce(&self, random: &mut Random) {
        let partition = random.below(PARTITIONS);
        let log = &mut self.0.lock().unwrap()[partition];
        for _ in 0..=random.below(20) {
            let offset = log.end();
            let subject = if is_wanted(offset) { WANTED } else { "other" };
            let name = "subject".to_owned();
            let parts = RecordParts {
                partition: partition as i32,
                offset,
                headers: vec![Header { name, value: Some(Bytes::from_static(subject.as_bytes())) }],
                value: Some(Bytes::from(vec![b'x'; random.length()])),
                ..RecordParts::default()
            };
            log.records.push_back(Arc::new(Record::decode(parts, 1 << 20)));
        }
        log.retain(KEPT_RECORDS);
    }

    /// Lets retention take a part of a partition.
    pub fn shorten(&self, random: &mut Random) {
        let log = &mut self.0.lock().unwrap()[random.below(PARTITIONS)];
        log.retain(log.records.len() * random.below(101) / 100);
    }

    pub fn low(&self) -> Position {
        Position::new(self.0.lock().unwrap().iter().map(|log| log.low).collect())
    }

    pub fn end(&self) -> Position {
        Position::new(self.0.lock().unwrap().iter().map(Log::end).collect())
    }

    /// What a consumer at `position` reads next, at most `limit` steps beside the gaps.
    pub fn read(&self, position: &mut Position, limit: usize) -> Vec<Entry> {
        let logs = self.0.lock().unwrap();
        let mut entries = Vec::new();
        let mut left = limit;
        for (partition, log) in (0_i32..).zip(logs.iter()) {
            let next = position.next(partition);
            if next < log.low {
                entries.push(Entry::Gap(Gap { partition, from: next, to: log.low, reason: GapReason::Retention }));
            }
            let from = next.max(log.low);
            let records = log.records.iter().skip((from - log.low) as usize).take(left.div_ceil(2));
            let before = entries.len();
            entries.extend(records.map(|record| Entry::Record(Arc::clone(record))));
            left -= entries.len() - before;
            position.set(partition, from + (entries.len() - before) as i64);
        }
        entries
    }
}

pub fn is_wanted(offset: i64) -> bool {
    offset % 3 == 0
}

/// Replays that the world moves forward.
#[derive(Debug, Clone)]
pub struct ChaoticReplays(Arc<Mutex<Pool>>);

#[derive(Debug)]
struct Pool {
    running: Vec<Running>,
    most: usize,
    /// The topic of which the shard has heard: a replay reads no other one.
    topic: Topic,
}

#[derive(Debug)]
struct Running {
    request: ReplayRequest,
    topic: Topic,
    position: Position,
    caught_up: bool,
}

impl ChaoticReplays {
    pub fn new(most: usize, topic: Topic) -> Self {
        Self(Arc::new(Mutex::new(Pool { running: Vec::new(), most, topic })))
    }

    pub fn topic_is_now(&self, topic: Topic) {
        self.0.lock().unwrap().topic = topic;
    }

    /// What comes from Kafka now: something for some of those that have a credit, and nothing yet for others.
    pub fn pump(&self, random: &mut Random) -> Vec<ReplayBatch> {
        self.advance(|| random.percent(70))
    }

    /// The same where no replay waits.
    pub fn pump_all(&self) -> Vec<ReplayBatch> {
        self.advance(|| true)
    }

    fn advance(&self, mut arrives: impl FnMut() -> bool) -> Vec<ReplayBatch> {
        let mut batches = Vec::new();
        self.0.lock().unwrap().running.retain_mut(|replay| match replay.request.credits.try_recv() {
            Err(TryRecvError::Disconnected) => false,
            Err(TryRecvError::Empty) => true,
            Ok(()) => {
                let steps = if arrives() { replay.next() } else { Vec::new() };
                batches.push(ReplayBatch { id: replay.request.id, steps, ended: false });
                true
            }
        });
        batches
    }

    /// Replays that run; those that nobody wants any more are gone.
    pub fn len(&self) -> usize {
        self.advance(|| false);
        self.0.lock().unwrap().running.len()
    }
}

impl Running {
    fn next(&mut self) -> Vec<ReplayStep> {
        let entries = self.topic.read(&mut self.position, BATCH_STEPS);
        if entries.is_empty() && !self.caught_up {
            self.caught_up = true;
            return (0..PARTITIONS as i32).map(ReplayStep::CaughtUp).collect();
        }
        entries.into_iter().map(ReplayStep::Entry).collect()
    }
}

impl Replays for ChaoticReplays {
    fn start(&self, request: ReplayRequest) -> Result<(), ReplayRequest> {
        let mut pool = self.0.lock().unwrap();
        if pool.running.len() >= pool.most {
            return Err(request);
        }
        let (position, topic) = (request.start.clone(), pool.topic.clone());
        pool.running.push(Running { request, topic, position, caught_up: false });
        Ok(())
    }
}
