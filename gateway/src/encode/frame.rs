//! WebSocket frames (RFC 6455 section 5): what a server writes and what it accepts.
//!
//! Owns the byte format only. It must never know a socket, a clock, a session or what a payload means. No extension is
//! spoken: every reserved bit is zero in both directions.

pub mod encode;
pub mod parser;

pub use encode::{close_echo_frame, close_frame, ping_frame, pong_frame, write_frame, write_header};
pub use parser::{Inbound, Parser};

/// Most bytes that the payload of a control frame may have (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD_BYTES: usize = 125;

/// What a frame is (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation,
    /// A message of UTF-8 text, or its first part.
    Text,
    /// A message of bytes, or its first part.
    Binary,
    /// The closing handshake.
    Close,
    /// Asks the peer for a pong.
    Ping,
    /// The answer to a ping, or an unasked sign of life.
    Pong,
}

impl Opcode {
    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// The opcode of these four bits, or `None` if they are reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// True for close, ping and pong, which are never fragmented.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}
