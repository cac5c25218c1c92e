//! `spec.limits`: what one gateway pod accepts.
//!
//! Owns the section. Every limit has a number, so that nothing is unbounded by default.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Limits of each gateway pod.
#[derive(KubeSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default = "Limits::default")]
#[x_kube(validation = Rule::new("self.pingSeconds < self.idleTimeoutSeconds")
    .message("pingSeconds must be less than idleTimeoutSeconds, or every quiet connection would be closed: lower pingSeconds, or raise idleTimeoutSeconds"))]
pub struct Limits {
    /// Connections of one gateway pod.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: i32,
    /// Connections of one gateway pod that were opened with the same API key or by the same user.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_key: i32,
    /// Connections of one gateway pod from the same address.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_address: i32,
    /// Largest message that a client may send, in bytes.
    #[schemars(range(min = 512, max = 16_777_216))]
    pub max_inbound_bytes: i32,
    /// New connections that one gateway pod accepts per second.
    #[schemars(range(min = 1, max = 100_000))]
    pub handshakes_per_second: i32,
    /// How long a connection may be silent, pings unanswered, before it is closed.
    #[schemars(range(min = 2, max = 86_400))]
    pub idle_timeout_seconds: i32,
    /// How often a quiet connection is pinged. Below the idle limit of every proxy on the way.
    #[schemars(range(min = 1, max = 3600))]
    pub ping_seconds: i32,
    /// Age at which a connection is closed so that the client reconnects, which spreads clients over new pods. 0: never.
    #[schemars(range(min = 0, max = 2_592_000))]
    pub max_connection_age_seconds: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 2000,
            max_connections_per_key: 500,
            max_connections_per_address: 200,
            max_inbound_bytes: 65_536,
            handshakes_per_second: 500,
            idle_timeout_seconds: 60,
            ping_seconds: 25,
            max_connection_age_seconds: 0,
        }
    }
}
