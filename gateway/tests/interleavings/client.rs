//! A client: a socket with as much room as the test gives it, and a check of everything that arrives.

use super::topic::Topic;
use headgate_gateway::fanout::shard::{ClientId, ClientSocket};
use headgate_gateway::stream::position::Position;
use headgate_wire::ServerMessage;
use headgate_wire::message::{ErrorCode, GapReason};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
struct Wire {
    bytes: Vec<u8>,
    room: usize,
    shut: bool,
}

#[derive(Debug, Clone, Default)]
pub struct FakeSocket(Arc<Mutex<Wire>>);

impl ClientSocket for FakeSocket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.lock().unwrap();
        let taken = bytes.len().min(wire.room);
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= taken;
        wire.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn writable(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    fn shutdown(&self) {
        self.0.lock().unwrap().shut = true;
    }
}

#[derive(Debug)]
pub struct TestClient {
    pub id: ClientId,
    pub socket: FakeSocket,
    pub filtered: bool,
    pub close_code: Option<u16>,
    pub disconnected: bool,
    /// Next offset that must be covered, by a record or by a gap.
    pub covered: Position,
    pub cursor: Option<Position>,
    /// What its `ready` message said.
    pub resumed: Option<bool>,
    /// What it was refused.
    pub errors: Vec<ErrorCode>,
    /// Gaps that said that the topic is another one.
    pub resets: usize,
    parsed: usize,
    records: usize,
    /// Filters have changed: whether skipped records were wanted is only known from then on.
    mixed: bool,
}

impl TestClient {
    pub fn new(id: ClientId, socket: FakeSocket, filtered: bool, start: Position) -> Self {
        Self {
            id,
            socket,
            filtered,
            close_code: None,
            disconnected: false,
            covered: start,
            cursor: None,
            resumed: None,
            errors: Vec::new(),
            resets: 0,
            parsed: 0,
            records: 0,
            mixed: false,
        }
    }

    pub fn records(&self) -> usize {
        self.records
    }

    pub fn is_open(&self) -> bool {
        // A client that never reads is cut at the deadline of its close.
        let cut = self.socket.0.lock().unwrap().shut;
        !self.disconnected && !cut && self.close_code.is_none()
    }

    pub fn filter_changed(&mut self, filtered: bool) {
        self.filtered = filtered;
        self.mixed = true;
    }

    pub fn give_room(&self, bytes: usize) {
        let mut wire = self.socket.0.lock().unwrap();
        wire.room = wire.room.saturating_add(bytes).min(1 << 30);
    }

    pub fn take_room(&self) {
        self.socket.0.lock().unwrap().room = 0;
    }

    /// Parses and checks what has arrived.
    pub fn collect(&mut self) {
        let bytes = self.socket.0.lock().unwrap().bytes.clone();
        while let Some((opcode, payload, end)) = frame(&bytes, self.parsed) {
            assert!(self.close_code.is_none(), "a frame after the close");
            self.parsed = end;
            match opcode {
                1 => self.take(&serde_json::from_slice(payload).expect("a headgate.v1 message")),
                8 => self.close_code = Some(u16::from_be_bytes([payload[0], payload[1]])),
                9 => {}
                other => panic!("opcode {other}"),
            }
        }
    }

    fn take(&mut self, message: &ServerMessage) {
        match message {
            ServerMessage::Event { cursor, partition, offset, .. } => {
                self.skip_unwanted(*partition, *offset);
                assert_eq!(self.covered.next(*partition), *offset, "partition {partition}: lost or repeated");
                if self.filtered && !self.mixed {
                    assert!(Topic::is_wanted(*offset), "a record that the filter does not let through");
                }
                self.covered.set(*partition, offset + 1);
                self.records += 1;
                self.remember(cursor.as_deref());
            }
            ServerMessage::Gap { partition, to, reason: GapReason::TopicReset, .. } => {
                self.resets += 1;
                self.covered.set(*partition, *to);
            }
            ServerMessage::Gap { partition, from, to, .. } => {
                self.skip_unwanted(*partition, *from);
                let covered = self.covered.next(*partition);
                assert!(*from <= covered, "partition {partition}: gap {from}..{to} at {covered}");
                // With a filter, a gap may begin or end among records that the filter would not have let through.
                let filtered = self.filtered || self.mixed;
                assert!(
                    filtered || *from == covered && to > from,
                    "partition {partition}: gap {from}..{to} at {covered}"
                );
                self.covered.advance(*partition, *to);
            }
            ServerMessage::Ready { cursor, resumed, .. } => {
                self.resumed = Some(*resumed);
                self.remember(Some(cursor));
            }
            ServerMessage::Error { code, .. } => self.errors.push(*code),
            ServerMessage::Cursor { cursor } | ServerMessage::Draining { cursor, .. } => {
                self.remember(Some(cursor));
            }
            other => panic!("{other:?}"),
        }
    }

    /// With a filter, records that it does not let through count as covered.
    fn skip_unwanted(&mut self, partition: i32, to: i64) {
        while (self.filtered || self.mixed)
            && self.covered.next(partition) < to
            && (self.mixed || !Topic::is_wanted(self.covered.next(partition)))
            && !(self.mixed && Topic::is_wanted(self.covered.next(partition)))
        {
            self.covered.set(partition, self.covered.next(partition) + 1);
        }
    }

    fn remember(&mut self, cursor: Option<&str>) {
        let Some(cursor) = cursor else { return };
        let position = Position::from(cursor.parse::<headgate_wire::Cursor>().expect("a cursor"));
        // A cursor never claims what was not delivered, nor forgets what was.
        for (partition, next) in position.iter() {
            self.skip_unwanted(partition, next);
            assert_eq!(self.covered.next(partition), next, "partition {partition}: the cursor is wrong");
        }
        self.cursor = Some(position);
    }

    /// Everything up to `end` was seen, or told to be missing.
    pub fn assert_up_to(&mut self, end: &Position) {
        for (partition, next) in end.iter() {
            self.skip_unwanted(partition, next);
            let covered = self.covered.next(partition);
            assert!(covered >= next, "partition {partition}: ends at {covered}, the topic at {next}");
        }
    }
}

/// Opcode, payload and end of the whole frame at `at`, if it has arrived.
fn frame(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let head = bytes.get(at..at + 2)?;
    assert_eq!(head[0] & 0xf0, 0x80, "a torn frame");
    let (length, begin) = match head[1] {
        126 => (u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?) as usize, at + 4),
        127 => (u64::from_be_bytes(bytes.get(at + 2..at + 10)?.try_into().ok()?) as usize, at + 10),
        short => (short as usize, at + 2),
    };
    Some((head[0] & 0x0f, bytes.get(begin..begin + length)?, begin + length))
}
