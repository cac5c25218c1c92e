//! The state machine of one connection: what comes in, what time it is and what happens outside go in, one [`Output`]
//! comes out.
//!
//! Owns the rules for life, age, expiry, rate and closing. It must never know a socket, read a clock or remember a
//! message. Thousands of these lie in memory doing nothing, so its size is part of its contract.

use super::client_message::{self, Reply};
use crate::encode::frame::{self, Inbound, Opcode};
use headgate_wire::message::ErrorCode;
use headgate_wire::{CloseReason, Filter, ServerMessage};
use secrecy::{ExposeSecret as _, SecretString};

/// Most messages and pings that a client may send in one second; more ends the connection. Pongs do not count: they
/// answer our own pings, and a client that resumes far back in a log finds many of those at once.
pub const MAX_CLIENT_MESSAGES_PER_SECOND: u16 = 50;

const RATE_WINDOW_MS: u64 = 1000;

/// Monotonic milliseconds since any fixed moment that the caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Subprotocol `headgate.v1`: the only one in which client and gateway can talk beside the events.
    HeadgateV1,
    /// Structured JSON CloudEvents, one in every text frame (CloudEvents WebSocket binding 1.0.2).
    CloudEvents,
    /// Raw records or topic and payload, one in every frame.
    Plain,
    /// Server-sent events (HTML Living Standard section 9.2); nothing ever comes in.
    ServerSentEvents,
}

/// What is fixed when a connection opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// What the connection speaks.
    pub dialect: Dialect,
    /// Silence after which the client counts as gone. Has no meaning for server-sent events, where silence is normal.
    pub idle_timeout_ms: u64,
    /// Age at which the client is asked to come back; 0 = never. The caller adds jitter.
    pub max_age_ms: u64,
    /// When its credentials end, and the reason to close with then.
    pub expires_at: Option<(Millis, CloseReason)>,
}

/// A token on its way to whoever checks it. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct NewToken(pub SecretString);

impl PartialEq for NewToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for NewToken {}

/// What to do next. After `Close` or `PeerClosed`, everything is `Nothing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Go on.
    Nothing,
    /// Write these bytes, a whole frame or a whole block of an event stream, between two others.
    Send(Vec<u8>),
    /// Write what this reason looks like in the dialect, wait a bounded time for the peer's close frame, close.
    Close(CloseReason),
    /// The peer closes: write [`frame::close_echo_frame`] and close (RFC 6455 section 5.5.1).
    PeerClosed(Option<u16>),
    /// The client sent a newer token: have it checked, and tell [`Session::on_renewed`] or [`Session::on_refused`].
    Renew(NewToken),
    /// The client replaced its own filter. All must match; valid and canonical. Empty = whatever the endpoint lets through.
    Filter(Vec<Filter>),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    closed: bool,
    /// Messages since `rate_window_start`.
    messages: u16,
    rate_window_start: Millis,
    idle_timeout_ms: u64,
    last_sign_of_life: Millis,
    ends_by_age: Option<Millis>,
    expires_at: Option<(Millis, CloseReason)>,
}

impl Session {
    /// A connection that opened `now`.
    pub fn new(settings: SessionSettings, now: Millis) -> Self {
        let SessionSettings { dialect, idle_timeout_ms, max_age_ms, expires_at } = settings;
        Self {
            dialect,
            closed: false,
            messages: 0,
            rate_window_start: now,
            idle_timeout_ms,
            last_sign_of_life: now,
            ends_by_age: (max_age_ms > 0).then(|| Millis(now.0.saturating_add(max_age_ms))),
            expires_at,
        }
    }

    /// The client sent something.
    pub fn on_inbound(&mut self, now: Millis, inbound: Inbound) -> Output {
        if self.closed {
            return Output::Nothing;
        }
        self.last_sign_of_life = now;
        match inbound {
            Inbound::Pong => Output::Nothing,
            Inbound::Close(code) => {
                self.closed = true;
                Output::PeerClosed(code)
            }
            Inbound::Binary => self.close(CloseReason::BinaryNotAccepted),
            _ if self.is_over_rate(now) => self.close(CloseReason::OverLimit),
            Inbound::Ping(payload) => Output::Send(frame::pong_frame(&payload)),
            Inbound::Text(text) => self.on_text(&text),
        }
    }

    /// The parser refused what the client sent.
    pub fn on_protocol_error(&mut self, reason: CloseReason) -> Output {
        self.close(reason)
    }

    /// A socket that was full takes bytes again: the peer reads, so it lives, even if its pongs wait behind a backlog.
    pub fn on_unblocked(&mut self, now: Millis) {
        self.last_sign_of_life = now;
    }

    /// Time has passed. Called about once a second, it ends a connection within a second of what ends it.
    pub fn on_tick(&mut self, now: Millis) -> Output {
        let silence = now.0.saturating_sub(self.last_sign_of_life.0);
        match (self.expires_at, self.ends_by_age) {
            // First, because who may no longer read must not be told to come back as before.
            (Some((end, reason)), _) if now >= end => self.close(reason),
            (_, Some(end)) if now >= end => self.close(CloseReason::ConnectionAge),
            _ if self.dialect == Dialect::ServerSentEvents => Output::Nothing,
            _ if silence >= self.idle_timeout_ms => self.close(CloseReason::IdleTimeout),
            _ => Output::Nothing,
        }
    }

    /// The credentials were withdrawn.
    pub fn on_revoked(&mut self, reason: CloseReason) -> Output {
        self.close(reason)
    }

    /// A newer token was accepted: the connection now ends at `end`, which is `expires_at` for the client (RFC 3339).
    pub fn on_renewed(&mut self, end: Millis, expires_at: String) -> Output {
        if self.closed {
            return Output::Nothing;
        }
        self.expires_at = Some((end, CloseReason::TokenExpired));
        self.answer(&ServerMessage::Refreshed { expires_at })
    }

    /// A good token ends before the one in force, which stays: `expires_at` is its end (RFC 3339).
    pub fn on_kept(&mut self, expires_at: String) -> Output {
        if self.closed { Output::Nothing } else { self.answer(&ServerMessage::Refreshed { expires_at }) }
    }

    /// What the client asked for, a newer token or another filter, is not accepted; everything stays as it was.
    pub fn on_refused(&mut self, code: ErrorCode, message: String) -> Output {
        if self.closed {
            return Output::Nothing;
        }
        self.answer(&ServerMessage::Error { id: None, code, message })
    }

    /// Only one dialect has a place for answers.
    fn answer(&self, answer: &ServerMessage) -> Output {
        if self.dialect == Dialect::HeadgateV1 { message(answer) } else { Output::Nothing }
    }

    /// Ends the connection for a reason that arose outside it, such as a restart.
    pub fn close(&mut self, reason: CloseReason) -> Output {
        if std::mem::replace(&mut self.closed, true) { Output::Nothing } else { Output::Close(reason) }
    }

    /// True once `Close` or `PeerClosed` came out.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// In a dialect without answers, a text can only be refused, but for the token that clients of an older platform send
    /// shortly before theirs ends.
    fn on_text(&mut self, text: &str) -> Output {
        if self.dialect == Dialect::HeadgateV1 {
            return match client_message::read(text) {
                Reply::Send(answer) => message(&answer),
                Reply::Renew(token) if self.expires_at.is_some() => Output::Renew(NewToken(token)),
                Reply::Renew(_) => message(&client_message::nothing_to_renew()),
                Reply::Filter(filters) => Output::Filter(filters),
                Reply::Close(reason) => self.close(reason),
            };
        }
        match client_message::older_refresh(text).filter(|_| self.expires_at.is_some()) {
            Some(token) => Output::Renew(NewToken(token)),
            None => self.close(CloseReason::ReadOnly),
        }
    }

    /// Counts a message. A window that begins with its first message needs one number and one time.
    fn is_over_rate(&mut self, now: Millis) -> bool {
        if now.0.saturating_sub(self.rate_window_start.0) >= RATE_WINDOW_MS {
            self.rate_window_start = now;
            self.messages = 0;
        }
        self.messages = self.messages.saturating_add(1);
        self.messages > MAX_CLIENT_MESSAGES_PER_SECOND
    }
}

/// A `headgate.v1` message as a text frame.
fn message(message: &ServerMessage) -> Output {
    // Cannot fail: every member is a string, a number or an enum. Without an answer the stream still goes on.
    let Ok(json) = serde_json::to_vec(message) else { return Output::Nothing };
    let mut bytes = Vec::new();
    frame::write_frame(Opcode::Text, &json, &mut bytes);
    Output::Send(bytes)
}

#[cfg(test)]
mod tests;
