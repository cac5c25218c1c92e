//! The results, for people or for programs. The only module that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this module is for")]

use crate::{fanout, frozen, idle, kafka, proc, rows};
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// Tables
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// Everything that one run has measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout: Option<Vec<fanout::Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Vec<idle::Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Vec<frozen::Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<rows::Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<kafka::Row>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let (processor, kernel) = (proc::processor(), proc::kernel());
        Self {
            processor,
            cores: proc::cores(),
            kernel,
            fanout: None,
            idle: None,
            frozen: None,
            rows: None,
            kafka: None,
        }
    }

    /// Writes it to stdout.
    pub fn print(&self, form: Form) -> Result<()> {
        if form == Form::Json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!("{}, {} cores, Linux {}", self.processor, self.cores, self.kernel);
        self.print_fanout();
        self.print_idle();
        self.print_frozen();
        self.print_rows();
        self.print_kafka();
        Ok(())
    }

    fn print_fanout(&self) {
        let Some(rows) = &self.fanout else { return };
        println!(
            "\nfanout: deliveries per second, CPU seconds per million deliveries, both also as share of the bare loop"
        );
        println!("format       batch  server     deliveries/s  CPU s/M  speed  efficiency  frames/read  foreign");
        for row in rows {
            println!(
                "{:<12} {:>5}  {:<9} {:>13.0} {:>8.3} {:>5.1}% {:>10.1}% {:>12.1} {:>7.1}%",
                row.format,
                row.batch,
                row.server,
                row.deliveries_per_second,
                row.cpu_seconds_per_million,
                row.speed_to_bare * 100.0,
                row.efficiency_to_bare * 100.0,
                row.frames_per_read,
                row.foreign_percent,
            );
        }
    }

    fn print_idle(&self) {
        let Some(rows) = &self.idle else { return };
        println!("\nidle: resident memory");
        println!("format       connections  before MB  with MB  bytes per connection  closed");
        for row in rows {
            println!(
                "{:<12} {:>11} {:>10.1} {:>8.1} {:>21.0} {:>7}",
                row.format,
                row.connections,
                row.resident_before as f64 / 1e6,
                row.resident_with as f64 / 1e6,
                row.bytes_per_connection,
                row.closed,
            );
        }
    }

    fn print_frozen(&self) {
        let Some(rows) = &self.frozen else { return };
        println!("\nfrozen: latency of the healthy clients");
        println!("variant                      frozen  p50 ms  p99 ms  worst ms  delivered   CPU  closed");
        for row in rows {
            println!(
                "{:<28} {:>6} {:>7.2} {:>7.2} {:>9.2} {:>9.1}% {:>4.0}% {:>7}",
                row.variant,
                row.frozen,
                row.p50_ms,
                row.p99_ms,
                row.worst_ms,
                row.delivered * 100.0,
                row.cpu_percent,
                row.closed,
            );
        }
    }

    fn print_rows(&self) {
        let Some(rows) = &self.rows else { return };
        println!("\nrows: one frame in each write; every client has a value of its own, or all see everything");
        println!("variant      clients  deliveries/s  of everything  CPU s/M  bytes per connection");
        for row in rows {
            println!(
                "{:<12} {:>7} {:>13.0} {:>13.1}% {:>8.3} {:>21.0}",
                row.variant,
                row.clients,
                row.deliveries_per_second,
                row.speed_to_everything * 100.0,
                row.cpu_seconds_per_million,
                row.bytes_per_connection,
            );
        }
    }

    fn print_kafka(&self) {
        let Some(row) = &self.kafka else { return };
        println!("\nkafka: {} records through the consumer, nobody connected", row.records);
        println!("records/s  CPU µs per record  consumer thread µs  CPU");
        println!(
            "{:>9.0} {:>18.2} {:>19.2} {:>3.0}%",
            row.records_per_second, row.cpu_us, row.consumer_thread_us, row.cpu_percent
        );
    }
}

/// A line that another program reads.
pub fn line(text: &str) {
    println!("{text}");
}

/// What is being done.
pub fn progress(text: &str) {
    eprintln!("   {text}");
}

/// Why it failed.
pub fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
