//! What producers wrote is what clients get, in every format, whatever it is (W21, W22, W26).

use crate::raw::{Frame, Raw};
use crate::stage::{HEADGATE, Stage};
use anyhow::Result;
use headgate_tests::kafka::Record;
use serde_json::{Value, json};

const CLOUDEVENTS: (&str, &str) = ("sec-websocket-protocol", "cloudevents.json");

async fn json_of(client: &mut Raw) -> Result<Value> {
    Ok(serde_json::from_str(&client.text().await?)?)
}

/// W22
#[tokio::test(flavor = "multi_thread")]
async fn a_structured_event_with_extensions_passes_byte_for_byte() -> Result<()> {
    let stage = Stage::open().await?;
    let mut plain = stage.raw().await?.open("/orders", &[CLOUDEVENTS]).await?;
    let mut enveloped = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
    enveloped.text().await?;
    let event = r#"{ "specversion" : "1.0","type":"t", "source":"/s","id":"\u0041-1", "traceparent":"00-1-2-01",
        "comexampleothervalue": 5, "big": 2147483647, "flag":true, "data": {"n": 1.0, "big": 12345678901234567890.25} }"#;
    let record = Record::new(&stage.topic, event).header("content-type", "application/cloudevents+json; charset=utf-8");
    stage.kafka.produce([record]).await?;
    assert_eq!(plain.text().await?, event);
    assert!(enveloped.text().await?.ends_with(&format!(r#""event":{event}}}"#)));
    Ok(())
}

/// W22
#[tokio::test(flavor = "multi_thread")]
async fn a_binary_event_keeps_its_attributes_and_extensions() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?.open("/orders", &[CLOUDEVENTS]).await?;
    let record = Record::new(&stage.topic, r#"{"n":1}"#)
        .key("k")
        .header("ce_specversion", "1.0")
        .header("ce_type", "com.example.sale")
        .header("ce_source", "/till/3")
        .header("ce_id", "a-1")
        .header("ce_subject", "till 3")
        .header("ce_traceparent", "00-1-2-01")
        .header("content-type", "application/json");
    stage.kafka.produce([record]).await?;
    let event = json_of(&mut client).await?;
    for (name, value) in [
        ("specversion", "1.0"),
        ("type", "com.example.sale"),
        ("source", "/till/3"),
        ("id", "a-1"),
        ("subject", "till 3"),
        ("traceparent", "00-1-2-01"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[name], value, "{event}");
    }
    assert_eq!(event["data"], json!({"n": 1}));
    Ok(())
}

/// W26, W3
#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_no_json_tombstones_and_bytes_reach_every_format_as_far_as_it_can_show_them() -> Result<()> {
    let stage = Stage::open().await?;
    let mut events = stage.raw().await?.open("/orders?format=cloudevents", &[]).await?;
    let mut raw = stage.raw().await?.open("/orders?format=raw", &[]).await?;
    let mut payloads = stage.raw().await?.open("/orders?format=topic-payload", &[]).await?;
    let mut enveloped = stage.raw().await?.open("/orders?format=raw", &[HEADGATE]).await?;
    enveloped.text().await?;
    let nan = r#"{"price": NaN, "n": Infinity}"#;
    let records = [
        Record::new(&stage.topic, nan),
        Record::tombstone(&stage.topic, "k"),
        Record::new(&stage.topic, vec![0xff, 0x00, 0xfe]),
        Record::new(&stage.topic, "{\"specversion\":\"1.0\"").header("content-type", "application/cloudevents+json"),
        Record::new(&stage.topic, r#"{"last":1}"#),
    ];
    stage.kafka.produce(records).await?;

    let all = [json_of(&mut events).await?, json_of(&mut events).await?, json_of(&mut events).await?];
    assert_eq!(all[0]["data"], nan, "text that is no JSON stays text");
    assert_eq!(all[1]["type"], "dev.headgate.tombstone.v1");
    assert_eq!(all[2]["data_base64"], "/wD+");
    assert_eq!(json_of(&mut events).await?["type"], "dev.headgate.gap.v1");
    assert_eq!(json_of(&mut events).await?["data"], json!({"last": 1}));

    assert_eq!(raw.text().await?, nan);
    assert_eq!(raw.message().await?, Frame::Binary(vec![0xff, 0x00, 0xfe]), "a tombstone has no value to show");
    assert_eq!(raw.text().await?, "{\"specversion\":\"1.0\"");
    assert_eq!(raw.text().await?, r#"{"last":1}"#);

    for expected in [json!(nan), Value::Null, Value::Null, Value::Null, json!({"last": 1})] {
        let message = json_of(&mut payloads).await?;
        assert_eq!(message["topic"], stage.topic.as_str(), "{message}");
        assert!(message["payload"] == expected || expected.is_null(), "{message}");
    }
    for offset in 0..5 {
        let message = json_of(&mut enveloped).await?;
        assert_eq!(message["offset"], offset);
        assert_eq!(message["event"].is_null(), offset == 1, "inside an envelope a missing value is null: {message}");
    }
    Ok(())
}

/// W26
#[tokio::test(flavor = "multi_thread")]
async fn channels_and_keys_are_decoded_once_and_the_query_is_no_part_of_them() -> Result<()> {
    let stage = Stage::open().await?;
    let mut channel = stage.raw().await?.open("/orders/a%20b%2Fc%C3%A9?format=raw", &[]).await?;
    let mut alias = stage.raw().await?.open("/ws/a%20b%2Fc%C3%A9?format=raw", &[]).await?;
    let mut key = stage.raw().await?.open("/orders?key=k%201&format=raw", &[]).await?;
    let mut star = stage.raw().await?.open("/orders?key=%2A&format=raw", &[]).await?;
    let mut plus = stage.raw().await?.open("/orders?key=a+b&format=raw", &[]).await?;
    let with_subject = |value: &str, subject: &str| Record::new(&stage.topic, value).header("ce_subject", subject);
    let records = [
        Record::new(&stage.topic, "no subject and no key"),
        with_subject("1", "a b/cé"),
        with_subject("2", "a%20b%2Fc%C3%A9"),
        Record::new(&stage.topic, "3").key("k 1"),
        Record::new(&stage.topic, "4").key("*"),
        Record::new(&stage.topic, "5").key("a+b"),
        Record::new(&stage.topic, "6").key("a b"),
        with_subject("7", "a b/cé"),
        Record::new(&stage.topic, "8").key("k 1"),
        Record::new(&stage.topic, "9").key("*"),
        Record::new(&stage.topic, "10").key("a+b"),
    ];
    stage.kafka.produce(records).await?;
    for (client, expected) in [
        (&mut channel, ["1", "7"]),
        (&mut alias, ["1", "7"]),
        (&mut key, ["3", "8"]),
        (&mut star, ["4", "9"]),
        (&mut plus, ["5", "10"]),
    ] {
        assert_eq!([client.text().await?, client.text().await?], expected);
    }
    Ok(())
}

/// W21
#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_see_partition_offset_time_and_key() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?.open("/orders?metadata=kafka", &[CLOUDEVENTS]).await?;
    stage.kafka.produce([Record::new(&stage.topic, "1").key("k").partition(2).timestamp(1_700_000_000_000)]).await?;
    let event = json_of(&mut client).await?;
    assert_eq!(event["headgatepartition"], 2);
    assert_eq!(event["headgateoffset"].to_string().trim_matches('"'), "0");
    assert_eq!(event["headgatekey"], "k");
    assert!(event["headgatetime"].as_str().is_some_and(|time| time.starts_with("2023-11-14T22:13:20")), "{event}");
    Ok(())
}
