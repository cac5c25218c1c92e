//! The only broker of half the partitions is dead: the other half goes on, for those who stream, those who come, and a
//! gateway that starts.

use crate::probe::Probe;
use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, alone};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway;
use headgate_tests::kafka::{KafkaCluster, Record, produce_many, producer, unique};
use headgate_tests::raw::Raw;
use rdkafka::ClientConfig;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a newcomer may wait for its first record, and a gateway until it is ready.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const READY_WITHIN: Duration = Duration::from_secs(12);
/// How late a record of a partition with a leader may be.
const LATE: Duration = Duration::from_millis(500);
const OLD_RECORDS: usize = 50;

/// Comes with this beginning and reads until its first record.
async fn first_event(gateway: SocketAddr, from: &str) -> Result<()> {
    let come = async {
        let target = format!("/orders?from={from}");
        let mut client = Raw::connect(gateway).await?.open(&target, &[HEADGATE]).await?;
        while !client.text().await?.starts_with(r#"{"type":"event""#) {}
        anyhow::Ok(())
    };
    timeout(SERVED_WITHIN, come).await.with_context(|| format!("nothing in {SERVED_WITHIN:?}"))?
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_have_a_leader_are_served_to_everybody_while_others_have_none() -> Result<()> {
    let _alone = alone().await;
    let mut kafka = KafkaCluster::start(2).await?;
    let topic = unique("leaderless");
    kafka.create_topic(&topic, &[&[0], &[0], &[1], &[1]]).await?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.bootstrap());
    let old = (0..4 * OLD_RECORDS).map(|n| Record::new(&topic, r#"{"old":1}"#).partition(n as i32 % 4));
    produce_many(&producer(client)?, old).await?;
    let config = gateway::config(&kafka.bootstrap(), &topic);
    let gateway = GatewayProcess::start(config.clone()).await?;
    let mut probe = Probe::start(gateway.stream, &kafka.bootstrap(), &topic).await?;
    kafka.kill(1)?;
    kafka.wait_for_leaders(&topic, 2).await?;

    let mut failed = Vec::new();
    let live = probe.measure().await?;
    println!("live: {live}");
    ensure!(live.p99 <= LATE, "records of a partition with a leader are late: {live}");
    for from in ["earliest", "latest", "-5"] {
        if let Err(error) = first_event(gateway.stream, from).await {
            failed.push(format!("from={from}: {error:#}"));
        }
    }
    let second = GatewayProcess::start_unready(config)?;
    if let Err(error) = second.ready(READY_WITHIN).await {
        failed.push(format!("a gateway that starts: {}", error.root_cause()));
    } else if let Err(error) = first_event(second.stream, "earliest").await {
        failed.push(format!("from=earliest of a gateway that has just started: {error:#}"));
    }
    ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}
