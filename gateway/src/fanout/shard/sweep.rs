//! Bytes to sockets: every client of a view that has something new gets one write with everything pending.
//!
//! A view is swept in circles until nobody in it had anything to get; several views take turns. A blocked client costs
//! nothing until its socket takes bytes again.

use super::client::{ClientId, Write};
use super::{ClientSocket, Shard};

impl<S: ClientSocket> Shard<S> {
    /// Visits up to `budget` clients of the views that have something new, in turn; false once no view has any more.
    pub(super) fn sweep(&mut self, mut budget: usize) -> bool {
        while budget > 0
            && let Some(view_index) = self.to_sweep.pop_front()
        {
            budget -= self.sweep_view(view_index, budget);
        }
        !self.to_sweep.is_empty()
    }

    /// Visits up to `budget` clients of one view, which stays in line if that was not enough; how much of it was used,
    /// at least 1.
    fn sweep_view(&mut self, view_index: usize, budget: usize) -> usize {
        for used in 1..=budget {
            let Some(view) = self.views.get_mut(view_index) else { return used };
            let Some(member) = view.next_member() else {
                view.queued = false;
                return used;
            };
            let place = (view_index, view.turn - 1);
            let progressed = self.visit(member);
            // The visit may have ended the client or moved it, even within its view: then its old place has another
            // member, which was not visited.
            if let (Some(view), Some(client)) = (self.views.get_mut(view_index), self.clients.get(member))
                && place == (client.view, client.slot)
            {
                let at = client.is_streaming().then_some(client.at);
                view.visited(at, progressed && at.is_some_and(|at| at < view.log.head()));
            }
        }
        self.to_sweep.push_back(view_index);
        budget
    }

    /// One write for a client that reads the log; true if it got something.
    fn visit(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else { return false };
        if client.blocked || !client.is_streaming() {
            return false;
        }
        if client.skipped_from.is_some() {
            self.tell_skipped(index);
        }
        matches!(self.write(index), Write::Progress(_))
    }

    /// One write, and what follows from how it went.
    pub(super) fn write(&mut self, index: usize) -> Write {
        let Some(client) = self.clients.get_mut(index) else { return Write::Gone };
        let log = &self.views[client.view].log;
        let done = client.write(log);
        match done {
            Write::Progress(bytes) => {
                self.sent.writes += 1;
                self.sent.bytes += bytes as u64;
                client.takes_nothing_since = None;
                if client.is_streaming() {
                    let frames = log.frames_before(client.at);
                    let delivered = frames.saturating_sub(client.frames_counted);
                    client.frames_counted = frames;
                    client.audit.messages += delivered;
                    self.sent.messages += delivered;
                }
            }
            Write::Blocked => {
                client.blocked = true;
                client.takes_nothing_since.get_or_insert(self.now);
                self.newly_blocked.push(client.id);
                self.metrics.blocked.inc();
            }
            Write::Gone => self.remove(index),
            Write::Nothing => {}
        }
        if self.clients.get(index).is_some_and(|client| client.next_filters.is_some()) {
            if self.mid_step {
                // Nobody stands at an exact position now.
                self.attend(index);
            } else {
                self.change_filter(index);
            }
        }
        done
    }

    /// A blocked client's socket takes bytes again.
    pub fn unblocked(&mut self, id: ClientId) {
        let now = self.now;
        if let Some(client) = self.client(id) {
            client.blocked = false;
            client.session.on_unblocked(now);
            self.attend(id.index);
        }
    }

    /// Puts a view with new frames in line.
    pub(super) fn queue_sweep(&mut self, view_index: usize) {
        let Some(view) = self.views.get_mut(view_index) else { return };
        view.begin_circle();
        if !view.queued && view.streaming > 0 {
            view.queued = true;
            self.to_sweep.push_back(view_index);
        }
    }
}
