//! What the attacks share: a machine for themselves, topics, and crowds of clients.

use crate::process::GatewayProcess;
use anyhow::Result;
use headgate_tests::gateway;
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_tests::mock_kafka::MockKafka;
use headgate_wire::GatewayConfig;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// The header that asks for our own envelope.
pub const HEADGATE: (&str, &str) = ("sec-websocket-protocol", "headgate.v1");
pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;
/// The variable with which an attack goes on for longer.
const SECONDS: &str = "HEADGATE_ADVERSITY_SECONDS";

/// Waits until no other attack is under way; it ends when the answer is dropped.
pub async fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::const_new(());
    MACHINE.lock().await
}

/// How long an attack goes on: so many seconds, or as many as the environment says.
pub fn attack_time(seconds: u64) -> Duration {
    let wanted = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(wanted.unwrap_or(seconds))
}

/// An empty topic of librdkafka's mock cluster, and an open stream of it.
pub fn mock(partitions: i32) -> Result<GatewayConfig> {
    let kafka = MockKafka::shared()?;
    let topic = unique("adversity");
    kafka.create_topic(&topic, partitions)?;
    Ok(gateway::config(kafka.bootstrap(), &topic))
}

/// A topic of a real broker with so many records of 1,000 bytes, and an open stream of it of which a gateway remembers
/// the last MiB only.
pub async fn long_topic(records: usize) -> Result<GatewayConfig> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("adversity");
    kafka.create_topic(&topic, 1, &[]).await?;
    kafka.produce_many((0..records).map(|_| Record::new(&topic, vec![b'x'; 1000]))).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.stream.replay.ring_bytes = MIB as u64;
    Ok(config)
}

/// Memory that a gateway holds now more than then, in bytes.
pub fn growth(gateway: &GatewayProcess, before: usize) -> Result<usize> {
    Ok(gateway.resident_bytes()?.saturating_sub(before))
}
