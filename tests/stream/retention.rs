//! What retention took before a client came back is told, exactly (W16).

use crate::broker::{numbered, padded, wait_until_read};
use crate::reader::Reader;
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use headgate_wire::message::GapReason;

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_retention_has_passed_gets_a_gap_of_exactly_the_missing_range() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("passed");
    kafka.create_topic(&topic, 2, &[]).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.stream.replay.ring_bytes = 1024 * 1024;
    let gateway = Gateway::start(config).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 2, 0..100)).await?;
    reader.events(100).await?;
    let history = reader.cut();
    // Far enough to be out of memory.
    kafka.produce_many(padded(&topic, 2, 100..4000, 1000)).await?;
    wait_until_read(&gateway, 4000).await?;
    kafka.delete_records_before(&topic, 1, 700).await?;
    let mut reader = Reader::resume(&gateway.url("/orders"), history.clone()).await?;
    assert!(!reader.resumed, "something is missing");
    // Partition 1 had 50 of its records seen; 51 to 700 are gone.
    reader.events(4000 - 650).await?;
    assert_eq!(reader.history.gaps, [(1, 50, 700, GapReason::Retention)]);
    let missing = |n: &i64| n % 2 == 1 && (50..700).contains(&(n / 2));
    assert_eq!(reader.history.numbers(), (0..4000).filter(|n| !missing(n)).collect::<Vec<_>>());

    // Once told, the same gap is never told again.
    let reader = Reader::resume(&gateway.url("/orders"), reader.cut()).await?;
    assert!(reader.resumed);
    // A client that has what retention took misses nothing.
    let mut ahead = history;
    ahead.cursor = reader.history.cursor.clone();
    assert!(Reader::resume(&gateway.url("/orders"), ahead).await?.resumed);
    gateway.stop().await
}

/// W16: also when nothing at all is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_into_a_topic_that_retention_has_emptied_gets_its_gap_at_once() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("emptied");
    kafka.create_topic(&topic, 2, &[]).await?;
    kafka.produce_many(numbered(&topic, 2, 0..100)).await?;
    let first = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&first.url("/orders?from=earliest")).await?;
    reader.events(60).await?;
    let history = reader.cut();
    let seen = history.events.iter().filter(|event| event.partition == 0).count() as i64;
    for partition in 0..2 {
        kafka.delete_records_before(&topic, partition, 50).await?;
    }
    // It has nothing in memory.
    let second = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::resume(&second.url("/orders"), history).await?;
    assert!(!reader.resumed);
    let expected: Vec<_> = [(0, seen, 50), (1, 60 - seen, 50)].into_iter().filter(|(_, from, to)| from < to).collect();
    reader.gaps(expected.len()).await?;
    let gaps: Vec<_> = reader.history.gaps.iter().map(|(partition, from, to, _)| (*partition, *from, *to)).collect();
    assert_eq!(gaps, expected);
    kafka.produce_many(numbered(&topic, 2, 100..110)).await?;
    reader.events(70).await?;
    Ok(())
}
