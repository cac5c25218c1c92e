//! Brokers that belong to one test, and records for any.
//!
//! Two at a time besides the shared one: each is a Java process, and the tests run on small machines.

use anyhow::{Context as _, Result};
use headgate_tests::gateway::Gateway;
use headgate_tests::kafka::{RealKafka, Record};
use headgate_tests::wait::eventually;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

const DEADLINE: Duration = Duration::from_mins(1);

static PLACES: Semaphore = Semaphore::const_new(2);

/// A broker that its test may stop, and the place that it takes.
#[derive(Debug)]
pub struct OwnKafka {
    /// The broker.
    pub broker: RealKafka,
    _place: SemaphorePermit<'static>,
}

impl OwnKafka {
    /// Waits for a place, then starts one.
    pub async fn start() -> Result<Self> {
        let place = PLACES.acquire().await.context("the places are never closed")?;
        Ok(Self { broker: RealKafka::start().await?, _place: place })
    }
}

/// Waits until a gateway has read `records` in all: clients that come then do not meet a stream in full flow.
pub async fn wait_until_read(gateway: &Gateway, records: usize) -> Result<()> {
    eventually(format!("the gateway to have read {records} records"), DEADLINE, async || {
        gateway.metric("headgate_gateway_records_received_total").await.is_ok_and(|read| read >= records as f64)
    })
    .await
}

/// Plain records `{"n":…}`, spread evenly over the partitions.
pub fn numbered(topic: &str, partitions: i32, numbers: Range<i64>) -> impl Iterator<Item = Record> {
    numbers.map(move |n| Record::new(topic, format!(r#"{{"n":{n}}}"#)).partition((n % i64::from(partitions)) as i32))
}

/// The same with so much in each that `numbers` times `padding` bytes leave no memory for what came before.
pub fn padded(topic: &str, partitions: i32, numbers: Range<i64>, padding: usize) -> impl Iterator<Item = Record> {
    let padding = "x".repeat(padding);
    numbers.map(move |n| {
        let value = format!(r#"{{"n":{n},"padding":"{padding}"}}"#);
        Record::new(topic, value).partition((n % i64::from(partitions)) as i32)
    })
}
