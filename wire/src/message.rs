//! The messages of the `headgate.v1` subprotocol: JSON objects in text frames, `type` first.
//!
//! The gateway writes `event` by hand on its hot path; a golden test holds it against [`ServerMessage`].

use serde::{Deserialize, Serialize};

/// What a gateway sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// First message: the stream is open, and everything from `cursor` on will follow.
    Ready {
        /// Where this connection begins.
        cursor: String,
        /// Names this connection in logs and metrics of the gateway.
        session: String,
        /// True if the client came with a cursor and nothing was lost since.
        resumed: bool,
    },
    /// One record.
    Event {
        /// The position after this record; absent on very wide topics, where it follows as a `cursor` message.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cursor: Option<String>,
        /// Kafka partition.
        partition: i32,
        /// Kafka offset.
        offset: i64,
        /// The event in the connection's format.
        event: serde_json::Value,
    },
    /// Records that this client will never get.
    Gap {
        /// Kafka partition.
        partition: i32,
        /// First missing offset.
        from: i64,
        /// First offset that is not missing any more.
        to: i64,
        /// Why they are missing.
        reason: GapReason,
    },
    /// The position after everything sent so far.
    Cursor {
        /// The position.
        cursor: String,
    },
    /// A published event was stored.
    Ack {
        /// The `id` of the publish message.
        id: String,
        /// Kafka partition that it went to.
        partition: i32,
        /// Kafka offset that it got.
        offset: i64,
    },
    /// The session's credentials were renewed.
    Refreshed {
        /// RFC 3339 time at which they expire.
        expires_at: String,
    },
    /// The gateway is about to close; connect elsewhere with this cursor.
    Draining {
        /// The position after everything sent on this connection.
        cursor: String,
        /// How long to wait before connecting again, in milliseconds.
        retry_after_ms: u64,
    },
    /// A client message was not carried out; the stream goes on.
    Error {
        /// The `id` of the message, if it had one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<String>,
        /// A stable word.
        code: ErrorCode,
        /// A sentence for people.
        message: String,
    },
    /// Answer to a client's `ping` message.
    Pong,
}

/// Why records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The topic's retention took them before the client came back.
    Retention,
    /// The client read too slowly and the endpoint skips rather than disconnects.
    SlowClient,
    /// The record is larger than the gateway's log allows.
    TooLarge,
    /// The record claims to be a CloudEvent and is not.
    Undecodable,
    /// The topic was deleted and made again, or truncated.
    TopicReset,
}

impl GapReason {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::SlowClient => "slow-client",
            Self::TooLarge => "too-large",
            Self::Undecodable => "undecodable",
            Self::TopicReset => "topic-reset",
        }
    }
}

/// Why a client message was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// This endpoint or version does not offer that message.
    NotOffered,
    /// The message is missing something or has a wrong value.
    BadMessage,
    /// The credentials in the message are not accepted; those of the connection stay in force.
    Unauthorized,
    /// Not at the moment; send it again.
    TryLater,
}

/// What a client may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ClientMessage {
    /// New credentials for the same subject.
    Refresh {
        /// A JWT.
        token: String,
    },
    /// Store an event upstream.
    Publish {
        /// Comes back in the `ack`.
        id: String,
        /// The event.
        event: serde_json::Value,
    },
    /// A member of a shared group has processed everything before this position.
    Ack {
        /// The position.
        cursor: String,
    },
    /// Replace the connection's own filter.
    Filter {
        /// Every entry must match; empty = everything that the endpoint lets through.
        filters: Vec<crate::Filter>,
    },
    /// Ask for a `pong`, for clients whose library hides WebSocket pings.
    Ping,
}
