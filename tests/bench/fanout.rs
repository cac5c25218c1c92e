//! Deliveries per second and CPU time per delivery, in a closed loop: the next batch is published when every client has
//! the last one. The servers take turns, so that whatever else the machine does meets all of them.

use crate::arguments::{Fanout, Format};
use crate::broker::TOPIC;
use crate::clients::{Clients, Crowd};
use crate::order::Order;
use crate::placement::SERVER_CORE;
use crate::proc;
use crate::report;
use crate::server::{self, Server};
use crate::statistics::median;
use anyhow::Result;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Batches before each measurement: caches are warm, and the socket buffers have their size.
const WARM_UP_BATCHES: usize = 20;

/// One line of the result: medians over all rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub format: &'static str,
    pub batch: u32,
    pub server: &'static str,
    pub deliveries_per_second: f64,
    pub cpu_seconds_per_million: f64,
    pub frames_per_read: f64,
    /// Deliveries per second divided by those of the bare loop in the same round.
    pub speed_to_bare: f64,
    /// CPU time per delivery of the bare loop divided by this one's, in the same round.
    pub efficiency_to_bare: f64,
    /// Share of the server's core that other programs took, in percent.
    pub foreign_percent: f64,
}

/// A server and its clients.
struct Subject {
    name: &'static str,
    server: Server,
    /// Who publishes, if the server does not do so itself.
    broker: Option<Server>,
    clients: Clients,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    deliveries_per_second: f64,
    cpu_seconds_per_million: f64,
    frames_per_read: f64,
    foreign_percent: f64,
}

/// Measures every format and batch.
pub fn measure(settings: &Fanout) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for format in &settings.format {
        let mut subjects = subjects(settings, *format)?;
        for batch in &settings.batch {
            report::progress(&format!("fanout: {}, {batch} frames per write", format.name()));
            let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); subjects.len()];
            for _ in 0..settings.rounds {
                for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
                    samples.push(subject.measure(*batch, Duration::from_secs_f64(settings.seconds))?);
                }
            }
            for (subject, own) in subjects.iter().zip(&samples) {
                rows.push(row(format.name(), *batch, subject.name, (own, &samples[0])));
            }
        }
    }
    Ok(rows)
}

/// The bare loop comes first: the others are compared with it.
fn subjects(settings: &Fanout, format: Format) -> Result<Vec<Subject>> {
    let size = settings.size;
    let crowd = Crowd { clients: settings.clients, observed: 1, frozen: 0, format, rows: false };
    let subject = |name, server: Server, broker| {
        let clients = Clients::connect(server.stream, crowd)?;
        Ok::<_, anyhow::Error>(Subject { name, server, broker, clients })
    };
    let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let broker = Server::broker(size, 1)?;
    let bootstrap = broker.bootstrap.clone();
    let bare = Server::start(&arguments(&format!("bare --size {size}")))?;
    let shards = Server::start(&arguments(&format!("shards --size {size} --bootstrap {bootstrap}")))?;
    let mut subjects = vec![subject("bare", bare, None)?];
    if settings.no_kafka {
        subjects.push(subject("shards", shards, Some(broker))?);
    } else {
        let gateway = Server::gateway(server::config(&bootstrap, TOPIC, 0))?;
        subjects.push(subject("shards", shards, None)?);
        subjects.push(subject("gateway", gateway, Some(broker))?);
    }
    Ok(subjects)
}

impl Subject {
    fn measure(&mut self, batch: u32, duration: Duration) -> Result<Sample> {
        for _ in 0..WARM_UP_BATCHES {
            self.batch(batch)?;
        }
        let (cpu, busy, reads, start) =
            (proc::cpu(self.server.pid())?, proc::core_busy(SERVER_CORE)?, self.clients.reads(), Instant::now());
        let mut batches = 0;
        while start.elapsed() < duration {
            self.batch(batch)?;
            batches += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        let cpu = proc::cpu(self.server.pid())?.saturating_sub(cpu).as_secs_f64();
        let busy = proc::core_busy(SERVER_CORE)?.saturating_sub(busy).as_secs_f64();
        let deliveries = f64::from(batches) * f64::from(batch) * self.clients.reading() as f64;
        Ok(Sample {
            deliveries_per_second: deliveries / seconds,
            cpu_seconds_per_million: cpu / deliveries * 1e6,
            frames_per_read: deliveries / (self.clients.reads() - reads) as f64,
            foreign_percent: (busy - cpu).max(0.0) / seconds * 100.0,
        })
    }

    fn batch(&mut self, records: u32) -> Result<()> {
        let publisher = match &self.broker {
            Some(broker) if self.name == "gateway" => broker,
            _ => &self.server,
        };
        publisher.publish(Order { records, stamp: 0, acknowledge: false })?;
        self.clients.receive(records)
    }
}

fn row(format: &'static str, batch: u32, server: &'static str, (own, bare): (&[Sample], &[Sample])) -> Row {
    let of = |value: fn(&Sample) -> f64| median(own.iter().map(value));
    let ratio = |ratio: fn(&Sample, &Sample) -> f64| median(own.iter().zip(bare).map(|(own, bare)| ratio(own, bare)));
    Row {
        format,
        batch,
        server,
        deliveries_per_second: of(|sample| sample.deliveries_per_second),
        cpu_seconds_per_million: of(|sample| sample.cpu_seconds_per_million),
        frames_per_read: of(|sample| sample.frames_per_read),
        speed_to_bare: ratio(|own, bare| own.deliveries_per_second / bare.deliveries_per_second),
        efficiency_to_bare: ratio(|own, bare| bare.cpu_seconds_per_million / own.cpu_seconds_per_million),
        foreign_percent: of(|sample| sample.foreign_percent),
    }
}
