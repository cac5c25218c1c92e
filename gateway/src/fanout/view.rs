//! A view: what some clients see of the stream, and the log of the frames that they get.
//!
//! Clients with the same filter and format share one. A view knows its members only as numbers; sockets and writes
//! belong to the shard.

use crate::encode::format::Encoding;
use crate::fanout::budget::{Budgets, Share};
use crate::fanout::log::Log;
use crate::session::Millis;
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::filter;
use crate::stream::position::Position;
use crate::stream::record::{Record, StreamContext};
use headgate_wire::Filter;
use headgate_wire::message::GapReason;
use std::borrow::Cow;

/// What makes two clients see the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ViewSpec {
    /// Canonical filters; every one must match.
    pub filters: Vec<Filter>,
    /// Only records with this Kafka key.
    pub key: Option<String>,
    /// How an event looks.
    pub encoding: Encoding,
}

impl ViewSpec {
    /// Brings the filters into canonical form, so that equal views are found equal.
    pub fn new(filters: Vec<Filter>, key: Option<String>, encoding: Encoding) -> Self {
        Self { filters: filter::canonical(filters), key, encoding }
    }

    /// The same with other filters.
    #[must_use]
    pub fn with_filters(&self, filters: Vec<Filter>) -> Self {
        Self::new(filters, self.key.clone(), self.encoding)
    }

    /// Comparisons that every record may have to be asked for because of this view, beyond the one that the router answers
    /// by its index: what is compared besides counts in full, since a value that every record has selects nothing.
    pub fn comparisons(&self) -> usize {
        let leaves: usize = self.filters.iter().map(Filter::leaves).sum();
        let indexed = filter::required_values(&self.filters).filter(|_| self.key.is_none());
        leaves.saturating_sub(indexed.map_or(0, |(_, values)| values.len()))
    }

    /// What this view shows of a step of the stream.
    pub fn shown<'e>(&self, entry: &'e Entry, context: &StreamContext) -> Option<Cow<'e, Entry>> {
        let Entry::Record(record) = entry else { return Some(Cow::Borrowed(entry)) };
        if record.is_opaque() && (self.key.is_some() || !self.filters.is_empty()) {
            // Nobody can know whether it would have matched: its content stays hidden, and that it was there is told.
            let (from, to) = (record.offset, record.offset + 1);
            let gap = Gap { partition: record.partition, from, to, reason: GapReason::Undecodable };
            return Some(Cow::Owned(Entry::Gap(gap)));
        }
        self.matches(record, context).then_some(Cow::Borrowed(entry))
    }

    fn matches(&self, record: &Record, context: &StreamContext) -> bool {
        self.key.as_ref().is_none_or(|key| record.key.as_deref() == Some(key.as_bytes()))
            && filter::all_match(&self.filters, record, context)
    }
}

/// A spec, its log, and who reads it.
#[derive(Debug)]
pub struct View {
    /// What it shows.
    pub spec: ViewSpec,
    /// Frames that some member has not received yet.
    pub log: Log,
    /// What the log uses of the pod's budget.
    memory: Share,
    /// What the filters use of the pod's comparisons.
    _comparisons: Share,
    /// Clients of this view, in the order of the sweep.
    pub members: Vec<usize>,
    /// Members that read from the log; the others are still catching up, or closing.
    pub streaming: usize,
    /// The member that the sweep visits next.
    pub turn: usize,
    /// Members visited in a row that can get nothing more; a full circle of them ends the sweep.
    satisfied: usize,
    /// Lowest position among those.
    slowest_satisfied: u64,
    /// Lowest position seen in this circle: what the log may release at its end.
    slowest: u64,
    /// In the shard's queue of views to sweep.
    pub queued: bool,
    /// The position that the last `cursor` message told.
    pub cursor_sent: Position,
    /// When the next `cursor` message may be sent.
    pub next_cursor: Millis,
}

impl View {
    /// A view without members.
    pub fn new(spec: ViewSpec, budgets: &Budgets) -> Self {
        let mut comparisons = budgets.filters.share();
        comparisons.set(spec.comparisons());
        Self {
            spec,
            log: Log::new(),
            memory: budgets.logs.share(),
            _comparisons: comparisons,
            members: Vec::new(),
            streaming: 0,
            turn: 0,
            satisfied: 0,
            slowest_satisfied: u64::MAX,
            slowest: u64::MAX,
            queued: false,
            cursor_sent: Position::default(),
            next_cursor: Millis(0),
        }
    }

    /// The member to visit now; none once a whole circle can get nothing more. At the end of a circle the log releases
    /// what everybody has.
    pub fn next_member(&mut self) -> Option<usize> {
        if self.satisfied >= self.members.len() {
            self.release(self.slowest_satisfied);
            return None;
        }
        if self.turn >= self.members.len() {
            self.turn = 0;
            self.release(self.slowest);
            self.slowest = u64::MAX;
        }
        let member = self.members.get(self.turn).copied();
        self.turn += 1;
        member
    }

    /// A member was visited. It stands at byte `at` if it reads from the log.
    pub fn visited(&mut self, at: Option<u64>, can_get_more: bool) {
        let at = at.unwrap_or(u64::MAX);
        self.slowest = self.slowest.min(at);
        if can_get_more {
            self.begin_circle();
        } else {
            self.satisfied += 1;
            self.slowest_satisfied = self.slowest_satisfied.min(at);
        }
    }

    /// Every member must be visited again, because there is something new or the circle has changed.
    pub fn begin_circle(&mut self) {
        self.satisfied = 0;
        self.slowest_satisfied = u64::MAX;
    }

    /// A member that this circle may not meet stands at byte `at`.
    pub fn hold(&mut self, at: u64) {
        self.slowest = self.slowest.min(at);
        self.slowest_satisfied = self.slowest_satisfied.min(at);
    }

    /// Counts what the log uses now in the pod's budget; call it after the log has grown or shrunk.
    pub fn account(&mut self) {
        self.memory.set(self.log.bytes());
    }

    fn release(&mut self, slowest: u64) {
        if slowest != u64::MAX {
            self.log.release(slowest);
            self.account();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::format::Envelope;
    use headgate_wire::config::Format;

    fn view(members: usize) -> View {
        let encoding = Encoding { format: Format::Raw, envelope: Envelope::Plain, kafka_metadata: false };
        let mut view = View::new(ViewSpec::new(Vec::new(), None, encoding), &Budgets::of_bytes(1 << 20, 0, 0, 0));
        view.members = (0..members).collect();
        view.log.append_notice(b"frame", &Position::default());
        view
    }

    #[test]
    fn a_sweep_in_which_everybody_got_everything_visits_nobody_twice_and_leaves_an_empty_log() {
        let mut view = view(3);
        view.turn = 1;
        for member in [1, 2, 0] {
            assert_eq!(view.next_member(), Some(member));
            view.visited(Some(view.log.head()), false);
        }
        assert_eq!(view.next_member(), None);
        assert_eq!(view.log.bytes(), 0);
    }

    #[test]
    fn a_member_that_can_get_more_is_visited_again_and_its_frames_stay() {
        let mut view = view(2);
        assert_eq!(view.next_member(), Some(0));
        view.visited(Some(0), true);
        for member in [1, 0] {
            assert_eq!(view.next_member(), Some(member));
            assert!(view.log.bytes() > 0);
            view.visited(Some(view.log.head()), false);
        }
        assert_eq!(view.next_member(), None);
        assert_eq!(view.log.bytes(), 0);
    }

    #[test]
    fn a_blocked_member_holds_up_no_sweep_and_keeps_what_it_lacks() {
        let mut view = view(2);
        let places = [Some(0), Some(view.log.head())];
        for at in places {
            assert!(view.next_member().is_some());
            view.visited(at, false);
        }
        assert_eq!(view.next_member(), None);
        assert!(view.log.bytes() > 0);
    }
}
