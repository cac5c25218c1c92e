//! Resident memory of a connection that does nothing: many of them on the real program, which has just started.

use crate::arguments::Idle;
use crate::clients::{Clients, Crowd};
use crate::proc;
use crate::report;
use crate::server::{self, Server};
use crate::shards::QUIET_TOPIC;
use anyhow::Result;
use serde::Serialize;

/// One line of the result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub format: &'static str,
    pub connections: usize,
    /// Resident memory of the process before the first connection, in bytes.
    pub resident_before: u64,
    /// The same with all of them, in bytes.
    pub resident_with: u64,
    pub bytes_per_connection: f64,
    /// Connections that ended meanwhile; must be 0.
    pub closed: usize,
}

/// Measures every format with a gateway of its own.
pub fn measure(settings: &Idle) -> Result<Vec<Row>> {
    let broker = Server::broker(200, 1)?;
    let mut rows = Vec::new();
    for format in &settings.format {
        report::progress(&format!("idle: {} connections, {}", settings.clients, format.name()));
        let gateway = Server::gateway(server::config(&broker.bootstrap, QUIET_TOPIC, 5))?;
        let crowd = Crowd { clients: settings.clients, observed: 0, frozen: 0, format: *format, rows: false };
        let resident_before = proc::resident_bytes(gateway.pid())?;
        let clients = Clients::connect(gateway.stream, crowd)?;
        let resident_with = proc::resident_bytes(gateway.pid())?;
        rows.push(Row {
            format: format.name(),
            connections: settings.clients,
            resident_before,
            resident_with,
            bytes_per_connection: (resident_with - resident_before) as f64 / settings.clients as f64,
            closed: clients.closed(),
        });
    }
    Ok(rows)
}
