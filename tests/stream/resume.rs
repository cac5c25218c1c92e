//! Clients that come back find exactly what they have not seen (W16, W18).

use crate::broker::{numbered, padded, wait_until_read};
use crate::reader::{History, Reader};
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use headgate_wire::GatewayConfig;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least memory that a stream may have, in bytes.
const SMALL_RING: u64 = 1024 * 1024;
const REPLAYS: &str = "headgate_gateway_replays_started_total";

fn small_ring(kafka: &RealKafka, topic: &str) -> GatewayConfig {
    let mut config = gateway::config(&kafka.bootstrap(), topic);
    config.stream.replay.ring_bytes = SMALL_RING;
    config
}

fn all(count: i64) -> Vec<i64> {
    (0..count).collect()
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn a_near_cursor_resumes_from_memory() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("near");
    kafka.create_topic(&topic, 3, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    assert!(!reader.resumed);
    kafka.produce_many(numbered(&topic, 3, 0..300)).await?;
    reader.events(100).await?;
    let mut reader = Reader::resume(&gateway.url("/orders"), reader.cut()).await?;
    assert!(reader.resumed);
    reader.events(300).await?;
    assert_eq!(reader.history.numbers(), all(300));
    assert!(gateway.metric(REPLAYS).await? < 1.0, "nothing need be read from Kafka");
    gateway.stop().await
}

/// W16: what is no longer in memory is read from Kafka, and joins the live stream without loss or repeat while
/// producers go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_far_cursor_resumes_by_a_replay_that_meets_the_live_stream() -> Result<()> {
    const OLD: i64 = 3_000;
    const LIVE: i64 = 2_000;
    let kafka = RealKafka::shared().await?;
    let topic = unique("far");
    kafka.create_topic(&topic, 4, &[]).await?;
    let gateway = Gateway::start(small_ring(kafka, &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders?from=latest")).await?;
    kafka.produce_many(numbered(&topic, 4, 0..100)).await?;
    reader.events(57).await?;
    let history = reader.cut();
    kafka.produce_many(padded(&topic, 4, 100..OLD, 600)).await?;
    wait_until_read(&gateway, OLD as usize).await?;
    // In small steps, so that the joint lies anywhere; all of them together fit the memory, so that nobody is too slow.
    let produce = async {
        for first in (OLD..OLD + LIVE).step_by(50) {
            kafka.produce_many(padded(&topic, 4, first..first + 50, 100)).await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        let mut reader = Reader::resume(&gateway.url("/orders"), history).await?;
        assert!(reader.resumed);
        reader.events((OLD + LIVE) as usize).await?;
        anyhow::Ok(reader.cut())
    };
    let ((), history) = tokio::try_join!(produce, read)?;
    assert_eq!(history.numbers(), all(OLD + LIVE));
    assert_eq!(history.gaps, []);
    assert!(gateway.metric(REPLAYS).await? >= 1.0);
    gateway.stop().await
}

/// W16: fifty clients that lost their connection together do not need fifty consumers.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_that_resume_at_once_share_few_replays() -> Result<()> {
    const CLIENTS: usize = 50;
    /// Each shard starts one at once, and one more in each of these for everybody who has come meanwhile.
    const COMPANY: Duration = Duration::from_millis(250);
    const RECORDS: i64 = 1_200;
    let kafka = RealKafka::shared().await?;
    let topic = unique("crowd");
    kafka.create_topic(&topic, 2, &[]).await?;
    let gateway = Gateway::start(small_ring(kafka, &topic)).await?;
    let begin = Reader::open(&gateway.url("/orders")).await?.cut();
    kafka.produce_many(padded(&topic, 2, 0..RECORDS, 1000)).await?;
    // Otherwise some of them would meet a stream that is still moving too fast for a loaded machine.
    wait_until_read(&gateway, RECORDS as usize).await?;
    let url = gateway.url("/orders");
    let (start, last_arrival) = (Instant::now(), AtomicU64::new(0));
    let resume = |history: History| async {
        let mut reader = Reader::resume(&url, history).await?;
        last_arrival.fetch_max(start.elapsed().as_millis() as u64, Ordering::Relaxed);
        reader.events(RECORDS as usize).await?;
        assert_eq!(reader.history.numbers(), all(RECORDS));
        anyhow::Ok(())
    };
    futures_util::future::try_join_all((0..CLIENTS).map(|_| resume(begin.clone()))).await?;
    let replays = gateway.metric(REPLAYS).await?;
    // On a busy machine they do not come at once.
    let arrivals = Duration::from_millis(last_arrival.into_inner());
    let shards = std::thread::available_parallelism()?.get() as f64;
    let most = shards * (3.0 + arrivals.div_duration_f64(COMPANY));
    println!("{replays} replays for {CLIENTS} clients that came within {arrivals:?}, at most {most:.0}");
    assert!((1.0..=most).contains(&replays), "{replays} replays for {CLIENTS} clients within {arrivals:?}");
    gateway.stop().await
}

/// W18.
#[tokio::test(flavor = "multi_thread")]
async fn every_client_of_every_gateway_sees_every_record() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("replicas");
    kafka.create_topic(&topic, 3, &[]).await?;
    let first = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let second = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut readers = Vec::new();
    for gateway in [&first, &first, &second, &second] {
        readers.push(Reader::open(&gateway.url("/orders")).await?);
    }
    kafka.produce_many(numbered(&topic, 3, 0..900)).await?;
    for reader in &mut readers {
        reader.events(900).await?;
        assert_eq!(reader.history.numbers(), all(900));
    }
    Ok(())
}

/// W18: the cursor of one gateway is good at another, also where that one has not read as far yet.
#[tokio::test(flavor = "multi_thread")]
async fn one_cursor_moves_between_two_gateways_without_loss_or_repeat() -> Result<()> {
    const ROUNDS: i64 = 12;
    let kafka = RealKafka::shared().await?;
    let topic = unique("moving");
    kafka.create_topic(&topic, 3, &[]).await?;
    kafka.produce_many(padded(&topic, 3, 0..4000, 300)).await?;
    let first = Gateway::start(small_ring(kafka, &topic)).await?;
    let second = Gateway::start(small_ring(kafka, &topic)).await?;
    let mut reader = Reader::open(&first.url("/orders?from=earliest")).await?;
    assert!(!reader.resumed);
    reader.events(1234).await?;
    let mut history = reader.cut();
    for round in 0..ROUNDS {
        let gateway = if round % 2 == 0 { &second } else { &first };
        kafka.produce_many(numbered(&topic, 3, 4000 + round * 30..4030 + round * 30)).await?;
        let mut reader = Reader::resume(&gateway.url("/orders"), history).await?;
        assert!(reader.resumed);
        let wanted = if round + 1 == ROUNDS { 4000 + ROUNDS * 30 } else { 1234 + (round + 1) * 250 };
        reader.events(wanted as usize).await?;
        history = reader.cut();
    }
    assert_eq!(history.numbers(), all(4000 + ROUNDS * 30));
    assert_eq!(history.gaps, []);
    Ok(())
}
