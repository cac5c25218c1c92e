//! The gateway: streams one app's Kafka topic to WebSocket and SSE clients, with cursors.
//!
//! ```text
//! source --records--> router --> views (filter, format, frame) --> log --> shard: one write per client and turn
//!                                                                           ^ clients are positions in a log
//! ```
//!
//! A record's way: [`source`] reads it, [`record`] says what it is, [`shard`] takes it in, [`router`] finds the [`view`]s
//! that may show it, [`filter`] decides, [`mod@format`] and [`frame`] encode it once into the view's [`log`], and the
//! shard sweeps the log to its sockets. A client's way: [`http`] admits it ([`limits`], [`handshake`], [`request`], [`auth`]),
//! [`start`] finds its position, and its shard lets it catch up from [`recent`] memory or a replay until it meets the live
//! stream. [`app`] builds, runs and drains all of it. Nothing here knows Kubernetes; only [`source`] knows Kafka's client.

pub mod app;
pub mod args;
pub mod audit;
pub mod auth;
pub mod config;
pub mod encoder;
pub mod endpoint;
pub mod filter;
pub mod followed;
pub mod format;
pub mod frame;
pub mod handshake;
pub mod http;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod pem;
pub mod position;
pub mod recent;
pub mod record;
pub mod rejection;
pub mod request;
pub mod router;
pub mod session;
pub mod shard;
pub mod source;
pub mod start;
pub mod view;

pub use app::{App, BuildError};
pub use config::{Config, ConfigError};
