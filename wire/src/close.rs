//! Why a gateway closes a connection: the code, the stable words, and whether a client should come back.
//!
//! Codes are those of RFC 6455 section 7.4 and the IANA registry (1012, 1013). The words never change within a version:
//! clients match on them. They are at most 123 bytes (RFC 6455 section 5.5).

use std::fmt;

/// What a client should do after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Connect again, with the last cursor, after a short random delay.
    Soon,
    /// Connect again with new credentials.
    WithNewCredentials,
    /// Connecting again will end the same way until somebody changes something.
    No,
}

/// Every reason for which a gateway closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client asked to close.
    Bye,
    /// Nothing, not even a pong, came from the client for the idle timeout.
    IdleTimeout,
    /// The connection reached `limits.maxConnectionAgeSeconds`.
    ConnectionAge,
    /// The client broke RFC 6455 or sent a message that is no `headgate.v1` message.
    ProtocolError,
    /// The client sent a binary message.
    BinaryNotAccepted,
    /// The client sent a text message that is not UTF-8.
    NotUtf8,
    /// The token's `exp` has passed.
    TokenExpired,
    /// The API key's `expiresAt` has passed.
    KeyExpired,
    /// The API key is no longer among the endpoint's keys.
    KeyRevoked,
    /// The endpoint no longer admits this caller.
    AccessWithdrawn,
    /// What this caller may see or do has changed; the same credentials may still be good, and get the new rights.
    AccessChanged,
    /// The client sent an event to a stream that it may only read.
    ReadOnly,
    /// A client message is larger than `limits.maxInboundBytes`.
    MessageTooLarge,
    /// Something failed inside the gateway; the log has an entry with this session.
    Internal,
    /// The gateway restarts; connect again to any other one.
    Restart,
    /// The client read too slowly and its position left the log.
    TooSlow,
    /// A limit on what one client may ask was exceeded.
    OverLimit,
}

impl CloseReason {
    /// Every reason, for documentation and tests.
    pub const ALL: [Self; 17] = [
        Self::Bye,
        Self::IdleTimeout,
        Self::ConnectionAge,
        Self::ProtocolError,
        Self::BinaryNotAccepted,
        Self::NotUtf8,
        Self::TokenExpired,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::AccessWithdrawn,
        Self::AccessChanged,
        Self::ReadOnly,
        Self::MessageTooLarge,
        Self::Internal,
        Self::Restart,
        Self::TooSlow,
        Self::OverLimit,
    ];

    /// The WebSocket close code (RFC 6455 section 7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::Bye => 1000,
            Self::IdleTimeout | Self::ConnectionAge => 1001,
            Self::ProtocolError => 1002,
            Self::BinaryNotAccepted => 1003,
            Self::NotUtf8 => 1007,
            Self::TokenExpired | Self::KeyExpired | Self::KeyRevoked | Self::AccessWithdrawn | Self::ReadOnly => 1008,
            Self::MessageTooLarge => 1009,
            Self::Internal => 1011,
            Self::Restart | Self::AccessChanged => 1012,
            Self::TooSlow | Self::OverLimit => 1013,
        }
    }

    /// The words sent as the close reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::IdleTimeout => "idle timeout",
            Self::ConnectionAge => "connection age",
            Self::ProtocolError => "protocol error",
            Self::BinaryNotAccepted => "binary not accepted",
            Self::NotUtf8 => "not UTF-8",
            Self::TokenExpired => "token expired",
            Self::KeyExpired => "key expired",
            Self::KeyRevoked => "key revoked",
            Self::AccessWithdrawn => "access withdrawn",
            Self::AccessChanged => "access changed; connect again",
            Self::ReadOnly => "read only",
            Self::MessageTooLarge => "message too large",
            Self::Internal => "internal error",
            Self::Restart => "restart; retry soon",
            Self::TooSlow => "too slow; resume with your cursor",
            Self::OverLimit => "over limit",
        }
    }

    /// What the client should do next.
    pub const fn retry(self) -> Retry {
        match self {
            Self::IdleTimeout
            | Self::ConnectionAge
            | Self::Internal
            | Self::Restart
            | Self::AccessChanged
            | Self::TooSlow
            | Self::OverLimit => Retry::Soon,
            Self::TokenExpired | Self::KeyExpired | Self::KeyRevoked | Self::AccessWithdrawn => {
                Retry::WithNewCredentials
            }
            Self::Bye
            | Self::ProtocolError
            | Self::BinaryNotAccepted
            | Self::NotUtf8
            | Self::ReadOnly
            | Self::MessageTooLarge => Retry::No,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a client should connect again after a close with this code, whoever sent it.
///
/// Unknown codes and 1006 (no close frame at all) mean a broken path, so they retry.
pub const fn retry_after_code(code: u16) -> Retry {
    match code {
        1000 | 1002 | 1003 | 1007 | 1009 | 1010 => Retry::No,
        1008 => Retry::WithNewCredentials,
        _ => Retry::Soon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_fits_a_close_frame_and_is_told_apart_by_its_words() {
        let words: HashSet<_> = CloseReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), CloseReason::ALL.len());
        assert!(CloseReason::ALL.iter().all(|r| r.as_str().len() <= 123));
    }
}
