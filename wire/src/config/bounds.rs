//! What the numbers of a configuration may be: the one place where it is said.
//!
//! The gateway refuses what is outside, and a test of the operator compares the CRD with these bounds, so that nothing
//! that the API server accepts keeps a gateway from starting. Owns numbers and their fields; must never judge a text.

use super::{GatewayConfig, Limits, Replay};

/// Least and most that one field may be, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Path of the field in the configuration, which is its path below `spec` in a StreamEndpoint.
    pub field: &'static str,
    /// The least, in the field's unit.
    pub least: u64,
    /// The most, in the field's unit.
    pub most: u64,
}

/// `stream.replay.ringBytes`: from what four segments of a log need, to what a pod can be given.
pub const RING_BYTES: Bounds = Bounds::new("stream.replay.ringBytes", 1024 * 1024, 1024 * 1024 * 1024);
/// `stream.replay.maxConcurrent`: each is a consumer with buffers and threads of its own.
pub const MAX_CONCURRENT: Bounds = Bounds::new("stream.replay.maxConcurrent", 1, 256);
/// `stream.maxDelayMilliseconds`: zero sends each record at once.
pub const MAX_DELAY_MILLISECONDS: Bounds = Bounds::new("stream.maxDelayMilliseconds", 0, 1000);
/// `limits.maxConnections`.
pub const MAX_CONNECTIONS: Bounds = Bounds::new("limits.maxConnections", 1, 1_000_000);
/// `limits.maxConnectionsPerKey`.
pub const MAX_CONNECTIONS_PER_KEY: Bounds = Bounds::new("limits.maxConnectionsPerKey", 1, 1_000_000);
/// `limits.maxConnectionsPerAddress`.
pub const MAX_CONNECTIONS_PER_ADDRESS: Bounds = Bounds::new("limits.maxConnectionsPerAddress", 1, 1_000_000);
/// `limits.maxInboundBytes`: from a small filter to what one client may make a gateway hold.
pub const MAX_INBOUND_BYTES: Bounds = Bounds::new("limits.maxInboundBytes", 512, 16 * 1024 * 1024);
/// `limits.handshakesPerSecond`.
pub const HANDSHAKES_PER_SECOND: Bounds = Bounds::new("limits.handshakesPerSecond", 1, 100_000);
/// `limits.idleTimeoutSeconds`: more than the least `limits.pingSeconds`.
pub const IDLE_TIMEOUT_SECONDS: Bounds = Bounds::new("limits.idleTimeoutSeconds", 2, 86_400);
/// `limits.pingSeconds`.
pub const PING_SECONDS: Bounds = Bounds::new("limits.pingSeconds", 1, 3600);
/// `limits.maxConnectionAgeSeconds`: zero is never.
pub const MAX_CONNECTION_AGE_SECONDS: Bounds = Bounds::new("limits.maxConnectionAgeSeconds", 0, 2_592_000);
/// `drainSeconds`: the grace period of a pod follows from it.
pub const DRAIN_SECONDS: Bounds = Bounds::new("drainSeconds", 1, 900);

/// Most entries of `stream.filters`.
pub const MAX_FILTERS: usize = 16;
/// Most entries of `publicAccess.allowedOrigins`.
pub const MAX_ORIGINS: usize = 64;
/// Most entries of `publicAccess.trustedProxies`.
pub const MAX_TRUSTED_PROXIES: usize = 32;
/// Most entries of `auth.oidc.audiences`.
pub const MAX_AUDIENCES: usize = 16;
/// Most entries of `auth.oidc.required` and of `auth.oidc.publish`.
pub const MAX_CLAIMS: usize = 16;
/// Most values of one of them.
pub const MAX_CLAIM_VALUES: usize = 32;
/// Most entries of `auth.oidc.filters`.
pub const MAX_CLAIM_FILTERS: usize = 8;
/// Most bytes of `stream.eventType`.
pub const MAX_EVENT_TYPE_LENGTH: usize = 255;
/// Most characters of `kafka.topic`, as Kafka has it.
pub const MAX_TOPIC_LENGTH: usize = 249;

/// How many numbers a configuration has.
pub const NUMBERS: usize = 12;

impl Bounds {
    const fn new(field: &'static str, least: u64, most: u64) -> Self {
        Self { field, least, most }
    }

    /// Whether the field may have this value.
    pub const fn contains(&self, value: u64) -> bool {
        self.least <= value && value <= self.most
    }
}

impl GatewayConfig {
    /// Every number of the configuration, with its bounds.
    pub fn numbers(&self) -> [(Bounds, u64); NUMBERS] {
        // Taken apart as a whole, so that a number that is added does not stay without bounds.
        let Replay { ring_bytes, max_concurrent } = self.stream.replay;
        let Limits {
            max_connections,
            max_connections_per_key,
            max_connections_per_address,
            max_inbound_bytes,
            handshakes_per_second,
            idle_timeout_seconds,
            ping_seconds,
            max_connection_age_seconds,
        } = self.limits;
        [
            (RING_BYTES, ring_bytes),
            (MAX_CONCURRENT, max_concurrent.into()),
            (MAX_DELAY_MILLISECONDS, self.stream.max_delay_milliseconds.into()),
            (MAX_CONNECTIONS, max_connections.into()),
            (MAX_CONNECTIONS_PER_KEY, max_connections_per_key.into()),
            (MAX_CONNECTIONS_PER_ADDRESS, max_connections_per_address.into()),
            (MAX_INBOUND_BYTES, max_inbound_bytes.into()),
            (HANDSHAKES_PER_SECOND, handshakes_per_second.into()),
            (IDLE_TIMEOUT_SECONDS, idle_timeout_seconds.into()),
            (PING_SECONDS, ping_seconds.into()),
            (MAX_CONNECTION_AGE_SECONDS, max_connection_age_seconds.into()),
            (DRAIN_SECONDS, self.drain_seconds.into()),
        ]
    }
}
