//! Records per second through the consumer: the real program is stopped while records pile up, then it goes on, and we
//! watch how fast it takes them. Nobody is connected, so this is the cost of reading, classifying and keeping a record.

use crate::arguments::Kafka;
use crate::broker::TOPIC;
use crate::order::Order;
use crate::proc;
use crate::report;
use crate::server::{self, Server};
use crate::statistics::median;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the counter is read; a smaller part of the work than it would be if it were read all the time.
const LOOK: Duration = Duration::from_millis(20);
/// How long the gateway may take for everything.
const DEADLINE: Duration = Duration::from_mins(2);
/// What the program counts.
const RECORDS: &str = "headgate_gateway_records_received_total";
/// The thread that polls the consumer.
const CONSUMER_THREAD: &str = "kafka-live";

/// The result: medians over all rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub records: u32,
    pub records_per_second: f64,
    /// CPU time of all threads for one record, in microseconds.
    pub cpu_us: f64,
    /// The part of the thread that polls, classifies and hands over.
    pub consumer_thread_us: f64,
    /// Share of one core that the process took, in percent.
    pub cpu_percent: f64,
}

/// Measures it several times, each with a fresh cluster and gateway.
pub fn measure(settings: &Kafka) -> Result<Row> {
    let mut rows = Vec::new();
    for round in 0..settings.rounds {
        report::progress(&format!("kafka: round {}", round + 1));
        rows.push(run(settings)?);
    }
    let of = |value: fn(&Row) -> f64| median(rows.iter().map(value));
    Ok(Row {
        records: settings.records,
        records_per_second: of(|row| row.records_per_second),
        cpu_us: of(|row| row.cpu_us),
        consumer_thread_us: of(|row| row.consumer_thread_us),
        cpu_percent: of(|row| row.cpu_percent),
    })
}

fn run(settings: &Kafka) -> Result<Row> {
    let broker = Server::broker(settings.size, settings.partitions)?;
    let gateway = Server::gateway(server::config(&broker.bootstrap, TOPIC, 5))?;
    gateway.signal(Signal::STOP)?;
    broker.publish(Order { records: settings.records, stamp: 0, acknowledge: true })?;
    let before = proc::cpu_by_thread(gateway.pid())?;
    let start = Instant::now();
    gateway.signal(Signal::CONT)?;
    let wanted = f64::from(settings.records);
    while gateway.metric(RECORDS)? < wanted {
        ensure!(start.elapsed() < DEADLINE, "the gateway has only {} records", gateway.metric(RECORDS)?);
        std::thread::park_timeout(LOOK);
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = proc::cpu_by_thread(gateway.pid())?;
    let total = |threads: &BTreeMap<String, Duration>| threads.values().sum::<Duration>().as_secs_f64();
    let consumer =
        |threads: &BTreeMap<String, Duration>| threads.get(CONSUMER_THREAD).copied().unwrap_or_default().as_secs_f64();
    let cpu = total(&after) - total(&before);
    Ok(Row {
        records: settings.records,
        records_per_second: wanted / seconds,
        cpu_us: cpu / wanted * 1e6,
        consumer_thread_us: (consumer(&after) - consumer(&before)) / wanted * 1e6,
        cpu_percent: cpu / seconds * 100.0,
    })
}
