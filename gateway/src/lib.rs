//! The gateway: streams one app's Kafka topic to WebSocket and SSE clients, with cursors.
//!
//! ```text
//! source ──records──► fanout: router ──► views ──► logs ──► shard: one write per client and turn
//!                       ▲                                     ▲ clients are positions in a log
//! client ──► http ──► auth: who may ──► a beginning ──────────┘
//! ```
//!
//! A record's way: [`source`] reads it, [`stream`] says what it is, [`fanout`] finds the views that may show it and sweeps
//! their logs to sockets, with bytes that [`encode`] makes once per view. A client's way: [`http`] takes the connection,
//! [`request`] reads what it asks for, [`auth`] decides, and a shard lets it catch up from memory or a replay until it
//! meets the live stream; [`session`] decides what to answer. [`app`] builds, runs and drains all of it. Nothing here
//! knows Kubernetes; only [`source`] knows Kafka's client.

pub mod app;
pub mod auth;
pub mod config;
pub mod encode;
pub mod endpoint;
pub mod fanout;
pub mod http;
pub mod metrics;
pub mod rejection;
pub mod request;
pub mod session;
pub mod source;
pub mod stream;
pub mod supervision;

pub use app::{App, BuildError};
pub use config::{Config, ConfigError};
