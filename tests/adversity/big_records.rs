//! Many slow clients that come back and must have big records: memory is bounded by the gateway, not by their number.

use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, MIB, alone, attack_time, growth};
use anyhow::{Result, ensure};
use headgate_tests::gateway;
use headgate_tests::kafka::{Listener, RealKafka, Record, produce_many, producer, unique};
use headgate_tests::raw::Raw;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::interval;

const CLIENTS: usize = 100;
/// Sizes of the records, in MiB: up to the largest that a gateway with the default ring shows.
const SIZES: [usize; 8] = [1, 7, 2, 5, 3, 7, 4, 6];
/// What all of this may cost: half of what the operator lets a gateway have by default.
const BOUND: usize = 160 * MIB;
/// What Kafka takes as one record here.
const LARGEST: &str = "10000000";
const KIB_PER_SECOND: usize = 64;

async fn slow(gateway: SocketAddr) -> Result<()> {
    let mut client = Raw::connect_small(gateway).await?.open("/orders?from=earliest", &[HEADGATE]).await?;
    let mut due = interval(Duration::from_millis(250));
    loop {
        due.tick().await;
        if client.skim(KIB_PER_SECOND * 256).await == 0 {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_slow_clients_in_the_middle_of_big_records_cost_bounded_memory() -> Result<()> {
    let _alone = alone().await;
    let kafka = RealKafka::shared().await?;
    let topic = unique("big");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", LARGEST)]).await?;
    let mut client = kafka.client(Listener::Plaintext);
    client.set("message.max.bytes", LARGEST);
    let records = SIZES.iter().cycle().take(16).map(|size| Record::new(&topic, vec![b'x'; size * MIB]));
    produce_many(&producer(client)?, records).await?;
    let gateway = GatewayProcess::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let before = gateway.resident_bytes()?;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(slow(gateway.stream));
    }
    let (mut most, begin) = (0, tokio::time::Instant::now());
    let mut rounds = interval(Duration::from_millis(100));
    while begin.elapsed() < attack_time(10) {
        rounds.tick().await;
        most = most.max(growth(&gateway, before)?);
        ensure!(most <= BOUND, "after {:.0?}, {CLIENTS} clients hold {} MiB", begin.elapsed(), most / MIB);
    }
    println!("at most {} MiB for {CLIENTS} clients", most / MIB);
    Ok(())
}
