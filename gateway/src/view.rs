//! A view: what some clients see of the stream, and the log of the frames that they get.
//!
//! Clients with the same filter and format share one. A view knows its members only as numbers; sockets and writes
//! belong to the shard.

use crate::filter;
use crate::format::{Encoding, Gap};
use crate::log::Log;
use crate::position::Position;
use crate::recent::Entry;
use crate::record::{Record, StreamContext};
use crate::session::Millis;
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
    /// Clients of this view, in the order of the sweep.
    pub members: Vec<usize>,
    /// Members that read from the log; the others are still catching up, or closing.
    pub streaming: usize,
    /// The member that the sweep visits next.
    pub turn: usize,
    /// Members visited in a row that had nothing to get; a full circle of them ends the sweep.
    pub satisfied: usize,
    /// Lowest position seen in this circle: what the log may release at its end.
    pub slowest: u64,
    /// In the shard's queue of views to sweep.
    pub queued: bool,
    /// The position that the last `cursor` message told.
    pub cursor_sent: Position,
    /// When the next `cursor` message may be sent.
    pub next_cursor: Millis,
}

impl View {
    /// A view without members.
    pub fn new(spec: ViewSpec) -> Self {
        Self {
            spec,
            log: Log::new(),
            members: Vec::new(),
            streaming: 0,
            turn: 0,
            satisfied: 0,
            slowest: u64::MAX,
            queued: false,
            cursor_sent: Position::default(),
            next_cursor: Millis(0),
        }
    }

    /// The member to visit now. At the end of a circle the log releases what everybody has.
    pub fn next_member(&mut self) -> Option<usize> {
        if self.turn >= self.members.len() {
            self.turn = 0;
            if self.slowest != u64::MAX {
                self.log.release(self.slowest);
            }
            self.slowest = u64::MAX;
        }
        let member = self.members.get(self.turn).copied();
        self.turn += 1;
        member
    }

    /// True once a whole circle had nothing to get.
    pub fn is_satisfied(&self) -> bool {
        self.satisfied > self.members.len()
    }
}
