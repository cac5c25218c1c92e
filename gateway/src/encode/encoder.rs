//! One step of the stream to the bytes that go on a socket, for one view.
//!
//! Owns the scratch memory, so that encoding allocates nothing in steady state. Pure: which client gets the bytes, and
//! when, is decided elsewhere.

use crate::encode::format::{self, Encoded, Encoding, Envelope};
use crate::encode::frame::{self, Opcode};
use crate::stream::entry::Entry;
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use crate::stream::record::{Record, StreamContext};
use headgate_wire::CloseReason;
use headgate_wire::message::GapReason;

/// On topics with more partitions than this, events carry no cursor of their own: it would outweigh them. It follows
/// in a `cursor` message within a few seconds.
pub const INLINE_CURSOR_PARTITIONS: usize = 64;

/// Encodes steps of the stream.
#[derive(Debug, Default)]
pub struct Encoder {
    payload: Vec<u8>,
    frame: Vec<u8>,
    cursor: String,
    cursor_is_current: bool,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'f> {
    /// Whole frames to append to a log or an outbox.
    Frame(&'f [u8]),
    /// The record cannot be shown in this format; the frame tells the client so.
    Skipped(&'f [u8], GapReason),
    /// This format has no way to show the step, and it needs none.
    Nothing,
}

impl Encoder {
    /// Says that the position changed, so that the next cursor is made afresh.
    pub fn position_changed(&mut self) {
        self.cursor_is_current = false;
    }

    /// Encodes a record or a gap. `after` is the reader's position once it has this step.
    pub fn entry(
        &mut self,
        entry: &Entry,
        context: &StreamContext,
        encoding: Encoding,
        after: &Position,
    ) -> Outcome<'_> {
        match entry {
            Entry::Record(record) => self.record(record, context, encoding, after),
            Entry::Gap(gap) => Outcome::Frame(self.gap(*gap, context, encoding, after)),
        }
    }

    fn record(
        &mut self,
        record: &Record,
        context: &StreamContext,
        encoding: Encoding,
        after: &Position,
    ) -> Outcome<'_> {
        self.payload.clear();
        let has_cursor = self.make_cursor(encoding, after);
        let cursor = has_cursor.then_some(self.cursor.as_str());
        match format::encode(record, context, encoding, cursor, &mut self.payload) {
            Encoded::Text => Outcome::Frame(self.framed(encoding.envelope, Opcode::Text)),
            Encoded::Binary => Outcome::Frame(self.framed(encoding.envelope, Opcode::Binary)),
            Encoded::Nothing => Outcome::Nothing,
            Encoded::Skipped(reason) => {
                let gap = Gap { partition: record.partition, from: record.offset, to: record.offset + 1, reason };
                Outcome::Skipped(self.gap(gap, context, encoding, after), reason)
            }
        }
    }

    /// Tells a client what it will never get. `after` is its position then.
    pub fn gap(&mut self, gap: Gap, context: &StreamContext, encoding: Encoding, after: &Position) -> &[u8] {
        self.payload.clear();
        let has_cursor = self.make_cursor(encoding, after);
        let cursor = has_cursor.then_some(self.cursor.as_str());
        // A gap has a form in every encoding.
        let _ = format::encode_gap(gap, context, encoding, cursor, &mut self.payload);
        self.framed(encoding.envelope, Opcode::Text)
    }

    /// The first message of a stream; empty without an envelope.
    pub fn ready(&mut self, at: &Position, session: &str, resumed: bool, encoding: Encoding) -> &[u8] {
        let cursor = at.to_cursor().to_string();
        self.notice(encoding, |payload| format::encode_ready(&cursor, session, resumed, encoding, payload))
    }

    /// The position after everything sent so far; empty without an envelope.
    pub fn cursor(&mut self, at: &Position, encoding: Encoding) -> &[u8] {
        let cursor = at.to_cursor().to_string();
        self.notice(encoding, |payload| format::encode_cursor(&cursor, encoding, payload))
    }

    /// Asks a client to connect elsewhere; empty without an envelope.
    pub fn draining(&mut self, at: &Position, retry_after_ms: u64, encoding: Encoding) -> &[u8] {
        let cursor = at.to_cursor().to_string();
        self.notice(encoding, |payload| format::encode_draining(&cursor, retry_after_ms, encoding, payload))
    }

    /// The last message: a close frame, or for server-sent events an event named `close` with the same words.
    pub fn close(&mut self, reason: CloseReason, encoding: Encoding) -> &[u8] {
        self.frame.clear();
        if encoding.envelope == Envelope::ServerSentEvents {
            let (code, words) = (reason.code(), reason.as_str());
            self.frame.extend(format!("event: close\ndata: {{\"code\":{code},\"reason\":\"{words}\"}}\n\n").bytes());
        } else {
            self.frame.extend(frame::close_frame(reason));
        }
        &self.frame
    }

    fn notice(&mut self, encoding: Encoding, write: impl FnOnce(&mut Vec<u8>) -> Encoded) -> &[u8] {
        self.payload.clear();
        match write(&mut self.payload) {
            Encoded::Text | Encoded::Binary => self.framed(encoding.envelope, Opcode::Text),
            Encoded::Nothing | Encoded::Skipped(_) => &[],
        }
    }

    /// Makes `self.cursor` the text of `after`, if events of this encoding carry one.
    fn make_cursor(&mut self, encoding: Encoding, after: &Position) -> bool {
        let wanted = (encoding.envelope != Envelope::Plain || encoding.kafka_metadata)
            && after.partitions() <= INLINE_CURSOR_PARTITIONS;
        if wanted && !self.cursor_is_current {
            self.cursor.clear();
            after.write_cursor(&mut self.cursor);
            self.cursor_is_current = true;
        }
        wanted
    }

    /// Server-sent events are their own framing; everything else is a WebSocket frame.
    fn framed(&mut self, envelope: Envelope, opcode: Opcode) -> &[u8] {
        if envelope == Envelope::ServerSentEvents {
            return &self.payload;
        }
        self.frame.clear();
        frame::write_frame(opcode, &self.payload, &mut self.frame);
        &self.frame
    }
}
