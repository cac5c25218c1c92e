//! What happens to a client whose position leaves the log, blocked or not: it is judged when a segment is about to go.

use super::client::{Client, SkippedFrom};
use super::{ClientSocket, Shard};
use crate::fanout::view::View;
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use headgate_wire::CloseReason;
use headgate_wire::config::SlowClient;
use headgate_wire::message::GapReason;

impl<S: ClientSocket> Shard<S> {
    /// Brings one view's log below its bound.
    pub(super) fn bound_log(&mut self, view_index: usize) {
        let limit = self.settings.view_log_bytes;
        // The newest segment stays: it may hold a single frame that is larger than the bound.
        let is_over = |view: &View| view.log.bytes() > limit && view.log.start_after_eviction() < view.log.head();
        while self.views.get(view_index).is_some_and(is_over) {
            self.evict(view_index);
        }
    }

    /// Brings all logs together below the pod's budget: each shard that holds more than its part lets its largest go.
    pub(super) fn bound_all_logs(&mut self) {
        let budget = self.settings.budgets.logs.clone();
        if budget.used() <= budget.limit() {
            return;
        }
        self.metrics.budget_full("logs");
        let part = budget.limit() / self.settings.shards.max(1);
        let mut mine: usize = self.views.iter().map(|(_, view)| view.log.bytes()).sum();
        while budget.used() > budget.limit() && mine > part {
            let largest = self.views.iter().max_by_key(|(_, view)| view.log.bytes());
            let Some((index, before)) = largest.map(|(index, view)| (index, view.log.bytes())) else { return };
            self.evict(index);
            let after = self.views.get(index).map_or(0, |view| view.log.bytes());
            if after >= before {
                return;
            }
            mine -= before - after;
        }
    }

    /// Drops the oldest segment of a log after judging who still needed it.
    fn evict(&mut self, view_index: usize) {
        let Some(view) = self.views.get_mut(view_index) else { return };
        let start = view.log.start_after_eviction();
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
            view.account();
        }
    }

    /// Moves a client ahead in its log; it is told what it missed once its socket takes bytes again.
    fn skip(&mut self, index: usize, to: u64) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let log = &self.views[client.view].log;
        client.leave_log(log);
        if client.skipped_from.is_none() {
            let position = log.position_at(client.at).unwrap_or_else(|| self.recent.head().clone());
            client.skipped_from = Some(SkippedFrom { position, beginnings: log.beginnings_at(client.at) });
        }
        client.at = to.max(client.at);
        client.boundary = client.at;
        client.frames_counted = log.frames_before(client.at);
    }

    /// Tells a client that was moved ahead what it missed, once it reads again: until then it may miss more.
    pub(super) fn tell_skipped(&mut self, index: usize) {
        let reads = |client: &Client<S>| client.is_between_frames() && client.outbox.is_empty();
        if self.clients.get(index).is_some_and(|client| client.skipped_from.is_some() && reads(client)) {
            self.write_skipped(index);
        }
    }

    /// Puts what a client missed into its outbox. It must be between two frames.
    pub(super) fn write_skipped(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index).filter(|client| client.skipped_from.is_some()) else { return };
        let view = &self.views[client.view];
        let after = view.log.position_at(client.at).unwrap_or_else(|| self.recent.head().clone());
        let beginnings = view.log.beginnings_at(client.at);
        self.encoder.position_changed();
        for gap in client.skipped_from.take().map(|from| from.gaps(&after, beginnings)).unwrap_or_default() {
            self.metrics.gaps.inc();
            client.outbox.push(self.encoder.gap(gap, &self.settings.context, view.spec.encoding, &after));
        }
        self.encoder.position_changed();
    }
}

impl SkippedFrom {
    /// The gaps between what a client had and where it goes on. If the stream has begun again in between, positions of
    /// before mean nothing any more.
    fn gaps(&self, after: &Position, beginnings: u64) -> Vec<Gap> {
        if beginnings != self.beginnings {
            let reset = |(partition, to)| Gap {
                partition,
                from: self.position.next(partition),
                to,
                reason: GapReason::TopicReset,
            };
            let mut resets: Vec<Gap> = after.iter().map(reset).collect();
            // Everybody hears of it, also a client that has seen nothing of either.
            resets.sort_by_key(|gap| gap.from == gap.to);
            let moved = resets.partition_point(|gap| gap.from != gap.to);
            resets.truncate(moved.max(1));
            return resets;
        }
        let gap =
            |(partition, to)| Gap { partition, from: self.position.next(partition), to, reason: GapReason::SlowClient };
        after.iter().map(gap).filter(|gap| gap.to > gap.from).collect()
    }
}
