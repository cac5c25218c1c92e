//! What clients that never read do to the others: latency from the planned moment of publishing to the arrival at
//! healthy clients, with and without frozen ones, in turns.

use crate::arguments::{Format, Frozen};
use crate::clients::{Clients, Crowd};
use crate::order::Order;
use crate::proc;
use crate::report;
use crate::server::Server;
use crate::statistics::{median, quantile};
use anyhow::Result;
use serde::Serialize;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients whose frames are timed.
const OBSERVED: usize = 20;
/// Time before the measurement: by then the frozen clients' sockets are full.
const WARM_UP: Duration = Duration::from_secs(3);
/// A ring that overflows several times in a measurement, so that frozen clients are judged again and again.
const SMALL_RING: &str = "--ring-bytes 1048576 --skip";

/// One line of the result: medians over all rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub variant: &'static str,
    pub frozen: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
    /// Events that the healthy observed clients got, of those that were published.
    pub delivered: f64,
    /// Share of the server's core that the server took, in percent.
    pub cpu_percent: f64,
    /// Healthy connections that ended; must be 0.
    pub closed: usize,
}

struct Variant {
    name: &'static str,
    frozen: usize,
    arguments: &'static str,
}

/// Measures all variants, each with a fresh gateway, in turns.
pub fn measure(settings: &Frozen) -> Result<Vec<Row>> {
    let variants = [
        Variant { name: "all healthy", frozen: 0, arguments: "" },
        Variant { name: "some frozen", frozen: settings.frozen, arguments: "" },
        Variant { name: "some frozen, skipped ahead", frozen: settings.frozen, arguments: SMALL_RING },
    ];
    let broker = Server::broker(settings.size, 1)?;
    let mut rows: [Vec<Row>; 3] = Default::default();
    for round in 0..settings.rounds {
        for (variant, rows) in variants.iter().zip(&mut rows) {
            report::progress(&format!("frozen: {}, round {}", variant.name, round + 1));
            rows.push(run(settings, variant, &broker.bootstrap)?);
        }
    }
    Ok(rows.into_iter().filter_map(|rows| medians(&rows)).collect())
}

fn run(settings: &Frozen, variant: &Variant, bootstrap: &str) -> Result<Row> {
    let line = format!("shards --size {} --bootstrap {bootstrap} {}", settings.size, variant.arguments);
    let server = Server::start(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())?;
    let crowd = Crowd {
        clients: settings.clients,
        observed: OBSERVED,
        frozen: variant.frozen,
        format: Format::Cloudevents,
        rows: false,
    };
    let mut clients = Clients::connect(server.stream, crowd)?;
    let duration = Duration::from_secs_f64(settings.seconds);
    let publisher = publish(server.control()?, clients.epoch(), settings.rate, WARM_UP + duration);
    receive(&mut clients, WARM_UP)?;
    clients.take_latencies();
    let cpu = proc::cpu(server.pid())?;
    receive(&mut clients, duration)?;
    let cpu = proc::cpu(server.pid())?.saturating_sub(cpu);
    let latencies = clients.take_latencies();
    publisher.join().map_err(|_| anyhow::anyhow!("the publisher ended by a panic"))??;
    let milliseconds = |share| quantile(&latencies, share) as f64 / 1e6;
    Ok(Row {
        variant: variant.name,
        frozen: variant.frozen,
        p50_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
        worst_ms: milliseconds(1.0),
        delivered: latencies.len() as f64 / (OBSERVED as f64 * f64::from(settings.rate) * settings.seconds),
        cpu_percent: cpu.as_secs_f64() / settings.seconds * 100.0,
        closed: clients.closed(),
    })
}

fn receive(clients: &mut Clients, duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        clients.poll(left)?;
    }
    Ok(())
}

/// Orders one record after the other, each stamped with the moment at which it was due.
fn publish(mut control: TcpStream, epoch: Instant, rate: u32, duration: Duration) -> JoinHandle<Result<()>> {
    let interval = Duration::from_secs(1) / rate;
    std::thread::spawn(move || {
        let start = epoch.elapsed();
        let mut due = start;
        while due < start + duration {
            if let Some(early) = due.checked_sub(epoch.elapsed()) {
                std::thread::park_timeout(early);
                continue;
            }
            let mut orders = Vec::new();
            while due <= epoch.elapsed() {
                let stamp = due.as_nanos() as u64;
                orders.extend_from_slice(&Order { records: 1, stamp, acknowledge: false }.bytes());
                due += interval;
            }
            control.write_all(&orders)?;
        }
        Ok(())
    })
}

fn medians(rows: &[Row]) -> Option<Row> {
    let of = |value: fn(&Row) -> f64| median(rows.iter().map(value));
    let row = Row {
        p50_ms: of(|row| row.p50_ms),
        p99_ms: of(|row| row.p99_ms),
        worst_ms: of(|row| row.worst_ms),
        delivered: of(|row| row.delivered),
        cpu_percent: of(|row| row.cpu_percent),
        closed: rows.iter().map(|row| row.closed).sum(),
        variant: rows.first()?.variant,
        frozen: rows.first()?.frozen,
    };
    Some(row)
}
