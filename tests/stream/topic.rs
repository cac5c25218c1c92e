//! Topics that are missing, deleted, made again, or get more partitions.

use crate::broker::numbered;
use crate::producer::Producer;
use crate::reader::Reader;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{Listener, RealKafka, unique};
use headgate_tests::wait::eventually_ok;
use headgate_wire::message::GapReason;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use std::time::Duration;

/// How soon `/status` must know what is wrong, or that nothing is any more.
const NOTICED: Duration = Duration::from_mins(1);

async fn state_becomes(gateway: &Gateway, state: &str) -> Result<()> {
    eventually_ok(format!("/status to say {state}"), NOTICED, async || {
        let status = gateway.status().await?["streams"][0]["kafka"].clone();
        ensure!(status["state"] == state, "{status}");
        Ok(())
    })
    .await
}

/// Deletes a topic and makes it again, as soon as the broker allows.
async fn make_again(kafka: &RealKafka, topic: &str, partitions: i32) -> Result<()> {
    kafka.delete_topic(topic).await?;
    eventually_ok("the topic to be made again", NOTICED, async || kafka.create_topic(topic, partitions, &[]).await)
        .await
}

async fn add_partitions(kafka: &RealKafka, topic: &str, count: usize) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = kafka.client(Listener::Plaintext).create()?;
    let results = admin.create_partitions(&[NewPartitions::new(topic, count)], &AdminOptions::new()).await?;
    let result = results.into_iter().next().context("no result")?;
    result.map(drop).map_err(|(topic, code)| anyhow::anyhow!("cannot add partitions to {topic}: {code}"))
}

/// A gateway may be there before its topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_reported_and_served_as_soon_as_it_is_there() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("missing");
    let gateway = Gateway::start_unready(gateway::config(&kafka.bootstrap(), &topic), Vec::new()).await?;
    state_becomes(&gateway, "TopicNotFound").await?;
    let status = gateway.status().await?;
    assert!(status["streams"][0]["kafka"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{status}");
    assert_eq!(gateway.admin_get("/readyz").await?.0, 503);
    kafka.create_topic(&topic, 2, &[]).await?;
    gateway.ready().await?;
    state_becomes(&gateway, "Reading").await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 2, 0..20)).await?;
    reader.events(20).await?;
    gateway.stop().await
}

/// W16: nothing of the new topic is taken for the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_again_is_a_gap_and_then_its_new_records() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("again");
    kafka.create_topic(&topic, 2, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    let mut left = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 2, 0..100)).await?;
    reader.events(100).await?;
    left.events(100).await?;
    let left = left.cut();

    make_again(kafka, &topic, 2).await?;
    kafka.produce_many(numbered(&topic, 2, 1000..1010)).await?;
    reader.events(110).await?;
    reader.history.gaps.sort_by_key(|gap| gap.0);
    assert_eq!(reader.history.gaps, [(0, 50, 0, GapReason::TopicReset), (1, 50, 0, GapReason::TopicReset)]);
    assert_eq!(reader.history.numbers(), (0..100).chain(1000..1010).collect::<Vec<_>>());
    state_becomes(&gateway, "Reading").await?;

    // A client that was away is told the same.
    let mut returned = Reader::resume(&gateway.url("/orders"), left).await?;
    assert!(!returned.resumed);
    returned.events(110).await?;
    returned.history.gaps.sort_by_key(|gap| gap.0);
    assert_eq!(returned.history.gaps, reader.history.gaps);
    assert_eq!(returned.history.numbers(), reader.history.numbers());
    gateway.stop().await
}

/// W16: also when the new topic has as many records as the old one before anybody looks, or fewer partitions.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_again_and_filled_at_once_is_read_from_its_start() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("refilled");
    kafka.create_topic(&topic, 3, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 3, 0..60)).await?;
    reader.events(60).await?;
    make_again(kafka, &topic, 2).await?;
    kafka.produce_many(numbered(&topic, 2, 1000..1200)).await?;
    reader.events(260).await?;
    assert_eq!(reader.history.numbers(), (0..60).chain(1000..1200).collect::<Vec<_>>());
    assert!(reader.history.gaps.iter().all(|gap| gap.3 == GapReason::TopicReset), "{:?}", reader.history.gaps);
    state_becomes(&gateway, "Reading").await?;
    // The cursor is one of the new topic.
    kafka.produce_many(numbered(&topic, 2, 1200..1210)).await?;
    let mut reader = Reader::resume(&gateway.url("/orders"), reader.cut()).await?;
    assert!(reader.resumed);
    reader.events(270).await?;
    gateway.stop().await
}

/// Nothing is there to be read, and that is no fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_again_and_stays_empty_is_no_fault() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("empty-again");
    kafka.create_topic(&topic, 1, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 1, 0..10)).await?;
    reader.events(10).await?;
    kafka.delete_topic(&topic).await?;
    state_becomes(&gateway, "TopicNotFound").await?;
    assert_eq!(gateway.admin_get("/readyz").await?.0, 200);
    eventually_ok("the topic to be made again", NOTICED, async || kafka.create_topic(&topic, 1, &[]).await).await?;
    state_becomes(&gateway, "Reading").await?;
    reader.gaps(1).await?;
    assert_eq!(reader.history.gaps, [(0, 10, 0, GapReason::TopicReset)]);
    gateway.stop().await
}

/// W16: clients that ask for positions all the time do not delay it.
#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_are_read_from_their_start() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("more");
    kafka.create_topic(&topic, 1, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    kafka.produce_many(numbered(&topic, 1, 0..10)).await?;
    reader.events(10).await?;
    let away = Reader::open(&gateway.url("/orders")).await?.cut();
    add_partitions(kafka, &topic, 4).await?;
    // One that does not remember the single partition.
    let values = (100..200).map(|n| (n % 4, format!(r#"{{"n":{n}}}"#)));
    Producer::new(kafka, &topic, &[])?.send(values).await?;
    let url = gateway.url("/orders?from=-1");
    let busy = async { while Reader::open(&url).await.is_ok() {} };
    tokio::select! {
        () = busy => anyhow::bail!("a client was refused"),
        seen = reader.events(110) => seen?,
    }
    assert_eq!(reader.history.numbers(), (0..10).chain(100..200).collect::<Vec<_>>());
    // A cursor from before the change knows nothing of the new partitions.
    let mut returned = Reader::resume(&gateway.url("/orders"), away).await?;
    assert!(returned.resumed);
    returned.events(100).await?;
    assert_eq!(returned.history.numbers(), (100..200).collect::<Vec<_>>());
    gateway.stop().await
}
