//! A topic of a thousand partitions: a gateway starts in seconds, and whoever comes begins at once, wherever.

use crate::broker::numbered;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::client::Client;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use headgate_wire::ServerMessage;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 1_000;
/// Without optimisation and beside other tests; alone it is about a tenth.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
const READY_WITHIN: Duration = Duration::from_secs(3);
/// Clients of each kind, one after the other.
const CLIENTS: usize = 5;

async fn ready(gateway: &Gateway, from: &str) -> Result<(Client, String, Duration)> {
    let begin = Instant::now();
    let mut client = Client::connect(&gateway.url(&format!("/orders?from={from}"))).await?;
    match client.message().await? {
        Ok(ServerMessage::Ready { cursor, .. }) => Ok((client, cursor, begin.elapsed())),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_a_thousand_partitions_starts_in_seconds_and_lets_everybody_begin_at_once() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("many");
    kafka.create_topic(&topic, PARTITIONS, &[]).await?;
    kafka.produce_many(numbered(&topic, PARTITIONS, 0..2 * i64::from(PARTITIONS))).await?;
    let begin = Instant::now();
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let started = begin.elapsed();
    ensure!(started < STARTS_WITHIN, "the gateway took {started:?}");
    let mut cursor = String::from("latest");
    for from in ["earliest", "-1", "cursor"] {
        for number in 0..CLIENTS {
            let from = if from == "cursor" { &cursor } else { from };
            let (mut client, at, after) = ready(&gateway, from).await?;
            println!("{} after {after:?}", &from[..from.len().min(10)]);
            ensure!(after < READY_WITHIN, "{from}: ready after {after:?}");
            let first = client.message().await?.ok().context("closed")?;
            if number == 0 && from == "earliest" {
                ensure!(matches!(first, ServerMessage::Event { offset: 0, .. }), "{first:?}");
            }
            cursor = at;
        }
    }
    println!("started in {started:?}, a cursor has {} characters", cursor.len());
    gateway.stop().await
}
