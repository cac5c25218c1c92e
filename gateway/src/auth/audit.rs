//! The audit line of a connection: who, from where, what, how much, and why it ended. Never a payload, never a secret.

use headgate_wire::CloseReason;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// What is known about one connection.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Names the connection in logs and in its `ready` message.
    pub session: Arc<str>,
    /// App of the stream.
    pub app: Arc<str>,
    /// Who: a key id, a user, or `anonymous`.
    pub principal: String,
    /// The client's address.
    pub address: IpAddr,
    /// The browser page's origin, if it is one.
    pub origin: Option<String>,
    /// How the events travel: a subprotocol, `plain` or `sse`.
    pub protocol: &'static str,
    /// When the connection was upgraded.
    pub opened: Instant,
    /// Bytes written.
    pub bytes: u64,
    /// Frames of the log written.
    pub messages: u64,
}

impl Audit {
    /// Logs that the connection is open.
    pub fn log_open(&self) {
        tracing::info!(
            target: "audit", event = "open", session = %self.session, app = %self.app, principal = %self.principal,
            address = %self.address, origin = self.origin.as_deref(), protocol = self.protocol,
        );
    }

    /// Logs that the client has shown a newer token of the same subject.
    pub fn log_renewed(&self, expires_at: &str) {
        tracing::info!(
            target: "audit", event = "renewed", session = %self.session, app = %self.app, principal = %self.principal,
            address = %self.address, expires_at,
        );
    }

    /// Logs that the connection is over. Without a reason, the path to the client broke or the client left.
    pub fn log_close(&self, reason: Option<CloseReason>) {
        tracing::info!(
            target: "audit", event = "close", session = %self.session, app = %self.app, principal = %self.principal,
            address = %self.address, protocol = self.protocol, code = reason.map(CloseReason::code),
            reason = reason.map_or("connection lost", CloseReason::as_str), bytes = self.bytes,
            messages = self.messages, seconds = self.opened.elapsed().as_secs(),
        );
    }
}
