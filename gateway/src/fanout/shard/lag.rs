//! What happens to a client whose position leaves the log, blocked or not: it is judged when a segment is about to go.

use super::client::Client;
use super::{ClientSocket, Shard};
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use headgate_wire::CloseReason;
use headgate_wire::config::SlowClient;
use headgate_wire::message::GapReason;

impl<S: ClientSocket> Shard<S> {
    /// Brings one view's log below its bound.
    pub(super) fn bound_log(&mut self, view_index: usize) {
        while self.views.get(view_index).is_some_and(|view| view.log.bytes() > self.settings.view_log_bytes) {
            if !self.evict(view_index) {
                return;
            }
        }
    }

    /// Brings all logs together below the shard's budget, the largest first.
    pub(super) fn bound_all_logs(&mut self) {
        let mut total: usize = self.views.iter().map(|(_, view)| view.log.bytes()).sum();
        while total > self.settings.log_budget_bytes {
            let largest = self.views.iter().max_by_key(|(_, view)| view.log.bytes());
            let Some((index, before)) = largest.map(|(index, view)| (index, view.log.bytes())) else { return };
            if !self.evict(index) {
                return;
            }
            total -= before.saturating_sub(self.views.get(index).map_or(0, |view| view.log.bytes()));
        }
        self.metrics.log_bytes.set(total as i64);
    }

    /// Drops the oldest segment of a log after judging who still needed it; false if there is only one.
    fn evict(&mut self, view_index: usize) -> bool {
        let Some(view) = self.views.get_mut(view_index) else { return false };
        let start = view.log.start_after_eviction();
        if start >= view.log.head() {
            return false;
        }
        let late: Vec<usize> = view
            .members
            .iter()
            .copied()
            .filter(|member| self.clients.get(*member).is_some_and(|client| client.is_streaming() && client.at < start))
            .collect();
        for index in late {
            self.metrics.slow_clients.inc();
            match self.settings.slow_client {
                SlowClient::Disconnect => self.close(index, CloseReason::TooSlow),
                SlowClient::SkipWithGap => self.skip(index, start),
                SlowClient::LatestOnly => {
                    let newest = self.views[view_index].log.newest_step();
                    self.skip(index, newest.max(start));
                }
            }
        }
        if let Some(view) = self.views.get_mut(view_index) {
            view.log.evict();
        }
        true
    }

    /// Moves a client ahead in its log; it is told what it missed once its socket takes bytes again.
    fn skip(&mut self, index: usize, to: u64) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let log = &self.views[client.view].log;
        client.leave_log(log);
        if client.skipped_from.is_none() {
            client.skipped_from = Some(log.position_at(client.at).unwrap_or_else(|| self.recent.head().clone()));
        }
        client.at = to.max(client.at);
        client.boundary = client.at;
        client.frames_counted = log.frames_before(client.at);
    }

    /// Tells a client that was moved ahead what it missed, once it reads again: until then it may miss more.
    pub(super) fn tell_skipped(&mut self, index: usize) {
        let reads = |client: &Client<S>| client.is_between_frames() && client.outbox_is_empty();
        if self.clients.get(index).is_some_and(|client| client.skipped_from.is_some() && reads(client)) {
            self.write_skipped(index);
        }
    }

    /// Puts what a client missed into its outbox. It must be between two frames.
    pub(super) fn write_skipped(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index).filter(|client| client.skipped_from.is_some()) else { return };
        let view = &self.views[client.view];
        let after = view.log.position_at(client.at).unwrap_or_else(|| self.recent.head().clone());
        self.encoder.position_changed();
        for gap in skipped(client, &after) {
            self.metrics.gaps.inc();
            client.outbox.extend_from_slice(self.encoder.gap(gap, &self.settings.context, view.spec.encoding, &after));
        }
        self.encoder.position_changed();
    }
}

/// The gaps between what a client had and where it goes on. Where that is further back, the topic began again meanwhile.
fn skipped<S>(client: &mut Client<S>, after: &Position) -> Vec<Gap> {
    let Some(before) = client.skipped_from.take() else { return Vec::new() };
    let gap = |(partition, to): (i32, i64)| {
        let from = before.next(partition);
        let reason = if to < from { GapReason::TopicReset } else { GapReason::SlowClient };
        (from != to).then_some(Gap { partition, from, to, reason })
    };
    after.iter().filter_map(gap).collect()
}
