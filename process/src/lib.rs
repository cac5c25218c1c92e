//! What the long-running Headgate processes share: logs, readiness, shutdown, the admin server, the version, and that their
//! memory stays their own.
//!
//! Small on purpose. It must never know Kafka, Kubernetes, or what the process is for.

pub mod admin;
pub mod build_info;
pub mod memory;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;

pub use readiness::{Latch, Readiness};
