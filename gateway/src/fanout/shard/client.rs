//! One client of a shard: its position in a log, what it must be sent besides, and what is known about it.

use super::outbox::Outbox;
use super::socket::ClientSocket;
use crate::auth::Principal;
use crate::auth::audit::Audit;
use crate::auth::limits::Permit;
use crate::fanout::log::Log;
use crate::fanout::view::ViewSpec;
use crate::session::{Millis, Session, SessionSettings};
use crate::stream::feed::{Beginning, Generation};
use crate::stream::position::Position;
use headgate_wire::{CloseReason, Filter};
use secrecy::SecretString;
use std::io;
use std::sync::Arc;

/// Names a client for its whole life; a number that is used again has another serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId {
    /// Place in the shard's table.
    pub index: usize,
    /// Counts connections of this shard.
    pub serial: u64,
}

/// A connection that was admitted and upgraded.
#[derive(Debug)]
pub struct Join<S> {
    /// Its socket.
    pub socket: S,
    /// What it sees.
    pub spec: ViewSpec,
    /// Filters that the client cannot replace.
    pub enforced: Arc<[Filter]>,
    /// Where it begins.
    pub start: Beginning,
    /// Protocol settings.
    pub session: SessionSettings,
    /// Who it is.
    pub principal: Principal,
    /// Its share of the limits; returned when it is dropped.
    pub permit: Permit,
    /// What the audit line will say.
    pub audit: Audit,
}

/// A newer token that a client sent, to be checked outside.
#[derive(Debug)]
pub struct Renewal {
    /// Whose.
    pub client: ClientId,
    /// Who it is by its present token.
    pub principal: Principal,
    /// The token.
    pub token: SecretString,
}

/// Where a client was when it was moved ahead in its log.
#[derive(Debug)]
pub(super) struct SkippedFrom {
    pub position: Position,
    /// [`Log::beginnings_at`] that place.
    pub beginnings: u64,
}

/// Where a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// In memory, at this entry.
    Memory(u64),
    /// In a replay, at this step of its current batch.
    Replay(u64, usize),
    /// Nowhere yet: it is in the line for a replay.
    Waiting,
    /// Nowhere: it has not taken what it was given. Then it gets in line again.
    Parked,
}

/// A client on its way.
#[derive(Debug)]
pub(super) struct CatchUp {
    pub position: Position,
    pub reading: Reading,
    /// `Some(resumed)` until the ready message has been sent.
    pub ready_pending: Option<bool>,
    /// The generation that the position belongs to. While the shard has not heard of it, the client waits: what the
    /// shard has in memory does not belong to its position.
    pub generation: Generation,
    /// It is in the line for room in the budget of outboxes.
    pub waits_for_room: bool,
}

/// What a client is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Reads from its view's log.
    Streaming,
    /// Reads older records by itself.
    CatchingUp(Box<CatchUp>),
    /// Gets the rest of its outbox; is dropped at the deadline, or as soon as nothing is left if `linger` is false.
    Closing { deadline: Millis, linger: bool },
}

#[derive(Debug)]
pub(super) struct Client<S> {
    pub id: ClientId,
    pub socket: S,
    pub view: usize,
    /// Place in the view's members.
    pub slot: usize,
    /// Absolute byte of the view's log that is sent next.
    pub at: u64,
    /// End of the frames that the last write aimed at; before it, `at` may be inside a frame.
    pub boundary: u64,
    pub state: State,
    /// Goes between two frames of the log.
    pub outbox: Outbox,
    /// Where the client first lost records that it has not been told about.
    pub skipped_from: Option<SkippedFrom>,
    /// Filters to change to, once everything that the old ones let through has been sent.
    pub next_filters: Option<Vec<Filter>>,
    pub blocked: bool,
    /// Since when its socket has taken nothing, although there is something to send.
    pub takes_nothing_since: Option<Millis>,
    pub attended: bool,
    pub session: Session,
    pub enforced: Arc<[Filter]>,
    pub principal: Principal,
    pub audit: Audit,
    /// Returned to the limits when the client goes.
    pub _permit: Permit,
    /// Frames of the log that are already counted as delivered.
    pub frames_counted: u64,
    /// When a drain closes this client.
    pub drain_at: Option<Millis>,
    pub close_reason: Option<CloseReason>,
}

/// What one attempt to write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Some bytes went out.
    Progress(usize),
    /// There was nothing to send.
    Nothing,
    /// The socket is full.
    Blocked,
    /// The connection is gone.
    Gone,
}

impl<S: ClientSocket> Client<S> {
    /// One non-blocking write of everything that may go out now: the rest of a frame, then the outbox, then the log.
    pub fn write(&mut self, log: &Log) -> Write {
        let from_log = self.at < self.boundary;
        let bytes = if from_log {
            let pending = log.pending(self.at);
            &pending[..pending.len().min((self.boundary - self.at) as usize)]
        } else if !self.outbox.is_empty() {
            self.outbox.unsent()
        } else if self.is_streaming() {
            let pending = log.pending(self.at);
            self.boundary = self.at + pending.len() as u64;
            pending
        } else {
            &[]
        };
        if bytes.is_empty() {
            return Write::Nothing;
        }
        match self.socket.try_write(bytes) {
            Ok(0) => Write::Gone,
            Ok(written) => {
                self.wrote(written);
                Write::Progress(written)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Write::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Write::Progress(0),
            Err(_) => Write::Gone,
        }
    }

    fn wrote(&mut self, written: usize) {
        self.audit.bytes += written as u64;
        if self.at < self.boundary {
            self.at += written as u64;
            return;
        }
        let fills_again = matches!(self.state, State::CatchingUp(_));
        self.outbox.sent(written, fills_again);
    }

    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming)
    }

    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// True if a frame of the client's own may go out next.
    pub fn is_between_frames(&self) -> bool {
        self.at >= self.boundary
    }

    /// Takes the client out of the log's flow: what is left of a half-sent frame moves to the outbox.
    pub fn leave_log(&mut self, log: &Log) {
        if !self.is_between_frames() {
            let rest = log.rest_of_frame(self.at);
            self.outbox.push_front(rest);
            self.at += rest.len() as u64;
        }
        self.boundary = self.at;
    }
}
