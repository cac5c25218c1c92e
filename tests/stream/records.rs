//! Records that nobody expects never end a stream (W3, W21, W26).

use crate::producer::Producer;
use crate::reader::Reader;
use crate::wire_records::produce_with_header;
use anyhow::Result;
use headgate_tests::client::Client;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_wire::message::GapReason;
use serde_json::{Value, json};

const HUGE: usize = 5 * 1024 * 1024;

/// Everything odd, in this order; the last record is `{"n":1}`.
async fn produce_odd_records(kafka: &RealKafka, topic: &str) -> Result<()> {
    kafka.produce(Record::new(topic, r#"{"t":NaN}"#).header("content-type", "application/json")).await?;
    kafka.produce(Record::new(topic, "")).await?;
    kafka.produce(Record::tombstone(topic, "gone")).await?;
    kafka.produce(Record::new(topic, vec![0xff, 0x00, 0xfe]).key(vec![0xff, 0x00])).await?;
    produce_with_header(kafka, topic, &[b'x', 0xff, 0xfe], b"value").await?;
    let incomplete = r#"{"specversion":"1.0","source":"s","type":"t"}"#;
    kafka.produce(Record::new(topic, incomplete).header("content-type", "application/cloudevents+json")).await?;
    let settings = [("message.max.bytes", "20000000")];
    Producer::new(kafka, topic, &settings)?.send([(0, "x".repeat(HUGE))]).await?;
    kafka.produce(Record::new(topic, r#"{"n":1}"#)).await?;
    Ok(())
}

async fn gateway(kafka: &RealKafka, topic: &str) -> Result<Gateway> {
    kafka.create_topic(topic, 1, &[("max.message.bytes", "20000000")]).await?;
    let mut config = gateway::config(&kafka.bootstrap(), topic);
    config.stream.replay.ring_bytes = 1024 * 1024;
    Gateway::start(config).await
}

/// Text messages of a connection, up to the one that holds the last record.
async fn texts(client: &mut Client) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    loop {
        let text = client.text().await?.map_err(|closed| anyhow::anyhow!("{closed:?} after {texts:?}"))?;
        texts.push(text);
        if texts.last().is_some_and(|text| text.contains(r#""n":1}"#)) {
            return Ok(texts);
        }
    }
}

/// W3, W26: live and in a replay.
#[tokio::test(flavor = "multi_thread")]
async fn odd_records_are_shown_or_told_and_every_stream_continues() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("odd");
    let gateway = gateway(kafka, &topic).await?;
    let mut live = Reader::open(&gateway.url("/orders")).await?;
    let mut filtered = Reader::open(&gateway.url("/orders?filter.type.prefix=dev.")).await?;
    let mut raw = Client::connect_with(&gateway.url("/orders?format=raw"), &[]).await?;
    let mut payload = Client::connect_with(&gateway.url("/orders?format=topic-payload"), &[]).await?;
    produce_odd_records(kafka, &topic).await?;
    live.events(5).await?;
    let mut replayed = Reader::open(&gateway.url("/orders?from=earliest")).await?;
    replayed.events(5).await?;
    for reader in [&live, &replayed] {
        let events: Vec<&Value> = reader.history.events.iter().map(|event| &event.content).collect();
        assert_eq!(events[0]["data"], r#"{"t":NaN}"#, "as text, since browsers refuse it as JSON");
        assert_eq!(events[1]["data"], "");
        assert_eq!(
            (&events[2]["type"], &events[2]["partitionkey"]),
            (&json!("dev.headgate.tombstone.v1"), &json!("gone"))
        );
        assert_eq!(events[3]["data_base64"], "/wD+");
        assert_eq!(events[4]["data"]["n"], 1);
        let undecodable = |offset| (0, offset, offset + 1, GapReason::Undecodable);
        assert_eq!(reader.history.gaps, [undecodable(4), undecodable(5), (0, 6, 7, GapReason::TooLarge)]);
    }
    filtered.until(|history| history.numbers() == [1]).await?;
    assert_eq!(filtered.history.gaps.len(), 3, "{:?}", filtered.history.gaps);
    let raw = texts(&mut raw).await?;
    assert_eq!(raw[..3], [r#"{"t":NaN}"#, "", "binary:\u{fffd}\0\u{fffd}"]);
    let payload = texts(&mut payload).await?;
    assert_eq!(payload[2], format!(r#"{{"topic":"{topic}","payload":null}}"#), "{payload:?}");
    let skipped = gateway.metric("headgate_gateway_records_skipped_total").await?;
    assert!(skipped >= 3.0, "{skipped}");
    gateway.stop().await
}

/// W3: a client that comes back over an odd record does not get stuck on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_beside_an_odd_record_resumes() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("beside");
    let gateway = gateway(kafka, &topic).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    produce_odd_records(kafka, &topic).await?;
    reader.events(5).await?;
    // Each connection takes one event, and leaves; a gap has no cursor of its own, so it comes again.
    let mut history = Reader::open(&gateway.url("/orders?from=earliest")).await?.cut();
    for events in 1..=5 {
        let mut reader = Reader::resume(&gateway.url("/orders"), history).await?;
        assert!(reader.resumed);
        reader.until(|history| history.events.len() >= events).await?;
        history = reader.cut();
    }
    let offsets: Vec<i64> = history.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 7]);
    assert_eq!(history.gaps.iter().map(|gap| gap.1).collect::<Vec<_>>(), [4, 5, 6]);
    gateway.stop().await
}

/// W21: in the form of extensions, which every CloudEvents library knows.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_metadata_carries_partition_offset_time_and_key() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("metadata");
    kafka.create_topic(&topic, 3, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let protocol = [("sec-websocket-protocol", "cloudevents.json")];
    let mut client = Client::connect_with(&gateway.url("/orders?metadata=kafka"), &protocol).await?;
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","extra":"kept","data":{"n":1}}"#;
    for value in [r#"{"n":0}"#, event] {
        let record = Record::new(&topic, value).partition(2).key("kölsch").timestamp(1_700_000_000_123);
        kafka.produce(record).await?;
    }
    for offset in 0..2 {
        let text = client.text().await?.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
        let seen: Value = serde_json::from_str(&text)?;
        assert_eq!(seen["headgatepartition"], 2, "{text}");
        assert_eq!(seen["headgateoffset"], offset.to_string());
        assert_eq!(seen["headgatetime"], "2023-11-14T22:13:20.123Z");
        assert_eq!(seen["headgatekey"], "kölsch");
        assert_eq!(seen["data"]["n"], offset);
        // The extension that a client without an envelope resumes by.
        let cursor = seen["headgatecursor"].as_str().unwrap_or_default();
        assert!(Reader::open(&gateway.url(&format!("/orders?from={cursor}"))).await?.resumed);
    }
    gateway.stop().await
}
