//! The contracts between Headgate's own processes, and with its clients.
//!
//! The operator writes a file that the gateway reads; the gateway writes frames that browsers and the CLI read. Each of
//! those is defined once, here, and pinned by golden samples in `tests/`. This crate must never know a socket, a clock,
//! Kafka or Kubernetes.

#![deny(missing_docs)]

pub mod close;
pub mod config;
pub mod cursor;
pub mod endpoints;
pub mod filter;
pub mod key;
pub mod message;
#[cfg(any(test, feature = "reference"))]
pub mod reference;

pub use close::{CloseReason, Retry};
pub use config::GatewayConfig;
pub use cursor::{Cursor, CursorError};
pub use filter::Filter;
pub use message::{ClientMessage, ServerMessage};
