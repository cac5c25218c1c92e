//! A client: a socket with as much room as its habits give it, and a check of everything that arrives.

use super::random::Random;
use super::topic::is_wanted;
use headgate_gateway::encode::frame::Parser;
use headgate_gateway::fanout::shard::{ClientId, ClientSocket};
use headgate_gateway::stream::position::Position;
use headgate_wire::ServerMessage;
use headgate_wire::message::GapReason;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

/// Room of a client that reads everything: more than a history writes.
pub const ALL: usize = 1 << 40;
/// What the kernel takes for a client that reads nothing, in bytes.
const KERNEL_BYTES: usize = 2000;
/// Messages that a failure shows.
const TRAIL: usize = 12;
const MAX_INBOUND_BYTES: u32 = 65_536;

/// How a client takes what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    All,
    Trickle,
    Never,
}

/// What else a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Quiet,
    Floods,
    ChangesFilter,
    SendsHalfFrames,
    Vanishes,
}

#[derive(Debug, Default)]
struct Wire {
    bytes: Vec<u8>,
    room: usize,
    shut: bool,
    /// A write was refused, and none has succeeded since.
    refused: bool,
    /// Bytes that it has taken.
    taken: usize,
}

#[derive(Debug, Clone, Default)]
pub struct FakeSocket(Arc<Mutex<Wire>>);

impl ClientSocket for FakeSocket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.lock().unwrap();
        let taken = bytes.len().min(wire.room);
        wire.refused = taken == 0;
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= taken;
        wire.taken += taken;
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

pub struct TestClient {
    pub id: ClientId,
    pub socket: FakeSocket,
    pub reads: Reads,
    pub habit: Habit,
    /// What it sends, as the gateway takes it apart.
    pub parser: Parser,
    pub close_code: Option<u16>,
    /// Its cursor, unless that belongs to a topic that is no more.
    pub cursor: Option<Position>,
    /// Which topic it began with.
    pub epoch: u64,
    pub filtered: bool,
    /// Pings that it has yet to answer.
    pub pings: usize,
    /// When it last got a record, a gap or `ready`, or had everything.
    pub got_on_at: u64,
    /// Since when its socket has refused everything.
    pub refuses_since: Option<u64>,
    /// What it had taken then.
    pub taken_then: usize,
    /// Next offset that must be covered, by a record or by a gap.
    covered: Position,
    received: Vec<u8>,
    /// The last messages that came, for whoever looks into a failure.
    trail: VecDeque<String>,
    topic_was_reset: bool,
    /// Filters have changed: whether skipped records were wanted is only known from then on.
    mixed: bool,
}

impl TestClient {
    pub fn new(id: ClientId, socket: FakeSocket, covered: Position, random: &mut Random) -> Self {
        let habits = [Habit::Quiet, Habit::Floods, Habit::ChangesFilter, Habit::SendsHalfFrames, Habit::Vanishes];
        let reads = random.pick(&[Reads::All, Reads::All, Reads::Trickle, Reads::Never]);
        let client = Self {
            id,
            socket,
            reads,
            habit: random.pick(&habits),
            parser: Parser::new(MAX_INBOUND_BYTES),
            close_code: None,
            cursor: None,
            epoch: 0,
            filtered: false,
            pings: 0,
            got_on_at: 0,
            refuses_since: None,
            taken_then: 0,
            covered,
            received: Vec::new(),
            trail: VecDeque::new(),
            topic_was_reset: false,
            mixed: false,
        };
        client.give_room(if reads == Reads::All { ALL } else { random.below(KERNEL_BYTES) });
        client
    }

    pub fn give_room(&self, bytes: usize) {
        let mut wire = self.socket.0.lock().unwrap();
        wire.room = wire.room.saturating_add(bytes).min(ALL);
    }

    /// The gateway has ended its connection.
    pub fn is_cut(&self) -> bool {
        self.socket.0.lock().unwrap().shut
    }

    pub fn is_open(&self) -> bool {
        self.close_code.is_none() && !self.is_cut()
    }

    pub fn refuses(&self) -> bool {
        self.socket.0.lock().unwrap().refused
    }

    pub fn taken(&self) -> usize {
        self.socket.0.lock().unwrap().taken
    }

    pub fn filter_changed(&mut self, filtered: bool) {
        self.filtered = filtered;
        self.mixed = true;
    }

    /// Parses and checks what has arrived.
    pub fn collect(&mut self, now: u64) {
        let arrived = std::mem::take(&mut self.socket.0.lock().unwrap().bytes);
        if arrived.is_empty() {
            return;
        }
        self.refuses_since = None;
        let mut received = std::mem::take(&mut self.received);
        received.extend_from_slice(&arrived);
        let mut at = 0;
        while let Some((opcode, payload, end)) = frame(&received, at) {
            let text = String::from_utf8_lossy(&payload[..payload.len().min(100)]);
            assert_eq!(self.close_code, None, "a frame after the close: opcode {opcode}, {text:?}");
            at = end;
            self.trail.push_back(text.into_owned());
            if self.trail.len() > TRAIL {
                self.trail.pop_front();
            }
            match opcode {
                1 => self.take(&serde_json::from_slice(payload).expect("a headgate.v1 message"), now),
                8 => self.close_code = Some(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
                9 => self.pings += 1,
                10 => {}
                other => panic!("opcode {other}"),
            }
        }
        received.drain(..at);
        self.received = received;
    }

    fn take(&mut self, message: &ServerMessage, now: u64) {
        match message {
            ServerMessage::Event { cursor, partition, offset, .. } => {
                self.event(*partition, *offset);
                self.remember(cursor.as_deref());
            }
            ServerMessage::Gap { partition, from, to, reason } => self.gap(*partition, (*from, *to), *reason),
            ServerMessage::Ready { cursor, .. } => self.remember(Some(cursor)),
            ServerMessage::Cursor { cursor } | ServerMessage::Draining { cursor, .. } => {
                self.remember(Some(cursor));
                return;
            }
            // Answers to what it sent are no progress.
            _ => return,
        }
        self.got_on_at = now;
    }

    fn event(&mut self, partition: i32, offset: i64) {
        self.skip_unwanted(partition, offset);
        assert_eq!(self.covered.next(partition), offset, "partition {partition}: lost or repeated: {:#?}", self.trail);
        let let_through = !self.filtered || self.mixed || is_wanted(offset);
        assert!(let_through, "a record that the filter does not let through");
        self.covered.set(partition, offset + 1);
    }

    fn gap(&mut self, partition: i32, (from, to): (i64, i64), reason: GapReason) {
        self.skip_unwanted(partition, from);
        let covered = self.covered.next(partition);
        // With a filter, a gap may begin or end among records that the filter would not have let through.
        let exact = !self.filtered && !self.mixed;
        // Whoever was moved ahead to a place where the stream began again may be told of that twice.
        let repeated = covered == to && reason != GapReason::SlowClient;
        assert!(
            repeated || from <= covered && (!exact || from == covered),
            "partition {partition}: gap {from}..{to} {reason:?} at {covered}: {:#?}",
            self.trail
        );
        if reason == GapReason::TopicReset {
            self.topic_was_reset = true;
            self.cursor = None;
            self.covered.set(partition, to);
            return;
        }
        assert!(!exact || to > from, "partition {partition}: gap {from}..{to} {reason:?}: {:#?}", self.trail);
        self.covered.advance(partition, to);
    }

    /// With a filter, records that it does not let through count as covered.
    fn skip_unwanted(&mut self, partition: i32, to: i64) {
        while (self.filtered || self.mixed)
            && self.covered.next(partition) < to
            && !is_wanted(self.covered.next(partition))
        {
            self.covered.set(partition, self.covered.next(partition) + 1);
        }
    }

    /// A cursor never claims what was not delivered, nor forgets what was.
    fn remember(&mut self, cursor: Option<&str>) {
        let Some(cursor) = cursor else { return };
        let position = Position::from(cursor.parse::<headgate_wire::Cursor>().expect("a cursor"));
        for (partition, next) in position.iter() {
            self.skip_unwanted(partition, next);
            // The gaps of a new topic come one by one, and each has the cursor of them all.
            assert!(
                self.topic_was_reset || self.covered.next(partition) == next,
                "partition {partition}: the cursor says {next}, the client has had {}",
                self.covered.next(partition)
            );
        }
        self.cursor = (!self.topic_was_reset).then_some(position);
    }

    /// For whoever looks into a failure.
    pub fn story(&self) -> String {
        let Self { reads, habit, covered, filtered, mixed, trail, .. } = self;
        format!("{reads:?}, {habit:?}, filtered {filtered}, changed {mixed}, at {covered:?}, last {trail:#?}")
    }

    /// Whether everything up to `end` was seen, told to be missing, or not wanted.
    pub fn has(&self, end: &Position) -> bool {
        let filtered = self.filtered || self.mixed;
        end.iter().all(|(partition, next)| {
            let covered = self.covered.next(partition);
            covered == next || filtered && covered < next && (covered..next).all(|offset| !is_wanted(offset))
        })
    }

    pub fn assert_up_to(&self, end: &Position) {
        assert!(self.has(end), "{:?}, {:?}: ends at {:?}, the topic at {end:?}", self.reads, self.habit, self.covered);
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
