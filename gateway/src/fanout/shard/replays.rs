//! Reading older records for clients that are behind: what a shard asks for, and which client reads which answer.
//!
//! Clients that need nearly the same range share one replay. Each replay may be ahead of its slowest member by a bounded
//! number of batches only. Owns no consumer; [`Replays`] does.

use crate::session::Millis;
use crate::stream::position::Position;
use crate::stream::replay::{ReplayBatch, ReplayRequest, Replays};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;

/// Batches that a replay may send before one was used up.
pub const REPLAY_CREDITS: usize = 2;
/// Clients whose positions differ by no more records than this, over all partitions, share a replay.
pub const SHARED_REPLAY_RECORDS: u64 = 20_000;

/// A running replay and its readers.
#[derive(Debug)]
pub(super) struct Replay {
    /// Everything from here on was in memory when the replay was asked for.
    pub target: Position,
    credits: SyncSender<()>,
    batches: VecDeque<ReplayBatch>,
    /// Number of the first batch in `batches`.
    first: u64,
    /// Reader and the number of the batch that it reads next.
    readers: BTreeMap<usize, u64>,
}

impl Replay {
    /// The batch that `reader` reads next, if it is here.
    pub fn batch(&self, reader: usize) -> Option<&ReplayBatch> {
        let number = *self.readers.get(&reader)?;
        number.checked_sub(self.first).and_then(|index| self.batches.get(index as usize))
    }

    /// `reader` has used up its batch. Batches that all readers have used up make room for new ones.
    pub fn finish_batch(&mut self, reader: usize) {
        if let Some(number) = self.readers.get_mut(&reader) {
            *number += 1;
        }
        self.drop_used();
    }

    fn drop_used(&mut self) {
        let slowest = self.readers.values().min().copied().unwrap_or(u64::MAX);
        while self.first < slowest && self.batches.pop_front().is_some() {
            self.first += 1;
            // The replay may have ended by itself; then nobody waits for the credit.
            let _ = self.credits.try_send(());
        }
    }

    /// Clients that read along.
    pub fn readers(&self) -> impl Iterator<Item = usize> + '_ {
        self.readers.keys().copied()
    }

    /// Readers that have a batch to read, while others wait for them.
    pub fn holds_up_others(&self, reader: usize) -> bool {
        let end = self.first + self.batches.len() as u64;
        self.readers.get(&reader).is_some_and(|number| *number == self.first)
            && self.batches.len() >= REPLAY_CREDITS
            && self.readers.values().any(|number| *number == end)
    }
}

/// All replays of a shard, and the clients that wait for one.
#[derive(Debug)]
pub(super) struct ReplayTable {
    source: Box<dyn Replays>,
    running: BTreeMap<u64, Replay>,
    pub waiting: Vec<usize>,
    /// When the newest replay was started.
    pub last_start: Option<Millis>,
    next_id: u64,
}

impl ReplayTable {
    pub fn new(source: Box<dyn Replays>) -> Self {
        Self { source, running: BTreeMap::new(), waiting: Vec::new(), last_start: None, next_id: 1 }
    }

    pub fn get(&self, id: u64) -> Option<&Replay> {
        self.running.get(&id)
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Replay> {
        self.running.get_mut(&id)
    }

    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Starts one replay for `readers`; `None` if as many as allowed are running.
    pub fn start(&mut self, start: Position, target: Position, readers: &[usize]) -> Option<u64> {
        let (credits, allowed) = std::sync::mpsc::sync_channel(REPLAY_CREDITS);
        for _ in 0..REPLAY_CREDITS {
            let _ = credits.try_send(());
        }
        let id = self.next_id;
        self.source.start(ReplayRequest { id, start, credits: allowed }).ok()?;
        self.next_id += 1;
        let readers = readers.iter().map(|reader| (*reader, 0)).collect();
        self.running.insert(id, Replay { target, credits, batches: VecDeque::new(), first: 0, readers });
        Some(id)
    }

    /// Files a batch; true if somebody still wants it.
    pub fn add(&mut self, batch: ReplayBatch) -> bool {
        let Some(replay) = self.running.get_mut(&batch.id) else { return false };
        replay.batches.push_back(batch);
        true
    }

    /// `reader` needs nothing more of this replay; without readers it ends.
    pub fn leave(&mut self, id: u64, reader: usize) {
        let Some(replay) = self.running.get_mut(&id) else { return };
        replay.readers.remove(&reader);
        if replay.readers.is_empty() {
            self.running.remove(&id);
        } else {
            replay.drop_used();
        }
    }

    /// Takes the clients out of the line that can share a replay with the one that waits longest.
    pub fn take_group(&mut self, position: impl Fn(usize) -> Option<Position>) -> Option<(Vec<usize>, Position)> {
        self.waiting.retain(|reader| position(*reader).is_some());
        let anchor = position(*self.waiting.first()?)?;
        let mut start = anchor.clone();
        let mut group = Vec::new();
        self.waiting.retain(|reader| match position(*reader) {
            Some(other) if other.distance(&anchor) <= SHARED_REPLAY_RECORDS => {
                start = start.earliest(&other);
                group.push(*reader);
                false
            }
            _ => true,
        });
        Some((group, start))
    }
}
