//! Transactions: what was aborted is never seen, and the invisible records that end them are no obstacle (W16).

use crate::producer::Producer;
use crate::reader::Reader;
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use headgate_tests::wait::eventually;
use headgate_wire::config::Isolation;
use std::ops::Range;
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);

fn values(numbers: Range<i64>) -> impl Iterator<Item = (i32, String)> + Send {
    numbers.map(|n| ((n % 2) as i32, format!(r#"{{"n":{n}}}"#)))
}

async fn producer(kafka: &RealKafka, topic: &str) -> Result<Producer> {
    let producer = Producer::new(kafka, topic, &[("transactional.id", topic)])?;
    producer.init_transactions().await?;
    Ok(producer)
}

async fn commit(producer: &Producer, numbers: Range<i64>) -> Result<()> {
    producer.begin()?;
    producer.send(values(numbers)).await?;
    producer.commit().await
}

async fn abort(producer: &Producer, numbers: Range<i64>) -> Result<()> {
    producer.begin()?;
    producer.send(values(numbers)).await?;
    producer.abort().await
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_aborted_is_never_seen_live_or_in_a_replay() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("aborted");
    kafka.create_topic(&topic, 2, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut live = Reader::open(&gateway.url("/orders")).await?;
    let producer = producer(kafka, &topic).await?;
    commit(&producer, 0..20).await?;
    abort(&producer, 1000..1020).await?;
    commit(&producer, 20..40).await?;
    live.events(40).await?;
    assert_eq!(live.history.numbers(), (0..40).collect::<Vec<_>>());
    // More than a fresh gateway reads into memory, so that the first ones must be replayed.
    for round in 0..6 {
        abort(&producer, 1000..1500).await?;
        commit(&producer, 40 + round * 500..540 + round * 500).await?;
    }
    let fresh = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut replayed = Reader::open(&fresh.url("/orders?from=earliest")).await?;
    replayed.events(3040).await?;
    assert_eq!(replayed.history.numbers(), (0..3040).collect::<Vec<_>>());
    assert!(fresh.metric("headgate_gateway_replays_started_total").await? >= 1.0);
    assert_eq!((&live.history.gaps, &replayed.history.gaps), (&vec![], &vec![]));
    Ok(())
}

/// W16: until then, nobody may see them.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_an_open_transaction_come_when_it_is_committed_and_in_order() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("open");
    kafka.create_topic(&topic, 2, &[]).await?;
    let producer = producer(kafka, &topic).await?;
    commit(&producer, 0..20).await?;
    producer.begin()?;
    producer.send(values(20..40)).await?;
    let committed = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.kafka.isolation = Isolation::ReadUncommitted;
    let uncommitted = Gateway::start(config).await?;
    let mut reader = Reader::open(&committed.url("/orders?from=earliest")).await?;
    reader.events(20).await?;
    let mut eager = Reader::open(&uncommitted.url("/orders?from=earliest")).await?;
    eager.events(40).await?;
    // In the middle of it, the cursor of one who sees only what is committed still is a good one.
    let mut reader = Reader::resume(&committed.url("/orders"), reader.cut()).await?;
    assert!(reader.resumed);
    producer.commit().await?;
    reader.events(40).await?;
    assert_eq!(reader.history.numbers(), (0..40).collect::<Vec<_>>());
    Ok(())
}

/// W16: the last thing in each partition is a record that nobody sees. Cursors before and after it are the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_at_the_very_end_resumes_after_a_transaction() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("end");
    kafka.create_topic(&topic, 2, &[]).await?;
    let producer = producer(kafka, &topic).await?;
    commit(&producer, 0..20).await?;
    let first = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&first.url("/orders?from=earliest")).await?;
    reader.events(20).await?;
    abort(&producer, 1000..1100).await?;
    // This one begins behind markers and aborted records.
    let second = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let at_end = Reader::open(&second.url("/orders?from=latest")).await?.cut();
    let mut ahead = Reader::resume(&first.url("/orders"), at_end).await?;
    assert!(ahead.resumed);
    let mut behind = Reader::resume(&second.url("/orders"), reader.cut()).await?;
    assert!(behind.resumed);
    commit(&producer, 20..40).await?;
    ahead.events(20).await?;
    behind.events(40).await?;
    assert_eq!(ahead.history.numbers(), (20..40).collect::<Vec<_>>());
    assert_eq!(behind.history.numbers(), (0..40).collect::<Vec<_>>());
    assert_eq!((&ahead.history.gaps, &behind.history.gaps), (&vec![], &vec![]));
    Ok(())
}

/// Half of the offsets of these transactions are markers, and then come aborted records.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_n_are_records_and_not_offsets() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("last");
    kafka.create_topic(&topic, 2, &[]).await?;
    let producer = producer(kafka, &topic).await?;
    for n in 0..30 {
        commit(&producer, 2 * n..2 * n + 2).await?;
    }
    abort(&producer, 1000..1400).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    for last in [1, 10, 29, 30, 5000] {
        let mut reader = Reader::open(&gateway.url(&format!("/orders?from=-{last}"))).await?;
        let expected: Vec<i64> = ((60 - 2 * last).max(0)..60).collect();
        reader.events(expected.len()).await?;
        assert_eq!(reader.history.numbers(), expected, "from=-{last}");
        assert_eq!(reader.history.gaps, vec![], "from=-{last}");
    }
    gateway.stop().await
}

/// Nothing is wrong with the gateway, and everybody would think so.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_that_holds_the_stream_is_told_as_that_and_markers_are_no_lag() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("open");
    kafka.create_topic(&topic, 1, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let producer = Producer::new(kafka, &topic, &[("transactional.id", &topic)])?;
    producer.init_transactions().await?;
    let values = |numbers: Range<i64>| numbers.map(|n| (0, format!(r#"{{"n":{n}}}"#)));
    producer.begin()?;
    producer.send(values(0..10)).await?;
    producer.commit().await?;
    let mut reader = Reader::open(&gateway.url("/orders?from=earliest")).await?;
    reader.events(10).await?;
    let lag = || gateway.metric(r#"headgate_gateway_kafka_lag_records{app="orders",partition="0"}"#);
    eventually("no lag behind a marker", SOON, async || lag().await.is_ok_and(|lag| lag == 0.0)).await?;
    producer.begin()?;
    producer.send(values(10..15)).await?;
    eventually("the reason in /status", SOON, async || {
        let Ok(status) = gateway.status().await else { return false };
        let kafka = &status["streams"][0]["kafka"];
        kafka["state"] == "Reading"
            && kafka["reason"].as_str().is_some_and(|reason| reason.contains("open transaction"))
    })
    .await?;
    producer.commit().await?;
    reader.events(15).await?;
    eventually("no reason any more", SOON, async || {
        gateway.status().await.is_ok_and(|status| status["streams"][0]["kafka"]["reason"].is_null())
    })
    .await?;
    gateway.stop().await
}
