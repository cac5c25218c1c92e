//! Steps of the stream into memory, and as frames into the logs of the views that show them.

use super::client::{Client, Reading, State};
use super::{ClientSocket, Shard};
use crate::encode::encoder::Outcome;
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::feed::Feed;
use crate::stream::position::Position;
use headgate_wire::CloseReason;
use headgate_wire::message::GapReason;

/// At this many times their budget, logs take nothing more for clients that take nothing.
const HARD_LIMIT: usize = 2;

impl<S: ClientSocket> Shard<S> {
    /// Takes what the live source yields.
    pub fn feed(&mut self, feed: Feed) {
        match feed {
            Feed::Entries(entries) => self.take_entries(&entries),
            Feed::Restart(position, gaps) => {
                self.restart(&position, &gaps);
                self.wake_readers_of_memory();
            }
        }
    }

    /// Takes some of the steps that the live source yields, in order.
    pub fn take_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.take(entry);
        }
        self.metrics.recent_bytes.set(self.recent.bytes() as i64);
        self.wake_readers_of_memory();
    }

    fn wake_readers_of_memory(&mut self) {
        let reads_memory = |client: &Client<S>| match &client.state {
            State::CatchingUp(catch_up) => matches!(catch_up.reading, Reading::Memory(_)),
            _ => false,
        };
        let readers =
            self.catching_up.iter().copied().filter(|index| self.clients.get(*index).is_some_and(reads_memory));
        for index in readers.collect::<Vec<_>>() {
            self.attend(index);
        }
    }

    fn take(&mut self, entry: &Entry) {
        if !entry.is_new_at(self.recent.head()) {
            // The source reads a partition again after an error.
            return;
        }
        entry.advance(&mut self.after);
        self.encoder.position_changed();
        let mut candidates = std::mem::take(&mut self.candidates);
        match entry {
            Entry::Record(record) if !record.is_opaque() => {
                self.router.candidates(record, &self.settings.context, &mut candidates);
            }
            // No filter can say whom it concerns, so everybody is told.
            Entry::Record(_) | Entry::Gap(_) => {
                candidates.clear();
                candidates.extend(self.views.iter().map(|(index, _)| index));
            }
        }
        self.mid_step = true;
        for view in &candidates {
            self.show(*view, entry);
            if self.logs_are_over(1) {
                // Many views may show one step: what their clients take at once need not be kept.
                self.sweep(usize::MAX);
            }
        }
        self.mid_step = false;
        self.candidates = candidates;
        self.recent.push(entry.clone());
        self.bound_all_logs();
    }

    /// Whether the logs of the pod use more than `times` their budget.
    fn logs_are_over(&self, times: usize) -> bool {
        let logs = &self.settings.budgets.logs;
        logs.used() > logs.limit().saturating_mul(times)
    }

    /// Appends a step to a view's log, if the view shows it and somebody reads it there.
    fn show(&mut self, view_index: usize, entry: &Entry) {
        if self.logs_are_over(HARD_LIMIT) {
            self.close_blocked(view_index);
        }
        let Some(view) = self.views.get_mut(view_index).filter(|view| view.streaming > 0) else { return };
        let Some(shown) = view.spec.shown(entry, &self.settings.context) else { return };
        let outcome = self.encoder.entry(&shown, &self.settings.context, view.spec.encoding, &self.after);
        let frame = match outcome {
            Outcome::Frame(frame) => frame,
            Outcome::Skipped(frame, reason) => {
                self.metrics.skipped(reason);
                frame
            }
            Outcome::Nothing => return,
        };
        view.log.append_step(frame, entry, self.recent.head());
        view.account();
        self.bound_log(view_index);
        self.queue_sweep(view_index);
    }

    /// Ends the clients of a view that take nothing, because the frame of a large record could not be kept for them.
    fn close_blocked(&mut self, view_index: usize) {
        let Some(view) = self.views.get(view_index) else { return };
        let is_blocked = |client: &Client<S>| client.blocked && client.is_streaming();
        let blocked = view.members.iter().copied().filter(|member| self.clients.get(*member).is_some_and(is_blocked));
        for index in blocked.collect::<Vec<_>>() {
            self.metrics.slow_clients.inc();
            self.close(index, CloseReason::TooSlow);
        }
    }

    /// The stream begins again elsewhere: everybody is told, and goes on from there.
    fn restart(&mut self, position: &Position, gaps: &[Gap]) {
        self.generation += 1;
        self.after.clone_from(position);
        self.encoder.position_changed();
        for view_index in self.views.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            // Who has not been told stands where the stream was, so memory begins again only after that.
            self.views[view_index].log.seal();
            for gap in gaps {
                self.metrics.gaps.inc();
                self.show(view_index, &Entry::Gap(*gap));
            }
            let view = &mut self.views[view_index];
            view.log.begin_again();
            // The cursor that its members have is one of the topic that was.
            view.next_cursor = self.now;
        }
        self.recent.restart(position.clone());
        for index in self.catching_up.iter().copied().collect::<Vec<_>>() {
            self.restart_catching_up(index, gaps);
        }
    }

    fn restart_catching_up(&mut self, index: usize, gaps: &[Gap]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let State::CatchingUp(catch_up) = &mut client.state else { return };
        if catch_up.generation > self.generation {
            return;
        }
        // A position that was taken after this beginning lacks nothing by it.
        let gaps = if catch_up.generation == self.generation { &[] } else { gaps };
        catch_up.generation = self.generation;
        let encoding = self.views[client.view].spec.encoding;
        if !gaps.is_empty() && catch_up.ready_pending.take().is_some() {
            let frame = self.encoder.ready(&catch_up.position, &client.audit.session, false, encoding);
            client.outbox.push(frame);
        }
        for gap in gaps {
            if gap.reason != GapReason::TopicReset && catch_up.position.next(gap.partition) >= gap.to {
                // Its replay had read further than the live stream.
                continue;
            }
            // What it still lacks of other partitions is in Kafka.
            let gap = Gap { from: catch_up.position.next(gap.partition), ..*gap };
            catch_up.position.set(gap.partition, gap.to);
            self.encoder.position_changed();
            let frame = self.encoder.gap(gap, &self.settings.context, encoding, &catch_up.position);
            client.outbox.push(frame);
        }
        self.encoder.position_changed();
        // Without a gap nothing was lost: what the client still lacks is in Kafka.
        match self.recent.first_wanted(&catch_up.position) {
            Some(first) => {
                if let Reading::Replay(id, _) = std::mem::replace(&mut catch_up.reading, Reading::Memory(first)) {
                    self.replays.leave(id, index);
                }
            }
            None => self.wait_for_replay(index),
        }
    }
}
