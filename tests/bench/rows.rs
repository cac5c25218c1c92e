//! What rows of their own cost: as many views as clients, each with a filter that the index finds, beside one view that
//! all share. Both deliver one frame in each write, so that what differs is the look-up and the encoding.

use crate::arguments::{Format, Rows};
use crate::clients::{Clients, Crowd};
use crate::order::Order;
use crate::proc;
use crate::report;
use crate::server::Server;
use crate::statistics::median;
use anyhow::Result;
use serde::Serialize;
use std::time::{Duration, Instant};

/// One line of the result: medians over all rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub variant: &'static str,
    pub clients: usize,
    pub deliveries_per_second: f64,
    /// The same divided by that of the clients that see everything, in the same round.
    pub speed_to_everything: f64,
    pub cpu_seconds_per_million: f64,
    /// Resident memory that a connection with its view takes.
    pub bytes_per_connection: f64,
}

struct Subject {
    variant: &'static str,
    server: Server,
    clients: Clients,
    /// Records after which every client has one more.
    records: u32,
    bytes_per_connection: f64,
}

/// Measures both variants in turns.
pub fn measure(settings: &Rows) -> Result<Vec<Row>> {
    report::progress(&format!("rows: {} clients", settings.clients));
    let broker = Server::broker(settings.size, 1)?;
    let mut subjects =
        [Subject::start(settings, &broker, "everything", false)?, Subject::start(settings, &broker, "own rows", true)?];
    let mut samples: [Vec<(f64, f64)>; 2] = Default::default();
    for _ in 0..settings.rounds {
        for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
            samples.push(subject.measure(Duration::from_secs_f64(settings.seconds))?);
        }
    }
    let rows = subjects.iter().zip(&samples).map(|(subject, own)| Row {
        variant: subject.variant,
        clients: settings.clients,
        deliveries_per_second: median(own.iter().map(|sample| sample.0)),
        speed_to_everything: median(own.iter().zip(&samples[0]).map(|(own, everything)| own.0 / everything.0)),
        cpu_seconds_per_million: median(own.iter().map(|sample| sample.1)),
        bytes_per_connection: subject.bytes_per_connection,
    });
    Ok(rows.collect())
}

impl Subject {
    fn start(settings: &Rows, broker: &Server, variant: &'static str, rows: bool) -> Result<Self> {
        let count = u32::try_from(settings.clients)?;
        let arguments = format!("shards --size {} --bootstrap {} --rows {count}", settings.size, broker.bootstrap);
        let server = Server::start(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>())?;
        let crowd = Crowd { clients: settings.clients, observed: 1, frozen: 0, format: Format::Cloudevents, rows };
        let before = proc::resident_bytes(server.pid())?;
        let clients = Clients::connect(server.stream, crowd)?;
        let with = proc::resident_bytes(server.pid())?;
        let bytes_per_connection = with.saturating_sub(before) as f64 / settings.clients as f64;
        Ok(Self { variant, server, clients, records: if rows { count } else { 1 }, bytes_per_connection })
    }

    /// Deliveries per second, and CPU seconds per million of them.
    fn measure(&mut self, duration: Duration) -> Result<(f64, f64)> {
        self.batch()?;
        let (cpu, start) = (proc::cpu(self.server.pid())?, Instant::now());
        let mut batches = 0;
        while start.elapsed() < duration {
            self.batch()?;
            batches += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        let cpu = proc::cpu(self.server.pid())?.saturating_sub(cpu).as_secs_f64();
        let deliveries = f64::from(batches) * self.clients.reading() as f64;
        Ok((deliveries / seconds, cpu / deliveries * 1e6))
    }

    fn batch(&mut self) -> Result<()> {
        self.server.publish(Order { records: self.records, stamp: 0, acknowledge: false })?;
        self.clients.receive(1)
    }
}
