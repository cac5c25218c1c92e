//! Where a client begins is what it asked for (W16).

use crate::broker::numbered;
use crate::reader::Reader;
use anyhow::{Result, bail, ensure};
use headgate_tests::client::Client;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_wire::ServerMessage;
use headgate_wire::config::Start;
use jiff::Timestamp;
use std::cell::Cell;

/// Before the time that the producer gives to records on its own.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// A topic of two partitions with the records 0 to 99, one second apart.
async fn topic(kafka: &RealKafka) -> Result<String> {
    let topic = unique("start");
    kafka.create_topic(&topic, 2, &[]).await?;
    let times = (0..100).map(|n| EPOCH_MS + n * 1000);
    kafka.produce_many(numbered(&topic, 2, 0..100).zip(times).map(|(record, time)| record.timestamp(time))).await?;
    Ok(topic)
}

/// The old numbers that a client sees that begins at `from`: all of them, up to `marker` in every partition, which is
/// produced once the client is connected.
async fn seen(kafka: &RealKafka, url: &str, topic: &str, marker: i64) -> Result<Vec<i64>> {
    let mut reader = Reader::open(url).await?;
    assert!(!reader.resumed, "without a cursor there is nothing to resume");
    kafka.produce_many(numbered(topic, 2, marker..marker + 2)).await?;
    reader.until(|history| history.numbers().ends_with(&[marker, marker + 1])).await?;
    Ok(reader.history.numbers().into_iter().filter(|n| *n < 100).collect())
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_begins_with_the_next_record_the_oldest_one_or_the_first_of_a_time() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic(kafka).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let time = |ms| Timestamp::from_millisecond(EPOCH_MS + ms).map(|time| time.to_string());
    let cases = [
        (String::new(), 100),
        ("latest".to_owned(), 100),
        ("earliest".to_owned(), 0),
        (time(40_000)?, 40),
        // Between two records: with the later one.
        (time(39_500)?, 40),
        ("2023-11-14T23:14:00%2B01:00".to_owned(), 40),
        ("1969-01-01T00:00:00Z".to_owned(), 0),
    ];
    for (round, (from, first)) in (0..).zip(cases) {
        let query = if from.is_empty() { String::new() } else { format!("?from={from}") };
        let numbers = seen(kafka, &gateway.url(&format!("/orders{query}")), &topic, 100 + 2 * round).await?;
        assert_eq!(numbers, (first..100).collect::<Vec<_>>(), "from={from}");
    }
    gateway.stop().await
}

/// W16: from the moment at which it sees the 101, and not some later one at which the gateway gets round to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_produced_once_a_client_has_its_101_always_comes() -> Result<()> {
    const CLIENTS: usize = 100;
    let kafka = RealKafka::shared().await?;
    let topic = unique("at-once");
    kafka.create_topic(&topic, 1, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let (sent, met) = (Cell::new(0), Cell::new(0));
    let producing = async {
        while met.get() < CLIENTS {
            sent.set(sent.get() + 1);
            kafka.produce_many(numbered(&topic, 1, sent.get() - 1..sent.get())).await?;
        }
        anyhow::Ok(())
    };
    let connecting = async {
        for _ in 0..CLIENTS {
            let mut client = Client::connect(&gateway.url("/orders")).await?;
            let sent_before = sent.get();
            let _ = client.ready().await?;
            let Ok(ServerMessage::Event { offset, .. }) = client.message().await? else { bail!("not an event") };
            ensure!(offset <= sent_before, "the first is {offset}, though {sent_before} was sent after the 101");
            met.set(met.get() + 1);
        }
        Ok(())
    };
    tokio::try_join!(producing, connecting)?;
    gateway.stop().await
}

/// W16: a time that has not come yet is the end of the topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_the_future_begins_with_the_next_record() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic(kafka).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders?from=2999-01-01T00:00:00Z")).await?;
    kafka.produce(Record::new(&topic, r#"{"n":7}"#)).await?;
    reader.events(1).await?;
    assert_eq!(reader.history.numbers(), [7]);
    gateway.stop().await
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_begin_with_the_last_records_of_every_partition() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic(kafka).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    for (from, first) in [("-1", 98), ("-10", 80), ("-5000", 0)] {
        let mut reader = Reader::open(&gateway.url(&format!("/orders?from={from}"))).await?;
        reader.events(100 - first as usize).await?;
        assert_eq!(reader.history.numbers(), (first..100).collect::<Vec<_>>(), "from={from}");
    }
    gateway.stop().await
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_let_its_clients_begin_with_the_oldest_record() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic(kafka).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.stream.start = Start::Earliest;
    let gateway = Gateway::start(config).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    reader.events(100).await?;
    assert_eq!(reader.history.numbers(), (0..100).collect::<Vec<_>>());
    gateway.stop().await
}

/// W16: a typing error is never taken for "latest".
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_makes_no_sense_is_refused_before_the_upgrade() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = topic(kafka).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    for from in ["earlest", "", "-", "-0", "AQMArAI", "2023-11-14T23:14:00"] {
        let answer = Client::try_connect(&gateway.url(&format!("/orders?from={from}")), &[]).await?;
        let (status, body) = answer.err().unwrap_or_default();
        assert_eq!(status, 400, "from={from}");
        assert!(body.contains("from"), "{body}");
    }
    gateway.stop().await
}
