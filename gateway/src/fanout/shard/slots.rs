//! Who may read older records from Kafka, and for how long.
//!
//! Replays are few, so nobody may hold one that does not read, or hold it for long while others wait: a reader that holds
//! up faster ones leaves their replay, a replay whose readers are all blocked gives its place to those that wait, and so
//! does one that has had its time. Whoever leaves keeps its exact position and gets in line again as soon as it has taken
//! what it was given, so every waiting client makes progress.

use super::client::{Reading, State};
use super::replays::Replay;
use super::{ClientSocket, Shard};
use crate::stream::replay::ReplayBatch;

/// A shard that started a replay waits this long before it starts one for a single client, in milliseconds: if many
/// come back at once, the next tick starts one for all.
const COMPANY_MS: u64 = 500;
/// How long a replay may run while others wait for its place, once it has delivered something, in milliseconds. The more
/// wait, the shorter, so that everybody's turn comes within this time and a tick each.
const LONGEST_TURN_MS: u64 = 2_000;
/// However many wait, in milliseconds: beginning a replay takes time, too.
const SHORTEST_TURN_MS: u64 = 250;
/// How long a few readers may hold up the others of their replay, in milliseconds.
const FEW_LAG_MS: u64 = 100;
/// How long many of them may: if they come back at once on a busy machine, they should stay together.
const MANY_LAG_MS: u64 = 1_000;
/// Readers are few if they are at most this part of all.
const FEW_PART: usize = 4;

impl<S: ClientSocket> Shard<S> {
    /// A batch of an earlier request has arrived.
    pub fn replayed(&mut self, batch: ReplayBatch) {
        let id = batch.id;
        if batch.ended {
            return self.end_replay(id);
        }
        if self.replays.add(batch) {
            let readers: Vec<usize> = self.replays.get(id).into_iter().flat_map(Replay::readers).collect();
            for reader in readers {
                self.attend(reader);
            }
        }
    }

    /// Puts a client in line for a replay from its position.
    pub(super) fn wait_for_replay(&mut self, index: usize) {
        self.leave_replay(index, Reading::Waiting);
        self.replays.wait(index);
    }

    /// Starts replays, unless others may soon come along that can share them.
    pub(super) fn start_replays_if_alone(&mut self) {
        if self.replays.last_start.is_none_or(|last| self.now.0.saturating_sub(last.0) >= COMPANY_MS) {
            self.start_replays();
        }
    }

    /// Takes replays from those who do not use them, and starts new ones for those who wait. Call it at every tick.
    pub(super) fn arrange_replays(&mut self) {
        for id in self.replays.ids() {
            self.drop_laggards(id);
            if self.replays.is_contended() && self.must_give_way(id) {
                self.end_replay(id);
            }
        }
        self.replays.give_credits();
        self.start_replays();
        if self.replays.is_contended() {
            self.metrics.budget_full("replays");
        }
    }

    /// Starts as many replays as are allowed, each for all clients that can share it.
    fn start_replays(&mut self) {
        while self.replays.waiting() > 0 {
            let clients = &self.clients;
            let group = self.replays.take_group(|index| match &clients.get(index)?.state {
                State::CatchingUp(catch_up) if catch_up.reading == Reading::Waiting => Some(&catch_up.position),
                _ => None,
            });
            let Some((readers, start)) = group else { return };
            let Some(id) = self.replays.start(start, self.recent.start().clone(), &readers, self.now) else {
                self.replays.put_back(readers);
                return;
            };
            self.replays.last_start = Some(self.now);
            self.metrics.replays_started.inc();
            for reader in readers {
                if let Some(catch_up) = self.catch_up_of(reader) {
                    catch_up.reading = Reading::Replay(id, 0);
                }
            }
        }
    }

    /// Readers that hold up others of their replay read by themselves from now on.
    fn drop_laggards(&mut self, id: u64) {
        let now = self.now;
        let Some(replay) = self.replays.get_mut(id) else { return };
        let laggards = replay.laggards();
        let patience_ms = if laggards.len() * FEW_PART <= replay.len() { FEW_LAG_MS } else { MANY_LAG_MS };
        if replay.held_up_for(&laggards, now) < patience_ms {
            return;
        }
        for laggard in laggards {
            self.fall_out(laggard);
        }
    }

    /// True if the replay's place is better used by those who wait.
    fn must_give_way(&self, id: u64) -> bool {
        let Some(replay) = self.replays.get(id).filter(|replay| replay.has_delivered) else { return false };
        let turns = self.replays.waiting() as u64 / self.replays.len().max(1) as u64;
        let turn_ms = (LONGEST_TURN_MS / turns.max(1)).max(SHORTEST_TURN_MS);
        let had_its_turn = self.now.0.saturating_sub(replay.started.0) >= turn_ms;
        had_its_turn || replay.readers().all(|reader| self.clients.get(reader).is_some_and(|client| client.blocked))
    }

    fn end_replay(&mut self, id: u64) {
        let readers: Vec<usize> = self.replays.get(id).into_iter().flat_map(Replay::readers).collect();
        for reader in readers {
            self.fall_out(reader);
        }
    }

    /// Takes a client out of its replay. It gets in line again when it has taken what it was given.
    fn fall_out(&mut self, index: usize) {
        self.leave_replay(index, Reading::Parked);
        self.attend(index);
    }

    fn leave_replay(&mut self, index: usize, next: Reading) {
        let Some(catch_up) = self.catch_up_of(index) else { return };
        if let Reading::Replay(id, _) = std::mem::replace(&mut catch_up.reading, next) {
            self.replays.leave(id, index);
        }
    }
}
