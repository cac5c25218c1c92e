//! Clients with a position of their own, until they meet the live stream at one exact position.
//!
//! A client reads whatever holds its next record: a replay, then memory, and skips what it has by comparing offsets, so
//! the joints need no coordination: nothing is lost, repeated or reordered within a partition. At the end of memory it
//! stands where every view stands, and moves over to its view's log.

use super::client::{State, Write};
use super::replays::Replay;
use super::{ClientSocket, Shard};
use crate::encode::encoder::{Encoder, Outcome};
use crate::fanout::recent::Recent;
use crate::fanout::view::ViewSpec;
use crate::session::Millis;
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use crate::stream::record::StreamContext;
use crate::stream::replay::{ReplayBatch, ReplayStep};
use headgate_wire::CloseReason;

/// Bytes encoded ahead for one client that catches up.
const OUTBOX_TARGET_BYTES: usize = 64 * 1024;
/// Steps looked at in one go, so that a filter that lets nothing through does not hold up the shard.
const STEPS_PER_TURN: u64 = 2048;
/// A client that takes nothing for this long while it catches up is closed; it holds a replay that others may need.
const STALLED_AFTER_MS: u64 = 30_000;
/// A client that takes nothing for this long while others wait for it gets a replay of its own, in milliseconds.
const OTHERS_WAIT_MS: u64 = 2_000;
/// A shard that started a replay waits this long before it starts one for a single client, in milliseconds: if many
/// come back at once, the next tick starts one for all.
const COMPANY_MS: u64 = 500;

/// Where a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// In memory, at this entry.
    Memory(u64),
    /// In a replay, at this step of its current batch.
    Replay(u64, usize),
    /// Nowhere yet: it waits for a replay.
    Waiting,
}

/// A client on its way.
#[derive(Debug)]
pub(super) struct CatchUp {
    pub position: Position,
    pub reading: Reading,
    /// `Some(resumed)` until the ready message has been sent.
    pub ready_pending: Option<bool>,
    /// Beginnings of the stream that the position takes into account. While these are more than the shard has heard of,
    /// the client waits: what the shard has in memory does not belong to its position.
    pub generation: u64,
    pub last_progress: Millis,
}

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
}

impl<S: ClientSocket> Shard<S> {
    /// A batch of an earlier request has arrived.
    pub fn replayed(&mut self, batch: ReplayBatch) {
        let id = batch.id;
        if self.replays.add(batch) {
            let readers: Vec<usize> = self.replays.get(id).into_iter().flat_map(Replay::readers).collect();
            for reader in readers {
                self.attend(reader);
            }
        }
    }

    /// Serves clients that have something of their own to get.
    pub(super) fn serve_attention(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
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
        if !matches!(client.state, State::CatchingUp(_)) || !client.outbox_is_empty() {
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
        };
        match catch_up.reading {
            Reading::Waiting => Refill::Idle,
            Reading::Memory(number) => read_memory(&self.recent, number, catch_up, &mut writer),
            Reading::Replay(id, step) => {
                let Some(replay) = self.replays.get_mut(id) else { return Refill::NeedsReplay };
                if !read_replay(replay, index, step, catch_up, &mut writer) {
                    return if replay.batch(index).is_some() { Refill::More } else { Refill::Idle };
                }
                if let Some(first) = self.recent.first_wanted(&catch_up.position) {
                    catch_up.reading = Reading::Memory(first);
                    self.replays.leave(id, index);
                }
                Refill::More
            }
        }
    }

    /// Puts a client in line for a replay from its position.
    pub(super) fn wait_for_replay(&mut self, index: usize) {
        let Some(catch_up) = self.catch_up_of(index) else { return };
        let before = std::mem::replace(&mut catch_up.reading, Reading::Waiting);
        if let Reading::Replay(id, _) = before {
            self.replays.leave(id, index);
        }
        self.replays.waiting.push(index);
    }

    /// Starts replays, unless others may soon come along that can share them.
    pub(super) fn start_replays_if_alone(&mut self) {
        if self.replays.last_start.is_none_or(|last| self.now.0.saturating_sub(last.0) >= COMPANY_MS) {
            self.start_replays();
        }
    }

    /// Starts as many replays as are allowed, each for all clients that can share it.
    pub(super) fn start_replays(&mut self) {
        loop {
            let clients = &self.clients;
            let group = self.replays.take_group(|index| match &clients.get(index)?.state {
                State::CatchingUp(catch_up) if catch_up.reading == Reading::Waiting => Some(catch_up.position.clone()),
                _ => None,
            });
            let Some((readers, start)) = group else { return };
            let Some(id) = self.replays.start(start, self.recent.start().clone(), &readers) else {
                self.replays.waiting.splice(0..0, readers);
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

    /// Clients that take nothing: some are closed, some must read by themselves so that others can go on.
    pub(super) fn judge_catching_up(&mut self) {
        let now = self.now;
        for index in self.catching_up.iter().copied().collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(index).filter(|client| client.blocked) else { continue };
            let State::CatchingUp(catch_up) = &client.state else { continue };
            let stalled_ms = now.0.saturating_sub(catch_up.last_progress.0);
            if stalled_ms > STALLED_AFTER_MS {
                self.close(index, CloseReason::TooSlow);
            } else if let Reading::Replay(id, _) = catch_up.reading
                && stalled_ms > OTHERS_WAIT_MS
                && self.replays.get(id).is_some_and(|replay| replay.holds_up_others(index))
            {
                self.wait_for_replay(index);
            }
        }
        self.start_replays();
    }

    pub(super) fn catch_up_of(&mut self, index: usize) -> Option<&mut CatchUp> {
        match &mut self.clients.get_mut(index)?.state {
            State::CatchingUp(catch_up) => Some(catch_up),
            _ => None,
        }
    }
}

fn read_memory(recent: &Recent, number: u64, catch_up: &mut CatchUp, writer: &mut OutboxWriter<'_>) -> Refill {
    let mut number = number;
    if number >= recent.first() {
        writer.ready(catch_up);
        let turn_ends = (number + STEPS_PER_TURN).min(recent.end());
        while let Some(entry) = recent.get(number).filter(|_| number < turn_ends && writer.has_room()) {
            writer.entry(entry, &mut catch_up.position);
            number += 1;
        }
        catch_up.reading = Reading::Memory(number);
    } else {
        // What it was about to read has left memory; perhaps it did not need that.
        let Some(first) = recent.first_wanted(&catch_up.position) else { return Refill::NeedsReplay };
        catch_up.reading = Reading::Memory(first);
        return Refill::More;
    }
    if number < recent.end() {
        Refill::More
    } else if recent.head().reaches(&catch_up.position) {
        Refill::Met
    } else {
        // The client is ahead: another gateway had read further. It skips until this one is there too.
        Refill::Idle
    }
}

/// Reads on in the current batch; true if that batch is used up.
fn read_replay(
    replay: &mut Replay,
    reader: usize,
    step: usize,
    catch_up: &mut CatchUp,
    writer: &mut OutboxWriter<'_>,
) -> bool {
    let Some(batch) = replay.batch(reader) else { return false };
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
    for step in batch.steps.iter().skip(step).take(STEPS_PER_TURN as usize) {
        match step {
            ReplayStep::Entry(entry) => writer.entry(entry, &mut catch_up.position),
            ReplayStep::CaughtUp(partition) => {
                catch_up.position.advance(*partition, replay.target.next(*partition));
            }
        }
        next += 1;
        if !writer.has_room() {
            break;
        }
    }
    let used_up = next >= batch.steps.len();
    let id = batch.id;
    if used_up {
        replay.finish_batch(reader);
    }
    catch_up.reading = Reading::Replay(id, if used_up { 0 } else { next });
    used_up
}

/// Encodes steps into one client's outbox.
struct OutboxWriter<'a> {
    outbox: &'a mut Vec<u8>,
    encoder: &'a mut Encoder,
    context: &'a StreamContext,
    spec: &'a ViewSpec,
    session: &'a str,
}

impl OutboxWriter<'_> {
    fn has_room(&self) -> bool {
        self.outbox.len() < OUTBOX_TARGET_BYTES
    }

    fn ready(&mut self, catch_up: &mut CatchUp) {
        if let Some(resumed) = catch_up.ready_pending.take() {
            let frame = self.encoder.ready(&catch_up.position, self.session, resumed, self.spec.encoding);
            self.outbox.extend_from_slice(frame);
        }
    }

    /// Adds a step that the client has not had, if its view shows it, and moves the client's position.
    fn entry(&mut self, entry: &Entry, position: &mut Position) {
        if !entry.is_new_at(position) {
            return;
        }
        let trimmed = trim(entry, position);
        let shown = self.spec.shown(trimmed.as_ref().unwrap_or(entry), self.context);
        position.advance(entry.partition(), entry.next());
        let Some(shown) = shown else { return };
        self.encoder.position_changed();
        if let Outcome::Frame(frame) | Outcome::Skipped(frame, _) =
            self.encoder.entry(&shown, self.context, self.spec.encoding, position)
        {
            self.outbox.extend_from_slice(frame);
        }
    }
}

/// A gap that began before the client's position, without the part that the client has had.
fn trim(entry: &Entry, position: &Position) -> Option<Entry> {
    match entry {
        Entry::Gap(gap) if gap.from < position.next(gap.partition) => {
            Some(Entry::Gap(Gap { from: position.next(gap.partition), ..*gap }))
        }
        _ => None,
    }
}
