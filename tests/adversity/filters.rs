//! Filters that are as costly as they may be: what they take is not taken from others.

use crate::probe::Probe;
use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, alone, mock};
use anyhow::{Result, ensure};
use headgate_tests::kafka::{Record, produce_many, producer};
use headgate_tests::raw::{Raw, masked};
use rdkafka::ClientConfig;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::interval;

/// What one address may have by default, less than the healthy one's.
const CLIENTS: usize = 190;
/// Leaves of one filter, as many as it may have.
const LEAVES: usize = 64;
/// Without optimisation, a leaf takes fifteen times as long.
const RECORDS_PER_SECOND: usize = if cfg!(debug_assertions) { 140 } else { 2000 };
/// How many times later than before a record may be for a healthy client; a record that is hardly late gets a constant.
const WORSE: u32 = 3;
const CONSTANT: Duration = Duration::from_millis(30);

/// A filter that matches nothing before it has looked at every leaf, different for each client.
fn costly(client: usize) -> Vec<u8> {
    let leaves: Vec<_> =
        (0..LEAVES).map(|leaf| serde_json::json!({ "suffix": { "subject": format!("{client}-{leaf}") } })).collect();
    let filter = serde_json::json!({ "not": { "not": { "any": leaves } } });
    masked(0x81, serde_json::json!({ "type": "filter", "filters": [filter] }).to_string().as_bytes())
}

async fn hostile(gateway: SocketAddr, number: usize) -> Result<()> {
    let mut client = Raw::connect(gateway).await?.open("/orders?filter.subject=nobody", &[HEADGATE]).await?;
    client.send(&costly(number)).await?;
    loop {
        client.text().await?;
    }
}

async fn flood(bootstrap: String, topic: String) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let producer = producer(config)?;
    let mut due = interval(Duration::from_millis(50));
    loop {
        due.tick().await;
        let records = (0..RECORDS_PER_SECOND / 20)
            .map(|n| Record::new(&topic, r#"{"n":1}"#).partition(1).header("ce_subject", format!("subject-{n}")));
        produce_many(&producer, records).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn costly_filters_of_one_address_do_not_delay_the_records_of_others() -> Result<()> {
    let _alone = alone().await;
    let config = mock(2)?;
    let (bootstrap, topic) = (config.kafka.bootstrap_servers.clone(), config.kafka.topic.clone());
    let gateway = GatewayProcess::start(config).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(flood(bootstrap.clone(), topic.clone()));
    let mut probe = Probe::start(gateway.stream, &bootstrap, &topic).await?;
    let calm = probe.measure().await?;
    for number in 0..CLIENTS {
        tasks.spawn(hostile(gateway.stream, number));
    }
    probe.measure().await?;
    let attacked = probe.measure().await?;
    println!("calm: {calm}; attacked: {attacked}");
    ensure!(attacked.p99 <= calm.p99 * WORSE + CONSTANT, "calm: {calm}; attacked: {attacked}");
    Ok(())
}
