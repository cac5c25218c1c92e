//! One client's connection, as far as it can be decided without a socket, a clock or Kafka.
//!
//! Owns what a connection is told and what it answers; [`Session`] is the whole of it. Nothing below may do input or
//! output, ask for the time, or hold more than a few words of memory for each connection.

mod client_message;
pub mod protocol;

pub use protocol::{Dialect, MAX_CLIENT_MESSAGES_PER_SECOND, Millis, NewToken, Output, Session, SessionSettings};
