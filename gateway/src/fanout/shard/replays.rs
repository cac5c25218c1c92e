//! Replays of a shard: which run, which clients read along, and which clients wait for one.
//!
//! Clients that need nearly the same range share a replay. The table bounds what is read ahead in bytes, says who holds
//! others up, and which replays must give their place to those that wait; what becomes of the clients is decided in
//! `catch_up`. It owns no consumer; [`Replays`] does.

use crate::fanout::budget::{Budget, Share};
use crate::session::Millis;
use crate::stream::position::Position;
use crate::stream::replay::{ReplayBatch, ReplayRequest, ReplayStep, Replays};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Batches that a replay may send before one was used up.
pub const REPLAY_CREDITS: usize = 2;
/// Clients whose positions differ by no more records than this, over all partitions, share a replay.
pub const SHARED_REPLAY_RECORDS: u64 = 20_000;
/// What a batch is expected to take until a larger one was seen, in bytes.
const EXPECTED_BATCH_BYTES: usize = 256 * 1024;

/// A batch that some reader has not used up.
#[derive(Debug)]
struct Held {
    batch: ReplayBatch,
    /// What it uses of the pod's budget; given back when it is dropped.
    _memory: Share,
}

/// A running replay and its readers.
#[derive(Debug)]
pub(super) struct Replay {
    /// Everything from here on was in memory when the replay was asked for.
    pub target: Position,
    /// When it was asked for.
    pub started: Millis,
    /// Whether anything has been read.
    pub has_delivered: bool,
    credits: SyncSender<()>,
    batches: VecDeque<Held>,
    /// What the batches that it may still send will probably use.
    expected: VecDeque<Share>,
    /// Number of the first batch in `batches`.
    first: u64,
    /// Reader and the number of the batch that it reads next.
    readers: BTreeMap<usize, u64>,
    /// Since when some readers have used up everything while others hold the place of the next batch.
    held_up_since: Option<Millis>,
}

impl Replay {
    /// The batch that `reader` reads next, if it is here.
    pub fn batch(&self, reader: usize) -> Option<&ReplayBatch> {
        let number = *self.readers.get(&reader)?;
        number.checked_sub(self.first).and_then(|index| self.batches.get(index as usize)).map(|held| &held.batch)
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
            self.held_up_since = None;
        }
    }

    /// Clients that read along.
    pub fn readers(&self) -> impl Iterator<Item = usize> + '_ {
        self.readers.keys().copied()
    }

    /// Readers of the oldest batch, while there is no place for another one and others have used up everything.
    pub fn laggards(&self) -> Vec<usize> {
        let end = self.first + self.batches.len() as u64;
        let is_full = self.batches.len() >= REPLAY_CREDITS;
        if !is_full || !self.readers.values().any(|number| *number == end) {
            return Vec::new();
        }
        self.readers.iter().filter(|(_, number)| **number == self.first).map(|(reader, _)| *reader).collect()
    }

    /// How long `laggards` have held others up, in milliseconds; counts from the first time that this is asked.
    pub fn held_up_for(&mut self, laggards: &[usize], now: Millis) -> u64 {
        if laggards.is_empty() {
            self.held_up_since = None;
            return 0;
        }
        now.0 - self.held_up_since.get_or_insert(now).0
    }

    /// Number of readers.
    pub fn len(&self) -> usize {
        self.readers.len()
    }
}

/// All replays of a shard, and the clients that wait for one.
#[derive(Debug)]
pub(super) struct ReplayTable {
    source: Box<dyn Replays>,
    /// Most replays of this shard at the same time.
    places: usize,
    budget: Arc<Budget>,
    /// The largest batch so far, in bytes.
    largest_batch: usize,
    running: BTreeMap<u64, Replay>,
    /// In the order in which they are served.
    waiting: VecDeque<usize>,
    /// When the newest replay was started.
    pub last_start: Option<Millis>,
    next_id: u64,
}

impl ReplayTable {
    pub fn new(source: Box<dyn Replays>, places: usize, budget: Arc<Budget>) -> Self {
        Self {
            source,
            places: places.max(1),
            budget,
            largest_batch: EXPECTED_BATCH_BYTES,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_start: None,
            next_id: 1,
        }
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

    pub fn ids(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }

    /// Puts a client at the end of the line.
    pub fn wait(&mut self, reader: usize) {
        self.waiting.push_back(reader);
    }

    /// True if a client waits, or a replay may not read on, because others have what it needs.
    pub fn is_contended(&self) -> bool {
        (!self.waiting.is_empty() && self.running.len() >= self.places)
            || self.running.values().any(|replay| replay.batches.is_empty() && replay.expected.is_empty())
    }

    /// Starts one replay for `readers`; `None` if as many as allowed are running.
    pub fn start(&mut self, start: Position, target: Position, readers: &[usize], now: Millis) -> Option<u64> {
        if self.running.len() >= self.places {
            return None;
        }
        let (credits, allowed) = std::sync::mpsc::sync_channel(REPLAY_CREDITS);
        let id = self.next_id;
        self.source.start(ReplayRequest { id, start, credits: allowed }).ok()?;
        self.next_id += 1;
        let readers = readers.iter().map(|reader| (*reader, 0)).collect();
        let replay = Replay {
            target,
            started: now,
            has_delivered: false,
            credits,
            batches: VecDeque::new(),
            expected: VecDeque::new(),
            first: 0,
            readers,
            held_up_since: None,
        };
        self.running.insert(id, replay);
        self.give_credits();
        Some(id)
    }

    /// Lets replays read on as far as the budget allows; first those that have nothing left.
    pub fn give_credits(&mut self) {
        for held in 0..REPLAY_CREDITS {
            for replay in self.running.values_mut() {
                if replay.batches.len() + replay.expected.len() == held && self.budget.has_room(self.largest_batch) {
                    let mut expected = self.budget.share();
                    expected.set(self.largest_batch);
                    // The replay may have ended by itself; then its batch never comes.
                    if replay.credits.try_send(()).is_ok() {
                        replay.expected.push_back(expected);
                    }
                }
            }
        }
    }

    /// Files a batch; true if somebody still wants it.
    pub fn add(&mut self, batch: ReplayBatch) -> bool {
        let Some(replay) = self.running.get_mut(&batch.id) else { return false };
        let bytes = batch_bytes(&batch);
        self.largest_batch = self.largest_batch.max(bytes);
        let mut memory = replay.expected.pop_front().unwrap_or_else(|| self.budget.share());
        memory.set(bytes);
        replay.has_delivered |= !batch.steps.is_empty();
        replay.batches.push_back(Held { batch, _memory: memory });
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

    /// Takes the clients out of the line that can share a replay with the one that waits longest, and gives the position
    /// from which all of them can be served. `position` is `None` for a client that does not wait any more.
    pub fn take_group<'p>(
        &mut self,
        position: impl Fn(usize) -> Option<&'p Position>,
    ) -> Option<(Vec<usize>, Position)> {
        self.waiting.retain(|reader| position(*reader).is_some());
        let anchor = position(*self.waiting.front()?)?;
        let mut start = anchor.clone();
        let mut group = Vec::new();
        self.waiting.retain(|reader| match position(*reader) {
            Some(other) if other.distance(anchor) <= SHARED_REPLAY_RECORDS => {
                start.lower_to(other);
                group.push(*reader);
                false
            }
            _ => true,
        });
        Some((group, start))
    }

    /// Puts a group that found no replay back to the front of the line.
    pub fn put_back(&mut self, group: Vec<usize>) {
        for reader in group.into_iter().rev() {
            self.waiting.push_front(reader);
        }
    }

    /// Clients that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// What a batch holds in memory. Records are counted in full, although some may be in the memory of recent records too.
fn batch_bytes(batch: &ReplayBatch) -> usize {
    let step = |step: &ReplayStep| match step {
        ReplayStep::Entry(entry) => entry.memory_bytes(),
        ReplayStep::CaughtUp(_) => 0,
    };
    batch.steps.iter().map(step).sum()
}
