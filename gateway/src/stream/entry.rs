//! One step of the stream: a record, or offsets that will never come.

use super::position::Position;
use super::record::Record;
use headgate_wire::cursor::Seen;
use headgate_wire::message::GapReason;
use std::sync::Arc;

/// Records of one partition that a client will never get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Kafka partition.
    pub partition: i32,
    /// First missing offset.
    pub from: i64,
    /// First offset that is not missing any more.
    pub to: i64,
    /// Why they are missing.
    pub reason: GapReason,
}

/// One step of the stream.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A record.
    Record(Arc<Record>),
    /// Offsets that will never come.
    Gap(Gap),
}

impl Entry {
    /// Kafka partition.
    pub fn partition(&self) -> i32 {
        match self {
            Self::Record(record) => record.partition,
            Self::Gap(gap) => gap.partition,
        }
    }

    /// The partition's next offset after this entry.
    pub fn next(&self) -> i64 {
        match self {
            Self::Record(record) => record.offset + 1,
            Self::Gap(gap) => gap.to,
        }
    }

    /// What a position behind this entry knows of it; nothing of a gap.
    pub fn seen(&self) -> Seen {
        match self {
            Self::Record(record) => Seen { check: record.check, time_ms: record.timestamp_ms.unwrap_or(0) },
            Self::Gap(_) => Seen::default(),
        }
    }

    /// Moves a position behind this entry, never back.
    pub fn advance(&self, position: &mut Position) {
        position.advance_after(self.partition(), self.next(), self.seen());
    }

    /// Whether a reader at `position` has not had this entry yet.
    pub fn is_new_at(&self, position: &Position) -> bool {
        self.next() > position.next(self.partition())
    }

    /// Memory that this entry takes where it is kept, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let own = size_of::<Self>() + size_of::<(i64, u64)>();
        match self {
            Self::Record(record) => own + record.memory_bytes(),
            Self::Gap(_) => own,
        }
    }
}
