//! Clients with a position of their own, until they meet the live stream at one exact position.
//!
//! A client reads whatever holds its next record: a replay, then memory, and skips what it has by comparing offsets, so
//! the joints need no coordination: nothing is lost, repeated or reordered within a partition. At the end of memory it
//! stands where every view stands, and moves over to its view's log.

mod writer;

use super::client::{CatchUp, Reading, State, Write};
use super::replays::Replay;
use super::{ClientSocket, Shard};
use crate::fanout::recent::Recent;
use crate::stream::entry::Entry;
use crate::stream::replay::ReplayStep;
use writer::{NoRoom, OutboxWriter};

/// Steps looked at for one client in one go, so that a filter that lets nothing through does not hold up the others.
const STEPS_AT_ONCE: u64 = 256;
/// Steps looked at for all clients that catch up before those that stream are served again.
const STEPS_PER_TURN: usize = 1024;
/// Clients that waited for room in the budget and are served again in one turn.
const ROOM_PER_TURN: usize = 16;
/// Room that must be free before a client that waits for it is served, in bytes.
const ROOM_BYTES: usize = 8 * 1024;

/// How a refill ended.
#[derive(Debug, PartialEq, Eq)]
enum Refill {
    /// There is more to read at once.
    More,
    /// Nothing more until something new arrives.
    Idle,
    /// The client stands where the stream stands.
    Met,
    /// What it needs is no longer in memory.
    NeedsReplay,
    /// The budget of outboxes is used up by others.
    NeedsRoom,
}

impl<S: ClientSocket> Shard<S> {
    /// Serves clients that have something of their own to get.
    pub(super) fn serve_attention(&mut self, budget: usize) -> bool {
        self.steps = 0;
        for _ in 0..budget {
            if self.steps >= STEPS_PER_TURN {
                break;
            }
            let Some(index) = self.attention.pop_front() else { return false };
            let Some(client) = self.clients.get_mut(index) else { continue };
            client.attended = false;
            if !client.blocked && self.serve(index) {
                self.attend(index);
            }
        }
        !self.attention.is_empty()
    }

    /// Fills and writes once; true if the client wants another turn at once.
    fn serve(&mut self, index: usize) -> bool {
        let more = self.refill(index);
        self.tell_skipped(index);
        match self.write(index) {
            Write::Progress(_) => true,
            Write::Nothing => {
                self.finish_closing(index);
                more
            }
            Write::Blocked | Write::Gone => false,
        }
    }

    /// Encodes the next steps of a client that catches up; true if there is more to read at once.
    fn refill(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else { return false };
        if !matches!(client.state, State::CatchingUp(_)) || !client.outbox.is_empty() {
            return false;
        }
        match self.refill_outbox(index) {
            Refill::More => true,
            Refill::Idle => false,
            Refill::Met => {
                // It stands where every view stands.
                self.stream_from_head(index);
                false
            }
            Refill::NeedsReplay => {
                self.wait_for_replay(index);
                self.start_replays_if_alone();
                false
            }
            Refill::NeedsRoom => {
                self.wait_for_room(index);
                false
            }
        }
    }

    fn refill_outbox(&mut self, index: usize) -> Refill {
        let Some(client) = self.clients.get_mut(index) else { return Refill::Idle };
        let State::CatchingUp(catch_up) = &mut client.state else { return Refill::Idle };
        let mut writer = OutboxWriter {
            outbox: &mut client.outbox,
            encoder: &mut self.encoder,
            context: &self.settings.context,
            spec: &self.views[client.view].spec,
            session: &client.audit.session,
            steps: &mut self.steps,
        };
        match catch_up.reading {
            Reading::Waiting => Refill::Idle,
            Reading::Memory(number) => read_memory(&self.recent, number, catch_up, &mut writer),
            Reading::Parked => self.recent.first_wanted(&catch_up.position).map_or(Refill::NeedsReplay, |first| {
                catch_up.reading = Reading::Memory(first);
                Refill::More
            }),
            Reading::Replay(id, step) => {
                let Some(replay) = self.replays.get_mut(id) else { return Refill::NeedsReplay };
                match read_replay(replay, index, step, catch_up, &mut writer) {
                    Read::Batch => {}
                    Read::Part => return Refill::More,
                    Read::Nothing => return Refill::Idle,
                    Read::NoRoom => return Refill::NeedsRoom,
                }
                if let Some(first) = self.recent.first_wanted(&catch_up.position) {
                    catch_up.reading = Reading::Memory(first);
                    self.replays.leave(id, index);
                }
                self.replays.give_credits();
                Refill::More
            }
        }
    }

    /// Puts a client in line for room in the budget of outboxes.
    fn wait_for_room(&mut self, index: usize) {
        let Some(catch_up) = self.catch_up_of(index) else { return };
        if !std::mem::replace(&mut catch_up.waits_for_room, true) {
            self.metrics.budget_full("outboxes");
            self.waiting_for_room.push_back(index);
        }
    }

    /// Serves clients that waited for room, as far as there is some.
    pub(super) fn give_room(&mut self) {
        for _ in 0..ROOM_PER_TURN {
            if self.waiting_for_room.is_empty() || !self.settings.budgets.outboxes.has_room(ROOM_BYTES) {
                return;
            }
            let Some(index) = self.waiting_for_room.pop_front() else { return };
            if let Some(catch_up) = self.catch_up_of(index) {
                catch_up.waits_for_room = false;
                self.attend(index);
            }
        }
    }

    pub(super) fn catch_up_of(&mut self, index: usize) -> Option<&mut CatchUp> {
        match &mut self.clients.get_mut(index)?.state {
            State::CatchingUp(catch_up) => Some(catch_up),
            _ => None,
        }
    }
}

/// What was read of a replay.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// The current batch to its end.
    Batch,
    /// A part of it.
    Part,
    /// There is no batch yet.
    Nothing,
    /// The next step found no room in the budget.
    NoRoom,
}

fn read_memory(recent: &Recent, number: u64, catch_up: &mut CatchUp, writer: &mut OutboxWriter<'_>) -> Refill {
    let mut number = number;
    if number < recent.first() {
        // What it was about to read has left memory; perhaps it did not need that.
        let Some(first) = recent.first_wanted(&catch_up.position) else { return Refill::NeedsReplay };
        catch_up.reading = Reading::Memory(first);
        return Refill::More;
    }
    writer.ready(catch_up);
    let turn_ends = (number + STEPS_AT_ONCE).min(recent.end());
    let mut refused = None;
    while let Some(entry) = recent.get(number).filter(|_| number < turn_ends) {
        if let Err(no_room) = writer.entry(entry, &mut catch_up.position) {
            refused = Some(no_room);
            break;
        }
        number += 1;
    }
    catch_up.reading = Reading::Memory(number);
    if refused == Some(NoRoom::Budget) {
        Refill::NeedsRoom
    } else if number < recent.end() {
        Refill::More
    } else if recent.head().reaches(&catch_up.position) {
        Refill::Met
    } else {
        // The client is ahead: another gateway had read further. It skips until this one is there too.
        Refill::Idle
    }
}

/// Reads on in the current batch.
fn read_replay(
    replay: &mut Replay,
    reader: usize,
    step: usize,
    catch_up: &mut CatchUp,
    writer: &mut OutboxWriter<'_>,
) -> Read {
    let Some(batch) = replay.batch(reader) else { return Read::Nothing };
    let is_lost = |step: &ReplayStep| match step {
        ReplayStep::Entry(entry @ Entry::Gap(_)) => entry.is_new_at(&catch_up.position),
        _ => false,
    };
    // An empty batch says only that the replay has not begun: whether something was lost shows in the first other one.
    if !batch.steps.is_empty() {
        let lossless = !batch.steps.iter().any(is_lost);
        catch_up.ready_pending = catch_up.ready_pending.map(|resumed| resumed && lossless);
        writer.ready(catch_up);
    }
    let mut next = step;
    let mut refused = None;
    for step in batch.steps.iter().skip(step).take(STEPS_AT_ONCE as usize) {
        match step {
            ReplayStep::Entry(entry) => {
                if let Err(no_room) = writer.entry(entry, &mut catch_up.position) {
                    refused = Some(no_room);
                    break;
                }
            }
            ReplayStep::CaughtUp(partition) => {
                let (next, seen) = (replay.target.next(*partition), replay.target.seen(*partition));
                catch_up.position.advance_after(*partition, next, seen);
            }
        }
        next += 1;
    }
    let used_up = next >= batch.steps.len();
    let id = batch.id;
    if used_up {
        replay.finish_batch(reader);
    }
    catch_up.reading = Reading::Replay(id, if used_up { 0 } else { next });
    match refused {
        Some(NoRoom::Budget) => Read::NoRoom,
        _ if used_up => Read::Batch,
        _ => Read::Part,
    }
}
