//! Partitions whose only broker is dead: nobody waits for them, and nothing of them is lost once it is back.

use crate::broker::OwnKafka;
use anyhow::{Context as _, Result, bail};
use headgate_tests::client::Client;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, Record};
use headgate_tests::wait::eventually;
use headgate_wire::ServerMessage;
use std::time::Duration;

const TOPIC: &str = "orders";
/// On the broker that stays.
const SOUND: i32 = 0;
/// On the broker that dies.
const LOST: i32 = 1;
/// Far above what the cluster takes to notice a death.
const SOON: Duration = Duration::from_mins(1);

/// The partitions and offsets of the next events.
async fn next(client: &mut Client, events: usize) -> Result<Vec<(i32, i64)>> {
    let mut seen = Vec::new();
    while seen.len() < events {
        match client.message().await? {
            Ok(ServerMessage::Event { partition, offset, .. }) => seen.push((partition, offset)),
            Ok(ServerMessage::Cursor { .. }) => {}
            other => bail!("{other:?}"),
        }
    }
    Ok(seen)
}

async fn open(gateway: &Gateway, query: &str) -> Result<Client> {
    let mut client = Client::connect(&gateway.url(&format!("/orders{query}"))).await?;
    client.ready().await?;
    Ok(client)
}

async fn produce(kafka: &RealKafka, partition: i32, records: usize) -> Result<()> {
    let record = |n| Record::new(TOPIC, format!("{n}")).partition(partition);
    kafka.produce_many((0..records).map(record)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_broker_holds_up_neither_streams_nor_newcomers_nor_a_gateway_that_starts_and_its_records_come_later()
-> Result<()> {
    let own = OwnKafka::start().await?;
    let kafka = &own.broker;
    let mut second = kafka.start_beside(2).await?;
    kafka.create_topic_on(TOPIC, &[1, 2]).await?;
    produce(kafka, SOUND, 20).await?;
    produce(kafka, LOST, 20).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), TOPIC)).await?;
    let mut streaming = open(&gateway, "").await?;

    second.kill()?;
    eventually("the cluster to see the death", SOON, async || {
        kafka.leader(TOPIC, LOST).await.is_ok_and(|leader| leader < 0)
    })
    .await?;
    produce(kafka, SOUND, 1).await?;
    assert_eq!(next(&mut streaming, 1).await?, [(SOUND, 20)]);
    let fresh = Gateway::start(gateway::config(&kafka.bootstrap(), TOPIC)).await?;
    let mut earliest = open(&fresh, "?from=earliest").await?;
    let expected: Vec<_> = (0..21).map(|offset| (SOUND, offset)).collect();
    assert_eq!(next(&mut earliest, 21).await?, expected);
    let mut last = open(&fresh, "?from=-5").await?;
    assert_eq!(next(&mut last, 5).await?, expected[16..]);
    let mut latest = open(&fresh, "").await?;

    second.start_again().await?;
    produce(kafka, LOST, 1).await?;
    assert_eq!(next(&mut streaming, 1).await?, [(LOST, 20)]);
    let of_lost: Vec<_> = next(&mut earliest, 21).await?;
    assert_eq!(of_lost, (0..21).map(|offset| (LOST, offset)).collect::<Vec<_>>(), "from its beginning, everything");
    let newest = next(&mut latest, 1).await.context("a record that came after the broker had come back")?;
    assert_eq!(newest[0].0, LOST);
    gateway.stop().await?;
    fresh.stop().await
}
