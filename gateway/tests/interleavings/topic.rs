//! A topic in memory: partitions, retention, and consumers that read it in some interleaving.

use bytes::Bytes;
use headgate_gateway::stream::entry::Entry;
use headgate_gateway::stream::entry::Gap;
use headgate_gateway::stream::position::Position;
use headgate_gateway::stream::record::{Header, Record, RecordParts};
use headgate_gateway::stream::replay::{ReplayBatch, ReplayRequest, ReplayStep, Replays};
use headgate_wire::message::GapReason;
use std::sync::{Arc, Mutex};

pub const PARTITIONS: usize = 4;
/// Records with this subject pass the tests' filter.
pub const WANTED: &str = "wanted";

#[derive(Debug, Default, Clone)]
pub struct Topic {
    logs: Arc<Mutex<Vec<Log>>>,
}

#[derive(Debug, Default, Clone)]
struct Log {
    low: i64,
    records: Vec<Arc<Record>>,
}

impl Topic {
    pub fn new() -> Self {
        Self { logs: Arc::new(Mutex::new(vec![Log::default(); PARTITIONS])) }
    }

    pub fn produce(&self, partition: usize, records: usize, bytes: usize) {
        let log = &mut self.logs.lock().unwrap()[partition];
        for _ in 0..records {
            let offset = log.records.len() as i64;
            let subject = if offset % 3 == 0 { WANTED } else { "other" };
            let parts = RecordParts {
                partition: partition as i32,
                offset,
                headers: vec![Header {
                    name: "subject".to_owned(),
                    value: Some(Bytes::from_static(subject.as_bytes())),
                }],
                value: Some(Bytes::from(vec![b'x'; bytes])),
                ..RecordParts::default()
            };
            log.records.push(Arc::new(Record::decode(parts, 1 << 20)));
        }
    }

    /// Lets retention take the first `part` percent of a partition.
    pub fn retain(&self, partition: usize, part: usize) {
        let log = &mut self.logs.lock().unwrap()[partition];
        log.low = log.low.max((log.records.len() * part / 100) as i64);
    }

    pub fn low(&self) -> Position {
        Position::new(self.logs.lock().unwrap().iter().map(|log| log.low).collect())
    }

    pub fn end(&self) -> Position {
        Position::new(self.logs.lock().unwrap().iter().map(|log| log.records.len() as i64).collect())
    }

    /// What a consumer at `position` reads next, at most `limit` steps; partitions take turns unevenly.
    pub fn read(&self, position: &mut Position, limit: usize) -> Vec<Entry> {
        let logs = self.logs.lock().unwrap();
        let mut entries = Vec::new();
        for (partition, log) in logs.iter().enumerate() {
            let next = position.next(partition as i32);
            if next < log.low {
                let gap = Gap { partition: partition as i32, from: next, to: log.low, reason: GapReason::Retention };
                entries.push(Entry::Gap(gap));
                position.set(partition as i32, log.low);
            }
        }
        let mut run = 1;
        'reading: loop {
            let before = entries.len();
            for (partition, log) in logs.iter().enumerate() {
                for _ in 0..run {
                    if entries.len() >= limit {
                        break 'reading;
                    }
                    let next = position.next(partition as i32);
                    let Some(record) = log.records.get(next as usize) else { break };
                    entries.push(Entry::Record(record.clone()));
                    position.set(partition as i32, next + 1);
                }
            }
            run = run % 3 + 1;
            if entries.len() == before {
                break;
            }
        }
        entries
    }

    pub fn is_wanted(offset: i64) -> bool {
        offset % 3 == 0
    }
}

/// Replays that the test moves forward by hand.
#[derive(Debug, Clone)]
pub struct ManualReplays {
    running: Arc<Mutex<Vec<Running>>>,
    max: usize,
}

#[derive(Debug)]
struct Running {
    request: ReplayRequest,
    position: Position,
    caught_up: bool,
}

impl ManualReplays {
    pub fn new(max: usize) -> Self {
        Self { running: Arc::default(), max }
    }

    /// One batch of every replay that has a credit.
    pub fn pump(&self, topic: &Topic) -> Vec<ReplayBatch> {
        let mut running = self.running.lock().unwrap();
        let mut batches = Vec::new();
        running.retain_mut(|replay| match replay.request.credits.try_recv() {
            Err(std::sync::mpsc::TryRecvError::Disconnected) => false,
            Err(std::sync::mpsc::TryRecvError::Empty) => true,
            Ok(()) => {
                let mut steps: Vec<_> =
                    topic.read(&mut replay.position, 7).into_iter().map(ReplayStep::Entry).collect();
                if steps.is_empty() && !replay.caught_up {
                    replay.caught_up = true;
                    steps = (0..PARTITIONS as i32).map(ReplayStep::CaughtUp).collect();
                }
                batches.push(ReplayBatch { id: replay.request.id, steps, ended: false });
                true
            }
        });
        batches
    }

    /// An empty batch of every replay that has a credit: none has reached Kafka yet.
    pub fn return_credits(&self) -> Vec<ReplayBatch> {
        let running = self.running.lock().unwrap();
        let has_credit = |replay: &&Running| replay.request.credits.try_recv().is_ok();
        running
            .iter()
            .filter(has_credit)
            .map(|replay| ReplayBatch { id: replay.request.id, steps: Vec::new(), ended: false })
            .collect()
    }
}

impl Replays for ManualReplays {
    fn start(&self, request: ReplayRequest) -> Result<(), ReplayRequest> {
        let mut running = self.running.lock().unwrap();
        if running.len() >= self.max {
            return Err(request);
        }
        let position = request.start.clone();
        running.push(Running { request, position, caught_up: false });
        Ok(())
    }
}
